"""One training step of a whole recommender on random full-length rows: forward, loss, backward, Adam."""

from __future__ import annotations

import torch

from linrec_bench import models
from linrec_bench.attention.spec import factories
from linrec_bench.case import Case
from linrec_bench.tasks import Workload
from linrec_bench.training.losses import cross_entropy
from linrec_bench.training.optimizer import make_optimizer
from linrec_bench.training.settings import TrainingSettings


def build(case: Case) -> Workload:
    """The phase `step` of a case; the items are drawn from `catalogue_size` of its training settings.

    Every position of a causal model is predicted, the last one of any other. Raises `ValueError` for
    unknown settings and for the objective all_positions without causality.
    """
    settings = TrainingSettings.from_params(dict(case.training))
    objective = settings.objective_for(causal=case.causal)
    device = torch.device(case.device)
    torch.manual_seed(case.seed)
    with factories(device, getattr(torch, case.dtype)):
        model = models.of_case(case, n_items=settings.catalogue_size)
    optimizer = make_optimizer(model, settings)
    shape = (case.batch_size, case.seq_len)
    items = torch.randint(1, settings.catalogue_size + 1, shape, device=device)
    targets = torch.randint(1, settings.catalogue_size + 1, shape, device=device)
    if objective == "last_position":
        targets = targets[:, -1]

    def step() -> object:
        hidden = model(items)
        predicted = hidden if objective == "all_positions" else hidden[:, -1:]
        # Every row is full, so no position has to be picked by a mask.
        loss = cross_entropy(predicted.flatten(0, 1), model.item_embeddings(), targets.flatten())
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    weights = sum(weight.nbytes for weight in model.parameters())
    return Workload(
        call=step,
        device=device,
        # Weights, gradients and two moments, each read and written once; items and targets read.
        minimum_bytes=2 * 4 * weights + items.nbytes + targets.nbytes,
        reset=optimizer.zero_grad,
        attention_modules=model.mixers(),
    )
