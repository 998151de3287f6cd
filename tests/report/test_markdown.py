"""The summary for a pull request: golden, inert and without links."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

from linrec_bench.report import markdown

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
