"""Search on both databases: the same answers as the plain reference, and nothing out of scope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sokhoe.errors import Invalid, Unsupported
from sokhoe.fhir import Query, parse_query
from sokhoe.store import (
    EVERYTHING,
    Delete,
    Page,
    Put,
    Scope,
    Store,
    bounds,
    ordering,
    pgasking,
    resolving,
    searching,
    sqlgen,
)
from tests.contracts.conftest import a_patient, an_observation
from tests.contracts.naive import Naive
from tests.contracts.world import World


def pages(store: Store, query: Query, scope: Scope = EVERYTHING) -> Iterator[Page]:
    while True:
        page = store.search(query, scope)
        yield page
        if page.next is None:
            return
        query = replace(query, cursor=page.next)


def refs(store: Store, type: str, *pairs: tuple[str, str], scope: Scope = EVERYTHING) -> list[str]:
    found = pages(store, parse_query(type, pairs), scope)
    return [version.ref for page in found for version in page.versions]


@pytest.fixture(params=["as it is", "small sets are large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other half of the planner is for sets so large that no test could fill them."""
    if request.param == "small sets are large":
        for room in (sqlgen, pgasking, searching, resolving):
            monkeypatch.setattr(room, "MANY", 3)
        monkeypatch.setattr(searching, "FEW", 2)
        monkeypatch.setattr(bounds, "MOST_ENDS", 2)
        monkeypatch.setattr(ordering, "SIDE_BY_SIDE", 2)
        monkeypatch.setattr(sqlgen, "FEW_PATIENTS", 1)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("seed", range(2))
def test_sql_and_the_plain_reference_agree(store: Store, seed: int) -> None:
    world = World(seed)
    world.fill(store)
    for _ in range(120):
        type, pairs = world.search()
        scope = world.scope()
        query = parse_query(type, [*pairs, ("_count", str(world.random.randint(1, 9)))])
        wanted = Naive(list(world.live.values()), scope).answer(query)
        found = [v.ref for page in pages(store, query, scope) for v in page.versions]
        assert found == wanted, (type, pairs, scope)
        counted = store.search(replace(query, total="accurate", summary="count"), scope)
        assert (counted.total, counted.versions) == (len(wanted), ()), (type, pairs, scope)


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("duc", ["1", "2"]),
        ("Đức", ["1", "2"]),
        ("ĐỨC", ["1", "2"]),
        ("Đu\u031b\u0301c", ["1", "2"]),  # the same letters in another Unicode form
        ("nguyen van d", ["1"]),
        ("văn  đức", ["1"]),
        ("Minh Đức", ["2"]),
        ("Trần Minh", ["2"]),
        ("Minh Trần", []),
        ("uyen", []),
        ("duc,hoa", ["1", "2", "3"]),
    ],
)
def test_names_are_found_however_they_are_typed(store: Store, asked: str, found: list[str]) -> None:
    store.commit(
        [
            Put(a_patient("1", "Nguyễn Văn Đức")),
            Put({**a_patient("2"), "name": [{"family": "Trần", "given": ["Minh", "Đức"]}]}),
            Put({**a_patient("3"), "name": [{"given": ["Hoà"]}]}),
        ],
        author="me",
    )
    assert refs(store, "Patient", ("name", asked), ("_sort", "_id")) == [
        f"Patient/{id}" for id in found
    ]


def test_exact_means_every_accent_and_contains_means_anywhere(store: Store) -> None:
    for id, family in (("1", "Đặng"), ("2", "Dang"), ("3", "Nguyễn")):
        store.commit([Put({**a_patient(id), "name": [{"family": family}]})], author="me")
    assert refs(store, "Patient", ("family:exact", "Đặng")) == ["Patient/1"]
    assert refs(store, "Patient", ("family:exact", "đặng")) == []
    assert refs(store, "Patient", ("family:contains", "uye")) == ["Patient/3"]
    assert refs(store, "Patient", ("family", "dang"), ("_sort", "_id")) == [
        "Patient/1",
        "Patient/2",
    ]


