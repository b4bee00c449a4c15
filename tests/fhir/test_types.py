"""What `validate` refuses, where it says so, and what it lets pass."""

from __future__ import annotations

import copy
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from sokhoe.errors import Invalid
from sokhoe.fhir import TYPES, decode, encode, quick, validate, validate_all

Json = dict[str, Any]


def a_patient(**more: Any) -> Json:
    return {
        "resourceType": "Patient",
        "id": "p-1",
        "active": True,
        "identifier": [{"system": "http://example.org/id", "value": "001"}],
        "name": [{"use": "official", "family": "Nguyễn", "given": ["Thị", "Hạnh"]}],
        "gender": "female",
        "birthDate": "1980-05-17",
        "managingOrganization": {"reference": "Organization/tram-1"},
        **more,
    }


def an_observation(**more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/p-1"},
        "effectiveDateTime": "2024-05-17T08:30:00+07:00",
        "valueQuantity": {"value": Decimal("72.50"), "unit": "kg"},
        **more,
    }


def without(resource: Json, name: str) -> Json:
    return {key: value for key, value in resource.items() if key != name}


def places(resource: Any) -> list[str]:
    return [issue.location for issue in validate_all(resource)]


def the_issue(resource: Any) -> tuple[str, str]:
    """The only problem, as location and message; `validate` must say the same."""
    (issue,) = validate_all(resource)
    with pytest.raises(Invalid) as caught:
        validate(resource)
    assert caught.value.status == 422
    assert caught.value.issues == (issue,)
    assert not quick.is_valid(resource)
    return issue.location, issue.message


@pytest.mark.parametrize("resource", [a_patient(), an_observation(), {"resourceType": "Patient"}])
def test_a_good_resource_passes(resource: Json) -> None:
    validate(resource)
    assert validate_all(resource) == []
    assert quick.is_valid(resource)


def test_there_are_146_types_and_no_abstract_or_foreign_one() -> None:
    assert len(TYPES) == 146
    assert {"Patient", "List", "CatalogEntry"} <= TYPES
    assert not {"Resource", "DomainResource", "Project", "SubscriptionStatus", "Element"} & TYPES


def test_an_unknown_element_is_named_with_the_one_that_was_meant() -> None:
    patient = a_patient(name=[{"famly": "Nguyễn"}])
    location, message = the_issue(patient)
    assert location == "Patient.name[0].famly"
    assert "Did you mean 'family'?" in message


def test_every_problem_is_named_not_only_the_first() -> None:
    patient = a_patient(active="yes", gender="F", birthDate="1980-13-40", name={"family": "A"})
    assert places(patient) == [
        "Patient.active",
        "Patient.name",
        "Patient.gender",
        "Patient.birthDate",
    ]
    with pytest.raises(Invalid, match=r"Patient.active: .*\(3 more problems\)"):
        validate(patient)


def test_an_answer_names_at_most_a_hundred_problems() -> None:
    patient = a_patient(name=[{"famly": "x"}] * 500)
    with pytest.raises(Invalid, match="at least 99 more") as caught:
        validate(patient)
    assert len(caught.value.issues) == 100
    assert len(validate_all(patient)) == 500


