"""Who a person is in Vietnam, for the rooms that ask: numbers, cards, plausibility.

Fills `people.identity`.
"""

from __future__ import annotations

from sokhoe.errors import Invalid
from sokhoe.people import CardFacts
from sokhoe.vietnam import card_qr, citizen_id, insurance_number, systems


class Identity:
    @property
    def citizen_system(self) -> str:
        return systems.uri("citizen_id")

    @property
    def insurance_system(self) -> str:
        return systems.uri("insurance_number")

    def read_card(self, text: str) -> CardFacts | None:
        """A citizen card's or insurance card's QR text; None for anything else."""
        if text.count("|") < 5:
            return None
        try:
            card = card_qr.read_citizen_card(text)
        except Invalid:
            return self._insurance(text)
        return CardFacts(
            citizen_id=card.number,
            name=card.name,
            birth_date=card.birth,
            gender=card.sex,
            address=card.address,
            old_id=card.old_number,
        )

    def _insurance(self, text: str) -> CardFacts | None:
        try:
            card = card_qr.read_insurance_card(text)
        except Invalid:
            return None
        whole = citizen_id.is_citizen_id(card.number)
        return CardFacts(
            citizen_id=card.number if whole else "",
            name=card.name,
            birth_date=card.birth,
            gender=card.sex,
            address=card.address,
            insurance=card.number,
        )

    def warnings(self, number: str, birth_date: str, gender: str) -> list[str]:
        """Sentences where the number contradicts birth year or sex; never a reason to refuse."""
        if not citizen_id.is_citizen_id(number):
            return []
        return list(citizen_id.warnings(number, birth=birth_date, sex=gender))

    def is_citizen_id(self, text: str) -> bool:
        return citizen_id.is_citizen_id(text)

    def is_insurance_number(self, text: str) -> bool:
        return insurance_number.is_insurance_number(text)
