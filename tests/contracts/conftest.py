"""Each test of the store contract runs on a fresh SQLite file and a fresh PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sokhoe.store import Store, open_store


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def a_patient(id: str, text: str = "Nguyễn Văn An", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, "name": [{"text": text}], **more}


def an_observation(
    id: str, patient: str = "1", code: str = "8480-6", at: str = "2024-05-01", **more: Any
) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": at,
        **more,
    }
