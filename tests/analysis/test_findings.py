"""Findings are data: they survive JSON, need no label to be read, and analysis makes no prose of them."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import linrec_bench.analysis
from linrec_bench.analysis.findings import Finding, number, scalars
from linrec_bench.analysis.headline import findings
from linrec_bench.analysis.paired_quality import differences
from linrec_bench.analysis.summary import summarise
from linrec_bench.presentation.sentences import sentences
from tests.planted import LENGTHS, plant_pair, plant_quality

GOLDEN = Path(__file__).with_name("findings.json")


@pytest.fixture
def run(planted, layer_case, recommend_case):
    """Summary and paired differences of a run with costs, failures and quality over seeds."""
    plant_pair(planted, layer_case, cross=700)
    plant_pair(planted, layer_case, cross=10, causal=True)
    planted.close(layer_case("softmax", LENGTHS[0]))
    for n in LENGTHS[1:]:
        planted.close(layer_case("softmax", n), status="oom", detail="memory")
    users = np.arange(200, dtype=np.int32)
    ranks = {}
    for attention, rank in (("sdpa", 2), ("linrec", 5)):
        plant_quality(planted, recommend_case, attention, [1 / rank, 1 / rank + 0.001])
        for seed in (0, 1):
            case = recommend_case(attention, seed)
            found = rank + np.random.default_rng(seed).integers(0, 3, len(users))
            ranks[case.id, 0] = {"user": users, "rank": found.astype(np.int32)}
            for epoch, quality in enumerate((0.1, 0.2), start=1):
                planted.add(case, "epoch_time", float(rank), "s", repeat=epoch)
                planted.add(case, "ndcg@10", quality, "1", phase="validation", repeat=epoch)
            planted.close(case)
    summary = summarise(planted.frame(), reference="sdpa")
    return summary, differences(summary, ranks, reference="sdpa")


def told(run):
    return findings(run[0], "sdpa", run[1])


def test_the_findings_of_a_planted_run_are_those_of_its_golden_file(run):
    """After a wanted change, write what it prints into tests/analysis/findings.json."""
    found = json.loads(json.dumps([finding.as_record() for finding in told(run)]))
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert [_coarse(each) for each in found] == [_coarse(each) for each in expected], json.dumps(
        found, indent=1
    )
    assert {each["kind"] for each in found} == {"crossover", "stops", "quality", "time_to_quality"}


def test_floors_come_after_what_learnt(planted, recommend_case):
    """`popularity` comes before `sasrec` in the alphabet."""
    plant_quality(planted, recommend_case, "sdpa", [0.2, 0.21])
    for seed in (0, 1):
        floor = replace(recommend_case("no-op", seed), model="popularity")
        planted.add(floor, "ndcg@10", 0.05, "1", phase="test")
        planted.close(floor)
    found = findings(summarise(planted.frame(), reference="sdpa"), "sdpa", None)
    assert [finding.subject for finding in found] == ["sdpa", "popularity"]


def _coarse(value):
    """Numbers to six digits: the last digits of sums differ between processors."""
    if isinstance(value, dict):
        return {key: _coarse(item) for key, item in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def test_a_finding_survives_json_and_is_told_from_that_alone(run):
    found = told(run)
    again = [Finding.from_json(finding.to_json()) for finding in found]
    assert again == found
    assert sentences(again) == sentences(found)
    json.dumps([finding.as_record() for finding in found], allow_nan=False)


def test_other_labels_give_the_same_numbers(run):
    names = {"linrec": "z(a=1)", "sdpa": "y", "softmax": "x +watermark at N = 3"}
    summary, pairs = (
        table.replace({"attention": names, "reference": names, "against": names}) for table in run
    )
    renamed = findings(summary, "sdpa", pairs)

    def facts(found, names):
        return sorted(
            json.dumps([f.kind, names.get(f.subject, f.subject), f.value, f.low, f.high, dict(f.evidence)])
            for f in found
        )

    assert facts(renamed, {}) == facts(told(run), names)


def test_cells_become_json_scalars():
    row = pd.Series({"a": np.int64(3), "b": np.float64(0.5), "c": pd.NA, "d": "", "e": np.True_, "f": "x"})
    assert scalars(row, ("a", "b", "c", "d", "e", "f", "g")) == {"a": 3, "b": 0.5, "e": True, "f": "x"}
    assert [number(value) for value in (np.float64(1), np.nan, np.inf, None, pd.NA)] == [
        1.0,
        None,
        None,
        None,
        None,
    ]


FORMULAS = {"monomials", "polynomial", "regression"}
"""Their texts are formulas and bounds."""

NAMES = {"systems", "verdict"}
"""Their texts are names of systems and of the sides of a claim, which tables are keyed by."""

REASONS = {"compare", "compare_verdicts", "scaling"}
"""They say why something was not decided, beside the data."""


def test_no_module_of_the_analysis_builds_prose():
    """Where no error is raised, no string is formatted: numbers become text in presentation."""
    folder = Path(linrec_bench.analysis.__path__[0])
    for path in sorted(folder.glob("*.py")):
        if path.stem in FORMULAS | NAMES | REASONS:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        raised = {
            id(node) for stop in ast.walk(tree) if isinstance(stop, ast.Raise) for node in ast.walk(stop)
        }
        prose = [
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr) and id(node) not in raised and " " in _literals(node)
        ]
        assert not prose, f"{path.name}: {prose}"


def _literals(node):
    return "".join(part.value for part in node.values if isinstance(part, ast.Constant))
