"""A running demo for story and browser tests: the real command, in its own processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

PEOPLE = "150"


def free_ports() -> int:
    """The first of three free ports in a row."""
    for port in range(20_000 + os.getpid() % 20_000, 60_000, 7):
        try:
            for each in range(port, port + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port
    raise AssertionError("no free ports")


class Demo:
    """A running demo."""

    def __init__(self, folder: Path, port: int, people: str = PEOPLE) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "sokhoe", "demo", "--no-browser", "--people", people]
        command += ["--data", str(folder), "--port", str(port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ready"):
                break
        else:
            raise AssertionError(f"the demo did not start:\n{self.said}")
        self.doors: dict[str, Any] = json.loads((folder / "doors.json").read_text())

    def stop(self) -> int:
        """Ctrl-C, as a terminal sends it; what is left to read, and the exit code."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.said += said.read()
        return self.process.wait(timeout=30)

    @property
    def hub(self) -> str:
        return str(self.doors["hub"]["url"])

    def software(self) -> httpx.Client:
        client = self.doors["clients"][0]
        form = {
            "grant_type": "client_credentials",
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
        }
        token = httpx.post(self.doors["hub"]["token"], data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.hub, headers=headers, timeout=30)
