"""The visit: write it on one page, see it, print it, take it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from starlette.responses import HTMLResponse, Response

from sokhoe import clock
from sokhoe.clinic import summary, vitals
from sokhoe.clinic.checks import allergy_clashes, doubled
from sokhoe.clinic.diagnoses import diagnosis, find_diagnoses
from sokhoe.clinic.drafts import Drafts
from sokhoe.clinic.pages.people import allergy_resources
from sokhoe.clinic.pages.words import bar
from sokhoe.clinic.patients import Face, age, face_of
from sokhoe.clinic.seams import Catalogue, Term, catalogue_of, medicine
from sokhoe.clinic.visits import (
    ROWS,
    Checked,
    Diagnosis,
    Dose,
    Record,
    Typed,
    check,
    dose_of,
    encounter_id,
    may_withdraw,
    parts_of,
    record,
    resources,
    retyped,
    withdrawn,
)
from sokhoe.errors import Conflict, Forbidden, Gone, NotFound
from sokhoe.people import identity_of
from sokhoe.trust import Put
from sokhoe.web import Ask

FOUND = 12
MOST_ROWS = 30


def visit(ask: Ask) -> Response:
    """GET, POST /people/{id}/visit. `do`: save, find, repeat, more, drop-N, words, check;
    `add`: the code of a diagnosis. Whatever is pressed, everything typed stays."""
    patient = ask.path["id"]
    face = face_of(ask.session.read("Patient", patient).resource, identity_of(ask.site))
    drafts: Drafts = ask.site.rooms["clinic"]
    if ask.request.method == "GET":
        return _begin(ask, face, drafts)
    if ask.field("do") == "discard":
        drafts.drop(ask.actor.id, patient)
        return ask.go(f"/people/{patient}/visit")
    catalogue = catalogue_of(ask.site)
    typed = _changed(ask, _typed(ask, catalogue), face)
    if ask.field("do") == "save":
        return _save(ask, face, typed, drafts)
    drafts.keep(ask.actor.id, patient, typed)
    found, words = _search(ask)
    return _form(ask, face, typed, found=found, words=words)


def _begin(ask: Ask, face: Face, drafts: Drafts) -> Response:
    again = ask.query("again")
    if again:
        old = _read(ask, again)
        if old.patient != face.ref:
            raise NotFound(f"There is no Encounter/{again} of this person.")
        return _form(ask, face, retyped(old, str(uuid4())))
    draft = drafts.find(ask.actor.id, face.id)
    if draft:
        return _form(ask, face, draft.typed, resumed=draft.at)
    return _form(ask, face, Typed(key=str(uuid4())))


def _typed(ask: Ask, catalogue: Catalogue) -> Typed:
    """The form's fields. A medicine that the catalogue knows by name gets its code and unit."""
    lasting = set(ask.fields("lasting"))
    texts, codes, systems = ask.fields("dx_text"), ask.fields("dx_code"), ask.fields("dx_system")
    diagnoses = tuple(
        Diagnosis(text, code, system, str(row) in lasting)
        for row, (text, code, system) in enumerate(zip(texts, codes, systems, strict=False))
        if text
    )
    rows = min(int(ask.field("rows")) if ask.field("rows").isdecimal() else ROWS, MOST_ROWS)
    return Typed(
        key=ask.field("key") or str(uuid4()),
        signs={one.name: ask.field(one.name) for one in vitals.SIGNS},
        complaint=ask.field("complaint"),
        diagnoses=diagnoses,
        note=ask.field("note"),
        medicines=tuple(_dose(ask, row, catalogue) for row in range(rows)),
        follow_up=ask.field("follow_up"),
    )


def _dose(ask: Ask, row: int, catalogue: Catalogue) -> Dose:
    name = ask.field(f"medicine-{row}")
    known = medicine(catalogue, name)
    return Dose(
        name=name,
        dose=ask.field(f"dose-{row}"),
        quantity=ask.field(f"quantity-{row}"),
        unit=known.unit if known else "",
        days=ask.field(f"days-{row}"),
        code=known.code if known else "",
        system=known.system if known else "",
    )