def test_a_partial_date_means_local_time(store: Store) -> None:
    # half past midnight on the first of May in Vietnam is still April in Greenwich
    store.commit([Put(an_observation("1", at="2024-04-30T17:30:00Z"))], author="me")
    assert refs(store, "Observation", ("date", "2024-05")) == ["Observation/1"]
    assert refs(store, "Observation", ("date", "2024-05-01")) == ["Observation/1"]
    assert refs(store, "Observation", ("date", "2024-04")) == []
    assert refs(store, "Observation", ("date", "le2024-04-30")) == []


# --- after changes --------------------------------------------------------------------------


def test_an_update_is_found_under_its_new_words_only(store: Store) -> None:
    store.commit([Put(a_patient("1", "An", birthDate="1980"))], author="me")
    store.commit([Put(an_observation("1", valueQuantity={"value": 5}))], author="me")
    store.commit([Put(a_patient("1", "Bình", birthDate="1990"))], author="me")
    store.commit(
        [Put(an_observation("1", patient="2", code="x", at="2025", valueQuantity={"value": 6}))],
        author="me",
    )
    for name, old, new in (("name", "an", "binh"), ("birthdate", "1980", "1990")):
        assert refs(store, "Patient", (name, old)) == []
        assert refs(store, "Patient", (name, new)) == ["Patient/1"]
    for name, old, new in (
        ("code", "8480-6", "x"),
        ("patient", "1", "2"),
        ("date", "2024", "2025"),
        ("value-quantity", "5", "6"),
    ):
        assert refs(store, "Observation", (name, old)) == []
        assert refs(store, "Observation", (name, new)) == ["Observation/1"]


def test_what_is_deleted_is_not_found_and_comes_back_when_written_again(store: Store) -> None:
    store.commit([Put(a_patient("1")), Put(an_observation("1"))], author="me")
    store.commit([Delete("Patient", "1")], author="me")
    assert refs(store, "Patient") == []
    assert refs(store, "Patient", ("_id", "1")) == []
    assert refs(store, "Observation", ("patient.name", "an")) == []
    assert refs(store, "Observation", ("patient", "1")) == ["Observation/1"]
    store.commit([Put(a_patient("1"))], author="me")
    assert refs(store, "Patient", ("name", "an")) == ["Patient/1"]
    assert refs(store, "Observation", ("patient.name", "an")) == ["Observation/1"]


# --- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["date", "-date", "_lastUpdated", "_id", "-value-quantity"])
def test_who_is_not_touched_is_shown_exactly_once_while_others_write(
    store: Store, sort: str
) -> None:
    def observed(n: int, value: int) -> dict[str, Any]:
        day = f"2024-05-{n % 28 + 1:02}"
        return an_observation(f"{n:03}", at=day, valueQuantity={"value": value})

    store.commit([Put(observed(n, n % 7)) for n in range(60)], author="me")
    query = parse_query("Observation", [("_sort", sort), ("_count", "7")])
    seen = []
    for turn, page in enumerate(pages(store, query)):
        seen += [version.id for version in page.versions]
        touched = [Put(observed(n, 100 + turn)) for n in range(0, 60, 6)]
        new = [Put(observed(100 + turn * 3 + n, 3)) for n in range(3)]
        store.commit([*touched, *new, Delete("Observation", f"{turn * 6 + 1:03}")], author="me")
        if turn > 25:
            break
    quiet = {f"{n:03}" for n in range(60) if n % 6 not in (0, 1)}
    assert [id for id in sorted(seen) if id in quiet] == sorted(quiet)


@pytest.mark.parametrize(
    "sort", ["date", "-date", "_lastUpdated", "-_id", "-value-quantity", "status,-date", "-code"]
)
def test_a_walk_shows_the_records_as_they_were_when_it_began(store: Store, sort: str) -> None:
    def observed(n: int, value: int) -> dict[str, Any]:
        day = f"2024-05-{n * value % 28 + 1:02}"
        return an_observation(f"{n:03}", at=day, valueQuantity={"value": value})

    store.commit([Put(observed(n, n % 7)) for n in range(40)], author="me")
    query = parse_query(
        "Observation", [("value-quantity", "lt50"), ("_sort", sort), ("_count", "6")]
    )
    plan = [one.ref for page in pages(store, query) for one in page.versions]
    seen = []
    for turn, page in enumerate(pages(store, replace(query, total="accurate"))):
        seen += [(one.ref, one.version) for one in page.versions]
        assert page.total == 40
        # some change their place, some no longer match, some are new
        touched = [Put(observed(n, 3 + turn)) for n in range(turn, 40, 5)]
        gone = [Put(observed(n, 99)) for n in range(turn, 40, 7)]
        store.commit(touched, author="me")
        store.commit([*gone, Put(observed(100 + turn, 1))], author="me")
        assert turn < 20
    assert seen == [(ref, 1) for ref in plan]


