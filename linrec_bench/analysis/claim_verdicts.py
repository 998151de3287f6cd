"""Does a claim hold? Three answers (holds, broken, undecided) from exact counts or from intervals.

A claim is undecided when the interval of what was measured reaches over its bound: then the data allow both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from linrec_bench.analysis import claim_quantities
from linrec_bench.analysis.claim_quantities import EXACT_MEASURES, Cases, ending
from linrec_bench.analysis.measurements import CaseRow, Measurements, Paired, Values, keys_of
from linrec_bench.analysis.naming import meaning
from linrec_bench.analysis.samples_table import CASE_COLUMNS
from linrec_bench.analysis.verdict import SPEC, Answer, Basis, Claim, Found, Verdict, answer, no_number

COLUMN_OF = {
    # Of a whole training on a CPU the process alone can tell.
    "peak_memory": ("peak_live_bytes", "peak_allocated_bytes", "peak_process_bytes"),
    "saved_memory": ("saved_bytes",),
}
"""The words of a suite that stand for a row measure; the first that was measured counts."""

Place = dict[str, str | int | bool]
"""Settings that the cases of a verdict share."""

_NAMES = ("run_id", "suite", "case_id")
_LENGTHLESS = [c for c in CASE_COLUMNS if c not in (*_NAMES, "seq_len", "seed")]
_SEEDLESS = [c for c in CASE_COLUMNS if c not in (*_NAMES, "seed")]
_POINT = [c for c in _SEEDLESS if c != "attention"]
_POINT_OF_MODELS = [c for c in _POINT if c not in ("model", "hidden_size", "heads", "layers", "causal")]
"""What two models must share to be compared: each has a shape of its own."""


def judge(claim: Claim, measurements: Measurements) -> list[Verdict]:
    """One verdict for each place that was measured: a curve, or a grid point. Empty when there is none.

    The claim's sides match by label or name. Where a summary alone is stored, times are judged by its
    intervals, and no exponent of times is known.
    """
    if claim.quantity == "crossover":
        return [verdict(claim, at, found) for at, found in _crossovers(claim, measurements)]
    if measurements.summary_alone and claim.measure == "time" and not claim.to_model:
        column = {"value": "time_s", "ratio": "time_ratio"}.get(claim.quantity)
        found = _times_of_summary(claim, measurements, column) if column else []
        if found:
            return found
    # What a mechanism cannot do is said in its row; no claim is made about it.
    cases = [case for case in measurements.cases if case["status"] != "unsupported"]
    own = named(cases, claim.attention, claim.model)
    measure, values = measurements.rounds(
        (*COLUMN_OF.get(claim.measure, ()), claim.measure), failed_too=claim.measure in EXACT_MEASURES
    )
    if claim.quantity == "exponent":
        return [
            _exponent(claim, place(curve[0], length=False), claim_quantities.exponent(curve, measure, values))
            for curve in _groups(own, _LENGTHLESS).values()
        ]
    if claim.quantity == "slope":
        return [
            verdict(claim, place(curve[0], length=False), claim_quantities.slope(curve, measure, values))
            for curve in _groups(own, _LENGTHLESS).values()
        ]
    if claim.quantity == "value":
        return [
            verdict(claim, place(group[0]), claim_quantities.value(group, measure, values))
            for group in _groups(own, _SEEDLESS).values()
        ]
    return [
        verdict(claim, place(group[0]), _compared(claim, group, beside, measure, values, measurements.paired))
        for group, beside in _beside(claim, cases, own)
    ]


def _times_of_summary(claim: Claim, measurements: Measurements, column: str) -> list[Verdict]:
    """The verdicts on times, or on their ratios to the reference of the summary, with its own intervals."""
    every: list[CaseRow] = measurements.summary("").to_dict("records")  # type: ignore[assignment]
    rows = [row for row in every if row["status"] == "ok" and pd.notna(row[column])]
    references = {row["attention"] for row in named(every, claim.to)}
    found = []
    for row in named(rows, claim.attention, claim.model):
        if claim.to and row["reference"] not in references:
            continue
        at, low, high = (float(row[f"{column}{end}"]) for end in ("", "_low", "_high"))
        if row["rounds"] < 2:
            low = high = math.nan
        known = Found(at, low, high, Basis("rounds", {"rounds": int(row["rounds"])}))
        found.append(verdict(claim, place(row), known))
    return found


def named(cases: Cases, attention: str, model: str = "") -> Cases:
    """Those of a mechanism and of a model, each as a person types it; an empty one is any."""
    for typed, column in ((attention, "attention"), (model, "model")):
        if typed:
            meant = meaning(typed)
            cases = [case for case in cases if meant(case[f"{column}_name"], case[f"{column}_params"])]
    return cases


def _groups(cases: Cases, columns: Sequence[str]) -> dict[tuple[object, ...], Cases]:
    """The cases by what stands in the columns, in order of first appearance; missing ones are one value."""
    found: dict[tuple[object, ...], list[CaseRow]] = {}
    for case in cases:
        values = (case[column] for column in columns)
        found.setdefault(tuple(None if pd.isna(value) else value for value in values), []).append(case)
    return dict(found)


def _beside(claim: Claim, cases: Cases, own: Cases) -> Iterator[tuple[Cases, Cases]]:
    """The cases of both sides at each point; those of the other may be none."""
    columns = _POINT_OF_MODELS if claim.to_model else _POINT
    others = _groups(named(cases, claim.to, claim.to_model), columns)
    for point, group in _groups(own, columns).items():
        yield group, others.get(point, [])


def _compared(
    claim: Claim, own: Cases, other: Cases, measure: str, values: Values, paired: Paired | None
) -> Found:
    for side, name in ((own, claim.own_side), (other, claim.other_side)):
        seeds = {case["seed"] for case in side}
        if len(seeds) < len(side) or len(_groups(side, _SEEDLESS)) > 1:
            return no_number("several_cases", side=name)
        if not any(key in values for key in keys_of(side)):
            facts = ending(side[0]) if side else {}
            return no_number("missing", measure=measure, side=name, **facts)
    if claim.quantity == "ratio":
        return claim_quantities.ratio(own, other, measure, values)
    return claim_quantities.difference(own, other, measure, values, paired)


def _crossovers(claim: Claim, measurements: Measurements) -> Iterator[tuple[Place, Found]]:
    summary = measurements.summary(claim.to)
    cases: list[CaseRow] = summary.to_dict("records")  # type: ignore[assignment]
    labels = {
        name: dict.fromkeys(case["attention"] for case in named(cases, name))
        for name in (claim.attention, claim.to)
    }
    for own in labels[claim.attention]:
        for other in labels[claim.to]:
            for line, found in claim_quantities.crossovers(summary, claim.measure, own=own, other=other):
                yield place({str(name): value for name, value in line.items()}, length=False), found


def place(case: CaseRow, *, length: bool = True) -> Place:
    """The settings of a case; `length` says whether its length is one of them."""
    where: Place = {"task": str(case["task"]), "phase": str(case["phase"]), "causal": bool(case["causal"])}
    # Of a mechanism alone there is no model.
    where["model"] = str(case["model"] or "")
    # A line of crossovers has no column for it.
    if case.get("lengths_of"):
        where["dataset"] = str(case["dataset"])
    columns = ("seq_len", "batch_size", "hidden_size") if length else ("batch_size", "hidden_size")
    return where | {column: int(case[column]) for column in columns}


def verdict(claim: Claim, where: Place, found: Found, decided: Answer | None = None) -> Verdict:
    """The verdict on what was found at a place: what is `decided`, or where its interval lies."""
    return Verdict(
        claim=claim,
        where=where,
        answer=decided or answer(claim.bound, found.low, found.high),
        found=found.value,
        low=found.low,
        high=found.high,
        basis=found.basis,
    )


def _exponent(claim: Claim, where: Place, found: Found) -> Verdict:
    """Zeros grow no faster than what is allowed. A SPEC speaks of large N: counts that follow no polynomial
    yet may still grow up to what it declares. Times that do not grow yet may still grow. Local slopes tell
    what the growth is not, and not what it is: they break a bound and satisfy none."""
    if found.basis.kind == "flat" and claim.bound.low > found.low:
        return verdict(claim, where, found, "undecided")
    if (
        found.basis.kind == "no_single_power"
        and claim.bound.low <= found.low
        and found.high <= claim.bound.high
    ):
        return verdict(claim, where, found, "undecided")
    zeros = found.basis.kind == "zeros" and claim.bound.high >= 0
    short = found.basis.kind == "two_largest" and claim.source == SPEC and found.high < claim.bound.low
    return verdict(claim, where, found, "holds" if zeros or short else None)
