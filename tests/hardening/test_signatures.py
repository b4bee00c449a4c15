"""Check 22 in short."""

from __future__ import annotations

from hardening import signatures


def test_no_forged_signature_is_accepted_and_no_good_paper_refused() -> None:
    found = signatures.run(30, 7)
    assert found.bad == 0, found.examples
    assert found.planted_caught
    assert found.tried >= 30 + 40 + 3
