"""Task `layer`: x -> x, the mechanism between its projections."""

from __future__ import annotations

from linrec_bench.case import Case
from linrec_bench.measures.spec import Measurable
from linrec_bench.tasks.shared_declarations import CALLS, TOKENS
from linrec_bench.tasks.spec import TaskSpec


def build(case: Case) -> Measurable:
    """Random x of [B, N, D] through the layer of the mechanism, forward or forward and backward.

    N is the longest row of the batch.

    Raises `ValueError` for unknown parameters and `Unsupported` for a direction that does not exist.
    """
    import torch
    from torch import nn

    from linrec_bench import attention
    from linrec_bench.attention.layer import AttentionOp
    from linrec_bench.attention.spec import factories
    from linrec_bench.tasks.workloads import Workload
    from linrec_bench.tasks.workloads.batch_lengths import rows_of
    from linrec_bench.tasks.workloads.random_inputs import random_times

    device, dtype = torch.device(case.device), getattr(torch, case.dtype)
    torch.manual_seed(case.seed)
    with factories(device, dtype):
        layer = attention.make_layer(
            case.attention,
            case.hidden_size,
            case.heads,
            causal=case.causal,
            seq_len=case.seq_len,
            params=dict(case.attention_params),
        )
    rows = rows_of(case)
    shape = (case.batch_size, rows.longest, case.hidden_size)
    x, grad_output = (torch.randn(shape, device=device, dtype=dtype) for _ in range(2))
    x_bytes = rows.of_tokens(x.numel() * x.element_size())
    weight_bytes = sum(weight.numel() * weight.element_size() for weight in layer.parameters())
    operators: list[nn.Module] = [module for module in layer.modules() if isinstance(module, AttentionOp)]
    mask = rows.mask(device)
    timed = attention.registry()[case.attention].timestamps
    inputs = (x, mask, random_times(*shape[:2], device)) if timed else (x, mask)

    if case.phase == "forward":

        @torch.inference_mode()
        def forward() -> object:
            output: torch.Tensor = layer(*inputs)
            return output

        # Read x and the weights, write y.
        least = 2 * x_bytes + weight_bytes
        return Workload(forward, device, minimum_bytes=least, attention_modules=operators, facts=rows.facts)

    x.requires_grad_()

    def forward_backward() -> object:
        output: torch.Tensor = layer(*inputs)
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
        attention_modules=operators,
        facts=rows.facts,
    )


SPEC = TaskSpec(
    name="layer",
    title="the mechanism between its projections: x in, x out",
    phases=CALLS,
    quantities=TOKENS,
    takes_lengths=True,
    build=build,
    order=10,
)
