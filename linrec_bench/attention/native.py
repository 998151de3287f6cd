"""The backend `native`: LinRec's sums in C++, built for the machine it runs on, with gradients by hand.

One pass over the tokens computes what eager operations take a dozen for: a tile of 16 tokens is loaded,
mapped by elu, scaled, multiplied and written while it is in the innermost cache. For the token norm (q' and
k' are rows of elu scaled to one length) and a slope g at o:

    bidirectional   S = sum k'_j v_j^T, o_i = S^T q'_i;  dS = sum q'_i g_i^T, dq'_i = S g_i, dk'_j = dS v_j,
                    dv_j = dS^T k'_j
    causal          the same with S_t and, from the last token on, dS_t = sum over i >= t

For the column norm keys are elu(k), and S is scaled by 1 / sqrt(N c^2), c_t^2 = sum elu(k_j)^2, which has a
slope of its own: see `linrec_column`. Saved for backward are q, k, v and the sums. Beside outputs and
gradients there are d^2 numbers a head and, causal with the column norm, d + 1 for every tile.

Needs a C++ compiler with OpenMP (CXX, else g++) once for each data type and head size. The library is then
kept in the cache of the user: `first_call_time` holds the building only the first time on a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CDLL, Structure, byref, c_int, c_int64, c_void_p
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from linrec_bench.attention.blockwise import refuse_second_derivatives, state_dtype
from linrec_bench.attention.building import library
from linrec_bench.attention.features import reciprocal_root
from linrec_bench.attention.spec import Unsupported

TILE = 16
_STORED = {
    torch.float32: ("float", "float"),
    torch.float64: ("double", "double"),
    torch.bfloat16: ("BFloat16", "float"),
}


class _Shape(Structure):
    _fields_ = [(name, c_int64) for name in ("batch", "heads", "length", "segments", "threads")]


class _Rows(Structure):
    _fields_ = [("data", c_void_p), *((name, c_int64) for name in ("batch", "head", "token"))]


def runs(backend: str, q: Tensor) -> bool:
    """Whether `backend` is this one and q has numbers: fake tensors, which only count, take the eager way.

    Raises `Unsupported` for devices and data types that the library does not know.
    """
    if backend != "native" or isinstance(q, FakeTensor):
        return False
    if q.device.type != "cpu":
        raise Unsupported(f"backend native runs on a CPU, not on {q.device.type}; use eager or compile")
    if q.dtype not in _STORED:
        known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _STORED)
        raise Unsupported(f"backend native knows {known}, not {q.dtype}; use eager or compile")
    return True


def attend(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None,
    causal: bool,
    column: bool,
) -> Float[Tensor, "B H N d"]:
    """o of `linrec` or, if `column`, of `linrec-column`. Differentiable once.

    Raises `ValueError` unless q, k, v are of one shape and type: the library reads memory by those of q.
    """
    for name, x in (("k", k), ("v", v)):
        if (x.shape, x.dtype) != (q.shape, q.dtype):
            raise ValueError(
                f"{name} is {list(x.shape)} of {x.dtype}; expected {list(q.shape)} of {q.dtype}, as q is"
            )
    mask = None if padding_mask is None else padding_mask.contiguous()
    return (_causal if causal else _bidirectional)(column, mask, q, k, v)


class _Passes:
    """The library's passes over tokens such as `like`; `parts` is the shape of what they sum for each part.

    Heads are shared out over threads. Where there are fewer of them, so are segments of the sequence, if the
    pass may be `split`: sums have a leading axis of segments.
    """

    def __init__(self, like: Tensor, *, split: bool) -> None:
        batch, heads, length, head_size = like.shape
        threads = torch.get_num_threads()
        segments = max(1, min(ceil(threads / max(batch * heads, 1)), length // TILE)) if split else 1
        self._shape = _Shape(batch, heads, length, segments, threads)
        self._library = _library(like.dtype, head_size)
        self.parts = (segments, batch, heads)

    def run(self, name: str, *arguments: _Rows | Tensor | bool | None) -> None:
        getattr(self._library, name)(byref(self._shape), *map(_pointer, arguments))


def _pointer(argument: _Rows | Tensor | bool | None) -> object:
    if isinstance(argument, _Rows):
        return byref(argument)
    if isinstance(argument, Tensor):
        return c_void_p(argument.data_ptr())
    return None if argument is None else c_int(argument)


@cache
def _library(dtype: torch.dtype, head_size: int) -> CDLL:
    stored, real = _STORED[dtype]
    source = Path(__file__).with_name("linrec.cpp")
    return library(source, {"STORED": stored, "REAL": real, "HEAD_SIZE": head_size})


def _rows(x: Float[Tensor, "B H N d"]) -> _Rows:
    """x as the library takes it, copied where the numbers of a token are not side by side."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    rows = _Rows(x.data_ptr(), *x.stride()[:-1])
    # The numbers live as long as what points to them.
    rows.owner = x
    return rows