def test_a_record_deleted_meanwhile_is_not_shown(store: Store) -> None:
    store.commit([Put(an_observation(f"{n}")) for n in range(6)], author="me")
    query = parse_query("Observation", [("_sort", "_id"), ("_count", "3")])
    first = store.search(query)
    store.commit([Put(an_observation("4", code="x")), Delete("Observation", "4")], author="me")
    second = store.search(replace(query, cursor=first.next))
    assert [one.id for one in second.versions] == ["3", "5"]


@pytest.mark.parametrize(
    "cursor", ["x", "!!", "WyJ4Il0", "bnVsbA", "WyJtYWluIiwgImRhdGUiLCAwLCAieCIsICJ5Il0", "é"]
)
def test_a_cursor_from_elsewhere_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Invalid) as caught:
        store.search(parse_query("Observation", [("_cursor", cursor)]))
    assert caught.value.slug == "bad-cursor"


def test_a_cursor_serves_its_own_order_only(store: Store) -> None:
    store.commit([Put(an_observation(str(n))) for n in range(3)], author="me")
    page = store.search(parse_query("Observation", [("_count", "1"), ("_sort", "date")]))
    assert page.next is not None
    with pytest.raises(Invalid):
        store.search(parse_query("Observation", [("_cursor", page.next), ("_sort", "_id")]))


# --- totals and includes --------------------------------------------------------------------


def test_totals_are_counted_when_they_are_asked_for(store: Store) -> None:
    store.commit([Put(an_observation(str(n), code=f"c{n % 3}")) for n in range(10)], author="me")

    def total(*pairs: tuple[str, str]) -> int | None:
        return store.search(parse_query("Observation", pairs)).total

    assert total() is None
    assert total(("_total", "accurate")) == 10
    assert total(("_total", "accurate"), ("code", "c0")) == 4
    assert total(("_total", "estimate"), ("code", "c0,c1")) == 7
    assert total(("_summary", "count"), ("code", "none")) == 0
    assert total(("_count", "0")) == 10
    assert store.totals() == {"Observation": 10}


def test_includes_follow_references_both_ways(store: Store) -> None:
    store.commit(
        [
            Put(a_patient("1", managingOrganization={"reference": "Organization/1"})),
            Put({"resourceType": "Organization", "id": "1"}),
            Put(an_observation("1", performer=[{"reference": "Practitioner/1"}])),
            Put(an_observation("2", encounter={"reference": "Encounter/gone"})),
            Put({"resourceType": "Practitioner", "id": "1"}),
        ],
        author="me",
    )

    def included(type: str, *pairs: tuple[str, str]) -> list[str]:
        found = store.search(parse_query(type, pairs)).included
        return sorted(version.ref for version in found)

    assert included("Observation", ("_include", "Observation:patient")) == ["Patient/1"]
    assert included("Observation", ("_include", "Observation:subject:Device")) == []
    assert included(
        "Observation",
        ("_include", "Observation:performer"),
        ("_include", "Observation:subject"),
        ("_include", "Observation:encounter"),
    ) == ["Patient/1", "Practitioner/1"]
    assert included("Patient", ("_revinclude", "Observation:subject")) == [
        "Observation/1",
        "Observation/2",
    ]
    assert included("Patient", ("_count", "0"), ("_revinclude", "Observation:subject")) == []
    everything = ["Organization/1", "Patient/1", "Practitioner/1"]
    assert included("Observation", ("_include", "*")) == ["Patient/1", "Practitioner/1"]
    assert included("Observation", ("_include", "Observation:*:Patient")) == ["Patient/1"]
    assert (
        included("Observation", ("_include", "*"), ("_include:iterate", "Patient:organization"))
        == everything
    )
    assert included("Observation", ("_include:iterate", "*")) == everything
    assert included("Organization", ("_revinclude", "*")) == ["Patient/1"]
    assert included("Organization", ("_revinclude:iterate", "*")) == [
        "Observation/1",
        "Observation/2",
        "Patient/1",
    ]


