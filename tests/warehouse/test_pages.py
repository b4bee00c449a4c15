"""The pages through HTTP: who may open them, what they say, and what they never say."""

from __future__ import annotations

import csv
import gzip
import html
import io
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from starlette.applications import Starlette
from starlette.testclient import TestClient

import sokhoe
from sokhoe import clock, settings, warehouse, web
from sokhoe.trust import Actor, Gate, Role
from sokhoe.warehouse.files import safe
from sokhoe.warehouse.indicators import FILE
from sokhoe.warehouse.pages.numbers import READERS
from sokhoe.warehouse.wording import SEXES, STATES
from tests.warehouse.conftest import (
    DAY,
    NOW,
    Hub,
    Province,
    a_diagnosis,
    a_visit,
    patients,
)

ROOT = Path(sokhoe.__file__).parent
FIRST_VIEW = 150 * 1024


@dataclass
class Pack:
    """A country of twelve communes that knows one diagnosis by name."""

    places: Province
    name: str = "twelve"

    def seam(self, name: str) -> Any:
        return {"warehouse.places": self.places, "warehouse.words": self}.get(name)

    def diagnosis(self, code: str, language: str) -> str:
        return {"I10": "Hypertension", "E11.9": "Diabetes"}.get(code, "")

    def routes(self, site: Any) -> tuple[()]:
        return ()

    def locale(self) -> None:
        return None


Browse = Callable[..., TestClient]


@pytest.fixture
def browse(hub: Hub) -> Browse:
    """A browser signed in as a role, at a server of a role, in a language."""

    def opened(
        role: Role = Role.STATISTICIAN, server: str = "hub", language: str = "en"
    ) -> TestClient:
        given = {"data": str(hub.folder), "country": "none", "role": server, "idle_minutes": 9999}
        chosen = settings.load({**given, "warehouse_minutes": 0})
        gate = Gate(hub.gate._store, chosen)
        site = web.Site(
            settings=chosen,
            gate=gate,
            pack=Pack(hub.province),
            texts=web.Texts([ROOT / "web" / "locale", ROOT / "warehouse" / "locale"]),
            templates=web.make_templates(("web", "warehouse")),
        )
        warehouse.open_room(site)
        hub.loader = next(iter(warehouse.followers(site)), hub.loader)
        app = Starlette(routes=[*web.routes(site), *warehouse.routes(site)])
        app.state.site = site
        cookie = gate.admit(Actor(f"Practitioner/{role}", "Somebody", role))
        browser = TestClient(app, base_url=chosen.url)
        browser.cookies.set(web.cookie_name(site), cookie)
        browser.cookies.set("language", language)
        return browser

    return opened


def a_province_at_work(hub: Hub) -> None:
    """Weeks of arrivals, three facilities of which one is silent and one never sent."""
    with clock.standing_at(NOW - timedelta(days=42)) as ahead:
        for week, area in enumerate(("An", "Ba", "Cu", "Da", "Em", "Ga")):
            house = f"h{1 + week % 2}"
            people = patients(area.lower(), 5 + week, area=area, house=house)
            day = f"{clock.local(clock.now()):%Y-%m-%d}"
            start, end = f"{day}T09:00:00+07:00", f"{day}T09:20:00+07:00"
            for n, patient in enumerate(tuple(people)):
                people.append(a_visit(f"{area}{n}", patient["id"], start, end, house=house))
                people.append(a_diagnosis(f"{area}{n}", patient["id"], "E11.9" if n % 2 else "I10"))
            hub.put(*people)
            ahead(7 * DAY)
    hub.put(*patients("ha", 3, area="Ha", house="h1"))


def test_the_sheet_says_everything_at_a_glance(hub: Hub, browse: Browse) -> None:
    browser = browse()
    a_province_at_work(hub)
    hub.load()
    answer = browser.get("/numbers")
    assert answer.status_code == 200
    text = answer.text
    assert "40.0 %" in text  # 48 of 120
    assert "48 of 120 people have a record at the province" in text
    assert "40.0 points below the target of 80 %" in text
    assert "Data as of 23/11/2026 10:00" in text
    assert "Never sent" in text
    assert text.index("House h3") < text.index("House h2")  # never sent before silent
    assert "&lt; 5" in text
    assert "E11</b> mostly E11.9: Diabetes" in text
    assert "I10</b> Hypertension" in text
    assert 'class="trend"' in text


