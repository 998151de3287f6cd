"""Text files of events: reads the three columns only, a block of lines at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from linrec_bench.data.archives import DAMAGES
from linrec_bench.data.bad_rows import LISTED, BadRows
from linrec_bench.data.columns import EVENT_COLUMNS, Times, check_columns, checked

BLOCK_BYTES = 2**24
_BUFFER_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Form:
    """Layout of a text file: the columns of user, item and time, by name if there is a header line, else by
    number (from 0)."""

    columns: tuple[str, str, str] | tuple[int, int, int]
    separator: str = ","
    times: Times = "integer"

    @property
    def named(self) -> bool:
        return isinstance(self.columns[0], str)


def read_text(file: Path | IO[bytes], form: Form, *, bad_rows: BadRows) -> Iterator[pa.Table]:
    """The events of a file, part by part; a path that ends in .gz is decompressed.

    Lines whose number of fields differs from the first line, and those that `columns.checked` refuses, are
    added to `bad_rows`. Raises `ValueError` for an unknown column and for a damaged file.
    """
    lines = _Lines(form, bad_rows)
    try:
        # Any: pyarrow's files are untyped.
        raw: Any = pa.input_stream(str(file), compression="detect") if isinstance(file, Path) else file
        with io.BufferedReader(raw, buffer_size=_BUFFER_BYTES) as stream:
            yield from lines.parts(stream)
    except KeyError as error:
        fields = max(number for number in form.columns if isinstance(number, int)) + 1
        raise ValueError(
            f"{bad_rows.where}: line 1: expected {fields} fields or more between {form.separator!r}; {error}"
        ) from None
    except (pa.ArrowException, UnicodeDecodeError, *DAMAGES) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{bad_rows.where}: cannot be read as a table; {reason}") from None


class _Lines:
    """Reads lines and keeps their numbers right after lines that the parser skipped."""

    def __init__(self, form: Form, bad_rows: BadRows) -> None:
        self.form = form
        self.bad_rows = bad_rows
        self.first = 1
        self.left_out: list[int] = []

    def parts(self, stream: io.BufferedReader) -> Iterator[pa.Table]:
        header = self._header(stream) if self.form.named else None
        # pyarrow calls columns without names f0, f1, ...
        wanted = [str(column) if header else f"f{column}" for column in self.form.columns]
        rows = 0
        # pyarrow refuses an empty file; here it is a log without events.
        for batch in self._open(stream, header, wanted) if stream.peek(1) else ():
            part = pa.Table.from_batches([batch])
            yield checked(
                part,
                names=wanted if header else EVENT_COLUMNS,
                number=self._numbering(rows),
                bad_rows=self.bad_rows,
                times=self.form.times,
            )
            rows += len(part)

    def _header(self, stream: io.BufferedReader) -> list[str]:
        line = stream.readline().decode("utf-8-sig")
        names = next(csv.reader([line], delimiter=self.form.separator), [])
        if not names:
            raise ValueError(f"{self.bad_rows.where}: cannot be read as a table; expected a header in line 1")
        check_columns(self.form.columns, names, self.bad_rows.where)
        self.first = 2
        return names

    def _open(self, stream: io.BufferedReader, header: list[str] | None, wanted: list[str]) -> Any:
        return arrow_csv.open_csv(
            stream,
            # The parser numbers the lines that it leaves out only where it runs in one thread.
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=header,
                autogenerate_column_names=header is None,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.form.separator,
                # A line that is skipped unseen would shift the numbers of those below it.
                ignore_empty_lines=False,
                invalid_row_handler=self._leave_out,
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                # Only an empty field is missing: NA, null and nan are ids like others.
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _leave_out(self, row: arrow_csv.InvalidRow) -> str:
        number = row.number + self.first - 1
        if len(self.left_out) < LISTED:
            self.left_out.append(number)
        self.bad_rows.add(number, f"{row.actual_columns} fields, not {row.expected_columns}")
        return "skip"

    def _numbering(self, rows: int) -> Callable[[int], int]:
        def number(row: int) -> int:
            """Line number, counting skipped lines, of which the first ten are known."""
            place = self.first + rows + row
            for line in self.left_out:
                if line > place:
                    break
                place += 1
            return place

        return number
