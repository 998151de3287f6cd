"""What every trained model of the registry keeps, whatever it is."""

import io

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from linrec_bench import attention, models
from linrec_bench.attention.layer import AttentionOp
from linrec_bench.attention.spec import Spec, Unsupported, factories
from linrec_bench.training.losses import cross_entropy

SPECS = {name: spec for name, spec in models.registry().items() if spec.trained_by_gradient}
MECHANISMS = ("softmax", "linrec", "linear-transformer")
ONE_WAY = {"gru4rec"}
LENGTH = 12


def directions(name, mechanism):
    """The values of `causal` that the model has with the mechanism."""
    spec = attention.registry()[mechanism]
    return [True] * spec.causal + [False] * (spec.bidirectional and name not in ONE_WAY)


DIRECTED = [
    (name, mechanism, causal)
    for name, spec in SPECS.items()
    for mechanism in spec.mechanisms or MECHANISMS
    for causal in directions(name, mechanism)
]
OPEN = [name for name, spec in SPECS.items() if not spec.mechanisms]

each_model = pytest.mark.parametrize("name", SPECS)
each_open_model = pytest.mark.parametrize("name", OPEN)
each_causal = pytest.mark.parametrize(("name", "mechanism"), [row[:2] for row in DIRECTED if row[2]])
each_bidirectional = pytest.mark.parametrize(
    ("name", "mechanism"),
    [row[:2] for row in DIRECTED if not row[2] and row[1] in ("softmax", *SPECS[row[0]].mechanisms)],
)


@each_model
def test_says_how_it_is_trained(name):
    objectives = SPECS[name].objectives
    assert objectives
    assert set(objectives) <= {"all_positions", "last_position", "cloze"}
    features = torch.tensor([[0], [1]]) if SPECS[name].needs_features else None
    model = models.build(name, n_items=1, item_features=features)
    assert ("cloze" in objectives) == (model.mask_token is not None)
    forward = any(True in directions(name, mechanism) for mechanism in SPECS[name].mechanisms or MECHANISMS)
    assert forward or "all_positions" not in objectives


@each_model
def test_shapes(recommender, states, name):
    model = recommender(name, layers=3)
    items = torch.tensor([[1, 2, 20], [3, 0, 0]])
    hidden, table = states(model, items, items > 0), model.item_embeddings()
    assert hidden.shape == (2, 3, table.shape[1])
    assert table.shape[0] == 21
    assert not table[0].any()
    each = {"fdsa": 2, "fuxi-linear": 3, "gru4rec": 0}.get(name, 1)
    assert len(model.attention_ops()) == 3 * each
    first = SPECS[name].mechanisms[:1] or ("softmax",)
    assert {mixer.spec.name for mixer in model.attention_ops()[:1]} == set(first if each else ())


@each_causal
def test_the_future_changes_nothing_when_causal(recommender, rows, states, name, mechanism):
    model = recommender(name, attention=mechanism, causal=True)
    assert model.causal
    items = rows()
    changed = items.clone()
    changed[:, 7:] = items[:, 7:].flip(1) % 20 + 1
    before, after = states(model, items), states(model, changed)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert (before[:, 7:] - after[:, 7:]).abs().max() > 1e-3


@each_bidirectional
def test_the_future_changes_the_past_when_bidirectional(recommender, rows, states, name, mechanism):
    model = recommender(name, attention=mechanism, causal=False)
    assert not model.causal
    items = rows()
    changed = items.clone()
    changed[:, -1] = items[:, -1] % 20 + 1
    # Position 0 of CORE is its one item, whatever the weights.
    difference = (states(model, items)[:, 1] - states(model, changed)[:, 1]).abs().amax(dim=-1)
    assert difference.min() > 1e-9


