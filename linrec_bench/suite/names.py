"""The names of a suite and their parameters against the registries, which import torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

from linrec_bench.suite.schema import Named, Suite, Sweep
from linrec_bench.suite.text import Location


class _Declaration(Protocol):
    def check_params(self, params: Mapping[str, object]) -> None: ...


def name_checks(suite: Suite) -> Iterator[tuple[Location, Callable[[], object]]]:
    """What must hold of each value at a location: calls that raise `ValueError` where it does not."""
    from linrec_bench import attention, data, models
    from linrec_bench.training.settings import EvaluationSettings

    def known(registry: Callable[[], Mapping[str, _Declaration]], entry: Named) -> None:
        registry()[entry.name].check_params(dict(entry.params))

    for index, sweep in enumerate(suite.sweeps):
        at: Location = ("sweeps", index)
        for number, entry in enumerate(sweep.attention):
            yield (*at, "attention", number), partial(known, attention.registry, entry)
            if sweep.model is not None:
                yield (*at, "attention", number), partial(_fits, sweep.model, entry)
        if sweep.model is not None:
            yield (*at, "model"), partial(known, models.registry, sweep.model)
        if sweep.dataset is not None:
            yield (*at, "dataset"), partial(known, data.registry, sweep.dataset)
        yield (*at, "training"), partial(_trains, sweep)
        yield (*at, "evaluation"), partial(EvaluationSettings.from_params, sweep.evaluation)


def _fits(model: Named, mechanism: Named) -> None:
    from linrec_bench import models

    # An unknown model is told where it stands.
    if model.name in models.registry():
        models.registry()[model.name].check_attention(mechanism.name)


def _trains(sweep: Sweep) -> None:
    from linrec_bench.training.settings import TrainingSettings

    settings = TrainingSettings.from_params(sweep.training)
    for causal in sweep.grid.causal or (sweep.fixed.causal,):
        settings.objective_for(causal=causal)
