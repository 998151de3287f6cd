"""Numbers, tables, ledger, cards and facts in words."""

import math
from pathlib import Path

from linrec_bench.analysis.verdict import Bound, Claim, Verdict
from linrec_bench.report import environment_view
from linrec_bench.report.cards import CardRow, cards_table
from linrec_bench.report.ledger import Entry, counted, ledger_table, of_verdicts
from linrec_bench.report.table import Cell, Column, build


def test_a_column_that_says_nothing_is_left_out():
    columns = [
        Column("a", lambda row: Cell("x")),
        Column("b", lambda row: Cell("-")),
        Column("c", lambda row: Cell("", "s")),
    ]
    assert [column.name for column in build("t", columns, [{}, {}]).columns] == ["a", "c"]


def test_what_a_cell_sorts_by():
    assert [Cell("", sort=value).sort_text for value in (1.5e-3, math.nan, "b", 123456789.0)] == [
        "0.0015",
        "",
        "b",
        "123456789",
    ]


PLANTED = [
    Entry(
        claim="linear time",
        source="LinRec",
        theirs="1",
        ours="1.01 [0.99, 1.04]",
        ruling="reproduced",
        sort=1.01,
    ),
    Entry(
        claim="NDCG@10",
        source="RecGRELA",
        theirs="0.1959",
        ours="0.171 [0.169, 0.173]",
        ruling="not reproduced",
        sort=0.171,
    ),
    Entry(
        claim="prefill x7.8",
        source="FuXi-Linear",
        theirs="7.8",
        ours="needs CUDA",
        ruling="not testable on this device",
    ),
    Entry(
        claim="fewer FLOPs",
        source="EASRec",
        theirs="< 1",
        ours="0.98 [0.9, 1.1]",
        ruling="undecided",
        sort=0.98,
    ),
]


def test_the_ledger_tells_claim_number_and_verdict():
    table = ledger_table(PLANTED, caption="Claims", id="claims")
    assert [column.name for column in table.columns] == ["claim", "verdict", "found here", "stated", "source"]
    assert [row[1].text for row in table.rows] == [entry.ruling for entry in PLANTED]
    assert [row[1].tone for row in table.rows] == ["good", "bad", "quiet", "open"]
    assert table.rows[2][2].sort_text == ""
    assert counted(PLANTED) == "1 reproduced, 1 not reproduced, 1 undecided, 1 not testable on this device"


def test_verdicts_of_a_suite_take_the_same_form():
    claim = Claim(attention="a", measure="time", quantity="value", bound=Bound(0, 1, "<= 1"))
    verdict = Verdict(claim=claim, where={"case": "b"}, answer="broken", found=2.0, low=1.9, high=2.1)
    (entry,) = of_verdicts([verdict])
    assert (entry.claim, entry.place, entry.ours, entry.ruling) == (
        "a: value of time <= 1",
        "b",
        "time of one call 2 [1.90, 2.10] s",
        "broken",
    )


def test_a_card_that_was_not_probed_says_so():
    cards = [
        CardRow("a", "causal", {"finite": None}),
        CardRow("b", "causal", {"causal": "no", "finite": None}),
    ]
    table = cards_table(cards)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["a", "causal", "holds", "not probed"],
        ["b", "causal", "holds", "contradicted"],
    ]


def test_the_environment_is_told_in_full():
    lines = environment_view.environment_lines(
        {"torch": {"version": "2", "cuda": None}, "machine": {"memory_bytes": 2**30}, "command": "x"}
    )
    assert lines == [("torch, version", "2"), ("machine, memory", "1.00 GiB")]


def test_commands_are_safe_to_paste():
    commands = dict(
        environment_view.commands(
            {"command": "linrec-bench run x", "device": {"kind": "cpu"}}, Path("my runs/a")
        )
    )
    assert list(commands.values())[1] == "linrec-bench run 'my runs/a/suite.yaml' --device cpu --fresh"
