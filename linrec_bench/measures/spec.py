"""What a measure declares, what it needs of a workload, and the readings that it takes. Without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from linrec_bench.declarations import Quantity

if TYPE_CHECKING:
    import torch
    from torch import nn


@runtime_checkable
class Measurable(Protocol):
    """What a measure needs of a workload; the fields mean what `tasks.workloads.Workload` says."""

    @property
    def call(self) -> Callable[[], object]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def minimum_bytes(self) -> int: ...

    @property
    def reset(self) -> Callable[[], None]: ...

    @property
    def inspect(self) -> Callable[[object], None]: ...

    @property
    def attention_modules(self) -> list[nn.Module]: ...

    @property
    def state_bytes(self) -> int | None: ...

    @property
    def facts(self) -> Mapping[str, int]: ...


@runtime_checkable
class Sampling(Protocol):
    """How long and how often a call is sampled; `suite.schema.Sampling` says more."""

    @property
    def seconds(self) -> float: ...

    @property
    def min(self) -> int: ...

    @property
    def max(self) -> int: ...

    @property
    def cache(self) -> Literal["cold", "warm"]: ...

    @property
    def graph(self) -> bool: ...


@dataclass(frozen=True)
class Reading:
    """One number: `repeat` counts raw samples of one measure, `detail` says how it was taken."""

    measure: str
    value: float | int
    unit: str
    detail: str = ""
    repeat: int = 0


@dataclass(frozen=True, kw_only=True)
class MeasureSpec:
    """A name in a suite's `measures:` and how it is measured.

    `quantities` are all that it may leave in the rows. `readings` takes them of a workload, in every process
    or, where the number does not vary between them (`once`), in the first. `around` takes them of a whole
    training, which runs once, while it runs: what it yields is complete when it ends. `counted` maps
    quantities to the fields of a prediction that they are. Measures are taken by `order`; the first call of a
    process belongs to the first of them.
    """

    name: str
    title: str
    quantities: tuple[Quantity, ...]
    readings: Callable[[Measurable, Sampling], Iterable[Reading]] | None = None
    around: Callable[[str], AbstractContextManager[list[Reading]]] | None = None
    counted: tuple[tuple[str, str], ...] = ()
    once: bool = False
    order: int = 100
