"""The fit loop: epochs, validation, a budget, early stopping, and going on after an interruption.

One seed decides the whole training. Three generators follow from it, each for one purpose: numpy's for the
order of the rows, torch's global one for dropout (and whatever a mechanism draws), and the one of the
`Criterion` for negatives and cloze masks. What a mechanism draws changes neither rows nor negatives nor
masks, so that variants of one suite are trained on the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Int64

from linrec_bench.measures.instruments.energy_meter import Meter
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import Objective, TrainingSettings
from linrec_bench.training.checkpoint import Checkpoint, State
from linrec_bench.training.objectives import criterion
from linrec_bench.training.steps import Best, Rows, Run

CHOSEN_AT = 10
CHOSEN_BY = f"ndcg@{CHOSEN_AT}"
"""The validation metric that decides which epoch is kept, and when patience ends."""

StoppedBy = Literal["epochs", "budget", "patience"]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the rows, cut short where the budget ended.

    `loss` is the mean over its `events` targets; `train_s` are seconds of training without validation,
    `train_j` the joules that the device drew then, checkpoints included, None where that is not known;
    `validation` holds the metrics, and nothing where no validation was due.
    """

    number: int
    loss: float
    events: int
    train_s: float
    train_j: float | None
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
    objective: Objective,
    counts: Int64[np.ndarray, " V_plus_1"],
    batch_size: int,
    seed: int,
    validate: Callable[[], Mapping[str, float]],
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoint: Checkpoint | None = None,
    clock: Callable[[], float] = time.perf_counter,
    meter: Meter | None = None,
) -> Fit:
    """Train the model in place; it ends with the weights of its best epoch by validation NDCG@10.

    `rows` are those of the objective (`objectives.rows_of`); `counts` holds how often each item occurs in
    training, for negatives by popularity. `validate` ranks the validation queries with the model as it is.
    `meter` measures the energy of the device; without one, epochs have no joules.
    Everything follows from `seed` (torch's global generator is seeded); under `budget_seconds` the number of
    steps depends on the machine.

    With a `checkpoint` whose file exists the training resumes from it: `on_epoch` is called again for the
    finished epochs, and the model ends with the weights that it would have had without the interruption, as
    long as neither a budget nor the machine decides.

    Raises `ValueError` for an objective that the model does not support, for empty `rows`, and for a
    checkpoint of another training, `FloatingPointError` naming the step when the loss is not finite.
    """
    if len(rows) == 0:
        raise ValueError("no training rows; expected at least one history of two events")
    torch.manual_seed(seed)
    run = Run(
        model,
        rows,
        settings,
        criterion(model, settings, objective, counts=counts, seed=seed),
        batch_size=batch_size,
        rng=np.random.default_rng(seed),
        clock=clock,
        meter=meter or Meter(),
    )
    course = _Course(run, on_epoch, checkpoint)
    course.resume()
    while (stopped_by := course.stopped()) is None:
        course.epoch(validate)
    model.load_state_dict(course.best.weights)
    return Fit(epochs=tuple(course.epochs), best_epoch=course.best.epoch, stopped_by=stopped_by)


@dataclass
class _Course:
    """The state of a training between epochs: finished epochs, the best one, callback and checkpoint."""

    run: Run
    on_epoch: Callable[[Epoch], None] | None
    checkpoint: Checkpoint | None
    best: Best = field(default_factory=Best)
    epochs: list[Epoch] = field(default_factory=list)

    def resume(self) -> None:
        saved = self.checkpoint.load() if self.checkpoint is not None else None
        if saved is not None:
            self.run.restore(saved)
            self.best.restore(saved)
            kept: list[Any] = list(saved["epochs"])
            self.epochs = [Epoch(**fields) for fields in kept]
            for epoch in self.epochs:
                self._tell(epoch)

    def epoch(self, validate: Callable[[], Mapping[str, float]]) -> None:
        run, settings = self.run, self.run.settings
        passed = run.epoch(self._due, self._keep)
        due = run.over() or run.number % settings.validate_every == 0 or run.number == settings.epochs
        validation = dict(validate()) if due else {}
        self.epochs.append(Epoch(number=run.number, validation=validation, **asdict(passed)))
        if due:
            self.best.offer(run.model, run.number, validation[CHOSEN_BY])
        run.next_epoch()
        if self._due():
            self._keep()
        self._tell(self.epochs[-1])

    def stopped(self) -> StoppedBy | None:
        if not self.epochs:
            return None
        # The validation, too, may have used up the budget.
        if self.run.over():
            return "budget"
        if self.best.waited >= self.run.settings.patience:
            return "patience"
        return "epochs" if self.run.number > self.run.settings.epochs else None

    def _due(self) -> bool:
        run, checkpoint = self.run, self.checkpoint
        return checkpoint is not None and run.clock() - run.kept_at >= checkpoint.every_s

    def _keep(self) -> None:
        run, checkpoint = self.run, self.checkpoint
        if checkpoint is not None:
            epochs = [asdict(epoch) for epoch in self.epochs]
            checkpoint.save(cast(State, {**run.state(), **self.best.state(), "epochs": epochs}))
            run.kept_at = run.clock()

    def _tell(self, epoch: Epoch) -> None:
        if self.on_epoch is not None:
            self.on_epoch(epoch)
