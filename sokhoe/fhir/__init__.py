"""I am the language: FHIR R4 types, strict JSON, validation, and what a search parameter means.

I keep nothing and touch neither disk (but my own definition tables), clock nor network.
I may ask no other room. I never hold anything that is true in one country only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sokhoe.fhir import terminology
from sokhoe.fhir.definitions import element_type
from sokhoe.fhir.json import decode, encode
from sokhoe.fhir.json_patch import apply_json_patch
from sokhoe.fhir.search import (
    IndexRows,
    Query,
    SearchParameter,
    SearchParameters,
    compartments,
    extract,
    fold,
    parse_query,
    search_parameters,
)
from sokhoe.fhir.subset import subset, summarised, top_elements
from sokhoe.fhir.types import TYPES, validate, validate_all
from sokhoe.fhir.xml import from_xml, to_xml

if TYPE_CHECKING:
    from sokhoe.fhir import path
    from sokhoe.fhir.explaining import explain
    from sokhoe.fhir.path.patching import patched as apply_fhirpath_patch

__all__ = [
    "TYPES",
    "IndexRows",
    "Query",
    "SearchParameter",
    "SearchParameters",
    "apply_fhirpath_patch",
    "apply_json_patch",
    "compartments",
    "decode",
    "element_type",
    "encode",
    "explain",
    "extract",
    "fold",
    "from_xml",
    "parse_query",
    "path",
    "search_parameters",
    "subset",
    "summarised",
    "terminology",
    "to_xml",
    "top_elements",
    "validate",
    "validate_all",
]

# Asked for now and then, and a tenth of a second to load: a station starts without them.
_LATE = {
    "apply_fhirpath_patch": ("sokhoe.fhir.path.patching", "patched"),
    "explain": ("sokhoe.fhir.explaining", "explain"),
    "path": ("sokhoe.fhir.path", ""),
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"sokhoe.fhir has no {name!r}")
    module, member = _LATE[name]
    found = import_module(module)
    globals()[name] = getattr(found, member) if member else found
    return globals()[name]
