"""`data describe PATH`: what is told of a log from its first rows, and that it is read so."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from typer.testing import CliRunner

from linrec_bench import data
from linrec_bench.cli import app

SHARED = Path(os.environ.get("LINREC_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data")).parent
CASES = SHARED / "cases"
USERS = ["7", "8", "7", "9", "8", "7"]
ITEMS = ["30", "4", "4", "100", "30", "30"]
SECONDS = [1333500789 + 3600 * step for step in range(6)]


def log(folder, text, name="log.txt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def lines(separator, times, header=""):
    return header + "".join(
        separator.join(map(str, row)) + "\n" for row in zip(USERS, ITEMS, times, strict=True)
    )


def sniffed(path, **given):
    found = data.sniff(path, given)
    assert found.params.pop("path") == path
    return found.source, found.params


def assert_read(path, *, scale=1, start=SECONDS[0], **given):
    """The proposal reads the log as it was written."""
    source, params = sniffed(path, **given)
    found = data.load(source, path=path, min_interactions=1, **params)
    # Items in the order of their ids: 4, 30, 100; users 7, 8, 9.
    assert found.items.tolist() == [2, 1, 2, 1, 2, 3]
    assert ((found.timestamps - start * scale) // (3600 * scale)).tolist() == [0, 2, 5, 1, 4, 3]


def describe(path):
    source, params = sniffed(path)
    return data.load(source, path=path, min_interactions=1, **params)


POSITIONS = {"user": 1, "item": 2, "time": 3}
ATOMIC = "user_id:token\titem_id:token\ttimestamp:float\n"
NAMED = {"user": "user_id", "item": "item_id", "time": "timestamp"}
ISO = ["2012-04-04T00:53:09Z".replace("00:53", f"{step:02d}:53") for step in range(6)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lines("\t", SECONDS), {"separator": "tab", **POSITIONS}),
        (lines("::", SECONDS), {"separator": "::", **POSITIONS}),
        (lines(" ", SECONDS), {"separator": "whitespace", **POSITIONS}),
        (lines(";", SECONDS, "user_id;item_id;timestamp\n"), {"separator": "semicolon", **NAMED}),
        (lines(",", SECONDS) + "\n", POSITIONS),
        (lines(",", ISO, "user_id,item_id,timestamp\n"), {**NAMED, "times": "iso"}),
        (
            lines("\t", SECONDS, "user_id:token\titem_id:token\ttimestamp:float\n"),
            {"separator": "tab", **NAMED},
        ),
        (lines(",", SECONDS, "who,what,at\n"), {"user": "who", "item": "what", "time": "at"}),
        (lines(",", SECONDS, "x,x,x\n"), {"header": True, **POSITIONS}),
    ],
)
def test_text_is_told_and_read(tmp_path, text, expected):
    path = log(tmp_path, gzip.compress(text.encode()))
    assert sniffed(path) == ("csv", expected)
    assert_read(path)


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_epochs_of_every_unit_are_moments(tmp_path, scale):
    text = "".join(
        f"{row[2] * scale},{row[0]},4.5,{row[1]}\n" for row in zip(USERS, ITEMS, SECONDS, strict=True)
    )
    path = log(tmp_path, text)
    assert sniffed(path) == ("csv", {"user": 2, "item": 4, "time": 1})
    assert_read(path, scale=scale)


def test_without_times_the_lines_are_in_order_and_times_are_positions(tmp_path):
    path = log(tmp_path, "".join(f"{user} {item}\n" for user, item in zip(USERS, ITEMS, strict=True)))
    assert sniffed(path) == ("csv", {"separator": "whitespace", "user": 1, "item": 2, "time": "none"})
    found = describe(path)
    assert found.items.tolist() == [2, 1, 2, 1, 2, 3]
    assert found.timestamps.tolist() == [0, 1, 2, 0, 1, 0]
    assert found.ordinal


def test_what_is_given_counts_more(tmp_path):
    path = log(tmp_path, lines(",", SECONDS, "user_id,item_id,timestamp\n"))
    assert sniffed(path, user="item_id", item="user_id")[1] == {
        **NAMED,
        "user": "item_id",
        "item": "user_id",
    }
    assert sniffed(path, time="none")[1] == {**NAMED, "time": "none"}


def test_a_header_that_is_not_declared_is_no_event(tmp_path):
    path = log(tmp_path, lines(",", SECONDS, "user_id,item_id,timestamp\n"))
    with pytest.raises(ValueError, match=r"line 1 looks like a header: .* Set header: true"):
        data.load("csv", path=path, user=1, item=2, time="none", min_interactions=1)


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("ns", tz="UTC"), pa.date32(), pa.string()])
def test_a_folder_of_parquet_files_with_every_type_of_time(tmp_path, kind):
    days = [86400 * 3600 * step for step in range(6)]
    times = pa.array(np.array(days, dtype="datetime64[s]")).cast(kind)
    folder = tmp_path / "log.parquet"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    for number in (0, 1):
        rows = slice(3 * number, 3 * number + 3)
        columns = [
            pa.array(list(map(int, USERS[rows]))),
            pa.array(ITEMS[rows]).dictionary_encode(),
            times[rows],
        ]
        parquet.write_table(
            pa.table(columns, names=["user", "movie_id", "date"]), folder / f"part-{number}.parquet"
        )
    source, params = sniffed(str(folder))
    assert (source, params.pop("times", "iso")) == ("parquet", "iso")
    assert params == {"user": "user", "item": "movie_id", "time": "date"}
    scale = {pa.timestamp("us"): 10**6, pa.timestamp("ns", tz="UTC"): 10**9}.get(kind, 1)
    assert_read(str(folder), scale=86400 * scale, start=0)


def test_float_ids_are_whole_or_refused_with_their_row(tmp_path):
    path = tmp_path / "log.parquet"
    table = {"user_id": [1.0, float("nan"), 2.5, None], "item_id": [1, 2, 3, 4], "timestamp": [1, 2, 3, 4]}
    parquet.write_table(pa.table(table), path)
    reason = (
        r"row 2: user_id is nan, not a whole number or text; row 3: user_id is 2.5, .*; row 4: no user_id"
    )
    with pytest.raises(ValueError, match=reason):
        data.load("parquet", path=str(path), min_interactions=1)
    assert data.load("parquet", path=str(path), min_interactions=1, on_bad_rows="drop").n_users == 1


def test_float32_times_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "log.parquet"
    times = pa.array(np.array(SECONDS, dtype=np.float32))
    parquet.write_table(pa.table([pa.array(USERS), pa.array(ITEMS), times], names=[*NAMED.values()]), path)
    with pytest.raises(ValueError, match=r"all 6 rows.*float keeps whole numbers up to 16,777,216 only"):
        data.load("parquet", path=str(path), min_interactions=1)


def test_a_features_file_with_a_trailing_separator_is_refused(tmp_path):
    path = log(tmp_path, lines(",", SECONDS, "user_id,item_id,timestamp\n"), "log.csv")
    features = log(tmp_path, "item_id,features\n30,a|b,\n4,c,\n", "items.csv")
    with pytest.raises(ValueError, match=r"items.csv: line 2: 3 fields, not 2; line 3: 3 fields, not 2"):
        data.load("csv", path=path, features=features, min_interactions=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\na,b\n", "line 1 is empty"),
        ('{"user": 1}\n', "looks like JSON"),
        ("a\0b", "is no text file"),
        ("one\ntwo\n", "no separator cuts its lines"),
        ("user_id,item_id,timestamp\n", "has no rows"),
        ("u,i,03/04/2012\n", "can be read in several ways; set times: '%d/%m/%Y' or times: '%m/%d/%Y'"),
        ("u,i,2010-02-31\n", "line 1: time is '2010-02-31', not a time such as"),
    ],
)
def test_what_is_no_log_is_said(tmp_path, text, message):
    path = log(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        describe(path)


def test_describe_prints_what_it_read_and_lines_that_a_suite_takes(tmp_path):
    path = log(tmp_path, lines("\t", ISO) + "10\t4\t2012-04-04\n")
    shown = CliRunner().invoke(app, ["data", "describe", path, "--set", "min_interactions=2"]).output
    assert shown.splitlines()[1].split() == ["7", "30", "2012-04-04T00:53:09Z"]
    assert "removed_users" in shown
    assert "min_interactions" in shown
    written = yaml.safe_load(shown[shown.index("dataset:") :])["dataset"]
    assert data.load(**written).n_events == 5
    output = (
        CliRunner().invoke(app, ["data", "describe", path, "--set", "min_interactions=2", "--json"]).output
    )
    assert json.loads(output)["dataset"] == written
    assert json.loads(output)["removed_users"] == 2


def test_describe_says_which_rows_were_dropped(tmp_path):
    path = log(tmp_path, lines(",", [*SECONDS[:5], "later"]))
    arguments = ["data", "describe", path, "--set", "min_interactions=1", "--set", "time=3"]
    refused = CliRunner().invoke(app, arguments)
    assert "line 6: time is 'later', not a whole number" in str(refused.exception)
    shown = CliRunner().invoke(app, [*arguments, "--set", "on_bad_rows=drop"]).output
    assert f"dropped: {path}: line 6: time is 'later'" in " ".join(shown.split())


READ = {
    "30-lines-without-header-or-time/log.txt": 713,
    "31-checkins/checkins.tsv": 562,
    "32-times/blank.csv": 160,
    "32-times/date.csv": 160,
    "32-times/float.csv": 160,
    "32-times/offset.csv": 160,
    "08-misleading-refusals/X.CSV.GZ": 72,
    "08-misleading-refusals/dir.parquet": 72,
    "08-misleading-refusals/gz_named.csv": 72,
    "08-misleading-refusals/plain.csv.zip": 72,
    "08-misleading-refusals/x.csv.xz": 72,
}
REFUSED = {
    "01-unbalanced-quote/log.tsv": "line 7: a quote is opened and not closed",
    "03-float32-timestamps/f32.parquet": "all 72 rows",
    "05-impossible-date/log.csv": "line 2: timestamp is '2010-02-31T00:00:00Z'",
}


@pytest.mark.parametrize("name", [*READ, *REFUSED])
def test_examples_from_outside_are_read_as_written_or_refused(name):
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]):
            describe(str(path))
    else:
        assert describe(str(path)).n_events == READ[name]


@pytest.mark.parametrize("reviews", [50, 5000])
def test_reviews_with_line_breaks_are_read_whatever_the_size(tmp_path, reviews):
    text = "user_id,item_id,review,timestamp\n" + "".join(
        f'u{at // 20},i{at * 7 % 500},"nice {"x" * (at * 37 % 400)}\nbut, pricey {at}\n",{SECONDS[0] + at}\n'
        for at in range(reviews)
    )
    found = describe(log(tmp_path, text, "reviews.csv"))
    assert (len(found.items), found.dropped_rows) == (reviews, 0)
