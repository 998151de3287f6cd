"""Findings on ranking quality: of variants, pairs and systems, and of the training time that it takes."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from linrec_bench.analysis.findings import Finding, Kind, number, scalars
from linrec_bench.analysis.intervals import LEVEL
from linrec_bench.analysis.memorisation import memorisation
from linrec_bench.analysis.naming import one_of
from linrec_bench.analysis.paired_quality import METRIC
from linrec_bench.analysis.risk import QUALITY, TIME_TO_QUALITY, widened
from linrec_bench.analysis.seeds import VARIANT, across_seeds
from linrec_bench.analysis.systems import FLOORS, OWN, compared, compares_systems, several_models
from linrec_bench.case import Scalar

_SETTING = (
    *(column for column in VARIANT if column not in ("run_id", "suite", "attention", "task", "phase")),
    "model_name",
)

_PLACE = ("dataset", "seq_len", *OWN)
"""What systems that are ranked together share."""


def quality_findings(ranked: pd.DataFrame, reference: str, differences: pd.DataFrame) -> Iterator[Finding]:
    """Findings of task recommend (rows of a summary without planted data) and of its paired `differences`.

    Every variant with its difference from the reference; where systems are compared, or mechanisms within
    several models, their ranks instead. Differences that no variant carries follow at the end. Those of test
    metrics have the budget of the trainings, which a suite has in common: how far a training comes in so many
    seconds depends on the machine.
    """
    budget = _budget(ranked)
    for finding in _of_run(ranked, reference, differences):
        more = {} if finding.kind == "time_to_quality" else budget
        yield replace(finding, evidence=dict(finding.evidence) | more)


def _of_run(ranked: pd.DataFrame, reference: str, differences: pd.DataFrame) -> Iterator[Finding]:
    if compares_systems(ranked):
        # A table of an older version compares mechanisms within models.
        paired = differences[differences["model"] == ""]
        yield from rank_findings(paired) if len(paired) else mean_findings(across_seeds(compared(ranked)))
        return
    variants = across_seeds(ranked)
    if several_models(ranked) and not differences.empty:
        for _, rows in differences.groupby("model"):
            yield from rank_findings(rows)
        counting = variants[variants["attention_name"] == "no-op"]
        yield from mean_findings(counting.assign(system=counting["model"], model=""))
        yield from _time_to_quality(variants, reference)
        return
    carried: set[int] = set()
    yield from _variants(variants, reference, differences, carried)
    yield from _time_to_quality(variants, reference)
    yield from difference_findings(differences, without=carried)


def difference_findings(table: pd.DataFrame, *, without: Collection[int] = ()) -> list[Finding]:
    """A finding for each row of `paired_quality.differences` or `between_runs`; not of rows in `without`."""
    return [_difference(row) for at, row in table.iterrows() if at not in without]


def rank_findings(table: pd.DataFrame) -> Iterator[Finding]:
    """A finding for each row of `paired_quality.differences` of what is ranked, the best of a place first."""
    for _, group in table.groupby(list(_PLACE), dropna=False):
        for _, rows in group.groupby(["against", "against_causal"], dropna=False):
            # The reference has its own mean, over all its seeds, where a system shares them all.
            quality = number(rows.sort_values("seeds")["against_quality"].iloc[-1])
            for _, row in rows.sort_values("difference", ascending=False, kind="stable").iterrows():
                yield _difference(row, kind="rank", reference_value=quality)


def mean_findings(variants: pd.DataFrame) -> Iterator[Finding]:
    """The means of systems alone (`seeds.across_seeds`), where there is nothing to pair, the best first."""
    if METRIC not in variants:
        return
    for _, rows in variants[variants["seeds"] > 0].groupby(list(_PLACE), dropna=False):
        for _, row in rows.sort_values(METRIC, ascending=False, kind="stable").iterrows():
            yield _mean(row, kind="mean")


def memorisation_findings(summary: pd.DataFrame) -> Iterator[Finding]:
    """How well each variant knows planted runs, a finding a distance, the nearest first."""
    settings = [column for column in VARIANT if column != "run_id"]
    for _, rows in memorisation(summary).groupby(settings, sort=False, dropna=False):
        for _, row in rows.sort_values("distance").iterrows():
            yield Finding(
                kind="memorisation",
                subject=str(row["system"]),
                value=number(row["quality"]),
                low=number(row["quality_low"]),
                high=number(row["quality_high"]),
                unit="share",
                where=_where(row, (*_SETTING, "distance")),
                evidence=scalars(row, ("k", "clean", "gain", "ndcg_lost", "seeds")),
            )


def _where(row: pd.Series, settings: Iterable[str]) -> dict[str, Scalar]:
    """The settings of a row; a system, whose model is empty, is of no model."""
    where = scalars(row, settings)
    return where if "model" in where else {name: where[name] for name in where if name != "model_name"}


def _difference(row: pd.Series, *, kind: Kind = "difference", **evidence: Scalar) -> Finding:
    proof = scalars(row, ("users", "seeds", "quality", "against_quality"))
    # One seed says nothing of a mechanism; a table of an older version has a p-value all the same.
    p, detectable = (number(row.get(name)) if row["seeds"] > 1 else None for name in ("p_holm", "detectable"))
    where = _where(row, _SETTING)
    if not pd.isna(row["against_causal"]):
        where["reference_causal"] = bool(row["against_causal"])
    return Finding(
        kind=kind,
        subject=str(row["system"]),
        reference=str(row["against"]),
        value=number(row["difference"]),
        low=number(row["low"]),
        high=number(row["high"]),
        unit=str(row["metric"]),
        where=where,
        evidence=proof
        | {"p_holm": p, "shown": p is not None and p < QUALITY, "detectable": detectable}
        | evidence,
    )


def _mean(
    row: pd.Series,
    *,
    kind: Kind = "quality",
    reference: str | None = None,
    evidence: Mapping[str, Scalar] | None = None,
) -> Finding:
    # Where nothing is mixed the model is what was ranked; rows of systems have its name, and no model.
    counts = row["attention_name"] == "no-op" and row["model"] != ""
    settings = [name for name in _SETTING if not (counts and name in ("model", "causal"))]
    return Finding(
        kind=kind,
        subject=str(row["model"] if counts else row["system"]),
        reference=reference,
        value=number(row[METRIC]),
        low=number(row[f"{METRIC}_low"]),
        high=number(row[f"{METRIC}_high"]),
        unit=METRIC,
        where=_where(row, settings),
        evidence=scalars(row, ["seeds"]) | dict(evidence or {}),
    )


def _budget(ranked: pd.DataFrame) -> dict[str, Scalar]:
    """The seconds that each training was given, the most where several suites are read together."""
    protocols = ranked["training"].dropna().unique() if "training" in ranked else ()
    seconds = [json.loads(protocol or "{}").get("budget_seconds") for protocol in protocols]
    known = [float(each) for each in seconds if each is not None]
    return {"budget_s": max(known)} if known else {}


def _settings(variants: pd.DataFrame, reference: str) -> Iterator[tuple[dict[str, pd.Series], str | None]]:
    """The variants of each setting that have a seed, by name, the reference first, and its name there; those
    of floors come last."""
    settings = [column for column in VARIANT if column != "attention"]
    found = [rows for _, rows in variants[variants["seeds"] > 0].groupby(settings, sort=True, dropna=False)]
    for rows in sorted(found, key=lambda rows: rows["model_name"].isin(FLOORS).all()):
        by_label = {str(row["system"]): row for _, row in rows.iterrows()}
        incumbent = one_of(rows, reference)
        # A floor has no mechanism, whatever its rows say.
        incumbent = incumbent if incumbent in by_label else None
        yield (
            {name: by_label[name] for name in sorted(by_label, key=lambda n: (n != incumbent, n))},
            incumbent,
        )


def _variants(
    variants: pd.DataFrame, reference: str, differences: pd.DataFrame, carried: set[int]
) -> Iterator[Finding]:
    """A finding a variant; the labels of the differences that it carries are added to `carried`."""
    if METRIC not in variants:
        return
    for by_label, incumbent in _settings(variants, reference):
        for label, row in by_label.items():
            if incumbent is None or label == incumbent:
                yield _mean(row)
                continue
            other = by_label[incumbent]
            share = number(row["train_time_s"] / other["train_time_s"])
            paired = _paired(differences, row, incumbent)
            if paired is None:
                against: dict[str, Scalar] = {
                    f"reference_{name}": number(other[f"{METRIC}{end}"])
                    for name, end in (("value", ""), ("low", "_low"), ("high", "_high"))
                }
            else:
                at, found = paired
                carried.add(at)
                pair = _difference(found)
                against = dict(pair.evidence) | {
                    "difference": pair.value,
                    "difference_low": pair.low,
                    "difference_high": pair.high,
                }
            yield _mean(row, reference=incumbent, evidence={"train_time_ratio": share} | against)


def _paired(differences: pd.DataFrame, row: pd.Series, incumbent: str) -> tuple[int, pd.Series] | None:
    """The difference between a variant and the reference in its direction over all its seeds, with its label
    in the table; None where there is none with an interval."""
    same = (differences["against"] == incumbent) & (differences["against_causal"] == row["causal"])
    same &= (differences["seeds"] == row["seeds"]) & differences["low"].notna()
    for column in VARIANT:
        same &= differences[column] == row[column]
    return next(((int(str(at)), found) for at, found in differences[same].iterrows()), None)


def _time_to_quality(variants: pd.DataFrame, reference: str) -> Iterator[Finding]:
    """What a given quality costs with each variant, relative to the reference."""
    if "to_target_s" not in variants:
        return
    settings = [
        (by_label, incumbent)
        for by_label, incumbent in _settings(variants, reference)
        if incumbent is not None and number(by_label[incumbent]["to_target_s"]) is not None
    ]
    risk = TIME_TO_QUALITY / max(sum(len(by_label) - 1 for by_label, _ in settings), 1)
    for by_label, incumbent in settings:
        other = by_label[incumbent]
        there = {label: number(row["to_target_s"]) for label, row in by_label.items() if label != incumbent}
        # Those that did not all get there come first.
        for label in sorted(there, key=lambda label: there[label] is not None):
            row = by_label[label]
            yield Finding(
                kind="time_to_quality",
                subject=label,
                reference=incumbent,
                unit="ratio",
                where=_where(row, _SETTING),
                evidence=scalars(row, ("reached", "seeds"))
                | {"target": number(other["quality_target"])}
                | _shown_ratio(row, other, risk),
                **_ratio(row, other),
            )


def _ratio(row: pd.Series, other: pd.Series) -> dict[str, float | None]:
    """The ratio of two means over seeds as value, low and high; the reaches of both, in log, add in
    quadrature."""
    value, reach = _log_ratio(row, other, risk=1 - LEVEL)
    reach = reach if math.isfinite(reach) else math.nan
    ends = (value, value - reach, value + reach)
    return {name: number(math.exp(end)) for name, end in zip(("value", "low", "high"), ends, strict=True)}


def _shown_ratio(row: pd.Series, other: pd.Series, risk: float) -> dict[str, Scalar]:
    """Whether a ratio is shown to differ from one, and the least that could be."""
    value, reach = _log_ratio(row, other, risk=risk)
    return {"shown": bool(abs(value) > reach), "detectable": number(np.exp(reach))}


def _log_ratio(row: pd.Series, other: pd.Series, *, risk: float) -> tuple[float, float]:
    """The logarithm of the ratio of two times until a target, and its reach; NaN where it is unknown."""
    sides = [
        (float(side["to_target_s"]), float(side["to_target_s_high"]), float(side["seeds"]))
        for side in (row, other)
    ]
    reaches = np.log([high / mean for mean, high, _ in sides])
    reach = widened(reaches, np.array([seeds for *_, seeds in sides]), risk)
    return math.log(sides[0][0] / sides[1][0]), float(np.hypot(*reach))
