"""Findings on costs: which is faster at which lengths, ratios of memory and state, what no longer runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from linrec_bench.analysis.crossover import crossover, line_of
from linrec_bench.analysis.findings import Finding, number, scalars
from linrec_bench.analysis.naming import FLOORS, one_of
from linrec_bench.analysis.risk import COSTS
from linrec_bench.case import Scalar
from linrec_bench.declarations import tasks

_WHERE = (
    "task",
    "phase",
    "causal",
    "batch_size",
    "hidden_size",
    "heads",
    "layers",
    "catalogue_size",
    "model",
    "lengths_of",
    "dtype",
    "device",
)

_NUMBERS = ("first_change", "detectable", "ratio", "ratio_low", "ratio_high")

_FAILURES = ("oom", "timeout", "killed", "error", "skipped")


def cost_findings(summary: pd.DataFrame, reference: str) -> Iterator[Finding]:
    """Findings of the largest batch and width of each task and direction at which the reference was measured,
    in the phase with the most work; in the order of tasks, bidirectional before causal, and of names."""
    lines = list(_told_lines(summary, reference))
    risk = _shared(lines, reference)
    for line in lines:
        yield from _of_line(line, reference, risk)


def comparison_risk(summary: pd.DataFrame, reference: str) -> float:
    """The risk of a false statement that each of the comparisons has of which findings are told: all of a run
    share `risk.COSTS`."""
    return _shared(list(_told_lines(summary, reference)), reference)


def _shared(lines: Sequence[pd.DataFrame], reference: str) -> float:
    return COSTS / max(sum(len(_challengers(line, reference)) for line in lines), 1)


def _told_lines(summary: pd.DataFrame, reference: str) -> Iterator[pd.DataFrame]:
    for task in (name for name, task in tasks().items() if not task.whole_training):
        for causal in (False, True):
            part = summary[(summary["task"] == task) & (summary["causal"] == causal)]
            if len(part):
                yield _heaviest_line(part, reference)


def _heaviest_line(part: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The rows of the line with the most tokens, width and work; ties are broken by what else differs.

    Lines in which the reference was measured at two lengths come first: only there something can be found.
    """
    keys, lightest_first = line_of(part), list(tasks()[part["task"].iloc[0]].phases)
    order = [column for column in ("batch_size", "hidden_size", "layers", "catalogue_size") if column in part]
    incumbent = one_of(part, reference)
    known = (part["attention"] == incumbent) & (part["status"] == "ok")
    counts = known.groupby([part[key] for key in keys], dropna=False).transform("sum")
    ranked = part.assign(_phase=part["phase"].map(lightest_first.index), _known=counts >= 2)
    others = [key for key in keys if key not in order]
    by = ["_known", *order, "_phase", *others]
    heaviest = ranked.sort_values(by, kind="stable", na_position="first").iloc[-1]
    same = [(part[key] == heaviest[key]) | (part[key].isna() & pd.isna(heaviest[key])) for key in keys]
    return part[np.logical_and.reduce(same)]


def _of_line(line: pd.DataFrame, reference: str, risk: float) -> Iterator[Finding]:
    where = scalars(line.iloc[0], _WHERE)
    incumbent = one_of(line, reference)
    challengers = _challengers(line, reference)
    for label in sorted(map(str, line["attention"].unique())):
        if incumbent is not None and label in challengers:
            for _, row in crossover(line, challenger=label, incumbent=incumbent, risk=risk).iterrows():
                yield order_finding(row, where=where, **_memory_ratio(line, label, incumbent))
        yield from _stops(line[line["attention"] == label], label, where)


def _challengers(line: pd.DataFrame, reference: str) -> list[str]:
    """The mechanisms of a line that are compared with the reference."""
    incumbent = one_of(line, reference)
    mixing = line.loc[~line["attention_name"].isin(FLOORS), "attention"]
    return [label for label in sorted(map(str, mixing.unique())) if label != incumbent]


def order_finding(
    row: Mapping[str, object] | pd.Series, *, where: Mapping[str, Scalar], **evidence: Scalar
) -> Finding:
    """A row of `crossover.crossover` as a finding."""
    names = ("outcome", "first", "until", "last", "since", "changes", "shortest", "longest", "rounds")
    return Finding(
        kind="crossover",
        subject=str(row["challenger"]),
        reference=str(row["incumbent"]),
        value=number(row["seq_len"]),
        low=number(row["seq_len_low"]),
        high=number(row["seq_len_high"]),
        unit="events",
        where=where,
        evidence=scalars(row, names) | {name: number(row[name]) for name in _NUMBERS} | evidence,
    )


def _memory_ratio(line: pd.DataFrame, label: str, incumbent: str) -> dict[str, Scalar]:
    """Of the state of decoding, else of the peak memory, at the longest length that both reached."""
    own = line[(line["attention"] == label) & (line["status"] == "ok")].sort_values("seq_len")
    if "state_bytes" in own and own["state_bytes"].notna().any():
        other = line[(line["attention"] == incumbent) & (line["status"] == "ok")]
        pair = own.merge(other, on="seq_len", suffixes=("", "_other"))
        pair = pair[(pair["state_bytes"] > 0) & (pair["state_bytes_other"] > 0)]
        if pair.empty:
            return {}
        last = pair.iloc[-1]
        ratio = float(last["state_bytes"] / last["state_bytes_other"])
        return {"state_ratio": ratio, "ratio_at": int(last["seq_len"])}
    known = own[own["memory_ratio"].notna()]
    if known.empty:
        return {}
    last = known.iloc[-1]
    return {"memory_ratio": float(last["memory_ratio"]), "ratio_at": int(last["seq_len"])}


def _stops(rows: pd.DataFrame, label: str, where: dict[str, Scalar]) -> Iterator[Finding]:
    """The first length from which nothing runs any more, if that is not so from the start."""
    ordered = rows.sort_values("seq_len")
    done = ordered.loc[ordered["status"] == "ok", "seq_len"]
    beyond = ordered[ordered["seq_len"] > (done.max() if len(done) else math.inf)]
    if len(beyond) and beyond.iloc[0]["status"] in _FAILURES:
        first = beyond.iloc[0]
        yield Finding(
            kind="stops",
            subject=label,
            value=float(first["seq_len"]),
            unit="events",
            where=where,
            evidence={"status": str(first["status"])},
        )
