"""The commands as a person types them, on a suite of a few trials."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import linrec_bench
from linrec_bench import cli, terminal
from linrec_bench.cli import completion
from linrec_bench.commands import catalogue, verify
from linrec_bench.results import environment, stored_runs

SUITE = """\
title: Tiny
task: core
attention: [softmax, linrec]
grid: {seq_len: [16, 32]}
fixed: {hidden_size: 16, heads: 2}
phases: [forward]
rounds: 2
sampling: {seconds: 0.001, min: 2, max: 3}
"""


def newest_runs(results):
    return [runs[-1] for runs in stored_runs.of_root(results)[0].values()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SUITE)
    return tmp_path


def call(monkeypatch, *arguments):
    """The exit code of `linrec-bench arguments...`."""
    monkeypatch.setattr(sys, "argv", ["linrec-bench", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code or 0


def _as_in_a_terminal() -> None:
    """A shell starts background jobs deaf to Ctrl-C, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_run_then_plot_leave_every_file_and_a_table(folder, monkeypatch, capfd):
    assert call(monkeypatch, "run", "tiny.yaml", "--device", "cpu") == 0
    (run,) = newest_runs(folder / "results")
    assert {path.name for path in run.folder.iterdir()} == {
        "cases.jsonl",
        "samples.csv",
        "summary.csv",
        "cards.json",
        "environment.json",
        "suite.yaml",
    }
    samples = run.samples()
    assert set(samples["status"]) == {"ok"}
    assert {"time", "peak_live_bytes", "peak_process_bytes", "flops", "copy_bandwidth"} <= set(
        samples["measure"]
    )
    summary = run.summary()
    assert len(summary) == 4
    assert (summary["time_s"] > 0).all()
    assert run.environment()["allocator"]["MALLOC_MMAP_MAX_"] == "0"
    printed = capfd.readouterr()
    assert "linrec" in printed.out
    assert str(run.id) in printed.err
    assert max(map(len, printed.out.splitlines())) <= 80

    assert call(monkeypatch, "plot") == 0
    figures = sorted(path.suffix for path in (run.folder / "figures").iterdir())
    assert ".png" in figures
    assert ".svg" in figures


@pytest.mark.slow
def test_a_card_is_probed_once_for_one_fingerprint(folder, monkeypatch, capfd):
    run = ("run", "tiny.yaml", "--device", "cpu", "--set", "rounds=1", "--fresh")
    probed = []
    card = verify.probe_card
    monkeypatch.setattr(verify, "probe_card", lambda *given: probed.append(given) or card(*given))
    assert call(monkeypatch, *run) == 0
    first = len(probed)
    assert first
    assert call(monkeypatch, *run) == 0
    assert len(probed) == first
    one, two = (run.folder / "cards.json" for run in stored_runs.of_suite(folder / "results" / "tiny")[0])
    assert one.read_text() == two.read_text()
    # Other code has another fingerprint.
    monkeypatch.setattr(environment, "code_hash", lambda: "other")
    assert call(monkeypatch, *run) == 0
    assert len(probed) == 2 * first
    capfd.readouterr()


@pytest.mark.slow
def test_json_goes_to_standard_output_alone(folder, monkeypatch, capfd):
    assert call(monkeypatch, "run", "tiny.yaml", "--device", "cpu", "--json", "--set", "rounds=1") == 0
    record = json.loads(capfd.readouterr().out)
    assert record["run_id"] in record["folder"]
    assert len(record["summary"]) == 4
    assert record["findings"]
    assert {finding["kind"] for finding in record["findings"]} <= {"crossover", "stops"}


