"""The `expect:` and `claims:` lines of a suite, answered from its stored run. Nothing is measured."""

from __future__ import annotations

from linrec_bench.gate import claims
from linrec_bench.gate.questions import questions, verdicts
from linrec_bench.report.ledger import Entry, of_claims, of_verdicts
from linrec_bench.report.sources import Source
from linrec_bench.suite.expand import expand


def expectations(source: Source) -> list[Entry]:
    """The verdicts on the bounds that a run's suite sets itself."""
    suite = source.suite
    if suite is None or not suite.expect:
        return []
    jobs = expand(suite, device=source.run.device())
    lines = [question for question in questions(suite, jobs) if question.claim.source.startswith("expect")]
    return of_verdicts(verdicts(lines, source.evidence.measurements))


def paper_claims(source: Source) -> list[Entry]:
    """The rulings on the claims of papers that a run's suite states."""
    suite = source.suite
    if suite is None or not suite.claims:
        return []
    device = source.run.device()
    return of_claims(claims.rule(suite, expand(suite, device=device), [source.evidence], device=device))
