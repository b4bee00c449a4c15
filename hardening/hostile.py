"""Hostile requests, seeded: every route of the running app with addresses, parameters, headers and
bodies that are nearly right, or not at all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

import zstandard
from starlette.routing import BaseRoute, Route

from hardening.asking import Header, Request
from hardening.words import (
    BODIES,
    CONTROLS,
    HEADERS,
    LETTERS,
    MEDIA,
    METHODS,
    MODIFIERS,
    ODD_METHODS,
    TEXTS,
    USUAL,
    VALUES,
)
from hardening.worlds import IDS
from sokhoe.exchange.fhir_api.operations import OPERATIONS
from sokhoe.fhir import TYPES, encode, search_parameters, to_xml
from tests.fhir.samples import a_resource, spoilt

_ADDRESSES = ("metadata", "_history", "$meta", "Patient/p1/Observation", "?_type=Patient")
_CONDITIONS = ("ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince")
_KINDS = (
    *("valueString", "valueUri", "valueCode", "valueBoolean", "valueInteger", "valueCoding"),
    *("valueDate", "resource", "part"),
)
_BROKEN = ("%ff=1", "a=%", "%", "=", "&", "a=%zz", "_count=1&_count=2", "%C3")
_TOKENS = (b"Bearer", b"Basic \xff", b"Bearer a b", b"x")


@dataclass(frozen=True, slots=True)
class Target:
    """A route of the app: its address with `{parameters}`, and the methods it says it knows."""

    path: str
    parameters: tuple[str, ...]


def targets(routes: Sequence[BaseRoute]) -> list[Target]:
    """All routes of an app that answer HTTP."""
    return [
        Target(one.path, tuple(one.param_convertors)) for one in routes if isinstance(one, Route)
    ]


@dataclass(slots=True)
class Hostile:
    """Makes one request after another. `fhir` of ten go to `/fhir`, the others anywhere."""

    random: Random
    targets: Sequence[Target]
    token: str
    fhir: float = 0.85

    def request(self) -> Request:
        pick = self.random
        mine = [one for one in self.targets if one.path.startswith("/fhir")]
        target = pick.choice(mine if pick.random() < self.fhir else self.targets)
        path = target.path
        for name in target.parameters:
            for form in (f"{{{name}}}", f"{{{name}:path}}"):
                path = path.replace(form, self._segment(name, path))
        method = pick.choice(ODD_METHODS if pick.random() < 0.02 else METHODS)
        query = self._query(path) if pick.random() < 0.6 else ""
        body, headers = self._body(method, path)
        return Request(method, path + query, tuple(self._headers(headers)), body)

    def _segment(self, name: str, path: str) -> str:
        pick = self.random
        if pick.random() < 0.12:
            return quote(self._text(), safe=pick.choice(("", "/")), errors="replace")
        match name:
            case "type":
                return pick.choice(USUAL if pick.random() < 0.7 else sorted(TYPES))
            case "id":
                return pick.choice(IDS.get(path.split("/")[2], ("p1", "x")))
            case "operation":
                return pick.choice(OPERATIONS).name
            case "version":
                return pick.choice(("1", "2", "0", "-1", "01", "99999999999", "²", "_search"))
            case "member":
                return pick.choice(
                    ("*", "Observation", "Patient", "Condition", "Organization", "_x")
                )
            case _:
                return pick.choice(("x", "1", "p1", "0", "a.ndjson"))

    def _text(self) -> str:
        pick = self.random
        if pick.random() < 0.6:
            return pick.choice(TEXTS)
        return "".join(
            pick.choice((*LETTERS, "a", "1", "Patient")) for _ in range(pick.randrange(1, 6))
        )

    def _query(self, path: str) -> str:
        pick = self.random
        pairs = []
        for _ in range(pick.choice((1, 1, 1, 2, 2, 3, 8))):
            name, value = self._name(path), self._text()
            if pick.random() < 0.3:
                value = f"{value},{self._text()}"
            pairs.append(f"{quote(name, errors='replace')}={quote(value, errors='replace')}")
        if pick.random() < 0.05:
            pairs.append(
                pick.choice(("%ff=1", "a=%", "%", "=", "&", "a=%zz", "_count=1&_count=2", "é=ả"))
            )
        return "?" + "&".join(pairs)

    def _name(self, path: str) -> str:
        pick = self.random
        parts = path.split("/")
        type = next((one for one in reversed(parts) if one in TYPES), "Patient")
        if "$" in path and pick.random() < 0.6:
            named = [one for one in OPERATIONS if f"${one.name}" == parts[-1]]
            known = [one.name for each in named for one in each.parameters]
            if known:
                return pick.choice(known)
        if "_history" in path and pick.random() < 0.7:
            return pick.choice(("_at", "_since", "_since", "_count", "_cursor", "_summary"))
        if pick.random() < 0.4:
            return pick.choice(CONTROLS)
        name = pick.choice(sorted(search_parameters(type)))
        return name + (pick.choice(MODIFIERS) if pick.random() < 0.3 else "")

    def _headers(self, given: list[Header]) -> list[Header]:
        pick = self.random
        chance = pick.random()
        if chance < 0.94:
            given.append((b"authorization", f"Bearer {self.token}".encode()))
        elif chance < 0.97:
            given.append(
                (b"authorization", pick.choice((b"Bearer", b"Basic \xff", b"Bearer a b", b"x")))
            )
        for _ in range(pick.choice((0, 0, 1, 1, 2, 4))):
            given.append((pick.choice(HEADERS).encode(), pick.choice(VALUES)))
        return given

    def _body(self, method: str, path: str) -> tuple[bytes, list[Header]]:
        pick = self.random
        if method in ("GET", "HEAD", "OPTIONS") and pick.random() < 0.97:
            return b"", []
        media = pick.choice(MEDIA[:2] if pick.random() < 0.6 else MEDIA)
        chance = pick.random()
        if chance < 0.25:
            body = pick.choice(BODIES)
        else:
            value = self._value(method, path)
            try:
                body = to_xml(value) if "xml" in media else encode(value)
            except Exception:  # what cannot be written so is sent as it can
                body = json.dumps(value, default=str).encode()
            if chance > 0.85:
                body = self._broken(body)
        headers = [(b"content-type", media.encode())]
        if pick.random() < 0.05:
            coding = pick.choice((b"gzip", b"zstd"))
            body = gzip.compress(body) if coding == b"gzip" else zstandard.compress(body)
            headers.append((b"content-encoding", coding))
            if pick.random() < 0.3:
                body = self._broken(body)
        return body, headers

    def _broken(self, body: bytes) -> bytes:
        pick = self.random
        at = pick.randrange(len(body) + 1)
        match pick.randrange(4):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + bytes([pick.randrange(256)]) + body[at + 1 :]
            case 2:
                return (
                    body[:at] + pick.choice((b"\x00", b"\xff", b"\\u0000", b"]", b'"')) + body[at:]
                )
            case _:
                return body + body

    def _value(self, method: str, path: str) -> Any:
        """A resource for this address, a Bundle of requests or Parameters; often spoilt."""
        pick = self.random
        parts = path.split("/")
        if path.rstrip("/") == "/fhir":
            value = self._bundle()
        elif "$" in path or method == "PATCH":
            value = self._parameters(parts[-1].removeprefix("$"))
        else:
            type = next((one for one in parts if one in TYPES), "Patient")
            value = a_resource(type, pick, pick.choice((0.0, 0.1, 0.3)))
            if len(parts) > 3:
                value["id"] = parts[3]
        for _ in range(pick.choice((0, 0, 1, 1, 2))):
            value = self._spoilt(value)
        return value

    def _spoilt(self, value: Any) -> Any:
        try:
            return spoilt(value, self.random)
        except (IndexError, TypeError):
            return value

    def _bundle(self) -> dict[str, Any]:
        pick = self.random
        entries = []
        for number in range(pick.choice((0, 1, 2, 3, 6))):
            type = pick.choice(USUAL[:4])
            url = pick.choice(
                (
                    type,
                    f"{type}/p1",
                    f"{type}?identifier=x",
                    self._text(),
                    "metadata",
                    "_history",
                    "$meta",
                )
            )
            entry: dict[str, Any] = {"request": {"method": pick.choice(METHODS), "url": url}}
            if pick.random() < 0.8:
                entry["resource"] = self._spoilt(a_resource(type, pick, 0.1))
            if pick.random() < 0.5:
                entry["fullUrl"] = pick.choice((f"urn:uuid:{number}", "urn:uuid:0", self._text()))
            if pick.random() < 0.3:
                entry["request"][
                    pick.choice(("ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince"))
                ] = self._text()
            entries.append(entry)
        kind = pick.choice(("batch", "transaction", "batch", "transaction", "history", 1, None))
        return {"resourceType": "Bundle", "type": kind, "entry": entries}

    def _parameters(self, name: str) -> dict[str, Any]:
        pick = self.random
        named = [one.name for each in OPERATIONS if each.name == name for one in each.parameters]
        found = []
        for _ in range(pick.choice((0, 1, 1, 2, 4))):
            key = pick.choice((*named, "operation", "resource", self._text()))
            kind = pick.choice(
                (
                    "valueString",
                    "valueUri",
                    "valueCode",
                    "valueBoolean",
                    "valueInteger",
                    "resource",
                    "part",
                    "valueCoding",
                    "valueDate",
                )
            )
            value: Any = pick.choice((self._text(), True, 1, {"system": self._text(), "code": "x"}))
            if kind == "resource":
                value = self._spoilt(a_resource(pick.choice(USUAL), pick, 0.1))
            elif kind == "part":
                value = [
                    {
                        "name": pick.choice(("type", "path", "name", "value")),
                        "valueString": self._text(),
                    }
                ]
            found.append({"name": key, kind: value})
        return {"resourceType": "Parameters", "parameter": found}