@pytest.mark.slow
def test_a_finished_run_is_not_resumed_and_only_selects(folder, monkeypatch):
    only = ("--only", "attention=linrec seq_len=16", "--set", "rounds=1", "--device", "cpu")
    assert call(monkeypatch, "run", "tiny.yaml", *only) == 0
    assert call(monkeypatch, "run", "tiny.yaml", *only) == 0
    runs = stored_runs.of_suite(folder / "results" / "tiny")[0]
    assert [len(run.finished_trials()) for run in runs] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "absent.yaml"), "no such suite"),
        (("run", "tiny.yaml", "--only", "seq_len=7"), "none of the 4 cases"),
        (("run", "tiny.yaml", "--set", "rouns=2"), "Did you mean 'rounds'"),
        (("plot",), "no runs to draw"),
        (("plot", "nowhere"), "no such folder"),
        (("data", "fetch", "ml-2m"), "unknown data"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_nothing_written(
    folder, monkeypatch, capfd, arguments, expected
):
    assert call(monkeypatch, *arguments) == 2
    error = capfd.readouterr().err.strip()
    assert error.startswith("error: ")
    assert expected in error
    assert "\n" not in error
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


def test_a_usage_error_has_exit_code_2(folder, monkeypatch):
    assert call(monkeypatch, "run") == 2
    assert call(monkeypatch, "run", "tiny.yaml", "--device", "tpu") == 2


@pytest.mark.slow
def test_damaged_and_foreign_folders_among_the_runs_are_left_out_and_left_alone(folder, monkeypatch, capfd):
    damaged = folder / "results" / "tiny" / "20260101-000000-abcd"
    damaged.mkdir(parents=True)
    (damaged / "samples.csv").write_text("mine\n")
    (folder / "results" / "tiny" / "lost+found").mkdir()
    assert call(monkeypatch, "run", "tiny.yaml", "--device", "cpu", "--only", "seq_len=16") == 0
    said = capfd.readouterr().err
    assert "20260101-000000-abcd: left out: " in said
    assert "lost+found: left out: not a run" in said
    assert [path.name for path in damaged.iterdir()] == ["samples.csv"]


def test_a_dry_run_shows_the_plan_and_writes_nothing(folder, monkeypatch, capfd):
    assert call(monkeypatch, "run", "tiny.yaml", "--dry-run", "--device", "cpu") == 0
    assert "4 cases, 8 trials" in capfd.readouterr().out
    assert not (folder / "results").exists()


@pytest.mark.parametrize("what", ["attention", "models", "data", "suites", "measures"])
def test_every_listing_has_names(folder, monkeypatch, capfd, what):
    assert call(monkeypatch, "list", what, "--json") == 0
    entries = json.loads(capfd.readouterr().out)
    assert entries
    assert all(entry["name"] for entry in entries)
    assert call(monkeypatch, "list", what) == 0
    assert entries[0]["name"] in capfd.readouterr().out


def test_mechanisms_are_a_line_each_at_80_columns_and_a_card_by_name(folder, monkeypatch, capfd):
    monkeypatch.setattr(terminal.out, "width", 80)
    assert call(monkeypatch, "list", "attention") == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 1 + len(catalogue.entries("attention"))
    assert call(monkeypatch, "list", "attention", "linrec") == 0
    assert "arXiv 2411.01537" in capfd.readouterr().out
    assert call(monkeypatch, "list", "attention", "linrek") == 2
    assert "Did you mean 'linrec'" in capfd.readouterr().err


def test_the_version_is_printed(monkeypatch, capfd):
    assert call(monkeypatch, "--version") == 0
    assert capfd.readouterr().out == f"linrec-bench {linrec_bench.__version__}\n"


def test_a_condition_that_selects_nothing_names_the_values(folder, monkeypatch, capfd):
    run = ("run", "tiny.yaml", "--dry-run", "--device", "cpu", "--only")
    assert call(monkeypatch, *run, "attention=lnrek|softmaks") != 0
    assert "attention is one of: " in (said := capfd.readouterr().err)
    assert "Did you mean 'softmax'?" in said
    assert call(monkeypatch, *run, "seq_len=5") != 0
    assert "seq_len is one of: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("complete", "start", "name"),
    [
        (completion.suites, "qu", "quick"),
        (completion.mechanisms, "linrec-c", "linrec-column"),
        (completion.data_sets, "ml-1m", "ml-1m"),
        (completion.data_sets, "logs/e", "logs/events.csv"),
        (completion.suites, "logs/s", "logs/suite.yaml"),
        (completion.runs, "results/t", "results/tiny"),
    ],
)
def test_names_are_completed(folder, complete, start, name):
    (folder / "results" / "tiny").mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir()
    for file in ("events.csv", "suite.yaml"):
        (folder / "logs" / file).touch()
    assert name in complete(start)
    assert complete("no such name") == []


def test_env_is_what_a_run_records(folder, monkeypatch, capfd):
    assert call(monkeypatch, "env", "--device", "cpu") == 0
    assert {"fingerprint", "torch", "machine", "allocator"} <= set(json.loads(capfd.readouterr().out))


def test_a_mechanism_of_ones_own_runs_beside_the_others(folder, monkeypatch):
    (folder / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from linrec_bench.attention.mechanisms.linrec import SPEC as BASE\n"
        "SPEC = replace(BASE, name='mine')\n"
    )
    arguments = ("--plugin", "mine.py", "--set", "attention=[mine]", "--set", "rounds=1", "--device", "cpu")
    try:
        assert call(monkeypatch, "run", "tiny.yaml", *arguments) == 0
    finally:
        from linrec_bench import attention

        attention.unload_plugins()
    (run,) = newest_runs(folder / "results")
    assert set(run.summary()["attention"]) == {"mine"}
    assert "mine.py" in run.environment()["plugins"]


def test_init_writes_a_suite_that_runs_and_overwrites_nothing(folder, monkeypatch, capfd):
    assert call(monkeypatch, "init", "mine.yaml", "--schema", "schemas.json") == 0
    assert (folder / "mine.yaml").read_text().startswith("# yaml-language-server: $schema=schemas.json\n")
    assert json.loads((folder / "schemas.json").read_text())["properties"]["task"]
    assert call(monkeypatch, "run", "mine.yaml", "--dry-run", "--device", "cpu") == 0
    assert call(monkeypatch, "check", "mine.yaml", "--device", "cpu", "--only", "causal=false") == 0
    assert "0 broken" in capfd.readouterr().out
    (folder / "mine.yaml").write_text("mine")
    assert call(monkeypatch, "init", "mine.yaml") == 2
    assert capfd.readouterr().err.strip() == "error: mine.yaml exists; expected the name of a new file"
    assert (folder / "mine.yaml").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("layer", [False, True])
