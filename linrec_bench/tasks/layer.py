"""Task `layer`: x -> x, the mechanism between its projections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from linrec_bench.attention.layer import AttentionLayer
from linrec_bench.case import Case
from linrec_bench.tasks import Workload


def build(case: Case) -> Workload:
    """Random x of [B, N, D] through an `AttentionLayer`, forward or forward and backward.

    Raises `ValueError` for unknown parameters and `Unsupported` for a direction that does not exist.
    """
    device, dtype = torch.device(case.device), getattr(torch, case.dtype)
    torch.manual_seed(case.seed)
    with factories(device, dtype):
        layer = AttentionLayer(
            case.hidden_size,
            case.heads,
            attention=case.attention,
            causal=case.causal,
            params=dict(case.attention_params),
        )
    shape = (case.batch_size, case.seq_len, case.hidden_size)
    x, grad_output = (torch.randn(shape, device=device, dtype=dtype) for _ in range(2))
    x_bytes = x.numel() * x.element_size()
    weight_bytes = sum(weight.numel() * weight.element_size() for weight in layer.parameters())

    if case.phase == "forward":

        @torch.inference_mode()
        def forward() -> Tensor:
            output: Tensor = layer(x)
            return output

        # Read x and the weights, write y.
        return Workload(
            forward, device, minimum_bytes=2 * x_bytes + weight_bytes, attention_modules=[layer.mixer]
        )

    x.requires_grad_()

    def forward_backward() -> Tensor:
        output: Tensor = layer(x)
        output.backward(grad_output)
        return output

    def reset() -> None:
        x.grad = None
        layer.zero_grad(set_to_none=True)

    # Forward as above; backward reads x, dy and the weights, writes dx and the gradients of the weights.
    return Workload(
        forward_backward,
        device,
        minimum_bytes=5 * x_bytes + 3 * weight_bytes,
        reset=reset,
        attention_modules=[layer.mixer],
    )


@contextmanager
def factories(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Modules made inside get their weights on `device` in `dtype` at once.

    Moving them afterwards fails under a FakeTensorMode, and would hold both copies on a device.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            yield
    finally:
        torch.set_default_dtype(before)
