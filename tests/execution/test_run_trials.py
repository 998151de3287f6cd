"""The runner over a fake executor: no process, no clock."""

from dataclasses import replace
from datetime import datetime

import pytest

from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.execution import worker
from linrec_bench.execution.local_executor import Outcome, Sample
from linrec_bench.execution.run_trials import run_jobs
from linrec_bench.execution.schedule import Prediction
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL
from linrec_bench.settings import TrainingSettings
from linrec_bench.suite.expand import Job
from linrec_bench.suite.schema import Limits, Sampling

GIB = 2**30


def job(attention, seq_len=8, rounds=2):
    case = Case(task="core", phase="forward", attention=attention, seq_len=seq_len)
    return Job(
        case=case,
        measures=("time", "flops"),
        rounds=rounds,
        limits=Limits(case_seconds=10),
        sampling=Sampling(),
    )


class FakeExecutor:
    """Ends each trial as told; `outcomes` maps (attention, round) to an outcome, ok by default."""

    def __init__(self, outcomes=None, predictions=None, interrupt_after=None):
        self.outcomes, self.predictions = outcomes or {}, predictions or {}
        self.interrupt_after = interrupt_after
        self.ran = []
        self.memory = []

    def run(self, work, *, seconds, memory_bytes, on_sample):
        if work.func is worker.measure_ceilings:
            on_sample(Sample(measure="copy_bandwidth", value=1e9, unit="B/s", phase="float32"))
            on_sample(Sample(measure="matmul_rate", value=1e9, unit="FLOP/s", phase="float32"))
            return Outcome("ok", "", 0.1)
        trial, round = work.args
        if self.interrupt_after is not None and len(self.ran) == self.interrupt_after:
            raise KeyboardInterrupt
        self.ran.append((trial.case.attention, trial.case.seq_len, round))
        self.memory.append(memory_bytes)
        on_sample(Sample(measure="time", value=0.5, unit="s"))
        return self.outcomes.get((trial.case.attention, round), Outcome("ok", "", 1.0))

    def call(self, function, case):
        assert function is worker.predict
        return self.predictions.get((case.attention, case.seq_len), Prediction(flops=100, minimum_bytes=10))


@pytest.fixture
def run(tmp_path):
    return store.create(tmp_path, suite="s", suite_text="", environment={}, now=datetime(2026, 1, 1))


def execute(run, jobs, executor, **options):
    with store.Writer(run) as writer:
        run_jobs(
            jobs,
            executor=executor,
            writer=writer,
            suite="s",
            device="cpu",
            free_bytes=GIB,
            **options,
        )


def closings(run):
    samples = run.samples()
    rows = samples[(samples["measure"] == TRIAL) & (samples["task"] != "device")]
    return [(r.attention, r.seq_len, r.round, r.status) for r in rows.itertuples()]


@pytest.mark.parametrize(
    ("training", "expected"), [(None, 10_000), (TrainingSettings(catalogue_size=70), 70)]
)
def test_rows_of_a_training_step_tell_its_catalogue(run, training, expected):
    step = Case(
        task="train_step", phase="step", attention="copy", model="sasrec", seq_len=8, training=training
    )
    execute(run, [replace(job("copy"), case=step)], FakeExecutor())
    samples = run.samples()
    (found,) = samples[samples["measure"] == "catalogue_size"].to_dict("records")
    assert (found["value"], found["unit"], found["round"]) == (expected, "1", 0)
    assert set(summarise(samples, reference="copy")["catalogue_size"]) == {expected}


def test_every_trial_ends_as_rows_and_exact_counts_come_once(run):
    executor = FakeExecutor()
    execute(run, [job("a"), job("b")], executor)
    assert sorted(closings(run)) == [(a, 8, r, "ok") for a in "ab" for r in (0, 1)]
    samples = run.samples()
    assert (samples["measure"] == "flops").sum() == 2
    assert samples[samples["measure"] == "copy_bandwidth"]["dtype"].tolist() == ["float32"]
    assert set(executor.memory) == {int(0.8 * GIB)}


@pytest.mark.parametrize("status", ["oom", "timeout", "killed", "error", "unsupported"])
def test_a_failing_case_costs_no_other_rows_and_is_not_tried_again(run, status):
    executor = FakeExecutor({("a", 0): Outcome(status, "why", 1.0)})
    execute(run, [job("a"), job("b")], executor)
    assert sorted(closings(run)) == [
        ("a", 8, 0, status),
        ("a", 8, 1, "skipped"),
        ("b", 8, 0, "ok"),
        ("b", 8, 1, "ok"),
    ]
    assert ("a", 8, 1) not in executor.ran
    samples = run.samples()
    later = samples[(samples["status"] == "skipped")].iloc[0]
    assert later["detail"] == f"an earlier round ended as {status}"


def test_what_is_predicted_not_to_fit_or_not_to_exist_is_never_started(run):
    predictions = {
        ("big", 8): Prediction(peak_live_bytes=2 * GIB),
        ("none", 8): Prediction(unsupported="no causal form"),
    }
    executor = FakeExecutor(predictions=predictions)
    execute(run, [job("big", rounds=1), job("none", rounds=1), job("a", rounds=1)], executor)
    assert executor.ran == [("a", 8, 0)]
    assert sorted(closings(run)) == [
        ("a", 8, 0, "ok"),
        ("big", 8, 0, "skipped"),
        ("none", 8, 0, "unsupported"),
    ]


def test_a_case_too_slow_for_its_limit_is_skipped_after_a_smaller_one_was_measured(run):
    predictions = {("a", 8): Prediction(flops=10**9), ("a", 64): Prediction(flops=64 * 10**9)}
    executor = FakeExecutor(predictions=predictions)
    execute(run, [job("a", 8, rounds=1), job("a", 64, rounds=1)], executor)
    assert executor.ran == [("a", 8, 0)]
    assert closings(run)[1] == ("a", 64, 0, "skipped")


def test_an_interrupted_run_resumes_and_measures_no_stored_trial_twice(run):
    jobs = [job("a"), job("b"), job("c")]
    first = FakeExecutor(interrupt_after=2)
    with pytest.raises(KeyboardInterrupt):
        execute(run, jobs, first)
    assert len(closings(run)) == 2
    second = FakeExecutor()
    execute(run, jobs, second)
    assert len(first.ran + second.ran) == len(set(first.ran + second.ran)) == 6
    assert len(closings(run)) == 6
    assert (run.samples()["measure"] == "copy_bandwidth").sum() == 1


def test_a_resumed_run_remembers_which_cases_failed(run):
    jobs = [job("a", rounds=3)]
    first = FakeExecutor({("a", 0): Outcome("oom", "", 1.0)})
    execute(run, [job("a", rounds=1)], first)
    second = FakeExecutor()
    execute(run, jobs, second)
    assert second.ran == []
    assert [status for *_, status in closings(run)] == ["oom", "skipped", "skipped"]


def test_events_tell_each_end(run):
    events = []
    execute(run, [job("a", rounds=1)], FakeExecutor(), on_event=events.append)
    (event,) = events
    assert event.outcome.status == "ok"
    assert event.call_seconds == 0.5
