"""`Patient/$summary`: the International Patient Summary of a person (sokhoe.people.summary).

hl7.org/fhir/uv/ips/OperationDefinition-summary.html
"""

from __future__ import annotations

from typing import Any

from sokhoe.errors import Conflict, Invalid, NotFound, Unsupported
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.people import SUMMARY_PROFILE, records_of, summarise
from sokhoe.trust import Version
from sokhoe.web import LANGUAGES


def summary(call: OperationCall) -> dict[str, Any]:
    profile = call.arguments.text("profile", SUMMARY_PROFILE).partition("|")[0]
    if profile != SUMMARY_PROFILE or "graph" in call.arguments:
        raise Unsupported(
            "Only the International Patient Summary is made here.",
            hint=f"profile={SUMMARY_PROFILE}, or leave it out; graph is not served.",
            slug="profile",
        )
    site = call.call.site
    speaker = site.texts.speaker(_language(call))
    return summarise(call.session, _patient(call), speaker, call.call.base)


def _patient(call: OperationCall) -> Version:
    if call.id is not None:
        return call.session.read("Patient", call.id)
    identifier = call.arguments.text("identifier")
    if not identifier:
        raise Invalid(
            "Whose summary?",
            hint="Patient/{id}/$summary or Patient/$summary?identifier=system|value",
            slug="parameter",
            location="identifier",
            code="required",
        )
    found = call.session.search("Patient", [("identifier", identifier), ("_count", "20")])
    if not found.versions:
        raise NotFound("There is no Patient with this identifier.")
    first = found.versions[0]
    others = {one.ref for one in found.versions} - set(records_of(call.session, first))
    if others or found.next is not None:
        raise Conflict(
            "Several people have this identifier.",
            hint="Ask with the id of one Patient.",
            slug="several-match",
            status=412,
            code="multiple-matches",
        )
    return first


def _language(call: OperationCall) -> str:
    """The first of the caller's languages that we speak, else the server's own."""
    for part in call.call.request.headers.get("accept-language", "").split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return str(call.call.site.settings.language)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "summary",
        "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
        summary,
        (
            Parameter("identifier", "string"),
            Parameter("profile", "uri"),
            Parameter("graph", "uri"),
        ),
        type=True,
        instance=True,
        types=frozenset({"Patient"}),
        summary="The International Patient Summary of a person, of all linked records.",
    ),
)
