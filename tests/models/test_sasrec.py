import pytest
import torch

from linrec_bench import models
from linrec_bench.training.losses import cross_entropy

N_ITEMS = 20
LENGTH = 12


def sasrec(**params):
    torch.manual_seed(0)
    defaults = {"seq_len": 16, "hidden_size": 16, "heads": 2, "layers": 2}
    return models.build("sasrec", n_items=N_ITEMS, **{**defaults, **params}).double().eval()


def rows(batch: int = 3, length: int = LENGTH) -> torch.Tensor:
    return torch.randint(1, N_ITEMS + 1, (batch, length), generator=torch.Generator().manual_seed(1))


def padded(items: torch.Tensor, by: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows with `by` padded positions more, and their mask."""
    items = torch.nn.functional.pad(items, (0, by))
    return items, items > 0


@pytest.mark.parametrize("attention", ["softmax", "linrec", "linear-transformer"])
def test_the_future_changes_nothing_when_causal(attention):
    model = sasrec(attention=attention)
    items = rows()
    changed = items.clone()
    changed[:, 7:] = items[:, 7:].flip(1) % N_ITEMS + 1
    before, after = model(items), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert (before[:, 7:] - after[:, 7:]).abs().max() > 1e-3


def test_the_future_changes_everything_when_bidirectional():
    model = sasrec(causal=False)
    items = rows()
    changed = items.clone()
    changed[:, -1] = items[:, -1] % N_ITEMS + 1
    assert (model(items)[:, 0] - model(changed)[:, 0]).abs().min() > 0


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("attention", ["softmax", "linrec", "linear-transformer"])
def test_padding_and_batch_mates_are_without_influence(attention, causal):
    model = sasrec(attention=attention, causal=causal)
    alone = rows(batch=1)
    expected = model(alone, alone > 0)[0]
    items, mask = padded(alone, by=4)
    torch.testing.assert_close(model(items, mask)[0, :LENGTH], expected)
    together = torch.cat((rows(batch=1, length=16), items))
    torch.testing.assert_close(model(together, together > 0)[1, :LENGTH], expected)
    # What stands in the padded positions is nobody's business.
    filled = torch.where(mask, items, 5)
    torch.testing.assert_close(model(filled, mask)[0, :LENGTH], expected)


def test_order_matters():
    model = sasrec(causal=False)
    items = rows()
    swapped = items[:, [1, 0, *range(2, LENGTH)]]
    assert (model(items)[:, -1] - model(swapped)[:, -1]).abs().max() > 1e-4


def test_overfits_a_tiny_set():
    model = sasrec(dropout=0.0).train()
    items = rows(batch=4, length=13)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        hidden = model(items[:, :-1])
        loss = cross_entropy(hidden.flatten(0, 1), model.item_embeddings(), items[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = model.eval()(items[:, :-1]) @ model.item_embeddings()[1:].T
    assert (scores.argmax(-1) + 1 == items[:, 1:]).double().mean() > 0.95


def test_padding_is_never_trained():
    model = sasrec().train()
    items, mask = padded(rows(), by=3)
    hidden = model(items, mask)[mask]
    cross_entropy(hidden, model.item_embeddings(), items[mask]).backward()
    assert not model.item_embeddings().grad[0].any()
    assert not model.item_embeddings()[0].any()


def test_dropout_is_for_training_only():
    model = sasrec(dropout=0.5)
    items = rows()
    assert torch.equal(model(items), model(items))
    model.train()
    assert not torch.equal(model(items), model(items))


def test_the_inner_size_is_four_times_the_hidden_size_unless_given():
    for params, expected in (({}, 64), ({"inner_size": 24}, 24)):
        assert sasrec(**params).blocks[0].feed_forward[1].out_features == expected


def test_parameters_of_the_mechanism_arrive():
    (mixer, *_) = sasrec(attention="linrec", causal=False, attention_params={"padding": "ignore"}).mixers()
    assert mixer.params == {"padding": "ignore"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dropout": 1.0}, "dropout is 1.0; expected 0 <= dropout < 1"),
        ({"layers": 0}, "layers is 0; expected at least 1"),
        ({"seq_len": 0}, "seq_len is 0; expected at least 1"),
        ({"inner_size": 0}, "inner_size is 0; expected at least 1"),
        ({"heads": 3}, "hidden_size 16 is not a multiple of heads 3"),
    ],
)
def test_impossible_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        sasrec(**params)


def test_rows_longer_than_the_model_are_refused():
    with pytest.raises(ValueError, match="17 positions; the model was built for seq_len 16"):
        sasrec()(rows(length=17))
