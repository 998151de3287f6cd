"""The formats read back as what went in, whatever signs a claim holds."""

import json
import math
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.analysis.verdict import Basis, Bound, Claim, Verdict
from linrec_bench.presentation import ci_reports
from linrec_bench.presentation.verdicts import found_text, verdict_name, verdict_record

PLACE = {
    "task": "layer",
    "phase": "forward",
    "model": "",
    "causal": False,
    "batch_size": 1,
    "hidden_size": 64,
}
POLYNOMIAL = Basis("polynomial", {"polynomial": "128 N + 4,096"})


def verdict(answer="holds", *, who="linrec", where=PLACE, basis=POLYNOMIAL, **more):
    claim = Claim(attention=who, measure="peak_memory", quantity="exponent", bound=Bound(0, 1.05, "<= 1.05"))
    numbers = {"found": 1.0, "low": 1.0, "high": 1.0} | more
    return Verdict(claim=claim, where=where, answer=answer, basis=basis, **numbers)


WHO = "linrec: 50% | worse, again: x_y"
BROKEN = verdict("broken", who=WHO, found=2.0, low=2.0, high=2.0)
UNKNOWN = Basis("missing", {"measure": "time"})
UNDECIDED = verdict("undecided", found=math.nan, low=math.nan, high=math.nan, basis=UNKNOWN)
HOLDS = verdict(found=0.31, low=0.28, high=0.35, basis=Basis("paired_rounds", {"rounds": 3}))
ALL = [HOLDS, UNDECIDED, BROKEN]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (BROKEN, "2 (128 N + 4,096)"),
        (UNDECIDED, "no time"),
        (
            verdict(
                found=math.nan,
                low=0.9,
                high=1.6,
                basis=Basis(
                    "no_single_power",
                    {"form": "n_log_n", "lengths": (256.0, 512.0, 1024.0), "slopes": (1.0, 1.504)},
                ),
            ),
            "[0.900, 1.60] (no single power; best form: floor + N log N; "
            "local slopes 1.00, 1.50 between N = 256, 512, 1,024)",
        ),
        (HOLDS, "0.310 [0.280, 0.350] (3 rounds side by side)"),
        (verdict(found=12345678, low=12345678, high=12345678, basis=Basis()), "12,345,678"),
    ],
)
def test_what_was_found_reads_as_a_person_says_it(given, expected):
    assert found_text(given) == expected


def test_records_are_strict_json_without_nan():
    infinite = verdict(high=math.inf)
    records = json.loads(json.dumps([verdict_record(each) for each in [*ALL, infinite]], allow_nan=False))
    assert [record["answer"] for record in records] == ["holds", "undecided", "broken", "holds"]
    assert records[1]["found"] is None
    assert records[3]["high"] is None
    assert records[2] == {
        "claim": f"{WHO}: exponent of peak_memory <= 1.05",
        "place": "layer forward, bidirectional, batch 1, hidden 64",
        "answer": "broken",
        "found": 2.0,
        "low": 2.0,
        "high": 2.0,
        "detail": "128 N + 4,096",
        "asked": {
            "measure": "peak_memory",
            "quantity": "exponent",
            "bound": {"low": 0, "high": 1.05, "text": "<= 1.05"},
            "attention": WHO,
            "model": "",
            "to": "",
            "to_model": "",
            "source": "suite",
            "paper": "",
        },
        "where": PLACE,
        "basis": {"kind": "polynomial", "facts": {"polynomial": "128 N + 4,096"}},
    }


def test_junit_counts_and_names_every_verdict():
    root = ElementTree.fromstring(ci_reports.junit(ALL, "complexity"))
    suite = root.find("testsuite")
    assert root.tag == "testsuites"
    for element in (root, suite):
        assert element.attrib == {
            "name": "complexity",
            "tests": "3",
            "failures": "1",
            "errors": "0",
            "skipped": "1",
        }
    holds, undecided, broken = suite.findall("testcase")
    assert broken.get("name") == verdict_name(BROKEN)
    assert broken.find("failure").get("message") == "found 2 (128 N + 4,096)"
    assert undecided.find("skipped").get("message") == "found no time"
    assert [child.tag for child in holds] == ["system-out"]


def test_junit_without_verdicts_is_no_pass():
    suite = ElementTree.fromstring(ci_reports.junit([], "complexity")).find("testsuite")
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert suite.find("testcase").find("error").get("message") == "nothing to check"


TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@given(name=TEXT, reason=TEXT)
def test_junit_is_wellformed_for_any_text(name, reason):
    basis = Basis("missing", {"measure": reason})
    text = ci_reports.junit([verdict("broken", who=name, basis=basis)], name)
    # As a file: encoded, then read by a strict parser.
    ElementTree.fromstring(text.encode())


COMMAND = re.compile(r"::(error|warning) title=([^:,\r\n]*)::([^\r\n]*)")


@given(name=TEXT, place=TEXT)
def test_an_annotation_is_one_command_that_reads_back_whole(name, place):
    (line,) = ci_reports.github_annotations([verdict("broken", who=name, where={"case": place})])
    matched = COMMAND.fullmatch(line)
    assert matched is not None
    assert matched[1] == "error"
    assert unquote(matched[2]) == f"broken: {name}: exponent of peak_memory <= 1.05"
    assert unquote(matched[3]).startswith(f"{place}: found 1")


def test_annotations_tell_errors_first_and_nothing_of_what_holds():
    assert [line.split(" ")[0] for line in ci_reports.github_annotations(ALL)] == ["::error", "::warning"]
    assert ci_reports.github_annotations([HOLDS]) == []


def test_more_annotations_than_github_shows_end_in_a_count():
    assert len(ci_reports.github_annotations([BROKEN] * 10)) == 10
    lines = ci_reports.github_annotations([BROKEN] * 12)
    assert len(lines) == 10
    assert "title=3 more broken::" in lines[-1]


def test_the_summary_puts_broken_first_and_folds_what_holds():
    text = ci_reports.markdown([*ALL, HOLDS])
    assert text.startswith("### Complexity gate: 1 broken, 1 undecided, 2 holds\n")
    assert text.index("**Broken**") < text.index("**Undecided**") < text.index("<details>")
    assert "linrec: 50% \\| worse, again: x\\_y" in text
    assert text.count("\n| linrec") == 4
    assert "\n\n| claim | where | found |\n|---|---|---|\n| " in text


def test_the_summary_of_nothing_and_of_too_much():
    assert ci_reports.markdown([]) == "### Complexity gate: nothing to check\n"
    text = ci_reports.markdown([HOLDS] * (ci_reports.MOST_ROWS + 5))
    assert text.count("\n| linrec") == ci_reports.MOST_ROWS
    assert "| and 5 more |" in text
    assert len(text.encode()) < 2**20


@given(place=TEXT)
def test_no_text_breaks_a_row_of_the_table(place):
    (row,) = [
        line
        for line in ci_reports.markdown([verdict("broken", where={"case": place})]).split("\n")
        if "linrec" in line
    ]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4
