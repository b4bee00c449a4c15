"""Our reader of regular expressions agrees with Python's, and cannot be made to run for long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.errors import Invalid
from sokhoe.fhir.terminology.regex import Regex

PIECE = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\.", "(a|b)", "(?:bc)", "(a|)"]
)
SIGN = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "{1,}", "*?"])
PATTERN = st.lists(st.tuples(PIECE, SIGN).map("".join), max_size=5).map("".join)
NESTED = st.one_of(
    PATTERN,
    st.tuples(PATTERN, SIGN, PATTERN).map(lambda p: f"({p[0]}){p[1]}{p[2]}"),
    st.tuples(PATTERN, PATTERN).map("|".join),
)


@settings(max_examples=300, deadline=None)
@given(pattern=NESTED, text=st.text(alphabet="abc.1", max_size=7))
def test_it_agrees_with_python(pattern: str, text: str) -> None:
    assert Regex(pattern).fits(text) == bool(re.fullmatch(pattern, text))


def test_anchors_say_what_holds_anyway() -> None:
    assert Regex("^J0[0-6]$").fits("J05") and not Regex("^J0[0-6]$").fits("J05.1")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*c", "(.*)(.*)(.*)(.*)(.*)x"])
def test_patterns_that_stop_others_cost_no_time(pattern: str) -> None:
    start = time.process_time()
    assert not Regex(pattern).fits("a" * 5_000 + "!")
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a", "a)", "*a", "[a", "[b-a]", "a{2", "a{3,2}", "a{9999}", r"(?=a)", r"(a)\1", "a^b"),
        *("\\", r"\p{L}", "a" * 500, "((((a{99}){99}){99}){99})", "(" * 90 + ")" * 90),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(Invalid, match="cannot be used") as caught:
        Regex(pattern)
    assert caught.value.slug == "regex"
