"""What a search asks of the code systems: which codes a value set has, what lies below a code.

The terminology of this room fills it; a search that needs it is refused without.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

Code = tuple[str, str]  # system, code


class Expander(Protocol):
    def codes(self, value_set: str) -> Iterable[Code]:
        """All codes of a value set (`url` or `url|version`). NotFound if it is not known."""

    def below(self, system: str, code: str) -> Iterable[Code]:
        """The code and all that it subsumes; `system` may be empty. NotFound if not known."""

    def above(self, system: str, code: str) -> Iterable[Code]:
        """The code and all that subsume it."""


class Unasked:
    """Says of every value set that it is empty: to read a search for its form alone."""

    def codes(self, value_set: str) -> Iterable[Code]:
        return ()

    def below(self, system: str, code: str) -> Iterable[Code]:
        return ()

    def above(self, system: str, code: str) -> Iterable[Code]:
        return ()
