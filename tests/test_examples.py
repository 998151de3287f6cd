"""Every verb's help has an example, and each example does what it says when it is typed."""

import re
import shlex
import sys
from datetime import datetime
from functools import partial

import pytest
import typer.main

from linrec_bench import cli
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of

pytestmark = pytest.mark.slow

SUITE = """\
task: layer
attention: [softmax, linrec]
grid: {seq_len: [64, 128]}
fixed: {batch_size: 1, hidden_size: 8, heads: 2}
phases: [forward]
measures: [peak_memory, flops]
rounds: 1
"""
RUNS = ("20260101-120000-ab12", "20260102-120000-cd34")

ELSEWHERE = {"answer", "calibrate", "convert", "data fetch", "history", "merge"}
"""Minutes of measuring, runs of an older version or of parts, a download, a repository: tests of their own
call them."""

MORE = {
    "predict": ["--only", "seq_len<=256 attention=linrec"],
    "run": ["--only", "seq_len<=128", "--set", "rounds=1"],
}
"""What makes an example short enough for a test."""

LEFT = {
    "run": "results/long_seq/*/summary.csv",
    "plot": f"results/long_seq/{RUNS[0]}/figures/time_layer_slides_dark.png",
    "report": "summary.md",
    "export": "long_seq.parquet",
    "init": "suite.schema.json",
    "data describe": "lengths.png",
}
"""A file that an example leaves behind."""


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} ")
        else:
            yield prefix + name, command


VERBS = dict(commands(typer.main.get_command(cli.app)))
EXAMPLES = [
    (name, line)
    for name, command in VERBS.items()
    for line in re.findall(r"Example: `?(linrec-bench [^`\n]+)", command.help)
]


def test_every_verb_has_an_example_of_itself():
    assert {name for name, _ in EXAMPLES} == set(VERBS)
    for name, line in EXAMPLES:
        assert line.startswith(f"linrec-bench {name}")


def plant(root, suite, name, day):
    cases = [
        Case(task="layer", phase="forward", attention=attention, seq_len=seq_len)
        for attention in ("softmax", "linrec")
        for seq_len in (64, 128)
    ]
    run = store.create(
        root, suite=suite, suite_text=SUITE, cases=cases, environment={"device": {"kind": "cpu"}},
        now=datetime(2026, 1, day),
    )  # fmt: skip
    folder = run.folder.rename(run.folder.with_name(name))
    with store.Writer(store.Run(folder)) as writer:
        for case in cases:
            for round in range(3):
                row = partial(row_of, case, run_id=name, suite=suite, round=round)
                times = [
                    row(measure="time", value=1e-3 * (1 + 0.01 * (n + round)), unit="s", repeat=n)
                    for n in range(3)
                ]
                writer.append([*times, row(measure=TRIAL, value=1.0, unit="s")])
    store.Run(folder).write_summary(summarise(store.Run(folder).samples(), reference="softmax"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for day, name in enumerate(RUNS, start=1):
        for suite in ("long_seq", "quick"):
            plant(tmp_path / "results", suite, name, day)
    (tmp_path / "suites").mkdir()
    for suite in ("long_seq", "complexity", "quick"):
        (tmp_path / "suites" / f"{suite}.yaml").write_text(SUITE)
    events = [f"u{user},i{(user + step) % 7},{step}" for user in range(6) for step in range(8)]
    (tmp_path / "events.csv").write_text("\n".join(["user_id,item_id,timestamp", *events]) + "\n")
    return tmp_path


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["linrec-bench", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


@pytest.mark.parametrize(("name", "line"), [example for example in EXAMPLES if example[0] not in ELSEWHERE])
def test_the_example_works(name, line, folder, monkeypatch, capfd):
    words = shlex.split(line)[1:]
    if name == "check":
        assert call(monkeypatch, *words, "--update-baseline") == 0
    # The example of verify holds a mechanism that ignores padding, which is found out.
    expected = 1 if name == "verify" else 0
    assert call(monkeypatch, *words, *MORE.get(name, [])) == expected, capfd.readouterr().err
    said = capfd.readouterr()
    assert said.out or name in LEFT
    if name in LEFT:
        assert list(folder.glob(LEFT[name]))
