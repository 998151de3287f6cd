"""Hook that lets counters evaluate repeated blocks once.

Code that works block by block passes each block to `run`, which normally calls it. Inside `taken_by` the
taker is called instead; a counter may already know the cost of such a block.
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
    """Within the context, `taker` evaluates every `run`; with None each block is called."""
    global _taker
    before, _taker = _taker, taker
    try:
        yield
    finally:
        _taker = before
