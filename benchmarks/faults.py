"""Kills, damaged files and damaged suites: what may be lost, and what a reader may say.

    python benchmarks/faults.py --seed 1 --count 200 --out results/reference/faults/faults.json

`--count` kills of a process that writes a run, ten times as many damaged runs and as many suites. Exit 1:
something was lost or doubled, or a reader raised what is no sentence, or took more than 10 s of CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from linrec_bench import report
from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.suite import load

ROOT = Path(__file__).parents[1]
RUN = ROOT / "results" / "reference" / "cpu" / "quick"
SUITES = sorted((ROOT / "suites").rglob("*.yaml"))
LONGEST_S = 10.0
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
        found["runs"] += 1
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


def damages(rng: random.Random, count: int, folder: Path, found: Faults) -> None:
    """Damage one file of a stored run at a random place; what reads it gives a run or names it in a note."""
    whole = folder / "whole"
    shutil.copytree(RUN, whole)
    files = sorted(path.name for path in whole.iterdir() if path.is_file())
    for _ in range(count):
        path = whole / rng.choice(files)
        before = path.read_bytes()
        path.write_bytes(damaged(rng, before))
        _judge("run", partial(_read, whole), found)
        path.write_bytes(before)


def _read(folder: Path) -> bool:
    sources, notes = report.gather([folder])
    assert sources or notes, "neither read nor named"
    return bool(sources)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Cut, or with flipped, removed, doubled, emptied or foreign bytes, at a random place."""
    at = rng.randrange(len(content) + 1)
    end = min(len(content), at + rng.choice((1, 4, 64, 4096)))
    flipped = bytes(byte ^ (1 << rng.randrange(8)) for byte in content[at:end])
    foreign = rng.choice((b"\n", b'"', b"[" * 500, b"1e999", b"nan", b"\xff\xfe", b","))
    kinds = (
        content[:at],
        content[:at] + flipped + content[end:],
        content[:at] + content[end:],
        content[:end] + content[at:],
        content[:at] + bytes(end - at) + content[end:],
        content[:at] + foreign + content[at:],
    )
    return rng.choice(kinds)


def suites(rng: random.Random, count: int, found: Faults) -> None:
    """Damage the text of a suite that ships with the package; it is read, or refused with a sentence."""
    texts = [path.read_bytes() for path in SUITES]
    for _ in range(count):
        text = damaged(rng, rng.choice(texts)).decode(errors="replace")
        _judge("suite", partial(_parse, text), found)


def _parse(text: str) -> bool:
    load.parse(text, name="s.yaml", stem="s", device="cpu")
    return True


def _judge(kind: str, read: Callable[[], bool], found: Faults) -> None:
    started = time.process_time()
    try:
        found[f"{kind} read" if read() else f"{kind} named"] += 1
    except ValueError as refusal:
        found[f"{kind} named"] += 1
        found["no sentence"] += not str(refusal).strip() or "\n" in str(refusal).strip()
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        found[f"traceback {kind} {type(error).__name__}: {error}"[:200]] += 1
    found["hangs"] += time.process_time() - started > LONGEST_S


def bad(found: Faults) -> int:
    """How much of what must not be."""
    never = ("lost", "doubled", "no sentence", "hangs")
    return sum(number for name, number in found.items() if name in never or name.startswith("traceback"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: Faults = Counter(lost=0, doubled=0, hangs=0)
    with tempfile.TemporaryDirectory() as folder:
        kills(random.Random(asked.seed), asked.count, Path(folder), found)
        damages(random.Random(asked.seed), 10 * asked.count, Path(folder), found)
        suites(random.Random(asked.seed), 10 * asked.count, found)
    counted = {"seed": asked.seed, "count": asked.count, "found": dict(sorted(found.items()))}
    text = json.dumps(counted, indent=2)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if bad(found) else 0)


if __name__ == "__main__":
    main()
