"""Records of registries that import torch, kept in the cache folder for the code that made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import entry_points

from linrec_bench.data_folders import cache_folder
from linrec_bench.results.environment import code_hash
from linrec_bench.whole_file import replaced

Records = list[dict[str, str]]


def kept(kind: str, make: Callable[[], Records]) -> Records:
    """What `make` returns, or what it returned before for the same source code of the package.

    Mechanisms of other packages may change without notice: with any installed, nothing is kept. Nor is it
    where the folder cannot be written.
    """
    if entry_points(group="linrec_bench.attention"):
        return make()
    file, code = cache_folder() / f"catalogue-{kind}.json", code_hash()
    try:
        # Absent, of another version or damaged: made anew.
        told, content = file.read_text(encoding="utf-8").split("\n", 1)
        if told == _seal(code, content):
            stored: Records = json.loads(content)
            return stored
    except (OSError, ValueError):
        pass
    records = make()
    content = json.dumps(records)
    try:
        with replaced(file, make_folder=True) as temporary:
            temporary.write_text(f"{_seal(code, content)}\n{content}", encoding="utf-8")
    except ValueError:
        # A cache that cannot be written costs time only.
        pass
    return records


def _seal(code: str, content: str) -> str:
    return sha256(f"{code}\0{content}".encode()).hexdigest()
