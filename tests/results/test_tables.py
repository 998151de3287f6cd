"""Columns of the stored tables: each damage is one line that names the file, and exit code 2."""

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from linrec_bench import cli
from linrec_bench.results.store import QUALITY, SUMMARY, Run, StoreError

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "cpu" / "ml1m"


def changed(column, value, *, row=1):
    """Replace a cell; row 0 is the header."""

    def change(text):
        lines = list(csv.reader(io.StringIO(text)))
        lines[row][lines[0].index(column)] = value
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows(lines)
        return file.getvalue()

    return change


DAMAGES = {
    "a column of another name": (changed("attention", "mechanism", row=0), "lacks the column attention"),
    "a text for a number": (changed("seq_len", "long"), "seq_len is not a number in every row"),
    "a number with a comma": (changed("heads", "2,5"), "heads is not a number in every row"),
    "a word for a number": (changed("batch_size", "NA", row=-1), "batch_size is not a number in every row"),
    "a row cut short": (lambda text: text[: text.rstrip().rindex(",")] + "\n", r"row \d+ has \d+ cells"),
    "a longer row": (lambda text: text.rstrip() + ",1\n", r"row \d+ has \d+ cells; expected \d+"),
    "rows all longer": (lambda text: text.replace("\n", ",1\n").replace(",1\n", "\n", 1), r"row 1 has \d+"),
    "an open quote": (lambda text: text.rstrip() + ',"x\n', "not a table"),
    "the end cut off": (lambda text: text.rstrip(), "its last line is cut off"),
    "no text": (lambda text: text + "\0\n", "not a table"),
    "empty": (lambda text: "\n", "not a table|lacks the column"),
}


@pytest.mark.parametrize("name", [SUMMARY, QUALITY])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_named_with_its_damage(tmp_path, name, damage):
    change, reason = DAMAGES[damage]
    shutil.copytree(REFERENCE, tmp_path / "run")
    run = Run(tmp_path / "run")
    read = run.summary if name == SUMMARY else run.quality
    assert len(read()) > 0
    path = run.folder / name
    path.write_text(change(path.read_text()))
    with pytest.raises(StoreError, match=re.escape(f"{path}: damaged, ")) as refused:
        read()
    assert re.search(reason, str(refused.value)), refused.value
    assert "\n" not in str(refused.value)


def test_a_damaged_table_ends_a_verb_with_one_line_and_2(tmp_path, monkeypatch, capsys):
    shutil.copytree(REFERENCE, tmp_path / "run")
    path = tmp_path / "run" / SUMMARY
    path.write_text(changed("seq_len", "long")(path.read_text()))
    monkeypatch.setattr(
        "sys.argv", ["linrec-bench", "export", str(path.parent), "--out", str(tmp_path / "o.csv")]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {path.parent}: nothing to load: {path}: damaged, seq_len")
    assert not (tmp_path / "o.csv").exists()


def test_texts_stay_as_they_were_written(tmp_path):
    shutil.copytree(REFERENCE, tmp_path / "run")
    run = Run(tmp_path / "run")
    path = run.folder / SUMMARY
    path.write_text(changed("detail", "NA")(changed("dataset", "007")(path.read_text())))
    assert run.summary()["detail"].iat[0] == "NA"
    assert run.summary()["dataset"].iat[0] == "007"
