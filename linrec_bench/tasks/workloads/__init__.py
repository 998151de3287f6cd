"""What the tasks that are called again and again are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Workload:
    """One phase of one case, ready to be measured.

    `call` runs the phase once and returns its output (the caller drops it). `reset` runs outside every
    measured span (it drops gradients). `minimum_bytes` is what any implementation must move: each input
    read once, each output written once, likewise for gradients. `attention_modules` are the mixers whose
    share of the phase can be told; `state_bytes` is what decoding carries from event to event, None where
    nothing is decoded. `facts` are numbers of its shape that are no axis of the case, by quantity.
    Builders make every tensor with torch factory calls on `device`, so that they also run under a
    FakeTensorMode.
    """

    call: Callable[[], object]
    device: torch.device
    minimum_bytes: int
    reset: Callable[[], None] = lambda: None
    attention_modules: list[nn.Module] = field(default_factory=list)
    state_bytes: int | None = None
    facts: Mapping[str, int] = field(default_factory=dict)
