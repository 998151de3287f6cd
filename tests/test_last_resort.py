"""No traceback reaches a person: expected kinds are one line and 2, others one line, a log file and 70."""

import csv
import errno
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from linrec_bench import cli, report
from linrec_bench.cli import last_resort


def raising(error):
    def verb():
        raise error

    return verb


def planted(statement, room):
    """A verb whose statement stands in a module of this package."""
    names = {
        "__name__": f"linrec_bench.{room}.planted",
        "np": np,
        "pa": pa,
        "csv": csv,
        "json": json,
        "zlib": zlib,
    }
    exec(f"def verb():\n    {statement}\n", names)
    return names["verb"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a.csv"), "a.csv: No such file; expected one that"),
        (PermissionError(errno.EACCES, "Permission denied", "b"), "b: Permission denied; expected a file or"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "c"), "c: Is a directory; expected a file in"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (MemoryError(), "the memory of this machine or its limit does not suffice"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_2(capsys, error, line):
    assert last_resort.run(raising(error)) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: {line}")


READING = [
    ("next(csv.reader(['\"a'], strict=True))", "Error: unexpected end of data"),
    ("zlib.decompress(b'x')", "error: Error -5"),
    ("json.loads('{')", "Expecting property name"),
    ("b'\\xff'.decode()", "'utf-8' codec can't decode"),
    ("pa.array(['x']).cast(pa.int64())", "Failed to parse string"),
    ("raise EOFError('cut')", "EOFError: cut"),
    ("verb()", "a file or an argument is nested too deeply"),
]


@pytest.mark.parametrize(("statement", "line"), READING)
def test_what_a_library_cannot_read_is_2_in_a_reader_and_70_elsewhere(
    capsys, tmp_path, monkeypatch, statement, line
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert last_resort.run(planted(statement, "data")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: ")
    assert line in said
    assert last_resort.run(planted(statement, "analysis")) == 70


@pytest.mark.parametrize("room", ["data", "analysis"])
@pytest.mark.parametrize(
    "statement", ["int(float('nan'))", "int('x')", "np.zeros(2).reshape(3)", "[].index(1)", "a, b = (1,)"]
)
def test_only_a_value_error_that_the_package_raises_tells_of_what_was_given(
    capsys, tmp_path, monkeypatch, room, statement
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert last_resort.run(planted("raise ValueError('x is 3;\\nexpected 4')", room)) == 2
    assert capsys.readouterr().err == "error: x is 3; expected 4\n"
    assert last_resort.run(planted(statement, room)) == 70
    assert "Please report it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [KeyError("x"), AttributeError("y"), ZeroDivisionError("z"), AssertionError()]
)
def test_a_fault_of_the_program_is_one_line_a_log_and_70(capsys, error, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert last_resort.run(raising(error)) == 70
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: a fault of linrec-bench: {type(error).__name__}")
    assert "Please report it" in said
    (log,) = tmp_path.iterdir()
    assert str(log) in said
    assert "Traceback" in log.read_text()
    assert "test_last_resort.py" in log.read_text()


def test_without_a_place_for_the_log_it_is_said(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert last_resort.run(raising(KeyError("x"))) == 70
    assert "No log could be written" in capsys.readouterr().err


def test_what_went_well_is_0_and_an_exit_code_is_kept():
    assert last_resort.run(lambda: 3) == 0
    with pytest.raises(SystemExit):
        last_resort.run(raising(SystemExit(4)))


SUITE = "task: core\nattention: [softmax]\ngrid: {seq_len: [8]}\n"
INPUTS = {
    "escape.yaml": SUITE + "title: \x1b[1mbold\n",
    "deep.yaml": "[" * 900,
    "loop.yaml": "a: &a [*a]",
    "tag.yaml": "title: !!timestamp x",
    "bool.yaml": "title: !!bool maybe",
    "endless.yaml": SUITE + "limits: {case_seconds: .inf}\n",
}


def exit_of(monkeypatch, capsys, *arguments):
    """The exit code of a call of the command line, and what it wrote to stderr."""
    monkeypatch.setattr("sys.argv", ["linrec-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize("name", INPUTS)
def test_a_suite_that_cannot_be_read_is_named(name, tmp_path, monkeypatch, capsys):
    path = tmp_path / name
    path.write_text(INPUTS[name])
    code, said = exit_of(monkeypatch, capsys, "run", path, "--dry-run", "--device", "cpu")
    assert code == 2
    assert re.match(rf"error: {re.escape(str(path))}[:0-9]*: ", said)
    assert said.count("\n") == 1


REFERENCE = Path(__file__).parents[1] / "results" / "reference" / "cpu" / "quick"
DAMAGES = {
    "empty": lambda text: "",
    "cut": lambda text: text[: len(text) // 2],
    "no text": lambda text: b"\xff\xfe\0" + text.encode(),
    "deep": lambda text: "[" * 9999,
    "of another kind": lambda text: "[1, 2]\n",
    "without columns": lambda text: "a,b\n1,2\n",
}


@pytest.fixture
def damaged(tmp_path, request):
    """A folder of results with one run, a file of which is damaged, and a folder that is no run."""
    name, damage = request.param
    folder = tmp_path / "results" / "quick"
    for run in ("first", "second"):
        (folder / run).mkdir(parents=True)
        for file in REFERENCE.iterdir():
            if file.is_file():
                (folder / run / file.name).write_bytes(file.read_bytes())
    environment = folder / "second" / "environment.json"
    environment.write_text(json.dumps(json.loads(environment.read_text()) | {"number": 1}))
    (folder / "lost+found").mkdir()
    changed = DAMAGES[damage]((folder / "second" / name).read_text())
    (folder / "second" / name).write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "damaged",
    [(name, damage) for name in ("environment.json", "summary.csv", "cases.jsonl") for damage in DAMAGES],
    indirect=True,
    ids=lambda pair: " ".join(pair),
)
def test_a_damaged_run_is_left_out_by_name(damaged, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.csv"
    code, said = exit_of(monkeypatch, capsys, "export", damaged, "--table", "summary", "--out", out)
    assert (code, out.exists()) == (0, True)
    assert "second" in said
    assert "lost+found" in said
    # What plot and report draw from.
    sources, notes = report.newest(damaged.parent)
    assert [source.run.id for source in sources] == ["first"]
    assert any("second" in note for note in notes)
    assert any("lost+found" in note for note in notes)


def test_a_summary_without_the_name_of_its_run_is_left_out(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    for file in REFERENCE.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    text = (folder / "summary.csv").read_text()
    (folder / "summary.csv").write_text(text.replace("run_id", "run", 1))
    code, said = exit_of(monkeypatch, capsys, "export", folder, "--out", tmp_path / "out.csv")
    assert code == 2
    assert "lacks the column run_id" in said


def test_a_folder_of_summaries_is_exported_as_such(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.csv"
    code, said = exit_of(monkeypatch, capsys, "export", REFERENCE, "--out", out)
    assert code == 0
    assert "table: summary" in said
    assert len(out.read_text().splitlines()) == len((REFERENCE / "summary.csv").read_text().splitlines())
