"""Quality by group of test queries: by length of the history, by kind of user."""

from __future__ import annotations

import re

import pandas as pd

from linrec_bench.analysis.samples_table import measured
from linrec_bench.analysis.seeds import VARIANT, mean_and_half_width
from linrec_bench.declarations import trainings

KINDS = {"history": "length of the history", "users": "group of users"}
"""The words with which the detail of such a row begins."""

_DETAIL = re.compile(r"(?P<kind>history|users) (?P<group>[^,]+)(?:, (?P<queries>[\d,]+) queries)?")


def quality_by_group(samples: pd.DataFrame, *, metric: str = "ndcg@10") -> pd.DataFrame:
    """One row a variant of task recommend and group: `VARIANT`, `kind`, `group`, `rank`, `queries`, `seeds`,
    then `quality` (the mean over seeds) with the ends of its 95 % t interval (empty with one seed).

    Read are rows of `metric` in the phase of their case whose `detail` is `history 20-49` or `users GROUP`,
    with or without `, 1208 queries`; anything else, and what did not end ok, is left out. `rank` orders the
    groups of a kind: histories by their least length, users as they come. `queries` is their number, empty
    where the rows do not tell it.
    """
    rows = measured(samples[samples["task"].isin(trainings()) & (samples["phase"] == "train_and_rank")])
    rows = rows[rows["measure"] == metric]
    told = rows["detail"].astype("object").fillna("").astype(str).str.extract(_DETAIL)
    found = rows.assign(**{column: told[column] for column in ("kind", "group", "queries")})
    found = found[found["kind"].notna()]
    ranks = _ranks(found)
    records = []
    for key, part in found.groupby([*VARIANT, "kind", "group"], sort=False, dropna=False):
        values = part.groupby("seed")["value"].mean().to_numpy(dtype="float64")
        mean, half = mean_and_half_width(values)
        record: dict[str, object] = dict(zip([*VARIANT, "kind", "group"], key, strict=True))
        queries = pd.to_numeric(part["queries"].str.replace(",", ""), errors="coerce")
        records.append(
            record
            | {"rank": ranks[str(record["kind"]), str(record["group"])], "queries": queries.max()}
            | {"seeds": len(values)}
            | {"quality": mean, "quality_low": mean - half, "quality_high": mean + half}
        )
    columns = ["kind", "group", "rank", "queries", "seeds", "quality", "quality_low", "quality_high"]
    return pd.DataFrame.from_records(records, columns=[*VARIANT, *columns])


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
