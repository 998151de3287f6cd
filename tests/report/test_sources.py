"""What can be read is read, what cannot is named."""

import json
from pathlib import Path

import pytest

from linrec_bench.report.sources import gather, newest, read
from linrec_bench.results.store import Run

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "cpu"


def only_note(folder):
    sources, notes = gather([folder])
    assert sources == []
    (note,) = notes
    return note


def test_a_whole_run_is_read(source):
    assert source.notes == ()
    assert source.title == "A planted run"
    assert source.reference == "softmax"
    assert [card.name for card in source.cards] == ["linrec", "softmax"]
    assert list(source.summary["attention"].unique()) == ["softmax", "linrec"]


def test_a_folder_with_a_summary_alone_is_read(make_run):
    (source,), notes = gather([make_run(samples=False)])
    assert notes == []
    assert source.samples is None
    assert source.notes == ("samples.csv is not stored with this run: the report uses summary.csv alone",)


@pytest.mark.parametrize("name", ["long_seq", "ml1m"])
def test_the_committed_reference_runs_are_read(name):
    source = read(Run(REFERENCE / name))
    assert source.suite is not None
    assert source.reference == "softmax"


def test_an_unfinished_run_is_told_from_its_rows(make_run, source):
    (found,), _ = gather([make_run(summary=False)])
    assert "unfinished" in found.notes[0]
    assert len(found.summary) == len(source.summary)


def test_half_written_rows_are_counted_and_left_out(make_run, source):
    folder = make_run()
    path = folder / "samples.csv"
    lines = path.read_text().splitlines(keepends=True)
    first_trial = lines[1:5]
    path.write_text("".join([*lines, *first_trial])[:-20])
    (found,), _ = gather([folder])
    assert found.notes == ("samples.csv: 4 half-written rows of a trial that was cut off, left out",)
    assert len(found.samples) == len(source.samples)


def test_a_row_damaged_in_the_middle_leaves_the_run_out_by_name(make_run):
    folder = make_run()
    path = folder / "samples.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = "damaged\n"
    path.write_text("".join(lines))
    note = only_note(folder)
    assert note.startswith(f"{folder}: left out: ")
    assert "samples.csv:4: damaged" in note


def test_another_schema_version_is_named(make_run):
    folder = make_run()
    path = folder / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    assert "schema_version is 99; expected 2" in only_note(folder)


def test_a_summary_of_another_version_is_named(make_run):
    folder = make_run()
    path = folder / "summary.csv"
    path.write_text(path.read_text().replace("time_ratio_low", "old_name"))
    assert "lacks time_ratio_low" in only_note(folder)


def test_an_empty_run_is_named(make_run):
    assert "an empty run" in only_note(make_run(chosen=[], summary=False))


def test_a_folder_that_is_no_run_is_named(tmp_path):
    assert "no such folder" in only_note(tmp_path / "absent")


def test_rows_without_a_status_are_counted_and_left_out(make_run):
    folder = make_run()
    path = folder / "summary.csv"
    path.write_text(path.read_text().replace(",timeout,", ",,"))
    (found,), _ = gather([folder])
    assert "2 rows without a known status" in found.notes[0]


def test_a_suite_that_cannot_be_read_is_no_reason_to_leave_a_run_out(make_run):
    folder = make_run()
    (folder / "suite.yaml").write_text("task: [unknown\n")
    (found,), _ = gather([folder])
    assert found.suite is None
    assert found.reference == "softmax"
    assert found.notes[0].startswith("the suite cannot be read by this version: ")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"name": 1}',
        '[{"name": "x"}]',
        '[{"name": "x", "direction": "causal", "contradicts": {"a": 1}}]',
    ],
)
def test_damaged_cards_are_named(make_run, content):
    folder = make_run()
    (folder / "cards.json").write_text(content)
    (found,), _ = gather([folder])
    assert found.cards is None
    assert found.notes[0].startswith("cards.json: left out: ")


def test_a_run_given_twice_is_read_once(planted):
    sources, _ = gather([planted, planted.parent / ".." / planted.parent.name / planted.name])
    assert [found.run.folder for found in sources] == [planted]


def test_the_newest_readable_run_of_every_suite_is_found(make_run, tmp_path):
    older = make_run()
    damaged = make_run(name="20260102-120000-abcd")
    (damaged / "environment.json").write_text("{")
    (tmp_path / "results" / "calibration.json").write_text("{}")
    sources, notes = newest(tmp_path / "results")
    assert [found.run.folder for found in sources] == [older]
    assert len(notes) == 1
    assert str(damaged) in notes[0]


def test_there_may_be_no_results_at_all(tmp_path):
    assert newest(tmp_path / "absent") == ([], [])
