"""JSON Patch (RFC 6902): a list of small changes to a JSON value, all of them or none.

    [{"op": "test", "path": "/gender", "value": "male"},
     {"op": "replace", "path": "/name/0/family", "value": "Nguyễn"}]

Bounded: so many operations, and so many values copied in all, since a `copy` of the whole into
itself doubles it each time.
"""

from __future__ import annotations

import re
from copy import deepcopy
from decimal import Decimal
from typing import Any

from sokhoe.errors import Invalid

MOST_OPERATIONS = 1_000
MOST_COPIED = 200_000  # values, each level counted

_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_ESCAPE = re.compile(r"~(?![01])")
_MISSING: Any = object()


def apply_json_patch(value: Any, patch: Any) -> Any:
    """The value after all operations; `value` itself stays as it was.

    Raises `Invalid`: 400 for what is no JSON Patch, 422 where an operation does not fit the value
    or a `test` fails; the location is `[number of the operation]`.
    """
    if not isinstance(patch, list):
        raise Invalid(
            "A JSON Patch is a list of operations.", hint='Send [{"op": …}].', slug="patch"
        )
    if len(patch) > MOST_OPERATIONS:
        raise Invalid(
            f"The patch has {len(patch)} operations, more than {MOST_OPERATIONS}.",
            hint="Send the whole resource by PUT instead.",
            slug="too-costly",
            status=413,
            code="too-costly",
        )
    room = _Room({"": deepcopy(value)})
    for number, operation in enumerate(patch):
        room.at = f"[{number}]"
        room.carry_out(operation)
    return room.holder.get("")


class _Room:
    """The value while it changes; it hangs in a holder so that the whole can be replaced too."""

    def __init__(self, holder: dict[str, Any]) -> None:
        self.holder = holder
        self.at = ""
        self.copied = 0

    def carry_out(self, operation: Any) -> None:
        if not isinstance(operation, dict):
            raise self._no_patch("An operation is an object with op and path")
        op, path = operation.get("op"), self._path(operation, "path")
        if op in {"add", "replace", "test"} and "value" not in operation:
            raise self._no_patch(f"{op} needs a value")
        match op:
            case "add":
                self._add(path, self._copy(operation["value"]))
            case "remove":
                self._take(path)
            case "replace":
                self._find(path)
                self._put(path, self._copy(operation["value"]))
            case "move":
                source = self._path(operation, "from")
                if path[: len(source)] == source and path != source:
                    raise self._misfit(path, "lies within what is to be moved there")
                self._add(path, self._take(source))
            case "copy":
                self._add(path, self._copy(self._find(self._path(operation, "from"))))
            case "test":
                if not same(self._find(path), operation["value"]):
                    raise self._misfit(path, "holds another value than the test demands")
            case _:
                raise self._no_patch(f"{op!r} is no operation; there are {', '.join(_OPERATIONS)}")

    def _path(self, operation: dict[str, Any], name: str) -> list[str]:
        """The parts of a JSON Pointer (RFC 6901), behind the holder's."""
        text = operation.get(name)
        if not isinstance(text, str):
            raise self._no_patch(f"{operation.get('op')} needs a {name}")
        if (text and not text.startswith("/")) or _ESCAPE.search(text):
            raise self._no_patch(f"{name} {text!r} is no JSON Pointer such as /name/0/family")
        return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")]

    def _find(self, path: list[str]) -> Any:
        value: Any = self.holder
        for depth, part in enumerate(path):
            value = self._step(value, part)
            if value is _MISSING:
                raise self._misfit(path[: depth + 1], "is not there")
        return value

    def _step(self, value: Any, part: str) -> Any:
        if isinstance(value, dict):
            return value.get(part, _MISSING)
        if isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            return value[int(part)]
        return _MISSING

    def _add(self, path: list[str], value: Any) -> None:
        holder = self._holder(path)
        if not isinstance(holder, list):
            self._put(path, value)
        elif path[-1] == "-":
            holder.append(value)
        elif _INDEX.fullmatch(path[-1]) and int(path[-1]) <= len(holder):
            holder.insert(int(path[-1]), value)
        else:
            raise self._misfit(path, f"is no place in a list of {len(holder)}")

    def _put(self, path: list[str], value: Any) -> None:
        holder = self._holder(path)
        if isinstance(holder, dict):
            holder[path[-1]] = value
        elif isinstance(holder, list):
            holder[int(path[-1])] = value
        else:
            raise self._misfit(path, "would lie within a value that is no object and no list")

    def _take(self, path: list[str]) -> Any:
        value, holder = self._find(path), self._holder(path)
        del holder[int(path[-1]) if isinstance(holder, list) else path[-1]]
        return value

    def _holder(self, path: list[str]) -> Any:
        return self._find(path[:-1]) if len(path) > 1 else self.holder

    def _copy(self, value: Any) -> Any:
        self.copied += _size(value, MOST_COPIED - self.copied)
        if self.copied >= MOST_COPIED:
            raise Invalid(
                f"The patch copies more than {MOST_COPIED} values.",
                slug="too-costly",
                status=413,
                code="too-costly",
                location=self.at,
            )
        return deepcopy(value)

    def _no_patch(self, reason: str) -> Invalid:
        return Invalid(f"Operation {self.at}: {reason}.", slug="patch", location=self.at)

    def _misfit(self, path: list[str], reason: str) -> Invalid:
        where = "/".join(path) or "the whole"
        return Invalid(
            f"Operation {self.at}: {where} {reason}.",
            hint="Nothing was changed. Read the resource again and make the patch for it.",
            slug="patch-misfit",
            status=422,
            code="processing",
            location=self.at,
        )


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not; the order of keys means nothing."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    numbers = (int, float, Decimal)
    if isinstance(one, numbers) and isinstance(other, numbers):
        return one == other
    return type(one) is type(other) and bool(one == other)


def _size(value: Any, most: int) -> int:
    """How many values it holds, counting no further than `most`."""
    count, level = 0, [value]
    while level and count < most:
        one = level.pop()
        count += 1
        level += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return count
