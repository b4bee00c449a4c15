"""What every request must be before anybody looks at what it asks for: an address of bearable
length, in UTF-8 and without control characters; a body in a coding that is known, unpacked.

A database refuses what a program lets through (PostgreSQL knows no NUL), so it ends here with 4xx.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl

import zstandard
from starlette.requests import Request

from sokhoe.errors import Invalid, NotFound, Unsupported

MOST_PATH = 1_024  # characters; the longest address of a version has 170
MOST_QUERY = 16_384  # bytes; longer searches are sent by POST
MOST_PAIRS = 500
# A program's JSON shrinks to a thirtieth at best. What shrinks to less is there to fill the memory.
MOST_RATIO = 200
ALWAYS_FINE = 1_000_000  # bytes unpacked, whatever the ratio
CHUNK = 65_536
CODINGS = ("gzip", "x-gzip", "zstd")

# Parameters that say how to answer and can say so once (hl7.org/fhir/R4/search.html#Summary).
SINGLE = frozenset({"_count", "_total", "_summary", "_cursor", "_contained", "_since", "_at"})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Pairs = list[tuple[str, str]]


def check_path(path: str) -> None:
    """Raises Invalid (414), NotFound."""
    if len(path) > MOST_PATH:
        raise _long(f"The path has {len(path)} characters, more than {MOST_PATH}.")
    if _CONTROL.search(path) or "\ufffd" in path:
        raise NotFound("There is nothing at this address: it holds characters that no name has.")


def pairs_of(query: bytes) -> Pairs:
    """The parameters of an address, in order. Raises Invalid."""
    if len(query) > MOST_QUERY:
        raise _long(f"The query has {len(query)} bytes, more than {MOST_QUERY}.")
    return form_pairs(query)


def form_pairs(form: bytes) -> Pairs:
    """A form as `name=value` pairs, in order. Raises Invalid."""
    try:
        found = parse_qsl(
            form.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS
        )
    except UnicodeDecodeError:
        raise Invalid("The parameters are not UTF-8.", slug="encoding") from None
    except ValueError:
        raise Invalid(
            f"There are more than {MOST_PAIRS} parameters.", slug="too-costly", code="too-costly"
        ) from None
    for name, value in found:
        if _CONTROL.search(name) or _CONTROL.search(value):
            raise Invalid(
                f"The parameter {_CONTROL.sub('?', name)[:80]} holds a control character.",
                hint="FHIR knows only tab, line feed and carriage return.",
                slug="odd-characters",
                code="value",
            )
    return found


def repeated(pairs: Sequence[tuple[str, str]]) -> str:
    """The first parameter that stands twice though it can be said once; "" where all is well."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in SINGLE and name in seen:
            return name
        seen.add(name)
    return ""


def check_repeated(pairs: Sequence[tuple[str, str]]) -> None:
    """Raises Invalid. Filters may be repeated: each narrows the answer."""
    if name := repeated(pairs):
        raise Invalid(
            f"{name} is given more than once.",
            hint="Filters may be repeated, this may not.",
            slug="repeated-parameter",
            code="value",
            location=name,
        )


def media_of(request: Request) -> str:
    """The media type of the body, in small letters. Raises Unsupported (415) for letters that are
    not UTF-8."""
    kind, *rest = request.headers.get("content-type", "").split(";")
    for one in rest:
        name, _, value = one.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in ("utf-8", "utf8", "us-ascii"):
            raise Unsupported(
                f"The body is written in {charset[:40] or 'no'} letters; FHIR is UTF-8.",
                hint="Send it as UTF-8, and say so: charset=utf-8.",
                slug="charset",
                status=415,
            )
    return kind.strip().lower()


def unpacked(coding: str, body: bytes, most: int) -> bytes:
    """The body without its Content-Encoding, never more than `most` bytes. Raises Unsupported
    (415), Invalid (400, 413)."""
    names = [one.strip().lower() for one in coding.split(",")] if coding else []
    names = [one for one in names if one and one != "identity"]
    if not names:
        return body
    if len(names) > 1 or names[0] not in CODINGS:
        raise Unsupported(
            f"Content-Encoding {coding[:80]} is not understood.",
            hint="Use gzip, zstd or none.",
            slug="content-encoding",
            status=415,
        )
    bound = max(ALWAYS_FINE, MOST_RATIO * len(body))
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in (_zstd if names[0] == "zstd" else _gzip)(body):
            size += len(piece)
            if size > min(most, bound):
                raise Invalid(
                    f"The body is larger than {min(most, bound)} bytes when it is unpacked.",
                    hint="Send it in several parts.",
                    slug="too-large",
                    status=413,
                    code="too-long",
                )
            pieces.append(piece)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise Invalid(
            f"The body is not {names[0]}, though its Content-Encoding says so.",
            slug="content-encoding",
            code="structure",
        ) from error
    return b"".join(pieces)


def _gzip(body: bytes) -> Iterator[bytes]:
    """Several members one after another are one file (RFC 1952 §2.2)."""
    while body:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        while not stream.eof:
            piece = stream.decompress(body, CHUNK)
            body = stream.unconsumed_tail
            if not piece and not body and not stream.eof:
                raise EOFError("the last member is cut off")
            yield piece
        body = stream.unused_data


def _zstd(body: bytes) -> Iterator[bytes]:
    # 8 MB of window is what RFC 8878 §3.1.1.1.2 asks of every reader; more is a way to fill memory
    reader = zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(
        body, read_across_frames=True
    )
    while piece := reader.read(CHUNK):
        yield piece
    if not body:
        raise EOFError("there is nothing in it")


def _long(message: str) -> Invalid:
    return Invalid(
        message,
        hint="Send a long search by POST to …/_search.",
        slug="too-long",
        status=414,
        code="too-long",
    )
