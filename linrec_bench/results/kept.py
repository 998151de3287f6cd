"""What takes long to find out and seldom changes, kept in the cache folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from linrec_bench.data_folders import cache_folder
from linrec_bench.results.source_hash import code_hash
from linrec_bench.whole_file import replaced

T = TypeVar("T")


def kept(name: str, make: Callable[[], T], *, under: str = "") -> T:
    """What `make` returns, of types of JSON, or what it returned before for the same source code of the
    package and the same text `under`, which tells of all else that it depends on.

    Where the folder cannot be written, nothing is kept.
    """
    file, seal = cache_folder() / f"{name}.json", f"{code_hash()}\0{under}\0"
    try:
        # Absent, of another state or damaged: made anew.
        told, content = file.read_text(encoding="utf-8").split("\n", 1)
        if told == _hash(seal + content):
            stored: T = json.loads(content)
            return stored
    except (OSError, ValueError):
        pass
    found = make()
    content = json.dumps(found)
    try:
        with replaced(file, make_folder=True) as temporary:
            temporary.write_text(f"{_hash(seal + content)}\n{content}", encoding="utf-8")
    except ValueError:
        # A cache that cannot be written costs time only.
        pass
    return found


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
