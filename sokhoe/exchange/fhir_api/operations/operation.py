"""What an operation is: its name, where it may be called, what it takes, and who carries it out.

An operation is declared once, as a value; its addresses, the check of what it is given, and its
line in the CapabilityStatement all come from that. Rules: hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from sokhoe.exchange.fhir_api.calls import Call
from sokhoe.exchange.fhir_api.operations.arguments import Arguments, Parameter
from sokhoe.trust import Session

Answer = dict[str, Any] | Response


@dataclass(frozen=True, slots=True)
class OperationCall:
    """One call of an operation: where it was called, with what, and by whom (`session`).

    `type` is None at system level, `id` is None but at an instance. Whether the instance exists
    is not known yet: read it through the session.
    """

    call: Call
    operation: Operation
    type: str | None
    id: str | None
    arguments: Arguments

    @property
    def session(self) -> Session:
        return self.call.session


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is without `$`; `url` is that of its OperationDefinition.

    `types` are those for which it may be called (at type or instance level), None for all.
    One that `affects_state` is called by POST only; the others by GET as well.
    A `long` one makes a job of its own of what it is asked; any other is made one, as it stands,
    for a caller who prefers that (`Prefer: respond-async`).
    The handler answers with a resource (Parameters included) or with a finished Response.
    """

    name: str
    url: str
    handler: Callable[[OperationCall], Answer]
    parameters: tuple[Parameter, ...] = ()
    system: bool = False
    type: bool = False
    instance: bool = False
    types: frozenset[str] | None = None
    affects_state: bool = False
    long: bool = False
    summary: str = ""

    def stands_at(self, type: str | None, id: str | None) -> bool:
        """Whether it may be called at this level for this type."""
        if type is None:
            return self.system
        fits = self.types is None or type in self.types
        return fits and (self.type if id is None else self.instance)
