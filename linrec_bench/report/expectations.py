"""The `expect:` and `claims:` lines of a suite, answered from its stored run. Nothing is measured."""

from __future__ import annotations

from linrec_bench.gate import claims
from linrec_bench.gate.questions import questions, verdicts
from linrec_bench.report.ledger import Entry, of_claims, of_verdicts
from linrec_bench.report.sources import Source
from linrec_bench.suite.expand import expand

UNREAD = "The suite cannot be read by this version."


def expectations(source: Source) -> tuple[list[Entry], str]:
    """The bounds that a run's suite sets itself, and why there are none where there are none."""
    suite = source.suite
    if suite is None:
        return [], UNREAD
    if not suite.expect:
        return [], "The suite states no expectation."
    measurements = claims.evidence_of(source.samples, source.summary).measurements
    jobs = expand(suite, device=source.run.device())
    lines = [question for question in questions(suite, jobs) if question.claim.source.startswith("expect")]
    entries = of_verdicts(verdicts(lines, measurements))
    return entries, "" if entries else "The run holds no case that an expectation is about."


def paper_claims(source: Source) -> tuple[list[Entry], str]:
    """The claims of papers that a run's suite states, and why there are none where there are none."""
    suite = source.suite
    if suite is None:
        return [], UNREAD
    if not suite.claims:
        return [], "The suite states no claim of a paper."
    device = source.run.device()
    evidence = claims.evidence_of(source.samples, source.summary)
    return of_claims(claims.rule(suite, expand(suite, device=device), [evidence], device=device)), ""
