"""Many threads meet a type for the first time at once: the process must live.

A library that prepares a class at its first use once took the whole server down that way, in the
first second after a start under load. Each round is a fresh process, since only first uses count.
"""

from __future__ import annotations

import subprocess
import sys

ROUND = """
import sys, threading
from sokhoe.fhir import TYPES
from sokhoe.fhir.quick import is_valid
sys.setswitchinterval(1e-6)
gate = threading.Barrier(4)
def one():
    for name in sorted(TYPES):
        gate.wait()
        is_valid({"resourceType": name, "id": "a", "text": {"status": "generated"}})
threads = [threading.Thread(target=one) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
"""


def test_first_uses_by_many_threads_leave_the_process_alive() -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", ROUND], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
