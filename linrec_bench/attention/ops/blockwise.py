"""Linear mechanisms in blocks of tokens that stay in cache, with gradients by recomputation.

A mechanism says in plain differentiable torch what it does with one block. The two functions here run it over
the sequence inside one `torch.autograd.Function` that keeps its inputs and the states, never an intermediate
of length N: backward visits the blocks again, in reverse where the order matters, and differentiates each
alone.

    sum_then_read   bidirectional: state = sum over blocks of summarise(k, v), then o = read(state, q)
    scan            causal: (state, o) = step(state, q, k, v), from the first block to the last

For the product S = sum k v^T that yields dq = do S^T, dk = v dS^T, dv = k dS, and in `scan` the reverse
recursion dS_t = dS_{t+1} + q_t do_t^T.

Beside q, k, v a mechanism may have further tensors with a row for each token (gates), and weights that are
the same for all of them; both get their gradients.

Half types are computed and summed in float32, a block at a time: a bfloat16 state loses 6.7 % at N = 8192.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.ops.autograd import Context
from linrec_bench.attention.ops.block_sizes import cut, cut_pad, paste, spans_of
from linrec_bench.attention.ops.block_sizes import pads as pads
from linrec_bench.attention.ops.block_sizes import state_dtype as state_dtype
from linrec_bench.attention.ops.block_sizes import zero_state as zero_state
from linrec_bench.attention.spec import State
from linrec_bench.block_cache import run

R = TypeVar("R")

Summarise = Callable[..., State]
"""(*keys, pad, *weights) of a block -> its part of the state, a sum over tokens. pad: [B, 1, n, 1], True at
padding."""
Read = Callable[..., Tensor]
"""(state, *queries, *weights) of a block -> o of the block."""
Step = Callable[..., tuple[State, Tensor]]
"""(state, *tokens, pad, *weights) of a block -> the state after it, o of the block. A block may be a single
token."""


def _accumulate(totals: Sequence[Tensor | None], parts: Sequence[Tensor | None]) -> None:
    for total, part in zip(totals, parts, strict=True):
        if total is not None and part is not None:
            total.add_(part)


def _full_precision(x: Tensor) -> torch.autocast:
    """Autocast would bring the float32 blocks back to half precision."""
    return torch.autocast(x.device.type, enabled=False)


def _pull_back(
    function: Callable[..., State], inputs: Sequence[Tensor], wanted: Sequence[bool], grads: State
) -> tuple[Tensor | None, ...]:
    """Gradients at the `wanted` ones of `inputs`, given those at the outputs of `function(*inputs)`."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_(want) for x, want in zip(inputs, wanted, strict=True)]
        outputs = function(*leaves)
    # A state may hold numbers that have no gradient, such as the maximum that sums are relative to.
    followed = [(x, grad) for x, grad in zip(outputs, grads, strict=True) if x.requires_grad]
    ends, slopes = zip(*followed, strict=True)
    chosen = [leaf for leaf, want in zip(leaves, wanted, strict=True) if want]
    found = iter(torch.autograd.grad(ends, chosen, slopes, materialize_grads=True))
    return tuple(next(found) if want else None for want in wanted)


def _read_as_function(read: Read, width: int, *x: Tensor) -> State:
    """`read` of a state of `width` tensors, for `_pull_back`."""
    return (read(x[:width], *x[width:]),)


def _summarise_as_function(summarise: Summarise, count: int, pad: Tensor | None, *x: Tensor) -> State:
    """`summarise` of `count` keys and the weights, for `_pull_back`."""
    return tuple(summarise(*x[:count], pad, *x[count:]))


def _step_as_function(step: Step, width: int, count: int, pad: Tensor | None, *x: Tensor) -> State:
    """`step` from a state of `width` tensors with `count` tokens and the weights, for `_pull_back`."""
    after, out = step(x[:width], *x[width : width + count], pad, *x[width + count :])
    return (*after, out)


