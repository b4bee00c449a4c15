"""Finding a diagnosis by what is typed: words with or without accents, everyday names, a code.

The list is the code system that the country names (`Catalogue.diagnosis_list`) as it lies in this
server's terminology: a starter list, or the whole one once `sokhoe terms load` has brought it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sokhoe.clinic.seams import Term, catalogue_of
from sokhoe.fhir import terminology
from sokhoe.web import Site


def find_diagnoses(site: Site, words: str, limit: int) -> Sequence[Term]:
    """Diagnoses that fit, best first; no words: the usual ones. Headings and codes that are no
    longer in use are left out."""
    system = _list(site)
    if system is None:
        return ()
    if words.strip():
        rows = system.words.find(words)
    else:
        usual = catalogue_of(site).usual_diagnoses
        rows = [row for code in usual if (row := system.row(code)) is not None]
    good = (row for row in rows if not system.abstract(row) and not system.inactive(row))
    return [_term(system, row) for row, _ in zip(good, range(limit), strict=False)]


def diagnosis(site: Site, code: str) -> Term | None:
    """The diagnosis of exactly this code, or None."""
    system = _list(site)
    row = system.row(code) if system is not None and code else None
    return _term(system, row) if system is not None and row is not None else None


def _list(site: Site) -> terminology.System | None:
    url = catalogue_of(site).diagnosis_list
    return site.gate.library.refresh().system(url) if url else None


def _term(system: terminology.System, row: int) -> Term:
    return Term(system.codes[row], system.displays[row], system.url)
