"""The state of an interrupted training in one file, from which it goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict, cast

import torch
from torch import Tensor

from linrec_bench.whole_file import replaced

_FORMAT = 5


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
    first step or epoch that ends `every_s` seconds or more after the last one. `on_damage` is told of a file
    that cannot be used; the training then begins anew.
    """

    path: Path
    identity: str
    every_s: float = 60.0
    on_damage: Callable[[str], None] = warnings.warn

    def save(self, state: State) -> None:
        """Replace the file atomically: a reader gets the previous state or this one."""
        with replaced(self.path, make_folder=True) as temporary, temporary.open("wb") as file:
            hashed = _Hashed(file)
            torch.save(
                {"format": _FORMAT, "identity": self.identity, "state": dict(state)}, cast(IO[bytes], hashed)
            )
            file.write(hashed.digest.digest())
            file.flush()
            os.fsync(file.fileno())

    def load(self) -> State | None:
        """The state that was kept, on the CPU; None where there is none, or none that can be used: damaged,
        of another format or of another training."""
        if not self.path.exists():
            return None
        try:
            return self._state()
        except (ValueError, OSError) as reason:
            self.on_damage(f"checkpoint {self.path}: {reason}; the training begins anew")
            return None

    def _state(self) -> State:
        if not _is_whole(self.path):
            raise ValueError("damaged")
        # weights_only: a file of tensors and numbers cannot make the reader run code.
        found = torch.load(self.path, map_location="cpu", weights_only=True)
        if found["format"] != _FORMAT:
            raise ValueError(f"of format {found['format']}; expected {_FORMAT}")
        if found["identity"] != self.identity:
            raise ValueError(f"of training {found['identity']}; expected {self.identity}")
        return cast(State, found["state"])


class _Hashed:
    """A file to write to, and the hash of what was written: torch reads changed bytes without a word."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes | memoryview) -> int:
        self.digest.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        self.file.flush()


def _is_whole(path: Path) -> bool:
    """Whether the file ends in the hash of all that comes before; it is read a block at a time."""
    digest = hashlib.sha256()
    left = path.stat().st_size - digest.digest_size
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, 2**20))):
            digest.update(block)
            left -= len(block)
        return left == 0 and file.read() == digest.digest()