def _empty(x: Tensor) -> Tensor:
    """Laid out as x, with the numbers of a token side by side."""
    return (
        torch.empty_like(x)
        if x.stride(-1) == 1
        else torch.empty_like(x, memory_format=torch.contiguous_format)
    )


def _state(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(*shape, dtype=state_dtype(like))


def _scaled(sums: Tensor, squares: Tensor, count: Tensor | int) -> Tensor:
    """diag(1 / sqrt(N c^2)) S, which queries of the column norm read."""
    return reciprocal_root(count * squares).unsqueeze(-1) * sums


class _Bidirectional(torch.autograd.Function):
    # ctx is Any here and below: torch lets a Function put its own attributes on it.
    @staticmethod
    def forward(ctx: Any, column: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        d = q.shape[-1]
        passes = _Passes(q, split=True)
        sums, squares = _state(q, *passes.parts, d, d), _state(q, *passes.parts, d)
        passes.run("summarise", _rows(k), _rows(v), mask, column, sums, squares)
        sums, squares = sums.sum(dim=0), squares.sum(dim=0)
        ctx.column, ctx.mask = column, mask
        ctx.count = q.shape[2] if mask is None else mask.sum(dim=1)[:, None, None]
        out = _empty(v)
        passes.run("read", _rows(q), _scaled(sums, squares, ctx.count) if column else sums, _rows(out))
        ctx.save_for_backward(q, k, v, sums, squares)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v, sums, squares = ctx.saved_tensors
        passes = _Passes(q, split=True)
        dsums, dsquares, read = _state(q, *passes.parts, *sums.shape[2:]), None, sums
        if ctx.column:
            with torch.enable_grad():
                leaves = sums.detach().requires_grad_(), squares.detach().requires_grad_()
                read = _scaled(*leaves, ctx.count)
        dq = _empty(q)
        passes.run("read_back", _rows(q), read, _rows(grad), _rows(dq), dsums)
        dsums = dsums.sum(dim=0)
        if ctx.column:
            dsums, dsquares = torch.autograd.grad(read, leaves, dsums)
        dk, dv = _empty(k), _empty(v)
        passes.run(
            "summarise_back",
            *(_rows(k), _rows(v), ctx.mask, ctx.column, dsums, dsquares, _rows(dk), _rows(dv)),
        )
        if ctx.column:
            # A column of one key does not depend on its size: see `linrec_column`.
            dk[(torch.as_tensor(ctx.count) == 1).expand(len(dk), 1, 1).flatten()] = 0
        return None, None, dq, dk, dv


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, column: bool, mask: Tensor | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = _empty(v)
        _Passes(q, split=False).run("scan", _rows(q), _rows(k), _rows(v), mask, column, _rows(out))
        ctx.column, ctx.mask = column, mask
        ctx.save_for_backward(q, k, v)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        q, k, v = ctx.saved_tensors
        dq, dk, dv = _empty(q), _empty(k), _empty(v)
        # The slopes at c_t^2 wait where dk will be, unless that is of a half type.
        dsquares = dk if dk.dtype == state_dtype(dk) else torch.empty_like(dk, dtype=state_dtype(dk))
        before = _state(q, *q.shape[:2], ceil(q.shape[2] / TILE), q.shape[3] + 1)
        passes = _Passes(q, split=False)
        tokens = (_rows(q), _rows(k), _rows(v), ctx.mask, ctx.column, _rows(grad))
        passes.run("scan_back_queries", *tokens, _rows(dq), _rows(dsquares), before)
        passes.run("scan_back_keys", *tokens, _rows(dsquares), before, _rows(dk), _rows(dv))
        return None, None, dq, dk, dv


# `apply` is untyped in torch.
_bidirectional: Callable[..., Tensor] = _Bidirectional.apply
_causal: Callable[..., Tensor] = _Causal.apply
