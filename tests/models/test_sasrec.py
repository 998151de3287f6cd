import math

import pytest
import torch

from linrec_bench import models


def test_the_inner_size_is_the_hidden_size_unless_given(recommender):
    for params, expected in (({}, 16), ({"inner_size": 24}, 24)):
        assert recommender("sasrec", **params).stack.blocks[0].feed_forward[0].out_features == expected


def test_the_defaults_are_those_of_the_paper():
    model = models.build("sasrec", n_items=100)
    # Tables, then two blocks: q, k, v, the projection after them, two products and two norms; a norm.
    block = 4 * (50 * 50 + 50) + 2 * (50 * 50 + 50) + 2 * 2 * 50
    assert sum(weight.numel() for weight in model.parameters()) == 101 * 50 + 200 * 50 + 2 * block + 2 * 50
    assert isinstance(model.stack.blocks[0].feed_forward[1], torch.nn.ReLU)
    assert model.causal


@pytest.mark.parametrize(("norm", "scale"), [("pre", math.sqrt(16)), ("post", 1.0)])
def test_embeddings_are_scaled_in_the_form_of_the_paper_alone(recommender, rows, norm, scale):
    model = recommender("sasrec", norm=norm)
    expected = model.stack(model.items.weight[rows()] * scale)
    torch.testing.assert_close(model(rows()), expected)
    assert model.stack.norm_first == (norm == "pre")


def test_parameters_of_the_mechanism_arrive(recommender):
    model = recommender("sasrec", attention="linrec", causal=False, attention_params={"padding": "ignore"})
    assert model.attention_ops()[0].params == {"padding": "ignore"}
