"""What the operations on terminology have in common: who asks, in which language, about what.

Code systems, value sets and maps belong to no patient. Who may search their type may ask; each
call leaves one line in the audit (`Session.consult`). A definition may be named by `url`, by its
id in the address, or be sent along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from sokhoe.errors import Invalid, NotFound
from sokhoe.exchange.fhir_api.operations.arguments import Arguments, Parameter
from sokhoe.exchange.fhir_api.operations.operation import OperationCall
from sokhoe.fhir import terminology, validate

LANGUAGE = Parameter("displayLanguage", "code")
DATE = Parameter("date", "dateTime")
RESOURCES = Parameter("tx-resource", "Resource", many=True)
VERSIONS = (
    Parameter("system-version", "canonical", many=True),
    Parameter("check-system-version", "canonical", many=True),
    Parameter("force-system-version", "canonical", many=True),
)
SHOWN = 500  # letters of a question that its line in the audit repeats


def library(call: OperationCall) -> terminology.Library:
    """The terminology for this call, with what came along with it; notes who asked what."""
    arguments = call.arguments
    asked = [
        (name, arguments.text(name))
        for name in _NOTED
        if name in arguments and not isinstance(arguments.one(name), Mapping)
    ]
    where = "/".join(part for part in (call.type, call.id) if part)
    text = f"{where}/${call.operation.name}?{urlencode(asked, safe=':/|')}"
    found = call.session.consult(str(call.type), text[:SHOWN])
    given = arguments.objects("tx-resource")
    for one in given:
        validate(one)
    return found.wider(
        given,
        versions=_versions(arguments, "system-version"),
        forced=_versions(arguments, "force-system-version"),
    )


_NOTED = ("url", "system", "code", "filter", "codeA", "codeB", "targetsystem", "offset")


def _versions(arguments: Arguments, name: str) -> dict[str, str]:
    found = {}
    for one in arguments.all(name):
        url, bar, version = str(one).partition("|")
        if not bar or not version:
            raise Invalid(
                f"{name} must be a code system with its version: {one}|…",
                slug="parameter",
                location=name,
            )
        found[url] = version
    return found


def check_versions(arguments: Arguments, used: Mapping[str, str]) -> None:
    """`check-system-version`: refuse where another version of a code system was used."""
    for url, wanted in _versions(arguments, "check-system-version").items():
        if used.get(url, wanted) != wanted:
            raise Invalid(
                f"Version {used[url]!r} of the code system {url} is used here, not {wanted!r}.",
                hint="Load that version, or ask for it with system-version.",
                slug="other-version",
                status=422,
                code="conflict",
                location="check-system-version",
            )


def languages(call: OperationCall) -> tuple[str, ...]:
    """In which languages names are wanted, best first: the parameter, else Accept-Language."""
    said = call.arguments.text("displayLanguage")
    text = said or call.call.request.headers.get("accept-language", "")
    found = []
    for number, part in enumerate(text.split(",")[:20]):
        tag, _, rest = part.strip().partition(";")
        weight = rest.strip().removeprefix("q=") or "1"
        try:
            found.append((-float(weight), number, tag.strip()))
        except ValueError:
            continue
    return tuple(tag for weight, _, tag in sorted(found) if tag and tag != "*" and weight < 0)


def definition(
    call: OperationCall, shelf: terminology.Library, kind: str, sent: str
) -> tuple[Mapping[str, Any] | None, str]:
    """(what is asked about, the canonical name it was asked for by): `sent` is the parameter in
    which the resource itself may come; (None, "") where nothing was named. What was asked for by
    name is only a head: it need not be opened again each time."""
    arguments = call.arguments
    resource = arguments.object(sent)
    if resource is not None:
        validate(resource)
        return resource, ""
    if call.id is not None:
        return by_id(call, kind, call.id), ""
    url = arguments.text("url")
    if not url:
        return None, ""
    version = arguments.text(f"{sent}Version") or arguments.text("version")
    canonical = f"{url}|{version}" if version and "|" not in url else url
    known = _known(shelf, kind, canonical)
    if known is None:
        why = shelf.why_not(canonical.partition("|")[0])
        raise terminology.not_here(_WORDS[kind], canonical, why)
    return known, canonical


def _known(shelf: terminology.Library, kind: str, canonical: str) -> Mapping[str, Any] | None:
    if kind == "ValueSet":
        return shelf.head(canonical)
    url, _, version = canonical.partition("|")
    here = shelf.system(url, version) if kind == "CodeSystem" else shelf.map(canonical)
    return None if here is None else {"url": url}


_WORDS = {"CodeSystem": "code system", "ValueSet": "value set", "ConceptMap": "concept map"}


def by_id(call: OperationCall, kind: str, id: str) -> Mapping[str, Any]:
    """A stored resource, or that of the standard with this id."""
    try:
        return call.session.read(kind, id).resource
    except NotFound:
        found = terminology.Standard().by_id(kind, id)
        if found is None:
            raise
        return found


def needed(what: str, *names: str) -> Invalid:
    return Invalid(
        f"{what} is needed.", hint=f"Give {' or '.join(names)}.", slug="parameter", code="required"
    )
