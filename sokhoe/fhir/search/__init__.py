"""What a search parameter means: what is indexed of a resource, and what a search asks for.

The store takes this as a whole (`from sokhoe.fhir import search`); other rooms need only the names
that the door of `fhir` shows.
"""

from sokhoe.fhir.search.care import all_references, care_dates
from sokhoe.fhir.search.compiled import prefix
from sokhoe.fhir.search.dates import LENGTHS, stretch
from sokhoe.fhir.search.definitions import (
    SearchParameter,
    fingerprint,
    main_dates,
    patient_parameters,
    search_parameters,
    searchable_types,
)
from sokhoe.fhir.search.extraction import (
    NO_DATE,
    IndexRows,
    compartments,
    extract,
    type_keys,
)
from sokhoe.fhir.search.fold import fold
from sokhoe.fhir.search.following import references
from sokhoe.fhir.search.hashing import key
from sokhoe.fhir.search.matching import matches
from sokhoe.fhir.search.parsing import parse_query
from sokhoe.fhir.search.query import (
    Condition,
    Dates,
    DateTest,
    Include,
    Keys,
    Linked,
    Missing,
    Numbers,
    NumberTest,
    Pointed,
    Query,
    Sort,
    Texts,
    Written,
)

__all__ = [
    "LENGTHS",
    "NO_DATE",
    "Condition",
    "DateTest",
    "Dates",
    "Include",
    "IndexRows",
    "Keys",
    "Linked",
    "Missing",
    "NumberTest",
    "Numbers",
    "Pointed",
    "Query",
    "SearchParameter",
    "Sort",
    "Texts",
    "Written",
    "all_references",
    "care_dates",
    "compartments",
    "extract",
    "fingerprint",
    "fold",
    "key",
    "main_dates",
    "matches",
    "parse_query",
    "patient_parameters",
    "prefix",
    "references",
    "search_parameters",
    "searchable_types",
    "stretch",
    "type_keys",
]
