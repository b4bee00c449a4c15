"""Who acts, where and why: the three facts that every permit and every audit line is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Role(StrEnum):
    """What somebody is here for. People have one role in one place; machines are rooms."""

    NURSE = "nurse"
    DOCTOR = "doctor"
    HEAD = "head"  # of a station: staff accounts and the station's own audit
    STEWARD = "steward"  # of the person index
    STATISTICIAN = "statistician"
    AUDITOR = "auditor"
    OPERATOR = "operator"  # keeps the servers running; sees no record
    CITIZEN = "citizen"
    SOFTWARE = "software"
    MACHINE = "machine"


STAFF = frozenset({Role.NURSE, Role.DOCTOR, Role.HEAD})


class Purpose(StrEnum):
    """Why. Codes of HL7 v3 PurposeOfUse, as AuditEvent.purposeOfEvent wants them."""

    TREAT = "TREAT"
    ETREAT = "ETREAT"  # emergency
    PATRQT = "PATRQT"  # the patient asked
    HOPERAT = "HOPERAT"  # running the service: linking, sending, repairing
    PUBHLTH = "PUBHLTH"
    HSYSADMIN = "HSYSADMIN"


USUAL_PURPOSE = {
    Role.NURSE: Purpose.TREAT,
    Role.DOCTOR: Purpose.TREAT,
    Role.HEAD: Purpose.TREAT,
    Role.STEWARD: Purpose.HOPERAT,
    Role.STATISTICIAN: Purpose.PUBHLTH,
    Role.AUDITOR: Purpose.HSYSADMIN,
    Role.OPERATOR: Purpose.HSYSADMIN,
    Role.CITIZEN: Purpose.PATRQT,
    Role.SOFTWARE: Purpose.TREAT,
    Role.MACHINE: Purpose.HOPERAT,
}


class Level(IntEnum):
    """How surely a citizen is known (decision 28).

    NONE    nobody in particular: may check a signed paper
    PHONE   a phone number: reminders, no health data
    SEEN    seen in person by staff, who gave a key: the own record
    PROVED  the e-ID, or SEEN and proved once more within five minutes: to share, consent, act
            for others, download
    """

    NONE = 0
    PHONE = 1
    SEEN = 2
    PROVED = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody or something that acts.

    `id` is a reference (`Practitioner/…`, `Person/…`, `Device/…`); `name` is what a citizen reads
    in the access log; `place` is the facility's reference (`Organization/…`) or "" for the
    province; `scopes` are a software client's (SMART v2, `system/Observation.rs`);
    `room` is set for machines. `client` is the app through which a person acts, within `scopes`
    (`user/Observation.rs`); `patient` the one whom that app is about ("" for nobody in particular).
    """

    id: str
    name: str
    role: Role
    place: str = ""
    place_name: str = ""
    username: str = ""
    scopes: tuple[str, ...] = ()
    room: str = ""
    client: str = ""
    patient: str = ""
    level: Level = Level.NONE  # of a citizen
