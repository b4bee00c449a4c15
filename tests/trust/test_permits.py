"""Who may do what. The table below is a second, plain writing of the rules: it must agree with the
permits for every role, deed and type."""

from __future__ import annotations

import pytest

from sokhoe.errors import Forbidden
from sokhoe.fhir import TYPES
from sokhoe.trust import Actor, Deed, Purpose, Role
from sokhoe.trust.actors import USUAL_PURPOSE
from sokhoe.trust.permits import DIRECTORY, allow, scope_deeds, scope_within

CARERS = {Role.NURSE, Role.DOCTOR, Role.HEAD}


def no_links(person: str) -> frozenset[str]:
    return frozenset()


def expected(role: Role, deed: Deed, type: str) -> bool:
    reading = deed in {Deed.READ, Deed.SEARCH}
    if type == "AuditEvent":
        return reading and role in {Role.HEAD, Role.AUDITOR, Role.CITIZEN}
    if type == "Binary":
        return False
    if role in CARERS:
        if reading:
            return True
        if type in DIRECTORY:
            return role is Role.HEAD and deed is Deed.WRITE
        return deed is Deed.WRITE or role is not Role.NURSE
    identity = {"Patient", "Person", "RelatedPerson", "Linkage", "Task", "Provenance"}
    if role is Role.STEWARD:
        if reading:
            return type in identity or type in DIRECTORY
        return deed is Deed.WRITE and type in identity - {"Patient"}
    if role is Role.STATISTICIAN:
        return reading and (type in {"MeasureReport", "Measure", "Group"} or type in DIRECTORY)
    if role in {Role.AUDITOR, Role.OPERATOR}:
        return reading and type in DIRECTORY
    return role is Role.CITIZEN and reading


def permitted(actor: Actor, deed: Deed, type: str) -> bool:
    try:
        allow(actor, USUAL_PURPOSE[actor.role], deed, type, no_links)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("role", [role for role in Role if role not in {"software", "machine"}])
def test_the_permits_say_what_the_rules_say(role: Role) -> None:
    actor = Actor("Practitioner/1", "Somebody", role)
    wrong = [
        (deed, type)
        for deed in Deed
        for type in sorted(TYPES)
        if permitted(actor, deed, type) != expected(role, deed, type)
    ]
    assert wrong == []


def test_a_doctor_for_research_is_refused() -> None:
    doctor = Actor("Practitioner/1", "Doctor", Role.DOCTOR)
    with pytest.raises(Forbidden):
        allow(doctor, Purpose.PUBHLTH, Deed.READ, "Observation", no_links)


def test_a_citizen_is_bound_to_the_linked_patients() -> None:
    citizen = Actor("Person/7", "Citizen", Role.CITIZEN)
    scope = allow(
        citizen, Purpose.PATRQT, Deed.SEARCH, "Observation", lambda _: frozenset({"Patient/1"})
    )
    assert scope.patients == frozenset({"Patient/1"})
    unlinked = allow(citizen, Purpose.PATRQT, Deed.SEARCH, "Observation", no_links)
    assert unlinked.patients == frozenset()  # nobody, not everybody
    assert unlinked.open == DIRECTORY


@pytest.mark.parametrize(
    ("scope", "type", "deeds"),
    [
        ("system/*.cruds", "*", set(Deed)),
        ("system/Patient.rs", "Patient", {Deed.READ, Deed.SEARCH}),
        ("system/Observation.read", "Observation", {Deed.READ, Deed.SEARCH}),
        ("system/Observation.write", "Observation", {Deed.WRITE, Deed.DELETE}),
        ("user/Task.cu", "Task", {Deed.WRITE}),
    ],
)
def test_scopes_are_read_in_both_versions(scope: str, type: str, deeds: set[Deed]) -> None:
    assert scope_deeds(scope) == (type, frozenset(deeds))


@pytest.mark.parametrize(
    "scope",
    ["", "openid", "system/Patient", "system/Patient.", "group/*.rs", "system/*.sr", "*/*.rs",
     "system/Observation.cruds?category=laboratory"],
)  # fmt: skip
def test_a_scope_that_is_not_understood_grants_nothing(scope: str) -> None:
    assert scope_deeds(scope) is None


