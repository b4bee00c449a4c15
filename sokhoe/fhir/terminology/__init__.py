"""Code systems, value sets and maps: what is in them, what is above what, what is the same.

Pure: definitions come through a `Source`, nothing here reads disk but the standard's own
definitions. One `Library` answers all questions:

    library.member("http://hl7.org/fhir/ValueSet/administrative-gender", system, "male") → True
    expand(value_set, library.members(url), Wish(filter="dai thao"), timestamp)          → ValueSet
    Check(members, …).codings([Coding("male", system)], several=False)                   → Verdict
"""

from sokhoe.fhir.terminology.asking import lookup, row_of, same_system, subsumes
from sokhoe.fhir.terminology.checking import Check, Coding, Terms, Verdict
from sokhoe.fhir.terminology.expanding import MOST_AT_ONCE, Wish, expand
from sokhoe.fhir.terminology.grammars import GRAMMARS
from sokhoe.fhir.terminology.library import Found, Given, Library, Lists, Source, Standard
from sokhoe.fhir.terminology.maps import Ask, Map, Match, answer, translate
from sokhoe.fhir.terminology.sets import Members, Part, not_here
from sokhoe.fhir.terminology.systems import Designation, System
from sokhoe.fhir.terminology.tables import About, code_system
from sokhoe.fhir.terminology.words import Words

__all__ = [
    "GRAMMARS",
    "MOST_AT_ONCE",
    "About",
    "Ask",
    "Check",
    "Coding",
    "Designation",
    "Found",
    "Given",
    "Library",
    "Lists",
    "Map",
    "Match",
    "Members",
    "Part",
    "Source",
    "Standard",
    "System",
    "Terms",
    "Verdict",
    "Wish",
    "Words",
    "answer",
    "code_system",
    "expand",
    "lookup",
    "not_here",
    "row_of",
    "same_system",
    "subsumes",
    "translate",
]
