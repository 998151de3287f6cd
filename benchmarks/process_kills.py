"""Kills and signals at random moments to the processes of a real run, which is then gone on with."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from linrec_bench.results.rows import TRIAL
from linrec_bench.results.store import Run, StoreError

SUITE = """\
task: core
attention: [linrec, softmax]
grid: {seq_len: [8, 16]}
fixed: {hidden_size: 8, heads: 2, batch_size: 2}
phases: [forward]
measures: [time]
rounds: 4
sampling: {seconds: 0.001, min: 2, max: 3}
"""
PLANNED = 16
LONGEST_S, ENDING_S = 120, 15

KINDS = ("runner", "group", "server", "child", "SIGINT", "SIGTERM", "SIGHUP")
"""Who gets SIGKILL: the runner, its session, the fork server, a worker or helper, or what all of them get."""

Trials = Counter[tuple[str, int]]


def kills(rng: random.Random, count: int, folder: Path, found: Counter[str]) -> None:
    """So many kills of runs of a small suite in `folder`, in turns of the kinds, each followed by the same
    command; what is lost, doubled, measured needlessly or left behind is counted in `found`."""
    (folder / "suite.yaml").write_text(SUITE)
    found.update(dict.fromkeys(("lost", "doubled", "needless reruns", "orphans", "tracebacks"), 0))
    done, stored, tail = 0, Trials(), 3.0
    while done < count:
        kind = KINDS[done % len(KINDS)]
        command = _start(folder)
        # Most moments are those from which a run has something to lose.
        measures = rng.random() < 0.8
        began = _measures(folder, command) if measures else time.monotonic()
        hit = _after(command, rng.uniform(0, tail)) and _strike(rng, command.pid, kind)
        said = command.communicate(timeout=LONGEST_S)[1].decode(errors="replace")
        if not hit and measures:
            tail = 0.5 * tail + 0.5 * (time.monotonic() - began)
        done += hit
        found["kills"] += hit
        found[f"kill: {kind}"] += hit
        found["orphans"] += _left(command.pid)
        # A fork server that is killed amid its imports writes a traceback of its own.
        if "Traceback" in said and kind in ("runner", "child"):
            found["tracebacks"] += 1
            found[f"traceback: {kind} {said[-300:]}"] += 1
        stored = _check(folder, stored, found)
    # Whatever is unfinished now is finished by one more command.
    if stored:
        _start(folder).communicate(timeout=LONGEST_S)
        stored = _check(folder, stored, found)
        found["unfinished"] += bool(stored)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "linrec_bench",
        "run",
        "suite.yaml",
        "--device",
        "cpu",
        "--results",
        "results",
    ]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def _measures(folder: Path, command: subprocess.Popen[bytes]) -> float:
    """The moment at which the run closes its next trial, or ends."""
    before = _size(folder)
    while _size(folder) <= before and command.poll() is None:
        time.sleep(0.01)
    return time.monotonic()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "results").glob("*/*/samples.csv"))


def _after(command: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the command still runs so many seconds from now."""
    try:
        command.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _strike(rng: random.Random, runner: int, kind: str) -> bool:
    """Whether there was somebody to kill."""
    session = _session(runner)
    servers = [pid for pid, parent in session.items() if parent == runner and pid in session.values()]
    children = [pid for pid, parent in session.items() if parent in servers]
    try:
        if kind in ("SIGINT", "SIGTERM", "SIGHUP"):
            os.killpg(runner, signal.Signals[kind])
        elif kind == "group":
            os.killpg(runner, signal.SIGKILL)
        elif kind == "runner":
            os.kill(runner, signal.SIGKILL)
        else:
            aims = servers if kind == "server" else children
            if not aims:
                return False
            os.kill(rng.choice(aims), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _session(leader: int) -> dict[int, int]:
    """The parent of each living process of a session."""
    found = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found[int(place.name)] = int(fields[1])
    return found


def _left(leader: int) -> int:
    """How many processes of the session outlive it; they are ended."""
    deadline = time.monotonic() + ENDING_S
    while (left := _session(leader)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


def _check(folder: Path, before: Trials, found: Counter[str]) -> Trials:
    """The trials of the unfinished run; a finished one is counted, and put aside."""
    runs = sorted(path for path in (folder / "results").glob("*/*") if (path / "environment.json").is_file())
    found["needless reruns"] += max(0, len(runs) - 1)
    if not runs:
        found["lost"] += len(before)
        return Trials()
    run = Run(runs[-1])
    now = _trials(run)
    found["lost"] += len(before - now)
    found["doubled"] += sum(number - 1 for number in now.values())
    if len(now) < PLANNED or not run.is_summarised() or not run.has_cards():
        return now
    found["runs"] += 1
    shutil.rmtree(folder / "results")
    return Trials()


def _trials(run: Run) -> Trials:
    try:
        samples = run.samples()
    except (StoreError, FileNotFoundError):
        return Trials()
    closed = samples.loc[samples["measure"] == TRIAL]
    return Trials(zip(closed["case_id"].astype(str), closed["round"].astype(int), strict=True))
