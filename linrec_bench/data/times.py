"""Times of events as exact whole numbers: numbers as they are, or moments written as text in a unit.

A time that the calendar does not have (2010-02-31), or that is finer than the unit, is not rounded to another
one: it is no time. Texts are taken apart by one regular expression a form, in columns, not row by row.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linrec_bench.registry import did_you_mean

Unit = Literal["s", "ms", "us", "ns"]

DIGITS: dict[Unit, int] = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Decimal digits of a second in each unit."""

FORMS = {
    "integer": "a whole number",
    "seconds": "a number of seconds",
    "iso": "a time such as 2010-10-19T23:55:27Z",
}
"""Values of the setting `times` beside formats, and what each expects."""

FORMATS = (
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    *(
        f"{date}{clock}"
        for date in ("%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y")
        for clock in ("", " %H:%M", " %H:%M:%S")
    ),
    "%m %d, %Y",
    "%b %d, %Y",
    "%d %b %Y",
)
"""Formats that `guesses` tries."""

EXACT_FLOATS = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}
"""The largest whole number up to which each type of float is exact."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<H>\d{2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:\.(?P<f>\d{1,9}))?)?"
_OFFSET = r"(?:(?P<zero>Z|UTC|GMT)|(?P<sign>[+-])(?P<zh>\d{2}):?(?P<zm>\d{2}))"
_ISO = rf"(?P<Y>\d{{4}})-(?P<m>\d{{2}})-(?P<d>\d{{2}})(?:[T ]{_CLOCK} ?{_OFFSET}?)?"
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "e": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "p": r"(?P<p>AM|PM)",
    "b": rf"(?P<b>{'|'.join(_MONTHS)})",
    "B": rf"(?P<b>{'|'.join(_MONTHS)})[a-z]*",
    "a": r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
    "A": r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day",
    "z": _OFFSET,
    "Z": r"(?:UTC|GMT)",
    "%": "%",
}
_SHORT = {"%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%R": "%H:%M"}


def check_times(source: str, times: str) -> None:
    """Raise `ValueError` unless `times` is one of `FORMS` or a format with year, month and day."""
    if "%" in times:
        try:
            groups = re.compile(_pattern(times)).groupindex
        except re.error:
            raise ValueError(f"data {source}: times {times!r} names one part twice") from None
        for part, names in (("year", "Yy"), ("month", "mb"), ("day", "d")):
            if not set(names) & set(groups):
                raise ValueError(
                    f"data {source}: times {times!r} has no {part}; expected a format with a date"
                )
    elif times not in FORMS:
        raise ValueError(
            f"data {source}: times is {times!r}; expected one of: {', '.join(FORMS)}, or a format such as "
            f"'%d/%m/%Y %H:%M:%S'.{did_you_mean(times, FORMS)}"
        )


def expected(times: str, unit: Unit) -> str:
    """What a time has to be, in words."""
    return FORMS.get(times, f"a time of the form {times}") + (
        f" in whole {unit}" if times != "integer" else ""
    )


def whole_times(column: pa.Array, times: str, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
    """The times as int64 (0 where there is none), and a mask of those that are exact.

    Whole numbers, and timestamps of a table, stay as they are; all others are counted in `unit` from 1970 in
    UTC, which is also the zone of a time without an offset. Dates of a table are in seconds.
    """
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _filled(column.cast(pa.int64()))
    if pa.types.is_date(kind):
        return _filled(column.cast(pa.timestamp("s")).cast(pa.int64()))
    digits = DIGITS[unit] if times != "integer" else 0
    if pa.types.is_integer(kind) and times in ("integer", "seconds"):
        return _integers(column, digits)
    if pa.types.is_floating(kind) and times in ("integer", "seconds"):
        return _floats(column, digits)
    texts = column.cast(pa.string())
    if times in ("integer", "seconds"):
        return _numbers(texts, digits)
    return _moments(texts, _ISO if times == "iso" else _pattern(times), digits)


def guesses(values: pa.Array) -> list[dict[str, str]]:
    """Settings `times` and `unit` that read all values; more than one where they read them differently."""
    readings: dict[bytes, dict[str, str]] = {}
    texts = values.cast(pa.string())
    for times in (*FORMS, *FORMATS):
        # Most formats are not even that of the first value, which is soon told.
        if times in FORMATS and not pc.all(_have_form(texts[:1], times)).as_py():
            continue
        for unit in DIGITS:
            moments, good = whole_times(values, times, unit)
            if good.all():
                chosen = {"times": times} | ({"unit": unit} if unit != "s" else {})
                readings.setdefault(moments.tobytes(), chosen)
                break
        if times in FORMS and readings:
            break
    return list(readings.values())


def likely(values: pa.Array) -> str | None:
    """The first form of text that most values have, in the calendar or not; None without one."""
    texts = values.cast(pa.string())
    for times in ("iso", *FORMATS):
        if 2 * pc.sum(_have_form(texts, times)).as_py() > len(texts):
            return times
    return None


def _have_form(texts: pa.Array, times: str) -> pa.Array:
    return pc.match_substring_regex(texts, rf"^(?i:{_ISO if times == 'iso' else _pattern(times)})$")


def _pattern(times: str) -> str:
    for short, long in _SHORT.items():
        times = times.replace(short, long)
    parts = re.split(r"(%.?|\s+)", times)
    for place, part in enumerate(parts):
        if part.startswith("%"):
            if part[1:] not in _DIRECTIVES:
                raise ValueError(
                    f"times: {part} in {times!r} is not known; known are: %{' %'.join(_DIRECTIVES)}"
                )
            parts[place] = _DIRECTIVES[part[1:]]
        else:
            parts[place] = r"\s+" if part.isspace() else re.escape(part)
    return "".join(parts)


def _integers(column: pa.Array, digits: int) -> tuple[np.ndarray, np.ndarray]:
    # Beyond int64 a number is no time that can be kept.
    most = (2**63 - 1) // 10**digits
    signed = pa.types.is_signed_integer(column.type)
    largest = 2 ** (column.type.bit_width - signed) - 1
    fits = pc.less_equal(column, pa.scalar(min(most, largest), column.type))
    if column.type == pa.uint64() or digits:
        column = pc.if_else(fits, column, None)
    values, good = _filled(column.cast(pa.int64()))
    good &= values >= -most
    return np.where(good, values, 0) * 10**digits, good


def _floats(column: pa.Array, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Floats that decimal numbers of these digits are written as: division gives them back."""
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values.astype(np.float64) * 10**digits)
        good = np.isfinite(values) & (np.abs(scaled) <= EXACT_FLOATS[column.type])
        good &= (scaled / 10**digits).astype(values.dtype) == values
    return np.where(good, scaled, 0).astype(np.int64), good


