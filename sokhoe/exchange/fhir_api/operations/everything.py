"""`$everything`: a patient's whole record, or all of one encounter, page by page.

What belongs to it is found by the index in one question (store/around.py); what it refers to
(places, staff, medicines, devices) is read in one more for each step away, at most three. Records
of the same person at other facilities come along: those that `Patient.link` names, and those the
person index has linked, as far as the asker may know. All of it goes through the asker's Session.

hl7.org/fhir/R4/patient-operation-everything.html, …/encounter-operation-everything.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from sokhoe.errors import Invalid, Issue, Unsupported
from sokhoe.exchange.fhir_api.calls import answer
from sokhoe.exchange.fhir_api.operations.arguments import Arguments, Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.fhir import TYPES, encode, search
from sokhoe.people import records_of
from sokhoe.trust import Session, Version

USUAL_COUNT, MOST = 500, 1000  # records on a page, without those they refer to
STEPS = 3  # Observation → PractitionerRole → Organization → the one it is part of

# hl7.org/fhir/R4/compartmentdefinition-encounter.html
_BY_ENCOUNTER = (
    "CarePlan CareTeam Claim ClinicalImpression Communication CommunicationRequest Composition "
    "Condition DeviceRequest DiagnosticReport DocumentReference ExplanationOfBenefit Media "
    "MedicationRequest NutritionOrder Observation Procedure QuestionnaireResponse RequestGroup "
    "ServiceRequest VisionPrescription"
).split()
_BY_CONTEXT = ("ChargeItem", "MedicationAdministration")


@lru_cache(maxsize=1)
def patient_compartment() -> Mapping[str, tuple[str, ...]]:
    """Types that belong to a patient, and the stored parameters that say to whom."""
    found = {type: search.patient_parameters(type) for type in sorted(TYPES - {"AuditEvent"})}
    return {type: parameters for type, parameters in found.items() if parameters}


@lru_cache(maxsize=1)
def encounter_compartment() -> Mapping[str, tuple[str, ...]]:
    codes = dict.fromkeys(_BY_ENCOUNTER, "encounter") | dict.fromkeys(_BY_CONTEXT, "context")
    codes |= {"DocumentManifest": "related-ref", "Encounter": "part-of"}
    return {type: search.search_parameters(type)[code].stored for type, code in codes.items()}


def of_a_patient(call: OperationCall) -> Response:
    if call.id is None:
        raise Unsupported(
            "Everything of everybody is not given in pages.",
            hint="Name one patient, Patient/{id}/$everything, or export with $export.",
            slug="too-costly",
            code="too-costly",
        )
    patient = call.session.read("Patient", call.id)
    roots = records_of(call.session, patient)
    return _page(call, roots, patient_compartment())


def of_an_encounter(call: OperationCall) -> Response:
    assert call.id is not None
    encounter = call.session.read("Encounter", call.id)
    return _page(call, [encounter.ref], encounter_compartment(), besides={"Patient"})


@dataclass(frozen=True, slots=True)
class Read:
    """A version with its body decoded once."""

    version: Version
    resource: dict[str, Any]


def read(versions: Iterable[Version]) -> list[Read]:
    return [Read(one, one.resource) for one in versions]


def _page(
    call: OperationCall,
    roots: Sequence[str],
    by: Mapping[str, Sequence[str]],
    besides: Iterable[str] = (),
) -> Response:
    """One page: what lies around the roots, then what that refers to. `besides`: types that are
    added when referred to although they are of the patient's compartment."""
    given = call.arguments
    types = _types(given)
    count = given.number("_count")
    count = USUAL_COUNT if count is None else max(1, min(count, MOST))
    wanted = None if types is None else types & {*by, roots[0].partition("/")[0]}
    shown: tuple[Version, ...] = ()
    following = None
    if wanted is None or wanted:
        page = call.session.around(
            roots,
            by,
            types=wanted,
            since=_since(given),
            count=count,
            cursor=given.text("_cursor") or None,
        )
        shown, following = page.versions, page.next
    matches = _in_time(read(shown), given)
    friends = (TYPES - patient_compartment().keys() - {"AuditEvent"}) | set(besides)
    if types is not None:
        friends &= types
    included = referred_to(call.session, matches, frozenset(friends))
    return _bundle(call, matches, included, following)


