"""Logs of interactions: small valid ones that are damaged, and made ones."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import shutil
import zipfile
from pathlib import Path

from hypothesis import strategies as st
from pyarrow import csv, parquet

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.examples import made
from benchmarks.fuzz.oracle import Found, Place

LOG = "user_id,item_id,timestamp\n" + "".join(
    f"u{at % 4},i{at * 7 % 5},{1387670400 + 60 * at}\n" for at in range(120)
)


def written() -> dict[str, bytes]:
    """One small log in the forms in which logs come, by file name."""
    table = csv.read_csv(io.BytesIO(LOG.encode()))
    in_parquet = io.BytesIO()
    parquet.write_table(table, in_parquet)
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
        "log.parquet": in_parquet.getvalue(),
        "log.csv.gz": gzip.compress(LOG.encode(), mtime=0),
        "log.csv.xz": lzma.compress(LOG.encode()),
        "log.zip": zipped.getvalue(),
    }


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


def damaged_logs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    whole = written()
    for at in range(count):
        name = rng.choice(list(whole))
        Path(name).write_bytes(damaged(rng, whole[name]))
        verb = ("answer", name, "--dry-run", "--budget", "1m") if at % 50 == 0 else ("data", "describe", name)
        dropped = ["--set", "on_bad_rows=drop"] if at % 3 == 0 else []
        place.call(found, "damaged log", *verb, *dropped, "--set", "min_interactions=1")
        shutil.rmtree("cache", ignore_errors=True)


def made_logs(place: Place, rng: random.Random, count: int, found: Found) -> None:
    def probe(text: object) -> None:
        Path("made.csv").write_bytes(str(text).encode("utf-8", "surrogatepass"))
        place.call(found, "made log", "data", "describe", "made.csv", "--set", "min_interactions=1")
        shutil.rmtree("cache", ignore_errors=True)

    made(logs(), probe, count=count, seed=rng.getrandbits(32))


BUDGETS = ("1s", "90s", "20m", "2h", "0s", "x", "9" * 300 + "h", "0.001s", "20")


@st.composite
def answerable(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A log that can be read, of few or many users, items and moments; and flags of `answer`."""
    users, items = draw(st.sampled_from([1, 30, 30, 30])), draw(st.sampled_from([2, 20, 20, 20]))
    events, step = draw(st.sampled_from([3, 40, 40, 40])), draw(st.sampled_from([0, 1, 3600, 10**9]))
    start = draw(st.sampled_from([0, -(10**9), 1387670400, 1387670400, 2**62]))
    rows = [
        f"{user},{(user * 7 + at * at) % items},{start + step * at}\n"
        for at in range(events)
        for user in range(users)
    ]
    least = draw(st.sampled_from(["1", "1", "2", "5"]))
    flags = ["--budget", draw(st.sampled_from(BUDGETS)), "--set", f"min_interactions={least}"]
    flags += draw(st.sampled_from([[], ["--json"], ["--device", "cpu"]]))
    return "user_id,item_id,timestamp\n" + "".join(rows), flags


def made_answers(place: Place, rng: random.Random, count: int, found: Found) -> None:
    """Plans alone, which measure an epoch of a training."""

    def probe(example: tuple[str, list[str]]) -> None:
        text, flags = example
        Path("answered.csv").write_text(text)
        place.call(found, "made answer", "answer", "answered.csv", "--dry-run", *flags)

    made(answerable(), probe, count=count, seed=rng.getrandbits(32))
