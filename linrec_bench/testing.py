"""Complexity as an assertion, for any pytest suite:

    from linrec_bench.testing import assert_complexity

    def test_my_attention_keeps_no_square():
        assert_complexity(
            my_attention,
            lambda n: [torch.randn(1, 2, n, 16) for _ in range(3)],
            at_most="N",
            of="peak_memory",
        )

Counts (memory, operations) are exact and the same on every machine. Nothing is computed for them, so that
they take no memory and never fail by chance. Times are measured, and fail only when their whole interval is
above the bound.
"""

from __future__ import annotations

import math
import random
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)

from linrec_bench.analysis.polynomial import polynomial
from linrec_bench.analysis.scaling import exact_exponent, fit_scaling
from linrec_bench.measures.instruments import exact, timing
from linrec_bench.measures.instruments.memory import host_bytes
from linrec_bench.measures.instruments.operations import tensors
from linrec_bench.registry import did_you_mean
from linrec_bench.tasks.workloads import Workload

__all__ = ["UndecidedWarning", "assert_complexity"]

Quantity = Literal["peak_memory", "saved_memory", "flops", "operations", "host_memory", "time"]
Function = Callable[..., object]

COUNTED_LENGTHS = (512, 1024, 2048, 4096, 8192)
TIMED_LENGTHS = (256, 512, 1024, 2048, 4096)
HOST_LENGTHS = (256, 512, 1024, 2048)
FEWEST_LENGTHS = 4

COUNT_TOLERANCE = 0.05
"""Above the bound's exponent, where counts follow no polynomial; the degree of one is exact."""
TIME_TOLERANCE = 0.25
"""Above the bound's exponent: linear code that outgrows a cache looks like N^1.2."""

ROUNDS = 5
SAMPLING_S = 0.05
"""Seconds of sampling for each length in each round."""


class UndecidedWarning(UserWarning):
    """The measured times allow both answers, so that nothing was asserted."""


def assert_complexity(
    fn: Function,
    make_inputs: Callable[[int], object],
    *,
    at_most: str,
    of: Quantity,
    lengths: Sequence[int] | None = None,
    backward: bool = False,
    on: Literal["fake", "real"] = "fake",
) -> None:
    """Assert that what `fn(*make_inputs(n))` costs grows with n no faster than `at_most`.

    `make_inputs` returns a list or tuple of arguments, or the only one. `at_most` is `1`, `N`, `N log N`,
    `N^1.5`, `O(n^2)` or such. `of` is one of

        peak_memory   bytes at the peak, beyond the inputs
        saved_memory  bytes that autograd keeps for a backward pass
        flops         floating-point operations of matrix products
        operations    those, and one for each element that anything else touches
        host_memory   bytes at the peak that Python and numpy allocate, of no tensor
        time          seconds

    `fn` is called as it is. With `backward`, and for `saved_memory`, its floating-point inputs take
    gradients; `backward` includes the backward pass of the summed output.

    Counts are made on fake tensors. So `make_inputs` and `fn` must make their tensors by torch's functions,
    on the CPU; the weights of a module that is `fn` are replaced for the count. What reads values (`.item()`)
    or holds other tensors of its own can be counted with `on="real"`, which runs every length once. Times
    and host memory are always real: times are taken in this process in rounds that visit all lengths in
    random order, host memory by `tracemalloc` in the second of two calls.

    Raises `AssertionError` with what was found when growth is faster, and `ValueError` when the question
    cannot be asked so, as where torch was asked for no operation that could be counted. Times whose interval
    reaches over the bound give an `UndecidedWarning`, no failure.
    """
    bound = _bound(at_most)
    if of not in get_args(Quantity):
        known = get_args(Quantity)
        raise ValueError(f"of is {of!r}; expected one of: {', '.join(known)}.{did_you_mean(of, known)}")
    default = {"time": TIMED_LENGTHS, "host_memory": HOST_LENGTHS}.get(of, COUNTED_LENGTHS)
    chosen = sorted(set(lengths or default))
    if len(chosen) < FEWEST_LENGTHS:
        raise ValueError(f"lengths {chosen}; expected at least {FEWEST_LENGTHS} different ones")
    gradients = backward or of == "saved_memory"

    def real(length: int) -> Workload:
        reset = fn.zero_grad if isinstance(fn, nn.Module) else _nothing
        return _workload(fn, make_inputs(length), gradients=gradients, backward=backward, reset=reset)

    def fake(length: int) -> Workload:
        function = _with_fake_weights(fn) if isinstance(fn, nn.Module) else fn
        return _workload(function, make_inputs(length), gradients=gradients, backward=backward)

    if of == "time":
        _judge_times(bound, _times([(n, real(n)) for n in chosen]))
    elif of == "host_memory":
        _judge_counts(bound, of, {n: host_bytes(real(n)) for n in chosen})
    else:
        counted = {n: exact.tally(real(n)) if on == "real" else _count(fake, n) for n in chosen}
        if not any(each.dispatches for each in counted.values()):
            raise ValueError(
                "fn asked torch for no operation, so that nothing was counted; "
                "expected of='host_memory' or of='time' for numpy and plain Python"
            )
        _judge_counts(bound, of, {n: _pick(of, each) for n, each in counted.items()})


@dataclass(frozen=True)
class _Bound:
    """Growth as N^exponent, times log N where `logarithmic`."""

    text: str
    exponent: float
    logarithmic: bool

    def exponent_between(self, short: int, long: int) -> float:
        """The exponent of the power of N that grows as much between two lengths."""
        if not self.logarithmic:
            return self.exponent
        return self.exponent + math.log(math.log(long) / math.log(short)) / math.log(long / short)


