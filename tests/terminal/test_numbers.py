import math

import pytest

from linrec_bench.terminal.numbers import amount, seconds, time_left


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (8.12e-4, "812 µs"),
        (3e-8, "30 ns"),
        (9.996e-4, "1 ms"),
        (1.2e-3, "1.2 ms"),
        (1.0, "1 s"),
        (119.0, "119 s"),
        (204.0, "3.4 min"),
        (7200.0, "2 h"),
        (math.nan, "-"),
    ],
)
def test_seconds_have_three_digits_and_a_unit(value, expected):
    assert seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 B"), (999, "999 B"), (1024, "1 KiB"), (3.5 * 2**20, "3.5 MiB"), (2**40, "1 TiB")],
)
def test_amounts_have_binary_units(value, expected):
    assert amount(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0, "under 1 s"), (0.9, "under 1 s"), (41.7, "42 s")])
def test_nobody_waits_by_the_microsecond(value, expected):
    assert time_left(value) == expected