def test_a_circle_of_references_is_included_once(store: Store) -> None:
    def linked(id: str, other: str) -> dict[str, Any]:
        return a_patient(id, link=[{"other": {"reference": f"Patient/{other}"}, "type": "refer"}])

    store.commit([Put(linked("1", "2")), Put(linked("2", "3")), Put(linked("3", "1"))], author="me")
    for name in ("_include:iterate", "_revinclude:iterate"):
        pairs = [("_id", "1"), (name, "Patient:link")]
        found = store.search(parse_query("Patient", pairs))
        assert sorted(one.ref for one in found.included) == ["Patient/2", "Patient/3"]


def test_what_would_be_looked_up_in_too_many_records_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_SCANNED", 5)
    monkeypatch.setattr(bounds, "MOST_SORTED", 5)
    store.commit([Put(an_observation(f"{n}")) for n in range(9)], author="me")
    for pairs in ([("_content", "nowhere"), ("_total", "accurate")], [("_sort", "status")]):
        with pytest.raises(Unsupported) as caught:
            store.search(parse_query("Observation", pairs))
        assert caught.value.code == "too-costly"
    assert refs(store, "Observation", ("_sort", "status"), ("_id", "3")) == ["Observation/3"]


def test_a_page_that_is_full_is_given_however_many_records_are_left_to_look_at(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_SCANNED", 5)
    changes = [Put(an_observation(f"{n}", at=f"2024-05-0{9 - n}")) for n in range(9)]
    for n in (0, 3, 4, 8):
        changes[n].resource["note"] = [{"text": "khám lại"}]
    store.commit(changes, author="me")
    query = parse_query("Observation", [("_content", "lai"), ("_count", "3")])
    page = store.search(query)
    assert [one.id for one in page.versions] == ["0", "3", "4"]
    assert page.next is not None
    rest = store.search(replace(query, cursor=page.next))
    assert [one.id for one in rest.versions] == ["8"]
    assert rest.next is None
    with pytest.raises(Unsupported):
        store.search(replace(query, count=4))
    # as many as may be looked at, and none behind them
    monkeypatch.setattr(bounds, "MOST_SCANNED", 9)
    page = store.search(replace(query, count=5))
    assert [one.id for one in page.versions] == ["0", "3", "4", "8"]
    assert page.next is None


def test_the_living_are_not_missing_whether_they_died(store: Store) -> None:
    store.commit(
        [
            Put(a_patient("alive")),
            Put(a_patient("plainly", deceasedBoolean=False)),
            Put(a_patient("dead", deceasedDateTime="2024")),
        ],
        author="me",
    )
    assert refs(store, "Patient", ("deceased:missing", "true")) == []
    assert len(refs(store, "Patient", ("deceased:missing", "false"))) == 3
    assert len(refs(store, "Patient", ("deceased", "false"))) == 2


# --- scope ----------------------------------------------------------------------------------

HERS = Scope(patients=frozenset({"Patient/hers"}), open=frozenset({"Organization"}))


@pytest.fixture
def two_people(store: Store) -> Store:
    """Two patients who know each other and share a doctor and a hospital."""
    for who, other in (("hers", "his"), ("his", "hers")):
        subject = {"reference": f"Patient/{who}"}
        store.commit(
            [
                Put(
                    a_patient(
                        who,
                        managingOrganization={"reference": "Organization/1"},
                        generalPractitioner=[{"reference": "Practitioner/1"}],
                    )
                ),
                Put(
                    an_observation(
                        who,
                        patient=who,
                        focus=[
                            {"reference": f"Condition/{other}"},
                            {"reference": f"Patient/{other}"},
                        ],
                    )
                ),
                Put({"resourceType": "Condition", "id": who, "subject": subject}),
            ],
            author="me",
        )
    store.commit(
        [
            Put({"resourceType": "Organization", "id": "1", "name": "Bệnh viện"}),
            Put({"resourceType": "Practitioner", "id": "1", "name": [{"text": "Bình"}]}),
        ],
        author="me",
    )
    store.commit([Put(an_observation("moved", patient="his"))], author="me")
    store.commit([Put(an_observation("moved", patient="hers"))], author="me")
    store.commit([Delete("Condition", "his"), Delete("Condition", "hers")], author="me")
    return store


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize(
    ("type", "pairs", "shown"),
    [
        ("Patient", [], ["Patient/hers"]),
        ("Patient", [("_id", "his")], []),
        ("Patient", [("name", "an")], ["Patient/hers"]),
        ("Patient", [("_sort", "name")], ["Patient/hers"]),
        ("Patient", [("_sort", "-_id")], ["Patient/hers"]),
        ("Patient", [("organization.name", "benh")], ["Patient/hers"]),
        ("Patient", [("general-practitioner.name", "binh")], []),
        ("Patient", [("_has:Observation:patient:code", "8480-6")], ["Patient/hers"]),
        ("Observation", [], ["Observation/hers", "Observation/moved"]),
        ("Observation", [("patient", "his")], []),
        ("Observation", [("patient", "hers,his"), ("code", "8480-6"), ("_sort", "date")], None),
        ("Observation", [("patient.name", "an"), ("_sort", "-_lastUpdated")], None),
        ("Observation", [("status:not", "amended"), ("_sort", "value-quantity")], None),
        ("Observation", [("focus:Condition.patient", "his")], []),
        ("Practitioner", [], []),
        ("Organization", [], ["Organization/1"]),
        ("Organization", [("_has:Patient:organization:name", "an")], ["Organization/1"]),
        ("Organization", [("_has:Patient:organization:_id", "his")], []),
    ],
)
def test_nobody_elses_record_is_shown_counted_or_hinted_at(
    two_people: Store, type: str, pairs: list[tuple[str, str]], shown: list[str] | None
) -> None:
    if shown is None:
        shown = ["Observation/hers", "Observation/moved"]
    assert sorted(refs(two_people, type, *pairs, scope=HERS)) == shown
    counted = two_people.search(parse_query(type, [*pairs, ("_summary", "count")]), HERS)
    assert counted.total == len(shown)


def test_what_is_included_is_in_scope_too(two_people: Store) -> None:
    everything = [
        ("_include", "Observation:subject"),
        ("_include", "Observation:focus"),
        ("_revinclude", "Provenance:target"),
    ]
    page = two_people.search(parse_query("Observation", everything), HERS)
    assert [version.ref for version in page.included] == ["Patient/hers"]
    page = two_people.search(
        parse_query("Organization", [("_revinclude", "Patient:organization")]), HERS
    )
    assert [version.ref for version in page.included] == ["Patient/hers"]
    page = two_people.search(
        parse_query("Patient", [("_include", "Patient:general-practitioner")]), HERS
    )
    assert page.included == ()


def test_history_shows_only_the_versions_that_were_hers(two_people: Store) -> None:
    def told(*names: str, scope: Scope = HERS, **given: Any) -> list[tuple[str, int]]:
        found = two_people.history(*names, scope=scope, **given).versions
        return [(version.ref, version.version) for version in found]

    assert told() == [
        ("Condition/hers", 2),
        ("Observation/moved", 2),
        ("Organization/1", 1),
        ("Condition/hers", 1),
        ("Observation/hers", 1),
        ("Patient/hers", 1),
    ]
    assert told("Observation", "moved") == [("Observation/moved", 2)]
    assert told("Condition", "his") == []
    assert told("Patient", "his") == []
    observations = Scope(types=frozenset({"Observation"}))
    assert told(count=2, scope=observations) == [("Observation/moved", 2), ("Observation/moved", 1)]
    assert told(scope=Scope(types=frozenset())) == []
    assert told(scope=Scope(patients=frozenset())) == []


def test_a_scope_of_thousands_is_no_trouble(store: Store) -> None:
    store.commit([Put(a_patient(str(n))) for n in range(40)], author="me")
    many = Scope(patients=frozenset(f"Patient/{n}" for n in range(10, 40_000)))
    assert len(refs(store, "Patient", scope=many)) == 30
    assert len(store.history(scope=many, count=100).versions) == 30
