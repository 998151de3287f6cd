from collections import Counter

from linrec_bench.case import Case
from linrec_bench.execution.schedule import (
    Ceilings,
    Pace,
    Prediction,
    memory_bytes,
    order,
    remaining,
    skip_reason,
)
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling


def job(attention="softmax", seq_len=8, rounds=3, **limits):
    case = Case(task="core", phase="forward", attention=attention, seq_len=seq_len)
    return Job(case=case, measures=("time",), rounds=rounds, limits=Limits(**limits), sampling=Sampling())


JOBS = [job(a, n) for n in (8, 16) for a in ("softmax", "linrec", "copy")]


def test_every_trial_once_rounds_outermost_mechanisms_side_by_side():
    trials = order(JOBS)
    assert Counter(trial.key for trial in trials) == Counter(
        {(job.case.id, round): 1 for job in JOBS for round in range(3)}
    )
    assert [trial.round for trial in trials] == sorted(trial.round for trial in trials)
    for start in range(0, len(trials), 3):
        beside = trials[start : start + 3]
        assert len({trial.job.case.seq_len for trial in beside}) == 1
        assert {trial.job.case.attention for trial in beside} == {"softmax", "linrec", "copy"}


def test_the_order_of_mechanisms_varies_between_rounds_and_not_between_calls():
    many = [job(a) for a in "abcdefgh"]
    drawn = [[t.job.case.attention for t in order(many) if t.round == round] for round in range(3)]
    assert drawn[0] != drawn[1]
    assert order(many) == order(many)


def test_a_resumed_run_owes_what_is_not_stored():
    trials = order(JOBS)
    stored = {trial.key for trial in trials[:5]}
    assert remaining(trials, stored) == trials[5:]


def test_rounds_may_differ_between_jobs():
    trials = order([job(rounds=1), job(seq_len=16, rounds=2)])
    assert [(t.job.case.seq_len, t.round) for t in trials] == [(8, 0), (16, 0), (16, 1)]


def test_memory_limits_are_amounts_or_shares():
    assert memory_bytes(100, 1) == 100
    assert memory_bytes("80%", 1000) == 800


def test_a_case_that_cannot_fit_is_skipped_with_both_numbers():
    needs = Prediction(peak_live_bytes=3 * 2**30)
    skip = skip_reason(job(), needs, pace=None, memory_limit_bytes=2**30)
    assert skip == ("memory", "predicted to need 3.00 GiB; the limit is 1.00 GiB")
    assert skip_reason(job(), needs, pace=None, memory_limit_bytes=2**32) is None
    assert skip_reason(job(), None, pace=None, memory_limit_bytes=0) is None


def test_time_is_predicted_from_the_nearest_measured_case_of_the_same_mechanism():
    pace = Pace(Ceilings(copy_bandwidth=1e9, matmul_rate=1e9))
    small, large = Prediction(flops=10**9), Prediction(flops=4 * 10**9)
    assert pace.predict(job(seq_len=16).case, large) is None
    pace.learn(job(seq_len=8).case, small, call_seconds=2.0)
    assert pace.predict(job(seq_len=16).case, large) == (8.0, 8)
    assert pace.predict(job("linrec", 16).case, large) is None
    slow = job(seq_len=16, case_seconds=50)
    assert skip_reason(slow, large, pace=pace, memory_limit_bytes=2**40) == (
        "time",
        "predicted to take 56 s (from seq_len 8); the limit is 50 s",
    )
    assert skip_reason(job(seq_len=16), large, pace=pace, memory_limit_bytes=2**40) is None


def test_only_what_is_far_beyond_the_ceilings_is_beaten():
    ceilings = Ceilings(copy_bandwidth=1e9, matmul_rate=1e9)
    product = Prediction(flops=10**9, minimum_bytes=1)
    # One second at the ceiling: a tenth of it is the limit.
    assert ceilings.beaten_by(product, 0.101) is None
    assert "10 times faster than the products" in ceilings.beaten_by(product, 0.099)
    moved = Prediction(flops=1, minimum_bytes=10**9)
    assert ceilings.beaten_by(moved, 0.026) is None
    assert "40 times faster than its copies" in ceilings.beaten_by(moved, 0.024)
    # A view of an input costs nothing.
    assert ceilings.beaten_by(Prediction(minimum_bytes=10**9), 1e-9) is None
