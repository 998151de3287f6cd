"""Downloads and readings in a log: lines, not a bar."""

import gzip
import re

import numpy as np
import pytest

from linrec_bench import data
from linrec_bench.data import reading_progress
from linrec_bench.data.opening import opened_log
from linrec_bench.terminal import counters


@pytest.mark.parametrize(("total", "lines"), [(1000, 11), (0, 1)])
def test_a_line_a_tenth(monkeypatch, total, lines):
    told = []
    monkeypatch.setattr(counters, "say", told.append)
    with counters.download("ml-1m") as on_bytes:
        for done in range(0, 1001, 5):
            on_bytes(done, total)
    assert len(told) == lines
    assert told[0] == ("ml-1m: 0 B of 0.977 KiB" if total else "ml-1m: 0 B")


def test_reading_a_log_tells_its_bytes_and_the_time_left(monkeypatch, tmp_path):
    told, steps = [], []
    monkeypatch.setattr(counters, "say", told.append)
    monkeypatch.setattr(counters, "SECONDS_A_LINE", 0.0)
    monkeypatch.setattr(reading_progress, "STEP_BYTES", 2**17)
    file = tmp_path / "log.csv.gz"
    noise = np.random.default_rng(0).integers(0, 10**9, 2**16)
    file.write_bytes(gzip.compress("\n".join(map(str, noise)).encode()))
    with counters.counter("reading", of_bytes=True) as on_bytes, data.watched(on_bytes):
        with data.watched(lambda *step: steps.append(step)), opened_log(file) as stream:
            stream.read()
        with opened_log(file) as stream:
            stream.read()
    size = file.stat().st_size
    assert size > 2**18
    assert steps[-1] == (size, size)
    assert all(done < size for done, _ in steps[:-1])
    assert len(told) == len(steps) - 1
    assert re.fullmatch(r"reading: \d+ KiB of \d+ KiB, .* left", told[0])
