"""Whether what was timed was the mechanism at work, and the numbers can be believed.

Some of the timed calls, drawn at random, are held to the mechanism's reference afterwards: their inputs were
new, so that an answer from memory, a state kept from call to call, another function at this shape, a lower
precision or unfinished work gives other numbers. What is kept of a call is one row of the batch and its first
tokens. What is not plain, ready and of the right type, what wrote into its inputs, what changed the clocks or
the settings of the process, and what does other work on real tensors than was counted on fake ones is told
from the rest. A fault makes a trial `suspect`.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from linrec_bench.execution.schedule import Prediction
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.instruments.operations import Watch, collector_paused, tensors
from linrec_bench.measures.instruments.work import Work
from linrec_bench.tasks.workloads import Oracle, Tensors, Workload
from linrec_bench.tasks.workloads.oracles import GRAD_OUTPUT, OUTPUT

KEPT = 4
"""Calls of which a part is kept; the reference answers for one of them, and for more as the budget allows."""

MARKED, MARK = 64, 8
"""Calls of which the first numbers are noted, and how many: equal ones of other inputs are a replay."""

LARGEST_WORK = 2**21
"""Numbers in the largest tensor of a reference, 16 MiB in float64."""

FIRST_TOKENS = 32, 128
"""Lengths at which the reference is timed, which tells how many tokens the budget allows."""

ROUNDINGS = 8
"""As in the contract: roundings of size epsilon that one value may pass through, apart from sums."""

HALF_TYPE_SLACK = 4
"""Half types may be rounded between operations, so that errors of small differences grow."""

EXTRA_WORK = 0.05
"""Real tensors may take this part more operations or fewer than were counted: autograd copies a gradient
where its layout differs."""


PAIRS, PAIRS_S = 3, 0.05
"""Calls on new inputs and on the same again, and the seconds that all of them may take."""

OPERATIONS_PER_S, DISPATCH_S = 1e9, 1e-5
"""What a slow processor does: a call whose counts are small is short, however long a busy machine makes it
wait."""

REMEMBERED_SHARE = 1 / 5
"""A call that takes less than this part of its time when inputs come again remembers what it answered."""

# References of the harness's own, taken before any plugin is imported.
_CLOCK, _CPU_CLOCK = time.perf_counter, time.process_time


class Suspect(Exception):
    """The numbers of a trial cannot be believed; the message says why."""


@dataclass(frozen=True)
class _Kept:
    """Parts of the inputs of a call, as they were before it, and of its results."""

    inputs: Tensors
    results: Tensors


class Auditor:
    """Looks at the calls of a workload as they are timed; `faults` tells what was wrong with them.

    `budget_s` bounds the seconds that references may take; a `thorough` one also asks what the tokens beyond
    it do. No call is slower for it: it looks outside of the spans, through `inspect` and `reset`.
    """

    def __init__(
        self, workload: Workload, *, dtype: torch.dtype, budget_s: float, thorough: bool = True
    ) -> None:
        self._workload, self._dtype, self._budget_s = workload, dtype, budget_s
        self._thorough = thorough
        self._oracle, self._reset = workload.oracle, workload.reset
        self._calls, self._oddity = 0, ""
        self._kept: list[_Kept] = []
        self._marks: dict[tuple[float, ...], dict[str, tuple[float, ...]]] = {}
        self._overwritten: set[str] = set()
        self._before: Tensors | None = None
        # Not to be foreseen by what is timed.
        self._draw = random.SystemRandom()
        workload.inspect = self._inspect
        if self._oracle is not None:
            self._row = self._draw.randrange(self._oracle.rows)
            self._tokens = min(self._oracle.tokens, math.isqrt(LARGEST_WORK // self._oracle.work))
            workload.reset = self._after_reset
            self._prepare()

    def faults(self) -> list[str]:
        """What was wrong with the calls so far, one phrase for each kind; empty where nothing was."""
        if self._oddity or self._oracle is None or not self._kept:
            return [self._oddity] if self._oddity else []
        names = ", ".join(sorted(self._overwritten))
        written = [f"a call wrote into its inputs ({names})"] if names else []
        with collector_paused():
            return [*written, *self._wrong(self._oracle)]

    def _prepare(self) -> None:
        """Keep the inputs of the next call, with odds that treat every call alike (reservoir sampling)."""
        assert self._oracle is not None
        chosen = self._draw.random() * (self._calls + 1) < KEPT
        self._before = self._cut(self._oracle.inputs()) if chosen else None

    def _after_reset(self) -> None:
        self._reset()
        self._prepare()

    def _inspect(self, output: object) -> None:
        self._calls += 1
        self._oddity = self._oddity or oddity(output, self._workload.device, self._dtype)
        if not self._oddity and self._oracle is not None and self._calls <= MARKED:
            self._oddity = self._replay(self._oracle, output)
        if self._before is None or self._oddity or self._oracle is None:
            return
        kept = _Kept(self._before, self._cut(self._oracle.results(output)))
        # At once: windows overlap, so that what a call has overwritten is the input of the next ones.
        after = self._cut(self._oracle.inputs())
        self._overwritten |= {name for name, x in kept.inputs.items() if not torch.equal(x, after[name])}
        if len(self._kept) < KEPT:
            self._kept.append(kept)
        else:
            self._kept[self._draw.randrange(KEPT)] = kept

    def _replay(self, oracle: Oracle, output: object) -> str:
        """Words for a call whose first token came out as that of an earlier one, though each of its inputs
        was another; empty for any other call."""

        def marks(whole: Tensors) -> dict[str, tuple[float, ...]]:
            first = oracle.part(whole, self._row, 0, 1)
            floats = {name: x for name, x in first.items() if x.is_floating_point()}
            return {name: tuple(x.flatten()[:MARK].tolist()) for name, x in floats.items()}

        found = marks(oracle.results(output)).get(OUTPUT, ())
        given = {name: mark for name, mark in marks(oracle.inputs()).items() if name != GRAD_OUTPUT}
        if not any(found) or any(map(math.isnan, found)) or not given:
            return ""
        earlier = self._marks.setdefault(found, given)
        if any(earlier[name] == mark for name, mark in given.items()):
            return ""
        return "two timed calls of other inputs gave the same output"

    def _cut(self, whole: Tensors) -> Tensors:
        assert self._oracle is not None
        part = self._oracle.part(whole, self._row, 0, self._tokens)
        return {name: x.clone() for name, x in part.items()}

    def _wrong(self, oracle: Oracle) -> Iterator[str]:
        """The first difference between results and those of the reference."""
        few = min(self._tokens, FIRST_TOKENS[0])
        # To find out what the budget allows would cost more than it.
        count = few if oracle.prefix and not self._thorough else self._affordable(oracle, self._tokens)
        whole = self._tokens == oracle.tokens == count
        start = _CLOCK()
        if whole or oracle.prefix:
            for number, kept in enumerate(self._draw.sample(self._kept, len(self._kept))):
                spent = _CLOCK() - start
                if number and spent * (number + 1) / number > self._budget_s:
                    break
                found = self._compared(oracle, kept.inputs, kept.results, count, whole=whole)
                if found:
                    yield f"{found}{self._replayed(kept)}"
                    return
        if self._thorough and not whole:
            yield from self._repeated(oracle)
            yield from self._padded(oracle, count)

    def _affordable(self, oracle: Oracle, most: int) -> int:
        """How many tokens, at most `most`, the reference can answer for within half of the budget, so that it
        can twice: by the growth of its time between two lengths, from linear to quadratic."""
        few, many = (min(most, length) for length in FIRST_TOKENS)
        if many >= most:
            return most
        budget_s = self._budget_s / 2
        first = self._seconds(oracle, few)
        if first * many / few > budget_s:
            return few
        second = self._seconds(oracle, many)
        power = min(2.0, max(1.0, math.log(second / first) / math.log(many / few)))
        return min(most, int(many * max(1.0, budget_s / second) ** (1 / power)))

    def _seconds(self, oracle: Oracle, count: int) -> float:
        start = _CLOCK()
        oracle.expected(oracle.part(self._kept[0].inputs, 0, 0, count))
        return _CLOCK() - start

    def _compared(self, oracle: Oracle, inputs: Tensors, results: Tensors, count: int, *, whole: bool) -> str:
        """How the results of the first `count` tokens differ from the reference; empty where they do not."""
        given = oracle.part(inputs, 0, 0, count)
        if not whole:
            given.pop(GRAD_OUTPUT, None)
        exact = oracle.expected(given)
        found = oracle.part(results, 0, 0, count)
        largest = max((x.norm().item() for name, x in exact.items() if name != OUTPUT), default=0.0)
        for name, value in exact.items():
            if name not in found:
                if value.any():
                    return f"a call left no {name}"
                continue
            difference = relative_difference(found[name], value, 0.0 if name == OUTPUT else largest)
            allowed = budget(self._dtype, count)
            # Not "difference > allowed": a NaN must count as a difference.
            if not difference <= allowed:
                of = f"{count:,} of {oracle.tokens:,}" if count < oracle.tokens else f"{count:,}"
                return (
                    f"the {name} of a timed call differs from the reference by {difference:.1e} of its size, "
                    f"allowed {allowed:.1e} ({of} tokens)"
                )
        return ""

    def _replayed(self, kept: _Kept) -> str:
        """Words for a result that another call, of other inputs, gave too."""
        others = [other.results for other in self._kept if other is not kept]
        again = any(torch.equal(kept.results[OUTPUT], other[OUTPUT]) for other in others)
        return ": it is the result of another call, of other inputs" if again else ""

    def _repeated(self, oracle: Oracle) -> Iterator[str]:
        """Where the reference cannot be asked about all tokens: equal results of calls with other inputs."""
        if len(self._kept) < 2:
            return
        few = min(self._tokens, FIRST_TOKENS[0])
        one, other = self._draw.sample(self._kept, 2)
        exact = [oracle.expected(oracle.part(kept.inputs, 0, 0, few)) for kept in (one, other)]
        for name, x in one.results.items():
            differs = not torch.equal(exact[0][name], exact[1][name])
            if differs and torch.equal(x, other.results[name]):
                yield f"two timed calls of other inputs gave the same {name}"
                return

    def _padded(self, oracle: Oracle, count: int) -> Iterator[str]:
        """Likewise: all but `count` tokens are padding, and the outputs those of these tokens alone."""
        if oracle.padded is None:
            return
        start = self._draw.randrange(oracle.tokens - count + 1)
        inputs = oracle.part(oracle.inputs(), self._row, start, count)
        results = oracle.part(oracle.padded(start, count), self._row, start, count)
        found = self._compared(oracle, inputs, results, count, whole=False)
        self._workload.reset()
        if found:
            yield f"with all but {count:,} of {oracle.tokens:,} tokens padded, {found}"


def oddity(output: object, device: torch.device, dtype: torch.dtype) -> str:
    """Why what a call returned is no result that stands in memory; empty where it is one."""
    found = list(tensors(output))
    if not found:
        return f"a call returned {type(output).__name__}, no tensor"
    for tensor in found:
        if type(tensor) is not Tensor:
            return (
                f"a call returned a {type(tensor).__name__}, no plain tensor: its numbers may be made later"
            )
        if tensor.device.type != device.type or tensor.layout != torch.strided:
            return f"a call returned a tensor on {tensor.device} ({tensor.layout}); expected one on {device}"
        if tensor.is_conj() or tensor.is_neg() or tensor._is_zerotensor():
            return "a call returned a tensor whose numbers are made when they are read"
        if tensor.is_floating_point() and tensor.dtype != dtype:
            return f"a call returned {tensor.dtype}; expected {dtype}"
    return ""


def relative_difference(found: Tensor, exact: Tensor, floor: float) -> float:
    """The larger of two: the norm of the difference over that of `exact` (or `floor`, the norm of what stands
    beside it), and the largest difference over the largest value. Where `exact` is NaN nothing is compared.
    """
    if found.shape != exact.shape:
        return math.inf
    known = ~exact.isnan()
    exact, error = exact[known], (found.double()[known] - exact[known])
    if not error.numel() or not error.any():
        return 0.0
    norm = max(exact.norm().item(), floor)
    highest = max(exact.abs().max().item(), floor / math.sqrt(exact.numel()))
    if not norm:
        return math.inf
    # In this order a NaN stays.
    return float(max(error.norm().item() / norm, error.abs().max().item() / highest))


def budget(dtype: torch.dtype, tokens: int) -> float:
    """The part of its size by which a result over that many tokens may differ: the budget of the contract."""
    eps = torch.finfo(dtype).eps
    sums = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    slack = HALF_TYPE_SLACK if dtype.itemsize < 4 else 1
    return slack * ROUNDINGS * (eps + 2 * math.sqrt(tokens) * sums)


def other_work(workload: Workload, prediction: Prediction | None) -> Iterator[str]:
    """How the operations of a call on the inputs of the last one differ from those that fake tensors showed,
    or without these from those of a call on new ones.

    They differ where something is remembered of the last call, or fake tensors are told from real ones.
    """
    if workload.oracle is not None:
        workload.oracle.again()
    same = _work(workload)
    if prediction is not None and not _differ(same, (prediction.flops, prediction.operations)):
        return
    new = _work(workload)
    if _differ(same, new) and sum(same) < sum(new):
        yield f"a call on the inputs of the last one does {same[1]:,} operations, on new ones {new[1]:,}"
    elif prediction is not None and _differ(new, (prediction.flops, prediction.operations)):
        yield (
            f"a call does {new[0]:,} FLOPs and {new[1]:,} operations; fake tensors showed "
            f"{prediction.flops:,} and {prediction.operations:,}"
        )


def _differ(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return any(abs(a - b) > EXTRA_WORK * max(a, b) for a, b in zip(one, other, strict=True))


def _work(workload: Workload) -> tuple[int, int]:
    """FLOPs and operations of one call."""
    work = Work()
    with collector_paused(), Watch(work):
        workload.call()
    workload.reset()
    return work.flops, work.flops + work.elements


def remembers(workload: Workload, fastest: float, prediction: Prediction | None) -> Iterator[str]:
    """Whether a call on the inputs of the last one gives its very result again: the same memory, while the
    result of new inputs lies elsewhere. Or whether calls take less than `REMEMBERED_SHARE` of the time then,
    three times in a row: one slow stretch of the machine shows nothing.

    Nothing is asked where calls are not short, neither by their `fastest` (s) nor by their counts.
    """
    oracle = workload.oracle
    if prediction is not None and prediction.counted:
        fastest = min(fastest, prediction.operations / OPERATIONS_PER_S + prediction.dispatches * DISPATCH_S)
    if oracle is None or 2 * PAIRS * fastest > PAIRS_S:
        return
    if _same_result(workload, oracle):
        yield "a call on the inputs of the last one returns its result again, without computing it"
        return
    with collector_paused():
        for _ in range(3):
            new, same = [], []
            for _ in range(PAIRS):
                new.append(_seconds(workload))
                oracle.again()
                same.append(_seconds(workload))
            if median(same) >= REMEMBERED_SHARE * min(new):
                return
    yield f"a call takes {median(same):.1e} s on the inputs of the last one, {min(new):.1e} s on new ones"


def _same_result(workload: Workload, oracle: Oracle) -> bool:
    """Whether results of equal inputs share memory that is no input's, and results of other inputs do not:
    a buffer that every call writes into is no memory of an answer."""
    inputs = _storages(oracle.inputs().values())
    first = workload.call()
    workload.reset()
    oracle.again()
    second = workload.call()
    workload.reset()
    third = workload.call()
    workload.reset()
    inputs |= _storages(oracle.inputs().values())
    again = _storages(tensors(first)) & _storages(tensors(second)) - inputs
    return bool(again - _storages(tensors(third)))


def _storages(found: Iterable[Tensor]) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in found}


def _seconds(workload: Workload) -> float:
    """Of one call, until the whole device has finished; on a CPU those of work, not of waiting."""
    device = device_of(workload.device)
    clock = _CLOCK if device.queues else _CPU_CLOCK
    device.synchronize()
    start = clock()
    output = workload.call()
    device.synchronize()
    seconds = clock() - start
    del output
    workload.reset()
    return seconds
