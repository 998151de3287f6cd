"""HSTU, RELA and FuXi-Linear against their published formulas, with times, and what they refuse."""

from __future__ import annotations

from math import cos, exp, log, pi, sin

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from linrec_bench import attention
from linrec_bench.attention import Unsupported, contract, make_layer
from linrec_bench.attention.layer import join_heads, split_heads
from linrec_bench.attention.mechanisms.fuxi_linear import Rates
from linrec_bench.attention.mechanisms.fuxi_positional import Places
from linrec_bench.attention.ops import block_sizes
from linrec_bench.attention.ops.time_intervals import stand_in_intervals, time_intervals
from linrec_bench.measures.device.names import ByKind

FUXI = ["fuxi-linear", "fuxi-temporal", "fuxi-positional"]
TIMED = ["hstu", "fuxi-linear", "fuxi-temporal"]
LINEAR = [("rela", False), ("rela", True), *((name, True) for name in FUXI)]
EPOCH = 1_700_000_000
HIDDEN, HEADS, SEQ_LEN = 24, 3, 40


def layer_of(name: str, *, causal: bool = True, **params: object) -> nn.Module:
    torch.manual_seed(0)
    return make_layer(name, HIDDEN, HEADS, causal=causal, seq_len=SEQ_LEN, params=params).double().eval()


def tokens(length: int, seed: int = 0) -> Tensor:
    return contract.noise((2, length, HIDDEN), torch.float64, seed=seed)


def times(length: int) -> Tensor:
    """Gaps from nothing to a year, since 1970: [2, length]."""
    gaps = stand_in_intervals(3 * contract.noise((2, length, 1), torch.float64, seed=7))[:, 0, :, 0]
    gaps[:, 5:6], gaps[:, 9:10] = 0, 365 * 86_400
    return EPOCH + gaps.cumsum(dim=1)


def row(*values: float) -> Tensor:
    """One head of size 1: [1, 1, N, 1]."""
    return torch.tensor(values, dtype=torch.float64)[None, None, :, None]


def whole(*values: int) -> Tensor:
    return torch.tensor(values)[None, None, :, None]


def silu(x: float) -> float:
    return x / (1 + exp(-x))


# Waits


def test_waits_run_to_the_next_real_event_or_to_the_request_behind_the_last() -> None:
    stamps = torch.tensor([10, 13, 20, 50, 90, 170]).expand(4, -1) + EPOCH
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 0]]).bool()
    found = time_intervals(stamps, real)
    assert found.dtype == torch.int64
    assert found.shape == (4, 1, 5, 1)
    kept = [line[mask].tolist() for line, mask in zip(found[:, 0, :, 0], real, strict=True)]
    assert kept == [[3, 7, 30, 40, 80], [3, 7, 30], [30, 40, 80], [40, 40]]
    torch.testing.assert_close(time_intervals(stamps, None)[0], found[0])


def test_time_that_runs_backwards_does_not_pass() -> None:
    assert time_intervals(torch.tensor([[5, 3, 4]]), None).flatten().tolist() == [0, 1]


def test_waits_that_stand_in_are_spread_and_made_of_each_token_alone() -> None:
    x = contract.noise((2, 400, 5), torch.float64)
    found = stand_in_intervals(x)
    assert found.shape == (2, 1, 400, 1)
    assert found.min() < 30
    assert 300 < found.double().median() < 1200
    assert found.max() > 20_000
    assert torch.equal(stand_in_intervals(x[:, 7:9]), found[:, :, 7:9])
    assert stand_in_intervals(1000 * x).max() < 2**24


@pytest.mark.parametrize("name", TIMED)
def test_times_that_do_not_fit_are_refused(name: str) -> None:
    layer, x = layer_of(name), tokens(6)
    with pytest.raises(
        ValueError, match=r"timestamps have shape \[2, 6\]; expected \[B, N \+ 1\] = \[2, 7\]"
    ):
        layer(x, None, times(6))
    with pytest.raises(
        ValueError, match=r"timestamps are torch\.float32, which rounds times; expected whole"
    ):
        layer(x, None, times(7).float())
    with pytest.raises(ValueError, match=r"timestamps have shape \[2, 7\]; .* \[2, 2\]"):
        layer.step(layer.init_state(x), x[:, :1], times(7))


@pytest.mark.parametrize("name", TIMED)
def test_when_time_began_does_not_matter_even_in_float32(name: str) -> None:
    layer, x = layer_of(name).float(), tokens(30).float()
    assert torch.equal(layer(x, None, times(31)), layer(x, None, times(31) - EPOCH))
    assert not torch.equal(layer(x, None, times(31)), layer(x, None, 2 * times(31)))