@pytest.mark.parametrize(("name", "mechanism", "causal"), DIRECTED)
def test_padding_and_batch_mates_are_without_influence(
    recommender, rows, states, scores, name, mechanism, causal
):
    model = recommender(name, attention=mechanism, causal=causal)
    alone = rows(batch=1)
    expected = states(model, alone, alone > 0)[0]
    items = F.pad(alone, (0, 4))
    mask = items > 0
    torch.testing.assert_close(states(model, items, mask)[0, :LENGTH], expected)
    together = torch.cat((rows(batch=1, length=16), items))
    torch.testing.assert_close(states(model, together, together > 0)[1, :LENGTH], expected)
    # What stands in the padded positions is nobody's business.
    filled = torch.where(mask, items, 5)
    torch.testing.assert_close(states(model, filled, mask)[0, :LENGTH], expected)
    torch.testing.assert_close(scores(model, filled, mask), scores(model, alone))


@each_model
def test_order_matters(recommender, rows, states, name):
    model = recommender(name)
    items = rows()
    swapped = items[:, [1, 0, *range(2, LENGTH)]]
    assert (states(model, items)[:, -1] - states(model, swapped)[:, -1]).abs().max() > 1e-6


@each_model
def test_scores_are_products_of_the_state_that_the_query_asks_for(recommender, rows, states, scores, name):
    model = recommender(name)
    items = torch.where(torch.arange(LENGTH) < torch.tensor([[12], [5], [1]]), rows(), 0)
    fed, mask, position = model.query(items, items > 0)
    assert position.tolist() == [length + (model.mask_token is not None) - 1 for length in (12, 5, 1)]
    assert mask.sum(dim=1).tolist() == (position + 1).tolist()
    for row, found in enumerate(scores(model, items, items > 0)):
        state = states(model, fed, mask)[row, position[row]]
        torch.testing.assert_close(found, model.item_embeddings() @ state)


