"""How the rows of a run are cut into the parts that a reader looks at one by one. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from linrec_bench.analysis.padding import lengths_from
from linrec_bench.declarations import trainings
from linrec_bench.figures import facets
from linrec_bench.presentation import case_names, numbers, words

SETTINGS = ("model", "dataset", "batch_size", "hidden_size", "heads", "layers", "dtype", "device", "seed")
"""What, beside N and the mechanism, sets one panel of a part apart from another."""


@dataclass(frozen=True)
class Part:
    """The cost rows of one task and direction."""

    task: str
    causal: bool
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        return f"{words.TASK.get(self.task, self.task).capitalize()}, {words.direction(self.causal)}"

    def titled(self, phase: str) -> str:
        """The name with a phase in words, unless that is all of the task."""
        return self.name if phase == words.TASK.get(self.task) else f"{self.name}, {phase}"

    @property
    def slug(self) -> str:
        return f"{self.task}-{words.direction(self.causal)}".replace("_", "-")


def cost_parts(summary: pd.DataFrame) -> list[Part]:
    """The rows of every task but `recommend`, by task and direction, in the order of the run."""
    costs = summary[~summary["task"].isin(trainings())]
    costs = costs.assign(dataset=lengths_from(costs))
    keys = costs[["task", "causal"]].drop_duplicates().sort_values(["task", "causal"])
    return [
        Part(str(task), bool(causal), costs[(costs["task"] == task) & (costs["causal"] == causal)])
        for task, causal in keys.itertuples(index=False, name=None)
    ]


def phases(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Each phase with its words and its rows, the lightest first."""
    order = list(words.PHASE)
    for phase in sorted(rows["phase"].unique(), key=lambda name: order.index(name) if name in order else 99):
        own = rows[rows["phase"] == phase]
        yield str(phase), words.phase(str(own["task"].iloc[0]), str(phase)), own


def panels(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Each shape with its words; first the one with the most measured cases, of those the largest."""
    settings = facets.settings(rows, SETTINGS)
    found = [(case_names.settings(setting), facets.select(rows, setting)) for setting in settings]
    return sorted(reversed(found), key=lambda panel: -int((panel[1]["status"] == "ok").sum()))


def shared(rows: pd.DataFrame) -> str:
    """The settings that all rows share, in words: `batch 1, hidden 64, float32`."""
    names = [name for name in SETTINGS if name != "seed" or rows["task"].isin(trainings()).any()]
    return case_names.settings(facets.fixed(rows, names))


def varying(rows: pd.DataFrame) -> list[str]:
    """The settings in which the rows differ."""
    return [name for name in SETTINGS if rows[name].nunique(dropna=False) > 1]


def records(rows: pd.DataFrame) -> list[dict[str, object]]:
    """A mapping a row, column -> value."""
    return [{str(column): value for column, value in row.items()} for row in rows.to_dict("records")]


def outcome(summary: pd.DataFrame) -> str:
    """`288 cases: 255 measured, 27 skipped, 6 out of time`."""
    counts = Counter(str(status) for status in summary["status"])
    said = [] if counts["ok"] else ["none measured"]
    said += [f"{counts[status]:,} {word}" for status, word in words.STATUS.items() if counts[status]]
    return f"{numbers.counted(len(summary), 'case')}: {', '.join(said)}"


def number(row: Mapping[str, object], column: str) -> float:
    """The number in a row of a summary; NaN where the column or its value is missing."""
    value = row.get(column)
    return math.nan if case_names.is_missing(value) else float(str(value))
