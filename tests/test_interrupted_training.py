"""A training that is killed with its whole run goes on from its checkpoint, and ends as one left alone."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from linrec_bench.results import stored_runs

pytestmark = pytest.mark.slow

SUITE = """\
task: recommend
attention: [softmax]
model: {name: sasrec, dropout: 0.2}
dataset: {name: synthetic, users: 200, items: 40, length: 20, distance: 2}
fixed: {seq_len: 16, batch_size: 16, hidden_size: 32, heads: 2, layers: 2, causal: true}
training: {epochs: 12, patience: 12, loss: sampled_softmax, negatives: 8}
rounds: 1
limits: {case_seconds: 120, checkpoint_seconds: 0.05}
"""
DECIDED = ("train_loss", "recall@10", "ndcg@10", "mrr@10", "best_epoch", "epochs")
"""Measures that do not depend on the clock."""


def _as_in_a_terminal() -> None:
    """A shell starts background jobs deaf to Ctrl-C, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(tmp_path, root):
    words = ("run", str(tmp_path / "suite.yaml"), "--device", "cpu", "--results", str(tmp_path / root))
    return [sys.executable, "-m", "linrec_bench", *words]


def decided(run):
    samples = run.samples()
    kept = samples[samples["measure"].isin(DECIDED)]
    return kept[["measure", "phase", "repeat", "value"]].reset_index(drop=True)


def wait_for(found, seconds=60.0):
    """What `found()` returns, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.01)
    raise AssertionError("nothing came in time")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of a training that was left alone."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "suite.yaml").write_text(SUITE)
    subprocess.run(command(folder, "whole"), check=True, capture_output=True)
    (run,) = stored_runs.of_suite(folder / "whole" / "suite")[0]
    return run


def kept_state(folder):
    try:
        return next(folder.rglob("trials/*/checkpoint.pt"), None)
    except FileNotFoundError:
        # A folder that the run was still making got its name.
        return None


def end_in_a_training(tmp_path, how):
    """Start or resume the run, and end it by a signal in the middle of its training: the run."""
    process = subprocess.Popen(
        command(tmp_path, "cut"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_as_in_a_terminal,
    )
    state = wait_for(lambda: kept_state(tmp_path / "cut"))
    # A few steps and states later, so that the one it goes on from is not the one that it found.
    first = state.stat().st_mtime_ns
    wait_for(lambda: state.exists() and state.stat().st_mtime_ns > first + 300_000_000)
    os.kill(process.pid, how)
    assert process.wait() == (-how if how == signal.SIGKILL else 130)
    (cut,) = stored_runs.of_suite(tmp_path / "cut" / "suite")[0]
    assert cut.samples().query("task == 'recommend'").empty
    # The worker has ended with the run: nobody writes to its state any more.
    time.sleep(0.2)
    last = state.stat().st_mtime_ns
    time.sleep(0.5)
    assert state.stat().st_mtime_ns == last
    return cut


def test_a_training_goes_on_after_the_run_was_ended_twice(tmp_path, whole):
    (tmp_path / "suite.yaml").write_text(SUITE)
    first = end_in_a_training(tmp_path, signal.SIGINT)
    cut = end_in_a_training(tmp_path, signal.SIGKILL)
    assert cut.id == first.id
    subprocess.run(command(tmp_path, "cut"), check=True, capture_output=True)
    assert [run.id for run in stored_runs.of_suite(tmp_path / "cut" / "suite")[0]] == [cut.id]
    pd.testing.assert_frame_equal(decided(cut), decided(whole))
    (one,), (other,) = cut.ranks().values(), whole.ranks().values()
    for name in ("user", "rank", "history"):
        np.testing.assert_array_equal(one[name], other[name])
    assert not (cut.folder / "trials").exists()
