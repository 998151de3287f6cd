import math

import pytest

from linrec_bench.presentation import numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (8.12e-4, "812 µs"),
        (3e-8, "30.0 ns"),
        (9.996e-4, "1.00 ms"),
        (1.5e-3, "1.50 ms"),
        (0.9996, "1.00 s"),
        (119.0, "119 s"),
        (590.247, "9.84 min"),
        (7300, "2.03 h"),
        (math.nan, "-"),
    ],
)
def test_durations_have_three_digits_and_a_unit(value, expected):
    assert numbers.duration(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 B"),
        (160, "160 B"),
        (999, "999 B"),
        (655360, "640 KiB"),
        (1023 * 1024, "0.999 MiB"),
        (3.5 * 2**20, "3.50 MiB"),
        (2.0**50, "1,024 TiB"),
        (math.nan, "-"),
    ],
)
def test_memory_has_binary_units(value, expected):
    assert numbers.memory(value) == expected


def test_energy_has_a_unit():
    assert [numbers.energy(value) for value in (0.0201, 5, 2310, 3e6)] == [
        "20.1 mJ",
        "5.00 J",
        "2.31 kJ",
        "3.00 MJ",
    ]


def test_an_interval_is_in_the_unit_of_its_value():
    assert numbers.duration_interval(9.2e-4, 7.44e-4, 3.155e-3) == "[744, 3,155]"
    assert numbers.memory_interval(1.5 * 2**30, 1.4 * 2**30, 1.6 * 2**30) == "[1.40, 1.60]"
    assert numbers.duration_interval(1.0, math.nan, math.nan) == ""
    assert numbers.interval(-0.0123, 0.004, numbers.signed_metric) == "[-0.0123, +0.0040]"


@pytest.mark.parametrize(
    ("value", "expected"), [(0, "under 1 s"), (0.9, "under 1 s"), (41.7, "42 s"), (204, "3.4 min")]
)
def test_nobody_waits_by_the_microsecond(value, expected):
    assert numbers.time_left(value) == expected


def test_shares_ratios_and_counts():
    assert [numbers.percent(value) for value in (1, 0.123, 0.0243, 0.0085, 0)] == [
        "100%",
        "12%",
        "2.4%",
        "0.85%",
        "0%",
    ]
    assert [numbers.ratio(value) for value in (0.00012345, 0.5, 1234.5)] == ["0.000123x", "0.500x", "1,234x"]
    assert [numbers.two_digits(value) for value in (0.421, 0.996, 3.14, 10, 123.4)] == [
        "0.42",
        "1.0",
        "3.1",
        "10",
        "123",
    ]
    assert [numbers.counted(number, "seed") for number in (1, 3, 1024)] == [
        "1 seed",
        "3 seeds",
        "1,024 seeds",
    ]


def test_a_p_value_is_never_zero():
    assert [numbers.p_value(value) for value in (0.00001, 0.0123, math.nan)] == ["<0.0001", "0.0123", "-"]
    assert [numbers.p_equals(value) for value in (0.00001, 0.0123)] == ["p < 0.0001", "p = 0.0123"]


def test_an_estimated_length_has_no_more_digits_than_are_known():
    assert [numbers.length(value) for value in (187.3, 1234.5, 12345.0, math.nan)] == [
        "190",
        "1,230",
        "12,300",
        "?",
    ]


def test_ticks_are_round():
    assert [numbers.duration_tick(v) for v in (0, 5e-8, 1e-5, 0.0009999999, 0.25, 1, 1500)] == [
        "0 s",
        "50 ns",
        "10 µs",
        "1 ms",
        "250 ms",
        "1 s",
        "1,500 s",
    ]
    assert [numbers.memory_tick(v) for v in (512, 2**10, 2**20 * 12, 2**20 * 1000, 2**31)] == [
        "512 B",
        "1 KiB",
        "12 MiB",
        "1,000 MiB",
        "2 GiB",
    ]
    assert [numbers.energy_tick(v) for v in (2e-4, 0.5, 5, 2e3, 3e6)] == [
        "200 µJ",
        "500 mJ",
        "5 J",
        "2 kJ",
        "3 MJ",
    ]
