"""What tasks and measures declare of themselves, for the floors below them to read.

The SPEC of a file of `linrec_bench.tasks` is a `Task` and more; the files are found by name, as plugins are,
and import nothing heavy at their top. So nothing here imports upward, and a new task is one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Literal

from linrec_bench.registry import Registry, specs_in

Summarised = Literal["median", "count", "extra"]


@dataclass(frozen=True)
class Quantity:
    """A number that a trial leaves in the rows, and the column of summary.csv that comes of it, if any.

    One with a meaning has a column, of its name unless it is `stored_as` another: the median of the rows of
    trials that ended ok (`median`), or of all rows, because it is counted before anything runs (`count`) or
    stands only where a run has the number (`extra`). `whole` numbers are stored without a decimal point.
    """

    measure: str
    unit: str
    meaning: str = ""
    _: KW_ONLY
    stored_as: str = ""
    summarised: Summarised = "median"
    whole: bool = False

    @property
    def column(self) -> str:
        """The column of summary.csv; empty where there is none."""
        return (self.stored_as or self.measure) if self.meaning else ""


PREDICTED = (
    Quantity(
        "minimum_bytes",
        "B",
        "bytes that any implementation must move in one call",
        summarised="count",
        whole=True,
    ),
    Quantity(
        "predicted_peak_bytes",
        "B",
        "peak of live bytes counted before the run",
        summarised="count",
        whole=True,
    ),
)
"""Known of every case that is called again and again, before it runs."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a task is called, what it needs and what it reports.

    `phases` maps each phase to what one call of it is called. `quantities` are those that the task itself
    reports, beside those of the measures. `whole_training`: it trains and ranks, once, instead of being
    called again and again. `carries_state`: a call takes the next event to the state that decoding carries,
    whose size grows as a mechanism declares. `order` sorts tables.
    """

    name: str
    title: str
    phases: Mapping[str, str]
    quantities: tuple[Quantity, ...] = ()
    reads_training: bool = False
    reads_evaluation: bool = False
    needs_model: bool = False
    needs_dataset: bool = False
    takes_lengths: bool = False
    whole_training: bool = False
    carries_state: bool = False
    order: int = 100

    @property
    def word(self) -> str:
        """What one call is: the word of the only phase, or the name, which the phases follow."""
        return next(iter(self.phases.values())) if len(self.phases) == 1 else self.name


@cache
def tasks() -> Registry[Task]:
    """Every task by name."""
    found = sorted(specs_in("linrec_bench.tasks", Task), key=lambda task: task.order)
    return Registry("task", [(task.name, task) for task in found])


def trainings() -> frozenset[str]:
    """The names of the tasks that train and rank."""
    return frozenset(name for name, task in tasks().items() if task.whole_training)
