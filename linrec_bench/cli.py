"""The command line: parse, call one function, print. Heavy imports stand inside the commands."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from linrec_bench.suite.expand import Job

app = typer.Typer(
    name="linrec-bench",
    help="Benchmark of attention for long user histories: time, peak memory and ranking quality.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Data sets: what there is, where it comes from, fetch it.", no_args_is_help=True)
app.add_typer(data_app, name="data")

CALIBRATION = "calibration.json"
NOTHING_MEASURED = 4
INTERRUPTED = 130


class DeviceChoice(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Listing(StrEnum):
    attention = "attention"
    models = "models"
    data = "data"
    suites = "suites"
    measures = "measures"


ResultsRoot = Annotated[Path, typer.Option("--results", help="Folder that holds the runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite file, or the name of one that ships with the tool.")],
    device: Annotated[DeviceChoice, typer.Option(help="Where to measure.")] = DeviceChoice.auto,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Cases to run, such as 'attention=linrec|softmax seq_len<=4096'."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key of the suite: rounds=1.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Start anew, or finish an unfinished run.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and measure nothing.")] = False,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with the SPEC of a mechanism of your own.")
    ] = None,
    results: ResultsRoot = Path("results"),
    as_json: Json = False,
) -> None:
    """Run a suite: a process of its own for each case, rows as they come, a table at the end.

    Example: linrec-bench run suites/long_seq.yaml --only "attention=linrec|softmax"
    """
    from linrec_bench import console, runner

    planned = runner.prepare(
        suite, device=device.value, only=only or [], settings=set_ or [], plugins=plugin or []
    )
    if dry_run:
        console.show_plan(planned)
        return
    stored, done = runner.open_store(planned, results, fresh=fresh, now=datetime.now())
    try:
        with console.progress(planned, stored, done) as on_event:
            summary = runner.execute(planned, stored, on_event)
    except KeyboardInterrupt:
        console.say(f"interrupted; the same command resumes {stored.folder}")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print(summary.to_json(orient="records", indent=2))
    else:
        console.show_summary(summary, planned.suite)
    console.show_files(stored)
    if not (summary["status"] == "ok").any():
        raise typer.Exit(NOTHING_MEASURED)


@app.command()
def plot(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Runs to draw; without any, the latest of every suite.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures; by default `figures` inside each run.")
    ] = None,
    results: ResultsRoot = Path("results"),
) -> None:
    """Draw the figures of stored runs as PNG and SVG; nothing is measured again.

    Example: linrec-bench plot results/long_seq/20260101-120000-ab12
    """
    from linrec_bench import console, figures
    from linrec_bench.results import store

    runs = [store.open_run(folder) for folder in folders or []] or store.latest_runs(results)
    if not runs:
        raise ValueError(f"{results}: no runs to draw; make one with `linrec-bench run quick`")
    for stored in runs:
        target = out or stored.folder / "figures"
        console.show_figures(stored, figures.draw_all(stored.samples(), stored.summary(), target))


@app.command()
def check(
    suite: Annotated[str, typer.Argument(help="A suite: its expectations and its mechanisms' contracts.")],
    from_: Annotated[
        Path | None, typer.Option("--from", help="Judge a stored run instead of counting and measuring.")
    ] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to measure.")] = DeviceChoice.auto,
    only: Annotated[list[str] | None, typer.Option(help="Cases to check, as in `run`.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key of the suite: rounds=1.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="File of accepted exact counts, compared to the byte and the FLOP.")
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Accept the counts of now: rewrite the baseline.")
    ] = False,
    timed: Annotated[
        bool, typer.Option("--timed", help="Measure too: the baseline holds ratios of times as well.")
    ] = False,
    budget: Annotated[
        float, typer.Option(help="Seconds for measuring undecided timed claims again.", min=0)
    ] = 300.0,
    margin: Annotated[
        float | None,
        typer.Option(help="Timed ratios may differ by this share; by default what `calibrate` found.", min=0),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write the verdicts as JUnit XML.")] = None,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with the SPEC of a mechanism of your own.")
    ] = None,
    results: ResultsRoot = Path("results"),
    as_json: Json = False,
) -> None:
    """Gate: exit 0 every claim holds, 1 one is broken, 2 usage, 3 undecided, 4 nothing to check.

    Example: linrec-bench check suites/complexity.yaml --baseline complexity-baseline.json
    """
    from linrec_bench import check, console, runner

    if from_ is not None and baseline is not None:
        raise ValueError("--from and --baseline: a baseline is compared with the code of now; expected one")
    if update_baseline and (baseline is None or only):
        raise ValueError("--update-baseline needs --baseline FILE and the whole suite, without --only")
    try:
        planned = runner.prepare(
            suite, device=device.value, only=only or [], settings=set_ or [], plugins=plugin or []
        )
    except runner.NothingSelected as reason:
        console.say(f"nothing to check: {reason}")
        raise typer.Exit(check.NOTHING) from None

    def measure(jobs: Sequence[Job]) -> pd.DataFrame:
        return runner.measure(planned, jobs, results, console.progress)

    if from_ is not None:
        found = check.of_run(planned.suite, planned.jobs, from_)
    else:
        counted = check.count(planned.jobs, plugins=planned.plugins)
        if update_baseline and baseline is not None:
            check.accept(baseline, planned.suite, planned.jobs, counted, measure=measure if timed else None)
            console.say(f"{baseline}: rewritten with the counts of now")
        found = check.of_suite(planned.suite, planned.jobs, counted, measure=measure, budget_s=budget)
        if baseline is not None:
            found += check.against(baseline, planned.jobs, counted, whole=not only)
        if baseline is not None and timed:
            found += check.times_against(
                baseline,
                planned.suite,
                planned.jobs,
                margin=lambda: console.margin(margin, results / CALIBRATION, planned.device),
                measure=measure,
                budget_s=budget,
            )
    console.show_verdicts(found, as_json=as_json)
    console.write_reports(found, name=planned.suite.name, junit=junit)
    raise typer.Exit(check.exit_code(found))


@app.command()
def calibrate(
    rounds: Annotated[int, typer.Option(help="Fresh processes of each case.", min=2)] = 30,
    device: Annotated[DeviceChoice, typer.Option(help="Where to measure.")] = DeviceChoice.auto,
    results: ResultsRoot = Path("results"),
    as_json: Json = False,
) -> None:
    """Measure how often timed checks would cry wolf on this machine, and what they would catch.

    The recommended margin goes to RESULTS/calibration.json, where `check` finds it. About three minutes.

    Example: linrec-bench calibrate
    """
    from linrec_bench import console, runner

    path = results / CALIBRATION
    with console.counter("calibrating") as on_trial:
        found = runner.calibrate(path, device=device.value, rounds=rounds, on_trial=on_trial)
    if as_json:
        print(found.to_json())
    else:
        console.show_entries(found.entries())
        console.say(f"margin for timed ratios: {found.margins['time']}; written to {path}")


@app.command()
def predict(
    suite: Annotated[str, typer.Argument(help="A suite file, or the name of one that ships with the tool.")],
    memory: Annotated[
        str | None, typer.Option(help="Memory to fit, such as 80GiB; by default what is free now.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Cases to predict, as in `run`.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key of the suite: rounds=1.")
    ] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Which device's grid.")] = DeviceChoice.auto,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with the SPEC of a mechanism of your own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what each case will need and whether it fits, before anything runs.

    Example: linrec-bench predict long_seq --memory 80GiB
    """
    from linrec_bench import console, runner
    from linrec_bench.predict import forecast

    planned = runner.prepare(
        suite, device=device.value, only=only or [], settings=set_ or [], plugins=plugin or []
    )
    limit = runner.memory_limit(memory, planned.device)
    found = forecast(planned.jobs, memory_bytes=limit, ceilings=runner.measure_ceilings(planned))
    if as_json:
        print(json.dumps([each.as_record() for each in found], indent=2))
    else:
        console.show_forecast(found, limit)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Mechanisms to probe; without any, every one.")
    ] = None,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="A Python file with the SPEC of a mechanism of your own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Probe what mechanisms really do and compare it with what they declare; exit 1 on a contradiction.

    Example: linrec-bench verify linrec "linrec(padding=ignore)"
    """
    from linrec_bench import console
    from linrec_bench.verify import cards

    found = cards(names or [], plugins=plugin or [])
    if as_json:
        print(json.dumps([card.as_record() for card in found], indent=2))
    else:
        console.show_cards(found)
    if any(card.contradictions for card in found):
        raise typer.Exit(1)


@app.command(name="list")
def list_(what: Annotated[Listing, typer.Argument(help="What to list.")], as_json: Json = False) -> None:
    """List what suites can name.

    Example: linrec-bench list attention
    """
    from linrec_bench import catalogue, console

    entries = catalogue.entries(what.value)
    if as_json:
        print(json.dumps(entries, indent=2))
    else:
        console.show_entries(entries)


@app.command()
def env(device: Annotated[DeviceChoice, typer.Option(help="Which device.")] = DeviceChoice.auto) -> None:
    """Print the environment that a run would record, as JSON.

    Example: linrec-bench env
    """
    from linrec_bench import runner
    from linrec_bench.execution.local import STEADY_ALLOCATOR
    from linrec_bench.results import environment

    found = environment.describe(device=runner.resolve_device(device.value), allocator=STEADY_ALLOCATOR)
    print(json.dumps(found, indent=2))


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A data set that can be downloaded, such as ml-1m.")],
    folder: Annotated[Path | None, typer.Option(help="Where to put it; by default the cache.")] = None,
) -> None:
    """Download a data set and check its hash.

    Example: linrec-bench data fetch ml-1m
    """
    from linrec_bench import console, data

    with console.download(name) as on_bytes:
        path = data.fetch(name, folder=folder, progress=on_bytes)
    print(path)


@data_app.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="A data set by name.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", help="A parameter of the source: path=events.csv.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count users, items and events, and tell how long the histories are.

    Example: linrec-bench data describe csv --param path=events.csv
    """
    from linrec_bench import console, data
    from linrec_bench.suite.load import assignment

    params = dict(assignment(text, flag="--param") for text in param or [])
    found = data.describe(data.load(name, **params))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        console.show_mapping(found)


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2."""
    try:
        app()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
