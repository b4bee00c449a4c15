"""What a search asks for, and what is said when it asks for something that is not there."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.errors import Invalid, SokhoeError, Unsupported
from sokhoe.fhir import Query, fold, parse_query, search
from sokhoe.fhir.search.dates import LENGTHS, length_class, stretch
from sokhoe.fhir.search.fold import beginnings, without_prefixes
from sokhoe.fhir.search.hashing import date_key, key

DAY = 86_400_000_000


def only(type: str, name: str, value: str) -> Any:
    (condition,) = parse_query(type, [(name, value)]).where
    return condition


def hashes(type: str, name: str, value: str) -> set[int]:
    condition = only(type, name, value)
    assert isinstance(condition, search.Keys)
    return set(condition.keys)


@pytest.mark.parametrize(
    ("name", "value", "texts"),
    [
        ("identifier", "urn:id|7", ["Patient|identifier|urn:id|7"]),
        ("identifier", "7", ["Patient|identifier|7"]),
        ("identifier", "|7", ["Patient|identifier||7"]),
        ("identifier", "urn:id|", ["Patient|identifier|urn:id|"]),
        ("identifier", "a,b", ["Patient|identifier|a", "Patient|identifier|b"]),
        ("identifier", r"a\,b", ["Patient|identifier|a,b"]),
        ("identifier", r"a\|b", ["Patient|identifier|a|b"]),
        ("identifier", r"a\\,b", ["Patient|identifier|a\\", "Patient|identifier|b"]),
        ("identifier", r"s|a\$", ["Patient|identifier|s|a$"]),
        ("gender", "female", ["Patient|gender|female"]),
        ("gender", "http://hl7.org/fhir/gender|female", ["Patient|gender|female"]),
        ("active", "true", ["Patient|active|true"]),
        ("family:exact", "Đặng", ["Patient|family|Đặng"]),
        ("_tag", "s|t", ["Patient|_tag|s|t"]),
        ("_profile", "http://x.org/p", ["Patient|_profile|http://x.org/p"]),
    ],
)
def test_values_become_the_hashes_under_which_they_are_indexed(
    name: str, value: str, texts: list[str]
) -> None:
    assert hashes("Patient", name, value) == {key(text) for text in texts}


@pytest.mark.parametrize(
    ("name", "value", "targets"),
    [
        ("patient", "1", ["Patient/1"]),
        ("patient", "Patient/1", ["Patient/1"]),
        ("subject:Patient", "1", ["Patient/1"]),
        ("subject", "Patient/1/_history/2", ["Patient/1"]),
        ("subject", "1", ["Device/1", "Group/1", "Location/1", "Patient/1"]),
        ("subject", "http://x.org/fhir/Patient/1", ["http://x.org/fhir/Patient/1"]),
        ("subject", "Patient/1,Group/2", ["Patient/1", "Group/2"]),
    ],
)
def test_references_may_be_written_in_any_of_three_ways(
    name: str, value: str, targets: list[str]
) -> None:
    start = key("Observation|subject|")
    assert hashes("Observation", name, value) == {start ^ key(one) for one in targets}


def test_ids_are_hashed_like_the_target_of_a_reference() -> None:
    start = key("Patient|_id|")
    assert hashes("Patient", "_id", "a,b") == {start ^ key("Patient/a"), start ^ key("Patient/b")}


@pytest.mark.parametrize(
    ("text", "start", "length"),
    [
        ("2024", "2023-12-31T17:00:00Z", 366 * DAY),
        ("2023", "2022-12-31T17:00:00Z", 365 * DAY),
        ("2024-02", "2024-01-31T17:00:00Z", 29 * DAY),
        ("2024-12", "2024-11-30T17:00:00Z", 31 * DAY),
        ("2024-05-01", "2024-04-30T17:00:00Z", DAY),
        ("2024-05-01T10:00", "2024-05-01T03:00:00Z", 60_000_000),
        ("2024-05-01T10:00:00+07:00", "2024-05-01T03:00:00Z", 1_000_000),
        ("2024-05-01T10:00:00-01:30", "2024-05-01T11:30:00Z", 1_000_000),
        ("2024-05-01T03:00:00.5Z", "2024-05-01T03:00:00.5Z", 100_000),
        ("2024-05-01T03:00:00.123456789Z", "2024-05-01T03:00:00.123456Z", 1),
        ("2024-05-01T03:00:60Z", "2024-05-01T03:00:59Z", 1_000_000),
        ("9999", "9998-12-31T17:00:00Z", 364 * DAY),
    ],
)
def test_a_date_is_the_stretch_it_stands_for(text: str, start: str, length: int) -> None:
    low, high = stretch(text)
    assert low == stretch(start)[0]
    assert high - low == length
    longest = LENGTHS[length_class(low, high)]
    assert longest is not None
    assert length <= longest


@pytest.mark.parametrize(
    "text", ["", "24", "2024-13", "2024-02-30", "2024-05-01T25:00:00Z", "2024-05-01T10", "x2024"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        stretch(text)
    with pytest.raises(Invalid):
        parse_query("Observation", [("date", text)])


def test_prefixes_are_taken_off() -> None:
    condition = only("Observation", "date", "ge2024-05,lt2020")
    assert [test.prefix for test in condition.tests] == ["ge", "lt"]
    assert condition.key == date_key("Observation|date|")
    assert condition.main
    number = only("Observation", "value-quantity", "le5.40|http://x.org|mg")
    assert [test.prefix for test in number.tests] == ["le"]
    assert number.tests[0].key == key("Observation|value-quantity|http://x.org|mg")


def test_an_amount_in_a_ucum_unit_is_asked_for_in_base_units() -> None:
    for amount, code in (("1500", "mg"), ("1.500", "g"), ("0.0015", "kg")):
        condition = only(
            "Observation", "value-quantity", f"{amount}|http://unitsofmeasure.org|{code}"
        )
        (test,) = condition.tests
        assert test.key == key("Observation|value-quantity|~g")
        assert test.value == 1.5
        assert test.low < 1.5 < test.high
    (test,) = only("Observation", "value-quantity", "5|http://unitsofmeasure.org|lbs").tests
    assert test.key == key("Observation|value-quantity|http://unitsofmeasure.org|lbs")


def test_a_unit_without_a_system_is_looked_up_in_the_record() -> None:
    number, scan = parse_query("Observation", [("value-quantity", "le5.40||mg")]).where
    assert isinstance(number, search.Numbers)
    assert isinstance(scan, search.Scan)
    assert scan.kind == "unit"
    assert scan.wanted[0][1] == "mg"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100", 99.5, 100.5),
        ("100.00", 99.995, 100.005),
        ("-7", -7.5, -6.5),
        ("1e2", 50, 150),
        ("ap100", 90, 110),
    ],
)
def test_a_number_is_as_exact_as_it_is_written(text: str, low: float, high: float) -> None:
    (test,) = only("RiskAssessment", "probability", text).tests
    assert (test.low, test.high) == (low, high)


def test_the_order_is_the_newest_first_unless_it_is_said() -> None:
    assert parse_query("Observation", []).sort == search.Sort("main", True, "date")
    assert parse_query("Patient", []).sort == search.Sort("written", True, "_lastUpdated")
    assert parse_query("Observation", [("_sort", "date")]).sort.descending is False
    assert parse_query("Patient", [("_sort", "-birthdate")]).sort.by == "date"
    assert parse_query("Patient", [("_sort", "name")]).sort.by == "text"
    assert parse_query("Patient", [("_sort", "_id")]).sort.by == "id"


def test_what_is_about_the_answer_is_kept_for_who_writes_it() -> None:
    query = parse_query(
        "Patient",
        [
            ("_count", "5000"),
            ("_total", "accurate"),
            ("_elements", "name, birthDate"),
            ("_summary", "text"),
            ("_format", "json"),
            ("_cursor", "abc"),
        ],
    )
    assert (query.count, query.total, query.summary) == (1000, "accurate", "text")
    assert (query.elements, query.cursor, query.where) == (("name", "birthDate"), "abc", ())
    assert parse_query("Patient", [("_summary", "count")]).total == "accurate"
    assert parse_query("Patient", []).count == 50


def test_chains_lead_through_several_records() -> None:
    chain = only("Observation", "subject:Patient.organization.name", "tram")
    assert isinstance(chain, search.Linked)
    ((type, (inner,)),) = chain.branches
    assert type == "Patient"
    assert isinstance(inner, search.Linked)
    assert inner.branches[0][0] == "Organization"
    wide = only("Observation", "subject.identifier", "7")
    assert {type for type, _ in wide.branches} == {"Device", "Group", "Location", "Patient"}
    back = only("Patient", "_has:Observation:patient:_has:Provenance:target:recorded", "2024")
    assert isinstance(back, search.Pointed)
    assert isinstance(back.where[0], search.Pointed)


@pytest.mark.parametrize(
    ("of", "name", "value", "error", "says"),
    [
        ("Patient", "nane", "x", Invalid, "name"),
        ("Observation", "date-x", "x", Invalid, "date"),
        ("Patient", "name:like", "x", Unsupported, "name:like"),
        ("Patient", "identifier:of-type", "x", Invalid, "system|code|value"),
        ("Patient", "gender:of-type", "s|c|v", Unsupported, "gender:of-type"),
        ("Patient", "gender:missing", "maybe", Invalid, "true, false"),
        ("Observation", "code:in", "http://x.org/vs", Unsupported, "code:in"),
        ("Observation", "code:below", "http://x.org|c", Unsupported, "code:below"),
        ("Observation", "code-value-quantity", "8480-6", Invalid, "code$value-quantity"),
        ("Observation", "code-value-quantity", "8480-6$", Invalid, "code$value-quantity"),
        ("Observation", "code-value-quantity", "8480-6$much", Invalid, "5.4"),
        ("Location", "near", "here", Invalid, "latitude|longitude"),
        ("Location", "near", "10|105|5|furlongs", Invalid, "latitude|longitude"),
        ("Location", "near", "100|105", Invalid, "no such place"),
        ("Location", "_sort", "near", Unsupported, "special"),
        ("Patient", "_text", "...", Invalid, "no word"),
        ("Patient", "_list", "$current-allergies", Unsupported, "not kept here"),
        ("Patient", "_filter", 'name co "an', Invalid, "quotation mark"),
        ("Patient", "_filter", "(name co an", Invalid, "bracket"),
        ("Patient", "_filter", "name co an or", Invalid, "missing"),
        ("Patient", "_filter", "name ew an", Unsupported, "ew"),
        ("Patient", "_filter", "nane eq an", Invalid, "name"),
        ("Patient", "birthdate:missing", "maybe", Invalid, "true, false"),
        ("Patient", "birthdate", "xx1980", Invalid, "ge"),
        ("Patient", "birthdate", "soon", Invalid, "YYYY"),
        ("Patient", "name", "", Invalid, "name"),
        ("Patient", "name", "  ", Invalid, "name"),
        ("Patient", "name", "\u0301", Invalid, "nothing to look for"),
        ("Patient", "identifier", "|", Invalid, "neither"),
        ("Patient", "identifier", "a|b|c", Invalid, "escaped"),
        ("Patient", "_id", ",".join("x" * 501), Invalid, "500"),
        ("Observation", "value-quantity", "5|mg", Invalid, "number||unit"),
        ("Observation", "value-quantity", "five", Invalid, "5.4"),
        ("Observation", "value-quantity", "NaN", Invalid, "5.4"),
        ("Observation", "subject", "#x", Invalid, "Type/id"),
        ("Observation", "subject", "Patience/1", Invalid, "Type/id"),
        ("Observation", "subject:Organization", "1", Unsupported, "subject:Organization"),
        ("Observation", "subject:Patient", "Group/1", Invalid, "not a Patient"),
        ("Observation", "code.name", "x", Invalid, "no reference"),
        ("Observation", "subject:Organization.name", "x", Invalid, "cannot point"),
        ("Observation", "subject.nothing", "x", Invalid, "nothing"),
        ("Observation", "subject:Patient.birthdate", "soon", Invalid, "YYYY"),
        ("Patient", "link." * 17 + "name", "x", Unsupported, "too many"),
        ("Patient", "_has:Observation:patient", "x", Invalid, "_has:Type"),
        ("Patient", "_has:Observation:performer:nope", "x", Invalid, "nope"),
        ("Organization", "_has:Observation:patient:code", "x", Invalid, "does not point"),
        ("Patient", "_has:Nonsense:patient:code", "x", Invalid, "Nonsense"),
        ("Patient", "_include", "Patient:name", Invalid, "no reference"),
        ("Patient", "_include:iterate", "Patient:name", Invalid, "no reference"),
        ("Patient", "_include", "Nonsense:link", Invalid, "no reference"),
        ("Patient", "_include", "Patient:link:Nonsense", Invalid, "Nonsense"),
        ("Patient", "_revinclude", "Encounter:service-provider", Invalid, "does not point"),
        ("Patient", "_sort", "name,birthdate,gender,_id,family,given", Invalid, "one to 5"),
        ("Patient", "_sort", "nane", Invalid, "name"),
        ("Patient", "_count", "many", Invalid, "_count"),
        ("Patient", "_count", "-1", Invalid, "_count"),
        ("Patient", "_total", "exact", Invalid, "accurate"),
        ("Patient", "_summary", "all", Invalid, "count"),
        ("Patient", "_filter", "x", Invalid, "_filter"),
        ("Patience", "name", "x", Invalid, "Patience"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_says_why(
    of: str, name: str, value: str, error: type[SokhoeError], says: str
) -> None:
    with pytest.raises(error) as caught:
        parse_query(of, [(name, value)])
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_a_lenient_reading_drops_what_it_does_not_know_and_says_so() -> None:
    pairs = [("name", "an"), ("nane", "x"), ("gender:odd", "true"), ("_sort", "nane")]
    query = parse_query("Patient", pairs, lenient=True)
    assert query.ignored == ("nane", "gender:odd", "_sort")
    assert len(query.where) == 1
    # a value that means nothing is still an error: dropping it would show too much
    with pytest.raises(Invalid):
        parse_query("Patient", [("birthdate", "soon")], lenient=True)


def test_the_question_is_kept_as_it_was_asked() -> None:
    assert parse_query("Patient", [("name", "Đức"), ("_count", "3")]).text == "name=Đức&_count=3"
    assert isinstance(Query("Patient"), Query)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Nguyễn Văn Đức", "nguyen van duc"),
        ("  NGUYỄN\tVĂN\u00a0ĐỨC ", "nguyen van duc"),
        ("Nguye\u0302\u0303n", "nguyen"),
        ("Straße Łódź Øre", "strasse lodz ore"),
        ("", ""),
        ("a\x00b", "a b"),
        ("李小龍", "李小龍"),
    ],
)
def test_folding_takes_away_what_people_leave_out(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


def test_beginnings_are_the_whole_and_each_later_word() -> None:
    assert beginnings("nguyen van an") == ["nguyen van an", "van an", "an"]
    assert beginnings("o'neil-x") == ["o'neil-x", "neil-x", "x"]
    assert beginnings("") == []
    assert without_prefixes({"an", "anh", "nguyen", "nguyen an"}) == ["anh", "nguyen an"]