@pytest.mark.parametrize("name", TIMED)
def test_float32_is_as_good_as_its_numbers_over_gaps_of_years(name: str) -> None:
    layer, x = layer_of(name), tokens(30)
    exact = layer(x, None, times(31) * 30)
    found = layer.float()(x.float(), None, times(31) * 30)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-5 * exact.abs().max().item())
    found.sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in layer.parameters())


@pytest.mark.parametrize("name", ["hstu", "rela", *FUXI])
@pytest.mark.parametrize("places", ["left", "holes", "right"])
def test_padding_anywhere_in_a_layer_changes_nothing(name: str, places: str) -> None:
    layer, x, stamps = layer_of(name), tokens(20), times(21)
    index = torch.arange(33)
    mask = {"left": index >= 13, "right": index < 20, "holes": (index % 5 < 3) & (index < 33) | (index == 4)}[
        places
    ]
    mask = mask & (mask.cumsum(dim=0) <= 20)
    padded, padded_stamps = tokens(33, seed=1), times(34) * 3
    padded[:, mask], padded_stamps[:, :33][:, mask] = x, stamps[:, :20]
    padded_stamps[:, int(mask.nonzero().max()) + 1] = stamps[:, 20]
    timed = name in TIMED
    found = layer(padded, mask.expand(2, -1), *((padded_stamps,) if timed else ()))[:, mask]
    if name == "rela" and places == "holes":
        # The convolution is one of places: beyond a hole it sees the zeros in it.
        found = found - layer.shortcut(padded, mask.expand(2, -1))[:, mask] + layer.shortcut(x)
    torch.testing.assert_close(found, layer(x, None, *((stamps,) if timed else ())))


@pytest.mark.parametrize("name", ["hstu", "rela", *FUXI])
@pytest.mark.parametrize("sizes", [[7, 1, 1, 21], [30]])
def test_a_few_events_at_a_time_equal_all_at_once(name: str, sizes: list[int]) -> None:
    layer, x, stamps = layer_of(name), tokens(30), times(31)
    timed = name in TIMED
    with torch.no_grad():
        state, rows, done = layer.init_state(x), [], 0
        for size in sizes:
            given = (stamps[:, done : done + size + 1],) if timed else ()
            state, out = layer.step(state, x[:, done : done + size], *given)
            rows.append(out)
            done += size
        at_once = layer(x, None, *((stamps,) if timed else ()))
    torch.testing.assert_close(torch.cat(rows, dim=1), at_once)


@pytest.mark.parametrize("name", ["hstu", *FUXI])
def test_there_is_no_bidirectional_form(name: str) -> None:
    q, k, v = contract.inputs(4)
    with pytest.raises(Unsupported, match=f"{name} has no bidirectional form"):
        attention.core(name, q, k, v, causal=False)
    with pytest.raises(Unsupported, match=f"{name} has no bidirectional form"):
        make_layer(name, HIDDEN, HEADS, causal=False, seq_len=4)


@pytest.mark.slow
@pytest.mark.parametrize("check", ["agreement", "gradients", "causal", "prefix", "pad length"])
@pytest.mark.parametrize(("name", "causal"), LINEAR)
def test_the_contract_holds_across_blocks(
    monkeypatch: pytest.MonkeyPatch, name: str, causal: bool, check: str
) -> None:
    monkeypatch.setattr(block_sizes, "BLOCK_BYTES", ByKind(cpu=1, accelerator=1))
    assert contract.CHECKS[check](attention.registry()[name], causal=causal) is None


# HSTU


def hstu_weights(longest: int) -> dict[str, Tensor]:
    return {
        "position_bias": contract.noise((longest,), torch.float64, seed=20),
        "time_bias": contract.noise((129,), torch.float64, seed=21),
    }


def test_hstu_of_two_tokens_by_hand() -> None:
    """Of the spans 7, 1000 and 1007 s the logarithms are 1.9, 6.9 and 6.9: buckets 6, 22 and 22."""
    weights = hstu_weights(5)
    p, w = weights["position_bias"].tolist(), weights["time_bias"].tolist()
    out = attention.core(
        "hstu", row(2, -1), row(3, 5), row(0.5, 0.25), causal=True, wait=whole(7, 1000), **weights
    )
    first = silu(6 + p[0] + w[6]) * 0.5 / 5
    second = (silu(-3 + p[1] + w[22]) * 0.5 + silu(-5 + p[0] + w[22]) * 0.25) / 5
    torch.testing.assert_close(out, row(first, second))


