"""The growth of time with sequence length, for every mechanism of a run: t = a + b N^p with its interval."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.crossover import line_of
from linrec_bench.analysis.intervals import Array
from linrec_bench.analysis.samples_table import NUMBER_COLUMNS, by_round, measured
from linrec_bench.analysis.scaling import fit_scaling
from linrec_bench.analysis.systems import mechanisms

_COLUMNS = ("exponent", "low", "high", "floor_s", "coefficient", "form", "reason", "shortest", "longest")


def growth(summary: pd.DataFrame, samples: pd.DataFrame, *, resamples: int = 400) -> pd.DataFrame:
    """One row a line of a cost figure and mechanism: the columns of the line, `system`, then the fit.

    `exponent`, `low`, `high`, `floor_s`, `coefficient`, `form` and `reason` are those of
    `scaling.fit_scaling`; `shortest` and `longest` the ends of the measured lengths, outside of which the fit
    says nothing. Lines with one measured length, or without raw samples of time, are left out.
    """
    times = by_round(measured(samples, columns=NUMBER_COLUMNS), "time", unit="s")
    keys = [*line_of(summary), "system"]
    records = []
    for line, rows in mechanisms(summary[summary["status"] == "ok"]).groupby(keys, sort=False, dropna=False):
        at_length: dict[int, list[Array]] = {}
        for length, run_id, case_id in zip(rows["seq_len"], rows["run_id"], rows["case_id"], strict=True):
            rounds = times.get((str(run_id), str(case_id)))
            if rounds:
                at_length.setdefault(int(length), []).extend(rounds.values())
        if len(at_length) < 2:
            continue
        fit = fit_scaling(at_length, resamples=resamples)
        found: dict[str, object] = dict(zip(keys, line, strict=True))
        found |= {column: getattr(fit, column) for column in _COLUMNS[:-2]}
        records.append(found | {"shortest": min(at_length), "longest": max(at_length)})
    return pd.DataFrame.from_records(records, columns=[*keys, *_COLUMNS]).astype({"exponent": "float64"})
