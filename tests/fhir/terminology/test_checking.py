"""Whether a code is right, and why not, in words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.fhir.terminology import Check, Coding, Library, Members, Part, Terms, Verdict
from tests.fhir.terminology.worlds import (
    ANIMALS,
    animals,
    code_system,
    concept,
    filtered,
    library,
    value_set,
)

VS = "http://example.org/pets"
PETS = value_set(
    VS,
    filtered("concept", "is-a", "mammal"),
    {
        "system": ANIMALS,
        "concept": [
            {"code": "dodo"},
        ],
    },
)


def checked(
    *codings: Coding,
    several: bool = False,
    terms: Terms | None = None,
    shelf: Library | None = None,
    url: str = VS,
) -> Verdict:
    shelf = shelf or library(animals(), PETS)
    systems = {
        (one.system, version): shelf.system(one.system, version)
        for one in codings
        for version in ("", one.version)
    }
    return Check(shelf.members(url), systems, terms or Terms()).codings(codings, several=several)


def test_a_code_of_the_value_set_is_right_and_its_name_is_given() -> None:
    found = checked(Coding("dog", ANIMALS))
    assert found.good and found.display == "Dog" and found.version == "1" and not found.problems


@pytest.mark.parametrize(
    ("coding", "kind", "message"),
    [
        (Coding("bird", ANIMALS), "not-in-vs", f"{ANIMALS}#bird' is not in the value set {VS}|1"),
        (
            Coding("unicorn", ANIMALS),
            "invalid-code",
            f"no code 'unicorn' in the code system {ANIMALS}",
        ),
        (Coding("x", "http://nobody"), "not-found", "http://nobody is not known here"),
        (Coding("dog", ANIMALS, "9"), "not-found", "Version '9'"),
        (Coding("dog"), "invalid-data", "without its code system"),
        (Coding("", ANIMALS), "invalid-data", "no code"),
        (
            Coding("dog", ANIMALS, display="Katze"),
            "invalid-display",
            "'Dog' or 'Con chó' or 'Hund'",
        ),
    ],
)
def test_each_no_has_its_reason(coding: Coding, kind: str, message: str) -> None:
    found = checked(coding)
    assert not found.good
    assert found.problems[0].kind == kind and found.problems[0].severity == "error"
    assert message in found.message


def test_a_name_is_right_in_any_language_whatever_its_letter_case_and_spaces() -> None:
    for name in ("Dog", "DOG", "con  chó", "Con chó", "Hund"):
        assert checked(Coding("dog", ANIMALS, display=name)).good, name
    assert not checked(Coding("dog", ANIMALS, display="con cho")).good
    lenient = checked(Coding("dog", ANIMALS, display="Hound"), terms=Terms(lenient=True))
    assert lenient.good and lenient.problems[0].severity == "warning"


def test_abstract_and_retired_codes_are_let_pass_or_not_as_asked() -> None:
    assert checked(Coding("mammal", ANIMALS)).good
    found = checked(Coding("mammal", ANIMALS), terms=Terms(abstract=False))
    assert not found.good and "choose one below it" in found.message
    old = checked(Coding("dodo", ANIMALS))
    assert old.good and old.problems[0].kind == "code-comment"
    active = checked(Coding("dodo", ANIMALS), terms=Terms(active=True))
    assert not active.good and "no longer in use" in active.message


def test_a_missing_code_system_is_taken_from_the_value_set_when_it_says_only_one() -> None:
    found = checked(Coding("dog"), terms=Terms(infer=True))
    assert found.good and found.coding is not None and found.coding.system == ANIMALS
    assert not checked(Coding("bird"), terms=Terms(infer=True)).good
    other = code_system("http://example.org/toys", concept("dog"))
    both = value_set(VS, {"system": ANIMALS}, {"system": other["url"]})
    two = checked(Coding("dog"), terms=Terms(infer=True), shelf=library(animals(), other, both))
    assert not two.good and two.problems[0].kind == "cannot-infer"


def test_one_coding_of_several_is_enough_unless_another_is_wrong() -> None:
    dog, bird = Coding("dog", ANIMALS, at="c[0]."), Coding("bird", ANIMALS, at="c[1].")
    found = checked(dog, bird, several=True)
    assert found.good and found.problems[0].severity == "information"
    wrong = checked(dog, Coding("unicorn", ANIMALS, at="c[1]."), several=True)
    assert not wrong.good and wrong.problems[0].at == "c[1].code"
    none = checked(bird, several=True)
    assert not none.good and "None of the codings" in none.message
    assert not checked(several=True).good


def test_a_code_system_known_in_part_leaves_room_for_doubt() -> None:
    part = animals(content="fragment")
    everything = value_set(VS, {"system": ANIMALS})
    shelf = library(part, everything)
    found = checked(Coding("unicorn", ANIMALS), shelf=shelf)
    assert found.good and found.problems[0].severity == "warning"
    narrow = value_set(VS, filtered("legs", "=", "4"))
    assert not checked(Coding("unicorn", ANIMALS), shelf=library(part, narrow)).good


def test_a_list_of_codes_of_an_unknown_code_system_is_its_own_authority() -> None:
    one = value_set(VS, {"system": "http://nobody", "concept": [{"code": "x", "display": "X"}]})
    found = checked(Coding("x", "http://nobody"), shelf=library(one))
    assert found.good and found.problems[0].severity == "warning"
    assert not checked(Coding("y", "http://nobody"), shelf=library(one)).good


def test_letter_case_matters_only_where_the_code_system_says_so() -> None:
    assert not checked(Coding("DOG", ANIMALS)).good
    shelf = library(animals(caseSensitive=False), PETS)
    found = checked(Coding("DOG", ANIMALS), shelf=shelf)
    assert found.good and found.problems[0].kind == "code-rule"


def test_a_code_by_rule_is_looked_at() -> None:
    url = "http://hl7.org/fhir/ValueSet/mimetypes"
    shelf = library()
    for code, good in (("image/png", True), ('text/plain; charset="utf-8"', True), ("png", False)):
        found = checked(Coding(code, "urn:ietf:bcp:13"), shelf=shelf, url=url)
        assert found.good is good, code
    url = "http://hl7.org/fhir/ValueSet/all-languages"
    for code, good in (("vi", True), ("zh-Hant-TW", True), ("vietnamese!", False)):
        assert checked(Coding(code, "urn:ietf:bcp:47"), shelf=shelf, url=url).good is good, code


def test_a_code_may_be_held_against_the_whole_code_system() -> None:
    system = library(animals()).system(ANIMALS)
    assert system is not None
    members = Members(system.canonical, (Part.of(system, range(len(system)), tree=True),))
    check = Check(members, {(ANIMALS, ""): system}, whole=True)
    assert check.codings([Coding("bird", ANIMALS)], several=False).good
    found = check.codings([Coding("unicorn", ANIMALS)], several=False)
    assert [one.kind for one in found.problems] == ["invalid-code"]


def test_the_answer_is_parameters_with_the_issues_beside_the_message() -> None:
    answer = checked(Coding("bird", ANIMALS, at="Coding.")).parameters()
    values: dict[str, Any] = {
        one["name"]: next(value for key, value in one.items() if key != "name")
        for one in answer["parameter"]
    }
    assert values["result"] is False and values["code"] == "bird" and values["display"] == "Bird"
    issue = values["issues"]["issue"][0]
    assert issue["expression"] == ["Coding.code"] and issue["details"]["text"] in values["message"]


@pytest.mark.parametrize(
    ("value_set", "system", "code", "answer"),
    [
        ("administrative-gender", "http://hl7.org/fhir/administrative-gender", "male", True),
        ("administrative-gender|4.0.1", "http://hl7.org/fhir/administrative-gender", "male", True),
        ("administrative-gender", "", "male", True),
        ("administrative-gender", "", "man", False),
        ("mimetypes", "", "image/png", True),
        ("mimetypes", "", "png", False),
        ("currencies", "urn:iso:std:iso:4217", "VND", True),
        ("iso3166-1-3", "urn:iso:std:iso:3166", "VNM", True),
        ("iso3166-1-3", "urn:iso:std:iso:3166", "VN", False),
        ("condition-code", "http://snomed.info/sct", "73211009", None),
        ("ucum-units", "http://unitsofmeasure.org", "mg", None),
        ("nobody-knows", "http://x", "y", None),
    ],
)
def test_a_binding_is_answered_yes_no_or_cannot_tell(
    value_set: str, system: str, code: str, answer: bool | None
) -> None:
    url = f"http://hl7.org/fhir/ValueSet/{value_set}"
    assert library().member(url, system, code) is answer
