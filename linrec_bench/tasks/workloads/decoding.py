"""One more event after a history of seq_len - 1, with what is remembered of it.

Of a mechanism alone, its step; of a whole model, the step through all its layers and the scores of the
catalogue that follow from it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from linrec_bench import attention, models
from linrec_bench.attention.spec import Spec, State, Unsupported, accepted, factories
from linrec_bench.case import Case
from linrec_bench.models.spec import Recommender
from linrec_bench.models.stack import Memory
from linrec_bench.tasks.workloads import Workload
from linrec_bench.tasks.workloads.random_inputs import gate_tensors, random_times, random_tokens

_TOKENS_AT_ONCE = 4096
"""The history is taken in by blocks, so that building a state needs little memory."""

EVENTS_AT_ONCE = 256
"""Likewise for a whole model, whose layers answer every event of the history."""


def build(case: Case) -> Workload:
    """The step of a whole model, or without one q, k, v [B, H, 1, d] -> o of the mechanism.

    The state is built once, from a random history; every call takes the same step from the same state. Raises
    `ValueError` for unknown parameters and `Unsupported` for a mechanism without a causal form, for a model
    that takes no events one after another, and for `causal: false`.
    """
    return _of_mechanism(case) if case.model is None else _of_model(case)


def _of_mechanism(case: Case) -> Workload:
    params = dict(case.attention_params)
    spec = attention.registry()[case.attention]
    spec.check_params(params)
    if not case.causal:
        raise Unsupported("decoding goes forward in time; expected causal: true")
    spec.check_direction(causal=True)
    if params.get("backend", "eager") != "eager":
        raise Unsupported(
            f"a step of attention {spec.name} has no backend {params['backend']}; expected backend eager"
        )
    if spec.init_state is None or spec.step is None:
        raise Unsupported(f"attention {spec.name} has no init_state and step to decode with")
    tokens = dict(zip("qkv", random_tokens(case, 3), strict=True))
    tensors = gate_tensors(case, spec)
    tokens |= {name: tensors.pop(name) for name in spec.tokens}
    with torch.inference_mode():
        state = _after_history(case, spec, tokens, tensors)
        event = {name: x[:, :, -1:].clone() for name, x in tokens.items()}
    state_bytes = sum(x.nbytes for x in state)
    own = accepted(spec.step, params, seq_len=case.seq_len)
    take = spec.step

    @torch.inference_mode()
    def step() -> Tensor:
        _, out = take(state, **event, **tensors, **own)
        return out

    # Read the state and the event, write the output: no implementation can know the history without it.
    event_bytes = sum(x.nbytes for x in event.values())
    least = state_bytes + event_bytes + event["v"].nbytes
    return Workload(step, torch.device(case.device), minimum_bytes=least, state_bytes=state_bytes)


def _after_history(case: Case, spec: Spec, tokens: dict[str, Tensor], tensors: dict[str, Tensor]) -> State:
    """The state after all events but the last."""
    assert spec.init_state is not None
    assert spec.step is not None
    params = dict(case.attention_params)
    state = spec.init_state(tokens["q"], **accepted(spec.init_state, params, seq_len=case.seq_len))
    own = accepted(spec.step, params, seq_len=case.seq_len)
    past = case.seq_len - 1
    for start in range(0, past, _TOKENS_AT_ONCE):
        rows = min(_TOKENS_AT_ONCE, past - start)
        part = {name: x.narrow(2, start, rows) for name, x in tokens.items()}
        if spec.remember is None:
            state, _ = spec.step(state, **part, **tensors, **own)
        else:
            del part["q"]
            state = spec.remember(state, **part, **tensors)
    return state


def _of_model(case: Case) -> Workload:
    """One event of each user through the model, and the scores of `catalogue_size` items."""
    assert case.model is not None
    spec = models.registry()[case.model]
    if not case.causal:
        raise Unsupported("decoding goes forward in time; expected causal: true")
    if not spec.streams:
        raise Unsupported(f"model {spec.name} has no form that takes one event after another")
    assert case.training is not None, "a case of this task has settings of training"
    n_items = case.training.catalogue_size
    device = torch.device(case.device)
    torch.manual_seed(case.seed)
    with factories(device, getattr(torch, case.dtype)):
        model = models.of_case(case, n_items=n_items).eval()
    items = torch.randint(1, n_items + 1, (case.batch_size, case.seq_len), device=device)
    times = random_times(len(items), items.shape[1], device) if model.needs_timestamps else None
    with torch.inference_mode():
        memory = memory_after(model, items[:, :-1], None if times is None else times[:, :-1])
        last = items[:, -1:].clone()
        asked = None if times is None else times[:, -2:].clone()
        table = model.item_embeddings().clone()

    @torch.inference_mode()
    def step() -> Tensor:
        _, hidden = model.step(memory, last, asked)
        scores: Tensor = hidden[:, -1] @ table.T
        return scores

    state_bytes = sum(part.nbytes for state in memory for part in state)
    products = sum(module.weight.nbytes for module in model.modules() if isinstance(module, nn.Linear))
    scores_bytes = case.batch_size * len(table) * table.itemsize
    # Read the state, the matrices of the layers and the table, write the scores: of other tables one row is
    # read.
    least = state_bytes + products + table.nbytes + scores_bytes
    return Workload(step, device, minimum_bytes=least, state_bytes=state_bytes)


def memory_after(model: Recommender, items: Tensor, times: Tensor | None) -> Memory:
    """The memory after all of them; times: [B, N + 1]."""
    memory = model.init_state(len(items))
    for start in range(0, items.shape[1], EVENTS_AT_ONCE):
        stop = min(start + EVENTS_AT_ONCE, items.shape[1])
        asked = None if times is None else times[:, start : stop + 1]
        memory, _ = model.step(memory, items[:, start:stop], asked)
    return memory