@pytest.mark.parametrize(
    ("change", "location"),
    [
        ({"active": "yes"}, "Patient.active"),
        ({"active": 1}, "Patient.active"),
        ({"multipleBirthInteger": True}, "Patient.multipleBirth"),
        ({"multipleBirthInteger": "2"}, "Patient.multipleBirth"),
        ({"multipleBirthInteger": Decimal("2.0")}, "Patient.multipleBirth"),
        ({"multipleBirthInteger": 2**31}, "Patient.multipleBirth"),
        ({"id": "a_b"}, "Patient.id"),
        ({"id": "x" * 65}, "Patient.id"),
        ({"implicitRules": "a b"}, "Patient.implicitRules"),
        ({"language": " vi"}, "Patient.language"),
        ({"language": "vi  VN"}, "Patient.language"),
        ({"gender": "F"}, "Patient.gender"),
        ({"gender": ["female"]}, "Patient.gender"),
        ({"gender": None}, "Patient.gender"),
        ({"gender": ""}, "Patient.gender"),
        ({"birthDate": 1980}, "Patient.birthDate"),
        ({"name": {"family": "A"}}, "Patient.name"),
        ({"name": []}, "Patient.name"),
        ({"name": None}, "Patient.name"),
        ({"name": [{}]}, "Patient.name[0]"),
        ({"name": [None]}, "Patient.name[0]"),
        ({"name": ["A"]}, "Patient.name[0]"),
        ({"name": [{"family": ""}]}, "Patient.name[0].family"),
        ({"name": [{"family": "a\x01"}]}, "Patient.name[0].family"),
        ({"name": [{"family": "a\u0000"}]}, "Patient.name[0].family"),
        ({"name": [{"family": "a\ud800"}]}, "Patient.name[0].family"),
        ({"name": [{"given": "A"}]}, "Patient.name[0].given"),
        ({"name": [{"given": None}]}, "Patient.name[0].given"),
        ({"name": [{"given": []}]}, "Patient.name[0].given"),
        ({"name": [{"given": [["A"]]}]}, "Patient.name[0].given[0]"),
        ({"name": [{"given": ["A", None]}]}, "Patient.name[0].given[1]"),
        ({"name": [{"given": ["A"], "_given": None}]}, "Patient.name[0].given"),
        ({"name": [{"given": ["A"], "_given": [None, {"id": "x"}]}]}, "Patient.name[0].given"),
        ({"name": [{"given": ["A"], "_given": {"id": "x"}}]}, "Patient.name[0].given"),
        ({"_birthDate": {}}, "Patient.birthDate"),
        ({"_birthDate": {"value": "1980"}}, "Patient.birthDate.value"),
        ({"_id": {"id": "x"}}, "Patient._id"),
        ({"_name": [{"id": "x"}]}, "Patient._name"),
        ({"contact": [{}]}, "Patient.contact[0]"),
        ({"extension": [{"valueString": "x"}]}, "Patient.extension[0].url"),
        ({"extension": [{"url": "x", "valueText": "x"}]}, "Patient.extension[0].valueText"),
        (
            {"extension": [{"url": "x", "valueCode": "x", "valueInteger": 1}]},
            "Patient.extension[0].value",
        ),
        ({"photo": [{"data": "aGk"}]}, "Patient.photo[0].data"),
        ({"photo": [{"data": "a!Gk="}]}, "Patient.photo[0].data"),
        ({"photo": [{"size": -1}]}, "Patient.photo[0].size"),
        ({"telecom": [{"rank": 0}]}, "Patient.telecom[0].rank"),
        ({"meta": {"lastUpdated": "2024-05-17"}}, "Patient.meta.lastUpdated"),
        ({"text": {"status": "generated"}}, "Patient.text.div"),
        ({"link": [{"type": "refer"}]}, "Patient.link[0].other"),
        ({"deceasedBoolean": False, "deceasedDateTime": "2024"}, "Patient.deceased"),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(change: Json, location: str) -> None:
    found, message = the_issue(a_patient(**change))
    assert found == location
    assert message.isprintable() and message.endswith((".", "?"))


@pytest.mark.parametrize("day", ["1980-13-40", "1980-02-30", "1900-02-29", "2023-04-31", "0000"])
def test_a_day_that_is_not_in_the_calendar_is_refused(day: str) -> None:
    assert the_issue(a_patient(birthDate=day))[0] == "Patient.birthDate"
    assert the_issue(an_observation(effectiveDateTime=day))[0] == "Observation.effective"
    moment = f"{day}T08:30:00Z"
    assert the_issue(an_observation(issued=moment))[0] == "Observation.issued"


@pytest.mark.parametrize("day", ["1980", "1980-05", "2000-02-29", "2024-02-29"])
def test_a_part_of_a_day_and_a_leap_day_are_days(day: str) -> None:
    validate(a_patient(birthDate=day))
    validate(an_observation(effectiveDateTime=day))


@pytest.mark.parametrize(
    "moment", ["2024-05-17T08:30:00", "2024-05-17T08:30Z", "2024-05-17T24:00:00Z", "2024-05-17\n"]
)
def test_a_moment_needs_seconds_and_a_zone(moment: str) -> None:
    assert the_issue(an_observation(effectiveDateTime=moment))[0] == "Observation.effective"


def test_a_time_of_day_is_checked() -> None:
    bad = an_observation(valueTime="8:30")
    del bad["valueQuantity"]
    assert the_issue(bad)[0] == "Observation.value"


@pytest.mark.parametrize("number", ["72.50", 72.5, Decimal("NaN"), Decimal("Infinity"), True])
def test_a_decimal_is_a_number_that_kept_its_digits(number: Any) -> None:
    location, message = the_issue(an_observation(valueQuantity={"value": number}))
    assert location == "Observation.value.value"
    assert ("Decimal" in message) is isinstance(number, float)


def test_a_missing_required_element_is_named() -> None:
    assert the_issue(without(an_observation(), "status"))[0] == "Observation.status"
    assert the_issue(without(an_observation(), "code"))[0] == "Observation.code"
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "location": [{"status": "active"}],
    }
    assert the_issue(encounter)[0] == "Encounter.location[0].location"


def test_a_required_primitive_may_be_replaced_by_its_extension() -> None:
    absent = {"extension": [{"url": "http://example.org/absent", "valueCode": "unknown"}]}
    validate(without(an_observation(_status=absent), "status"))
    only_id = without(an_observation(_status={"id": "x"}), "status")
    assert the_issue(only_id)[0] == "Observation.status"


def test_a_text_ends_at_a_megabyte() -> None:
    longest = "x" * 1024 * 1024
    validate(a_patient(name=[{"family": longest}]))
    assert the_issue(a_patient(name=[{"family": longest + "x"}]))[0] == "Patient.name[0].family"
    elsewhere = an_observation(subject={"reference": "http://" + longest})
    assert the_issue(elsewhere)[0] == "Observation.subject.reference"


def test_white_space_within_base64_is_allowed() -> None:
    validate(a_patient(photo=[{"data": "aGkx\r\naGk="}]))


def test_what_is_remembered_as_right_stays_small() -> None:
    asked: list[str] = []

    def right(value: str) -> bool:
        asked.append(value)
        return True

    check = quick.remembering(right)
    short = [f"code-{number}" for number in range(5000)]
    for value in [*short, *short, "x" * 101, "x" * 101]:
        assert check(value)
    assert len(asked) == 5000 + (5000 - 4096) + 2


def test_primitives_may_carry_extensions_beside_them() -> None:
    extension = {"extension": [{"url": "http://example.org/x", "valueTime": "08:30:00"}]}
    validate(a_patient(_birthDate=extension))
    validate(a_patient(name=[{"given": ["A", None], "_given": [None, extension]}]))
    validate(a_patient(name=[{"_given": [extension]}]))


def test_a_choice_has_one_type_and_only_the_types_of_the_standard() -> None:
    both = an_observation(valueString="x")
    assert the_issue(both)[0] == "Observation.value"
    beside = an_observation(_valueString={"id": "x"})
    assert the_issue(beside)[0] == "Observation.value"
    reference = an_observation(valueReference={"reference": "Patient/1"})
    assert the_issue(reference)[0] == "Observation.valueReference"
    required = {"resourceType": "ConceptMap", "status": "draft"}
    validate(required)
    dose = {"resourceType": "MedicationRequest", "status": "active", "intent": "order"}
    dose["subject"] = {"reference": "Patient/p-1"}  # type: ignore[assignment]
    assert the_issue(dose)[0] == "MedicationRequest.medication"


def test_a_required_list_of_concepts_needs_one_coding_from_it() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition: Json = {"resourceType": "Condition", "subject": {"reference": "Patient/p-1"}}
    validate({**condition, "clinicalStatus": {"coding": [{"system": system, "code": "active"}]}})
    for coding in ({"system": system, "code": "sick"}, {"system": "http://x", "code": "active"}):
        wrong = {**condition, "clinicalStatus": {"coding": [coding]}}
        assert the_issue(wrong)[0] == "Condition.clinicalStatus"
    assert the_issue({**condition, "clinicalStatus": {"text": "sick"}})[0].endswith(
        "clinicalStatus"
    )


@pytest.mark.parametrize(
    "reference",
    [
        *("Patient/p-1", "Patient/p-1/_history/2", "Patient?identifier=a|b", "#"),
        *(
            "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            "https://example.org/fhir/Practitioner/1",
        ),
    ],
)
def test_a_reference_to_a_right_type_or_elsewhere_passes(reference: str) -> None:
    validate(an_observation(subject={"reference": reference}))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("Practitioner/1", "A reference to Practitioner is not allowed here"),
        ("Practitioner?x=1", "A reference to Practitioner is not allowed here"),
        ("Pateint/1", "Did you mean 'Patient'?"),
        ("Patient/a_b", "is no reference"),
        ("Patient/", "is no reference"),
        ("Patient/1/2", "is no reference"),
        ("12345", "is no reference"),
    ],
)
def test_a_reference_to_a_wrong_type_is_refused(reference: str, message: str) -> None:
    location, said = the_issue(an_observation(subject={"reference": reference}))
    assert location == "Observation.subject.reference"
    assert message in said


