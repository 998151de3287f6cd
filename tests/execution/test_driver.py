"""The runner over a fake executor: no process, no clock."""

import io
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.execution import worker
from linrec_bench.execution.driver import run_jobs
from linrec_bench.execution.schedule import Prediction
from linrec_bench.execution.trial import CallEnded, Sample, TrialResult
from linrec_bench.results import store
from linrec_bench.results.case_table import text_of
from linrec_bench.results.rows import TRIAL
from linrec_bench.settings import TrainingSettings
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling

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


def ended(result):
    future = Future()
    future.set_result(result)
    return future


class FakeExecutor:
    """A machine of `slots` places under a fake clock: each trial ends after its seconds, as told.

    `results` maps (attention, round) to a result, ok after one second by default. The clock moves when the
    driver waits: then the trial that is over first has ended. `interrupt_after` trials comes a Ctrl-C.
    """

    def __init__(self, results=None, predictions=None, interrupt_after=None, slots=1, apart=1):
        self.results, self.predictions = results or {}, predictions or {}
        self.interrupt_after = interrupt_after
        self.slots, self.apart = slots, apart
        self.ran = []
        self.memory = []
        self.most_at_once = 0
        self._now = 0.0
        self._ends = {}

    def submit(self, trial):
        if trial.work.func is worker.free_memory:
            return ended(TrialResult(status="ok", samples=(sample("free_bytes", GIB, "B"),)))
        if trial.work.func is worker.measure_ceilings:
            rates = {"copy_bandwidth": "B/s", "matmul_rate": "FLOP/s"}
            rates = tuple(sample(name, 1e9, unit, group="float32") for name, unit in rates.items())
            return ended(TrialResult(status="ok", samples=rates))
        job, round = trial.work.args
        self.ran.append((job.case.attention, job.case.seq_len, round))
        self.memory.append(trial.memory_bytes)
        result = self.results.get((job.case.attention, round), TrialResult(status="ok", seconds=1.0))
        future = Future()
        result = replace(result, host="here", samples=(sample("time", 0.5, "s"),))
        self._ends[future] = (self._now + result.seconds, result)
        self.most_at_once = max(self.most_at_once, len(self._ends))
        return future

    def call(self, function, case):
        assert function is worker.predict
        known = self.predictions.get((case.attention, case.seq_len))
        if isinstance(known, Exception):
            failed = Future()
            failed.set_exception(known)
            return failed
        return ended(known or Prediction(flops=100, minimum_bytes=10))

    def wait(self, running):
        if self.interrupt_after is not None and len(self.ran) > self.interrupt_after:
            raise KeyboardInterrupt
        done = {future for future in running if future.done()}
        if done:
            return done
        first = min(running, key=lambda future: self._ends[future][0])
        self._now, result = self._ends.pop(first)
        first.set_result(result)
        return {first}


def sample(measure, value, unit, **more):
    return Sample(measure=measure, value=value, unit=unit, **more)


@pytest.fixture
def run(tmp_path):
    return store.create(
        tmp_path, suite="s", suite_text="", cases=[], environment={}, now=datetime(2026, 1, 1)
    )


def execute(run, jobs, executor, **options):
    (run.folder / "cases.jsonl").write_text(text_of(dict.fromkeys(job.case for job in jobs)))
    with store.Writer(run) as writer:
        run_jobs(
            jobs,
            executor=executor,
            writer=writer,
            suite="s",
            device="cpu",
            wait=executor.wait,
            **options,
        )


def closings(run):
    samples = run.samples()
    rows = samples[(samples["measure"] == TRIAL) & (samples["task"] != "device")]
    return [(r.attention, r.seq_len, r.round, r.status) for r in rows.itertuples()]


def test_rows_tell_the_facts_of_a_workload_and_a_training_step_has_its_catalogue(run):
    training, expected = TrainingSettings(catalogue_size=70), 70
    step = Case(
        task="train_step", phase="step", attention="copy", model="sasrec", seq_len=8, training=training
    )
    executor = FakeExecutor(predictions={("copy", 8): worker.predict(step)})
    execute(run, [replace(job("copy"), case=step)], executor)
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
    executor = FakeExecutor({("a", 0): TrialResult(status=status, detail="why", seconds=1.0)})
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


