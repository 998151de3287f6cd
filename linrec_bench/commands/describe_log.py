"""What `data describe PATH` and `answer` do with a log: find out how it is written, and read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from linrec_bench import data
from linrec_bench.data import Sniffed
from linrec_bench.data.description import Bin
from linrec_bench.data.sequences import Sequences


def is_path(name: str) -> bool:
    """Whether this is a file or folder, or looks like the path of one, and not the name of a data set."""
    if name in data.registry():
        return False
    return os.sep in name or bool(Path(name).suffix) or Path(name).exists()


@dataclass(frozen=True)
class Described:
    """A data set that was read: its source and parameters, `sniffed` where they were found out of a file."""

    source: str
    params: Mapping[str, object]
    sniffed: Sniffed | None
    sequences: Sequences

    @cached_property
    def counts(self) -> dict[str, int | float]:
        """As `data.describe`."""
        return data.describe(self.sequences)

    @property
    def bins(self) -> list[Bin]:
        """As `data.length_bins`."""
        return data.length_bins(self.sequences.lengths)


def described(name: str, params: Mapping[str, object], *, sniffed: Sniffed | None) -> Described:
    """The data set of a name or, where it was `sniffed`, the log; raises `ValueError` as `data.load` does."""
    source, own = (sniffed.source, sniffed.params) if sniffed else (name, dict(params))
    return Described(source, own, sniffed, data.load(source, **own))


def dataset_lines(source: str, params: Mapping[str, object]) -> str:
    """The `dataset:` of a suite, in YAML."""
    content = {"dataset": {"name": source, **params}}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000).rstrip()
