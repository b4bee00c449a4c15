"""Numbers, times and codes as words of the page: "< 5", "2 h 10 min", "J06 …", "60 to 69"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sokhoe.clock import Instant
from sokhoe.warehouse.masking import Count, Hidden
from sokhoe.warehouse.numbers import Row
from sokhoe.warehouse.seams import Words
from sokhoe.web import Speaker

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
# State of a facility: kind of badge and word (a catalogue key).
STATES = {
    "never": ("danger", "Never sent"),
    "silent": ("warning", "Silent"),
    "unlisted": ("waiting", "Not in the list"),
    "sending": ("good", "Sending"),
}
SEXES = {"male": "Men", "female": "Women", "unknown": "Unknown"}


@dataclass(frozen=True, slots=True)
class Wording:
    """Made for one page in one language; templates know it as `say`."""

    t: Speaker
    words: Words
    mask_below: int

    def count(self, count: Count) -> str:
        """A number, "< 5", or "hidden"."""
        if count is Hidden.FEW:
            return f"< {self.mask_below}"
        if count is Hidden.COVERED:
            return self.t("hidden")
        return self.t.number(count)

    def percent(self, share: float | None, places: int = 1) -> str:
        """47,6 %; a dash where there is no share to show."""
        return "–" if share is None else f"{self.t.number(share * 100, places)} %"

    def share(self, people: Count, share: float | None, places: int = 1) -> str:
        """A share, or why there is none."""
        return self.count(people) if isinstance(people, Hidden) else self.percent(share, places)

    def duration(self, micros: int | None) -> str:
        """How long, in at most two units."""
        if micros is None:
            return "–"
        if micros < MINUTE:
            return self.t("under 1 min")
        if micros < HOUR:
            return self.t("{n} min", n=micros // MINUTE)
        if micros < 2 * DAY:
            hours, minutes = micros // HOUR, micros % HOUR // MINUTE
            if minutes == 0 or hours >= 10:
                return self.t("{n} h", n=hours)
            return self.t("{h} h {m} min", h=hours, m=minutes)
        return self.t("{n} days", n=micros // DAY)

    def ago(self, then: Instant | None, now: Instant) -> str:
        if then is None:
            return self.t("never")
        return self.t("{time} ago", time=self.duration(max(now - then, 0)))

    def state(self, state: str) -> tuple[str, str]:
        kind, word = STATES[state]
        return kind, self.t(word)

    def level(self, level: str) -> str:
        return self.t(level) if level else self.t("Level unknown")

    def facility(self, row: Row) -> str:
        return str(row["name"]) or str(row["organization"])

    def band(self, low: int) -> str:
        """60–69, 80 and over, or unknown (-1)."""
        if low < 0:
            return self.t("Unknown")
        return self.t("{age} and over", age=low) if low >= 80 else f"{low}–{low + 9}"

    def sex(self, sex: str) -> str:
        return self.t(SEXES[sex])

    def diagnosis(self, row: Row) -> str:
        """The category's name, or that of its most frequent code, or nothing."""
        language = self.t.language
        name = self.words.diagnosis(row["category"], language)
        if name or row["commonest"] == row["category"]:
            return name
        inner = self.words.diagnosis(row["commonest"], language)
        return self.t("mostly {code}: {name}", code=row["commonest"], name=inner) if inner else ""

    def month(self, day: date) -> str:
        return f"{day.month:02d}/{day.year}"

    def day(self, day: date) -> str:
        return self.t.date(day.isoformat())