def test_hstu_finds_the_bucket_of_every_span() -> None:
    small, large = torch.arange(20_000), (2.0 ** torch.arange(15, 61, 0.01, dtype=torch.float64)).long()
    spans = torch.cat((small, large))
    zeros = torch.zeros(len(spans), 1, 1, 1, dtype=torch.float64)
    # SiLU of a number from 100 on is that number.
    found = attention.core(
        "hstu",
        zeros,
        zeros,
        zeros + 1,
        causal=True,
        wait=spans[:, None, None, None],
        position_bias=torch.zeros(1, dtype=torch.float64),
        time_bias=100 + torch.arange(129, dtype=torch.float64),
    )
    exact = (spans.clamp(min=1).double().log() / 0.301).floor().clamp(max=128)
    torch.testing.assert_close(found.flatten(), 100 + exact)
    assert exact.max() == 128


def test_hstu_layer_as_published() -> None:
    layer, x, stamps = layer_of("hstu"), tokens(17), times(18)
    normed = F.layer_norm(x, (HIDDEN,), eps=1e-6)
    gate, v, q, k = F.silu(normed @ layer.project.weight.T).split(HIDDEN, dim=-1)
    mixed = torch.zeros_like(v)
    for b in range(2):
        for i in range(17):
            for j in range(i + 1):
                span = abs(int(stamps[b, i + 1]) - int(stamps[b, j]))
                bucket = min(int(log(max(1, span)) / 0.301), 128)
                bias = layer.bias.position[i - j] + layer.bias.time[bucket]
                for h in range(HEADS):
                    own = slice(h * 8, h * 8 + 8)
                    score = F.silu(q[b, i, own] @ k[b, j, own] + bias) / SEQ_LEN
                    mixed[b, i, own] += score.detach() * v[b, j, own].detach()
    exact = layer.out(gate * F.layer_norm(mixed, (HIDDEN,), eps=1e-6))
    torch.testing.assert_close(layer(x, None, stamps), exact)


def test_hstu_drops_out_before_its_last_projection() -> None:
    layer = layer_of("hstu", dropout=1.0).train()
    torch.testing.assert_close(layer(tokens(3), None, times(4)), layer.out.bias.expand(2, 3, -1))


def test_hstu_has_a_longest_sequence() -> None:
    layer, x = layer_of("hstu"), tokens(SEQ_LEN + 1)
    with pytest.raises(Unsupported, match="41 tokens exceed the 40 of its position bias; expected a larger"):
        layer(x, None, times(SEQ_LEN + 2))
    q = torch.zeros(1, 1, 3, 2, dtype=torch.float64)
    given = {"wait": whole(1, 1, 1), **hstu_weights(2)}
    with pytest.raises(Unsupported, match="3 tokens exceed the 2 of its position bias"):
        attention.step("hstu", attention.init_state("hstu", q, seq_len=9), q, q, q, seq_len=9, **given)


# RELA


