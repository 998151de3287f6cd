"""How a token's features become heads, and heads a token."""

from __future__ import annotations

import torch

from linrec_bench.attention import make_layer
from linrec_bench.attention.layer import join_heads, split_heads


def test_a_head_is_a_run_of_neighbouring_features() -> None:
    x = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    heads = split_heads(x, 2)
    assert heads.shape == (2, 2, 3, 4)
    torch.testing.assert_close(heads[:, 0], x[..., :4], rtol=0, atol=0)
    torch.testing.assert_close(heads[:, 1], x[..., 4:], rtol=0, atol=0)
    torch.testing.assert_close(join_heads(heads), x, rtol=0, atol=0)


def test_heads_are_a_view_of_the_token() -> None:
    x = torch.zeros(1, 2, 6)
    split_heads(x, 3)[0, 2, 1, 0] = 1
    assert x.nonzero().tolist() == [[0, 1, 4]]


def test_each_head_of_a_layer_attends_with_its_own_rows_of_the_projections() -> None:
    """Head 1 alone, worked out from rows 4 to 7 of the three projections, gives features 4 to 7."""
    layer = make_layer("softmax", 8, 2, causal=False, seq_len=5).double()
    torch.nn.init.eye_(layer.out.weight)
    torch.nn.init.zeros_(layer.out.bias)
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    q, k, v = (part[..., 4:] for part in layer.qkv(x).chunk(3, dim=-1))
    expected = (q @ k.mT / 2).softmax(dim=-1) @ v
    torch.testing.assert_close(layer(x)[..., 4:], expected)
