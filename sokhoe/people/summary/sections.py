"""The sections of the summary: their LOINC codes, titles, and the kinds of records in them.

Codes and order: Composition-uv-ips, hl7.org/fhir/uv/ips/StructureDefinition-Composition-uv-ips.html
"""

from __future__ import annotations

from dataclasses import dataclass

from sokhoe.web import key


@dataclass(frozen=True, slots=True)
class Section:
    """`name` for ourselves; `code` and `display` of LOINC; `title` and `nothing` (said when there
    is no information) are texts to be translated; `always`: it stands there even when empty."""

    name: str
    code: str
    display: str
    title: str
    types: tuple[str, ...]
    nothing: str = ""

    @property
    def always(self) -> bool:
        return bool(self.nothing)


SECTIONS = (
    Section(
        "allergies",
        "48765-2",
        "Allergies and adverse reactions Document",
        key("Allergies and intolerances"),
        ("AllergyIntolerance",),
        key("There is no information about allergies. That does not mean there are none."),
    ),
    Section(
        "problems",
        "11450-4",
        "Problem list - Reported",
        key("Illnesses and problems"),
        ("Condition",),
        key("There is no information about illnesses. That does not mean there are none."),
    ),
    Section(
        "medications",
        "10160-0",
        "History of Medication use Narrative",
        key("Medicines that are taken"),
        ("MedicationStatement", "MedicationRequest"),
        key("There is no information about medicines. That does not mean there are none."),
    ),
    Section(
        "immunizations",
        "11369-6",
        "History of Immunization Narrative",
        key("Vaccinations"),
        ("Immunization",),
    ),
    Section(
        "results",
        "30954-2",
        "Relevant diagnostic tests/laboratory data Narrative",
        key("Results"),
        ("Observation", "DiagnosticReport"),
    ),
    Section(
        "procedures",
        "47519-4",
        "History of Procedures Document",
        key("Operations and procedures"),
        ("Procedure",),
    ),
    Section(
        "devices",
        "46264-8",
        "History of medical device use",
        key("Devices and implants"),
        ("DeviceUseStatement",),
    ),
    Section("vitals", "8716-3", "Vital signs", key("Vital signs"), ("Observation",)),
    Section(
        "pregnancy",
        "10162-6",
        "History of pregnancies Narrative",
        key("Pregnancy"),
        ("Observation",),
    ),
    Section("social", "29762-2", "Social history Narrative", key("Way of life"), ("Observation",)),
    Section(
        "past",
        "11348-0",
        "History of Past illness Narrative",
        key("Past illnesses"),
        ("Condition",),
    ),
    Section("plan", "18776-5", "Plan of care note", key("Plans"), ("CarePlan",)),
)
