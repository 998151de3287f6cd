"""Time as mechanisms take it in: how long after each event the next one came, as whole numbers.

    wait_i = t_(i+1) - t_i,    t_(i+1) - t_j = sum of wait_k over k = j .. i

Differences are taken while times are integers: float32 has a resolution of 64 s or more for times since 1970.
They do not depend on when time began to be counted, a token needs no other token to have its own, and a wait
of zero is a token that takes no time: padding.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

MEDIAN_S = 600
"""Of the intervals that stand in where there are no times."""


def time_intervals(
    timestamps: Shaped[Tensor, "B N_plus_1"], padding_mask: Bool[Tensor, "B N"] | None
) -> Int[Tensor, "B 1 N 1"]:
    """From each event to the next real one, in the unit of the timestamps; zero where time runs backwards.

    timestamps: when each event was, and when the request came that follows the last. Where padding follows
    the last real event, the request is the time that stands right behind that event. Padded tokens get
    numbers without meaning. Raises `ValueError` unless timestamps are whole numbers.
    """
    if timestamps.is_floating_point():
        raise ValueError(
            f"timestamps are {timestamps.dtype}, which rounds times; expected whole numbers such as int64"
        )
    if padding_mask is None:
        return (timestamps[:, 1:] - timestamps[:, :-1]).clamp(min=0)[:, None, :, None]
    batch, length = padding_mask.shape
    places = torch.arange(length, device=timestamps.device)
    # The real places from each one on, so that their minimum is the next; `length` where there is none.
    real = torch.where(padding_mask, places, length).flip(1).cummin(dim=1).values.flip(1)
    after = torch.cat((real[:, 1:], real.new_full((batch, 1), length)), dim=1)
    after = torch.where(after == length, places + 1, after)
    return (timestamps.gather(1, after) - timestamps[:, :-1]).clamp(min=0)[:, None, :, None]


def check_timestamps(timestamps: Shaped[Tensor, "..."], x: Float[Tensor, "B N D"]) -> None:
    """Raise `ValueError` unless there is a time for every token of x and one for the request."""
    expected = [x.shape[0], x.shape[1] + 1]
    if list(timestamps.shape) != expected:
        raise ValueError(
            f"timestamps have shape {list(timestamps.shape)}; expected [B, N + 1] = {expected}, "
            "the events and the request after them"
        )


def stand_in_intervals(x: Float[Tensor, "B N D"]) -> Int[Tensor, "B 1 N 1"]:
    """Intervals in seconds for calls without times, made of each token alone: log-normal about `MEDIAN_S`,
    from two seconds to five months, where the first feature is normal."""
    spread = (2 * x[:, None, :, :1].detach().double()).clamp(-6, 10)
    return (MEDIAN_S * spread.exp()).long()
