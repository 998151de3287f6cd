"""The rule on planted runs: it stays silent on the same code, and speaks the surer the larger the change."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.intervals import Interval, ratio_interval
from linrec_bench.analysis.regression import change, compare_ratio, unchanged


def interval(value, low, high, rounds=5, over="rounds"):
    return Interval(value, low, high, rounds, over)


EXACTLY = interval(2.0, 2.0, 2.0)


def test_a_change_is_the_quotient_and_its_reaches_add_in_quadrature():
    found = change(interval(3.0, 3.0 / 1.1, 3.0 * 1.2), interval(2.0, 2.0 / 1.3, 2.0 * 1.1, rounds=3))
    assert found.value == pytest.approx(1.5)
    assert math.log(found.value / found.low) == pytest.approx(math.hypot(math.log(1.1), math.log(1.1)))
    assert math.log(found.high / found.value) == pytest.approx(math.hypot(math.log(1.2), math.log(1.3)))
    assert found.rounds == 3


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (interval(2.0, 1.95, 2.05), "holds"),
        (interval(2.4, 2.3, 2.5), "broken"),
        (interval(1.6, 1.5, 1.7), "broken"),
        (interval(2.3, 2.1, 2.5), "undecided"),
        (interval(2.0, 1.5, 2.5), "undecided"),
    ],
)
def test_wholly_inside_wholly_outside_or_neither(ratio, expected):
    assert compare_ratio(ratio, EXACTLY, margin=0.1) == expected


@pytest.mark.parametrize("over", ["samples", "nothing"])
def test_a_single_round_on_either_side_decides_nothing(over):
    single = interval(9.0, 8.9, 9.1, rounds=1, over=over)
    assert compare_ratio(single, EXACTLY, margin=0.1) == "undecided"
    assert compare_ratio(EXACTLY, single, margin=0.1) == "undecided"


def test_twice_as_slow_and_twice_as_fast_are_equally_far():
    bound = unchanged(0.25)
    assert bound.low * bound.high == pytest.approx(1)
    with pytest.raises(ValueError, match=r"margin -0\.1"):
        unchanged(-0.1)


def broken_share(effect, *, margin, trials=120, rounds=5):
    """Share of independent pairs of planted runs called broken; the cases of a round drift together."""
    rng = np.random.default_rng(7)

    def ratio(factor):
        drift = rng.lognormal(0, 0.3, rounds)

        def side(seconds):
            processes = seconds * drift * rng.lognormal(0, 0.03, rounds)
            return {r: t * rng.lognormal(0, 0.02, 9) for r, t in enumerate(processes)}

        return ratio_interval(side(factor), side(1.0), resamples=200)

    answers = [compare_ratio(ratio(effect), ratio(1.0), margin=margin) for _ in range(trials)]
    return answers.count("broken") / trials


def test_the_same_code_is_not_called_broken():
    assert broken_share(1.0, margin=0.05) <= 0.01


def test_power_rises_with_the_effect_and_falls_with_the_margin():
    shares = [broken_share(effect, margin=0.05, trials=60) for effect in (1.1, 1.25, 1.5)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    assert broken_share(1.25, margin=0.2, trials=60) < shares[1]
