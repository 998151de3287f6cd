"""Exact counts of a case without running it: on fake tensors, which have shapes but no memory.

The operations are those that the CPU would run. Its attention kernel stands for the CUDA ones: all save q,
k, v, o and one logarithm a row, none keeps N x N. Fake tensors on CUDA would need a build of torch with CUDA,
and on the meta device attention falls back to the formula with its N x N matrix.

Known difference: where torch lays a fake result out unlike the real one, autograd may make a gradient's copy
for the layout on one side only; `elements` then differs by that copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from linrec_bench.case import Case
from linrec_bench.measures import Measurable
from linrec_bench.measures.flops import Work
from linrec_bench.measures.memory import LiveBytes, SavedBytes
from linrec_bench.measures.operations import Watch, collector_paused


@dataclass(frozen=True)
class Exact:
    """Counts of one call: the same on every machine, and on every run.

    flops and elements as in `flops.Work`; peak_live_bytes beyond the inputs; saved_bytes the most that
    autograd holds for the backward pass; minimum_bytes what any implementation must move; state_bytes what
    decoding carries from event to event, None where nothing is decoded.
    """

    flops: int
    elements: int
    peak_live_bytes: int
    saved_bytes: int
    minimum_bytes: int
    state_bytes: int | None = None


def exact(case: Case, build: Callable[[Case], Measurable]) -> Exact:
    """The counts of `case`, whose task builds its workload with `build`; nothing of its size is allocated."""
    return count(lambda: build(replace(case, device="cpu")))


def count(build: Callable[[], Measurable]) -> Exact:
    """The counts of one call of the workload that `build` makes from torch's factory functions on the CPU."""
    with FakeTensorMode():
        return tally(build())


def tally(workload: Measurable) -> Exact:
    """The counts of one call of a workload on real or fake tensors."""
    work, live = Work(), LiveBytes()
    saved = SavedBytes(live)
    with collector_paused(), _KernelLayout(work, live), saved.watching():
        workload.call()
    workload.reset()
    return Exact(
        work.flops, work.elements, live.peak, saved.peak, workload.minimum_bytes, workload.state_bytes
    )


class _KernelLayout(Watch):
    """Gives fake results the memory layout that the CPU kernel gives the real ones.

    torch's fake forms of these gradients lay the result out like the input of the forward pass, the
    kernels like the incoming gradient; where the two differ, autograd then makes a copy or does not.
    """

    def run(self, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if func in _GRADIENT_AND_INPUT and isinstance(args[0], FakeTensor):
            # The fake product of two tensors has the shape and layout of any elementwise function of them.
            return args[0] * args[_GRADIENT_AND_INPUT[func]]
        return func(*args, **kwargs)


# Where the input of the forward pass stands among the arguments; the incoming gradient is the first.
_GRADIENT_AND_INPUT: dict[OpOverload[..., Any], int] = {
    torch.ops.aten.elu_backward.default: 5,
    torch.ops.aten.softplus_backward.default: 1,
}
