"""`linrec-bench answer`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import RESULTS, Device, Json, ResultsRoot
from linrec_bench.cli.run import measured
from linrec_bench.whole_file import replaced

if TYPE_CHECKING:
    from linrec_bench.commands.answer_suites import Log
    from linrec_bench.results.store import Run

_LONGEST_S = 10_000 * 3600.0
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def command(
    log: Annotated[
        str,
        typer.Argument(
            help="Your log (a file, or a folder of parquet files), or name of a data set.",
            metavar="LOG",
            autocompletion=completion.data_sets,
        ),
    ],
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="Time that all of it may take, such as 20m or 2h.")
    ] = "20m",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Set how the log is read, such as `times=iso`; repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    device: Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its predicted time; write nothing.")
    ] = False,
    results: ResultsRoot = RESULTS,
    as_json: Json = False,
) -> None:
    """Compare mechanisms on a log of yours.

    Trains softmax attention, linear mechanisms and floors under one protocol, and measures their cost at the
    lengths of your histories. Ends with a paragraph, and one page in the results folder: quality kept or
    lost, the length from which a linear mechanism is faster, and what is undecided. Both suites are written
    there too, and are run as they stand. The same command resumes after an interruption.

    Example: `linrec-bench answer events.csv --budget 1h`
    """
    from linrec_bench import data, terminal
    from linrec_bench.commands import answer_plan
    from linrec_bench.commands.answer_suites import log_of
    from linrec_bench.commands.describe_log import described, is_path
    from linrec_bench.execution.devices import locate
    from linrec_bench.suite.source_map import assignment

    budget_s = _seconds(budget)
    located = locate(device)
    params = dict(assignment(text, flag="--set") for text in set_ or [])
    sniffed = data.sniff(log, params) if is_path(log) else None
    with terminal.counter("reading", of_bytes=True) as on_bytes, data.watched(on_bytes):
        found = described(log, params, sniffed=sniffed)
    read = log_of(log, found)
    if not as_json:
        if sniffed:
            terminal.show_first_rows(sniffed)
        terminal.show_data(found.counts, found.bins, dropped=found.sequences.dropped)
    files = answer_plan.files_of(read, results)
    answer = answer_plan.existing(read, files, located)
    if answer is not None:
        names = " and ".join(map(str, files.values()))
        terminal.say(f"{names} are there and are run as they stand; remove them to plan anew")
    else:
        answer = answer_plan.plan(read, files, located, budget_s=budget_s, say=terminal.say)
    record: dict[str, object] = {
        "log": {"dataset": dict(read.dataset), **found.counts},
        "suites": {kind: str(file) for kind, file in files.items()},
    }
    if not as_json:
        terminal.show_answer_plan(answer)
    if dry_run:
        if as_json:
            print(json.dumps(record | {"plan": answer.as_record()}, indent=2))
        return
    answer_plan.write(answer, files)
    runs = [measured(plan, results, again=False)[0] for plan in answer.plans.values()]
    _finish(read, runs, results / f"{read.name}-answer.html", record, as_json=as_json)


def _finish(log: Log, runs: Sequence[Run], page: Path, record: dict[str, object], *, as_json: bool) -> None:
    """Write the page of both runs, and print the paragraph."""
    from linrec_bench import report, terminal
    from linrec_bench.analysis.answer import facts_of
    from linrec_bench.analysis.headline import findings
    from linrec_bench.presentation.answer import paragraph

    sources, notes = report.gather([run.folder for run in runs])
    told = [
        finding
        for source in sources
        for finding in findings(source.summary, source.reference, source.quality)
    ]
    facts = facts_of(told, log.lengths)
    sentences = paragraph(facts, told)
    with replaced(page) as temporary:
        title = f"Linear mechanisms on {log.name}"
        temporary.write_text(report.html(sources, notes, title=title, answer=sentences), encoding="utf-8")
    if as_json:
        record |= {
            "runs": [str(run.folder) for run in runs],
            "page": str(page),
            "findings": [finding.as_record() for finding in told],
            "facts": [asdict(each) for each in facts],
            "paragraph": sentences,
        }
        print(json.dumps(record, indent=2))
    else:
        terminal.show_paragraph(sentences)
        terminal.say(f"page: {page}")


def _seconds(text: str) -> float:
    """`90s`, `20m`, `1.5h` in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|m|min|h)", text.strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError(
            f"--budget {text}: expected a time above 0 with its unit, such as 90s, 20m or 1.5h, at most "
            f"{_LONGEST_S / 3600:,.0f}h"
        )
    return seconds
