"""From which length on each mechanism of a panel costs less than the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from linrec_bench.analysis.cost_findings import crossover_finding
from linrec_bench.analysis.crossover import FLOORS, crossover
from linrec_bench.analysis.samples_table import base_name
from linrec_bench.presentation.sentences import crossing
from linrec_bench.report.costs import Cost
from linrec_bench.report.frames import number, records


@dataclass(frozen=True)
class Crossing:
    """Where `challenger` starts to cost less; `seq_len` is None where it always or never does."""

    challenger: str
    seq_len: float | None
    low: float
    high: float
    said: str


def crossings_of(rows: pd.DataFrame, cost: Cost, reference: str) -> list[Crossing]:
    """Every mechanism of a panel against the reference, by the length at which it starts to cost less."""
    names = [str(name) for name in rows["attention"].unique()]
    same = [name for name in names if name == reference] or [n for n in names if base_name(n) == reference]
    if len(same) != 1:
        return []
    found = []
    for name in names:
        if name == same[0] or base_name(name) in FLOORS:
            continue
        for record in records(crossover(rows, challenger=name, incumbent=same[0], cost=cost.column)):
            at, low, high = (number(record, f"seq_len{end}") for end in ("", "_low", "_high"))
            said = crossing(crossover_finding(record, where={}))
            found.append(Crossing(name, at if record["outcome"] == "crosses" else None, low, high, said))
    return sorted(found, key=lambda each: each.seq_len or 0.0)


def in_words(crossings: Sequence[Crossing], cost: Cost, reference: str) -> str:
    """Every comparison with the reference in words, those without a crossing too."""
    said = [f"{each.challenger} {each.said}" for each in crossings]
    return f"{cost.cheaper.capitalize()} than {reference}: {'; '.join(said)}." if said else ""