def _changed(ask: Ask, typed: Typed, face: Face) -> Typed:
    """The form after its small buttons: add or drop a diagnosis, more rows, repeat the last."""
    do, add = ask.field("do"), ask.field("add")
    term = diagnosis(ask.site, add) if add else None
    if term and term.code not in {one.code for one in typed.diagnoses}:
        more = Diagnosis(term.name, term.code, term.system)
        return replace(typed, diagnoses=(*typed.diagnoses, more))
    if do == "words" and ask.field("dx_words"):
        more = Diagnosis(ask.field("dx_words"))
        return replace(typed, diagnoses=(*typed.diagnoses, more))
    if do.startswith("drop-"):
        kept = [one for row, one in enumerate(typed.diagnoses) if do != f"drop-{row}"]
        return replace(typed, diagnoses=tuple(kept))
    if do == "more":
        return replace(typed, medicines=(*typed.medicines, *[Dose()] * ROWS))
    if do == "repeat":
        written = [one for one in typed.medicines if not one.empty]
        names = {one.name for one in written}
        last = [one for one in _last_prescription(ask, face) if one.name not in names]
        return replace(typed, medicines=(*written, *last))
    return typed


def _last_prescription(ask: Ask, face: Face) -> Sequence[Dose]:
    """The medicines of the person's latest prescription, in one visit."""
    page = ask.session.search(
        "MedicationRequest",
        [("patient", face.id), ("status", "active"), ("_sort", "-authoredon"), ("_count", "30")],
    )
    found = [one.resource for one in page.versions]
    if not found:
        return ()
    last = found[0].get("encounter"), found[0].get("authoredOn", "")[:10]
    return [
        dose_of(one)
        for one in found
        if (one.get("encounter"), one.get("authoredOn", "")[:10]) == last
    ]


def _search(ask: Ask) -> tuple[Sequence[Term], str]:
    words = ask.field("dx_words")
    if ask.field("do") in {"find", "check"} and words and not ask.field("add"):
        return find_diagnoses(ask.site, words, FOUND), words
    return (), ""


def _save(ask: Ask, face: Face, typed: Typed, drafts: Drafts) -> Response:
    months = age(face.birth, clock.today()).months
    checked = check(typed, months, clock.today())
    alerts = summary.allergies(allergy_resources(ask, face.id))
    clashes = allergy_clashes(typed.medicines, alerts)
    twice = doubled(typed.medicines)
    doubts = bool(clashes or twice) and not ask.field("sure")
    if checked.problems or doubts:
        drafts.keep(ask.actor.id, face.id, typed)
        return _form(ask, face, typed, checked=checked, clashes=clashes, twice=twice, status=422)
    id = encounter_id(typed, face.ref)
    made = resources(
        typed, checked, patient=face.ref, months=months, actor=ask.actor, at=clock.now()
    )
    try:
        ask.session.commit([Put(one, if_version=0) for one in made], note="visit")
    except Conflict:
        standing = _standing(ask, id)
        if standing is None:
            raise
        if standing.fingerprint != typed.fingerprint:
            return _form(ask, face, typed, checked=checked, already=standing, status=409)
    drafts.drop(ask.actor.id, face.id)
    return ask.go(f"/visits/{id}?saved=1")


def _standing(ask: Ask, id: str) -> Record | None:
    try:
        return record(ask.session.read("Encounter", id).resource, ())
    except (NotFound, Gone):
        return None


def _form(
    ask: Ask,
    face: Face,
    typed: Typed,
    *,
    checked: Checked | None = None,
    found: Sequence[Term] = (),
    words: str = "",
    clashes: Sequence[tuple[str, str]] = (),
    twice: Sequence[str] = (),
    already: Record | None = None,
    resumed: clock.Instant = 0,
    status: int = 200,
) -> Response:
    t, today = ask.t, clock.today()
    seen = check(typed, age(face.birth, today).months, today)
    problems = checked.problems if checked else {}
    rows = list(typed.medicines)
    rows += [Dose()] * (ROWS - len(rows))
    alerts = summary.allergies(allergy_resources(ask, face.id))
    return ask.render(
        "clinic/visit.html",
        status=status,
        face=face,
        bar=bar(ask, face, alerts),
        typed=typed,
        rows=rows,
        signs=vitals.SIGNS,
        marks=seen.marks,
        bmi=seen.bmi,
        errors={
            name: t(one.text, **{k: _say(ask, v) for k, v in one.values.items()})
            for name, one in problems.items()
        },
        labels={one.name: t(one.label) for one in vitals.SIGNS},
        found=found,
        words=words,
        clashes=clashes,
        twice=twice,
        already=already,
        resumed=resumed,
        usual=catalogue_of(ask.site).medicines("", 60),
    )


