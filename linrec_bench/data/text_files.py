"""Text files of events or items: reads some of their columns, a block of lines at a time.

A row is a line. A field of a file whose separator is one character may stand in double quotes, which close on
its line (`quotes: line`) or on a later one (`quotes: lines`); `quotes: none` takes a quote as it is. What is
not exactly of that form is a bad row, never read as something else.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linrec_bench.data.archives import DAMAGES, ArchiveError
from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.column_roles import role_columns
from linrec_bench.data.columns import check_columns
from linrec_bench.data.opening import opened_log

Quotes = Literal["line", "lines", "none"]

BLOCK_BYTES = 2**23
LONGEST_ROW_BYTES = 2**26
WHITESPACE = "whitespace"
SEPARATORS = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}
"""Words for separators, beside `whitespace`: any run of blanks and tabs."""

_QUOTES = "Set quotes: none if quotes are ordinary characters, or quotes: lines if fields hold line breaks"

_ATOMIC = re.compile(r":(token|float)(_seq)?$")
"""What RecBole writes behind the names of columns."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """Layout of a text file: the columns to read, by name or by position (from 0).

    header: whether line 1 names the columns; None: whether `columns` are names.
    """

    columns: tuple[str | int, ...]
    separator: str = ","
    header: bool | None = None
    quotes: Quotes = "line"

    @property
    def named(self) -> bool:
        return isinstance(self.columns[0], str)

    @property
    def headed(self) -> bool:
        return self.named if self.header is None else self.header


@dataclass(frozen=True)
class Rows:
    """Rows of a file: columns as text (null where empty), and the line where each row begins."""

    columns: pa.Table
    numbers: np.ndarray


def read_text(file: Path | IO[bytes], form: Form, *, bad_rows: BadRows) -> Iterator[Rows]:
    """The rows of a file, part by part; a compressed file is decompressed.

    Lines whose number of fields differs from that of the first line, that open a quote and do not close it,
    or whose text is not UTF-8, are added to `bad_rows`. Raises `ValueError` for an unknown column and for a
    damaged file.
    """
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(opened_log(file)) if isinstance(file, Path) else file
            yield from _Reader(form, bad_rows).rows(stream)
    except (pa.ArrowException, ArchiveError, *DAMAGES) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{bad_rows.where}: cannot be read as a table; {reason}") from None


def fields_of(line: str, separator: str) -> list[str]:
    """The fields of one line, quotes taken off where the separator is one character."""
    if separator == WHITESPACE:
        return line.split()
    if len(separator) > 1:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return line.split(separator)


def column_names(line: str, separator: str) -> list[str]:
    """The names in a header line, without blanks around them and without the types of RecBole."""
    return [_ATOMIC.sub("", name.strip()) for name in fields_of(line, separator)]


class _Reader:
    """Reads one file; knows its width and its columns from the first line on."""

    def __init__(self, form: Form, bad_rows: BadRows) -> None:
        self.form = form
        self.bad_rows = bad_rows
        self.quoted = form.quotes != "none" and len(form.separator) == 1
        self.width = 0
        self.places: list[int] = []
        self.names: list[str] = []

    def rows(self, stream: IO[bytes]) -> Iterator[Rows]:
        number = 1
        for block in self._blocks(stream):
            text = np.frombuffer(block, dtype=np.uint8)
            breaks = np.flatnonzero(text == ord("\n"))
            ends = self._ends(text, breaks)
            numbers = number + np.concatenate(([0], np.searchsorted(breaks, ends[:-1]) + 1))
            number += len(breaks)
            offsets = np.concatenate(([0], ends + 1)).astype(np.int32)
            lines = pa.Array.from_buffers(
                pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)]
            )
            lines = pc.binary_slice(lines, 0, -1)
            if not self.width:
                self._read_first(lines[0].as_py())
                if self.form.headed:
                    lines, numbers = lines[1:], numbers[1:]
            if len(lines):
                yield self._parsed(lines, numbers)
        if not self.width and self.form.headed:
            raise ValueError(f"{self.bad_rows.where}: is empty; expected a header in line 1")

    def _blocks(self, stream: IO[bytes]) -> Iterator[bytes]:
        """Blocks of whole rows; blank lines at the end of the file are left out."""
        rest, first = b"", True
        while chunk := stream.read(BLOCK_BYTES):
            text = (rest + chunk).replace(b"\r\n", b"\n")
            if first:
                text, first = text.removeprefix(b"\xef\xbb\xbf"), False
            end = self._last_end(text)
            rest = text[end:]
            if end:
                yield text[:end]
            if len(rest) > LONGEST_ROW_BYTES:
                raise ValueError(
                    f"{self.bad_rows.where}: a row is longer than {LONGEST_ROW_BYTES // 2**20} MiB; "
                    "is this a text file, and does each quote close?"
                )
        whole = rest.split(b"\n")
        while whole and not whole[-1].strip():
            whole.pop()
        rest = b"\n".join(whole)
        if rest:
            if self.form.quotes == "lines" and self.quoted and rest.count(b'"') % 2:
                raise ValueError(f"{self.bad_rows.where}: a quote is open at the end of the file")
            yield rest + b"\n"

    def _last_end(self, text: bytes) -> int:
        """Where the last whole row ends, of those before the blank lines at the end; 0 if there is none."""
        filled = len(text.rstrip(b"\r\n \t"))
        end = text.rfind(b"\n", 0, filled + 1) + 1 if filled else 0
        if self.form.quotes != "lines" or not self.quoted or not end:
            return end
        ends = self._ends(np.frombuffer(text[:end], dtype=np.uint8))
        return int(ends[-1]) + 1 if len(ends) else 0

    def _ends(self, text: np.ndarray, breaks: np.ndarray | None = None) -> np.ndarray:
        """The line breaks that end a row: all, or those outside of quotes."""
        if breaks is None:
            breaks = np.flatnonzero(text == ord("\n"))
        if self.form.quotes != "lines" or not self.quoted:
            return breaks
        quotes = np.flatnonzero(text == ord('"'))
        ends: np.ndarray = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
        return ends

    def _read_first(self, line: bytes) -> None:
        """Width, places and names of the columns, from the first line."""
        where, form = self.bad_rows.where, self.form
        fields = column_names(line.decode("utf-8", "replace"), form.separator)
        self.width = len(fields)
        if form.headed and isinstance(form.columns[0], str):
            self.names = [_ATOMIC.sub("", str(column)) for column in form.columns]
            check_columns(self.names, fields, where)
            self.places = [fields.index(name) for name in self.names]
            return
        self.places = [int(column) for column in form.columns]
        self.names = [f"field {place + 1}" for place in self.places]
        if form.header is None and len(role_columns(fields)) > 1:
            raise ValueError(
                f"{where}: line 1 looks like a header: {', '.join(fields)}. Set header: true to skip it, or "
                "header: false if it is an event"
            )
        if max(self.places) >= self.width:
            raise ValueError(
                f"{where}: line 1: {self.width} fields between {form.separator!r}; expected "
                f"{max(self.places) + 1} or more. Set separator, or the positions of the columns"
            )

    def _parsed(self, lines: pa.Array, numbers: np.ndarray) -> Rows:
        """The columns of these lines; bad lines are recorded and left out."""
        fields, opened = self._split(lines, numbers)
        counts = pc.fill_null(pc.list_value_length(fields), self.width).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero((counts != self.width) & ~opened)
        bad_rows = self.bad_rows
        blank = pc.equal(pc.binary_length(lines), 0).to_numpy(zero_copy_only=False)

        def reason(row: int) -> str:
            if blank[wrong[row]]:
                return "an empty line"
            return f"{counts[wrong[row]]} fields, not {self.width}"

        bad_rows.add("fields", numbers[wrong], reason)
        bad_rows.add("quote", numbers[opened], lambda _: "a quote is opened and not closed", hint=_QUOTES)
        good = (counts == self.width) & ~opened
        bad_rows.rows += int(np.count_nonzero(~good))
        if not good.all():
            fields, numbers = fields.filter(pa.array(good)), numbers[good]
        columns = [pc.list_element(fields, place) for place in self.places]
        texts, readable = zip(*map(_decoded, columns), strict=True)
        for name, there in zip(self.names, readable, strict=True):
            fault = f"{name} is not UTF-8 text"
            bad_rows.add("text", numbers[~there], lambda _, fault=fault: fault)  # type: ignore[misc]
        table = pa.table(list(texts), names=[str(place) for place in range(len(texts))])
        whole = np.logical_and.reduce(readable)
        bad_rows.rows += int(np.count_nonzero(~whole))
        return Rows(table, numbers) if whole.all() else Rows(table.filter(pa.array(whole)), numbers[whole])

    def _split(self, lines: pa.Array, numbers: np.ndarray) -> tuple[pa.Array, np.ndarray]:
        """The fields of each line, and a mask of the lines whose quotes do not close."""
        separator, opened = self.form.separator, np.zeros(len(lines), dtype=bool)
        if separator == WHITESPACE:
            trimmed = pc.replace_substring_regex(lines, r"^[ \t]+|[ \t]+$", "")
            return pc.split_pattern_regex(trimmed, r"[ \t]+"), opened
        fields = pc.split_pattern(lines, separator)
        if not self.quoted:
            return fields, opened
        rows = np.flatnonzero(pc.match_substring_regex(lines, rf'(^|{re.escape(separator)})"'))
        if not len(rows):
            return fields, opened
        parsed = _unquoted(lines.take(pa.array(rows)).to_pylist(), separator)
        opened[rows] = [row is None for row in parsed]
        if self.form.quotes == "lines" and opened.any():
            raise ValueError(
                f"{self.bad_rows.where}: line {numbers[opened][0]}: a quote is opened and not closed "
                "before the next field; set quotes: none if quotes are ordinary characters"
            )
        order = np.arange(len(lines))
        order[rows] = len(lines) + np.arange(len(rows))
        both = pa.concat_arrays([fields, pa.array(parsed, fields.type)])
        return both.take(pa.array(order)), opened


def _unquoted(lines: list[bytes], separator: str) -> list[list[bytes] | None]:
    """The fields of lines with quotes; None where a quote is not closed."""
    texts = [line.decode("utf-8", "surrogateescape") for line in lines]
    whole = _records(texts, separator)
    if whole is None or len(whole) != len(texts):
        records = (_records([text], separator) for text in texts)
        whole = [record[0] if record else None for record in records]
    return [
        None if row is None else [field.encode("utf-8", "surrogateescape") for field in row] for row in whole
    ]


def _records(texts: list[str], separator: str) -> list[list[str] | None] | None:
    try:
        return list(csv.reader(texts, delimiter=separator, strict=True))
    except csv.Error:
        return None


def _decoded(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The bytes as text, null where empty, and a mask of what is UTF-8."""
    readable = np.ones(len(column), dtype=bool)
    try:
        texts = column.cast(pa.string())
    except pa.ArrowInvalid:
        values = [value.decode("utf-8", "replace") for value in column.to_pylist()]
        texts = pa.array(values, pa.string())
        readable = pc.equal(texts.cast(pa.binary()), column).to_numpy(zero_copy_only=False)
    return pc.if_else(pc.equal(pc.binary_length(column), 0), None, texts), readable
