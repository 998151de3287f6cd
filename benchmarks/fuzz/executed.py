"""Suites that are measured: each planned trial ends as a row, and what reads a run reads this one."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import yaml
from hypothesis import strategies as st

from benchmarks.fuzz.examples import made
from benchmarks.fuzz.oracle import Found, Place
from benchmarks.fuzz.plugins import forget, plugins, write
from benchmarks.fuzz.suites import EXPECTED, TASKS, TRAINING
from linrec_bench.commands import run
from linrec_bench.results import stored_runs

ATTENTION = ["linrec", "softmax", "copy", "no-op", "own"]
LIMITS = {"case_seconds": 2, "memory": "1GiB", "checkpoint_seconds": 1}
"""A trial that takes longer is a row that says so."""

DATASET = {"name": "synthetic", "users": 12, "items": 12, "length": 10}


@st.composite
def measurable(draw: st.DrawFn) -> dict[str, object]:
    """A small suite of one task."""
    task = draw(st.sampled_from([*TASKS, "core", "layer"]))
    needs, phases = TASKS[task]
    suite: dict[str, object] = {
        "task": task,
        **needs,
        "attention": draw(st.lists(st.sampled_from(ATTENTION), min_size=1, max_size=2, unique=True)),
        "grid": {
            "seq_len": draw(st.lists(st.sampled_from([1, 2, 8, 33]), min_size=1, max_size=2, unique=True))
        },
        "fixed": {"hidden_size": 8, "heads": draw(st.sampled_from([1, 2, 2, 2, 2, 3])), "batch_size": 2},
        "phases": draw(st.lists(st.sampled_from(phases), max_size=2, unique=True)),
        "rounds": draw(st.integers(1, 2)),
        "sampling": {"seconds": 0.001, "min": 1, "max": draw(st.integers(1, 3))},
        "limits": dict(LIMITS),
        "expect": draw(st.lists(EXPECTED, max_size=1)),
    }
    if task not in ("core", "layer"):
        suite["grid"]["causal"] = [True]  # type: ignore[index]
    if task == "recommend":
        suite |= {"dataset": dict(DATASET), "training": draw(TRAINING)}
    return suite


def executed_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Six inputs a suite: a forecast or a gate, the run, its rows, and three verbs that read it."""
    before = [
        ["predict"],
        ["check", "--baseline", "base.json", "--update-baseline"],
        ["check", "--junit", "j.xml"],
    ]
    after = [
        ["export", "results", "--out", "out.csv"],
        ["export", "results/made", "--out", "out.parquet", "--table", "summary"],
        ["compare", "results/made", "--attention", "linrec", "--against", "softmax"],
        ["convert", "results/made"],
        ["list", "suites"],
    ]
    shown = [["report", "results", "--markdown", "out.md"], ["plot", "results", "--format", "svg"]]

    def probe(example: object) -> None:
        suite, text = example  # type: ignore[misc]
        Path("made.yaml").write_text(yaml.safe_dump(suite))
        given = ["made.yaml", "--device", "cpu"]
        if "own" in suite["attention"]:
            given += ["--plugin", str(write(text))]
        first, *flags = rng.choice(before)
        place.call(found, "executed suite", first, *given, *flags)
        forget()
        place.call(found, "executed suite", "run", *given)
        forget()
        place.judge(found, "executed suite: rows", lambda: _has_every_row(given[3:]))
        forget()
        stored = sorted(Path("results/made").glob("*"))
        place.call(found, "executed suite", "check", *given, "--from", str(stored[-1] if stored else "none"))
        forget()
        place.call(found, "executed suite", *rng.choice(after))
        place.call(found, "executed suite", *rng.choice(shown))
        shutil.rmtree("results/made", ignore_errors=True)
        Path("base.json").unlink(missing_ok=True)

    examples = st.tuples(measurable(), plugins(faults=1))
    made(examples, probe, count=count // 6, seed=rng.getrandbits(32))


def _has_every_row(flags: list[str]) -> None:
    """Raises `AssertionError` where a run of made.yaml lacks a planned trial, or its tables or cards."""
    runs, notes = stored_runs.of_suite(Path("results/made"))
    if not runs:
        raise ValueError("the suite was refused")
    planned = run.prepare("made.yaml", device="cpu", plugins=[Path(flag) for flag in flags[1:]])
    missing = {trial.key for trial in planned.trials} - runs[-1].finished_trials()
    assert not missing, f"{len(missing)} trials have no row"
    assert not notes, notes
    assert runs[-1].is_summarised(), "no summary"
    assert runs[-1].has_cards(), "no cards"
