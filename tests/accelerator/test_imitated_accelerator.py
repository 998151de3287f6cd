"""Every task through the fork server on an accelerator that is imitated, and each way in which one fails."""

from dataclasses import replace
from datetime import datetime

import pytest

from linrec_bench.case import Case, freeze
from linrec_bench.execution.driver import run_jobs
from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.results import store
from linrec_bench.results.case_table import text_of
from linrec_bench.results.rows import TRIAL
from linrec_bench.settings import EvaluationSettings, TrainingSettings
from linrec_bench.suite.expand import Job
from linrec_bench.suite.limits import Limits, Sampling
from tests.accelerator.fake_accelerator import KIND

PLUGIN = """
from dataclasses import replace

from linrec_bench.attention.mechanisms.linrec import SPEC as LINREC
from tests.accelerator import imitated_accelerator

imitated_accelerator.start({settings})
SPEC = replace(LINREC, name="plugged-in")
"""

CALLED = {
    "core": {"phase": "forward_backward"},
    "layer": {"phase": "forward_backward"},
    "decode": {"phase": "step", "causal": True},
    "train_step": {"phase": "step", "causal": True, "model": "sasrec"},
}

TRAINED = Case(
    task="recommend",
    phase="train_and_rank",
    attention="linrec",
    model="sasrec",
    dataset="synthetic",
    dataset_params=freeze({"users": 60, "items": 30, "length": 12, "distance": 2, "noise": 0.0}),
    seq_len=16,
    batch_size=16,
    hidden_size=16,
    heads=2,
    layers=1,
    causal=True,
    device=KIND,
    training=TrainingSettings.from_mapping({"epochs": 2}),
    evaluation=EvaluationSettings.from_mapping({"k": [5], "exclude_seen": False}),
)


def called(task):
    return Case(task=task, attention="linrec", seq_len=64, batch_size=2, device=KIND, **CALLED[task])


def rows_of(tmp_path, cases, *, measures=("peak_memory",), limits=None, **settings):
    """The rows of these cases on an imitated device with these settings."""
    plugin = tmp_path / "imitation.py"
    plugin.write_text(PLUGIN.format(settings=", ".join(f"{k}={v!r}" for k, v in settings.items())))
    sampling = Sampling(seconds=0.01, min=1, max=3)
    jobs = [Job(case, measures, 1, limits or Limits(), sampling) for case in cases]
    run = store.create(
        tmp_path / "runs", suite="s", suite_text="", cases=cases, environment={}, now=datetime(2026, 1, 1)
    )
    (run.folder / "cases.jsonl").write_text(text_of(cases))
    with LocalExecutor(plugins=[plugin], devices=(KIND,)) as executor, store.Writer(run) as writer:
        run_jobs(jobs, executor=executor, writer=writer, suite="s", device=KIND)
    return run.samples()


def ending(samples, task):
    found = samples[(samples["task"] == task) & (samples["measure"] == TRIAL)].iloc[0]
    return found["status"], found["detail"]


def test_every_task_runs(tmp_path):
    cases = [*(called(task) for task in CALLED), TRAINED]
    # Without times: results are no plain tensors, which whoever looks at timed calls would say.
    samples = rows_of(tmp_path, cases, measures=("peak_memory", "ranking"))
    for case in cases:
        assert ending(samples, case.task) == ("ok", ""), case.task
        own = samples[samples["case_id"] == case.id].set_index("measure")["value"]
        assert own["peak_allocated_bytes"] > 0
    assert set(samples["device"]) == {KIND}
    assert "ndcg@5" in set(samples["measure"])
    # What is alive on the device is what was counted on fake tensors.
    core = samples[samples["task"] == "core"].set_index("measure")["value"]
    assert core["peak_allocated_bytes"] == pytest.approx(core["predicted_peak_bytes"], rel=0.25)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("CUDA error: out of memory", "oom"),
        ("out of resource: shared memory, Required: 294912, Hardware limit: 232448", "unsupported"),
        ("CUDA error: an illegal memory access was encountered", "error"),
    ],
)
def test_failures_of_the_device_become_rows(tmp_path, said, status):
    samples = rows_of(tmp_path, [called("core")], fails_with=said)
    assert ending(samples, "core")[0] == status
    assert said in ending(samples, "core")[1]


def test_the_limit_is_that_of_the_device(tmp_path):
    # The prediction alone would not stop a training.
    samples = rows_of(tmp_path, [TRAINED], limits=Limits(memory="8KiB"))
    status, detail = ending(samples, "recommend")
    assert status == "oom"
    assert "out of memory" in detail


def test_a_training_waits_once_for_many_steps(tmp_path):
    few = replace(TRAINED, batch_size=60)
    many = replace(TRAINED, batch_size=4)
    waits = {}
    for case in (few, many):
        folder = tmp_path / str(case.batch_size)
        folder.mkdir()
        told = folder / "waits"
        rows_of(folder, [case], waits_told_in=str(told))
        waits[case.batch_size] = int(told.read_text())
    # 30 steps and 2: the host reads 30 losses at once, and validation takes as many batches as steps.
    assert waits[4] == waits[60]
