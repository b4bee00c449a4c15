"""Forms of other sites and loose pages in short; `make hardening` sends 6,000."""

from __future__ import annotations

from hardening import csrf


def test_no_form_of_another_site_changes_anything_and_no_page_is_loose() -> None:
    outcome = csrf.run(n=300, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught
    assert outcome.tried == 300


def test_what_is_loose_on_a_page_is_seen() -> None:
    assert not list(csrf.page_faults('<a href="https://moh.gov.vn">x</a><img src="/static/a.svg">'))
    for loose in (
        "<style>p{}</style>",
        '<p style="color:red">',
        "<script>x()</script>",
        '<form action="https://evil.test/">',
        '<a href="javascript:x()">',
    ):
        assert list(csrf.page_faults(f"<div>{loose}</div>")), loose
