"""What a search parameter means: what is indexed of a resource, and what a search asks for.

The store takes this as a whole (`from sokhoe.fhir import search`); other rooms need only the names
that the door of `fhir` shows.
"""

from sokhoe.fhir.search.care import all_references, care_dates
from sokhoe.fhir.search.compartment import COMPARTMENTS, compartment_members
from sokhoe.fhir.search.custom import STANDARD, Custom, Part, SearchParameters, State
from sokhoe.fhir.search.custom import is_active as is_active_parameter
from sokhoe.fhir.search.custom import read as read_parameter
from sokhoe.fhir.search.dates import LENGTHS, stretch
from sokhoe.fhir.search.definitions import (
    SearchParameter,
    fingerprint,
    main_dates,
    patient_parameters,
    search_parameters,
    searchable_types,
)
from sokhoe.fhir.search.expanding import Expander, Unasked
from sokhoe.fhir.search.extraction import (
    NO_DATE,
    IndexRows,
    compartments,
    extract,
    shape_key,
    type_keys,
)
from sokhoe.fhir.search.fold import fold
from sokhoe.fhir.search.following import references
from sokhoe.fhir.search.hashing import key, prefix
from sokhoe.fhir.search.holding import holds
from sokhoe.fhir.search.matching import matches
from sokhoe.fhir.search.parsing import parse_query
from sokhoe.fhir.search.query import (
    AnyOf,
    Condition,
    Dates,
    DateTest,
    Include,
    Keys,
    Linked,
    Missing,
    Near,
    Not,
    Numbers,
    NumberTest,
    Pointed,
    Query,
    Scan,
    Sort,
    Texts,
    UpTo,
    Written,
)
from sokhoe.fhir.search.scanning import scanned
from sokhoe.fhir.search.sensitive import CATEGORIES, categories, category_key
from sokhoe.fhir.search.sorting import metres_between, sort_words

__all__ = [
    "CATEGORIES",
    "COMPARTMENTS",
    "LENGTHS",
    "NO_DATE",
    "STANDARD",
    "AnyOf",
    "Condition",
    "Custom",
    "DateTest",
    "Dates",
    "Expander",
    "Include",
    "IndexRows",
    "Keys",
    "Linked",
    "Missing",
    "Near",
    "Not",
    "NumberTest",
    "Numbers",
    "Part",
    "Pointed",
    "Query",
    "Scan",
    "SearchParameter",
    "SearchParameters",
    "Sort",
    "State",
    "Texts",
    "Unasked",
    "UpTo",
    "Written",
    "all_references",
    "care_dates",
    "categories",
    "category_key",
    "compartment_members",
    "compartments",
    "extract",
    "fingerprint",
    "fold",
    "holds",
    "is_active_parameter",
    "key",
    "main_dates",
    "matches",
    "metres_between",
    "parse_query",
    "patient_parameters",
    "prefix",
    "read_parameter",
    "references",
    "scanned",
    "search_parameters",
    "searchable_types",
    "shape_key",
    "sort_words",
    "stretch",
    "type_keys",
]
