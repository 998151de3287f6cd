"""A small planted run, written with the store as a worker would: one overtaking, failures, two seeds."""

import importlib.util
import json
import tempfile
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
import yaml

from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.report import html
from linrec_bench.report.sources import read
from linrec_bench.results import store
from linrec_bench.results.case_table import text_of
from linrec_bench.results.rows import TRIAL, row_of

ENVIRONMENT = {
    "linrec_bench": {"version": "0.1.0", "code": "0123456789ab"},
    "python": "3.11.7",
    "torch": {"version": "2.13.0", "cuda": None},
    "machine": {"system": "Linux", "processor": "Planted 9", "cores": 2, "memory_bytes": 8 * 2**30},
    "device": {"kind": "cpu"},
    "threads": 2,
    "fingerprint": "feedfacecafe",
    "command": "linrec-bench run planted.yaml --device cpu",
}

SUITE = {
    "name": "planted",
    "title": "A planted run",
    "sweeps": [
        {
            "task": "layer",
            "attention": ["softmax", "linrec"],
            "grid": {"seq_len": [128, 256, 512, 1024], "batch_size": [1, 4]},
            "phases": ["forward", "forward_backward"],
        },
        {
            "task": "recommend",
            "attention": ["softmax", "linrec"],
            "model": "sasrec",
            "dataset": "synthetic",
            "fixed": {"seq_len": 50, "causal": True},
        },
    ],
    "expect": [
        {"attention": "linrec", "measure": "peak_memory", "exponent": "<= 1.05"},
        {"attention": "softmax", "measure": "peak_memory", "exponent": "<= 1.05"},
    ],
    "claims": [
        {
            "paper": "LinRec (2023), abstract",
            "text": "faster from N = 500 on",
            "theirs": "N = 500",
            "attention": "linrec",
            "to": "softmax",
            "measure": "time",
            "crossover": "<= 500",
            "where": "batch_size=1",
        },
        {
            "paper": "LinRec (2023), abstract",
            "text": "comparable <b>or</b> better ranking",
            "attention": "linrec",
            "to": "softmax",
            "measure": "ndcg@10",
            "difference": ">= 0",
        },
        {
            "paper": "LinRec (2023), abstract",
            "text": "8x faster on a GPU",
            "theirs": 8,
            "attention": "linrec",
            "to": "softmax",
            "measure": "time",
            "ratio": "<= 0.125",
            "device": "cuda",
        },
    ],
}

LENGTHS = (128, 256, 512, 1024)
REASON = "stopped after its limit of <script>alert(1)</script> 8 s"


def costs():
    """Rows of each trial: softmax grows with N², linrec with N, so that they cost the same at N = 400."""
    for batch in (1, 4):
        for phase, factor in (("forward", 1), ("forward_backward", 3)):
            for n in LENGTHS:
                for attention in ("softmax", "linrec"):
                    case = Case(task="layer", phase=phase, attention=attention, seq_len=n, batch_size=batch)
                    if batch == 4 and (attention, n) in {("softmax", 1024), ("linrec", 1024)}:
                        status = "timeout" if attention == "softmax" else "oom"
                        yield case, [], {"status": status, "detail": REASON}
                        continue
                    seconds = 1e-3 * factor * batch * (n / 400) ** (2 if attention == "softmax" else 1)
                    memory = 64 * batch * (n * n if attention == "softmax" else 400 * n)
                    for round in range(3):
                        drift = (1.0, 1.02, 0.99)[round]
                        samples = [
                            ("time", seconds * drift * wobble, "s", {"round": round, "repeat": repeat})
                            for repeat, wobble in enumerate((1.0, 1.01, 1.005))
                        ]
                        exact = [
                            ("peak_live_bytes", memory, "B", {"round": round}),
                            ("predicted_peak_bytes", memory, "B", {"round": round}),
                        ]
                        yield case, samples + exact, {"round": round}


def quality():
    for attention, ndcg in (("softmax", (0.171, 0.173)), ("linrec", (0.150, 0.154))):
        for seed in (0, 1):
            case = Case(
                task="recommend", phase="train_and_rank", attention=attention, seq_len=50, causal=True,
                model="sasrec", dataset="synthetic", seed=seed,
            )  # fmt: skip
            seconds = 60.0 + 10 * seed + 20 * (attention == "linrec")
            samples = [
                ("ndcg@10", ndcg[seed], "1", {"phase": "test"}),
                ("train_time", seconds, "s", {}),
                ("epochs", 5, "1", {}),
                ("peak_live_bytes", 3e8 if attention == "softmax" else 1e8, "B", {}),
            ]
            yield case, samples, {}


