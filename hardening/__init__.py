"""Attacks on a server of our own, counted: `make hardening` runs them in full, the tests in short.

Each module has `run(n, seed) -> Outcome`: so many tries, so many bad ones (which must be none), and
whether a fault that was put in on purpose was found, without which no count means anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to. `examples`: the first bad ones, in words."""

    name: str
    tried: int
    bad: int
    planted_caught: bool
    seed: int
    examples: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        caught = "caught" if self.planted_caught else "NOT CAUGHT"
        return (
            f"{self.name}: tried {self.tried:,}, bad {self.bad}, planted fault {caught}"
            f" (seed {self.seed})"
        )
