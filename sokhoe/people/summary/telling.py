"""A section in words: a table that a person can read where no program does. Pure.

Everything from a record is escaped; there is nothing in it but text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from sokhoe.people.summary.choosing import status_of, when
from sokhoe.web import Speaker, key

Resource = dict[str, Any]
Friends = Mapping[str, Resource]  # by reference: medicines and devices that entries refer to
LONGEST = 500  # letters of one cell
_CRITICALITY = {
    "high": key("dangerous"),
    "low": key("not dangerous"),
    "unable-to-assess": key("danger not known"),
}
_STATUS = {
    "active": key("active"),
    "recurrence": key("active again"),
    "relapse": key("active again"),
    "inactive": key("inactive"),
    "remission": key("in remission"),
    "resolved": key("over"),
    "on-hold": key("paused"),
    "completed": key("completed"),
    "intended": key("planned"),
}


def narrative(rows: Sequence[tuple[str, str, str]], nothing: str, t: Speaker) -> dict[str, str]:
    """A FHIR Narrative of rows (what, when, more), or of the sentence `nothing`."""
    language = escape(t.language, quote=True)
    head = f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}">'
    if not rows:
        return {"status": "generated", "div": f"{head}<p>{escape(nothing)}</p></div>"}
    titles = (t("What"), t("When"), t("More"))
    lines = ["<tr>" + "".join(f"<th>{escape(one)}</th>" for one in titles) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{escape(_clean(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    body = f"<table><tbody>{''.join(lines)}</tbody></table>"
    return {"status": "generated", "div": f"{head}{body}</div>"}


def row(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str, str]:
    """A record as (what, when, more)."""
    what, more = _TOLD[one["resourceType"]](one, friends, t)
    return what or t("without a name"), _day(when(one), t), more


def _condition(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    return words(one.get("code")), _status(one, t)


def _allergy(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    criticality = _CRITICALITY.get(one.get("criticality", ""))
    reactions = [
        words(each)
        for reaction in one.get("reaction", [])
        for each in reaction.get("manifestation", [])
    ]
    more = [t(criticality)] if criticality else []
    return words(one.get("code")), "; ".join(filter(None, [*more, *reactions, _status(one, t)]))


def _medication(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    concept = one.get("medicationCodeableConcept")
    reference = one.get("medicationReference", {})
    friend = friends.get(reference.get("reference", ""), {})
    what = words(concept) or words(friend.get("code")) or reference.get("display", "")
    dosages = one.get("dosageInstruction", []) + one.get("dosage", [])
    more = [each.get("text") or each.get("patientInstruction", "") for each in dosages]
    state = _STATUS.get(one.get("status", ""))
    return what, "; ".join(filter(None, [*more, t(state) if state else ""]))


def _immunization(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    doses = [
        str(each.get("doseNumberPositiveInt") or each.get("doseNumberString") or "")
        for each in one.get("protocolApplied", [])
    ]
    more = [t("dose {number}", number=each) for each in doses if each]
    return words(one.get("vaccineCode")), "; ".join(more)


def _observation(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    parts = [
        f"{words(part.get('code'))} {value(part, t)}".strip() for part in one.get("component", [])
    ]
    marks = [words(each) for each in one.get("interpretation", [])]
    return words(one.get("code")), "; ".join(filter(None, [value(one, t), *parts, *marks]))


def _report(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    more = [one.get("conclusion", ""), *(words(each) for each in one.get("conclusionCode", []))]
    return words(one.get("code")), "; ".join(filter(None, more))


def _procedure(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    places = [words(each) for each in one.get("bodySite", [])]
    return words(one.get("code")), "; ".join(filter(None, places))


def _device(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    reference = one.get("device", {})
    friend = friends.get(reference.get("reference", ""), {})
    named = [each.get("name", "") for each in friend.get("deviceName", [])]
    what = words(friend.get("type")) or next(iter(named), "") or reference.get("display", "")
    return what, words(one.get("bodySite"))


def _plan(one: Resource, friends: Friends, t: Speaker) -> tuple[str, str]:
    title = one.get("title") or next((words(each) for each in one.get("category", [])), "")
    steps = [
        each["detail"].get("description") or words(each["detail"].get("code"))
        for each in one.get("activity", [])
        if "detail" in each
    ]
    return title, "; ".join(filter(None, [one.get("description", ""), *steps]))


_TOLD: dict[str, Callable[[Resource, Friends, Speaker], tuple[str, str]]] = {
    "Condition": _condition,
    "AllergyIntolerance": _allergy,
    "MedicationStatement": _medication,
    "MedicationRequest": _medication,
    "Immunization": _immunization,
    "Observation": _observation,
    "DiagnosticReport": _report,
    "Procedure": _procedure,
    "DeviceUseStatement": _device,
    "CarePlan": _plan,
}


def words(concept: Any) -> str:
    """A concept as a person says it: its text, else a display, else the code."""
    if not isinstance(concept, dict):
        return ""
    if concept.get("text"):
        return str(concept["text"])
    shown = concept.get("coding", [])
    found = [one["display"] for one in shown if one.get("display")]
    found += [one["code"] for one in shown if one.get("code")]
    return str(found[0]) if found else ""


def value(one: Resource, t: Speaker) -> str:
    """The value of an observation or of a part of one."""
    quantity = one.get("valueQuantity")
    if isinstance(quantity, dict):
        unit = quantity.get("unit") or quantity.get("code", "")
        amount = t.number(quantity["value"]) if "value" in quantity else ""
        return f"{quantity.get('comparator', '')}{amount} {unit}".strip()
    if "valueBoolean" in one:
        return t("yes") if one["valueBoolean"] else t("no")
    if "valueDateTime" in one:
        return _day(one["valueDateTime"], t)
    for name in ("valueString", "valueInteger", "valueTime"):
        if name in one:
            return str(one[name])
    return words(one.get("valueCodeableConcept")) or words(one.get("dataAbsentReason"))


def _status(one: Resource, t: Speaker) -> str:
    state = _STATUS.get(status_of(one, "clinicalStatus"))
    return t(state) if state else ""


def _day(text: str, t: Speaker) -> str:
    return t.date(text) if text else ""


def _clean(text: str) -> str:
    """Without what XHTML cannot hold, and not endless."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return kept if len(kept) <= LONGEST else kept[: LONGEST - 1] + "…"
