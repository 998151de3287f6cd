"""What is done with a case: a `Workload` that can be measured, or a training run that reports as it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

LONGEST_WAIT_S = 24 * 3600
"""From one random event to the next."""


@dataclass(frozen=True)
class Tokens:
    """Positions of a batch: all of them, and those that hold an event."""

    padded: int
    effective: int


@dataclass
class Workload:
    """One phase of one case, ready to be measured.

    `call` runs the phase once and returns its output (the caller drops it). `reset` runs outside every
    measured span (it drops gradients). `minimum_bytes` is what any implementation must move: each input
    read once, each output written once, likewise for gradients. `attention_modules` are the mixers whose
    share of the phase can be told; `state_bytes` is what decoding carries from event to event, None where
    nothing is decoded. `tokens` counts the positions of the batch, None where a call has no batch of rows.
    Builders make every tensor with torch factory calls on `device`, so that they also run under a
    FakeTensorMode.
    """

    call: Callable[[], object]
    device: torch.device
    minimum_bytes: int
    reset: Callable[[], None] = lambda: None
    attention_modules: list[nn.Module] = field(default_factory=list)
    state_bytes: int | None = None
    tokens: Tokens | None = None


@runtime_checkable
class Emit(Protocol):
    """How a task reports a number; each call becomes a row."""

    def __call__(
        self, measure: str, value: float, unit: str, *, phase: str = "", repeat: int = 0, detail: str = ""
    ) -> None: ...


class Report(Emit, Protocol):
    """How a trial reports: numbers, and arrays that are no rows."""

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Hand over arrays; `name` says what they are, and is that of the folder where they are stored."""


def random_times(items: Int64[Tensor, "B N"]) -> Int64[Tensor, "B N_plus_1"]:
    """Events at random distances of up to a day, in seconds, and the request after them."""
    shape = (items.shape[0], items.shape[1] + 1)
    return torch.randint(1, LONGEST_WAIT_S, shape, device=items.device).cumsum(dim=1)
