"""A visit: from the form to FHIR resources, and back to the form and to the page.

What becomes what: the visit an Encounter (complaint: reasonCode.text), vital signs Observations,
diagnoses Conditions, medicines MedicationRequests, the doctor's note a ClinicalImpression ("a
record of a clinical assessment performed": a Composition would be a document, with sections and a
signature, and nobody wrote one), the follow-up date a ServiceRequest of this Encounter.

Pure but for `records`. Every id follows from the form's key, so that a visit saved twice is one
visit; the form's fingerprint stands in the Encounter, so that a changed form with an old key is
noticed and not dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sokhoe import clock
from sokhoe.clinic import vitals
from sokhoe.clinic.patients import new_id, read_date, shown_date
from sokhoe.trust import Actor, Session
from sokhoe.web import key

FORM = "urn:sokhoe:form"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
SNOMED, FOLLOW_UP = "http://snomed.info/sct", "390906007"
LASTING = "problem-list-item"
# Of these a visit is made up; each knows its Encounter.
PARTS = ("Observation", "Condition", "MedicationRequest", "ClinicalImpression", "ServiceRequest")
ROWS = 4
LONGEST = 8000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`code` and `system` are "" for words without a code; `lasting`: stays with the person."""

    text: str
    code: str = ""
    system: str = ""
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Dose:
    """One line of the prescription, as typed."""

    name: str = ""
    dose: str = ""
    quantity: str = ""
    unit: str = ""
    days: str = ""
    code: str = ""
    system: str = ""

    @property
    def empty(self) -> bool:
        return not (self.name or self.dose or self.quantity or self.days)


