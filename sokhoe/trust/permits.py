"""May they? One table: role × purpose × deed × type → within which bounds.

Read the table `PERMITS` top to bottom: what is not in it is refused. `within` names a small
function that turns the actor into a `Scope`, and the scope goes into the SQL of the store, so
that no include, chain, count, page link or history can show more than a plain read would: besides
the people it names every type with which the same may be done.

Why staff see everything in a station: a station's memory holds only the people of that station
(house, §6 "scope"), and care must not wait for a permission. Consent narrows this later in the
same place. Why the steward sees Patient but no Observation: linking needs names, not illnesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from sokhoe.errors import Forbidden
from sokhoe.fhir import TYPES, search
from sokhoe.store import EVERYTHING, Scope
from sokhoe.trust import partial
from sokhoe.trust.actors import Actor, Purpose, Role


class Deed(StrEnum):
    READ = "read"  # read, vread, history
    SEARCH = "search"
    WRITE = "write"  # create, update
    DELETE = "delete"


READ = frozenset({Deed.READ, Deed.SEARCH})
WRITE = frozenset({Deed.WRITE})
ALL_DEEDS = frozenset(Deed)

# Types that belong to no patient: names of places, people of the trade, code lists.
DIRECTORY = frozenset(
    {
        "Organization",
        "Location",
        "Practitioner",
        "PractitionerRole",
        "HealthcareService",
        "Medication",
        "Endpoint",
        "CodeSystem",
        "ValueSet",
        "ConceptMap",
        "NamingSystem",
        "StructureDefinition",
        "SearchParameter",
        "CapabilityStatement",
        "OperationDefinition",
    }
)
AUDIT = frozenset({"AuditEvent"})
IDENTITY = frozenset({"Patient", "Person", "RelatedPerson", "Linkage", "Task", "Provenance"})
# Bytes of foreign files and the tray they lie in: for machines, not for people.
TRAY = frozenset({"Binary", "Task"})
RECORD = TYPES - AUDIT - frozenset({"Binary"})
NUMBERS = frozenset({"MeasureReport", "Measure", "Group"})

Within = Callable[["Actor", "Links"], Scope]
Links = Callable[[str], frozenset[str]]  # Person reference → references of the linked Patients


def everybody(actor: Actor, links: Links) -> Scope:
    """All people in this memory."""
    return EVERYTHING


def own_record(actor: Actor, links: Links) -> Scope:
    """A citizen: the patients linked to this person now, and the directory."""
    return Scope(patients=links(actor.id), open=DIRECTORY)


@dataclass(frozen=True, slots=True)
class Permit:
    role: Role
    deeds: frozenset[Deed]
    types: frozenset[str]
    within: Within
    purposes: frozenset[Purpose]


_CARE = frozenset({Purpose.TREAT, Purpose.ETREAT})
_RUN = frozenset({Purpose.HOPERAT})
_ADMIN = frozenset({Purpose.HSYSADMIN})
_PUBLIC = frozenset({Purpose.PUBHLTH})
_OWN = frozenset({Purpose.PATRQT})

PERMITS: tuple[Permit, ...] = (
    Permit(Role.NURSE, READ, RECORD, everybody, _CARE),
    Permit(Role.NURSE, WRITE, RECORD - DIRECTORY, everybody, _CARE),
    Permit(Role.DOCTOR, READ, RECORD, everybody, _CARE),
    Permit(Role.DOCTOR, WRITE, RECORD - DIRECTORY, everybody, _CARE),
    Permit(Role.DOCTOR, frozenset({Deed.DELETE}), RECORD - DIRECTORY, everybody, _CARE),
    Permit(Role.HEAD, READ, RECORD | AUDIT, everybody, _CARE | _ADMIN),
    Permit(Role.HEAD, WRITE, RECORD, everybody, _CARE),
    Permit(Role.HEAD, frozenset({Deed.DELETE}), RECORD - DIRECTORY, everybody, _CARE),
    Permit(Role.STEWARD, READ, IDENTITY | DIRECTORY, everybody, _RUN),
    Permit(Role.STEWARD, WRITE, IDENTITY - frozenset({"Patient"}), everybody, _RUN),
    Permit(Role.STATISTICIAN, READ, NUMBERS | DIRECTORY, everybody, _PUBLIC),
    Permit(Role.AUDITOR, READ, AUDIT | DIRECTORY, everybody, _ADMIN),
    Permit(Role.OPERATOR, READ, DIRECTORY, everybody, _ADMIN),
    Permit(Role.CITIZEN, READ, RECORD | AUDIT, own_record, _OWN),
)

# Machines: a room and what its declared work needs, no more.
MACHINES: dict[str, tuple[tuple[frozenset[Deed], frozenset[str]], ...]] = {
    "people": ((READ, IDENTITY | DIRECTORY), (WRITE, IDENTITY - frozenset({"Patient"}))),
    "exchange": ((ALL_DEEDS, TYPES - AUDIT),),
    "sync": ((ALL_DEEDS, TYPES - AUDIT),),
    "warehouse": ((READ, TYPES - AUDIT), (WRITE, NUMBERS)),
    "book": ((READ, frozenset({"Person", "Patient"})), (WRITE, frozenset({"Consent"}))),
    "ops": ((ALL_DEEDS, TYPES - AUDIT),),
    # completes signatures, and tells anybody how one stands
    "trust": ((READ | WRITE, frozenset({"Provenance", "Binary"})),),
    "web": ((READ, DIRECTORY),),
    # openings in an emergency: whose record, the notice to him, the review by the head
    "emergency": (
        (READ, frozenset({"Patient", "Person", "Task"})),
        (WRITE, frozenset({"Task", "Communication"})),
    ),
}

_SCOPE = re.compile(
    r"^(?P<level>system|user|patient)/(?P<type>\*|[A-Za-z]+)\.(?P<may>\*|read|write|c?r?u?d?s?)(\?.*)?$"
)
_LETTERS = {
    "c": Deed.WRITE,
    "r": Deed.READ,
    "u": Deed.WRITE,
    "d": Deed.DELETE,
    "s": Deed.SEARCH,
}


def scope_within(actor: Actor, purpose: Purpose, scope: str) -> str:
    """What of a `user/` or `patient/` scope is within the role of somebody who is asked to let an
    app have it, in v2 letters; "" where nothing is. One patient's record is read only."""
    wanted = scope_deeds(scope)
    if wanted is None or scope.startswith("system/"):
        return ""
    type, deeds = wanted
    allowed = {
        deed
        for permit in PERMITS
        if permit.role is actor.role and purpose in permit.purposes
        if (permit.types - AUDIT if type == "*" else type in permit.types)
        for deed in permit.deeds & deeds
    }
    level, _, rest = scope.partition("/")
    if level == "patient":
        allowed &= READ
    asked = rest.partition("?")[0].rpartition(".")[2]
    letters = asked if set(asked) <= set(_LETTERS) else "cruds"
    kept = "".join(one for one in "cruds" if one in letters and _LETTERS[one] in allowed)
    query = f"?{rest.partition('?')[2]}" if "?" in rest else ""
    return f"{level}/{type}.{kept}{query}" if kept else ""


