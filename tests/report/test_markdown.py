"""The summary for a pull request: golden, inert and without links."""

import re
from dataclasses import replace
from html import unescape
from itertools import product
from pathlib import Path

from linrec_bench.case import Case
from linrec_bench.report import markdown
from linrec_bench.report.sources import read
from linrec_bench.results import store

GOLDEN = Path(__file__).with_name("golden") / "report.md"


def test_the_summary_matches_its_golden_file(source):
    assert markdown([source]) == GOLDEN.read_text(encoding="utf-8")


def test_nothing_becomes_a_link_a_mention_or_html(source):
    title = "see https://example.com by @someone, fixes #12, [x](y) <b> www.example.com"
    found = markdown([replace(source, suite=source.suite.model_copy(update={"title": title}))])
    head = unescape(found.splitlines()[0])
    assert not re.search(r"://|(?<![\w\\])@\w|#\d|(?<!\\)\[|(?<!\\)<|www\.e", head.removeprefix("### "))


def test_notes_are_code(source):
    assert "- `runs/a: left out: <b> @me`" in markdown([source], ["runs/a: left out: <b> @me"])


def test_several_runs_have_a_part_each(source):
    assert markdown([source, source]).count("### A planted run") == 2


def test_rows_of_quality_name_the_settings_in_which_they_differ(make_run):
    places = [("a", "sasrec", True), ("a", "core", False), ("b", "core", True)]

    def trials():
        for (dataset, model, causal), attention in product(places, ("softmax", "linrec")):
            case = Case(
                task="recommend", phase="train_and_rank", attention=attention, seq_len=50, causal=causal,
                model=model, dataset=dataset, seed=0,
            )  # fmt: skip
            yield case, [("ndcg@10", 0.1, "1", {"phase": "test"}), ("train_time", 60.0, "s", {})], {}

    found = markdown([read(store.Run(make_run(chosen=list(trials()))))]).splitlines()
    head = next(at for at, line in enumerate(found) if line.startswith("| mechanism"))
    assert found[head].startswith("| mechanism | direction | N | model | dataset |")
    assert {tuple(line.split(" | ")[1:5]) for line in found[head + 2 : head + 8]} == {
        ("causal", "50", "sasrec", "a"),
        ("bidirectional", "50", "core", "a"),
        ("causal", "50", "core", "b"),
    }