SYSTEMS = (
    ("recgrela", "rela", 4, 0.19),
    ("sasrec", "softmax", 2, 0.18),
    ("sasrec", "linrec", 2, 0.17),
    ("lightsans", "lightsans", 2, 0.16),
    ("popularity", "no-op", 1, 0.05),
)


def systems():
    """Whole systems with two seeds each, and the decoding of two mechanisms in a suite of one data set."""
    for (model, attention, layers, ndcg), seed in product(SYSTEMS, (0, 1)):
        case = Case(
            task="recommend", phase="train_and_rank", attention=attention, seq_len=50, model=model,
            dataset="synthetic", layers=layers, seed=seed,
        )  # fmt: skip
        samples = [
            ("ndcg@10", ndcg + 0.002 * seed, "1", {"phase": "test"}),
            ("train_time", 60.0 * layers + seed, "s", {}),
            ("peak_live_bytes", 1e8 * layers, "B", {}),
        ]
        yield case, samples, {}
    for attention, n in product(("softmax", "rela"), LENGTHS):
        case = Case(
            task="decode", phase="step", attention=attention, seq_len=n, causal=True, dataset="synthetic"
        )
        yield case, [("time", 1e-6 * n, "s", {"round": 0})], {"round": 0}


def trials():
    return [*costs(), *quality()]


def plant(root, *, name="20260101-120000-abcd", suite=None, samples=True, summary=True, chosen=None):
    """Write a run under `root` and return its folder."""
    text = yaml.safe_dump(suite or SUITE, sort_keys=False)
    found = store.create(
        root,
        suite="planted",
        suite_text=text,
        cases=[],
        environment=ENVIRONMENT,
        now=datetime(2026, 1, 1, 12),
    )
    folder = found.folder.rename(found.folder.with_name(name))
    run = store.Run(folder)
    planned = list(trials() if chosen is None else chosen)
    (folder / "cases.jsonl").write_text(text_of(dict.fromkeys(case for case, *_ in planned)))
    with store.Writer(run) as writer:
        for case, rows, closing in planned:
            made = [
                row_of(case, run_id=name, suite="planted", measure=measure, value=value, unit=unit, **more)
                for measure, value, unit, more in rows
            ]
            closed = row_of(case, run_id=name, suite="planted", measure=TRIAL, value=1.0, unit="s", **closing)
            writer.append([*made, closed])
    if summary:
        run.write_summary(summarise(run.samples(), reference="softmax"))
    if not samples:
        (folder / store.SAMPLES).unlink()
    return folder


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """The folder of the planted run, with semantics cards; read it only."""
    folder = plant(tmp_path_factory.mktemp("results"))
    cards = [
        {
            "name": "linrec",
            "direction": "causal",
            "contradicts": {"causal": None, "finite": "nan <b>at</b> 3"},
        },
        {"name": "softmax", "direction": "bidirectional", "contradicts": {"causal": None, "finite": None}},
    ]
    (folder / "cards.json").write_text(json.dumps(cards))
    return folder


@pytest.fixture(scope="session")
def source(planted):
    return read(store.Run(planted))


@pytest.fixture(scope="session")
def page_of_run(source):
    """The page of the planted run: drawing its figures takes seconds."""
    return html([source])


@pytest.fixture(scope="session")
def of_systems(tmp_path_factory):
    """A run that compares systems, read."""
    return read(store.Run(plant(tmp_path_factory.mktemp("systems"), chosen=list(systems()))))


@pytest.fixture
def make_run(tmp_path):
    """Plants a run under a folder of the test's own."""

    def make(**how):
        return plant(tmp_path / "results", **how)

    return make


@pytest.fixture
def make_undrawn(make_run):
    """Plants a run of one length: its report has everything but figures, which take seconds."""
    at_one = [trial for trial in costs() if trial[0].seq_len == LENGTHS[0]]
    return lambda **how: make_run(chosen=at_one, **how)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    spec = importlib.util.spec_from_file_location("chromium", Path(__file__).with_name("chromium.py"))
    chromium = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chromium)
    if chromium.program() is None:
        pytest.skip(f"no Chromium here: none of {', '.join(chromium.PROGRAMS)} is on the PATH")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        found = chromium.Browser(profile)
        yield found
        found.close()