def test_init_writes_a_plugin_and_a_workflow_that_catches_a_regression(folder, exit_code, capfd, layer):
    more = ["--layer"] if layer else []
    assert exit_code("init", "--plugin", "my_own.py", "--ci", "github", *more) == 0
    workflow = Path(".github/workflows/complexity.yml")
    assert capfd.readouterr().out.split() == ["my_own.py", "my_own.yaml", str(workflow)]
    # Nothing that only this repository has.
    assert "constraints" not in workflow.read_text()
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    (command,) = [step["run"] for step in jobs["gate"]["steps"] if step.get("name") == "Check"]
    program, *words = command.split()
    assert program == "linrec-bench"
    assert exit_code(*words) == 0
    # Bounds are about cores.
    assert ("Its counts are within at_most=" in capfd.readouterr().err) is not layer
    assert exit_code("verify", "--plugin", "my_own.py") == 0
    plugin = Path("my_own.py")
    plugin.write_text(plugin.read_text().replace("(q @ (k.mT @ v))", "((q @ k.mT) @ v)"))
    assert exit_code(*words) == 1
    assert "at_most" not in capfd.readouterr().err
    assert 'failures="' in Path("complexity.xml").read_text()


def test_init_writes_a_workflow_for_what_is_there_and_overwrites_nothing(folder, monkeypatch, capfd):
    assert call(monkeypatch, "init", "--plugin", "my_own.py") == 0
    assert call(monkeypatch, "init", "--plugin", "my_own.py", "--ci", "github") == 0
    capfd.readouterr()
    for arguments, reason in (
        (("--plugin", "my_own.py"), "my_own.py exists"),
        (("--plugin", "my_own.py", "--ci", "github"), "complexity.yml exists"),
        (("--plugin", "My-Own.txt"), "expected a Python file in lower case"),
        (("--ci", "github"), "expected --plugin FILE.py"),
        # What is written must be read again.
        (("é.yaml",), "expected the name of a suite"),
        (("new\nline/a.yaml",), "expected a path without"),
        (("--plugin", "quo'te/own.py"), "expected a path without"),
        # Nothing of a pair is written where one of it cannot be.
        (("--plugin", "other.py", "my_own.yaml"), "my_own.yaml exists"),
    ):
        assert call(monkeypatch, "init", *arguments) == 2
        assert reason in capfd.readouterr().err
    assert not (folder / "other.py").exists()


def test_init_rewrites_a_schema_and_nothing_else(folder, monkeypatch, capfd):
    assert call(monkeypatch, "init", "--schema", "schema.json") == 0
    assert call(monkeypatch, "init", "--schema", "schema.json") == 0
    assert not (folder / "suite.yaml").exists()
    assert call(monkeypatch, "init", "--schema", "tiny.yaml") == 2
    assert (folder / "tiny.yaml").read_text() == SUITE
    assert call(monkeypatch, "init", "absent/mine.yaml") == 2
    assert "cannot be written" in capfd.readouterr().err


@pytest.mark.slow
def test_a_terminal_without_utf_8_gets_plain_characters(folder):
    done = subprocess.run(
        [sys.executable, "-m", "linrec_bench", "run", "tiny.yaml", "--device", "cpu", "--set", "rounds=1"],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "NO_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        check=True,
    )
    printed = (done.stdout + done.stderr).decode("ascii")
    assert " us" in printed or " ms" in printed
    assert "growth" not in printed
    assert "\x1b" not in printed


def test_help_has_the_verbs_in_the_order_of_the_work(folder, monkeypatch, capfd):
    assert call(monkeypatch, "--help") == 0
    words = capfd.readouterr().out.split()
    verbs = list(cli.VERBS)
    assert [word for word in dict.fromkeys(words) if word in verbs] == verbs


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_the_same_command_finishes(folder):
    command = [sys.executable, "-m", "linrec_bench", "run", "tiny.yaml", "--device", "cpu"]
    slow = [*command, "--set", "sampling={seconds: 0.5, min: 1, max: 10000}"]
    process = subprocess.Popen(
        slow, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=_as_in_a_terminal
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = newest_runs(folder / "results")
        if found and len(found[0].finished_trials()) >= 2:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, talk = process.communicate(timeout=120)
    assert process.returncode == 130, talk
    assert "resumes" in talk
    (run,) = newest_runs(folder / "results")
    before = run.finished_trials()
    assert 0 < len(before) < 9
    again = subprocess.run(slow, capture_output=True, text=True, timeout=120, check=True)
    assert "resuming" in again.stderr
    (run,) = newest_runs(folder / "results")
    assert before < run.finished_trials()
    assert len(run.finished_trials()) == 9
