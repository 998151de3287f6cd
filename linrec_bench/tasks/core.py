"""Task `core`: q, k, v -> o, the mechanism alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from linrec_bench import attention
from linrec_bench.case import Case
from linrec_bench.tasks import Workload


def build(case: Case) -> Workload:
    """Random q, k, v of [B, H, N, d] through the mechanism, forward or forward and backward.

    Raises `ValueError` for unknown parameters and `Unsupported` for a direction that does not exist.
    """
    params: dict[str, Any] = dict(case.attention_params)
    spec = attention.registry()[case.attention]
    spec.check_params(params)
    spec.check_direction(causal=case.causal)
    device, dtype = torch.device(case.device), getattr(torch, case.dtype)
    torch.manual_seed(case.seed)
    shape = (case.batch_size, case.heads, case.seq_len, case.head_size)
    q, k, v, grad_output = (torch.randn(shape, device=device, dtype=dtype) for _ in range(4))
    tensor_bytes = q.numel() * q.element_size()

    def forward() -> Tensor:
        return attention.core(case.attention, q, k, v, causal=case.causal, **params)

    if case.phase == "forward":
        # Read q, k, v; write o.
        return Workload(torch.inference_mode()(forward), device, minimum_bytes=4 * tensor_bytes)

    inputs = [tensor.requires_grad_() for tensor in (q, k, v)]

    def forward_backward() -> Tensor:
        output = forward()
        output.backward(grad_output)
        return output

    def reset() -> None:
        for tensor in inputs:
            tensor.grad = None

    # Forward as above; backward reads q, k, v, do and writes dq, dk, dv.
    return Workload(forward_backward, device, minimum_bytes=11 * tensor_bytes, reset=reset)
