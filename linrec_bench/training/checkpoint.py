"""The state of an interrupted training in one file, from which it goes on as if nothing had happened."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import torch
from torch import Tensor

from linrec_bench.whole_file import replaced

_FORMAT = 4


class State(TypedDict):
    """All that the rest of a training depends on, between two steps; plain values and tensors.

    `rows_rng` is the generator of the row order as it was before the epoch at hand, of which `batches` lie
    behind; `torch_rng` (and `device_rng` on CUDA) drive dropout, `draws_rng` negatives and `masks_rng` masks.
    """

    model: Mapping[str, Tensor]
    optimizer: Mapping[str, object]
    architecture: Sequence[Mapping[str, object]]
    steps: int
    spent_s: float
    epoch: int
    batches: int
    rows: int
    loss_sum: float
    events: int
    train_s: float
    train_j: float | None
    rows_rng: str
    torch_rng: Tensor
    device_rng: Tensor | None
    draws_rng: Tensor
    masks_rng: Tensor
    best_weights: Mapping[str, Tensor]
    best_value: float
    best_epoch: int
    best_waited: int
    epochs: Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Checkpoint:
    """The file of a training's state, which the caller removes at the end.

    `identity` is the id of the case; a training with another one refuses the file. A state is saved after the
    first step or epoch that ends `every_s` seconds or more after the last one.
    """

    path: Path
    identity: str
    every_s: float = 60.0

    def save(self, state: State) -> None:
        """Replace the file atomically: a reader gets the previous state or this one."""
        with replaced(self.path, make_folder=True) as temporary, temporary.open("wb") as file:
            torch.save({"format": _FORMAT, "identity": self.identity, "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> State | None:
        """The state that was kept, on the CPU; None where there is none.

        Raises `ValueError` for a file that is damaged, of another format or of another training.
        """
        if not self.path.exists():
            return None
        try:
            # weights_only: a file of tensors and numbers cannot make the reader run code.
            found = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"checkpoint {self.path} cannot be read ({reason}); remove it to train from the start"
            ) from error
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise ValueError(
                f"checkpoint {self.path} is not of format {_FORMAT}; remove it to train from the start"
            )
        if found["identity"] != self.identity:
            raise ValueError(
                f"checkpoint {self.path} is of training {found['identity']}; expected {self.identity}"
            )
        return cast(State, found["state"])
