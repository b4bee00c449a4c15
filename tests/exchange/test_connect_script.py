"""The script of docs/smart.md, run as a vendor runs it, against a server on this machine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import uvicorn

from sokhoe.trust import Client, Kind
from tests.testland import Pack
from tests.worlds import Hub, a_patient

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "connect.py"


def connect(*words: str) -> str:
    found = subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_vendor_is_connected_by_the_script_in_the_docs(tmp_path: Path) -> None:
    assert len(SCRIPT.read_text("utf-8").splitlines()) <= 40
    keys = json.loads(connect("keys", str(tmp_path / "key.json")))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        with Hub(tmp_path / "hub", Pack(), port=port) as hub:
            hub.put(a_patient("p1"))
            hub.gate.clients.add(
                Client("my-lab", "Labor", Kind.KEY, ("system/Patient.rs",), jwks=keys)
            )
            config = uvicorn.Config(hub.app, log_level="error", ws="none", lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                base = f"http://127.0.0.1:{port}/fhir"
                said = connect("read", str(tmp_path / "key.json"), "my-lab", base)
            finally:
                server.should_exit = True
                thread.join(10)
    assert json.loads(said)["total"] == 1


def test_the_paper_for_vendors_names_only_addresses_that_are_there(tmp_path: Path) -> None:
    paper = (SCRIPT.parents[1] / "smart.md").read_text("utf-8")
    with Hub(tmp_path / "hub", Pack()) as hub:
        paths = {getattr(one, "path", "") for one in hub.app.routes}
        for path in ("/oauth/token", "/oauth/authorize", "/oauth/introspect", "/oauth/jwks"):
            assert path in paper and path in paths
        told = hub.client().get("/fhir/.well-known/smart-configuration").json()
        for name in ("token", "authorization", "introspection", "revocation", "management"):
            assert told[f"{name}_endpoint"].removeprefix(hub.settings.url) in paths
