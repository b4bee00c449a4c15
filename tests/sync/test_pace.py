from __future__ import annotations

from sokhoe.sync.pace import CAP, FLOOR, START, PageSize, idle_after, wait_after


def test_pages_start_at_64_kib_and_double_while_it_goes_fast() -> None:
    size = PageSize()
    assert size.size == START == 64 * 1024
    for _ in range(10):
        size = size.went(0.2, 8000, 1000)
    assert size.size == CAP == 1024 * 1024


def test_pages_halve_when_it_is_slow_or_fails_down_to_8_kib_and_come_back() -> None:
    size = PageSize()
    for _ in range(10):
        size = size.failed()
    assert size.size == FLOOR == 8 * 1024
    assert size.went(9.0, 8000, 1000).size == FLOOR
    for _ in range(7):
        size = size.went(0.5, 8000, 1000)
    assert size.size == CAP  # seven good pages, not seven nights


def test_a_page_that_took_its_time_keeps_its_size() -> None:
    assert PageSize().went(3.0, 8000, 1000).size == START


def test_what_packs_well_makes_the_next_page_take_more() -> None:
    assert PageSize().went(3.0, 12_000, 1000).raw == START * 12
    assert PageSize().went(3.0, 10**9, 1000).raw == START * 20
    assert PageSize().went(3.0, 100, 1000).raw == START


def test_the_wait_doubles_up_to_three_times_the_setting_and_never_over_five_minutes() -> None:
    assert [wait_after(n, 5, 0.5) for n in range(1, 5)] == [5, 10, 15, 15]
    assert [wait_after(n, 60, 0.5) for n in (1, 2, 3)] == [60, 120, 180]
    assert wait_after(5000, 3600, 0.5) == 300


def test_stations_that_lost_the_same_line_do_not_come_back_at_once() -> None:
    assert round(wait_after(1, 60, 0.0)) == 48
    assert round(wait_after(1, 60, 1.0)) == 72


def test_an_idle_line_is_looked_at_every_five_minutes() -> None:
    assert idle_after(5) == idle_after(60) == 300
    assert idle_after(1) == 60
