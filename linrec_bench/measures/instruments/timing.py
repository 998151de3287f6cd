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
from statistics import median
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import nn

from linrec_bench.measures.device.clocks import Clock, Stopwatch
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.device.names import ByKind
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


LAUNCH_SHARE = 0.9
"""A call returned after this part of the device's time was done as fast as it was started."""

WARM_UP_S = ByKind(cpu=0.0, accelerator=0.25)
"""Warm-up lasts at least this long: a device that was idle takes its time to raise its clocks."""


@dataclass(frozen=True)
class Samples:
    """Raw samples, each the mean seconds a call over `calls_per_sample` calls; `first_call_s` is the first
    call of all, discarded, with whatever it had to load or compile. `host_seconds` are those after which each
    call returned, on a device that works on after that; empty on a CPU. `detail` says how they were taken."""

    seconds: tuple[float, ...]
    host_seconds: tuple[float, ...]
    first_call_s: float
    warm_up_calls: int
    calls_per_sample: int
    detail: str

    @property
    def launch_bound(self) -> bool:
        """Whether the device spent the call waiting for the host to start its kernels."""
        return bool(self.host_seconds) and (median(self.host_seconds) >= LAUNCH_SHARE * median(self.seconds))


class _Span(NamedTuple):
    """One call: seconds of the device, and those until it returned."""

    seconds: float
    host_s: float


def sample(
    workload: Measurable,
    *,
    budget_s: float,
    min_samples: int,
    max_samples: int,
    cache: Cache = "cold",
    graph: bool = False,
    clock: Clock = time.perf_counter,
) -> Samples:
    """`Sampler` from the first call to the last."""
    sampler = Sampler(workload, cache=cache, graph=graph, clock=clock)
    sampler.first_call()
    return sampler.sample(budget_s=budget_s, min_samples=min_samples, max_samples=max_samples)


class Sampler:
    """Takes the seconds of the calls of a workload, Python's collector paused.

    `cache` is that of an accelerator: "cold" overwrites L2 before every call, outside the span. A CPU's
    caches are always as the call before left them. With `graph` the operations of one call are recorded and
    started at once, on the tensors of that call; raises `Uncapturable` where that is not possible.
    """

    def __init__(
        self, workload: Measurable, *, cache: Cache, graph: bool = False, clock: Clock = time.perf_counter
    ) -> None:
        self._device = device_of(workload.device)
        self._cache: Cache = cache if self._device.queues else "warm"
        self._workload, self._graph, self._clock = workload, graph, clock
        flush = self._device.flush() if self._cache == "cold" else _nothing
        self._before = flush
        self._call = _one_call(workload, self._device.stopwatch(clock), clock, before=flush)
        self.first_call_s = math.nan

    def first_call(self) -> float:
        """The seconds of the first call, with all that it loads and compiles; no part of any budget."""
        with collector_paused():
            self.first_call_s = self._call().seconds
            if self._graph:
                replayed = _Replayed(self._device.captured(self._workload.call, self._workload.reset))
                self._call = _one_call(
                    replayed, self._device.stopwatch(self._clock), self._clock, before=self._before
                )
        return self.first_call_s

    def sample(self, *, budget_s: float, min_samples: int, max_samples: int) -> Samples:
        """Call until `budget_s` is spent, warm-up included, for no fewer than `min_samples` and no more than
        `max_samples`. Raises `ValueError` unless 1 <= min_samples <= max_samples."""
        if not 1 <= min_samples <= max_samples:
            raise ValueError(
                f"min_samples {min_samples} and max_samples {max_samples}: expected 1 <= min <= max"
            )
        clock, one_call = self._clock, self._call
        with collector_paused():
            start = clock()
            with self._device.clock_rate() as rate:
                least_s = WARM_UP_S.on(self._device.device.type)
                most_s = max(WARM_UP_SHARE * budget_s, least_s)
                # Whoever calls for longer than all that on a CPU, which needs no time of its own, is warm.
                spent_s = 0.0 if least_s else self.first_call_s
                warm = _warm_up(
                    one_call, lambda: spent_s + clock() - start, rate, least_s=least_s, most_s=most_s
                )
            fastest = min([self.first_call_s, *warm])
            span_s = 0.0 if self._device.queues else SAMPLE_SPAN_S
            calls = max(1, math.ceil(span_s / fastest)) if fastest > 0 else 1
            spans: list[_Span] = []
            while len(spans) < min_samples or (len(spans) < max_samples and clock() - start < budget_s):
                taken = [one_call() for _ in range(calls)]
                spans.append(_Span(*(sum(each) / calls for each in zip(*taken, strict=True))))
        called = " graph" if self._graph else ""
        return Samples(
            seconds=tuple(span.seconds for span in spans),
            host_seconds=tuple(span.host_s for span in spans) if self._device.queues else (),
            first_call_s=self.first_call_s,
            warm_up_calls=1 + len(warm),
            calls_per_sample=calls,
            detail=f"calls={calls} warm_up={1 + len(warm)} cache={self._cache}{called}",
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


@dataclass
class _Replayed:
    """A recorded call: what it returned is overwritten by every replay, so that nothing is reset."""

    call: Callable[[], object]
    inspect: Callable[[object], None] = lambda _: None
    reset: Callable[[], None] = lambda: None


def _one_call(
    workload: Measurable | _Replayed, watch: Stopwatch[T], clock: Clock, *, before: Callable[[], None]
) -> Callable[[], _Span]:
    """The spans of one call; what comes before, what looks at the output, its end and the reset lie outside
    of them."""

    def one_call() -> _Span:
        before()
        began = clock()
        start = watch.mark()
        output = workload.call()
        end = watch.mark()
        returned = clock()
        seconds = watch.seconds(start, end)
        workload.inspect(output)
        del output
        workload.reset()
        return _Span(seconds, returned - began)

    return one_call


def _warm_up(
    one_call: Callable[[], _Span],
    elapsed: Callable[[], float],
    clock_rate: Callable[[], float | None],
    *,
    least_s: float,
    most_s: float,
) -> list[float]:
    """Call for `least_s` and until times and the device's clock are steady, but no longer than `most_s`; the
    seconds of each call."""
    seconds: list[float] = []
    not_faster = 0
    rate = clock_rate()
    while elapsed() < most_s:
        latest = one_call().seconds
        if seconds and latest > (1 - STEADY_GAIN) * min(seconds):
            not_faster += 1
        else:
            not_faster = 0
        seconds.append(latest)
        if not_faster >= 2 and elapsed() >= least_s:
            before, rate = rate, clock_rate()
            if before is None or rate is None or abs(rate - before) <= STEADY_GAIN * before:
                break
    return seconds


def _nothing() -> None:
    return None
