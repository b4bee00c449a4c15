"""Functions on texts. Patterns of strangers run in an engine that gives up in time."""

from __future__ import annotations

import base64
import binascii
import html
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

from sokhoe.fhir.path.functions.shape import Function, text, whole
from sokhoe.fhir.path.operators import short
from sokhoe.fhir.path.refusing import too_costly, wrong
from sokhoe.fhir.path.scope import PATIENCE, Scope
from sokhoe.fhir.path.values import Items

LONGEST_PATTERN = 4000


def _on(name: str, function: Callable[..., object]) -> Callable[..., Items]:
    """A function of one text and as many text arguments; empty if any of them is."""

    def on(scope: Scope, items: Items, *arguments: Items) -> Items:
        values = [text(one, f"{name}()") for one in (items, *arguments)]
        if None in values:
            return []
        found = function(*values)
        if isinstance(found, str):
            scope.spend_text(found)
        return [] if found is None else [found]

    return on


@lru_cache(maxsize=512)
def pattern(written: str) -> regex.Pattern[str]:
    """A compiled pattern; `.` also stands for a line break, as FHIRPath asks."""
    if len(written) > LONGEST_PATTERN:
        raise too_costly(f"a pattern has more than {LONGEST_PATTERN} characters")
    import regex  # large, and needed only by those who match

    try:
        return regex.compile(written, regex.DOTALL)
    except (regex.error, OverflowError, RecursionError) as error:
        raise wrong(f"the pattern {written[:60]!r} is not right: {error}") from None


def _finds(compiled: regex.Pattern[str], value: str, patience: float) -> bool:
    return compiled.search(value, timeout=patience) is not None


def _fits(compiled: regex.Pattern[str], value: str, patience: float) -> bool:
    return compiled.fullmatch(value, timeout=patience) is not None


def _matching(
    name: str, run: Callable[[regex.Pattern[str], str, float], bool]
) -> Callable[[Scope, Items, Items], Items]:
    def matching(scope: Scope, items: Items, written: Items) -> Items:
        value, wanted = text(items, f"{name}()"), text(written, f"{name}()")
        if value is None or wanted is None:
            return []
        compiled = pattern(wanted)
        with _patient(scope, wanted):
            return [run(compiled, value, scope.patience)]

    return matching


def _replace_matches(scope: Scope, items: Items, written: Items, new: Items) -> Items:
    value, wanted, substitution = (text(one, "replaceMatches()") for one in (items, written, new))
    if value is None or wanted is None or substitution is None:
        return []
    if not wanted:
        return [value]
    import regex

    # Escapes of the substitution are texts here; $1 and ${name} stand for groups.
    rewritten = regex.sub(r"\\(?![0-9])", r"\\\\", substitution)
    rewritten = regex.sub(r"\$(?:\{(\w+)\}|([0-9]+))", r"\\g<\1\2>", rewritten)
    compiled = pattern(wanted)
    try:
        with _patient(scope, wanted):
            found = short(compiled.sub(rewritten, value, timeout=scope.patience))
    except (regex.error, IndexError) as error:
        raise wrong(f"the replacement {substitution[:60]!r} is not right: {error}") from None
    scope.spend_text(found)
    return [found]


@contextmanager
def _patient(scope: Scope, written: str) -> Iterator[None]:
    """Take the time used from the patience of this evaluation."""
    started = time.monotonic()
    try:
        yield
    except TimeoutError:
        raise _slow(written) from None
    scope.patience -= time.monotonic() - started
    if scope.patience <= 0:
        raise _slow(written)


def _slow(written: str) -> Exception:
    return too_costly(f"patterns such as {written[:60]!r} take longer than {PATIENCE} s")


def _replace(value: str, old: str, new: str) -> str:
    if (len(value) + 1) * max(1, len(new)) > 64 * 1024 * 1024:
        raise too_costly("a text in it grows beyond 1 MB")
    return short(value.replace(old, new))


