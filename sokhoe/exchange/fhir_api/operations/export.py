"""`$export` of the whole memory, of all patients, or of a group: what is asked, made a job.

    GET /fhir/$export?_type=Patient,Observation&_since=2026-11-01T00:00:00+07:00
    GET /fhir/Patient/$export          everything in the compartment of some patient
    GET /fhir/Group/{id}/$export       the same for the members of a group

Rules: hl7.org/fhir/uv/bulkdata/export.html (2.0). The work: exchange/jobs/exporting.py
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from sokhoe import clock
from sokhoe.errors import Invalid, Unsupported
from sokhoe.exchange.fhir_api.operations.arguments import Arguments, Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.exchange.fhir_api.taking import NDJSON, accepted, jobs_of
from sokhoe.fhir import TYPES, SearchParameters, parse_query, search, top_elements

FORMATS = frozenset({NDJSON, "application/ndjson", "ndjson"})
MOST_FILTERS = 50
_NEXT_FILTER = re.compile(r",(?=[A-Z][A-Za-z]+\?)")  # commas also stand within a filter
_PATIENT = re.compile(r"^Patient/[A-Za-z0-9\-.]{1,64}$")

PARAMETERS = (
    Parameter("_outputFormat", "string"),
    Parameter("_since", "string", types=("instant", "dateTime")),
    Parameter("_type", "string", many=True),
    Parameter("_typeFilter", "string", many=True),
    Parameter("_elements", "string", many=True),
)
OF_PATIENTS = (*PARAMETERS, Parameter("patient", "Reference", many=True))


def export(call: OperationCall) -> Response:
    """Check everything that can be checked now, take on the job, say where to look."""
    http = call.call
    if "respond-async" not in http.prefer:
        raise Invalid(
            "An export takes longer than a request.",
            hint="Send the header Prefer: respond-async",
            slug="respond-async",
            location="Prefer",
        )
    given = call.arguments
    level = "group" if call.id else "patient" if call.type else "system"
    types = _types(given)
    filters = _filters(given, types, call.session.parameters())
    ask: dict[str, Any] = {
        "level": level,
        "group": call.id,
        "types": types,
        "since": _since(given.text("_since")),
        "filters": filters,
        "elements": _elements(given),
        "patients": _patients(given),
    }
    if given.text("_outputFormat", "ndjson").replace(" ", "+") not in FORMATS:
        raise Unsupported(
            "An export is written as NDJSON.",
            hint=f"_outputFormat={NDJSON}",
            slug="output-format",
            location="_outputFormat",
        )
    session = call.session
    session.exportable(types)
    if call.id:
        session.read("Group", call.id)
    job = jobs_of(http).open(session, "export", str(http.request.url), ask)
    session.note("E", "", f"export {job.id} asked for: {http.request.url.query}"[:1000])
    return accepted(http, job)


def _types(given: Arguments) -> list[str] | None:
    types = sorted(set(given.texts("_type")))
    unknown = [one for one in types if one not in TYPES]
    if unknown:
        raise Invalid(
            f"There is no resource type {unknown[0]!r}.", slug="unknown-type", location="_type"
        )
    return types or None


def _filters(given: Arguments, types: list[str] | None, known: SearchParameters) -> list[Any]:
    texts = [part for one in given.all("_typeFilter") for part in _NEXT_FILTER.split(str(one))]
    if len(texts) > MOST_FILTERS:
        raise Invalid(
            f"More than {MOST_FILTERS} filters.", slug="too-costly", location="_typeFilter"
        )
    found = []
    for text in texts:
        type, _, query = text.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        if type not in TYPES or not pairs:
            raise Invalid(
                f"{text!r} is not a search.",
                hint="_typeFilter=Observation%3Fcode%3Dhttp://loinc.org|8480-6",
                slug="type-filter",
                location="_typeFilter",
            )
        if types is not None and type not in types:
            raise Invalid(
                f"The filter is about {type}, which is not among _type.", location="_typeFilter"
            )
        parse_query(type, pairs, expander=search.Unasked(), known=known)  # says now what is wrong
        found.append([type, [list(pair) for pair in pairs]])
    return found


def _elements(given: Arguments) -> dict[str, list[str]]:
    """By type, "*" for every type; what is asked of every type holds for the others too."""
    found: dict[str, set[str]] = {}
    for text in given.texts("_elements"):
        type, dot, name = text.rpartition(".")
        if dot and (type not in TYPES or name not in top_elements(type)):
            raise Invalid(
                f"{text!r} is not an element at the top of a resource type.",
                hint="For example: _elements=Patient.name,Observation.value",
                location="_elements",
            )
        found.setdefault(type or "*", set()).add(name)
    of_all = found.get("*", set())
    return {type: sorted(names | of_all) for type, names in found.items()}


def _patients(given: Arguments) -> list[str] | None:
    references = [str(one.get("reference", "")) for one in given.objects("patient")]
    for one in references:
        if not _PATIENT.match(one):
            raise Invalid(f"{one!r} is not a Patient of this server.", location="patient")
    return sorted(set(references)) or None


def _since(text: str) -> int:
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Invalid(
            f"{text!r} is not an instant.",
            hint="For example 2026-11-01T00:00:00+07:00",
            location="_since",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=clock.zone())
    return int(moment.timestamp() * 1_000_000)


_URL = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "export",
        f"{_URL}/export",
        export,
        PARAMETERS,
        system=True,
        long=True,
        summary="Everything this client may read, as NDJSON; asynchronous.",
    ),
    Operation(
        "export",
        f"{_URL}/patient-export",
        export,
        OF_PATIENTS,
        type=True,
        types=frozenset({"Patient"}),
        long=True,
        summary="The compartments of all patients, as NDJSON; asynchronous.",
    ),
    Operation(
        "export",
        f"{_URL}/group-export",
        export,
        OF_PATIENTS,
        instance=True,
        types=frozenset({"Group"}),
        long=True,
        summary="The compartments of a group's members, as NDJSON; asynchronous.",
    ),
)
