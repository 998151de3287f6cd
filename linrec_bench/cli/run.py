"""`linrec-bench run`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linrec_bench.cli.options import RESULTS, Device, Json, Only, Plugins, ResultsRoot, Settings, SuiteName

if TYPE_CHECKING:
    import pandas as pd

    from linrec_bench.commands.run import Plan
    from linrec_bench.results.store import Run

NOTHING_MEASURED = 4
INTERRUPTED = 130


def command(
    suite: SuiteName,
    device: Device = "auto",
    only: Only = None,
    set_: Settings = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Start a new run, or resume an unfinished one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the planned cases; measure nothing.")
    ] = False,
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            help="Measure part I of N only, such as `2/4`; `merge` joins the parts.",
        ),
    ] = "",
    plugin: Plugins = None,
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Measure the cases of a suite.

    Each case is measured in fresh processes and stored at once; tables follow at the end. After an
    interruption the same command resumes the run. Exit 4: no case could be measured.

    Example: `linrec-bench run long_seq --only "attention=linrec|softmax"`
    """
    if not dry_run:
        # It imports torch while this process does.
        from linrec_bench.execution import server

        server.start()
    from linrec_bench import terminal
    from linrec_bench.commands import run
    from linrec_bench.commands.run_json import run_record

    planned = run.prepare(
        suite,
        device=device,
        only=only or [],
        settings=set_ or [],
        plugins=plugin or [],
        shard=shard,
        on_note=terminal.say,
    )
    if dry_run:
        terminal.show_plan(planned)
        return
    stored, summary = measured(planned, results, fresh=fresh)
    if as_json:
        record = run_record(
            stored.folder,
            summary,
            reference=planned.suite.reference_attention(),
            differences=stored.quality(),
        )
        print(json.dumps(record, indent=2))
    else:
        terminal.show_summary(summary, planned.suite, stored.quality())
    terminal.show_files(stored)
    if not (summary["status"] == "ok").any():
        raise typer.Exit(NOTHING_MEASURED)


def measured(
    planned: Plan, results: Path, *, fresh: bool = False, again: bool = True
) -> tuple[Run, pd.DataFrame]:
    """Measure what the run of a plan lacks, with progress on stderr, and store its cards.

    A finished run is left as it is where the plan is not to be run `again`. Exits with 130 on Ctrl-C.
    """
    from linrec_bench import terminal
    from linrec_bench.commands import run
    from linrec_bench.commands.verify import cards_of
    from linrec_bench.results import store

    stored, done = run.open_store(
        planned,
        results,
        fresh=fresh,
        again=again,
        now=datetime.now(),
        on_note=terminal.say,
        with_cards=True,
    )
    if done == len(planned.trials) and stored.is_summarised() and stored.has_cards():
        return stored, stored.summary()
    try:
        with terminal.progress(planned, stored, done) as watch:
            summary = run.execute(planned, stored, watch, on_sample=watch.on_sample)
    except KeyboardInterrupt:
        terminal.say(f"interrupted; the same command resumes {stored.folder}")
        raise typer.Exit(INTERRUPTED) from None
    if not stored.has_cards():
        known = store.cards(results, fingerprint=str(stored.environment()["fingerprint"]))
        with terminal.counter("verifying mechanisms") as on_card:
            stored.write_cards(cards_of((job.case for job in planned.jobs), known, on_card=on_card))
    return stored, summary
