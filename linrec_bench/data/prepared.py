"""Prepared histories: arrays in the cache, mapped into memory.

    <cache>/prepared/<source>-<key>/{items,timestamps,offsets,item_features}.npy, meta.json

The key is a hash of the source's settings, the identity of its files, and `FORMAT`: a changed file or setting
gets a new folder. A folder appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from linrec_bench.data import item_features, streaming
from linrec_bench.data.events import Events
from linrec_bench.data.sequences import Counts, Sequences
from linrec_bench.data_folders import CACHE_VARIABLE, cache_folder

FORMAT = 2
"""Increased when the arrays change for equal events, so that older folders are not used."""

_META = "meta.json"

_DAMAGES = (OSError, ValueError, TokenError, OverflowError, RecursionError, MemoryError)
"""numpy reads the header of an array as a literal of Python, and believes the shape that it states."""


@dataclass(frozen=True)
class Prepared:
    """A folder of the cache, and whether it existed before."""

    folder: Path
    reused: bool


def prepare(name: str, settings: Mapping[str, object], events: Events) -> Prepared:
    """The folder with the histories of `events`; reads the events only if it does not exist yet.

    Raises `ValueError` as `streaming.build` does, and for a cache that cannot be written; leaves no files
    then.
    """
    origin = {"format": FORMAT, "source": name, "settings": dict(settings), "identity": list(events.identity)}
    key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
    root = cache_folder() / "prepared"
    target = root / f"{name}-{key}"
    try:
        if (target / _META).is_file():
            return Prepared(target, reused=True)
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as scratch:
            folder = Path(scratch) / "whole"
            folder.mkdir()
            _fill(folder, events, origin)
            _rename(folder, target)
    except OSError as error:
        raise ValueError(
            f"data {name}: cannot use the cache {root}: {error}. Set {CACHE_VARIABLE} to another folder"
        ) from None
    return Prepared(target, reused=False)


def load(folder: Path) -> Sequences:
    """The histories of a prepared folder; their arrays are read-only and mapped, not copied.

    Raises `ValueError` for a damaged folder.
    """
    try:
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
        items, timestamps, offsets = (_mapped(folder, name) for name in ("items", "timestamps", "offsets"))
        table = _mapped(folder, "item_features") if meta["featured"] else None
        if not len(items) == len(timestamps) == int(offsets[-1]):
            raise ValueError("its arrays have different lengths")
        if offsets[0] != 0 or (np.diff(offsets) < 1).any():
            raise ValueError("its histories overlap or are empty")
        if items.min() < 1 or items.max() > meta["n_items"]:
            raise ValueError(f"its items are not 1 to {meta['n_items']}")
        return Sequences(
            items=items,
            timestamps=timestamps,
            offsets=offsets,
            n_items=meta["n_items"],
            ordinal=meta["ordinal"],
            item_features=table,
            dropped_rows=meta["dropped_rows"],
            dropped=tuple(meta["dropped"]),
            log=Counts(**meta["log"]),
        )
    except (*_DAMAGES, KeyError, IndexError, TypeError, EOFError) as error:
        raise ValueError(
            f"{folder}: damaged ({error}); remove it, and the next run prepares it again"
        ) from None


def _fill(folder: Path, events: Events, origin: Mapping[str, object]) -> None:
    # Before the events, which take longer, so that an error shows early.
    names = events.features() if events.features else None
    built = streaming.build(events, folder)
    if names is not None:
        np.save(
            folder / "item_features.npy", _table(built.item_ids, names.index, item_features.numbered(names))
        )
    meta = {
        "n_items": len(built.item_ids),
        "ordinal": built.ordinal,
        "dropped_rows": built.dropped_rows,
        "dropped": built.dropped,
        "log": asdict(built.log),
        "featured": names is not None,
        "origin": origin,
    }
    (folder / _META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def _table(
    item_ids: pa.Array, featured: object, numbered: Int64[np.ndarray, "I F"]
) -> Int64[np.ndarray, "V_plus_1 F"]:
    """The features of the items 1..V, after a row of zeros for padding."""
    place = pc.index_in(item_ids.cast(pa.large_string()), value_set=pa.array(featured, pa.large_string()))
    table = np.zeros((len(item_ids) + 1, numbered.shape[1]), dtype=np.int64)
    there = place.is_valid().to_numpy(zero_copy_only=False)
    table[1:][there] = numbered[place.drop_null().to_numpy()]
    return table


def _rename(folder: Path, target: Path) -> None:
    try:
        os.rename(folder, target)
    except OSError:
        # Another process was faster; its arrays are the same.
        if not (target / _META).is_file():
            raise


def _mapped(folder: Path, name: str) -> np.ndarray:
    # A plain array: slices of np.memmap cost more.
    found = np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
    if found.dtype.kind != "i" or not found.dtype.isnative:
        raise ValueError(f"{name}.npy holds {found.dtype}")
    return found
