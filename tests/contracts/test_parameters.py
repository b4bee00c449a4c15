"""Search parameters of a server's own: indexed for what comes and for what was there, on both
databases, and gone without a trace when they are retired."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Invalid, Unavailable
from sokhoe.fhir import parse_query
from sokhoe.store import Carrier, Delete, Put, Reindex, Store, Sums, mending, open_store, pack
from tests.contracts.conftest import a_patient, an_observation


def a_parameter(code: str, type: str, expression: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"urn:x:{code}",
        "name": code.title().replace("-", ""),
        "status": "active",
        "description": "Of this province.",
        "code": code,
        "base": ["Patient"],
        "type": type,
        "expression": expression,
        **more,
    }


def extended(id: str, url: str, **value: Any) -> dict[str, Any]:
    return a_patient(id, extension=[{"url": url, **value}])


def refs(store: Store, type: str, *pairs: tuple[str, str]) -> list[str]:
    query = parse_query(type, pairs, known=store.parameters())
    page = store.search(query)
    return sorted(one.id for one in page.versions)


def index_all(store: Store) -> None:
    """What the follower does."""
    for _ in range(200):
        if store.index_on() is None:
            return
    raise AssertionError("the work never ends")


def differing(store: Store) -> list[str]:
    """The records that are not indexed as they should be, put right or not."""
    found, reach, upto = [], 0, store.head()
    while reach < upto:
        step = store.reindex(Reindex(None, upto, mend=False), reach)
        found += [one.ref for one in step.differences]
        reach = step.reach
    return found


@pytest.fixture
def soon_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "GRACE", 0)


Rows = list[tuple[str, dict[str, Any]]]
KINDS: list[tuple[str, str, str, Rows, list[tuple[str, str, list[str]]]]] = [
    (
        "token",
        "Patient.extension('urn:x').value.ofType(CodeableConcept)",
        "valueCodeableConcept",
        [
            ("a", {"coding": [{"system": "urn:s", "code": "1"}], "text": "Phật giáo"}),
            ("b", {"coding": [{"system": "urn:s", "code": "2"}]}),
        ],
        [
            ("", "1", ["a"]),
            ("", "urn:s|2", ["b"]),
            (":not", "1", ["b", "none"]),
            (":text", "phat", ["a"]),
            (":missing", "true", ["none"]),
            (":missing", "false", ["a", "b"]),
        ],
    ),
    (
        "string",
        "Patient.extension.where(url = 'urn:x').value as string",
        "valueString",
        [("a", {"": "Vĩnh Long"}), ("b", {"": "Long Hồ"})],
        [("", "vinh", ["a"]), (":contains", "long", ["a", "b"]), (":exact", "Long Hồ", ["b"])],
    ),
    (
        "date",
        "Patient.extension('urn:x').value.as(date)",
        "valueDate",
        [("a", {"": "2024-05-01"}), ("b", {"": "2023"})],
        [("", "2024", ["a"]), ("", "lt2024", ["b"]), ("", "ge2024-05-01", ["a"])],
    ),
    (
        "number",
        "Patient.extension('urn:x').value.as(integer)",
        "valueInteger",
        [("a", {"": 3}), ("b", {"": 7})],
        [("", "3", ["a"]), ("", "gt3", ["b"])],
    ),
    (
        "quantity",
        "Patient.extension('urn:x').value.as(Quantity)",
        "valueQuantity",
        [
            ("a", {"value": 3, "system": "http://unitsofmeasure.org", "code": "kg"}),
            ("b", {"value": 900, "system": "http://unitsofmeasure.org", "code": "g"}),
        ],
        [("", "lt1|http://unitsofmeasure.org|kg", ["b"]), ("", "3||kg", ["a"])],
    ),
    (
        "uri",
        "Patient.extension('urn:x').value.as(uri)",
        "valueUri",
        [("a", {"": "http://x.org/a/b"}), ("b", {"": "http://x.org/c"})],
        [("", "http://x.org/c", ["b"]), (":below", "http://x.org/a", ["a"])],
    ),
    (
        "reference",
        "Patient.extension('urn:x').value.as(Reference)",
        "valueReference",
        [("a", {"reference": "Organization/1"}), ("b", {"reference": "Organization/2"})],
        [("", "Organization/1", ["a"]), ("", "2", ["b"]), (".name", "tram", ["a"])],
    ),
]


@pytest.mark.parametrize("before", [False, True], ids=["written after", "written before"])
@pytest.mark.parametrize(("kind", "expression", "element", "values", "asked"), KINDS)
def test_each_kind_finds_what_it_should(
    store: Store,
    kind: str,
    expression: str,
    element: str,
    values: Rows,
    asked: list[tuple[str, str, list[str]]],
    before: bool,
) -> None:
    target = {"target": ["Organization"]} if kind == "reference" else {}
    records = [
        Put(extended(id, "urn:x", **{element: value.get("", value)})) for id, value in values
    ]
    records.append(Put(extended("none", "urn:y", **{element: "never"} if kind == "uri" else {})))
    records.append(Put({"resourceType": "Organization", "id": "1", "name": "Trạm y tế"}))
    made = [Put(a_parameter("own", kind, expression, **target))]
    for changes in (records, made) if before else (made, records):
        store.commit(changes, author="me")
    index_all(store)
    for modifier, value, found in asked:
        assert refs(store, "Patient", (f"own{modifier}", value)) == found, (modifier, value)
    assert differing(store) == []


def test_a_search_by_one_that_is_not_ready_is_refused(store: Store) -> None:
    store.commit([Put(a_patient("1", birthDate="1980"))], author="me")
    store.commit([Put(a_parameter("born", "date", "Patient.birthDate"))], author="me")
    with pytest.raises(Unavailable) as caught:
        refs(store, "Patient", ("born", "1980"))
    assert (caught.value.slug, caught.value.status) == ("not-ready", 503)
    index_all(store)
    assert refs(store, "Patient", ("born", "1980")) == ["1"]
    with pytest.raises(Invalid):
        refs(store, "Observation", ("born", "1980"))


def test_a_change_is_found_under_its_new_values_only(store: Store) -> None:
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    index_all(store)
    store.commit([Put(a_patient("1", gender="male"))], author="me")
    store.commit([Put(a_patient("1", gender="female"))], author="me")
    assert refs(store, "Patient", ("sex", "male")) == []
    assert refs(store, "Patient", ("sex", "female")) == ["1"]
    store.commit([Delete("Patient", "1")], author="me")
    assert refs(store, "Patient", ("sex", "female")) == []
    assert differing(store) == []


def test_values_of_one_element_belong_together(store: Store) -> None:
    loinc = "http://hl7.org/fhir/SearchParameter"
    made = a_parameter(
        "part-status",
        "composite",
        "Observation.component",
        base=["Observation"],
        component=[
            {"definition": f"{loinc}/Observation-component-code", "expression": "code"},
            {
                "definition": f"{loinc}/Observation-component-value-quantity",
                "expression": "value.as(Quantity)",
            },
        ],
    )

    def part(code: str, value: int) -> dict[str, Any]:
        return {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value}}

    store.commit([Put(made)], author="me")
    store.commit([Put(an_observation("1", component=[part("a", 1), part("b", 2)]))], author="me")
    index_all(store)
    assert refs(store, "Observation", ("part-status", "a$1")) == ["1"]
    assert refs(store, "Observation", ("part-status", "a$2")) == []
    assert refs(store, "Observation", ("part-status", "b$gt1")) == ["1"]


@pytest.mark.usefixtures("soon_gone")
@pytest.mark.parametrize("way", ["deleted", "retired", "changed"])
def test_what_is_retired_leaves_no_row_behind(store: Store, way: str) -> None:
    store.commit([Put(a_patient(f"{n}", gender="male")) for n in range(9)], author="me")
    clean = rows_of(store)
    made = a_parameter("sex", "token", "Patient.gender")
    store.commit([Put(made)], author="me")
    index_all(store)
    assert rows_of(store) > clean
    if way == "deleted":
        store.commit([Delete("SearchParameter", "sex")], author="me")
    elif way == "retired":
        store.commit([Put({**made, "status": "retired"})], author="me")
    else:
        store.commit(
            [Put({**made, "expression": "Patient.gender.where($this = 'x')"})], author="me"
        )
    # one of them is changed before the work begins, one while it goes on
    store.commit([Put(a_patient("3", gender="female"))], author="me")
    index_all(store)
    if way == "changed":
        assert refs(store, "Patient", ("sex", "male")) == []
        store.commit([Delete("SearchParameter", "sex")], author="me")
        index_all(store)
    with pytest.raises(Invalid):
        refs(store, "Patient", ("sex", "male"))
    assert store.editions() == []
    store.commit([Put(a_patient("3", gender="male"))], author="me")
    store.commit([Delete("SearchParameter", "sex")], author="me")
    assert rows_of(store) == clean
    assert differing(store) == []


def rows_of(store: Store) -> int:
    """How many hashes of patients the index has."""
    count = 0
    for row in store._read(  # type: ignore[attr-defined]
        "SELECT count(*) FROM eq e JOIN res r ON r.seq=e.pk WHERE r.type=(SELECT code FROM types "
        "WHERE name='Patient')"
        if "Sqlite" in type(store).__name__
        else "SELECT coalesce(sum(cardinality(keys)), 0) FROM cur WHERE type=(SELECT code FROM "
        "types WHERE name='Patient')"
    ):
        count += int(row[0])
    return count


def test_another_process_indexes_at_once_by_what_this_one_has_made(url: str, store: Store) -> None:
    """It made its record ready before it could know, and that is noticed when it is written."""
    other = open_store(url)
    try:
        assert other.parameters().customs == ()
        store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
        index_all(store)
        other.commit([Put(a_patient("late", gender="male"))], author="me")
        assert refs(store, "Patient", ("sex", "male")) == ["late"]
    finally:
        other.close()


def test_an_index_made_anew_has_them_too(store: Store) -> None:
    store.commit([Put(a_patient("1", gender="male"))], author="me")
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    with store._transaction(durable=True) as read:  # type: ignore[attr-defined]
        store._fill_index(read)  # type: ignore[attr-defined]
    store._known_until = 0.0  # type: ignore[attr-defined]
    assert refs(store, "Patient", ("sex", "male")) == ["1"]
    assert differing(store) == []


# --- what is wrong is found and mended --------------------------------------------------------


PLANTED = {
    "sqlite": [
        "DELETE FROM eq WHERE h=(SELECT min(h) FROM eq WHERE pk=2) AND pk=2",
        "UPDATE str SET v=v || 'x' WHERE pk=2",
        "DELETE FROM dte WHERE pk=2",
        "DELETE FROM link WHERE pk=3",
        "UPDATE res SET d=5 WHERE seq=3",
    ],
    "postgresql": [
        "UPDATE cur SET keys=keys[2:] WHERE pk=2",
        "UPDATE cur SET keys=keys || 5::bigint WHERE pk=2",
        "UPDATE str SET v=v || 'x' WHERE pk=2",
        "DELETE FROM dte WHERE pk=2",
        "DELETE FROM cur WHERE pk=3",
        "UPDATE cur SET d=5 WHERE pk=3",
    ],
}


def test_what_was_altered_by_hand_is_named_and_mended(store: Store) -> None:
    store.commit([Put(a_patient("1", birthDate="1980"))], author="me")
    store.commit([Put(a_patient("2", birthDate="1990"))], author="me")
    store.commit([Put(an_observation("3"))], author="me")
    planted = PLANTED["sqlite" if "Sqlite" in type(store).__name__ else "postgresql"]
    for text in planted:
        assert differing(store) == []
        with store._transaction(durable=True):  # type: ignore[attr-defined]
            store._run(text)  # type: ignore[attr-defined]
        (ref,) = differing(store)
        assert ref == ("Patient/2" if "=2" in text else "Observation/3"), text
        done = store.reindex(Reindex(None, store.head()))
        assert [one.ref for one in done.differences] == [ref]
    assert differing(store) == []
    assert refs(store, "Patient", ("name", "an"), ("birthdate", "1990")) == ["2"]


def strays(store: Store, *, mend: bool) -> list[tuple[str, int]]:
    sums = Sums(store.head())
    reach = 0
    while reach < sums.upto:
        reach = store.reindex(Reindex(None, sums.upto, mend=False), reach, sums=sums).reach
    return [(one.ref, one.extra) for one in store.strays(sums, mend=mend)]


STRAYS = {
    "sqlite": [
        ("INSERT INTO eq(h, d, pk) VALUES(77, 5, 3)", "Observation/3 version 1"),
        ("UPDATE eq SET h=h+1 WHERE pk=3 AND h=(SELECT max(h) FROM eq WHERE pk=3 AND h<9e18)", ""),
        ("INSERT INTO eq(h, d, pk) VALUES(78, 0, 1)", "Patient/1 version 1"),
        ("INSERT INTO num(p, v, pk, d) VALUES(79, 1.5, 1, 0)", "Patient/1 version 1"),
    ],
    "postgresql": [
        ("INSERT INTO cur(pk, d, span, type, keys) VALUES(1, 0, NULL, 1, '{5}')", "Patient/1"),
        ("INSERT INTO num(p, v, pk) VALUES(79, 1.5, 1)", "Patient/1 version 1"),
    ],
}


def test_rows_that_belong_to_nobody_are_named_and_taken_out(store: Store) -> None:
    store.commit([Put(a_patient("1", birthDate="1980"))], author="me")
    store.commit([Put(a_patient("1", birthDate="1990"))], author="me")
    store.commit([Put(an_observation("3"))], author="me")
    for text, name in STRAYS["sqlite" if "Sqlite" in type(store).__name__ else "postgresql"]:
        assert strays(store, mend=False) == []
        with store._transaction(durable=True):  # type: ignore[attr-defined]
            store._run(text)  # type: ignore[attr-defined]
        ((ref, count),) = strays(store, mend=True)
        assert ref.startswith(name) and count == 1, text
        store.reindex(Reindex(None, store.head()))
    assert strays(store, mend=False) == []
    assert differing(store) == []


def test_only_what_is_asked_for_is_looked_at(store: Store) -> None:
    store.commit([Put(a_patient("1")), Put(an_observation("2"))], author="me")
    head = store.head()
    assert store.reindex(Reindex(None, head)).looked == 2
    assert store.reindex(Reindex(frozenset({"Patient"}), head)).looked == 1
    assert store.reindex(Reindex(None, head, frozenset({"Observation/2"}))).looked == 1
    store.commit([Put(a_patient("1", gender="male"))], author="me")
    assert store.reindex(Reindex(frozenset({"Patient"}), head)).looked == 0


# --- in pieces -----------------------------------------------------------------------------------


def test_the_work_is_counted_and_checked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "WINDOW", 4)
    store.commit([Put(a_patient(f"{n}", gender="male")) for n in range(10)], author="me")
    store.commit([Put(a_patient("none"))], author="me")
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    states = []
    while (step := store.index_on()) is not None:
        states.append((step.custom.state, step.looked, step.changed, step.added))
    assert states[0] == ("indexing", 4, 4, 8)
    assert states[2] == ("checking", 11, 10, 20)  # the code, and that there is one
    (edition,) = store.editions()
    assert edition.custom.state == "ready"
    assert (edition.looked, edition.changed, edition.wrong) == (11, 10, 0)


def test_one_works_while_the_others_wait(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "WINDOW", 2)
    store.commit([Put(a_patient(f"{n}", gender="male")) for n in range(6)], author="me")
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    other = open_store(url)
    try:
        assert store.index_on() is not None
        assert other.index_on() is None
        # the first one dies; when its time is over the other goes on where it stood
        later = clock.now() + mending.LEASE + 1
        monkeypatch.setattr(clock, "now", lambda: later)
        step = other.index_on()
        assert step is not None
        assert step.looked == 4
        index_all(other)
        (edition,) = other.editions()
        assert (edition.custom.state, edition.looked) == ("ready", 6)
    finally:
        other.close()


def test_pages_go_on_while_records_change(store: Store) -> None:
    """A page behind a cursor judges what was changed since by our own parameters too."""
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    index_all(store)
    store.commit([Put(a_patient(f"{n}", gender="male")) for n in range(4)], author="me")
    query = parse_query(
        "Patient", [("sex", "male"), ("_count", "2"), ("_sort", "sex")], known=store.parameters()
    )
    first = store.search(query)
    store.commit([Put(a_patient(f"{n}", gender="female")) for n in range(4)], author="me")
    rest = store.search(replace(query, cursor=first.next))
    assert sorted(one.id for one in (*first.versions, *rest.versions)) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("knew", [True, False], ids=["knew", "did not know"])
def test_what_another_process_made_ready_is_indexed_by_them_too(store: Store, knew: bool) -> None:
    old = Carrier(store.dictionary())
    store.commit([Put(a_parameter("sex", "token", "Patient.gender"))], author="me")
    index_all(store)
    carrier = Carrier(store.dictionary()) if knew else old
    store.load(pack([carrier.ready(a_patient("1", gender="male"))[0]]), author="me")
    assert refs(store, "Patient", ("sex", "male")) == ["1"]
    assert differing(store) == []
