import numpy as np
import pytest

from linrec_bench.analysis.scaling import exact_exponent, fit_scaling

LENGTHS = [128 * 2**k for k in range(8)]


def planted_times(rng, *, floor, slope, power, rounds=3, noise=0.03, lengths=LENGTHS):
    return {
        n: [
            (floor + slope * n**power) * np.exp(rng.normal(0, noise) + rng.normal(0, noise, 9))
            for _ in range(rounds)
        ]
        for n in lengths
    }


@pytest.mark.parametrize(
    ("floor", "slope", "power", "form"),
    [
        (1e-4, 1e-9, 2.0, "quadratic"),
        (5e-5, 1e-7, 1.0, "linear"),
        (0.0, 1e-8, 1.5, "power"),
        (1e-2, 1e-9, 2.0, "quadratic"),
    ],
)
def test_planted_exponents_and_floors_are_recovered(floor, slope, power, form):
    rng = np.random.default_rng(3)
    found = fit_scaling(planted_times(rng, floor=floor, slope=slope, power=power, noise=0.015))
    assert found.exponent == pytest.approx(power, abs=0.1)
    assert found.form == form
    assert found.reason == ""
    if floor > 1e-3:
        assert found.floor_s == pytest.approx(floor, rel=0.1)


def test_a_straight_line_in_log_log_is_wrong_where_the_fit_is_right():
    times = planted_times(np.random.default_rng(4), floor=1e-2, slope=1e-9, power=2.0)
    medians = [np.median(np.concatenate(times[n])) for n in LENGTHS]
    slope = np.polyfit(np.log(LENGTHS), np.log(medians), 1)[0]
    found = fit_scaling(times)
    assert slope < 0.8
    assert found.exponent == pytest.approx(2.0, abs=0.2)


def test_exact_data_gives_the_exact_exponent():
    found = fit_scaling({n: [[2e-5 + 3e-9 * n**1.25]] * 2 for n in LENGTHS})
    assert found.exponent == pytest.approx(1.25, abs=0.003)
    assert found.floor_s == pytest.approx(2e-5, rel=0.02)


@pytest.mark.parametrize(("floor", "slope", "power"), [(1e-4, 1e-7, 1.0), (1e-2, 1e-9, 2.0)])
def test_the_interval_covers_the_planted_exponent(floor, slope, power):
    rng = np.random.default_rng(8)
    planted = [planted_times(rng, floor=floor, slope=slope, power=power) for _ in range(80)]
    fits = [fit_scaling(times, resamples=200) for times in planted]
    assert np.mean([fit.low <= power <= fit.high for fit in fits]) >= 0.9
    assert np.median([fit.high - fit.low for fit in fits]) < 0.3


def test_times_that_do_not_grow_have_no_exponent():
    found = fit_scaling(planted_times(np.random.default_rng(1), floor=1e-3, slope=0.0, power=1.0))
    assert found.exponent is None
    assert found.form == "constant"
    assert "range too short" in found.reason
    assert found.high - found.low > 0.5


@pytest.mark.parametrize(
    ("lengths", "rounds", "reason"),
    [(LENGTHS[:3], 3, "3 lengths"), (LENGTHS, 1, "one process"), (LENGTHS[:4], 3, "range too short")],
)
def test_too_little_data_is_said(lengths, rounds, reason):
    rng = np.random.default_rng(1)
    times = planted_times(rng, floor=1e-3, slope=1e-9, power=2.0, rounds=rounds, lengths=lengths)
    found = fit_scaling(times)
    assert found.exponent is None
    assert reason in found.reason


def test_exact_counts_give_the_exponent_of_the_two_largest_lengths():
    counts = {n: 4 * n**2 + 1000 * n for n in (1024, 2**19, 2**20)}
    assert exact_exponent(counts) == pytest.approx(2.0, abs=1e-3)
    with pytest.raises(ValueError, match="at least two"):
        exact_exponent({128: 1})
    with pytest.raises(ValueError, match="positive"):
        exact_exponent({128: 0, 256: 4})
