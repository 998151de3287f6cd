"""No operation at all: the floor of the harness.

    o = v

Unlike `copy` it moves nothing: what is measured of it is what every other measurement contains.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from linrec_bench.attention.mechanisms import copy
from linrec_bench.attention.spec import Spec, State


def core(
    q: Float[Tensor, "B H N d"],
    k: Float[Tensor, "B H N d"],
    v: Float[Tensor, "B H N d"],
    *,
    padding_mask: Bool[Tensor, "B N"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "B H N d"]:
    """v itself, the same tensor: writing into the output would write into v."""
    del q, k, padding_mask, causal
    return v


def step(
    state: State, q: Float[Tensor, "B H n d"], k: Float[Tensor, "B H n d"], v: Float[Tensor, "B H n d"]
) -> tuple[State, Float[Tensor, "B H n d"]]:
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
