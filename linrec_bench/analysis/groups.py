"""Quality by group of test queries: by length of the history, by kind of user."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from linrec_bench.analysis.samples_table import measured
from linrec_bench.analysis.seeds import VARIANT, mean_and_half_width
from linrec_bench.analysis.systems import SYSTEM, mechanisms
from linrec_bench.declarations import tasks, trainings

KINDS = {"history": "length of the history", "users": "group of users"}
"""What `group_by` says of such a row, and how it is called."""


def quality_by_group(samples: pd.DataFrame, *, metric: str = "ndcg@10") -> pd.DataFrame:
    """One row a variant of a training and group: `VARIANT`, its name (`SYSTEM`), `kind`, `group`, `rank`,
    `queries`, `seeds`, then `quality` (the mean over seeds) with the ends of its 95 % t interval (empty with
    one seed).

    Read are rows of `metric` in the phase of their case whose `group_by` is one of `KINDS`; anything else,
    and what did not end ok, is left out. `rank` orders the
    groups of a kind: histories by their least length, users as they come. `queries` is their number, empty
    where the rows do not tell it.
    """
    own_phase = pd.Series(False, index=samples.index)
    for name in trainings():
        own_phase |= (samples["task"] == name) & samples["phase"].isin(list(tasks()[name].phases))
    rows = mechanisms(measured(samples[own_phase]))
    rows = rows[rows["group_by"].isin(KINDS)].assign(kind=rows["group_by"])
    found, counted = rows[rows["measure"] == metric], rows[rows["measure"] == "queries"]
    queries = counted.groupby(["run_id", "case_id", "kind", "group"])["value"].max()
    ranks = _ranks(found)
    records = []
    keys = [*VARIANT, *SYSTEM, "kind", "group"]
    for key, part in found.groupby(keys, sort=False, dropna=False):
        values = part.groupby("seed")["value"].mean().to_numpy(dtype="float64")
        mean, half = mean_and_half_width(values)
        record: dict[str, object] = dict(zip(keys, key, strict=True))
        asked = pd.MultiIndex.from_frame(part[["run_id", "case_id", "kind", "group"]])
        most = queries.reindex(asked).max() if len(queries) else np.nan
        records.append(
            record
            | {"rank": ranks[str(record["kind"]), str(record["group"])], "queries": most}
            | {"seeds": len(values)}
            | {"quality": mean, "quality_low": mean - half, "quality_high": mean + half}
        )
    columns = ["rank", "queries", "seeds", "quality", "quality_low", "quality_high"]
    return pd.DataFrame.from_records(records, columns=[*keys, *columns])


def _ranks(found: pd.DataFrame) -> dict[tuple[str, str], int]:
    ranks: dict[tuple[str, str], int] = {}
    for kind, rows in found.groupby("kind", sort=False):
        names = [str(name) for name in rows["group"].unique()]
        if kind == "history":
            names.sort(key=_least)
        ranks |= {(str(kind), name): rank for rank, name in enumerate(names)}
    return ranks


def _least(group: str) -> int:
    number = re.match(r"\d+", group)
    return int(number.group()) if number else 0
