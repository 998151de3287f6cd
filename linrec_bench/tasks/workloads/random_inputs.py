"""Inputs at random: tokens, what a mechanism takes beside them, and the times of events."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from linrec_bench.attention.spec import Spec
from linrec_bench.case import Case

LONGEST_INTERVAL_S = 24 * 3600
"""From one event to the next."""


def random_tokens(
    case: Case, count: int, *, length: int | None = None, generator: torch.Generator | None = None
) -> list[Tensor]:
    """That many normal tensors [B, H, N, d], from the case's seed or by a generator."""
    if generator is None:
        torch.manual_seed(case.seed)
    shape = (case.batch_size, case.heads, length or case.seq_len, case.head_size)
    dtype, device = getattr(torch, case.dtype), torch.device(case.device)
    return [torch.randn(shape, device=device, dtype=dtype, generator=generator) for _ in range(count)]


def gate_tensors(
    case: Case, spec: Spec, *, length: int | None = None, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """What the mechanism's gate module, made for `case.seq_len` tokens, makes of `length` random ones (all if
    None): gates and weights, apart from any graph."""
    if spec.gate_module is None:
        return {}
    x = torch.randn(
        (case.batch_size, length or case.seq_len, case.hidden_size),
        device=torch.device(case.device),
        dtype=getattr(torch, case.dtype),
        generator=generator,
    )
    params = dict(case.attention_params)
    made = spec.gate_tensors(x, case.heads, seq_len=case.seq_len, params=params, seed=case.seed)
    return {name: tensor.detach() for name, tensor in made.items()}


def random_times(batch_size: int, length: int, device: torch.device) -> Int64[Tensor, "B N_plus_1"]:
    """Seconds of `length` events at random intervals, and of the request after them."""
    return torch.randint(1, LONGEST_INTERVAL_S, (batch_size, length + 1), device=device).cumsum(dim=1)
