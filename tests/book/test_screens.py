"""The pages as a citizen gets them, over the real memory and through his own session."""

from __future__ import annotations

import gzip
import re
from datetime import date, timedelta
from typing import Any

import pytest

from sokhoe.book import record, screens
from sokhoe.trust import Actor, Role
from tests.book.library import BAY, HOSPITAL, SAU, STATION, Library
from tests.book.papers import (
    a_diagnosis,
    a_doctor,
    a_medicine,
    a_patient,
    a_pressure,
    a_result,
    a_vaccination,
    a_visit,
    an_allergy,
)

PAGES = (
    "/book",
    "/book?year=2025",
    "/book?year=2026&show=medicines",
    "/book?year=2026&show=results",
    "/book/visits/new",
    "/book/visits/stay",
    "/book/medicines",
    "/book/results",
    "/book/results/85354-9",
    "/book/results/14749-6",
    "/book/sources",
    "/book/access",
    "/book/me",
)
SUGAR = {"low": "3.9", "high": "6.4"}


def a_life(library: Library) -> None:
    """Two facilities, three visits, medicines, results, an allergy, a vaccination."""
    library.arrive(
        a_doctor("tam", "BS. Phạm Văn Tám"),
        a_visit("sau-station", id="new", facility=STATION, reason="đau đầu", doctor="tam"),
        a_diagnosis("sau-station", "new", "Tăng huyết áp"),
        a_medicine("sau-station", "new", "Amlodipin 5mg", "MORN"),
        a_medicine("sau-station", "new", "Metformin 500mg", "MORN EVE", amount="0.5"),
        a_pressure("sau-station", "new", 162, 92),
        a_result("sau-station", "new", "Glucose máu", "9.0", **SUGAR),
        a_visit("sau-hospital", "2026-08-06", id="stay", facility=HOSPITAL, kind="IMP",
                until="2026-08-11"),
        a_result("sau-hospital", "stay", "Glucose máu", "7.5", day="2026-08-06", **SUGAR),
        a_medicine("sau-hospital", "stay", "AMLODIPIN 5MG", "MORN", day="2026-11-01"),
        a_visit("sau-station", "2025-03-02", id="old", facility=STATION),
        a_pressure("sau-station", "old", 120, 80, "2025-03-02"),
        a_vaccination("sau-station", "Vắc xin cúm", "2026-10-05"),
        an_allergy("sau-station", "Amoxicilin"),
        a_visit("bay", id="of-bay", facility=STATION, reason="bí mật của Bảy"),
        a_result("bay", "of-bay", "Chất của Bảy", "1", code="bay-only"),
    )  # fmt: skip


@pytest.fixture
def life(library: Library) -> Library:
    a_life(library)
    return library


