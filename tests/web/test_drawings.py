from __future__ import annotations

from decimal import Decimal

from sokhoe.web import Speaker, bars, meter, spark


def test_one_value_is_no_trend() -> None:
    assert spark([Decimal(120)]) == ""


def test_a_trend_line_rises_when_the_values_do() -> None:
    drawn = str(spark([100, 150], 90, 140, "Huyết áp"))
    first, last = drawn.split('points="')[1].split('"')[0].split(" ")
    assert float(first.split(",")[1]) > float(last.split(",")[1])  # y grows downwards in SVG
    assert "spark-band" in drawn and 'aria-label="Huyết áp"' in drawn


def test_equal_values_are_a_level_line() -> None:
    assert "nan" not in str(spark([5, 5, 5]))


def test_words_in_drawings_are_escaped() -> None:
    drawn = str(bars([("<b>x</b>", 3, "")]))
    assert "<b>" not in drawn and "&lt;b&gt;" in drawn
    assert "<i>" not in str(spark([1, 2], label="<i>"))
    assert "<i>" not in str(meter(1, 2, '"<i>'))


def test_bars_keep_their_order_and_show_the_target() -> None:
    drawn = str(bars([("A", 1, ""), ("B", 2, "danger")], target=2, say=Speaker("vi", {})))
    assert drawn.index(">A<") < drawn.index(">B<")
    assert "bar-danger" in drawn and "bar-target" in drawn
    assert bars([]) == ""


def test_a_meter_is_never_more_than_full() -> None:
    assert 'width="100.0"' in str(meter(7, 5))
    assert 'width="0.0"' in str(meter(7, 0))
