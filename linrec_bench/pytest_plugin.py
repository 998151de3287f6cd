"""Fixtures for any pytest suite, found by entry point; torch is imported when a test asks for one."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def complexity() -> Callable[..., None]:
    """`linrec_bench.testing.assert_complexity`, with the same arguments.

    Where measured times allow both answers, the test is skipped with what was found, whatever
    `filterwarnings` says.
    """
    from linrec_bench.testing import UndecidedWarning, assert_complexity

    def check(*args: object, **kwargs: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UndecidedWarning)
            try:
                assert_complexity(*args, **kwargs)  # type: ignore[arg-type]
            except UndecidedWarning as undecided:
                pytest.skip(str(undecided))

    return check
