"""What reading many stored rows costs: processor time and peak memory of verbs on a run of a million rows.

    python benchmarks/scale.py [--rows 1000000] [--folder FOLDER]

Writes two runs of 400 cases in five rounds whose times are drawn, not measured, then calls `report`, `plot`,
`export` and `compare` on them, and plans and predicts suites of many cases.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from linrec_bench.analysis.summary import summarise
from linrec_bench.execution.server import STEADY_ALLOCATOR
from linrec_bench.results import environment, store
from linrec_bench.results.rows import COLUMNS, TRIAL, Row, row_of
from linrec_bench.suite import load
from linrec_bench.suite.expand import Job, expand

ROUNDS = 5
SUITE = """
title: Many rows
reference: softmax
sweeps:
  - task: core
    phases: [forward, forward_backward]
    attention:
      [softmax, linrec, linrec-column, sdpa, linear-transformer, cosformer, gla, retnet, lru, rela]
    grid:
      causal: [false]
      batch_size: [1, 8]
      seq_len: [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768]
    fixed: {hidden_size: 64, heads: 2}
    rounds: 5
"""

MANY = """
title: Many cases
sweeps:
  - task: core
    attention: [softmax, linrec, linear-transformer, efficient-attention]
    grid: {seed: {seeds}, seq_len: [64, 128, 256, 512, 1024], causal: [false]}
    fixed: {batch_size: 1, hidden_size: 64, heads: 2}
"""


def _lines(job: Job, round: int, run: store.Run, samples: int, draw: np.random.Generator) -> Iterator[Row]:
    """Rows of one trial: times, two exact counts, and the row that closes it."""

    def row(measure: str, unit: str, value: float, repeat: int = 0) -> Row:
        return row_of(
            job.case, run_id=run.id, suite="scale", host="drawn", measure=measure, unit=unit, value=value,
            round=round, repeat=repeat,
        )  # fmt: skip

    work = job.case.seq_len ** (2 if job.case.attention in ("softmax", "sdpa") else 1) * job.case.batch_size
    typical = 1e-4 + 1e-8 * work * np.exp(0.02 * draw.standard_normal())
    for repeat, noise in enumerate(np.exp(0.05 * draw.standard_normal(samples))):
        yield row("time", "s", float(typical * noise), repeat)
    if round == 0:
        yield row("flops", "FLOP", float(256 * work))
        yield row("peak_live_bytes", "B", float(512 * work))
    yield row(TRIAL, "s", 0.1)


def make_run(root: Path, rows: int) -> Path:
    """A run of about `rows` rows under `root`, with its summary; deterministic."""
    suite = load.parse(SUITE, name="scale.yaml", stem="scale", device="cpu")
    jobs = expand(suite, device="cpu")
    run = store.create(
        root,
        suite="scale",
        suite_text=load.resolved_text(suite),
        cases=[job.case for job in jobs],
        environment=environment.describe(device={"kind": "cpu"}, allocator=STEADY_ALLOCATOR),
        now=datetime.now(UTC),
    )
    draw = np.random.default_rng(len(list(root.glob("*/*"))))
    samples = max(1, rows // (len(jobs) * ROUNDS))
    with (run.folder / store.SAMPLES).open("a", encoding="utf-8", newline="") as file:
        for round in range(ROUNDS):
            for job in jobs:
                text = io.StringIO(newline="")
                writer = csv.writer(text, lineterminator="\n")
                for row in _lines(job, round, run, samples, draw):
                    writer.writerow([getattr(row, column) for column in COLUMNS])
                file.write(text.getvalue())
    run.write_summary(summarise(run.samples(), reference="softmax"))
    return run.folder


def spent(*arguments: str) -> str:
    """Processor seconds and peak memory of `linrec-bench ARGUMENTS`, as a line."""
    started, before = time.monotonic(), os.times()
    process = subprocess.Popen(
        [sys.executable, "-m", "linrec_bench", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    after = os.times()
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise SystemExit(f"{arguments}: {said}")
    seconds = after.children_user - before.children_user + after.children_system - before.children_system
    return f"{seconds:8.1f} s{used.ru_maxrss / 1024:8.0f} MB{time.monotonic() - started:8.1f} s wall"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cases", type=int, default=10_000, help="planned by run --dry-run")
    parser.add_argument("--predicted", type=int, default=4_000, help="cases counted by predict")
    parser.add_argument("--folder", type=Path, help="keep the runs here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = asked.folder or Path(name)
        runs = sorted(root.glob("scale/*")) or [make_run(root, asked.rows) for _ in range(2)]
        a, b = map(str, runs[:2])
        verbs = {
            "report": ("report", a, "--out", f"{name}/report.html"),
            "plot": ("plot", a, "--out", f"{name}/figures", "--format", "svg"),
            "export": ("export", a, "--out", f"{name}/rows.parquet"),
            "compare": ("compare", a, b, "--margin", "0.1"),
        }
        for verb, suffix, cases in (
            ("run --dry-run", "planned", asked.cases),
            ("predict", "predicted", asked.predicted),
        ):
            path = Path(name) / f"{suffix}.yaml"
            path.write_text(MANY.replace("{seeds}", str(list(range(cases // 20)))), encoding="utf-8")
            verbs[f"{verb}, {cases} cases"] = (verb.split()[0], str(path), *verb.split()[1:])
        for verb, arguments in verbs.items():
            print(f"{verb:<28}{spent(*arguments)}", flush=True)


if __name__ == "__main__":
    main()