def test_a_wildcard_never_opens_the_audit() -> None:
    software = Actor("Device/1", "Software", Role.SOFTWARE, scopes=("system/*.cruds",))
    assert permitted(software, Deed.READ, "Observation")
    assert not permitted(software, Deed.READ, "AuditEvent")


def through(role: Role, *scopes: str, patient: str = "") -> Actor:
    return Actor("Practitioner/1", "x", role, scopes=scopes, client="app", patient=patient)


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.SOFTWARE, Role.MACHINE}))
def test_through_an_app_nobody_may_more_than_by_himself(role: Role) -> None:
    purpose = USUAL_PURPOSE[role]
    plain = Actor("Practitioner/1", "x", role)
    app = through(role, "user/*.cruds", "patient/*.cruds", "system/*.cruds", patient="Patient/1")
    for type in sorted(TYPES):
        for deed in Deed:
            if not permitted(app, deed, type):
                continue
            with_app = allow(app, purpose, deed, type, no_links)
            alone = allow(plain, purpose, deed, type, no_links)
            assert with_app.types is not None and alone.types is not None
            assert with_app.types <= alone.types
            assert with_app.patients == alone.patients


def test_an_app_with_a_scope_of_software_gets_nothing_for_a_person() -> None:
    for scope in ("system/*.cruds", "openid", "launch/patient"):
        assert not permitted(through(Role.DOCTOR, scope), Deed.READ, "Observation")
    software = Actor("Device/1", "x", Role.SOFTWARE, scopes=("user/*.rs", "patient/*.rs"))
    assert not permitted(software, Deed.READ, "Observation")


def test_an_app_for_one_patient_is_bound_to_that_patient() -> None:
    app = through(Role.DOCTOR, "patient/*.rs", "user/Condition.rs", patient="Patient/1")
    bound = allow(app, Purpose.TREAT, Deed.SEARCH, "Observation", no_links)
    assert bound.patients == frozenset({"Patient/1"}) and bound.open == DIRECTORY
    free = allow(app, Purpose.TREAT, Deed.SEARCH, "Condition", no_links)
    assert free.patients is None and free.types == frozenset({"Condition"})
    assert not permitted(through(Role.DOCTOR, "patient/*.rs"), Deed.READ, "Observation")
    assert not permitted(app, Deed.READ, "AuditEvent")
    stranger = through(Role.CITIZEN, "patient/*.rs", patient="Patient/9")
    own = allow(stranger, Purpose.PATRQT, Deed.READ, "Observation", lambda _: frozenset({"P/1"}))
    assert own.patients == frozenset({"P/1"})  # the citizen's own, whatever the app is about


@pytest.mark.parametrize(
    ("role", "scope", "within"),
    [
        (Role.NURSE, "user/Observation.cruds", "user/Observation.crus"),
        (Role.NURSE, "patient/Observation.cruds", "patient/Observation.rs"),
        (Role.CITIZEN, "user/*.cruds", "user/*.rs"),
        (Role.CITIZEN, "patient/Observation.write", ""),
        (Role.DOCTOR, "user/Observation.read", "user/Observation.rs"),
        (Role.OPERATOR, "user/Observation.rs", ""),
        (Role.DOCTOR, "system/*.rs", ""),
        (Role.DOCTOR, "openid", ""),
    ],
)
def test_what_a_person_can_let_an_app_have(role: Role, scope: str, within: str) -> None:
    assert scope_within(Actor("x", "x", role), USUAL_PURPOSE[role], scope) == within


def test_a_machine_does_only_what_its_room_needs() -> None:
    people = Actor("Device/people", "people", Role.MACHINE, room="people")
    assert permitted(people, Deed.READ, "Patient")
    assert not permitted(people, Deed.WRITE, "Patient")  # sources stay untouched
    assert not permitted(people, Deed.READ, "Observation")
    stranger = Actor("Device/x", "x", Role.MACHINE, room="nowhere")
    assert not permitted(stranger, Deed.READ, "Patient")
