"""The cache of keys and values: what it holds, what it costs, where it ends."""

from __future__ import annotations

import pytest
import torch

from linrec_bench.attention import core, init_state, step
from linrec_bench.attention.ops import kv_cache


def test_it_holds_what_came_in_order_and_takes_its_memory_once() -> None:
    k, v = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4)
    state = kv_cache.init_state(k, seq_len=5)
    home = state[0].untyped_storage().data_ptr()
    state = kv_cache.remember(state, k[:, :, :2], v[:, :, :2])
    state = kv_cache.remember(state, k[:, :, 2:], v[:, :, 2:])
    torch.testing.assert_close(state, (k, v))
    assert state[0].untyped_storage().data_ptr() == home
    assert sum(x.nbytes for x in state) == k.nbytes + v.nbytes


def test_a_full_cache_says_so() -> None:
    k = torch.randn(1, 1, 3, 4)
    state = kv_cache.init_state(k, seq_len=2)
    with pytest.raises(ValueError, match="event 3 does not fit a cache made for seq_len 2"):
        kv_cache.remember(state, k, k)


@pytest.mark.parametrize("name", ["softmax", "sdpa", "linrec"])
def test_the_public_functions_decode(name: str) -> None:
    q, k, v = (torch.randn(2, 3, 7, 4) for _ in range(3))
    state = init_state(name, q, seq_len=7)
    rows = []
    for t in range(7):
        state, row = step(name, state, *(x[:, :, t : t + 1] for x in (q, k, v)), seq_len=7)
        rows.append(row)
    torch.testing.assert_close(torch.cat(rows, dim=2), core(name, q, k, v, causal=True))
