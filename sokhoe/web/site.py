"""One running server as the pages see it: settings, gate, pack, texts, templates, line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from sokhoe import clock
from sokhoe.country import Pack
from sokhoe.settings import Settings
from sokhoe.trust import Gate, Role
from sokhoe.web.drawings import bars, meter, spark
from sokhoe.web.seams import Line, NoLine
from sokhoe.web.statics import asset
from sokhoe.web.texts import Texts, Voice


@dataclass(frozen=True, slots=True)
class NavItem:
    """A place in the menu: its text (a catalogue key), path, and who sees it (None: everybody
    who is signed in)."""

    text: str
    path: str
    roles: frozenset[Role] | None = None


@dataclass(slots=True)
class Site:
    """Made by app.py; one per process. `homes`: where each role begins after signing in;
    `front`: where somebody begins who is not signed in; `line_page`: what the header's line
    state opens ("" where nobody shows more about it)."""

    settings: Settings
    gate: Gate
    pack: Pack
    texts: Texts
    templates: Environment
    line: Line = field(default_factory=NoLine)
    nav: list[NavItem] = field(default_factory=list)
    homes: dict[Role, str] = field(default_factory=dict)
    front: str = "/signin"
    line_page: str = ""
    banners: list[Callable[[], str]] = field(default_factory=list)
    # What rooms put here for their own pages, by room name; app.py never looks inside.
    rooms: dict[str, Any] = field(default_factory=dict)

    @property
    def role(self) -> str:
        return str(self.settings.role)


def make_templates(rooms: Sequence[str]) -> Environment:
    """Templates lie beside their pages: "clinic/visit.html" is sokhoe/clinic/pages/visit.html."""
    root = Path(__file__).parents[1]
    folders = {
        room: FileSystemLoader(root / room / "pages")
        for room in rooms
        if (root / room / "pages").is_dir()
    }
    templates = Environment(
        loader=PrefixLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {
        "t": Voice(),
        "asset": asset,
        "now": clock.now,
        "draw_spark": spark,
        "draw_bars": bars,
        "draw_meter": meter,
    }
    return templates
