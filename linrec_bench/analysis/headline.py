"""One-sentence findings that a person can quote, from a summary alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from linrec_bench.analysis.crossover import LINE, crossover
from linrec_bench.analysis.seeds import VARIANT, across_seeds
from linrec_bench.analysis.trials import base_name

FLOORS = ("copy", "no-op")
"""Mechanisms that mix nothing: floors to compare with, never findings."""

_PHASES = {
    "forward": "forward",
    "forward_backward": "forward + backward",
    "step": "training step",
}

_FAILURES = {
    "oom": "runs out of memory",
    "timeout": "runs out of time",
    "killed": "is killed",
    "error": "fails",
    "skipped": "is skipped",
}


def headline(summary: pd.DataFrame, reference: str) -> list[str]:
    """The findings of a run: overtaking lengths, memory, what no longer runs, quality over seeds.

    Costs are told for the largest batch and width of each task and direction, in the phase with the most
    work, against `reference` (a label, or a name); quality for every variant against it.
    """
    costs = summary[summary["task"] != "recommend"]
    sentences: list[str] = []
    for _, part in costs.groupby(["task", "causal"], sort=False):
        sentences += _costs(_heaviest_line(part), reference)
    return [*sentences, *_quality(across_seeds(summary), reference)]


def _heaviest_line(part: pd.DataFrame) -> pd.DataFrame:
    """The rows of the line with the most tokens, width and work."""
    order = [column for column in ("batch_size", "hidden_size", "layers") if column in part]
    phases = part["phase"].map(list(_PHASES).index)
    heaviest = part.assign(_phase=phases).sort_values([*order, "_phase"], kind="stable").iloc[-1]
    same = np.logical_and.reduce([part[column] == heaviest[column] for column in LINE])
    return part[same]


def _costs(line: pd.DataFrame, reference: str) -> Iterator[str]:
    labels = list(dict.fromkeys(line["attention"]))
    incumbent = _one_of(labels, reference)
    first = line.iloc[0]
    where = f"{_PHASES[str(first['phase'])]}, batch {first['batch_size']}, hidden {first['hidden_size']}"
    for label in labels:
        rows = line[line["attention"] == label]
        if incumbent is not None and label != incumbent and base_name(label) not in FLOORS:
            yield from _against(line, label, incumbent, where)
        yield from _stops(rows, label, where)


def _against(line: pd.DataFrame, label: str, incumbent: str, where: str) -> Iterator[str]:
    found = crossover(line, challenger=label, incumbent=incumbent)
    if found.empty:
        return
    speed = found.iloc[0]
    if speed["outcome"] == "crosses":
        text = f"{label} overtakes {incumbent} at {speed['said']}, {where}"
    elif speed["outcome"] == "always":
        text = f"{label} is faster than {incumbent} {speed['said']}, {where}"
    else:
        text = f"{label} overtakes {incumbent} at no length up to {speed['longest']:,}, {where}"
    rows = line[(line["attention"] == label) & line["memory_ratio"].notna()]
    if len(rows):
        last = rows.sort_values("seq_len").iloc[-1]
        text += f"; {_times_memory(float(last['memory_ratio']))} at {last['seq_len']:,}"
    yield text


def _times_memory(ratio: float) -> str:
    if 0.95 < ratio < 1.05:
        return "the same peak memory"
    factor = max(ratio, 1 / ratio)
    number = f"{factor:.2g}" if factor < 100 else f"{factor:,.0f}"
    return f"{number}x {'less' if ratio < 1 else 'more'} memory"


def _stops(rows: pd.DataFrame, label: str, where: str) -> Iterator[str]:
    """The first length from which nothing runs any more, if that is not so from the start."""
    ordered = rows.sort_values("seq_len")
    done = ordered.loc[ordered["status"] == "ok", "seq_len"]
    beyond = ordered[ordered["seq_len"] > (done.max() if len(done) else math.inf)]
    if len(beyond) and beyond.iloc[0]["status"] in _FAILURES:
        first = beyond.iloc[0]
        yield f"{label} {_FAILURES[str(first['status'])]} at N = {first['seq_len']:,}, {where}"


def _quality(variants: pd.DataFrame, reference: str) -> Iterator[str]:
    if "ndcg@10" not in variants:
        return
    settings = [column for column in VARIANT if column != "attention"]
    for _, rows in variants[variants["seeds"] > 0].groupby(settings, sort=False, dropna=False):
        incumbent = _one_of(list(rows["attention"]), reference)
        for _, row in rows.iterrows():
            text = f"{row['attention']}: test NDCG@10 {_with_interval(row)}"
            if incumbent is not None and row["attention"] != incumbent:
                other = rows[rows["attention"] == incumbent].iloc[0]
                share = row["train_time_s"] / other["train_time_s"]
                text += f" against {_with_interval(other)} of {incumbent}, trained in {share:.2g}x its time"
            yield f"{text} ({_seeds(row)}, {row['dataset']}, N = {row['seq_len']:,})"


def _with_interval(row: pd.Series) -> str:
    mean, low, high = (row[f"ndcg@10{end}"] for end in ("", "_low", "_high"))
    return f"{mean:.4f}" if math.isnan(low) else f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def _seeds(row: pd.Series) -> str:
    return "1 seed, no interval" if row["seeds"] == 1 else f"{row['seeds']} seeds"


def _one_of(labels: list[str], reference: str) -> str | None:
    """The label of the reference: its own, or the only one that carries its name."""
    named = [label for label in labels if base_name(label) == reference]
    if reference in labels:
        return reference
    return named[0] if len(named) == 1 else None
