"""Times as exact whole numbers: against Python's own calendar, and refused where there is no such time."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linrec_bench.data.times import DIGITS, FORMATS, check_times, guesses, whole_times


def read(values, times, unit="s"):
    column = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    moments, good = whole_times(column, times, unit)
    return [moment if fits else None for moment, fits in zip(moments.tolist(), good.tolist(), strict=True)]


MOMENTS = st.datetimes(
    min_value=datetime(1700, 1, 1),
    max_value=datetime(2250, 1, 1),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@settings(max_examples=50)
@given(st.lists(MOMENTS, min_size=1, max_size=20))
def test_iso_is_what_python_reads(moments):
    exact = [(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for moment in moments]
    for mark in ("T", " "):
        assert read([moment.isoformat(mark) for moment in moments], "iso", "us") == exact


@pytest.mark.parametrize("form", ["%a %b %d %H:%M:%S %z %Y", "%d/%m/%Y %I:%M:%S %p", "%B %d, %y", "%F %T.%f"])
def test_formats_are_what_python_reads(form):
    moments = [
        datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC) - timedelta(hours=9 * hour) for hour in range(400)
    ]
    texts = [moment.strftime(form) for moment in moments]
    python = [
        datetime.strptime(text, form.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S")) for text in texts
    ]
    exact = [int(moment.replace(tzinfo=UTC).timestamp()) for moment in python]
    assert read(texts, form) == exact


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2010-02-31T00:00:00Z",
            "2010-02-29",
            "10-10-19T23:55:27Z",
            "2010-13-01",
            "2010-00-10",
            "2010-01-00",
        ),
        *("2010-01-01T24:00:00", "2010-01-01T10:60:00", "2010-01-01T10:00:60", "2010-01-01T10:00:00+24:00"),
        *("2010-01-01T", "2010-1-1", " 2010-01-01", "2010-01-01x", "2010-01-01T10:00:00.5Z", "", "now"),
    ],
)
def test_a_time_that_does_not_exist_or_is_finer_than_the_unit_is_no_time(text):
    assert read([text, "2012-02-29"], "iso") == [None, 1_330_473_600]


def test_seconds_keep_their_fraction_in_the_unit_or_are_none():
    texts = ["1333500789.5", "1", "-0.25", "1e3", "0.1234", "", "nan", "9e18", "_1", "1_0"]
    assert read(texts, "seconds", "ms") == [1333500789500, 1000, -250, 1_000_000, *[None] * 6]
    assert read(["0.1"], "seconds") == [None]
    floats = pa.array([1333500789.123, 0.5, float("nan"), 1e300, 2.0**60])
    assert read(floats, "seconds", "ms") == [1333500789123, 500, None, None, None]
    assert read(pa.array([5, 2**62]), "seconds", "ms") == [5000, None]


@pytest.mark.parametrize(
    ("kind", "bound"), [(pa.float16(), 2**11), (pa.float32(), 2**24), (pa.float64(), 2**53)]
)
def test_floats_are_times_only_as_far_as_they_are_exact(kind, bound):
    values = np.array([bound, -bound, 2 * bound], dtype=kind.to_pandas_dtype())
    assert read(pa.array(values, kind), "integer") == [bound, -bound, None]


def test_dates_of_a_table_are_in_seconds_and_unsigned_numbers_fit_or_are_none():
    assert read(pa.array([1, -1], pa.date32()), "integer") == [86400, -86400]
    assert read(pa.array([5, 2**63], pa.uint64()), "integer") == [5, None]
    assert read(pa.array([5, 255], pa.uint8()), "integer") == [5, 255]


@pytest.mark.parametrize("form", FORMATS)
def test_each_known_format_is_guessed(form):
    texts = [
        (datetime(2012, 1, 25, tzinfo=UTC) + timedelta(days=31 * day)).strftime(form) for day in range(12)
    ]
    assert {"times": form} in guesses(pa.array(texts))


def test_an_order_of_day_and_month_that_both_fit_is_told_twice():
    assert [guess["times"] for guess in guesses(pa.array(["03/04/2012"]))] == ["%d/%m/%Y", "%m/%d/%Y"]
    assert [guess["times"] for guess in guesses(pa.array(["03/03/2012"]))] == ["%d/%m/%Y"]


@pytest.mark.parametrize("unit", DIGITS)
def test_the_coarsest_unit_that_is_exact_is_guessed(unit):
    text = f"2012-04-03 10:00:08.{'1'.zfill(DIGITS[unit])}" if DIGITS[unit] else "2012-04-03 10:00:08"
    assert guesses(pa.array([text])) == [{"times": "iso"} | ({"unit": unit} if unit != "s" else {})]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("isoo", "times is 'isoo'; expected one of: integer, seconds, iso, or a format .*Did you mean 'iso'"),
        ("%H:%M", "has no year"),
        ("%Y-%d", "has no month"),
        ("%Y %Q", "%Q in '%Y %Q' is not known"),
        ("%d %d %m %Y", "names one part twice"),
    ],
)
def test_a_form_that_is_none_is_refused(times, message):
    with pytest.raises(ValueError, match=message):
        check_times("csv", times)
