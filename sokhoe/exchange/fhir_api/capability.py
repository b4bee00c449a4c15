"""What this server can do, as CapabilityStatement: made from the tables that do it, so that it
cannot promise more than there is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sokhoe import __version__
from sokhoe.exchange.fhir_api import operations
from sokhoe.fhir import (
    TYPES,
    SearchParameter,
    SearchParameters,
    encode,
    search,
    terminology,
)

_FULL = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
# Asked for of every type, though it is no value of an element.
_ANYWHERE = (
    ("_content", "string"),
    ("_filter", "special"),
    ("_list", "special"),
    ("_text", "string"),
)
_OAUTH = ("token", "authorize", "introspect", "revoke")
_AUDIT = ("read", "search-type")
_AUDIT_PARAMETERS = (("patient", "reference"), ("agent", "reference"), ("date", "date"))


@lru_cache(maxsize=4)
def statement(
    base: str,
    conditional_delete: str = "single",
    known: SearchParameters = search.STANDARD,
    *,
    cors: bool = False,
) -> bytes:
    """The CapabilityStatement of the server at this address, with this setting and these search
    parameters."""
    allowed = conditional_delete in {"single", "multiple"}
    deletes = conditional_delete if allowed else "not-supported"
    return encode(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-23",
            "kind": "instance",
            "software": {"name": "Sổ Khoẻ", "version": __version__},
            "implementation": {"description": "Sổ Khoẻ", "url": base},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "json", "application/fhir+xml", "xml"],
            "patchFormat": [
                "application/json-patch+json",
                "application/fhir+json",
                "application/fhir+xml",
            ],
            "rest": [
                {
                    "extension": [
                        {
                            "url": "http://hl7.org/fhir/StructureDefinition/"
                            "capabilitystatement-websocket",
                            "valueUri": f"{base.replace('http', 'ws', 1)}/websocket",
                        }
                    ],
                    "mode": "server",
                    "security": {
                        "cors": cors,
                        "service": [
                            {
                                "coding": [
                                    {
                                        "system": "http://terminology.hl7.org/CodeSystem/"
                                        "restful-security-service",
                                        "code": code,
                                    }
                                    for code in ("SMART-on-FHIR", "OAuth")
                                ],
                                "text": "OAuth 2 as SMART on FHIR uses it; see "
                                f"{base}/.well-known/smart-configuration",
                            }
                        ],
                        "extension": [_oauth_uris(base.removesuffix("/fhir"))],
                    },
                    "resource": [_resource(type, deletes, known) for type in sorted(TYPES)],
                    "interaction": [
                        {"code": "transaction"},
                        {"code": "batch"},
                        {"code": "history-system"},
                        {"code": "search-system"},
                    ],
                    "compartment": [
                        f"http://hl7.org/fhir/CompartmentDefinition/{name[0].lower()}{name[1:]}"
                        for name in search.COMPARTMENTS
                    ],
                    **_operations(None),
                }
            ],
        }
    )


def _oauth_uris(server: str) -> dict[str, Any]:
    """hl7.org/fhir/smart-app-launch/1.0.0/StructureDefinition-oauth-uris.html, for programs that
    do not read the SMART configuration."""
    return {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": name, "valueUri": f"{server}/oauth/{name}"} for name in _OAUTH],
    }


@lru_cache(maxsize=4)
def terminology_statement(base: str) -> bytes:
    """What can be asked of code systems, as TerminologyCapabilities. The code systems listed are
    those that are here from the start; those sent later are found by `GET /fhir/CodeSystem`."""
    known = (
        {"uri": url, **({"version": [{"code": version}]} if version else {})}
        for url, version in terminology.Standard().systems()
    )
    return encode(
        {
            "resourceType": "TerminologyCapabilities",
            "name": "SoKhoeTerminology",
            "title": "Sổ Khoẻ",
            "status": "active",
            "date": "2026-11-24",
            "kind": "instance",
            "software": {"name": "Sổ Khoẻ", "version": __version__},
            "implementation": {"description": "Sổ Khoẻ", "url": base},
            "lockedDate": False,
            "codeSystem": [*known, *({"uri": url} for url in terminology.GRAMMARS)],
            "expansion": {
                "hierarchical": True,
                "paging": True,
                "incomplete": False,
                "parameter": [
                    {"name": one.name}
                    for operation in operations.OPERATIONS
                    if operation.name == "expand"
                    for one in operation.parameters
                ],
                "textFilter": "Beginnings of words in any order, with or without accents, in "
                "displays and designations; or the beginning of a code. Best match first.",
            },
            "codeSearch": "all",
            "validateCode": {"translations": True},
            "translation": {"needsMap": False},
            "closure": {"translation": False},
        }
    )


def _resource(type: str, conditional_delete: str, known: SearchParameters) -> dict[str, Any]:
    if type == "AuditEvent":
        return {
            "type": type,
            "interaction": [{"code": code} for code in _AUDIT],
            "versioning": "no-version",
            "searchParam": [{"name": name, "type": kind} for name, kind in _AUDIT_PARAMETERS],
        }
    return {
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "interaction": [{"code": code} for code in _FULL],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": conditional_delete,
        "searchInclude": [
            "*",
            f"{type}:*",
            *(
                f"{type}:{name}"
                for name, parameter in sorted(known.of(type).items())
                if parameter.type == "reference"
            ),
        ],
        "searchRevInclude": ["*"],
        "searchParam": [
            *({"name": name, "type": kind} for name, kind in _ANYWHERE),
            *(_parameter(parameter) for _, parameter in sorted(known.of(type).items())),
        ],
        **_operations(type),
    }


def _parameter(parameter: SearchParameter) -> dict[str, str]:
    line = {"name": parameter.code, "type": parameter.type}
    if parameter.custom is not None:
        if parameter.custom.url:
            line["definition"] = parameter.custom.url
        if not parameter.is_ready:
            line["documentation"] = "Not ready: records are still being indexed by it."
    return line


def _operations(type: str | None) -> dict[str, Any]:
    """A list that would be empty is left out, as FHIR demands."""
    found = operations.listed(type)
    return {"operation": found} if found else {}