def _empty(tensors: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    return [torch.empty_like(x) if want else None for x, want in zip(tensors, wanted, strict=True)]


def _zeros(tensors: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Where sums over blocks go: in the type of the state."""
    return [
        torch.zeros_like(x, dtype=state_dtype(x)) if want else None
        for x, want in zip(tensors, wanted, strict=True)
    ]


def _like(grads: Sequence[Tensor | None], tensors: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    return tuple(None if g is None else g.to(x.dtype) for g, x in zip(grads, tensors, strict=True))


def refuse_second_derivatives() -> None:
    # Gradients are computed outside the graph: a second derivative would silently miss every term of theirs.
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "linear attention by recomputation is differentiable once; call backward without create_graph"
        )


class _SumThenRead(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        summarise: Summarise,
        read: Read,
        counts: tuple[int, int],
        width: int | None,
        pad: Tensor | None,
        *tensors: Tensor,
    ) -> Tensor:
        queries, keys, given = _split(tensors, *counts)
        weights = tuple(x.to(state_dtype(x)) for x in given)
        out = torch.empty_like(keys[1])
        with _full_precision(out):
            spans = spans_of(keys[0], width)
            state = run(summarise, *cut(spans[0], keys), cut_pad(spans[0], pad), *weights)
            for span in spans[1:]:
                part = run(summarise, *cut(span, keys), cut_pad(span, pad), *weights)
                state = tuple(total + more for total, more in zip(state, part, strict=True))
            for span in spans:
                paste(span, (out,), (run(read, state, *cut(span, queries), *weights),))
        ctx.save_for_backward(*tensors, *state)
        ctx.summarise, ctx.read, ctx.pad = summarise, read, pad
        ctx.counts, ctx.spans, ctx.total = counts, spans, len(tensors)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        tensors, state = ctx.saved_tensors[: ctx.total], ctx.saved_tensors[ctx.total :]
        queries, keys, given = _split(tensors, *ctx.counts)
        weights = tuple(x.to(state_dtype(x)) for x in given)
        for_queries, for_keys, for_weights = _split(ctx.needs_input_grad[5:], *ctx.counts)
        dqueries, dkeys = _empty(queries, for_queries), _empty(keys, for_keys)
        dweights = _zeros(given, for_weights)
        dstate = [torch.zeros_like(x) for x in state]
        width, asked = len(state), len(queries)

        read = partial(_read_as_function, ctx.read, width)
        with _full_precision(grad):
            for span in ctx.spans:
                found = run(
                    _pull_back,
                    read,
                    (*state, *cut(span, queries), *weights),
                    (*[True] * width, *for_queries, *for_weights),
                    cut(span, (grad,)),
                )
                _accumulate(dstate, found[:width])
                paste(span, dqueries, found[width : width + asked])
                _accumulate(dweights, found[width + asked :])
            if any(for_keys) or any(for_weights):
                for span in ctx.spans:
                    found = run(
                        _pull_back,
                        partial(_summarise_as_function, ctx.summarise, len(keys), cut_pad(span, ctx.pad)),
                        (*cut(span, keys), *weights),
                        (*for_keys, *for_weights),
                        tuple(dstate),
                    )
                    paste(span, dkeys, found[: len(keys)])
                    _accumulate(dweights, found[len(keys) :])
        return None, None, None, None, None, *dqueries, *dkeys, *_like(dweights, given)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        step: Step,
        backward_step: Step,
        state: State,
        count: int,
        width: int | None,
        pad: Tensor | None,
        *tensors: Tensor,
    ) -> Tensor:
        tokens, given = tensors[:count], tensors[count:]
        weights = tuple(x.to(state_dtype(x)) for x in given)
        out = torch.empty_like(tokens[2])
        before: list[Tensor] = []
        spans = spans_of(tokens[0], width)
        ctx.width, ctx.backward_step, ctx.pad, ctx.count, ctx.total = (
            len(state),
            backward_step,
            pad,
            count,
            len(tensors),
        )
        ctx.spans = spans
        with _full_precision(out):
            for span in spans:
                if any(ctx.needs_input_grad):
                    before.extend(state)
                state, block = run(step, state, *cut(span, tokens), cut_pad(span, pad), *weights)
                paste(span, (out,), (block,))
        ctx.save_for_backward(*tensors, *before)
        return out

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        tensors, before = ctx.saved_tensors[: ctx.total], ctx.saved_tensors[ctx.total :]
        width, count = ctx.width, ctx.count
        tokens, given = tensors[:count], tensors[count:]
        weights = tuple(x.to(state_dtype(x)) for x in given)
        wanted = ctx.needs_input_grad[6:]
        dtokens, dweights = _empty(tokens, wanted[:count]), _zeros(given, wanted[count:])
        dstate: tuple[Tensor | None, ...] = tuple(torch.zeros_like(x) for x in before[:width])
        with _full_precision(grad):
            for index, span in reversed(list(enumerate(ctx.spans))):
                state = before[index * width : (index + 1) * width]
                found = run(
                    _pull_back,
                    partial(_step_as_function, ctx.backward_step, width, count, cut_pad(span, ctx.pad)),
                    (*state, *cut(span, tokens), *weights),
                    (*[True] * width, *wanted),
                    (*dstate, *cut(span, (grad,))),
                )
                dstate = found[:width]
                paste(span, dtokens, found[width : width + count])
                _accumulate(dweights, found[width + count :])
        return None, None, None, None, None, None, *dtokens, *_like(dweights, given)


def _split(items: Sequence[R], queries: int, keys: int) -> tuple[tuple[R, ...], tuple[R, ...], tuple[R, ...]]:
    """The items of queries, of keys and of weights."""
    return tuple(items[:queries]), tuple(items[queries : queries + keys]), tuple(items[queries + keys :])


# `apply` is untyped in torch.
_sum_then_read: Callable[..., Tensor] = _SumThenRead.apply
_scan: Callable[..., Tensor] = _Scan.apply


def sum_then_read(
    summarise: Summarise,
    read: Read,
    queries: Sequence[Float[Tensor, "#B #H N _"]],
    keys: Sequence[Float[Tensor, "#B #H N _"]],
    padding_mask: Bool[Tensor, "B N"] | None,
    *,
    weights: Sequence[Tensor] = (),
    width: int | None = None,
) -> Float[Tensor, "B H N d"]:
    """o = read(sum over blocks of summarise(*keys), *queries), shaped like the second of the keys: v.

    Queries and keys are tensors with a row for each token, weights are the same for all of them.
    Differentiable once, at all of them. Where a block makes features wider than the head size, `width` says
    how many numbers a token that is, and blocks get shorter.
    """
    counts = (len(queries), len(keys))
    return _sum_then_read(summarise, read, counts, width, pads(padding_mask), *queries, *keys, *weights)


def scan(
    step: Step,
    state: State,
    tokens: Sequence[Float[Tensor, "#B #H N _"]],
    padding_mask: Bool[Tensor, "B N"] | None,
    *,
    weights: Sequence[Tensor] = (),
    width: int | None = None,
    backward_step: Step | None = None,
) -> Float[Tensor, "B H N d"]:
    """o of all blocks, shaped like the third of the tokens (q, k, v, ...); the state is handed on from block
    to block, `state` first. Differentiable once, at tokens and weights; `width` as in `sum_then_read`.

    `backward_step`: a `step` of the same gradients whose o nobody reads, for backward, where it is cheaper.
    """
    return _scan(
        step, backward_step or step, state, len(tokens), width, pads(padding_mask), *tokens, *weights
    )


def at_once(
    function: Callable[..., Tensor],
    tokens: Sequence[Float[Tensor, "B H N _"]],
    padding_mask: Bool[Tensor, "B N"] | None,
    *,
    weights: Sequence[Tensor] = (),
) -> Float[Tensor, "B H N d"]:
    """o = function(*tokens, pad, *weights) of a sequence too short for blocks: computed in the type of the
    state, given in that of the third of the tokens, and differentiated as any code is.
    """
    with _full_precision(tokens[0]):
        raised = [x.to(state_dtype(x)) for x in (*tokens, *weights)]
        out = function(*raised[: len(tokens)], pads(padding_mask), *raised[len(tokens) :])
    return out.to(tokens[2].dtype)


def advance(
    step: Step, state: State, tokens: Sequence[Float[Tensor, "#B #H n _"]], *, weights: Sequence[Tensor] = ()
) -> tuple[State, Float[Tensor, "B H n d"]]:
    """Decoding: the same `step` on the events that follow, differentiated as any code is."""
    with _full_precision(tokens[0]):
        raised = [x.to(state_dtype(x)) for x in (*tokens, *weights)]
        after, out = step(state, *raised[: len(tokens)], None, *raised[len(tokens) :])
    return after, out.to(tokens[2].dtype)


def decoder(
    step: Step, core: Callable[..., Tensor], *, tokens: Sequence[str] = (), weights: Sequence[str] = ()
) -> Step:
    """The `step` of a SPEC, from what a mechanism does with one block: `advance` by `step`, called by name.

    tokens, weights: the tensors of `core` besides q, k, v that have a row for each token, and the others, in
    the order in which `step` takes them; its keyword-only parameters are the settings of `core`.
    """
    own, known = inspect.signature(step).parameters, inspect.signature(core).parameters.values()
    others = [p for p in known if p.kind is p.KEYWORD_ONLY and p.name in (*tokens, *weights, *own)]
    defaults = {p.name: p.default for p in others if p.default is not p.empty}

    def decode(state: State, q: Tensor, k: Tensor, v: Tensor, **given: Any) -> tuple[State, Tensor]:
        rows, fixed = ([given.pop(name) for name in names] for names in (tokens, weights))
        return advance(partial(step, **{**defaults, **given}), state, (q, k, v, *rows), weights=fixed)

    first = list(inspect.signature(decode).parameters.values())[:4]
    # By their signatures SPECs are checked, and settings find the functions that take them.
    decode.__signature__ = inspect.Signature([*first, *others])  # type: ignore[attr-defined]
    return decode
