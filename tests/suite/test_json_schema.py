"""The published schema is that of the code, and it tells good suites from bad ones."""

import json
import os
from pathlib import Path

import pytest

from linrec_bench.suite import load
from linrec_bench.suite.json_schema import suite_schema
from linrec_bench.suite.schema import SUITE_KEYS, SWEEP_KEYS
from linrec_bench.suite.shipped import shipped_suites
from linrec_bench.suite.source_map import SuiteError, read_yaml
from linrec_bench.suite.template import TEMPLATE

PUBLISHED = Path(__file__).parents[2] / "docs" / "suite.schema.json"
GOOD = """\
task: recommend
attention: [softmax, {name: linrec, padding: ignore}]
model: {name: sasrec, dropout: 0.2}
dataset: synthetic
grid: {seq_len: {from: 128, to: 1000, factor: 2}, causal: [false, true], heads: 2, dtype: float32}
limits: {memory: 8GiB}
training: {epochs: 3, budget_seconds: 1.5}
evaluation: {k: [5, 10]}
expect: [{attention: linrec, measure: flops, ratio: "0.9 .. 1.1", to: softmax}]
"""


def text_of(schema):
    return json.dumps(schema, indent=2) + "\n"


def test_the_published_schema_is_current():
    assert PUBLISHED.read_text(encoding="utf-8") == text_of(suite_schema()), (
        "out of date; write it anew: linrec-bench init --schema docs/suite.schema.json"
    )


def test_the_schema_has_every_key_of_a_suite():
    assert set(suite_schema()["properties"]) == {*SUITE_KEYS, *SWEEP_KEYS}


@pytest.fixture(scope="module")
def errors_of():
    """The messages of a validator that does not know this package, for a suite as YAML."""
    jsonschema = pytest.importorskip("jsonschema", reason="a dependency of the tests")
    jsonschema.Draft202012Validator.check_schema(suite_schema())
    validator = jsonschema.Draft202012Validator(suite_schema())
    return lambda text: [error.message for error in validator.iter_errors(read_yaml(text, "s")[1])]


@pytest.mark.parametrize("path", shipped_suites().values(), ids=lambda path: path.stem)
def test_every_shipped_suite_is_valid(errors_of, path):
    text = path.read_text(encoding="utf-8")
    assert errors_of(text) == []
    up = os.path.relpath(PUBLISHED, path.parent)
    assert text.startswith(f"# yaml-language-server: $schema={up}\n")


def test_the_template_and_a_resolved_suite_are_valid(errors_of):
    assert errors_of(GOOD) == []
    assert errors_of(TEMPLATE.format(name="s.yaml")) == []
    suite = load.parse(TEMPLATE.format(name="s.yaml"), name="s.yaml", stem="s", device="cpu")
    assert errors_of(load.resolved_text(suite)) == []


@pytest.mark.parametrize(
    "change",
    [
        ("recommend", "rank"),
        ("attention: [", "atention: ["),
        ("attention: [softmax, ", "attention: [3, "),
        ("{name: linrec,", "{nam: linrec,"),
        ("from: 128", "from: 0"),
        ("factor: 2", "factor: 1"),
        ("[false, true]", "[no way]"),
        ("float32", "float31"),
        ("8GiB", "8 lots"),
        ("epochs: 3", "epochs: few"),
        ("epochs: 3", "epoch: 3"),
        ("k: [5, 10]", "k: []"),
        ("0.9 .. 1.1", "about 1"),
        ("limits:", "rounds: 0\nlimits:"),
        ("limits:", "measures: [tim]\nlimits:"),
        ("limits:", "sweeps: [{rouns: 2}]\nlimits:"),
        ("limits:", "per_device: {gpu: {}}\nlimits:"),
        ("limits:", "per_device: {cuda: {sampling: {second: 1}}}\nlimits:"),
        ("limits:", "scales: {small: {round: 1}}\nlimits:"),
        ("limits:", "scales: {small: {scales: {}}}\nlimits:"),
        ("limits:", "scales: [small]\nlimits:"),
    ],
)
def test_what_the_schema_refuses_the_loader_refuses_too(errors_of, change):
    assert change[0] in GOOD
    text = GOOD.replace(*change)
    assert errors_of(text)
    with pytest.raises(SuiteError):
        load.parse(text, name="s.yaml", stem="s", device="cuda")
