"""What a trial leaves beside its rows: arrays that it hands over, and a state that it may go on from.

results/<suite>/<run>/ranks/<case>-<round>.npz   ranks of the test queries, once the trial is closed;
                                                 other arrays likewise, a folder a name
                      trials/<case>-<round>/     what an open trial works with; gone when it is closed
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from linrec_bench.whole_file import inside, replaced

if TYPE_CHECKING:
    import numpy as np

RANKS, OPEN = "ranks", "trials"
_FILE = re.compile(r"(?P<case>[0-9a-f]+)-(?P<round>\d+)\.npz")


def folder_of(run: Path, case_id: str, round: int) -> Path:
    """What an open trial works with, such as the state of a training; absent until something is written."""
    return inside(run.resolve(), OPEN, f"{case_id}-{round}")


def store(run: Path, case_id: str, round: int, artefacts: Mapping[str, bytes]) -> None:
    """Keep the arrays that a trial handed over, each file whole or not at all. To be called before its
    closing row is written: those of a trial that never closed are replaced when it is measured again."""
    for name, content in artefacts.items():
        path = inside(run, name, f"{case_id}-{round}.npz")
        with replaced(path, make_folder=True) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def clear(run: Path, case_id: str, round: int) -> None:
    """Remove the folder of a trial that is closed."""
    shutil.rmtree(folder_of(run, case_id, round), ignore_errors=True)
    if (run / OPEN).is_dir() and not any((run / OPEN).iterdir()):
        (run / OPEN).rmdir()


def artefacts(run: Path) -> Iterator[tuple[tuple[str, int], Path]]:
    """Case and round of the trials that handed over files, with each file; a trial that never closed may have
    left some too."""
    for path in sorted(run.glob("*/*.npz")):
        if match := _FILE.fullmatch(path.name):
            yield (match["case"], int(match["round"])), path


def ranks(run: Path) -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """The arrays of every trial that handed some over, by case and round; `ValueError` for a damaged file."""
    import zipfile
    import zlib
    from tokenize import TokenError

    import numpy as np

    # RuntimeError: an encrypted archive, or a method of packing that there is not. numpy reads the header of
    # an array as a literal of Python (TokenError), and believes the shape that it states (MemoryError).
    damages = (
        *(OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error),
        *(TokenError, OverflowError, MemoryError),
    )
    found: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for path in sorted((run / RANKS).glob("*.npz")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            continue
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                found[match["case"], int(match["round"])] = dict(arrays)
        except damages as error:
            raise ValueError(
                f"{path}: damaged, expected arrays of users and ranks; remove the file to go on without it"
            ) from error
    return found
