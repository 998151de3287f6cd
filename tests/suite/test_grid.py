"""Lengths of a data set as an axis of a suite."""

import pytest

from linrec_bench.case import Case
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from linrec_bench.suite.select import select
from linrec_bench.suite.source_map import SuiteError

SUITE = """
task: {task}
attention: [softmax, linrec]
{model}
grid: {{lengths: [full, {{dataset: synthetic, length: 60}}]}}
fixed: {{seq_len: 8, causal: true}}
"""
FIXED = "task: core\nattention: [softmax]\nfixed: {{seq_len: 8{more}}}\n"


def parsed(text):
    return load.parse(text, name="s.yaml", stem="s", device="cpu")


def jobs_of(task="core", model=""):
    return expand(parsed(SUITE.format(task=task, model=model)), device="cpu")


def test_full_and_drawn_stand_side_by_side():
    cases = [job.case for job in jobs_of()]
    assert [case.dataset_label for case in cases[::4]] == ["", "lengths of synthetic(length=60)"]
    assert len({case.id for case in cases}) == len(cases) == 8
    for case in cases:
        assert Case.from_json(case.to_json()) == case
    assert len(select(jobs_of(), ["lengths=full"])) == len(select(jobs_of(), ["lengths=synthetic"])) == 4


def test_a_resolved_suite_reads_back():
    for text in (
        SUITE.format(task="layer", model=""),
        FIXED.format(more=", lengths: {dataset: ml-1m, min_interactions: 1}"),
        FIXED.format(more=", lengths: ramp"),
        FIXED.format(more=""),
    ):
        suite = parsed(text)
        assert parsed(load.resolved_text(suite)) == suite


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SUITE.format(task="decode", model=""), "not apply to task decode; expected them with one of: core"),
        (SUITE.format(task="core", model="").replace("synthetic", "syntetic"), "Did you mean 'synthetic'"),
        (SUITE.format(task="core", model="").replace("length: 60", "lenght: 60"), "no parameter 'lenght'"),
        (SUITE.format(task="core", model="").replace("dataset:", "data:"), "lengths"),
        (SUITE.format(task="core", model="").replace("[full", "[whole"), "full"),
    ],
)
def test_mistakes_are_told_with_their_place(text, message):
    with pytest.raises(SuiteError, match=r"s\.yaml:\d+") as error:
        parsed(text)
    assert message in str(error.value)
