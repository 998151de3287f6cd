"""One training step of a whole recommender on random items: forward, loss, backward, Adam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from linrec_bench import models
from linrec_bench.attention.spec import factories
from linrec_bench.case import Case
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import Objective
from linrec_bench.tasks.workloads import Workload
from linrec_bench.tasks.workloads.batch_lengths import Rows, rows_of
from linrec_bench.tasks.workloads.random_inputs import random_times
from linrec_bench.training.objectives import criterion, masked
from linrec_bench.training.optimizer import make_optimizer

_FEATURES, _FEATURES_PER_ITEM = 18, 3
"""Of the stand-in catalogue: about the genres of MovieLens, of which an item has two or three."""


def build(case: Case) -> Workload:
    """The phase `step` of a case; the items are drawn from `catalogue_size` of its training settings.

    The objective is the one that a training of the case would have: each position of a row is predicted, or
    the item after the row, or `mask_share` of its positions, hidden at even distances. For negatives by
    popularity all items are alike; a model that needs features of items gets three of 18 for each. Raises
    `ValueError` for unknown settings and an objective that the model or its direction does not have.
    """
    settings = case.training
    assert settings is not None, "a case of this task has settings of training"
    device = torch.device(case.device)
    n_items = settings.catalogue_size
    torch.manual_seed(case.seed)
    with factories(device, getattr(torch, case.dtype)):
        model = models.of_case(case, n_items=n_items, item_features=_features(n_items))
    assert case.model is not None, "of_case has made one"
    objectives = models.registry()[case.model].objectives
    objective = settings.objective_for(causal=case.causal, objectives=objectives)
    counts = np.ones(n_items + 1, dtype=np.int64)
    loss_of = criterion(model, settings, objective, counts=counts, seed=case.seed).loss
    optimizer = make_optimizer(model, settings)
    rows = rows_of(case)
    shape = (case.batch_size, rows.longest)
    items = torch.randint(1, n_items + 1, shape, device=device)
    targets = torch.randint(1, n_items + 1, shape, device=device)
    batch = _batch(model, items, targets, rows, objective, settings.mask_share)
    moments = random_times(len(batch.fed), batch.fed.shape[1], device) if model.needs_timestamps else None

    def step() -> object:
        if batch.one_a_row is not None:
            hidden = model.states_at(batch.one_a_row, batch.fed, batch.mask, moments)
        else:
            hidden = batch.asked(model(batch.fed, batch.mask, moments))
        loss = loss_of(hidden, model.item_embeddings(), batch.wanted)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    weights = sum(weight.nbytes for weight in model.parameters())
    return Workload(
        call=step,
        device=device,
        # Weights, gradients and two moments, each read and written once; items and targets read.
        minimum_bytes=2 * 4 * weights + rows.of_tokens(batch.fed.nbytes) + batch.wanted.nbytes,
        reset=optimizer.zero_grad,
        attention_modules=model.attention_ops(),
        facts=rows.facts | {"catalogue_size": n_items},
    )


def _features(n_items: int) -> Int64[np.ndarray, "V_plus_1 F"]:
    """Features of every item, numbered from 1, in a row below that of the padding."""
    drawn = np.random.default_rng(0).integers(1, _FEATURES + 1, (n_items + 1, _FEATURES_PER_ITEM))
    drawn[0] = 0
    return drawn


@dataclass(frozen=True)
class _Batch:
    """What the model is fed, and the states that predict `wanted`: one of each row, or what `asked` takes."""

    fed: Int64[Tensor, "B M"]
    mask: Bool[Tensor, "B M"] | None
    wanted: Int64[Tensor, " T"]
    one_a_row: Int64[Tensor, " B"] | None
    asked: Callable[[Float[Tensor, "B M E"]], Float[Tensor, "T E"]]


def _all(states: Float[Tensor, "B M E"]) -> Float[Tensor, "T E"]:
    return states.flatten(0, 1)


def _batch(
    model: Recommender,
    items: Int64[Tensor, "B N"],
    targets: Int64[Tensor, "B N"],
    rows: Rows,
    objective: Objective,
    mask_share: float,
) -> _Batch:
    """Full rows need no mask, and what is predicted stands at the same positions of each."""
    mask = rows.mask(items.device)
    fed = items if mask is None else items.masked_fill(~mask, 0)
    if objective == "last_position":
        fed, whole, positions = model.query(fed, mask)
        return _Batch(fed, None if mask is None else whole, targets[:, -1], positions, _all)
    every = slice(None, None, 1 if objective == "all_positions" else max(1, round(1 / mask_share)))
    if objective == "cloze":
        hidden = torch.zeros_like(items, dtype=torch.bool)
        hidden[:, every] = True
        fed = masked(model, fed, hidden if mask is None else hidden & mask)
    if mask is None:
        wanted = targets[:, every].flatten()
        return _Batch(fed, None, wanted, None, lambda states: states[:, every].flatten(0, 1))
    # Found without the tensors, so that fake ones know how many there are.
    real = np.arange(rows.longest) < rows.lengths[:, None]
    real &= np.arange(rows.longest) % every.step == 0
    places = torch.tensor(np.flatnonzero(real).tolist(), device=items.device)
    wanted = targets.flatten().index_select(0, places)
    return _Batch(fed, mask, wanted, None, lambda states: states.flatten(0, 1).index_select(0, places))
