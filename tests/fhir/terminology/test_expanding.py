"""Value sets come to the concepts that the standard says, on a page that can be shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sokhoe.errors import Invalid, NotFound, SokhoeError, Unsupported
from sokhoe.fhir.definitions import terms
from sokhoe.fhir.terminology import Library, Standard, Wish, expand
from tests.fhir.terminology.worlds import (
    ANIMALS,
    animals,
    code_system,
    codes_of,
    concept,
    filtered,
    library,
    name,
    value_set,
)

VS = "http://example.org/vs"
NOW = "2026-11-24T08:00:00+07:00"


def expanded(*include: dict[str, Any], wish: Wish | None = None, **compose: Any) -> dict[str, Any]:
    one = value_set(VS, *include, **compose)
    return expand(one, library(one, animals()).members(VS), wish or Wish(), NOW)


ALL = ["animal", "mammal", "dog", "puppy", "cat", "bat", "bird", "dodo"]


@pytest.mark.parametrize(
    ("property", "op", "value", "codes"),
    [
        ("concept", "is-a", "mammal", ["mammal", "dog", "puppy", "cat", "bat"]),
        ("code", "is-a", "mammal", ["mammal", "dog", "puppy", "cat", "bat"]),
        ("concept", "descendent-of", "mammal", ["dog", "puppy", "cat", "bat"]),
        ("concept", "is-not-a", "mammal", ["animal", "bird", "dodo"]),
        ("concept", "generalizes", "puppy", ["animal", "mammal", "dog", "puppy"]),
        ("concept", "=", "cat", ["cat"]),
        ("concept", "in", "cat, dog,unicorn", ["dog", "cat"]),
        ("concept", "not-in", "animal,mammal,dog,puppy,cat", ["bird", "dodo", "bat"]),
        ("concept", "regex", "d.*", ["dog", "dodo"]),
        ("concept", "regex", "o", []),  # the whole code must fit
        ("display", "regex", "(Cat|Bat)", ["cat", "bat"]),
        ("legs", "=", "4", ["dog", "cat"]),
        ("legs", "in", "2,4", ["dog", "cat", "bird"]),
        ("legs", "exists", "true", ["dog", "cat", "bird"]),
        ("legs", "exists", "false", ["animal", "mammal", "puppy", "dodo", "bat"]),
        ("legs", "regex", "[2-3]", ["bird"]),
        ("parent", "=", "mammal", ["dog", "cat", "bat"]),
        ("child", "=", "puppy", ["dog"]),
        ("inactive", "=", "true", ["dodo"]),
        ("status", "=", "retired", ["dodo"]),
    ],
)
def test_each_filter_keeps_what_the_standard_says(
    property: str, op: str, value: str, codes: list[str]
) -> None:
    found = expanded(filtered(property, op, value), wish=Wish(exclude_nested=True))
    assert codes_of(found) == codes
    assert found["expansion"]["total"] == len(codes)


@pytest.mark.parametrize(
    ("property", "op", "value", "message"),
    [
        ("concept", "is-a", "unicorn", "'unicorn', which is not in http://example.org/animals|1"),
        ("concept", "like", "dog", "operator 'like' is not known"),
        ("wings", "=", "2", "has no property 'wings'"),
        ("legs", "is-a", "2", "it is for the concept itself"),
        ("legs", "exists", "maybe", "true or false"),
        ("concept", "regex", "(a", "a group is not closed"),
        ("concept", "=", "", "has no value"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named_with_its_place(
    property: str, op: str, value: str, message: str
) -> None:
    with pytest.raises(SokhoeError, match=r".") as caught:
        expanded(filtered("concept", "=", "dog"), filtered(property, op, value))
    assert message in caught.value.message
    assert caught.value.issues[0].location == "ValueSet.compose.include[1].filter[0]"
    assert VS in caught.value.message


def test_several_filters_of_one_include_must_all_hold() -> None:
    both = filtered("concept", "is-a", "mammal")
    both["filter"] += filtered("legs", "=", "4")["filter"]
    assert codes_of(expanded(both)) == ["dog", "cat"]


def test_includes_add_up_and_excludes_take_away() -> None:
    found = expanded(
        filtered("concept", "is-a", "bird"),
        filtered("concept", "is-a", "dog"),
        filtered("concept", "=", "puppy"),
        exclude=[{"system": ANIMALS, "concept": [{"code": "dodo"}]}],
    )
    assert codes_of(found) == ["bird", "dog", "puppy"]


def test_an_include_of_value_sets_is_what_they_have_in_common() -> None:
    four = value_set("http://example.org/four", filtered("legs", "=", "4"))
    dogs = value_set("http://example.org/dogs", filtered("concept", "is-a", "dog"))
    both = value_set(VS, {"valueSet": [four["url"], f"{dogs['url']}|1"]})
    shelf = library(four, dogs, both, animals())
    found = expand(both, shelf.members(VS), Wish(), NOW)
    assert codes_of(found) == ["dog"]
    used = [one["valueUri"] for one in found["expansion"]["parameter"]]
    assert used == ["http://example.org/four|1", f"{ANIMALS}|1", "http://example.org/dogs|1"]


def test_value_sets_that_import_each_other_in_a_circle_are_refused_with_the_circle() -> None:
    one = value_set("http://example.org/a", {"valueSet": ["http://example.org/b"]})
    two = value_set("http://example.org/b", {"valueSet": ["http://example.org/a"]})
    with pytest.raises(Invalid) as caught:
        library(one, two).members("http://example.org/a")
    assert "/a → http://example.org/b → http://example.org/a" in caught.value.message
    assert caught.value.slug == "value-set-circle"


def test_a_pinned_version_is_the_one_that_is_used_and_another_is_not_known() -> None:
    old = animals(version="0", concept=[concept("dinosaur")])
    pinned = value_set(VS, {"system": ANIMALS, "version": "0"})
    shelf = library(animals(), old, pinned)
    assert codes_of(expand(pinned, shelf.members(VS), Wish(), NOW)) == ["dinosaur"]
    with pytest.raises(NotFound, match=r"value set http://example.org/vs\|9 is not known"):
        shelf.members(f"{VS}|9")
    gone = value_set("http://example.org/gone", {"system": ANIMALS, "version": "7"})
    with pytest.raises(NotFound, match=r"code system http://example.org/animals\|7"):
        expand(gone, library(animals(), gone).members(gone["url"]), Wish(), NOW)


def test_a_request_may_ask_for_a_version_of_a_code_system() -> None:
    old = animals(version="0", concept=[concept("dinosaur")])
    open_one = value_set(VS, {"system": ANIMALS})
    shelf = library(animals(), old, open_one)
    older = shelf.wider(versions={ANIMALS: "0"})
    assert codes_of(expand(open_one, older.members(VS), Wish(), NOW)) == ["dinosaur"]
    pinned = value_set("http://example.org/pinned", {"system": ANIMALS, "version": "1"})
    shelf = library(animals(), old, pinned)
    kept = shelf.wider(versions={ANIMALS: "0"}).members(pinned["url"])
    assert "dinosaur" not in kept.parts[0].system.codes
    forced = shelf.wider(forced={ANIMALS: "0"}).members(pinned["url"])
    assert "dinosaur" in forced.parts[0].system.codes


def test_concepts_listed_one_by_one_keep_their_order_and_own_names() -> None:
    listed = [
        {"code": "dog", "display": "Hound", "designation": [name("Chó săn")]},
        {"code": "unicorn"},
        {"code": "cat"},
        {"code": "dog"},
    ]
    found = expanded({"system": ANIMALS, "concept": listed}, wish=Wish(designations=True))
    shown = found["expansion"]["contains"]
    assert [(one["code"], one["display"]) for one in shown] == [("dog", "Hound"), ("cat", "Cat")]
    assert [one["value"] for one in shown[0]["designation"]] == ["Con chó", "Hund", "Chó săn"]
    looked = expanded({"system": ANIMALS, "concept": listed}, wish=Wish(filter="cho san"))
    assert codes_of(looked) == ["dog"]


def test_the_tree_is_shown_as_a_tree_unless_it_is_torn() -> None:
    found = expanded({"system": ANIMALS})
    (animal,) = found["expansion"]["contains"]
    mammal, bird = animal["contains"]
    assert [one["code"] for one in mammal["contains"]] == ["dog", "cat", "bat"]
    assert mammal["abstract"] is True and bird["contains"][0]["inactive"] is True
    assert codes_of(found) == ALL
    for wish in (Wish(exclude_nested=True), Wish(count=99), Wish(filter="d")):
        flat = expanded({"system": ANIMALS}, wish=wish)["expansion"]["contains"]
        assert not any("contains" in one for one in flat)


def test_a_tree_that_is_a_circle_is_shown_whole() -> None:
    round_one = code_system(
        ANIMALS,
        concept("hen", property=[{"code": "parent", "valueCode": "egg"}]),
        concept("egg", property=[{"code": "parent", "valueCode": "hen"}]),
    )
    one = value_set(VS, {"system": ANIMALS})
    found = expand(one, library(round_one, one).members(VS), Wish(), NOW)
    assert sorted(codes_of(found)) == ["egg", "hen"]


def test_pages_put_together_are_the_whole() -> None:
    flat = ["animal", "mammal", "dog", "puppy", "cat", "bird", "dodo", "bat"]
    pages = [
        codes_of(expanded({"system": ANIMALS}, wish=Wish(offset=at, count=3)))
        for at in (0, 3, 6, 9)
    ]
    assert pages == [flat[:3], flat[3:6], flat[6:], []]
    first = expanded({"system": ANIMALS}, wish=Wish(count=0))
    assert first["expansion"]["total"] == 8 and "contains" not in first["expansion"]


def test_active_only_leaves_out_what_is_retired_and_so_may_the_value_set_itself() -> None:
    assert "dodo" not in codes_of(expanded({"system": ANIMALS}, wish=Wish(active_only=True)))
    assert "dodo" not in codes_of(expanded({"system": ANIMALS}, inactive=False))
    assert "dodo" in codes_of(expanded({"system": ANIMALS}, inactive=True))


def test_names_are_in_the_language_asked_for_and_other_names_on_wish() -> None:
    dogs = filtered("concept", "=", "dog")
    (one,) = expanded(dogs, wish=Wish(languages=("km", "vi", "de")))["expansion"]["contains"]
    assert one["display"] == "Con chó"
    wish = Wish(designations=True, designation=("urn:ietf:bcp:47|de",))
    (one,) = expanded(dogs, wish=wish)["expansion"]["contains"]
    assert [name["value"] for name in one["designation"]] == ["Hund"]


def test_properties_come_as_the_extension_that_r4_has_for_them() -> None:
    (one,) = expanded(filtered("concept", "=", "dog"), wish=Wish(properties=("legs", "parent")))[
        "expansion"
    ]["contains"]
    said = [
        [part.get("valueCode", part.get("valueInteger")) for part in each["extension"]]
        for each in one["extension"]
    ]
    assert said == [["legs", 4], ["parent", "mammal"]]


def test_the_definition_comes_back_only_when_asked_for() -> None:
    assert "compose" not in expanded({"system": ANIMALS})
    assert "compose" in expanded({"system": ANIMALS}, wish=Wish(definition=True))


def test_a_supplement_adds_names_and_properties_but_no_concepts() -> None:
    more = code_system(
        "http://example.org/more",
        concept("cat", designation=[name("Con mèo")]),
        concept("unicorn"),
        content="supplement",
        supplements=ANIMALS,
    )
    one = value_set(VS, {"system": ANIMALS})
    shelf = library(animals(), more, one)
    found = expand(one, shelf.members(VS), Wish(filter="meo"), NOW)
    assert codes_of(found) == ["cat"]
    used = [(one["name"], one["valueUri"]) for one in found["expansion"]["parameter"]]
    assert ("used-supplement", "http://example.org/more|1") in used
    assert "unicorn" not in codes_of(expand(one, shelf.members(VS), Wish(), NOW))


def test_too_many_codes_at_once_are_too_costly_but_a_page_or_a_filter_is_not() -> None:
    many = code_system(ANIMALS, *(concept(f"c{n}") for n in range(10_001)))
    one = value_set(VS, {"system": ANIMALS})
    members = library(many, one).members(VS)
    with pytest.raises(Unsupported) as caught:
        expand(one, members, Wish(), NOW)
    assert (caught.value.slug, caught.value.code, caught.value.status) == (
        "too-costly",
        "too-costly",
        422,
    )
    assert "10001 codes" in caught.value.message and "count=1000" in caught.value.hint
    assert len(codes_of(expand(one, members, Wish(offset=9_990, count=1000), NOW))) == 11
    assert codes_of(expand(one, members, Wish(filter="c9999"), NOW)) == ["c9999"]


def test_a_code_system_that_is_a_rule_cannot_be_listed() -> None:
    url = "http://hl7.org/fhir/ValueSet/mimetypes"
    shelf = library()
    with pytest.raises(Unsupported, match="follows a rule"):
        expand(shelf.definition("ValueSet", url) or {}, shelf.members(url), Wish(), NOW)


def test_addresses_made_from_a_code_system_are_value_sets() -> None:
    shelf = library(animals())
    for url, codes in (
        (f"{ANIMALS}?fhir_vs", ALL),
        (f"{ANIMALS}?fhir_vs=isa/dog", ["dog", "puppy"]),
        (f"{ANIMALS}?fhir_vs=descendants/dog", ["puppy"]),
    ):
        found = shelf.definition("ValueSet", url)
        assert found is not None
        assert codes_of(expand(found, shelf.members(url), Wish(), NOW)) == codes
    assert shelf.definition("ValueSet", f"{ANIMALS}?fhir_vs=isnt/dog") is None


def test_a_value_set_with_only_an_expansion_is_what_it_lists() -> None:
    one = {
        "resourceType": "ValueSet",
        "url": VS,
        "status": "active",
        "expansion": {
            "timestamp": NOW,
            "contains": [
                {
                    "abstract": True,
                    "display": "All",
                    "contains": [{"system": ANIMALS, "code": "cat"}],
                },
                {"system": "http://example.org/elsewhere", "code": "x", "display": "X"},
            ],
        },
    }
    found = expand(one, library(one, animals()).members(VS), Wish(), NOW)
    assert codes_of(found) == ["cat", "x"]


EMPTY = {"message-events", "v3-policyHolderRole"}  # their code systems have no concepts


def test_the_value_sets_of_r4_can_be_expanded_but_for_those_with_a_reason() -> None:
    shelf = Library([Standard()])
    reasons: dict[str, int] = {}
    for entry in terms.entries():
        if entry.kind != "ValueSet" or entry.owner:
            continue
        try:
            definition = shelf.definition("ValueSet", entry.url)
            assert definition is not None
            found = expand(definition, shelf.members(entry.url), Wish(), NOW)
            assert found["expansion"]["total"] > 0 or entry.id in EMPTY, entry.url
        except SokhoeError as error:
            reasons[error.slug] = reasons.get(error.slug, 0) + 1
    # Code systems of others (SNOMED CT, LOINC, …), media types and languages, one wrong example.
    assert reasons == {
        "unknown-code-system": 82,
        "too-costly": 2,
        "filter-property": 1,
        "unknown-value-set": 2,
    }


def test_a_value_set_of_others_codes_is_named_with_its_owner() -> None:
    with pytest.raises(NotFound, match="codes of SNOMED CT, whose licence does not let us"):
        library().members("http://hl7.org/fhir/ValueSet/c80-practice-codes")
    with pytest.raises(NotFound, match=r"The version that is here is 4\.0\.1"):
        library().members("http://hl7.org/fhir/ValueSet/administrative-gender|3.0.1")


def test_the_standard_s_file_holds_no_codes_of_loinc_or_snomed() -> None:
    for entry in terms.entries():
        body = terms.read(entry.kind, entry.url) or {}
        if entry.kind == "ConceptMap":
            assert not any("snomed" in str(g.get("target")) for g in body.get("group", ()))
        compose = body.get("compose", {})
        for part in (*compose.get("include", ()), *compose.get("exclude", ())):
            if part.get("system") in {"http://loinc.org", "http://snomed.info/sct"}:
                assert "concept" not in part, entry.url


def test_definitions_may_be_opened_by_several_threads_at_once() -> None:
    urls = [one.url for one in terms.entries() if one.kind == "ValueSet" and not one.owner][:400]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda url: terms.read("ValueSet", url), urls * 5))
    assert [one["url"] for one in found if one] == urls * 5
