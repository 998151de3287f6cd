"""What an executor is given and what it gives back: values, which can go to another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from linrec_bench.results.rows import Status
from linrec_bench.tasks import Report

R = TypeVar("R")


class CallEnded(ValueError):
    """The code of a call ended its process: it crashed, or left without an answer."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One number that a trial reported."""

    measure: str
    value: float | int
    unit: str
    phase: str = ""
    repeat: int = 0
    detail: str = ""
    group_by: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Work for a process of its own, and its limits.

    `work` (it can be pickled) is handed the report that it makes. It may take `seconds`, and `memory_bytes`:
    on a CPU beyond what its process begins with, else of the device's own; None is no limit. Where
    `compile_seconds` are allowed, `seconds` begin anew after the first call, which may take so much longer.
    `on_sample` is called here, in a thread, with each sample as it comes; who runs trials elsewhere may leave
    it out.
    """

    work: Callable[[Report], None]
    seconds: float
    memory_bytes: int | None = None
    compile_seconds: float = 0.0
    on_sample: Callable[[Sample], None] | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """How a trial ended, after how many seconds and on which host; `detail` is the reason where not `ok`,
    and `reason` the one of a trial that was never started (`schedule.Skip`).

    `samples` are all that it reported before it ended, however it did, in their order. `artefacts` are the
    arrays that it handed over, by name, each the bytes of a compressed .npz file.
    """

    status: Status
    detail: str = ""
    reason: str = ""
    seconds: float = 0.0
    host: str = ""
    samples: tuple[Sample, ...] = ()
    artefacts: Mapping[str, bytes] = field(default_factory=dict)


@runtime_checkable
class Executor(Protocol):
    """Where trials run. Which ones, when and in what order is decided elsewhere."""

    @property
    def slots(self) -> int:
        """Trials that may run at once, where they need not run alone."""

    @property
    def apart(self) -> int:
        """Trials that may run at once even where their times matter: each has a device of its own."""

    def submit(self, trial: Trial) -> Future[TrialResult]:
        """Run a trial in a fresh process. The future never raises for what the work does."""

    def call(self, function: Callable[..., R], *args: object) -> Future[R]:
        """`function(*args)` in a process that is kept for further calls; nothing is measured there.

        The future raises what the function raises, `CallEnded` where that ends its process, and another
        `ValueError` where the process cannot start or is killed.
        """

    def close(self) -> None:
        """End whatever still runs."""
