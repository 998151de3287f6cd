"""What the tasks that are called again and again are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Oracle:
    """What the results of a call must be: the same function of the same inputs, by another way.

    `inputs` are the tensors of the next call, and `results` (of what `call` returned, before `reset`) what it
    made of them, both by name and without a copy. `part` cuts from either one row of the batch (a number) and
    so many tokens of it (a start and a count). `expected` makes the results of a part by the mechanism's
    reference in float64. They are those of the call where the part has all of its `tokens`; where it has the
    first ones, the outputs are, if these decide them (`prefix`); where it has any, the outputs are if all
    other tokens are padding: so `padded` runs the mechanism on the next inputs. `again` lets the next call
    have the very tensors of the last one. Of n tokens, a reference makes tensors of `work` n^2 numbers.
    """

    tokens: int
    rows: int
    prefix: bool
    work: int
    inputs: Callable[[], Tensors]
    results: Callable[[object], Tensors]
    part: Callable[[Tensors, int, int, int], Tensors]
    expected: Callable[[Tensors], Tensors]
    again: Callable[[], None]
    padded: Callable[[int, int], Tensors] | None = None


@dataclass
class Workload:
    """One phase of one case, ready to be measured.

    `call` runs the phase once and returns its output (the caller drops it). `reset` runs outside every
    measured span: it drops gradients, and makes inputs that no call had before. `inspect` is shown what a
    timed call returned, outside of the span; `oracle` tells what it should have been. `minimum_bytes` is what
    any implementation must move: each input read once, each output written once, likewise for gradients.
    `attention_modules` are the mixers whose share of the phase can be told; `state_bytes` is what decoding
    carries from event to event, None where nothing is decoded. `facts` are numbers of its shape that are no
    axis of the case, by quantity. Builders make every tensor with torch factory calls on `device`, so that
    they also run under a FakeTensorMode.
    """

    call: Callable[[], object]
    device: torch.device
    minimum_bytes: int
    reset: Callable[[], None] = lambda: None
    inspect: Callable[[object], None] = lambda _: None
    attention_modules: list[nn.Module] = field(default_factory=list)
    state_bytes: int | None = None
    facts: Mapping[str, int] = field(default_factory=dict)
    oracle: Oracle | None = None
