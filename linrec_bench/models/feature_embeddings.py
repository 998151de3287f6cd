"""Features of items: a checked table of them, and one vector an item from a set of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.models.blocks import RecBoleSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSettings(RecBoleSettings):
    """item_features: [n_items + 1, F], features numbered from 1, 0 for none."""

    item_features: np.ndarray | Tensor


class FeatureVectors(nn.Module, ABC):
    """Item ids in, a vector of the features of each out; 0 for an item without any.

    item_features: row i holds the features of item i, numbered from 1, 0 where there are fewer than F. Raises
    `ValueError` for a table of another shape or type, negative numbers, and features of the padding.
    """

    table: Tensor

    def __init__(
        self,
        model: str,
        item_features: np.ndarray | Tensor,
        *,
        n_items: int,
        width: int,
    ) -> None:
        super().__init__()
        checked = _checked(model, item_features, n_items)
        self.features = nn.Embedding(int(checked.max()) + 1, width, padding_idx=0)
        self.register_buffer("table", torch.as_tensor(checked, device=self.features.weight.device))

    def forward(self, items: Int64[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        # A vector depends on its item alone: one for each item where that is less than one for each event.
        if items.numel() < len(self.table):
            return self._vectors(self.table[items])
        return F.embedding(items, self._vectors(self.table))

    def _vectors(self, ids: Int64[Tensor, "*items F"]) -> Float[Tensor, "*items D"]:
        return self.pool(self.features(ids), ids > 0)

    @abstractmethod
    def pool(
        self, vectors: Float[Tensor, "*items F D"], real: Bool[Tensor, "*items F"]
    ) -> Float[Tensor, "*items D"]:
        """One vector of those of the features, which are 0 where not `real`."""


class SummedFeatures(FeatureVectors):
    """The sum of the vectors of the features."""

    def pool(
        self, vectors: Float[Tensor, "*items F D"], real: Bool[Tensor, "*items F"]
    ) -> Float[Tensor, "*items D"]:
        del real  # Vectors that are none are 0.
        return vectors.sum(dim=-2)


class WeighedFeatures(FeatureVectors):
    """Their mean with weights softmax(w . relu(W f + b)) over the features f of an item."""

    def __init__(
        self,
        model: str,
        item_features: np.ndarray | Tensor,
        *,
        n_items: int,
        width: int,
    ) -> None:
        super().__init__(model, item_features, n_items=n_items, width=width)
        self.weigh = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def pool(
        self, vectors: Float[Tensor, "*items F D"], real: Bool[Tensor, "*items F"]
    ) -> Float[Tensor, "*items D"]:
        logits: Tensor = self.weigh(vectors).squeeze(-1)
        # Finite, so that an item without features has weights too, of vectors that are 0.
        logits = logits.masked_fill(~real, torch.finfo(logits.dtype).min)
        pooled: Tensor = (logits.softmax(dim=-1)[..., None] * vectors).sum(dim=-2)
        return pooled


def _checked(model: str, item_features: np.ndarray | Tensor, n_items: int) -> Int64[np.ndarray, "V_plus_1 F"]:
    table = np.asarray(item_features.cpu() if isinstance(item_features, Tensor) else item_features)
    expected = f"expected integers of [{n_items + 1}, F], a row for the padding and for each item"
    if table.ndim != 2 or len(table) != n_items + 1 or table.shape[1] < 1 or table.dtype.kind not in "iu":
        raise ValueError(f"model {model}: item_features are {table.dtype} of {list(table.shape)}; {expected}")
    if table.min() < 0 or table[0].any():
        raise ValueError(
            f"model {model}: item_features hold a negative number or a feature of the padding in row 0; "
            "expected features numbered from 1, and 0 where there is none"
        )
    return table.astype(np.int64)