def test_the_first_view_is_light(hub: Hub, browse: Browse) -> None:
    browser = browse()
    a_province_at_work(hub)
    hub.load()
    page = browser.get("/numbers").text
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    weight = len(gzip.compress(page.encode()))
    weight += sum(len(gzip.compress(browser.get(file).content)) for file in files)
    assert files
    assert weight < FIRST_VIEW


def test_the_pages_need_no_inline_script_or_style(hub: Hub, browse: Browse) -> None:
    browser = browse()
    a_province_at_work(hub)
    hub.load()
    for path in ("/numbers", *[f"/numbers/{key}" for key in warehouse.catalogue()]):
        text = browser.get(path).text
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", text), path
        assert "None" not in re.sub(r"<[^>]+>", "", text), path


def test_each_number_has_its_page_its_definition_and_its_file(hub: Hub, browse: Browse) -> None:
    browser = browse()
    a_province_at_work(hub)
    hub.load()
    for key, indicator in warehouse.catalogue().items():
        text = html.unescape(browser.get(f"/numbers/{key}").text)
        assert indicator.definition in text
        assert "Records at the province up to change" in text
        file = browser.get(f"/numbers/{key}.csv")
        assert file.headers["content-disposition"].endswith('-2026-11-23.csv"')
        assert file.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}
        assert "Nguyễn" not in text + file.text


@pytest.mark.parametrize("role", [Role.STATISTICIAN, Role.HEAD])
def test_statisticians_and_heads_read_the_numbers(browse: Browse, role: Role) -> None:
    assert browse(role).get("/numbers").status_code == 200


@pytest.mark.parametrize("role", [one for one in Role if one not in READERS])
def test_nobody_else_reads_them(browse: Browse, role: Role) -> None:
    browser = browse(role)
    for path in ("/numbers", "/numbers/coverage", "/numbers/coverage.csv"):
        assert browser.get(path).status_code == 403


def test_whoever_is_not_signed_in_is_sent_to_the_door(browse: Browse) -> None:
    browser = browse()
    browser.cookies.clear()
    answer = browser.get("/numbers/coverage.csv", follow_redirects=False)
    assert answer.headers["location"].startswith("/signin")


def test_a_station_has_no_numbers(browse: Browse) -> None:
    browser = browse(Role.HEAD, server="station")
    assert browser.get("/numbers").status_code == 404
    site = browser.app.state.site  # type: ignore[attr-defined]
    assert "warehouse" not in site.rooms
    assert site.nav == []
    assert warehouse.followers(site) == []


def test_before_the_first_load_the_page_says_what_will_come(browse: Browse) -> None:
    browser = browse()
    for path in ("/numbers", "/numbers/coverage"):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "The first numbers are being counted" in answer.text


def test_an_empty_province_has_a_whole_page(hub: Hub, browse: Browse) -> None:
    browser = browse()
    hub.load()
    text = browser.get("/numbers").text
    assert "0 of 120 people" in text
    assert "No full week of visits yet." in text


def test_a_province_without_a_map_shows_counts(hub: Hub, browse: Browse) -> None:
    hub.province = Province({}, houses=())
    object.__setattr__(hub.province, "facilities", lambda: ())
    browser = browse()
    hub.put(*patients("a", 6))
    hub.load()
    text = browser.get("/numbers").text
    assert "people have a record at the province" in text
    assert 'class="map"' not in text


def test_an_unknown_number_is_a_404(hub: Hub, browse: Browse) -> None:
    browser = browse()
    hub.load()
    assert browser.get("/numbers/nonsense").status_code == 404
    assert browser.get("/numbers/nonsense.csv").status_code == 404


# -- small numbers -----------------------------------------------------------------------------


def small_cells(hub: Hub) -> None:
    """Commune Ba has 3 people, all with one rare diagnosis; An 11, Cu 30, Da 40."""
    for area, count in (("An", 11), ("Ba", 3), ("Cu", 30), ("Da", 40)):
        hub.put(*patients(area.lower(), count, area=area))
    hub.put(*[a_diagnosis(f"rare{n}", f"ba{n}", "B20") for n in range(3)])


