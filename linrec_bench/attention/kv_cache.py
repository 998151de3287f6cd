"""A cache of keys and values: the decode state of mechanisms that look at every past token anew.

Its memory is taken once, for `seq_len` events, so that an event costs one write and no copy.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.attention.spec import State


def init_state(like: Float[Tensor, "B H _ d"], *, seq_len: int) -> State:
    """Room for `seq_len` keys and values, and the number of those that are there, on the CPU."""
    batch, heads, _, head_size = like.shape
    room = (batch, heads, seq_len, head_size)
    return like.new_empty(room), like.new_empty(room), torch.zeros((), dtype=torch.int64, device="cpu")


def append(
    state: State, k: Float[Tensor, "B H n d"], v: Float[Tensor, "B H n d"]
) -> tuple[State, Float[Tensor, "B H t d"], Float[Tensor, "B H t d"]]:
    """The state with the new events, and all keys and values up to them. Writes in place.

    Raises `ValueError` when more events come than there is room for.
    """
    keys, values, count = state
    before, new = int(count), k.shape[-2]
    if before + new > keys.shape[-2]:
        raise ValueError(
            f"event {before + new} does not fit a cache made for seq_len {keys.shape[-2]}; "
            "expected a larger seq_len in init_state"
        )
    keys[:, :, before : before + new] = k
    values[:, :, before : before + new] = v
    after = (keys, values, count + new)
    return after, keys[:, :, : before + new], values[:, :, : before + new]


def visible(new: int, total: int, device: torch.device) -> Tensor:
    """Boolean [new, total]: the last `new` of `total` tokens see what came before them and themselves."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)
