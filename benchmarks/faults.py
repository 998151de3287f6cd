"""Kills, signals, damaged and made inputs: what may be lost, and how a command may end.

    python -m benchmarks.faults --seed 1 --count 200 --jobs 2 --out faults.json

`--count` kills, 3 of 10 of them in the processes of a real run (`process_kills.py`) and the others in a
writer of a run, and 100 times as many inputs (`fuzz`), of which `reached VERB: KIND` counts those that got
beyond the flags of a verb. Kinds that ran apart (`--only KIND --out FILE`) are put together with `--count 0
--add FILE ...`. Exit 1: something was lost, doubled, needless, left behind or
written outside, or a call ended in a traceback or took more than 10 s of CPU time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import fuzz, process_kills
from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of

CASE = Case(task="core", phase="forward", attention="softmax", seq_len=8)
TRIALS = 30

Faults = Counter[str]


def kills(rng: random.Random, count: int, folder: Path, found: Faults) -> None:
    """Kill a writer at random moments until its run is finished; each closed trial stays, once."""
    left, told = count, folder / "told"
    while left > 0:
        root = folder / f"run-{left}"
        run = store.create(
            root, suite="s", suite_text="", cases=[CASE], environment={}, now=datetime.now(UTC)
        )
        told.write_bytes(b"")
        killed = True
        while killed and left > 0:
            killed = _is_killed(rng, run, told)
            left -= killed
            found["kills"] += killed
            samples = run.samples()
            trials = [int(round) for round in samples.loc[samples["measure"] == TRIAL, "round"]]
            found["lost"] += len({int(line) for line in told.read_text().split()} - set(trials))
            found["doubled"] += len(trials) - len(set(trials))
            found["rows cut off"] += run.half_written()
        found["runs of a writer"] += 1
        shutil.rmtree(root)


def _is_killed(rng: random.Random, run: store.Run, told: Path) -> bool:
    """Whether a child that measures what the run lacks was killed before it had finished."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _write(run, told, writer)
    # It writes from here on.
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    time.sleep(rng.uniform(0.0, 0.2))
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def _write(run: store.Run, told: Path, ready: int) -> None:
    with store.Writer(run) as writer, told.open("a") as log:
        os.write(ready, b"x")
        for round in sorted(set(range(TRIALS)) - {round for _, round in run.finished_trials()}):
            row = partial(row_of, CASE, run_id=run.id, suite="s", round=round, unit="s", value=1.0)
            samples = [row(measure="time", repeat=at) for at in range(50)]
            writer.append([*samples, row(measure=TRIAL)], {"ranks": b"x" * 5000})
            # The trial has closed: from here on it must be there.
            log.write(f"{round}\n")
            log.flush()
    os._exit(0)


def bad(found: Faults) -> int:
    """How much of what must not be."""
    return sum(found[name] for name in NEVER)


NEVER = (
    "lost",
    "doubled",
    "needless reruns",
    "orphans",
    "unfinished",
    "tracebacks",
    "hangs",
    "files outside",
)

Part = tuple[str, int, int]
"""A kind, the seed and the count of its part."""


def parts(seed: int, count: int, jobs: int) -> Iterator[Part]:
    """The work in parts of one process each, the long ones first."""
    shares = {
        "process kills": 0.3 * count,
        **{each.__name__: 100 * count * share for each, share in fuzz.KINDS.items()},
    }
    shares["writer kills"] = 0.7 * count
    for kind, share in shares.items() if count else ():
        for job in range(jobs):
            yield kind, seed * 1000 + job, max(1, round(share / jobs))


def done(part: Part) -> Faults:
    """What was found in a part, in a folder of its own."""
    kind, seed, count = part
    found: Faults = Counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if kind == "process kills":
            process_kills.kills(random.Random(seed), count, Path(folder), found)
        elif kind == "writer kills":
            kills(random.Random(seed), count, Path(folder), found)
        else:
            found = fuzz.fuzz(kind, seed=seed, count=count, folder=Path(folder))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="kinds, such as damaged_logs")
    parser.add_argument("--add", nargs="*", default=[], type=Path, help="add what these files counted")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    work = [
        part for part in parts(asked.seed, asked.count, asked.jobs) if not asked.only or part[0] in asked.only
    ]
    before = [json.loads(path.read_text(encoding="utf-8")) for path in asked.add]
    found: Faults = Counter(dict.fromkeys(NEVER, 0))
    for each in before:
        found.update(each["found"])
    # A process for each part: a call leaves nothing to the next one.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        for part, of_part in zip(work, pool.map(done, work), strict=True):
            found.update(of_part)
            print(f"{part[0]}: {part[2]}, {bad(of_part)} faults", file=sys.stderr, flush=True)
    counted = {
        "parts": [*(part for each in before for part in each["parts"]), *map(list, work)],
        "found": dict(sorted(found.items())),
    }
    text = json.dumps(counted, indent=2)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if bad(found) else 0)


if __name__ == "__main__":
    main()
