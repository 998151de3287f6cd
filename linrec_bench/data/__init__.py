"""Which sequences: one file a source, found by its `SOURCE`; the splits and batches made of them."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

import numpy as np

from linrec_bench.data.sequences import Sequences
from linrec_bench.data.source import Progress, Source
from linrec_bench.registry import Registry

__all__ = ["Progress", "Source", "describe", "fetch", "load", "registry"]


@cache
def registry() -> Registry[Source]:
    """Every source by name: the `SOURCES` of the files of this package."""
    found = (
        importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    return Registry(
        "data", [(source.name, source) for module in found for source in getattr(module, "SOURCES", ())]
    )


def load(name: str, **params: object) -> Sequences:
    """The histories of the source `name` with its own parameters.

    Raises `ValueError` for an unknown name (its subclass `UnknownName`), parameters that the source does not
    have, and data that is absent or damaged, saying what to do.
    """
    source = registry()[name]
    source.check_params(params)
    return source.load(**params)


def _silent(done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody watches."""


def fetch(name: str, *, folder: Path | None = None, progress: Progress = _silent) -> Path:
    """Download the source `name` into `folder` (by default the cache), check its hash, return the file.

    Raises `ValueError` where there is nothing to download, and for a download that failed or was damaged,
    of which nothing stays behind.
    """
    source = registry()[name]
    if source.fetch is None:
        fetched = ", ".join(other.name for other in registry().values() if other.fetch)
        raise ValueError(f"data {name} is not downloaded; expected one of: {fetched}")
    return source.fetch(folder, progress)


def describe(sequences: Sequences) -> dict[str, int | float]:
    """Counts, the lengths of the histories in events, and the share of user-item pairs that occur.

    Raises `ValueError` when there is no user.
    """
    if not sequences.n_users:
        raise ValueError("there are no users to describe")
    lengths = sequences.lengths
    user = np.repeat(np.arange(sequences.n_users), lengths)
    pairs = np.unique(user * (sequences.n_items + 1) + sequences.items)
    return {
        "users": sequences.n_users,
        "items": sequences.n_items,
        "events": sequences.n_events,
        "mean_length": float(lengths.mean()),
        "median_length": float(np.median(lengths)),
        "max_length": int(lengths.max()),
        "density": len(pairs) / (sequences.n_users * sequences.n_items),
    }
