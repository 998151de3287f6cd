"""Task `core`: q, k, v -> o, the mechanism alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from linrec_bench import attention
from linrec_bench.attention.spec import Spec
from linrec_bench.case import Case
from linrec_bench.tasks import Workload
from linrec_bench.tasks.batch_lengths import rows_of


def build(case: Case) -> Workload:
    """Random q, k, v of [B, H, N, d], and the gates and weights that the mechanism asks for beside them,
    through the mechanism, forward or forward and backward. N is the longest row of the batch.

    Raises `ValueError` for unknown parameters and `Unsupported` for a direction that does not exist.
    """
    # Any: settings go by name to whatever mechanism is asked for.
    params: dict[str, Any] = dict(case.attention_params)
    spec = attention.registry()[case.attention]
    spec.check_params(params)
    spec.check_direction(causal=case.causal)
    rows, device = rows_of(case), torch.device(case.device)
    q, k, v, grad_output = random_tokens(case, 4, length=rows.longest)
    tensors = beside_tokens(replace(case, seq_len=rows.longest), spec)
    mask = rows.mask(device)
    token_bytes = rows.of_tokens(q.nbytes)
    more_bytes = sum(tensor.nbytes for tensor in tensors.values())

    def forward() -> Tensor:
        given = {**params, **tensors}
        return attention.core(case.attention, q, k, v, padding_mask=mask, causal=case.causal, **given)

    if case.phase == "forward":
        # Read q, k, v of events and what comes beside them; write o.
        least = 4 * token_bytes + more_bytes
        return Workload(torch.inference_mode()(forward), device, minimum_bytes=least, tokens=rows.tokens)

    inputs = [x for x in (q, k, v, *tensors.values()) if x.is_floating_point()]
    for tensor in inputs:
        tensor.requires_grad_()

    def forward_backward() -> Tensor:
        output = forward()
        output.backward(grad_output)
        return output

    def reset() -> None:
        for tensor in inputs:
            tensor.grad = None

    # Forward as above; backward reads q, k, v, do and writes dq, dk, dv, likewise for the rest.
    least = 11 * token_bytes + 3 * more_bytes
    return Workload(forward_backward, device, minimum_bytes=least, reset=reset, tokens=rows.tokens)


def random_tokens(case: Case, count: int, *, length: int | None = None) -> list[Tensor]:
    """That many normal tensors [B, H, N, d] from the case's seed."""
    torch.manual_seed(case.seed)
    shape = (case.batch_size, case.heads, length or case.seq_len, case.head_size)
    dtype, device = getattr(torch, case.dtype), torch.device(case.device)
    return [torch.randn(shape, device=device, dtype=dtype) for _ in range(count)]


def beside_tokens(case: Case, spec: Spec) -> dict[str, Tensor]:
    """What the mechanism's gate module makes of random tokens: gates and weights, apart from any graph."""
    if spec.gate_module is None:
        return {}
    x = torch.randn(
        (case.batch_size, case.seq_len, case.hidden_size),
        device=torch.device(case.device),
        dtype=getattr(torch, case.dtype),
    )
    params = dict(case.attention_params)
    made = spec.gate_tensors(x, case.heads, seq_len=case.seq_len, params=params, seed=case.seed)
    return {name: tensor.detach() for name, tensor in made.items()}
