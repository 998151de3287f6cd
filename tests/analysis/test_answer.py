"""What findings say of a log: verdicts, what would decide them, and the histories beyond a break-even."""

from dataclasses import replace

import numpy as np
import pytest

from linrec_bench.analysis.answer import facts_of, rounds_needed, seeds_needed, share_beyond, verdict_of
from linrec_bench.analysis.findings import Finding
from linrec_bench.analysis.risk import QUALITY
from linrec_bench.analysis.user_bootstrap import crossed


def quality(difference, *, reach=0.004, shown=False, subject="linrec", **evidence):
    return Finding(
        kind="quality",
        subject=subject,
        reference="sdpa",
        value=0.1 + difference,
        unit="ndcg@10",
        evidence={
            "difference": difference,
            "difference_low": difference - reach / 2,
            "difference_high": difference + reach / 2,
            "detectable": reach,
            "shown": shown,
            "p_holm": 0.5,
            "users": 1000,
            "seeds": 3,
            "against_quality": 0.1,
        }
        | evidence,
    )


def cost(outcome, *, task="layer", subject="linrec", value=None, low=None, high=None, **evidence):
    return Finding(
        kind="crossover",
        subject=subject,
        reference="sdpa",
        value=value,
        low=low,
        high=high,
        where={"task": task},
        evidence={"outcome": outcome, "shortest": 32, "longest": 4096, "last": 0, "since": 1024} | evidence,
    )


def test_kept_is_a_loss_of_five_percent_ruled_out_at_the_strict_level():
    assert verdict_of(quality(-0.0009)) == "kept"
    assert verdict_of(quality(-0.0011)) == "undecided"
    assert verdict_of(quality(-0.0100, shown=True)) == "lost"
    assert verdict_of(quality(+0.0100, shown=True)) == "better"
    # Of one seed nothing is known.
    assert verdict_of(quality(0.0, detectable=None)) == "undecided"


def test_the_seeds_that_decide_follow_from_the_variances_of_users_and_of_seeds():
    rng = np.random.default_rng(0)
    of_users, of_seeds = rng.normal(0, 0.02, 2000), rng.normal(0, 0.006, 5)
    drawn = of_seeds[:, None] + of_users + rng.normal(0, 0.01, (5, 2000))
    planted = drawn - drawn.mean() - 0.006
    known = crossed(planted)
    finding = quality(
        known.mean,
        users=2000,
        seeds=5,
        detectable=known.reach(QUALITY / 2),
        difference_low=known.low,
        difference_high=known.high,
    )
    number = seeds_needed(finding, 2)
    assert number is not None

    def reach(seeds):
        variances = [(known.factors[0]), (known.factors[1][0] * 5 / seeds, seeds - 1)]
        return replace(known, factors=variances, seeds=seeds).reach(QUALITY / 2)

    assert reach(number) < 0.006 * 1.02
    assert reach(number - 1) > 0.006 * 0.98
    # Users alone are too few for a difference that is so small.
    assert seeds_needed(quality(0.0, reach=0.2, difference_low=-0.18, difference_high=0.18), 2) is None


@pytest.mark.parametrize(
    ("finding", "shares"),
    [
        (cost("crosses", value=100.0, low=50.0, high=200.0), (0.5, 0.25, 0.75)),
        (cost("crosses", value=100.0, high=200.0), (0.5, 0.25, None)),
        (cost("always"), (0.75, None, None)),
        (cost("partly", last=-1), (0.0, None, None)),
    ],
)
def test_the_share_of_histories_from_the_break_even_on(finding, shares):
    found = share_beyond(finding, np.array([10, 60, 100, 300]))
    assert (found.value, found.low, found.high) == shares


@pytest.mark.parametrize(
    "finding", [cost("never", last=1), cost("none"), cost("partly", last=1), cost("loses")]
)
def test_without_a_break_even_no_history_is_beyond_it(finding):
    assert share_beyond(finding, np.array([10])) is None


def test_more_rounds_decide_what_is_nearly_shown():
    assert rounds_needed(cost("none", ratio=0.8, detectable=1.5, rounds=3)) == 10
    assert rounds_needed(cost("none", ratio=0.99, detectable=2.0, rounds=3)) is None
    assert rounds_needed(cost("never", last=1, ratio=1.5, detectable=1.1, rounds=3)) is None


def test_the_best_quality_comes_first_and_floors_are_no_answer():
    lost, kept = quality(-0.02, shown=True, subject="b"), quality(0.0, subject="c")
    findings = [quality(0.0, subject="copy"), lost, kept, cost("always", subject="b", task="decode")]
    found = facts_of(findings, np.array([10, 20, 30]))
    assert [(each.subject, each.verdict) for each in found] == [("c", "kept"), ("b", "lost")]
    assert found[1].serving is findings[3]
    assert found[1].break_even is None
