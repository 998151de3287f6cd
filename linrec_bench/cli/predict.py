"""`linrec-bench predict`."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated

import typer

from linrec_bench.cli.options import Device, Json, Only, Plugins, Settings, SuiteName


def command(
    suite: SuiteName,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory limit, such as 80GiB (default: the memory free now)."),
    ] = None,
    only: Only = None,
    set_: Settings = None,
    device: Device = "auto",
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Predict memory, FLOPs and time of each case.

    Prints peak memory, FLOPs, a lower bound of the time, and whether the case fits; runs no case.

    Example: `linrec-bench predict long_seq --memory 80GiB`
    """
    # It imports torch while this process does.
    from linrec_bench.execution import server

    server.start()
    from linrec_bench import terminal
    from linrec_bench.commands import run
    from linrec_bench.commands.predict import forecast, measure_ceilings, memory_limit

    planned = run.prepare(
        suite,
        device=device,
        only=only or [],
        settings=set_ or [],
        plugins=plugin or [],
        on_note=terminal.say,
    )
    with closing(run.start_executor(planned)) as executor:
        limit = memory_limit(memory, executor, planned.device)
        ceilings = measure_ceilings(planned, executor)
        with terminal.counter("counting") as on_count:
            found = forecast(planned.jobs, executor, memory_bytes=limit, ceilings=ceilings, on_count=on_count)
    if as_json:
        print(json.dumps([each.as_record() for each in found], indent=2))
    else:
        terminal.show_forecast(found, limit)
