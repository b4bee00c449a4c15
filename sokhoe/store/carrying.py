"""Changes made ready in one process and written by another: how much is loaded at once.

Reading, checking, indexing and compressing a record is pure and takes two thirds of the time, so a
load gives it to processes of its own; what they send is small and quick to open (`msgspec`: 2.8 us
to write, 2.4 us to read for each record of Synthea, where pickle takes 41 and 37).

    worker   bytes of NDJSON ── decode, validate, prepare ── Load, as bytes ──┐
    worker   bytes of NDJSON ── decode, validate, prepare ── Load, as bytes ──┤
    writer                                              one commit for each ──┘ in order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from sokhoe.errors import Invalid
from sokhoe.store import planning
from sokhoe.store.bodies import Packer
from sokhoe.store.planning import Prepared
from sokhoe.store.shapes import Dictionary, Put

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Prepared])


class Carrier:
    """Makes changes ready for a store that another process writes."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._parameters = dictionary.parameters
        self._packer = Packer(lambda number: dictionary.data)
        if dictionary.number:
            self._packer.add(dictionary.number, dictionary.data)

    def ready(self, resource: dict[str, Any]) -> tuple[Prepared, tuple[str, ...]]:
        """A resource made ready, and the patients whose record it is. Raises Invalid."""
        made = planning.prepare(Put(resource), self._packer, self._parameters)
        return replace(made, stored=None), made.rows.patients if made.rows else ()


def pack(changes: Sequence[Prepared]) -> bytes:
    return _encoder.encode(changes)


def unpack(carried: bytes) -> tuple[Prepared, ...]:
    """Raises Invalid for bytes that `pack` of this release did not write."""
    try:
        return tuple(_decoder.decode(carried))
    except msgspec.DecodeError as error:
        raise Invalid(f"These are no changes made ready: {error}.") from error
