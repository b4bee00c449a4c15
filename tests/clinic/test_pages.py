"""The station's working day through its pages, over a real store, with plain forms only."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sokhoe import clock
from sokhoe.country import NoPack
from sokhoe.trust import Role
from tests.web.house import ICD, DownLine, House, csrf, field_of, send

AN: dict[str, str] = {"name": "Nguyễn Văn Á", "birth": "1957", "gender": "male"}
VISIT: dict[str, str] = {
    "rows": "4",
    "systolic": "186",
    "diastolic": "104",
    "temperature": "37,8",
    "complaint": "Đau đầu",
    "dx_text": "Tăng huyết áp vô căn",
    "dx_code": "I10",
    "dx_system": ICD,
    "lasting": "0",
    "note": "Dặn ăn nhạt",
    "medicine-0": "Amlodipin 5mg",
    "dose-0": "Sáng 1 viên",
    "quantity-0": "28",
    "days-0": "28",
    "follow_up": "7",
}


def register(client: TestClient, **fields: str) -> str:
    """Register a person; returns the path of the page."""
    key = field_of(client.get("/people/new").text, "key")
    answer = send(client, "/people/new", do="save", key=key, **{**AN, **fields})
    assert answer.status_code == 303, answer.text
    path: str = answer.headers["location"]
    return path


def write(client: TestClient, person: str, **fields: str) -> Any:
    key = field_of(client.get(f"{person}/visit").text, "key")
    return send(client, f"{person}/visit", **{"do": "save", "key": key, **VISIT, **fields})


def total(house: House, kind: str) -> int:
    return house.store.totals().get(kind, 0)


def plain(html: str) -> str:
    """A page as words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


# -- registering --------------------------------------------------------------------------------


def test_a_person_is_registered_and_found_without_accents(house: House) -> None:
    client = house.client()
    path = register(client, phone="0100 456 789", citizen_id="086057000001")
    for words in (
        "nguyen van a",
        "NGUYEN",
        "van a",
        "a nguyen",
        "Nguyễn Văn Á",
        "nguyen 1957",
        "1957",
        "0100456789",
        "0100 456 789",
        "086057000001",
    ):
        assert path in client.get("/people", params={"q": words}).text, words
    for words in ("tran", "nguyen 1958", "0100456780"):
        assert path not in client.get("/people", params={"q": words}).text, words


def test_the_name_with_the_typed_accents_comes_first(house: House) -> None:
    client = house.client()
    for name, birth in (("Lê Văn Hoa", "1950"), ("Lê Văn Hòa", "1951"), ("Lê Văn Hoà", "1952")):
        register(client, name=name, birth=birth)
    for words, first in (("le van hòa", "Lê Văn Hòa"), ("le van hoa", "Lê Văn Hoa")):
        found = re.findall(r"Lê Văn \w+", client.get("/people", params={"q": words}).text)
        assert len(found) == 3 and found[0] == first


