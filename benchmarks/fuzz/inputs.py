"""Logs, suites and flags: small valid ones that are damaged, and those that Hypothesis makes."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import yaml
from hypothesis import strategies as st
from pyarrow import csv, parquet

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.oracle import Found, Place
from benchmarks.fuzz.stored import SUITE, store_run

LOG = "user_id,item_id,timestamp\n" + "".join(
    f"u{at % 4},i{at * 7 % 5},{1387670400 + 60 * at}\n" for at in range(120)
)


def _logs() -> dict[str, bytes]:
    """One small log in the forms in which logs come, by file name."""
    table = csv.read_csv(io.BytesIO(LOG.encode()))
    written = io.BytesIO()
    parquet.write_table(table, written)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("log.csv", LOG)
    rows = [line.split(",") for line in LOG.splitlines()[1:]]
    return {
        "log.csv": LOG.encode(),
        "log.tsv": LOG.replace(",", "\t").encode(),
        "log.txt": "".join(f"{row[0]} {row[1]}\n" for row in rows).encode(),
        "log.dat": "".join("::".join(row) + "\n" for row in rows).encode(),
        "iso.csv": "".join(
            f"{row[0]},{row[1]},2012-04-04T0{at // 60}:{at % 60:02d}:09Z\n" for at, row in enumerate(rows)
        ).encode(),
        "quoted.csv": "".join(f'"{row[0]}","a\n""b""",{row[2]}\n' for row in rows).encode(),
        "log.parquet": written.getvalue(),
        "log.csv.gz": gzip.compress(LOG.encode(), mtime=0),
        "log.csv.xz": lzma.compress(LOG.encode()),
        "log.zip": zipped.getvalue(),
    }


ODD = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "linrec",
            "softmax",
            "all",
            "core",
            "train",
            "1GiB",
            "-1",
            "1e999",
            ".inf",
            "0100",
            "cpu",
            "cuda:7",
            "*",
        ]
    ),
)
VALUE = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | ODD.map(str), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = (
    "task",
    "attention",
    "grid",
    "fixed",
    "phases",
    "rounds",
    "sampling",
    "limits",
    "expect",
    "claims",
    "dataset",
    "model",
    "title",
    "sweeps",
    "per_device",
    "measures",
    "seed",
    "seeds",
    "protocol",
    "x",
)


def suites() -> st.SearchStrategy[str]:
    """The valid suite, with some keys set to what they should not hold."""
    changes = st.just({}) | st.dictionaries(st.sampled_from(KEYS), VALUE, min_size=1, max_size=2)
    nested = st.tuples(
        st.sampled_from(["grid", "fixed", "sampling", "limits"]),
        st.sampled_from(
            [
                "seq_len",
                "hidden_size",
                "heads",
                "batch_size",
                "seconds",
                "min",
                "memory",
                "case_seconds",
                "dtype",
            ]
        ),
        VALUE | st.sampled_from([1, 2, 4, 8, [8, 16], 0.001, "1GiB", "float32"]),
    )

    def changed(top: dict[str, object], inner: tuple[str, str, object]) -> str:
        content = yaml.safe_load(SUITE)
        content[inner[0]] = {**content[inner[0]], inner[1]: inner[2]}
        return str(yaml.safe_dump({**content, **top}, allow_unicode=True))

    return st.builds(changed, changes, nested)


def logs() -> st.SearchStrategy[str]:
    """Tables whose fields are mostly good, in any separator."""
    good = st.integers(1_300_000_000, 1_400_000_000).map(str)
    bad = st.text(max_size=6) | st.floats().map(str) | st.integers().map(str)
    bad |= st.sampled_from(["", '"', "NaN", "2010-02-31", "2012-04-04 00:00:00", "1e400", "-1", "inf", "０"])
    names = st.sampled_from(["u1", "u2", "7", "8"]) | bad
    row = st.one_of(
        *[st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["7", "8"]), good)] * 4,
        st.tuples(names, names, good | bad),
    )
    header = st.sampled_from(["", "user_id,item_id,timestamp", "user,item", "a,a,a", ","])
    return st.builds(
        lambda head, rows, by: "\n".join([head, *(by.join(each) for each in rows)]) + "\n",
        header,
        st.lists(row, max_size=12),
        st.sampled_from([",", "\t", "::", ";", " ", "|"]),
    )


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
    verb = st.sampled_from(
        [
            ["run", "suite.yaml", "--dry-run"],
            ["predict", "suite.yaml"],
            ["data", "describe", "log.csv"],
            ["compare", "results/s"],
            ["answer", "log.csv", "--dry-run"],
            ["export", "results", "--out", "out.csv"],
            ["list", "attention"],
            ["list", "datasets"],
            ["list"],
            ["check", "suite.yaml", "--from", "results/s"],
            ["convert", "results/s"],
            ["env"],
            ["init", "made.yaml"],
        ]
    )
    return st.builds(
        lambda verb, given: [*verb, *(part.replace("\0", "") for each in given for part in each)],
        verb,
        st.lists(flag, max_size=3),
    )


def made(
    strategy: st.SearchStrategy[object], probe: Callable[[object], None], *, count: int, seed: int
) -> None:
    """Call `probe` with `count` examples that follow from the seed."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def each(example: object) -> None:
        probe(example)

    each()


# -- One kind of input each; `count` inputs.


def damaged_logs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    whole = _logs()
    for at in range(count):
        name = rng.choice(list(whole))
        Path(name).write_bytes(damaged(rng, whole[name]))
        verb = ("answer", name, "--dry-run", "--budget", "1m") if at % 10 == 0 else ("data", "describe", name)
        dropped = ["--set", "on_bad_rows=drop"] if at % 3 == 0 else []
        place.call(found, "damaged log", *verb, *dropped, "--set", "min_interactions=1")
        shutil.rmtree("cache", ignore_errors=True)


def made_logs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    def probe(text: object) -> None:
        Path("made.csv").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        place.call(found, "made log", "data", "describe", "made.csv", "--set", "min_interactions=1")
        shutil.rmtree("cache", ignore_errors=True)

    made(logs(), probe, count=count, seed=rng.getrandbits(32))


def damaged_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    for _ in range(count):
        Path("bad.yaml").write_bytes(damaged(rng, SUITE.encode()))
        place.call(found, "damaged suite", "run", "bad.yaml", "--dry-run", "--device", "cpu")


def made_suites(place: Place, rng: random.Random, count: int, found: Found) -> None:
    def probe(text: object) -> None:
        Path("made.yaml").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        place.call(found, "made suite", "run", "made.yaml", "--dry-run", "--device", "cpu")

    made(suites(), probe, count=count, seed=rng.getrandbits(32))


def made_flags(place: Place, rng: random.Random, count: int, found: Found) -> None:
    Path("log.csv").write_text(LOG)
    store_run(Path())

    def probe(arguments: object) -> None:
        place.call(found, "flags", *map(str, arguments))  # type: ignore[call-overload]

    made(flags(), probe, count=count, seed=rng.getrandbits(32))
