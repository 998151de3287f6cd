"""How much fits into memory: the longest N for each batch size, and the largest N x B."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from linrec_bench.analysis.crossover import LINE
from linrec_bench.analysis.intervals import Array

SETTING = tuple(column for column in LINE if column != "batch_size")
"""What the shapes of one frontier share."""

_COLUMNS = (
    "batch_size",
    "fits",
    "tokens",
    "memory_bytes",
    "fails",
    "fails_by",
    "predicted_fits",
    "predicted_by",
    "largest",
)


def memory_frontier(summary: pd.DataFrame, *, limit_bytes: float | None = None) -> pd.DataFrame:
    """One row a `SETTING`, mechanism and batch size, in the order of the summary and by batch size.

    `fits` is the longest N that ended ok (empty: none), `tokens` = N x B there and `memory_bytes` its peak.
    `fails` is the shortest longer N that is known not to fit: `fails_by` is `measured` where it ran out of
    memory and `predicted` where it was skipped because its counted peak exceeds the limit of the suite. A
    case that ran out of time, or was skipped for its time, says nothing of memory. `largest` marks the row
    with most tokens of each mechanism and setting.

    With `limit_bytes`, `predicted_fits` is the longest N whose counted peak and inputs
    (`predicted_peak_bytes` and `minimum_bytes`) stay within that limit, where at least two lengths were
    counted: `predicted_by` says whether it was `interpolated` in log-log between counted lengths or
    `extrapolated` with the exponent of the two nearest; it is infinite where the counts do not grow. Raises
    `ValueError` for a limit that is not positive.
    """
    if limit_bytes is not None and not limit_bytes > 0:
        raise ValueError(f"limit of {limit_bytes} bytes; expected a positive amount")
    keys = [*SETTING, "attention"]
    records = []
    for found, rows in summary.groupby(keys, sort=False, dropna=False):
        shapes = []
        for batch_size, line in rows.groupby("batch_size"):
            record: dict[str, object] = dict(zip(keys, found, strict=True))
            record |= {"batch_size": batch_size} | _measured(line)
            if limit_bytes is not None:
                record |= _predicted(line, limit_bytes)
            shapes.append(record)
        tokens = [_number(record["tokens"]) for record in shapes]
        most = max((value for value in tokens if not math.isnan(value)), default=math.nan)
        first = next((index for index, value in enumerate(tokens) if value == most), None)
        records += [record | {"largest": index == first} for index, record in enumerate(shapes)]
    return pd.DataFrame.from_records(records, columns=[*keys, *_COLUMNS])


def _measured(line: pd.DataFrame) -> dict[str, object]:
    """Of one mechanism and batch size: what fitted, and what did not."""
    done = line[line["status"] == "ok"].sort_values("seq_len")
    fits = float(done["seq_len"].max()) if len(done) else math.nan
    refused = (line["status"] == "skipped") & (line["reason"] == "memory")
    failed = line[(line["status"] == "oom") | refused].sort_values("seq_len")
    beyond = failed[failed["seq_len"] > (fits if len(done) else 0)]
    first = beyond.iloc[0] if len(beyond) else None
    return {
        "fits": fits,
        "tokens": fits * float(line["batch_size"].iloc[0]),
        "memory_bytes": _number(done["memory_bytes"].iloc[-1]) if len(done) else math.nan,
        "fails": math.nan if first is None else float(first["seq_len"]),
        "fails_by": "" if first is None else "measured" if first["status"] == "oom" else "predicted",
    }


def _predicted(line: pd.DataFrame, limit_bytes: float) -> dict[str, object]:
    needed = line["predicted_peak_bytes"].astype("float64") + line["minimum_bytes"].astype("float64")
    counted = pd.Series(needed.to_numpy(), index=line["seq_len"].to_numpy()).dropna().sort_index()
    if len(counted) < 2:
        return {"predicted_fits": math.nan, "predicted_by": ""}
    lengths: Array = np.asarray(counted.index, dtype=np.float64)
    sizes: Array = np.asarray(counted, dtype=np.float64)
    longest = _longest(lengths, sizes, limit_bytes)
    inside = bool(lengths[0] <= longest <= lengths[-1])
    return {
        "predicted_fits": float(np.floor(longest * (1 + 1e-9))),
        "predicted_by": "interpolated" if inside else "extrapolated",
    }


def _longest(lengths: Array, sizes: Array, limit: float) -> float:
    """The length at which a piecewise power law through the counts reaches the limit."""
    after = int(np.searchsorted(sizes, limit))
    at = min(max(after - 1, 0), len(lengths) - 2)
    (n0, n1), (s0, s1) = np.log(lengths[at : at + 2]), np.log(sizes[at : at + 2])
    if s1 <= s0:
        # Counts that do not grow: every length fits, or none does.
        return math.inf if limit >= sizes[-1] else 0.0
    return float(np.exp(n0 + (n1 - n0) * (math.log(limit) - s0) / (s1 - s0)))


def _number(value: object) -> float:
    return math.nan if pd.isna(value) else float(value)  # type: ignore[arg-type, call-overload]