def words(html: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.mark.parametrize("language", ["vi", "en", "km"])
def test_every_page_opens_in_every_language(life: Library, language: str) -> None:
    browser = life.reader()
    browser.cookies.set("language", language)
    for path in PAGES:
        answer = browser.get(path)
        assert answer.status_code == 200, (path, answer.text)
        html = answer.text.split("</head>")[1]
        assert not re.search(r"{\w+}", html), path
        assert not re.search(r"\s(style|onclick)=|<script", html), path


def test_the_timeline_shows_where_when_and_what_it_means(life: Library) -> None:
    seen = words(life.reader().get("/book").text)
    assert "20/11/2026" in seen
    assert "Trạm Y tế xã Cổ Chiên" in seen
    assert "Bạn đi khám vì: đau đầu. Bác sĩ kết luận: Tăng huyết áp." in seen
    assert "Amlodipin 5mg Sáng 1 viên" in seen
    assert "Metformin 500mg Sáng ½ viên Tối ½ viên" in seen
    assert "Huyết áp 162/92 mmHg ▲ cao" in seen
    assert "Đường huyết 9,0 mmol/L ▲ cao" in seen
    assert "Dị ứng: Amoxicilin" in seen
    assert "67 tuổi" in seen
    assert "Nằm viện" in seen
    assert "06/08/2026 – 11/08/2026" in seen
    assert "Đã tiêm : Vắc xin cúm" in seen


def test_freshness_is_said_for_each_facility(life: Library) -> None:
    browser = life.reader()
    assert "gửi lúc 08:12 hôm nay" in words(browser.get("/book").text)
    seen = words(browser.get("/book/sources").text)
    assert "Bệnh viện đa khoa Vĩnh An ◷ gửi lần cuối lúc 08:12 hôm nay" in seen
    assert "2 lần khám · 2 thuốc · 3 kết quả · 1 mũi tiêm" in seen
    assert "1 lần khám · 1 thuốc · 1 kết quả" in seen


def test_a_year_shows_only_its_own_and_names_the_others(life: Library) -> None:
    seen = words(life.reader().get("/book?year=2025").text)
    assert "02/03/2025" in seen
    assert "20/11/2026" not in seen
    assert "2026 2 lần" in seen
    assert "2025 1 lần" in seen


@pytest.mark.parametrize("asked", ["1800", "abcd", "2026%27", "٢٠٢٦", ""])
def test_a_year_that_is_none_shows_the_newest(life: Library, asked: str) -> None:
    answer = life.reader().get(f"/book?year={asked}")
    assert answer.status_code == 200
    assert "20/11/2026" in answer.text


def test_the_filter_leaves_what_was_asked_for(life: Library) -> None:
    browser = life.reader()
    medicines = words(browser.get("/book?year=2026&show=medicines").text)
    assert "Amlodipin 5mg" in medicines
    assert "mmHg" not in medicines
    results = words(browser.get("/book?year=2026&show=results").text)
    assert "162/92 mmHg" in results
    assert "Amlodipin 5mg" not in results


def test_a_year_with_many_visits_comes_in_parts(library: Library) -> None:
    days = [date(2026, 1, 1) + timedelta(days=5 * n) for n in range(45)]
    library.arrive(*(a_visit("sau-station", str(day), facility=STATION) for day in days))
    browser = library.reader()
    seen: list[str] = []
    path = "/book?year=2026"
    for _ in range(5):
        html = browser.get(path).text
        seen += re.findall(r'<time datetime="([\d-]{10})', html)
        following = re.search(r'href="([^"]+)" rel="next"', html)
        if not following:
            break
        path = following[1].replace("&amp;", "&")
    assert seen == [str(day) for day in reversed(days)]


def test_an_empty_book_says_what_will_appear(library: Library) -> None:
    browser = library.reader()
    assert "Chưa có gì được gửi tới" in browser.get("/book").text
    assert "Dị ứng: chưa ghi nhận" in browser.get("/book").text
    for path in ("/book/medicines", "/book/results", "/book/access", "/book/me", "/book/sources"):
        assert browser.get(path).status_code == 200, path


def test_nobody_asked_is_not_the_same_as_no_allergy(library: Library) -> None:
    library.arrive(an_allergy("sau-station", "Không có dị ứng", "716186003"))
    seen = words(library.reader().get("/book").text)
    assert "Dị ứng: không có, theo lời bạn khai" in seen


def test_a_visit_has_everything_that_belongs_to_it(life: Library) -> None:
    seen = words(life.reader().get("/book/visits/new").text)
    assert "Người khám: BS. Phạm Văn Tám" in seen
    assert "Tăng huyết áp I10" in seen
    assert "Đường huyết 9,0 mmol/L Glucose máu bình thường 3,9 – 6,4" in seen
    assert "↗ lần trước 7,5 (06/08/2026)" in seen
    assert "Huyết áp trên: bình thường 90 – 139 *" in seen.replace("139*", "139 *")
    assert "Mức thường gặp ở người lớn" in seen


def test_the_medicine_list_marks_what_two_facilities_gave(life: Library) -> None:
    seen = words(life.reader().get("/book/medicines").text)
    assert seen.count("Thuốc này có hai lần trong danh sách") == 1
    assert "Trạm Y tế xã Cổ Chiên, kê ngày 20/11/2026 · đến ngày 19/12/2026" in seen


def test_one_result_over_time_has_a_drawing_and_all_its_values(life: Library) -> None:
    html = life.reader().get("/book/results/14749-6").text
    seen = words(html)
    assert '<svg class="trend"' in html
    assert html.count('class="out"') == 2
    assert "20/11/2026 Trạm Y tế xã Cổ Chiên 9,0 mmol/L ▲ cao" in seen
    assert "06/08/2026 Bệnh viện đa khoa Vĩnh An 7,5 mmol/L ▲ cao" in seen


def test_a_result_without_a_code_has_a_page_too(library: Library) -> None:
    paper = a_result("sau-station", "", "Đường huyết (mao mạch)", "6.0")
    del paper["code"]["coding"]
    library.arrive(paper)
    browser = library.reader()
    assert "/book/results/t-duong-huyet-mao-mach" in browser.get("/book/results").text
    assert browser.get("/book/results/t-duong-huyet-mao-mach").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/book/visits/none", "/book/visits/of-bay", "/book/visits/of-bay,new",
     "/book/results/none", "/book/results/bay-only", "/book/results/%7C", "/book/results/t-x",
     "/book/results/a,b%7Cc%5C"],
)  # fmt: skip
def test_what_is_not_mine_or_not_there_is_not_found(life: Library, path: str) -> None:
    answer = life.reader().get(path)
    assert answer.status_code == 404
    assert "Bảy" not in answer.text


def test_no_page_shows_anything_of_another_citizen(life: Library) -> None:
    mine, other = life.reader(SAU), life.reader(BAY)
    for path in PAGES:
        html = mine.get(path).text
        for secret in ("of-bay", "bí mật của Bảy", "Chất của Bảy", "bay-only", BAY.name):
            assert secret not in html, path
        answer = other.get(path)
        for secret in ("Amlodipin", "Sáu", "SAU", "Amoxicilin", "Vĩnh An"):
            assert secret not in answer.text, path


