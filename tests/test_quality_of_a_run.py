"""From a suite file to stored ranks and differences: what `run`, `compare` and `report` make of them."""

import json
import re

import pytest
from typer.testing import CliRunner

from linrec_bench.cli import app
from linrec_bench.results import stored_runs

SUITE = """\
task: recommend
attention: [softmax, copy]
model: {name: sasrec, dropout: 0.0}
dataset: {name: synthetic, users: 120, items: 30, length: 12, distance: 2, noise: 0.0}
grid: {seed: [0, 1, 2]}
fixed: {seq_len: 12, batch_size: 32, hidden_size: 32, heads: 2, layers: 2, causal: true}
training: {epochs: 8, learning_rate: 0.01}
evaluation: {exclude_seen: false}
rounds: 1
sweeps:
  - {}
  - {model: popularity, grid: {seed: [0]}}
"""


def typed(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    (folder / "suite.yaml").write_text(SUITE)
    done = typed("run", folder / "suite.yaml", "--device", "cpu", "--results", folder / "results")
    assert done.exit_code == 0, done.output
    (run,) = stored_runs.of_suite(folder / "results" / "suite")[0]
    return run, done


def test_a_run_stores_the_ranks_of_every_model_and_one_difference(ran):
    run, _ = ran
    # Two mechanisms and three seeds, and popularity once, whatever the mechanisms.
    assert len(run.ranks()) == 7
    for arrays in run.ranks().values():
        assert {name: (values.dtype.name, len(values)) for name, values in arrays.items()} == {
            "user": ("int32", 120),
            "rank": ("int32", 120),
            "history": ("int32", 120),
        }
    (row,) = run.quality().to_dict("records")
    assert (row["attention"], row["against"], row["seeds"], row["users"]) == ("copy", "softmax", 3, 120)
    summary = run.summary()
    means = summary[summary["model"] != "popularity"].groupby("attention")["ndcg@10"].mean()
    assert row["difference"] == pytest.approx(means["copy"] - means["softmax"], abs=1e-5)
    # `copy` cannot look two events back.
    assert row["high"] < 0
    assert row["p_holm"] < 0.05


def test_the_sentence_ends_the_run_and_stands_in_comparison_and_report(ran, tmp_path):
    run, done = ran
    flat = " ".join(done.output.split())
    # One sentence tells the quality and the paired difference; nothing repeats it.
    told = re.findall(r"- (copy(?:: test| is).*?)(?= - |$)", flat)
    (said,) = told
    pattern = (
        r"copy: test NDCG@10 0\.\d{4}, 0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] below softmax.* "
        r"\(3 seeds, 120 users, Holm-corrected p [=<] 0\.\d{4}, .*\)"
    )
    assert re.fullmatch(pattern, said), said

    compared = typed("compare", run.folder, "--attention", "copy", "--against", "softmax", "--json")
    record = json.loads(compared.stdout)
    assert (record["findings"][0]["subject"], record["findings"][0]["reference"]) == ("copy", "softmax")
    assert record["quality"][0]["seeds"] == 3

    page = tmp_path / "page.html"
    assert typed("report", run.folder, "--out", page, "--markdown", tmp_path / "s.md").exit_code == 0
    for text in (page.read_text(encoding="utf-8"), (tmp_path / "s.md").read_text()):
        assert "(3 seeds, 120 users, Holm-corrected p" in text
        assert "copy is 0." not in text
    assert "Differences of NDCG@10 on test" in page.read_text(encoding="utf-8")
