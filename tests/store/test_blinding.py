"""The blind index: beginnings are kept, values are not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sokhoe.fhir import extract, parse_query, search
from sokhoe.store.blinding import LETTERS, Blind

BLIND, OTHER = Blind(bytes(range(32))), Blind(bytes(range(1, 33)))
folded = st.text("abcdghinortuy ", max_size=30)


@given(folded, folded)
def test_two_texts_begin_alike_as_long_as_before(left: str, right: str) -> None:
    a, b = BLIND.text(7, left), BLIND.text(7, right)
    assert a.startswith(b) is left.startswith(right)
    assert (a == b) is (left == right)


@given(folded.filter(bool), st.text(max_size=5))
def test_a_beginning_is_one_range(text: str, more: str) -> None:
    low = BLIND.text(7, text)
    assert low <= BLIND.text(7, text + more) < low + "\U0010ffff"


@given(folded.filter(bool))
def test_another_key_or_parameter_gives_another_text(text: str) -> None:
    made = BLIND.text(7, text)
    assert made != OTHER.text(7, text) and made != BLIND.text(8, text)
    assert made.isascii() and len(made) == 4 * len(text)


def test_a_long_text_fits_into_an_index() -> None:
    assert len(BLIND.text(7, "x" * 5_000)) == 4 * LETTERS <= 2_600


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_hash_is_another_one_of_the_same_size(key: int) -> None:
    made = BLIND.hash(key)
    assert -(2**63) <= made < 2**63 and made != key and made != OTHER.hash(key)


def test_what_is_personal_of_a_patient_is_known() -> None:
    """Everything by which somebody could be looked up outside is hidden, codes are not."""
    rows = extract(
        {
            "resourceType": "Patient",
            "id": "1",
            "gender": "male",
            "identifier": [{"system": "urn:id", "value": "001199887766"}],
            "telecom": [{"system": "phone", "value": "0912345678"}],
            "name": [{"text": "Trần Thị Lộ"}],
            "text": {"status": "generated", "div": "<div>Lộ</div>"},
            "managingOrganization": {"identifier": {"system": "urn:o", "value": "79001"}},
        }
    )
    hidden = set(rows.personal)
    asked = (
        ("identifier", "urn:id|001199887766"),
        ("identifier", "001199887766"),
        ("phone", "0912345678"),
        ("telecom", "0912345678"),
        ("name:exact", "Trần Thị Lộ"),
        ("organization:identifier", "urn:o|79001"),
        ("_text", "lo"),
    )
    for name, value in asked:
        (condition,) = parse_query("Patient", [(name, value)]).where
        assert isinstance(condition, search.Keys) and condition.personal == "all", name
        assert set(condition.keys) & hidden, name
    (condition,) = parse_query("Patient", [("gender", "male")]).where
    assert isinstance(condition, search.Keys) and condition.personal == ""
    assert set(condition.keys) & set(rows.keys) and not set(condition.keys) & hidden


def test_each_token_parameter_knows_whether_its_values_are_personal() -> None:
    """Counted over all of R4, so that a new kind of path is noticed."""
    kinds: dict[str, set[str]] = {"": set(), "all": set(), "some": set()}
    for type in search.searchable_types():
        for code, param in search.search_parameters(type).items():
            if param.type == "token" and code not in ("_id", "_tag", "_security"):
                (found,) = parse_query(type, [(code, "true")]).where
                if isinstance(found, search.Keys):
                    kinds[found.personal].add(f"{type}.{code}")
    assert {"Patient.identifier", "Patient.phone", "Person.email", "Device.identifier"} <= kinds[
        "all"
    ]
    assert {"Patient.gender", "Observation.code"} <= kinds[""]
    assert len(kinds["some"]) <= 10, kinds["some"]