@lru_cache(maxsize=4096)
def scope_deeds(scope: str) -> tuple[str, frozenset[Deed]] | None:
    """A SMART scope as (type or *, deeds); None for one that is not understood (it grants nothing).

    v2 letters c r u d s, and v1's read, write, * (hl7.org/fhir/smart-app-launch/scopes.html).
    A `?query` narrows reading and searching; one that narrows a write, or that the index cannot
    judge record by record, grants nothing (`partial.where`).
    """
    match = _SCOPE.match(scope)
    if match is None or not match["may"]:
        return None
    may = match["may"]
    if may == "read":
        deeds = READ
    elif may == "write":
        deeds = frozenset({Deed.WRITE, Deed.DELETE})
    elif may == "*":
        deeds = ALL_DEEDS
    else:
        deeds = frozenset(_LETTERS[letter] for letter in may)
    if "?" in scope and (not deeds <= READ or partial.where(scope) is None):
        return None
    return match["type"], deeds


@lru_cache(maxsize=1024)
def _granted(scopes: tuple[str, ...], level: str, deed: Deed) -> frozenset[str]:
    """The types with which who was granted these scopes may do this. `level`: system (software
    for itself), user (somebody through an app), patient (through an app, one patient)."""
    found: set[str] = set()
    own = (one for one in scopes if one.startswith(f"{level}/"))
    for type, deeds in filter(None, map(scope_deeds, own)):
        if deed in deeds:
            # The audit is for people with that office and for citizens, never by a wildcard.
            found |= TYPES - AUDIT if type == "*" else {type}
    return frozenset(found)


