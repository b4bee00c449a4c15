"""The narrative: XHTML inside a resource, in JSON a text, in XML a tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.entities import html5

from lxml import etree

from sokhoe.errors import Invalid

XHTML = "http://www.w3.org/1999/xhtml"
MAX_DEPTH = 100
_XML = "{http://www.w3.org/XML/1998/namespace}"
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_SPECIAL = re.compile("[&<>\"'\n\r\t]").search
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{0,40};)")


class Div:
    """A `<div>` being read: it becomes the text that JSON has for it."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self._parts = [f'<div xmlns="{XHTML}"{_written(attributes)}>']
        self._open: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        space, _, name = tag[1:].rpartition("}")
        if space != XHTML or len(self._open) >= MAX_DEPTH:
            raise Invalid(
                f"A narrative holds XHTML, not <{name[:60]}> of '{space[:80]}'."
                if space != XHTML
                else f"The narrative is more than {MAX_DEPTH} levels deep.",
                slug="not-xml",
                code="structure",
                location="text.div",
            )
        self._open.append(name)
        self._parts.append(f"<{name}{_written(attributes)}{'/' if name in _VOID else ''}>")

    def data(self, text: str) -> None:
        self._parts.append(escape(text, quote=False))

    def end(self, tag: str) -> bool:
        """False when this is the end of the whole."""
        if not self._open:
            self._parts.append("</div>")
            return False
        name = self._open.pop()
        if name not in _VOID:
            self._parts.append(f"</{name}>")
        return True

    @property
    def text(self) -> str:
        return "".join(self._parts)


def _written(attributes: Mapping[str, str]) -> str:
    out = ""
    for name, value in attributes.items():
        label = "xml:" + name.removeprefix(_XML) if name.startswith(_XML) else name
        if label[:1] == "{":
            raise Invalid(
                f"A narrative has no attribute '{label[:60]}'.",
                slug="not-xml",
                code="structure",
                location="text.div",
            )
        out += f' {label}="{attribute(value)}"'
    return out


def attribute(text: str) -> str:
    """A text between quotes: line ends are kept, which a parser else would turn into spaces."""
    if not _SPECIAL(text):
        return text
    return escape(text).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")


def as_xml(div: str) -> str:
    """A narrative of JSON as it may stand inside XML: as it is if it is a well-formed div, else as
    much of it as can be kept. Old systems write `&nbsp;`, which XML does not know."""
    for text in (div, _ENTITY.sub(_letter, div)):
        if _is_div(text):
            return text.strip()
    return f'<div xmlns="{XHTML}">{escape(div, quote=False)}</div>'


def _letter(match: re.Match[str]) -> str:
    return html5.get(match[1], match[0])


def _is_div(text: str) -> bool:
    if "<!" in text or "<?" in text:
        return False
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        return bool(etree.fromstring(text.encode(), parser).tag == f"{{{XHTML}}}div")
    except (etree.XMLSyntaxError, ValueError):
        return False
