"""A small house for page tests: the face and the clinic over a real SQLite store, and a pack with
three diagnoses, two medicines and one kind of card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from sokhoe import clinic, settings, web
from sokhoe.clinic import Drug
from sokhoe.country import NoPack
from sokhoe.fhir import fold, terminology
from sokhoe.people import CardFacts, NoIdentity
from sokhoe.store import Version, open_store
from sokhoe.trust import Actor, Gate, Role
from sokhoe.web import LineStatus, Site, Texts, cookie_name, make_templates

ROOT = Path(__file__).parents[2] / "sokhoe"
PASSWORD = "sông dài cá lội"
ICD = "http://hl7.org/fhir/sid/icd-10"
PLACE = "Organization/86901"
PLACE_NAME = "Trạm Y tế Thử Nghiệm"


def diseases() -> dict[str, Any]:
    names = {
        "I10": "Tăng huyết áp vô căn",
        "J00": "Viêm mũi họng cấp",
        "E11.9": "Đái tháo đường típ 2",
    }
    return {
        "resourceType": "CodeSystem",
        "url": ICD,
        "status": "active",
        "content": "complete",
        "concept": [{"code": code, "display": name} for code, name in names.items()],
    }


class Catalogue:
    """Three diagnoses and two medicines."""

    diagnosis_list = ICD
    usual_diagnoses: Sequence[str] = ()
    drugs = (
        Drug("T001", "Paracetamol 500mg", "urn:drugs", "viên", "Ngày 3 lần, mỗi lần 1 viên"),
        Drug("T010", "Amlodipin 5mg", "urn:drugs", "viên", "Sáng 1 viên"),
    )

    def medicines(self, words: str, limit: int) -> Sequence[Drug]:
        return [one for one in self.drugs if fold(words) in fold(one.name)][:limit]

    def facility(self, code: str) -> str:
        return ""


class Cards(NoIdentity):
    """Cards read number|name|ddmmyyyy|sex; a number that begins with 9 is doubtful."""

    def read_card(self, text: str) -> CardFacts | None:
        parts = text.split("|")
        if len(parts) != 4:
            return None
        number, name, day, sex = parts
        birth = f"{day[4:]}-{day[2:4]}-{day[:2]}"
        return CardFacts(citizen_id=number, name=name, birth_date=birth, gender=sex)

    def warnings(self, number: str, birth_date: str, gender: str) -> list[str]:
        return ["This birth date cannot be right."] if number.startswith("9") else []


class Pack(NoPack):
    def seam(self, name: str) -> Any:
        return {
            "people.identity": Cards(),
            "clinic.catalogue": Catalogue(),
            "trust.code_lists": (terminology.Lists({ICD: diseases}),),
        }.get(name)


class DownLine:
    """A line that is down: nothing has arrived."""

    def status(self) -> LineStatus:
        return LineStatus(configured=True, up=False, since=0, waiting=3)

    def arrived(self, version: Version) -> bool:
        return False

    def send_now(self) -> None:
        return None


class House:
    """One server; `client(role)` is a browser that has signed in."""

    def __init__(
        self, folder: Path, pack: NoPack | None = None, public_url: str = "http://testserver"
    ) -> None:
        self.settings = settings.load({"data": str(folder), "public_url": public_url})
        self.store = open_store(f"sqlite:///{folder / 'house.db'}")
        pack = pack or Pack()
        lists = pack.seam("trust.code_lists") or ()
        self.gate = Gate(self.store, self.settings, lists)
        self.site = Site(
            settings=self.settings,
            gate=self.gate,
            pack=pack,
            texts=Texts([ROOT / room / "locale" for room in ("web", "clinic")]),
            templates=make_templates(["web", "clinic"]),
        )
        clinic.open_room(self.site)
        self.app = Starlette(routes=[*web.routes(self.site), *clinic.routes(self.site)])
        self.app.state.site = self.site

    def account(self, role: Role = Role.NURSE) -> None:
        """An account with a password. Slow on purpose (Argon2): only for tests of signing in."""
        self.gate.add_account(
            str(role),
            PASSWORD,
            role=role,
            name=f"Chị {role}",
            actor=f"Practitioner/{role}",
            place=PLACE,
            place_name=PLACE_NAME,
        )

    def visitor(self) -> TestClient:
        return TestClient(self.app, base_url=self.settings.url, follow_redirects=False)

    def client(self, role: Role = Role.NURSE) -> TestClient:
        """A browser that is signed in as this role."""
        actor = Actor(
            f"Practitioner/{role}", f"Chị {role}", role, PLACE, PLACE_NAME, username=str(role)
        )
        client = self.visitor()
        client.cookies.set(cookie_name(self.site), self.gate.admit(actor))
        return client

    def close(self) -> None:
        self.store.close()


def field_of(html: str, name: str) -> str:
    """The value of a hidden or plain input on a page."""
    for tag in re.findall(r"<input[^>]*>", html):
        if f'name="{name}"' in tag:
            found = re.search(r'value="([^"]*)"', tag)
            return found[1] if found else ""
    raise AssertionError(f"no field {name!r} on this page")


def csrf(client: TestClient) -> str:
    return field_of(client.get("/help").text, "csrf")


def send(client: TestClient, path: str, **fields: Any) -> Any:
    """Post a form with the sign-in's token."""
    return client.post(path, data={"csrf": csrf(client), **fields})
