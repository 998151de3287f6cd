"""Sentences of claims, verdicts and rulings on papers. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import get_args

from linrec_bench.analysis.verdict import Basis, BasisKind, Claim, PaperRuling, Ruling, Verdict
from linrec_bench.presentation import numbers, words

SENTENCES: dict[BasisKind, str] = {
    "": "",
    "zeros": "0 at every length",
    "polynomial": "{polynomial}",
    "two_largest": "between the two largest lengths",
    "fit": "best form: {form}",
    "seeds": "{seeds} seeds",
    "paired_seeds": "{seeds} seeds, paired",
    "one_sample": "one sample",
    "rounds": "{rounds} rounds",
    "paired_rounds": "{rounds} rounds side by side",
    "never_crosses": "none up to {longest:,}",
    "always_crosses": "at every length from {shortest:,}",
    "few_lengths": "{measure} is known at {lengths} lengths; two are needed",
    "no_fit": "{reason}",
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
    """What a number rests on, or why there is none: `3 rounds side by side`, `one seed: no interval`."""
    kind, facts = basis.kind, basis.facts
    if kind == "changed":
        return _change(int(facts["accepted"]), int(facts["count"]))
    if kind == "no_interval":
        of = {key: value for key, value in facts.items() if key != "of"}
        number = basis_text(Basis(facts["of"], of))  # type: ignore[arg-type]
        return f"{number}: no interval" if number else "no interval"
    if kind == "seeds" and facts["seeds"] == 1:
        return "one seed"
    text = SENTENCES[kind].format_map(facts)
    if facts.get("rounds") == 1:
        text = text.replace("rounds", "round", 1)
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
    """`layer forward, causal, N 256, B 1, D 64`, or the name of a case in a baseline."""
    if "case" in where or not where:
        return str(where.get("case", ""))
    at = f", N {where['seq_len']}" if "seq_len" in where else ""
    task = " ".join(str(where[key]) for key in ("task", "model", "phase") if where[key])
    return (
        f"{task}, {words.direction(where['causal'])}{at}, B {where['batch_size']}, D {where['hidden_size']}"
    )


def verdict_name(verdict: Verdict) -> str:
    """The claim with its place: what tells one verdict from another."""
    return f"{claim_text(verdict.claim)} [{place_text(verdict.where)}]"


def found_text(verdict: Verdict) -> str:
    """What was found: `2 (16 N^2 + 128 N)`, `0.310 [0.280, 0.350]`, or why nothing was."""
    basis = basis_text(verdict.basis)
    if not math.isfinite(verdict.found):
        return basis
    has_interval = verdict.low != verdict.high and not math.isnan(verdict.low)
    interval = f" {numbers.interval(verdict.low, verdict.high)}" if has_interval else ""
    if float(verdict.found).is_integer():
        found = numbers.whole(verdict.found)
    elif verdict.basis.kind == "two_largest":
        # It follows from counts, which are exact: three digits would hide why an exponent is above its bound.
        found = f"{verdict.found:.6g}"
    else:
        found = numbers.three_digits(verdict.found)
    return f"{found}{interval}" + (f" ({basis})" if basis else "")


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


def _change(accepted: int, count: int) -> str:
    """`accepted 10, +10.00%`: of large counts a hundredth of a percent is much; what is less is a number."""
    share = f"{count / accepted - 1:+.2%}" if accepted else ""
    change = f"{count - accepted:+,}" if share in ("", "+0.00%", "-0.00%") else share
    return f"accepted {accepted:,}, {change}"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
