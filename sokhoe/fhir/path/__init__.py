"""FHIRPath: questions to a resource, answered in Python (hl7.org/fhirpath/N1, with FHIR's own).

    evaluate("Patient.name.where(use = 'official').given", patient)   → ["Thị", "Hạnh"]
    expression("name.exists()").holds(patient)                        → True
    expression("Patient.birthDate").nodes(patient)                    → nodes with type and place

An expression is compiled once and kept (the last 2,000). Evaluation is pure and bounded: it asks
nothing but what the `World` given with it offers, and ends after so many steps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sokhoe.fhir.path import kinds
from sokhoe.fhir.path.checking import foreseen, functions_in
from sokhoe.fhir.path.compiling import Run, compiled
from sokhoe.fhir.path.moments import Moment
from sokhoe.fhir.path.parser import parse
from sokhoe.fhir.path.refusing import too_costly
from sokhoe.fhir.path.scope import Scope, World
from sokhoe.fhir.path.truth import truth
from sokhoe.fhir.path.values import Item, Items, Node, Quantity, TypeInfo, system

__all__ = [
    "Expression",
    "Item",
    "Moment",
    "Node",
    "Quantity",
    "TypeInfo",
    "World",
    "evaluate",
    "expression",
    "foreseen",
    "functions_in",
    "root",
    "system",
]

root = kinds.root
_NO_WORLD = World()


class Expression:
    """A compiled expression; `Invalid` (slug fhirpath or too-costly) if there is no answer."""

    __slots__ = ("_run", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._run: Run = compiled(parse(text))

    def nodes(
        self,
        context: Node | dict[str, Any],
        world: World = _NO_WORLD,
        *,
        resource: Node | None = None,
        top: Node | None = None,
    ) -> Items:
        """The answer as nodes and System values.

        `resource` is %resource and `top` %rootResource; both are the context itself if it is a
        whole resource.
        """
        if not isinstance(context, Node):
            context = kinds.root(context)
        here = resource or context
        scope = Scope([context], here, top or here, world)
        try:
            return self._run(scope)
        except RecursionError:
            raise too_costly("it goes too deep into the resource") from None

    def evaluate(self, resource: Node | dict[str, Any], world: World = _NO_WORLD) -> list[Any]:
        """The answer as JSON values; System values (dates, quantities) as they are."""
        return [item.value if type(item) is Node else item for item in self.nodes(resource, world)]

    def holds(self, resource: Node | dict[str, Any], world: World = _NO_WORLD) -> bool | None:
        """True, False, or None for "not known" (an empty answer)."""
        return truth(self.nodes(resource, world))


@lru_cache(maxsize=2000)
def expression(text: str) -> Expression:
    """The compiled expression; `Invalid` if it is not FHIRPath."""
    return Expression(text)


def evaluate(text: str, resource: dict[str, Any], world: World = _NO_WORLD) -> list[Any]:
    """What an expression finds in a resource, as JSON values in order."""
    return expression(text).evaluate(resource, world)
