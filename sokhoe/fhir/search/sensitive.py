"""Which codes mark a record as specially protected, and the hash under which the index has that.

Five categories; the code sets are data (`definitions/sensitive.json`, each with its source and the
day from which it holds). A record is of a category when a coded value under any token parameter
(`code`, `reason-code`, `_security` …) is in one of its sets. The index has it under one hash for
each type and category, so that closing a category costs one seek a record and no list of codes.

The sets of the newest file are applied to all records, old ones too: when the file changes, stores
index anew (`definitions.fingerprint`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from sokhoe.fhir.search.hashing import key, token_keys

CATEGORIES = ("mental", "hiv", "reproductive", "addiction", "genetic")
_LABELS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_LOINC = "http://loinc.org"
# Systems whose codes may look like ICD-10 or ATC and are not.
_OTHERS = ("http://terminology.hl7.org/", "http://hl7.org/fhir/", _LOINC, "http://snomed.info/")
_ICD_URL = "http://hl7.org/fhir/sid/icd-10"
_ICD = re.compile(r"([A-Z]\d\d)(?:\.?(\d{1,4}))?[A-Z*+†]?\Z")
_ATC = re.compile(r"[A-Z]\d\d[A-Z]{1,2}(?:\d\d)?\Z")


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of one category. `blocks`: (first, last) three signs of ICD-10; `icd`, `atc`:
    beginnings; `exact`: (system, code)."""

    blocks: tuple[tuple[str, str], ...]
    icd: tuple[str, ...]
    atc: tuple[str, ...]
    exact: frozenset[tuple[str, str]]

    def have(self, system: str, code: str) -> bool:
        if (system, code) in self.exact:
            return True
        if system.startswith(_OTHERS) and not system.startswith(_ICD_URL):
            return False
        found = _ICD.match(code.upper())
        if found:
            block = found[1]
            whole = f"{block}.{found[2]}" if found[2] else block
            if whole.startswith(self.icd) if self.icd else False:
                return True
            return any(first <= block <= last for first, last in self.blocks)
        return bool(self.atc) and bool(_ATC.match(code.upper())) and code.startswith(self.atc)


@lru_cache(maxsize=1)
def packed() -> bytes:
    return files("sokhoe.fhir").joinpath("definitions", "sensitive.json").read_bytes()


@lru_cache(maxsize=1)
def _sets() -> dict[str, Codes]:
    found = {}
    listed = json.loads(packed())["sets"]
    for category in CATEGORIES:
        of = [one for one in listed if one["category"] == category]
        icd = [code for one in of if one["kind"] == "icd-10" for code in one["codes"]]
        atc = [code for one in of if one["kind"] == "atc" for code in one["codes"]]
        exact = {(_LOINC, code) for one in of if one["kind"] == "loinc" for code in one["codes"]}
        exact |= {(_LABELS, code) for one in of if one["kind"] == "label" for code in one["codes"]}
        blocks = tuple((code[:3], code[4:]) for code in icd if "-" in code)
        starts = tuple(code for code in icd if "-" not in code)
        found[category] = Codes(blocks, starts, tuple(atc), frozenset(exact))
    return found


@lru_cache(maxsize=131_072)
def coded_keys(prefixes: tuple[str, ...], system: str, code: str) -> tuple[int, ...]:
    """All keys under which one coded value is found, for each parameter that indexes it, and those
    of the categories to which it makes the record belong."""
    found = token_keys(prefixes, system, code)
    if code and prefixes:
        type = prefixes[0].partition("|")[0]
        found += [category_key(type, one) for one in categories(system, code)]
    return tuple(found)


@lru_cache(maxsize=65_536)
def categories(system: str, code: str) -> tuple[str, ...]:
    """The categories that a coded value belongs to, mostly none."""
    return tuple(name for name, codes in _sets().items() if codes.have(system, code))


@lru_cache(maxsize=4_096)
def category_key(type: str, category: str) -> int:
    """The hash under which the index has all records of a type that are of a category."""
    return key(f"{type}|~category|{category}")
