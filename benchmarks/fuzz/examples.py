"""Examples that Hypothesis makes, which follow from a seed, and values that nothing expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st

ODD = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "linrec",
            "softmax",
            "all",
            "core",
            "train",
            "1GiB",
            "-1",
            "1e999",
            ".inf",
            "0100",
            "cpu",
            "cuda:7",
            "*",
        ]
    ),
)
VALUE = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | ODD.map(str), inner, max_size=3)
    ),
    max_leaves=6,
)


def made(strategy: st.SearchStrategy[object], probe: Callable[[Any], None], *, count: int, seed: int) -> None:
    """Call `probe` with `count` examples that follow from the seed."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def each(example: object) -> None:
        probe(example)

    each()