def test_a_registration_pressed_twice_is_one_person(house: House) -> None:
    client = house.client()
    fields = {"do": "save", "key": "k1", **AN}
    first, second = (send(client, "/people/new", **fields) for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert total(house, "Patient") == 1


def test_an_error_keeps_everything_that_was_typed(house: House) -> None:
    answer = send(
        house.client(),
        "/people/new",
        do="save",
        key="k1",
        name='Trần "Út" & <b>',
        birth="31/02/1957",
        gender="female",
        phone="0100456789",
        address="Ấp 3",
    )
    assert answer.status_code == 422
    html = answer.text
    assert unescape(field_of(html, "name")) == 'Trần "Út" & <b>' and "<b>" not in html.split(
        "<h1>"
    )[1].replace("<b>Sổ Khoẻ</b>", "").replace("&lt;b&gt;", "")
    assert field_of(html, "birth") == "31/02/1957"
    assert (field_of(html, "phone"), field_of(html, "address")) == ("0100456789", "Ấp 3")
    assert field_of(html, "key") == "k1"
    assert re.search(r'value="female" checked', html)
    assert 'id="birth-error"' in html and 'aria-describedby="birth-hint birth-error"' in html
    assert total(house, "Patient") == 0


def test_the_same_person_is_warned_about_before_saving(house: House) -> None:
    client = house.client()
    path = register(client)
    again = send(client, "/people/new", do="save", key="k2", **{**AN, "name": "nguyen van a"})
    assert again.status_code == 422 and path in again.text
    assert "trùng tên và năm sinh" in again.text and total(house, "Patient") == 1
    sure = send(client, "/people/new", do="save", key="k2", sure="1", **AN)
    assert sure.status_code == 303 and total(house, "Patient") == 2


def test_the_same_number_is_never_registered_twice(house: House) -> None:
    client = house.client()
    path = register(client, citizen_id="086057000001")
    other = {"name": "Lê Thị B", "birth": "1990", "gender": "female", "sure": "1"}
    again = send(client, "/people/new", do="save", key="k2", citizen_id="086 057 000001", **other)
    assert again.status_code == 422 and path in again.text
    assert "Đã có người đăng ký với số này" in again.text and total(house, "Patient") == 1


def test_a_doubtful_number_asks_for_a_second_look(house: House) -> None:
    client = house.client()
    fields = {"do": "save", "key": "k1", **AN, "citizen_id": "986057000001"}
    first = send(client, "/people/new", **fields)
    assert first.status_code == 422 and 'name="sure"' in first.text
    assert send(client, "/people/new", sure="1", **fields).status_code == 303


def test_a_scanned_card_opens_the_person_or_fills_in_the_form(house: House) -> None:
    client = house.client()
    card = "086057000001|NGUYỄN VĂN Á|05031957|male"
    form = client.get("/people", params={"q": card})
    assert form.status_code == 200 and 'action="/people/new"' in form.text
    assert field_of(form.text, "name") == "Nguyễn Văn Á"
    assert field_of(form.text, "birth") == "05/03/1957"
    path = register(client, citizen_id="086057000001")
    assert client.get("/people", params={"q": card}).headers["location"] == path


def test_the_card_field_reads_a_card_and_keeps_what_was_typed(house: House) -> None:
    client = house.client()
    fields = {"do": "card", "key": "k1", "phone": "0100456789"}
    read = send(client, "/people/new", card="086057000001|LÊ B|05031957|female", **fields)
    assert read.status_code == 200
    assert (field_of(read.text, "name"), field_of(read.text, "phone")) == ("Lê B", "0100456789")
    bad = send(client, "/people/new", card="not a card", **fields)
    assert bad.status_code == 422 and field_of(bad.text, "card") == "not a card"
    empty = send(client, "/people/new", **fields)
    assert empty.status_code == 200 and total(house, "Patient") == 0


def test_a_newborn_is_registered_from_the_mothers_page(house: House) -> None:
    client = house.client()
    path = register(client, name="Trần Thị Hai", gender="female", phone="0100456789")
    her = path.rpartition("/")[2]
    form = client.get(f"/people/new?mother={her}").text
    assert field_of(form, "name") == "Con bà Trần Thị Hai"
    assert field_of(form, "phone") == "0100456789"
    fields = {name: field_of(form, name) for name in ("key", "mother", "name", "birth")}
    child = send(client, "/people/new", do="save", gender="male", **fields)
    assert child.status_code == 303
    assert total(house, "RelatedPerson") == 1
    session = house.gate.machine("ops")
    link = session.read("Patient", her).resource["link"]
    related = session.read(*link[0]["other"]["reference"].split("/")).resource
    assert related["patient"]["reference"].endswith(child.headers["location"].rpartition("/")[2])


def test_correcting_a_person_keeps_the_record_and_notices_a_second_hand(house: House) -> None:
    client = house.client()
    path = register(client)
    form = client.get(f"{path}/edit").text
    assert (field_of(form, "name"), field_of(form, "birth")) == ("Nguyễn Văn Á", "1957")
    fields = {**AN, "version": field_of(form, "version"), "do": "save"}
    assert send(client, f"{path}/edit", **{**fields, "birth": "05/03/1957"}).status_code == 303
    assert "05/03/1957" in client.get(path).text
    late = send(client, f"{path}/edit", **{**fields, "name": "Nguyễn Văn B"})
    assert late.status_code == 409 and field_of(late.text, "name") == "Nguyễn Văn B"
    assert "Nguyễn Văn Á" in client.get(path).text


# -- visits --------------------------------------------------------------------------------------


def test_a_visit_is_saved_and_shown_everywhere(house: House) -> None:
    client = house.client()
    person = register(client)
    answer = write(client, person)
    assert answer.status_code == 303
    page = plain(client.get(answer.headers["location"]).text)
    for words in ("186/104 mmHg", "rất cao", "37,8", "Đau đầu", "I10", "Dặn ăn nhạt", "× 28 viên"):
        assert words in page, words
    summary = plain(client.get(person).text)
    for words in ("Tăng huyết áp vô căn", "Amlodipin 5mg", "186/104"):
        assert words in summary, words
    today = plain(client.get("/today").text)
    assert "Nguyễn Văn Á" in today and "Đau đầu" in today


def test_a_visit_saved_twice_is_one_visit(house: House) -> None:
    client = house.client()
    person = register(client)
    first, second = (write(client, person, key="k1") for _ in range(2))
    assert first.headers["location"] == second.headers["location"]
    assert total(house, "Encounter") == 1
    assert total(house, "MedicationRequest") == 1


def test_two_presses_at_once_are_one_visit(house: House) -> None:
    client = house.client()
    person = register(client)
    fields = {"csrf": csrf(client), "do": "save", "key": "k1", **VISIT}
    cookies = dict(client.cookies)

    def press(_: int) -> int:
        browser = house.visitor()
        browser.cookies.update(cookies)
        return browser.post(f"{person}/visit", data=fields).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(press, range(4))) == [303] * 4
    assert total(house, "Encounter") == 1


