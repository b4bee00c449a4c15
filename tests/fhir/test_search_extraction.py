"""What a resource is indexed under: by the written functions, by the plain reading, by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.fhir import compartments, decode, extract, search, search_parameters
from sokhoe.fhir.search import compiled, composites, leaves
from sokhoe.fhir.search.definitions import SearchParameter
from sokhoe.fhir.search.following import values_at
from sokhoe.fhir.search.hashing import date_key, key

LOINC = "http://loinc.org"

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "7",
    "meta": {"profile": ["http://x.org/p|1.0"], "tag": [{"system": "s", "code": "t"}]},
    "identifier": [{"system": "urn:lab", "value": "A|1"}, {"value": "bare"}],
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "85354-9"}, {"code": "bp"}]},
    "subject": {"reference": "Patient/1/_history/3", "identifier": {"system": "i", "value": "9"}},
    "effectivePeriod": {"start": "2024-05-01T08:00:00+07:00", "end": "2024-05-02"},
    "performer": [{"reference": "Patient/2"}, {"reference": "#inside"}, {"display": "someone"}],
    "valueQuantity": {
        "value": 12,
        "unit": "mmHg",
        "system": "http://unitsofmeasure.org",
        "code": "mm[Hg]",
    },
    "component": [
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueString": "hoch"}
    ],
}


def keys_of(resource: dict[str, Any]) -> set[int]:
    return set(extract(resource).keys)


@pytest.mark.parametrize(
    "text",
    [
        "status|final",
        f"code|{LOINC}|85354-9",
        "code|85354-9",
        f"code|{LOINC}|",
        "code|bp",
        "code||bp",
        f"component-code|{LOINC}|8480-6",
        "identifier|urn:lab|A|1",
        "identifier|A|1",
        "identifier|urn:lab|",
        "identifier||bare",
        "subject:identifier|i|9",
        "_tag|s|t",
        "_profile|http://x.org/p|1.0",
        "_profile|http://x.org/p",
    ],
)
def test_a_token_is_indexed_with_and_without_its_system(text: str) -> None:
    assert key(f"Observation|{text}") in keys_of(OBSERVATION)


def test_what_is_not_there_is_not_indexed() -> None:
    found = keys_of(OBSERVATION)
    for text in (
        "status|draft",
        "code||85354-9",
        f"code|{LOINC}|bp",
        "identifier|urn:lab|bare",
        f"component-code|{LOINC}|85354-9",
        f"code|{LOINC}|8480-6",
    ):
        assert key(f"Observation|{text}") not in found


def test_a_reference_is_its_parameter_and_its_target_combined() -> None:
    rows = extract(OBSERVATION)
    subject, performer = key("Observation|subject|"), key("Observation|performer|")
    assert subject ^ key("Patient/1") in rows.keys
    assert performer ^ key("Patient/2") in rows.keys
    assert performer ^ key("Patient/1") not in rows.keys
    assert key("Observation|_id|") ^ key("Observation/7") in rows.keys
    assert set(rows.links) == {key("Patient/1"), key("Patient/2")}
    assert rows.patients == ("Patient/1", "Patient/2")
    assert rows.self_key == key("Observation/7")


def test_dates_are_stretches_with_a_class_of_length() -> None:
    rows = extract(OBSERVATION)
    start = 1_714_525_200_000_000  # 2024-05-01T01:00:00Z
    end = 1_714_669_200_000_000  # the local day ends at 17:00Z
    assert rows.dates == ((date_key("Observation|date|") | 1, start, end),)
    assert rows.order == -start // 1_000_000


def test_quantities_are_indexed_bare_and_with_their_unit() -> None:
    start = "Observation|value-quantity|"
    assert dict(extract(OBSERVATION).numbers) == {
        key(start): 12.0,
        key(f"{start}~g.m-1.s-2"): 1_599_864.0,
    }


def test_a_name_is_found_from_each_of_its_words_on() -> None:
    family_first = {"family": "Nguyễn", "given": ["Văn", "Đức"]}
    patient = {"resourceType": "Patient", "id": "1", "name": [family_first]}
    texts = [text for param, text in extract(patient).texts if param == key("Patient|name|")]
    assert "nguyen van duc" in texts
    assert "van duc nguyen" in texts
    assert "duc nguyen" in texts
    assert "duc" not in texts  # "duc nguyen" begins with it
    written = {"text": "Đức Nguyễn Văn", **family_first}
    patient["name"] = [written]
    texts = [text for param, text in extract(patient).texts if param == key("Patient|name|")]
    assert "duc nguyen van" in texts
    assert "nguyen van duc" not in texts


@pytest.mark.parametrize(
    ("deceased", "found"),
    [
        ({}, "false"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedDateTime": "2024"}, "true"),
    ],
)
def test_the_dead_are_told_from_the_living(deceased: dict[str, Any], found: str) -> None:
    keys = keys_of({"resourceType": "Patient", "id": "1", **deceased})
    other = "true" if found == "false" else "false"
    assert key(f"Patient|deceased|{found}") in keys
    assert key(f"Patient|deceased|{other}") not in keys


def test_only_the_phone_is_a_phone() -> None:
    telecom = [{"system": "phone", "value": "0123"}, {"system": "email", "value": "a@b.vn"}]
    keys = keys_of({"resourceType": "Patient", "id": "1", "telecom": telecom})
    assert key("Patient|phone|0123") in keys
    assert key("Patient|email|a@b.vn") in keys
    assert key("Patient|phone|a@b.vn") not in keys
    assert key("Patient|telecom|a@b.vn") in keys


@pytest.mark.parametrize(
    ("resource", "patients"),
    [
        ({"resourceType": "Patient", "id": "1"}, {"Patient/1"}),
        (
            {"resourceType": "Patient", "id": "1", "link": [{"other": {"reference": "Patient/2"}}]},
            {"Patient/1", "Patient/2"},
        ),
        ({"resourceType": "Condition", "subject": {"reference": "Patient/1"}}, {"Patient/1"}),
        (
            {"resourceType": "Condition", "asserter": {"reference": "Patient/2"}},
            {"Patient/2"},
        ),
        ({"resourceType": "Encounter", "subject": {"reference": "Group/1"}}, set()),
        (
            {
                "resourceType": "Appointment",
                "participant": [{"actor": {"reference": f"Patient/{n}"}} for n in (1, 2)],
            },
            {"Patient/1", "Patient/2"},
        ),
        ({"resourceType": "Organization"}, set()),
        ({"resourceType": "Observation", "focus": [{"reference": "Patient/1"}]}, set()),
        ({"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}, set()),
        (
            {"resourceType": "Observation", "subject": {"reference": "http://x.org/Patient/1"}},
            set(),
        ),
    ],
)
def test_a_record_lies_in_the_compartments_that_the_standard_says(
    resource: dict[str, Any], patients: set[str]
) -> None:
    assert compartments(resource) == patients


def test_what_has_a_wrong_shape_is_refused_with_its_name() -> None:
    for broken in (
        {"name": "An"},
        {"birthDate": "yesterday"},
        {"birthDate": 1980},
        {"name": [7]},
        {"managingOrganization": {"reference": 7}},
    ):
        with pytest.raises(Invalid, match="Patient/1 cannot be indexed"):
            extract({"resourceType": "Patient", "id": "1", **broken})


# --- the fast way and the plain way -----------------------------------------------------------


def plainly(resource: dict[str, Any]) -> leaves.Rows:
    """The rows, parameter by parameter and path by path."""
    rows = leaves.Rows()
    type = resource["resourceType"]
    for param in search_parameters(type).values():
        if param.code in compiled.NOT_WALKED:
            continue
        exists = any(path.endswith(":exists") for path in param.paths)
        if len(param.stored) == 1 and (exists or any(values_of(param, resource))):
            rows.seen |= param.present
        if param.stored != (param.code,):
            continue
        for path in param.paths:
            steps = path.partition(":")[0]
            called = compiled.leaf(type, param.code, param.type, path)
            if called is None or called[0] == "exists":
                continue
            call, constant = called
            room = composites if call == "composite" else leaves
            for value in values_at(resource, steps.split(".")):
                getattr(room, call)(rows, (constant,), value)
    return rows


def values_of(param: SearchParameter, resource: dict[str, Any]) -> Iterator[bool]:
    for path in param.paths:
        steps, _, end = path.partition(":")
        only = end.partition("(")[2].rstrip(")")
        for value in values_at(resource, steps.split(".")):
            written = value.get("reference", "") if only and isinstance(value, dict) else ""
            found = leaves.target(written)
            yield not only or (found is not None and found.type == only)


def examples() -> Iterator[dict[str, Any]]:
    yield OBSERVATION
    yield {"resourceType": "Observation", "id": "1", "effectiveTiming": {"event": ["2024", "2025"]}}
    reference = {"reference": "Measure/1"}
    for kind in ("depends-on", "composed-of", "successor"):
        related = [{"type": kind, "resource": "http://x.org/m|2"}]
        yield {"resourceType": "Measure", "id": "1", "relatedArtifact": related}
    yield {"resourceType": "Basic", "id": "1", "subject": reference, "author": reference}


def test_the_written_functions_find_what_the_plain_reading_finds(
    shared_synthea: list[Path],
) -> None:
    resources = list(examples())
    for path in shared_synthea[:3]:
        resources += [entry["resource"] for entry in decode(path.read_bytes())["entry"]]
    for resource in resources:
        fast, plain = search_rows(resource), plainly(resource)
        if resource["resourceType"] == "Patient":  # the one parameter made with exists()
            fast.keys -= {key("Patient|deceased|true"), key("Patient|deceased|false")}
        assert in_order(fast) == in_order(plain), resource


def search_rows(resource: dict[str, Any]) -> leaves.Rows:
    rows = leaves.Rows()
    compiled.walk(resource["resourceType"])(resource, rows)
    return rows


def in_order(rows: leaves.Rows) -> leaves.Rows:
    """In which order dates and texts were met says nothing, but for the text to sort by."""
    return replace(rows, dates=sorted(rows.dates))


@pytest.mark.parametrize("type", search.searchable_types())
def test_every_type_can_be_indexed(type: str) -> None:
    rows = extract({"resourceType": type, "id": "1"})
    assert search.type_keys(type).id ^ key(f"{type}/1") in rows.keys
    assert search.type_keys(type).all in rows.keys


def test_no_two_parameters_share_a_key() -> None:
    seen: dict[int, str] = {}
    for type in search.searchable_types():
        for one in search_parameters(type).values():
            start = f"{type}|{one.code}|"
            for number in {key(start), *(date_key(start) | n for n in range(4))}:
                assert seen.setdefault(number, start) == start


def test_what_another_parameter_finds_is_not_indexed_twice() -> None:
    stored: dict[str, SearchParameter] = dict(search_parameters("Observation"))
    assert stored["patient"].stored == ("subject",)
    assert stored["combo-code"].stored == ("code", "component-code")
    assert stored["code"].stored == ("code",)
    assert stored["subject"].stored == ("subject",)
    for type in search.searchable_types():
        for one in search_parameters(type).values():
            assert one.stored
            for code in one.stored:
                assert search_parameters(type)[code].stored == (code,), (type, one.code)


@pytest.mark.parametrize(
    ("type", "code", "paths"),
    [
        ("Patient", "phone", ["telecom*[system=phone]:ContactPoint"]),
        ("Observation", "value-string", ["valueString:string", "valueCodeableConcept.text:string"]),
        ("Condition", "onset-age", ["onsetAge:Age", "onsetRange:Range"]),
        ("Encounter", "patient", ["subject:Reference(Patient)"]),
        ("InsurancePlan", "name", ["name:string", "alias*:string"]),
        ("MedicationRequest", "code", ["medicationCodeableConcept:CodeableConcept"]),
        ("Questionnaire", "code", ["item*.code*:Coding"]),
        ("RiskAssessment", "probability", ["prediction*.probabilityDecimal:decimal"]),
    ],
)
def test_the_table_says_what_the_standard_says(type: str, code: str, paths: list[str]) -> None:
    assert list(search_parameters(type)[code].paths) == paths


def test_the_table_is_complete() -> None:
    assert len(search.searchable_types()) == 146
    assert sum(len(search_parameters(one)) for one in search.searchable_types()) == 2576
    for type in search.searchable_types():
        parameters = search_parameters(type)
        assert {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"} <= set(
            parameters
        )
        assert not {"_text", "_content", "_query"} & set(parameters)
        assert json.dumps([one.paths for one in parameters.values()])
    with pytest.raises(Invalid):
        search_parameters("Patience")


def test_another_local_zone_makes_another_index() -> None:
    here = search.fingerprint()
    try:
        clock.set_offset(0)
        assert search.fingerprint() != here
    finally:
        clock.set_offset(420)
    assert search.fingerprint() == here
