import pytest
import torch
import torch.nn.functional as F

from linrec_bench import models
from linrec_bench.attention.spec import Unsupported


def linear(inputs, outputs):
    return inputs * outputs + outputs


def network(d, inner, layers, n_items, length):
    gates = linear(d, inner) + linear(inner, inner) + 2 * linear(d, d)
    block = linear(d, 3 * d) + linear(d, d) + linear(d, inner) + linear(inner, d) + gates + 4 * d
    return (n_items + 1) * d + length * d + 2 * d + layers * block


def test_the_supernet_has_the_size_of_its_equations():
    model = models.build("easrec", n_items=100)
    found = sum(weight.numel() for weight in model.parameters())
    assert found == network(64, 256, 4, 100, 200) + 3 + 4


def test_masks_mix_the_first_features_of_each_option(recommender):
    model = recommender("easrec")
    with torch.no_grad():
        model.alpha.copy_(torch.tensor([0.0, 1.0, 2.0]).log().clamp(min=-50))
    widths, _ = model._shares()
    # Shares 0, 1/3 and 2/3 of 16, 8 and 4 features.
    expected = torch.tensor([1.0] * 4 + [1 / 3] * 4 + [0.0] * 8, dtype=torch.float64)
    torch.testing.assert_close(widths @ model.wide_masks, expected)
    assert model.inner_masks.sum(dim=1).tolist() == [64, 32, 16]


def test_depths_mix_what_the_layers_give(recommender, rows):
    model = recommender("easrec", layers=3)
    with torch.no_grad():
        model.beta.copy_(torch.tensor([0.2, 0.3, 0.5]).log())
    layers = model._layers(rows(), None)
    expected = 0.2 * layers[0] + 0.3 * layers[1] + 0.5 * layers[2]
    torch.testing.assert_close(model(rows()), expected)


def test_the_price_is_that_of_depth_and_width(recommender):
    model = recommender("easrec", layers=2, width_divisors=(1, 2), flops_weight=0.3)
    with torch.no_grad():
        model.alpha.copy_(torch.tensor([0.25, 0.75]).log())
        model.beta.copy_(torch.tensor([0.9, 0.1]).log())
    # Per token of a layer of D features, 4 D inside and 2 heads: q, k, v, out; LinRec; both products; gates.
    large, small = (
        8 * d**2 + 4 * d * d / 2 + 4 * d * (4 * d) + 2 * (d * 4 * d + (4 * d) ** 2) + 4 * d * d
        for d in (16, 8)
    )
    of_layer = (0.25 * large + 0.75 * small) / (large - small)
    expected = 0.3 * (1 / 2) * (0.9 * 1 + 0.1 * 2) * of_layer
    assert model.auxiliary_loss().item() == pytest.approx(expected)


def test_the_temperature_falls_in_training_alone_and_has_a_floor(recommender, rows):
    model = recommender("easrec")
    model(rows())
    assert model.tau == 1
    model.train()
    for _ in range(3):
        model(rows())
    assert model.tau.item() == pytest.approx(1 - 3 * 5e-5)
    model.tau.fill_(0.01002)
    model(rows())
    assert model.tau.item() == pytest.approx(0.01)


def test_it_chooses_the_largest_shares_and_starts_anew(recommender):
    model = recommender("easrec", layers=3)
    with torch.no_grad():
        model.alpha.copy_(torch.tensor([0.1, 0.9, 0.3]))
        model.beta.copy_(torch.tensor([0.1, 0.8, 0.3]))
    assert model.choice() == {"hidden_size": 8, "inner_size": 32, "layers": 2}
    chosen = model.chosen()
    assert sum(weight.numel() for weight in chosen.parameters()) == network(8, 32, 2, 20, 16)
    assert not torch.equal(chosen.items.weight, model.items.weight[:, :8].float())


def test_what_is_chosen_honours_padding(recommender, rows):
    chosen = recommender("easrec").chosen().double().eval()
    items = F.pad(rows(batch=1), (0, 3))
    found = chosen(items, items > 0)[:, :12]
    torch.testing.assert_close(found, chosen(rows(batch=1)))
    other = torch.where(items > 0, items, 5)
    torch.testing.assert_close(chosen(other, items > 0)[:, :12], found)


def test_what_is_chosen_takes_one_event_after_another(recommender, rows):
    chosen = recommender("easrec", causal=True).chosen().double().eval()
    memory, found = chosen.init_state(3), []
    for items in rows().T:
        memory, hidden = chosen.step(memory, items[:, None])
        found.append(hidden)
    torch.testing.assert_close(torch.cat(found, dim=1), chosen(rows()))
    with pytest.raises(Unsupported, match="expected causal: true"):
        recommender("easrec", causal=False).chosen().init_state(3)


def test_widths_that_heads_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="hidden_size 16 cannot be divided by 4 among heads 8"):
        models.build("easrec", n_items=3, hidden_size=16, heads=8)
