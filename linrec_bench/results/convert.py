"""A run of schema 1 -> schema 2, in place, whole or not at all.

Schema 1 had no cases.jsonl and said the rest in words: the group of queries, the kernel and why a case was
skipped stood in `detail`, the data type of a ceiling in `phase`. Only here are those words read.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from linrec_bench.case import Case
from linrec_bench.results.case_table import CASES, text_of
from linrec_bench.results.rows import COLUMNS, SCHEMA_VERSION, TRIAL, row_of
from linrec_bench.results.samples_file import StoreError
from linrec_bench.results.store import ENVIRONMENT, SAMPLES, SUMMARY

Cells = dict[str, str]

_ADDED = ("host", "group_by", "group")
_GROUP = re.compile(r"(?P<by>history|users) (?P<group>[^,]+)(?:, (?P<queries>[\d,]+) queries)?(?:, )?")
_SKIPPED = {
    "predicted to need ": "memory",
    "predicted to take ": "time",
    "an earlier round ended as ": "earlier_round",
}
_SHOWN = (
    *("task", "attention", "model", "dataset", "seq_len", "batch_size", "hidden_size", "heads", "layers"),
    *("dtype", "device", "causal", "seed", "phase"),
)
"""What a row of schema 1 showed of its case."""

_ARRAYS = re.compile(r"(?P<case>[0-9a-f]+)-(?P<round>\d+)")


def convert(folder: Path, cases: Sequence[Case]) -> None:
    """Rewrite the run in `folder`, whose suite has `cases`, in the form of now.

    Raises `StoreError` for a run of another version than 1, for damage, and for a row that does not mean one
    of the cases; nothing is changed then.
    """
    _finish_interrupted(folder)
    environment = environment_of(folder)
    ids = _identifiers(folder, cases)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(folder, partial, symlinks=True)
        if (folder / SAMPLES).is_file():
            _write(partial / SAMPLES, COLUMNS, _samples(_rows(folder / SAMPLES), ids))
        if (folder / SUMMARY).is_file():
            summary = list(_summary(_rows(folder / SUMMARY), ids))
            _write(partial / SUMMARY, list(summary[0]) if summary else (), summary)
        for path in [path for path in partial.glob("*/*") if _ARRAYS.match(path.name)]:
            match = _ARRAYS.match(path.name)
            assert match is not None, "chosen by it"
            case = ids.get(match["case"], match["case"])
            path.rename(path.with_name(case + path.name[match.end("case") :]))
        (partial / CASES).write_text(text_of(cases), encoding="utf-8")
        content = {**environment, "schema_version": SCHEMA_VERSION}
        (partial / ENVIRONMENT).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.rename(folder, _aside(folder))
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(_aside(folder))


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.schema1")


def _finish_interrupted(folder: Path) -> None:
    """Undo what a kill between the two renames left."""
    if _aside(folder).is_dir() and not folder.exists():
        os.rename(_aside(folder), folder)
    shutil.rmtree(_aside(folder), ignore_errors=True)


def environment_of(folder: Path) -> dict[str, object]:
    """environment.json of a run of schema 1; `StoreError` for any other."""
    path = folder / ENVIRONMENT
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: damaged, not valid JSON; expected a run's folder") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != 1:
        raise StoreError(f"{path}: schema_version is {version!r}; expected 1, which is what can be converted")
    assert isinstance(found, dict)
    return found


def _identifiers(folder: Path, cases: Sequence[Case]) -> dict[str, str]:
    """Identifier of a case in the files -> its identifier now, by what its rows show."""
    meant: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        shown = row_of(case, run_id="", suite="", measure="", unit="", value=None).as_dict()
        meant.setdefault(tuple(str(shown[column]) for column in _SHOWN), []).append(case)
    found: dict[str, str] = {}
    for name in (SAMPLES, SUMMARY):
        path = folder / name
        catalogues = _catalogues(path)
        for row in _rows(path):
            stored = row["case_id"]
            if stored in found or not stored or (name == SAMPLES and row["measure"] != TRIAL):
                continue
            same = meant.get(tuple(row[column] for column in _SHOWN), [])
            if len(same) > 1 and stored in catalogues:
                same = [
                    case
                    for case in same
                    if case.training and case.training.catalogue_size == catalogues[stored]
                ]
            if len(same) != 1:
                what = "no case" if not same else f"{len(same)} cases"
                raise StoreError(
                    f"{path}: the rows of case {stored} mean {what} of the stored suite; expected one; "
                    "left untouched"
                )
            found[stored] = same[0].id
    return found


def _catalogues(path: Path) -> dict[str, int]:
    """Items that the training steps of a file rank, by case: no axis, yet it tells cases apart."""
    found: dict[str, int] = {}
    for row in _rows(path):
        value = row["value"] if row.get("measure") == "catalogue_size" else row.get("catalogue_size")
        try:
            if value:
                found[row["case_id"]] = int(float(value))
        except (ValueError, OverflowError):
            raise StoreError(f"{path}: damaged, catalogue_size is {value!r}; left untouched") from None
    return found


def _rows(path: Path) -> Iterator[Cells]:
    """The whole rows of a table; the last one of samples may have been cut off. `StoreError` for damage."""
    if not path.is_file():
        return
    needed = (
        (set(COLUMNS) - set(_ADDED)) if path.name == SAMPLES else {*_SHOWN, "case_id", "status", "detail"}
    )
    with path.open(encoding="utf-8", newline="") as file:
        reader, cut = csv.DictReader(file), 0
        if lacking := needed - set(reader.fieldnames or ()):
            raise StoreError(f"{path}: damaged, it lacks the column {min(lacking)}; left untouched")
        for row in reader:
            if cut:
                break
            if None in row or None in row.values():
                cut = reader.line_num
            else:
                yield row
        else:
            cut = 0 if path.name == SAMPLES else cut
        if cut:
            raise StoreError(f"{path}:{cut}: damaged, a row of another length; left untouched")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _samples(rows: Iterator[Cells], ids: Mapping[str, str]) -> Iterator[Cells]:
    """Rows of the trials that were closed; what comes after them was cut off."""
    trial: list[Cells] = []
    counted: set[tuple[str, str, str]] = set()
    for row in rows:
        cells = row | dict.fromkeys(_ADDED, "") | {"case_id": ids.get(row["case_id"], row["case_id"])}
        if group := _GROUP.match(row["detail"] or "") if "@" in row["measure"] else None:
            cells |= {"group_by": group["by"], "group": group["group"]}
            cells["detail"] = row["detail"][group.end() :]
            key = (cells["case_id"], cells["round"], cells["group"])
            if group["queries"] and key not in counted:
                counted.add(key)
                queries = {"measure": "queries", "value": group["queries"].replace(",", "")}
                trial.append(cells | queries)
        elif row["measure"] == "kernel":
            cells |= {"group_by": "kernel", "group": row["detail"], "detail": ""}
        elif row["task"] == "device" and row["measure"] != TRIAL:
            cells |= {"group_by": "dtype", "group": row["dtype"]}
        elif row["measure"] == TRIAL and (reason := _reason(row)):
            cells |= {"group_by": "reason", "group": reason}
        trial.append(cells)
        if row["measure"] == TRIAL:
            yield from ({column: each[column] for column in COLUMNS} for each in trial)
            trial = []


def _summary(rows: Iterator[Cells], ids: Mapping[str, str]) -> Iterator[Cells]:
    for row in rows:
        found: Cells = {}
        for column, cell in row.items():
            found[column] = ids[cell] if column == "case_id" else cell
            if column == "detail":
                found["reason"] = _reason(row)
        yield found


def _reason(row: Cells) -> str:
    if row["status"] != "skipped":
        return ""
    return next((reason for words, reason in _SKIPPED.items() if row["detail"].startswith(words)), "")