def published_rela(layer: nn.Module, x: Tensor) -> Tensor:
    """Rotated over all D features, then cut into heads; means over the sequence."""
    length = x.shape[1]
    q, k = (F.elu(part) + 1 for part in (x @ layer.qk.weight.T + layer.qk.bias).split(HIDDEN, dim=-1))
    rates = 10_000 ** -(torch.arange(HIDDEN // 2, dtype=torch.float64) / (HIDDEN // 2))
    angles = torch.arange(length)[:, None] * rates
    turns = torch.complex(angles.cos(), angles.sin())

    def rotated(z: Tensor) -> Tensor:
        pairs = torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous())
        return split_heads(torch.view_as_real(pairs * turns).flatten(-2), HEADS)

    v = split_heads(x, HEADS)
    products = rotated(k).mT @ v / length
    below = split_heads(q, HEADS) @ split_heads(k, HEADS).mean(dim=2, keepdim=True).mT + 1e-6
    kernel, bias = layer.shortcut.conv.weight[:, 0], layer.shortcut.conv.bias
    behind = F.pad(x, (0, 0, 3, 0))
    near = F.silu(sum(kernel[:, place] * behind[:, place : place + length] for place in range(4)) + bias)
    return join_heads(rotated(q) @ products / below) + near


def test_rela_layer_as_published() -> None:
    layer, x = layer_of("rela", causal=False), tokens(30)
    torch.testing.assert_close(layer(x), published_rela(layer, x))


def test_rela_is_causal_as_if_every_prefix_were_the_sequence() -> None:
    layer, x = layer_of("rela"), tokens(12)
    exact = torch.cat([published_rela(layer, x[:, : i + 1])[:, -1:] for i in range(12)], dim=1)
    torch.testing.assert_close(layer(x), exact)


def test_rela_adds_eps_to_a_mean_and_leaves_the_normaliser_unrotated() -> None:
    """One head of two features, elu + 1 of 0 is 1; the second token is turned by one radian, one pair."""
    zeros = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    v = torch.tensor([[3.0, 0.0], [0.0, 5.0]], dtype=torch.float64)[None, None]
    out = attention.core("rela", zeros, zeros, v, causal=True, eps=0.5)
    # q . k is 2, and 2 cos(1) one place apart.
    exact = [[3 * 2 / 2.5, 0], [3 * 2 * cos(1) / 2 / 2.5, 5 * 2 / 2 / 2.5]]
    torch.testing.assert_close(out[0, 0], torch.tensor(exact, dtype=torch.float64))


# FuXi-Linear


def test_fuxi_retention_of_two_tokens_by_hand() -> None:
    """A token has decayed once when it is read itself."""
    out = attention.core(
        "fuxi-linear",
        row(1, 10),
        row(2, 5),
        row(3, 7),
        causal=True,
        rate=torch.tensor([[[0.5]]], dtype=torch.float64),
    )
    torch.testing.assert_close(out, row(6 * exp(-0.5), 60 * exp(-1.0) + 350 * exp(-0.5)))


def test_fuxi_rates_start_near_powers_of_a_half_and_stay_in_order() -> None:
    torch.manual_seed(0)
    rates = Rates(8, 5)
    start = rates(torch.empty(1, 1, 8))["rate"]
    assert start.shape == (5, 1, 1)
    torch.testing.assert_close(start.flatten(), 0.5 ** torch.arange(1.0, 6), rtol=0.2, atol=0)
    nn.init.normal_(rates.steps, std=5)
    assert (rates(torch.empty(1, 1, 8))["rate"].flatten().diff() <= 0).all()


def test_fuxi_temporal_of_two_tokens_by_hand() -> None:
    """A period of 1024: waits of 256 and 128 are turns of a quarter and an eighth."""
    v = torch.tensor([[1.0, 10.0], [2.0, 20.0]], dtype=torch.float64)[None, None]
    gamma = torch.full((1, 1, 1), 0.9, dtype=torch.float64)
    out = attention.core("fuxi-temporal", v, v, v, causal=True, wait=whole(256, 128), log_gamma=gamma.log())
    quarter, eighth, both = (0.9**angle for angle in (pi / 2, pi / 4, 3 * pi / 4))
    exact = [
        [quarter, 0],
        [
            both * sin(3 * pi / 4) + 2 * eighth * sin(pi / 4),
            10 * both * cos(3 * pi / 4) + 20 * eighth * cos(pi / 4),
        ],
    ]
    torch.testing.assert_close(out[0, 0], torch.tensor(exact, dtype=torch.float64))


def test_fuxi_temporal_has_a_longer_period_in_every_head() -> None:
    """Of three heads the periods are 16, 64 and 256: a wait of 4 is a quarter turn of the first only."""
    v = torch.ones(1, 3, 1, 2, dtype=torch.float64)
    out = attention.core(
        "fuxi-temporal",
        v,
        v,
        v,
        causal=True,
        base=4,
        start=2,
        stride=1,
        wait=whole(4),
        log_gamma=torch.zeros(3, 1, 1, dtype=torch.float64),
    )
    angles = torch.tensor([pi / 2, pi / 8, pi / 32], dtype=torch.float64)
    torch.testing.assert_close(out[0, :, 0], torch.stack((angles.sin(), angles.cos()), dim=-1))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"base": 1}, r"periods 1\^\(10 \+ h 3\) are no whole numbers that grow; expected base >= 2"),
        ({"start": 57}, r"the period of head 3 is 2\^63, too long for an integer of 64 bits"),
    ],
)
def test_fuxi_periods_that_are_no_integers_are_refused(params: dict[str, int], message: str) -> None:
    q, k, v = contract.inputs(4)
    with pytest.raises(Unsupported, match=message):
        attention.core("fuxi-temporal", q, k, v, causal=True, **params)


