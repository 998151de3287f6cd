"""The fit loop: steps, epochs, a schedule, a budget, early stopping. No files, no prints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from linrec_bench.data.batches import Batch, shuffled
from linrec_bench.models.spec import Recommender
from linrec_bench.training.objectives import loss_of
from linrec_bench.training.optimizer import learning_rate, make_optimizer, set_learning_rate
from linrec_bench.training.settings import TrainingSettings

CHOSEN_AT = 10
CHOSEN_BY = f"ndcg@{CHOSEN_AT}"
"""The validation metric that decides which epoch is kept, and when patience ends."""

StoppedBy = Literal["epochs", "budget", "patience"]


class Rows(Protocol):
    """Training rows by number: windows, or prefixes."""

    @property
    def lengths(self) -> Int64[np.ndarray, " R"]: ...

    def __len__(self) -> int: ...

    def batch(self, rows: Int64[np.ndarray, " B"]) -> Batch: ...


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the rows, cut short where the budget ended.

    `loss` is the mean over its `events` targets; `train_s` are seconds of training without validation;
    `validation` holds the metrics, and nothing where no validation was due.
    """

    number: int
    loss: float
    events: int
    train_s: float
    validation: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What came of a training: its epochs in order, the one whose weights the model has, why it ended."""

    epochs: tuple[Epoch, ...]
    best_epoch: int
    stopped_by: StoppedBy

    @property
    def train_s(self) -> float:
        return sum(epoch.train_s for epoch in self.epochs)

    @property
    def events(self) -> int:
        return sum(epoch.events for epoch in self.epochs)


def fit(
    model: Recommender,
    rows: Rows,
    settings: TrainingSettings,
    *,
    batch_size: int,
    seed: int,
    validate: Callable[[], Mapping[str, float]],
    on_epoch: Callable[[Epoch], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Fit:
    """Train the model in place; it ends with the weights of its best epoch by validation NDCG@10.

    `rows` are windows for the objective all_positions, prefixes for last_position. `validate` ranks the
    validation queries with the model as it is. The order of the rows and the dropout follow from `seed`
    (torch's global generator is seeded); under `budget_seconds` the number of steps depends on the machine.

    Raises `ValueError` for an objective that the model may not have and where there are no rows,
    `FloatingPointError` naming the step when the loss is not finite.
    """
    if len(rows) == 0:
        raise ValueError("there is nothing to train on; expected at least one history of two events")
    torch.manual_seed(seed)
    run = _Run(model, rows, settings, batch_size=batch_size, rng=np.random.default_rng(seed), clock=clock)
    best = _Best()
    epochs: list[Epoch] = []
    stopped_by: StoppedBy = "epochs"
    for number in range(1, settings.epochs + 1):
        began = clock()
        loss, events = run.epoch(number)
        train_s = clock() - began
        due = run.over() or number % settings.validate_every == 0 or number == settings.epochs
        validation = validate() if due else {}
        epochs.append(Epoch(number=number, loss=loss, events=events, train_s=train_s, validation=validation))
        if due:
            best.offer(model, number, validation[CHOSEN_BY])
        if on_epoch is not None:
            on_epoch(epochs[-1])
        # Asked again: the validation may have used up the budget.
        if run.over():
            stopped_by = "budget"
            break
        if best.waited >= settings.patience:
            stopped_by = "patience"
            break
    model.load_state_dict(best.weights)
    return Fit(epochs=tuple(epochs), best_epoch=best.epoch, stopped_by=stopped_by)


class _Run:
    """The moving parts of a training: optimiser, order of the rows, steps and time spent."""

    def __init__(
        self,
        model: Recommender,
        rows: Rows,
        settings: TrainingSettings,
        *,
        batch_size: int,
        rng: np.random.Generator,
        clock: Callable[[], float],
    ) -> None:
        self.model, self.rows, self.settings = model, rows, settings
        self.batch_size, self.rng, self.clock = batch_size, rng, clock
        self.objective = settings.objective_for(causal=model.causal)
        self.optimizer = make_optimizer(model, settings)
        self.device = model.item_embeddings().device
        self.steps = 0
        self.began = clock()

    def spent(self) -> float:
        """The share of the time budget that lies behind; 0 when there is none."""
        budget_s = self.settings.budget_seconds
        return 0.0 if budget_s is None else (self.clock() - self.began) / budget_s

    def over(self) -> bool:
        return self.spent() >= 1

    def epoch(self, number: int) -> tuple[float, int]:
        """Train until the rows or the budget end, one step at least: mean loss, number of targets."""
        self.model.train()
        loss_sum, events, rows_done = 0.0, 0, 0
        for rows in shuffled(self.rows.lengths, self.batch_size, self.rng):
            epochs_done = number - 1 + rows_done / len(self.rows)
            self.steps += 1
            set_learning_rate(
                self.optimizer,
                learning_rate(
                    self.settings,
                    step=self.steps,
                    progress=max(self.spent(), epochs_done / self.settings.epochs),
                ),
            )
            batch = self.rows.batch(rows)
            targets = int((batch.targets > 0).sum())
            loss_sum += self.step(batch) * targets
            events += targets
            rows_done += len(rows)
            if self.over():
                break
        return loss_sum / events, events

    def step(self, batch: Batch) -> float:
        """One step of the optimiser; returns the loss before it."""
        self.optimizer.zero_grad()
        loss = loss_of(self.model, batch.to(self.device), self.objective)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self.steps}; expected a finite number. "
                "Try a lower learning_rate, warmup_steps or gradient_clip"
            )
        torch.autograd.backward(loss)
        if self.settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        return value


class _Best:
    """The weights of the best validation so far; `waited` counts the validations since."""

    def __init__(self) -> None:
        self.value, self.epoch, self.waited = -math.inf, 0, 0
        self.weights: dict[str, Tensor] = {}

    def offer(self, model: nn.Module, epoch: int, value: float) -> None:
        if value > self.value:
            self.value, self.epoch, self.waited = value, epoch, 0
            self.weights = {name: weight.clone() for name, weight in model.state_dict().items()}
        else:
            self.waited += 1
