"""Seconds a call: warm-up, then every raw sample, with nothing dropped.

CPU: a monotonic clock around each call; calls too short for it are summed, several to a sample.
Accelerators: one call a sample, between two events on the stream; what the host does counts only while the
device waits for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import nn

from linrec_bench.measures.device.clocks import Clock, Stopwatch
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.instruments.operations import collector_paused
from linrec_bench.measures.spec import Measurable

Cache = Literal["cold", "warm"]

SAMPLE_SPAN_S = 1e-3
"""On a CPU a sample spans at least about this much: thousands of times the cost of reading the clock."""

WARM_UP_SHARE = 0.2
"""At most this part of the budget goes into warm-up beyond the first call."""

STEADY_GAIN = 0.02
"""Warm-up ends with the second call in a row that is not faster than the fastest before it by this part."""

T = TypeVar("T")


@dataclass(frozen=True)
class Samples:
    """Raw samples, each the mean seconds a call over `calls_per_sample` calls; `first_call_s` is the first
    call of all, discarded, with whatever it had to load or compile. `detail` says how they were taken."""

    seconds: tuple[float, ...]
    first_call_s: float
    warm_up_calls: int
    calls_per_sample: int
    detail: str


def sample(
    workload: Measurable,
    *,
    budget_s: float,
    min_samples: int,
    max_samples: int,
    cache: Cache = "cold",
    clock: Clock = time.perf_counter,
) -> Samples:
    """Call the workload until `budget_s` is spent, first call and warm-up included, for no fewer than
    `min_samples` and no more than `max_samples`.

    `cache` is that of an accelerator: "cold" overwrites L2 before every call, outside the span. A CPU's
    caches are always as the call before left them. Python's collector is paused. Raises `ValueError` unless
    1 <= min_samples <= max_samples.
    """
    if not 1 <= min_samples <= max_samples:
        raise ValueError(f"min_samples {min_samples} and max_samples {max_samples}: expected 1 <= min <= max")
    measured = device_of(workload.device)
    if not measured.queues:
        cache = "warm"
    flush = measured.flush() if cache == "cold" else _nothing
    one_call = _one_call(workload, measured.stopwatch(clock), before=flush)
    span_s = 0.0 if measured.queues else SAMPLE_SPAN_S
    with collector_paused():
        start = clock()
        first_call_s = one_call()
        warm = _warm_up(one_call, lambda: clock() - start < WARM_UP_SHARE * budget_s)
        fastest = min([first_call_s, *warm])
        calls = max(1, math.ceil(span_s / fastest)) if fastest > 0 else 1
        seconds: list[float] = []
        while len(seconds) < min_samples or (len(seconds) < max_samples and clock() - start < budget_s):
            seconds.append(sum(one_call() for _ in range(calls)) / calls)
    return Samples(
        seconds=tuple(seconds),
        first_call_s=first_call_s,
        warm_up_calls=1 + len(warm),
        calls_per_sample=calls,
        detail=f"calls={calls} warm_up={1 + len(warm)} cache={cache}",
    )


def attention_share(
    workload: Measurable, *, repeats: int = 5, clock: Clock = time.perf_counter
) -> list[float]:
    """Share of a call, from 0 to 1, spent inside `workload.attention_modules`, forward and backward.

    One value for each of `repeats` warm calls, by module hooks in a pass of its own, for the hooks cost time;
    an empty list where the workload has no such module.
    """
    if not workload.attention_modules:
        return []
    return _shares(workload, device_of(workload.device).stopwatch(clock), repeats)


def _shares(workload: Measurable, watch: Stopwatch[T], repeats: int) -> list[float]:
    starts: list[T] = []
    ends: list[T] = []
    handles = [
        handle
        for module in workload.attention_modules
        for handle in _hook(module, lambda: starts.append(watch.mark()), lambda: ends.append(watch.mark()))
    ]
    shares = []
    try:
        with collector_paused():
            for _ in range(1 + repeats):
                starts.clear()
                ends.clear()
                begin = watch.mark()
                output = workload.call()
                whole = watch.seconds(begin, watch.mark())
                del output
                workload.reset()
                assert len(starts) == len(ends), "a module's span was opened and never closed"
                inside = sum(watch.seconds(*span) for span in zip(starts, ends, strict=True))
                shares.append(inside / whole)
    finally:
        for handle in handles:
            handle.remove()
    # The first call warms up.
    return shares[1:]


def _hook(
    module: nn.Module, enter: Callable[[], None], leave: Callable[[], None]
) -> list[torch.utils.hooks.RemovableHandle]:
    """Call `enter` and `leave` around the module's forward and, where there is one, its backward."""
    return [
        module.register_forward_pre_hook(lambda *_: enter()),
        module.register_forward_hook(lambda *_: leave()),
        module.register_full_backward_pre_hook(lambda *_: enter()),
        module.register_full_backward_hook(lambda *_: leave()),
    ]


def _one_call(
    workload: Measurable, watch: Stopwatch[T], *, before: Callable[[], None]
) -> Callable[[], float]:
    """The seconds of one call; what comes before, what looks at the output, its end and the reset lie outside
    of the span."""

    def one_call() -> float:
        before()
        start = watch.mark()
        output = workload.call()
        end = watch.mark()
        seconds = watch.seconds(start, end)
        workload.inspect(output)
        del output
        workload.reset()
        return seconds

    return one_call


def _warm_up(one_call: Callable[[], float], within_budget: Callable[[], bool]) -> list[float]:
    """Call until steady or out of budget; the seconds of each call."""
    seconds: list[float] = []
    not_faster = 0
    while not_faster < 2 and within_budget():
        latest = one_call()
        if seconds and latest > (1 - STEADY_GAIN) * min(seconds):
            not_faster += 1
        else:
            not_faster = 0
        seconds.append(latest)
    return seconds


def _nothing() -> None:
    return None
