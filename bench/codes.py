"""Questions to the terminology: a list of 15,000 codes that was sent, and R4's own."""

from __future__ import annotations

import random

import httpx

from bench.client import request, run
from bench.rows import CLIENTS, Cost, row
from bench.servers import Server
from sokhoe.fhir import encode, fold

URL = "http://example.org/fhir/CodeSystem/illnesses"
CONCEPTS = 15_000
ASKED = 400
SYLLABLES = (
    "viêm gan cấp mạn tính đái tháo đường tăng huyết áp suy tim thận phổi dạ dày ruột xương khớp "
    "nhiễm khuẩn trùng sốt xuất lao ho hen phế quản họng tai mũi mắt da máu não thần kinh cơ u ác "
    "lành không xác định đặc hiệu thứ phát nguyên do thuốc chấn thương gãy bỏng ngộ độc thai kỳ"
).split()


def asking(server: Server, seconds: float) -> None:
    """Send the list, and ask: letters typed in a box, a code to be checked, R4's own value sets."""
    draw = random.Random(1)
    names = [" ".join(draw.choices(SYLLABLES, k=draw.randint(4, 9))) for _ in range(CONCEPTS)]
    headers = {"Content-Type": "application/fhir+json"}
    if server.token:
        headers["Authorization"] = f"Bearer {server.token}"
    sent = httpx.post(
        f"{server.fhir}/CodeSystem", content=_list(names), headers=headers, timeout=120
    )
    sent.raise_for_status()
    base = f"{server.fhir}/ValueSet"
    for what, urls in (
        (
            "$expand 15,000 codes by letters typed, count=20",
            [
                f"{base}/$expand?url={URL}?fhir_vs&count=20&filter={_typed(draw, names)}"
                for _ in range(ASKED)
            ],
        ),
        (
            "$validate-code in 15,000 codes",
            [
                f"{base}/$validate-code?url={URL}?fhir_vs&system={URL}&code={_code(n)}"
                for n in draw.sample(range(CONCEPTS), ASKED)
            ],
        ),
        (
            "$expand a value set of R4",
            [f"{base}/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender"],
        ),
    ):
        gets = [request("GET", url, server.token) for url in urls]
        for clients in (1, CLIENTS):
            shared = gets * clients if len(gets) < clients else gets
            run(server.url, shared, clients, 0.5)
            cost = Cost(server)
            result = run(server.url, shared, clients, seconds)
            row(server, what, result, result.requests, "requests", cost)


def _list(names: list[str]) -> bytes:
    concepts = [{"code": _code(n), "display": name} for n, name in enumerate(names)]
    return encode(
        {
            "resourceType": "CodeSystem",
            "url": URL,
            "status": "active",
            "content": "complete",
            "concept": concepts,
        }
    )


def _code(number: int) -> str:
    return f"{chr(65 + number // 1000)}{number % 1000 // 10:02}.{number % 10}"


def _typed(draw: random.Random, names: list[str]) -> str:
    """One to three words of a name without accents, the last of them not finished."""
    words = fold(draw.choice(names)).split()
    at = draw.randrange(len(words))
    typed = " ".join(words[at : at + draw.randint(1, 3)])
    return typed[: max(2, len(typed) - draw.randint(0, 3))]
