"""The memorisation probe: hit rate, gain over a clean model and cost in quality, against distance."""

from __future__ import annotations

import json

import pandas as pd

from linrec_bench.analysis.seeds import VARIANT, across_seeds
from linrec_bench.analysis.systems import SYSTEM
from linrec_bench.case import freeze, label

_HIT = "watermark_hit@"
PREFERRED_K = 10

COLUMNS = ("k", "distance", "rank", "group", "seeds", "clean", "gain", "ndcg_lost")


def memorisation(summary: pd.DataFrame, *, k: int | None = None) -> pd.DataFrame:
    """One row a variant that was asked for a planted run: `VARIANT`, `SYSTEM` and `COLUMNS`, then
    `quality` (hit rate at k of the model of marked histories, the mean over seeds) with the ends of its
    95 % t interval, empty with one seed.

    `dataset` is named without its watermark. `rank` orders the distances from the least, `group` is the
    distance in words; `clean` is the hit rate of the model of clean histories, `gain` what the marked one is
    above it, `ndcg_lost` what marking took from the NDCG@k of the test. Without `k` it is 10, or the largest
    cut-off there is. Empty where nothing was planted; raises `ValueError` for a `k` that was not measured.
    """
    known = sorted(int(column.removeprefix(_HIT)) for column in summary.columns if column.startswith(_HIT))
    ends = ("quality", "quality_low", "quality_high")
    if not known:
        return pd.DataFrame(columns=[*VARIANT, *SYSTEM, *COLUMNS, *ends])
    chosen = k if k is not None else PREFERRED_K if PREFERRED_K in known else known[-1]
    if chosen not in known:
        raise ValueError(f"no hit rate at k = {chosen} was measured; expected one of: {known}")
    hit = f"{_HIT}{chosen}"
    found = across_seeds(summary)
    found = found[found[hit].notna()].reset_index(drop=True)
    distance = found["watermark_distance"].astype("int64")
    unmarked = [
        label(name, freeze(json.loads(params)))
        for name, params in zip(found["dataset_name"], found["dataset_params"], strict=True)
    ]
    order = {value: rank for rank, value in enumerate(sorted(set(distance)))}
    return found[[*VARIANT, *SYSTEM, "seeds"]].assign(
        dataset=unmarked,
        k=chosen,
        distance=distance,
        rank=distance.map(order),
        group=distance.astype(str),
        clean=found[f"watermark_hit_clean@{chosen}"],
        gain=found[f"watermark_gain@{chosen}"],
        ndcg_lost=found[f"ndcg_lost@{chosen}"],
        quality=found[hit],
        quality_low=found[f"{hit}_low"],
        quality_high=found[f"{hit}_high"],
    )[[*VARIANT, *SYSTEM, *COLUMNS, *ends]]


def planted(summary: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are of data sets with a watermark: their quality is that of marked training histories."""
    return summary["watermark"] != ""
