"""Lines to columns: separators, quotes, compressions; nothing is read as something else than was written."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linrec_bench.data import load, text_files
from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.text_files import Form, read_text

HEADER = "user_id,item_id,timestamp\n"
ROWS = HEADER + "b,x,3\na,x,1\nb,y,2\n"


def table(text, **form):
    """The rows of a text, each with its line, and the bad rows."""
    bad_rows = BadRows("log", "line")
    columns = form.pop("columns", (0, 1))
    stream = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    parts = list(read_text(stream, Form(columns=columns, **form), bad_rows=bad_rows))
    rows = [
        (number, *row.values())
        for part in parts
        for number, row in zip(part.numbers.tolist(), part.columns.to_pylist(), strict=True)
    ]
    return rows, bad_rows


@pytest.mark.parametrize("block", [1, 7, 64, 2**23])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_blocks_and_line_ends_change_nothing(monkeypatch, block, ends):
    monkeypatch.setattr(text_files, "BLOCK_BYTES", block)
    text = ends.join(['a,"b,1"', "é,", 'c,6"', '"d ""e""",f', "", ""])
    rows, bad_rows = table(text)
    assert rows == [(1, "a", "b,1"), (2, "é", None), (3, "c", '6"'), (4, 'd "e"', "f")]
    assert not bad_rows.count
    rows, bad_rows = table(ends.join(["a,b", "", "c,d,e", 'x,"y', "f,g"]))
    assert rows == [(1, "a", "b"), (5, "f", "g")]
    assert (
        bad_rows.told()
        == "log: line 2: an empty line; line 3: 3 fields, not 2; line 4: a quote is opened and not closed"
    )


@pytest.mark.parametrize("block", [5, 2**23])
def test_line_breaks_in_quotes_are_read_on_request_alike_for_every_size(monkeypatch, block):
    monkeypatch.setattr(text_files, "BLOCK_BYTES", block)
    text = 'a,"one\ntwo ""2""\n"\nb,x\n"c\nd",y,\ne,z\n'
    rows, bad_rows = table(text, quotes="lines")
    assert rows == [(1, "a", 'one\ntwo "2"\n'), (4, "b", "x"), (7, "e", "z")]
    assert bad_rows.told() == "log: line 5: 3 fields, not 2"
    assert table(text)[1].first[0] == (1, "a quote is opened and not closed")
    with pytest.raises(ValueError, match="a quote is open at the end"):
        table('a,b\nc,"d\ne,f\n', quotes="lines")
    with pytest.raises(ValueError, match="a quote is opened and not closed before the next field"):
        table('a,b\nc,"d"e\nf,"g"\n', quotes="lines")


def test_a_quote_swallows_no_rows_and_may_be_an_ordinary_character():
    text = 'u1\t"14 screen\nu2\ti2\nu3\t"15 screen\nu4\ti4\n'
    rows, bad_rows = table(text, separator="\t")
    assert [row[0] for row in rows] == [2, 4]
    assert [number for number, _ in bad_rows.first] == [1, 3]
    assert "Set quotes: none" in bad_rows.summary()
    assert table(text, separator="\t", quotes="none")[0][0] == (1, "u1", '"14 screen')


@pytest.mark.parametrize(
    ("separator", "text"),
    [
        ("::", "a::b:c\nd:::e\n"),
        ("whitespace", "  a \t b:c\nd\t:e  \n"),
        (" ", "a b:c\nd :e\n"),
        ("|", "a|b:c\nd|:e\n"),
    ],
)
def test_separators(separator, text):
    assert table(text, separator=separator)[0] == [(1, "a", "b:c"), (2, "d", ":e")]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")), min_size=2, max_size=2),
        min_size=1,
    ),
    st.sampled_from(",;\t|"),
)
def test_what_csv_writes_is_read_back(rows, separator):
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    found, bad_rows = table(stream.getvalue(), separator=separator)
    assert [[value or "" for value in row[1:]] for row in found] == rows
    assert not bad_rows.count


def test_only_the_columns_that_are_read_need_be_text():
    rows, bad_rows = table(b"a,\xff,1\n\xfe,b,2\nc,d,3\n", columns=(0, 2))
    assert rows == [(1, "a", "1"), (3, "c", "3")]
    assert bad_rows.told() == "log: line 2: field 1 is not UTF-8 text"


def test_a_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST_ROW_BYTES", 2**20)
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 2**18)
    with pytest.raises(ValueError, match="a row is longer than 1 MiB"):
        table(b"a" * 2**22)


def zipped(text, *names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return stream.getvalue()


PACKED = {
    "gzip": gzip.compress(ROWS.encode()),
    "bzip2": bz2.compress(ROWS.encode()),
    "xz": lzma.compress(ROWS.encode()),
    "zip": zipped(ROWS, "log.csv", "__MACOSX/._log.csv"),
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_compressed_log_is_told_by_its_bytes_not_by_its_name(tmp_path, kind):
    path = tmp_path / "LOG.CSV"
    path.write_bytes(PACKED[kind])
    assert load("csv", path=str(path), min_interactions=1).n_events == 3
    path.write_bytes(PACKED[kind][:-5])
    with pytest.raises(ValueError, match=r"LOG.CSV: cannot be read|LOG.CSV: File is not a zip"):
        load("csv", path=str(path), min_interactions=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(ROWS, "a.csv", "b.csv"), "holds 2 files .a.csv, b.csv.; expected one"),
        (ROWS.encode("utf-16"), "is UTF-16 text; convert it to UTF-8"),
        (b"\x28\xb5\x2f\xfd0000", "is compressed by zstd; decompress it"),
        (b"PAR1....", "is a parquet file; set name: parquet"),
    ],
)
def test_other_formats_are_named(tmp_path, content, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load("csv", path=str(path))


def test_an_encrypted_zip_is_refused(tmp_path):
    path = tmp_path / "log.zip"
    content = bytearray(zipped(ROWS, "log.csv"))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"log.zip: cannot be read as a table; .*encrypted"):
        load("csv", path=str(path))
