"""Exact counts of a case without running it: on fake tensors, which have shapes but no memory.

The operations are those that the CPU would run. Its attention kernel stands for the CUDA ones: all save q,
k, v, o and one logarithm a row, none keeps N x N. Fake tensors on CUDA would need a build of torch with CUDA,
and on the meta device attention falls back to the formula with its N x N matrix.

Known difference: where torch lays a fake result out unlike the real one, autograd may make a gradient's copy
for the layout on one side only; `elements` then differs by that copy.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench.block_cache import taken_by
from linrec_bench.case import Case
from linrec_bench.measures.instruments.fake import FakeWatch
from linrec_bench.measures.instruments.memory import LiveBytes, SavedBytes
from linrec_bench.measures.instruments.operations import collector_paused
from linrec_bench.measures.instruments.repeats import Repeats
from linrec_bench.measures.instruments.work import Work
from linrec_bench.measures.spec import Measurable


@dataclass(frozen=True)
class Exact:
    """Counts of one call: the same on every machine, and on every run.

    flops, elements, dispatches and double_elements as in `work.Work`; peak_live_bytes beyond the inputs, and
    peak_with_scratch_bytes with what kernels of this machine take for themselves (by threads) besides;
    saved_bytes the most that
    autograd holds for the backward pass; minimum_bytes what any implementation must move; state_bytes what
    decoding carries from event to event, None where nothing is decoded; left_bytes what each further call
    leaves alive when its output and gradients are dropped; setup_bytes the peak of live bytes
    while the workload is built, 0 where that is not seen; opaque the operations of unknown cost, which the
    counts lack; facts are those of the workload.
    """

    flops: int
    elements: int
    dispatches: int
    peak_live_bytes: int
    saved_bytes: int
    minimum_bytes: int
    state_bytes: int | None = None
    left_bytes: int = 0
    double_elements: int = 0
    setup_bytes: int = field(default=0, compare=False)
    peak_with_scratch_bytes: int = field(default=0, compare=False)
    opaque: tuple[str, ...] = ()
    facts: Mapping[str, int] = field(default_factory=dict, hash=False)


COUNT_LIMIT_S = 30.0
"""CPU seconds for the count of one case: sixty times what the slowest mechanism of the package takes."""


class TooLong(RuntimeError):
    """Counting a case took longer than its limit, as a loop over tokens does."""


class _Deadline:
    """Ends a count that runs beyond its limit."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s, self.end = limit_s, time.process_time() + limit_s
        self.operations = 0

    def seen(
        self,
        func: OpOverload[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        out: object,
    ) -> None:
        del func, args, kwargs, out
        self.operations += 1
        if time.process_time() > self.end:
            raise TooLong(
                f"counting was ended after {self.limit_s:g} s and {self.operations:,} operations; "
                "expected fewer operations, as whole tensors need"
            )


def exact(case: Case, build: Callable[[Case], Measurable]) -> Exact:
    """The counts of `case`, whose task builds its workload with `build`; nothing of its size is allocated."""
    return count(lambda: build(replace(case, device="cpu")))


def count(build: Callable[[], Measurable], *, limit_s: float = COUNT_LIMIT_S) -> Exact:
    """The counts of one call of the workload that `build` makes from torch's factory functions on the CPU.

    Raises `TooLong` where counting takes more CPU seconds than `limit_s`.
    """
    setup = LiveBytes()
    with FakeTensorMode():
        with collector_paused(), FakeWatch(setup):
            workload = build()
        return replace(tally(workload, repeats=True, limit_s=limit_s), setup_bytes=setup.peak)


def tally(workload: Measurable, *, repeats: bool = False, limit_s: float = math.inf) -> Exact:
    """The counts of one call of a workload on real or fake tensors; `TooLong` after `limit_s` of CPU time.

    `repeats`: what `repetition.run` is handed runs once for each form of its inputs, and the counts stay the
    same. For fake tensors only: the results of what does not run hold no numbers.
    """
    work, live = Work(), LiveBytes()
    saved = SavedBytes(live)
    taker = Repeats(work, live, saved) if repeats else None

    def call() -> None:
        with collector_paused(), FakeWatch(work, live, _Deadline(limit_s)), saved.watching(), taken_by(taker):
            workload.call()
        workload.reset()

    call()
    counted = Exact(
        work.flops,
        work.elements,
        work.dispatches,
        live.peak,
        saved.peak,
        workload.minimum_bytes,
        workload.state_bytes,
        peak_with_scratch_bytes=live.peak_with_scratch,
        double_elements=work.double_elements,
        opaque=tuple(sorted(work.opaque)),
        facts=workload.facts,
    )
    left = live.current
    if left:
        # A cache that is filled once is no leak.
        call()
    if live.current > left:
        # Nor are cycles that the collector ends; it takes a second in a large process.
        gc.collect()
        left = live.current
        call()
        gc.collect()
        counted = replace(counted, left_bytes=live.current - left)
    return counted