def _bound(text: str) -> _Bound:
    plain = text.strip().replace("n", "N")
    if plain.startswith("O(") and plain.endswith(")"):
        plain = plain[2:-1].strip()
    match = re.fullmatch(r"1|N(?:\^(\d+(?:\.\d+)?))?( log N)?", plain)
    if match is None:
        raise ValueError(f"at_most is {text!r}; expected such as '1', 'N', 'N log N', 'N^1.5' or 'N^2'")
    power, logarithm = match.groups()
    return _Bound(text, 0.0 if plain == "1" else float(power or 1), logarithm is not None)


def _count(build: Callable[[int], Workload], length: int) -> exact.Exact:
    try:
        return exact.count(lambda: build(length))
    except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException) as error:
        raise ValueError(f"fn reads values, which fake tensors lack ({error}); use on='real'") from error
    except AssertionError as error:
        # torch's word for a real tensor among fake ones.
        if "allow_non_fake_inputs" not in str(error):
            raise
        raise ValueError(
            "fn holds tensors of its own, which cannot mix with fake ones; expected them to be made in "
            "make_inputs, or fn to be the module that holds them, or on='real'"
        ) from error


def _pick(of: Quantity, counted: exact.Exact) -> int:
    return {
        "peak_memory": counted.peak_live_bytes,
        "saved_memory": counted.saved_bytes,
        "flops": counted.flops,
        "operations": counted.flops + counted.elements,
    }[of]


def _judge_counts(bound: _Bound, of: Quantity, counts: Mapping[int, int]) -> None:
    if of == "flops" and not any(counts.values()):
        raise ValueError("fn has no matrix product, so that its flops are 0 throughout; ask of='operations'")
    followed = polynomial(counts)
    if followed is not None:
        if followed.degree > bound.exponent:
            _fail(bound, of, counts, f"follows {followed}")
        return
    before, last = sorted(counts)[-2:]
    found = exact_exponent(counts)
    if found > bound.exponent_between(before, last) + COUNT_TOLERANCE:
        _fail(bound, of, counts, f"grows as N^{found:.3f} between {before:,} and {last:,}")


def _judge_times(bound: _Bound, times: Mapping[int, Sequence[Sequence[float]]]) -> None:
    fit = fit_scaling(times)
    most = bound.exponent_between(min(times), max(times)) + TIME_TOLERANCE
    medians = {n: float(np.median(np.concatenate(rounds))) for n, rounds in times.items()}
    found = f"grows as N^p with p in [{fit.low:.2f}, {fit.high:.2f}], the bound allows {most:.2f}"
    if fit.low > most:
        _fail(bound, "time", medians, found)
    # NaN, where there is no fit, is undecided too.
    if not fit.high <= most:
        warnings.warn(_said(bound, "time", medians, f"undecided: {found}"), UndecidedWarning, stacklevel=3)


def _fail(bound: _Bound, of: Quantity, values: Mapping[int, float], found: str) -> None:
    raise AssertionError(_said(bound, of, values, found))


def _said(bound: _Bound, of: Quantity, values: Mapping[int, float], found: str) -> str:
    unit = {"time": "s", "flops": "FLOP", "operations": "operations"}.get(of, "bytes")
    form = ".3e" if of == "time" else ",d"
    rows = [f"{n:>12,}  {value:>20{form}}" for n, value in values.items()]
    return "\n".join([f"{of} {found}; expected at most {bound.text}", f"{'N':>12}  {unit:>20}", *rows])


def _times(workloads: Sequence[tuple[int, Workload]]) -> dict[int, list[tuple[float, ...]]]:
    """Seconds a call: length -> the samples of each round. Rounds visit all lengths, each in an order of its
    own, so that a machine that slows down does not look like growth."""
    draw = random.Random(0)
    found: dict[int, list[tuple[float, ...]]] = {n: [] for n, _ in workloads}
    for _ in range(ROUNDS):
        for n, workload in draw.sample(workloads, len(workloads)):
            samples = timing.sample(workload, budget_s=SAMPLING_S, min_samples=3, max_samples=100)
            found[n].append(samples.seconds)
    return found


def _nothing() -> None:
    return None


def _workload(
    fn: Function,
    given: object,
    *,
    gradients: bool,
    backward: bool,
    reset: Callable[[], None] = _nothing,
) -> Workload:
    inputs = given if isinstance(given, list | tuple) else (given,)
    found = list(tensors(inputs))
    leaves = [tensor for tensor in found if gradients and tensor.is_floating_point()]
    for leaf in leaves:
        leaf.requires_grad_()

    def call() -> object:
        output = fn(*inputs)
        if backward:
            ends = [tensor for tensor in tensors(output) if tensor.requires_grad]
            if not ends:
                raise ValueError("no output of fn takes gradients; expected some with backward=True")
            torch.autograd.backward(ends, [end.new_ones(()).expand_as(end) for end in ends])
        return output

    def drop_gradients() -> None:
        for leaf in leaves:
            leaf.grad = None
        reset()

    device = found[0].device if found else torch.device("cpu")
    return Workload(call, device, minimum_bytes=0, reset=drop_gradients)


def _with_fake_weights(module: nn.Module) -> Function:
    """The module as a function whose parameters and buffers are new ones of the same layout, made here."""
    states = {
        name: torch.empty_strided(
            state.size(), state.stride(), dtype=state.dtype, requires_grad=state.requires_grad
        )
        for name, state in (*module.named_parameters(), *module.named_buffers())
    }

    def call(*inputs: object) -> object:
        return torch.func.functional_call(module, states, inputs)

    return call
