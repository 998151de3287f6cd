"""Which items are drawn as negatives: uniform over the catalogue, or as often as they occur in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class ItemDistribution:
    """A distribution over the items 1..n_items, drawn from with replacement on the device of `cumulative`.

    cumulative: running sums of whole weights, so that no rare item is lost to rounding; None where all items
    are alike. `total` is their sum.
    """

    n_items: int
    cumulative: Int64[Tensor, " V"] | None
    total: int

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Int64[Tensor, "..."]:
        """Independent items, on the device of the generator."""
        if self.cumulative is None:
            return torch.randint(1, self.n_items + 1, shape, generator=generator, device=generator.device)
        at = torch.randint(self.total, shape, generator=generator, device=generator.device)
        return torch.searchsorted(self.cumulative, at, right=True) + 1

    def log_probability(self, items: Int64[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The natural logarithm of the chance of each item in one draw, in float32."""
        if self.cumulative is None:
            weights = torch.ones_like(items)
        else:
            before = torch.where(items > 1, self.cumulative[(items - 2).clamp(min=0)], 0)
            weights = self.cumulative[items - 1] - before
        return (weights.double() / self.total).log().float()


def uniform(n_items: int) -> ItemDistribution:
    """Every item alike."""
    return ItemDistribution(n_items, None, n_items)


def by_popularity(counts: Int64[np.ndarray, " V_plus_1"], device: torch.device) -> ItemDistribution:
    """Each item in proportion to its count; entry 0 is padding, an item with count 0 is never drawn.

    Raises `ValueError` where no item has a count.
    """
    cumulative = np.cumsum(counts[1:], dtype=np.int64)
    if not len(cumulative) or cumulative[-1] == 0:
        raise ValueError("no item occurs in the training data; negatives by popularity need at least one")
    return ItemDistribution(len(cumulative), torch.as_tensor(cumulative, device=device), int(cumulative[-1]))
