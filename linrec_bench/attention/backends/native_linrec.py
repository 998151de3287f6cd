"""The backend `native` of LinRec: its passes in C++.

One pass over the tokens computes what eager operations take a dozen for: a tile of 16 tokens is loaded,
mapped by elu, scaled, multiplied and written while it is in the innermost cache. Beside outputs and gradients
there are d^2 numbers a head and, causal with the column norm, d + 1 for every tile.
"""

from __future__ import annotations

from functools import partial
from math import ceil

import torch
from torch import Tensor

from linrec_bench.attention.backends import linrec_passes
from linrec_bench.attention.backends.native import TILE, Passes, empty, rows, state
from linrec_bench.attention.ops.blockwise import state_dtype

_passes = partial(Passes, "linrec.cpp")


class NativePasses:
    """See `linrec_passes.Passes`. Bidirectional sums are those of all segments of the sequence."""

    def summarise(self, k: Tensor, v: Tensor, mask: Tensor | None, *, column: bool) -> tuple[Tensor, Tensor]:
        passes, d = _passes(k, split=True), k.shape[-1]
        sums, squares = state(k, *passes.parts, d, d), state(k, *passes.parts, d)
        passes.run("summarise", rows(k), rows(v), mask, column, sums, squares)
        return sums.sum(dim=0), squares.sum(dim=0)

    def read(self, q: Tensor, sums: Tensor) -> Tensor:
        out = empty(q)
        _passes(q, split=True).run("read", rows(q), sums, rows(out))
        return out

    def read_back(self, q: Tensor, sums: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        passes, dq = _passes(q, split=True), empty(q)
        dsums = state(q, *passes.parts, *sums.shape[2:])
        passes.run("read_back", rows(q), sums, rows(grad), rows(dq), dsums)
        return dq, dsums.sum(dim=0)

    def summarise_back(
        self, k: Tensor, v: Tensor, mask: Tensor | None, dsums: Tensor, dsquares: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        dk, dv, column = empty(k), empty(v), dsquares is not None
        tokens = (rows(k), rows(v), mask, column, dsums, dsquares)
        _passes(k, split=True).run("summarise_back", *tokens, rows(dk), rows(dv))
        return dk, dv

    def scan(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, column: bool) -> Tensor:
        out = empty(v)
        _passes(q, split=False).run("scan", rows(q), rows(k), rows(v), mask, column, rows(out))
        return out

    def scan_back(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, grad: Tensor, *, column: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        dq, dk, dv = empty(q), empty(k), empty(v)
        # The slopes at c_t^2 wait where dk will be, unless that is of a half type.
        dsquares = dk if dk.dtype == state_dtype(dk) else torch.empty_like(dk, dtype=state_dtype(dk))
        before = state(q, *q.shape[:2], ceil(q.shape[2] / TILE), q.shape[3] + 1)
        passes = _passes(q, split=False)
        tokens = (rows(q), rows(k), rows(v), mask, column, rows(grad))
        passes.run("scan_back_queries", *tokens, rows(dq), rows(dsquares), before)
        passes.run("scan_back_keys", *tokens, rows(dsquares), before, rows(dk), rows(dv))
        return dq, dk, dv


attend = partial(linrec_passes.attend, NativePasses())
