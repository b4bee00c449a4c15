"""What a scope closes stays closed in every query form: matches, counts, chains, `_has`, includes,
pages, history, what lies around a patient, sweeps. Judged against a plain reading of each record.
On both databases."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from sokhoe.fhir import TYPES, compartments, parse_query, search
from sokhoe.store import Page, Put, Scope, Share, Store, Sweep, Version
from tests.contracts.conftest import a_patient, an_observation

KINDS = ("I10", "F20.1", "B20", "O04", "E11")
PLACES = ("Organization/a", "Organization/b", "Organization/c")


def a_memory(store: Store, draw: random.Random) -> list[Version]:
    """Patients with records of all kinds; persons who link two patients each."""
    rows: list[dict[str, Any]] = []
    for n in range(8):
        subject = {"reference": f"Patient/p{n}"}
        place = {"reference": draw.choice(PLACES)}
        rows.append(a_patient(f"p{n}", f"Người {n}", managingOrganization=place))
        rows.append(
            an_observation(f"o{n}", f"p{n}", hasMember=[{"reference": f"Observation/q{n}"}])
        )
        rows.append(an_observation(f"q{n}", f"p{n}", draw.choice(("75622-1", "8480-6"))))
        for m in range(3):
            code = {"coding": [{"code": draw.choice(KINDS)}]}
            rows.append(
                {"resourceType": "Condition", "id": f"c{n}-{m}", "subject": subject, "code": code}
            )
        visit: dict[str, Any] = {"resourceType": "Encounter", "id": f"e{n}", "status": "finished"}
        visit |= {"class": {"code": "AMB"}, "subject": subject}
        rows.append(visit | {"serviceProvider": {"reference": draw.choice(PLACES)}})
    for n in range(4):
        links = [{"target": {"reference": f"Patient/p{m}"}} for m in (2 * n, 2 * n + 1)]
        rows.append({"resourceType": "Person", "id": f"x{n}", "link": links})
    draw.shuffle(rows)
    return list(store.commit([Put(one) for one in rows], author="me").versions)


def a_share(draw: random.Random) -> Share:
    patients = frozenset(f"Patient/p{n}" for n in draw.sample(range(8), draw.randint(1, 4)))
    if draw.random() < 0.3:
        return Share(patients)
    category = draw.choice(("mental", "hiv", "reproductive"))
    marked: dict[str, bool | search.Condition] = {
        type: search.Keys("", (search.category_key(type, category),))
        for type in ("Condition", "Observation")
    }
    if draw.random() < 0.3:
        marked["Encounter"] = True
    return Share(patients, marked, rest=False)


def plainly_hidden(scope: Scope, version: Version) -> bool:
    """Written from what a share means, from the words of the record."""
    resource = version.resource
    codes = codes_of(version)
    kinds = {"F20.1": "mental", "B20": "hiv", "O04": "reproductive", "75622-1": "hiv"}
    keys = {search.category_key(version.type, kinds[one]) for one in codes if one in kinds}
    for share in scope.closed:
        what = share.of(version.type)
        if not share.patients & compartments(resource):
            continue
        if what is True or (isinstance(what, search.Keys) and set(what.keys) & keys):
            return True
    return False


def codes_of(version: Version) -> list[str]:
    return [one["code"] for one in version.resource.get("code", {}).get("coding", [])]


def refs(page: Page) -> set[str]:
    return {one.ref for one in (*page.versions, *page.included)}


@pytest.mark.parametrize("seed", range(4))
def test_what_is_closed_is_nowhere(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    every = a_memory(store, draw)
    shares = [a_share(draw) for _ in range(draw.randint(1, 3))]
    scope = Scope(closed=(Share(frozenset({"Patient/p0"})), *shares))
    open_ = {one.ref: one for one in every if not plainly_hidden(scope, one)}
    assert 0 < len(open_) < len(every)

    def ask(type: str, *pairs: tuple[str, str]) -> Page:
        return store.search(parse_query(type, pairs), scope)

    for type in ("Patient", "Condition", "Observation", "Encounter", "Person"):
        found = ask(type, ("_total", "accurate"), ("_count", "100"))
        wanted = {ref for ref in open_ if ref.startswith(f"{type}/")}
        assert refs(found) == wanted
        assert found.total == len(wanted)
        assert ask(type, ("_summary", "count")).total == len(wanted)
    for n in range(8):
        subject = ("patient", f"Patient/p{n}")
        theirs = {
            ref for ref, one in open_.items() if f"Patient/p{n}" in compartments(one.resource)
        }
        conditions = {ref for ref in theirs if ref.startswith("Condition/")}
        assert refs(ask("Condition", subject)) == conditions
        assert refs(ask("Condition", ("patient.name", f"Người {n}"))) == (
            conditions if f"Patient/p{n}" in open_ else set()
        )
        shown = f"Patient/p{n}" in open_
        for code in KINDS:
            has = any(codes_of(open_[ref]) == [code] for ref in conditions)
            some = ask("Patient", ("_id", f"p{n}"), ("_has:Condition:patient:code", code))
            assert bool(some.versions) == (has and shown)
        along = refs(ask("Patient", ("_id", f"p{n}"), ("_revinclude", "*:*")))
        assert along == (
            theirs | {ref for ref in open_ if _links(open_[ref], n)} if shown else set()
        )
        assert refs(
            ask("Observation", ("_id", f"o{n}"), ("_include", "Observation:has-member"))
        ) <= set(open_)
        by = {type: ["patient"] for type in ("Condition", "Observation", "Encounter")}
        stored = {type: [search.search_parameters(type)["patient"].stored[0]] for type in by}
        around = store.around([f"Patient/p{n}"], stored, scope=scope, count=3)
        seen = set(refs(around))
        while around.next:
            around = store.around(
                [f"Patient/p{n}"], stored, scope=scope, count=3, after=int(around.next)
            )
            seen |= refs(around)
        assert seen == {ref for ref in theirs if not ref.startswith("Person/")}
    assert refs(store.history(scope=scope, count=100)) == set(open_)
    paged, page = set[str](), store.history(scope=scope, count=3)
    paged |= refs(page)
    while page.next:
        page = store.history(scope=scope, count=3, before=int(page.next))
        paged |= refs(page)
    assert paged == set(open_)
    swept = store.sweep(Sweep(TYPES, store.point().upto, closed=scope.closed), 0)
    assert {f"{type}/{id}" for type, id, _ in swept.taken} == set(open_)
    chosen = store.choose([parse_query("Condition", [])], scope)[1]
    assert len(chosen.numbers) == sum(ref.startswith("Condition/") for ref in open_)


def _links(version: Version, n: int) -> bool:
    links = version.resource.get("link", [])
    return any(one["target"]["reference"] == f"Patient/p{n}" for one in links)


def test_a_later_page_does_not_show_what_was_closed_when_the_first_was_made(store: Store) -> None:
    """Changed while somebody turns pages: the version that stood then is judged as well."""
    secret = {"coding": [{"code": "F20.1"}]}
    rows = [an_observation(f"o{n}", "1", at=f"2024-05-{10 + n}") for n in range(6)]
    store.commit(
        [Put(a_patient("1")), *(Put({**one, "code": secret}) for one in rows)], author="me"
    )
    keys = search.Keys("", (search.category_key("Observation", "mental"),))
    scope = Scope(closed=(Share(frozenset({"Patient/1"}), {"Observation": keys}, rest=False),))
    store.commit(
        [Put(an_observation(f"n{n}", "1", at="2024-06-01")) for n in range(4)], author="me"
    )
    query = parse_query("Observation", [("_count", "2"), ("_sort", "-date")])
    first = store.search(query, scope)
    assert {one.id[0] for one in first.versions} == {"n"}
    assert first.next is not None
    store.commit([Put(one) for one in rows], author="me")  # no longer marked
    page: Page | None = first
    while page is not None and page.next is not None:
        page = store.search(replace(query, cursor=page.next), scope)
        assert {one.id[0] for one in page.versions} <= {"n"}


@pytest.mark.parametrize("seed", range(3))
def test_related_patients_are_those_who_meet_the_conditions_now(store: Store, seed: int) -> None:
    draw = random.Random(seed)
    every = a_memory(store, draw)
    here = "Organization/a"
    there = search.key(here)
    registered = search.Keys("", (search.key("Patient|organization|") ^ there,))
    visited = search.Pointed(
        "",
        "Encounter",
        search.key(
            search.prefix("Encounter", search.search_parameters("Encounter")["patient"].stored[0])
        ),
        (search.Keys("", (search.key("Encounter|service-provider|") ^ there,)),),
    )
    scope = Scope(
        frozenset({"Patient/p0"}), related=(search.AnyOf("", ((registered,), (visited,))),)
    )
    near = {"Patient/p0"}
    for one in every:
        resource = one.resource
        if resource.get("managingOrganization", {}).get("reference") == here:
            near.add(one.ref)
        if resource.get("serviceProvider", {}).get("reference") == here:
            near.add(resource["subject"]["reference"])
    for type in ("Patient", "Condition", "Encounter", "Observation"):
        wanted = {
            one.ref for one in every if one.type == type and compartments(one.resource) & near
        }
        found = store.search(parse_query(type, [("_count", "100"), ("_total", "accurate")]), scope)
        assert refs(found) == wanted
        assert found.total == len(wanted)
    people = {one.ref for one in every if compartments(one.resource) & near}
    assert refs(store.history(scope=scope, count=200)) == people
    chained = store.search(parse_query("Condition", [("patient.name", "Người")]), scope)
    assert refs(chained) == {ref for ref in people if ref.startswith("Condition/")}


def test_of_a_narrowed_type_only_what_meets_the_query(store: Store) -> None:
    draw = random.Random(1)
    every = a_memory(store, draw)
    (where,) = parse_query("Condition", [("code", "I10,E11")]).where
    scope = Scope(only=(("Condition", where),))
    wanted = {
        one.ref for one in every if one.type == "Condition" and codes_of(one)[0] in ("I10", "E11")
    }
    assert refs(store.search(parse_query("Condition", [("_count", "100")]), scope)) == wanted
    history = refs(store.history("Condition", scope=scope, count=200))
    assert history == wanted
    assert len(refs(store.search(parse_query("Patient", []), scope))) == 8
    along = store.search(parse_query("Patient", [("_revinclude", "Condition:patient")]), scope)
    assert {one.ref for one in along.included} == wanted
