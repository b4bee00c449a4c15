"""Faults that are planted on purpose, one at a time: the oracle must notice each of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from sokhoe.fhir.search import compiled, conditions, dates, fold, leaves, query, values
from sokhoe.fhir.search.units import in_base_units
from sokhoe.store import EVERYTHING, comparing, including, ordering, searching, soon, sqlgen
from sokhoe.store.sqlite import SqliteStore

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]


def _prefix(patch: Patch, asked: str, taken: query.Prefix) -> None:
    real = comparing.date_test

    def wrong(test: query.DateTest, x: str) -> Any:
        return real(replace(test, prefix=taken) if test.prefix == asked else test, x)

    patch.setattr(comparing, "date_test", wrong)
    patch.setattr(sqlgen, "date_test", wrong)


def ge_is_taken_as_gt(patch: Patch) -> None:
    _prefix(patch, "ge", "gt")


def eb_is_taken_as_lt(patch: Patch) -> None:
    _prefix(patch, "eb", "lt")


def the_last_day_of_a_period_is_left_out(patch: Patch) -> None:
    real = leaves.period_stretch

    def wrong(value: dict[str, Any]) -> dates.Stretch:
        low, high = real(value)
        return low, dates.stretch(value["end"])[0] if value.get("end") else high

    patch.setattr(leaves, "period_stretch", wrong)


def partial_dates_are_indexed_in_greenwich(patch: Patch) -> None:
    patch.setattr(leaves, "stretch", lambda text: dates._stretch(text, UTC))


def exact_is_folded(patch: Patch) -> None:
    real = conditions.simple

    def wrong(type: str, param: Any, modifier: str, parts: Any) -> Any:
        return real(type, param, "" if modifier == "exact" else modifier, parts)

    patch.setattr(conditions, "simple", wrong)


def d_with_a_bar_is_another_letter(patch: Patch) -> None:
    def wrong(text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        return fold(text.replace("đ", "x").replace("Đ", "x"))

    patch.setattr(leaves, "fold", wrong)


def decomposed_letters_are_not_composed(patch: Patch) -> None:
    patch.setattr(leaves, "fold", lambda text: " ".join(text.lower().replace("đ", "d").split()))


def who_has_no_value_is_not_among_not(patch: Patch) -> None:
    real = conditions.simple

    def wrong(type: str, param: Any, modifier: str, parts: Any) -> Any:
        found = real(type, param, modifier, parts)
        if modifier == "not" and param.present:
            found = (*found, query.Missing(param.code, type, param.present, False))
        return found

    patch.setattr(conditions, "simple", wrong)


def the_system_of_a_code_is_ignored(patch: Patch) -> None:
    real = values.token

    def wrong(type: str, param: Any, text: str) -> list[int]:
        system, bar, code = text.rpartition("|")
        return real(type, param, code if bar and code and not system.endswith("\\") else text)

    patch.setattr(values, "token", wrong)


def milligrams_are_grams(patch: Patch) -> None:
    real = in_base_units

    def wrong(value: Any, code: str) -> tuple[str, float] | None:
        found = real(value, code)
        return found and (found[0], float(value))

    patch.setattr(leaves, "in_base_units", wrong)


def half_a_digit_is_a_whole_one(patch: Patch) -> None:
    real = values._amount

    def wrong(param: Any, text: str) -> Any:
        prefix, value, low, high = real(param, text)
        return prefix, value, 2 * low - value, 2 * high - value

    patch.setattr(values, "_amount", wrong)


def a_composite_holds_across_elements(patch: Patch) -> None:
    def wrong(type: str, param: Any, base: Any, pieces: Any) -> Any:
        return tuple(
            one
            for component, piece in zip(base.components, pieces, strict=True)
            for one in conditions.simple(type, component.param, "", [piece])
        )

    patch.setattr(conditions, "_element", wrong)


def references_to_a_version_lead_nowhere(patch: Patch) -> None:
    real = leaves.target
    patch.setattr(leaves, "target", lambda text: None if "/_history/" in text else real(text))


def _unscoped(patch: Patch, owner: Any, name: str, asking: Callable[[Any], Any]) -> None:
    """The function works as if everybody might see everything."""
    real = getattr(owner, name)

    def wrong(one: Any, *more: Any) -> Any:
        asked = asking(one)
        scope, asked.scope = asked.scope, EVERYTHING
        try:
            return real(one, *more)
        finally:
            asked.scope = scope

    patch.setattr(owner, name, wrong)


def the_scope_is_forgotten_for_includes(patch: Patch) -> None:
    _unscoped(patch, including, "_current", lambda one: one.asking)


def the_scope_is_forgotten_for_totals(patch: Patch) -> None:
    _unscoped(patch, searching.Search, "_total", lambda one: one.asking)


def the_scope_is_forgotten_at_the_ends_of_chains(patch: Patch) -> None:
    _unscoped(patch, searching.Search, "matching", lambda one: one.asking)
    _unscoped(patch, sqlgen.Asking, "linked", lambda one: one)
    _unscoped(patch, sqlgen.Asking, "pointed", lambda one: one)


def old_rows_stay_in_the_index(patch: Patch) -> None:
    real = SqliteStore._write_index

    def wrong(store: Any, new: Any, links: Any, stale: Any = ()) -> None:
        real(store, new, links, ())

    patch.setattr(SqliteStore, "_write_index", wrong)


def a_page_begins_one_too_late(patch: Patch) -> None:
    real = ordering.written

    def wrong(asked: query.Query, place: ordering.Place) -> str:
        last = place.last._replace(pk=place.last.pk + 1)
        return real(asked, replace(place, last=last))

    patch.setattr(ordering, "written", wrong)


def the_first_of_several_values_sorts(patch: Patch) -> None:
    real = leaves.settled

    def wrong(rows: leaves.Rows) -> list[tuple[int, str]]:
        rows.sorts = {sort: {max(all_)} for sort, all_ in rows.sorts.items()}
        return real(rows)

    patch.setattr("sokhoe.fhir.search.extraction.settled", wrong)


def the_fast_way_tests_one_condition_alone(patch: Patch) -> None:
    real = soon.cheap

    def wrong(asked: query.Query) -> soon.Cheap | None:
        found = real(asked)
        return found and replace(found, rest=())

    patch.setattr(soon, "cheap", wrong)


# each with the kind of parameter that shows it soonest
FAULTS: dict[Fault, str] = {
    ge_is_taken_as_gt: "date",
    eb_is_taken_as_lt: "date",
    the_last_day_of_a_period_is_left_out: "date",
    partial_dates_are_indexed_in_greenwich: "date",
    exact_is_folded: "string",
    d_with_a_bar_is_another_letter: "string",
    decomposed_letters_are_not_composed: "string",
    who_has_no_value_is_not_among_not: "token",
    the_system_of_a_code_is_ignored: "token",
    milligrams_are_grams: "quantity",
    half_a_digit_is_a_whole_one: "quantity",
    a_composite_holds_across_elements: "composite",
    references_to_a_version_lead_nowhere: "reference",
    the_scope_is_forgotten_for_includes: "",
    the_scope_is_forgotten_for_totals: "",
    the_scope_is_forgotten_at_the_ends_of_chains: "",
    old_rows_stay_in_the_index: "",
    a_page_begins_one_too_late: "",
    the_first_of_several_values_sorts: "sort",
    the_fast_way_tests_one_condition_alone: "",
}


# those that spoil what is written into the index
WRITTEN: tuple[Fault, ...] = (
    the_last_day_of_a_period_is_left_out,
    partial_dates_are_indexed_in_greenwich,
    d_with_a_bar_is_another_letter,
    milligrams_are_grams,
    references_to_a_version_lead_nowhere,
    the_first_of_several_values_sorts,
)


def forget() -> None:
    """What was compiled or remembered with a fault, or without it."""
    compiled.walk.cache_clear()
