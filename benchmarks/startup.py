"""How long commands take to start, as ratios to `import torch` on the same machine.

    python benchmarks/startup.py --tries 10

Wall time, and processor time (user + system) with that of children: the best of several tries, in turns with
`import torch`. The last two lines are the wall time of a run of one small case, until its first process
begins and until its mechanism is first called.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
QUICK = REPOSITORY / "results" / "reference" / "cpu" / "quick"
COMMAND = ("-m", "linrec_bench")
BEGINS = ("first process of a run", "first call of its case")

PLUGIN = """
import os, time
from torch._subclasses.fake_tensor import FakeTensor
from linrec_bench.attention import Spec

def note(event):
    with open(os.environ["STARTUP_NOTES"], "a") as file:
        print(event, os.getpid(), time.time(), file=file)

def core(q, k, v, *, padding_mask=None, causal=False):
    if not isinstance(q, FakeTensor):
        note("called")
    return v

note("loaded")
SPEC = Spec(name="startup_probe", core=core, reference=core, causal=False)
"""

SUITE = """
title: One small case
sweeps:
  - task: core
    attention: [startup_probe]
    grid: {seq_len: [64]}
    fixed: {batch_size: 1, hidden_size: 16, heads: 1}
    rounds: 1
    sampling: {seconds: 0.01, min: 3}
"""


@dataclass(frozen=True)
class Taken:
    """Seconds of one process with its children."""

    wall_s: float
    processor_s: float


def taken(*arguments: str) -> Taken:
    """Of `python ARGUMENTS`; `CalledProcessError` where it fails."""
    before, started = os.times(), time.monotonic()
    command = [sys.executable, *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall_s, after = time.monotonic() - started, os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return Taken(wall_s, spent)


def run_begins(folder: Path) -> tuple[float, float]:
    """Seconds until the first process of a run begins, and until its mechanism is first called."""
    plugin, suite, notes = folder / "startup_probe.py", folder / "startup.yaml", folder / "notes"
    plugin.write_text(PLUGIN, encoding="utf-8")
    suite.write_text(SUITE, encoding="utf-8")
    notes.unlink(missing_ok=True)
    arguments = ("run", str(suite), "--plugin", str(plugin), "--results", str(folder), "--fresh")
    started = time.time()
    process = subprocess.Popen(
        [sys.executable, *COMMAND, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STARTUP_NOTES": str(notes)},
    )
    if process.wait() != 0:
        raise SystemExit(f"the run ended with exit code {process.returncode}")
    events = [line.split() for line in notes.read_text(encoding="utf-8").splitlines()]
    workers = [(kind, float(at)) for kind, pid, at in events if int(pid) != process.pid]
    return (
        min(at for _, at in workers) - started,
        min(at for kind, at in workers if kind == "called") - started,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tries", type=int, default=5)
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verbs = {
            verb: (*COMMAND, *verb.split())
            for verb in ("--version", "list suites", "list attention", "data list", "env")
        }
        verbs["report"] = (*COMMAND, "report", str(QUICK), "--out", str(folder / "report.html"))
        verbs["plot"] = (*COMMAND, "plot", str(QUICK), "--out", str(folder))
        every: dict[str, list[Taken]] = {verb: [] for verb in ("import torch", *verbs)}
        begins = []
        # It keeps what the package declares for the later ones.
        taken(*verbs["list attention"])
        for _ in range(tries):
            every["import torch"].append(taken("-c", "import torch"))
            for verb, arguments in verbs.items():
                every[verb].append(taken(*arguments))
            begins.append(run_begins(folder))
        walls = {verb: min(each.wall_s for each in found) for verb, found in every.items()}
        spent = {verb: min(each.processor_s for each in found) for verb, found in every.items()}
        print(f"{'':<30}{'wall':>8}{'ratio':>8}{'processor':>12}{'ratio':>8}")
        for verb in every:
            print(
                f"{verb:<30}{walls[verb]:>6.2f} s{walls[verb] / walls['import torch']:>8.2f}"
                f"{spent[verb]:>10.2f} s{spent[verb] / spent['import torch']:>8.2f}"
            )
        for what, seconds in zip(BEGINS, zip(*begins, strict=True), strict=True):
            print(f"{what:<30}{min(seconds):>6.2f} s{min(seconds) / walls['import torch']:>8.2f}")


if __name__ == "__main__":
    main()
