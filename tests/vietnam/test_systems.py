"""Twin of vietnam/systems.py."""

from __future__ import annotations

from sokhoe.vietnam import systems


def test_the_community_base_is_written_and_the_ministrys_is_understood() -> None:
    assert systems.uri("citizen_id").startswith("http://fhir.hl7.org.vn/core/")
    assert systems.key_of("http://fhir.ehealth.gov.vn/core/sid/citizen_id") == "citizen_id"
    assert systems.key_of(systems.uri("citizen_id")) == "citizen_id"
    assert systems.key_of("urn:somebody:else") == ""


def test_no_uri_stands_for_two_things() -> None:
    names = [name for one in systems.systems().values() for name in (one.uri, *one.aliases)]
    assert len(names) == len(set(names))


def test_two_facilities_number_their_patients_in_two_systems() -> None:
    assert systems.patient_number("86101") != systems.patient_number("86102")
    assert systems.key_of(systems.patient_number("86101")) == "patient_number"


def test_every_system_says_where_it_is_from() -> None:
    assert all(one.source and one.label for one in systems.systems().values())
