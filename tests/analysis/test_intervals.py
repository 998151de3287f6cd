import math

import numpy as np
import pytest

from linrec_bench.analysis.intervals import (
    choose_rounds,
    median_interval,
    ratio_interval,
    resampled_medians,
    widening,
)


def processes(rng, rounds, between=0.05, within=0.02, repeats=15):
    return [np.exp(rng.normal(0, between) + rng.normal(0, within, repeats)) for _ in range(rounds)]


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_resampled_medians_follow_the_law_of_drawn_samples(size):
    rng = np.random.default_rng(0)
    samples = rng.lognormal(size=size)
    chosen = choose_rounds(1, 40_000, rng)
    quick = resampled_medians([samples], chosen, rng)[:, 0]
    drawn = np.median(rng.choice(samples, (40_000, size)), axis=1)
    shares = [0.1, 0.4, 0.5, 0.6, 0.9]
    assert np.mean(quick) == pytest.approx(np.mean(drawn), rel=0.01)
    assert np.std(quick) == pytest.approx(np.std(drawn), rel=0.03, abs=1e-9)
    assert np.quantile(quick, shares) == pytest.approx(np.quantile(drawn, shares), rel=0.1)


def test_the_value_is_the_median_of_the_medians_of_rounds():
    found = median_interval([[1.0, 2.0, 9.0], [4.0], [3.0, 3.0]])
    assert (found.value, found.rounds, found.over) == (3.0, 3, "rounds")
    assert found.low < 3.0 < found.high


def test_one_round_resamples_inside_it_and_says_so():
    found = median_interval([[1.0, 1.1, 0.9, 1.05]])
    assert found.over == "samples"
    assert 0.9 <= found.low < found.value < found.high <= 1.1


def test_a_single_sample_has_no_interval_and_none_has_no_value():
    single = median_interval([[2.0]])
    assert single.value == 2.0
    assert single.over == "nothing"
    assert math.isnan(single.low)
    assert math.isnan(single.high)
    assert math.isnan(median_interval([]).value)


def test_samples_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="expected positive"):
        median_interval([[1.0, 0.0]])


def test_the_same_samples_give_the_same_interval():
    rounds = processes(np.random.default_rng(3), 3)
    assert median_interval(rounds) == median_interval(rounds)


@pytest.mark.parametrize("rounds", [3, 5])
def test_intervals_cover_the_truth_though_processes_are_few(rounds):
    rng = np.random.default_rng(11)
    found = [median_interval(processes(rng, rounds), resamples=400) for _ in range(300)]
    coverage = np.mean([interval.low <= 1 <= interval.high for interval in found])
    assert 0.91 <= coverage <= 0.99
    # Without the widening, few processes would be claimed to tell more than they do.
    plain = [np.log([i.low / i.value, i.high / i.value]) / widening(rounds) + np.log(i.value) for i in found]
    assert np.mean([low <= 0 <= high for low, high in plain]) < 0.9


def test_a_ratio_is_paired_by_round():
    rng = np.random.default_rng(5)
    drift = np.exp(rng.normal(0, 0.4, 5))
    slow = {r: 2 * f * np.exp(rng.normal(0, 0.01, 9)) for r, f in enumerate(drift)}
    fast = {r: f * np.exp(rng.normal(0, 0.01, 9)) for r, f in enumerate(drift)}
    paired = ratio_interval(slow, fast)
    assert paired.low <= 2 <= paired.high
    assert paired.high / paired.low < 1.1
    crossed = ratio_interval(slow, {r: fast[(r + 1) % 5] for r in fast})
    assert crossed.high / crossed.low > 1.5


def test_a_ratio_uses_shared_rounds_only():
    found = ratio_interval({0: [4.0, 4.0], 1: [100.0]}, {0: [2.0, 2.0], 2: [1.0]})
    assert (found.value, found.rounds) == (2.0, 1)
    assert math.isnan(ratio_interval({0: [1.0]}, {1: [1.0]}).value)