def test_a_small_commune_cannot_be_had_from_the_file(hub: Hub, browse: Browse) -> None:
    browser = browse()
    small_cells(hub)
    hub.load()
    text = browser.get("/numbers/coverage.csv").content.decode("utf-8-sig")
    rows = {row[0]: row for row in csv.reader(io.StringIO(text))}
    assert rows["ba"][3:5] == ["< 5", ""]
    assert rows["an"][3:5] == ["hidden", ""]
    shown = sum(int(row[3]) for row in rows.values() if row[3].isdigit())
    assert 84 - shown > 3, "the total less what is shown gives the small commune away"


def test_a_small_commune_cannot_be_had_from_the_pages(hub: Hub, browse: Browse) -> None:
    browser = browse()
    small_cells(hub)
    hub.load()
    for path in ("/numbers", "/numbers/coverage"):
        text = browser.get(path).text
        assert "Commune Ba: &lt; 5</title>" in text
        assert "Commune An: hidden</title>" in text
        assert "3 / 10" not in text
        assert "30.0 %" not in text  # its share
        assert "Too few people to show: Commune Ba, Commune An." in text


def test_a_rare_diagnosis_is_only_counted_among_the_rare_ones(hub: Hub, browse: Browse) -> None:
    browser = browse()
    small_cells(hub)
    hub.load()
    text = browser.get("/numbers/diagnoses").text
    assert "B20" not in text
    assert "1 more, each with fewer than 5 people" in text
    assert browser.get("/numbers/diagnoses.csv").text.endswith("B20,,< 5\r\n")


def test_the_order_of_communes_does_not_tell_a_hidden_number(hub: Hub, browse: Browse) -> None:
    browse()
    for area, count in (("An", 4), ("Ba", 1), ("Cu", 2), ("Da", 20), ("Em", 30)):
        hub.put(*patients(area.lower(), count, area=area))
    hub.load()
    from sokhoe.warehouse import views

    cover = views.coverage(hub.numbers.answer("coverage"), 0.8)
    hidden = [one.code for one in cover.areas if one.hidden]
    assert hidden == sorted(hidden)


@pytest.mark.parametrize("text", ["=1+1", "+84", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_looks_like_a_formula_is_disarmed(text: str) -> None:
    assert safe(text) == "'" + text


def test_a_facility_named_like_a_formula_is_disarmed_in_the_file(hub: Hub, browse: Browse) -> None:
    hub.province = replace(hub.province, houses=("h1", "h2", "=cmd"))
    browser = browse()
    hub.load()
    rows = list(csv.reader(io.StringIO(browser.get("/numbers/facilities.csv").text)))
    assert {row[0] for row in rows[1:]} == {"h1", "h2", "'=cmd"}


def test_numbers_and_empty_cells_are_left_alone() -> None:
    assert safe(-12) == -12
    assert safe(None) == ""


# -- words -------------------------------------------------------------------------------------


def every_text() -> set[str]:
    content = tomllib.loads(FILE.read_text("utf-8"))
    found = {one["name"] for one in content["chapter"]} | {"Numbers"}
    found |= {word for _, word in STATES.values()} | set(SEXES.values())
    for one in content["indicator"]:
        found |= {one[k] for k in ("name", "definition", "numerator", "denominator") if k in one}
    for file in (ROOT / "warehouse").rglob("*"):
        if file.suffix in {".html", ".py"}:
            source = file.read_text("utf-8")
            found |= {a or b for a, b in re.findall(r"""\bt\(\s*(?:"([^"]+)"|'([^']+)')""", source)}
    columns = (ROOT / "warehouse" / "files.py").read_text("utf-8")
    return found | set(re.findall(r'^ +(?:return \()?\("([A-Z0-9][^"]+)", ', columns, re.MULTILINE))


@pytest.mark.parametrize("language", ["vi", "km"])
def test_every_text_is_translated_with_the_same_places_for_values(language: str) -> None:
    with (ROOT / "warehouse" / "locale" / f"{language}.po").open("rb") as stream:
        known = {str(one.id): str(one.string) for one in read_po(stream) if one.id}
    assert every_text() - set(known) == set()
    for text, said in known.items():
        assert said, text
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", said)), text


@pytest.mark.parametrize("language", ["vi", "km"])
def test_the_sheet_speaks_each_language(hub: Hub, browse: Browse, language: str) -> None:
    browser = browse(language=language)
    a_province_at_work(hub)
    hub.load()
    text = browser.get("/numbers").text
    assert "40,0 %" in text
    assert "What does this number mean?" not in text
    assert ("Số này nghĩa là gì?" in text) == (language == "vi")
