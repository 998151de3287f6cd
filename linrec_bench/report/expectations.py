"""The `expect:` lines of a suite, answered from its stored run."""

from __future__ import annotations

from linrec_bench import check
from linrec_bench.report.ledger import Entry, of_verdicts
from linrec_bench.report.sources import Source
from linrec_bench.suite.expand import expand


def expectations(source: Source) -> tuple[list[Entry], str]:
    """The ledger of a run's suite, and why it is empty where it is. Nothing is measured."""
    suite = source.suite
    if suite is None:
        return [], "The suite cannot be read by this version."
    if not suite.expect:
        return [], "The suite states no expectation."
    if source.samples is None:
        return [], "The samples are not stored, and a summary alone cannot answer."
    device = source.environment.get("device")
    kind = device.get("kind") if isinstance(device, dict) else None
    asked = check.questions(suite, expand(suite, device=str(kind or "cpu")))
    own = [question for question in asked if question.claim.source.startswith("expect")]
    entries = of_verdicts(check.verdicts(own, source.samples))
    return entries, "" if entries else "The run holds no case that an expectation is about."
