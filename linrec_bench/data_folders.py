"""Folders of data: LINREC_BENCH_DATA, then the cache, LINREC_BENCH_CACHE or the user's."""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "LINREC_BENCH_DATA"
CACHE_VARIABLE = "LINREC_BENCH_CACHE"


def cache_folder() -> Path:
    """Folder of downloads and prepared data: LINREC_BENCH_CACHE, else the user's cache."""
    import pooch

    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(pooch.os_cache("linrec-bench"))


def data_folders() -> list[Path]:
    """Folders to search for data: LINREC_BENCH_DATA if set, then the cache."""
    named = os.environ.get(DATA_VARIABLE)
    return [*([Path(named).expanduser()] if named else []), cache_folder()]


def existing(path: str, *, folder: bool = False) -> Path:
    """The file `path`, or also a folder, searched also in the data folders; `ValueError` if there is none."""
    given = Path(path).expanduser()
    folders = [] if given.is_absolute() else data_folders()
    for place in (given, *(folder / given for folder in folders)):
        if place.is_file() or (folder and place.is_dir()):
            return place
        if place.is_dir():
            raise ValueError(f"{path}: is a folder; expected a file (of parquet files, set name: parquet)")
    also = f", nor in {', '.join(map(str, folders))}" if folders else ""
    raise ValueError(f"{path}: no such file{also}; expected the path of a table")
