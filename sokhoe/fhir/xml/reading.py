"""XML to plain values, in one pass: the parser tells of each tag, a stack of what is open grows.

Nothing is built that the table does not know: an unknown element ends the reading at once, so a
large body of nonsense costs neither memory nor time. No DOCTYPE, hence no entities; UTF-8 only;
at most 100 levels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Never

from lxml import etree

from sokhoe.errors import Invalid
from sokhoe.fhir import definitions
from sokhoe.fhir.definitions import TYPES, Element, Structure
from sokhoe.fhir.json import MAX_DEPTH, MAX_EXPONENT
from sokhoe.fhir.plain import nearest
from sokhoe.fhir.xml.xhtml import XHTML, Div

FHIR = "http://hl7.org/fhir"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_CHUNK = 65_536
_BOM = b"\xef\xbb\xbf"
_DECLARED = re.compile(rb"^<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,20})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?")
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})


def from_xml(data: bytes) -> dict[str, Any]:
    """One resource, as `decode` would give it from JSON: decimals as written, lists as lists.

    Raises `Invalid` (400, 413) naming the element (`Patient.name[0].gven`): broken XML, a DOCTYPE,
    another encoding than UTF-8, another namespace, elements that R4 does not have, that stand in
    the wrong order or too often, text between elements.
    """
    text = data.removeprefix(_BOM)
    declared = _DECLARED.match(text)
    if b"\0" in text or (declared and declared[1].lower() not in {b"utf-8", b"us-ascii"}):
        _refuse("the text is not UTF-8", hint="Save or send it as UTF-8.")
    if b"<!DOCTYPE" in text:
        _no_doctype()
    reader = _Reader()
    make: Any = etree.XMLParser  # its stubs know neither str for texts nor "internal"
    parser = make(
        target=reader,
        encoding="utf-8",
        # Without a DOCTYPE there are only the five of XML itself, such as &amp;
        resolve_entities="internal",
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK])
        parser.close()
    except etree.XMLSyntaxError as error:
        reason = " ".join(str(error.msg).split())
        if "too long" in reason or "limit" in reason.lower() or "huge" in reason:
            _refuse(
                f"a single value is too long ({reason})",
                hint="Send files as they are to /Binary, or as JSON.",
                status=413,
                code="too-long",
            )
        _refuse(reason)
    if reader.resource is None:
        _refuse("there is no resource in it")
    return reader.resource


@dataclass(slots=True)
class _Open:
    """An element that has begun. `value`: the object it becomes; for a primitive its twin (`_x`).

    `structure` is None for what holds a whole resource (`contained`, `Bundle.entry.resource`).
    """

    element: Element | None
    value: dict[str, Any]
    structure: Structure | None
    literal: Any = None
    lists: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    last: str = ""  # the child before
    at: int = -1  # its place in the order
    held: dict[str, Any] | None = None


class _Reader:
    """The parser's target: gets tags and texts, ends with `resource`."""

    def __init__(self) -> None:
        self.resource: dict[str, Any] | None = None
        self._open: list[_Open] = []
        self._div: Div | None = None

    # --- what the parser tells -----------------------------------------------------------------

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        _no_doctype()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._div is not None:
            self._div.start(tag, attributes)
            return
        if len(self._open) >= MAX_DEPTH:
            _refuse(
                f"there are more than {MAX_DEPTH} levels",
                hint="Send it flatter, or in parts.",
                code="too-costly",
            )
        space, _, name = tag[1:].rpartition("}") if tag[:1] == "{" else ("", "", tag)
        top = self._open[-1] if self._open else None
        if top is None or top.structure is None:
            self._begin_resource(space, name, attributes, top)
            return
        element = top.structure.elements.get(name)
        div = element is not None and element.type == "xhtml"
        if space != (XHTML if div else FHIR):
            self._wrong(name, f"<{name}> is in the namespace '{space[:80]}', not in '{FHIR}'")
        if element is None or element.type in {"@string", "@uri"}:
            close = nearest(name, top.structure.elements)
            self._wrong(name, f"{top.structure.name} has no element '{name[:60]}'.{close}")
        self._count(top, element)
        if div:
            self._div = Div(attributes)
            self._open.append(_Open(element, {}, None))
        elif element.primitive:
            self._begin_primitive(element, attributes)
        elif element.type == "Resource":
            self._open.append(_Open(element, {}, None))
            self._only(attributes, ())
        else:
            structure = definitions.structure(element.type)
            self._open.append(_Open(element, {}, structure))
            self._attributes(structure, attributes)

    def data(self, text: str) -> None:
        if self._div is not None:
            self._div.data(text)
        elif text.strip():
            self._wrong("", f"text between elements: '{text.strip()[:40]}'")

    def end(self, tag: str) -> None:
        if self._div is not None and self._div.end(tag):
            return
        done = self._open.pop()
        for name, pairs in done.lists.items():
            _fill(done.value, name, pairs)
        if not self._open:
            self.resource = done.value
            return
        top = self._open[-1]
        if done.element is None:
            top.held = done.value
        elif self._div is not None:
            top.value[done.element.name] = self._div.text
            self._div = None
        elif done.element.primitive:
            self._end_primitive(top, done)
        elif done.structure is None:
            if done.held is None:
                self._wrong(done.element.name, "here a resource is expected")
            _add(top.value, done.element, done.held)
        else:
            _add(top.value, done.element, done.value)

    def comment(self, text: str) -> None:
        """Comments mean nothing."""

    def pi(self, target: str, text: str | None = None) -> None:
        """So do processing instructions, such as the one that names a stylesheet."""

    def close(self) -> None:
        return None

    # --- inside --------------------------------------------------------------------------------

    def _begin_resource(
        self, space: str, name: str, attributes: Mapping[str, str], top: _Open | None
    ) -> None:
        if space != FHIR:
            self._wrong(name, f"<{name}> is in the namespace '{space[:80]}', not in '{FHIR}'")
        if name not in TYPES:
            self._wrong(name, f"'{name[:60]}' is not a resource type of R4.{nearest(name, TYPES)}")
        if top is not None and top.held is not None:
            self._wrong(name, "here is place for one resource only")
        structure = definitions.structure(name)
        self._open.append(_Open(None, {"resourceType": name}, structure))
        self._only(attributes, ())

    def _begin_primitive(self, element: Element, attributes: Mapping[str, str]) -> None:
        twin = definitions.structure("Element") if element.twin else _NOTHING
        opened = _Open(element, {}, twin)
        self._open.append(opened)
        for name, value in attributes.items():
            if name == "value":
                opened.literal = _literal(element.type, value)
            elif name == "id" and element.twin:
                opened.value["id"] = value
            else:
                self._only({name: value}, ())

    def _end_primitive(self, top: _Open, done: _Open) -> None:
        element, twin = done.element, done.value
        assert element is not None
        if done.literal is None and not twin:
            self._wrong(element.name, f"<{element.name}> has no value")
        name = element.name
        if not element.many:
            if done.literal is not None:
                top.value[name] = done.literal
            if twin:
                top.value["_" + name] = twin
            return
        top.value.setdefault(name, None)  # its place; filled when the last one is known
        top.lists.setdefault(name, []).append((done.literal, twin or None))

    def _count(self, top: _Open, element: Element) -> None:
        """Order and number of the children, as the standard demands."""
        assert top.structure is not None
        place = _order(top.structure.name)[element.name]
        if place < top.at:
            self._wrong(
                element.name,
                f"'{element.name}' must stand before '{top.last}', as R4 lists them",
            )
        if place == top.at and not element.many:
            self._wrong(element.name, f"'{element.name}' may be given once only")
        top.at = place
        top.last = element.name

    def _attributes(self, structure: Structure, attributes: Mapping[str, str]) -> None:
        """`id` and, of an extension, `url`: what R4 writes as attributes."""
        value = self._open[-1].value
        known = [
            name
            for name in ("id", "url")
            if name in structure.elements and structure.elements[name].type in {"@string", "@uri"}
        ]
        for name in known:
            if name in attributes:
                value[name] = attributes[name]
        self._only(attributes, known)

    def _only(self, attributes: Mapping[str, str], known: Any) -> None:
        for name in attributes:
            if name not in known and not name.startswith(_XSI):
                self._wrong("", f"the attribute '{name[:60]}' is not known here")

    def _wrong(self, name: str, reason: str) -> Never:
        _refuse(reason.rstrip("."), location=self._path(name))

    def _path(self, name: str) -> str:
        parts: list[str] = []
        above: _Open | None = None
        for opened in self._open:
            element = opened.element
            if element is not None:
                parts.append(element.choice or element.name)
                if element.many and above is not None:
                    before = above.lists.get(element.name) or above.value.get(element.name) or ()
                    parts[-1] += f"[{len(before)}]"
            elif not parts:
                parts.append(str(opened.value["resourceType"]))
            above = opened
        return ".".join([*parts, name] if name else parts)


