"""Linear mechanisms in blocks of tokens that stay in cache, with gradients by recomputation.

A mechanism says in plain differentiable torch what it does with one block. The two functions here run it over
the sequence inside one `torch.autograd.Function` that keeps q, k, v and the states, never an intermediate of
length N: backward visits the blocks again, in reverse where the order matters, and differentiates each alone.

    sum_then_read   bidirectional: state = sum over blocks of summarise(k, v), then o = read(q, state)
    scan            causal: (state, o) = step(state, q, k, v), from the first block to the last

For the product S = sum k v^T that yields dq = do S^T, dk = v dS^T, dv = k dS, and in `scan` the reverse
recursion dS_t = dS_{t+1} + q_t do_t^T.

Half types are computed and summed in float32, a block at a time: a bfloat16 state loses 6.7 % at N = 8192.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.causal_linear import chunk_length

State = tuple[Tensor, ...]
Summarise = Callable[..., State]
"""(k, v, pad) of a block -> its part of the state, a sum over tokens. pad: [B, 1, n, 1], True at padding."""
Read = Callable[..., Tensor]
"""(q, *state) of a block -> o of the block."""
Step = Callable[..., tuple[State, Tensor]]
"""(state, q, k, v, pad) of a block -> the state after it, o of the block. A block may be a single token."""

BLOCK_BYTES = {"cpu": 1 << 20, "cuda": 1 << 24}
"""Size of one tensor's block: a handful of them should fit the cache next to the arithmetic."""

MAX_BLOCKS = 16
"""Bounds the number of calls at any N; longer sequences get longer blocks."""


def state_dtype(x: Tensor) -> torch.dtype:
    """The type that states and sums have for inputs like `x`: float32 for half types, else that of `x`."""
    return torch.promote_types(x.dtype, torch.float32)


def _pad(padding_mask: Tensor | None) -> Tensor | None:
    return None if padding_mask is None else ~padding_mask[:, None, :, None]


def _spans(x: Tensor) -> list[tuple[int, int]]:
    """Start and length of every block of x [B, H, N, d], whole chunks but for the last."""
    batch, heads, length, head_size = x.shape
    # A block of at least eight chunks: the states kept for backward stay below an eighth of one input.
    unit = 8 * chunk_length(head_size)
    in_cache = BLOCK_BYTES.get(x.device.type, BLOCK_BYTES["cpu"]) // max(4 * batch * heads * head_size, 1)
    rows = unit * max(1, in_cache // unit, ceil(length / (MAX_BLOCKS * unit)))
    return [(start, min(rows, length - start)) for start in range(0, length, rows)]


def _cut(span: tuple[int, int], *tensors: Tensor) -> tuple[Tensor, ...]:
    """The block `span` of each tensor, in the type of the state."""
    start, rows = span
    return tuple(x.narrow(-2, start, rows).to(state_dtype(x)) for x in tensors)


def _cut_pad(span: tuple[int, int], pad: Tensor | None) -> Tensor | None:
    return None if pad is None else pad.narrow(-2, span[0], span[1])


def _paste(span: tuple[int, int], target: Tensor, block: Tensor) -> None:
    target.narrow(-2, span[0], span[1]).copy_(block)


def _full_precision(x: Tensor) -> torch.autocast:
    """Autocast would bring the float32 blocks back to half precision."""
    return torch.autocast(x.device.type, enabled=False)


def _pull_back(function: Callable[..., State], inputs: Iterable[Tensor], grads: State) -> State:
    """Gradients at `inputs`, given those at the outputs of `function(*inputs)`."""
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_() for x in inputs]
        outputs = function(*leaves)
    return torch.autograd.grad(outputs, leaves, grads)


def _refuse_second_derivatives() -> None:
    # Gradients are computed outside the graph: a second derivative would silently miss every term of theirs.
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "linear attention by recomputation is differentiable once; call backward without create_graph"
        )


class _SumThenRead(torch.autograd.Function):
    # ctx is Any here and below: torch lets a Function put its own attributes on it.
    @staticmethod
    def forward(
        ctx: Any, summarise: Summarise, read: Read, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None
    ) -> Tensor:
        out = torch.empty_like(v)
        with _full_precision(q):
            spans = _spans(q)
            state = summarise(*_cut(spans[0], k, v), _cut_pad(spans[0], pad))
            for span in spans[1:]:
                part = summarise(*_cut(span, k, v), _cut_pad(span, pad))
                state = tuple(total + more for total, more in zip(state, part, strict=True))
            for span in spans:
                _paste(span, out, read(*_cut(span, q), *state))
        ctx.save_for_backward(q, k, v, *state)
        ctx.summarise, ctx.read, ctx.pad = summarise, read, pad
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives()
        q, k, v, *state = ctx.saved_tensors
        dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
        dstate = [torch.zeros_like(x) for x in state]
        with _full_precision(q):
            for span in _spans(q):
                dq_block, *parts = _pull_back(
                    lambda *x: (ctx.read(*x),), (*_cut(span, q), *state), _cut(span, grad)
                )
                _paste(span, dq, dq_block)
                for total, part in zip(dstate, parts, strict=True):
                    total.add_(part)
            for span in _spans(q):
                pad = _cut_pad(span, ctx.pad)
                blocks = _pull_back(
                    lambda k, v, pad=pad: ctx.summarise(k, v, pad), _cut(span, k, v), tuple(dstate)
                )
                for target, block in zip((dk, dv), blocks, strict=True):
                    _paste(span, target, block)
        return None, None, dq, dk, dv, None


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, step: Step, state: State, q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None
    ) -> Tensor:
        out = torch.empty_like(v)
        before: list[Tensor] = []
        ctx.width, ctx.step, ctx.pad = len(state), step, pad
        with _full_precision(q):
            for span in _spans(q):
                if any(ctx.needs_input_grad):
                    before.extend(state)
                state, block = step(state, *_cut(span, q, k, v), _cut_pad(span, pad))
                _paste(span, out, block)
        ctx.save_for_backward(q, k, v, *before)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivatives()
        q, k, v, *before = ctx.saved_tensors
        width = ctx.width
        dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
        dstate = tuple(torch.zeros_like(x) for x in before[:width])
        with _full_precision(q):
            for index, span in reversed(list(enumerate(_spans(q)))):
                pad = _cut_pad(span, ctx.pad)

                def block(*x: Tensor, pad: Tensor | None = pad) -> State:
                    state, out = ctx.step(x[:width], *x[width:], pad)
                    return (*state, out)

                state = before[index * width : (index + 1) * width]
                grads = _pull_back(block, (*state, *_cut(span, q, k, v)), (*dstate, *_cut(span, grad)))
                dstate = grads[:width]
                for target, part in zip((dq, dk, dv), grads[width:], strict=True):
                    _paste(span, target, part)
        return None, None, dq, dk, dv, None


# `apply` is untyped in torch.
_sum_then_read: Callable[..., Tensor] = _SumThenRead.apply
_scan: Callable[..., Tensor] = _Scan.apply


def sum_then_read(
    summarise: Summarise,
    read: Read,
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    padding_mask: Bool[Tensor, "B N"] | None,
) -> Float[Tensor, "B H N d"]:
    """o = read(q, sum over blocks of summarise(k, v)). Differentiable once."""
    return _sum_then_read(summarise, read, q, k, v, _pad(padding_mask))


def scan(
    step: Step,
    state: State,
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    padding_mask: Bool[Tensor, "B N"] | None,
) -> Float[Tensor, "B H N d"]:
    """o of all blocks, the state handed on from block to block, `state` first. Differentiable once."""
    return _scan(step, state, q, k, v, _pad(padding_mask))
