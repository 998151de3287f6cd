"""One training step of a whole recommender on random full-length rows: forward, loss, backward, Adam."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from linrec_bench import models
from linrec_bench.attention.spec import factories
from linrec_bench.case import Case
from linrec_bench.models.spec import Recommender
from linrec_bench.tasks import Workload, random_times
from linrec_bench.training.objectives import criterion, masked
from linrec_bench.training.optimizer import make_optimizer
from linrec_bench.training.settings import Objective, TrainingSettings


def build(case: Case) -> Workload:
    """The phase `step` of a case; the items are drawn from `catalogue_size` of its training settings.

    The objective is the one that a training of the case would have: each position of a row is predicted, or
    the item after the row, or `mask_share` of its positions, hidden at even distances. For negatives by
    popularity all items are alike. Raises `ValueError` for unknown settings and an objective that the model
    or its direction does not have.
    """
    settings = TrainingSettings.from_params(dict(case.training))
    device = torch.device(case.device)
    n_items = settings.catalogue_size
    torch.manual_seed(case.seed)
    with factories(device, getattr(torch, case.dtype)):
        model = models.of_case(case, n_items=n_items)
    assert case.model is not None, "of_case has made one"
    objectives = models.registry()[case.model].objectives
    objective = settings.objective_for(causal=case.causal, objectives=objectives)
    counts = np.ones(n_items + 1, dtype=np.int64)
    loss_of = criterion(model, settings, objective, counts=counts, seed=case.seed).loss
    optimizer = make_optimizer(model, settings)
    shape = (case.batch_size, case.seq_len)
    items = torch.randint(1, n_items + 1, shape, device=device)
    targets = torch.randint(1, n_items + 1, shape, device=device)
    asked, fed = _asked(model, items, objective, settings.mask_share)
    wanted = (targets[:, -1:] if isinstance(asked, Tensor) else targets[:, asked]).flatten()
    moments = random_times(fed) if model.needs_timestamps else None

    def step() -> object:
        # Every row is full: no mask is needed, and what is predicted stands at the same positions of each.
        if isinstance(asked, Tensor):
            hidden = model.states_at(asked, fed, None, moments)
        else:
            hidden = model(fed, None, moments)[:, asked].flatten(0, 1)
        loss = loss_of(hidden, model.item_embeddings(), wanted)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    weights = sum(weight.nbytes for weight in model.parameters())
    return Workload(
        call=step,
        device=device,
        # Weights, gradients and two moments, each read and written once; items and targets read.
        minimum_bytes=2 * 4 * weights + fed.nbytes + wanted.nbytes,
        reset=optimizer.zero_grad,
        attention_modules=model.mixers(),
    )


def _asked(
    model: Recommender, items: Int64[Tensor, "B N"], objective: Objective, mask_share: float
) -> tuple[slice | Int64[Tensor, " B"], Int64[Tensor, "B M"]]:
    """The positions that are predicted, one of each row or the same of all, and what the model is fed."""
    if objective == "all_positions":
        return slice(None), items
    if objective == "last_position":
        fed, _, positions = model.query(items)
        return positions, fed
    hidden = torch.zeros_like(items, dtype=torch.bool)
    asked = slice(None, None, max(1, round(1 / mask_share)))
    hidden[:, asked] = True
    return asked, masked(model, items, hidden)
