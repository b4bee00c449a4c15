"""The server's own search parameters, as the memory knows them.

A SearchParameter that is written, retired or deleted changes what a record is indexed under. What
follows from it stands in drawers (`parameter`), one for each edition, and is written in the same
transaction; `head` of the kind `index` counts these changes. Whoever made a record ready under an
older count makes it ready anew before it is written, so no process can forget a parameter.

    written active   → indexing → checking → ready          (`mending` walks what stood before)
    changed, retired, deleted    → retiring → no drawer
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from sokhoe import clock
from sokhoe.errors import SokhoeError
from sokhoe.fhir import SearchParameters, decode, encode, extract, search
from sokhoe.store import bodies
from sokhoe.store.bodies import Packer
from sokhoe.store.planning import Plan, Prepared
from sokhoe.store.searching import Reader
from sokhoe.store.shapes import Edition

DRAWER = "parameter"
TYPE = "SearchParameter"


_COUNTS = tuple(one.name for one in fields(Edition) if one.name != "custom")


def as_kept(edition: Edition) -> dict[str, Any]:
    return {**asdict(edition.custom), **{name: getattr(edition, name) for name in _COUNTS}}


def from_kept(value: dict[str, Any]) -> Edition:
    counts = {name: value[name] for name in _COUNTS}
    parts = tuple(search.Part(**{**one, "target": tuple(one["target"])}) for one in value["parts"])
    lists = {name: tuple(value[name]) for name in ("base", "target")}
    named = {one.name: value[one.name] for one in fields(search.Custom)}
    return Edition(search.Custom(**{**named, **lists, "parts": parts}), **counts)


def editions(read: Reader) -> list[Edition]:
    """All that there are, the oldest first."""
    rows = read("SELECT value FROM keep WHERE kind=? ORDER BY key", (DRAWER,))
    return [from_kept(decode(bytes(value))) for (value,) in rows]


def count(read: Reader) -> int:
    """How often the parameters were changed so far."""
    rows = read("SELECT seq FROM head WHERE kind='index'", ())
    return int(rows[0][0]) if rows else 0


def known(read: Reader) -> SearchParameters:
    number = count(read)
    return SearchParameters(number, tuple(one.custom for one in editions(read)) if number else ())


# --- within the writing transaction ---------------------------------------------------------------


def up_to_date(change: Prepared, parameters: SearchParameters, packer: Packer) -> Prepared:
    """The change, made ready under these parameters."""
    if change.edition == parameters.edition or change.rows is None:
        return change
    if not change.edition and change.name[0] not in parameters.types:
        return replace(change, edition=parameters.edition)
    stored = change.stored
    if stored is None:
        stored = packer.open(change.packed.dictionary, change.packed.data)
    resource = decode(bodies.whole(*change.name, 0, 0, stored))
    rows = extract(resource, parameters)
    return replace(change, rows=rows, edition=parameters.edition)


@dataclass(slots=True)
class _Register:
    """The parameters while a plan changes them."""

    parameters: SearchParameters
    upto: int
    changed: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def take(self, id: str, resource: dict[str, Any] | None) -> None:
        live = [one for one in self.parameters.customs if one.id == id and one.state != "retiring"]
        wanted = self._wanted(resource)
        if wanted is not None and any(one.meaning == wanted.meaning for one in live):
            return
        for one in live:
            self._put(replace(one, state="retiring"))
        if wanted is not None:
            number = self.parameters.edition + 1
            self._put(replace(wanted, edition=number, state="indexing"))

    def _wanted(self, resource: dict[str, Any] | None) -> search.Custom | None:
        """What a SearchParameter defines; None for one that is not active, or that cannot be used:
        a record comes in by other ways than by who can be told so (family mail, a bulk load)."""
        if resource is None or not search.is_active_parameter(resource):
            return None
        try:
            return search.read_parameter(resource, self.parameters)
        except SokhoeError:
            return None

    def _put(self, custom: search.Custom) -> None:
        edition = Edition(custom, self.upto, clock.now())
        others = tuple(one for one in self.parameters.customs if one.edition != custom.edition)
        listed = sorted((*others, custom), key=lambda one: one.edition)
        self.parameters = SearchParameters(self.parameters.edition + 1, tuple(listed))
        self.changed[edition.key] = as_kept(edition)


def register(plan: Plan, ids: Iterable[str]) -> bool:
    """Add to a plan what follows from the SearchParameters that it writes; True if anything."""
    register = _Register(plan.parameters, plan.heads.seq)
    for id in dict.fromkeys(ids):
        standing = plan.standing.get((TYPE, id))
        if standing is not None:
            register.take(id, standing.version.resource if standing.live else None)
    if not register.changed:
        return False
    plan.parameters = register.parameters
    plan.heads = replace(plan.heads, index=register.parameters.edition)
    for name, value in register.changed.items():
        plan.kept[DRAWER, name] = plan.drawers[DRAWER, name] = value
    return True


def settled(read: Reader) -> list[tuple[str, bytes | None]]:
    """The drawers as they must be when every record has just been indexed anew: (key, value)."""
    found: list[tuple[str, bytes | None]] = []
    for one in editions(read):
        gone = one.custom.state == "retiring"
        found.append((one.key, None if gone else encode(as_kept(one.to("ready")))))
    return found
