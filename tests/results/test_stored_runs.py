"""Which runs there are, their order, and what is left out by name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results import store, stored_runs
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.results.store import StoreError, Writer

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CASE = Case(task="core", phase="forward", attention="softmax", seq_len=8)


def new_run(root, suite="s", now=NOW, text="title: T\n"):
    environment = {"fingerprint": "f"}
    return store.create(root, suite=suite, suite_text=text, cases=[CASE], environment=environment, now=now)


def rows(round):
    return [row_of(CASE, run_id="r", suite="s", round=round, measure=TRIAL, unit="s", value=9)]


def test_a_run_is_resumed_only_for_the_same_suite_environment_and_open_trials(tmp_path):
    run = new_run(tmp_path)
    with Writer(run) as writer:
        writer.append(rows(round=0))

    def find(fingerprint="f", text="title: T\n", planned=((CASE.id, 0), (CASE.id, 1)), cases=(CASE,), **more):
        return stored_runs.unfinished(
            tmp_path,
            suite="s",
            suite_text=text,
            cases=cases,
            fingerprint=fingerprint,
            planned=set(planned),
            **more,
        )

    assert find() == (run, [])
    assert find(fingerprint="g") == (None, [])
    assert find(text="title: U\n") == (None, [])
    assert find(planned=[(CASE.id, 0)]) == (run, [])
    run.write_summary(summarise(run.samples(), reference="softmax"))
    assert find(planned=[(CASE.id, 0)]) == (None, [])
    assert find(planned=[(CASE.id, 0)], or_finished=True) == (run, [])
    with pytest.raises(StoreError, match=r"cases\.jsonl: not the cases of suite s"):
        find(cases=[replace(CASE, seq_len=9)])


def test_neither_a_clock_set_back_nor_another_zone_changes_the_newest(tmp_path):
    first = new_run(tmp_path)
    second = new_run(tmp_path, now=NOW - timedelta(days=40))
    third = new_run(tmp_path, now=NOW.astimezone(timezone(timedelta(hours=-11))))
    assert stored_runs.of_suite(tmp_path / "s") == ([first, second, third], [])
    assert [run.environment()["number"] for run in (first, second, third)] == [1, 2, 3]
    assert third.environment()["created_utc"] == "2026-11-21T12:00:00.000000+00:00"
    assert third.id.startswith("20261121-120000-")


def test_runs_without_a_number_are_older(tmp_path):
    old, new = new_run(tmp_path), new_run(tmp_path, now=NOW - timedelta(days=1))
    path = old.folder / "environment.json"
    path.write_text(path.read_text().replace('"number": 1', '"other": 9'))
    assert stored_runs.of_suite(tmp_path / "s")[0] == [old, new]


def test_the_runs_of_every_suite_but_not_the_references(tmp_path):
    runs = [new_run(tmp_path, suite="a"), new_run(tmp_path, suite="a"), new_run(tmp_path, suite="b")]
    new_run(tmp_path / "reference", suite="cpu")
    assert stored_runs.of_root(tmp_path) == ({"a": runs[:2], "b": runs[2:]}, [])
    assert stored_runs.at(tmp_path) == (runs, [])
    assert stored_runs.at(tmp_path / "a") == (runs[:2], [])
    assert stored_runs.at(runs[0].folder) == (runs[:1], [])
    assert len(stored_runs.at(tmp_path / "reference" / "cpu")[0]) == 1
    assert stored_runs.of_root(tmp_path / "none") == ({}, [])
    with pytest.raises(StoreError, match="no such folder; expected that of a run"):
        stored_runs.at(tmp_path / "none")


@pytest.mark.parametrize("content", ["{", "[" * 9999, "null", '{"schema_version": 99}', "\udcff"])
def test_damaged_and_foreign_folders_are_left_out_by_name(tmp_path, content):
    run, damaged = new_run(tmp_path), new_run(tmp_path)
    path = damaged.folder / "environment.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    (tmp_path / "s" / "lost+found").mkdir()
    (tmp_path / "s" / ".hidden.partial").mkdir()
    (tmp_path / "s" / "file").touch()
    runs, notes = stored_runs.of_suite(tmp_path / "s")
    assert runs == [run]
    assert [note.partition(": left out: ")[0] for note in notes] == [
        str(damaged.folder),
        str(tmp_path / "s" / "lost+found"),
    ]
    assert new_run(tmp_path).environment()["number"] == 2


def test_a_part_of_a_suite_has_a_run_of_its_own(tmp_path):
    def open_of(shard):
        found, _ = stored_runs.unfinished(
            tmp_path, suite="s", suite_text="title: T\n", cases=[CASE], fingerprint="f",
            planned={(CASE.id, 0)}, shard=shard,
        )  # fmt: skip
        return found

    whole = new_run(tmp_path)
    part = store.create(
        tmp_path, suite="s", suite_text="title: T\n", cases=[CASE], now=NOW,
        environment={"fingerprint": "f", "shard": "1/2"},
    )  # fmt: skip
    assert (open_of(""), open_of("1/2"), open_of("2/2")) == (whole, part, None)