def test_what_the_index_unlinks_is_gone_at_once(life: Library) -> None:
    browser = life.reader()
    assert browser.get("/book/visits/stay").status_code == 200
    life.arrive(a_patient("sau-hospital", HOSPITAL, name="Đỗ Văn Mười", born="1980-01-01",
                          gender="male"))  # fmt: skip
    assert browser.get("/book/visits/stay").status_code == 404
    assert "06/08/2026" not in browser.get("/book").text
    assert browser.get("/book/visits/new").status_code == 200


# -- who looked -----------------------------------------------------------------------------------


def test_the_log_shows_that_a_doctor_read(life: Library) -> None:
    session = life.gate.session(life.doctor())
    session.read("Patient", "sau-station")
    session.search("Observation", [("patient", "sau-station")])
    seen = words(life.reader().get("/book/access").text)
    assert (
        "08:12 hôm nay · 2 lần trong ngày BS. Phạm Văn Tám (bác sĩ) tại Bệnh viện đa khoa Vĩnh An"
        " đã xem họ tên và ngày sinh, kết quả, để khám chữa bệnh cho bạn." in seen
    )


def test_the_log_of_one_does_not_show_who_looked_at_another(life: Library) -> None:
    life.gate.session(life.doctor("BS. Của Bảy", STATION)).read("Patient", "bay")
    assert "BS. Của Bảy" not in life.reader(SAU).get("/book/access").text
    assert "BS. Của Bảy" in life.reader(BAY).get("/book/access").text


def test_my_own_reading_and_the_systems_work_are_counted_apart(life: Library) -> None:
    browser = life.reader()
    browser.get("/book")
    seen = words(browser.get("/book/access").text)
    assert re.search(r"Chính bạn xem: \d+ lần", seen)
    assert "tìm ra hồ sơ nào là của bạn" in seen
    assert "Chưa có ai khác xem" in seen


def test_older_looks_are_behind_a_link(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "LINES", "3")
    for number in range(4):
        place = f"Organization/{HOSPITAL}"
        actor = Actor(f"Practitioner/{number}", f"BS. Số {number}", Role.DOCTOR, place)
        library.gate.session(actor).read("Patient", "sau-station")
    browser = library.reader()
    found = ""
    path = "/book/access"
    for _ in range(12):
        html = browser.get(path).text
        found += html
        following = re.search(r'href="([^"]+)" rel="next"', html)
        if not following:
            break
        path = following[1].replace("&amp;", "&")
    assert all(f"BS. Số {number}" in found for number in range(4))


def test_a_forged_place_in_the_log_is_refused(life: Library) -> None:
    assert life.reader().get("/book/access?after=MTA.00").status_code == 400


# -- who I am -------------------------------------------------------------------------------------


def test_a_difference_between_facilities_is_marked_and_an_accent_is_none(
    library: Library,
) -> None:
    seen = words(library.reader().get("/book/me").text)
    assert "Họ và tên Nguyễn Thị Sáu" in seen
    assert "khác nhau" not in seen
    library.arrive(a_patient("sau-hospital", HOSPITAL, born="1959", phone="0900"))
    seen = words(library.reader().get("/book/me").text)
    assert "Ngày sinh: các nơi ghi khác nhau" in seen
    assert "Bệnh viện đa khoa Vĩnh An: 1959" in seen


# -- how heavy ------------------------------------------------------------------------------------


def test_the_first_view_is_light_over_the_wire(life: Library) -> None:
    browser = life.reader()
    html = browser.get("/book").text
    weight = len(gzip.compress(html.encode(), 4))
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', html):
        packed = browser.get(address, headers={"accept-encoding": "gzip"})
        weight += int(packed.headers["content-length"])
    assert weight <= 60_000
    assert len(html) <= 60_000  # also where the line takes no gzip
    assert not re.search(r'(?:href|src)="(?:https?:)?//', html)


def test_twenty_years_do_not_load_at_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = []
    for number in range(240):
        day = str(date(2026, 11, 1) - timedelta(days=30 * number))
        papers += [
            a_visit("sau-station", day, id=f"v{number}", facility=STATION),
            *(a_result("sau-station", f"v{number}", f"Chất {n}", "5", code=f"c{n}", day=day)
              for n in range(5)),
        ]  # fmt: skip
    library.arrive(*papers)
    loaded: dict[str, int] = {}
    every = record.every

    def counting(session: Any, type: str, *pairs: Any) -> Any:
        found = every(session, type, *pairs)
        loaded[type] = loaded.get(type, 0) + len(found[0])
        return found

    monkeypatch.setattr(record, "every", counting)
    html = library.reader().get("/book").text
    assert html.count("<article") <= 12
    assert "<b>2007</b>" in html
    assert loaded["Observation"] <= 130  # this year, and the year before for the trend
