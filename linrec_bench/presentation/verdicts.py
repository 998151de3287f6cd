"""Sentences of claims, verdicts and rulings on papers. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import get_args

from linrec_bench.analysis.claim_verdicts import COLUMN_OF
from linrec_bench.analysis.summary import EXACT, EXTRAS, MEDIANS
from linrec_bench.analysis.verdict import Basis, BasisKind, Claim, PaperRuling, Ruling, Verdict
from linrec_bench.presentation import case_names, numbers, words

SENTENCES: dict[BasisKind, str] = {
    "": "",
    "zeros": "0 at every length",
    "of_declared": "{share:.4g} of the bound",
    "polynomial": "{polynomial}",
    "two_largest": "between the two largest lengths",
    "fit": "best form: {growth}",
    "one_process": "one process at some length decides nothing",
    "short_range": "range too short for a number; best form: {growth}",
    "no_single_power": "no single power; best form: {growth}; {slopes}",
    "flat": "does not grow with N",
    "n_log_n": "no single power: floor + N log N fits; {slopes}",
    "seeds": "{seeds} seeds",
    "paired_seeds": "{seeds} seeds, paired",
    "paired_users": "{seeds} seeds, {users:,} users, paired",
    "rounds": "{rounds} rounds",
    "paired_rounds": "{rounds} rounds side by side",
    "never_crosses": "more at {longest:,}, the longest length",
    "always_crosses": "at every length from {shortest:,}",
    "crosses_by": "shown from {since:,} on, no difference shown below",
    "no_order_shown": "no difference shown at the longest length in {rounds} rounds",
    "few_lengths": "{measure} is known at {lengths} lengths; {needed} are needed",
    "missing": "no {measure}",
    "not_positive": "{measure} is not positive; expected a difference, which needs no positive numbers",
    "few_seeds": "{measure}: two seeds or more are needed",
    "several_cases": "several cases of {side} there; `where` must leave one",
    "changed_ratio": "{accepted:.3g} -> {ratio:.3g}, margin {margin:.0%}",
    "not_in_baseline": "not in the baseline; accept with --update-baseline",
    "not_in_suite": "in the baseline and not in the suite; accept with --update-baseline",
    "not_counted": "in the baseline and not counted: {reason}",
    "other_device": "needs {needed}; this is {device}",
    "no_case_matches": "no case on {device} matches {where}",
    "cannot_run": "{side}: {ending}",
    "needs_samples": "it needs the raw samples, which are not stored",
    "no_such_case": "the run holds no such case",
    "no_run": "no run is stored; `linrec-bench run` makes one",
}
"""What is said of each kind of basis; of the others a function below has more to choose."""


def basis_text(basis: Basis) -> str:
    """What a number rests on, or why there is none: `3 rounds side by side`, `one seed decides nothing`."""
    kind, facts = basis.kind, basis.facts
    if kind == "changed":
        return _change(facts["accepted"], facts["count"])
    if kind in ("seeds", "rounds", "paired_rounds") and 1 in facts.values():
        return "one seed decides nothing" if kind == "seeds" else "one round (process) decides nothing"
    told = dict(facts)
    if "form" in facts:
        told |= {"growth": words.GROWTH[str(facts["form"])]} if facts["form"] else {}
        told["slopes"] = _slopes(facts["lengths"], facts["slopes"])
    text = SENTENCES[kind].format_map(told)
    if kind == "missing" and "side" in facts:
        text += f" of {facts['side']} there"
    ending = " ".join(str(facts[key]) for key in ("status", "detail") if facts.get(key))
    return f"{text}: {ending}" if ending else text


def claim_text(claim: Claim) -> str:
    """`linrec: ratio to softmax of flops <= 0.01`; who states it first, where a paper does."""
    if claim.quantity == "baseline":
        return f"{claim.measure} as in the baseline"
    joint = " with" if claim.quantity == "crossover" else " to"
    of = f"{joint} {claim.other_side}" if claim.other_side else ""
    stated = f"{claim.paper}: " if claim.paper else ""
    return f"{stated}{claim.own_side}: {claim.quantity}{of} of {claim.measure} {claim.bound.text}"


def place_text(where: Mapping[str, str | int | bool]) -> str:
    """`layer forward, causal, N = 256, batch 1, hidden 64`, or the name of a case in a baseline."""
    return str(where["case"]) if "case" in where else case_names.case_name(where) if where else ""


def verdict_name(verdict: Verdict) -> str:
    """The claim with its place: what tells one verdict from another."""
    return f"{claim_text(verdict.claim)} [{place_text(verdict.where)}]"


def found_text(verdict: Verdict) -> str:
    """What was found: `2 (16 N^2 + 128 N)`, `ratio of NDCG@10 0.970 [0.950, 0.990]`, or why nothing was."""
    basis = basis_text(verdict.basis)
    if not math.isfinite(verdict.found):
        known = verdict.low != verdict.high and math.isfinite(verdict.low) and math.isfinite(verdict.high)
        return f"{numbers.interval(verdict.low, verdict.high)} ({basis})" if known else basis
    has_interval = verdict.low != verdict.high and not math.isnan(verdict.low)
    interval = f" {numbers.interval(verdict.low, verdict.high)}" if has_interval else ""
    if float(verdict.found).is_integer():
        found = numbers.whole(verdict.found)
    elif verdict.basis.kind == "two_largest":
        # It follows from counts, which are exact: three digits would hide why an exponent is above its bound.
        found = f"{verdict.found:.6g}"
    else:
        found = numbers.three_digits(verdict.found)
    said = f"{_of_what(verdict.claim)}{found}{interval}{_unit(verdict.claim)}"
    return f"{said} ({basis})" if basis else said


def _of_what(claim: Claim) -> str:
    """`ratio of NDCG@10 `; nothing for a number that can be of one thing alone."""
    said = {"ratio": "ratio of ", "difference": "difference of ", "value": ""}.get(claim.quantity)
    return "" if said is None else f"{said}{words.measure(claim.measure)} "


def _unit(claim: Claim) -> str:
    """` s` of times, ` B` of bytes; metrics and counts have none."""
    if claim.quantity not in ("value", "difference"):
        return ""
    known = {"time": "s"} | {each.measure: each.unit for each in (EXACT | MEDIANS | EXTRAS).values()}
    unit = known.get(COLUMN_OF.get(claim.measure, (claim.measure,))[0], "")
    return f" {unit}" if unit in ("s", "B", "J") else ""


def verdict_record(verdict: Verdict) -> dict[str, object]:
    """Ready for JSON, with the sentences beside the data; what is not a finite number is None."""
    record = {
        "claim": claim_text(verdict.claim),
        "place": place_text(verdict.where),
        "answer": verdict.answer,
        "found": verdict.found,
        "low": verdict.low,
        "high": verdict.high,
        "detail": basis_text(verdict.basis),
        "asked": asdict(verdict.claim),
        "where": dict(verdict.where),
        "basis": asdict(verdict.basis),
    }
    plain = _plain(record)
    assert isinstance(plain, dict)
    return plain


def ruling_place(ruled: PaperRuling) -> str:
    """Where the verdict was found, and in how many places the claim was put to the test."""
    if ruled.verdict is None:
        return ""
    also = f" (it decides, of {ruled.places} places)" if ruled.places > 1 else ""
    return place_text(ruled.verdict.where) + also


def ruling_found(ruled: PaperRuling) -> str:
    """What was found, with its interval; why nothing was."""
    return basis_text(ruled.basis) if ruled.verdict is None else found_text(ruled.verdict)


def ruling_counts(ledger: Sequence[PaperRuling]) -> str:
    """`3 reproduced, 1 undecided`: how many lines each ruling has."""
    rulings = [each.ruling for each in ledger]
    return ", ".join(f"{rulings.count(each)} {each}" for each in get_args(Ruling) if each in rulings)


def _slopes(lengths: object, slopes: object) -> str:
    """`local slopes 0.98, 1.62, 1.01 between N = 256, 512, 1,024, 2,048`."""
    assert isinstance(lengths, tuple | list)
    assert isinstance(slopes, tuple | list)
    between = ", ".join(map(numbers.whole, lengths))
    return f"local slopes {', '.join(f'{slope:.2f}' for slope in slopes)} between N = {between}"


def _change(accepted: object, count: object) -> str:
    """`accepted 10, +10.00%`."""
    assert isinstance(accepted, int)
    assert isinstance(count, int)
    return f"accepted {accepted:,}, {change_text(accepted, count)}"


def change_text(accepted: int, count: int) -> str:
    """`+10.00%`, from twice as much on `x32`: of large counts a hundredth of a percent is much; what is less
    is a number."""
    if accepted and count >= 2 * accepted:
        return f"x{count / accepted:.4g}"
    share = f"{count / accepted - 1:+.2%}" if accepted else ""
    return f"{count - accepted:+,}" if share in ("", "+0.00%", "-0.00%") else share


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
