import json
import os
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linrec_bench.analysis.summary import summarise
from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.results.rows import COLUMNS, STATUSES, TRIAL, row_of
from linrec_bench.results.store import StoreError, Writer

CASE = Case(task="core", phase="forward", attention="softmax", seq_len=8)
NOW = datetime(2026, 1, 2, 3, 4, 5)


def new_run(root, suite="s", fingerprint="f"):
    return store.create(
        root,
        suite=suite,
        suite_text="title: T\n",
        cases=[CASE],
        environment={"fingerprint": fingerprint},
        now=NOW,
    )


def rows(round=0, values=(1.0, 2.0), status="ok", detail="", case=CASE):
    samples = [
        row_of(case, run_id="r", suite="s", measure="time", unit="s", value=v, round=round, repeat=i)
        for i, v in enumerate(values)
    ]
    closing = row_of(
        case,
        run_id="r",
        suite="s",
        measure=TRIAL,
        unit="s",
        value=9,
        round=round,
        status=status,
        detail=detail,
    )
    return [*samples, closing]


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=30)


@pytest.mark.slow
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    status=st.sampled_from(STATUSES),
    detail=TEXT,
)
def test_rows_come_back_as_they_went_in(tmp_path_factory, values, status, detail):
    run = new_run(tmp_path_factory.mktemp("results"))
    with Writer(run) as writer:
        writer.append(rows(values=values, status=status, detail=detail))
    samples = run.samples()
    assert list(samples.columns) == [*COLUMNS, *CASE_DATA]
    assert samples[samples["measure"] == "time"]["value"].tolist() == values
    closing = samples.iloc[-1]
    assert (closing["status"], closing["detail"]) == (status, " ".join(detail.split()))
    assert run.finished_trials() == {(CASE.id, 0)}
    assert not samples["causal"].any()


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_kill_in_the_middle_of_a_write_costs_only_that_trial(tmp_path, cut):
    run = new_run(tmp_path)
    with Writer(run) as writer:
        writer.append(rows(round=0))
        whole = (run.folder / "samples.csv").stat().st_size
        writer.append(rows(round=1))
    path = run.folder / "samples.csv"
    os.truncate(path, path.stat().st_size - cut)
    assert run.finished_trials() == {(CASE.id, 0)}
    assert set(run.samples()["round"]) == {0}
    with Writer(run) as writer:
        assert path.stat().st_size == whole
        writer.append(rows(round=1))
    assert run.finished_trials() == {(CASE.id, 0), (CASE.id, 1)}


def test_a_damaged_or_foreign_file_is_refused_and_left_alone(tmp_path):
    run = new_run(tmp_path)
    path = run.folder / "samples.csv"
    for content, expected in (
        ("a,b\n1,2\n", "not the columns"),
        (",".join(COLUMNS) + "\n1,2\n" + "x\n", ":2: damaged"),
        ("", "not the columns"),
    ):
        path.write_text(content)
        with pytest.raises(StoreError, match=expected), Writer(run):
            pass
        assert path.read_text() == content


def test_a_damaged_environment_is_refused(tmp_path):
    run = new_run(tmp_path)
    path = run.folder / "environment.json"
    for content, expected in (("{", "not valid JSON"), ('{"schema_version": 99}', "99; expected 2")):
        path.write_text(content)
        with pytest.raises(StoreError, match=expected):
            store.open_run(run.folder)
    path.unlink()
    with pytest.raises(StoreError, match=r"environment\.json: cannot be read"):
        store.open_run(run.folder)


def test_only_one_process_writes_a_run(tmp_path):
    run = new_run(tmp_path)
    with Writer(run), pytest.raises(StoreError, match="another process"), Writer(run):
        pass


def test_create_leaves_nothing_half_made(tmp_path):
    with pytest.raises(TypeError):
        store.create(tmp_path, suite="s", suite_text="", cases=[], environment={"x": object()}, now=NOW)
    assert list((tmp_path / "s").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot hold results"):
        new_run(tmp_path / "file")


def test_the_summary_is_replaced_whole(tmp_path):
    run = new_run(tmp_path)
    with pytest.raises(StoreError, match="unfinished"):
        run.summary()
    with Writer(run) as writer:
        writer.append(rows(round=0))
    run.write_summary(summarise(run.samples(), reference="softmax").assign(a=1.25))
    assert run.summary()["a"].tolist() == [1.25]
    assert json.loads((run.folder / "environment.json").read_text())["run_id"] == run.id


def test_rows_of_a_version_with_other_identifiers_come_under_those_of_now(tmp_path):
    run = new_run(tmp_path)
    with Writer(run) as writer:
        writer.append(rows())
    for name in ("samples.csv", "cases.jsonl"):
        path = run.folder / name
        path.write_text(path.read_text().replace(CASE.id, "0123456789ab"))
    assert set(run.samples()["case_id"]) == {CASE.id}
    assert run.finished_trials() == {(CASE.id, 0)}
    assert list(run.cases()) == ["0123456789ab"]


def test_a_row_of_an_unknown_case_and_a_damaged_case_are_refused(tmp_path):
    run = new_run(tmp_path)
    with Writer(run) as writer:
        writer.append(rows(case=replace(CASE, seq_len=9)))
    with pytest.raises(StoreError, match=r"cases\.jsonl: case \w{12} is not in it"):
        run.samples()
    (run.folder / "cases.jsonl").write_text("{}\n")
    with pytest.raises(StoreError, match=r"cases\.jsonl:1: damaged, expected a JSON object"):
        run.cases()


@pytest.mark.parametrize("lost", [0, 1, 900])
def test_a_kill_costs_one_trial_in_a_file_of_many_blocks(tmp_path, lost):
    run = new_run(tmp_path)
    path = run.folder / "samples.csv"
    with Writer(run) as writer:
        writer.append(rows(round=0, values=range(1000)))
        kept = path.stat().st_size
        writer.append(rows(round=1, values=range(1000)))
    assert kept > 2**16
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) - 1 - lost])[:-5])
    assert run.half_written() == 1000 - lost
    assert run.samples()["value"].tolist() == [*range(1000), 9]
    with Writer(run):
        assert path.stat().st_size == kept


def test_a_file_of_samples_is_parsed_once_for_each_state(tmp_path, monkeypatch):
    from pyarrow import csv

    parsed, read = [], csv.read_csv
    monkeypatch.setattr(csv, "read_csv", lambda *given, **more: parsed.append(1) or read(*given, **more))
    run = new_run(tmp_path)
    with Writer(run) as writer:
        writer.append(rows(round=0))
        for _ in range(3):
            assert len(store.Run(run.folder).samples()) == 3
            assert (run.finished_trials(), run.half_written()) == ({(CASE.id, 0)}, 0)
        assert len(parsed) == 1
        writer.append(rows(round=1))
        assert len(run.samples()) == 6
    assert len(parsed) == 2
