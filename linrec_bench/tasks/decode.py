"""Task `decode`: one more event after a history of seq_len - 1, with what the mechanism remembers of it."""

from __future__ import annotations

import torch
from torch import Tensor

from linrec_bench import attention
from linrec_bench.attention.spec import Spec, State, Unsupported, accepted
from linrec_bench.case import Case
from linrec_bench.tasks import Workload
from linrec_bench.tasks.core import beside_tokens, random_tokens

_TOKENS_AT_ONCE = 4096
"""The history is taken in by blocks, so that building a state needs little memory."""


def build(case: Case) -> Workload:
    """The step q, k, v [B, H, 1, d] -> o of causal decoding; its state is built once, from a random history.

    Every call takes the same step from the same state. Raises `ValueError` for unknown parameters and
    `Unsupported` for a mechanism without a causal form and for `causal: false`.
    """
    params = dict(case.attention_params)
    spec = attention.registry()[case.attention]
    spec.check_params(params)
    if not case.causal:
        raise Unsupported("decoding goes forward in time; expected causal: true")
    spec.check_direction(causal=True)
    if spec.init_state is None or spec.step is None:
        raise Unsupported(f"attention {spec.name} has no init_state and step to decode with")
    tokens = dict(zip("qkv", random_tokens(case, 3), strict=True))
    tensors = beside_tokens(case, spec)
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
