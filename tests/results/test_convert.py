"""A run of schema 1 becomes one of schema 2 with the same numbers, or stays as it was."""

import csv
import json
from datetime import datetime

import pytest

from linrec_bench.case import Case
from linrec_bench.results import store
from linrec_bench.results.convert import convert
from linrec_bench.results.rows import COLUMNS, ROW_KEY, TRIAL, row_of
from linrec_bench.results.store import StoreError, Writer

CASE = Case(
    task="recommend", phase="train_and_rank", attention="softmax", seq_len=8, model="sasrec", dataset="toy"
)


@pytest.fixture
def old(tmp_path):
    """A run as the previous version wrote it."""
    now = datetime(2026, 1, 1)
    run = store.create(tmp_path, suite="s", suite_text="", cases=[CASE], environment={}, now=now)
    with Writer(run) as writer:
        more = {"run_id": run.id, "suite": "s", "unit": "1"}
        group = "history 5-19, 1,208 queries, whole catalogue"
        writer.append(
            [
                row_of(CASE, measure="ndcg@10", value=0.25, detail=group, **more),
                row_of(CASE, measure="recall@10", value=0.5, detail=group, **more),
                row_of(CASE, measure="kernel", value=1, detail="flash", **more),
                row_of(CASE, measure=TRIAL, value=1.0, **more),
            ]
        )
        skipped = {"status": "skipped", "detail": "predicted to need 9 GiB; the limit is 1 GiB"}
        writer.append([row_of(CASE, measure=TRIAL, value=0.0, round=1, **skipped, **more)])
    path = run.folder / "samples.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in COLUMNS if name not in ("host", "group_by", "group")]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"case_id": "0123456789ab"} for row in rows)
    environment = json.loads((run.folder / "environment.json").read_text()) | {"schema_version": 1}
    (run.folder / "environment.json").write_text(json.dumps(environment))
    (run.folder / "cases.jsonl").unlink()
    return run


def test_what_was_told_in_words_becomes_columns(old):
    with pytest.raises(StoreError, match=f"convert it: linrec-bench convert {old.folder}"):
        old.environment()
    convert(old.folder, [CASE])
    assert old.environment()["schema_version"] == 2
    samples = old.samples()
    assert set(samples["case_id"]) == {CASE.id}
    assert not samples.duplicated(list(ROW_KEY)).any()
    told = samples.set_index(["measure", "round"])[["group_by", "group", "value"]]
    assert told.loc[("ndcg@10", 0)].tolist() == ["history", "5-19", 0.25]
    assert told.loc[("queries", 0)].tolist() == ["history", "5-19", 1208]
    assert told.loc[("kernel", 0)].tolist() == ["kernel", "flash", 1]
    assert told.loc[(TRIAL, 1)].tolist() == ["reason", "memory", 0]
    assert [path.name for path in old.folder.parent.iterdir()] == [old.id]


def test_a_run_whose_rows_mean_no_case_stays_as_it_was(old):
    before = {path.name: path.read_bytes() for path in old.folder.iterdir()}
    other = Case(task="core", phase="forward", attention="softmax", seq_len=8)
    with pytest.raises(StoreError, match="mean no case of the stored suite"):
        convert(old.folder, [other])
    assert {path.name: path.read_bytes() for path in old.folder.iterdir()} == before
    convert(old.folder, [CASE])
    with pytest.raises(StoreError, match="schema_version is 2; expected 1"):
        convert(old.folder, [CASE])
