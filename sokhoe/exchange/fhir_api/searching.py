"""Search of a type, of a compartment, and of several types at once.

    /fhir/Patient?name=an               one type
    /fhir/Patient/1/Observation?code=x  one type, and the record lies in the patient's compartment
    /fhir/Patient/1/*                   every type of the compartment
    /fhir?_type=Patient,Group&…         several types; without _type all that the asker may search

Each comes down to `Session.search` of one type, which asks the permits and leaves its line in the
audit. Several types are searched one after another in the order of the alphabet; the cursor says
where the next page begins: `number of the type.records on its pages.cursor within it`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from sokhoe.errors import Invalid, NotFound, Unsupported
from sokhoe.exchange.fhir_api.calls import Call, answer
from sokhoe.exchange.fhir_api.interactions import known_type
from sokhoe.exchange.fhir_api.reception import check_repeated, form_pairs
from sokhoe.exchange.fhir_api.showing import searchset, shown_of
from sokhoe.fhir import TYPES, encode, parse_query
from sokhoe.fhir import search as searches
from sokhoe.trust import Deed, Page, Version

USUAL, MOST = 50, 1000  # records on a page of several types
ANY = "*"
FORM = "application/x-www-form-urlencoded"
_NO_CURSOR = ("_cursor", "_count", "_total", "_summary")

Pairs = list[tuple[str, str]]


def of_type(call: Call) -> Response:
    type = known_type(call)
    return _one(call, type, type, _asked(call))


def of_compartment(call: Call) -> Response:
    """GET and POST /{compartment}/{id}/{type}, where the type may be `*`."""
    owner, member = known_type(call), call.path["member"]
    lying = searches.compartment_members(owner)
    if not lying:
        raise NotFound(
            f"{owner} is no compartment.",
            hint=f"Compartments: {', '.join(searches.COMPARTMENTS)}.",
            slug="no-compartment",
        )
    if member != ANY and member not in lying:
        raise NotFound(
            f"There is no {member[:80]} in the compartment of a {owner}.",
            hint=f"There are: {', '.join(sorted(lying))}.",
            slug="unknown-type" if member not in TYPES else "no-compartment",
        )
    ref = f"{owner}/{call.path['id']}"
    path, asked = f"{ref}/{member}", _asked(call)
    if member != ANY:
        return _one(call, member, path, asked, _within(ref, member))
    return _several(call, path, asked, sorted(lying), within=ref)


def of_system(call: Call) -> Response:
    """GET /fhir and POST /fhir/_search."""
    return _several(call, "", _asked(call), sorted(TYPES - {"AuditEvent"}))


def _asked(call: Call) -> Pairs:
    """The parameters of the address and, of a POST, of the form."""
    pairs = call.pairs
    if call.request.method == "POST":
        if call.media != FORM:
            raise Unsupported(
                "A search by POST carries a form.",
                hint=f"Content-Type: {FORM}",
                slug="media-type",
                status=415,
            )
        form = form_pairs(call.body)
        pairs = [*pairs, *(pair for pair in form if pair[0] not in ("_format", "_pretty"))]
    check_repeated(pairs)
    return pairs


def _within(ref: str, type: str) -> Pairs:
    """The condition that a record of this type lies in the compartment of that resource."""
    owner, _, id = ref.partition("/")
    codes = searches.compartment_members(owner)[type]
    tests = (f"_id eq {id}" if code == "_id" else f"{code} re {ref}" for code in codes)
    return [("_filter", " or ".join(tests))]


def _one(
    call: Call, type: str, path: str, pairs: Pairs, within: Sequence[tuple[str, str]] = ()
) -> Response:
    asked = [pair for pair in pairs if pair[0] != "_cursor"]
    shown = shown_of(asked, [type], lenient=call.lenient, counting=True)
    page = call.session.search(type, [*pairs, *within], lenient=call.lenient)
    more = _warning(_ignored(call, type, asked))
    return answer(searchset(call.base, path, asked, page, shown, more))


def _ignored(call: Call, type: str, pairs: Pairs) -> Sequence[str]:
    if not call.lenient or type == "AuditEvent":
        return ()
    known = call.session.parameters()
    asked = parse_query(type, pairs, lenient=True, expander=searches.Unasked(), known=known)
    return asked.ignored


def _warning(ignored: Sequence[str]) -> list[bytes]:
    if not ignored:
        return []
    said = f"Ignored, since unknown here: {', '.join(dict.fromkeys(ignored))}"
    issue = {"severity": "warning", "code": "not-supported", "diagnostics": said}
    outcome = encode({"resourceType": "OperationOutcome", "issue": [issue]})
    return [b'{"resource":' + outcome + b',"search":{"mode":"outcome"}}']


# -- several types -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of several types begins: at which of them, with how many records on each page
    of it (0: as many as there is room for), after what."""

    type: int = 0
    count: int = 0
    cursor: str = ""

    def __str__(self) -> str:
        return f"{self.type}.{self.count}.{self.cursor}"


