"""Real processes: how a trial may end, and that the next one does not notice."""

import io
import os
import platform
import signal
import time
from functools import partial

import numpy as np
import pytest

from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.execution.trial import CallEnded, Trial

MIB = 2**20


def report(values, emit):
    for repeat, value in enumerate(values):
        emit("time", value, "s", repeat=repeat)


def kill_self(emit):
    emit("time", 1.0, "s")
    os.kill(os.getpid(), signal.SIGKILL)


def hang(emit):
    emit("time", 1.0, "s")
    time.sleep(60)


def allocate(megabytes, emit):
    import torch

    held = [torch.ones(MIB // 4) for _ in range(megabytes)]
    emit("held", len(held), "MiB")


def fail(emit):
    raise RuntimeError("first line\nsecond line")


def refuse(emit):
    from linrec_bench.attention import Unsupported

    raise Unsupported("no causal form")


def leave(emit):
    os._exit(3)


def environment(name):
    return os.environ.get(name)


def end_self():
    os.kill(os.getpid(), signal.SIGKILL)


def add(a, b):
    return a + b


def divide(a, b):
    return a / b


def whoami(emit):
    emit("pid", os.getpid(), "1")


def hand_over(report):
    report.keep("ranks", {"rank": np.arange(3)})


def meet(own, other, report):
    """Ends once its neighbour has begun, which only runs beside it."""
    own.touch()
    while not other.exists():
        time.sleep(0.01)
    report("met", 1.0, "1")


@pytest.fixture(scope="module")
def executor():
    with LocalExecutor() as found:
        # The server has begun, whose imports are no part of a trial.
        found.call(add, 0, 0).result()
        yield found


def run(executor, work, *, seconds=20.0, memory_bytes=None):
    return executor.submit(Trial(work=work, seconds=seconds, memory_bytes=memory_bytes)).result()


def test_samples_arrive_in_order(executor):
    result = run(executor, partial(report, [1.0, 2.0]))
    assert (result.status, result.detail, result.host) == ("ok", "", platform.node())
    assert [(s.measure, s.value, s.repeat) for s in result.samples] == [("time", 1.0, 0), ("time", 2.0, 1)]


@pytest.mark.parametrize(
    ("work", "status", "detail", "kept"),
    [
        (kill_self, "killed", "SIGKILL", 1),
        (leave, "killed", "exit code 3", 0),
        (fail, "error", "RuntimeError: first line (test_local.py:", 0),
        (refuse, "unsupported", "no causal form", 0),
    ],
)
def test_each_end_has_its_status_and_keeps_what_was_said_before(executor, work, status, detail, kept):
    result = run(executor, work)
    assert result.status == status
    assert detail in result.detail
    assert "\n" not in result.detail
    assert len(result.samples) == kept
    assert run(executor, partial(report, [1.0])).status == "ok"


def test_a_trial_that_hangs_is_stopped_at_its_limit(executor):
    result = run(executor, hang, seconds=3)
    assert result.status == "timeout"
    assert "3 s" in result.detail
    assert 2.9 < result.seconds < 30
    assert len(result.samples) == 1


def test_a_trial_that_wants_too_much_memory_ends_as_oom(executor):
    assert run(executor, partial(allocate, 64), memory_bytes=512 * MIB).status == "ok"
    result = run(executor, partial(allocate, 2048), memory_bytes=512 * MIB)
    assert result.status == "oom"
    assert "allocate" in result.detail


def test_every_trial_has_a_process_of_its_own(executor):
    pids = {run(executor, whoami).samples[0].value for _ in range(3)}
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_workers_are_born_with_the_steady_allocator_and_the_parent_is_left_alone(executor):
    for name, value in STEADY_ALLOCATOR.items():
        assert executor.call(environment, name).result() == value
        assert name not in os.environ


def test_calls_return_values_and_raise_what_was_raised(executor):
    assert executor.call(add, 1, 2).result() == 3
    with pytest.raises(ZeroDivisionError):
        executor.call(divide, 1, 0).result()
    assert executor.call(add, 2, 2).result() == 4


def test_a_worker_that_cannot_import_is_an_error_of_one_line(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no such library')")
    expected = pytest.raises(ValueError, match=r"a worker could not start: .* exit code 1")
    with LocalExecutor(plugins=[broken]) as executor, expected as caught:
        executor.call(len, "word").result()
    assert "\n" not in str(caught.value)


def test_a_worker_that_dies_is_replaced_for_the_next_call(executor):
    with pytest.raises(ValueError, match=r"died of SIGKILL\. What was measured is stored; the same command"):
        executor.call(end_self).result()
    assert executor.call(add, 1, 1).result() == 2


@pytest.mark.parametrize(("end", "told"), [(partial(os._exit, 3), "exit code 3"), (os.abort, "SIGABRT")])
def test_code_that_ends_its_own_process_is_told_from_a_kill(executor, end, told):
    with pytest.raises(CallEnded, match=told):
        executor.call(end).result()
    assert executor.call(add, 1, 1).result() == 2


def test_arrays_come_back_as_the_bytes_of_a_file(executor):
    artefacts = run(executor, hand_over).artefacts
    with np.load(io.BytesIO(artefacts["ranks"])) as arrays:
        assert arrays["rank"].tolist() == [0, 1, 2]


def test_as_many_trials_run_at_once_as_there_are_slots(tmp_path):
    here, there = tmp_path / "a", tmp_path / "b"
    with LocalExecutor(slots=2) as executor:
        works = [partial(meet, here, there), partial(meet, there, here)]
        futures = [executor.submit(Trial(work=work, seconds=20)) for work in works]
        assert [future.result().status for future in futures] == ["ok", "ok"]


def test_closing_ends_what_runs_and_what_waits(tmp_path):
    executor = LocalExecutor()
    running = executor.submit(Trial(work=partial(meet, tmp_path / "begun", tmp_path / "never"), seconds=60))
    waiting = executor.submit(Trial(work=whoami, seconds=60))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    executor.close()
    assert running.result().status == "killed"
    assert waiting.cancelled()
    with pytest.raises(RuntimeError):
        executor.submit(Trial(work=whoami, seconds=60))