_NOTHING = Structure("", {}, {})


def _add(value: dict[str, Any], element: Element, one: Any) -> None:
    if element.many:
        value.setdefault(element.name, []).append(one)
    else:
        value[element.name] = one


def _fill(value: dict[str, Any], name: str, pairs: list[tuple[Any, Any]]) -> None:
    """A list of primitives, and beside it the list of their ids and extensions."""
    literals, twins = [one for one, _ in pairs], [twin for _, twin in pairs]
    if any(one is not None for one in literals):
        value[name] = literals
    else:
        del value[name]
    if any(twins):
        value["_" + name] = twins


@cache
def _order(name: str) -> dict[str, int]:
    return {child: place for place, child in enumerate(definitions.structure(name).elements)}


def _literal(type: str, text: str) -> Any:
    """A value as JSON has it; what does not look like one stays text, for `validate` to name."""
    if type == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if type in _INTEGERS and _INTEGER.fullmatch(text):
        return int(text)
    if type == "decimal" and _DECIMAL.fullmatch(text):
        number = Decimal(text)
        if not -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
            _refuse(f"the number {text[:40]} has an exponent beyond {MAX_EXPONENT}")
        return int(text) if _INTEGER.fullmatch(text) else number
    return text


def _no_doctype() -> Never:
    _refuse("a DOCTYPE is not allowed", hint="Leave it out; FHIR needs none.")


def _refuse(
    reason: str, *, hint: str = "", location: str = "", status: int = 400, code: str = "structure"
) -> Never:
    place = f" (at {location})" if location else ""
    raise Invalid(
        f"This is not the XML that FHIR asks for: {reason}{place}.",
        hint=hint or "Correct the text at that place and send it again.",
        slug="not-xml",
        status=status,
        code=code,
        location=location,
    )
