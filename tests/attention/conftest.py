"""For tests of mechanisms: calls without the checks of shapes that the import hook of jaxtyping adds."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture
def without_shape_checks() -> Iterator[None]:
    """For formulas handed to torch.compile: it traces into the checkers and breaks off in the middle of them,
    and they then refuse what they accept elsewhere."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
