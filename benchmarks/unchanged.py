"""Does the exact gate ever call unchanged code broken?

    python -m benchmarks.unchanged [--counts 4] [--judgements 1000]

The suite `complexity` is counted whole `--counts` times, each in processes of its own with another hash seed
of Python, number of threads, number of processes and order of cases; all counts are compared bit by bit with
the committed baseline. Then `--judgements` times all cases of some mechanisms, drawn at random, are judged
from one of these tables against the SPECs, the suite and the baseline, rows and cases in random order.

Counting is deterministic, and another process tells more than a repetition in the same one: it is repeated a
few times only.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from linrec_bench.commands import run
from linrec_bench.gate import baseline_verdicts, check
from linrec_bench.gate.exact_counts import count, counts_of

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "tests" / "complexity-baseline.json"
SUITE = "complexity"
MOST_THREADS = 4
MECHANISMS = 6
"""Judged at a time, and softmax, with which the suite compares."""


def counted(seed: int, out: Path) -> None:
    """Count the suite once with its cases in random order, and pickle the table; with odd seeds on one
    processor, and therefore in one process."""
    if seed % 2:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    jobs = run.prepare(SUITE, device="cpu").jobs
    random.Random(seed).shuffle(jobs)
    count(jobs).to_pickle(out)


def tables(counts: int, folder: Path) -> list[pd.DataFrame]:
    """A table for each seed, counted in processes of its own unless the folder has it."""
    for seed in range(counts):
        if (folder / str(seed)).exists():
            continue
        settings = {"PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": str(1 + seed % MOST_THREADS)}
        command = [
            sys.executable,
            "-m",
            "benchmarks.unchanged",
            "--seed",
            str(seed),
            "--out",
            str(folder / str(seed)),
        ]
        subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=True)
    return [pd.read_pickle(folder / str(seed)) for seed in range(counts)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reference" / "gate" / "unchanged.csv")
    parser.add_argument("--counts", type=int, default=4)
    parser.add_argument("--judgements", type=int, default=1000)
    parser.add_argument("--tables", type=Path, help="folder of counted tables, to go on from")
    parser.add_argument("--seed", type=int, help="count once with this seed, and write the table to --out")
    given = parser.parse_args()
    if given.seed is not None:
        counted(given.seed, given.out)
        return
    planned = run.prepare(SUITE, device="cpu")
    accepted = baseline_verdicts.accepted_in(BASELINE)
    with tempfile.TemporaryDirectory() as folder:
        found = tables(given.counts, given.tables or Path(folder))
    numbers = [counts_of(planned.jobs, table) for table in found]
    differing = sum(each != accepted.counts for each in numbers)
    mechanisms = sorted({job.case.attention for job in planned.jobs})
    answers: Counter[str] = Counter()
    alarms, draw, started = 0, random.Random(0), time.process_time()
    for _ in range(given.judgements):
        names = {"softmax", *draw.sample(mechanisms, MECHANISMS)}
        jobs = [job for job in planned.jobs if job.case.attention in names]
        draw.shuffle(jobs)
        table = draw.choice(found)
        table = table[table["case_id"].isin({job.case.id for job in jobs})]
        table = table.sample(frac=1, random_state=draw.randrange(2**32), ignore_index=True)
        verdicts = check.of_suite(planned.suite, jobs, table, measure=_never, budget_s=0)
        verdicts += baseline_verdicts.against(accepted, jobs, table, whole=False)
        answers.update(verdict.answer for verdict in verdicts)
        alarms += check.exit_code(verdicts) != check.HOLDS
    seconds = (time.process_time() - started) / max(given.judgements, 1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    numbers_each = sum(map(len, accepted.counts.values()))
    with given.out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("repeated", "times", "alarms", "in_all"))
        rows.writerow(
            ("counts of the whole suite", len(found), differing, f"{len(found) * numbers_each} numbers")
        )
        judged = f"{sum(answers.values())} verdicts"
        rows.writerow((f"judgements of {MECHANISMS} mechanisms", given.judgements, alarms, judged))
    print(given.out.read_text(encoding="utf-8"), f"{seconds:.2f} s of CPU a judgement", sep="")


def _never(_: object) -> pd.DataFrame:
    raise AssertionError("nothing in this suite is timed")


if __name__ == "__main__":
    main()
