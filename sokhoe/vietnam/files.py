"""The visit file (GIAMDINHHS) as the in-tray takes it. Fills `exchange.file_kinds`."""

from __future__ import annotations

from sokhoe.errors import Invalid
from sokhoe.exchange import Label, Problem, Translated
from sokhoe.vietnam import giamdinh, systems


class VisitFile:
    name = "GIAMDINHHS"
    media_type = "application/xml"

    def recognises(self, content: bytes) -> bool:
        return b"GIAMDINHHS" in content[:2000]

    def label(self, content: bytes) -> Label:
        """Facility and episodes. Raises Invalid where the envelope cannot be read or names none:
        then nobody could ask for the outcome, so the sender must hear it at once."""
        found = giamdinh.describe(giamdinh.parse(content))
        keys = tuple(one for one in found.visits if one)
        if not found.facility:
            raise Invalid(
                "Thiếu MACSKCB trong THONGTINDONVI.",
                slug="MISSING_MACSKCB",
                location="THONGTINDONVI/MACSKCB",
            )
        if not keys or len(keys) < len(found.visits):
            place = next((at for at, key in enumerate(found.visits) if not key), 0)
            raise Invalid(
                "Thiếu MA_LK, không xác định được đợt khám.",
                slug="MISSING_MA_LK",
                location=f"HOSO[{place}]/XML1/MA_LK",
            )
        return Label(systems.uri("visit_number"), keys, found.facility)

    def translate(self, content: bytes) -> Translated:
        file = giamdinh.parse(content)
        problems = tuple(
            Problem(one.path, one.code, one.message, one.severity.lower())
            for one in giamdinh.check(file)
        )
        if any(one.severity == "error" for one in problems):
            return Translated(problems=problems)
        return Translated(tuple(giamdinh.to_fhir(file)), problems)