def _place(text: str, types: int) -> Place:
    type, _, rest = text.partition(".")
    count, _, cursor = rest.partition(".")
    if all(one.isascii() and one.isdigit() and len(one) < 5 for one in (type, count)):
        found = Place(int(type), int(count), cursor)
        if found.type < types and found.count <= MOST:
            return found
    raise Invalid(
        "This page link is damaged.",
        hint="Start again from the first page.",
        slug="cursor",
        location="_cursor",
    )


def _several(
    call: Call, path: str, pairs: Pairs, known: Sequence[str], within: str = ""
) -> Response:
    asked = [pair for pair in pairs if pair[0] != "_cursor"]
    types = _types(call, pairs, known)
    if any(name == "_sort" for name, _ in pairs) and len(types) > 1:
        raise Unsupported(
            "Several types have no order in common.",
            hint="Search each type on its own, or leave _sort out: types come by the alphabet.",
            slug="sort-types",
            location="_sort",
        )
    shown = shown_of(asked, types, lenient=call.lenient, counting=True)
    search = _Search(call, types, [pair for pair in asked if pair[0] != "_type"], within)
    page = search.page(next((value for name, value in pairs if name == "_cursor"), ""))
    ignored = [name for type in types[:1] for name in _ignored(call, type, search.pairs)]
    return answer(searchset(call.base, path, asked, page, shown, _warning(ignored)))


def _types(call: Call, pairs: Pairs, known: Sequence[str]) -> list[str]:
    """The types that `_type` names; without it those that the asker may search."""
    named = [part.strip() for name, value in pairs if name == "_type" for part in value.split(",")]
    for one in named:
        if one not in known:
            raise Invalid(
                f"_type: {one[:80] or 'nothing'} is not among the types of this search.",
                hint="Names are as in FHIR R4: _type=Patient,Observation.",
                slug="unknown-type",
                location="_type",
            )
    if named:
        return sorted(set(named))
    may = [type for type in known if call.session.may(Deed.SEARCH, type)]
    if not may:
        call.session.search(known[0])  # says what is missing, and leaves its line in the audit
    return may


@dataclass(frozen=True, slots=True)
class _Search:
    """One question to several types."""

    call: Call
    types: Sequence[str]
    pairs: Pairs
    within: str

    def page(self, cursor: str) -> Page:
        count = self._count()
        total = self._total() if self._counted() or not count else None
        if not count or ("_summary", "count") in self.pairs:
            return Page((), total=total)
        found: list[Version] = []
        included: dict[tuple[str, int], Version] = {}
        place: Place | None = _place(cursor, len(self.types)) if cursor else Place()
        while place is not None:
            room = min(count - len(found), place.count or MOST)
            if found and room <= count // 2:
                break
            page = self._ask(place, room)
            found += page.versions
            included |= {(one.ref, one.version): one for one in page.included}
            place = self._following(place, room, page)
        shown = {(one.ref, one.version) for one in found}
        beside = tuple(one for key, one in included.items() if key not in shown)
        return Page(tuple(found), beside, total, str(place) if place is not None else None)

    def _following(self, place: Place, room: int, page: Page) -> Place | None:
        if page.next is not None:
            return Place(place.type, room, page.next)
        return Place(place.type + 1) if place.type + 1 < len(self.types) else None

    def _ask(self, place: Place, room: int) -> Page:
        type = self.types[place.type]
        pairs = [*self._conditions(), ("_count", str(room))]
        if place.cursor:
            pairs.append(("_cursor", place.cursor))
        return self.call.session.search(
            type, [*pairs, *self._lying(type)], lenient=self.call.lenient
        )

    def _conditions(self) -> Iterator[tuple[str, str]]:
        return (pair for pair in self.pairs if pair[0] not in _NO_CURSOR)

    def _lying(self, type: str) -> Pairs:
        return _within(self.within, type) if self.within else []

    def _counted(self) -> bool:
        return any(
            (name == "_total" and value != "none") or (name, value) == ("_summary", "count")
            for name, value in self.pairs
        )

    def _total(self) -> int:
        return sum(
            self.call.session.search(
                type,
                [*self._conditions(), ("_summary", "count"), *self._lying(type)],
                lenient=self.call.lenient,
            ).total
            or 0
            for type in self.types
        )

    def _count(self) -> int:
        for name, value in self.pairs:
            if name == "_count":
                if not (value.isascii() and value.isdigit()):
                    raise Invalid(f"_count={value[:40]} is not a number.", location="_count")
                return min(int(value[:9]), MOST)
            if name == "_total" and value not in ("none", "estimate", "accurate"):
                raise Invalid(
                    f"_total={value[:40]}: none, estimate or accurate.", location="_total"
                )
        return USUAL
