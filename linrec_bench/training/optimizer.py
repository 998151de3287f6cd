"""The optimiser and its learning rate over the course of a training."""

from __future__ import annotations

import math

import torch
from torch import nn

from linrec_bench.models.spec import Supernet
from linrec_bench.settings import TrainingSettings


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015); `weight_decay` is decoupled from it (Loshchilov and Hutter 2019).

    Its moments exist when it returns, so that the first step costs what every step costs. The parameters of
    an architecture are not among its own, see `search.ArchitectureSteps`.
    """
    groups = model.architecture_parameters() if isinstance(model, Supernet) else ()
    apart = {parameter for group in groups for parameter in group}
    weights = [parameter for parameter in model.parameters() if parameter not in apart]
    optimizer = torch.optim.AdamW(
        weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    # A step with zero gradients and rate changes no weight but allocates the moments.
    for parameter in weights:
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate(optimizer, 0.0)
    optimizer.step()
    for state in optimizer.state.values():
        state["step"].zero_()
    set_learning_rate(optimizer, settings.learning_rate)
    optimizer.zero_grad()
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate(settings: TrainingSettings, *, step: int, progress: float) -> float:
    """The rate of step 1, 2, ...; `progress` is the share of the training that lies behind, 0 to 1."""
    rate = settings.learning_rate
    if settings.warmup_steps:
        rate *= min(1.0, step / settings.warmup_steps)
    if settings.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return rate
