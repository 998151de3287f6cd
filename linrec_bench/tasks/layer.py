"""Task `layer`: x -> x, the mechanism between its projections."""

from __future__ import annotations

from collections.abc import Callable

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
    from linrec_bench.tasks.workloads.fresh_inputs import Window
    from linrec_bench.tasks.workloads.oracles import of_layer
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
    window = Window(shape, dtype, device, seed=case.seed)
    grad_output = torch.randn(shape, device=device, dtype=dtype)
    x_bytes = rows.of_tokens(window.now.nbytes)
    weight_bytes = sum(weight.numel() * weight.element_size() for weight in layer.parameters())
    operators: list[nn.Module] = [module for module in layer.modules() if isinstance(module, AttentionOp)]
    mask = rows.mask(device)
    spec = attention.registry()[case.attention]
    times = random_times(*shape[:2], device) if spec.timestamps else None
    more = (mask,) if times is None else (mask, times)
    oracle = of_layer(
        case,
        layer,
        window=window,
        mask=mask,
        times=times,
        grad_output=grad_output,
        honours_padding=spec.honours_padding,
    )

    def workload(call: Callable[[], object], *, least: int, reset: Callable[[], None]) -> Workload:
        return Workload(
            call,
            device,
            minimum_bytes=least,
            reset=reset,
            attention_modules=operators,
            facts=rows.facts,
            oracle=oracle,
        )

    if case.phase == "forward":

        @torch.inference_mode()
        def forward() -> object:
            output: torch.Tensor = layer(window.now, *more)
            return output

        # Read x and the weights, write y.
        return workload(forward, least=2 * x_bytes + weight_bytes, reset=window.move)

    window.differentiate()

    def forward_backward() -> object:
        output: torch.Tensor = layer(window.now, *more)
        output.backward(grad_output)
        return output

    def reset() -> None:
        window.move()
        layer.zero_grad(set_to_none=True)

    # Forward as above; backward reads x, dy and the weights, writes dx and the gradients of the weights.
    return workload(forward_backward, least=5 * x_bytes + 3 * weight_bytes, reset=reset)


SPEC = TaskSpec(
    name="layer",
    title="the mechanism between its projections: x in, x out",
    phases=CALLS,
    quantities=TOKENS,
    takes_lengths=True,
    build=build,
    order=10,
)
