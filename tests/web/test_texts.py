"""Every sentence on every screen is in the room's catalogues, in Vietnamese and in Khmer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from sokhoe.web import Speaker, Texts, read_catalogue

ROOT = Path(__file__).parents[2] / "sokhoe"
ROOMS = sorted(one.name for one in ROOT.iterdir() if (one / "__init__.py").is_file())
LANGUAGES = ("vi", "km")
# Calls whose first argument is a text: ask.t("…"), t("…"), key("…"), NavItem("…", path).
CALLS = frozenset({"t", "key", "NavItem"})
_SLOT = re.compile(r"{(\w*)}")


def texts_in_code(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        first = node.args[0]
        if name in CALLS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def texts_in_template(source: str) -> Iterator[str]:
    for call in Environment(autoescape=True).parse(source).find_all(nodes.Call):
        called = call.node
        name = called.name if isinstance(called, nodes.Name) else getattr(called, "attr", "")
        if name == "t" and call.args and isinstance(call.args[0], nodes.Const):
            yield str(call.args[0].value)


@cache
def texts_of(room: str) -> dict[str, str]:
    """Every text of a room with the file it stands in."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / room).rglob("*")):
        if file.suffix == ".py":
            texts = texts_in_code(file.read_text("utf-8"))
        elif file.suffix == ".html":
            texts = texts_in_template(file.read_text("utf-8"))
        else:
            continue
        for text in texts:
            found.setdefault(text, str(file.relative_to(ROOT)))
    return found


def catalogue(room: str, language: str) -> dict[str, str]:
    file = ROOT / room / "locale" / f"{language}.po"
    return read_catalogue(file) if file.is_file() else {}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("room", ROOMS)
def test_every_text_of_a_room_is_translated(room: str, language: str) -> None:
    # The words of the shell ("Save", "Back") are at hand in every room.
    known = catalogue("web", language) | catalogue(room, language)
    missing = {text: file for text, file in texts_of(room).items() if text not in known}
    assert not missing, f"sokhoe/{room}/locale/{language}.po lacks {len(missing)}: {missing}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("room", ROOMS)
def test_a_translation_has_the_same_slots_as_its_text(room: str, language: str) -> None:
    wrong = [
        text
        for text, said in catalogue(room, language).items()
        if not text.startswith("error:") and set(_SLOT.findall(text)) != set(_SLOT.findall(said))
    ]
    assert not wrong


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_catalogue_keeps_texts_that_nobody_says(language: str) -> None:
    for room in ("web", "clinic"):
        said = {text for one in (ROOMS if room == "web" else [room]) for text in texts_of(one)}
        kept = {text for text in catalogue(room, language) if not text.startswith("error:")}
        assert not kept - said - HINTS, f"{room}: {sorted(kept - said - HINTS)}"


# Hints of errors are shown by t(error.hint) and stand in the code of other rooms.
HINTS = {
    hint
    for room in ("trust", "web", "clinic")
    for file in (ROOT / room).rglob("*.py")
    for node in ast.walk(ast.parse(file.read_text("utf-8")))
    if isinstance(node, ast.keyword) and node.arg == "hint" and isinstance(node.value, ast.Constant)
    for hint in [str(node.value.value)]
}


def slugs_of(*rooms: str) -> set[str]:
    """The slugs of the error tree and of the errors these rooms raise."""
    files = [ROOT / "errors.py", *(file for room in rooms for file in (ROOT / room).rglob("*.py"))]
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "slug":
                found |= {one.value for one in ast.walk(node.value) if _is_text(one)}  # type: ignore[attr-defined]
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
                target = node.targets[0]
                if isinstance(target, ast.Tuple) and getattr(target.elts[0], "id", "") == "slug":
                    first = node.value.elts[0]
                    found |= {first.value} if _is_text(first) else set()  # type: ignore[attr-defined]
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_a_page_may_show_has_its_sentence(language: str) -> None:
    known = catalogue("web", language) | catalogue("clinic", language)
    missing = sorted(
        slug for slug in slugs_of("trust", "web", "clinic") if f"error:{slug}" not in known
    )
    assert not missing


def test_an_unknown_text_shows_its_english() -> None:
    assert Texts([]).speaker("vi")("Good evening") == "Good evening"


def test_the_pack_speaks_before_the_rooms(tmp_path: Path) -> None:
    for folder, word in (("room", "Số định danh"), ("pack", "Số thẻ")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vi.po").write_text(
            f'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
            f'msgid "Citizen ID"\nmsgstr "{word}"\n',
            "utf-8",
        )
    texts = Texts([tmp_path / "room", tmp_path / "pack"])
    assert texts.speaker("vi")("Citizen ID") == "Số thẻ"


def test_dates_and_numbers_are_written_as_people_write_them() -> None:
    vietnamese, english = Speaker("vi", {}), Speaker("en", {})
    assert vietnamese.date("2026-11-23") == "23/11/2026"
    assert vietnamese.date("2026-11") == "11/2026"
    assert vietnamese.date("1957") == "1957"
    assert vietnamese.time("2026-11-23T01:12:00Z") == "23/11/2026 08:12"
    assert vietnamese.number(1234.5) == "1.234,5"
    assert english.number(1234.5) == "1,234.5"
