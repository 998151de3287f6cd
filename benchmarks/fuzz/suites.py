"""Suites: valid ones, valid ones with a fault or two planted in their structure, and a damaged file."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path

import yaml
from hypothesis import strategies as st

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.examples import ODD, VALUE, made
from benchmarks.fuzz.oracle import Found, Place
from benchmarks.fuzz.stored import SUITE

Mapping = dict[str, object]

SIZES = st.sampled_from([1, 2, 3, 8, 16, 33])
LENGTHS = st.lists(SIZES, min_size=1, max_size=3, unique=True) | st.just({"from": 4, "to": 32, "factor": 2})
MECHANISMS = st.lists(
    st.sampled_from(
        [
            "linrec",
            "softmax",
            "sdpa",
            "copy",
            {"linrec": {"padding": "ignore"}},
            {"causal": True, "bidirectional": True, "time_exponent": "<= 1", "except": ["cosformer"]},
        ]
    ),
    min_size=1,
    max_size=2,
    unique_by=str,
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "memory": st.sampled_from(["1GiB", "50%", 2**30]),
        "case_seconds": st.sampled_from([1, 20.5]),
        "checkpoint_seconds": st.just(3),
    },
)
SAMPLING = st.fixed_dictionaries(
    {},
    optional={
        "seconds": st.sampled_from([0.001, 0.1]),
        "min": st.integers(1, 3),
        "max": st.integers(3, 9),
        "cache": st.sampled_from(["cold", "warm"]),
    },
)
TRAINING = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 3),
        "learning_rate": st.sampled_from([0.001, 1e-2]),
        "loss": st.sampled_from(["cross_entropy", "sampled_softmax", "bce"]),
        "schedule": st.sampled_from(["constant", "cosine"]),
    },
)
COMMON: dict[str, st.SearchStrategy[object]] = {
    "title": st.text(max_size=10),
    "rounds": st.integers(1, 6),
    "limits": LIMITS,
    "sampling": SAMPLING,
}
CAUSAL = st.lists(st.booleans(), min_size=1, max_size=2, unique=True)
TASKS: dict[str, tuple[Mapping, list[str]]] = {
    "core": ({}, ["forward", "forward_backward"]),
    "layer": ({}, ["forward", "forward_backward"]),
    "decode": ({}, ["step"]),
    "train_step": ({"model": "sasrec"}, ["step"]),
    "recommend": ({"model": "sasrec", "dataset": "synthetic"}, ["train_and_rank"]),
}
BOUNDS = st.sampled_from(["<= 1.05", ">= 0.5", "0.9 .. 1.1", "== 1"])
EXPECTED = st.fixed_dictionaries(
    {"attention": st.sampled_from(["linrec", "softmax", ""]), "measure": st.sampled_from(["flops", "time"])},
    optional={"where": st.sampled_from(["", "seq_len>=8", "causal=true"])},
).flatmap(
    lambda line: st.one_of(
        BOUNDS.map(lambda bound: {**line, "exponent": bound}),
        BOUNDS.map(lambda bound: {**line, "ratio": bound, "to": "softmax"}),
    )
)


@st.composite
def valid_suites(draw: st.DrawFn) -> Mapping:
    """A suite that the schema admits: one task, or several sweeps."""
    suite: Mapping = dict(draw(st.fixed_dictionaries({}, optional=COMMON)))
    sweeps = [draw(sweeps_()) for _ in range(draw(st.sampled_from([1, 1, 2])))]
    suite |= {"sweeps": sweeps} if len(sweeps) > 1 or draw(st.booleans()) else sweeps[0]
    if draw(st.booleans()):
        suite["expect"] = draw(st.lists(EXPECTED, max_size=2))
    return suite


@st.composite
def sweeps_(draw: st.DrawFn) -> Mapping:
    task = draw(st.sampled_from(list(TASKS)))
    needs, phases = TASKS[task]
    causal = draw(CAUSAL) if task in ("core", "layer") else [True]
    sweep: Mapping = {
        "task": task,
        **needs,
        "attention": draw(MECHANISMS),
        "grid": {"seq_len": draw(LENGTHS), "causal": causal},
        "fixed": {"hidden_size": 8, "heads": 2, "batch_size": draw(SIZES)},
        "phases": draw(st.lists(st.sampled_from(phases), max_size=2, unique=True)),
    }
    if task == "recommend":
        sweep["training"] = draw(TRAINING)
    return sweep


def places(value: object, at: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The keys that lead to each value in nested mappings and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*at, key)
        yield from places(each, (*at, key))


@st.composite
def suites(draw: st.DrawFn) -> str:
    """A valid suite, or one in which values are others, keys are others or are missing; as YAML."""
    suite = copy.deepcopy(draw(valid_suites()))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        *path, last = draw(st.sampled_from(list(places(suite)) or [("x",)]))
        holder: dict[object, object] = suite  # type: ignore[assignment]
        for key in path:
            holder = holder[key]  # type: ignore[assignment]
        fault = draw(st.sampled_from(["value", "value", "key", "missing"]))
        if fault == "value" or isinstance(holder, list):
            holder[last] = draw(VALUE)
        elif fault == "key":
            holder[draw(ODD.map(str))] = holder.pop(last, None)
        else:
            holder.pop(last, None)
    return str(yaml.safe_dump(suite, allow_unicode=True, default_flow_style=draw(st.booleans())))


def damaged_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    for _ in range(count):
        Path("bad.yaml").write_bytes(damaged(rng, SUITE.encode()))
        place.call(found, "damaged suite", "run", "bad.yaml", "--dry-run", "--device", "cpu")


def made_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    def probe(text: object) -> None:
        Path("made.yaml").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        place.call(found, "made suite", "run", "made.yaml", "--dry-run", "--device", "cpu")

    made(suites(), probe, count=count, seed=rng.getrandbits(32))
