"""What a trial leaves beside its rows: arrays that it hands over, and a state that it may go on from.

results/<suite>/<run>/ranks/<case>-<round>.npz   ranks of the test queries, once the trial is closed;
                                                 other arrays likewise, a folder a name
                      trials/<case>-<round>/     what an open trial works with; gone when it is closed
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RANKS, OPEN = "ranks", "trials"
_FILE = re.compile(r"(?P<case>[0-9a-f]+)-(?P<round>\d+)\.npz")

Arrays = Mapping[str, "np.ndarray"]


@dataclass(frozen=True)
class Scratch:
    """The folder of one open trial, which the process of the trial writes to."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """Where the state of an interrupted training is, or would be."""
        return self.folder / "checkpoint.pt"

    def keep(self, name: str, arrays: Arrays) -> None:
        """Hand over arrays under a name, whole or not at all; they are compressed, a file a name."""
        import numpy as np

        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{name}.partial"
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.folder / f"{name}.npz")


def scratch_of(run: Path, case_id: str, round: int) -> Scratch:
    """The folder of a trial; absent until something is written to it."""
    return Scratch(run.resolve() / OPEN / f"{case_id}-{round}")


def adopt(run: Path, case_id: str, round: int) -> None:
    """Move what a trial has handed over to where it stays. To be called before its closing row is written:
    what was adopted for a trial that never closed is replaced when the trial is measured again."""
    for kept in scratch_of(run, case_id, round).folder.glob("*.npz"):
        folder = run / kept.stem
        folder.mkdir(exist_ok=True)
        os.replace(kept, folder / f"{case_id}-{round}.npz")


def clear(run: Path, case_id: str, round: int) -> None:
    """Remove the folder of a trial that is closed."""
    shutil.rmtree(scratch_of(run, case_id, round).folder, ignore_errors=True)
    if (run / OPEN).is_dir() and not any((run / OPEN).iterdir()):
        (run / OPEN).rmdir()


def ranks(run: Path) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """The arrays of every trial that handed some over, by case and round; `ValueError` for a damaged file."""
    import zipfile

    import numpy as np

    found: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for path in sorted((run / RANKS).glob("*.npz")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            continue
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                found[match["case"], int(match["round"])] = dict(arrays)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: damaged ({error}); remove the file to go on without it") from error
    return found
