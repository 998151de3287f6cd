import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from linrec_bench.analysis.significance import UNKNOWN, holm, independent, paired

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_holm_on_a_worked_example():
    # 4 x 0.01, 3 x 0.03 and 2 x 0.03 (kept from falling), 0.04 likewise.
    assert holm([0.03, 0.01, 0.04, 0.03]) == pytest.approx([0.09, 0.04, 0.09, 0.09])


@given(P_VALUES)
def test_holm_never_lowers_a_p_value_nor_changes_their_order(p_values):
    adjusted = holm(p_values)
    assert all(q >= p for p, q in zip(p_values, adjusted, strict=True))
    assert all(q <= 1 for q in adjusted)
    by_raw = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert by_raw == sorted(by_raw)
    assert min(adjusted) == min(1.0, min(p_values) * len(p_values))


def test_what_was_not_tested_is_no_member_of_the_family():
    adjusted = holm([math.nan, 0.03, math.nan])
    assert adjusted[1] == 0.03
    assert math.isnan(adjusted[0])


def test_p_values_at_margin_zero_are_those_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 5), rng.normal(0.8, 2, 4)
    welch = stats.ttest_ind(b, a, equal_var=False)
    apart = independent(a, b)
    assert apart.estimate / apart.error == pytest.approx(welch.statistic)
    assert apart.degrees == 3 < welch.df
    assert apart.p_outside(0) == pytest.approx(2 * stats.t.sf(abs(welch.statistic), 3))
    assert paired(a).p_outside(0) == pytest.approx(stats.ttest_1samp(a, 0).pvalue)
    assert paired(a).degrees == 4


def test_a_margin_moves_the_null_hypothesis_and_both_directions_count():
    effect = paired(np.array([0.30, 0.31, 0.32]))
    opposite = paired(-np.array([0.30, 0.31, 0.32]))
    assert effect.p_outside(0.1) == opposite.p_outside(0.1) > effect.p_outside(0.0)
    assert effect.p_outside(0.1) == pytest.approx(
        2 * stats.ttest_1samp([0.30, 0.31, 0.32], 0.1, alternative="greater").pvalue
    )
    assert effect.p_outside(1.0) == 1.0
    with pytest.raises(ValueError, match="0 or more"):
        effect.p_outside(-0.1)


def test_one_replicate_tells_nothing_and_no_spread_tells_all():
    assert paired(np.array([0.5])) == UNKNOWN
    assert independent(np.array([0.5]), np.array([0.4, 0.4])) == UNKNOWN
    assert math.isnan(UNKNOWN.p_outside(0))
    assert paired(np.array([0.5, 0.5])).p_outside(0.1) == 0.0
    assert independent(np.zeros(2), np.zeros(3)).p_outside(0) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [2, 3, 5])
@pytest.mark.parametrize(("spread", "margin"), [((0.05, 0.05), 0.0), ((0.02, 0.1), 0.1)])
def test_families_without_a_difference_are_flagged_in_at_most_one_of_twenty(rounds, spread, margin):
    """Under the worst null hypothesis: the true difference lies on the margin, in every test."""
    rng = np.random.default_rng(rounds)
    families, tests = 1000, 12
    found = {"paired": 0, "independent": 0}
    for _ in range(families):
        a = rng.normal(0, spread[0], (tests, rounds))
        b = rng.normal(margin, spread[1], (tests, rounds))
        sides = list(zip(a, b, strict=True))
        found["paired"] += min(holm([paired(y - x).p_outside(margin) for x, y in sides])) <= 0.05
        found["independent"] += min(holm([independent(x, y).p_outside(margin) for x, y in sides])) <= 0.05
    for flagged in found.values():
        assert stats.binomtest(flagged, families, 0.05, alternative="greater").pvalue > 0.001


def test_without_the_correction_the_same_families_would_be_flagged_often():
    rng = np.random.default_rng(1)
    flagged = [
        min(paired(values).p_outside(0) for values in rng.normal(0, 0.05, (12, 3))) <= 0.05
        for _ in range(200)
    ]
    assert np.mean(flagged) > 0.3
