import pytest
import torch

from linrec_bench.models.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.999])
def test_the_share_that_is_dropped_and_the_scale_of_the_rest(p):
    torch.manual_seed(0)
    x = torch.randn(701, 999, dtype=torch.float64, requires_grad=True)
    out = Dropout(p)(x)
    dropped = out == 0
    # Five standard deviations of a share of so many draws, and half a level of 16 bits.
    noise = 5 * (p * (1 - p) / x.numel()) ** 0.5 + 2**-17
    assert dropped.double().mean().item() == pytest.approx(p, abs=noise)
    ratio = (out / x).detach()[~dropped]
    assert ratio.min().item() == pytest.approx(ratio.max().item(), rel=1e-12)
    assert ratio.mean().item() == pytest.approx(1 / (1 - p), rel=0.01)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(gradient, (out / x).detach())


def test_entries_are_dropped_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(2**18)) > 0).double() - 0.5
    # The four that share a draw, and neighbours of other draws.
    for distance in (1, 2, 3, 4, 8, 64):
        correlation = (kept[:-distance] * kept[distance:]).mean() * 4
        assert abs(correlation) < 5 / 2**9, distance


def test_the_seed_decides_and_each_call_draws_anew():
    module, x = Dropout(0.3), torch.ones(5, 7, 3)
    torch.manual_seed(1)
    first, second = module(x), module(x)
    torch.manual_seed(1)
    assert torch.equal(module(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_and_shape_stay(dtype):
    x = torch.randn(3, 5, dtype=dtype)
    out = Dropout(0.5)(x.T)
    assert out.dtype == dtype
    assert out.shape == (5, 3)
    assert torch.equal(out[out != 0], 2 * x.T[out != 0])


def test_nothing_happens_in_eval_or_at_share_zero():
    x = torch.randn(4, 4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_a_share_near_its_ends_drops_something_and_not_everything():
    torch.manual_seed(0)
    x = torch.ones(2**20)
    assert 0 < (Dropout(1e-9)(x) == 0).sum() < 100
    assert (Dropout(1 - 1e-9)(x) != 0).any()
