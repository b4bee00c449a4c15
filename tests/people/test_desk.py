"""The steward's desk in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sokhoe.people import Reason, comparing, deciding, followers, links, open_room, routes, settling
from sokhoe.people.matching import Facts
from sokhoe.people.pages.desk import DECISIONS
from sokhoe.settings import load
from sokhoe.trust import Actor, Role
from sokhoe.web import read_catalogue
from tests.people.conftest import WRONG_NUMBER, Index, a_person

AN = "086061000001"
ROOM = Path(__file__).parents[2] / "sokhoe" / "people"


@pytest.fixture
def browser(index: Index) -> TestClient:
    index.put(
        {"resourceType": "Organization", "id": "86001", "name": "Trạm Y tế xã Hoà Bình"},
        a_person("a", citizen_id=AN, place="86001"),
    )
    index.arrive(a_person("b", citizen_id=AN, name="Nguyễn Văn Ân"))
    index.arrive(a_person("c", citizen_id=AN, name="Lê Gia Bảo", birth="2019-06-01"))
    return index.browser()


def token(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found
    return found[1]


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("<main", 1)[1]).split())


def answer(browser: TestClient, index: Index, patient: str, decision: str) -> str:
    case = next(one for one in index.reviews() if one.patient == f"Patient/{patient}")
    page = browser.get(f"/desk/{case.id}").text
    reply = browser.post(f"/desk/{case.id}", data={"csrf": token(page), "decision": decision})
    assert reply.status_code == 200, reply.text
    index.settle()
    return str(reply.text)


def test_the_list_shows_open_cases_newest_first_with_their_number(browser: TestClient) -> None:
    text = plain(browser.get("/desk").text)
    assert "Cần quyết định (2)" in text
    assert text.index("Lê Gia Bảo") < text.index("Nguyễn Văn Ân")


def test_an_empty_list_says_what_will_appear(index: Index) -> None:
    browser = index.browser()
    assert "Không có gì cần quyết định" in browser.get("/desk").text
    assert "Không có gì để lại sau" in browser.get("/desk?show=aside").text
    assert "Chưa quyết định gì" in browser.get("/desk?show=decided").text
    assert browser.get("/desk?show=nonsense").status_code == 404


def test_a_case_shows_two_people_and_marks_what_differs(browser: TestClient, index: Index) -> None:
    [case] = [one for one in index.reviews() if one.patient == "Patient/b"]
    page = browser.get(f"/desk/{case.id}").text
    assert "<mark>Â</mark>n" in page
    assert "<mark>A</mark>n" in page
    assert "Họ tên khác dấu." in page
    assert "Trạm Y tế xã Hoà Bình" in page
    assert [name for name in ("Cùng người", "Khác người", "Chưa chắc") if name not in page] == []


def test_the_reason_against_stands_before_the_reason_for(browser: TestClient, index: Index) -> None:
    [case] = [one for one in index.reviews() if one.patient == "Patient/c"]
    text = plain(browser.get(f"/desk/{case.id}").text)
    assert text.index("Ngày sinh cách xa nhau.") < text.index("Cùng số định danh.")
    assert WRONG_NUMBER in text


def test_a_decision_leads_to_the_next_case_and_offers_the_way_back(
    browser: TestClient, index: Index
) -> None:
    text = answer(browser, index, "b", "same")
    assert "Đã lưu: cùng người." in plain(text)
    assert "Lê Gia Bảo" in text and "Có phải cùng một người không?" in text
    assert set(index.of(AN)) == {"a", "b"}
    undo = re.search(r'action="(/desk/[^"]+/undo)"', text)
    assert undo
    back = browser.post(undo[1], data={"csrf": token(text)})
    assert back.status_code == 200 and "Nguyễn Văn" in back.text
    assert index.of(AN) == ["a"]


def test_the_last_decision_leads_back_to_the_list(browser: TestClient, index: Index) -> None:
    answer(browser, index, "b", "different")
    text = answer(browser, index, "c", "unsure")
    assert "Không có gì cần quyết định" in text
    assert "Để lại sau (1)" in plain(text)
    assert "Lê Gia Bảo" in browser.get("/desk?show=aside").text
    assert "Nguyễn Văn Ân" in browser.get("/desk?show=decided").text


def test_a_decided_case_shows_who_and_takes_no_second_answer(
    browser: TestClient, index: Index
) -> None:
    [case] = [one for one in index.reviews() if one.patient == "Patient/b"]
    page = browser.get(f"/desk/{case.id}").text
    answer(browser, index, "b", "different")
    assert "Cô Ba quyết định lúc" in browser.get(f"/desk/{case.id}").text
    again = browser.post(f"/desk/{case.id}", data={"csrf": token(page), "decision": "same"})
    assert again.status_code == 409
    assert "đã có người quyết định" in again.text


def test_a_wrong_answer_and_a_form_without_token_are_refused(
    browser: TestClient, index: Index
) -> None:
    case = index.reviews()[0]
    page = browser.get(f"/desk/{case.id}").text
    wrong = browser.post(f"/desk/{case.id}", data={"csrf": token(page), "decision": "perhaps"})
    assert wrong.status_code == 400
    assert browser.post(f"/desk/{case.id}", data={"decision": "same"}).status_code == 403
    assert len(index.reviews()) == 2


def test_a_number_in_doubt_is_asked_about_as_a_number(index: Index) -> None:
    index.arrive(a_person("child", citizen_id=AN, birth="2019-06-01"))
    browser = index.browser()
    page = browser.get(f"/desk/{index.reviews()[0].id}").text
    assert "Số này có phải của người này không?" in page
    assert "Số đúng" in page and "Số sai" in page


def test_a_person_shows_its_records_and_parts_and_joins_them(
    browser: TestClient, index: Index
) -> None:
    index.arrive(a_person("d", citizen_id=AN, name="NGUYEN VAN AN"))
    path = f"/desk/people/{index.home('a').id}"
    page = browser.get(path).text
    assert "NGUYEN VAN AN" in page and "Tách ra" in page
    form = {"csrf": token(page), "action": "unlink", "patient": "d"}
    page = browser.post(path, data=form).text
    assert index.of(AN) == ["a"]
    assert "Đã tách" in page and "Nối lại" in page
    form = {"csrf": token(page), "action": "link", "patient": "d"}
    page = browser.post(path, data=form).text
    assert set(index.of(AN)) == {"a", "d"}
    assert "Nối lại" not in page and "nối bằng tay" in page
    assert browser.post(path, data={**form, "action": "burn"}).status_code == 400


def test_a_person_can_be_looked_for(browser: TestClient) -> None:
    assert "Nguyễn Văn An" in browser.get("/desk/people?q=nguyen").text
    assert "Nguyễn Văn An" in browser.get(f"/desk/people?q={AN}").text
    assert "Không tìm thấy ai" in browser.get("/desk/people?q=xyz").text
    assert browser.get("/desk/people").status_code == 200


def test_what_is_not_there_is_not_found(browser: TestClient) -> None:
    assert browser.get("/desk/nothing").status_code == 404
    assert browser.get("/desk/people/nobody").status_code == 404


def test_the_desk_is_for_the_steward_alone(index: Index) -> None:
    for role in (Role.NURSE, Role.OPERATOR, Role.CITIZEN):
        browser = index.browser(Actor("Practitioner/x", "X", role))
        assert browser.get("/desk").status_code == 403, role
        assert browser.get("/desk/people").status_code == 403, role


def test_a_station_has_no_desk_and_no_index(index: Index, tmp_path: Path) -> None:
    index.site.settings = load({"data": str(tmp_path), "role": "station", "country": "none"})
    assert routes(index.site) == []
    assert followers(index.site) == []
    index.site.nav.clear()
    open_room(index.site)
    assert index.site.nav == []


def test_every_form_carries_the_sign_ins_token(browser: TestClient, index: Index) -> None:
    answer(browser, index, "b", "same")
    paths = ["/desk", "/desk?show=decided", f"/desk/people/{index.home('a').id}"]
    paths += [f"/desk/{case.id}" for case in index.reviews(all=True)]
    for path in paths:
        forms = re.findall(r'<form[^>]*method="post".*?</form>', browser.get(path).text, re.S)
        assert forms and all('name="csrf"' in form for form in forms), path


def test_names_with_markup_in_them_stay_text(index: Index) -> None:
    index.arrive(a_person("a", citizen_id=AN, name="<script>x</script> An"))
    index.arrive(a_person("b", citizen_id=AN, name="<script>y</script> An"))
    browser = index.browser()
    page = browser.get(f"/desk/{index.reviews()[0].id}").text
    assert "<script>" not in page.split("<main", 1)[1]


def said_in_code() -> set[str]:
    """Every text of this room that a screen may show."""
    found: set[str] = set()
    for file in [*ROOM.rglob("*.py"), *ROOM.rglob("*.html")]:
        found |= set(re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', file.read_text("utf-8")))
    found |= {reason.text for reason in Reason} | set(DECISIONS.values())
    found |= set(comparing.SEXES.values())
    everything = Facts("p", "1", "1", "n", "1", "male", (), (), "a", "0")
    rows = comparing.rows(everything, everything, say_date=str, say=str)
    found |= {row.label for row in rows}
    for module in (settling, deciding, links):
        found |= {
            value
            for name, value in vars(module).items()
            if name.isupper() and isinstance(value, str) and value.endswith(".")
        }
    return found


@pytest.mark.parametrize("language", ["vi", "km"])
def test_every_text_is_translated(language: str) -> None:
    words = read_catalogue(ROOM / "locale" / f"{language}.po")
    assert sorted(text for text in said_in_code() if text not in words) == []
    for text, said in words.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", said)), text
