"""Users and seeds crossed: the interval covers what was planted, at its nominal rate, however seeds vary."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.analysis import user_bootstrap
from linrec_bench.analysis.user_bootstrap import crossed


def planted(rng, *, seeds, users, mean, of_seed=0.0, of_user=0.0, rest=1.0):
    return (
        mean
        + of_seed * rng.standard_normal((seeds, 1))
        + of_user * rng.standard_normal((1, users))
        + rest * rng.standard_normal((seeds, users))
    )


@pytest.mark.parametrize(
    ("seeds", "users", "spread"),
    [
        (3, 60, {"of_seed": 0.5, "of_user": 1.0}),
        (3, 60, {"of_seed": 0.0, "of_user": 1.0}),
        (2, 40, {"of_seed": 0.3, "of_user": 0.0}),
        (5, 40, {"of_seed": 1.0, "of_user": 0.2}),
        (1, 60, {"of_seed": 0.0, "of_user": 1.0}),
    ],
)
def test_the_interval_covers_the_truth_at_its_level(seeds, users, spread):
    rng = np.random.default_rng(0)
    found = [
        crossed(planted(rng, seeds=seeds, users=users, mean=0.3, **spread), resamples=300) for _ in range(300)
    ]
    covered = np.mean([each.low <= 0.3 <= each.high for each in found])
    assert 0.92 <= covered <= 1.0
    # The same by the p-value, of a truth of no difference.
    null = [
        crossed(planted(rng, seeds=seeds, users=users, mean=0.0, **spread), resamples=20).p
        for _ in range(300)
    ]
    assert np.isnan(null).all() if seeds == 1 else np.mean(np.array(null) < 0.05) <= 0.08


def test_one_seed_tells_of_users_alone():
    rng = np.random.default_rng(1)
    found = crossed(planted(rng, seeds=1, users=50, mean=1.0))
    assert (found.over, found.seeds, found.users) == ("users", 1, 50)
    assert found.low > 0
    assert math.isnan(found.p), "seeds of one mechanism differ as well"
    assert math.isnan(found.reach(0.05))
    assert crossed(planted(rng, seeds=2, users=50, mean=1.0)).over == "users and seeds"


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(2)
    alike = planted(rng, seeds=3, users=500, mean=0.0)
    apart = alike + np.array([[-1.0], [0.0], [1.0]])
    assert crossed(apart).high - crossed(apart).low > 10 * (crossed(alike).high - crossed(alike).low)


def test_one_user_and_no_difference_at_all():
    found = crossed(np.array([[0.5], [0.7]]))
    assert found.mean == pytest.approx(0.6)
    assert math.isnan(found.low)
    assert math.isnan(found.p)
    assert found.over == "nothing"
    same = crossed(np.zeros((3, 10)))
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="0 seeds and 0 users"):
        crossed(np.empty((0, 0)))


def test_many_users_are_drawn_in_groups_that_say_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    values = planted(rng, seeds=2, users=3001, mean=0.1)
    whole = crossed(values)
    monkeypatch.setattr(user_bootstrap, "_MOST_UNITS", 1000)
    grouped = crossed(values)
    assert grouped.mean == whole.mean
    assert grouped.low == pytest.approx(whole.low, abs=0.15 * (whole.high - whole.low))
    assert grouped.high == pytest.approx(whole.high, abs=0.15 * (whole.high - whole.low))


@given(st.integers(1, 4), st.integers(2, 30), st.integers(0, 1000), st.floats(-3, 3))
def test_the_mean_lies_in_its_interval_and_a_shift_shifts_it(seeds, users, seed, shift):
    values = planted(np.random.default_rng(seed), seeds=seeds, users=users, mean=0.0)
    found, moved = crossed(values, resamples=50), crossed(values + shift, resamples=50)
    assert found.low <= found.mean <= found.high
    assert math.isnan(found.p) if seeds == 1 else 0 <= found.p <= 1
    assert moved.low == pytest.approx(found.low + shift, abs=1e-6)
    assert moved.high == pytest.approx(found.high + shift, abs=1e-6)