def _say(ask: Ask, value: object) -> str:
    return ask.t(value) if isinstance(value, str) else ask.t.number(value)  # type: ignore[arg-type]


def diagnoses(ask: Ask) -> Response:
    """POST /visits/diagnoses: the found list alone, while words are typed (htmx)."""
    words = ask.field("dx_words")
    found = find_diagnoses(ask.site, words, FOUND) if len(words) > 1 else ()
    return ask.render("clinic/found.html", found=found, words=words)


def medicines(ask: Ask) -> Response:
    """POST /visits/medicines: options for the list below a medicine field (htmx)."""
    words = ask.field(ask.request.headers.get("hx-trigger-name", ""))
    return ask.render("clinic/medicines.html", usual=catalogue_of(ask.site).medicines(words, 20))


def draft(ask: Ask) -> Response:
    """POST /people/{id}/visit/draft: keep what is typed (htmx, every few seconds of typing)."""
    drafts: Drafts = ask.site.rooms["clinic"]
    typed = _typed(ask, catalogue_of(ask.site))
    kept = drafts.keep(ask.actor.id, ask.path["id"], typed)
    said = ask.t("Draft kept at {time}", time=ask.t.clock(kept.at)) if not typed.empty else ""
    return HTMLResponse(said)


def seen(ask: Ask) -> Response:
    """GET /visits/{id}: the visit as saved, ready for paper."""
    id = ask.path["id"]
    version = ask.session.read("Encounter", id)
    visit = record(version.resource, [one.resource for one in parts_of(ask.session, id)])
    patient = visit.patient.partition("/")[2]
    face, months, alerts = None, None, []
    try:
        face = face_of(ask.session.read("Patient", patient).resource, identity_of(ask.site))
        months = age(face.birth, clock.today()).months
        alerts = summary.allergies(allergy_resources(ask, face.id))
    except (NotFound, Gone):
        pass  # the person may arrive later than his visit (sync); the page says so
    return ask.render(
        "clinic/seen.html",
        visit=visit,
        version=version,
        face=face,
        bar=bar(ask, face, alerts, main=False) if face else None,
        values=_values(visit, months),
        may_withdraw=may_withdraw(visit, ask.actor, clock.today()),
        saved=ask.query("saved") == "1",
    )


def _values(visit: Record, months: int | None) -> list[dict[str, Any]]:
    """The signs as tiles, in the order of the form; both pressures in one."""
    shown: list[dict[str, Any]] = []
    for name in (*vitals.BY_NAME, "bmi"):
        if name not in visit.values:
            continue
        value, sign = visit.values[name], vitals.BY_NAME.get(name)
        judged = vitals.judge(name, value, months)
        label = sign.label if sign else summary.LABELS["bmi"]
        second = visit.values.get("diastolic") if name == "systolic" else None
        if second is not None:
            label = summary.LABELS["systolic"]
            judged = vitals.worse(judged, vitals.judge("diastolic", second, months))
        if name == "diastolic" and "systolic" in visit.values:
            continue
        unit = sign.unit if sign else "kg/m²"
        shown.append(
            {"label": label, "value": value, "second": second, "unit": unit, "judged": judged}
        )
    return shown


def undo(ask: Ask) -> Response:
    """POST /visits/{id}/undo: mark the visit and all its parts as entered in error."""
    id = ask.path["id"]
    version = ask.session.read("Encounter", id)
    parts = parts_of(ask.session, id)
    visit = record(version.resource, ())
    if visit.withdrawn:
        return ask.go(f"/visits/{id}")
    if not may_withdraw(visit, ask.actor, clock.today()):
        raise Forbidden(
            "A visit can be taken back on the same day, by whoever wrote it.",
            hint="Later, write the correction into a new visit.",
            slug="undo-late",
        )
    ask.session.commit(
        [Put(withdrawn(one.resource), if_version=one.version) for one in (version, *parts)],
        note="visit taken back",
    )
    return ask.go(f"/visits/{id}")


def _read(ask: Ask, id: str) -> Record:
    version = ask.session.read("Encounter", id)
    return record(version.resource, [one.resource for one in parts_of(ask.session, id)])
