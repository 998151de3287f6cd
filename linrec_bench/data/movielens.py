"""`ml-1m` and `ml-100k`: the ratings of MovieLens (Harper and Konstan 2015), every rating an event.

The archives may not be redistributed. They are downloaded from GroupLens on the user's word, checked, and
read in place: nothing is unpacked, so that a name inside an archive never becomes a path.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import pandas as pd
import pooch

from linrec_bench.data import features, table
from linrec_bench.data.sequences import Sequences
from linrec_bench.data.source import FOLDER_VARIABLE, Progress, Source

_TIMEOUT_S = 60
_CHUNK_BYTES = 2**16


@dataclass(frozen=True)
class Archive:
    """A zip file of GroupLens: where it is, its hash, and the file of ratings in it.

    `columns` are the numbers of user, item and time in a line cut at `separator`. `items` is the file of the
    items, and `genres` reads from it what each item's are.
    """

    name: str
    url: str
    known_hash: str
    member: str
    separator: str
    columns: tuple[int, int, int]
    items: str
    genres: Callable[..., pd.Series]


ML_1M = Archive(
    name="ml-1m",
    url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
    known_hash="sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    member="ml-1m/ratings.dat",
    # The file has two colons between fields; cut at one, every other field is empty.
    separator=":",
    columns=(0, 2, 6),
    items="ml-1m/movies.dat",
    genres=partial(features.read_dat, columns=(0, 2)),
)
ML_100K = Archive(
    name="ml-100k",
    url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    known_hash="md5:0e33842e24a9c977be4e0107933c0723",
    member="ml-100k/u.data",
    separator="\t",
    columns=(0, 1, 3),
    items="ml-100k/u.item",
    # After id, title, two dates and an address.
    genres=partial(features.read_flags, first_flag=5),
)


def load(archive: Archive, *, folder: str | None, min_interactions: int) -> Sequences:
    """The histories of the archive, of its file of ratings, or of a csv of the same name.

    They are looked for in `folder`; without it in the folder that LINREC_BENCH_DATA names, then in the cache.
    In a folder the first of name.zip, the file of ratings, name.csv.gz (user_id,item_id,timestamp) is read.
    The features of the items are their genres, where the file of items is beside the ratings, or
    name-items.csv.gz (item_id,title,genres) beside the csv.

    Raises `ValueError` that tells how to get the data when there is none, and for a damaged file.
    """
    folders = [Path(folder).expanduser()] if folder is not None else list(_default_folders())
    for place in folders:
        zipped, prepared = place / f"{archive.name}.zip", place / f"{archive.name}.csv.gz"
        if zipped.is_file():
            return _read_zip(archive, zipped, min_interactions)
        for plain in (place / archive.member, place / Path(archive.member).name):
            if plain.is_file():
                items = plain.with_name(Path(archive.items).name)
                genres = archive.genres(items, where=str(items)) if items.is_file() else None
                with plain.open("rb") as file:
                    return _read_ratings(archive, file, str(plain), min_interactions, genres)
        if prepared.is_file():
            items = place / f"{archive.name}-items.csv.gz"
            return table.load_csv(
                path=str(prepared),
                min_interactions=min_interactions,
                features=str(items) if items.is_file() else None,
                feature="genres",
            )
    looked = ", ".join(map(str, folders))
    raise ValueError(
        f"data {archive.name} is not here (looked in {looked}); run: linrec-bench data fetch {archive.name}"
    )


def fetch(archive: Archive, folder: Path | None, progress: Progress) -> Path:
    """Download the archive into `folder` (by default the cache) unless it is there; returns its path.

    The download goes to a temporary name and is moved when its hash is right. Raises `ValueError` when it
    cannot be had or its hash is wrong, with nothing left behind.
    """
    target = _cache() if folder is None else folder
    downloader = pooch.HTTPDownloader(
        timeout=_TIMEOUT_S, chunk_size=_CHUNK_BYTES, progressbar=_ProgressBar(progress)
    )
    try:
        path = pooch.retrieve(
            archive.url,
            known_hash=archive.known_hash,
            fname=f"{archive.name}.zip",
            path=target,
            downloader=downloader,
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"data {archive.name}: {archive.url} was not fetched; {error}") from None
    return Path(path)


class _ProgressBar:
    """What pooch asks of a progress bar, as calls of a function; pooch sets `total`."""

    def __init__(self, report: Progress) -> None:
        self.report = report
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        # The last chunk is counted whole.
        self.done = min(self.done + count, self.total)
        self.report(self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing to release."""


def _cache() -> Path:
    return Path(pooch.os_cache("linrec-bench"))


def _default_folders() -> Iterator[Path]:
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        yield Path(named).expanduser()
    yield _cache()


def _read_zip(archive: Archive, path: Path, min_interactions: int) -> Sequences:
    try:
        with zipfile.ZipFile(path) as zipped:
            genres = None
            if archive.items in zipped.namelist():
                with zipped.open(archive.items) as file:
                    genres = archive.genres(file, where=f"{path}:{archive.items}")
            with zipped.open(archive.member) as file:
                return _read_ratings(archive, file, f"{path}:{archive.member}", min_interactions, genres)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{path}: not the archive {archive.name} ({error}); remove it and run: "
            f"linrec-bench data fetch {archive.name}"
        ) from None


def _read_ratings(
    archive: Archive, file: IO[bytes], where: str, min_interactions: int, genres: pd.Series | None
) -> Sequences:
    frame = table.read_text(file, where=where, separator=archive.separator, columns=list(archive.columns))
    frame = frame.set_axis(["user", "item", "time"], axis=1)
    return table.to_sequences(
        frame, where=where, unit="line", first=1, min_interactions=min_interactions, features=genres
    )


def _source(archive: Archive, *, title: str) -> Source:
    def load_archive(*, folder: str | None = None, min_interactions: int = 5) -> Sequences:
        return load(archive, folder=folder, min_interactions=min_interactions)

    def fetch_archive(folder: Path | None, progress: Progress) -> Path:
        return fetch(archive, folder, progress)

    return Source(
        name=archive.name,
        title=title,
        licence="GroupLens: research use, no redistribution; see the README of the archive",
        load=load_archive,
        fetch=fetch_archive,
    )


SOURCES = (
    _source(ML_1M, title="a million ratings of 6040 users"),
    _source(ML_100K, title="a hundred thousand ratings of 943 users"),
)