def _numbers(texts: pa.Array, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """Casts whole numbers, also with a fraction of zeros, at once; parses other texts one by one."""
    whole = pc.replace_substring_regex(texts, r"^(-?[0-9]+)\.0*$", r"\1")
    plain = pc.fill_null(pc.match_substring_regex(whole, rf"^-?[0-9]{{1,{18 - digits}}}$"), False)
    values, good = _filled(pc.if_else(plain, whole, None).cast(pa.int64()))
    values *= 10**digits
    others = np.flatnonzero(~good)
    for row, text in zip(others.tolist(), texts.take(pa.array(others)).to_pylist(), strict=True):
        exact = _exact(text, digits)
        if exact is not None:
            values[row], good[row] = exact, True
    return values, good


def _exact(text: str | None, digits: int) -> int | None:
    """The exact whole number of a text such as +7, 1e3, or 2.5 with one digit; None if there is none."""
    if text is None or not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?\s*", text, re.ASCII):
        return None
    try:
        value = Decimal(text.strip()).scaleb(digits)
        whole = int(value)
    except InvalidOperation:
        return None
    return whole if value == whole and -(2**63) <= whole < 2**63 else None


def _moments(texts: pa.Array, pattern: str, digits: int) -> tuple[np.ndarray, np.ndarray]:
    # RE2 takes no comments and no lookaround; `pattern` has neither.
    found = pc.extract_regex(texts, rf"^(?i:{pattern})$")
    names = {found.type.field(place).name for place in range(found.type.num_fields)}

    def text(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(found, name), "")

    def number(name: str, default: int = 0) -> np.ndarray:
        if name not in names:
            return np.full(len(texts), default, dtype=np.int64)
        values = text(name)
        filled = pc.if_else(pc.equal(values, ""), str(default), values)
        result: np.ndarray = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return result

    def is_in(name: str, word: str) -> np.ndarray:
        result: np.ndarray = pc.equal(pc.ascii_upper(text(name)), word).to_numpy(zero_copy_only=False)
        return result

    good = pc.is_valid(found).to_numpy(zero_copy_only=False).copy()
    # As strptime of POSIX: 69 to 99 are of the last century.
    short = number("y")
    year = number("Y") if "Y" in names else short + np.where(short < 69, 2000, 1900)
    month = number("m", 1)
    if "b" in names:
        month = pc.index_in(pc.ascii_lower(text("b")), value_set=pa.array(_MONTHS))
        month = pc.fill_null(month, 0).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    day, hour, minute, second = number("d", 1), number("H"), number("M"), number("S")
    if "I" in names:
        half = number("I")
        good &= (half >= 1) & (half <= 12)
        hour = half % 12 + 12 * (is_in("p", "PM") if "p" in names else 0)
    good &= (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60) & (second < 60)
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first, following = (_days_before(months + more) for more in (0, 1))
    good &= (day >= 1) & (day <= following - first)
    moment = (first + day - 1) * 86400 + hour * 3600 + minute * 60 + second
    if "sign" in names:
        ahead = number("zh") * 3600 + number("zm") * 60
        good &= (number("zh") < 24) & (number("zm") < 60)
        moment -= np.where(is_in("sign", "-"), -ahead, ahead)
    limit = (2**63 - 1) // 10**digits - 1
    good &= np.abs(moment) <= limit
    result = np.where(good, moment, 0) * 10**digits
    if "f" in names:
        fraction = pc.ascii_rpad(text("f"), width=9, padding="0").cast(pa.int64()).to_numpy()
        good &= fraction % 10 ** (9 - digits) == 0
        result += fraction // 10 ** (9 - digits)
    return np.where(good, result, 0), good


def _days_before(months: np.ndarray) -> np.ndarray:
    """Days from 1970-01-01 to the first of a month, which is counted from January 1970."""
    days: np.ndarray = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days


def _filled(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    good = pc.is_valid(column).to_numpy(zero_copy_only=False)
    return pc.fill_null(column, 0).to_numpy(zero_copy_only=False).copy(), good.copy()
