#!/usr/bin/env python3
"""Check an exported audit log without any of the server's code. Standard library only.

    python verify_log.py FOLDER                       lines against the signed checkpoints in it
    python verify_log.py FOLDER --witness FILE …      and against checkpoints that others kept
    python verify_log.py FOLDER --key TEXT            do not believe the folder's own public key
    python verify_log.py FOLDER --earlier FOLDER      and against an export made before
    python verify_log.py --receipt FILE [--key TEXT]  one line's receipt

Exit 0: everything holds. Exit 1: it does not, and the first bad place is named. The rules are
RFC 6962 (tree), RFC 9162 §2.1.3.2 (receipt), C2SP signed-note (checkpoints), RFC 8032 (Ed25519).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

# --- Ed25519, verification only (RFC 8032 §5.1.7) -------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def _x(y: int, sign: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def _point(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = _x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _add(a: Point, b: Point) -> Point:
    one, two = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    three, four = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = two - one, four - three, four + three, two + one
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(count: int, point: Point) -> Point:
    held: Point = (0, 1, 1, 0)
    while count:
        if count & 1:
            held = _add(held, point)
        point, count = _add(point, point), count >> 1
    return held


BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = _x(BASE_Y, 0)
assert BASE_X is not None
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def signature_holds(key: bytes, text: bytes, seal: bytes) -> bool:
    if len(key) != 32 or len(seal) != 64:
        return False
    a, r, s = _point(key), _point(seal[:32]), int.from_bytes(seal[32:], "little")
    if a is None or r is None or s >= Q:
        return False
    digest = hashlib.sha512(seal[:32] + key + text).digest()
    left, right = _times(s, BASE), _add(r, _times(int.from_bytes(digest, "little") % Q, a))
    same_x = (left[0] * right[2] - right[0] * left[2]) % P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- the tree ---------------------------------------------------------------------------------


def leaf(line: bytes) -> bytes:
    return hashlib.sha256(b"\0" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaves: list[bytes]) -> bytes:
    stack: list[tuple[int, bytes]] = []
    for one in leaves:
        level, held = 0, one
        while stack and stack[-1][0] == level:
            held, level = node(stack.pop()[1], held), level + 1
        stack.append((level, held))
    if not stack:
        return hashlib.sha256(b"").digest()
    held = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        held = node(left, held)
    return held


def included(line: bytes, index: int, size: int, path: list[bytes], top: bytes) -> bool:
    at, last, held = index, size - 1, leaf(line)
    if not 0 <= index < size:
        return False
    for one in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            held = node(one, held)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            held = node(held, one)
        at, last = at >> 1, last >> 1
    return last == 0 and held == top


# --- checkpoints and files --------------------------------------------------------------------


class Bad(Exception):
    """What does not hold, and where."""


def checkpoint(note: str, key: str, what: str) -> tuple[int, bytes, str]:
    """(size, root, when) of a signed note."""
    try:
        name, said, raw = key.strip().split("+", 2)
        public = b64decode(raw, validate=True)
        text, gap, seals = note.partition("\n\n")
        lines = text.split("\n")
        _, _, seal = seals.strip().rpartition(" ")
        given = b64decode(seal, validate=True)
        hashed = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
        good = bool(gap) and lines[0] == name and public[:1] == b"\1"
        good = good and given[:4] == hashed == bytes.fromhex(said)
        good = good and signature_holds(public[1:], (text + "\n").encode(), given[4:])
        if good:
            when = next((one[3:] for one in lines[3:] if one.startswith("at ")), "")
            return int(lines[1]), b64decode(lines[2], validate=True), when
    except (ValueError, IndexError):
        pass
    raise Bad(f"{what} is damaged, or signed by another key")


def lines_of(folder: Path) -> Iterator[bytes]:
    for file in sorted((folder / "lines").iterdir()):
        data, at = file.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            line = data[at + 4 : at + 4 + size]
            if len(line) != size:
                raise Bad(f"{file} ends in the middle of a line")
            yield line
            at += 4 + size


def check(folder: Path, key: str, witnesses: list[Path], earlier: Path | None) -> str:
    key = key or (folder / "key").read_text()
    leaves = [leaf(line) for line in lines_of(folder)]
    if earlier is not None:
        for number, line in enumerate(lines_of(earlier)):
            if number >= len(leaves):
                raise Bad(f"line {number + 1} is missing: the earlier export had it")
            if leaf(line) != leaves[number]:
                raise Bad(f"line {number + 1} is not what it was in the earlier export")
    files = [*sorted((folder / "checkpoints").iterdir()), folder / "checkpoint", *witnesses]
    notes = [(*checkpoint(file.read_text(), key, str(file)), file) for file in files]
    good = 0
    for size, top, when, file in sorted(notes, key=lambda note: note[0]):
        if size > len(leaves):
            raise Bad(f"{file} ({when}) has {size} lines, the log only {len(leaves)}")
        if root(leaves[:size]) != top:
            raise Bad(f"lines {good + 1} to {size} are not what they were at {when} ({file})")
        good = size
    if good != len(leaves):
        raise Bad(f"{len(leaves) - good} lines after line {good} are in no checkpoint")
    return f"OK: {len(leaves)} lines, {len(notes)} checkpoints, root {root(leaves).hex()}"


def check_receipt(file: Path, key: str) -> str:
    held = json.loads(file.read_text())
    size, top, when = checkpoint(held["checkpoint"], key or held["key"], "the checkpoint")
    path = [b64decode(one) for one in held["path"]]
    if not included(held["line"].encode(), held["index"], size, path, top):
        raise Bad(f"line {held['index'] + 1} is not in the log of {when}")
    return f"OK: line {held['index'] + 1} is in the log of {size} lines of {when}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an exported audit log.")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--key", default="")
    parser.add_argument("--witness", type=Path, action="append", default=[])
    parser.add_argument("--earlier", type=Path)
    parser.add_argument("--receipt", type=Path)
    asked = parser.parse_args()
    try:
        if asked.receipt:
            print(check_receipt(asked.receipt, asked.key))
        elif asked.folder:
            print(check(asked.folder, asked.key, asked.witness, asked.earlier))
        else:
            parser.error("name a folder or a receipt")
    except Bad as bad:
        print(f"BAD: {bad}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
