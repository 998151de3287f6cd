"""The names of a suite and their parameters against the registries, which import torch; and one protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from linrec_bench.case import label
from linrec_bench.declarations import trainings
from linrec_bench.parameters import BEST
from linrec_bench.registry import did_you_mean
from linrec_bench.settings import OBJECTIVES
from linrec_bench.suite.base_models import Named
from linrec_bench.suite.expand import NO_MIXING, counts_only
from linrec_bench.suite.grid import Drawn
from linrec_bench.suite.schema import Suite, Sweep
from linrec_bench.suite.select import select
from linrec_bench.suite.source_map import Location
from linrec_bench.training.protocol import Trained, check_one_ranking, check_one_training


class _Declaration(Protocol):
    def check_params(self, params: Mapping[str, object]) -> None: ...


def name_checks(suite: Suite) -> Iterator[tuple[Location, Callable[[], object]]]:
    """What must hold of each value at a location: calls that raise `ValueError` where it does not.

    They are to be made in order: a later one takes for granted what an earlier one has checked.
    """
    from linrec_bench import attention, data, models

    def known(registry: Callable[[], Mapping[str, _Declaration]], entry: Named) -> None:
        registry()[entry.name].check_params(dict(entry.params))

    variants: list[Trained] = []
    for index, sweep in enumerate(suite.sweeps):
        at: Location = ("sweeps", index)
        for number, entry in enumerate(sweep.attention):
            yield (*at, "attention", number), partial(known, attention.registry, _without_best(entry))
            if sweep.model is not None:
                yield (*at, "attention", number), partial(_fits, sweep.model, entry)
        if sweep.model is not None:
            yield (*at, "model"), partial(known, models.registry, sweep.model)
        for axes, entries in (("grid", sweep.grid.lengths), ("fixed", (sweep.fixed.lengths,))):
            for lengths in entries:
                if isinstance(lengths, Drawn):
                    yield (*at, axes, "lengths"), partial(_drawn, lengths)
        if sweep.dataset is not None:
            yield (*at, "dataset"), partial(known, data.registry, sweep.dataset)
        yield (*at, "training"), partial(_trains, sweep)
        if sweep.task in trainings():
            variants += _variants(sweep, f"in sweep {index + 1} " if len(suite.sweeps) > 1 else "")
            yield (*at, "training"), partial(check_one_training, list(variants))
            yield (*at, "evaluation"), partial(check_one_ranking, list(variants))
    yield from _lines(suite)


def _without_best(entry: Named) -> Named:
    """Every mechanism has a best back end, at the least `core`."""
    params = {key: value for key, value in entry.params if (key, value) != ("backend", BEST)}
    return Named(name=entry.name, **params)


def _drawn(lengths: Drawn) -> None:
    from linrec_bench import data

    data.registry()[lengths.dataset].check_params(dict(lengths.params))


def _fits(model: Named, mechanism: Named) -> None:
    from linrec_bench import models

    # An unknown model is told where it stands.
    if model.name in models.registry():
        models.registry()[model.name].check_attention(mechanism.name)


def _lines(suite: Suite) -> Iterator[tuple[Location, Callable[[], object]]]:
    """What `reference`, `expect` and `claims` name is in the suite, and what they select can be read."""
    floors = [NO_MIXING for sweep in suite.sweeps if counts_only(sweep)]
    mechanisms = _labels([*floors, *(entry for sweep in suite.sweeps for entry in sweep.attention)])
    models = _labels(sweep.model for sweep in suite.sweeps if sweep.model is not None)
    yield ("reference",), partial(_among, suite.reference, mechanisms, "mechanisms")
    for section in ("expect", "claims"):
        for number, line in enumerate(getattr(suite, section)):
            at: Location = (section, number)
            for key in ("attention", "to"):
                yield (*at, key), partial(_among, getattr(line, key), mechanisms, "mechanisms")
            for key in ("model", "to_model"):
                yield (*at, key), partial(_among, getattr(line, key), models, "models")
            if line.where:
                yield (*at, "where"), partial(select, [], [line.where], flag="where")


def _labels(entries: Iterable[Named]) -> list[str]:
    return sorted({name for entry in entries for name in (entry.name, label(entry.name, entry.params))})


def _among(name: str, known: Sequence[str], what: str) -> None:
    if name and name not in known:
        raise ValueError(
            f"{name!r} is not among the {what} of the suite: {', '.join(known) or 'it has none'}."
            f"{did_you_mean(name, known)}"
        )


def _trains(sweep: Sweep) -> None:
    learns, objectives = _learns(sweep)
    for causal in _directions(sweep) if learns else ():
        sweep.training.objective_for(causal=causal, objectives=objectives)


def _variants(sweep: Sweep, where: str) -> Iterator[Trained]:
    """What a sweep trains and ranks, one a direction."""
    assert sweep.model is not None, "a sweep of this task has a model"
    assert sweep.dataset is not None, "a sweep of this task has a data set"
    learns, objectives = _learns(sweep)
    for causal in _directions(sweep):
        yield Trained(
            where=f"{where}with causal: {str(causal).lower()}",
            model=label(sweep.model.name, sweep.model.params),
            dataset=label(sweep.dataset.name, sweep.dataset.params),
            causal=causal,
            training=sweep.training if learns else None,
            evaluation=sweep.evaluation,
            objectives=objectives,
        )


def _directions(sweep: Sweep) -> tuple[bool, ...]:
    return sweep.grid.causal or (sweep.fixed.causal,)


def _learns(sweep: Sweep) -> tuple[bool, tuple[str, ...]]:
    """Whether the model of a sweep is trained by steps, and by which objectives."""
    from linrec_bench import models

    if sweep.model is None:
        return True, OBJECTIVES
    spec = models.registry()[sweep.model.name]
    return spec.trained_by_gradient, spec.objectives