def _substring(scope: Scope, items: Items, start: Items, length: Items | None = None) -> Items:
    value, first = text(items, "substring()"), whole(start, "substring()")
    if value is None or first is None or not 0 <= first < len(value):
        return []
    if length is None or not length:
        return [value[first:]]
    count = whole(length, "substring()") or 0
    return [value[first : first + max(0, count)]]


def _index_of(value: str, wanted: str) -> int:
    return value.find(wanted)


def _last_index_of(value: str, wanted: str) -> int:
    return value.rfind(wanted)


def _split(scope: Scope, items: Items, separator: Items) -> Items:
    value, by = text(items, "split()"), text(separator, "split()")
    if value is None or by is None:
        return []
    found = value.split(by) if by else list(value)
    scope.spend(len(found))
    return list(found)


def _join(scope: Scope, items: Items, separator: Items | None = None) -> Items:
    if not items:
        return []
    by = (text(separator, "join()") if separator is not None else "") or ""
    parts = [text([item], "join()") for item in items]
    joined = short(by.join(part for part in parts if part is not None))
    scope.spend_text(joined)
    return [joined]


def _chars(scope: Scope, items: Items) -> Items:
    value = text(items, "toChars()") or ""
    scope.spend(len(value))
    return list(value)


def _encode(value: str, form: str) -> str | None:
    written = value.encode()
    match form:
        case "base64":
            return base64.b64encode(written).decode()
        case "urlbase64":
            return base64.urlsafe_b64encode(written).decode()
        case "hex":
            return written.hex()
    raise wrong(f"encode() knows base64, urlbase64 and hex, not {form[:20]!r}")


def _decode(value: str, form: str) -> str | None:
    try:
        match form:
            case "base64":
                return base64.b64decode(value, validate=True).decode()
            case "urlbase64":
                return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
            case "hex":
                return binascii.unhexlify(value).decode()
    except ValueError:
        return None
    raise wrong(f"decode() knows base64, urlbase64 and hex, not {form[:20]!r}")


def _escape(value: str, form: str) -> str:
    match form:
        case "html":
            return html.escape(value)
        case "json":
            return json.dumps(value, ensure_ascii=False)[1:-1]
    raise wrong(f"escape() knows html and json, not {form[:20]!r}")


def _unescape(value: str, form: str) -> str | None:
    match form:
        case "html":
            return html.unescape(value)
        case "json":
            try:
                found = json.loads(f'"{value}"') if "\\" in value else value
            except ValueError:
                return None
            return found if isinstance(found, str) else None
    raise wrong(f"unescape() knows html and json, not {form[:20]!r}")


FUNCTIONS = {
    "indexOf": Function(_on("indexOf", _index_of), 1, 1),
    "lastIndexOf": Function(_on("lastIndexOf", _last_index_of), 1, 1),
    "substring": Function(_substring, 1, 2),
    "startsWith": Function(_on("startsWith", str.startswith), 1, 1),
    "endsWith": Function(_on("endsWith", str.endswith), 1, 1),
    "contains": Function(_on("contains", str.__contains__), 1, 1),
    "upper": Function(_on("upper", str.upper)),
    "lower": Function(_on("lower", str.lower)),
    "replace": Function(_on("replace", _replace), 2, 2),
    "matches": Function(_matching("matches", _finds), 1, 1),
    "matchesFull": Function(_matching("matchesFull", _fits), 1, 1),
    "replaceMatches": Function(_replace_matches, 2, 2),
    "length": Function(_on("length", len)),
    "toChars": Function(_chars),
    "trim": Function(_on("trim", str.strip)),
    "split": Function(_split, 1, 1),
    "join": Function(_join, 0, 1),
    "encode": Function(_on("encode", _encode), 1, 1),
    "decode": Function(_on("decode", _decode), 1, 1),
    "escape": Function(_on("escape", _escape), 1, 1),
    "unescape": Function(_on("unescape", _unescape), 1, 1),
}
