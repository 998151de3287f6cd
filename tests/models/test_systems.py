"""The whole systems: sizes worked out from their equations, and what sets each of them apart."""

import pytest
import torch
import torch.nn.functional as F

from linrec_bench import models
from linrec_bench.attention.spec import Unsupported
from linrec_bench.models.recgrela import drop_rows

ITEMS = 3416
"""Of ML-1M where every user and item has five events."""


def parameters(model):
    return sum(weight.numel() for weight in model.parameters())


def linear(inputs, outputs):
    return inputs * outputs + outputs


def test_recgrela_has_the_published_size():
    """The log of its repository says 436,672 trainable parameters on ML-1M."""
    table, norm = (ITEMS + 1) * 64, 2 * 64
    mixing = linear(64, 128) + 64 * 4 + 64
    block = 3 * linear(64, 64) + mixing + 2 * norm + linear(64, 256) + linear(256, 64)
    assert table + norm + 4 * block == 436_672
    assert parameters(models.build("recgrela", n_items=ITEMS)) == 436_672


def test_hstu_has_the_size_of_its_equations():
    # Projections to u, v, q, k without bias and out with one, a bias for each distance and each bucket.
    block = 4 * 50 * 50 + linear(50, 50) + 200 + 129
    assert parameters(models.build("hstu", n_items=ITEMS)) == (ITEMS + 1) * 50 + 200 * 50 + 2 * block


def test_fuxi_linear_has_the_size_of_its_equations():
    n, d, heads = 1024, 128, 4
    # u is three times as wide as q, k and v; one number a head for retention and for time; alpha and beta.
    retention, temporal, positional = 6 * d * d + heads, d * d + heads, d * d + 32 * n + 2
    block = retention + temporal + positional + 3 * d * d + 3 * d * d
    assert parameters(models.build("fuxi-linear", n_items=ITEMS)) == (ITEMS + 1) * d + n * d + 4 * block


def test_mamba4rec_has_the_size_of_its_equations():
    d, heads, inner = 64, 4, 128
    # Gate, C, B and x without biases, a convolution over the last three, and dt, A and the skip of each head.
    space = 4 * d * inner + 3 * inner * (4 + 1) + d * heads + 3 * heads + inner + inner * d
    block = space + linear(d, 4 * d) + linear(4 * d, d) + 4 * d
    assert parameters(models.build("mamba4rec", n_items=ITEMS)) == (ITEMS + 1) * d + 2 * d + block


def test_lrurec_has_the_size_of_its_equations():
    d = 64
    # 2 D complex numbers, each pair of weights counted as two, and nu, theta and gamma of each.
    unit = linear(d, 4 * d) + linear(4 * d, d) + 3 * 2 * d
    block = unit + linear(d, 4 * d) + linear(4 * d, d) + 4 * d
    assert parameters(models.build("lrurec", n_items=ITEMS)) == (ITEMS + 1) * (d + 1) + 2 * d + 2 * block


def test_gru4rec_has_the_size_of_its_equations():
    # Two products and two biases for each of three gates; the table has the biases of the items.
    units = 3 * (2 * 100 * 100 + 2 * 100)
    assert parameters(models.build("gru4rec", n_items=ITEMS)) == (ITEMS + 1) * 101 + units


@pytest.mark.parametrize("mechanism", ["lightsans", "lightsans-linear"])
def test_lightsans_has_the_size_of_its_equations(mechanism):
    # q, k, v and out; 15 interests for keys and for values.
    block = linear(64, 3 * 64) + linear(64, 64) + 2 * 64 * 15 + linear(64, 256) + linear(256, 64) + 4 * 64
    around = (ITEMS + 1) * 64 + 2 * 64
    if mechanism == "lightsans":
        # The table of positions, its norm, and its two projections.
        block += 50 * 64 + 2 * 64 + 2 * linear(64, 64)
    else:
        around += 50 * 64
    found = parameters(models.build("lightsans", n_items=ITEMS, attention=mechanism))
    assert found == around + 2 * block


