"""What layers have around their mechanism: the short convolution and the gated way out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from linrec_bench.attention import contract
from linrec_bench.attention.published_layers import GatedOutput, ShortConvolution


@pytest.fixture
def convolution() -> ShortConvolution:
    torch.manual_seed(0)
    return ShortConvolution(6).double()


def tokens(length: int, seed: int = 0) -> Tensor:
    return contract.noise((2, length, 6), torch.float64, seed=seed)


def test_each_channel_sees_itself_and_the_three_tokens_before(convolution: ShortConvolution) -> None:
    x = tokens(9)
    kernel, bias = convolution.conv.weight[:, 0], convolution.conv.bias
    assert bias is not None
    behind = F.pad(x, (0, 0, 3, 0))
    exact = sum(kernel[:, place] * behind[:, place : place + 9] for place in range(4)) + bias
    torch.testing.assert_close(convolution(x), F.silu(exact))
    convolution.silu = False
    torch.testing.assert_close(convolution(x), exact)


@pytest.mark.parametrize("sizes", [[1] * 9, [2, 1, 6], [9]])
def test_step_by_step_equals_at_once(convolution: ShortConvolution, sizes: list[int]) -> None:
    x = tokens(9)
    state = convolution.init_state(x)
    rows = []
    for part in x.split(sizes, dim=1):
        state, out = convolution.step(state, part)
        rows.append(out)
    torch.testing.assert_close(torch.cat(rows, dim=1), convolution(x))
    torch.testing.assert_close(state[0], x[:, -3:])


def test_what_stands_in_pads_reaches_no_token(convolution: ShortConvolution) -> None:
    mask = torch.tensor([[False, False, True, True, False, True, True, False]]).expand(2, -1)
    x, others = tokens(8), tokens(8, seed=1)
    changed = torch.where(mask[..., None], x, others)
    torch.testing.assert_close(convolution(changed, mask)[mask], convolution(x, mask)[mask])
    left = mask.new_tensor([False] * 5 + [True] * 3).expand(2, -1)
    torch.testing.assert_close(convolution(x, left)[:, 5:], convolution(x[:, 5:]))


def test_heads_are_normalised_apart_and_gated() -> None:
    torch.manual_seed(0)
    output = GatedOutput(6, norm=nn.LayerNorm(3, elementwise_affine=False)).double()
    o, x = contract.noise((2, 2, 4, 3), torch.float64), tokens(4)
    out = output(o, x)
    torch.testing.assert_close(
        output(o * torch.tensor([1.0, 50.0])[:, None, None] + 7, x), out, rtol=1e-3, atol=1e-3
    )
    plain = GatedOutput(6, norm=nn.Identity()).double()
    exact = (o.transpose(1, 2).flatten(2) * F.silu(x @ plain.gate.weight.T)) @ plain.out.weight.T
    torch.testing.assert_close(plain(o, x), exact)
