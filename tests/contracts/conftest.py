"""Each test of the store contract runs on a fresh SQLite file and a fresh PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sokhoe.errors import Unsupported
from sokhoe.store import Held, Keys, Store, open_store

KEY = bytes(range(32))
# The files whose tests also run on a store that is encrypted on disk.
SEALED = ("test_store", "test_store_search", "test_soon", "test_store_load", "test_composites")


def some_keys() -> Keys:
    return Keys(Held((KEY,), KEY[::-1], {1: KEY[::-1]}, 1))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "keys" in metafunc.fixturenames:
        name = metafunc.module.__name__.rpartition(".")[2]
        both = [None, some_keys()] if name in SEALED else [None]
        ids = ["plain", "sealed"][: len(both)]
        metafunc.parametrize("keys", both, ids=ids, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """What a store with encrypted texts refuses by design (decision 19) is not tested on it."""
    try:
        return (yield)
    except Unsupported as error:
        if error.slug in ("blind-sort", "blind-contains") and "sealed" in pyfuncitem.name:
            pytest.skip(error.message)
        raise


@pytest.fixture
def keys(request: pytest.FixtureRequest) -> Keys | None:
    found: Keys | None = request.param
    return found


@pytest.fixture
def store(url: str, keys: Keys | None) -> Iterator[Store]:
    store = open_store(url, keys=keys)
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
