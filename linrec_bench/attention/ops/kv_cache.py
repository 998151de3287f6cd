"""A cache of keys and values: the decode state of mechanisms that look at every past token anew.

Its memory is taken once, for `seq_len` events, so that an event costs one write and no copy: the state is a
view of the part that is filled.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from linrec_bench.attention.spec import State


def init_state(like: Float[Tensor, "B H _ d"], *, seq_len: int) -> State:
    """No keys and no values, [B, H, 0, d], with room for `seq_len`."""
    batch, heads, _, head_size = like.shape
    keys, values = (like.new_empty(batch, heads, seq_len, head_size) for _ in range(2))
    return keys[:, :, :0], values[:, :, :0]


def remember(state: State, k: Float[Tensor, "B H n d"], v: Float[Tensor, "B H n d"]) -> State:
    """The keys and values so far and the new ones, [B, H, t + n, d]. Writes in place.

    Raises `ValueError` when more events come than there is room for.
    """
    return tuple(extend(past, new) for past, new in zip(state, (k, v), strict=True))


def extend(past: Real[Tensor, "B H t d"], new: Real[Tensor, "B H n d"]) -> Real[Tensor, "B H t+n d"]:
    """One cached tensor with `new` behind it, as `remember` does it for keys and for values."""
    batch, heads, filled, head_size = past.shape
    if filled + new.shape[2] > room(past):
        raise ValueError(
            f"event {filled + new.shape[2]} does not fit a cache made for seq_len {room(past)}; "
            "expected a larger seq_len in init_state"
        )
    whole = past.as_strided((batch, heads, filled + new.shape[2], head_size), past.stride())
    whole[:, :, filled:] = new
    return whole


def room(past: Real[Tensor, "B H t d"]) -> int:
    """How many events fit the memory that a cached tensor is a view of."""
    return past.stride(1) // past.shape[-1]


def visible(new: int, total: int, device: torch.device) -> Bool[Tensor, "new total"]:
    """The last `new` of `total` tokens see what came before them and themselves."""
    return torch.ones(new, total, dtype=torch.bool, device=device).tril(total - new)
