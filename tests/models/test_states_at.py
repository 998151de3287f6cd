"""The states of one position a row are those of all positions there, of every model and mechanism."""

import numpy as np
import pytest
import torch

from linrec_bench import attention, models
from linrec_bench.attention.spec import Unsupported

N_ITEMS, LENGTH = 9, 6
TRAINED = [name for name, spec in models.registry().items() if spec.trained_by_gradient]


def rows():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([6, 1, 4])
    mask = torch.arange(LENGTH) < lengths[:, None]
    items = torch.randint(1, N_ITEMS + 1, (3, LENGTH), generator=generator) * mask
    moments = torch.randint(1, 99, (3, LENGTH + 1), generator=generator).cumsum(dim=1)
    return items, mask, moments


def built(name, **params):
    torch.manual_seed(0)
    features = np.arange(N_ITEMS + 1)[:, None] % 4 if models.registry()[name].needs_features else None
    return models.build(name, n_items=N_ITEMS, item_features=features, **params).double()


def check(model):
    items, mask, moments = rows()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    positions = torch.tensor([2, 0, 3])
    given = (items, mask, moments if model.needs_timestamps else None)
    # Dropout draws other masks for fewer positions.
    model.eval()
    expected = model(*given)[torch.arange(3), positions]
    found = model.states_at(positions, *given)
    torch.testing.assert_close(found, expected)
    factors = torch.randn(expected.shape, dtype=expected.dtype)
    wanted = torch.autograd.grad((expected * factors).sum(), weights, allow_unused=True)
    got = torch.autograd.grad((found * factors).sum(), weights, allow_unused=True)
    for gradient, other in zip(got, wanted, strict=True):
        zero = torch.zeros(())
        torch.testing.assert_close(zero if gradient is None else gradient, zero if other is None else other)


@pytest.mark.parametrize("name", TRAINED)
def test_of_every_model(name):
    check(built(name))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("name", list(attention.registry()))
def test_of_every_mechanism(name, causal, norm):
    sizes = {"seq_len": 8, "hidden_size": 8, "heads": 2}
    try:
        model = built("sasrec", attention=name, causal=causal, norm=norm, **sizes)
        check(model)
    except Unsupported as reason:
        pytest.skip(str(reason))


def test_the_last_block_is_spared_the_other_positions():
    items, mask, _ = rows()
    model = built("sasrec", seq_len=8, hidden_size=8, heads=2)
    seen = []
    for block in model.stack.blocks:
        block.feed_forward.register_forward_hook(lambda module, given, out: seen.append(out.shape[:-1]))
    model.states_at(mask.sum(dim=1) - 1, items, mask)
    assert seen == [(3, LENGTH), (3,)]