def test_contained_resources_and_entries_are_checked_by_their_own_type() -> None:
    inner = {"resourceType": "Practitioner", "id": "i", "gender": "F"}
    holder = a_patient(contained=[inner], generalPractitioner=[{"reference": "#i"}])
    assert the_issue(holder)[0] == "Patient.contained[0].gender"
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": a_patient()}]}
    validate(bundle)
    bundle["entry"].append({"resource": a_patient(name=[{"famly": "x"}])})  # type: ignore[attr-defined]
    assert the_issue(bundle)[0] == "Bundle.entry[1].resource.name[0].famly"
    nested = {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": inner}]}
    assert the_issue(nested)[0] == "Parameters.parameter[0].resource.gender"


def with_contained(inner: Json, reference: str = "#i") -> Json:
    return a_patient(contained=[inner], generalPractitioner=[{"reference": reference}])


@pytest.mark.parametrize(
    ("change", "location", "key"),
    [
        ({"contained": [{"resourceType": "Basic", "id": "j", "code": {"text": "x"}}]},
         "Patient.contained[0].contained", "dom-2"),
        ({"meta": {"versionId": "1"}}, "Patient.contained[0].meta.versionId", "dom-4"),
        ({"meta": {"lastUpdated": "2024-01-01T00:00:00Z"}},
         "Patient.contained[0].meta.lastUpdated", "dom-4"),
        ({"meta": {"security": [{"code": "R"}]}}, "Patient.contained[0].meta.security", "dom-5"),
    ],
)  # fmt: skip
def test_a_contained_resource_has_no_life_of_its_own(change: Json, location: str, key: str) -> None:
    validate(with_contained({"resourceType": "Practitioner", "id": "i"}))
    found = the_issue(with_contained({"resourceType": "Practitioner", "id": "i", **change}))
    assert found[0] == location
    assert key in found[1]


def test_contained_resources_and_what_refers_to_them_belong_together() -> None:
    practitioner = {"resourceType": "Practitioner", "id": "i"}
    assert "dom-3" in the_issue(a_patient(contained=[practitioner]))[1]
    assert places(with_contained(practitioner, "#j")) == [
        "Patient.contained[0]",
        "Patient.generalPractitioner[0].reference",
    ]
    assert "needs an id" in the_issue(a_patient(contained=[{"resourceType": "Practitioner"}]))[1]
    twice = with_contained(practitioner)
    twice["contained"].append(practitioner)
    assert "Two contained" in the_issue(twice)[1]
    back = {
        "resourceType": "Basic",
        "id": "b",
        "code": {"text": "x"},
        "subject": {"reference": "#"},
    }
    validate(a_patient(contained=[back]))
    # In a Bundle each resource answers for itself.
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": twice}]}
    assert the_issue(bundle)[0] == "Bundle.entry[0].resource.contained[1].id"


@pytest.mark.parametrize(
    "media", ["image/png", "text/plain; charset=utf-8", "application/fhir+json"]
)
def test_a_media_type_is_known_by_its_form(media: str) -> None:
    validate(a_patient(photo=[{"contentType": media}]))
    location, _ = the_issue(a_patient(photo=[{"contentType": media.replace("/", " ")}]))
    assert location == "Patient.photo[0].contentType"


def test_money_has_a_currency_of_the_world() -> None:
    account = {"resourceType": "Invoice", "status": "draft", "totalNet": {"value": 1}}
    account["totalNet"] = {"value": 1, "currency": "VND"}
    validate(account)
    account["totalNet"] = {"value": 1, "currency": "DONG"}
    assert the_issue(account)[0] == "Invoice.totalNet.currency"


def test_an_object_within_itself_is_checked_all_the_way_down() -> None:
    form: Json = {"resourceType": "Questionnaire", "status": "draft"}
    item: Json = {"linkId": "1", "type": "group"}
    form["item"] = [item]
    for _ in range(20):
        item["item"] = [{"linkId": "1", "type": "group"}]
        item = item["item"][0]
    validate(form)
    assert quick.is_valid(form)
    item["type"] = "grup"
    assert the_issue(form)[0] == "Questionnaire" + ".item[0]" * 21 + ".type"


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ({}, "Add resourceType"),
        ({"id": "x"}, "Add resourceType"),
        ({"resourceType": "Patiënt"}, "Did you mean 'Patient'?"),
        ({"resourceType": "patient"}, "Did you mean 'Patient'?"),
        ({"resourceType": "Resource"}, "is not a resource type"),
        ({"resourceType": "HumanName", "family": "A"}, "is not a resource type"),
        ({"resourceType": ["Patient"]}, "is not a resource type"),
        ([], "Expected a resource"),
        (None, "Expected a resource"),
    ],
)
def test_what_is_no_resource_is_told_what_it_should_be(resource: Any, message: str) -> None:
    assert message in the_issue(resource)[1]


