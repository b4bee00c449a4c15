"""read, vread and history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from starlette.responses import Response

from sokhoe import clock
from sokhoe.errors import Gone, Invalid, NotFound, Unsupported
from sokhoe.exchange.fhir_api.calls import Call, answer, etag, version_headers
from sokhoe.exchange.fhir_api.reception import check_repeated
from sokhoe.exchange.fhir_api.showing import SHOWING, history_bundle, shown_of
from sokhoe.fhir import TYPES, search, terminology
from sokhoe.trust import Version


def known_type(call: Call) -> str:
    """The type in the path. Raises NotFound for one that R4 does not have."""
    type = call.path["type"]
    if type not in TYPES:
        raise NotFound(
            f"There is no resource type {type!r}.",
            hint="Names are as in FHIR R4, with capitals: Patient, Observation.",
            slug="unknown-type",
        )
    return type


def read(call: Call) -> Response:
    type = known_type(call)
    shown = shown_of(call.pairs, [type], lenient=call.lenient)
    try:
        version = call.session.read(type, call.path["id"])
    except NotFound:
        # what the standard brings along is there as well, until somebody stores his own
        standard = terminology.Standard().by_id(type, call.path["id"])
        if standard is None:
            raise
        return answer(shown.part(dict(standard)))
    headers = version_headers(call, version)
    if is_known(call, version):
        return Response(status_code=304, headers=headers)
    return answer(shown.body(version), headers=headers)


def is_known(call: Call, version: Version) -> bool:
    """Whether the caller has this version already. If-None-Match counts before If-Modified-Since
    (RFC 9110 §13.2.2); a date that is none is as good as not sent."""
    tags = call.request.headers.get("if-none-match")
    if tags is not None:
        return bool({"*", etag(version)} & {tag.strip() for tag in tags.split(",")})
    try:
        since = parsedate_to_datetime(call.request.headers.get("if-modified-since", ""))
        return version.at // 1_000_000 <= since.timestamp()
    except (ValueError, OverflowError):
        return False


def vread(call: Call) -> Response:
    shown = shown_of(call.pairs, [known_type(call)], lenient=call.lenient)
    version = version_of(call)
    return answer(shown.body(version), headers=version_headers(call, version))


def version_of(call: Call) -> Version:
    """The version that the address names. Raises NotFound, Gone."""
    number = call.path["version"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound(f"There is no version {number[:40]!r}.")
    version = call.session.read(known_type(call), call.path["id"], int(number))
    if version.deleted:
        raise Gone(f"Version {number} says that {version.ref} was deleted.")
    return version


# -- history -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Wanted:
    """What a history is asked for: since when, standing when, how many, from where on."""

    since: int | None = None
    during: tuple[int, int] | None = None
    count: int = 50
    cursor: str | None = None


def history(call: Call) -> Response:
    type = known_type(call) if "type" in call.path else None
    id = call.path.get("id")
    wanted = _wanted(call)
    asked = [pair for pair in call.pairs if pair[0] != "_cursor"]
    shown = shown_of(asked, [type] if type else sorted(TYPES), lenient=call.lenient)
    page = call.session.history(
        type,
        id,
        since=wanted.since,
        during=wanted.during,
        count=wanted.count,
        before=wanted.cursor,
    )
    path = "/".join(part for part in (type, id, "_history") if part)
    return answer(history_bundle(call.base, path, asked, page, shown))


def _wanted(call: Call) -> Wanted:
    found = Wanted()
    check_repeated(call.pairs)
    for name, value in call.pairs:
        if name == "_since":
            found.since = _instant(value)
        elif name == "_at":
            found.during = _stretch(value)
        elif name == "_count" and value.isascii() and value.isdigit():
            found.count = max(1, min(int(value[:9]), 1000))
        elif name == "_cursor":
            found.cursor = value
        elif name not in SHOWING and not call.lenient:
            raise Unsupported(
                f"Parameter {name[:80]}={value[:80]!r} is not known for history.",
                hint="Known: _since, _at, _count, _summary, _elements",
                slug="unknown-parameter",
                location=name[:80],
            )
    if found.since is not None and found.during is not None:
        raise Invalid(
            "_since and _at cannot both be followed.", hint="Send one of them.", location="_at"
        )
    return found


def _instant(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=clock.zone())
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise Invalid(f"_since {value[:80]!r} is not an instant.", location="_since") from None


def _stretch(value: str) -> tuple[int, int]:
    """A moment or a day, month, year: all of it counts. The spaces are `+` of a zone."""
    try:
        return search.stretch(value.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise Invalid(f"_at {value[:80]!r} is no date or time.", location="_at") from None
