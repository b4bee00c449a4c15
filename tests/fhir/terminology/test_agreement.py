"""All questions agree with one another, and with a second, plain writing of the rules."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.fhir.terminology import (
    Ask,
    Check,
    Coding,
    Library,
    Map,
    System,
    Wish,
    expand,
    subsumes,
    translate,
)
from tests.fhir.terminology.worlds import codes_of, library, value_set

CODES = [f"c{n}" for n in range(9)]
SYSTEMS = ["http://e.org/0", "http://e.org/1"]


@st.composite
def systems(draw: st.DrawFn, url: str) -> dict[str, Any]:
    """A code system: concepts below earlier ones, by nesting or by property; some retired."""
    count = draw(st.integers(1, len(CODES)))
    made: list[dict[str, Any]] = [
        {"code": code, "display": code, "property": []} for code in CODES[:count]
    ]
    roots = []
    for n, one in enumerate(made):
        above = draw(st.none() | st.integers(0, n - 1)) if n else None
        if above is None:
            roots.append(one)
        elif draw(st.booleans()):
            made[above].setdefault("concept", []).append(one)
        else:
            roots.append(one)
            one["property"].append({"code": "parent", "valueCode": CODES[above]})
        one["property"].append({"code": "size", "valueInteger": draw(st.integers(0, 2))})
        if draw(st.integers(0, 4)) == 0:
            one["property"].append({"code": "inactive", "valueBoolean": True})
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "status": "active",
        "content": "complete",
        "property": [{"code": "size", "type": "integer"}],
        "concept": roots,
    }


def filters() -> st.SearchStrategy[dict[str, str]]:
    on_codes = st.sampled_from(["is-a", "descendent-of", "is-not-a", "generalizes", "=", "regex"])
    return st.one_of(
        st.builds(lambda op: {"property": "concept", "op": op, "value": "c0"}, on_codes),
        st.builds(
            lambda op, value: {"property": "size", "op": op, "value": value},
            st.sampled_from(["=", "in", "not-in"]),
            st.sampled_from(["0", "1", "0,2"]),
        ),
    )


def includes(imports: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    system = st.sampled_from(SYSTEMS)
    choices = [
        st.builds(lambda s: {"system": s}, system),
        st.builds(
            lambda s, codes: {"system": s, "concept": [{"code": c} for c in codes]},
            system,
            st.lists(st.sampled_from(CODES), min_size=1, max_size=4),
        ),
        st.builds(
            lambda s, found: {"system": s, "filter": found},
            system,
            st.lists(filters(), min_size=1, max_size=2),
        ),
    ]
    if imports:
        sets = st.lists(st.sampled_from(imports), min_size=1, max_size=2)
        choices.append(st.builds(lambda v: {"valueSet": v}, sets))
        choices.append(st.builds(lambda s, v: {"system": s, "valueSet": v}, system, sets))
    return st.one_of(*choices)


@st.composite
def worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = [draw(systems(url)) for url in SYSTEMS]
    sets: list[str] = []
    for n in range(3):
        include = draw(st.lists(includes(sets), min_size=1, max_size=3))
        more: dict[str, Any] = {}
        if exclude := draw(st.lists(includes(sets), max_size=2)):
            more["exclude"] = exclude
        if draw(st.integers(0, 3)) == 0:
            more["inactive"] = False
        made.append(value_set(f"http://e.org/vs{n}", *include, **more))
        sets.append(f"http://e.org/vs{n}")
    return made


# -- the plain writing of the rules --------------------------------------------------------------

Pair = tuple[str, str]


def flat(resource: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every concept by code, with `above`: codes of its direct parents."""
    found: dict[str, dict[str, Any]] = {}

    def walk(concepts: list[dict[str, Any]], parents: list[str]) -> None:
        for one in concepts:
            said = [p["valueCode"] for p in one["property"] if p["code"] == "parent"]
            found[one["code"]] = {**one, "above": parents + said}
            walk(one.get("concept", []), [one["code"]])

    walk(resource["concept"], [])
    return found


def is_a(concepts: dict[str, dict[str, Any]], code: str, other: str) -> bool:
    return code == other or any(is_a(concepts, up, other) for up in concepts[code]["above"])


def passes(concepts: dict[str, dict[str, Any]], code: str, rule: dict[str, str]) -> bool:
    op, value = rule["op"], rule["value"]
    if rule["property"] == "concept":
        return {
            "is-a": is_a(concepts, code, value),
            "descendent-of": is_a(concepts, code, value) and code != value,
            "is-not-a": not is_a(concepts, code, value),
            "generalizes": is_a(concepts, value, code),
            "=": code == value,
            "regex": code == value,
        }[op]
    size = str(next(p["valueInteger"] for p in concepts[code]["property"] if p["code"] == "size"))
    wanted = value.split(",") if op != "=" else [value]
    return size not in wanted if op == "not-in" else size in wanted


def inactive(world: list[dict[str, Any]], pair: Pair) -> bool:
    system = next(one for one in world if one["url"] == pair[0])
    return any(p["code"] == "inactive" for p in flat(system)[pair[1]]["property"])


