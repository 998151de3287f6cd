"""Verbs that measure nothing, with flags of any kind."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.fuzz.examples import ODD, made
from benchmarks.fuzz.logs import LOG
from benchmarks.fuzz.oracle import Found, Place
from benchmarks.fuzz.stored import store_run

SETTINGS = st.sampled_from(
    [
        "rounds",
        "grid.seq_len",
        "limits.memory",
        "limits.case_seconds",
        "sampling.min",
        "time",
        "times",
        "user",
        "separator",
        "min_interactions",
        "on_bad_rows",
        "quotes",
        "unit",
        "x",
        "",
    ]
)


def flags() -> st.SearchStrategy[list[str]]:
    """A verb that measures nothing, and flags of it with values of any kind."""
    text = ODD.map(str) | st.sampled_from(
        ["suite.yaml", "log.csv", "results", "results/s", "none", ".", "", "out.csv"]
    )
    flag = st.one_of(
        st.tuples(st.just("--set"), st.builds("{}={}".format, SETTINGS, text)),
        st.tuples(
            st.just("--only"),
            st.builds(
                "{}{}{}".format,
                st.sampled_from(["seq_len", "attention", "x", ""]),
                st.sampled_from(["=", "<=", ">", "~", ""]),
                text,
            ),
        ),
        st.tuples(
            st.sampled_from(
                [
                    "--device",
                    "--memory",
                    "--margin",
                    "--budget",
                    "--table",
                    "--attention",
                    "--against",
                    "--target",
                    "--style",
                ]
            ),
            text,
        ),
        st.tuples(st.sampled_from(["--json", "--help", "--fresh", "--escape-formulas", "--x"])),
    )
    quick = [
        ["run", "suite.yaml", "--dry-run"],
        ["data", "describe", "log.csv"],
        ["compare", "results/s"],
        ["export", "results", "--out", "out.csv"],
        ["list", "attention"],
        ["list", "datasets"],
        ["list"],
        ["check", "suite.yaml", "--from", "results/s"],
        ["convert", "results/s"],
        ["env"],
        ["init", "made.yaml"],
        ["merge", "results/s"],
        ["history", "history.jsonl"],
    ]
    seconds = [["predict", "suite.yaml"], ["answer", "log.csv", "--dry-run"]]
    verb = st.sampled_from(quick * 4 + seconds)
    return st.builds(
        lambda verb, given: [*verb, *(part.replace("\0", "") for each in given for part in each)],
        verb,
        st.lists(flag, max_size=3),
    )


def made_flags(place: Place, rng: random.Random, count: int, found: Found) -> None:
    Path("log.csv").write_text(LOG)
    store_run(Path())

    def probe(arguments: object) -> None:
        place.call(found, "flags", *map(str, arguments))  # type: ignore[call-overload]

    made(flags(), probe, count=count, seed=rng.getrandbits(32))
