"""Suite -> jobs: the product of every grid, in a fixed order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from linrec_bench.case import Case
from linrec_bench.declarations import tasks
from linrec_bench.suite.base_models import Named
from linrec_bench.suite.grid import AXES, FULL, Drawn
from linrec_bench.suite.limits import Limits, Sampling
from linrec_bench.suite.schema import Suite, Sweep


@dataclass(frozen=True)
class Job:
    """A case and how it is to be measured."""

    case: Case
    measures: tuple[str, ...]
    rounds: int
    limits: Limits
    sampling: Sampling

    @property
    def grid_point(self) -> Case:
        """What the cases that are compared with each other share: all but the mechanism."""
        return replace(self.case, attention="", attention_params=())


def expand(suite: Suite, *, device: str) -> list[Job]:
    """Every job of the suite on `device`, each case once.

    Order: sweeps as written, then watermarks, then the grid (axes in the order of `AXES`, first slowest),
    then phases, then mechanisms, so that the mechanisms of one grid point stand beside each other. A model
    that counts instead of learning is one case for each length and seed, whatever else is swept. Raises
    `ValueError` when two sweeps ask for the same case, or a combination is impossible (a hidden size that its
    heads do not divide).
    """
    jobs: dict[str, Job] = {}
    for sweep in suite.sweeps:
        for job in _jobs_of(sweep, device):
            if job.case.id in jobs:
                raise ValueError(
                    f"two sweeps ask for the same case (task {job.case.task}, attention "
                    f"{job.case.attention_label}, seq_len {job.case.seq_len}); expected each case once"
                )
            jobs[job.case.id] = job
    return list(jobs.values())


NO_MIXING = Named(name="no-op")
"""The mechanism of a model that counts instead of learning: nothing is mixed."""

_AXES_OF_COUNTING = ("seq_len", "seed")
"""The axes that such a model can tell apart: how much of a history it sees, and the candidates drawn."""


def _jobs_of(sweep: Sweep, device: str) -> list[Job]:
    swept, mechanisms = sweep.grid.axes(), sweep.attention
    if counts_only(sweep):
        swept = {axis: values if axis in _AXES_OF_COUNTING else values[:1] for axis, values in swept.items()}
        mechanisms = (NO_MIXING,)
    fixed = {axis: getattr(sweep.fixed, axis) for axis in AXES if axis not in swept}
    return [
        Job(
            case=Case(
                task=sweep.task,
                phase=phase,
                attention=entry.name,
                attention_params=entry.params,
                model=sweep.model.name if sweep.model else None,
                model_params=sweep.model.params if sweep.model else (),
                dataset=sweep.dataset.name if sweep.dataset else None,
                dataset_params=sweep.dataset.params if sweep.dataset else (),
                training=sweep.training if tasks()[sweep.task].reads_training else None,
                # The target is asked of stored rows: another one must not train anew.
                evaluation=sweep.evaluation.model_copy(update={"target": None})
                if tasks()[sweep.task].reads_evaluation
                else None,
                watermark=marking.params if marking else (),
                device=device,
                **_fields(fixed | dict(zip(swept, values, strict=True))),
            ),
            measures=sweep.measures,
            rounds=sweep.rounds,
            limits=sweep.limits,
            sampling=sweep.sampling,
        )
        for marking in sweep.watermark or (None,)
        for values in product(*swept.values())
        for phase in sweep.all_phases()
        for entry in mechanisms
    ]


def counts_only(sweep: Sweep) -> bool:
    """Whether the model of the sweep counts instead of learning, so that no mechanism touches it."""
    if sweep.model is None:
        return False
    # The models import torch, which a suite without any does not need.
    from linrec_bench import models

    known = models.registry()
    return sweep.model.name in known and not known[sweep.model.name].trained_by_gradient


def _fields(axes: dict[str, Any]) -> dict[str, Any]:
    """The fields of a case that hold the values of the axes."""
    lengths = axes.pop("lengths")
    if isinstance(lengths, Drawn):
        return axes | {"lengths": lengths.dataset, "lengths_params": lengths.params}
    return axes if lengths == FULL else axes | {"lengths": lengths}
