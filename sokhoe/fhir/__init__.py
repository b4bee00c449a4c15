"""I am the language: FHIR R4 types, strict JSON, validation, and what a search parameter means.

I keep nothing and touch neither disk (but my own definition tables), clock nor network.
I may ask no other room. I never hold anything that is true in one country only.
"""

from sokhoe.fhir import terminology
from sokhoe.fhir.json import decode, encode
from sokhoe.fhir.json_patch import apply_json_patch
from sokhoe.fhir.search import (
    IndexRows,
    Query,
    SearchParameter,
    compartments,
    extract,
    fold,
    parse_query,
    search_parameters,
)
from sokhoe.fhir.subset import subset, top_elements
from sokhoe.fhir.types import TYPES, validate, validate_all
from sokhoe.fhir.xml import from_xml, to_xml

__all__ = [
    "TYPES",
    "IndexRows",
    "Query",
    "SearchParameter",
    "apply_json_patch",
    "compartments",
    "decode",
    "encode",
    "extract",
    "fold",
    "from_xml",
    "parse_query",
    "search_parameters",
    "subset",
    "terminology",
    "to_xml",
    "top_elements",
    "validate",
    "validate_all",
]