@pytest.mark.slow
@each_model
def test_overfits_a_tiny_set(recommender, states, scores, name):
    model = recommender(name, **dropouts(name, 0.0)).float().train()
    histories = torch.randperm(20, generator=torch.Generator().manual_seed(2)).view(4, 5) + 1
    # Every prefix of every history, and what follows it.
    prefixes = torch.cat([F.pad(histories[:, :length], (0, 4 - length)) for length in range(1, 5)])
    targets = torch.cat([histories[:, length] for length in range(1, 5)])
    fed, mask, position = model.query(prefixes, prefixes > 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        hidden = states(model, fed, mask)[torch.arange(len(fed)), position]
        loss = cross_entropy(hidden, model.item_embeddings(), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # A CORE session of one item is closest to that item, for ever.
    found = scores(model.eval(), prefixes, prefixes > 0).detach().scatter(1, prefixes, -torch.inf)
    assert torch.equal(found[:, 1:].argmax(dim=1) + 1, targets)


def dropouts(name, share):
    """Every share that the model drops in training, set."""
    return {key: share for key in SPECS[name].parameters if key.endswith("dropout") or key == "drop_path"}


@each_model
def test_a_checkpoint_restores_the_model(recommender, rows, scores, name):
    model, other = recommender(name), recommender(name)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    assert not torch.allclose(scores(model, rows()), scores(other, rows()))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(scores(model, rows()), scores(other, rows()))


@each_model
def test_padding_is_never_trained(recommender, rows, states, name):
    model = recommender(name).train()
    items = F.pad(rows(), (0, 3))
    mask = items > 0
    cross_entropy(states(model, items, mask)[mask], model.item_embeddings(), items[mask]).backward()
    assert not model.items.weight.grad[0].any()
    assert not model.items.weight[0].any()
    trained = [name for name, weight in model.named_parameters() if weight.grad is not None]
    assert len(trained) == len(list(model.parameters()))


@each_model
def test_dropout_is_for_training_only(recommender, rows, states, name):
    model = recommender(name, **dropouts(name, 0.3))
    assert torch.equal(states(model, rows()), states(model, rows()))
    model.train()
    assert not torch.equal(states(model, rows()), states(model, rows()))


@each_model
def test_half_precision_keeps_its_type(rows, states, name, features):
    with factories(torch.device("cpu"), torch.bfloat16):
        model = small(name, features)
    hidden = states(model, rows())
    assert hidden.dtype == model.item_embeddings().dtype == torch.bfloat16
    (hidden @ model.item_embeddings().T).float().logsumexp(dim=-1).mean().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)


@each_model
def test_counts_on_fake_tensors(states, name, features):
    with FakeTensorMode():
        model = small(name, features)
        hidden = states(model, torch.randint(1, 21, (2, 12)))
        hidden.sum().backward()
    assert hidden.shape[:2] == (2, 12)


def small(name, features):
    """A model that is small but for its length."""
    spec = SPECS[name]
    sizes = {key: value for key, value in {"hidden_size": 16, "heads": 2}.items() if key in spec.parameters}
    return models.build(name, n_items=20, item_features=features if spec.needs_features else None, **sizes)


class Delayed(torch.nn.Module):
    """Adds to each token how long it was until the next event, so that one sees whether it was told."""

    def __init__(self, hidden_size, heads, *, causal):
        super().__init__()
        self.attention = AttentionOp(attention.registry()["delayed"], causal=causal)

    def forward(self, x, padding_mask=None, timestamps=None):
        return x + timestamps.diff(dim=1)[..., None].to(x.dtype)


@pytest.fixture
def timed(monkeypatch):
    """A mechanism that needs timestamps, in the registry for the time of a test."""
    copy = attention.registry()["copy"]
    spec = Spec(
        name="delayed",
        title="",
        paper="",
        formula="",
        source="",
        deviations=(),
        core=copy.core,
        reference=copy.reference,
        layer=Delayed,
        timestamps=True,
    )
    attention.register(spec)
    yield "delayed"
    attention.unload_plugins()


@each_open_model
def test_timestamps_reach_the_mechanisms_that_ask_for_them(recommender, rows, name, timed):
    model = recommender(name, attention=timed)
    assert model.needs_timestamps
    times = torch.arange(13).square().expand(3, -1)
    changed = times.clone()
    changed[:, -1] += 50
    before, after = model(rows(), None, times), model(rows(), None, changed)
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert before.isfinite().all()
    with pytest.raises(Unsupported, match=rf"delayed needs timestamps and model {name} got none") as caught:
        model(rows())
    assert "[3, 13]" in str(caught.value)
    with pytest.raises(ValueError, match=r"timestamps have shape \[3, 12\]; expected integers of \[3, 13\]"):
        model(rows(), None, times[:, 1:])


@pytest.mark.parametrize("name", ["hstu", "fuxi-linear"])
def test_a_model_that_needs_timestamps_says_so(recommender, rows, name):
    model = recommender(name)
    for call in (model, model.scores):
        with pytest.raises(
            Unsupported, match=rf"attention {name} needs timestamps and model {name} got none"
        ):
            call(rows())
    with pytest.raises(ValueError, match=r"timestamps have shape \[3, 12\]; expected integers of \[3, 13\]"):
        model(rows(), None, torch.zeros(3, 12, dtype=torch.int64))


@each_open_model
def test_timestamps_are_no_matter_to_other_mechanisms(recommender, rows, name):
    model = recommender(name)
    assert not model.needs_timestamps
    assert torch.equal(model(rows(), None, torch.zeros(3, 13, dtype=torch.int64)), model(rows()))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dropout": 1.0}, "dropout is 1.0; expected 0 <= dropout < 1"),
        ({"layers": 0}, "layers is 0; expected at least 1"),
        ({"seq_len": 0}, "seq_len is 0; expected at least 1"),
        ({"heads": 0}, "heads is 0; expected at least 1"),
        ({"hidden_size": 0}, "hidden_size is 0; expected at least 1"),
        ({"inner_size": 0}, "inner_size is 0; expected at least 1"),
        ({"heads": 3}, "hidden_size 16 is not a multiple of heads 3"),
    ],
)
@each_model
def test_impossible_values_are_refused(recommender, name, params, message):
    if not set(params) <= set(SPECS[name].parameters):
        pytest.skip("the model has no such size")
    with pytest.raises(ValueError, match=message):
        recommender(name, **params)


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if "seq_len" in spec.parameters])
def test_rows_longer_than_the_model_are_refused(recommender, rows, states, name):
    model = recommender(name)
    limit = 16 + (model.mask_token is not None)
    assert states(model, rows(length=limit)).shape[1] == limit
    with pytest.raises(
        ValueError, match=f"{limit + 1} positions; model {name} was built for at most {limit}"
    ):
        states(model, rows(length=limit + 1))
