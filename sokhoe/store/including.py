"""What goes with the matches of a search: `_include` and `_revinclude`, once or on and on.

Rules: hl7.org/fhir/R4/search.html#include. Every record passes the scope, whichever way it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sokhoe.errors import Unsupported
from sokhoe.fhir import search
from sokhoe.store import bounds
from sokhoe.store.pieces import sql
from sokhoe.store.planning import TYPE_CODES, TYPE_NAMES
from sokhoe.store.shapes import Version

if TYPE_CHECKING:
    from sokhoe.store.searching import Search


def included(one: Search, query: search.Query, matches: tuple[Version, ...]) -> tuple[Version, ...]:
    if not matches or not (query.include or query.revinclude):
        return ()
    shown = {version.ref for version in matches}
    found: dict[int, Version] = {}
    news: Sequence[Version] = matches
    include, revinclude = query.include, query.revinclude
    while news and (include or revinclude):
        pks: set[int] = set()
        for each in include:
            pks |= _followed(one, each, news)
        for each in revinclude:
            pks |= _pointing(one, each, news)
        pks -= found.keys()
        if len(pks) + len(found) > bounds.MOST_INCLUDED:
            raise Unsupported(
                f"More than {bounds.MOST_INCLUDED} records would be included.",
                hint="Ask for a smaller _count, or search for the included records themselves.",
                slug="too-many-included",
                code="too-costly",
            )
        versions = one.versions(sorted(pks - {version.seq for version in matches}))
        news = [versions[pk] for pk in sorted(versions) if versions[pk].ref not in shown]
        found |= {version.seq: version for version in news}
        shown |= {version.ref for version in news}
        include = tuple(each for each in include if each.iterate)
        revinclude = tuple(each for each in revinclude if each.iterate)
    return tuple(found[pk] for pk in sorted(found))


def _followed(one: Search, include: search.Include, news: Iterable[Version]) -> set[int]:
    refs: dict[str, set[str]] = {}
    for version in news:
        if include.source in ("*", version.type):
            resource = version.resource
            for param in _params(one, version.type, include.param):
                for ref in search.references(resource, param):
                    refs.setdefault(ref.partition("/")[0], set()).add(ref)
    pks: set[int] = set()
    for type, named in refs.items():
        if type in TYPE_CODES and include.target in (None, type):
            own = search.type_keys(type).id
            pks |= _current(one, type, sorted(own ^ search.key(ref) for ref in named))
    return pks


def _pointing(one: Search, include: search.Include, news: Iterable[Version]) -> set[int]:
    named = [each for each in news if include.target in (None, each.type)]
    if include.param != "*":
        return _current(one, include.source, [include.key ^ search.key(v.ref) for v in named])
    sources = [include.source] if include.source != "*" else _present(one)
    pks: set[int] = set()
    for source in sources:
        starts = {
            search.key(search.prefix(source, param.stored[0]))
            for param in _params(one, source, "*")
        }
        keys = [start ^ search.key(version.ref) for start in starts for version in named]
        pks |= _current(one, source, sorted(keys))
    return pks


def _present(one: Search) -> list[str]:
    """The types of which there are records."""
    return [TYPE_NAMES[row[0]] for row in one.read("SELECT type FROM totals WHERE n>0", ())]


def _params(one: Search, type: str, code: str) -> list[search.SearchParameter]:
    known = one.parameters.of(type)
    if code != "*":
        return [known[code]]
    return [each for each in known.values() if each.type == "reference" and each.is_ready]


def _current(one: Search, type: str, keys: Sequence[int]) -> set[int]:
    """The current records of a type with one of these hashes, as far as the scope allows."""
    if not keys or one.asking.allows_none(type):
        return set()
    a = one.asking.name()
    wanted = sql(
        f"SELECT {a}.pk FROM ({{}}) {a} WHERE {{}} LIMIT {bounds.MOST_INCLUDED + 1}",
        one.asking.rows(search.Keys("", tuple(keys))),
        one.asking.all_hold(type, (), a),
    )
    return {row[0] for row in one.rows(wanted)}
