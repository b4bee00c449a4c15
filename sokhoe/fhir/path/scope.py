"""What an evaluation may ask of the world, and how much it may cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sokhoe.fhir.path.refusing import too_costly, wrong
from sokhoe.fhir.path.values import Item, Items, Node

MOST_STEPS = 200_000
LONGEST_TEXT = 1024 * 1024
PATIENCE = 0.5  # seconds that all patterns of one evaluation may take together

Resolve = Callable[[str], dict[str, Any] | None]
MemberOf = Callable[[Any, str], bool | None]
ConformsTo = Callable[[dict[str, Any], str], bool]


@dataclass(frozen=True, slots=True)
class World:
    """What lies outside the resource; each part is given by the caller or is not there.

    `resolve` finds the resource of a reference (`Patient/1`); contained ones and those of the same
    Bundle are found without it. `member_of` says whether a code, Coding or CodeableConcept is in a
    value set, None if that is not known. `conforms_to` says whether a resource fits a profile.
    `now` is the moment of evaluation, with its zone. `trace` receives what `trace()` shows.
    """

    resolve: Resolve | None = None
    member_of: MemberOf | None = None
    conforms_to: ConformsTo | None = None
    now: datetime | None = None
    trace: Callable[[str, Items], None] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    steps: int = MOST_STEPS


class Scope:
    """The changing part of one evaluation: `$this`, `$index`, `$total`, variables, steps left."""

    __slots__ = (
        "defined",
        "index",
        "left",
        "patience",
        "resource",
        "root",
        "this",
        "top",
        "total",
        "world",
    )

    def __init__(self, context: Items, resource: Node | None, top: Node | None, world: World):
        self.this = context
        self.root = context
        self.index = -1
        self.total: Items = []
        self.resource = resource
        self.top = top
        self.world = world
        self.left = world.steps
        self.patience = PATIENCE
        self.defined: dict[str, Items] = {}

    def spend(self, steps: int) -> None:
        """Count work; `Invalid` (too-costly) when the bound is reached."""
        self.left -= steps
        if self.left < 0:
            raise too_costly(f"it takes more than {self.world.steps} steps on this resource")

    def spend_text(self, text: str) -> None:
        """Making a long text is work, too: a step for each 64 letters."""
        if len(text) > 64:
            self.spend(len(text) >> 6)


def one(items: Items, what: str) -> Item:
    """The only item, None for no item; several are an error."""
    if len(items) > 1:
        raise wrong(f"{what} needs one value, found {len(items)}")
    return items[0] if items else None
