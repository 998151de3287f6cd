import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from linrec_bench import models
from linrec_bench.case import Case
from linrec_bench.data.sequences import Sequences
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
ONE_HISTORY = Sequences(np.array([1, 2], dtype=np.int32), np.arange(2), np.array([0, 2]), 2)


def test_every_model_says_what_it_is():
    for name, spec in models.registry().items():
        assert spec.name == name
        assert spec.title
        assert spec.paper
        assert all(p.default is not p.empty for p in spec.parameters.values())


@pytest.mark.parametrize(("name", "spec"), models.registry().items())
def test_every_model_is_what_its_spec_says(name, spec):
    features = np.array([[0], [1], [0]]) if spec.needs_features else None
    model = models.build(name, n_items=2, item_features=features)
    assert isinstance(model, models.Recommender if spec.trained_by_gradient else models.Baseline)
    assert isinstance(model, nn.Module)
    assert bool(list(model.parameters())) == spec.trained_by_gradient
    assert bool(spec.objectives) == spec.trained_by_gradient
    if not spec.trained_by_gradient:
        model.fit(ONE_HISTORY)
    told = (torch.tensor([[0, 5, 9], [0, 5, 5]]),) if getattr(model, "needs_timestamps", False) else ()
    assert model.scores(torch.tensor([[1, 2], [2, 0]]), None, *told).shape == (2, 3)


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
    assert [mixer.spec.name for mixer in model.attention_ops()] == ["softmax", "softmax"]
    assert model.causal
    assert model(torch.ones(1, 9, dtype=torch.int64)).shape == (1, 9, 12)
    with pytest.raises(ValueError, match="at most 9"):
        model(torch.ones(1, 10, dtype=torch.int64))


def test_the_model_parameters_of_a_case_reach_the_model():
    model = models.of_case(dataclasses.replace(CASE, model_params=(("dropout", 0.75),)), n_items=7)
    assert model.stack.dropout.p == 0.75


def test_what_is_an_axis_is_not_a_model_parameter():
    case = dataclasses.replace(CASE, model_params=(("hidden_size", 32),))
    with pytest.raises(ValueError, match="hidden_size is not a parameter of the model but of the sweep"):
        models.of_case(case, n_items=7)


@pytest.mark.parametrize("name", ["n_items", "item_features", "drop_out"])
def test_a_suite_does_not_set_what_the_data_sets(name):
    case = dataclasses.replace(CASE, model="fdsa", model_params=((name, 3),))
    with pytest.raises(ValueError, match=f"model fdsa has no parameter '{name}'"):
        models.of_case(case, n_items=7, item_features=np.zeros((8, 1), dtype=np.int64))


def test_features_of_the_data_reach_the_models_that_use_them():
    features = np.arange(8)[:, None]
    model = models.of_case(dataclasses.replace(CASE, model="fdsa"), n_items=7, item_features=features)
    assert model.features.table.tolist() == features.tolist()
    assert models.of_case(CASE, n_items=7, item_features=features)(torch.tensor([[1]])).shape == (1, 1, 12)


def test_a_floor_takes_nothing_from_the_sweep():
    case = dataclasses.replace(CASE, model="item-knn", model_params=(("neighbours", 3),))
    assert models.baseline_of_case(case, n_items=7).nearest.shape == (8, 3)
    with pytest.raises(ValueError, match="model item-knn counts and has no steps to train; task train_step"):
        models.of_case(case, n_items=7)
    with pytest.raises(ValueError, match="item-knn has no parameter 'dropout'"):
        models.baseline_of_case(dataclasses.replace(case, model_params=(("dropout", 0.1),)), n_items=7)


@pytest.mark.parametrize("name", [name for name, spec in models.registry().items() if spec.mechanisms])
def test_a_model_with_a_mechanism_of_its_own_takes_no_other(name):
    own = models.registry()[name].mechanisms
    message = f"model {name} has its own way of mixing tokens, of which softmax is no part; .*{own[0]}"
    with pytest.raises(ValueError, match=message):
        models.build(name, n_items=3, attention="softmax")
    case = dataclasses.replace(CASE, model=name)
    with pytest.raises(ValueError, match=message):
        models.of_case(case, n_items=3)
    causal = name != "lightsans"
    model = models.of_case(dataclasses.replace(case, attention=own[0], causal=causal), n_items=3)
    assert model.causal == causal