def test_elements_named_like_python_words_are_elements() -> None:
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    validate(encounter)
    assert quick.is_valid(encounter)
    assert the_issue({**encounter, "class": [{"code": "AMB"}]})[0] == "Encounter.class"


def test_codes_are_checked_in_the_widest_structure_too() -> None:
    profile: Json = {"resourceType": "StructureDefinition", "url": "http://x", "name": "X"}
    profile |= {"status": "draft", "kind": "resource", "abstract": False, "type": "Patient"}
    element: Json = {"path": "Patient", "representation": ["xmlAttr"], "fixedCode": "x"}
    validate({**profile, "snapshot": {"element": [element]}})
    element["representation"] = ["attribute"]
    location, _ = the_issue({**profile, "snapshot": {"element": [element]}})
    assert location == "StructureDefinition.snapshot.element[0].representation[0]"


def test_what_only_other_versions_or_products_have_is_refused() -> None:
    assert the_issue(a_patient(meta={"project": "x"}))[0] == "Patient.meta.project"
    binary = {"resourceType": "Binary", "contentType": "text/plain", "url": "http://x"}
    assert the_issue(binary)[0] == "Binary.url"


def test_nesting_without_end_is_refused_and_breaks_nothing() -> None:
    extension: Json = {"url": "x"}
    for _ in range(5000):
        extension = {"url": "x", "extension": [extension]}
    (issue,) = validate_all(a_patient(extension=[extension]))
    assert issue.code == "too-costly"
    loop: Json = a_patient()
    loop["contained"] = [loop]
    assert validate_all(loop)[0].code == "too-costly"


def test_a_resource_is_not_changed_by_looking_at_it() -> None:
    observation = an_observation()
    before = copy.deepcopy(observation)
    validate(observation)
    validate_all(observation)
    assert observation == before


FIFTEEN = """
    Patient Observation Encounter Condition Claim Immunization Procedure CarePlan Goal Bundle
    MedicationRequest DiagnosticReport AllergyIntolerance Organization Practitioner
"""
MEMORY = f"""
import os
from sokhoe.fhir import validate_all
def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
before = megabytes()
for kind in "{" ".join(FIFTEEN.split())}".split():
    validate_all({{"resourceType": kind}})
print(megabytes() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_fifteen_types_cost_less_than_ten_megabytes() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True)
    assert float(done.stdout) < 10, done.stderr


def test_a_number_with_exponent_is_a_decimal() -> None:
    observation = encode(an_observation()).replace(b"72.50", b"7.250E+1")
    validate(decode(observation))
