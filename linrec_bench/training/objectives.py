"""Which positions of a batch are predicted, and what the loss of a batch is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from linrec_bench.data.batches import Batch
from linrec_bench.models.spec import Recommender
from linrec_bench.training.losses import cross_entropy
from linrec_bench.training.settings import Objective


def loss_of(model: Recommender, batch: Batch, objective: Objective) -> Float[Tensor, ""]:
    """Mean loss over the targets of a batch, which lies on the device of the model.

    `all_positions`: batch.targets is [B, N], 0 where nothing is predicted; the model must be causal.
    `last_position`: batch.targets is [B], predicted from the last real position of each row.
    """
    hidden = model(batch.items, batch.padding_mask)
    if objective == "all_positions":
        assert model.causal, "objective_for refuses all positions without causality"
        predicted = batch.targets > 0
        return cross_entropy(hidden[predicted], model.item_embeddings(), batch.targets[predicted])
    rows = torch.arange(len(hidden), device=hidden.device)
    return cross_entropy(hidden[rows, batch.lengths - 1], model.item_embeddings(), batch.targets)
