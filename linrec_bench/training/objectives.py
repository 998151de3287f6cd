"""Which positions of a batch are predicted, from which rows, and against what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from linrec_bench.data.sequences import Sequences
from linrec_bench.measures.device.lookup import device_of
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import Objective, TrainingSettings, check_objective
from linrec_bench.training.batches import Batch, Prefixes, Spans, Windows, prefixes, spans, windows
from linrec_bench.training.losses import cross_entropy
from linrec_bench.training.negatives import ItemDistribution, by_popularity, uniform
from linrec_bench.training.sampled import binary_cross_entropy, sampled_softmax

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`(hidden [T, D], embeddings [V + 1, D], targets [T]) -> mean loss`."""


def rows_of(
    train: Sequences, objective: Objective, seq_len: int, *, timed: bool
) -> Windows | Prefixes | Spans:
    """The training rows of an objective; `timed` for a model that needs timestamps."""
    if objective == "all_positions":
        return windows(train, seq_len, timed=timed)
    if objective == "last_position":
        return prefixes(train, seq_len, timed=timed)
    # A query is `seq_len` items and a mask token: its position has to be trained too.
    return spans(train, seq_len + 1, timed=timed)


@dataclass(frozen=True)
class Criterion:
    """The loss of a batch under an objective.

    `generator`, on the device of the model, draws negatives, and `host_generator` cloze masks; they draw
    nothing else, so that both are the same for every mechanism that is trained with the same seed. On a CPU
    they are one.
    """

    objective: Objective
    loss: Loss
    mask_share: float
    generator: torch.Generator
    host_generator: torch.Generator

    def __call__(self, model: Recommender, batch: Batch) -> tuple[Float[Tensor, ""], int]:
        """Mean loss over the targets of a batch, and their number. The batch lies on the host, where what is
        predicted is known: the host never waits for the device.

        `all_positions`: batch.targets is [B, N], 0 where nothing is predicted; the model must be causal.
        `last_position`: batch.targets is [B], predicted from the state that answers the row's query.
        `cloze`: hidden are about `mask_share` of the real items of each row, and one at least.
        """
        device = self.generator.device
        if self.objective == "last_position":
            sent = batch.to(device)
            hidden, targets = query_states(model, sent), sent.targets
        else:
            items, targets = batch.items, batch.targets
            if self.objective == "cloze":
                hidden_items = cloze_mask(batch.padding_mask, self.mask_share, self.host_generator)
                items = masked(model, items, hidden_items)
                targets = targets * hidden_items
            places = targets.flatten().nonzero()[:, 0]
            targets = device_of(device).sent(targets.flatten()[places])
            sent = replace(batch, items=items).to(device)
            states = model(sent.items, sent.padding_mask, sent.timestamps)
            hidden = states.flatten(0, 1).index_select(0, device_of(device).sent(places))
        return self.loss(hidden, model.item_embeddings(), targets), len(targets)


def criterion(
    model: Recommender,
    settings: TrainingSettings,
    objective: Objective,
    *,
    counts: Int64[np.ndarray, " V_plus_1"],
    seed: int,
) -> Criterion:
    """The criterion of a training, its draws seeded; `counts` tell how often each item occurs in training.

    Raises `ValueError` for all positions without causality and for a cloze without a mask token.
    """
    check_objective(objective, causal=model.causal)
    if objective == "cloze" and model.mask_token is None:
        raise ValueError("objective cloze needs a model with a mask token, such as bert4rec")
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    on_host = generator if device.type == "cpu" else torch.Generator().manual_seed(seed)
    if settings.negative_sampling == "uniform":
        items = uniform(len(counts) - 1)
    else:
        items = by_popularity(counts, device)
    return Criterion(objective, _loss(settings, items, generator), settings.mask_share, generator, on_host)


def _loss(settings: TrainingSettings, items: ItemDistribution, generator: torch.Generator) -> Loss:
    drawn = settings.negatives_drawn

    def scaled(hidden: Tensor) -> Tensor:
        return hidden if settings.temperature == 1 else hidden / settings.temperature

    def full(hidden: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(scaled(hidden), embeddings, targets)

    def sampled(hidden: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
        negatives = items.draw((drawn,), generator)
        log_probability = items.log_probability(negatives) if settings.logq else None
        return sampled_softmax(
            scaled(hidden), embeddings, targets, negatives, log_probability=log_probability
        )

    def binary(hidden: Tensor, embeddings: Tensor, targets: Tensor) -> Tensor:
        negatives = items.draw((len(targets), drawn), generator)
        return binary_cross_entropy(scaled(hidden), embeddings, targets, negatives)

    return {"cross_entropy": full, "sampled_softmax": sampled, "bce": binary}[settings.loss]


def cloze_mask(
    padding_mask: Bool[Tensor, "B N"], share: float, generator: torch.Generator
) -> Bool[Tensor, "B N"]:
    """True where an item is hidden: each real position with chance `share`, and one of each row at least
    (Sun et al. 2019, arXiv 1904.06690, section 3.6)."""
    drawn = torch.rand(padding_mask.shape, generator=generator, device=padding_mask.device)
    drawn = drawn.masked_fill(~padding_mask, torch.inf)
    least = drawn.amin(dim=1, keepdim=True)
    return padding_mask & ((drawn < share) | (drawn == least))


def masked(
    model: Recommender, items: Int64[Tensor, "B N"], hidden: Bool[Tensor, "B N"]
) -> Int64[Tensor, "B N"]:
    """The items with the model's mask token where `hidden`."""
    assert model.mask_token is not None, "criterion refuses a cloze without a mask token"
    return items.masked_fill(hidden, model.mask_token)


def query_states(model: Recommender, batch: Batch) -> Float[Tensor, "B D"]:
    """The state of each row that tells its next item."""
    items, mask, position = model.query(batch.items, batch.padding_mask)
    moments = batch.timestamps
    if moments is not None and items.shape[1] > batch.items.shape[1]:
        # An appended mask token stands at the time of the request, which follows it at once; `Batch` repeats
        # that time after the last event.
        moments = torch.cat((moments, moments[:, -1:]), dim=1)
    return model.states_at(position, items, mask, moments)
