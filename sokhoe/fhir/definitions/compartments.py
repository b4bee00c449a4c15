"""Who lies in whose compartment: for each type the search parameters that say so.

The patient's stand in the table of search parameters; these are HL7's definitions 4.0.1 of the
other four (CC0), hl7.org/fhir/R4/compartmentdefinition-encounter.html and so on, without AuditEvent
(what is audited is no record). `{def}` there, the resource itself, is the parameter `_id` here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

_TABLES = {
    "Encounter": """
        CarePlan encounter; CareTeam encounter; ChargeItem context; Claim encounter;
        ClinicalImpression encounter; Communication encounter; CommunicationRequest encounter;
        Composition encounter; Condition encounter; DeviceRequest encounter;
        DiagnosticReport encounter; DocumentManifest related-ref; DocumentReference encounter;
        Encounter _id; ExplanationOfBenefit encounter; Media encounter;
        MedicationAdministration context; MedicationRequest encounter; NutritionOrder encounter;
        Observation encounter; Procedure encounter; QuestionnaireResponse encounter;
        RequestGroup encounter; ServiceRequest encounter; VisionPrescription encounter
    """,
    "Practitioner": """
        Account subject; AdverseEvent recorder; AllergyIntolerance recorder asserter;
        Appointment actor; AppointmentResponse actor; Basic author; CarePlan performer;
        CareTeam participant; ChargeItem enterer performer-actor;
        Claim enterer provider payee care-team; ClaimResponse requestor;
        ClinicalImpression assessor; Communication sender recipient;
        CommunicationRequest sender recipient requester; Composition subject author attester;
        Condition asserter; CoverageEligibilityRequest enterer provider;
        CoverageEligibilityResponse requestor; DetectedIssue author;
        DeviceRequest requester performer; DiagnosticReport performer;
        DocumentManifest subject author recipient;
        DocumentReference subject author authenticator; Encounter practitioner participant;
        EpisodeOfCare care-manager; ExplanationOfBenefit enterer provider payee care-team;
        Flag author; Group member; Immunization performer; Invoice participant; Linkage author;
        List source; Media subject operator; MedicationAdministration performer;
        MedicationDispense performer receiver; MedicationRequest requester;
        MedicationStatement source; MessageHeader receiver author responsible enterer;
        NutritionOrder provider; Observation performer; Patient general-practitioner;
        PaymentNotice provider; PaymentReconciliation requestor; Person practitioner;
        Practitioner _id; PractitionerRole practitioner; Procedure performer; Provenance agent;
        QuestionnaireResponse author source; RequestGroup participant author;
        ResearchStudy principalinvestigator; RiskAssessment performer; Schedule actor;
        ServiceRequest performer requester; Specimen collector; SupplyDelivery supplier receiver;
        SupplyRequest requester; VisionPrescription prescriber
    """,
    "RelatedPerson": """
        AdverseEvent recorder; AllergyIntolerance asserter; Appointment actor;
        AppointmentResponse actor; Basic author; CarePlan performer; CareTeam participant;
        ChargeItem enterer performer-actor; Claim payee; Communication sender recipient;
        CommunicationRequest sender recipient requester; Composition author; Condition asserter;
        Coverage policy-holder subscriber payor; DocumentManifest author recipient;
        DocumentReference author; Encounter participant; ExplanationOfBenefit payee;
        Invoice recipient; MedicationAdministration performer; MedicationStatement source;
        Observation performer; Patient link; Person link; Procedure performer; Provenance agent;
        QuestionnaireResponse author source; RelatedPerson _id; RequestGroup participant;
        Schedule actor; ServiceRequest performer; SupplyRequest requester
    """,
    "Device": """
        Account subject; Appointment actor; AppointmentResponse actor;
        ChargeItem enterer performer-actor;
        Claim procedure-udi item-udi detail-udi subdetail-udi;
        Communication sender recipient; CommunicationRequest sender recipient; Composition author;
        DetectedIssue author; Device _id; DeviceRequest device subject requester performer;
        DeviceUseStatement device; DiagnosticReport subject; DocumentManifest subject author;
        DocumentReference subject author;
        ExplanationOfBenefit procedure-udi item-udi detail-udi subdetail-udi; Flag author;
        Group member; Invoice participant; List subject source; Media subject;
        MedicationAdministration device; MessageHeader target; Observation subject device;
        Provenance agent; QuestionnaireResponse author; RequestGroup author;
        RiskAssessment performer; Schedule actor; ServiceRequest performer requester;
        Specimen subject; SupplyRequest requester
    """,
}


@cache
def members(compartment: str) -> Mapping[str, tuple[str, ...]]:
    """type → parameters, for Encounter, Practitioner, RelatedPerson and Device; else empty."""
    rows = (row.split() for row in _TABLES.get(compartment, "").split(";") if row.strip())
    return MappingProxyType({row[0]: tuple(row[1:]) for row in rows})
