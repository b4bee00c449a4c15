"""The door to the signatures for those who only ask now and then: their libraries (PDF, XML,
certificates) are loaded at first use, not when a server starts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sokhoe.errors import SokhoeError, Unavailable
from sokhoe.settings import Settings
from sokhoe.trust import locks
from sokhoe.trust.gate import Gate
from sokhoe.trust.keeping import Retention

if TYPE_CHECKING:
    from sokhoe.trust.signatures.desk import Desk as Desk
    from sokhoe.trust.signatures.seam import Device as Device
    from sokhoe.trust.signatures.seam import Verdict as Verdict

PAUSE = 60.0  # seconds after a service did not answer
OFTEN = 2.0  # seconds between two looks


def open_desk(gate: Gate, settings: Settings, retention: Retention | None = None) -> Desk:
    """The signing desk of a server."""
    from sokhoe.trust.signatures.desk import open_desk

    return open_desk(gate, settings, retention)


def open_device(settings: Settings) -> Device:
    """What this server signs with."""
    from sokhoe.trust.signatures.devices import device_of

    return device_of(settings)


def check_file(data: bytes, settings: Settings, *, inside: str = "") -> Verdict:
    """How the signature in a PDF or an XML file stands; asks authorities where it must."""
    from sokhoe.trust.signatures import pdf, xml
    from sokhoe.trust.signatures.desk import anchors_of
    from sokhoe.trust.signatures.judging import online

    judge = online(anchors_of(settings))
    if data.startswith(b"%PDF"):
        return pdf.verify(data, judge).verdict
    return xml.verify(data, judge, inside=inside).verdict


class Completer:
    """Works beside the followers: looks at signatures that came, and has those stamped that wait.

    Where nothing is signed it asks two empty drawers every other second, and loads nothing."""

    name = "signatures"
    follows = False

    def __init__(self, gate: Gate, settings: Settings, retention: Retention | None = None) -> None:
        self._gate = gate
        self._settings = settings
        self._retention = retention
        self._desk: Desk | None = None
        self._next = 0.0
        self.failure = ""

    def step(self) -> bool:
        """True when there may be more at once."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + OFTEN
        store = self._gate.memory
        arrived = bool(store.all_kept(locks.SIGNED))
        waiting = self._settings.timestamp_url and bool(store.all_kept("stamp"))
        if not arrived and not waiting:
            return False
        if self._desk is None:
            self._desk = open_desk(self._gate, self._settings, self._retention)
        if arrived:
            self._desk.take_in()
        try:
            if self._settings.timestamp_url:
                self._desk.complete(self._gate.machine("trust"))
            self.failure = ""
        except Unavailable as error:  # no line: they wait, as the screens say
            self.failure = error.message
            self._next = time.monotonic() + PAUSE
        except SokhoeError as error:
            self.failure = error.message
        return False
