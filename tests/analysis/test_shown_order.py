"""Which of two mechanisms is shown to be faster at which lengths."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.shown_order import LogRatios, first_change, latest_change, shown_order

LENGTHS = np.array([128.0, 256, 512, 1024, 2048])


def ratios(*values, reach=0.05, rounds=5, exact=False):
    """Cost ratios at the first lengths; intervals of 95 % that reach by a factor."""
    value = np.log(np.array(values, dtype=np.float64))
    reaches = np.full(len(value), math.log1p(reach))
    return LogRatios(
        lengths=LENGTHS[: len(value)],
        value=value,
        down=reaches,
        up=reaches,
        rounds=np.full(len(value), float(rounds)),
        exact=exact,
    )


@pytest.mark.parametrize(
    ("values", "outcome", "first", "until", "last", "since", "changes"),
    [
        ((0.5, 0.5, 0.5, 0.5, 0.5), "always", -1, 4, -1, 0, 0),
        ((2, 2, 2, 2, 2), "never", 1, 4, 1, 0, 0),
        ((2, 2, 1, 0.5, 0.5), "crosses", 1, 1, -1, 3, 1),
        ((0.5, 0.5, 1, 2, 2), "loses", -1, 1, 1, 3, 1),
        ((2, 0.5, 0.5, 0.5, 2), "several", 1, 0, 1, 4, 2),
        ((2, 0.5, 2, 0.5, 0.5), "several", 1, 0, -1, 3, 3),
        ((1, 1, 1, 0.5, 0.5), "partly", 0, 2, -1, 3, 0),
        ((0.5, 1, 1, 1, 0.5), "partly", -1, 0, -1, 4, 0),
        ((2, 1, 1, 1, 1), "partly", 1, 0, 0, 1, 0),
        ((1.02, 0.98, 1, 0.99, 1.01), "none", 0, 4, 0, 0, 0),
        # Neither end is shown, so what lies between them is not asked.
        ((1, 0.5, 0.5, 0.5, 1), "none", 0, 0, 0, 4, 0),
        ((2, 0.5), "crosses", 1, 0, -1, 1, 1),
    ],
)
def test_the_order_follows_what_is_shown(values, outcome, first, until, last, since, changes):
    found = shown_order(ratios(*values), risk=0.05)
    assert (found.outcome, found.first, found.until) == (outcome, first, until)
    assert (found.last, found.since, found.changes) == (last, since, changes)


def test_one_process_shows_nothing():
    assert shown_order(ratios(9, 9, 1, 0.1, 0.1, rounds=1), risk=0.05).outcome == "none"
    assert shown_order(ratios(9, 9, 1, 0.1, 0.1, rounds=2), risk=0.05).outcome == "crosses"


def test_a_lower_risk_asks_for_more():
    found = ratios(1.2, 1.2, 1, 0.8, 0.8)
    assert shown_order(found, risk=0.05).outcome == "crosses"
    assert shown_order(found, risk=0.0002).outcome == "none"


def test_a_middle_that_would_change_the_order_shares_the_risk():
    """Shown at the ends with half of the risk each; in the middle with a third of it."""
    found = ratios(2, 0.93, 1, 1, 2)
    assert shown_order(found, risk=0.05).outcome == "several"
    assert shown_order(found, risk=0.04).outcome == "partly"


def test_a_crossing_has_an_interval_with_both_ends():
    found = ratios(2, 2, 1, 0.5, 0.5)
    at, low, high = latest_change(found, shown_order(found, risk=0.05), risk=0.05)
    assert at == pytest.approx(512)
    assert 256 < low < at < high < 1024
    lost = found.swapped()
    assert latest_change(lost, shown_order(lost, risk=0.05), risk=0.05) == pytest.approx((at, low, high))


def test_an_end_that_the_data_do_not_bound_is_missing():
    found = ratios(1, 1, 1, 0.5, 0.5)
    _, low, high = latest_change(found, shown_order(found, risk=0.05), risk=0.05)
    assert math.isnan(low)
    assert 512 < high < 1024


def test_both_changes_of_an_order_have_a_length():
    found = ratios(2, 0.5, 0.5, 0.5, 2)
    order = shown_order(found, risk=0.05)
    assert first_change(found, order) == pytest.approx(math.sqrt(128 * 256))
    assert latest_change(found, order, risk=0.05)[0] == pytest.approx(math.sqrt(1024 * 2048))


def test_exact_numbers_need_no_process():
    found = ratios(2, 1.01, 0.99, 0.5, rounds=0, exact=True)
    assert shown_order(found, risk=1e-9).outcome == "crosses"


def test_a_ratio_that_is_missing_shows_nothing():
    assert shown_order(ratios(math.nan, 0.5, 0.5), risk=0.05).outcome == "partly"
    assert shown_order(ratios(0.5, 0.5, math.nan), risk=0.05).outcome == "partly"