def test_a_change_after_saving_is_not_silently_dropped(house: House) -> None:
    client = house.client()
    person = register(client)
    write(client, person, key="k1")
    changed = write(client, person, key="k1", note="Thêm một câu")
    assert changed.status_code == 409
    assert "Thêm một câu" in changed.text and "đã được lưu rồi" in changed.text
    assert total(house, "Encounter") == 1


def test_a_form_key_counts_for_one_person(house: House) -> None:
    client = house.client()
    one, two = register(client), register(client, name="Lê Thị B", gender="female")
    write(client, one, key="k1")
    assert write(client, two, key="k1").status_code == 303
    assert total(house, "Encounter") == 2
    for person in (one, two):
        assert "186/104" in plain(client.get(person).text)


def test_a_wrong_value_is_said_beside_its_field_and_nothing_is_lost(house: House) -> None:
    client = house.client()
    person = register(client)
    answer = write(client, person, systolic="1860", follow_up="mai")
    html = answer.text
    assert answer.status_code == 422 and total(house, "Encounter") == 0
    assert 'id="systolic-error"' in html and 'id="follow_up-error"' in html
    assert "từ 40 đến 300 mmHg" in html
    for name in ("systolic", "diastolic", "temperature", "medicine-0", "dose-0", "quantity-0"):
        assert field_of(html, name) == {**VISIT, "systolic": "1860"}[name]
    assert field_of(html, "dx_text") == VISIT["dx_text"]
    assert "Đau đầu</textarea>" in html and "Dặn ăn nhạt</textarea>" in html


def test_searching_a_diagnosis_without_script_keeps_what_was_typed(house: House) -> None:
    client = house.client()
    person = register(client)
    typed = {"key": "k1", "rows": "4", "complaint": "Sốt", "pulse": "88", "medicine-1": "X"}
    found = send(client, f"{person}/visit", do="find", dx_words="viem mui", **typed)
    assert found.status_code == 200 and 'name="add" value="J00"' in found.text
    added = send(client, f"{person}/visit", add="J00", dx_words="viem mui", **typed)
    assert field_of(added.text, "dx_code") == "J00" and field_of(added.text, "dx_words") == ""
    for html in (found.text, added.text):
        assert "Sốt</textarea>" in html
        assert (field_of(html, "pulse"), field_of(html, "medicine-1")) == ("88", "X")
    dropped = send(client, f"{person}/visit", do="drop-0", dx_text="A", dx_code="B", dx_system="")
    assert 'name="dx_code"' not in dropped.text
    words = send(client, f"{person}/visit", do="words", dx_words="mất ngủ", **typed)
    assert field_of(words.text, "dx_text") == "mất ngủ" and field_of(words.text, "dx_code") == ""


