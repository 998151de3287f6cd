"""Runs are created whole, appended trial by trial, read back checked.

With its neighbours the only module that touches results/:

results/<suite>/<run>/samples.csv        tidy rows, one a raw sample
                      summary.csv        one row a case and phase
                      environment.json   where and how it was measured
                      suite.yaml         the resolved suite
                      cases.jsonl        its cases, every field
                      ranks/             of the test queries, where models were ranked
                      quality.csv        variants against each other, paired by user and seed
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from linrec_bench.case import Case
from linrec_bench.results import scratch
from linrec_bench.results.case_table import CASE_DATA, CASES, joined, read_cases, text_of
from linrec_bench.results.rows import COLUMNS, SCHEMA_VERSION, TRIAL, Row
from linrec_bench.results.samples_file import StoreError as StoreError
from linrec_bench.results.samples_file import read_samples
from linrec_bench.whole_file import inside, replaced

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SAMPLES, SUMMARY, ENVIRONMENT, SUITE = "samples.csv", "summary.csv", "environment.json", "suite.yaml"
CARDS, QUALITY = "cards.json", "quality.csv"

GOES_ON = "the same command goes on with the run"

_OF_CASE = ("run_id", "suite", "task", "attention", "model", "dataset", "dtype", "device", "phase")
_OF_QUALITY = (*_OF_CASE, "against", "metric", "difference", "low", "high", "p")
_OF_SUMMARY = (*_OF_CASE, "case_id", "status", "detail", "rounds", "time_s", "memory_bytes")

_TEXTS = (
    *(*_OF_CASE, "case_id", "status", "detail", "reason", "kernel", "interval_over", "reference"),
    *("model_name", "system", "against", "metric", "over"),
)
"""The columns of summary.csv and quality.csv that hold texts; all others hold numbers."""

OLD_VERSIONS = (1,)
"""Schema versions that `results.convert` reads."""

Trial = tuple[str, int]
"""A case's id and a round."""


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table that was stored whole: `_TEXTS` as texts, empty where there is none, all else as numbers.

    Raises `StoreError` for a damaged one and one that lacks any of `columns`.
    """
    import pandas as pd

    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is cut off")
        header, *rows = csv.reader(io.StringIO(text), strict=True)
        for number, row in enumerate(rows, start=1):
            if len(row) != len(header):
                raise ValueError(f"row {number} has {len(row)} cells; expected {len(header)}")
        types = dict.fromkeys(_TEXTS, str)
        frame = pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=False, na_values=[""])
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path}: damaged, not a table ({reason}); left untouched") from error
    lacking = [name for name in columns if name not in frame]
    if lacking:
        raise StoreError(f"{path}: damaged, it lacks the column {lacking[0]}; left untouched")
    for name in frame:
        if name not in _TEXTS and not pd.api.types.is_numeric_dtype(frame[name]):
            raise StoreError(f"{path}: damaged, {name} is not a number in every row; left untouched")
    texts = [name for name in _TEXTS if name in frame]
    return frame.assign(**{name: frame[name].astype(object).fillna("") for name in texts})


@dataclass(frozen=True)
class Run:
    """One stored run."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def environment(self) -> dict[str, object]:
        """The content of environment.json; `StoreError` when it is missing, damaged or of another schema."""
        path = self.folder / ENVIRONMENT
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}); expected a run's folder") from error
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path}: damaged, not valid JSON; move the folder away to go on") from error
        version = found.get("schema_version") if isinstance(found, dict) else None
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{path}: schema_version is {version!r}; expected {SCHEMA_VERSION}; "
                + (
                    f"convert it: linrec-bench convert {self.folder}"
                    if version in OLD_VERSIONS
                    else "read it with the version of linrec-bench that wrote it"
                )
            )
        assert isinstance(found, dict)
        return found

    def suite_text(self) -> str:
        try:
            return (self.folder / SUITE).read_text(encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{self.folder / SUITE}: cannot be read ({error.strerror})") from error

    def finished_trials(self) -> set[Trial]:
        """The trials whose closing row is stored."""
        samples = self.samples()
        closing = samples[samples["measure"] == TRIAL]
        return set(zip(closing["case_id"], closing["round"].map(int), strict=True))

    def cases(self) -> dict[str, Case]:
        """Every case of the run's suite, by the identifier under which it is stored."""
        return read_cases(self.folder)

    def device(self) -> str:
        """The kind of device that it was measured on, `cpu` or `cuda`; cpu where it does not say."""
        device = self.environment().get("device")
        return str(device.get("kind") or "cpu") if isinstance(device, dict) else "cpu"

    def has_samples(self) -> bool:
        """Whether the raw samples are stored; a run that is kept for reference may hold its summary only."""
        return (self.folder / SAMPLES).is_file()

    def samples(self) -> pd.DataFrame:
        """Every row of the trials that were closed, typed, with the data of its case (`CASE_DATA`), texts as
        categories (`samples_file.plain`); cut-off rows are left out."""
        return joined(read_samples(self.folder / SAMPLES).frame, self.cases(), where=self.folder)

    def ranks(self) -> dict[Trial, dict[str, np.ndarray]]:
        """`user`, `rank` and `history` (events before the target) of the test queries of each closed trial
        that ranked some; `StoreError` for a damaged file."""
        closed = self.finished_trials()
        try:
            found = scratch.ranks(self.folder)
        except ValueError as error:
            raise StoreError(str(error)) from error
        now = {stored: case.id for stored, case in self.cases().items()}
        by_trial = {(now.get(case_id, case_id), round): arrays for (case_id, round), arrays in found.items()}
        return {trial: arrays for trial, arrays in by_trial.items() if trial in closed}

    def half_written(self) -> int:
        """Rows of trials that were cut off, which `samples` leaves out."""
        return read_samples(self.folder / SAMPLES).cut_off

    def summary(self) -> pd.DataFrame:
        """One row a case and phase, with the data of its case (`CASE_DATA`)."""
        path = self.folder / SUMMARY
        if not path.is_file():
            raise StoreError(f"{path}: missing; the run is unfinished, finish it with `linrec-bench run`")
        return joined(_table(path, _OF_SUMMARY), self.cases(), where=self.folder)

    def write_summary(self, summary: pd.DataFrame) -> Path:
        """Replace summary.csv whole; of `CASE_DATA` it holds no more than the distance of a watermark."""
        path = self.folder / SUMMARY
        beside = [name for name in CASE_DATA if name in summary and not _shown(summary, name)]
        with replaced(path) as temporary:
            summary.drop(columns=beside).to_csv(temporary, index=False, float_format="%.6g")
        return path

    def write_quality(self, differences: pd.DataFrame) -> None:
        """Replace quality.csv whole; without a difference there is none."""
        path = self.folder / QUALITY
        if differences.empty:
            path.unlink(missing_ok=True)
            return
        with replaced(path) as temporary:
            differences.to_csv(temporary, index=False, float_format="%.6g")

    def quality(self) -> pd.DataFrame | None:
        """The table that `write_quality` stored; None where nothing was to be compared."""
        path = self.folder / QUALITY
        if not path.is_file():
            return None
        frame = _table(path, _OF_QUALITY)
        if "system" not in frame and "attention" in frame:
            # Versions before 2026-11-28 stored the name of a system in `attention`.
            frame = frame.assign(system=frame["attention"], model_name=frame["model"])
        return frame if "detectable" in frame else frame.assign(detectable=float("nan"))

    def is_summarised(self) -> bool:
        """Whether the summary tells of every trial that was closed; it is the last table that is written."""
        try:
            told = self.summary()["trials"]
        except (StoreError, KeyError):
            return False
        return int(told.sum()) == sum(bool(case_id) for case_id, _ in self.finished_trials())

    def has_cards(self) -> bool:
        """Whether the semantics cards of the run's mechanisms are stored."""
        return (self.folder / CARDS).is_file()

    def write_cards(self, cards: Sequence[Mapping[str, object]]) -> Path:
        """Store the semantics cards, in the form of `verify --json`, whole or not at all."""
        path = self.folder / CARDS
        with replaced(path) as temporary:
            temporary.write_text(json.dumps(list(cards), indent=2) + "\n", encoding="utf-8")
        return path


def _shown(summary: pd.DataFrame, column: str) -> bool:
    return column == "watermark_distance" and bool(summary[column].notna().any())


class Writer:
    """Appends to one run, which it holds locked: use it as a context."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._file: io.FileIO | None = None

    def __enter__(self) -> Writer:
        path = inside(self.run.folder, SAMPLES)
        with ExitStack() as on_error:
            # Without a buffer: what could not be written must not be tried again when it is closed.
            self._file = on_error.enter_context(path.open("r+b", buffering=0))
            # Windows has none; there nothing is measured, and runs are only read.
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"{path}: another process is writing this run") from None
            end = read_samples(path).end
            on_error.pop_all()
        # Rows after the last closed trial were cut off by a kill; the trial will be measured again.
        self._file.truncate(end)
        self._file.seek(end)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        self._file.close()

    def check(self) -> None:
        """Raise `StoreError` where the run is no longer there: what is measured would be lost."""
        assert self._file is not None
        path = self.run.folder / SAMPLES
        try:
            same = os.path.samestat(os.fstat(self._file.fileno()), path.lstat())
        except OSError:
            same = False
        if not same:
            raise StoreError(
                f"{path}: was moved or removed while the run was measured, which ends here; put it back, and "
                f"{GOES_ON}"
            )

    def checkpoint(self, trial: Trial) -> Path:
        """Where a trial may keep its state until it is closed."""
        return scratch.folder_of(self.run.folder, *trial) / "checkpoint.pt"

    def append(self, rows: Iterable[Row], artefacts: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """Add the rows of one trial, the last of which closes it, in one write that has reached the disk.

        Its artefacts (files of arrays, by name) are stored where it ended ok; its checkpoint is removed.
        """
        assert self._file is not None
        whole = list(rows)
        closing = whole[-1]
        if closing.status == "ok":
            scratch.store(self.run.folder, closing.case_id, closing.round, artefacts)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writerows(row.as_dict() for row in whole)
        self.check()
        end, left = self._file.tell(), text.getvalue().encode()
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise StoreError(
                f"{self.run.folder / SAMPLES}: cannot be written ({error.strerror}); the rows of this trial "
                f"are left out. Make room, then {GOES_ON}"
            ) from error
        scratch.clear(self.run.folder, closing.case_id, closing.round)


def create(
    root: Path,
    *,
    suite: str,
    suite_text: str,
    cases: Iterable[Case],
    environment: Mapping[str, object],
    now: datetime,
    fill: Callable[[Run, str], None] = lambda _run, _id: None,
) -> Run:
    """A new run under root/<suite>/, complete or absent: its folder appears by one rename.

    It is empty, or holds what `fill` writes into it under its identifier before it appears.
    """
    parent = root / suite
    begun = now.astimezone(UTC)
    run_id = f"{begun:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    temporary = parent / f".{run_id}.partial"
    try:
        temporary.mkdir(parents=True)
        (temporary / SAMPLES).write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        (temporary / SUITE).write_text(suite_text, encoding="utf-8")
        (temporary / CASES).write_text(text_of(cases), encoding="utf-8")
        content = {
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "suite": suite,
            "number": _next_number(parent),
            "created_utc": begun.isoformat(timespec="microseconds"),
            **environment,
        }
        (temporary / ENVIRONMENT).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        fill(Run(temporary), run_id)
        os.rename(temporary, parent / run_id)
    except OSError as error:
        raise StoreError(
            f"{parent}: cannot hold results ({error.strerror}); expected a folder with room that you may "
            "write to, such as with --results"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Run(parent / run_id)


def _next_number(suite_folder: Path) -> int:
    """One above the numbers of the runs that are there; those of damaged runs cannot count."""
    numbers = [0]
    for path in suite_folder.glob(f"*/{ENVIRONMENT}"):
        with suppress(StoreError):
            number = Run(path.parent).environment().get("number")
            numbers.append(number if isinstance(number, int) else 0)
    return max(numbers) + 1


def cards(root: Path, *, fingerprint: str) -> list[dict[str, object]]:
    """The semantics cards that runs of this fingerprint under `root` stored; damaged files have none."""
    found: list[dict[str, object]] = []
    for path in sorted(root.glob(f"*/*/{CARDS}")):
        try:
            if Run(path.parent).environment().get("fingerprint") == fingerprint:
                found += json.loads(path.read_text(encoding="utf-8"))
        except (StoreError, OSError, ValueError, TypeError, RecursionError):
            continue
    return [card for card in found if isinstance(card, dict)]


def open_run(path: Path) -> Run:
    """The run in a folder that a person names, whole or kept as a summary; `StoreError` when it is none."""
    run = Run(path)
    run.environment()
    if run.has_samples() or not (path / SUMMARY).is_file():
        read_samples(path / SAMPLES)
    return run
