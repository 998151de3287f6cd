"""How often verdicts are right on planted data: a part of benchmarks/verdicts.py, with fixed seeds."""

import numpy as np
import pytest

from benchmarks.verdicts import LINES, most_power, rates


def stated(planted, rounds, repetitions):
    _, _, _, draw = LINES[planted]
    rng = np.random.default_rng(0)
    return sum(draw(rng, rounds) for _ in range(repetitions))


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 3, 5])
def test_identical_mechanisms_do_not_differ(rounds):
    assert stated("identical", rounds, 6) == 0


def test_planted_orders_are_told():
    assert stated("N against N^2", 5, 6) >= 5
    assert stated("faster in the middle", 5, 4) >= 3
    assert stated("0.7 of the time", 5, 4) >= 3


def test_one_seed_states_nothing_and_five_do():
    assert stated("0.03 less quality, seeds differ by 0.005", 1, 10) == 0
    assert stated("0.03 less quality, seeds differ by 0.005", 5, 10) >= 9
    assert stated("equal quality", 1, 20) == 0
    assert stated("equal quality", 3, 20) <= 2


def test_the_power_that_is_possible_is_that_of_the_t_test():
    # scipy's non-central t: 1 - beta of 3 seeds, 5.64 its quantile at 0.985.
    assert most_power(3, of_seed=0.01) == pytest.approx(0.349, abs=0.001)
    assert most_power(6, of_seed=0.01) > 0.9
    assert most_power(1, of_seed=0.01) == 0


def test_a_table_of_rates_has_their_intervals():
    (rate, *_) = rates(2, only="floor + N")
    assert rate.row["low"] <= rate.row["rate"] <= rate.row["high"]
    assert rate.repetitions == 2