def test_a_name_of_a_diagnosis_never_comes_from_the_browser_for_a_code(house: House) -> None:
    client = house.client()
    person = register(client)
    added = send(client, f"{person}/visit", add="Z99", rows="1")
    assert 'name="dx_code"' not in added.text


def test_the_last_prescription_is_repeated_by_one_press(house: House) -> None:
    client = house.client()
    person = register(client)
    write(client, person)
    again = send(client, f"{person}/visit", do="repeat", rows="4", complaint="Tái khám")
    assert field_of(again.text, "medicine-0") == "Amlodipin 5mg"
    assert (field_of(again.text, "dose-0"), field_of(again.text, "days-0")) == ("Sáng 1 viên", "28")
    assert "Tái khám</textarea>" in again.text


def test_an_allergy_stands_on_every_page_and_stops_a_prescription(house: House) -> None:
    client = house.client()
    person = register(client)
    send(client, f"{person}/allergies", key="a", substance="Paracetamol", reaction="nổi mẩn")
    send(client, f"{person}/allergies", key="a", substance="Paracetamol", reaction="nổi mẩn")
    assert total(house, "AllergyIntolerance") == 1
    for path in (person, f"{person}/visit"):
        assert "Dị ứng : Paracetamol (nổi mẩn)" in plain(client.get(path).text).replace(
            "Dị ứng:", "Dị ứng :"
        )
    fields = {"key": "k1", "medicine-0": "Paracetamol 500mg"}
    stopped = write(client, person, **fields)
    assert stopped.status_code == 422 and "người bệnh dị ứng với" in stopped.text
    assert total(house, "Encounter") == 0
    assert write(client, person, sure="1", **fields).status_code == 303


def test_a_draft_is_kept_while_typing_and_offered_on_return(house: House) -> None:
    client = house.client()
    person = register(client)
    said = send(client, f"{person}/visit/draft", key="k1", rows="4", complaint="Sốt cao")
    assert "Đã giữ bản nháp" in said.text
    assert "chưa xong" in client.get(person).text
    back = client.get(f"{person}/visit").text
    assert "Sốt cao</textarea>" in back and field_of(back, "key") == "k1"
    other = house.client(Role.DOCTOR)
    assert "Sốt cao" not in other.get(f"{person}/visit").text
    send(client, f"{person}/visit", do="discard")
    assert "Sốt cao" not in client.get(f"{person}/visit").text


def test_saving_ends_the_draft(house: House) -> None:
    client = house.client()
    person = register(client)
    send(client, f"{person}/visit/draft", key="k1", rows="4", complaint="Sốt cao")
    write(client, person, key="k1")
    assert "Đau đầu" not in client.get(f"{person}/visit").text


def test_a_visit_is_taken_back_and_written_again(house: House) -> None:
    client = house.client()
    person = register(client)
    visit = write(client, person).headers["location"].partition("?")[0]
    assert send(client, f"{visit}/undo").status_code == 303
    page = client.get(visit).text
    assert "đã được thu hồi" in page
    assert "Nguyễn Văn Á" not in plain(client.get("/today").text)
    summary = plain(client.get(person).text)
    assert "186/104" not in summary and "Amlodipin" not in summary
    link = re.search(r'href="([^"]+again=[^"]+)"', page)
    assert link
    again = client.get(link[1]).text
    assert field_of(again, "systolic") == "186" and "Đau đầu</textarea>" in again
    assert send(client, f"{visit}/undo").status_code == 303, "pressed twice, it stays taken back"


def test_nobody_else_takes_a_visit_back_and_nobody_tomorrow(house: House) -> None:
    client = house.client()
    person = register(client)
    visit = write(client, person).headers["location"].partition("?")[0]
    assert send(house.client(Role.DOCTOR), f"{visit}/undo").status_code == 403
    with clock.standing_at(clock.now() + 24 * 3600 * 1_000_000):
        tomorrow = house.client()
        assert "/undo" not in tomorrow.get(visit).text
        answer = send(tomorrow, f"{visit}/undo")
    assert answer.status_code == 403 and "trong cùng ngày" in answer.text


