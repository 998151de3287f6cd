"""What a task is: a `Workload` that can be measured, or a training that reports as it goes. Without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from linrec_bench.case import Case
from linrec_bench.declarations import Task
from linrec_bench.measures.spec import Measurable

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Emit(Protocol):
    """How a task reports a number; each call becomes a row."""

    def __call__(
        self,
        measure: str,
        value: float,
        unit: str,
        *,
        phase: str = "",
        repeat: int = 0,
        detail: str = "",
        group_by: str = "",
        group: str = "",
    ) -> None: ...


@runtime_checkable
class Report(Emit, Protocol):
    """How a trial reports: numbers, and arrays that are no rows."""

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Hand over arrays; `name` says what they are, and is that of the folder where they are stored."""


@runtime_checkable
class Train(Protocol):
    """A whole training, reported as it goes.

    With a `checkpoint` it keeps its state there every so many seconds, and goes on from what it finds.
    """

    def __call__(
        self, case: Case, report: Report, *, checkpoint: Path | None, checkpoint_seconds: float
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class TaskSpec(Task):
    """A task that can be done: `build` makes the workload of a case, which is then measured, or `train` does
    a whole training.

    Both raise `ValueError` for impossible settings and `Unsupported` for what a mechanism or model lacks.
    """

    build: Callable[[Case], Measurable] | None = None
    train: Train | None = None

    def __post_init__(self) -> None:
        assert (self.build is None) == (self.train is not None) == self.whole_training, self.name
