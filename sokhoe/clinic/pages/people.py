"""Find, register, see and correct a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from sokhoe import clock
from sokhoe.clinic import summary
from sokhoe.clinic.finding import Alike, Found, alike, find
from sokhoe.clinic.pages.words import GENDERS, age_text, bar
from sokhoe.clinic.patients import (
    FIELDS,
    Face,
    Typed,
    age,
    check,
    face_of,
    from_card,
    mother,
    new_id,
    resource,
    typed_of,
)
from sokhoe.clinic.visits import record
from sokhoe.errors import Conflict
from sokhoe.people import CardFacts, Identity, identity_of
from sokhoe.trust import Change, Put, Version
from sokhoe.web import Ask, key

VISITS = 5


def people(ask: Ask) -> Response:
    """GET /people?q=: find; a scanned card opens the person or a filled-in registration."""
    words = ask.query("q").strip()
    identity = identity_of(ask.site)
    found = find(ask.session, identity, words) if words else Found(())
    card = found.card
    if not ask.is_fragment:
        if card and len(found.faces) == 1:
            return ask.go(f"/people/{found.faces[0].id}")
        if card and card.name and not found.faces:
            return _form(ask, from_card(card), said=key("This card is new here. Check and save."))
    today = clock.today()
    rows = [
        (face, age_text(ask.t, age(face.birth, today)), _sex(ask, face)) for face in found.faces
    ]
    return ask.render("clinic/people.html", q=words, rows=rows, more=found.more)


def _sex(ask: Ask, face: Face) -> str:
    return ask.t(GENDERS.get(face.gender, GENDERS["unknown"]))


def new(ask: Ask) -> Response:
    """GET, POST /people/new: register. `do=card` only reads the scanned text into the fields."""
    identity = identity_of(ask.site)
    mother_id = ask.query("mother") or ask.field("mother")
    if ask.request.method == "GET":
        typed = Typed(name=ask.query("name"))
        return _form(ask, _child_of(ask, identity, mother_id) if mother_id else typed)
    typed = _typed(ask)
    scanned = ask.field("card")
    if ask.field("do") == "card" and not scanned:  # Enter in a field, where no script helps
        return _form(ask, typed)
    if scanned:
        facts = identity.read_card(scanned)
        if facts is None:
            wrong = ask.t(
                "This text is not a card we can read. Scan again, or type the fields below."
            )
            return _form(ask, typed, errors={"card": wrong}, card=scanned, status=422)
        typed = from_card(facts, typed)
        if ask.field("do") != "save":
            return _form(ask, typed, said=key("The card has been read. Check and save."))
    return _save_new(ask, identity, typed, mother_id)


def _save_new(ask: Ask, identity: Identity, typed: Typed, mother_id: str) -> Response:
    id = new_id(ask.field("key"))
    errors = {name: ask.t(text) for name, text in check(typed, clock.today(), identity).items()}
    if errors:
        return _form(ask, typed, errors=errors, status=422)
    others = alike(ask.session, identity, typed, but=id)
    doubts = _doubts(identity, typed)
    if any(one.same_number for one in others):
        errors["citizen_id"] = ask.t("Somebody is already registered with this number.")
        return _form(ask, typed, errors=errors, others=others, status=422)
    if (others or doubts) and not ask.field("sure"):
        return _form(ask, typed, others=others, doubts=doubts, status=422)
    changes: list[Change] = [
        Put(resource(typed, identity, id=id, place=ask.actor.place), if_version=0)
    ]
    if mother_id:
        changes += _tie(ask, identity, mother_id, f"Patient/{id}")
    try:
        ask.session.commit(changes, note="registered")
    except Conflict:
        # Pressed twice: this very person is already saved. Anything else is a real conflict.
        if ask.session.read("Patient", id).deleted:
            raise
    return ask.go(f"/people/{id}")


def _child_of(ask: Ask, identity: Identity, mother_id: str) -> Typed:
    """A newborn's form as far as the mother's record fills it in."""
    face = face_of(ask.session.read("Patient", mother_id).resource, identity)
    day = clock.today()
    return Typed(
        name=ask.t("Child of {name}", name=face.name),
        birth=f"{day:%d/%m/%Y}",
        phone=face.phone,
        address=face.address,
    )


def _tie(ask: Ask, identity: Identity, mother_id: str, child: str) -> list[Change]:
    """The mother as the child's RelatedPerson, and her own record pointing to that
    (hl7.org/fhir/R4/patient.html#maternity)."""
    version = ask.session.read("Patient", mother_id)
    her = version.resource
    related = mother(
        child, face_of(her, identity), identity, id=new_id(ask.field("key"), "RelatedPerson")
    )
    link = {"other": {"reference": f"RelatedPerson/{related['id']}"}, "type": "seealso"}
    her["link"] = [*her.get("link", []), link]
    return [Put(related, if_version=0), Put(her, if_version=version.version)]


def _doubts(identity: Identity, typed: Typed) -> list[str]:
    """What speaks against the number: catalogue keys of the pack."""
    if not typed.citizen_id:
        return []
    whole = resource(typed, identity, id="x", place="")
    return identity.warnings(typed.citizen_id, whole.get("birthDate", ""), typed.gender)


def _typed(ask: Ask) -> Typed:
    return Typed(**{name: ask.field(name) for name in FIELDS})


def _form(
    ask: Ask,
    typed: Typed,
    *,
    errors: dict[str, str] | None = None,
    others: list[Alike] | None = None,
    doubts: list[str] | None = None,
    said: str = "",
    card: str = "",
    status: int = 200,
) -> Response:
    today = clock.today()
    return ask.render(
        "clinic/register.html",
        status=status,
        typed=typed,
        key=ask.field("key") or str(uuid4()),
        errors=errors or {},
        others=[
            (one, age_text(ask.t, age(one.face.birth, today)), _sex(ask, one.face))
            for one in others or ()
        ],
        doubts=doubts or [],
        said=said,
        card=card,
        mother=ask.query("mother") or ask.field("mother"),
        genders=_genders(ask),
    )


def _genders(ask: Ask) -> list[tuple[str, str]]:
    return [(code, ask.t(text).capitalize()) for code, text in GENDERS.items() if code != "unknown"]


def person(ask: Ask) -> Response:
    """GET /people/{id}: the summary page."""
    session, id = ask.session, ask.path["id"]
    identity = identity_of(ask.site)
    face = face_of(session.read("Patient", id).resource, identity)
    months = age(face.birth, clock.today()).months
    of = ("patient", id)
    visits = session.search("Encounter", [of, ("_sort", "-date"), ("_count", str(VISITS + 5))])
    signs = session.search(
        "Observation",
        [of, ("category", "vital-signs"), ("_sort", "-date"), ("_count", "80")],
    )
    conditions = _found(session.search("Condition", [of, ("_count", "200")]).versions)
    requests = session.search("MedicationRequest", [of, ("_sort", "-authoredon"), ("_count", "60")])
    alerts = summary.allergies(allergy_resources(ask, id))
    return ask.render(
        "clinic/person.html",
        face=face,
        bar=bar(ask, face, alerts, link=False),
        trends=summary.trends(_found(signs.versions), months),
        problems=summary.problems(conditions)[:8],
        current=summary.current(_found(requests.versions), clock.today()),
        visits=_visits(visits.versions, conditions)[:VISITS],
        draft=ask.site.rooms["clinic"].find(ask.actor.id, id),
    )


def _visits(versions: tuple[Version, ...], conditions: list[dict[str, Any]]) -> list[Any]:
    by_visit: dict[str, list[dict[str, Any]]] = {}
    for one in conditions:
        by_visit.setdefault(one.get("encounter", {}).get("reference", ""), []).append(one)
    made = []
    for version in versions:
        visit = record(version.resource, by_visit.get(version.ref, ()))
        if not visit.withdrawn:
            made.append((visit, version))
    return made


def _found(versions: tuple[Version, ...]) -> list[dict[str, Any]]:
    return [one.resource for one in versions]


def allergy_resources(ask: Ask, id: str) -> list[dict[str, Any]]:
    return _found(
        ask.session.search("AllergyIntolerance", [("patient", id), ("_count", "50")]).versions
    )


def add_allergy(ask: Ask) -> Response:
    """POST /people/{id}/allergies."""
    id = ask.path["id"]
    ask.session.read("Patient", id)
    text, reaction = ask.field("substance")[:200], ask.field("reaction")[:200]
    if text:
        made: dict[str, Any] = {
            "resourceType": "AllergyIntolerance",
            "id": new_id(ask.field("key") or str(uuid4()), "Allergy"),
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                        "code": "active",
                    }
                ]
            },
            "code": {"text": text},
            "patient": {"reference": f"Patient/{id}"},
            "recordedDate": clock.iso_local(clock.now()),
            "recorder": {"reference": ask.actor.id, "display": ask.actor.name},
        }
        if reaction:
            made["reaction"] = [{"manifestation": [{"text": reaction}], "description": reaction}]
        try:
            ask.session.commit([Put(made, if_version=0)], note="allergy")
        except Conflict:  # pressed twice
            return ask.go(f"/people/{id}")
    return ask.go(f"/people/{id}")