def test_drop_path_drops_whole_rows_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = drop_rows(torch.ones(4000, 2, 3), 0.25)
    rows = dropped.flatten(1)
    assert torch.equal(rows.amin(dim=1), rows.amax(dim=1))
    assert sorted(set(rows[:, 0].tolist())) == [0.0, pytest.approx(1 / 0.75)]
    assert rows.mean().item() == pytest.approx(1, abs=0.03)


def test_a_row_of_recgrela_that_is_dropped_keeps_its_sums(recommender, rows):
    model = recommender("recgrela", dropout=0.0, drop_path=0.5, layers=1, causal=True)
    block = model.stack.blocks[0]
    x = model._embedded(rows(batch=64))
    kept = block(x)
    torch.manual_seed(3)
    block.train()
    dropped = block(x)
    alone = x + block.feed_forward(x)
    same = torch.isclose(dropped, alone).flatten(1).all(dim=1)
    assert 16 < same.sum() < 48
    assert not torch.isclose(kept, alone).flatten(1).all(dim=1).any()


def test_hstu_is_a_cosine_over_a_temperature(recommender, rows, states, scores):
    model = recommender("hstu", temperature=0.1)
    found = scores(model, rows())
    cosines = F.cosine_similarity(
        states(model, rows())[:, -1, None], model.items.weight[None, 1:].expand(3, -1, -1), dim=-1
    )
    torch.testing.assert_close(found[:, 1:], cosines / 0.1)


def test_hstu_and_its_request_time(recommender, rows, times):
    """The time of the request moves the last state and no other."""
    model = recommender("hstu")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "bias.time" in name:
                weight.copy_(torch.linspace(-3, 3, len(weight)))
    asked = times(model, rows())
    later = asked.clone()
    later[:, -1] += 100_000
    before, after = model(rows(), None, asked), model(rows(), None, later)
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert (before[:, -1] - after[:, -1]).abs().max() > 1e-3


