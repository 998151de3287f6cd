"""A terminal of 40 columns: sentences are wrapped; a path, or another word that is longer, stays whole."""

import shutil

import pytest

from benchmarks.fuzz.logs import LOG
from benchmarks.fuzz.stored import store_run
from linrec_bench import cli, terminal
from linrec_bench.gate import history

VERBS = [
    ["list", "attention"],
    ["list", "measures"],
    ["list", "attention", "linrec"],
    ["run", "suite.yaml", "--dry-run", "--device", "cpu"],
    ["check", "suite.yaml", "--from", "run", "--all"],
    ["compare", "run", "other"],
    ["compare", "run", "--attention", "linrec", "--against", "softmax"],
    ["data", "describe", "log.csv", "--set", "min_interactions=30"],
    ["history", "--file", "history.jsonl"],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("narrow")
    store_run(folder).rename(folder / "run")
    shutil.copytree(folder / "run", folder / "other")
    (folder / "log.csv").write_text(LOG)
    commits = [
        history.Commit(commit=f"{at:040d}", parent="", date="2026-01-01", subject="which says in many words")
        for at in range(2)
    ]
    case = "core forward linrec seq_len=1024 batch_size=16 causal"
    entries = [history.Entry(each, "2", {case: {"flops": at}}) for at, each in enumerate(commits)]
    history.write(folder / "history.jsonl", history.History("s", tuple(entries)))
    return folder


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(place, verb, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr(terminal.out, "width", 40)
    monkeypatch.setattr("sys.argv", ["linrec-bench", *verb])
    with pytest.raises(SystemExit):
        cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert [line for line in lines if len(line.rstrip()) > 40 and len(line.strip("- ").split()) > 1] == []
