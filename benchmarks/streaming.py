"""A log of any size is prepared in bounded memory: peak of the process and time, on synthetic events.

    python benchmarks/streaming.py --events 5000000 --users 50000 --items 200000 --format csv

writes a log of that size into a temporary folder (interleaved users, integer times, columns that are not
read), prepares it in a process of its own with the 5-core filter, and prints the peak resident memory of that
process beside that of one that only imports the package. What is written for the log, the scratch files and
the histories needs about 60 bytes of disk an event (csv) or 45 (parquet) under --folder.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

BLOCK = 2**20


def table(rng: np.random.Generator, count: int, *, users: int, items: int) -> pa.Table:
    """`count` events: users at random with lengths that vary, popular and rare items, times out of order."""
    user = (users * rng.random(count) ** 1.5).astype(np.int64)
    item = (items * rng.random(count) ** 3).astype(np.int64)
    moment = rng.integers(1_600_000_000, 1_700_000_000, count)
    rating = rng.integers(1, 6, count).astype(np.int8)
    return pa.table({"user_id": user, "rating": rating, "item_id": item, "timestamp": moment})


def write(path: Path, *, events: int, users: int, items: int, seed: int) -> None:
    """The log, a block at a time."""
    rng = np.random.default_rng(seed)
    schema = table(rng, 0, users=users, items=items).schema
    writer = parquet.ParquetWriter(path, schema) if path.suffix == ".parquet" else csv.CSVWriter(path, schema)
    with writer:
        for start in range(0, events, BLOCK):
            count = min(BLOCK, events - start)
            writer.write_table(table(rng, count, users=users, items=items))


def prepare(path: str) -> None:
    """What the child does: import, prepare, say how much memory it took."""
    from linrec_bench import data

    before = peak_mib()
    began = time.perf_counter()
    data.prepare(path.rpartition(".")[2], path=path)
    spent = time.perf_counter() - began
    found = data.load(path.rpartition(".")[2], path=path)
    print(f"{found.n_users:,} users, {found.n_items:,} items, {found.n_events:,} events are left")
    print(f"{spent:.1f} s, peak resident {peak_mib():,.0f} MiB ({before:,.0f} MiB after the imports)")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--format", choices=("csv", "parquet"), default="parquet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--prepare", metavar="FILE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        prepare(given.prepare)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / f"events.{given.format}"
        write(path, events=given.events, users=given.users, items=given.items, seed=given.seed)
        size_mib = path.stat().st_size / 2**20
        print(f"{given.events:,} events, {size_mib:,.0f} MiB of {given.format}", flush=True)
        child = [sys.executable, __file__, "--prepare", str(path)]
        subprocess.run(child, check=True, env=os.environ | {"LINREC_BENCH_CACHE": folder})


if __name__ == "__main__":
    main()
