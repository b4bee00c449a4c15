"""The bombs: each is a request that must be refused. Most are a few kilobytes long."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import zstandard

from hardening.asking import Header
from sokhoe.fhir import encode

JSON = "application/fhir+json"
XML = "application/fhir+xml"
NS = b'xmlns="http://hl7.org/fhir"'
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Bomb:
    """`stream`: a body that comes in pieces, or never ends. `asks_the_store`: it reaches a
    database, so it is thrown at each."""

    name: str
    target: str = "/fhir/Patient"
    body: bytes = b""
    media: str = JSON
    method: str = "POST"
    more: tuple[Header, ...] = ()
    stream: Callable[[], AsyncIterator[bytes]] | None = field(default=None, compare=False)
    asks_the_store: bool = False

    @property
    def headers(self) -> tuple[Header, ...]:
        return ((b"content-type", self.media.encode()), *self.more)


@cache
def bombs() -> tuple[Bomb, ...]:
    return (
        *_json(),
        *_xml(),
        *_packed(),
        *_endless(),
        *_searches(),
        *_patches(),
        *_bundles(),
        *_rest(),
    )


# -- JSON --------------------------------------------------------------------------------------


def _json() -> Iterator[Bomb]:
    bodies: dict[str, bytes] = {
        "50,000 lists in each other": b"[" * 50_000 + b"]" * 50_000,
        "50,000 objects in each other": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "a million opening brackets": b"[" * MB,
        "an extension in an extension, 2,000 times": b'{"resourceType":"Patient",'
        + b'"extension":[{"url":"x",' * 2_000
        + b'"valueString":"x"'
        + b"}]" * 2_000
        + b"}",
        "a key twice": b'{"resourceType":"Patient","gender":"male","gender":"female"}',
        "a key twice, once escaped": b'{"resourceType":"Patient","id":"a","\\u0069d":"b"}',
        "a key twice, deep inside": b'{"resourceType":"Patient","name":[{"text":"a","text":"b"}]}',
        "NaN": b'{"resourceType":"Patient","x":NaN}',
        "Infinity": b'{"resourceType":"Patient","x":-Infinity}',
        "1e999999999": b'{"resourceType":"Observation","valueInteger":1e999999999}',
        "1e-999999999": b'{"resourceType":"Observation","valueInteger":1e-999999999}',
        "a number of a million digits": b'{"resourceType":"Patient","x":' + b"9" * MB + b"}",
        "a fraction of a million digits": b'{"resourceType":"Patient","x":0.' + b"9" * MB + b"}",
        "a NUL in a text": b'{"resourceType":"Patient","name":[{"text":"a\\u0000b"}]}',
        "half a surrogate": b'{"resourceType":"Patient","name":[{"text":"\\ud800"}]}',
        "UTF-16": '{"resourceType":"Patient"}'.encode("utf-16"),
        "bytes that are not UTF-8": b'{"resourceType":"Patient","id":"\xc3\x28"}',
        "overlong UTF-8": b'{"resourceType":"Patient","id":"\xc0\xaf"}',
        "a comment": b'{"resourceType":"Patient" /* x */}',
        "a comma too many": b'{"resourceType":"Patient",}',
        "two values": b'{"resourceType":"Patient"}{"resourceType":"Patient"}',
        "a text that does not end": b'{"resourceType":"Patient","id":"' + b"x" * MB,
        "300,000 keys nobody knows": b'{"resourceType":"Patient",'
        + b",".join(b'"k%d":1' % n for n in range(300_000))
        + b"}",
        "a million names that are numbers": b'{"resourceType":"Patient","name":['
        + b"1," * (MB - 1)
        + b"1]}",
        "200,000 wrong codes": b'{"resourceType":"Patient","contact":['
        + b",".join([b'{"gender":"x"}'] * 200_000)
        + b"]}",
        "a resource in itself, 90 times": b'{"resourceType":"Bundle","type":"collection",'
        b'"entry":[{"resource":' * 90 + b'{"resourceType":"Nothing"}' + b"}]}" * 90,
    }
    yield from (Bomb(f"JSON: {name}", body=body) for name, body in bodies.items())


# -- XML ---------------------------------------------------------------------------------------


def _entities() -> bytes:
    """The billion laughs: ten entities, each ten times the one before."""
    lines = b"".join(b'<!ENTITY e%d "%b">' % (n + 1, b"&e%d;" % n * 10) for n in range(9))
    return b'<!DOCTYPE x [<!ENTITY e0 "lol">' + lines + b"]>"


def _xml() -> Iterator[Bomb]:
    patient = b"<Patient %b>%b</Patient>"
    bodies: dict[str, bytes] = {
        "billion laughs": _entities() + patient % (NS, b'<id value="&e9;"/>'),
        "billion laughs in a text": _entities() + patient % (NS, b"&e9;"),
        "quadratic entity": b'<!DOCTYPE x [<!ENTITY a "'
        + b"a" * 50_000
        + b'">]>'
        + patient % (NS, b"&a;" * 50_000),
        "file entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        + patient % (NS, b'<id value="&a;"/>'),
        "network entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:1/a">]>'
        + patient % (NS, b"&a;"),
        "parameter entity": b'<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>'
        + patient % (NS, b""),
        "document type elsewhere": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'
        + patient % (NS, b""),
        "document type of a public name": b'<!DOCTYPE x PUBLIC "-//W3C//DTD XHTML 1.0//EN" "x.dtd">'
        + patient % (NS, b""),
        "an entity of itself": b'<!DOCTYPE x [<!ENTITY a "&b;"><!ENTITY b "&a;">]>'
        + patient % (NS, b'<id value="&a;"/>'),
        "XInclude": patient
        % (NS, b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'),
        "a style sheet": b'<?xml-stylesheet href="file:///etc/passwd"?>' + patient % (b"", b""),
        "100,000 elements in each other": b"<a>" * 100_000 + b"</a>" * 100_000,
        "extensions in each other, 5,000 times": patient
        % (NS, b'<extension url="x">' * 5_000 + b"</extension>" * 5_000),
        "100,000 attributes": b"<Patient %b " % NS
        + b" ".join(b'a%d="1"' % n for n in range(100_000))
        + b"/>",
        "50,000 namespaces": b"<Patient %b " % NS
        + b" ".join(b'xmlns:a%d="urn:%d"' % (n, n) for n in range(50_000))
        + b"><a1:x/></Patient>",
        "an attribute of 12 MB": patient % (NS, b'<x value="' + b"x" * 12 * MB + b'"/>'),
        "a million elements nobody knows": patient % (NS, b"<x/>" * MB),
        "an element that does not end": b"<Patient %b><name>" % NS,
        "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADw-Patient/+AD4-',
        "UTF-16": "<Patient xmlns='http://hl7.org/fhir'/>".encode("utf-16"),
        "letters of no name": b'<?xml version="1.0" encoding="nonsense"?>' + patient % (NS, b""),
        "a NUL": patient % (NS, b'<id value="a\x00b"/>'),
        "a NUL by number": patient % (NS, b'<id value="a&#0;b"/>'),
        "an attribute twice": patient % (NS, b'<id value="a" value="b"/>'),
    }
    for name, body in bodies.items():
        yield Bomb(f"XML: {name}", body=body, media=XML)


# -- packed and endless ------------------------------------------------------------------------


def _packed() -> Iterator[Bomb]:
    spaces = b" " * 200 * MB
    thin = gzip.compress(spaces, 1)
    bodies: dict[str, tuple[str, bytes]] = {
        "gzip of 200 MB of spaces": ("gzip", thin),
        "gzip of brackets": ("gzip", gzip.compress(b"[" * 100 * MB, 1)),
        "gzip in gzip": ("gzip", gzip.compress(thin)),
        "gzip of gzip, said": ("gzip, gzip", gzip.compress(thin)),
        "gzip cut short": ("gzip", thin[:1_000]),
        "gzip of 20,000 empty members": ("gzip", gzip.compress(b"") * 20_000),
        "zstd of 200 MB of spaces": ("zstd", zstandard.compress(spaces)),
        "zstd that says nothing of its size": (
            "zstd",
            zstandard.ZstdCompressor(write_content_size=False).compress(spaces),
        ),
        "zstd with a window of 128 MB": ("zstd", _wide()),
        "zstd that says it is 16 EB": ("zstd", b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + b"\x01\0\0"),
        "zstd of skipped frames": ("zstd", b"\x50\x2a\x4d\x18\0\0\0\0" * 100_000),
        "deflate": ("deflate", b"x\x9c"),
        "brotli": ("br", b"\x00"),
    }
    for name, (coding, body) in bodies.items():
        more = ((b"content-encoding", coding.encode()),)
        yield Bomb(name, "/fhir", body, more=more)
        if coding == "gzip":
            yield Bomb(f"{name}, as XML", body=body, media=XML, more=more)


def _wide() -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=0)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(b" " * 140 * MB)


async def _for_ever() -> AsyncIterator[bytes]:
    piece = b" " * 65_536
    while True:
        yield piece


async def _drop_by_drop() -> AsyncIterator[bytes]:
    while True:
        yield b"["
        await asyncio.sleep(0.05)


async def _never() -> AsyncIterator[bytes]:
    yield b'{"resourceType":'
    await asyncio.sleep(3_600)


def _endless() -> Iterator[Bomb]:
    for path in ("/fhir", "/fhir/Patient", "/fhir/Patient/_search", "/fhir/$validate"):
        yield Bomb(f"a body that never ends: {path}", path, stream=_for_ever)
    form = "application/x-www-form-urlencoded"
    chunked = ((b"transfer-encoding", b"chunked"),)
    yield Bomb("a form that never ends", "/signin", media=form, stream=_for_ever, more=chunked)
    yield Bomb("a body drop by drop", stream=_drop_by_drop)
    yield Bomb("a body that stops coming", stream=_never)


# -- searches ----------------------------------------------------------------------------------


def _searches() -> Iterator[Bomb]:
    form = "application/x-www-form-urlencoded"
    queries: dict[str, str] = {
        "_filter in 5,000 brackets": "_filter=" + "(" * 5_000 + "name eq a" + ")" * 5_000,
        "_filter of 5,000 nots": "_filter=" + "not " * 5_000 + "name eq a",
        "_filter of 50,000 ors": "_filter=" + " or ".join(["name eq a"] * 50_000),
        "a chain of 3,000 steps": "link:Patient." * 3_000 + "name=a",
        "_has of 1,000 steps": "_has:Patient:link:" * 1_000 + "name=a",
        "100,000 values": "identifier=" + ",".join(["a"] * 100_000),
        "100,000 parameters": "&".join(["identifier=a"] * 100_000),
        "1,000 includes": "&".join(["_include=Patient:link"] * 1_000),
        "1,000 sorts": "_sort=" + ",".join(["name"] * 1_000),
        "500 scans of the content": "&".join(["_content=a b c d"] * 499) + "&_content:x=1",
        "a date of 100,000 digits": "birthdate=" + "9" * 100_000,
        "a number of 100,000 digits": "_lastUpdated=gt" + "1" * 100_000,
        "a value set nobody knows": "gender:in=http://127.0.0.1:1/ValueSet/x",
        "elements nobody knows": "_elements=" + ",".join(["x"] * 10_000),
        "a cursor of 10,000 letters": "_cursor=" + "A" * 10_000,
        "a place beyond the world": "near=1e309,1e309",
    }
    for name, query in queries.items():
        yield Bomb(
            f"search: {name}", "/fhir/Patient/_search", query.encode(), form, asks_the_store=True
        )
    long = {
        "path": "/" + "x" * 100_000,
        "query": "?name=" + "x" * 100_000,
        "row of types": "/Patient" * 9_000,
    }
    for name, rest in long.items():
        yield Bomb(f"an address with a long {name}", f"/fhir{rest}", method="GET")


# -- patches and operations --------------------------------------------------------------------


def _patch(name: str, operations: list[dict[str, Any]]) -> Bomb:
    media = "application/json-patch+json"
    body = encode(operations)
    said = f"JSON Patch: {name}"
    return Bomb(said, "/fhir/Patient/p1", body, media, "PATCH", asks_the_store=True)


def _fhirpath(name: str, path: str) -> Bomb:
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path},
        {"name": "value", "valueString": "x"},
    ]
    body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    return Bomb(f"FHIRPath: {name}", "/fhir/Patient/p1", encode(body), method="PATCH")


def _patches() -> Iterator[Bomb]:
    double = [{"op": "copy", "from": "", "path": f"/contained{n}"} for n in range(40)]
    yield _patch("a copy of the whole, 40 times", double)
    names = [{"op": "copy", "from": "/name", "path": "/name/0/x"} for _ in range(40)]
    yield _patch("a list copied into itself", names)
    test = {"op": "test", "path": "/id", "value": "p1"}
    yield _patch("100,000 operations", [test] * 100_000 + [{}])
    yield _patch("a deep path", [{"op": "add", "path": "/a" * 50_000, "value": 1}])
    yield _patch("a far place in a list", [{"op": "add", "path": f"/name/{10**30}", "value": {}}])
    yield _patch("a key of an object", [{"op": "add", "path": "/__proto__/x", "value": 1}])
    yield _fhirpath("brackets 50,000 deep", "(" * 50_000 + "1" + ")" * 50_000)
    yield _fhirpath("a repeat that never ends", "Patient.repeat(iif(true, 1 | 2 | $this & 'x', 3))")
    yield _fhirpath("a regular expression", f"name.text.where('{'a' * 60}'.matches('^(a+)+$b'))")
    yield _fhirpath("texts that double", "('x'" + " & 'x'" * 10_000 + ").length()")
    yield _fhirpath("aggregate", "(1|2|3).aggregate($total & $total & 'xxxxxxxxxx', 'x')")
    yield _fhirpath("minus 50,000 times", "-" * 50_000 + "1")
    yield _fhirpath("all pairs of pairs", "descendants().select(%resource.descendants()).x")
    yield _fhirpath("10 to the 1,000,000", "10.power(1000000)")
    long = f"'{'a' * 10_000}'.replace('', '{'b' * 9_000}')"
    yield _fhirpath("replaced again and again", long)


def _sets(name: str, compose: dict[str, Any]) -> Bomb:
    value = {"resourceType": "ValueSet", "status": "active", "url": "urn:x", "compose": compose}
    body = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": value}]}
    return Bomb(f"ValueSet: {name}", "/fhir/ValueSet/$expand", encode(body))


def _rest() -> Iterator[Bomb]:
    yield _sets("of itself", {"include": [{"valueSet": ["urn:x"]}]})
    parents = [{"property": "parent", "op": "regex", "value": "(a+)+$"}]
    yield _sets("by a regular expression", {"include": [{"system": "urn:none", "filter": parents}]})
    others = [f"urn:{n}" for n in range(50_000)]
    yield _sets("of 50,000 others", {"include": [{"valueSet": others}]})
    yield _sets("from the network", {"include": [{"system": "http://127.0.0.1:1/CodeSystem"}]})
    source = [{"name": "inputSource", "valueUri": "http://127.0.0.1:1/"}]
    body = {"resourceType": "Parameters", "parameter": source}
    yield Bomb("$import from the network", "/fhir/$import", encode(body))
    form = "multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n{}\r\n'
    yield Bomb("a form of 5,000 files", "/fhir/$import", part * 5_000 + b"--x--", form)
    yield Bomb("a form without a beginning", "/fhir/$import", part[4:] * 3 + b"--x--", form)
    header = b'--x\r\nContent-Disposition: form-data; name="' + b"a" * MB + b'"\r\n\r\n'
    yield Bomb("a form with a long header", "/fhir/$import", header, form)


# -- Bundles -----------------------------------------------------------------------------------


def _bundle(name: str, kind: str, entries: list[Any]) -> Bomb:
    body = {"resourceType": "Bundle", "type": kind, "entry": entries}
    return Bomb(f"Bundle: {name}", "/fhir", encode(body), asks_the_store=True)


def _bundles() -> Iterator[Bomb]:
    get = {"request": {"method": "GET", "url": "metadata"}}
    yield _bundle("10,001 entries", "batch", [get] * 10_001)
    yield _bundle("a transaction of 10,001 entries", "transaction", [get] * 10_001)
    yield _bundle("entries that are none", "transaction", [1] * 100)
    put = {"method": "PUT", "url": "Patient/a"}
    same = {"request": put, "resource": {"resourceType": "Patient", "id": "a"}}
    yield _bundle("one record twice", "transaction", [same, same])
    inner = {"resourceType": "Bundle", "type": "batch", "entry": [get] * 100}
    nested = {"request": {"method": "POST", "url": ""}, "resource": inner}
    yield _bundle("Bundles in a Bundle", "transaction", [nested] * 100)
    yield _bundle("a kind nobody carries out", "searchset", [get])
