import stat

import pytest

from linrec_bench.whole_file import replaced


def write_whole(path, text):
    with replaced(path, make_folder=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "deep" / "report.html"
    write_whole(path, "one")
    write_whole(path, "två")
    assert path.read_text(encoding="utf-8") == "två"
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & stat.S_IRUSR


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "report.html"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/report.html: cannot be written"):
        write_whole(tmp_path / "file" / "report.html", "x")
    with pytest.raises(ValueError, match="cannot be written"):
        write_whole(tmp_path, "x")


def test_a_folder_is_made_only_where_that_was_asked_for(tmp_path):
    path = tmp_path / "absent" / "rows.csv"
    with pytest.raises(ValueError, match="cannot be written"), replaced(path) as temporary:
        temporary.write_text("x")
    assert not path.parent.exists()
