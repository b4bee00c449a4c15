"""The house stands: a room asks only whom it may, through the doors, and nobody asks Vietnam.

The table is the one of docs/architecture.md; changing an arrow means changing both, with a reason
in docs/decisions/. Standard library only.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "sokhoe"
MAY_ASK: dict[str, set[str]] = {
    "fhir": set(),
    "store": {"fhir"},
    "trust": {"fhir", "store"},
    "web": {"trust"},
    "people": {"fhir", "trust", "web"},
    "sync": {"fhir", "store", "trust", "web"},
    "exchange": {"fhir", "trust", "web", "people"},
    "clinic": {"fhir", "trust", "web", "people"},
    "book": {"fhir", "trust", "web", "people"},
    "warehouse": {"fhir", "trust", "web"},
    "vietnam": {
        "fhir",
        "trust",
        "web",
        "people",
        "exchange",
        "clinic",
        "book",
        "warehouse",
    },
    "ops": {
        "fhir",
        "store",
        "trust",
        "web",
        "people",
        "sync",
        "exchange",
        "clinic",
        "book",
        "warehouse",
    },
}
ROOT_FILES = {"app", "settings", "errors", "clock", "country", "__main__", "__init__"}
# Root files that any room may ask; app and __main__ join rooms and are asked by ops alone.
HALL = {"settings", "errors", "clock", "country", "__version__"}
COUNTRY_WORDS = re.compile(r"CCCD|BHYT|VNeID|GIAMDINHHS|MA_LK", re.IGNORECASE)


def imports(source: str) -> list[tuple[int, str]]:
    """(line, dotted name) of every import of our own package, late ones in functions too."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "sokhoe":
                found += [(node.lineno, f"sokhoe.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, node.module))
    return [(line, name) for line, name in found if name.split(".")[0] == "sokhoe"]


def wrongs(room: str, source: str) -> list[str]:
    """What a file of this room imports and must not, in words."""
    out = []
    for line, name in imports(source):
        parts = name.split(".")[1:]
        if not parts or parts[0] == room or parts[0] in HALL:
            continue
        if parts[0] in {"app", "__main__"}:
            if room != "ops":
                out.append(f"line {line}: {room} asks {parts[0]}, which joins the rooms")
        elif parts[0] not in MAY_ASK[room]:
            out.append(f"line {line}: {room} may not ask {parts[0]}")
        elif len(parts) > 1:
            out.append(f"line {line}: {name} goes past the door of {parts[0]}")
    return out


def files(room: str) -> list[Path]:
    return sorted((HOUSE / room).rglob("*.py"))


def test_the_house_has_twelve_rooms_and_six_files_at_the_root() -> None:
    assert {p.name for p in HOUSE.iterdir() if p.is_dir() and p.name != "__pycache__"} == set(
        MAY_ASK
    )
    assert {p.stem for p in HOUSE.glob("*.py")} <= ROOT_FILES


@pytest.mark.parametrize("room", MAY_ASK)
def test_a_room_asks_only_the_rooms_it_may_and_through_their_doors(room: str) -> None:
    found = [
        f"{file.relative_to(HOUSE)} {wrong}"
        for file in files(room)
        for wrong in wrongs(room, file.read_text("utf-8"))
    ]
    assert found == []


def test_only_the_store_s_callers_take_the_memory_from_the_gate() -> None:
    callers = {room for room, may in MAY_ASK.items() if "store" in may}
    assert callers == {"trust", "sync", "ops"}
    takers = {
        room
        for room in MAY_ASK
        for file in files(room)
        if re.search(r"gate\.(memory|_store)\b", file.read_text("utf-8"))
    }
    assert takers <= callers


def test_root_files_never_ask_vietnam() -> None:
    for file in HOUSE.glob("*.py"):
        assert not any(
            name.startswith("sokhoe.vietnam") for _, name in imports(file.read_text("utf-8"))
        ), file


@pytest.mark.parametrize("room", MAY_ASK)
def test_each_door_says_who_it_is(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((HOUSE / room / "__init__.py").read_text("utf-8")))
    assert docstring is not None
    for word in ("I am", "I keep", "I may ask", "I never"):
        assert word in docstring, f"{room}: the door does not say '{word} …'"


@pytest.mark.parametrize("room", [room for room in MAY_ASK if room not in {"vietnam", "ops"}])
def test_no_word_of_one_country_in_the_rooms_of_all(room: str) -> None:
    found = [
        f"{file.relative_to(HOUSE)}:{number}"
        for suffix in ("*.py", "*.html", "*.po")
        for file in sorted((HOUSE / room).rglob(suffix))
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if COUNTRY_WORDS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("room", "planted"),
    [
        ("clinic", "from sokhoe.store import open_store"),
        ("clinic", "from sokhoe.book import routes"),
        ("web", "import sokhoe.people"),
        ("people", "from sokhoe import vietnam"),
        ("ops", "from sokhoe.vietnam import pack"),
        ("book", "from sokhoe.trust.session import Session"),
        ("fhir", "from sokhoe.app import build"),
        ("store", "def late():\n    from sokhoe.trust import Gate"),
    ],
)
def test_a_planted_forbidden_import_is_seen(room: str, planted: str) -> None:
    assert wrongs(room, planted)
