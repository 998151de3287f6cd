"""Real processes: how a trial may end, and that the next one does not notice."""

import os
import signal
import time
from functools import partial

import pytest

from linrec_bench.execution.local_executor import STEADY_ALLOCATOR, LocalExecutor

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


def add(a, b):
    return a + b


def divide(a, b):
    return a / b


def whoami(emit):
    emit("pid", os.getpid(), "1")


@pytest.fixture(scope="module")
def executor():
    with LocalExecutor() as found:
        yield found


def run(executor, work, *, seconds=20.0, memory_bytes=None):
    samples = []
    outcome = executor.run(work, seconds=seconds, memory_bytes=memory_bytes, on_sample=samples.append)
    return outcome, samples


def test_samples_arrive_in_order(executor):
    outcome, samples = run(executor, partial(report, [1.0, 2.0]))
    assert (outcome.status, outcome.detail) == ("ok", "")
    assert [(s.measure, s.value, s.repeat) for s in samples] == [("time", 1.0, 0), ("time", 2.0, 1)]


@pytest.mark.parametrize(
    ("work", "status", "detail", "kept"),
    [
        (kill_self, "killed", "SIGKILL", 1),
        (leave, "killed", "exit code 3", 0),
        (fail, "error", "RuntimeError: first line (test_local_executor.py:", 0),
        (refuse, "unsupported", "no causal form", 0),
    ],
)
def test_each_end_has_its_status_and_keeps_what_was_said_before(executor, work, status, detail, kept):
    outcome, samples = run(executor, work)
    assert outcome.status == status
    assert detail in outcome.detail
    assert "\n" not in outcome.detail
    assert len(samples) == kept
    assert run(executor, partial(report, [1.0]))[0].status == "ok"


def test_a_trial_that_hangs_is_stopped_at_its_limit(executor):
    outcome, samples = run(executor, hang, seconds=3)
    assert outcome.status == "timeout"
    assert "3 s" in outcome.detail
    assert 2.9 < outcome.seconds < 30
    assert len(samples) == 1


def test_a_trial_that_wants_too_much_memory_ends_as_oom(executor):
    assert run(executor, partial(allocate, 64), memory_bytes=512 * MIB)[0].status == "ok"
    outcome, _ = run(executor, partial(allocate, 2048), memory_bytes=512 * MIB)
    assert outcome.status == "oom"
    assert "allocate" in outcome.detail


def test_every_trial_has_a_process_of_its_own(executor):
    pids = {run(executor, whoami)[1][0].value for _ in range(3)}
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_workers_are_born_with_the_steady_allocator_and_the_parent_is_left_alone(executor):
    for name, value in STEADY_ALLOCATOR.items():
        assert executor.call(environment, name) == value
        assert name not in os.environ


def test_calls_return_values_and_raise_what_was_raised(executor):
    assert executor.call(add, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        executor.call(divide, 1, 0)
    assert executor.call(add, 2, 2) == 4


def test_a_worker_that_cannot_import_is_an_error_of_one_line(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no such library')")
    expected = pytest.raises(ValueError, match=r"a worker could not start .* exit code 1")
    with LocalExecutor(plugins=[broken]) as executor, expected as caught:
        executor.call(len, "word")
    assert "\n" not in str(caught.value)