def test_gru4rec_follows_its_equations(recommender, rows, states):
    model = recommender("gru4rec", layers=1)
    with torch.no_grad():
        for weight in model.units.parameters():
            weight.normal_()
        model.items.weight[1:].normal_()
    w, u, b, c = (
        getattr(model.units, f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    hidden = torch.zeros(3, 16, dtype=torch.float64)
    for items, found in zip(rows().T, states(model, rows()).transpose(0, 1), strict=True):
        given, kept = model.items.weight[items, :-1] @ w.T + b, hidden @ u.T + c
        (r, z, n), (r_kept, z_kept, n_kept) = given.chunk(3, dim=1), kept.chunk(3, dim=1)
        reset, update = (r + r_kept).sigmoid(), (z + z_kept).sigmoid()
        hidden = (1 - update) * (n + reset * n_kept).tanh() + update * hidden
        torch.testing.assert_close(found[:, :-1], hidden)
        assert (found[:, -1] == 1).all()


def test_the_biases_of_gru4rec_reach_the_scores(recommender, rows, scores):
    model = recommender("gru4rec")
    before = scores(model, rows())
    with torch.no_grad():
        model.items.weight[4, -1] += 2
    difference = scores(model, rows()) - before
    torch.testing.assert_close(difference, 2.0 * F.one_hot(torch.tensor([4, 4, 4]), 21).double())


def test_what_looks_back_alone_refuses_to_look_ahead(recommender):
    for name in ("gru4rec", "hstu", "fuxi-linear", "mamba4rec", "lrurec"):
        own = models.registry()[name].mechanisms[0].replace("no-op", name)
        with pytest.raises(Unsupported, match=f"{own} has no bidirectional form"):
            recommender(name, causal=False)
    with pytest.raises(Unsupported, match="lightsans has no causal form"):
        recommender("lightsans", causal=True)


def test_the_linear_lightsans_has_positions_of_its_own(recommender):
    assert recommender("lightsans").stack.positions is None
    assert recommender("lightsans", attention="lightsans-linear").stack.positions is not None


@pytest.mark.parametrize("layers", [1, 2])
def test_one_layer_of_mamba4rec_has_no_sum_around_it(recommender, rows, states, layers):
    model = recommender("mamba4rec", layers=layers)
    block = model.stack.blocks[0]
    x = model._embedded(rows())
    mixed = block.attention(x)
    read = block.attention_norm(mixed if layers == 1 else x + mixed)
    torch.testing.assert_close(block(x), block.feed_forward_norm(read + block.feed_forward(read)))


def test_lrurec_follows_its_recurrence(recommender, rows, states):
    """The published equations in complex numbers, event by event, from the weights of the model."""
    model = recommender("lrurec", layers=1)
    with torch.no_grad():
        for weight in model.stack.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    layer, block = model.stack.blocks[0].attention, model.stack.blocks[0]
    nu, theta, gamma = (layer.gates(None)[name].flatten() for name in ("nu", "theta", "gamma"))
    lamb = torch.exp(torch.complex(-nu, theta))
    w_in, b_in = (torch.complex(*part.chunk(2)) for part in (layer.into.weight, layer.into.bias))
    w_out = torch.complex(layer.out.weight[:, :32], -layer.out.weight[:, 32:])
    hidden = torch.zeros(3, 32, dtype=torch.complex128)
    for items, found in zip(rows().T, states(model, rows()).transpose(0, 1), strict=True):
        x = model.norm(model.items.weight[items, :-1])
        hidden = lamb * hidden + gamma * (x.cdouble() @ w_in.T + b_in)
        x = block.attention_norm(x + (hidden @ w_out.T).real + layer.out.bias)
        x = block.feed_forward_norm(x + block.feed_forward(x))
        torch.testing.assert_close(found[:, :-1], x)


def test_fuxi_linear_has_a_gated_net_behind_its_channels(recommender, rows, times):
    model = recommender("fuxi-linear", layers=1)
    block, items = model.stack.blocks[0], rows()
    x = model.stack.enter(model._embedded(items), 0)
    mixed = x + block.attention(x, None, times(model, items))
    read = mixed * (mixed.square().mean(dim=-1, keepdim=True) + 1e-6).rsqrt()
    net = block.after
    gated = F.silu(read @ net.gate.weight.T) * (read @ net.enter.weight.T)
    expected = F.normalize(mixed + gated @ net.leave.weight.T, dim=-1) / 0.05
    torch.testing.assert_close(model(items, None, times(model, items)), expected)


def test_a_block_of_recgrela_follows_its_equations(recommender, rows, states):
    model = recommender("recgrela", layers=1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    block = model.stack.blocks[0]
    x = F.layer_norm(model.items.weight[rows()], (16,), model.norm.weight, model.norm.bias, eps=1e-12)
    n = F.layer_norm(x, (16,), block.norm.weight, block.norm.bias, eps=1e-12)
    gate = n @ block.gate.weight.T + block.gate.bias
    mixed = block.attention(n @ block.enter.weight.T + block.enter.bias, None)
    x = x + (mixed * gate * gate.sigmoid()) @ block.leave.weight.T + block.leave.bias
    norm, first, _, _, second, _ = block.feed_forward
    read = F.layer_norm(x, (16,), norm.weight, norm.bias, eps=1e-12)
    inner = F.gelu(read @ first.weight.T + first.bias)
    torch.testing.assert_close(states(model, rows()), x + inner @ second.weight.T + second.bias)


@pytest.mark.parametrize("name", ["hstu", "fuxi-linear"])
def test_transducers_scale_their_items_and_add_places(recommender, rows, states, times, name):
    model = recommender(name, layers=1)
    block, items = model.stack.blocks[0], rows()
    x = 4 * model.items.weight[items] + model.stack.positions.weight[:12]
    out = block.after(x + block.attention(x, None, times(model, items)))
    torch.testing.assert_close(states(model, items), F.normalize(out, dim=-1) / 0.05)


def test_the_tables_of_transducers_are_cut_off_at_two_standard_deviations():
    model = models.build("hstu", n_items=4000, hidden_size=64)
    for table, std in ((model.items.weight[1:], 0.02), (model.stack.positions.weight, 1 / 8)):
        assert table.abs().max().item() <= 2 * std * 1.001
        # The standard deviation of what is left of a normal distribution.
        assert table.std().item() == pytest.approx(0.8796 * std, rel=0.02)
    assert not model.items.weight[0].any()
