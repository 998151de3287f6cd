"""`answer` as a person types it, on suites that are there already and small."""

import json
import sys

import pytest

from linrec_bench import cli
from linrec_bench.results import stored_runs

QUALITY = """\
task: recommend
attention: [no-op]
model: popularity
dataset: {name: csv, path: log.txt, user: 1, item: 2, time: none, separator: space}
fixed: {seq_len: 8}
rounds: 1
"""
COST = """\
task: layer
attention: [sdpa, linrec]
reference: sdpa
grid: {seq_len: [16, 32]}
fixed: {hidden_size: 8, heads: 2, causal: true}
phases: [forward]
measures: [time]
rounds: 1
sampling: {seconds: 0.001, min: 2, max: 3}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINREC_BENCH_CACHE", str(tmp_path / "cache"))
    events = [f"u{user} i{(user + step) % 7}" for user in range(30) for step in range(8)]
    (tmp_path / "log.txt").write_text("\n".join(events))
    return tmp_path


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["linrec-bench", "answer", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0


@pytest.mark.slow
def test_two_runs_one_page_one_paragraph_and_nothing_measured_twice(folder, monkeypatch, capfd):
    results = folder / "results"
    results.mkdir()
    (results / "log-quality.yaml").write_text(QUALITY)
    (results / "log-cost.yaml").write_text(COST)
    assert call(monkeypatch, "log.txt", "--device", "cpu", "--dry-run") == 0
    assert sorted(path.name for path in results.iterdir()) == ["log-cost.yaml", "log-quality.yaml"]
    assert call(monkeypatch, "log.txt", "--device", "cpu") == 0
    said = capfd.readouterr()
    assert "no difference between linrec and sdpa shown: one round" in " ".join(said.out.split())
    assert max(map(len, said.out.splitlines())) <= 80
    assert "are run as they stand" in said.err
    page = (results / "log-answer.html").read_text()
    assert "Linear mechanisms on log" in page
    assert 'id="answer"' in page
    assert call(monkeypatch, "log.txt", "--device", "cpu", "--json") == 0
    record = json.loads(capfd.readouterr().out)
    runs = stored_runs.of_root(results)[0]
    assert {name: len(found) for name, found in runs.items()} == {"log-cost": 1, "log-quality": 1}
    assert [run.rsplit("/")[-1] for run in record["runs"]] == [
        runs[name][0].id for name in ("log-quality", "log-cost")
    ]
    assert record["log"]["users"] == 30
    assert [facts["subject"] for facts in record["facts"]] == ["linrec"]
    assert record["paragraph"][0].startswith("Quality: nothing was trained")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["log.txt", "--budget", "20"], "--budget 20: expected a time above 0 with its unit"),
        (["log.txt", "--budget", "9" * 300 + "h"], "at most 10,000h"),
        (["none.csv"], "none.csv"),
        (["log.txt", "--set", "min_interactions=50"], "none of 240 events"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(folder, monkeypatch, capfd, arguments, reason):
    assert call(monkeypatch, *arguments) == 2
    said = capfd.readouterr().err
    assert reason in said
    assert said.count("error:") == 1
    assert not (folder / "results").exists()
