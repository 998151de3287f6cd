import math

import pytest
import torch

from linrec_bench import models
from linrec_bench.models.core_sr import prefix_means


def test_weights_by_hand():
    logits = torch.tensor([[0.0, math.log(3), math.log(4)]], dtype=torch.float64)
    x = torch.eye(3, dtype=torch.float64)[None]
    expected = [[1, 0, 0], [1 / 4, 3 / 4, 0], [1 / 8, 3 / 8, 4 / 8]]
    torch.testing.assert_close(prefix_means(logits, x), torch.tensor([expected], dtype=torch.float64))


@pytest.mark.parametrize("length", [1, 2, 5, 33])
def test_weights_and_gradients_are_those_of_a_masked_softmax(length):
    torch.manual_seed(0)
    logits = (5 * torch.randn(2, length, dtype=torch.float64)).requires_grad_()
    x = torch.randn(2, length, 3, dtype=torch.float64, requires_grad=True)
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    expected = logits[:, None].masked_fill(future, -torch.inf).softmax(dim=-1) @ x
    found = prefix_means(logits, x)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, (logits, x), upstream),
        torch.autograd.grad(expected, (logits, x), upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_weights_of_any_size():
    # Beside the last one all others vanish, and it must not touch what was before.
    logits = torch.tensor([[-3000.0, -3000.0, 1000.0]])
    x = torch.tensor([[[1.0], [3.0], [7.0]]])
    assert prefix_means(logits, x)[0, :, 0].tolist() == [1.0, 2.0, 7.0]


def test_a_session_is_a_mean_of_its_items_seen_from_the_side(recommender, rows):
    model = recommender("core")
    x = model.items.weight[rows()]
    logits = model.encoder(x) @ model.weigh.weight[0] + model.weigh.bias
    mean = (logits.softmax(dim=1)[..., None] * x).sum(dim=1)
    table = model.items.weight[1:]
    cosines = torch.nn.functional.cosine_similarity(mean[:, None], table[None], dim=-1)
    torch.testing.assert_close(model.scores(rows())[:, 1:], cosines / 0.07)


def test_a_session_of_one_item_is_that_item(recommender):
    scores = recommender("core", temperature=0.5).scores(torch.tensor([[3], [8]]))
    assert scores.argmax(dim=1).tolist() == [3, 8]
    torch.testing.assert_close(scores.amax(dim=1), torch.full((2,), 2.0, dtype=torch.float64))


def test_lengths_of_candidates_do_not_count(recommender, rows):
    model = recommender("core")
    before = model.item_embeddings()
    with torch.no_grad():
        model.items.weight[5] *= 100
    torch.testing.assert_close(model.item_embeddings(), before)
    torch.testing.assert_close(before[1:].norm(dim=1), torch.ones(20, dtype=torch.float64))


def test_candidates_are_dropped_out_in_training_only(recommender):
    model = recommender("core", item_dropout=0.5, dropout=0.0, session_dropout=0.0)
    assert (model.item_embeddings()[1:] != 0).all()
    model.train()
    share = (model.item_embeddings()[1:] == 0).double().mean()
    assert 0.35 < share < 0.65
    items = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(items), model(items))


def test_the_defaults_are_those_of_the_paper():
    parameters = models.registry()["core"].parameters
    found = {name: parameters[name].default for name in ("temperature", "session_dropout", "item_dropout")}
    assert found == {"temperature": 0.07, "session_dropout": 0.2, "item_dropout": 0.2}
    model = models.build("core", n_items=10)
    assert model.items.weight.abs().max() <= 1 / math.sqrt(100)
    assert model.items.weight[1:].std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": 0.0}, "model core: temperature is 0.0; expected more than 0"),
        ({"item_dropout": 1.5}, "item_dropout is 1.5; expected 0 <= item_dropout < 1"),
    ],
)
def test_impossible_values_are_refused(recommender, params, message):
    with pytest.raises(ValueError, match=message):
        recommender("core", **params)
