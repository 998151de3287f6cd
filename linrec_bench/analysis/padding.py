"""What real lengths cost: time an event beside that of full batches of the same shape."""

from __future__ import annotations

import pandas as pd

from linrec_bench.analysis.samples_table import GRID_POINT


def lengths_from(costs: pd.DataFrame) -> pd.Series[str]:
    """The column `dataset` of rows of costs where lengths were drawn from it; no task but recommend reads
    anything else of a data set, which a case has from its suite all the same."""
    return costs["dataset"].where(costs["lengths_of"] != "", "")


_PLACE = [*(column for column in GRID_POINT if column != "dataset"), "attention"]


def padding_cost(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of `summary` whose lengths were drawn, with `token_ratio` and `real_share`.

    `token_ratio` is the time an event (`time_per_token_s`) over that of the full batch of the same mechanism,
    shape, `seq_len` and run: 1 where padding costs nothing and short rows are as cheap as their share.
    `real_share` is the share of positions that hold an event. Rows without such
    a full batch are left out.
    """
    if "time_per_token_s" not in summary:
        return summary.iloc[:0].assign(token_ratio=[], real_share=[])
    timed = summary[summary["time_per_token_s"].notna()]
    full_batch = (timed["dataset"] == "").to_numpy()
    place = [*_PLACE, *(column for column in ("catalogue_size",) if column in timed)]
    # A missing value equals no other, and a training step alone has a model and a catalogue.
    keys = timed[place].astype(object).fillna("")
    full = pd.Series(
        timed["time_per_token_s"].to_numpy()[full_batch],
        index=pd.MultiIndex.from_frame(keys[full_batch]),
    )
    drawn = timed[timed["lengths_of"] != ""]
    beside = full[~full.index.duplicated()].reindex(pd.MultiIndex.from_frame(keys.loc[drawn.index]))
    found = drawn.assign(
        token_ratio=drawn["time_per_token_s"].to_numpy() / beside.to_numpy(),
        real_share=(drawn["effective_tokens"] / drawn["padded_tokens"]).astype(float),
    )
    return found[found["token_ratio"].notna()]
