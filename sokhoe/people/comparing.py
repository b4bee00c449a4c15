"""Two people side by side: rows for the screen, with the letters that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sokhoe.people.matching import Facts, Reason, Weight
from sokhoe.people.names import Piece, marked
from sokhoe.people.persons import PersonView

Speak = Callable[[str], str]

SEXES = {"male": "Male", "female": "Female", "other": "Other", "unknown": "Unknown"}


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of both: its label (a catalogue key) and the pieces of each side."""

    label: str
    left: tuple[Piece, ...]
    right: tuple[Piece, ...]

    @property
    def differs(self) -> bool:
        return any(piece.differs for piece in (*self.left, *self.right))


@dataclass(frozen=True, slots=True)
class Said:
    """A reason for the screen: its sentence (a catalogue key) and the kind of its badge."""

    text: str
    kind: str


def summed(person: PersonView, sources: Sequence[Facts]) -> Facts:
    """A person as one set of facts: what the index derived, and of the rest the first that any
    source has."""

    def first(name: str) -> str:
        return next((value for one in sources if (value := str(getattr(one, name)))), "")

    return Facts(
        patient=person.ref,
        citizen_id=person.citizen_id or first("citizen_id"),
        insurance=first("insurance"),
        name=person.name,
        birth_date=person.birth_date,
        gender=person.gender,
        address=first("address"),
        phone=first("phone"),
    )


def rows(left: Facts, right: Facts, *, say_date: Speak, say: Speak) -> list[Row]:
    """The facts of two people, row by row; rows that both lack are left out."""
    one, two = (
        replace(
            facts,
            birth_date=say_date(facts.birth_date),
            gender=say(SEXES[facts.gender]) if facts.gender in SEXES else "",
        )
        for facts in (left, right)
    )
    pairs = (
        ("Name", one.name, two.name),
        ("Birth date", one.birth_date, two.birth_date),
        ("Sex", one.gender, two.gender),
        ("Citizen ID", one.citizen_id, two.citizen_id),
        ("Health insurance number", one.insurance, two.insurance),
        ("Phone", one.phone, two.phone),
        ("Address", one.address, two.address),
    )
    return [Row(label, *_pieces(a, b)) for label, a, b in pairs if a or b]


def _pieces(a: str, b: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    if not a or not b:  # nothing to differ from
        return tuple(Piece(t, False) for t in (a,) if t), tuple(Piece(t, False) for t in (b,) if t)
    return marked(a, b)


_KIND = {
    Weight.FOR: "good",
    Weight.NEUTRAL: "",
    Weight.WEAK: "warning",
    Weight.AGAINST: "danger",
}
_KNOWN = {reason.text: reason for reason in Reason}
_ORDER = ("danger", "warning", "", "good")


def said(reasons: Sequence[str]) -> list[Said]:
    """Reasons with what they mean, what speaks against first."""
    found = [
        Said(text, _KIND[_KNOWN[text].weight] if text in _KNOWN else "warning") for text in reasons
    ]
    return sorted(found, key=lambda one: _ORDER.index(one.kind))
