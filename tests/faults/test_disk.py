"""A full disk, a folder that vanishes, planted links: nothing is half-written, and one line says why."""

import os
import resource
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from matplotlib.figure import Figure

from linrec_bench import figures
from linrec_bench.case import Case
from linrec_bench.results import scratch, store, stored_runs
from linrec_bench.results.rows import TRIAL, row_of
from linrec_bench.results.store import StoreError, Writer
from linrec_bench.whole_file import replaced

CASE = Case(task="core", phase="forward", attention="softmax", seq_len=8)
ROUNDS = 3


@pytest.fixture
def run(tmp_path):
    return store.create(
        tmp_path / "results",
        suite="s",
        suite_text="",
        cases=[CASE],
        environment={"fingerprint": "f"},
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


def rows(round):
    kept = {"run_id": "r", "suite": "s", "round": round, "unit": "s", "value": 1.0}
    return [row_of(CASE, measure="time", **kept), row_of(CASE, measure=TRIAL, **kept)]


@contextmanager
def full_from(size):
    """No file may grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_costs_the_trial_at_hand_and_the_line_says_how_to_go_on(run, room):
    path = run.folder / store.SAMPLES
    with Writer(run) as writer:
        writer.append(rows(0))
        before = path.read_bytes()
        with (
            full_from(len(before) + room),
            pytest.raises(StoreError, match=r"Make room, then the same command goes on with the run"),
        ):
            writer.append(rows(1))
    assert path.read_bytes() == before
    with Writer(run) as writer:
        writer.append(rows(1))
    assert run.finished_trials() == {(CASE.id, 0), (CASE.id, 1)}


def test_figures_and_tables_are_whole_or_not_there(tmp_path):
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    (before,) = figures.save(figure, tmp_path / "figure", formats=["pdf"])
    kept = before.read_bytes()
    for format in ("png", "svg", "pdf"):
        with (
            full_from(1000),
            pytest.raises(ValueError, match=r"cannot be written .*; make room, then repeat"),
        ):
            figures.save(figure, tmp_path / "figure", formats=[format])
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_bytes() == kept


@pytest.mark.parametrize("gone", [shutil.rmtree, lambda folder: os.rename(folder, f"{folder}.moved")])
def test_a_folder_that_vanishes_ends_the_run(run, gone):
    with Writer(run) as writer:
        writer.append(rows(0))
        writer.check()
        gone(run.folder)
        with pytest.raises(StoreError, match="was moved or removed while the run was measured"):
            writer.check()
        with pytest.raises(StoreError, match="was moved or removed"):
            writer.append(rows(1))
    assert not run.folder.exists()


def test_nothing_is_written_through_a_planted_link(run, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("mine")
    # Names that a writer of files might use for what is not finished yet.
    for name in ("summary.csv", ".summary.csv.partial", ".report.html.partial"):
        (run.folder / name).symlink_to(foreign / "file")
    with replaced(run.folder / "summary.csv") as temporary:
        assert not temporary.is_symlink()
        assert temporary.name not in (".summary.csv.partial", "summary.csv")
        temporary.write_text("table")
    for name in ("ranks", "trials"):
        (run.folder / name).symlink_to(foreign)
    with pytest.raises(ValueError, match="ranks: is a link; expected"):
        scratch.store(run.folder, CASE.id, 0, {"ranks": b"x"})
    with pytest.raises(ValueError, match="trials: is a link; expected"):
        scratch.folder_of(run.folder, CASE.id, 0)
    (run.folder / store.SAMPLES).rename(foreign / store.SAMPLES)
    (run.folder / store.SAMPLES).symlink_to(foreign / store.SAMPLES)
    with pytest.raises(ValueError, match=r"samples\.csv: is a link"), Writer(run):
        pass
    assert sorted(path.name for path in foreign.iterdir()) == ["file", store.SAMPLES]
    assert (foreign / "file").read_text() == "mine"


def unfinished(run, **needs):
    planned = {(CASE.id, round) for round in range(ROUNDS)}
    root, given = run.folder.parents[1], {"suite_text": "", "cases": [CASE], "fingerprint": "f"}
    return stored_runs.unfinished(root, suite="s", planned=planned, **given, **needs)[0]


def test_a_run_that_lacks_its_tables_or_cards_is_unfinished(run):
    from linrec_bench.analysis.summary import summarise

    with Writer(run) as writer:
        for round in range(ROUNDS - 1):
            writer.append(rows(round))
    run.write_summary(summarise(run.samples(), reference="softmax"))
    assert unfinished(run) == run
    with Writer(run) as writer:
        writer.append(rows(ROUNDS - 1))
    # The summary is that of an earlier session.
    assert unfinished(run) == run
    run.write_summary(summarise(run.samples(), reference="softmax"))
    assert unfinished(run) is None
    assert unfinished(run, with_cards=True) == run
    run.write_cards([])
    assert unfinished(run, with_cards=True) is None
    (run.folder / store.SUMMARY).write_text("case_id\n" + CASE.id)
    assert unfinished(run) == run


def test_a_run_is_gone_on_with_by_one_process_while_others_read_and_begin(run, tmp_path):
    """Two runs, plots and reports at once on one folder."""
    with Writer(run) as writer:
        writer.append(rows(0))
        with pytest.raises(StoreError, match="another process is writing this run"), Writer(run):
            pass
        assert run.finished_trials() == {(CASE.id, 0)}
        given = {"suite": "s", "suite_text": "", "cases": [CASE], "environment": {"fingerprint": "f"}}
        at = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
        other = store.create(tmp_path / "results", **given, now=at)
        with Writer(other) as second:
            second.append(rows(1))
            writer.append(rows(2))
    assert run.finished_trials() == {(CASE.id, 0), (CASE.id, 2)}
    assert other.finished_trials() == {(CASE.id, 1)}
    assert stored_runs.of_suite(tmp_path / "results" / "s")[0] == [run, other]


def test_several_processes_replace_one_file_and_a_reader_sees_each_whole(tmp_path):
    """Plots and reports at once on one folder."""
    path, contents = tmp_path / "report.html", [bytes([65 + which]) * 200_000 for which in range(3)]
    path.write_bytes(contents[0])
    children = []
    for content in contents:
        child = os.fork()
        if child == 0:
            for _ in range(30):
                with replaced(path) as temporary:
                    temporary.write_bytes(content)
            os._exit(0)
        children.append(child)
    seen = {path.read_bytes() for _ in range(60)}
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert seen <= set(contents)
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
