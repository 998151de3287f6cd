"""The ledger: what papers claim, ruled on from exact counts and from stored rows. Nothing is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from linrec_bench.analysis.claim_quantities import UNVARYING
from linrec_bench.analysis.claim_verdicts import Answer, Bound, Claim, Verdict, judge, named
from linrec_bench.analysis.restored import restored, timed
from linrec_bench.analysis.samples_table import outcomes
from linrec_bench.gate import check, formats
from linrec_bench.results.store import Run, StoreError
from linrec_bench.suite.expand import Job
from linrec_bench.suite.schema import PaperClaim, Suite
from linrec_bench.suite.select import select

if TYPE_CHECKING:
    import pandas as pd

Ruling = Literal["reproduced", "not reproduced", "undecided", "not testable on this device"]

RULING: dict[Answer, Ruling] = {
    "holds": "reproduced",
    "broken": "not reproduced",
    "undecided": "undecided",
}

BEYOND = ("unsupported", "skipped", "oom", "timeout")
"""How a case ends that this device cannot do, or not within the limits of the suite."""


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """A claim with its ruling. `verdict` is that of the place which decides it; `places` counts those found.

    `reason` says why there is no verdict.
    """

    claim: PaperClaim
    line: str
    ruling: Ruling
    verdict: Verdict | None = None
    places: int = 0
    reason: str = ""

    @property
    def place(self) -> str:
        """Where the verdict was found, and in how many places the claim was put to the test."""
        if self.verdict is None:
            return ""
        return self.verdict.place + (f" (it decides, of {self.places} places)" if self.places > 1 else "")

    @property
    def ours(self) -> str:
        """What was found, with its interval, in words; why nothing was."""
        return self.reason if self.verdict is None else formats.found(self.verdict)


@dataclass(frozen=True)
class Evidence:
    """Rows that can answer a claim. `summary` stands in for samples that are not stored; of `exact` counts
    only claims about counts are asked."""

    rows: pd.DataFrame
    summary: pd.DataFrame | None = None
    exact: bool = False


def evidence_of(samples: pd.DataFrame | None, summary: pd.DataFrame) -> Evidence:
    """What a run says: its samples or, where they are not stored, its summary."""
    return Evidence(restored(summary), summary) if samples is None else Evidence(samples)


def of_run(run: Run) -> Evidence:
    """The evidence of a stored run; `StoreError` for one that cannot be read."""
    run.environment()
    return Evidence(run.samples()) if run.has_samples() else evidence_of(None, run.summary())


def of_newest(root: Path, suite: str) -> tuple[Evidence | None, list[str]]:
    """The evidence of the newest run of a suite under `root` that can be read, and what there is to say: its
    folder, and those of newer ones that were left out."""
    said: list[str] = []
    folder = root / suite
    found = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
    for path in found:
        if path.is_dir() and path.name[0] != ".":
            try:
                evidence = of_run(Run(path))
            except StoreError as reason:
                said.append(f"{path}: left out: {reason}")
                continue
            return evidence, [*said, f"claims that counts do not answer are ruled on from {path}"]
    return None, said


def rule(
    suite: Suite, jobs: Sequence[Job], evidence: Sequence[Evidence], *, device: str, lacking: str = ""
) -> list[Ruled]:
    """Every line of `claims:` with its ruling, in the order of the suite.

    A claim is reproduced where every place that was found holds, and not reproduced where one is broken. The
    first evidence that has a number decides; `lacking` says what to do where none has any.
    """
    known = [each if each.exact else _known_as(each, jobs) for each in evidence]
    return [_rule(claim, number, jobs, known, device, lacking) for number, claim in enumerate(suite.claims)]


def _known_as(evidence: Evidence, jobs: Sequence[Job]) -> Evidence:
    summary = None if evidence.summary is None else check.known_as(evidence.summary, jobs)
    return Evidence(check.known_as(evidence.rows, jobs), summary)


def as_verdicts(ruled: Sequence[Ruled]) -> list[Verdict]:
    """The ledger as claims of a gate: what cannot be tested here is not asked."""
    answers = {ruling: answer for answer, ruling in RULING.items()}
    found = []
    for each in ruled:
        if each.ruling in answers:
            verdict = each.verdict or _unknown(each)
            found.append(
                replace(verdict, claim=f"{each.claim.paper}: {each.line}", answer=answers[each.ruling])
            )
    return found


def as_record(ruled: Ruled) -> dict[str, object]:
    """A line of the ledger ready for JSON: the keys of a verdict, then what the paper states."""
    (record,) = formats.as_records([ruled.verdict or _unknown(ruled)])
    stated = {"paper": ruled.claim.paper, "text": ruled.claim.text, "theirs": ruled.claim.theirs}
    return record | {"claim": ruled.line, "answer": ruled.ruling, "places": ruled.places} | stated


def counted(ledger: Sequence[Ruled]) -> str:
    """`3 reproduced, 1 undecided`: how many lines each ruling has."""
    rulings = [each.ruling for each in ledger]
    return ", ".join(f"{rulings.count(each)} {each}" for each in get_args(Ruling) if each in rulings)


def _unknown(each: Ruled) -> Verdict:
    nan = math.nan
    return Verdict(
        claim=each.line, place="", answer="undecided", found=nan, low=nan, high=nan, detail=each.reason
    )


def _rule(
    stated: PaperClaim,
    number: int,
    jobs: Sequence[Job],
    evidence: Sequence[Evidence],
    device: str,
    lacking: str,
) -> Ruled:
    claim = check.claim_of(stated, f"claims.{number}")

    def ruled(ruling: Ruling, reason: str) -> Ruled:
        return Ruled(claim=stated, line=str(claim), ruling=ruling, reason=reason)

    if stated.device not in ("any", device):
        return ruled("not testable on this device", f"needs {stated.device}; this is {device}")
    chosen = select(jobs, [stated.where]) if stated.where else list(jobs)
    if not chosen:
        return ruled("not testable on this device", f"no case on {device} matches {stated.where}")
    ids = frozenset(job.case.id for job in chosen)
    reasons = []
    for each in evidence:
        if each.exact and claim.measure not in check.EXACT_WORDS:
            continue
        rows = each.rows[each.rows["case_id"].isin(ids)]
        verdicts = _judged(claim, rows, each.summary, ids)
        known = [_held_to_spread(verdict, claim) for verdict in verdicts if not math.isnan(verdict.found)]
        if known:
            decisive = min(known, key=lambda verdict: _standing(verdict, claim.bound))
            ruling = RULING[decisive.answer]
            return Ruled(claim=stated, line=str(claim), ruling=ruling, verdict=decisive, places=len(known))
        beyond = _beyond(claim, rows)
        if beyond:
            return ruled("not testable on this device", beyond)
        if each.summary is not None and claim.quantity == "exponent":
            reasons.append("it needs the raw samples, which are not stored")
        else:
            reasons += [verdict.detail for verdict in verdicts]
    return ruled("undecided", reasons[-1] if reasons else lacking or "the run holds no such case")


def _judged(
    claim: Claim, rows: pd.DataFrame, summary: pd.DataFrame | None, ids: frozenset[str]
) -> list[Verdict]:
    if summary is None:
        return judge(claim, rows)
    told = summary[summary["case_id"].isin(ids)]
    return timed(claim, told) or judge(claim, rows, summary=told)


def _held_to_spread(verdict: Verdict, claim: Claim) -> Verdict:
    """A single training or process is no evidence for a number that varies: it decides nothing."""
    varies = claim.measure not in (*UNVARYING, *check.EXACT_WORDS)
    if varies and claim.quantity == "value" and verdict.low == verdict.high:
        return replace(verdict, answer="undecided", detail=f"{verdict.detail}: no interval".lstrip(": "))
    return verdict


def _standing(verdict: Verdict, bound: Bound) -> tuple[int, float]:
    """Least for the place that decides: a broken one, then an open one; among equals the one nearest to the
    bound, or furthest beyond it."""
    rank = ("broken", "undecided", "holds").index(verdict.answer)
    room = [end for end in (verdict.low - bound.low, bound.high - verdict.high) if not math.isnan(end)]
    return rank, min(room, default=0.0)


def _beyond(claim: Claim, rows: pd.DataFrame) -> str:
    """Why a side could not run on this device at all; empty where one could, or where it was never tried."""
    cases = outcomes(rows)
    for attention, model, name in (
        (claim.attention, claim.model, claim.own),
        (claim.to, claim.to_model, claim.other),
    ):
        side = cases[named(cases, attention, model)] if name else cases[:0]
        if len(side) and side["status"].isin(BEYOND).all():
            first = side.iloc[0]
            return f"{name}: {first['status']}: {first['detail']}"
    return ""
