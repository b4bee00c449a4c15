"""Looks at a prescription before it is saved. Only what a name can tell; no substitute for the
interaction tables a pack may bring one day.
"""

from __future__ import annotations

from collections.abc import Sequence

from sokhoe.clinic.visits import Dose
from sokhoe.fhir import fold

# Shorter words of an allergy ("gà", "tôm") would be found inside the names of medicines.
SHORTEST = 5


def allergy_clashes(medicines: Sequence[Dose], allergies: Sequence[str]) -> list[tuple[str, str]]:
    """(medicine, allergy) where a word of the allergy stands in the medicine's name."""
    return [
        (line.name, allergy)
        for line in medicines
        for allergy in allergies
        if any(word in fold(line.name) for word in _words(allergy))
    ]


def _words(allergy: str) -> list[str]:
    """The words of the substance; what stands in brackets is the reaction."""
    return [word for word in fold(allergy.partition("(")[0]).split() if len(word) >= SHORTEST]


def doubled(medicines: Sequence[Dose]) -> list[str]:
    """Names that stand in the prescription twice."""
    names = [fold(line.name) for line in medicines if line.name]
    return sorted(
        {line.name for line in medicines if line.name and names.count(fold(line.name)) > 1}
    )
