"""Value sets that nobody wrote down, named by an address made from a code system's.

    <code system>?fhir_vs                   all of it
    <code system>?fhir_vs=isa/<code>        a concept and all below it
    <code system>?fhir_vs=descendants/…     only those below (ours)

The form is the one of SNOMED CT and LOINC (hl7.org/fhir/R4/snomedct.html#implicit); here it works
for every code system.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

MARK = "?fhir_vs"
_FORMS = {"isa": "is-a", "descendants": "descendent-of"}


def value_set(url: str) -> dict[str, Any] | None:
    """The definition that such an address stands for; None for any other address."""
    system, mark, form = url.partition(MARK)
    if not mark or not system:
        return None
    include: dict[str, Any] = {"system": system}
    if form:
        kind, slash, code = form.removeprefix("=").partition("/")
        if not form.startswith("=") or not slash or not code or kind not in _FORMS:
            return None
        filter = {"property": "concept", "op": _FORMS[kind], "value": unquote(code)}
        include["filter"] = [filter]
    return {
        "resourceType": "ValueSet",
        "url": url,
        "name": "Implicit",
        "title": f"Codes of {system}",
        "status": "active",
        "compose": {"include": [include]},
    }