@dataclass(frozen=True, slots=True)
class Typed:
    """The visit form as it was typed; the first diagnosis is the main one."""

    key: str
    signs: Mapping[str, str] = field(default_factory=dict)
    complaint: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()
    note: str = ""
    medicines: tuple[Dose, ...] = ()
    follow_up: str = ""

    @property
    def empty(self) -> bool:
        said = (self.complaint, self.note, self.follow_up, *self.signs.values())
        return not any(said) and not self.diagnoses and all(one.empty for one in self.medicines)

    @property
    def fingerprint(self) -> str:
        """The same for the same content, whatever the key."""
        lines = [one for one in self.medicines if not one.empty]
        signs = sorted((name, value) for name, value in self.signs.items() if value)
        said = (signs, self.complaint, self.diagnoses, self.note, lines, self.follow_up)
        return sha256(repr(said).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field: a catalogue key and its values."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """The form after a look at it: usable values, problems by field, marks by sign."""

    values: Mapping[str, Decimal]
    problems: Mapping[str, Problem]
    marks: Mapping[str, vitals.Judged]
    follow_up: str
    bmi: Decimal | None


def check(typed: Typed, months: int | None, today: date) -> Checked:
    """Look at every field. `months`: age of the person, None when unknown."""
    values, problems = _signs(typed.signs)
    marks = {
        name: judged
        for name, value in values.items()
        if (judged := vitals.judge(name, value, months))
    }
    bmi = None
    if "weight" in values and "height" in values:
        bmi = vitals.body_mass_index(values["weight"], values["height"])
        if judged := vitals.judge("bmi", bmi, months):
            marks["bmi"] = judged
    problems |= _medicines(typed.medicines)
    follow_up = read_follow_up(typed.follow_up, today)
    if typed.follow_up and follow_up is None:
        problems["follow_up"] = Problem(key("Type a date after today, or a number of days."))
    for name in ("complaint", "note"):
        if len(getattr(typed, name)) > LONGEST:
            problems[name] = Problem(key("This text is too long."))
    if typed.empty:
        problems["complaint"] = Problem(
            key("Nothing is filled in yet. Write the reason for the visit, or at least one value.")
        )
    return Checked(values, problems, marks, follow_up or "", bmi)


def _signs(typed: Mapping[str, str]) -> tuple[dict[str, Decimal], dict[str, Problem]]:
    values: dict[str, Decimal] = {}
    problems: dict[str, Problem] = {}
    for sign in vitals.SIGNS:
        text = typed.get(sign.name, "")
        if not text:
            continue
        value, wrong = vitals.check(sign, text)
        if value is None:
            said = {
                "low": sign.low,
                "high": sign.high,
                "unit": sign.unit,
                "example": _EXAMPLES[sign.name],
            }
            problems[sign.name] = Problem(wrong, said)
        else:
            values[sign.name] = value
    if "systolic" in values and values.get("diastolic", Decimal(0)) >= values["systolic"]:
        problems["diastolic"] = Problem(key("The lower pressure must be under the upper one."))
    return values, problems


_EXAMPLES = {
    "pulse": "80",
    "temperature": "37,5",
    "systolic": "120",
    "diastolic": "80",
    "respiration": "18",
    "weight": "55,5",
    "height": "160",
}


def _medicines(lines: Sequence[Dose]) -> dict[str, Problem]:
    problems: dict[str, Problem] = {}
    for row, line in enumerate(lines):
        if line.empty:
            continue
        if not line.name:
            problems[f"medicine-{row}"] = Problem(key("Which medicine? Type its name."))
        if line.quantity and vitals.read_number(line.quantity) is None:
            problems[f"quantity-{row}"] = Problem(key("Type a number."))
        if line.days and not (line.days.isdecimal() and 1 <= int(line.days) <= 365):
            problems[f"days-{row}"] = Problem(key("Type a number of days, 1 to 365."))
    return problems


def read_follow_up(text: str, today: date) -> str | None:
    """A day after today, typed as a date or as a number of days; None when it is neither."""
    if re.match(r"^\d{1,3}$", text):
        return (today + timedelta(days=int(text))).isoformat() if int(text) else None
    found = read_date(text)
    if found is None or len(found) != 10 or found <= today.isoformat():
        return None
    return found


# -- to resources -------------------------------------------------------------------------------


def encounter_id(typed: Typed, patient: str) -> str:
    """The visit's id; a form's key counts for one person only."""
    return new_id(_seed(typed, patient), "Encounter")


def _seed(typed: Typed, patient: str) -> str:
    return f"{typed.key}:{patient}"


def resources(
    typed: Typed,
    checked: Checked,
    *,
    patient: str,
    months: int | None,
    actor: Actor,
    at: clock.Instant,
) -> list[dict[str, Any]]:
    """The visit as resources, the Encounter first. `patient`: its reference; `at`: when."""
    when = clock.iso_local(at)
    visit = f"Encounter/{encounter_id(typed, patient)}"
    seed = _seed(typed, patient)
    who = {"reference": actor.id, "display": actor.name}
    known = {"subject": {"reference": patient}, "encounter": {"reference": visit}}

    signs = [
        {"id": new_id(seed, name), **observation}
        for name, observation in vitals.observations(
            checked.values, months, {**known, "effectiveDateTime": when, "performer": [who]}
        )
    ]
    conditions = [
        _condition(one, new_id(seed, f"Condition{row}"), known, when, who)
        for row, one in enumerate(typed.diagnoses)
    ]
    lines = [one for one in typed.medicines if not one.empty]
    medicines = [
        _request(one, new_id(seed, f"Medicine{row}"), known, when, who)
        for row, one in enumerate(lines)
    ]
    made = [
        _encounter(typed, visit, patient, conditions, when, who, actor),
        *signs,
        *conditions,
        *medicines,
    ]
    if typed.note:
        made.append(
            {
                "resourceType": "ClinicalImpression",
                "id": new_id(seed, "Note"),
                "status": "completed",
                **known,
                "effectiveDateTime": when,
                "date": when,
                "assessor": who,
                "summary": typed.note,
            }
        )
    if checked.follow_up:
        made.append(
            {
                "resourceType": "ServiceRequest",
                "id": new_id(seed, "FollowUp"),
                "status": "active",
                "intent": "plan",
                "code": {
                    "coding": [
                        {"system": SNOMED, "code": FOLLOW_UP, "display": "Follow-up encounter"}
                    ]
                },
                **known,
                "occurrenceDateTime": checked.follow_up,
                "authoredOn": when,
                "requester": who,
            }
        )
    return made


def _encounter(
    typed: Typed,
    visit: str,
    patient: str,
    conditions: Sequence[Mapping[str, Any]],
    when: str,
    who: Mapping[str, Any],
    actor: Actor,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Encounter",
        "id": visit.partition("/")[2],
        "identifier": [{"system": FORM, "value": typed.fingerprint}],
        "status": "finished",
        "class": {"system": ACT, "code": "AMB", "display": "ambulatory"},
        "subject": {"reference": patient},
        "participant": [{"individual": who}],
        "period": {"start": when, "end": when},
    }
    if typed.complaint:
        made["reasonCode"] = [{"text": typed.complaint}]
    if conditions:
        made["diagnosis"] = [
            {"condition": {"reference": f"Condition/{one['id']}"}, "rank": rank}
            for rank, one in enumerate(conditions, 1)
        ]
    if actor.place:
        made["serviceProvider"] = {
            "reference": actor.place,
            "display": actor.place_name or actor.place,
        }
    return made


def _condition(
    one: Diagnosis, id: str, known: Mapping[str, Any], when: str, who: Mapping[str, Any]
) -> dict[str, Any]:
    code: dict[str, Any] = {"text": one.text}
    if one.code:
        code["coding"] = [{"system": one.system, "code": one.code, "display": one.text}]
    categories = ["encounter-diagnosis", *([LASTING] if one.lasting else [])]
    return {
        "resourceType": "Condition",
        "id": id,
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "verificationStatus": {"coding": [{"system": VERIFIED, "code": "confirmed"}]},
        "category": [{"coding": [{"system": CATEGORY, "code": each}]} for each in categories],
        "code": code,
        **known,
        "recordedDate": when,
        "recorder": dict(who),
    }


def _request(
    line: Dose, id: str, known: Mapping[str, Any], when: str, who: Mapping[str, Any]
) -> dict[str, Any]:
    medicine: dict[str, Any] = {"text": line.name}
    if line.code:
        medicine["coding"] = [{"system": line.system, "code": line.code, "display": line.name}]
    made: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": medicine,
        **known,
        "authoredOn": when,
        "requester": dict(who),
    }
    if line.dose:
        made["dosageInstruction"] = [{"text": line.dose}]
    supply: dict[str, Any] = {}
    quantity = vitals.read_number(line.quantity)
    if quantity is not None:
        supply["quantity"] = {"value": quantity, **({"unit": line.unit} if line.unit else {})}
    if line.days:
        supply["expectedSupplyDuration"] = {
            "value": Decimal(line.days),
            "unit": "day",
            "system": vitals.UCUM,
            "code": "d",
        }
    if supply:
        made["dispenseRequest"] = supply
    return made


# -- from resources -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """A value that is no vital sign (a laboratory's): text with unit, and FHIR's letter."""

    name: str
    value: str
    letter: str


@dataclass(frozen=True, slots=True)
class Record:
    """A visit as pages show it."""

    id: str
    patient: str
    at: str
    by: str
    by_ref: str
    place: str
    complaint: str
    diagnoses: tuple[Diagnosis, ...]
    values: Mapping[str, Decimal]
    note: str
    medicines: tuple[Dose, ...]
    follow_up: str
    results: tuple[Result, ...]
    withdrawn: bool
    fingerprint: str


def record(encounter: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> Record:
    """Put a visit together from its Encounter and the resources that name it."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for one in parts:
        kinds.setdefault(one["resourceType"], []).append(one)
    values: dict[str, Decimal] = {}
    results: list[Result] = []
    for one in kinds.get("Observation", ()):
        measured = vitals.measured(one)
        values |= measured
        if not measured and (result := _result(one)):
            results.append(result)
    by: Mapping[str, Any] = next(
        (one.get("individual", {}) for one in encounter.get("participant", ())), {}
    )
    provider = encounter.get("serviceProvider", {})
    prints = [one["value"] for one in encounter.get("identifier", ()) if one.get("system") == FORM]
    return Record(
        id=encounter["id"],
        patient=encounter.get("subject", {}).get("reference", ""),
        at=encounter.get("period", {}).get("start", ""),
        by=by.get("display", ""),
        by_ref=by.get("reference", ""),
        place=provider.get("display", provider.get("reference", "")),
        complaint=next((_words(one) for one in encounter.get("reasonCode", ())), ""),
        diagnoses=_in_rank(encounter, kinds.get("Condition", [])),
        values=values,
        note="\n".join(
            one["summary"] for one in kinds.get("ClinicalImpression", ()) if one.get("summary")
        ),
        medicines=tuple(map(dose_of, _by_id(kinds.get("MedicationRequest", [])))),
        follow_up=next(
            (
                one["occurrenceDateTime"]
                for one in kinds.get("ServiceRequest", ())
                if "occurrenceDateTime" in one and is_follow_up(one)
            ),
            "",
        ),
        results=tuple(results),
        withdrawn=encounter.get("status") == "entered-in-error",
        fingerprint=prints[0] if prints else "",
    )


def is_follow_up(request: Mapping[str, Any]) -> bool:
    return any(one.get("code") == FOLLOW_UP for one in request.get("code", {}).get("coding", ()))


def _by_id(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In an order that does not change from page to page."""
    return sorted(
        items, key=lambda one: str(one.get("medicationCodeableConcept", {}).get("text", ""))
    )


def _words(concept: Mapping[str, Any]) -> str:
    """A CodeableConcept as words."""
    coding = concept.get("coding", ())
    named = next((one["display"] for one in coding if one.get("display")), "")
    return str(concept.get("text") or named or next((one.get("code", "") for one in coding), ""))


def diagnosis_of(condition: Mapping[str, Any]) -> Diagnosis:
    code = condition.get("code", {})
    coding: Mapping[str, Any] = next(iter(code.get("coding", ())), {})
    categories = {
        one.get("code") for each in condition.get("category", ()) for one in each.get("coding", ())
    }
    return Diagnosis(
        _words(code), coding.get("code", ""), coding.get("system", ""), LASTING in categories
    )


def _in_rank(
    encounter: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]]
) -> tuple[Diagnosis, ...]:
    ranks = {
        one.get("condition", {}).get("reference", ""): one.get("rank", 99)
        for one in encounter.get("diagnosis", ())
    }
    ordered = sorted(conditions, key=lambda one: ranks.get(f"Condition/{one['id']}", 100))
    return tuple(map(diagnosis_of, ordered))


def dose_of(request: Mapping[str, Any]) -> Dose:
    concept = request.get("medicationCodeableConcept", {})
    coding: Mapping[str, Any] = next(iter(concept.get("coding", ())), {})
    supply = request.get("dispenseRequest", {})
    quantity = supply.get("quantity", {})
    days = supply.get("expectedSupplyDuration", {}).get("value", "")
    name = _words(concept) or request.get("medicationReference", {}).get("display", "")
    return Dose(
        name=name,
        dose="; ".join(
            one["text"] for one in request.get("dosageInstruction", ()) if "text" in one
        ),
        quantity=_plain(quantity.get("value", "")),
        unit=quantity.get("unit", ""),
        days=_plain(days),
        code=coding.get("code", ""),
        system=coding.get("system", ""),
    )


def _plain(value: object) -> str:
    """A number as it is typed here: 10, or 2,5."""
    if value == "":
        return ""
    text = f"{Decimal(str(value)).normalize():f}"
    return text.replace(".", ",")


def _result(observation: Mapping[str, Any]) -> Result | None:
    name = _words(observation.get("code", {}))
    quantity = observation.get("valueQuantity")
    if quantity and "value" in quantity:
        value = f"{str(quantity['value']).replace('.', ',')} {quantity.get('unit', '')}".strip()
    elif "valueString" in observation:
        value = observation["valueString"]
    elif "valueCodeableConcept" in observation:
        value = _words(observation["valueCodeableConcept"])
    else:
        return None
    letters = [
        one.get("code", "")
        for each in observation.get("interpretation", ())
        for one in each.get("coding", ())
    ]
    return Result(name, value, letters[0] if letters else "")


def retyped(record: Record, key: str) -> Typed:
    """A visit as a form again, to correct one that was taken back."""
    signs = {name: _plain(value) for name, value in record.values.items() if name in vitals.BY_NAME}
    return Typed(
        key=key,
        signs=signs,
        complaint=record.complaint,
        diagnoses=record.diagnoses,
        note=record.note,
        medicines=record.medicines,
        follow_up=shown_date(record.follow_up),
    )


# -- taking back --------------------------------------------------------------------------------


def withdrawn(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource marked as entered in error: it stays in the history and counts no more."""
    out = dict(resource)
    out.pop("meta", None)
    if out["resourceType"] == "Condition":
        # con-5: without a clinical status when it was never true.
        out.pop("clinicalStatus", None)
        out["verificationStatus"] = {"coding": [{"system": VERIFIED, "code": "entered-in-error"}]}
    else:
        out["status"] = "entered-in-error"
    return out


def may_withdraw(record: Record, actor: Actor, today: date) -> bool:
    """On the same day, by whoever wrote it; after that a correction is a new visit's note."""
    return (
        not record.withdrawn and record.by_ref == actor.id and record.at[:10] == today.isoformat()
    )


# -- from the memory ----------------------------------------------------------------------------


def parts_of(session: Session, encounter: str) -> list[Any]:
    """The versions of all resources that make up a visit (without the Encounter itself)."""
    return [
        version
        for kind in PARTS
        for version in session.search(
            kind, [("encounter", f"Encounter/{encounter}"), ("_count", "200")]
        ).versions
    ]
