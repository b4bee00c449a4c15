"""Read an exchange file (GIAMDINHHS), from whoever made it, without trusting it.

    GIAMDINHHS/THONGTINDONVI/MACSKCB
    GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO/FILEHOSO/{LOAIHOSO, NOIDUNGFILE = base64(XML)}

Hardened: at most 10 MiB, UTF-8 only, no DOCTYPE and no entities, nothing fetched, no huge trees;
the same again for each inner file. Elements are found by name, never by place.

Let pass, each seen in real files: a wrong encoding in the XML declaration (the bytes decide), byte
order marks, CDATA, escaped or nested XML instead of base64, no HOSO, no THONGTINHOSO, lists without
their outer element, lower-case names, names of older dialects. What was let pass is an oddity.
"""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from lxml import etree

from sokhoe.errors import Invalid
from sokhoe.vietnam.giamdinh.profile import Table, profile
from sokhoe.vietnam.giamdinh.shapes import File, Problem, Record, Row

MAX_BYTES = 10 * 1024 * 1024
_DECLARATION = re.compile(r"\s*<\?xml([^>]*)\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([^"']+)["']""")
_FORBIDDEN = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def parse(content: bytes) -> File:
    """The file behind these bytes. Raises Invalid (413 when too big) naming place and reason."""
    if len(content) > MAX_BYTES:
        raise Invalid(
            f"Tệp lớn {len(content):,} byte, quá giới hạn 10 MiB.",
            hint="Gửi mỗi tệp một hồ sơ.",
            slug="TOO_LARGE",
            status=413,
            location="GIAMDINHHS",
        )
    return _Reader().file(content)


class _Reader:
    """One reading: collects what was let pass."""

    def __init__(self) -> None:
        self.oddities: list[Problem] = []

    def odd(self, path: str, code: str, message: str) -> None:
        self.oddities.append(Problem(path, code, message, "WARNING"))

    def file(self, content: bytes) -> File:
        root = self.tree(content, "GIAMDINHHS")
        if _name(root) != "GIAMDINHHS":
            raise _invalid(
                "NOT_GIAMDINHHS",
                f"Phần tử gốc là {_name(root)}, cần GIAMDINHHS.",
                "GIAMDINHHS",
                "Tệp check-in (XML0) và tệp khám sức khỏe gửi theo đường khác.",
            )
        holders = [node for node in _elements(root) if _name(node) == "HOSO"]
        if not holders:
            self.odd("GIAMDINHHS", "NO_HOSO", "Thiếu phần tử HOSO; đọc cả tệp như một hồ sơ.")
            holders = [root]
        records = tuple(self.record(node, place) for place, node in enumerate(holders))
        signature = _first(root, "CHUKYDONVI")
        return File(
            facility=_said(root, "MACSKCB"),
            created=_said(root, "NGAYLAP"),
            declared=_said(root, "SOLUONGHOSO"),
            records=records,
            signed=signature is not None and len(signature) > 0,
            sha256=sha256(content).hexdigest(),
            size=len(content),
            oddities=tuple(self.oddities),
        )

    def record(self, holder: etree._Element, place: int) -> Record:
        tables: dict[str, tuple[Row, ...]] = {}
        known = profile("3176").tables
        for node in _elements(holder):
            if _name(node) != "FILEHOSO":
                continue
            kind = _said(node, "LOAIHOSO").upper()
            where = f"HOSO[{place}]/{kind or 'FILEHOSO'}"
            if kind not in known:
                self.odd(where, "UNKNOWN_TABLE", f"Không biết loại hồ sơ {kind!r}; bỏ qua.")
                continue
            content = _first(node, "NOIDUNGFILE")
            if content is None:
                raise _invalid("NO_CONTENT", "Thiếu NOIDUNGFILE.", where)
            rows = tuple(self.rows(self.content(content, where), known[kind], where))
            if kind in tables:
                self.odd(where, "TABLE_TWICE", f"{kind} có hai lần trong một hồ sơ; đã gộp.")
            tables[kind] = tables.get(kind, ()) + rows
        if not tables:
            raise _invalid("NO_TABLES", "Hồ sơ không có bảng nào.", f"HOSO[{place}]")
        return Record(place, tables)

    def content(self, node: etree._Element, where: str) -> etree._Element:
        """The inner file: nested elements, escaped XML, or base64."""
        if len(node):
            self.odd(where, "NOT_BASE64", "NOIDUNGFILE là XML lồng, không phải base64.")
            return node[0]
        text = (node.text or "").strip().lstrip("\ufeff")
        if not text:
            raise _invalid("NO_CONTENT", "NOIDUNGFILE rỗng.", where)
        if text.startswith("&lt;"):
            text = html.unescape(text)
        if text.startswith("<"):
            self.odd(where, "NOT_BASE64", "NOIDUNGFILE là XML viết thẳng, không phải base64.")
            return self.tree(text.encode(), where)
        try:
            inner = b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise _invalid(
                "BAD_BASE64", "NOIDUNGFILE không phải base64 nguyên vẹn.", where, "Gửi lại tệp."
            ) from None
        return self.tree(inner, where)

    def tree(self, content: bytes, where: str) -> etree._Element:
        """A hardened parse of one XML text."""
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _invalid(
                "NOT_UTF8",
                f"Không phải UTF-8 (byte thứ {error.start}).",
                where,
                "Xuất tệp bằng UTF-8.",
            ) from None
        if found := _DECLARATION.match(text):
            text = text[found.end() :]
            named = _ENCODING.search(found[1])
            if named and named[1].lower() not in {"utf-8", "utf8"}:
                self.odd(where, "WRONG_ENCODING_NAME", f"Khai báo {named[1]}, thực tế là UTF-8.")
        if _FORBIDDEN.search(text):
            raise _invalid("DOCTYPE", "Không nhận DOCTYPE hay ENTITY trong tệp.", where)
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            return etree.fromstring(text.strip().encode(), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            raise _invalid(
                "NOT_XML", f"XML không đúng cú pháp{f' (dòng {line})' if line else ''}.", where
            ) from None

    def rows(self, root: etree._Element, table: Table, where: str) -> Iterator[Row]:
        """The rows of a table, whatever stands around them."""
        every = [root, *_elements(root)]
        found = [node for node in every if _name(node) == table.row and _is_row(node)]
        if not found:
            found = [node for node in every if any(_name(child) == "MA_LK" for child in node)]
            if found:
                self.odd(where, "WRONG_ROW_NAME", f"Dòng phải tên là {table.row}.")
        if not found and len(root):
            self.odd(where, "NO_ROWS", f"Không tìm thấy dòng {table.row} nào.")
        single = len(found) == 1 and table.name == "XML1"
        for place, node in enumerate(found):
            yield self.row(node, table, where if single else f"{where}[{place}]")

    def row(self, node: etree._Element, table: Table, where: str) -> Row:
        values: dict[str, str] = {}
        aliases = profile("3176").aliases
        for child in node:
            name = _name(child)
            if name not in table.fields and aliases.get(name) in table.fields:
                self.odd(f"{where}/{name}", "OLD_NAME", f"{name} được đọc là {aliases[name]}.")
                name = aliases[name]
            if len(child):
                text = "".join(str(part) for part in child.itertext()).strip()
            else:
                text = (child.text or "").strip()
            if values.get(name) and text and values[name] != text:
                self.odd(f"{where}/{name}", "FIELD_TWICE", f"{name} có hai lần; lấy lần đầu.")
            elif not values.get(name):
                values[name] = text
        return values


def _invalid(code: str, message: str, where: str, hint: str = "") -> Invalid:
    return Invalid(message, hint=hint, slug=code, location=where)


def _name(node: etree._Element) -> str:
    """The local name, upper case (the oldest dialects wrote lower case)."""
    return _local(str(node.tag))


@lru_cache(maxsize=2048)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2].upper()


def _elements(node: etree._Element) -> Iterator[etree._Element]:
    """Everything below a node, in order."""
    return node.iterdescendants(tag=etree.Element)


def _is_row(node: etree._Element) -> bool:
    """A row's children hold text; a list of the same name holds rows."""
    return len(node) > 0 and not any(len(child) for child in node)


def _first(node: etree._Element, name: str) -> etree._Element | None:
    return next((child for child in _elements(node) if _name(child) == name), None)


def _said(node: etree._Element, name: str) -> str:
    found = _first(node, name)
    return "" if found is None else (found.text or "").strip()
