"""Opening a record in an emergency, seeing what is open, and judging it afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from sokhoe.clinic.visits import diagnosis_of, dose_of
from sokhoe.errors import Invalid, NotFound
from sokhoe.people import identity_of
from sokhoe.trust import Purpose, Session, emergency_reasons
from sokhoe.web import Ask, key

REASONS: Mapping[str, str] = {
    "unconscious": key("The person cannot answer (unconscious, confused, a small child alone)"),
    "life-threat": key("Life is in danger and the history must be known now"),
    "urgent-medicine": key("A medicine must be given now; allergies or medicines must be known"),
    "public-danger": key("Others are in danger (dangerous infection, poisoning)"),
}
SHOWN = "50"


def open_(ask: Ask) -> Response:
    """GET, POST /emergency: the number of the person, a reason, what has happened."""
    if ask.request.method == "GET":
        return _form(ask, {})
    number = ask.field("number")
    openings = ask.site.gate.emergencies
    patient = f"Patient/{ask.field('patient')}" if ask.field("patient") else ""
    if not patient and number:
        identity = identity_of(ask.site)
        card = identity.read_card(number)
        number = (card and card.citizen_id) or number
        systems = (identity.citizen_system, identity.insurance_system)
        patient = openings.find(ask.session, [f"{one}|{number}" for one in systems])
    try:
        made = openings.open(
            ask.session, patient or "Patient/-", ask.field("reason"), ask.field("text")
        )
    except Invalid as error:
        where = error.issues[0].location or "text"
        return _form(ask, {where: ask.t(f"error:{error.slug}")}, status=422)
    except NotFound as error:
        return _form(ask, {"number": ask.t(f"error:{error.slug}")}, status=404)
    own = patient if patient in made.patients else min(made.patients)
    return ask.go(f"/emergency/{own.removeprefix('Patient/')}")


def _form(ask: Ask, errors: Mapping[str, str], status: int = 200) -> Response:
    named = [(code, ask.t(REASONS[code])) for code in emergency_reasons()]
    return ask.render(
        "clinic/emergency.html",
        status=status,
        errors=errors,
        reasons=named,
        patient=ask.field("patient") or ask.query("patient"),
        typed={name: ask.field(name) for name in ("number", "reason", "text")},
        open=[_line(ask, one.patients, one.until) for one in _living(ask)],
    )


def _living(ask: Ask) -> list[Any]:
    found: list[Any] = ask.site.gate.emergencies.living(ask.actor)
    return found


def _line(ask: Ask, patients: frozenset[str], until: int) -> tuple[str, str, int]:
    first = min(patients)
    found = _session(ask).read_many([first])
    return (first.removeprefix("Patient/"), _name(found[0].resource) if found else "", until)


def _session(ask: Ask) -> Session:
    """The same person, in an emergency: what was opened to him, and nothing else."""
    found: Session = ask.site.gate.session(ask.actor, Purpose.ETREAT, ask.address)
    return found


def opened(ask: Ask) -> Response:
    """GET /emergency/{id}: what helps now, of all facilities, as long as it is open."""
    ref = f"Patient/{ask.path['id']}"
    opening = next((one for one in _living(ask) if ref in one.patients), None)
    if opening is None:
        raise NotFound("This record is not open to you.", slug="not-open")
    session = _session(ask)
    people = ("patient", ",".join(sorted(opening.patients)))

    def found(type: str) -> list[Mapping[str, Any]]:
        return [one.resource for one in session.search(type, [people, ("_count", SHOWN)]).versions]

    faces = session.read_many(sorted(opening.patients))
    return ask.render(
        "clinic/opened.html",
        name=_name(faces[0].resource) if faces else "",
        birth=next((one.resource.get("birthDate", "") for one in faces), ""),
        until=opening.until,
        allergies=[_said(one.get("code", {})) for one in found("AllergyIntolerance")],
        problems=[
            (diagnosis_of(one), str(one.get("recordedDate", ""))[:10]) for one in found("Condition")
        ],
        medicines=[
            (dose_of(one), str(one.get("authoredOn", ""))[:10])
            for one in found("MedicationRequest")
        ],
        results=[
            (_said(one.get("code", {})), _value(one), str(one.get("effectiveDateTime", ""))[:10])
            for one in found("Observation")
        ],
    )


def reviews(ask: Ask) -> Response:
    """GET /emergency/reviews: what was opened here, to be judged within three days."""
    listed = ask.site.gate.emergencies.reviews(ask.session)
    return ask.render("clinic/reviews.html", reviews=listed, reasons=REASONS)


def judge(ask: Ask) -> Response:
    """POST /emergency/reviews/{id}."""
    said = ask.field("justified")
    if said not in ("yes", "no"):
        raise Invalid("Say whether it was right.", slug="opening-judgement", location="justified")
    ask.site.gate.emergencies.judge(ask.session, ask.path["id"], said == "yes", ask.field("text"))
    return ask.go("/emergency/reviews")


def _name(patient: Mapping[str, Any]) -> str:
    name: Mapping[str, Any] = next(iter(patient.get("name", ())), {})
    return str(name.get("text") or " ".join([name.get("family", ""), *name.get("given", ())]))


def _said(concept: Mapping[str, Any]) -> str:
    coding: Mapping[str, Any] = next(iter(concept.get("coding", ())), {})
    return str(concept.get("text") or coding.get("display") or coding.get("code") or "?")


def _value(observation: Mapping[str, Any]) -> str:
    if amount := observation.get("valueQuantity"):
        return f"{amount.get('value', '')} {amount.get('unit', '')}".strip()
    if concept := observation.get("valueCodeableConcept"):
        return _said(concept)
    return str(observation.get("valueString", ""))
