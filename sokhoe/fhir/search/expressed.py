"""The values of a parameter that is defined by a FHIRPath expression, and their index rows.

The standard's own parameters are JSON paths, walked by written functions (`compiled`); one that
was sent to a server is evaluated, which takes some ten times as long, and then contributes to the
index as they do, by the functions of `leaves`. An expression that fails on a record finds nothing
there: it must not keep anybody from writing the record.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice, product
from typing import Any

from sokhoe.errors import SokhoeError
from sokhoe.fhir.search import compiled, leaves
from sokhoe.fhir.search.composites import written
from sokhoe.fhir.search.custom import ENDS, Part, present_key
from sokhoe.fhir.search.definitions import SearchParameter
from sokhoe.fhir.search.following import Found, expressed
from sokhoe.fhir.search.hashing import cached, date_key, key, prefix

MOST_PAIRS = 500  # of the values of a composite in one element


def gather(
    rows: leaves.Rows, type: str, params: tuple[SearchParameter, ...], resource: dict[str, Any]
) -> None:
    """Add what the resource has under our own parameters."""
    for param in params:
        add = _composite if param.type == "composite" else _simple
        if add(rows, type, param, resource):
            rows.keys.add(present_key(type, param))


def _simple(rows: leaves.Rows, type: str, param: SearchParameter, resource: dict[str, Any]) -> bool:
    found = False
    for end, value in expressed(resource, param.expression):
        call = _call(type, param.stored[0], param.type, end)
        if call is not None:
            found |= _contribute(rows, call, value)
    return found


_Call = tuple[str, Any]


@lru_cache(maxsize=4096)
def _call(type: str, code: str, kind: str, end: str) -> _Call | None:
    """The function of `leaves` for a datatype; None for one that this kind is not made of."""
    if end not in ENDS[kind]:
        return None
    return compiled.leaf(type, code, kind, f":{end}")


def _contribute(rows: leaves.Rows, call: _Call, value: Any) -> bool:
    """False for a value that is not shaped as its datatype."""
    name, constant = call
    try:
        getattr(leaves, name)(rows, (constant,), value)
    except (AttributeError, TypeError, ValueError, KeyError):
        return False
    return True


# --- composites -----------------------------------------------------------------------------------


def _composite(
    rows: leaves.Rows, type: str, param: SearchParameter, resource: dict[str, Any]
) -> bool:
    """Under hash(… first $ second) stand the values of the last component (see `composites`)."""
    custom, start = param.custom, prefix(type, param.stored[0])
    found = False
    for element in elements(resource, param.expression):
        *first, last = custom.parts if custom is not None else ()
        texts = [_texts(element, resource, part) for part in first]
        ends = _values(element, resource, last)
        for together in islice(product(*texts), MOST_PAIRS):
            begin = start + "$".join(together) + "$"
            for end, value in ends:
                found |= _last(rows, begin, last, end, value)
    return found


def elements(resource: dict[str, Any], expression: str) -> list[Any]:
    """What an expression gives, as nodes."""
    from sokhoe.fhir import path

    try:
        return [one for one in path.expression(expression).nodes(resource) if _is_node(one)]
    except SokhoeError:
        return []


def _is_node(item: Any) -> bool:
    from sokhoe.fhir import path

    return isinstance(item, path.Node)


def _values(element: Any, resource: dict[str, Any], part: Part) -> list[Found]:
    """A part's values in an element; `%resource` in its expression is the record."""
    return list(expressed(element, part.expression, resource))


def _texts(element: Any, resource: dict[str, Any], part: Part) -> list[str]:
    found: list[str] = []
    for end, value in _values(element, resource, part):
        if end in ENDS[part.type]:
            found += written(end, value)
    return list(dict.fromkeys(found))


def _last(rows: leaves.Rows, begin: str, part: Part, end: str, value: Any) -> bool:
    if end not in ENDS[part.type]:
        return False
    match part.type:
        case "quantity":
            name = leaves.QUANTITIES.get(end, "quantity")
            return _contribute(rows, (name, (begin, key(begin))), value)
        case "number":
            return _contribute(rows, ("number", (begin, key(begin))), value)
        case "date":
            return _contribute(rows, (compiled.DATES[end], date_key(begin)), value)
    texts = written(end, value)
    rows.keys.update(cached(begin + text) for text in texts)
    return bool(texts)
