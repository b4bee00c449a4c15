"""An exchange file as FHIR resources, so that sending it again changes nothing.

Ids are made from (facility, MA_LK, table, STT): the same file twice is the same resources, a
corrected file of the same MA_LK replaces row by row, and what it no longer names can be deleted
exactly (`owned`). Whoever stores them adds the Provenance that names the file.

    XML1  Patient, Coverage, Encounter, Condition, Appointment, Claim, weight, blood group
    XML2  MedicationRequest, and MedicationDispense where a quantity was given out
    XML3  Procedure (not laboratory, examination, bed, transport, supplies: those only cost)
    XML4  Observation for each row, one DiagnosticReport for each service
    XML5  ClinicalImpression (why: see `clinical.impression`)
    6–15  kept in the file, not translated; XML6 (HIV) on purpose

Money goes into a Claim, not into extensions of the Encounter: it is not clinical and other eyes
may see it, its correction by the insurer must not make a new version of the visit, and the row
prices need a home as well. The sums of XML1 stand in `supportingInfo`, by their element names.
A patient without a card gets a self-pay Coverage, since a Claim must name one.

Re-sending an older file after a newer one of the same patient turns the Patient back to what the
older file says; who keeps the files knows which is newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sokhoe.vietnam import clinical, code_lists
from sokhoe.vietnam import resources as make
from sokhoe.vietnam.giamdinh import rows, who
from sokhoe.vietnam.giamdinh.claim import claim
from sokhoe.vietnam.giamdinh.episode import Episode, code_of
from sokhoe.vietnam.giamdinh.shapes import File
from sokhoe.vietnam.giamdinh.values import codes_of, date_of, number_of
from sokhoe.vietnam.resources import Resource, concept

_SHARED = frozenset({"Patient", "Organization", "Practitioner", "Location", "Coverage"})


def to_fhir(file: File, *, staff: Mapping[str, str] | None = None) -> list[Resource]:
    """All resources of a file that `check` found no ERROR in, each once.

    `staff` gives names for licence codes (the file has none); without it a practitioner is known
    by the code alone.
    """
    found: dict[tuple[str, str], Resource] = {}
    for record in file.records:
        for one in _resources(Episode(file.facility, record, staff or {})):
            found.setdefault((one["resourceType"], one["id"]), one)
    return list(found.values())


def owned(resources: Iterable[Resource]) -> set[tuple[str, str]]:
    """(type, id) of what belongs to the episode alone: may be deleted when a correction of the
    same MA_LK no longer names it. People, places and cards are shared with other episodes."""
    return {
        (one["resourceType"], one["id"]) for one in resources if one["resourceType"] not in _SHARED
    }


def _resources(episode: Episode) -> list[Resource]:
    cards = who.coverages(episode)
    conditions = _conditions(episode)
    clinical_ones = [
        _encounter(episode, [one["id"] for one in conditions]),
        *conditions,
        *_extras(episode),
        *rows.medicines(episode),
        *rows.procedures(episode),
        *rows.results(episode),
        *rows.course(episode),
        *_appointments(episode),
    ]
    return [
        *who.places(episode),
        who.person(episode),
        *cards,
        *episode.doctors.values(),
        *clinical_ones,
        claim(episode, cards, conditions),
    ]


def _encounter(episode: Episode, conditions: list[str]) -> Resource:
    reasons = dict.fromkeys(
        text for name in ("LY_DO_VV", "CHAN_DOAN_VAO") if (text := episode.said(name))
    )
    period = {
        key: at
        for key, name in (("start", "NGAY_VAO"), ("end", "NGAY_RA"))
        if (at := episode.when(episode.row, name))
    }
    departments = codes_of(episode.said("MA_KHOA"))
    found = clinical.encounter(
        facility=episode.facility,
        visit=episode.visit,
        kind=code_of(episode.said("MA_LOAI_KCB")),
        patient=episode.patient,
        period=period,
        department=code_of(departments[0]) if departments else "",
        doctor=episode.doctor(_main_doctor(episode)),
        diagnoses=conditions,
        result=code_of(episode.said("KET_QUA_DTRI")),
        discharge=code_of(episode.said("MA_LOAI_RV")),
        destination=code_of(episode.said("MA_NOI_DEN")),
        location=make.location_id(episode.facility),
    )
    if reasons:
        found["reasonCode"] = [{"text": text} for text in reasons]
    return found


def _main_doctor(episode: Episode) -> str:
    """XML1 names only the head of the unit, so: whoever first ordered or prescribed."""
    for table in ("XML3", "XML2"):
        for row in episode.record.rows(table):
            if row.get("MA_BAC_SI"):
                return row["MA_BAC_SI"]
    return ""


def _conditions(episode: Episode) -> list[Resource]:
    active = episode.said("MA_LOAI_KCB") in {"05", "08"}
    main = episode.said("MA_BENH_CHINH")
    known = code_lists.diseases()
    rows = [("icd10", code_of(main), episode.said("CHAN_DOAN_RV"))]
    rows += [("icd10", code_of(code), "") for code in codes_of(episode.said("MA_BENH_KT"))]
    rows += [
        ("traditional_disease", code_of(code), "")
        for code in codes_of(episode.said("MA_BENH_YHCT"))
    ]
    found: dict[tuple[str, str], Resource] = {}
    for system, code, name in rows:
        if (system, code) in found:
            continue
        found[system, code] = clinical.condition(
            id=episode.id("Condition", "XML1", code),
            code=concept(system, code, name or (known[code].name if code in known else "")),
            **episode.shared,
            recorded=episode.when(episode.row, "NGAY_VAO"),
            active=active,
            note="" if found else episode.said("PP_DIEU_TRI"),
        )
    return list(found.values())


def _extras(episode: Episode) -> list[Resource]:
    """Weight and blood group, which XML1 carries along."""
    found = []
    weight = number_of(episode.said("CAN_NANG"))
    if weight:
        found.append(
            clinical.observation(
                id=episode.id("Observation", "XML1", "CAN_NANG"),
                category="vital-signs",
                code=concept("loinc", "29463-7", "Cân nặng"),
                **episode.shared,
                when=episode.when(episode.row, "NGAY_VAO"),
                value={"valueQuantity": make.quantity(weight, "kg", "kg")},
            )
        )
    if episode.said("NHOM_MAU"):
        found.append(
            clinical.observation(
                id=episode.id("Observation", "XML1", "NHOM_MAU"),
                category="laboratory",
                code=concept("loinc", "882-1", "Nhóm máu ABO và Rh"),
                **episode.shared,
                when=episode.when(episode.row, "NGAY_VAO"),
                value={"valueString": episode.said("NHOM_MAU")},
            )
        )
    return found


def _appointments(episode: Episode) -> list[Resource]:
    days = [date_of(text) for text in codes_of(episode.said("NGAY_TAI_KHAM"))]
    return [
        clinical.follow_up(
            id=episode.id("Appointment", "XML1", str(place)),
            patient=episode.patient,
            day=day.isoformat(),
            facility=episode.facility,
        )
        for place, day in enumerate(days, start=1)
        if day
    ]
