"""The official FHIRPath test suite for R4, read from shared data (`fhirpath/tests-fhir-r4.xml`)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sokhoe.fhir import decode

_AGE = "http://example.com/fhir/StructureDefinition/patient-age"
_PERIOD = {"start": "1974-12-25T14:35:45-05:00", "end": "1974-12-25"}
# Three inputs of the suite that come without their file; what the cases ask of them.
_ABSENT: dict[str, dict[str, Any]] = {
    "parameters-example-types.xml": {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "valueString": "string"},
            {"name": "b", "valueInteger": 1},
            {"name": "c", "valueUuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
            {"name": "d", "valueDecimal": Decimal("1.0")},
        ],
    },
    "patient-example-period.xml": {
        "resourceType": "Patient",
        "identifier": [{"value": "1", "period": _PERIOD}],
    },
    "codesystem-example.xml": {
        "resourceType": "CodeSystem",
        "status": "draft",
        "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b"}]}, {"code": "b"}],
    },
}


@dataclass(frozen=True)
class Case:
    """`outputs` are (type, text), both as the suite writes them; `invalid` says an error is due."""

    name: str
    expression: str
    input: str
    invalid: str
    outputs: tuple[tuple[str, str], ...]
    predicate: bool
    ordered: bool

    @property
    def key(self) -> str:
        return f"{self.name}: {' '.join(self.expression.split())}"


def cases(folder: Path) -> list[Case]:
    found = []
    for test in ET.parse(folder / "tests-fhir-r4.xml").iter("test"):
        expression = test.find("expression")
        assert expression is not None
        outputs = tuple((one.get("type") or "", one.text or "") for one in test.findall("output"))
        found.append(
            Case(
                test.get("name", ""),
                expression.text or "",
                test.get("inputfile", ""),
                expression.get("invalid", ""),
                outputs,
                test.get("predicate") == "true",
                test.get("ordered") != "false",
            )
        )
    return found


def resource_of(case: Case, folder: Path) -> dict[str, Any]:
    """The resource a case is asked of."""
    if case.input in _ABSENT:
        return _ABSENT[case.input]
    if not case.input:
        return {"resourceType": "Basic"}
    path = folder / "input" / (case.input.rpartition(".")[0] + ".json")
    resource: dict[str, Any] = decode(path.read_bytes())
    if case.input == "observation-example.xml":  # the JSON lacks what the XML has
        resource["extension"] = [{"url": _AGE, "valueAge": {"value": 50, "unit": "years"}}]
    return resource
