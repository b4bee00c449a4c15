"""The pages of an emergency at the hub: open, see, judge; all by plain forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.trust import Role
from tests.testland import CITIZEN, Pack
from tests.worlds import Form, Hub, a_patient, a_visit

WORDS = "Bất tỉnh sau tai nạn giao thông"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", Pack()) as made:
        patient = a_patient(
            "p1", name="Nguyễn Thị Lan", citizen_id="T-00017", system=CITIZEN, facility="86001"
        )
        made.put(patient, *a_visit(patient, code="I10"))
        yield made


def opened(hub: Hub) -> str:
    doctor = hub.signed_in(Role.DOCTOR, "86099")
    page = doctor.get("/emergency")
    form = Form(page.text, action="/emergency")
    form.typed(number="T-00017", reason="unconscious", text=WORDS)
    answer = form.send(doctor)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def test_a_doctor_of_another_facility_opens_a_record_and_sees_it(hub: Hub) -> None:
    html = opened(hub)
    assert "Nguyễn Thị Lan" in html
    assert "I10" in html


def test_without_a_reason_or_words_the_form_comes_back(hub: Hub) -> None:
    doctor = hub.signed_in(Role.DOCTOR, "86099")
    form = Form(doctor.get("/emergency").text, action="/emergency")
    form.typed(number="T-00017", text=WORDS)
    answer = form.send(doctor)
    assert answer.status_code == 422
    assert WORDS in answer.text
    form.typed(reason="unconscious", text="gấp")
    assert form.send(doctor).status_code == 422
    form.typed(text=WORDS, number="T-99999")
    assert form.send(doctor).status_code == 404
    assert doctor.get("/emergency/p1").status_code == 404


def test_the_head_judges_what_was_opened(hub: Hub) -> None:
    opened(hub)
    head = hub.signed_in(Role.HEAD, "86099")
    page = head.get("/emergency/reviews")
    assert WORDS in page.text
    form = Form(page.text, action="/emergency/reviews/")
    form.typed(justified="no")
    assert form.send(head).status_code == 200
    assert "Mở không đúng" in head.get("/emergency/reviews").text
