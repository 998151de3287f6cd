"""Checks of the parameters that models have in common."""

from __future__ import annotations


def check_sizes(model: str, **sizes: int) -> None:
    """Raise `ValueError` unless every size is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"model {model}: {name} is {size}; expected at least 1")


def check_share(model: str, **shares: float) -> None:
    """Raise `ValueError` unless every share that is dropped leaves something."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"model {model}: {name} is {share}; expected 0 <= {name} < 1")
