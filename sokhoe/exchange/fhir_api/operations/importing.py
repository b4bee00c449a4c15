"""`$import` of files that the operator has laid ready: which, made a job.

    POST /fhir/$import  {"resourceType": "Parameters", "parameter": [
        {"name": "inputFormat", "valueString": "application/fhir+ndjson"},
        {"name": "input", "part": [{"name": "url", "valueString": "inbox:Patient.ndjson.gz"}]}]}

Only names in the inbox are taken (setting `import_inbox`), no address of the network: a server
that fetches what a client names can be turned against its neighbours. Records may be uploaded
instead (uploads.py).
"""

from __future__ import annotations

from starlette.responses import Response

from sokhoe.errors import Invalid, Unsupported
from sokhoe.exchange.fhir_api.operations.arguments import Parameter
from sokhoe.exchange.fhir_api.operations.operation import Operation, OperationCall
from sokhoe.exchange.fhir_api.taking import NDJSON_TYPES, jobs_of
from sokhoe.exchange.fhir_api.uploads import take
from sokhoe.exchange.jobs import in_inbox

INBOX = "inbox:"

PARAMETERS = (
    Parameter("inputFormat", "string"),
    Parameter(
        "input",
        needed=True,
        many=True,
        parts=(Parameter("type", "string"), Parameter("url", "string", needed=True)),
    ),
)


def import_(call: OperationCall) -> Response:
    call.session.writable()
    given = call.arguments
    if given.text("inputFormat", "application/fhir+ndjson") not in NDJSON_TYPES:
        raise Unsupported(
            "An import is read as NDJSON.",
            hint="inputFormat: application/fhir+ndjson",
            slug="output-format",
            location="inputFormat",
        )
    sources = []
    for one in given.parts("input"):
        url = one.text("url")
        if not url.startswith(INBOX):
            raise Invalid(
                f"{url!r} is not a file of this server's inbox.",
                hint="Write inbox:NAME, or upload the records as the body of POST /fhir/$import.",
                slug="no-inbox",
                location="input.url",
            )
        sources.append(in_inbox(call.call.site.settings, url.removeprefix(INBOX)))
    return take(call.call, sources, jobs_of(call.call).draw())


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "import",
        "urn:sokhoe:operation:import",
        import_,
        PARAMETERS,
        system=True,
        affects_state=True,
        long=True,
        summary="Records as NDJSON, uploaded or from the operator's inbox; asynchronous.",
    ),
)