def edit(ask: Ask) -> Response:
    """GET, POST /people/{id}/edit: correct the demographics."""
    identity = identity_of(ask.site)
    version = ask.session.read("Patient", ask.path["id"])
    standing = version.resource
    if ask.request.method == "GET":
        return _edit_form(ask, typed_of(standing, identity), version)
    typed = _typed(ask)
    if ask.field("do") == "card" and not ask.field("card"):
        return _edit_form(ask, typed, version)
    if ask.field("card"):
        facts: CardFacts | None = identity.read_card(ask.field("card"))
        if facts is None:
            said = {
                "card": ask.t(
                    "This text is not a card we can read. Scan again, or type the fields below."
                )
            }
            return _edit_form(ask, typed, version, errors=said, status=422)
        typed = from_card(facts, typed)
        if ask.field("do") != "save":
            return _edit_form(ask, typed, version)
    errors = {name: ask.t(text) for name, text in check(typed, clock.today(), identity).items()}
    others = [] if errors else alike(ask.session, identity, typed, but=version.id)
    if any(one.same_number for one in others):
        errors["citizen_id"] = ask.t("Somebody else is already registered with this number.")
    if errors:
        return _edit_form(ask, typed, version, errors=errors, status=422)
    doubts = _doubts(identity, typed)
    if doubts and not ask.field("sure"):
        return _edit_form(ask, typed, version, doubts=doubts, status=422)
    if ask.field("version") != str(version.version):
        said = {
            "name": ask.t(
                "Somebody changed this person meanwhile. Check the fields and save again."
            )
        }
        return _edit_form(ask, typed, version, errors=said, status=409)
    changed = resource(typed, identity, id=version.id, place=ask.actor.place, standing=standing)
    ask.session.commit([Put(changed, if_version=version.version)], note="edited")
    return ask.go(f"/people/{version.id}")


def _edit_form(
    ask: Ask,
    typed: Typed,
    version: Version,
    *,
    errors: dict[str, str] | None = None,
    doubts: list[str] | None = None,
    status: int = 200,
) -> Response:
    # A birth date, once typed wrongly, must be shown as typed and not as we would have read it.
    return ask.render(
        "clinic/edit.html",
        status=status,
        typed=replace(typed),
        id=version.id,
        version=version.version,
        errors=errors or {},
        doubts=doubts or [],
        genders=_genders(ask),
    )