def test_fuxi_positional_of_three_tokens_by_hand() -> None:
    places = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]], dtype=torch.float64)
    out = attention.core(
        "fuxi-positional",
        row(0, 0, 0),
        row(0, 0, 0),
        row(1, 10, 100),
        causal=True,
        places=places,
        alpha=torch.tensor(0.5, dtype=torch.float64),
        beta=torch.tensor(3.0, dtype=torch.float64),
    )
    torch.testing.assert_close(out, row(0.5 * 1 + 3, 0.5 * (2 + 50) + 30, 0.5 * (0 + 3 * 10 + 9 * 100) + 300))


def test_fuxi_places_start_as_functions_of_the_distance_alone() -> None:
    made = Places(8, 2, seq_len=50)(torch.empty(1, 1, 8))
    weights = made["places"] @ made["places"].T / 16
    torch.testing.assert_close(weights.diagonal(), torch.ones(50))
    torch.testing.assert_close(weights[5:, 5:], weights[:-5, :-5], rtol=0, atol=1e-5)
    assert made["beta"] == 1
    assert abs(made["alpha"]) < 0.1


def test_fuxi_positional_has_a_longest_sequence() -> None:
    layer, x = layer_of("fuxi-positional"), tokens(SEQ_LEN + 1)
    with pytest.raises(Unsupported, match="41 tokens exceed the 40 places that were made; expected a larger"):
        layer(x)
    state, _ = layer.step(layer.init_state(x), x[:, :-1])
    with pytest.raises(Unsupported, match="41 tokens exceed the 40 places"):
        layer.step(state, x[:, -1:])
    with pytest.raises(ValueError, match="position_size is 5; expected an even number, 2 or more"):
        layer_of("fuxi-positional", position_size=5)


def test_fuxi_layer_as_published() -> None:
    layer, x, stamps = layer_of("fuxi-linear"), tokens(17), times(18)
    normed = F.layer_norm(x, (HIDDEN,), eps=1e-6)
    gate, q, k, v = F.silu(normed @ layer.project.weight.T).split((3 * HIDDEN, *[HIDDEN] * 3), dim=-1)
    rates = (-F.softplus(layer.gates.steps).cumsum(dim=0)).exp()
    gammas = layer.temporal.gammas.logits.sigmoid()
    when_v, where_v = normed @ layer.temporal.values.weight.T, normed @ layer.positional.values.weight.T
    places = layer.positional.gates
    what, when, where = torch.zeros_like(v), torch.zeros_like(v), places.beta * where_v
    for b in range(2):
        for i in range(17):
            for j in range(i + 1):
                span = int(stamps[b, i + 1]) - int(stamps[b, j])
                for h in range(HEADS):
                    own = slice(h * 8, h * 8 + 8)
                    score = (q[b, i, own] @ k[b, j, own]) * (-rates[h] * (i - j + 1)).exp()
                    what[b, i, own] += (score * v[b, j, own]).detach()
                    period = 2 ** (10 + 3 * h)
                    faded = gammas[h].item() ** (2 * pi * span / period)
                    angle = 2 * pi * (span % period) / period
                    waves = torch.tensor([sin(angle)] * 4 + [cos(angle)] * 4, dtype=torch.float64)
                    when[b, i, own] += (faded * waves * when_v[b, j, own]).detach()
                near = places.embedding[i] @ places.embedding[j] / 16
                where[b, i] += (places.alpha * near * where_v[b, j]).detach()
    joined = torch.cat([F.layer_norm(y, (HIDDEN,), eps=1e-6) for y in (what, when, where)], dim=-1)
    torch.testing.assert_close(layer(x, None, stamps), (gate * joined) @ layer.out.weight.T)


def test_fuxi_settings_reach_the_channels() -> None:
    layer = layer_of("fuxi-linear", base=16, start=0, stride=1, position_size=4, dropout=0.5)
    assert layer.temporal.attention.params == {"base": 16, "start": 0, "stride": 1}
    assert layer.positional.gates.embedding.shape == (SEQ_LEN, 4)
    assert layer.dropout.p == 0.5
    with pytest.raises(ValueError, match=r"position_size is 2\.5; expected integer"):
        layer_of("fuxi-linear", position_size=2.5)


@pytest.mark.parametrize(
    ("name", "numbers"), [("fuxi-linear", 64), ("fuxi-temporal", 16), ("fuxi-positional", 256)]
)
def test_fuxi_states_are_as_small_as_published(name: str, numbers: int) -> None:
    """d^2, 2 d and 32 d numbers a head of size 8, but for a time or a place."""
    state = attention.init_state(name, torch.empty(2, 3, 1, 8), seq_len=100)
    assert state[0].numel() == 2 * 3 * numbers
    assert sum(x.numel() for x in state[1:]) <= 2
