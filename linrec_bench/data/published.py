"""Published data sets, downloaded by `linrec-bench data fetch` or present in a folder, and read in place.

In a folder, the first of these is used: the download, its unpacked files, NAME.csv.gz (columns user_id,
item_id, timestamp).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from linrec_bench.data import event_table
from linrec_bench.data.archives import ArchiveError, NoMember, opened
from linrec_bench.data.bad_rows import BadRows
from linrec_bench.data.event_table import read_events
from linrec_bench.data.events import Events, OnBadRows, identity_of, with_features
from linrec_bench.data.source import Remote, Source
from linrec_bench.data.text_files import Form
from linrec_bench.data_folders import data_folders

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ReadFeatures = Callable[..., "pd.Series"]
"""`(file, *, where)` -> the features of each item by the text of its id."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published data set.

    `members`: the files of events in the archive, read in turn; empty if the download is the file itself.
    `items`: the file of items in the archive, from which `features` reads.
    """

    name: str
    title: str
    licence: str
    remote: Remote
    form: Form
    times: str = "integer"
    members: tuple[str, ...] = ()
    items: str = ""
    features: ReadFeatures | None = None


def read(
    published: Published, *, folder: str | None, min_interactions: int, on_bad_rows: OnBadRows
) -> Events:
    """The log of the data set, from `folder`, or else from the first data folder that contains it.

    Raises `ValueError` with the download command if no folder contains it.
    """
    folders = [Path(folder).expanduser()] if folder is not None else data_folders()
    for place in folders:
        events = _in_folder(published, place, min_interactions, on_bad_rows)
        if events is not None:
            return events
    searched = ", ".join(map(str, folders))
    raise ValueError(
        f"data {published.name} was not found (searched {searched}); "
        f"run: linrec-bench data fetch {published.name}"
    )


def source(published: Published) -> Source:
    """The declaration of the data set."""

    def read_published(
        *, folder: str | None = None, min_interactions: int = 5, on_bad_rows: OnBadRows = "refuse"
    ) -> Events:
        return read(published, folder=folder, min_interactions=min_interactions, on_bad_rows=on_bad_rows)

    return Source(
        name=published.name,
        title=published.title,
        licence=published.licence,
        read=read_published,
        remote=published.remote,
    )


def _in_folder(
    published: Published, place: Path, min_interactions: int, on_bad_rows: OnBadRows
) -> Events | None:
    download, csv = place / published.remote.file, place / f"{published.name}.csv.gz"
    if download.is_file():
        if not published.members:
            return _of_files(published, [download], min_interactions, on_bad_rows)
        return _of_archive(published, download, min_interactions, on_bad_rows)
    for where in (Path, _bare) if published.members else ():
        files = [place / where(member) for member in published.members]
        if all(file.is_file() for file in files):
            return _of_files(published, files, min_interactions, on_bad_rows)
    if not csv.is_file():
        return None
    items = place / f"{published.name}-items.csv.gz"
    return event_table.read_csv(
        path=str(csv),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
        features=str(items) if published.features and items.is_file() else None,
        feature="genres",
    )


def _bare(member: str) -> str:
    return Path(member).name


def _of_files(
    published: Published, files: list[Path], min_interactions: int, on_bad_rows: OnBadRows
) -> Events:
    def parts(bad_rows: list[BadRows]) -> Iterator[pa.Table]:
        for file in files:
            bad_rows.append(BadRows(str(file), "line"))
            yield from read_events(file, published.form, bad_rows[-1], times=published.times)

    events = Events(
        parts=parts,
        identity=tuple(map(identity_of, files)),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
    )
    items = files[0].with_name(_bare(published.items)) if published.features else None
    if published.features is None or items is None or not items.is_file():
        return events
    return with_features(events, items, partial(published.features, items, where=str(items)))


def _of_archive(published: Published, archive: Path, min_interactions: int, on_bad_rows: OnBadRows) -> Events:
    def parts(bad_rows: list[BadRows]) -> Iterator[pa.Table]:
        for member in published.members:
            bad_rows.append(BadRows(f"{archive}:{member}", "line"))
            with _opened(published, archive, member) as file:
                yield from read_events(file, published.form, bad_rows[-1], times=published.times)

    def features() -> pd.Series | None:
        if published.features is None:
            return None
        try:
            with _opened(published, archive, published.items) as file:
                return published.features(file, where=f"{archive}:{published.items}")
        except _Lacking:
            return None

    return Events(
        parts=parts,
        identity=(identity_of(archive),),
        min_interactions=min_interactions,
        on_bad_rows=on_bad_rows,
        features=features,
    )


class _Lacking(ValueError):
    """A valid archive without the file."""


@contextmanager
def _opened(published: Published, archive: Path, member: str) -> Iterator[IO[bytes]]:
    try:
        with opened(archive, member) as file:
            yield file
    except ArchiveError as error:
        refusal = _Lacking if isinstance(error, NoMember) else ValueError
        raise refusal(
            f"{archive}: not the archive {published.name} ({error}); remove it and run: "
            f"linrec-bench data fetch {published.name}"
        ) from None
