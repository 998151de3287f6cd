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


def of_function(function, *, seed=0, rounds=5, noise=0.02, lengths=LENGTHS):
    rng = np.random.default_rng(seed)
    return {
        n: [function(n) * np.exp(rng.normal(0, noise) + rng.normal(0, noise, 9)) for _ in range(rounds)]
        for n in lengths
    }


def test_times_that_do_not_grow_have_the_exponent_0():
    found = fit_scaling(of_function(lambda n: 1e-3))
    assert (found.form, found.reason, found.exponent) == ("constant", "flat", 0)
    assert found.low == 0 <= found.high < 0.1
    assert found.floor_s == pytest.approx(1e-3, rel=0.02)


@pytest.mark.parametrize(
    ("function", "reason", "form"),
    [
        (lambda n: 1e-8 * n * np.log(n), "n_log_n", "n_log_n"),
        (lambda n: 1e-7 * n + 1e-11 * n**2, "no_single_power", "linear_quadratic"),
        (lambda n: 1e-4 + 1e-7 * n * (1.5 if n > 2048 else 1), "no_single_power", None),
    ],
)
def test_what_is_no_power_is_not_called_one(function, reason, form):
    found = [fit_scaling(of_function(function, seed=seed), resamples=100) for seed in range(20)]
    assert np.mean([fit.reason == reason for fit in found]) >= 0.9
    assert all(fit.exponent is None for fit in found if fit.reason)
    if form:
        assert np.mean([fit.form == form for fit in found]) >= 0.9


def test_a_power_is_rarely_called_none():
    for function in (lambda n: 1e-4 + 1e-7 * n, lambda n: 1e-9 * n**2, lambda n: 1e-4 + 1e-8 * n**1.5):
        found = [fit_scaling(of_function(function, seed=seed), resamples=50) for seed in range(40)]
        assert np.mean([fit.reason != "" for fit in found]) <= 0.1


def test_local_slopes_tell_where_it_bends():
    found = fit_scaling(of_function(lambda n: 1e-7 * n * (1.5 if n > 2048 else 1), noise=0.005))
    steep = {(slope.shorter, slope.longer): slope.value for slope in found.slopes}
    assert steep.pop((2048, 4096)) == pytest.approx(1 + np.log2(1.5), abs=0.05)
    assert list(steep.values()) == pytest.approx([1] * 6, abs=0.05)
    assert (found.low, found.high) == (
        min(slope.low for slope in found.slopes),
        max(slope.high for slope in found.slopes),
    )


@pytest.mark.parametrize(
    ("lengths", "rounds", "reason"),
    [(LENGTHS[:3], 3, "few_lengths"), (LENGTHS, 1, "one_process"), (LENGTHS[:4], 3, "short_range")],
)
def test_too_little_data_is_said(lengths, rounds, reason):
    rng = np.random.default_rng(1)
    times = planted_times(rng, floor=1e-3, slope=1e-9, power=2.0, rounds=rounds, lengths=lengths)
    found = fit_scaling(times)
    assert found.exponent is None
    assert found.reason == reason


def test_exact_counts_give_the_exponent_of_the_two_largest_lengths():
    counts = {n: 4 * n**2 + 1000 * n for n in (1024, 2**19, 2**20)}
    assert exact_exponent(counts) == pytest.approx(2.0, abs=1e-3)
    with pytest.raises(ValueError, match="at least two"):
        exact_exponent({128: 1})
    with pytest.raises(ValueError, match="positive"):
        exact_exponent({128: 0, 256: 4})
