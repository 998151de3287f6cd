"""What `data describe PATH` does beside describing: the lines of a suite that read a log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from linrec_bench import data


def is_path(name: str) -> bool:
    """Whether this is a file or folder, or looks like the path of one, and not the name of a data set."""
    if name in data.registry():
        return False
    return os.sep in name or bool(Path(name).suffix) or Path(name).exists()


def dataset_lines(source: str, params: Mapping[str, object]) -> str:
    """The `dataset:` of a suite, in YAML."""
    content = {"dataset": {"name": source, **params}}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000).rstrip()
