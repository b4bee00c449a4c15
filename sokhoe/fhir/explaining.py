"""The explaining validator: everything that is wrong with a resource, not only the first thing.

Shape first (`plain`), then the invariants of R4, then the profiles: those the resource claims in
meta.profile and those asked for. What it reports is meant to be read by who has to mend it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import invariants, plain
from sokhoe.fhir.path import World, root
from sokhoe.fhir.profiles import Examiner, Load
from sokhoe.fhir.standard import definition_of

MOST_ISSUES = 1000
_NO_WORLD = World()


def nowhere(url: str) -> dict[str, Any] | None:
    """Profiles where none are stored."""
    return None


def explain(
    resource: Any,
    *,
    profiles: Sequence[str] = (),
    load: Load = nowhere,
    world: World = _NO_WORLD,
) -> list[Issue]:
    """All problems, warnings and notes, at most 1,000; empty if there is nothing to say.

    `profiles` must be fitted, and not to know one is an error; one that only stands in
    meta.profile is a warning then. `load` finds a StructureDefinition by its canonical; those of
    the standard are found without it. `world.member_of` answers for bindings.
    """
    found: list[Issue] = []
    for one in _all(resource, profiles, load, world):
        if one not in found[-50:]:
            found.append(one)
        if len(found) >= MOST_ISSUES:
            break
    return found


def _all(resource: Any, profiles: Sequence[str], load: Load, world: World) -> Iterator[Issue]:
    shape = plain.issues_of(resource, MOST_ISSUES)
    yield from shape
    if not isinstance(resource, dict) or any(one.code == "too-costly" for one in shape):
        return
    try:
        for one in invariants.issues(resource, world):
            if not (shape and one.code == "not-supported"):
                yield one
        yield from _profiled(resource, profiles, load, world)
    except (Invalid, RecursionError) as error:
        yield Issue(
            error.message if isinstance(error, Invalid) else "The resource is nested too deeply.",
            str(resource.get("resourceType", "")),
            "too-costly",
        )


def _profiled(
    resource: dict[str, Any], profiles: Sequence[str], load: Load, world: World
) -> Iterator[Issue]:
    def find(url: str) -> dict[str, Any] | None:
        return load(url) or definition_of(url)

    examiner = Examiner(find, world)
    start = root(resource)
    for url in dict.fromkeys(profiles):
        yield from examiner.issues(start, url, start, start, severity="error")
    for node, own, top in invariants.walk(start):
        if node is own and isinstance(node.value, dict):
            for url in _claimed(node.value):
                if node is not start or url not in profiles:
                    yield from examiner.issues(node, url, own, top)


def _claimed(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    some = meta.get("profile") if isinstance(meta, dict) else None
    return [one for one in some if isinstance(one, str)] if isinstance(some, list) else []
