"""Copy: o = v, one read and one write. The floor that memory bandwidth sets for every mechanism.

No token is mixed with another, so direction and padding mean nothing here and every contract holds.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """A copy of v in memory of its own; no floating-point operation."""
    del q, k, padding_mask, causal
    return v.clone()


def init_state(like: Float[Tensor, "B H _ d"]) -> State:
    """Nothing is remembered."""
    del like
    return ()


def step(state: State, q: Events, k: Events, v: Events) -> tuple[State, Events]:
    """A copy of v."""
    del q, k
    return state, v.clone()


def reference(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """The weights of a copy are the identity."""
    del k, padding_mask, causal
    return torch.eye(q.shape[2], dtype=v.dtype, device=v.device) @ v


SPEC = Spec(
    name="copy",
    title="Copy (bandwidth floor)",
    paper="none",
    formula="o = v",
    source="none",
    deviations=(),
    core=core,
    reference=reference,
    complexity="none",
    decode_state="none",
    init_state=init_state,
    step=step,
)