def test_a_case_whose_code_ends_the_process_that_counts_it_is_measured_all_the_same(run):
    executor = FakeExecutor(predictions={("a", 8): CallEnded("the process died of SIGSEGV")})
    execute(run, [job("a", rounds=1), job("b", rounds=1)], executor)
    assert closings(run) == [("a", 8, 0, "ok"), ("b", 8, 0, "ok")]


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
    # The trial that was interrupted has no row, and runs once more.
    assert first.ran[-1] == second.ran[0]
    assert len(set(first.ran + second.ran)) == len(first.ran + second.ran) - 1 == 6
    assert len(closings(run)) == len(set(closings(run))) == 6
    assert (run.samples()["measure"] == "copy_bandwidth").sum() == 1


def test_a_resumed_run_remembers_which_cases_failed(run):
    jobs = [job("a", rounds=3)]
    first = FakeExecutor({("a", 0): TrialResult(status="oom", seconds=1.0)})
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


def training(attention, rounds=1):
    case = Case(
        task="recommend", phase="train_and_rank", attention=attention, model="sasrec", dataset="d", seq_len=8
    )
    return replace(job(attention, rounds=rounds), case=case)


def test_timed_trials_run_alone_whatever_the_slots(run):
    executor = FakeExecutor(slots=4)
    execute(run, [job("a"), job("b"), training("c"), training("d")], executor)
    assert executor.most_at_once == 2
    assert len(closings(run)) == 6


def test_trainings_share_the_slots_and_are_written_as_they_end(run):
    results = {(name, 0): TrialResult(status="ok", seconds=s) for name, s in (("a", 9.0), ("b", 2), ("c", 3))}
    executor = FakeExecutor(results, slots=2)
    execute(run, [training(name) for name in "abc"], executor)
    assert executor.most_at_once == 2
    began = [attention for attention, *_ in executor.ran]
    written = [attention for attention, *_ in closings(run)]
    assert sorted(written) == ["a", "b", "c"]
    # Whatever began first, `a` takes longer than the two others one after the other.
    assert written[-1] == "a" or began[-1] == "a"
    assert written != began


def test_a_worker_that_is_killed_beside_others_costs_them_nothing(run):
    results = {("a", 0): TrialResult(status="killed", detail="the process died of SIGKILL", seconds=0.5)}
    execute(run, [training(name, rounds=2) for name in "ab"], FakeExecutor(results, slots=2))
    assert sorted(closings(run)) == [
        ("a", 8, 0, "killed"),
        ("a", 8, 1, "skipped"),
        ("b", 8, 0, "ok"),
        ("b", 8, 1, "ok"),
    ]


def test_an_interrupt_with_several_at_work_loses_and_doubles_nothing(run):
    jobs = [training(name) for name in "abcde"]
    first = FakeExecutor(interrupt_after=3, slots=2)
    with pytest.raises(KeyboardInterrupt):
        execute(run, jobs, first)
    stored = closings(run)
    assert 0 < len(stored) < 5
    execute(run, jobs, FakeExecutor(slots=2))
    assert len(closings(run)) == len(set(closings(run))) == 5
    assert closings(run)[: len(stored)] == stored


def test_arrays_of_a_trial_are_stored_with_it(run):
    file = io.BytesIO()
    np.savez_compressed(file, rank=np.array([1, 2]))
    result = TrialResult(status="ok", artefacts={"ranks": file.getvalue()})
    execute(run, [training("a")], FakeExecutor({("a", 0): result}))
    (arrays,) = run.ranks().values()
    assert arrays["rank"].tolist() == [1, 2]


def test_rounds_of_a_case_run_one_after_another_so_that_a_failure_ends_them(run):
    executor = FakeExecutor({("a", 0): TrialResult(status="oom", seconds=1.0)}, slots=2)
    execute(run, [training("a", rounds=2)], executor)
    assert executor.ran == [("a", 8, 0)]
    assert closings(run) == [("a", 8, 0, "oom"), ("a", 8, 1, "skipped")]
