"""`linrec-bench plot`: its options reach the figures, files go where they are asked for, and what cannot be
drawn is named."""

import json
from datetime import datetime

import pytest
from typer.testing import CliRunner

from linrec_bench.analysis.summary import summarise
from linrec_bench.cli import app
from linrec_bench.figures import draw_all
from linrec_bench.results import store
from linrec_bench.results.rows import COLUMNS

SUITE = "sweeps: [{task: decode, attention: [softmax], fixed: {seq_len: 64, causal: true}}]\n"


@pytest.fixture
def make_run(tmp_path, decode_summary, decode_samples, planted):
    """Writes the planted run of decoding under a root and returns its folder."""

    def make(name="20260101-120000-abcd", *, samples=True, root=tmp_path / "results"):
        environment = {"device": {"kind": "cpu"}}
        run = store.create(
            root,
            suite="s",
            suite_text=SUITE,
            cases=planted.decoding_cases(),
            environment=environment,
            now=datetime(2026, 1, 1),
        )
        folder = run.folder.rename(run.folder.with_name(name))
        decode_samples[list(COLUMNS)].to_csv(folder / store.SAMPLES, index=False)
        store.Run(folder).write_summary(decode_summary)
        if not samples:
            (folder / store.SAMPLES).unlink()
        return folder

    return make


def call(*arguments):
    return CliRunner().invoke(app, ["plot", *map(str, arguments)])


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_style_and_theme_reach_the_files(make_run):
    folder = make_run()
    done = call(folder, "--theme", "dark")
    assert done.exit_code == 0, done.output
    assert names(folder / "figures") == {
        f"{name}_dark.{ending}" for name in ("latency", "state") for ending in ("png", "svg", "pdf")
    }


def test_only_the_formats_asked_for_are_written(make_run, tmp_path):
    done = call(make_run(), "--out", tmp_path / "f", "--format", "png", "--format", "svg")
    assert done.exit_code == 0, done.output
    assert {name.rpartition(".")[2] for name in names(tmp_path / "f")} == {"png", "svg"}


def test_a_summary_alone_is_drawn_and_says_so(make_run, tmp_path):
    done = call(make_run(samples=False), "--out", tmp_path / "f", "--format", "png")
    assert done.exit_code == 0, done.output
    assert "samples.csv is not stored" in done.output
    assert names(tmp_path / "f") == {"latency.png", "state.png"}


def test_figures_that_are_left_out_are_named_once_a_reason(make_run):
    done = call(make_run(), "--format", "png")
    (line,) = [line for line in done.output.splitlines() if "no case of task recommend" in line]
    assert "quality, learning_curves" in line


@pytest.mark.slow
def test_runs_that_cannot_be_drawn_are_named_and_the_others_drawn(make_run, tmp_path):
    good, other, half, empty = (make_run(f"2026010{n}-120000-aaaa") for n in range(1, 5))
    content = json.loads((other / store.ENVIRONMENT).read_text())
    (other / store.ENVIRONMENT).write_text(json.dumps(content | {"schema_version": 99}))
    with (half / store.SAMPLES).open("a") as file:
        file.write("r,s,half-written")
    header = (empty / store.SAMPLES).read_text().splitlines()[0]
    (empty / store.SAMPLES).write_text(header + "\n")
    done = call(good, other, half, empty, "--format", "png", "--out", tmp_path / "f")
    assert done.exit_code == 0, done.output
    said = done.output.replace("\n", " ")
    assert f"{other}: left out" in said
    assert "schema_version is 99" in said
    assert f"{half}: samples.csv: 1 half-written row of a trial that was cut off, left out" in said
    assert f"{empty}: left out: an empty run" in said
    assert names(tmp_path / "f") == {good.name, half.name}
    assert all((tmp_path / "f" / run.name / "latency.png").is_file() for run in (good, half))


def test_without_a_name_the_newest_readable_run_of_a_suite_is_drawn(make_run, tmp_path):
    good, bad = make_run("20260101-120000-aaaa"), make_run("20260102-120000-aaaa")
    (bad / store.ENVIRONMENT).unlink()
    done = call("--results", tmp_path / "results", "--format", "png")
    assert done.exit_code == 0, done.output
    assert f"{bad}: left out" in done.output.replace("\n", "")
    assert (good / "figures/latency.png").is_file()


@pytest.mark.parametrize("chosen", [[], ["gone"]])
def test_nothing_left_to_draw_is_a_usage_error(chosen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert isinstance(call(*chosen).exception, ValueError)


def test_an_unknown_style_is_a_usage_error():
    done = call("--style", "poster")
    assert done.exit_code == 2
    assert "paper" in done.output


def test_costs_name_no_data_set_that_they_do_not_read(decode_samples, tmp_path):
    """A case has the data set of its suite, whatever its task."""
    rows = decode_samples.assign(dataset="ml-1m")
    draw_all(rows, summarise(rows, reference="softmax"), tmp_path, formats=("svg",))
    assert "ml-1m" not in (tmp_path / "latency.svg").read_text()
    drawn = decode_samples.assign(dataset="lengths of ml-1m", lengths_of="ml-1m")
    draw_all(drawn, summarise(drawn, reference="softmax"), tmp_path, formats=("svg",))
    assert "lengths of ml-1m" in (tmp_path / "latency.svg").read_text()
