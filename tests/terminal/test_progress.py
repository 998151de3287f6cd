"""Time left from a fake clock, and lines of a log that say it."""

import itertools

import pytest

from linrec_bench.commands.run import Plan
from linrec_bench.execution.driver import Event
from linrec_bench.execution.schedule import Planned
from linrec_bench.execution.trial import Sample, TrialResult
from linrec_bench.results import store
from linrec_bench.suite.expand import expand
from linrec_bench.suite.schema import Suite
from linrec_bench.terminal import counters
from linrec_bench.terminal.counters import Seldom
from linrec_bench.terminal.progress_bar import Course, Eta, progress


@pytest.fixture
def plan():
    sweep = {"task": "core", "attention": ["softmax"], "phases": ["forward"], "rounds": 2}
    sweep["grid"] = {"seq_len": [8, 16]}
    suite = Suite.model_validate({"name": "s", "title": "Two [lengths]", "sweeps": [sweep]})
    return Plan(suite, expand(suite, device="cpu"), "cpu")


def event(trial, seconds, status="ok"):
    detail = "no memory for [B, N]" if status == "oom" else ""
    return Event(trial, TrialResult(status=status, detail=detail, seconds=seconds), None)


def test_a_case_that_was_measured_takes_as_long_again(plan):
    short, long = plan.jobs
    trials = [Planned(job, number) for number in (0, 1) for job in (short, long)]
    clock = iter([2.0, 12.0, 14.0, 24.0])
    eta = Eta(trials, lambda: next(clock))
    assert eta.update(event(trials[0], 2.0)) == 2.0 + 2 * 2.0
    assert eta.update(event(trials[1], 10.0)) == 2.0 + 10.0
    assert eta.update(event(trials[2], 2.0)) == 10.0
    assert eta.update(event(trials[3], 10.0)) == 0.0


def test_what_passes_between_trials_is_shared_out(plan):
    trials = [Planned(job, number) for number in (0, 1) for job in plan.jobs]
    clock = itertools.count(50.0, 3.0)
    eta = Eta(trials, lambda: next(clock))
    assert eta.update(event(trials[0], 1.0)) == 3 * 1.0
    assert eta.update(event(trials[1], 1.0)) == 2 * (1.0 + 2.0)


def test_a_log_has_a_line_a_trial_and_ends_without_a_wait(plan, tmp_path, capfd):
    run = store.create(
        tmp_path, suite="s", suite_text="", cases=[], environment={"fingerprint": "f"}, now=store_time()
    )
    with progress(plan, run, 0) as on_event:
        for trial in plan.trials[:3]:
            on_event(event(trial, 2.0))
        on_event(event(plan.trials[3], 0.0, status="oom"))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "Two [lengths]: 2 cases, 4 trials on cpu"
    assert lines[1].startswith("[1/4] ok softmax, core forward, bidirectional, N = ")
    assert lines[1].endswith(" left")
    assert lines[4].startswith("oom: softmax")
    assert lines[4].endswith("no memory for [B, N]")
    assert lines[5].startswith("[4/4] oom")
    assert "left" not in lines[5]
    assert lines[6] == "trials: 3 ok, 1 oom"


def test_an_epoch_is_told_with_its_metric_and_the_time_that_the_others_take():
    sweep = {"task": "recommend", "attention": ["linrec"], "model": "sasrec", "dataset": "synthetic"}
    sweep |= {"fixed": {"seq_len": 8, "causal": True}, "training": {"epochs": 10, "budget_seconds": 30.0}}
    suite = Suite.model_validate({"name": "s", "sweeps": [sweep]})
    (job,) = expand(suite, device="cpu")
    course, trial = Course(), Planned(job, 0)

    def told(measure, value, epoch, phase=""):
        return course.text(trial, Sample(measure=measure, value=value, unit="1", repeat=epoch, phase=phase))

    assert told("train_loss", 3.0, 1) is None
    assert told("epoch_time", 2.0, 1) == "epoch 1 of 10, 18 s left"
    assert told("ndcg@10", 0.125, 1, phase="validation") is None
    assert told("ndcg@10", 0.5, 1, phase="test") is None
    assert told("epoch_time", 4.0, 2) == "epoch 2 of 10, NDCG@10 0.1250, 24 s left"
    # The budget ends before the epochs do.
    assert told("epoch_time", 18.0, 3) == "epoch 3 of 10, NDCG@10 0.1250, 6 s left"


def test_the_epochs_of_a_training_reach_a_log(plan, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(counters, "SECONDS_A_LINE", 0.0)
    sweep = {"task": "recommend", "attention": ["linrec"], "model": "sasrec", "dataset": "synthetic"}
    sweep |= {"fixed": {"seq_len": 8, "causal": True}, "training": {"epochs": 2}}
    suite = Suite.model_validate({"name": "s", "sweeps": [sweep]})
    (job,) = expand(suite, device="cpu")
    run = store.create(tmp_path, suite="s", suite_text="", cases=[], environment={}, now=store_time())
    with progress(Plan(suite, [job], "cpu"), run, 0) as watch:
        watch.on_sample(Planned(job, 0), Sample(measure="epoch_time", value=3.0, unit="s", repeat=1))
    told = capfd.readouterr().err.splitlines()[1]
    assert told.startswith("linrec, training, causal, N = 8")
    assert told.endswith(": epoch 1 of 2, 3 s left")


def test_a_log_has_a_line_in_ten_seconds_at_most():
    clock = iter([0.0, 9.0, 11.0, 20.0, 21.0])
    often = Seldom(lambda: next(clock))
    assert [often.due() for _ in range(4)] == [False, True, False, True]


def store_time():
    from datetime import datetime

    return datetime(2026, 1, 1)