def plainly(world: list[dict[str, Any]], url: str) -> set[Pair]:
    compose = next(one for one in world if one["url"] == url)["compose"]

    def of(one: dict[str, Any]) -> set[Pair]:
        sets = [plainly(world, name) for name in one.get("valueSet", ())]
        if "system" in one:
            concepts = flat(next(r for r in world if r["url"] == one["system"]))
            codes = set(concepts)
            if "concept" in one:
                codes &= {each["code"] for each in one["concept"]}
            for rule in one.get("filter", ()):
                codes = {code for code in codes if passes(concepts, code, rule)}
            sets.append({(one["system"], code) for code in codes})
        return set.intersection(*sets)

    found = set().union(*map(of, compose["include"]))
    found -= set().union(*map(of, compose.get("exclude", [])))
    if compose.get("inactive") is False:
        found = {pair for pair in found if not inactive(world, pair)}
    return found


def shown(shelf: Library, url: str, wish: Wish) -> list[Pair]:
    answer = expand(shelf.definition("ValueSet", url) or {}, shelf.members(url), wish, "now")
    found: list[Pair] = []
    waiting = list(answer["expansion"].get("contains", ()))
    while waiting:
        one = waiting.pop()
        found.append((one["system"], one["code"]))
        waiting += one.get("contains", ())
    assert len(found) == answer["expansion"]["total"]
    return found


@settings(max_examples=150, deadline=None)
@given(world=worlds(), flat_list=st.booleans())
def test_an_expansion_holds_just_what_the_rules_say_and_validation_agrees(
    world: list[dict[str, Any]], flat_list: bool
) -> None:
    shelf = library(*world)
    opened = {(url, ""): shelf.system(url) for url in SYSTEMS}
    for n in range(3):
        url = f"http://e.org/vs{n}"
        expected = plainly(world, url)
        found = shown(shelf, url, Wish(exclude_nested=flat_list))
        assert set(found) == expected
        assert len(found) == len(expected), "a concept was shown twice"
        check = Check(shelf.members(url), opened)
        for system in SYSTEMS:
            for code in CODES:
                inside = (system, code) in expected
                verdict = check.codings([Coding(code, system)], several=False)
                assert verdict.good is inside, (url, system, code, verdict.message)
                assert bool(verdict.problems and verdict.message) or inside
                assert shelf.member(url, system, code) is inside


@settings(max_examples=100, deadline=None)
@given(resource=systems(SYSTEMS[0]))
def test_which_of_two_codes_is_the_wider_follows_from_the_hierarchy(
    resource: dict[str, Any],
) -> None:
    system, concepts = System(resource), flat(resource)
    for one in concepts:
        for other in concepts:
            under, over = is_a(concepts, one, other), is_a(concepts, other, one)
            expected = {
                (True, True): "equivalent",
                (False, True): "subsumes",
                (True, False): "subsumed-by",
                (False, False): "not-subsumed",
            }[under, over]
            assert subsumes(system, one, other) == expected
    row = system.row_of
    for code in concepts:
        below = {system.codes[n] for n in system.descendants(row[code])}
        assert below == {one for one in concepts if is_a(concepts, one, code)} - {code}


EQUIVALENCES = st.sampled_from(["equal", "equivalent", "wider", "narrower", "relatedto"])
TURNED = {"wider": "narrower", "narrower": "wider"}


@settings(max_examples=100, deadline=None)
@given(
    pairs=st.dictionaries(
        st.tuples(st.sampled_from(CODES), st.sampled_from(CODES)), EQUIVALENCES, max_size=8
    )
)
def test_a_translation_read_backwards_is_the_same_pair_turned_round(
    pairs: dict[tuple[str, str], str],
) -> None:
    elements: dict[str, list[dict[str, str]]] = {}
    for (source, target), said in pairs.items():
        elements.setdefault(source, []).append({"code": target, "equivalence": said})
    group = {
        "source": SYSTEMS[0],
        "target": SYSTEMS[1],
        "element": [{"code": code, "target": found} for code, found in elements.items()],
    }
    one = {"resourceType": "ConceptMap", "url": "http://e.org/m", "group": [group]}
    there, back = set(), set()
    for code in CODES:
        for match in translate([Map(one)], Ask(SYSTEMS[0], code), lambda url: None)[2]:
            there.add((code, match.code, match.equivalence))
        ask = Ask(SYSTEMS[1], code, reverse=True)
        for match in translate([Map(one)], ask, lambda url: None)[2]:
            back.add((match.code, code, TURNED.get(match.equivalence, match.equivalence)))
    assert there == back == {(source, target, said) for (source, target), said in pairs.items()}


def test_the_plain_rules_are_not_empty_words() -> None:
    """The strategies above do make value sets with something in them."""
    sizes = []

    @settings(max_examples=30, deadline=None, database=None)
    @given(world=worlds())
    def look(world: list[dict[str, Any]]) -> None:
        sizes.append(len(plainly(world, "http://e.org/vs2")))

    look()
    assert max(sizes) > 3
    assert codes_of({"expansion": {}}) == []
