import math

import numpy as np
import pytest
import torch

from linrec_bench import models
from linrec_bench.attention.spec import Unsupported
from linrec_bench.models.feature_embeddings import SummedFeatures, WeighedFeatures

TABLE = np.array([[0, 0], [1, 2], [2, 0], [0, 0]])
NEEDY = [name for name, spec in models.registry().items() if spec.needs_features]


def with_vectors(kind):
    made = kind("toy", TABLE, n_items=3, width=2)
    with torch.no_grad():
        made.features.weight[1:] = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    return made


@pytest.mark.parametrize("items", [[[1, 2]], [[1, 2], [3, 0], [2, 1]]], ids=["few events", "many events"])
def test_sums_by_hand(items):
    by_item = [[0, 0], [1, 2], [0, 2], [0, 0]]
    expected = [[by_item[item] for item in row] for row in items]
    assert with_vectors(SummedFeatures)(torch.tensor(items)).tolist() == expected


@pytest.mark.parametrize("items", [[[1, 2]], [[1, 2], [3, 0], [2, 1]]], ids=["few events", "many events"])
def test_weights_by_hand(items):
    made = with_vectors(WeighedFeatures)
    inner, _, outer = made.weigh
    with torch.no_grad():
        inner.weight.copy_(torch.eye(2))
        inner.bias.zero_()
        # The logits are ln 3 for the first feature and 0 for the second.
        outer.weight.copy_(torch.tensor([[math.log(3), 0.0]]))
        outer.bias.zero_()
    by_item = torch.tensor([[0, 0], [0.75, 0.5], [0, 2], [0, 0]])
    torch.testing.assert_close(made(torch.tensor(items)), by_item[torch.tensor(items)])


@pytest.mark.parametrize("kind", [SummedFeatures, WeighedFeatures])
def test_gradients_do_not_depend_on_how_many_events_there_are(kind):
    torch.manual_seed(0)
    made = with_vectors(kind)
    grads = []
    for items in ([[1, 2]], [[1, 2, 0, 0, 0, 0]]):
        made.zero_grad()
        (made(torch.tensor(items))[:, :2] * torch.tensor([[1.0], [3.0]])).sum().backward()
        grads.append(made.features.weight.grad.clone())
    torch.testing.assert_close(*grads)
    assert not grads[0][0].any()
    assert grads[0][1:].any()


@pytest.mark.parametrize("name", NEEDY)
def test_features_change_the_states(recommender, rows, name):
    model = recommender(name)
    before = model(rows())
    with torch.no_grad():
        model.features.features.weight[4] += 1
    touched = torch.isin(rows(), torch.arange(3, 21, 4)).cumsum(dim=1) > 0
    changed = (model(rows()) - before).abs().amax(dim=-1) > 1e-9
    assert torch.equal(changed, touched)


@pytest.mark.parametrize("name", NEEDY)
def test_tensors_and_arrays_of_features_are_one(name):
    scores = []
    for table in (TABLE, torch.tensor(TABLE), TABLE.astype(np.int32)):
        torch.manual_seed(0)
        model = models.build(name, n_items=3, item_features=table).eval()
        scores.append(model.scores(torch.tensor([[1, 2, 3]])))
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])


@pytest.mark.parametrize("name", NEEDY)
def test_a_model_without_its_features_is_refused(name):
    with pytest.raises(
        Unsupported, match=rf"model {name} needs features of the items and got none.*\[4, F\]"
    ):
        models.build(name, n_items=3)


def test_a_model_without_use_for_features_refuses_them():
    with pytest.raises(ValueError, match="model sasrec has no use for item_features"):
        models.build("sasrec", n_items=3, item_features=TABLE)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE[1:], r"int64 of \[3, 2\]; expected integers of \[4, F\]"),
        (TABLE[:, :0], r"int64 of \[4, 0\]; expected"),
        (TABLE[:, 0], r"int64 of \[4\]; expected"),
        (TABLE.astype(float), r"float64 of \[4, 2\]; expected"),
        (TABLE - 1, "a negative number or a feature of the padding"),
        (TABLE[::-1] + np.eye(4, 2, dtype=int), "a feature of the padding in row 0"),
    ],
)
def test_impossible_tables_are_refused(table, message):
    with pytest.raises(ValueError, match=f"model fdsa: item_features .*{message}"):
        models.build("fdsa", n_items=3, item_features=table)


def test_fdsa_has_two_streams_that_meet_at_the_end(recommender, rows):
    model = recommender("fdsa")
    items = model.item_encoder(model.items.weight[rows()])
    features = model.feature_encoder(model.features(rows()))
    expected = items @ model.join.weight[:, :16].T + features @ model.join.weight[:, 16:].T + model.join.bias
    torch.testing.assert_close(model(rows()), expected)


def test_sasrecf_joins_items_and_features_at_the_start(recommender, rows):
    model = recommender("sasrecf")
    weight, bias = model.join.weight, model.join.bias
    joined = model.items.weight[rows()] @ weight[:, :16].T + model.features(rows()) @ weight[:, 16:].T + bias
    torch.testing.assert_close(model(rows()), model.stack(joined))
