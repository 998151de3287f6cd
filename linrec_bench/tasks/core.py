"""Task `core`: q, k, v -> o, the mechanism alone."""

from __future__ import annotations

from dataclasses import replace

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
    from linrec_bench.tasks.workloads.fresh_inputs import fresh_tokens
    from linrec_bench.tasks.workloads.oracles import of_core
    from linrec_bench.tasks.workloads.random_inputs import gate_tensors

    params: dict[str, object] = dict(case.attention_params)
    spec = attention.registry()[case.attention]
    spec.check_params(params)
    spec.check_direction(causal=case.causal)
    rows, device = rows_of(case), torch.device(case.device)
    *windows, last = fresh_tokens(case, 4, length=rows.longest)
    tensors = gate_tensors(replace(case, seq_len=rows.longest), spec)
    mask = rows.mask(device)
    token_bytes = rows.of_tokens(last.now.nbytes)
    more_bytes = sum(tensor.nbytes for tensor in tensors.values())

    def forward() -> torch.Tensor:
        q, k, v = (window.now for window in windows)
        given = {**params, **tensors}
        return attention.core(case.attention, q, k, v, padding_mask=mask, causal=case.causal, **given)

    def move() -> None:
        for window in windows:
            window.move()

    oracle = of_core(case, spec, windows=windows, tensors=tensors, mask=mask, grad_output=last.now)
    if case.phase == "forward":
        # Read q, k, v of events and what comes beside them; write o.
        least = 4 * token_bytes + more_bytes
        call = torch.inference_mode()(forward)
        return Workload(call, device, least, reset=move, facts=rows.facts, oracle=oracle)

    for window in windows:
        window.differentiate()
    gates = [x.requires_grad_() for x in tensors.values() if x.is_floating_point()]

    def forward_backward() -> object:
        output = forward()
        output.backward(last.now)
        return output

    def reset() -> None:
        move()
        for tensor in gates:
            tensor.grad = None

    # Forward as above; backward reads q, k, v, do and writes dq, dk, dv, likewise for the rest.
    least = 11 * token_bytes + 3 * more_bytes
    return Workload(forward_backward, device, least, reset=reset, facts=rows.facts, oracle=oracle)


SPEC = TaskSpec(
    name="core",
    title="the mechanism alone: q, k, v in, o out",
    phases=CALLS,
    quantities=TOKENS,
    takes_lengths=True,
    build=build,
    order=0,
)
