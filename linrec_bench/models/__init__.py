"""What wraps a mechanism: one file a recommender, found by its `SPEC`."""

from __future__ import annotations

from functools import cache

import numpy as np
from torch import Tensor

from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.models.spec import Baseline, ModelSpec, Ranker, Recommender
from linrec_bench.registry import Registry, specs_in

__all__ = [
    "Baseline",
    "ModelSpec",
    "Ranker",
    "Recommender",
    "baseline_of_case",
    "build",
    "of_case",
    "registry",
]

Features = np.ndarray | Tensor
"""Without a type and shape: a table that does not fit is refused in words, with a `ValueError`."""


@cache
def registry() -> Registry[ModelSpec]:
    """Every model by name: the files of this package."""
    return Registry("model", [(spec.name, spec) for spec in specs_in(__name__, ModelSpec)])


def build(
    name: str, *, n_items: int, item_features: Features | None = None, **params: object
) -> Recommender | Baseline:
    """The model `name` over items 1..n_items (0 is padding); stable for use outside this package.

    item_features: row i holds the features of item i, numbered from 1, 0 where there are fewer than F; row 0
    is padding. For the models whose SPEC says `needs_features`, and for no other.

    Raises `ValueError` for unknown names (its subclass `UnknownName`), parameters and impossible values, and
    `Unsupported` for a model that needs features and gets none.
    """
    spec = registry()[name]
    if "attention" in params:
        spec.check_attention(params["attention"])
    spec.check_params(params)
    if not spec.needs_features:
        if item_features is not None:
            raise ValueError(f"model {name} has no use for item_features; leave them out")
        return spec.make(n_items=n_items, **params)
    if item_features is None:
        raise Unsupported(
            f"model {name} needs features of the items and got none; "
            f"expected item_features, integers of [{n_items + 1}, F], from a data set that has them"
        )
    return spec.make(n_items=n_items, item_features=item_features, **params)


def of_case(case: Case, *, n_items: int, item_features: Features | None = None) -> Recommender:
    """The trained model of a case: sizes and mechanism from its axes, the rest from `model_params`.

    The features are those of the data set, where it has some; a model without use for them is built without.
    Raises as `build` does, and `ValueError` when `model_params` sets what is an axis or the model is a floor.
    """
    spec = _spec(case)
    axes: dict[str, object] = {
        "seq_len": case.seq_len,
        "hidden_size": case.hidden_size,
        "heads": case.heads,
        "layers": case.layers,
        "attention": case.attention,
        "attention_params": dict(case.attention_params),
        "causal": case.causal,
    }
    params = dict(case.model_params)
    for name in params:
        if name in axes:
            raise ValueError(
                f"model {case.model}: {name} is not a parameter of the model but of the sweep; "
                f"set it in grid, fixed or attention"
            )
    spec.check_params(params)
    if not spec.trained_by_gradient:
        raise ValueError(f"model {spec.name} counts and has no steps to train; task {case.task} needs them")
    spec.check_attention(case.attention)
    features = item_features if spec.needs_features else None
    # A model without heads, say, does not ask for their number.
    axes = {name: value for name, value in axes.items() if name in spec.parameters}
    model = build(spec.name, n_items=n_items, item_features=features, **axes, **params)
    assert isinstance(model, Recommender), "trained_by_gradient says so"
    return model


def baseline_of_case(case: Case, *, n_items: int) -> Baseline:
    """The baseline of a case, from its `model_params` alone; no size and no mechanism touches it."""
    spec, params = _spec(case), dict(case.model_params)
    spec.check_params(params)
    model = build(spec.name, n_items=n_items, item_features=None, **params)
    assert isinstance(model, Baseline), "asked for where the SPEC says trained_by_gradient=False"
    return model


def _spec(case: Case) -> ModelSpec:
    assert case.model is not None, "a case of this task has a model"
    return registry()[case.model]
