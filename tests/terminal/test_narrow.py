"""A terminal of 40 columns: sentences are wrapped; a path, or another word that is longer, stays whole."""

import shutil

import pytest

from benchmarks.fuzz.logs import LOG
from benchmarks.fuzz.stored import store_run
from linrec_bench import cli

VERBS = [
    ["list", "attention"],
    ["list", "measures"],
    ["list", "attention", "linrec"],
    ["run", "suite.yaml", "--dry-run", "--device", "cpu"],
    ["check", "suite.yaml", "--from", "run", "--all"],
    ["compare", "run", "other"],
    ["compare", "run", "--attention", "linrec", "--against", "softmax"],
    ["data", "describe", "log.csv", "--set", "min_interactions=30"],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("narrow")
    store_run(folder).rename(folder / "run")
    shutil.copytree(folder / "run", folder / "other")
    (folder / "log.csv").write_text(LOG)
    return folder


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(place, verb, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.argv", ["linrec-bench", *verb])
    with pytest.raises(SystemExit):
        cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert [line for line in lines if len(line.rstrip()) > 40 and len(line.strip("- ").split()) > 1] == []
