"""Check 22: signatures. Bits are flipped in signed records, files and papers; known attacks are
made (forgeries.py); and good papers are looked at ten years later with nobody left to ask."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest import mock

from hardening import Outcome
from hardening.forgeries import RECORDS, World, attacks, on_certificates, world
from sokhoe import clock
from sokhoe.fhir import decode, encode
from sokhoe.trust.signatures import chains, jws
from sokhoe.trust.signatures.seam import Status
from tests.trust.authority import Authority, a_line_cut

TEN_YEARS = 10 * 365 * 86_400_000_000
PLANTED = 600  # flips within which the planted fault must show; it stops at the first


def run(n: int = 2_000, seed: int = 20_261_123) -> Outcome:
    """`n` flipped bits, every known attack, and a tenth of `n` lasting papers."""
    with _worlds() as made:
        random = Random(seed)
        bad = [f"accepted: {name}" for name in flips(made, n, random)]
        tried = n
        for name, attack in attacks(made):
            tried += 1
            try:
                found = attack()
            except Exception as error:  # what is handed in must never make it fail
                bad.append(f"{name}: {type(error).__name__}: {error}")
                continue
            if found.accepted:
                bad.append(f"accepted ({found.status}): {name}")
        papers = max(1, n // 10)
        bad += [f"refused: {why}" for why in later(made, papers)]
        return Outcome(
            "22 signatures",
            tried + papers,
            len(bad),
            planted(made, random),
            seed,
            tuple(bad[:10]),
        )


@contextmanager
def _worlds() -> Iterator[World]:
    with (
        Authority() as authority,
        Authority("Another Root CA") as stranger,
        tempfile.TemporaryDirectory() as folder,
    ):
        yield world(authority, stranger, Path(folder))


def flips(made: World, n: int, random: Random) -> Iterator[str]:
    """What was accepted with one bit changed in what is signed."""
    records = made.records(), made.full()
    file, paper = made.file(), made.paper(lasting=True)
    start = file.index(b"<FILE")
    covered = _covered(paper)
    for number in range(n):
        if number % 3 == 0:
            found = made.of_records(*_flipped_record(records[number % 2], random))
            name = "a record or its signature"
        elif number % 3 == 1:
            found = made.of_file(flipped(file, range(start, len(file)), random))
            name = "a file"
        else:
            found = made.of_paper(flipped(paper, covered, random))
            name = "a paper"
        if found.accepted:
            yield f"{name}, flip {number}"


def flipped(data: bytes, where: range, random: Random) -> bytes:
    held = bytearray(data)
    held[random.choice(where)] ^= 1 << random.randrange(8)
    return bytes(held)


def _flipped_record(data: bytes, random: Random) -> tuple[bytes, dict[str, bytes]]:
    """A bit of one record, of the protected header or of the signature; what stands beside them
    (time stamp, status) proves itself."""
    which = random.choice((*RECORDS, "protected", "signature"))
    if which in RECORDS:
        held = RECORDS[which]
        return data, RECORDS | {which: flipped(held, range(len(held)), random)}
    whole = decode(data)
    text = str(whole[which]).encode()
    forged = flipped(text, range(len(text)), random).decode("latin-1")
    return encode({**whole, which: forged}), RECORDS


def _covered(paper: bytes) -> range:
    """The first stretch of bytes that the last stamp is over."""
    at = paper.rindex(b"/ByteRange [") + len(b"/ByteRange [")
    return range(int(paper[at:].split()[1]))


def later(made: World, papers: int) -> Iterator[str]:
    """Good papers that are no longer good in ten years, without a line."""
    held = [made.paper(lasting=True) for _ in range(papers)]
    with clock.standing_at(clock.now() + TEN_YEARS), a_line_cut(made.authority):
        for paper in held:
            found = made.of_paper(paper)
            if found.status is not Status.GOOD:
                yield f"{found.status}: {found.why}"


def planted(made: World, random: Random) -> bool:
    """Two faults that a careless hand might make: the mathematics is not asked, and what a
    certificate is for is not looked at. Both must show."""
    with mock.patch.object(jws, "_fits", lambda parts: True):
        blind = any(True for _ in flips(made, PLANTED, random))
    with mock.patch.object(chains, "fit", lambda own, use: True):
        careless = any(
            attack().accepted for name, attack in on_certificates(made) if "for servers" in name
        )
    return blind and careless