@lru_cache(maxsize=1024)
def _partly(
    scopes: tuple[str, ...], level: str, deed: Deed
) -> tuple[tuple[str, search.Condition], ...]:
    """Of the types that were granted in part only: what a record must meet."""
    whole: set[str] = set()
    parts: dict[str, list[tuple[search.Condition, ...]]] = {}
    for one in scopes:
        found = scope_deeds(one) if one.startswith(f"{level}/") else None
        if found is None or deed not in found[1]:
            continue
        where = partial.where(one) if "?" in one else None
        if where is None:
            whole |= TYPES if found[0] == "*" else {found[0]}
        else:
            parts.setdefault(found[0], []).append(where)
    return tuple(
        (type, search.AnyOf("", tuple(options)))
        for type, options in sorted(parts.items())
        if type not in whole
    )


@lru_cache(maxsize=256)
def _machine(room: str, deed: Deed) -> frozenset[str]:
    return frozenset().union(*(types for deeds, types in MACHINES.get(room, ()) if deed in deeds))


@lru_cache(maxsize=256)
def _staff(permit: Permit, purpose: Purpose, deed: Deed) -> frozenset[str]:
    """The types with which this role may do this within the same bounds."""
    alike = (
        one.types
        for one in PERMITS
        if (one.role, one.within) == (permit.role, permit.within)
        and deed in one.deeds
        and purpose in one.purposes
    )
    return frozenset().union(*alike)


def allow(actor: Actor, purpose: Purpose, deed: Deed, type: str, links: Links) -> Scope:
    """The bounds within which the actor may do this; raises Forbidden saying what is missing.

    `Scope.types` are all types with which he may do it, so that a search for this one does not
    look into, nor bring along, what a search of its own would refuse. Through an app nobody may
    more than by himself, nor more than he let the app do.
    """
    bounds = _allow(actor, purpose, deed, type, links)
    return _through_app(actor, deed, type, bounds) if actor.client else bounds


def _through_app(actor: Actor, deed: Deed, type: str, bounds: Scope) -> Scope:
    """The bounds of somebody who acts through an app: his own within what the app was given
    (smart-app-launch/scopes-and-launch-context.html). A `patient/` scope is one patient's record
    and, for reading, the directory; a citizen's own bounds are one patient already."""
    may = bounds.types if bounds.types is not None else TYPES
    for level in ("user", "patient"):
        types = _granted(actor.scopes, level, deed) & may
        if type not in types:
            continue
        only = _partly(actor.scopes, level, deed)
        if level == "user" or actor.role is Role.CITIZEN:
            return replace(bounds, types=types, only=only)
        if actor.patient:
            own = frozenset({actor.patient})
            patients = own if bounds.patients is None else own & bounds.patients
            open = DIRECTORY if deed in READ else frozenset[str]()
            return Scope(patients, types, open, only=only)
    raise Forbidden(
        f"This app was not given the right to {deed} {type}.",
        hint=f"Let it ask for the scope user/{type}.{'rs' if deed in READ else 'cud'}.",
        slug="scope-missing",
    )


def _allow(actor: Actor, purpose: Purpose, deed: Deed, type: str, links: Links) -> Scope:
    if actor.role is Role.SOFTWARE:
        types = _granted(actor.scopes, "system", deed)
        if type in types:
            return Scope(types=types, only=_partly(actor.scopes, "system", deed))
        raise Forbidden(
            f"This client may not {deed} {type}.",
            hint=f"Ask the province for the scope system/{type}.{'rs' if deed in READ else 'cud'}.",
            slug="scope-missing",
        )
    if actor.role is Role.MACHINE:
        types = _machine(actor.room, deed)
        if type in types:
            return Scope(types=types)
        raise Forbidden(f"The room {actor.room} may not {deed} {type}.", slug="machine-refused")
    for permit in PERMITS:
        if (
            permit.role is actor.role
            and deed in permit.deeds
            and type in permit.types
            and purpose in permit.purposes
        ):
            types = _staff(permit, purpose, deed)
            return replace(permit.within(actor, links), types=types)
    raise Forbidden(
        f"As {actor.role} you may not {deed} {type}.",
        hint="If your work needs it, ask the head of your facility for another role.",
    )
