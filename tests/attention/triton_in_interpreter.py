"""Kernels of the backend `triton` in Triton's interpreter against the references: prints what differs.

A process of its own: Triton decides when it is imported whether it interprets (TRITON_INTERPRET=1).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import torch
from torch import Tensor

from linrec_bench.attention import contract, registry
from linrec_bench.attention.contract.probe_inputs import Given, difference, gradients, real, run

TRITON = {"backend": "triton"}


def tokens(shape: tuple[int, ...], dtype: torch.dtype) -> Given:
    return Given({name: contract.noise(shape, dtype, seed=seed) for seed, name in enumerate("qkv")}, {})


def cases() -> Iterator[tuple[str, Given, Tensor | None]]:
    """Several segments and ragged tiles, every kind of padding, head sizes to 128, layouts, zeros."""
    places = torch.arange(300)
    padded = torch.stack(((places >= 20) & (places % 3 != 1), places >= 0))
    yield "float32, segments, holes", tokens((2, 1, 300, 16), torch.float32), padded
    few = torch.stack((places[:40] < 0, places[:40] == 7))
    yield "a row of padding, a row of one token", tokens((2, 1, 40, 8), torch.float32), few
    # As heads are split from hidden features; every fifth token is zero.
    split = tokens((2, 40, 3, 8), torch.float32).map(lambda x: x.transpose(1, 2))
    split.tokens["q"][:, :, ::5] = 0
    split.tokens["k"][:, :, ::5] = 0
    yield "heads split, zeros", split, None
    # Numbers of a token that are not side by side.
    apart = tokens((1, 2, 8, 40), torch.float32).map(lambda x: x.mT)
    yield "features apart", apart, None
    yield "one token", tokens((1, 2, 1, 5), torch.float32), None
    yield "d = 128", tokens((1, 1, 37, 128), torch.float32), None
    yield "d = 40, bfloat16", tokens((1, 1, 90, 40), torch.bfloat16), None


def differences(name: str, *, causal: bool) -> Iterator[str]:
    spec = registry()[name]
    for what, having, mask in cases():
        v = having.tokens["v"]
        # A slope that is one number everywhere has no memory of its own.
        slope = torch.ones((), dtype=v.dtype).expand(v.shape) if mask is None else None
        weights = real(contract.noise(tuple(v.shape), v.dtype, seed=9), mask) if slope is None else slope
        leaves = having.map(lambda x: x.detach().requires_grad_())
        out = run(spec, leaves, causal=causal, params=TRITON, padding_mask=mask)
        found = dict(zip("qkv", torch.autograd.grad(out, list(leaves.tokens.values()), weights), strict=True))
        exact = having.map(Tensor.double)
        wanted = run(spec, exact, causal=causal, padding_mask=mask, reference=True)
        slopes = gradients(spec, exact, weights.double(), causal=causal, padding_mask=mask, reference=True)
        if out.dtype != v.dtype:
            yield f"{name}, causal {causal}, {what}: o is {out.dtype}"
        if reason := difference(real(out.detach(), mask), real(wanted, mask), v.dtype):
            yield f"{name}, causal {causal}, {what}: o differs by {reason}"
        scale = max(x.abs().max().item() for x in slopes.values())
        for which, x in slopes.items():
            if reason := difference(found[which], x, v.dtype, scale=scale, tokens=v.shape[2]):
                yield f"{name}, causal {causal}, {what}: d{which} is off by {reason}"


if __name__ == "__main__":
    both = [(name, causal) for name in ("linrec", "linrec-column") for causal in (False, True)]
    json.dump([line for name, causal in both for line in differences(name, causal=causal)], sys.stdout)
