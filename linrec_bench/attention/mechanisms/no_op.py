"""No operation at all: the floor of the harness.

    o = v

Unlike `copy` it moves nothing: what is measured of it is what every other measurement contains.
"""

from __future__ import annotations

from linrec_bench.attention.mechanisms import copy
from linrec_bench.attention.spec import Events, Mask, Spec, State, Tokens


def core(q: Tokens, k: Tokens, v: Tokens, *, padding_mask: Mask = None, causal: bool = False) -> Tokens:
    """v itself, the same tensor: writing into the output would write into v."""
    del q, k, padding_mask, causal
    return v


def step(state: State, q: Events, k: Events, v: Events) -> tuple[State, Events]:
    """v itself."""
    del q, k
    return state, v


SPEC = Spec(
    name="no-op",
    title="No operation (harness floor)",
    paper="none",
    formula="o = v",
    source="none",
    deviations=("returns the tensor v itself, which `copy` copies",),
    core=core,
    reference=copy.reference,
    complexity="none",
    decode_state="none",
    init_state=copy.init_state,
    step=step,
)
