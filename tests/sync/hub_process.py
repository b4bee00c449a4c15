"""A hub in a process of its own, over real HTTP, that kills itself (-9) where the test says.

`python -m tests.sync.hub_process FOLDER PORT WHERE`: WHERE is "never"; "answer" (a page is stored,
its answer never leaves); or a number (within a page, right after so many commits are on disk).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from sokhoe.settings import load
from sokhoe.store import open_store
from sokhoe.sync import LetterBox, Request, letter_routes, receive
from sokhoe.trust import Gate


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal(LetterBox):
    """A letter box that dies before it answers a page."""

    def push(self, request: Request) -> dict[str, Any]:
        answer = super().push(request)
        die()
        return answer


def die_after(commits: int) -> None:
    """Die within a page, after so many commits."""
    original: Callable[..., str] = vars(receive)["attempt"]
    left = [commits]

    def attempt(*given: Any) -> str:
        reason = original(*given)
        left[0] -= 1
        if not left[0]:
            die()
        return reason

    vars(receive)["attempt"] = attempt


def main(folder: str, port: int, where: str) -> None:
    store = open_store(f"sqlite:///{Path(folder) / 'hub.db'}")
    gate = Gate(store, load({"data": folder, "role": "hub"}))
    if where.isdigit():
        die_after(int(where))
    box = (Mortal if where == "answer" else LetterBox)(gate, store)
    app = Starlette(routes=[*letter_routes(box, store, 10_000_000)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
