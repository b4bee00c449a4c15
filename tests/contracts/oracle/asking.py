"""A question put to the program and to the oracle, in every way there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sokhoe.fhir import Query, parse_query
from sokhoe.store import Page, Scope, Store
from tests.contracts.oracle.oracle import Oracle, Record, Shelf, sort_values
from tests.contracts.oracle.parameters import main_date
from tests.contracts.oracle.questions import Question

MOST_PAGES = 300
Search = Callable[[list[tuple[str, str]], str | None], Page]


@dataclass(frozen=True, slots=True)
class Disagreement:
    question: Question
    what: str

    def __str__(self) -> str:
        asked = "&".join(f"{name}={value}" for name, value in self.question.words)
        scope = self.question.scope
        return (
            f"{self.question.type}?{asked} (_count={self.question.count}, patients "
            f"{scope.patients}, types {scope.types}, open {scope.open}): {self.what}"
        )


def of_store(store: Store, type: str, scope: Scope) -> Search:
    def search(pairs: list[tuple[str, str]], cursor: str | None) -> Page:
        query: Query = parse_query(type, pairs)
        return store.search(replace(query, cursor=cursor), scope)

    return search


def of_session(session: Any, type: str) -> Search:
    def search(pairs: list[tuple[str, str]], cursor: str | None) -> Page:
        page: Page = session.search(type, pairs + ([("_cursor", cursor)] if cursor else []))
        return page

    return search


def disagreement(question: Question, shelf: Shelf, search: Search, now: int) -> Disagreement | None:
    """The first thing in which the program's answer is not the oracle's."""
    oracle = Oracle(shelf, question.scope, now)
    wanted = {one.ref: one for one in oracle.matches(question.type, question.pairs)}
    for what in _differences(question, oracle, wanted, search):
        return Disagreement(question, what)
    return None


def _differences(
    question: Question, oracle: Oracle, wanted: dict[str, Record], search: Search
) -> Iterator[str]:
    counted = search([*question.pairs, ("_summary", "count")], None)
    if counted.total != len(wanted):
        yield f"counted {counted.total}, there are {sorted(wanted)}"
    pairs = [*question.words, ("_count", str(question.count)), ("_total", "accurate")]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = search(pairs, cursor)
        refs = [one.ref for one in page.versions]
        seen += refs
        if page.total != len(wanted):
            yield f"the total is {page.total}, there are {sorted(wanted)}"
        if set(refs) - wanted.keys():
            yield f"found {sorted(set(refs) - wanted.keys())}, which do not match"
        added = oracle.included([wanted[ref] for ref in refs if ref in wanted], question.includes)
        given = [one.ref for one in page.included]
        if sorted(added) != sorted(given):
            yield f"beside {refs} included {sorted(given)} in place of {sorted(added)}"
        cursor = page.next
        if cursor is None:
            break
    if sorted(seen) != sorted(wanted):
        yield f"found {seen} in place of {sorted(wanted)}"
    found = [wanted[ref] for ref in seen if ref in wanted]
    if not in_order(found, question):
        yield f"sorted as {seen}, by {[_keys(one, question) for one in found]}"


def in_order(found: Sequence[Record], question: Question) -> bool:
    """Whether no record comes before one that should come first; equals as they like."""
    codes = question.sort.split(",") if question.sort else []
    return all(_not_after(a, b, codes) for a, b in pairwise(found))


def _not_after(a: Record, b: Record, codes: Sequence[str]) -> bool:
    for code in codes:
        mine, theirs = _key(a, code), _key(b, code)
        if mine == theirs:
            continue
        if None in (mine, theirs):
            return theirs is None or code.lstrip("-") == main_date(a.type)
        return bool(mine > theirs if code.startswith("-") else mine < theirs)
    return True


def _key(one: Record, code: str) -> Any:
    name = code.removeprefix("-")
    found = sort_values(one, name)
    if not found:
        return None
    first = max(found) if code.startswith("-") else min(found)
    if name == main_date(one.type):
        return None if first == float("-inf") else first // 1_000_000
    return first


def _keys(one: Record, question: Question) -> list[Any]:
    return [_key(one, code) for code in question.sort.split(",")] if question.sort else []


def smallest(
    question: Question, fails: Callable[[Question], Disagreement | None]
) -> Disagreement | None:
    """The smallest question that still fails."""
    found = fails(question)
    while found is not None:
        for one in found.question.smaller():
            less = fails(one)
            if less is not None:
                found = less
                break
        else:
            break
    return found
