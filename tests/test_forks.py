"""Work in forks: what comes back, in which order, and what it raises."""

import os
import signal
import sys

import pytest

from linrec_bench import allotment, forks


@pytest.mark.parametrize("processors", [1, 2])
def test_results_come_in_the_order_of_items_and_errors_where_they_are_asked_for(processors, monkeypatch):
    monkeypatch.setattr(allotment, "cpus", lambda: processors)
    factor = 10

    def work(item):
        if item == 3:
            raise ValueError("three")
        return factor * item, os.getpid()

    results = forks.started(work, [1, 2, 3, 4])
    (one, place), (two, _) = next(results), next(results)
    assert (one, two) == (10, 20)
    assert (place == os.getpid()) == (processors == 1 or sys.platform != "linux")
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert list(forks.started(work, [])) == []


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
def test_a_fork_that_is_killed_is_one_line(monkeypatch):
    monkeypatch.setattr(allotment, "cpus", lambda: 2)
    results = forks.started(lambda item: os.kill(os.getpid(), signal.SIGKILL), [1, 2])
    with pytest.raises(ValueError, match="ended from outside"):
        next(results)
