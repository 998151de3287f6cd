"""Time to one quality on both sides of a comparison, on curves whose truth is known."""

import math

import numpy as np
import pytest

from linrec_bench.analysis.compare import compare_mechanisms, compare_runs
from linrec_bench.analysis.seeds import mean_and_half_width


@pytest.fixture
def two_runs(planted):
    """Collectors of the rows of a run A and a run B."""
    return type(planted)(seed=1, run_id="a"), type(planted)(seed=2, run_id="b")


@pytest.fixture
def train(recommend_case):
    """`train(side, [0.1, 0.2], epoch_s=3.0)`: a training whose validations read so."""

    def plant(side, curve, *, epoch_s=1.0, joules=None, attention="linrec", status="ok", round=0, **fields):
        case = recommend_case(attention, **fields)
        for number, quality in enumerate(curve, start=1):
            side.add(case, "epoch_time", epoch_s, "s", repeat=number, round=round)
            if joules is not None:
                side.add(case, "epoch_energy", joules, "J", repeat=number, round=round)
            side.add(case, "ndcg@10", quality, "1", phase="validation", repeat=number, round=round)
        if status == "ok":
            side.add(case, "ndcg@10", max(curve), "1", phase="test", round=round)
        side.close(case, status=status, round=round)

    return plant


def compared(a, b, **more):
    return compare_runs(a.frame(), b.frame(), margin=0.1, **more)


def only(found):
    (reached,) = found.reached
    return reached


def test_the_target_is_the_lowest_best_of_the_two(two_runs, train):
    a, b = two_runs
    train(a, [0.10, 0.20, 0.30], epoch_s=4.0, joules=100.0)
    train(b, [0.05, 0.25, 0.22], epoch_s=3.0, joules=20.0)
    found = only(compared(a, b))
    # A gets there in its third epoch, B in its second.
    assert (found.target, found.seeds, found.a_reached, found.b_reached) == (0.25, 1, 1, 1)
    assert (found.a_s, found.b_s, found.a_j, found.b_j) == (12.0, 6.0, 300.0, 40.0)
    assert found.change == pytest.approx(0.5)
    assert found.bound == ""
    # One seed has no interval.
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_no_verdict_is_given(two_runs, train):
    a, b = two_runs
    train(a, [0.2], epoch_s=1.0)
    train(b, [0.2], epoch_s=50.0)
    found = compared(a, b)
    assert only(found).change == pytest.approx(50.0)
    assert found.verdicts() == {"undecided": 1}
    assert [line.measure for line in found.lines] == ["ndcg@10"]


def test_a_training_that_never_got_there_bounds_the_ratio(two_runs, train):
    a, b = two_runs
    train(a, [0.1, 0.3], epoch_s=2.0, joules=5.0)
    train(b, [0.1, 0.2, 0.2], epoch_s=6.0, joules=5.0)
    found = only(compared(a, b, target=0.3))
    assert (found.a_s, found.b_s, found.a_reached, found.b_reached) == (4.0, 18.0, 1, 0)
    assert (found.change, found.bound) == (pytest.approx(4.5), "at least")
    assert found.a_j == 10.0
    assert math.isnan(found.b_j)
    turned = only(compared(b, a, target=0.3))
    assert (turned.change, turned.bound) == (pytest.approx(1 / 4.5), "at most")
    neither = only(compared(a, b, target=0.9))
    assert (neither.bound, neither.a_reached, neither.b_reached) == ("unknown", 0, 0)
    assert math.isnan(neither.change)


def test_a_training_that_was_stopped_decides_no_target_and_is_censored(two_runs, train):
    a, b = two_runs
    train(a, [0.1, 0.2], epoch_s=2.0)
    train(b, [0.05, 0.06], epoch_s=7.0, status="timeout")
    found = only(compared(a, b))
    assert (found.target, found.a_s, found.b_s, found.bound) == (0.2, 4.0, 14.0, "at least")
    # Where none ended ok there is nothing to be as good as.
    assert compared(b, b).reached == ()


def test_seeds_are_paired(two_runs, train):
    a, b = two_runs
    for seed, (ours, theirs) in enumerate([(2.0, 1.0), (20.0, 11.0), (4.0, 1.5)]):
        train(a, [0.1, 0.2], epoch_s=ours, seed=seed)
        train(b, [0.1, 0.2], epoch_s=theirs, seed=seed)
    # A seed without a partner says nothing.
    train(a, [0.01], epoch_s=1e6, seed=7)
    found = only(compared(a, b))
    mean, half = mean_and_half_width(np.log([1 / 2, 11 / 20, 1.5 / 4]))
    assert (found.target, found.seeds, found.a_s, found.b_s) == (0.2, 3, 52 / 3, 9.0)
    assert found.change == pytest.approx(math.exp(mean))
    assert (found.low, found.high) == pytest.approx((math.exp(mean - half), math.exp(mean + half)))


def test_a_seed_that_never_got_there_counts_with_what_it_had_spent(two_runs, train):
    a, b = two_runs
    for seed in (0, 1):
        train(a, [0.1, 0.2], epoch_s=2.0, seed=seed)
        train(b, [0.1, 0.2 if seed else 0.1], epoch_s=4.0, seed=seed)
    found = only(compared(a, b, target=0.2))
    assert (found.b_reached, found.seeds, found.b_s, found.bound) == (1, 2, 8.0, "at least")
    assert found.change == pytest.approx(2.0)
    assert math.isnan(found.low)


def test_each_place_has_a_target_of_its_own(two_runs, train):
    a, b = two_runs
    for side in two_runs:
        train(side, [0.4], dataset="easy")
        train(side, [0.1], dataset="hard")
    assert {each.place.dataset: each.target for each in compared(a, b).reached} == {"easy": 0.4, "hard": 0.1}


def test_of_several_rounds_the_one_that_did_worst_decides_the_target(two_runs, train):
    a, b = two_runs
    train(a, [0.3])
    train(b, [0.1, 0.3], epoch_s=1.0)
    train(b, [0.1, 0.2], epoch_s=3.0, round=1)
    found = only(compared(a, b))
    # The median of 2 s and 6 s.
    assert (found.target, found.b_s) == (0.2, 4.0)


def test_two_mechanisms_of_one_run(planted, train):
    train(planted, [0.1, 0.2], epoch_s=3.0, attention="softmax")
    train(planted, [0.2], epoch_s=2.0, attention="linrec")
    found = compare_mechanisms(planted.frame(), attention="linrec", against="softmax", margin=0.1)
    assert (only(found).a_s, only(found).b_s) == (6.0, 2.0)
    place = only(found).place
    assert (place.attention, place.against) == ("linrec", "softmax")


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan])
def test_an_impossible_target_is_refused(two_runs, layer_case, target):
    a, b = two_runs
    for side in two_runs:
        side.cost(layer_case("linrec"), 1e-3)
    assert compared(a, b).reached == ()
    with pytest.raises(ValueError, match="expected a validation NDCG@10 between 0 and 1"):
        compared(a, b, target=target)
