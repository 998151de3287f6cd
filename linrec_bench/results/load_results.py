"""Stored runs -> one DataFrame, for a notebook. What cannot be read is named in a warning and left out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from linrec_bench.results import stored_runs
from linrec_bench.results.samples_file import plain
from linrec_bench.results.store import SAMPLES, Run, StoreError

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_COLUMNS = {
    "run_id": "the run",
    "suite": "the suite",
    "host": "name of the machine that took the sample; empty where it is not known",
    "case_id": "hash of all fields of the case; empty in rows that measure the device itself",
    "task": "core, layer, train_step, recommend ...; `device` for the ceilings of the device",
    "attention": "mechanism, with the parameters that were set",
    "model": "recommender; empty for core and layer",
    "dataset": "source of sequences, or of their lengths alone; empty where inputs are random and full",
    "seq_len": "N, events in a sequence",
    "batch_size": "B, sequences in a batch",
    "hidden_size": "D, width of a token",
    "heads": "H, attention heads",
    "layers": "blocks of the model",
    "dtype": "data type of the inputs",
    "device": "cpu or cuda",
    "causal": "whether a token sees earlier tokens only",
    "seed": "seed of weights, inputs and order",
    "phase": "what was measured: forward, forward_backward, step; validation or test of a training",
    "measure": "which number: time, peak_live_bytes, flops, ndcg@10 ...; `trial` closes a trial",
    "group_by": "what the group is of: history, users, kernel, dtype, reason; empty for the whole",
    "group": "the part: 20-49, new, flash, float32, memory",
    "unit": "unit of the value: s, B, FLOP, J; 1 where it has none",
    "round": "process that took the sample, 0 for the first",
    "repeat": "number of the sample within its process, or of the epoch",
    "value": "the raw sample; empty where the status is not ok",
    "status": "ok oom timeout killed error unsupported skipped suspect; of a `trial` row: how it ended",
    "detail": "why, or how",
}
"""Every column of samples.csv and its meaning."""

Table = Literal["samples", "summary"]


class NotLoaded(UserWarning):
    """A run, or rows of one, that `load_results` leaves out."""


def load_results(path: str | os.PathLike[str], *, table: Table = "samples") -> pd.DataFrame:
    """The stored rows of one run, of all runs of a suite, or of all suites, in one DataFrame.

    `path` is the folder of a run, of a suite, or of the results (whose `reference` is then not searched). The
    columns `run_id` and `suite` tell rows apart. With `table="samples"` a row is a raw sample, and the
    columns are `SAMPLE_COLUMNS`; with `"summary"` it is a case and phase, and the columns are those of
    `linrec_bench.analysis.summary.COLUMNS`, then the test metrics.

    Each run that holds nothing, is damaged or of another schema version, each that is there twice, and rows
    that a kill cut off are named in a warning `NotLoaded` and left out. Raises `StoreError` (a `ValueError`)
    when nothing is left.
    """
    import pandas as pd

    frames, reasons = tables(Path(path), table)
    for reason in reasons:
        # 1 is here, 2 is who called it.
        warnings.warn(reason, NotLoaded, stacklevel=2)
    return pd.concat(map(plain, frames), ignore_index=True)


def tables(path: Path, table: Table) -> tuple[list[pd.DataFrame], list[str]]:
    """What `load_results` puts together, a table a run with texts as categories, and why what is left out is.

    Raises `StoreError` when nothing is left.
    """
    if table not in _READERS:
        raise ValueError(f"table {table!r}; expected one of {', '.join(map(repr, _READERS))}")
    frames: dict[str, pd.DataFrame] = {}
    runs, reasons = stored_runs.at(path)
    for run in runs:
        try:
            run.environment()
            frame = _READERS[table](run)
        except StoreError as error:
            reasons.append(str(error))
            continue
        if table == "samples" and (cut := run.half_written()):
            reasons.append(f"{run.folder / SAMPLES}: {cut} rows of a trial that was cut off")
        if frame.empty:
            reasons.append(f"{run.folder}: empty, no trial has ended")
            continue
        if "run_id" not in frame:
            reasons.append(f"{run.folder}: damaged, its {table} lacks the column run_id")
            continue
        run_id = str(frame["run_id"].iloc[0])
        if run_id in frames:
            reasons.append(f"{run.folder}: run {run_id} is there twice; the first is loaded")
            continue
        frames[run_id] = frame
    if not frames:
        said = "; ".join(reasons) or "no runs there; expected the folder of a run, a suite or all results"
        raise StoreError(f"{path}: nothing to load: {said}")
    return list(frames.values()), reasons


_READERS: dict[str, Callable[[Run], pd.DataFrame]] = {"samples": Run.samples, "summary": Run.summary}
