"""The ledger: a claim, our number beside that of its source, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from linrec_bench.analysis.verdict import Answer, PaperRuling, Ruling, Verdict
from linrec_bench.presentation.verdicts import claim_text, found_text, place_text, ruling_found, ruling_place
from linrec_bench.report.table import Cell, Column, Row, Table, Tone, build

_TONES: dict[str, Tone] = {
    "reproduced": "good",
    "holds": "good",
    "not reproduced": "bad",
    "broken": "bad",
    "undecided": "open",
    "not testable on this device": "quiet",
}

_ORDER = tuple(_TONES)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: `ours` is what was found (with its interval, in words), `theirs` what the source states.

    `ruling` is one of `Ruling` for the claim of a paper, an `Answer` for the expectation of a suite.
    """

    claim: str
    ruling: Ruling | Answer
    ours: str
    line: str = ""
    theirs: str = ""
    source: str = ""
    place: str = ""
    sort: float = math.nan


def ledger_table(entries: Sequence[Entry], *, caption: str, id: str = "") -> Table:
    """The ledger as a table, in the order given; columns that no entry fills are left out."""
    columns = [
        _words("claim", "claim"),
        Column("verdict", _ruling, numeric=False),
        Column("found here", lambda row: Cell(str(row["ours"]), sort=float(str(row["sort"]))), words=True),
        Column("stated", lambda row: _text(row, "theirs"), numeric=False),
        _words("tested as", "line"),
        _words("where", "place"),
        _words("source", "source"),
    ]
    return build(caption, columns, [vars(entry) for entry in entries], id=id)


def counted(entries: Sequence[Entry]) -> str:
    """`3 holds, 1 undecided`: how many entries each ruling has."""
    rulings = [entry.ruling for entry in entries]
    return ", ".join(f"{rulings.count(each)} {each}" for each in _ORDER if each in rulings)


def of_verdicts(verdicts: Sequence[Verdict]) -> list[Entry]:
    """The verdicts on a suite's expectations as entries of the ledger."""
    return [
        Entry(
            claim=claim_text(verdict.claim),
            place=place_text(verdict.where),
            ours=found_text(verdict),
            ruling=verdict.answer,
            sort=verdict.found,
        )
        for verdict in verdicts
    ]


def of_claims(ruled: Sequence[PaperRuling]) -> list[Entry]:
    """The claims of papers as entries of the ledger."""
    return [
        Entry(
            claim=each.text,
            line=claim_text(each.claim),
            source=each.paper,
            place=ruling_place(each),
            theirs=each.theirs,
            ours=ruling_found(each),
            ruling=each.ruling,
            sort=each.verdict.found if each.verdict else math.nan,
        )
        for each in ruled
    ]


def _ruling(row: Row) -> Cell:
    ruling = str(row["ruling"])
    return Cell(ruling, sort=str(_ORDER.index(ruling)), tone=_TONES[ruling])


def _words(name: str, column: str) -> Column:
    return Column(name, lambda row: _text(row, column), numeric=False, words=True)


def _text(row: Row, column: str) -> Cell:
    text = str(row[column])
    return Cell(text, sort=text)
