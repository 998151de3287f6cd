import dataclasses

import pytest
import torch

from linrec_bench import models
from linrec_bench.case import Case
from linrec_bench.registry import UnknownName

CASE = Case(
    task="train_step",
    phase="step",
    attention="softmax",
    model="sasrec",
    seq_len=9,
    hidden_size=12,
    heads=3,
    layers=2,
    causal=True,
)


def test_every_model_says_what_it_is():
    for name, spec in models.registry().items():
        assert spec.name == name
        assert spec.title
        assert spec.paper
        assert all(p.default is not p.empty for p in spec.parameters.values())


@pytest.mark.parametrize("name", models.registry())
def test_every_model_keeps_the_contract(name):
    model = models.build(name, n_items=7, seq_len=5, hidden_size=8, heads=2, layers=3).eval()
    items = torch.tensor([[1, 2, 7], [3, 0, 0]])
    assert model(items).shape == (2, 3, 8)
    assert model.item_embeddings().shape == (8, 8)
    assert len(model.mixers()) == 3
    assert isinstance(model.causal, bool)


def test_an_unknown_model_is_named():
    with pytest.raises(UnknownName, match=r"unknown model 'sasrek'.*'sasrec'"):
        models.build("sasrek", n_items=3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden": 8}, r"model sasrec has no parameter 'hidden'; .*mean 'hidden_size'"),
        ({"n_itemz": 8}, r"no parameter 'n_itemz'"),
        ({"layers": "two"}, r"model sasrec: layers is 'two'; "),
        ({"layers": True}, r"model sasrec: layers is True; "),
        ({"inner_size": 1.5}, r"model sasrec: inner_size is 1.5; "),
    ],
)
def test_parameters_are_checked(params, message):
    with pytest.raises(ValueError, match=message) as caught:
        models.build("sasrec", n_items=3, **params)
    assert "\n" not in str(caught.value)


def test_a_case_sets_the_sizes_and_the_mechanism():
    model = models.of_case(CASE, n_items=7)
    assert model.item_embeddings().shape == (8, 12)
    assert [mixer.name for mixer in model.mixers()] == ["softmax", "softmax"]
    assert model.causal
    assert model.seq_len == 9


def test_the_model_parameters_of_a_case_reach_the_model():
    model = models.of_case(dataclasses.replace(CASE, model_params=(("dropout", 0.75),)), n_items=7)
    assert model.dropout.p == 0.75


def test_what_is_an_axis_is_not_a_model_parameter():
    case = dataclasses.replace(CASE, model_params=(("hidden_size", 32),))
    with pytest.raises(ValueError, match="hidden_size is not a parameter of the model but of the sweep"):
        models.of_case(case, n_items=7)