def referred_to(session: Session, start: Iterable[Read], types: frozenset[str]) -> list[Read]:
    """What these refer to, and what that refers to, of these types; each once."""
    level = list(start)
    seen = {one.version.ref for one in level}
    found: list[Read] = []
    for _ in range(STEPS):
        named = {
            ref
            for one in level
            for ref in search.all_references(one.resource)
            if ref.partition("/")[0] in types
        } - seen
        if not named:
            break
        level = read(session.read_many(sorted(named)))
        seen |= named
        found += level
    return found


def _in_time(found: Sequence[Read], given: Arguments) -> list[Read]:
    """Those whose care overlaps [start, end]; what has no date is never left out."""
    if "start" not in given and "end" not in given:
        return list(found)
    low = search.stretch(given.text("start"))[0] if "start" in given else -(2**62)
    high = search.stretch(given.text("end"))[1] if "end" in given else 2**62
    if low >= high:
        raise Invalid("The start lies after the end.", location="Parameters.parameter")
    times = [(one, search.care_dates(one.resource)) for one in found]
    return [one for one, time in times if time is None or (time[0] < high and time[1] > low)]


def _types(given: Arguments) -> frozenset[str] | None:
    if "_type" not in given:
        return None
    asked = given.texts("_type")
    unknown = [one for one in asked if one not in TYPES]
    if unknown or not asked:
        raise Invalid(
            f"_type names what is no resource type: {', '.join(unknown)}.",
            issues=tuple(
                Issue(f"There is no resource type {one!r}.", "_type", "value") for one in unknown
            ),
            slug="parameter",
        )
    return frozenset(asked)


def _since(given: Arguments) -> int | None:
    return search.stretch(given.text("_since"))[0] if "_since" in given else None


def _bundle(
    call: OperationCall,
    matches: Sequence[Read],
    included: Sequence[Read],
    following: str | None,
) -> Response:
    """The page as a searchset, put together from bodies as they are stored."""
    given = call.arguments
    pairs = [(name, given.text(name)) for name in ("start", "end", "_since") if name in given]
    pairs += [("_type", ",".join(given.texts("_type")))] if "_type" in given else []
    pairs += [("_count", given.text("_count"))] if "_count" in given else []
    base = call.call.base
    here = f"{base}/{call.type}/{call.id}/$everything"

    def url(cursor: str) -> str:
        query = urlencode([*pairs, *([("_cursor", cursor)] if cursor else [])], safe=":,+")
        return f"{here}?{query}" if query else here

    cursor = given.text("_cursor")
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if following is None and not cursor:
        head["total"] = len(matches)
    head["link"] = [{"relation": "self", "url": url(cursor)}]
    if following is not None:
        head["link"].append({"relation": "next", "url": url(following)})
    entries = [
        b'{"fullUrl":"%s/%s","resource":%s,"search":{"mode":"%s"}}'
        % (base.encode(), one.version.ref.encode(), one.version.body, mode)
        for mode, some in ((b"match", matches), (b"include", included))
        for one in some
    ]
    body = encode(head)
    return answer(body[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else body)


_PAGES = (
    Parameter("_since", "instant"),
    Parameter("_type", "code", many=True),
    Parameter("_count", "integer"),
    Parameter("_cursor", "string"),
)
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "everything",
        "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        of_a_patient,
        (Parameter("start", "date"), Parameter("end", "date"), *_PAGES),
        type=True,
        instance=True,
        types=frozenset({"Patient"}),
        summary="The whole record of a patient with all it refers to, in pages.",
    ),
    Operation(
        "everything",
        "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
        of_an_encounter,
        _PAGES,
        instance=True,
        types=frozenset({"Encounter"}),
        summary="All that belongs to an encounter with all it refers to, in pages.",
    ),
)
