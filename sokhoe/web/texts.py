"""Screen texts in Vietnamese, English and Khmer.

The English sentence in the source is the key. Each room keeps `locale/vi.po` and `locale/km.po`;
the country pack's catalogue stands before them, so "citizen ID" becomes the word on the card that
people hold. A text without translation shows its English, and a test names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

from sokhoe import clock
from sokhoe.errors import SokhoeError

LANGUAGES: Mapping[str, str] = {"vi": "Tiếng Việt", "en": "English", "km": "ភាសាខ្មែរ"}


def key(text: str) -> str:
    """Mark a text that is translated later, where it is shown: `Level("high", key("high"))`."""
    return text


def read_catalogue(file: Path) -> dict[str, str]:
    """The translated messages of one .po file."""
    with file.open("rb") as stream:
        catalogue = read_po(stream)
    return {
        str(message.id): str(message.string)
        for message in catalogue
        if message.id and message.string and isinstance(message.id, str)
    }


class Texts:
    """All catalogues of a running server, read once."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._words: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
        for folder in folders:  # later folders win: the country pack comes last
            for language, words in self._words.items():
                file = folder / f"{language}.po"
                if file.is_file():
                    words.update(read_catalogue(file))

    def speaker(self, language: str) -> Speaker:
        return Speaker(language, self._words.get(language, {}))


class Speaker:
    """Texts, dates and numbers in one language. In templates: `t("Save")`."""

    def __init__(self, language: str, words: Mapping[str, str]) -> None:
        self.language = language
        self._words = words

    def __call__(self, text: str, **values: object) -> str:
        said = self._words.get(text, text)
        return said.format(**values) if values else said

    def error(self, error: SokhoeError) -> str:
        """The sentence for an error: by its slug where a catalogue has one, else its own. A
        sentence may say {minutes}: how long to wait."""
        for key in (f"error:{error.slug}", f"error:{type(error).slug}"):
            if key in self._words:
                return self._words[key].replace("{minutes}", str(-(-error.wait // 60) or 1))
        return error.message

    def date(self, value: str | int | None) -> str:
        """A FHIR date, dateTime or an instant as 23/11/2026 (or 11/2026, or 2026)."""
        if value is None or value == "":
            return ""
        if isinstance(value, int):
            return f"{clock.local(value):%d/%m/%Y}"
        return "/".join(reversed(value[:10].split("-")))

    def time(self, value: str | int | None) -> str:
        """Date and 24-hour clock, local: 23/11/2026 08:12."""
        if value is None or value == "":
            return ""
        if isinstance(value, int):
            return f"{clock.local(value):%d/%m/%Y %H:%M}"
        if len(value) <= 10:
            return self.date(value)
        moment = datetime.fromisoformat(value).astimezone(clock.zone())
        return f"{moment:%d/%m/%Y %H:%M}"

    def clock(self, value: str | int | None) -> str:
        """The time of day for what happened today (08:12), else date and time."""
        said = self.time(value)
        day, _, hour = said.partition(" ")
        return hour if hour and day == f"{clock.today():%d/%m/%Y}" else said

    def number(self, value: float | int | Decimal | None, places: int | None = None) -> str:
        """1.234,5 in Vietnamese and Khmer, 1,234.5 in English."""
        if value is None:
            return ""
        text = f"{value:,}" if places is None else f"{value:,.{places}f}"
        if self.language == "en":
            return text
        return text.translate(str.maketrans(",.", ".,"))


SPEAKING: ContextVar[Speaker] = ContextVar("SPEAKING", default=Speaker("en", {}))  # noqa: B039


class Voice:
    """`t` inside imported macros, which do not see the page's own: whoever speaks just now."""

    def __call__(self, text: str, **values: object) -> str:
        return SPEAKING.get()(text, **values)

    def __getattr__(self, name: str) -> Any:
        return getattr(SPEAKING.get(), name)
