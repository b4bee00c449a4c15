"""Scopes in words that a citizen understands: `patient/Observation.rs` is "See results and
measurements of one person".

A right that has no words of its own is named by its FHIR type: better an odd word than a hidden
right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sokhoe.trust import Deed, Purpose, scope_deeds
from sokhoe.web import Speaker, key

TYPES = {
    "*": key("the whole health record"),
    "Patient": key("name, birth date and address"),
    "Observation": key("results and measurements"),
    "DiagnosticReport": key("result reports"),
    "Condition": key("illnesses"),
    "AllergyIntolerance": key("allergies"),
    "MedicationRequest": key("prescriptions"),
    "MedicationStatement": key("medicines taken"),
    "MedicationDispense": key("medicines handed out"),
    "MedicationAdministration": key("medicines given"),
    "Immunization": key("vaccinations"),
    "Encounter": key("visits"),
    "Procedure": key("procedures"),
    "DocumentReference": key("documents"),
    "Composition": key("documents"),
    "ServiceRequest": key("orders and referrals"),
    "Appointment": key("appointments"),
    "CarePlan": key("care plans"),
    "FamilyMemberHistory": key("illnesses in the family"),
    "Coverage": key("health insurance"),
    "Claim": key("claims"),
    "Consent": key("consents"),
    "RelatedPerson": key("relatives"),
    "Practitioner": key("names of staff"),
    "PractitionerRole": key("names of staff"),
    "Organization": key("names of facilities"),
    "Location": key("names of facilities"),
    "Task": key("tasks"),
    "Subscription": key("being told of changes"),
    "Binary": key("files"),
}
DEEDS = {
    frozenset({Deed.READ, Deed.SEARCH}): key("See"),
    frozenset({Deed.WRITE}): key("Add and change"),
    frozenset({Deed.DELETE}): key("Delete"),
}
LEVELS = {
    "patient": key("of one person only"),
    "user": key("of everyone whose record you may see yourself"),
    "system": key("of everyone, without anybody being asked"),
}
# The data classes of agreements (trust/agreements.py) and what they are for.
AGREED = {
    "people": key("who people are"),
    "visits": key("visits"),
    "illnesses": key("illnesses"),
    "results": key("results and measurements"),
    "medicines": key("medicines"),
    "vaccinations": key("vaccinations"),
    "documents": key("documents"),
    "payments": key("insurance and payments"),
    "numbers": key("numbers without names"),
    "news": key("being told of changes"),
    "directory": key("names of facilities and staff, code lists"),
}
PURPOSES = {
    Purpose.TREAT: key("care of patients"),
    Purpose.PUBHLTH: key("public health"),
    Purpose.HOPERAT: key("running the service"),
}
WORDS = {
    "openid": key("Learn that it is you (a name for you that only this app knows)"),
    "fhirUser": key("Learn who you are in this system"),
    "launch": key("Learn whose record is open"),
    "launch/patient": key("Learn which person you choose"),
    "online_access": key("Go on while you are signed in here"),
    "offline_access": key("Go on when you are not here, until you end it"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A scope and what it means."""

    scope: str
    text: str


def said(scope: str, t: Speaker) -> str:
    """One scope in the reader's language."""
    if scope in WORDS:
        return t(WORDS[scope])
    found = scope_deeds(scope)
    if found is None:
        return scope
    type, deeds = found
    doing = [t(text) for of, text in DEEDS.items() if of & deeds]
    what = t(TYPES[type]) if type in TYPES else t("records of the kind {type}", type=type)
    level = scope.partition("/")[0]
    some = t(" (a part of them)") if "?" in scope else ""
    return f"{', '.join(doing)}: {what}{some}, {t(LEVELS[level])}"


def all_said(scopes: Iterable[str], t: Speaker) -> list[Said]:
    return [Said(one, said(one, t)) for one in scopes]
