"""A page of mail: whole commits as JSON, packed with zstd; the same for a line and a USB stick.

    {"protocol": 1, "node": "…", "epoch": "…", "from_seq": 7,
     "commits": [{"seq": 7, "prev": "<hex>", "hash": "<hex>", "author": "Practitioner/…",
                  "at": 1763879400000000,
                  "changes": [{"type": "Patient", "id": "…", "version": 1, "body": {…}},
                              {"type": "Flag", "id": "…", "version": 3, "deleted": true}]}],
     "head": {"seq": 9, "hash": "<hex>"}}

Instants are microseconds; a change has its own `at`, and a commit its own `epoch`, only where they
differ from the commit's and the page's. Bodies are the very bytes of the store, JSON inside JSON
and not base64: zstd then sees the repetitions of a whole page (a visit costs a tenth of itself),
the hash can be worked out without understanding a body, and a body that cannot be understood
spoils no other. What a reader does not know it leaves alone, so later protocols may add fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import zstandard

from sokhoe.clock import Instant
from sokhoe.errors import Invalid
from sokhoe.fhir import encode
from sokhoe.store import Commit, Version

PROTOCOL = 1
RANGE = [PROTOCOL, PROTOCOL]  # the oldest and the newest that this program speaks
MEDIA = "application/zstd"
# A page aims at 1 MiB packed, but one commit is never split and may alone be larger.
MOST_RAW = 64 * 1024 * 1024
# Matches shorter than 7 bytes save nothing among random ids and spoil their coding: 450 instead of
# 472 bytes for a visit of ten records, 200 visits in a page (tests/sync/measure.py).
_PACKING = zstandard.ZstdCompressionParameters.from_level(9, min_match=7)
START = bytes(32)  # what every chain says stood before its first commit


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: its last number and hash."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive commits of one node, as they came off the line; `head` is the last of them (of a
    page without commits: where the chain stands)."""

    node: str
    epoch: str
    commits: tuple[Commit, ...]
    head: Head


@dataclass(frozen=True, slots=True)
class Packed:
    """A page ready to leave: the packed bytes, and how many they were before."""

    body: bytes
    raw: int


def pack(node: str, epoch: str, commits: Sequence[Commit], head: Head) -> Packed:
    """Commits as the bytes of one page."""
    page = {
        "protocol": PROTOCOL,
        "node": node,
        "epoch": epoch,
        "from_seq": commits[0].seq if commits else head.seq + 1,
        "commits": [_commit_out(one, epoch) for one in commits],
        "head": {"seq": head.seq, "hash": head.hash.hex()},
    }
    raw = encode(page)
    return Packed(zstandard.ZstdCompressor(compression_params=_PACKING).compress(raw), len(raw))


def unpack(body: bytes, limit: int = MOST_RAW) -> Page:
    """The page in these bytes. Raises Invalid for anything that is not exactly a page.

    Never unpacks more than `limit` bytes: the size stands in the frame, and a frame that does not
    say it, or lies about it, is refused.
    """
    try:
        size = zstandard.get_frame_parameters(body).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN or size > limit:
            raise _bad(f"unpacked it would be larger than {limit} bytes", "page-size")
        raw = zstandard.ZstdDecompressor().decompress(
            body, max_output_size=size, allow_extra_data=False
        )
        return _page_in(_read_page.decode(raw))
    except zstandard.ZstdError as error:
        raise _bad(f"it cannot be unpacked ({error})") from None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _bad(str(error) or "it is nested too deeply") from None


def commit_text(commit: Commit) -> str:
    """A commit as the hub keeps one that it could not take: JSON, the same as on the line."""
    return encode(_commit_out(commit, "")).decode()


def commit_from_text(node: str, text: str) -> Commit:
    """The opposite of commit_text."""
    return _commit_in(_read_commit.decode(text), node, "")


def _commit_out(commit: Commit, epoch: str) -> dict[str, Any]:
    own = {} if commit.epoch == epoch else {"epoch": commit.epoch}
    return {
        "seq": commit.seq,
        **own,
        "prev": commit.prev.hex(),
        "hash": commit.hash.hex(),
        "author": commit.author,
        "at": commit.at,
        "changes": [_change_out(one, commit.at) for one in commit.versions],
    }


def _change_out(version: Version, at: Instant) -> dict[str, Any]:
    change: dict[str, Any] = {"type": version.type, "id": version.id, "version": version.version}
    if version.at != at:
        change["at"] = version.at
    if version.deleted:
        return {**change, "deleted": True}
    return {**change, "body": msgspec.Raw(version.body)}


# -- reading: the shapes on the line, which msgspec checks field by field -------------------------


class _Change(msgspec.Struct, frozen=True):
    type: str
    id: str
    version: int
    at: int | None = None
    deleted: bool = False
    body: msgspec.Raw = msgspec.Raw()


class _Commit(msgspec.Struct, frozen=True):
    seq: int
    prev: str
    hash: str
    author: str
    at: int
    changes: list[_Change]
    epoch: str | None = None


class _Head(msgspec.Struct, frozen=True):
    seq: int
    hash: str


class _Page(msgspec.Struct, frozen=True):
    protocol: int
    node: str
    epoch: str
    from_seq: int
    commits: list[_Commit]
    head: _Head


_read_page = msgspec.json.Decoder(_Page)
_read_commit = msgspec.json.Decoder(_Commit)


def _page_in(page: _Page) -> Page:
    if not RANGE[0] <= page.protocol <= RANGE[1]:
        raise Invalid(
            f"This server reads mail of protocol {RANGE[0]} to {RANGE[1]}, not {page.protocol}.",
            hint="Install the newer version on the older of the two servers.",
            slug="protocol",
        )
    if any(one.seq != page.from_seq + index for index, one in enumerate(page.commits)):
        raise _bad("its commits are not numbered one after the other")
    commits = tuple(_commit_in(one, page.node, page.epoch) for one in page.commits)
    return Page(page.node, page.epoch, commits, Head(page.head.seq, _hash(page.head.hash)))


def _commit_in(one: _Commit, node: str, epoch: str) -> Commit:
    return Commit(
        node=node,
        epoch=epoch if one.epoch is None else one.epoch,
        seq=one.seq,
        prev=_hash(one.prev),
        hash=_hash(one.hash),
        author=one.author,
        at=one.at,
        versions=tuple(_version_in(change, one) for change in one.changes),
    )


def _version_in(change: _Change, commit: _Commit) -> Version:
    return Version(
        seq=0,  # the reader gives its own number
        commit=commit.seq,
        type=change.type,
        id=change.id,
        version=change.version,
        at=commit.at if change.at is None else change.at,
        deleted=change.deleted,
        body=b"" if change.deleted else bytes(change.body),
    )


def _hash(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:
        raise _bad(f"{text[:70]!r} is no hash")
    return value


def _bad(what: str, slug: str = "page") -> Invalid:
    return Invalid(
        f"This page of mail cannot be read: {what}.",
        hint="The station sends it again by itself. If it goes on, run at the station: "
        "sokhoe doctor",
        slug=slug,
    )
