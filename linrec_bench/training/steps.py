"""The moving parts of a training: steps over shuffled batches, and the best weights so far."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from linrec_bench.measures.device.lookup import device_of
from linrec_bench.measures.device.names import ByKind
from linrec_bench.measures.instruments.energy_meter import Meter
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import TrainingSettings
from linrec_bench.training.architecture_search import ArchitectureSteps
from linrec_bench.training.batches import Batch, shuffled
from linrec_bench.training.checkpoint import State
from linrec_bench.training.objectives import Criterion
from linrec_bench.training.optimizer import learning_rate, make_optimizer, set_learning_rate

LOSSES_READ_AT_ONCE = ByKind(cpu=1, accelerator=64)
"""Steps after which the host waits for the device to read its losses, and sees one that is not finite."""


@runtime_checkable
class Rows(Protocol):
    """Training rows by number: windows, prefixes or spans."""

    @property
    def lengths(self) -> Int64[np.ndarray, " R"]: ...

    def __len__(self) -> int: ...

    def batch(self, rows: Int64[np.ndarray, " B"]) -> Batch: ...


@dataclass(frozen=True)
class Passed:
    """What one epoch came to: mean loss over its `events` targets, seconds and joules of training."""

    loss: float
    events: int
    train_s: float
    train_j: float | None


class Run:
    """A training between its steps: optimiser, order of the rows, counts and time spent."""

    def __init__(
        self,
        model: Recommender,
        rows: Rows,
        settings: TrainingSettings,
        criterion: Criterion,
        *,
        batch_size: int,
        rng: np.random.Generator,
        clock: Callable[[], float],
        meter: Meter,
    ) -> None:
        self.model, self.rows, self.settings, self.criterion = model, rows, settings, criterion
        self.batch_size, self.rng, self.clock, self.meter = batch_size, rng, clock, meter
        self.optimizer = make_optimizer(model, settings)
        self.architecture = ArchitectureSteps(model, learning_rate=settings.learning_rate)
        self.device = next(model.parameters()).device
        self.steps = 0
        self._unread: list[tuple[Tensor, int]] = []
        self._reads_after = LOSSES_READ_AT_ONCE.on(self.device.type)
        self.began = self.kept_at = clock()
        self.number = 1
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.batches, self.rows_done, self.loss_sum, self.events, self.train_s = 0, 0, 0.0, 0, 0.0
        self.meter.reset()
        self.rng_before = json.dumps(self.rng.bit_generator.state)

    def next_epoch(self) -> None:
        self.number += 1
        self._begin_epoch()

    def spent(self) -> float:
        """The share of the time budget that lies behind; 0 when there is none."""
        budget_s = self.settings.budget_seconds
        return 0.0 if budget_s is None else (self.clock() - self.began) / budget_s

    def over(self) -> bool:
        return self.spent() >= 1

    def epoch(self, due: Callable[[], bool], keep: Callable[[], None]) -> Passed:
        """Train until the rows or the budget end, one step at least; `keep` is called between steps where it
        is `due`."""
        self.model.train()
        since = self.clock()
        self.meter.start()
        # A resumed epoch draws its order again and leaves out what lies behind.
        batches = shuffled(self.rows.lengths, self.batch_size, self.rng)
        for rows in islice(batches, self.batches, None):
            epochs_done = self.number - 1 + self.rows_done / len(self.rows)
            self.steps += 1
            rate = learning_rate(
                self.settings,
                step=self.steps,
                progress=max(self.spent(), epochs_done / self.settings.epochs),
            )
            set_learning_rate(self.optimizer, rate)
            self._step(self.rows.batch(rows))
            self.rows_done += len(rows)
            self.batches += 1
            if self.over():
                break
            if due():
                self._settle()
                self.train_s += self.clock() - since
                keep()
                since = self.clock()
        self._settle()
        train_j = self.meter.stop()
        self.train_s += self.clock() - since
        return Passed(self.loss_sum / self.events, self.events, self.train_s, train_j)

    def _step(self, batch: Batch) -> None:
        """One step of the optimiser; the loss before it is read later, see `_settle`."""
        self.model.zero_grad()
        loss, targets = self.criterion(self.model, batch)
        self._unread.append((loss.detach(), targets))
        if len(self._unread) >= self._reads_after:
            self._read_losses()
        torch.autograd.backward(self.architecture.total(loss))
        if self.settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        self.architecture.after(self.steps, lambda: self.criterion(self.model, batch)[0])

    def _settle(self) -> None:
        """Wait for the device, and read the losses of the steps that it has done."""
        self._read_losses()
        device_of(self.device).synchronize()

    def _read_losses(self) -> None:
        """Add up the losses that were not read; each reading has the host wait for the device."""
        if not self._unread:
            return
        first = self.steps - len(self._unread) + 1
        losses = torch.stack([loss for loss, _ in self._unread]).cpu().tolist()
        for step, (value, (_, targets)) in enumerate(zip(losses, self._unread, strict=True), first):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss is {value} at step {step}; expected a finite number. "
                    "Try a lower learning_rate, warmup_steps or gradient_clip"
                )
            self.loss_sum += value * targets
            self.events += targets
        self._unread.clear()

    def state(self) -> dict[str, object]:
        """Its part of a checkpoint's `State`."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "architecture": self.architecture.state(),
            "steps": self.steps,
            "spent_s": self.clock() - self.began,
            "epoch": self.number,
            "batches": self.batches,
            "rows": self.rows_done,
            "loss_sum": self.loss_sum,
            "events": self.events,
            "train_s": self.train_s,
            "train_j": self.meter.read(),
            "rows_rng": self.rng_before,
            "torch_rng": torch.get_rng_state(),
            "device_rng": device_of(self.device).random_state(),
            "draws_rng": self.criterion.generator.get_state(),
            "masks_rng": self.criterion.host_generator.get_state(),
        }

    def restore(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(dict(state["optimizer"]))
        self.architecture.restore(state["architecture"])
        self.steps, self.began = state["steps"], self.clock() - state["spent_s"]
        self.number, self.batches, self.rows_done = state["epoch"], state["batches"], state["rows"]
        self.loss_sum, self.events, self.train_s = state["loss_sum"], state["events"], state["train_s"]
        self.meter.reset(state["train_j"])
        self.rng_before = state["rows_rng"]
        self.rng.bit_generator.state = json.loads(self.rng_before)
        torch.set_rng_state(state["torch_rng"])
        if state["device_rng"] is not None:
            device_of(self.device).restore_random_state(state["device_rng"])
        self.criterion.generator.set_state(state["draws_rng"])
        self.criterion.host_generator.set_state(state["masks_rng"])


class Best:
    """The weights of the best validation so far; `waited` counts the validations since."""

    def __init__(self) -> None:
        self.value, self.epoch, self.waited = -math.inf, 0, 0
        self.weights: Mapping[str, Tensor] = {}

    def offer(self, model: nn.Module, epoch: int, value: float) -> None:
        if value > self.value:
            self.value, self.epoch, self.waited = value, epoch, 0
            self.weights = {name: weight.clone() for name, weight in model.state_dict().items()}
        else:
            self.waited += 1

    def state(self) -> dict[str, object]:
        """Its part of a checkpoint's `State`."""
        return {
            "best_weights": dict(self.weights),
            "best_value": self.value,
            "best_epoch": self.epoch,
            "best_waited": self.waited,
        }

    def restore(self, state: State) -> None:
        self.weights = state["best_weights"]
        self.value, self.epoch, self.waited = state["best_value"], state["best_epoch"], state["best_waited"]
