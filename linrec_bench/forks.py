"""Independent pieces of work on all processors, in forks of this process, which share its data."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

# Any: what work returns, which only its caller knows.
from typing import Any, TypeVar

from linrec_bench import allotment

T = TypeVar("T")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1


def started(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """What `work` returns of each item, in their order; it begins at once, before the first is asked for.

    Results are pickled, `work` and items are not. What `work` raises is raised where its result is asked for,
    and `ValueError` where a fork was killed.
    Where this process may use one processor, or cannot fork safely, all is done here.
    """
    may_fork = sys.platform == "linux" and not multiprocessing.current_process().daemon
    processes = min(allotment.cpus(), len(items))
    if processes < 2 or not may_fork:
        return map(work, items)
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("fork"), initializer=_begin, initargs=(work, items)
    )
    with warnings.catch_warnings():
        # Libraries of linear algebra have threads, and begin anew in a fork.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        futures: list[Future[R]] = [pool.submit(_done, at) for at in range(len(items))]
    return _results(pool, futures)


def _results(pool: ProcessPoolExecutor, futures: Sequence[Future[R]]) -> Iterator[R]:
    try:
        for future in futures:
            yield future.result()
    except BrokenProcessPool as end:
        raise ValueError(
            "a helper process was ended from outside, perhaps for want of memory; repeat the command"
        ) from end
    finally:
        pool.shutdown(cancel_futures=True)


_AT: list[Callable[[int], object]] = []
"""In a fork, what it does with the number of an item."""


def _begin(work: Callable[[T], object], items: Sequence[T]) -> None:
    """Make a fork ready: it leaves Ctrl-C to its parent, with which it ends."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _AT[:] = [lambda at: work(items[at])]


def _done(at: int) -> Any:
    return _AT[0](at)
