"""`linrec-bench history`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from linrec_bench.cli import completion
from linrec_bench.cli.options import Device, Json, Plugins, Settings


class Service(StrEnum):
    """Whose format `--export` prints."""

    GITHUB = "github"
    BENCHER = "bencher"


Suite = Annotated[
    str | None,
    typer.Argument(
        help="Suite to count, with `--record` and `--bisect`.",
        metavar="SUITE",
        autocompletion=completion.suites,
    ),
]
File = Annotated[Path, typer.Option(metavar="FILE", help="File of the history; a line for each commit.")]
IsRecorded = Annotated[bool, typer.Option("--record", help="Count the last commit and add it to the file.")]
Range = Annotated[
    str | None,
    typer.Option(
        "--bisect", metavar="FIRST..LAST", help="Name the commits of this range that changed a count."
    ),
]
Times = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Name the stored runs of a suite from which on cases take another time.",
        autocompletion=completion.runs,
    ),
]
Export = Annotated[
    Service | None,
    typer.Option(
        metavar="SERVICE",
        help="Print the newest counts for `github` (github-action-benchmark) or `bencher` (Bencher).",
    ),
]


def command(
    suite: Suite = None,
    file: File = Path("counts-history.jsonl"),
    record: IsRecorded = False,
    bisect: Range = None,
    times: Times = None,
    export: Export = None,
    set_: Settings = None,
    plugin: Plugins = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Show what changed counts, or times.

    Counts have no noise: every difference between two commits is a change of the code, or of torch. Both
    `--record` and `--bisect` count commits as they were committed, in a temporary git worktree. `--times`
    looks for changes of level in the times of ten or more stored runs of a suite on one machine; the risk
    that any is false is 5 %. Exit 0, or 2: usage error.

    Example: `linrec-bench history my_complexity.yaml --plugin my_attention.py --record`

    Example: `linrec-bench history my_complexity.yaml --plugin my_attention.py --bisect v1.0..main`

    Example: `linrec-bench history --times results/my_timed_suite`
    """
    from linrec_bench import terminal
    from linrec_bench.commands import history as commands
    from linrec_bench.gate import history

    if times is not None:
        if suite is not None or record or bisect is not None or export is not None:
            raise ValueError("history --times: expected a folder of runs, and no suite or other option")
        _show_times(times, as_json=as_json)
        return
    if (suite is not None) != (record or bisect is not None) or (record and bisect is not None):
        raise ValueError("history: expected a suite with --record or with --bisect, and none without them")
    chosen = commands.Chosen(suite or "", device, set_ or [], plugin or [])
    if record:
        entry = commands.record(file, chosen)
        terminal.say(f"{file}: {len(entry.counts)} cases of {entry.commit.commit[:12]} recorded")
    if bisect is not None:
        steps, told = commands.bisect(bisect, chosen, say=terminal.say), f"{bisect} of {suite}"
    else:
        kept = history.read(file)
        steps, told = commands.steps(kept), f"{len(kept.entries)} commits of {kept.suite}"
    if export is not None:
        if bisect is not None or not kept.entries:
            raise ValueError(
                "--export prints the newest counts of a file; expected one that has some, and no --bisect"
            )
        print(json.dumps(history.EXPORTS[export](kept.entries[-1]), indent=1))
    elif as_json:
        print(json.dumps([step.as_record() for step in steps], indent=2))
    else:
        terminal.show_steps(steps, told)


def _show_times(folder: Path, *, as_json: bool) -> None:
    from linrec_bench import terminal
    from linrec_bench.commands import times_history

    found = times_history.steps(folder)
    for note in found.notes:
        terminal.say(note)
    if as_json:
        print(json.dumps([step.as_record() for step in found.steps], indent=2))
    else:
        terminal.show_time_steps(found, str(folder))
