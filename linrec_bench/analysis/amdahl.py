"""What attention can save at most: its share of a training step, after Amdahl (1967)."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.intervals import median_interval
from linrec_bench.analysis.samples_table import NUMBER_COLUMNS, by_round, measured

MEASURE = "attention_share"


def attention_shares(summary: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The rows of `summary` that ended ok and have a share, with `share`, `share_low`, `share_high`, `gain`.

    `share` is the median over rounds of the part of a call (0 to 1) that is spent in the mechanism, forward
    and backward, with its 95 % interval as for times (`interval_over` says over what). `gain` = 1 / (1 -
    share): how many times faster the whole call would be if attention cost nothing; no mechanism can do
    better (Amdahl, "Validity of the single processor approach", 1967). It depends on N, on `hidden_size` and
    on `catalogue_size`: the loss over a large catalogue leaves attention a small part.
    """
    found = by_round(measured(samples, columns=NUMBER_COLUMNS), MEASURE, unit=None)
    keys = [(str(run), str(case)) for run, case in zip(summary["run_id"], summary["case_id"], strict=True)]
    known = [key in found and status == "ok" for key, status in zip(keys, summary["status"], strict=True)]
    rows = summary[pd.Series(known, index=summary.index, dtype=bool)]
    intervals = [
        median_interval(list(found[key].values())) for key, has in zip(keys, known, strict=True) if has
    ]
    share = pd.Series([interval.value for interval in intervals], index=rows.index, dtype="float64")
    return rows.assign(
        share=share,
        share_low=[interval.low for interval in intervals],
        # A widened interval may reach beyond the whole.
        share_high=[min(interval.high, 1.0) for interval in intervals],
        interval_over=[interval.over for interval in intervals],
        gain=1 / (1 - share),
    )
