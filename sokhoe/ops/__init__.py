"""I am the caretaker: the verbs of the command line, the demo world, backup, doctor, load.

I keep nothing. I may ask every room but vietnam. I never serve requests (the demo's control page
and test e-ID aside, which exist in the demo only).
"""

from sokhoe.ops.cli import VERBS, run

__all__ = ["VERBS", "run"]
