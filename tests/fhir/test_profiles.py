"""Profiles: what they narrow is checked, slice by slice; what fits passes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import standard
from sokhoe.fhir.explaining import explain
from sokhoe.fhir.path import World
from sokhoe.fhir.profiles import compiled
from tests.fhir.test_types import a_patient, an_observation

Json = dict[str, Any]
HERE = "http://example.org/StructureDefinition/"


def a_profile(name: str, kind: str, *elements: Json, **more: Any) -> Json:
    """A StructureDefinition whose differential has these elements."""
    return {
        "resourceType": "StructureDefinition",
        "url": HERE + name,
        "name": name,
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": kind,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "derivation": "constraint",
        "differential": {"element": [{"path": kind}, *elements]},
        **more,
    }


def against(resource: Json, *profiles: Json, world: World | None = None) -> list[Issue]:
    """What is wrong with a resource by the first profile; the others can be found."""
    stored = {one["url"]: one for one in profiles if "type" in one}
    found = explain(
        resource,
        profiles=[profiles[0]["url"]],
        load=lambda url: stored.get(url.partition("|")[0]),
        world=world or World(),
    )
    return [one for one in found if "dom-6" not in one.rule]


def told(resource: Json, *profiles: Json, world: World | None = None) -> list[tuple[str, str]]:
    return [(one.location, one.severity) for one in against(resource, *profiles, world=world)]


def test_every_profile_and_extension_of_the_standard_can_be_used() -> None:
    urls = list(standard._packed())
    assert len(urls) == 437
    for url in urls:
        definition = standard.definition_of(url)
        assert definition is not None
        assert compiled(definition, standard.definition_of).missing == ()


def blood_pressure(**more: Any) -> Json:
    def part(code: str, value: int) -> Json:
        return {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {
                "value": value,
                "unit": "mmHg",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            },
        }

    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-11-23T08:00:00+07:00",
        "component": [part("8480-6", 120), part("8462-4", 80)],
        **more,
    }


BP = {"url": "http://hl7.org/fhir/StructureDefinition/bp"}


def test_a_blood_pressure_fits_the_profile_of_the_standard() -> None:
    found = against(blood_pressure(), BP)
    assert [one for one in found if one.severity != "information"] == []


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"category": [{"text": "x"}]}, "Observation.category", "VSCat"),
        ({"component": blood_pressure()["component"][:1]}, "Observation.component", "'component'"),
        ({"component": [blood_pressure()["component"][0]] * 2}, "Observation.component",
         "DiastolicBP"),
        ({"code": {"text": "Huyết áp"}}, "Observation.code.coding", "BPCode"),
        ({"effectiveDateTime": "2026"}, "Observation.effective", "vs-1"),
        ({"subject": {"reference": "Group/g"}}, "Observation.subject.reference",
         "Group is not allowed"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_place(change: Json, place: str, says: str) -> None:
    found = [one for one in against(blood_pressure(**change), BP) if one.severity == "error"]
    assert any(one.location == place and says in one.message for one in found), found


def test_a_unit_inside_a_slice_is_checked() -> None:
    resource = blood_pressure()
    resource["component"][1]["valueQuantity"]["code"] = "kPa"
    found = [one for one in against(resource, BP) if one.severity == "error"]
    assert [one.location for one in found] == ["Observation.component[1].value.code"]


def test_counts_fixed_values_patterns_and_bounds() -> None:
    profile = a_profile(
        "p",
        "Patient",
        {"path": "Patient.identifier", "min": 1},
        {"path": "Patient.name", "min": 1, "max": "1"},
        {"path": "Patient.name.family", "min": 1, "maxLength": 5},
        {"path": "Patient.active", "fixedBoolean": True},
        {"path": "Patient.photo", "max": "0"},
        {"path": "Patient.birthDate", "minValueDate": "1900-01-01"},
        {"path": "Patient.maritalStatus", "patternCodeableConcept": {"coding": [{"code": "M"}]}},
    )
    good = a_patient(
        name=[{"family": "Ngô"}], maritalStatus={"coding": [{"code": "M", "display": "x"}]}
    )
    assert told(good, profile) == []
    bad = {
        **good,
        "identifier": [],
        "name": [{"family": "Nguyễn"}, {"text": "x"}],
        "active": False,
        "photo": [{"title": "x"}],
        "birthDate": "1880-01-01",
        "maritalStatus": {"coding": [{"code": "S"}]},
    }
    del bad["identifier"]
    assert {place for place, _ in told(bad, profile)} == {
        "Patient.identifier",
        "Patient.name",
        "Patient.name[0].family",
        "Patient.name[1].family",
        "Patient.active",
        "Patient.photo",
        "Patient.birthDate",
        "Patient.maritalStatus",
    }


def sliced(rules: str = "open", ordered: bool = False) -> Json:
    return a_profile(
        "sliced",
        "Patient",
        {
            "path": "Patient.identifier",
            "slicing": {
                "discriminator": [{"type": "value", "path": "system"}],
                "rules": rules,
                "ordered": ordered,
            },
        },
        {"path": "Patient.identifier", "sliceName": "nat", "min": 1, "max": "1"},
        {"path": "Patient.identifier.system", "fixedUri": "urn:nat"},
        {"path": "Patient.identifier.value", "min": 1},
        {"path": "Patient.identifier", "sliceName": "ins", "max": "1"},
        {"path": "Patient.identifier.system", "patternUri": "urn:ins"},
    )


def ids(*systems: str) -> Json:
    return a_patient(identifier=[{"system": f"urn:{one}", "value": "1"} for one in systems])


def test_slices_by_value_are_counted_and_looked_into() -> None:
    assert told(ids("nat", "other", "ins"), sliced()) == []
    assert told(ids("other"), sliced()) == [("Patient.identifier", "error")]
    assert told(ids("nat", "ins", "ins"), sliced()) == [("Patient.identifier", "error")]
    empty = ids("nat")
    del empty["identifier"][0]["value"]
    assert told(empty, sliced()) == [("Patient.identifier[0].value", "error")]
    assert told(ids("nat", "other"), sliced("closed")) == [("Patient.identifier[1]", "error")]
    assert told(ids("other", "nat"), sliced("openAtEnd")) == [("Patient.identifier[1]", "error")]
    assert told(ids("ins", "nat"), sliced(ordered=True)) == [("Patient.identifier[1]", "error")]


def test_slices_by_type_by_existence_and_by_profile() -> None:
    by_type = a_profile(
        "by-type",
        "Observation",
        {"path": "Observation.value[x]", "slicing": {"discriminator": [
            {"type": "type", "path": "$this"}], "rules": "closed"}},
        {"path": "Observation.value[x]", "sliceName": "valueQuantity", "type": [
            {"code": "Quantity"}]},
        {"path": "Observation.value[x].unit", "min": 1},
    )  # fmt: skip
    assert told(an_observation(), by_type) == []
    assert told(an_observation(valueQuantity={"value": 1}), by_type) == [
        ("Observation.value.unit", "error")
    ]
    text = an_observation(valueString="x")
    del text["valueQuantity"]
    assert told(text, by_type) == [("Observation.value", "error")]

    by_existence = a_profile(
        "by-existence",
        "Patient",
        {"path": "Patient.telecom", "slicing": {"discriminator": [
            {"type": "exists", "path": "period"}], "rules": "open"}},
        {"path": "Patient.telecom", "sliceName": "old", "max": "1"},
        {"path": "Patient.telecom.period", "min": 1},
        {"path": "Patient.telecom", "sliceName": "now", "min": 1},
        {"path": "Patient.telecom.period", "max": "0"},
    )  # fmt: skip
    now = {"system": "phone", "value": "1"}
    old = {**now, "period": {"end": "2020"}}
    assert told(a_patient(telecom=[now, old]), by_existence) == []
    assert told(a_patient(telecom=[old, old]), by_existence) == [("Patient.telecom", "error")] * 2

    inner = a_profile("inner", "Practitioner", {"path": "Practitioner.name", "min": 1})
    by_profile = a_profile(
        "by-profile",
        "Patient",
        {"path": "Patient.contained", "slicing": {"discriminator": [
            {"type": "profile", "path": "$this"}], "rules": "open"}},
        {"path": "Patient.contained", "sliceName": "doctor", "min": 1, "type": [
            {"code": "Practitioner", "profile": [inner["url"]]}]},
    )  # fmt: skip
    doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"text": "x"}]}
    holder = a_patient(contained=[doctor], generalPractitioner=[{"reference": "#d"}])
    assert told(holder, by_profile, inner) == []
    del doctor["name"]
    assert told(holder, by_profile, inner) == [("Patient.contained", "error")]


def test_a_choice_named_by_its_type_is_a_slice_of_it() -> None:
    profile = a_profile(
        "q", "Observation", {"path": "Observation.valueQuantity", "min": 1},
        {"path": "Observation.valueQuantity.code", "fixedCode": "kg"},
    )  # fmt: skip
    good = an_observation(
        valueQuantity={"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}
    )
    assert told(good, profile) == []
    good["valueQuantity"]["code"] = "g"
    assert told(good, profile) == [("Observation.value.code", "error")]


EXTENSION = a_profile(
    "ethnic",
    "Extension",
    {"path": "Extension.url", "fixedUri": HERE + "ethnic"},
    {"path": "Extension.value[x]", "min": 1, "type": [{"code": "Coding"}]},
)


def test_extensions_are_slices_by_their_url_and_fit_their_definition() -> None:
    profile = a_profile(
        "with-extension",
        "Patient",
        {"path": "Patient.extension", "sliceName": "ethnic", "min": 1,
         "type": [{"code": "Extension", "profile": [EXTENSION["url"]]}]},
    )  # fmt: skip
    good = a_patient(extension=[{"url": EXTENSION["url"], "valueCoding": {"code": "x"}}])
    assert told(good, profile, EXTENSION) == []
    assert told(a_patient(), profile, EXTENSION) == [("Patient.extension", "error")]
    wrong = a_patient(extension=[{"url": EXTENSION["url"], "valueString": "x"}])
    assert told(wrong, profile, EXTENSION) == [("Patient.extension[0].value", "error")]


def test_a_derived_profile_keeps_what_its_base_says() -> None:
    derived = a_profile(
        "derived",
        "Patient",
        {"path": "Patient.gender", "min": 1},
        {"id": "Patient.identifier:nat.period", "path": "Patient.identifier.period", "min": 1},
        baseDefinition=sliced()["url"],
    )
    resource = ids("nat")
    del resource["gender"]
    assert told(resource, derived, sliced()) == [
        ("Patient.identifier[0].period", "error"),
        ("Patient.gender", "error"),
    ]
    assert sorted(told(resource, derived)) == [  # without its base
        ("Patient", "warning"),
        ("Patient.gender", "error"),
        ("Patient.identifier", "warning"),
    ]


def test_a_circle_of_bases_and_a_definition_of_a_type_are_refused() -> None:
    one = a_profile("one", "Patient", baseDefinition=HERE + "two")
    two = a_profile("two", "Patient", baseDefinition=HERE + "one")
    (issue,) = against(a_patient(), one, two)
    assert "circle" in issue.message
    with pytest.raises(Invalid, match="does not constrain"):
        compiled({**one, "derivation": "specialization"}, lambda url: None)


def test_constraints_and_bindings_of_a_profile() -> None:
    profile = a_profile(
        "rules",
        "Patient",
        {"path": "Patient.name", "constraint": [
            {"key": "vn-1", "severity": "error", "human": "A family name has no digits.",
             "expression": "family.matches('[0-9]').not()"}]},
        {"path": "Patient.maritalStatus", "binding": {
            "strength": "required", "valueSet": "http://x/vs"}},
    )  # fmt: skip
    world = World(member_of=lambda value, url: value["coding"][0]["code"] == "M")
    patient = a_patient(name=[{"family": "A1"}], maritalStatus={"coding": [{"code": "S"}]})
    rule, code = against(patient, profile, world=world)
    assert rule.location == "Patient.name[0]"
    assert "vn-1" in rule.rule
    assert (code.location, code.code) == ("Patient.maritalStatus", "code-invalid")
    unknown = against(patient, profile, world=World(member_of=lambda value, url: None))
    assert [one.severity for one in unknown] == ["error", "information"]


def test_what_a_resource_claims_is_checked_and_an_unknown_claim_is_a_warning() -> None:
    claims = a_patient(meta={"profile": [HERE + "nowhere"]})
    (issue,) = [one for one in explain(claims) if "dom-6" not in one.rule]
    assert (issue.severity, issue.code) == ("warning", "not-found")
    (asked,) = against(a_patient(), {"url": HERE + "x"})
    assert (asked.severity, asked.code) == ("error", "not-found")
    bad = blood_pressure(meta={"profile": [BP["url"]]}, component=[])
    del bad["component"]
    assert any(one.location == "Observation.component" for one in explain(bad))


def test_references_are_followed_to_profiles_of_their_target() -> None:
    doctor = a_profile("doctor", "Practitioner", {"path": "Practitioner.name", "min": 1})
    profile = a_profile(
        "cared-for",
        "Patient",
        {"path": "Patient.generalPractitioner", "type": [
            {"code": "Reference", "targetProfile": [doctor["url"]]}]},
    )  # fmt: skip
    found: dict[str, Json] = {"Practitioner/1": {"resourceType": "Practitioner"}}
    patient = a_patient(generalPractitioner=[{"reference": "Practitioner/1"}])
    place = "Patient.generalPractitioner[0].reference"
    assert told(patient, profile, doctor, world=World(resolve=found.get)) == [(place, "error")]
    found["Practitioner/1"]["name"] = [{"text": "x"}]
    assert told(patient, profile, doctor, world=World(resolve=found.get)) == []
    other = a_patient(generalPractitioner=[{"reference": "Organization/1"}])
    assert told(other, profile, doctor) == [(place, "error")]


def test_decimals_are_compared_by_value() -> None:
    fixed = {"path": "Observation.valueQuantity.value", "fixedDecimal": Decimal("72.5")}
    profile = a_profile("d", "Observation", fixed)
    assert told(an_observation(), profile) == []
