"""Any file of user, item and time: what is read, and what is refused with its place."""

import gzip
import re

import pandas as pd
import pytest

from linrec_bench.data import load, text_files

HEADER = "user_id,item_id,timestamp\n"
ROWS = "b,x,3\na,x,1\nb,y,2\na,y,1\n"


def written(tmp_path, text, name="events.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def read(path, **params):
    return load("csv", path=path, **{"min_interactions": 1, **params})


def test_a_csv_becomes_histories(tmp_path):
    found = read(written(tmp_path, HEADER + ROWS))
    # a: x then y, both at time 1, as in the file; b: y at 2, x at 3.
    assert found.items.tolist() == [1, 2, 2, 1]
    assert found.timestamps.tolist() == [1, 1, 2, 3]
    assert found.offsets.tolist() == [0, 2, 4]


def test_gzip_columns_separator_and_line_ends(tmp_path):
    text = "when;extra;who;what\r\n5;-;u;p\r\n4;-;u;q\r\n"
    path = written(tmp_path, gzip.compress(text.encode()), "events.csv.gz")
    found = read(path, user="who", item="what", time="when", separator=";")
    assert found.timestamps.tolist() == [4, 5]
    assert found.items.tolist() == [2, 1]


def test_ids_are_text_in_the_order_of_numbers(tmp_path):
    found = read(written(tmp_path, HEADER + "u,10,1\nu,9,2\nu,007,3\nu,7,4\nu,NA,5\n"))
    # By length, then by letter: 7, 9, 10, NA, 007.
    assert found.items.tolist() == [3, 2, 5, 1, 4]


def test_leading_zeros_make_another_id(tmp_path):
    assert read(written(tmp_path, HEADER + "01,007,1\n1,7,2\n")).offsets.tolist() == [0, 1, 2]
    assert read(written(tmp_path, HEADER + "1,007,1\n1,7,2\n")).n_items == 2


def test_large_whole_times_stay_exact_and_floats_may_be_whole(tmp_path):
    big = 1_700_000_000_000_000_001
    assert read(written(tmp_path, f"{HEADER}u,x,{big}\n")).timestamps.tolist() == [big]
    assert read(written(tmp_path, HEADER + "u,x,1700000000.0\nu,y,1e3\n")).timestamps.tolist() == [
        1000,
        1_700_000_000,
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("u,x,1\nu,,2\n", "line 3: no item_id. Correct"),
        (",x,1\n", "line 2: no user_id"),
        ("u,x,1\nu,y,\n", "line 3: no timestamp"),
        ("u,x,1\nu,y\n", "line 3: 2 fields, not 3"),
        ("u,x,1\n\nu,y,2\n", "line 3: an empty line"),
        ("u,x,yesterday\n", "line 2: timestamp is 'yesterday', not a whole number"),
        ("u,x,1\nu,y,2.5\n", "line 3: timestamp is '2.5', not a whole number"),
        ("u,x,True\n", "line 2: timestamp is 'True'"),
        ("u,x,inf\n", "line 2: timestamp is 'inf'"),
        ("u,x,1e300\n", "line 2: timestamp is '1e300'"),
        ("u,x,99999999999999999999\n", "line 2: timestamp is '99999999999999999999'"),
        ("u,x,1\nu,x,1,1\n", "line 3: 4 fields, not 3"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, rows, message):
    path = written(tmp_path, HEADER + rows)
    with pytest.raises(ValueError, match=rf"events.csv: .*{message}") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_three_bad_rows_are_named_and_the_others_counted(tmp_path):
    path = written(tmp_path, HEADER + "u,x,1\n" + "u,x,?\n" * 25)
    with pytest.raises(ValueError, match=r"line 5: .*; and 22 more\. Correct") as error:
        read(path)
    assert "line 6" not in str(error.value)


@pytest.mark.parametrize(
    ("time", "setting"),
    [
        ("2012-04-03T10:00:08+02:00", "times: iso"),
        ("2012-04-03 10:00:08.25", "times: iso, unit: ms"),
        ("1333500789.5", "times: seconds, unit: ms"),
        ("Tue Apr 03 18:00:09 +0000 2012", "times: '%a %b %d %H:%M:%S %z %Y'"),
        ("13/04/2012", "times: '%d/%m/%Y'"),
        ("03/04/2012 10:00", "times: '%d/%m/%Y %H:%M' or times: '%m/%d/%Y %H:%M'"),
        ("soon", None),
    ],
)
def test_a_fault_of_every_row_is_one_sentence_with_the_setting_that_reads_them(tmp_path, time, setting):
    path = written(tmp_path, HEADER + f"u,x,{time}\n" * 1500)
    advice = f"Set {re.escape(setting)}$" if setting else "Correct or remove such rows"
    reason = (
        rf"all 1,500 lines, as in line 2: timestamp is '{re.escape(time)}', not a whole number\. {advice}"
    )
    with pytest.raises(ValueError, match=reason):
        read(path)


def test_bad_rows_of_every_kind_keep_their_lines_across_blocks(tmp_path, monkeypatch):
    # Blocks of some lines: what the parser leaves out of one must not shift the numbers of the next.
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 64)
    rows = [f"u{line},i{line},{line}" for line in range(2, 200)]
    rows[50 - 2], rows[90 - 2], rows[91 - 2], rows[150 - 2] = "u,i", "u,i,?", "", "u,i,1,1"
    path = written(tmp_path, HEADER + "\n".join(rows) + "\n")
    bad_rows = (
        "line 50: 2 fields, not 3; line 90: timestamp is '[?]', not a whole number; line 91: an empty line; "
    )
    with pytest.raises(ValueError, match=f"csv: {bad_rows}and 1 more. Correct .* on_bad_rows: drop"):
        read(path)
    found = read(path, on_bad_rows="drop")
    assert (found.n_events, found.dropped_rows) == (194, 4)
    assert sorted(found.timestamps.tolist()) == [t for t in range(2, 200) if t not in (50, 90, 91, 150)]


def test_other_columns_are_not_looked_at(tmp_path):
    path = written(tmp_path, b"user_id,text,item_id,timestamp\nu,\xff,x,1\n")
    assert read(path).n_events == 1


def test_times_may_be_dates(tmp_path):
    path = written(tmp_path, HEADER + "u,x,2010-10-19T23:55:27Z\n")
    assert read(path, times="iso").timestamps.tolist() == [1_287_532_527]
    with pytest.raises(ValueError, match="line 2: timestamp is '2010-10-19T23:55:27Z', not a whole number"):
        read(path)


class TestAmazon:
    def test_has_no_header_and_a_rating(self, tmp_path):
        text = "A1,B01,5.0,20\nA1,B00,4.0,10\nA2,B00,1.0,30\n"
        path = written(tmp_path, gzip.compress(text.encode()), "ratings_Beauty.csv.gz")
        found = load("amazon", path=path, min_interactions=1)
        assert found.timestamps.tolist() == [10, 20, 30]
        assert found.items.tolist() == [1, 2, 1]
        turned = load("amazon", path=path, min_interactions=1, first="item")
        assert (turned.n_users, turned.n_items) == (2, 2)
        assert turned.offsets.tolist() == [0, 2, 3]

    def test_bad_lines_are_named(self, tmp_path):
        path = written(tmp_path, "A1,B01,5.0,20\nA1,,4.0,10\nA1,B01,4.0\n", "ratings.csv")
        with pytest.raises(ValueError, match=r"ratings.csv: line 2: no item; line 3: 3 fields, not 4"):
            load("amazon", path=path)
        path = written(tmp_path, "A1,B01,5.0\n", "short.csv")
        with pytest.raises(ValueError, match="line 1: 3 fields between ','; expected 4 or more"):
            load("amazon", path=path)


def test_every_row_longer_than_the_header_is_refused(tmp_path):
    # pandas alone would read an index, or drop the last field.
    with pytest.raises(ValueError, match=r"events.csv: line 2: 4 fields, not 3; line 3: 4 fields, not 3"):
        read(written(tmp_path, HEADER + "u,1,2,3\nu,4,5,6\n"))


def test_a_missing_column_names_what_is_there(tmp_path):
    path = written(tmp_path, "userid,item_id,timestamp\nu,x,1\n")
    with pytest.raises(
        ValueError, match=r"no column 'user_id'; it has: userid, item_id, timestamp. Did you mean 'userid'\?"
    ):
        read(path)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "empty.csv", "empty.csv: is empty; expected a header"),
        (b"not gzip", "events.csv.gz", "events.csv.gz: cannot be read"),
        (gzip.compress((HEADER + ROWS).encode(), mtime=0)[:-12], "cut.csv.gz", "cut.csv.gz: cannot be read"),
        (
            b"user_id,item_id,timestamp\n\xff,1,1\n",
            "latin.csv",
            "latin.csv: line 2: user_id is not UTF-8 text",
        ),
        (HEADER.encode(), "bare.csv", "bare.csv: no event: it has no rows"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, name, message):
    with pytest.raises(ValueError, match=message):
        read(written(tmp_path, content, name))


