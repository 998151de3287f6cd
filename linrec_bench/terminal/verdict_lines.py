"""Verdicts of claims and of probes, in a terminal and for the services that show them elsewhere."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from linrec_bench.analysis.verdict import PaperRuling, Verdict
from linrec_bench.commands.verify import PROPERTIES, Card
from linrec_bench.gate import claims
from linrec_bench.presentation import ci_reports, words
from linrec_bench.presentation.baseline_changes import changes, is_change
from linrec_bench.presentation.verdicts import (
    claim_text,
    found_text,
    place_text,
    ruling_counts,
    ruling_found,
    ruling_place,
    verdict_record,
)
from linrec_bench.terminal.streams import indented, out, say
from linrec_bench.terminal.tables import show_table
from linrec_bench.whole_file import replaced


def show_verdicts(
    verdicts: Sequence[Verdict], ledger: Sequence[PaperRuling] = (), *, as_json: bool, in_full: bool = False
) -> None:
    """What is broken, then what is undecided, each in full; what holds as a count, unless `in_full`. Changes
    against a baseline are told together for all lengths. Below, what papers claim, line by line."""
    if as_json:
        records = [verdict_record(verdict) for verdict in verdicts] + [
            _ruling_record(each) for each in ledger
        ]
        print(json.dumps(records, indent=2))
        return
    for answer in ("holds", "broken", "undecided") if in_full else ("broken", "undecided"):
        for verdict in verdicts:
            if verdict.answer == answer and not is_change(verdict):
                out.print(
                    f"{answer}: {claim_text(verdict.claim)}", style=words.VERDICT_COLOUR.get(answer, "")
                )
                indented(place_text(verdict.where))
                indented(f"found {found_text(verdict)}")
    for name, lines in changes(verdicts).items():
        out.print(f"broken: {name}: counts as in the baseline", style=words.VERDICT_COLOUR.get("broken", ""))
        for line in lines:
            indented(line)
    counts: Counter[str] = Counter(verdict.answer for verdict in verdicts)
    names = ("holds", "broken", "undecided")
    out.print(", ".join(f"{counts[name]} {name}" for name in names) if verdicts else "nothing to check")
    if ledger:
        _show_ledger(ledger)


def _show_ledger(ledger: Sequence[PaperRuling]) -> None:
    out.print("\nClaims of papers", style="bold")
    for each in ledger:
        out.print(f"{each.ruling}: {each.text}", style=words.VERDICT_COLOUR.get(each.ruling, ""))
        indented(each.paper)
        indented(claim_text(each.claim))
        if each.verdict:
            indented(ruling_place(each))
        stated = f"stated {each.theirs}; " if each.theirs else ""
        indented(f"{stated}{'found ' if each.verdict else ''}{ruling_found(each)}")
    out.print(ruling_counts(ledger))


def _ruling_record(ruled: PaperRuling) -> dict[str, object]:
    """A line of the ledger ready for JSON: the keys of a verdict, then what the paper states."""
    record = verdict_record(ruled.verdict or claims.undecided(ruled))
    stated = {"paper": ruled.paper, "text": ruled.text, "theirs": ruled.theirs}
    return record | {"answer": ruled.ruling, "places": ruled.places} | stated


def show_cards(cards: Sequence[Card]) -> None:
    """A line a mechanism and direction with a mark for every property; below, contradictions in words."""
    head = ["mechanism", *(str(number + 1) for number in range(len(PROPERTIES)))]
    rows = ([_card_name(card), *(_mark(card, name) for name in PROPERTIES)] for card in cards)
    show_table(head, rows, gap=1)
    names = Table.grid(padding=(0, 3, 0, 0))
    numbered = [f"{number + 1:2d} {name}" for number, name in enumerate(PROPERTIES)]
    for start in range(0, len(numbered), 4):
        names.add_row(*numbered[start : start + 4])
    out.print()
    out.print(names)
    out.print("\n+ holds   X contradicted   - means nothing here   ? could not be probed here")
    for card in cards:
        for reason in (card.unprobed, *card.limits):
            if reason:
                out.print(f"{_card_name(card)}: {reason}")
        for contradiction in card.contradictions:
            out.print(f"{_card_name(card)}: {contradiction}", style="red")


def _card_name(card: Card) -> str:
    return f"{card.name}, {words.direction(card.causal)}"


def _mark(card: Card, name: str) -> str:
    if name not in card.found:
        return "?" if card.unprobed else "-"
    return "+" if card.found[name] is None else "X"


def write_reports(verdicts: Sequence[Verdict], *, name: str, junit: Path | None) -> None:
    """JUnit XML where asked for; in GitHub Actions also annotations and the job's summary."""
    if junit is not None:
        with replaced(junit) as temporary:
            temporary.write_text(ci_reports.junit(verdicts, name), encoding="utf-8")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in ci_reports.github_annotations(verdicts):
            say(line)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(ci_reports.markdown(verdicts) + "\n")