def test_a_follow_up_is_on_the_list_of_its_day(house: House) -> None:
    client = house.client()
    person = register(client)
    write(client, person, follow_up="7")
    assert "không có ai hẹn" in client.get("/today").text
    with clock.standing_at(clock.now() + 7 * 24 * 3600 * 1_000_000):
        page = plain(house.client().get("/today").text)
    assert "1 người hẹn tái khám hôm nay" in page and "Nguyễn Văn Á" in page


def test_what_has_not_left_the_station_says_so(house: House) -> None:
    client = house.client()
    person = register(client)
    visit = write(client, person).headers["location"]
    assert "đã lưu tại trạm" not in client.get(visit).text, "a station alone has no province"
    house.site.line = DownLine()
    for path in (visit, person, "/today"):
        page = plain(client.get(path).text)
        assert "đã lưu tại trạm ✓" in page and "3 phiếu chờ gửi" in page


def test_a_visit_says_who_and_where(house: House) -> None:
    client = house.client(Role.DOCTOR)
    visit = write(client, register(client)).headers["location"].split("/")[2].partition("?")[0]
    found = house.gate.machine("ops").read("Encounter", visit).resource
    assert found["serviceProvider"]["reference"] == "Organization/86901"
    assert found["participant"][0]["individual"]["reference"] == "Practitioner/doctor"


EVIL = '<script>alert("x")</script>\'"><img src=x onerror=alert(1)>'


def test_typed_text_is_never_markup(house: House) -> None:
    client = house.client()
    person = register(client, name=f"Lê {EVIL}"[:60], address=EVIL)
    send(client, f"{person}/allergies", key="a", substance=EVIL, reaction=EVIL)
    visit = write(
        client,
        person,
        complaint=EVIL,
        note=EVIL,
        dx_text=EVIL,
        sure="1",
        **{"medicine-0": EVIL, "dose-0": EVIL},
    )
    pages = [
        client.get(visit.headers["location"]).text,
        client.get(person).text,
        client.get(f"{person}/edit").text,
        client.get("/today").text,
        client.get("/people", params={"q": EVIL}).text,
        client.get("/people", params={"q": "le"}).text,
        send(client, f"{person}/visit", do="find", dx_words=EVIL, complaint=EVIL).text,
        send(client, "/people/new", do="card", card=EVIL).text,
    ]
    for html in pages:
        assert "<script>alert" not in html and "<img" not in html


def test_the_small_parts_answer_what_is_typed(house: House) -> None:
    client = house.client()
    found = send(client, "/visits/diagnoses", dx_words="dai thao")
    assert 'value="E11.9"' in found.text and "<html" not in found.text
    options = client.post(
        "/visits/medicines",
        data={"csrf": csrf(client), "medicine-2": "para", "medicine-0": "amlo"},
        headers={"HX-Request": "true", "HX-Trigger-Name": "medicine-2"},
    )
    assert "Paracetamol 500mg" in options.text and "Amlodipin" not in options.text


def test_unknown_people_and_visits_are_not_found(house: House) -> None:
    client = house.client()
    for path in ("/people/nobody", "/people/nobody/visit", "/people/nobody/edit", "/visits/none"):
        assert client.get(path).status_code == 404
    assert write_to_nobody(client) == 404


def write_to_nobody(client: TestClient) -> int:
    answer = send(client, "/people/nobody/visit", do="save", key="k", **VISIT)
    return int(answer.status_code)


@pytest.mark.parametrize("language", ["vi", "en", "km"])
def test_every_page_of_a_working_day_in_each_language(house: House, language: str) -> None:
    client = house.client()
    person = register(client)
    visit = write(client, person).headers["location"]
    client.get(f"/language?to={language}")
    client.get("/size?to=150")
    for path in ("/today", "/people?q=van", "/people/new", person, f"{person}/visit", visit):
        answer = client.get(path)
        assert answer.status_code == 200
        assert f'<html lang="{language}" data-size="150">' in answer.text
        assert "{" not in re.sub(r"content='{[^']*}'", "", plain(answer.text)), path


def test_a_station_without_a_country_writes_visits_in_words(tmp_path: Path) -> None:
    house = House(tmp_path, NoPack())
    client = house.client()
    person = register(client)
    assert write(client, person).status_code == 303
    house.close()
