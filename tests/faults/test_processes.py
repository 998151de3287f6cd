"""Processes of a run that are killed from outside."""

import os
import signal
import time
from functools import partial

import pytest

from linrec_bench.execution.executors.local import LocalExecutor
from linrec_bench.execution.trial import Trial


def begin(file, report):
    file.touch()
    time.sleep(60)


def test_a_server_that_is_killed_ends_the_run_with_a_sentence(tmp_path):
    ended = r"the process that starts the workers of this run was ended\. .* the same command goes on"
    with LocalExecutor() as executor:
        server = executor.call(os.getppid).result()
        trial = Trial(work=partial(begin, tmp_path / "begun"), seconds=60)
        running = executor.submit(trial)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(server, signal.SIGKILL)
        with pytest.raises(ValueError, match=ended):
            running.result()
        # No other server is begun in its place.
        with pytest.raises(ValueError, match=ended):
            executor.submit(trial).result()