def test_what_cannot_be_a_table_at_all(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.csv: no such file"):
        read(str(tmp_path / "nowhere.csv"))
    with pytest.raises(ValueError, match="is a folder; expected a file"):
        read(str(tmp_path))
    with pytest.raises(ValueError, match="separator is 'tabs'; expected characters"):
        read(written(tmp_path, HEADER + ROWS), separator="tabs")


def test_one_column_cannot_be_two(tmp_path):
    with pytest.raises(ValueError, match="the columns item_id, item_id, timestamp repeat"):
        read(written(tmp_path, HEADER + ROWS), user="item_id")


def test_too_small_for_the_core_is_said(tmp_path):
    with pytest.raises(
        ValueError, match=r"none of 4 events of 2 users and 2 items is left .* 5; lower min_interactions"
    ):
        load("csv", path=written(tmp_path, HEADER + ROWS))


class TestParquet:
    def path(self, tmp_path, **columns):
        path = tmp_path / "events.parquet"
        pd.DataFrame(columns).to_parquet(path)
        return str(path)

    def test_equals_the_csv(self, tmp_path):
        path = self.path(tmp_path, timestamp=[3, 1, 2, 1], user_id=list("baba"), item_id=list("xxyy"))
        found = load("parquet", path=path, min_interactions=1)
        expected = read(written(tmp_path, HEADER + ROWS))
        assert found.items.tolist() == expected.items.tolist()
        assert found.timestamps.tolist() == expected.timestamps.tolist()

    def test_timestamps_count_in_their_own_unit(self, tmp_path):
        times = pd.to_datetime([1_000_001, 1_000_000], unit="us").astype("datetime64[us]")
        path = self.path(tmp_path, user_id=[1, 1], item_id=[7, 8], timestamp=times)
        found = load("parquet", path=path, min_interactions=1)
        assert found.timestamps.tolist() == [1_000_000, 1_000_001]

    def test_bad_rows_and_columns_are_named(self, tmp_path):
        path = self.path(tmp_path, user_id=["u", None], item_id=[7, 8], timestamp=[1, 2])
        with pytest.raises(ValueError, match=r"events.parquet: row 2: no user_id"):
            load("parquet", path=path)
        with pytest.raises(ValueError, match="no column 'item'; it has: user_id, item_id, timestamp"):
            load("parquet", path=path, item="item")
        times = pd.to_datetime(["2020-01-01", None])
        path = self.path(tmp_path, user_id=[1, 1], item_id=[7, 8], timestamp=times)
        with pytest.raises(ValueError, match="row 2: no timestamp"):
            load("parquet", path=path)

    def test_another_file_is_refused(self, tmp_path):
        path = written(tmp_path, HEADER + ROWS, "events.parquet")
        with pytest.raises(ValueError, match=r"events.parquet: cannot be read as parquet"):
            load("parquet", path=path)


def test_a_relative_path_may_lie_in_the_folder_of_data_sets(tmp_path, monkeypatch):
    (tmp_path / "sets").mkdir()
    written(tmp_path / "sets", HEADER + ROWS, "known.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINREC_BENCH_DATA", raising=False)
    with pytest.raises(ValueError, match=r"known.csv: no such file, nor in .*cache; expected"):
        read("known.csv")
    monkeypatch.setenv("LINREC_BENCH_DATA", str(tmp_path / "sets"))
    assert read("known.csv").n_users == 2
    # What lies here comes first.
    written(tmp_path, HEADER + "a,x,1\n", "known.csv")
    assert read("known.csv").n_users == 1
    with pytest.raises(ValueError, match=r"other.csv: no such file, nor in .*sets"):
        read("other.csv")
