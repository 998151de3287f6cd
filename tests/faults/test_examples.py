"""Small inputs as people had them: each is read as written, or refused with the place and what to do."""

import gzip
import io
import lzma
import re
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from linrec_bench import data
from linrec_bench.suite import load

SECONDS = [1387670400 + 60 * at for at in range(6)]
TABLE = "user_id,item_id,timestamp\n" + "".join(f"u{at % 2},i{at % 3},{SECONDS[at]}\n" for at in range(6))


def events(path):
    """The log as `data describe PATH` reads it."""
    found = data.sniff(str(path), {})
    return data.load(found.source, min_interactions=1, **found.params)


def of_parquet(times):
    table = pa.table({"user_id": list("aabbab"), "item_id": list("xyxyyx"), "timestamp": times})
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def zipped(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("files/plain.csv", text)
    return file.getvalue()


def timed(*times):
    return "user_id,item_id,timestamp\n" + "".join(f"1,{at},{time}\n" for at, time in enumerate(times))


READ = {
    "a log in a zip file": ("plain.csv.zip", zipped(TABLE), 6),
    "packed with xz": ("x.csv.xz", lzma.compress(TABLE.encode()), 6),
    "a suffix in capitals": ("X.CSV.GZ", gzip.compress(TABLE.encode()), 6),
    "packed, and named as if it were not": ("named.csv", gzip.compress(TABLE.encode()), 6),
    "a folder of parquet files": ("dir.parquet/part-0.parquet", of_parquet(SECONDS), 6),
    "line breaks in quotes": (
        "reviews.csv",
        "user_id,item_id,review,timestamp\n"
        + "".join(f'u,i{at},"nice\nbut, pricey {at}\n",{SECONDS[at]}\n' for at in range(6)),
        6,
    ),
    "no header and no time": ("log.txt", "1 10\n1 26\n2 42\n2 4\n", 4),
    "check-ins": (
        "checkins.tsv",
        "".join(
            f"1\tplace{at}\tShop\t40.4\t-73.8\t-240\tSun Apr {at + 8:02d} 14:03:09 +0000 2012\n"
            for at in range(4)
        ),
        4,
    ),
    "times with an offset": ("o.csv", timed("2012-04-05T16:40:09+02:00", "2012-04-05T14:40:10+00:00"), 2),
    "fractions of seconds": ("f.csv", timed("1333500789.5", "1333572489.25"), 2),
    "a blank between date and time": ("b.csv", timed("2012-04-06 00:51:09", "2012-04-06 06:21:09"), 2),
    "dates": ("d.csv", timed("2012-04-04", "2012-04-07", "2012-04-07"), 3),
}


def written(folder, name, content):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path.parent if path.parent != folder else path


@pytest.mark.parametrize("kind", READ)
def test_usual_forms_of_logs_are_read_as_written(tmp_path, kind):
    name, content, rows = READ[kind]
    assert events(written(tmp_path, name, content)).n_events == rows


def test_an_offset_is_subtracted_and_equal_dates_keep_the_order_of_lines(tmp_path):
    found = events(written(tmp_path, "o.csv", READ["times with an offset"][1]))
    assert np.diff(found.timestamps).tolist() == [1]
    found = events(
        written(tmp_path, "d.csv", timed("2012-04-07", "2012-04-04", "2012-04-07").replace(",0,", ",9,"))
    )
    # Item 1 of the first day, then 9 before 2: by line, not by id. Items are numbered 1, 2, 9.
    assert found.items.tolist() == [1, 3, 2]


REFUSED = {
    "a quote that opens a name": (
        "log.tsv",
        TABLE.replace(",", "\t").replace("i2", '"i2'),
        r"line 4: a quote is opened and not closed before the next field; set quotes: none",
    ),
    "times as float32": (
        "f32.parquet",
        of_parquet(pa.array(np.array(SECONDS, np.float32))),
        r"row 1: timestamp is 1387670400\.0.*float keeps whole numbers up to 16,777,216 only",
    ),
    "times as float16": (
        "f16.parquet",
        of_parquet(pa.array(np.array([4000, 4001, 4002, 4003, 4004, 4005], np.float16))),
        r"row 1: timestamp is 4000\.0.*halffloat keeps whole numbers up to 2,048 only",
    ),
    "an impossible date": (
        "log.csv",
        timed("2010-02-28", "2010-02-31"),
        r"line 3: timestamp is '2010-02-31', not a time such as",
    ),
    "a year of two digits": (
        "log.csv",
        timed("2010-02-28T00:00:00Z", "10-10-19T23:55:27Z"),
        r"line 3: timestamp is '10-10-19T23:55:27Z', not a",
    ),
    "a header alone": ("headeronly.csv", "user_id,item_id,timestamp\n", r": has no rows$"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_be_read_as_something_else_is_refused_with_its_place(tmp_path, kind):
    name, content, reason = REFUSED[kind]
    path = written(tmp_path, name, content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as refused:
        events(path)
    assert re.search(reason, str(refused.value)), refused.value
    assert "\n" not in str(refused.value)


SUITE = "task: core\nattention: [softmax]\ngrid: {seq_len: [8]}\n"
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{at}: &a{at} [{','.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 10)
)
SUITES = {
    "a leading zero": (SUITE.replace("[8]", "[0100, 0200]"), "s.yaml:3:18: 0100 is read in different ways"),
    "a word for a number": (
        SUITE + "fixed: {batch_size: yes}\n",
        "s.yaml:4:21: yes is read in different ways",
    ),
    "a word for a count": (SUITE + "rounds: on\n", "s.yaml:4:9: on is read in different ways"),
    "sexagesimal": (SUITE.replace("[8]", "1:30"), "s.yaml:3:17: 1:30 is read in different ways"),
    "less memory than none": (
        SUITE + "limits: {memory: -5}\n",
        "s.yaml:4:18: limits.memory: -5 is no amount of memory",
    ),
    "aliases of aliases": (BOMB, "s.yaml:1:12: more than 100,000 values"),
    "an alias of itself": ("a: &a [*a]\n", "s.yaml:1:4: nested deeper than 40 levels"),
    "brackets": ("[" * 900, "s.yaml: nested deeper than 40 levels"),
    "an escape character": (
        SUITE + "title: \x1b[1mbold\n",
        "s.yaml: not valid YAML: special characters are not allowed",
    ),
    "no limit": (
        SUITE + "limits: {case_seconds: .inf}\n",
        "s.yaml:4:24: limits.case_seconds: Input should be less",
    ),
    "a limit of centuries": (
        SUITE + "limits: {case_seconds: 1e10}\n",
        "s.yaml:4:24: limits.case_seconds: Input should be less",
    ),
}


@pytest.mark.parametrize("kind", SUITES)
def test_a_suite_that_says_something_else_than_it_seems_is_refused_with_its_place(kind):
    text, reason = SUITES[kind]
    with pytest.raises(ValueError, match=re.escape(reason)):
        load.parse(text, name="s.yaml", stem="s", device="cpu")
