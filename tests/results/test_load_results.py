"""Stores that were planted, damaged and mixed: what can be read comes back, the rest is named."""

import json
import os
import warnings
from datetime import datetime

import pandas as pd
import pytest

import linrec_bench
from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results import store, stored_runs
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.load_results import SAMPLE_COLUMNS, NotLoaded, load_results
from linrec_bench.results.rows import COLUMNS, TRIAL, row_of
from linrec_bench.results.samples_file import plain
from linrec_bench.results.store import StoreError, Writer

CASE = Case(task="core", phase="forward", attention="softmax", seq_len=8)


def stored(root, suite="s", day=1, rounds=2):
    run = store.create(
        root, suite=suite, suite_text="title: T\n", cases=[CASE], environment={}, now=datetime(2026, 1, day)
    )
    with Writer(run) as writer:
        for round in range(rounds):
            writer.append(
                [
                    row_of(
                        CASE, run_id=run.id, suite=suite, measure="time", unit="s", value=0.5, round=round
                    ),
                    row_of(CASE, run_id=run.id, suite=suite, measure=TRIAL, unit="s", value=9, round=round),
                ]
            )
    return run


def loaded_quietly(path, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_results(path, **more)


def test_every_column_is_documented():
    assert tuple(SAMPLE_COLUMNS) == COLUMNS
    assert all(SAMPLE_COLUMNS.values())


def test_a_run_a_suite_and_all_results_are_loaded(tmp_path):
    first, second = stored(tmp_path), stored(tmp_path, day=2)
    other = stored(tmp_path, suite="t")
    stored(tmp_path, suite="reference")

    def runs(path):
        return list(dict.fromkeys(loaded_quietly(path)["run_id"]))

    assert runs(first.folder) == [first.id]
    assert runs(tmp_path / "s") == [first.id, second.id]
    assert runs(str(tmp_path)) == [first.id, second.id, other.id]
    frame = loaded_quietly(tmp_path)
    assert list(frame.columns) == [*SAMPLE_COLUMNS, *CASE_DATA]
    assert list(frame["suite"].unique()) == ["s", "t"]
    assert frame.index.is_unique
    assert frame["value"].dtype == float
    assert frame["causal"].dtype == bool


def test_the_numbers_are_those_of_the_store(tmp_path):
    run = stored(tmp_path)
    pd.testing.assert_frame_equal(loaded_quietly(run.folder), plain(run.samples()))
    assert linrec_bench.load_results is load_results


def test_rows_that_were_cut_off_are_counted_and_left_out(tmp_path):
    run = stored(tmp_path, rounds=3)
    path = run.folder / "samples.csv"
    os.truncate(path, path.stat().st_size - 20)
    with pytest.warns(NotLoaded, match=rf"{run.id}/samples\.csv: 2 rows of a trial that was cut off"):
        frame = load_results(tmp_path)
    assert set(frame["round"]) == {0, 1}


def reasons(path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = load_results(path)
    assert all(warning.category is NotLoaded for warning in caught)
    assert all(warning.filename == __file__ for warning in caught), "a warning points at who called"
    return frame, [str(warning.message) for warning in caught]


def test_another_schema_an_empty_run_and_damage_are_named_and_skipped(tmp_path):
    good = stored(tmp_path)
    newer, empty, damaged = (
        stored(tmp_path, day=2),
        stored(tmp_path, day=3, rounds=0),
        stored(tmp_path, day=4),
    )
    content = json.loads((newer.folder / "environment.json").read_text()) | {"schema_version": 99}
    (newer.folder / "environment.json").write_text(json.dumps(content))
    (damaged.folder / "samples.csv").write_text("mine\n")
    frame, said = reasons(tmp_path)
    assert set(frame["run_id"]) == {good.id}
    assert len(said) == 3
    assert newer.id in said[0]
    assert "99; expected 2" in said[0]
    assert said[1] == f"{empty.folder}: empty, no trial has ended"
    assert damaged.id in said[2]
    assert "not the columns" in said[2]


def test_a_copy_of_a_run_is_not_counted_twice(tmp_path):
    run = stored(tmp_path)
    copy = run.folder.with_name("copy")
    copy.mkdir()
    for name in ("samples.csv", "environment.json", "cases.jsonl"):
        (copy / name).write_bytes((run.folder / name).read_bytes())
    frame, said = reasons(tmp_path)
    assert len(frame) == len(run.samples())
    assert len(said) == 1
    assert "there twice" in said[0]


def test_where_nothing_is_left_the_reasons_are_the_error(tmp_path):
    empty = stored(tmp_path, rounds=0)
    with pytest.raises(StoreError, match=r"nothing to load: .*empty, no trial has ended"):
        load_results(empty.folder)
    (tmp_path / "no" / "runs").mkdir(parents=True)
    with pytest.raises(StoreError, match="no runs there; expected"):
        load_results(tmp_path / "no")
    with pytest.raises(StoreError, match="no such folder"):
        load_results(tmp_path / "absent")


def test_summaries_are_loaded_from_where_there_are_no_samples(tmp_path):
    run, unfinished = stored(tmp_path), stored(tmp_path, day=2)
    run.write_summary(summarise(run.samples(), reference="softmax").assign(time_s=0.5))
    (run.folder / "samples.csv").unlink()
    with pytest.warns(NotLoaded, match=rf"{unfinished.id}/summary\.csv: missing"):
        frame = load_results(tmp_path, table="summary")
    assert frame["time_s"].tolist() == [0.5]
    with pytest.raises(ValueError, match="expected one of 'samples', 'summary'"):
        load_results(tmp_path, table="rows")


def test_hidden_and_foreign_folders_are_no_runs(tmp_path):
    run = stored(tmp_path)
    (tmp_path / "s" / ".20260101.partial").mkdir()
    (tmp_path / "s" / ".20260101.partial" / "samples.csv").write_text("")
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "calibration.json").write_text("{}")
    runs, notes = stored_runs.at(tmp_path)
    assert runs == [run]
    assert notes == [f"{tmp_path / 'notes' / 'deep'}: left out: not a run"]
