"""Work that a program does again and again, named for whoever counts it.

What runs block by block hands each block to `run`. Normally that is a call. Inside `taken_by` a taker answers
instead, which may know what a block of that form costs: see `measures.repeats`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

R = TypeVar("R")

Taker = Callable[[Callable[..., Any], tuple[Any, ...]], Any]
"""(function, inputs) -> what function(*inputs) returns."""

_taker: Taker | None = None


def run(function: Callable[..., R], *inputs: object) -> R:
    """`function(*inputs)`, of a function whose operations depend on the form of its inputs alone: on shapes,
    layouts, types and on what is no tensor, never on numbers in tensors or on calls before."""
    if _taker is None:
        return function(*inputs)
    result: R = _taker(function, inputs)
    return result


@contextmanager
def taken_by(taker: Taker | None) -> Iterator[None]:
    """Inside, `taker` answers for every `run`; None means that everything runs."""
    global _taker
    before, _taker = _taker, taker
    try:
        yield
    finally:
        _taker = before
