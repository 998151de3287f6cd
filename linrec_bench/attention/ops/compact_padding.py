"""Real tokens moved to the front: positions then count real tokens only, and padding is a tail."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def real_first(padding_mask: Bool[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    """Where to take each token from, so that the real ones come first, in their order."""
    # A stable sort of "is padding".
    return padding_mask.logical_not().to(torch.uint8).argsort(dim=1, stable=True)


def inverse(order: Int[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    """The order that undoes `order`."""
    return order.argsort(dim=1)


def take(x: Float[Tensor, "B H N f"], order: Int[Tensor, "B n"]) -> Float[Tensor, "B H n f"]:
    """The tokens of x at the places `order`."""
    return x.gather(2, order[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
