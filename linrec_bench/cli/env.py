"""`linrec-bench env`."""

from __future__ import annotations

import json

from linrec_bench.cli.options import Device


def command(device: Device = "auto") -> None:
    """Print the environment of a run as JSON.

    Versions, processor, devices, threads, and the fingerprint that decides which results are comparable.

    Example: `linrec-bench env`
    """
    from linrec_bench.execution.devices import locate
    from linrec_bench.execution.server import STEADY_ALLOCATOR
    from linrec_bench.results import environment

    located = locate(device)
    found = environment.describe(device=located.facts, device_state=located.state, allocator=STEADY_ALLOCATOR)
    print(json.dumps(found, indent=2))
