"""How sequences are cut."""

from __future__ import annotations

import pytest
import torch

from linrec_bench.attention.ops import block_sizes
from linrec_bench.attention.ops.causal_product import chunk_length


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 100), (4, 5000), (64, 1000), (1, 1 << 20)])
def test_blocks_cover_the_sequence_in_whole_chunks(batch: int, length: int) -> None:
    x = torch.empty(batch, 8, length, 16, device="meta")
    spans = block_sizes.spans_of(x)
    assert [start for start, _ in spans] == [sum(n for _, n in spans[:i]) for i in range(len(spans))]
    assert sum(rows for _, rows in spans) == length
    assert len(spans) <= block_sizes.MAX_BLOCKS or spans[0][1] * x[:, :, 0].nbytes <= 1 << 20
    assert all(rows % chunk_length(16) == 0 for _, rows in spans[:-1])


def test_counts_for_another_device_cut_as_it_would() -> None:
    x = torch.empty(1, 2, 1 << 14, 16, device="meta")
    assert len(block_sizes.spans_of(x)) == 8
    with block_sizes.blocks_as_on("cuda"):
        assert block_sizes.spans_of(x) == [(0, 1 << 14)]
    assert len(block_sizes.spans_of(x)) == 8
