"""Verdicts of claims and of probes, in a terminal and for the services that show them elsewhere."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from linrec_bench import formats
from linrec_bench.analysis.verdicts import Verdict
from linrec_bench.console.terminal import out, say
from linrec_bench.verify import Card

_COLOURS = {"broken": "red", "undecided": "yellow"}


def show_verdicts(verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    """What is broken, then what is undecided, each in full; what holds as a count."""
    if as_json:
        print(json.dumps(formats.as_records(verdicts), indent=2))
        return
    for answer in ("broken", "undecided"):
        for verdict in verdicts:
            if verdict.answer == answer:
                out.print(f"{answer}: {verdict.claim}", style=_COLOURS[answer])
                out.print(f"  {verdict.place}")
                out.print(f"  found {formats.found(verdict)}")
    counts: Counter[str] = Counter(verdict.answer for verdict in verdicts)
    names = ("holds", "broken", "undecided")
    out.print(", ".join(f"{counts[name]} {name}" for name in names) if verdicts else "nothing to check")


def show_cards(cards: Sequence[Card]) -> None:
    """A line a mechanism and direction; below, every contradiction in words."""
    for card in cards:
        direction = "causal" if card.causal else "bidirectional"
        broken = len(card.contradictions)
        said = "holds" if not broken else f"{broken} of {len(card.found)} properties contradicted"
        out.print(f"{card.name}, {direction}: {said}", style="red" if broken else "")
        for contradiction in card.contradictions:
            out.print(f"  {contradiction}")


def write_reports(verdicts: Sequence[Verdict], *, name: str, junit: Path | None) -> None:
    """JUnit XML where asked for; in GitHub Actions also annotations and the job's summary."""
    if junit is not None:
        junit.write_text(formats.junit(verdicts, name), encoding="utf-8")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in formats.annotations(verdicts):
            say(line)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(formats.markdown(verdicts) + "\n")
