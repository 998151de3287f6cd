"""Task `core`: q, k, v -> o, the mechanism alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from linrec_bench.case import Case
from linrec_bench.measures.spec import Measurable
from linrec_bench.tasks.shared_declarations import CALLS, TOKENS
from linrec_bench.tasks.spec import TaskSpec


def build(case: Case) -> Measurable:
    """Random q, k, v of [B, H, N, d], and the gates and weights that the mechanism asks for beside them,
    through the mechanism, forward or forward and backward. N is the longest row of the batch.

    Raises `ValueError` for unknown parameters and `Unsupported` for a direction that does not exist.
    """
    import torch

    from linrec_bench import attention
    from linrec_bench.tasks.workloads import Workload
    from linrec_bench.tasks.workloads.batch_lengths import rows_of
    from linrec_bench.tasks.workloads.random_inputs import gate_tensors, random_tokens

    # Any: settings go by name to whatever mechanism is asked for.
    params: dict[str, Any] = dict(case.attention_params)
    spec = attention.registry()[case.attention]
    spec.check_params(params)
    spec.check_direction(causal=case.causal)
    rows, device = rows_of(case), torch.device(case.device)
    q, k, v, grad_output = random_tokens(case, 4, length=rows.longest)
    tensors = gate_tensors(replace(case, seq_len=rows.longest), spec)
    mask = rows.mask(device)
    token_bytes = rows.of_tokens(q.nbytes)
    more_bytes = sum(tensor.nbytes for tensor in tensors.values())

    def forward() -> torch.Tensor:
        given = {**params, **tensors}
        return attention.core(case.attention, q, k, v, padding_mask=mask, causal=case.causal, **given)

    if case.phase == "forward":
        # Read q, k, v of events and what comes beside them; write o.
        least = 4 * token_bytes + more_bytes
        return Workload(torch.inference_mode()(forward), device, minimum_bytes=least, facts=rows.facts)

    inputs = [x for x in (q, k, v, *tensors.values()) if x.is_floating_point()]
    for tensor in inputs:
        tensor.requires_grad_()

    def forward_backward() -> object:
        output = forward()
        output.backward(grad_output)
        return output

    def reset() -> None:
        for tensor in inputs:
            tensor.grad = None

    # Forward as above; backward reads q, k, v, do and writes dq, dk, dv, likewise for the rest.
    least = 11 * token_bytes + 3 * more_bytes
    return Workload(forward_backward, device, minimum_bytes=least, reset=reset, facts=rows.facts)


SPEC = TaskSpec(
    name="core",
    title="the mechanism alone: q, k, v in, o out",
    phases=CALLS,
    quantities=TOKENS,
    takes_lengths=True,
    build=build,
    order=0,
)
