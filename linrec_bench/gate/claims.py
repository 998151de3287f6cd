"""Claims of papers, ruled on from exact counts and from stored rows. Nothing is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.analysis.claim_verdicts import judge, named
from linrec_bench.analysis.measurements import (
    CaseRow,
    Measurements,
    of_samples,
    of_summary,
    with_differences,
)
from linrec_bench.analysis.verdict import Answer, Basis, Bound, Claim, PaperRuling, Ruling, Verdict
from linrec_bench.gate.questions import EXACT_WORDS, claim_of
from linrec_bench.results import stored_runs
from linrec_bench.results.store import Run, StoreError
from linrec_bench.suite.expand import Job
from linrec_bench.suite.expectation import PaperClaim
from linrec_bench.suite.schema import Suite
from linrec_bench.suite.select import select

if TYPE_CHECKING:
    import pandas as pd

RULING: dict[Answer, Ruling] = {
    "holds": "reproduced",
    "broken": "not reproduced",
    "undecided": "undecided",
}

BEYOND = ("unsupported", "skipped", "oom", "timeout")
"""How a case ends that this device cannot do, or not within the limits of the suite."""


@dataclass(frozen=True)
class Evidence:
    """What can answer a claim; of `exact` counts only claims about counts are asked."""

    measurements: Measurements
    exact: bool = False


def evidence_of(
    samples: pd.DataFrame | None, summary: pd.DataFrame | None, differences: pd.DataFrame | None = None
) -> Evidence:
    """What a run says: its samples or, where they are not stored, its summary; and its table of quality."""
    if samples is not None:
        found = of_samples(samples)
    else:
        assert summary is not None, "one of both is stored"
        found = of_summary(summary)
    return Evidence(found if differences is None else with_differences(found, differences))


def of_run(run: Run) -> Evidence:
    """The evidence of a stored run; `StoreError` for one that cannot be read."""
    run.environment()
    if run.has_samples():
        return evidence_of(run.samples(), None, run.quality())
    return evidence_of(None, run.summary(), run.quality())


def of_newest(root: Path, suite: str) -> tuple[Evidence | None, list[str]]:
    """The evidence of the newest run of a suite under `root` that can be read, and what there is to say: its
    folder, and those of newer ones that were left out."""
    runs, notes = stored_runs.of_suite(root / suite)
    for run in reversed(runs):
        try:
            evidence = of_run(run)
        except StoreError as reason:
            notes.append(f"{run.folder}: left out: {reason}")
            continue
        return evidence, [*notes, f"claims that counts do not answer are ruled on from {run.folder}"]
    return None, notes


def rule(
    suite: Suite, jobs: Sequence[Job], evidence: Sequence[Evidence], *, device: str
) -> list[PaperRuling]:
    """Every line of `claims:` with its ruling, in the order of the suite.

    A claim is reproduced where every place that was found holds, and not reproduced where one is broken. The
    first evidence that has a number decides.
    """
    return [_rule(claim, number, jobs, evidence, device) for number, claim in enumerate(suite.claims)]


def as_verdicts(ledger: Sequence[PaperRuling]) -> list[Verdict]:
    """The ledger as claims of a gate: what cannot be tested here is not asked."""
    answers = {ruling: answer for answer, ruling in RULING.items()}
    verdicts = []
    for ruled in ledger:
        if ruled.ruling in answers:
            verdict = ruled.verdict or undecided(ruled)
            claim = replace(verdict.claim, paper=ruled.paper)
            verdicts.append(replace(verdict, claim=claim, answer=answers[ruled.ruling]))
    return verdicts


def undecided(ruled: PaperRuling) -> Verdict:
    """A verdict without a number, in place of that which a ruling lacks."""
    nan = math.nan
    return Verdict(
        claim=ruled.claim, where={}, answer="undecided", found=nan, low=nan, high=nan, basis=ruled.basis
    )


def _rule(
    stated: PaperClaim, number: int, jobs: Sequence[Job], evidence: Sequence[Evidence], device: str
) -> PaperRuling:
    claim = claim_of(stated, f"claims.{number}")

    def ruled(ruling: Ruling, basis: Basis, verdict: Verdict | None = None, places: int = 0) -> PaperRuling:
        return PaperRuling(
            paper=stated.paper,
            text=stated.text,
            theirs=stated.theirs,
            claim=claim,
            ruling=ruling,
            verdict=verdict,
            places=places,
            basis=basis,
        )

    not_here: Ruling = "not testable on this device"
    if stated.device not in ("any", device):
        return ruled(not_here, Basis("other_device", {"needed": stated.device, "device": device}))
    chosen = select(jobs, [stated.where]) if stated.where else list(jobs)
    if not chosen:
        return ruled(not_here, Basis("no_case_matches", {"device": device, "where": stated.where}))
    ids = frozenset(job.case.id for job in chosen)
    # Of exact counts alone, most claims have no answer before a run is stored.
    reason = Basis("no_run" if all(each.exact for each in evidence) else "no_such_case")
    for each in evidence:
        if each.exact and claim.measure not in EXACT_WORDS:
            continue
        measurements = each.measurements.of_cases(ids)
        verdicts = judge(claim, measurements)
        known = [verdict for verdict in verdicts if not math.isnan(verdict.found)]
        if known:
            decisive = min(known, key=lambda verdict: _standing(verdict, claim.bound))
            return ruled(RULING[decisive.answer], decisive.basis, decisive, len(known))
        beyond = _beyond(claim, measurements.cases)
        if beyond is not None:
            return ruled(not_here, beyond)
        if measurements.summary_alone and claim.quantity == "exponent":
            reason = Basis("needs_samples")
        elif verdicts:
            reason = verdicts[-1].basis
    return ruled("undecided", reason)


def _standing(verdict: Verdict, bound: Bound) -> tuple[int, float]:
    """Least for the place that decides: a broken one, then an open one; among equals the one nearest to the
    bound, or furthest beyond it."""
    rank = ("broken", "undecided", "holds").index(verdict.answer)
    room = [end for end in (verdict.low - bound.low, bound.high - verdict.high) if not math.isnan(end)]
    return rank, min(room, default=0.0)


def _beyond(claim: Claim, cases: Sequence[CaseRow]) -> Basis | None:
    """Why a side could not run on this device at all; None where one could, or where it was never tried."""
    for attention, model, name in (
        (claim.attention, claim.model, claim.own_side),
        (claim.to, claim.to_model, claim.other_side),
    ):
        side = named(cases, attention, model) if name else []
        if side and all(case["status"] in BEYOND for case in side):
            ending = f"{side[0]['status']}: {side[0]['detail']}"
            return Basis("cannot_run", {"side": name, "ending": ending})
    return None
