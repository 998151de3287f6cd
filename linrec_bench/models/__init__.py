"""What wraps a mechanism: one file a recommender, found by its `SPEC`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from linrec_bench.case import Case
from linrec_bench.models.spec import ModelSpec, Recommender
from linrec_bench.registry import Registry

__all__ = ["ModelSpec", "Recommender", "build", "of_case", "registry"]


@cache
def registry() -> Registry[ModelSpec]:
    """Every model by name: the files of this package."""
    specs: list[ModelSpec] = []
    for module in pkgutil.iter_modules(__path__):
        found = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SPEC", None)
        if found is not None:
            specs.append(found)
    return Registry("model", [(spec.name, spec) for spec in specs])


def build(name: str, *, n_items: int, **params: object) -> Recommender:
    """The model `name` over items 1..n_items (0 is padding); stable for use outside this package.

    Raises `ValueError` for unknown names (its subclass `UnknownName`), parameters and impossible values.
    """
    spec = registry()[name]
    spec.check_params(params)
    return spec.build(n_items=n_items, **params)


def of_case(case: Case, *, n_items: int) -> Recommender:
    """The model of a case: sizes and mechanism from its axes, the rest from `model_params`.

    Raises `ValueError` when `model_params` sets what is an axis.
    """
    assert case.model is not None, "a case of this task has a model"
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
    return build(case.model, n_items=n_items, **axes, **params)
