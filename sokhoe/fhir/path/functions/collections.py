"""Existence, filtering, subsetting, combining, walking and sorting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from sokhoe.fhir.path import kinds
from sokhoe.fhir.path import operators as op
from sokhoe.fhir.path.functions.shape import Function, Lambda, text, whole
from sokhoe.fhir.path.refusing import wrong
from sokhoe.fhir.path.scope import Scope, one
from sokhoe.fhir.path.truth import truth
from sokhoe.fhir.path.values import Item, Items, Node, identity, system

Run = Callable[[Scope], Items]


def _each(scope: Scope, items: Items) -> Iterator[Item]:
    """Set `$this` and `$index` to each item in turn, then back."""
    scope.spend(len(items))
    this, index = scope.this, scope.index
    for number, item in enumerate(items):
        scope.this, scope.index = [item], number
        yield item
    scope.this, scope.index = this, index


@contextmanager
def _back(scope: Scope) -> Iterator[None]:
    """Put `$this` and `$index` back when a loop is left early."""
    this, index = scope.this, scope.index
    try:
        yield
    finally:
        scope.this, scope.index = this, index


def _where(on: Run, criteria: Run) -> Run:
    def where(scope: Scope) -> Items:
        return [item for item in _each(scope, on(scope)) if truth(criteria(scope))]

    return where


def _select(on: Run, projection: Run) -> Run:
    def select(scope: Scope) -> Items:
        out: Items = []
        for _ in _each(scope, on(scope)):
            out += projection(scope)
        scope.spend(len(out))
        return out

    return select


def _repeat(on: Run, projection: Run, *, distinct: bool = True) -> Run:
    def repeat(scope: Scope) -> Items:
        out: Items = []
        seen: set[Any] = set()
        waiting = on(scope)
        with _back(scope):
            while waiting:
                found: Items = []
                for _ in _each(scope, waiting):
                    found += projection(scope)
                scope.spend(len(found))
                waiting = []
                for item in found:
                    if distinct:
                        mark = identity(item)
                        if mark in seen:
                            continue
                        seen.add(mark)
                    waiting.append(item)
                out += waiting
        return out

    return repeat


def _all(on: Run, criteria: Run) -> Run:
    def every(scope: Scope) -> Items:
        with _back(scope):
            return [all(truth(criteria(scope)) for _ in _each(scope, on(scope)))]

    return every


def _exists(on: Run, criteria: Run | None = None) -> Run:
    if criteria is None:
        return lambda scope: [bool(on(scope))]

    def exists(scope: Scope) -> Items:
        with _back(scope):
            return [any(truth(criteria(scope)) for _ in _each(scope, on(scope)))]

    return exists


def _iif(on: Run, criterion: Run, then: Run, otherwise: Run | None = None) -> Run:
    def iif(scope: Scope) -> Items:
        items = on(scope)
        if len(items) > 1:
            raise wrong(f"iif() works on one value, found {len(items)}")
        with _back(scope):
            if items and items is not scope.this:
                scope.this, scope.index = items, 0
            answer = criterion(scope)
            value = system(one(answer, "iif()"))
            if value is not None and not isinstance(value, bool):
                raise wrong(f"iif() needs a yes or no, found {op.text_of(value)}")
            if value:
                return then(scope)
            return otherwise(scope) if otherwise is not None else []

    return iif


def _aggregate(on: Run, aggregator: Run, start: Run | None = None) -> Run:
    def aggregate(scope: Scope) -> Items:
        before = scope.total
        scope.total = start(scope) if start is not None else []
        for _ in _each(scope, on(scope)):
            scope.total = aggregator(scope)
            scope.spend(len(scope.total))
        total, scope.total = scope.total, before
        return total

    return aggregate


def _trace(on: Run, name: Run, projection: Run | None = None) -> Run:
    def trace(scope: Scope) -> Items:
        items = on(scope)
        if scope.world.trace is not None:
            shown = items
            if projection is not None:
                shown = [value for _ in _each(scope, items) for value in projection(scope)]
            scope.world.trace(text(name(scope), "trace()") or "", shown)
        return items

    return trace


def _define(on: Run, name: Run, value: Run | None = None) -> Run:
    def define(scope: Scope) -> Items:
        items = on(scope)
        called = text(name(scope), "defineVariable()")
        if called is None or called in scope.defined or called in ("context", "resource"):
            raise wrong(f"the variable %{called} cannot be defined here")
        if value is None:
            scope.defined[called] = items
        else:
            with _back(scope):
                scope.this = items
                scope.defined[called] = value(scope)
        return items

    return define


def _sort(on: Run, *keys: tuple[bool, Run]) -> Run:
    def sort(scope: Scope) -> Items:
        items = on(scope)
        found = [([key(scope) for _, key in keys] if keys else [[item]], item)
                 for item in _each(scope, items)]  # fmt: skip
        ways = [descending for descending, _ in keys] or [False]

        def compare(left: tuple[list[Items], Item], right: tuple[list[Items], Item]) -> int:
            for descending, mine, theirs in zip(ways, left[0], right[0], strict=True):
                if not mine or not theirs:  # what is missing comes last, when descending first
                    answer = (not mine) - (not theirs)
                else:
                    answer = op.order(mine, theirs, "sort()") or 0
                if answer:
                    return -answer if descending else answer
            return 0

        return [item for _, item in sorted(found, key=cmp_to_key(compare))]

    return sort


LAMBDAS = {
    "where": Lambda(_where, 1, 1),
    "select": Lambda(_select, 1, 1),
    "repeat": Lambda(_repeat, 1, 1),
    "repeatAll": Lambda(lambda on, projection: _repeat(on, projection, distinct=False), 1, 1),
    "all": Lambda(_all, 1, 1),
    "exists": Lambda(_exists, 0, 1),
    "iif": Lambda(_iif, 2, 3),
    "aggregate": Lambda(_aggregate, 1, 2),
    "trace": Lambda(_trace, 1, 2),
    "defineVariable": Lambda(_define, 1, 2),
    "sort": Lambda(_sort, 0, 10),
}


def _empty(scope: Scope, items: Items) -> Items:
    return [not items]


def _count(scope: Scope, items: Items) -> Items:
    return [len(items)]


def _not(scope: Scope, items: Items) -> Items:
    value = truth(items)
    return [] if value is None else [not value]


def _booleans(items: Items, what: str) -> list[bool]:
    found = [system(item) for item in items]
    if not all(isinstance(value, bool) for value in found):
        raise wrong(f"{what} needs values that are true or false")
    return found


def _single(scope: Scope, items: Items) -> Items:
    one(items, "single()")
    return items


def _skip(scope: Scope, items: Items, count: Items) -> Items:
    return items[max(0, whole(count, "skip()") or 0) :]


def _take(scope: Scope, items: Items, count: Items) -> Items:
    return items[: max(0, whole(count, "take()") or 0)]


def _intersect(scope: Scope, items: Items, other: Items) -> Items:
    wanted = set(map(identity, other))
    return op.distinct([item for item in items if identity(item) in wanted])


def _exclude(scope: Scope, items: Items, other: Items) -> Items:
    unwanted = set(map(identity, other))
    return [item for item in items if identity(item) not in unwanted]


def _subset(scope: Scope, items: Items, other: Items) -> Items:
    return [set(map(identity, items)) <= set(map(identity, other))]


def _superset(scope: Scope, items: Items, other: Items) -> Items:
    return [set(map(identity, items)) >= set(map(identity, other))]


def _combine(scope: Scope, items: Items, other: Items, keep: Items | None = None) -> Items:
    scope.spend(len(items) + len(other))
    return [*items, *other]


def children(scope: Scope, items: Items) -> Items:
    out: Items = []
    for item in items:
        if type(item) is Node:
            kinds.children(item, out)
    scope.spend(len(out))
    return out


def descendants(scope: Scope, items: Items) -> Items:
    """All nodes below, each once, from the outer to the inner ones."""
    out: Items = []
    level = items
    while level:
        level = children(scope, level)
        out += level
    return out


def _type(scope: Scope, items: Items) -> Items:
    return [kinds.type_of(item) for item in items]


def _distinct(scope: Scope, items: Items) -> Items:
    return op.distinct(items)


def _is_distinct(scope: Scope, items: Items) -> Items:
    return [len(set(map(identity, items))) == len(items)]


def _coalesce(scope: Scope, items: Items, *others: Items) -> Items:
    return next((some for some in others if some), [])


def _summed(scope: Scope, items: Items) -> Items:
    total: Items = items[:1]
    for item in items[1:]:
        total = op.arithmetic("+", total, [item])
    return total


def _extreme(sign: str) -> Callable[[Scope, Items], Items]:
    def extreme(scope: Scope, items: Items) -> Items:
        best = items[:1]
        for item in items[1:]:
            answer = op.order([item], best, sign)
            if answer is None:
                return []
            if answer == (-1 if sign == "<" else 1):
                best = [item]
        return best

    return extreme


def _average(scope: Scope, items: Items) -> Items:
    return op.arithmetic("/", _summed(scope, items), [Decimal(len(items))])


FUNCTIONS = {
    "empty": Function(_empty),
    "count": Function(_count),
    "not": Function(_not),
    "allTrue": Function(lambda scope, items: [all(_booleans(items, "allTrue()"))]),
    "anyTrue": Function(lambda scope, items: [any(_booleans(items, "anyTrue()"))]),
    "allFalse": Function(lambda scope, items: [not any(_booleans(items, "allFalse()"))]),
    "anyFalse": Function(lambda scope, items: [not all(_booleans(items, "anyFalse()"))]),
    "single": Function(_single),
    "first": Function(lambda scope, items: items[:1]),
    "last": Function(lambda scope, items: items[-1:]),
    "tail": Function(lambda scope, items: items[1:]),
    "skip": Function(_skip, 1, 1),
    "take": Function(_take, 1, 1),
    "intersect": Function(_intersect, 1, 1),
    "exclude": Function(_exclude, 1, 1),
    "subsetOf": Function(_subset, 1, 1),
    "supersetOf": Function(_superset, 1, 1),
    "union": Function(lambda scope, items, other: op.distinct([*items, *other]), 1, 1),
    "combine": Function(_combine, 1, 2),
    "children": Function(children),
    "descendants": Function(descendants),
    "distinct": Function(_distinct),
    "isDistinct": Function(_is_distinct),
    "type": Function(_type),
    "coalesce": Function(_coalesce, 1, 20),
    "sum": Function(_summed),
    "min": Function(_extreme("<")),
    "max": Function(_extreme(">")),
    "avg": Function(_average),
}
