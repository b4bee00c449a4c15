"""What a search asks of the code systems (`:in`, `:not-in`, `:above`, `:below`), through the gate:
who may not search for value sets cannot find out what is in one by searching with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir import terminology

if TYPE_CHECKING:
    from sokhoe.trust.session import Session

Code = tuple[str, str]  # system, code


@dataclass(frozen=True, slots=True)
class Codes:
    """Answers for one session; each question leaves its line in the audit."""

    session: Session

    def codes(self, value_set: str) -> Iterable[Code]:
        """All codes of a value set. Raises NotFound, Forbidden, Unsupported where they cannot all
        be listed."""
        library = self.session.consult("ValueSet", f"search with {value_set}")
        members = library.members(value_set)
        if members.missing or any(part.grammar for part in members.parts):
            raise Unsupported(
                f"The codes of {value_set} cannot be listed here.",
                hint="Load the code systems it is made of: " + ", ".join(members.missing)
                if members.missing
                else "It holds all codes that follow a rule; search by code instead.",
                slug="endless-value-set",
                location=value_set,
            )
        return _listed(members)

    def below(self, system: str, code: str) -> Iterable[Code]:
        """The code and all kinds of it. Raises NotFound, Invalid, Forbidden."""
        known = self._system(system, code)
        row = terminology.row_of(known, code)
        return [(system, known.codes[one]) for one in sorted({row, *known.descendants(row)})]

    def above(self, system: str, code: str) -> Iterable[Code]:
        """The code and all that it is a kind of. Raises NotFound, Invalid, Forbidden."""
        known = self._system(system, code)
        row = terminology.row_of(known, code)
        return [(system, known.codes[one]) for one in sorted({row, *known.ancestors(row)})]

    def _system(self, url: str, code: str) -> terminology.System:
        if not url:
            raise Invalid(
                f"It is not said of which code system {code} is.",
                hint="Write system|code.",
                slug="bad-search-value",
            )
        library = self.session.consult("CodeSystem", f"search around {url}|{code}")
        found = library.system(url)
        if found is None:
            raise terminology.not_here("code system", url, library.why_not(url))
        return found


def _listed(members: terminology.Members) -> Iterator[Code]:
    for part in members.parts:
        system = part.system
        for row in part.rows:
            if members.inactive is False and system.inactive(row):
                continue
            yield system.url, system.codes[row]
