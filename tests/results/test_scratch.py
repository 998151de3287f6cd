"""What a trial leaves beside its rows: kept when it closed well, gone otherwise, whole or not at all."""

import io
import zipfile
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.results.store import StoreError, Writer

CASE = Case(task="recommend", phase="train_and_rank", attention="softmax", seq_len=8)
ARRAYS = {"user": np.arange(3, dtype=np.int32), "rank": np.array([1, 7, 2], dtype=np.int32)}


def file_of(arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


FILE = file_of(ARRAYS)


@pytest.fixture
def run(tmp_path):
    return store.create(
        tmp_path, suite="s", suite_text="", cases=[CASE], environment={}, now=datetime(2026, 1, 1)
    )


def closing(round=0, **fields):
    row = row_of(CASE, run_id="r", suite="s", measure=TRIAL, unit="s", value=1.0, round=round)
    return [replace(row, **fields)]


def test_ranks_stay_with_a_trial_that_ended_well(run):
    with Writer(run) as writer:
        checkpoint = writer.checkpoint((CASE.id, 0))
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(b"state")
        assert run.ranks() == {}
        writer.append(closing(), {"ranks": FILE})
    ((key, found),) = run.ranks().items()
    assert key == (CASE.id, 0)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.int32
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "cases.jsonl",
        "environment.json",
        "ranks",
        "samples.csv",
        "suite.yaml",
    ]


@pytest.mark.parametrize("status", ["error", "killed", "timeout"])
def test_a_trial_that_failed_leaves_nothing(run, status):
    with Writer(run) as writer:
        writer.append(closing(status=status, value=None), {"ranks": FILE})
    assert run.ranks() == {}
    assert not (run.folder / "trials").exists()
    assert not (run.folder / "ranks").exists()


def test_other_trials_keep_their_folders(run):
    with Writer(run) as writer:
        other = writer.checkpoint((CASE.id, 1))
        other.parent.mkdir(parents=True)
        other.write_bytes(b"state")
        writer.append(closing())
    assert other.is_file()


def test_ranks_of_a_trial_that_never_closed_are_not_read(run):
    with Writer(run) as writer:
        writer.append(closing(), {"ranks": FILE})
    text = (run.folder / "samples.csv").read_text().splitlines(keepends=True)
    # The closing row was cut off by a kill.
    (run.folder / "samples.csv").write_text("".join(text[:-1]) + text[-1][:20])
    assert run.ranks() == {}


def test_a_damaged_file_is_named(run):
    with Writer(run) as writer:
        writer.append(closing(), {"ranks": FILE})
    path = run.folder / "ranks" / f"{CASE.id}-0.npz"
    whole = path.read_bytes()
    # Cut off; a header of an array that is no literal, with the checksum that it then has.
    header = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(header, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"), }", b"(, }"))
    for content in (whole[:40], header.getvalue()):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=rf"{CASE.id}-0.npz: damaged"):
            run.ranks()
