import pytest
import torch
from torch import nn

from linrec_bench.attention import make_layer, registry
from linrec_bench.attention.layer import AttentionLayer
from linrec_bench.models.blocks import Block, Encoder, initialise
from linrec_bench.models.sasrec import SASRecSettings


def block(**params):
    torch.manual_seed(0)
    layer = make_layer("softmax", 12, 3, causal=False, seq_len=8)
    made = Block(layer, hidden_size=12, inner_size=20, dropout=0.0, **params).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.3)
    return made


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_block_of_softmax_is_the_transformer_layer_of_torch(norm, activation):
    ours = block(norm=norm, activation=activation)
    theirs = nn.TransformerEncoderLayer(
        12,
        3,
        20,
        dropout=0.0,
        activation=activation,
        layer_norm_eps=ours.attention_norm.eps,
        batch_first=True,
        norm_first=norm == "pre",
        dtype=torch.float64,
    )
    pairs = {
        "self_attn.in_proj_": ours.attention.qkv,
        "self_attn.out_proj.": ours.attention.out,
        "linear1.": ours.feed_forward[0],
        "linear2.": ours.feed_forward[2],
        "norm1.": ours.attention_norm,
        "norm2.": ours.feed_forward_norm,
    }
    theirs.load_state_dict(
        {
            f"{name}{kind}": getattr(module, kind)
            for name, module in pairs.items()
            for kind in ("weight", "bias")
        }
    )
    x = torch.randn(2, 7, 12, dtype=torch.float64)
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    expected = theirs(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, mask)[mask], expected[mask])


def encoder(norm, layers=1):
    sizes = {"seq_len": 8, "hidden_size": 12, "heads": 3, "layers": layers, "inner_size": 20}
    return Encoder(SASRecSettings(n_items=5, dropout=0.0, activation="gelu", norm=norm, **sizes))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_normalises_once_outside_of_its_blocks(norm):
    model = encoder(norm)
    x = torch.randn(2, 5, 12)
    placed = x + model.positions.weight[:5]
    if norm == "pre":
        expected = model.norm(model.blocks[0](placed, None))
    else:
        expected = model.blocks[0](model.norm(placed), None)
    torch.testing.assert_close(model(x), expected)


class Published(nn.Module):
    """A layer that has its own idea of its weights."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(12, 12)
        nn.init.constant_(self.gate.bias, 3.0)


def test_initial_weights():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Embedding(2000, 12, padding_idx=0),
        Block(
            make_layer("softmax", 12, 3, causal=False, seq_len=8),
            hidden_size=12,
            inner_size=2000,
            dropout=0.0,
            activation="relu",
            norm="pre",
        ),
    )
    initialise(model)
    table, made = model
    assert not table.weight[0].any()
    for weight in (table.weight, made.feed_forward[0].weight, made.feed_forward[2].weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert made.attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not made.attention.qkv.bias.any()
    assert not made.feed_forward[0].bias.any()


def test_what_a_mechanism_made_for_itself_is_not_drawn_anew():
    sizes = {"hidden_size": 12, "inner_size": 20, "dropout": 0.0, "activation": "relu", "norm": "pre"}
    published = Block(Published(), **sizes)
    initialise(published)
    assert (published.attention.gate.bias == 3).all()

    layer = make_layer("gla", 12, 3, causal=True, seq_len=8)
    weighed = Block(AttentionLayer(12, 3, spec=registry()["gla"], causal=True, seq_len=8, params={}), **sizes)
    before = {name: weight.clone() for name, weight in weighed.attention.gates.named_parameters()}
    assert before
    assert not isinstance(layer, AttentionLayer)
    initialise(weighed)
    for name, weight in weighed.attention.gates.named_parameters():
        assert torch.equal(weight, before[name])
    assert not weighed.attention.qkv.bias.any()
