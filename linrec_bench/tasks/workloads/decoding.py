"""One more event after a history of seq_len - 1, with what is remembered of it.

Of a mechanism alone, its step; of a whole model, the step through all its layers and the scores of the
catalogue that follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from linrec_bench import attention, models
from linrec_bench.attention.spec import Spec, State, Unsupported, accepted, factories
from linrec_bench.case import Case
from linrec_bench.models.spec import Recommender
from linrec_bench.models.stack import Memory
from linrec_bench.tasks.workloads import Workload
from linrec_bench.tasks.workloads.random_inputs import gate_tensors, random_times, random_tokens

TOKENS_AT_ONCE = 4096
NUMBERS_AT_ONCE = 1 << 24
"""The history is drawn and taken in by pieces of at most so many tokens, and numbers of one tensor, so that
building a state needs the memory of the state and of one piece."""

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
    with torch.inference_mode():
        state, event = after_history(case, spec)
    state_bytes = sum(x.nbytes for x in state)
    own = accepted(spec.step, params, seq_len=case.seq_len)
    take = spec.step

    @torch.inference_mode()
    def step() -> Tensor:
        _, out = take(state, **event.tokens, **event.weights, **own)
        return out

    # Read the state and the event, write the output: no implementation can know the history without it.
    event_bytes = sum(x.nbytes for x in event.tokens.values())
    least = state_bytes + event_bytes + event.tokens["v"].nbytes
    return Workload(step, torch.device(case.device), minimum_bytes=least, state_bytes=state_bytes)


@dataclass(frozen=True)
class Piece:
    """Events that follow one another: `tokens` (q, k, v, gates) have a row for each; `weights` have none and
    are the same in every piece."""

    tokens: dict[str, Tensor]
    weights: dict[str, Tensor]


def history(case: Case, spec: Spec) -> Iterator[Piece]:
    """The `seq_len` events of a case by random draws from its seed: the last of them alone, then those before
    it, in pieces. Each exists when it is asked for."""
    generator = torch.Generator(case.device).manual_seed(case.seed)
    yield _drawn(case, spec, 1, generator)
    longest = max(1, min(TOKENS_AT_ONCE, NUMBERS_AT_ONCE // (case.batch_size * case.hidden_size)))
    whole, rest = divmod(case.seq_len - 1, longest)
    if spec.state_exponent == 0 and isinstance(torch.empty(()), FakeTensor):
        # Without numbers, a state of one size is the same after two pieces as after any further one.
        whole = min(whole, 2)
    for length in (*[longest] * whole, *[rest] * (rest > 0)):
        yield _drawn(case, spec, length, generator)


def _drawn(case: Case, spec: Spec, length: int, generator: torch.Generator) -> Piece:
    tokens = dict(zip("qkv", random_tokens(case, 3, length=length, generator=generator), strict=True))
    weights = gate_tensors(case, spec, length=length, generator=generator)
    tokens |= {name: weights.pop(name) for name in spec.tokens}
    return Piece(tokens, weights)


def after_history(case: Case, spec: Spec) -> tuple[State, Piece]:
    """The state after all events but the last, and that one."""
    assert spec.init_state is not None
    assert spec.step is not None
    params = dict(case.attention_params)
    pieces = history(case, spec)
    event = next(pieces)
    state = spec.init_state(event.tokens["q"], **accepted(spec.init_state, params, seq_len=case.seq_len))
    own = accepted(spec.step, params, seq_len=case.seq_len)
    for piece in pieces:
        if spec.remember is None:
            state, _ = spec.step(state, **piece.tokens, **piece.weights, **own)
        else:
            del piece.tokens["q"]
            state = spec.remember(state, **piece.tokens, **piece.weights)
        # Before the next one is drawn.
        del piece
    return state, event


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
