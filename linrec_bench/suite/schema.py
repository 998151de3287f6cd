"""The schema of a suite file. An unknown key is an error; every default is here."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from linrec_bench import measures
from linrec_bench.declarations import tasks
from linrec_bench.registry import did_you_mean
from linrec_bench.results.case_table import canonical
from linrec_bench.settings import EvaluationSettings, Settings, TrainingSettings
from linrec_bench.suite.base_models import NAME, Named, Positive, Strict, distinct
from linrec_bench.suite.expectation import Expectation, PaperClaim
from linrec_bench.suite.grid import FULL, Fixed, Grid
from linrec_bench.suite.limits import Limits, Sampling
from linrec_bench.suite.mechanism_query import Attention
from linrec_bench.suite.watermark_config import Watermarks

_PHASES = sorted({phase for task in tasks().values() for phase in task.phases})

TaskName = Annotated[str, WithJsonSchema({"enum": list(tasks()), "type": "string"})]
PhaseName = Annotated[str, WithJsonSchema({"enum": _PHASES})]
MeasureName = Annotated[str, WithJsonSchema({"enum": list(measures.registry())})]
"""Checked by validators of their own, whose messages know the task and near misses."""


_as_written = PlainSerializer(lambda settings: settings.model_dump(mode="json", exclude_unset=True))


def _read_by(kind: type[Settings]) -> BeforeValidator:
    """Settings from a mapping by their own reader, whose messages name near misses."""
    return BeforeValidator(
        lambda value: kind.from_mapping(value) if isinstance(value, dict) else value,
        json_schema_input_type=kind,
    )


class Sweep(Strict):
    """One task over one grid. In a suite file these keys are at the top level, or in a list `sweeps`."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    task: TaskName
    """What one process does: the mechanism alone, its layer, a training or decoding step, train and rank."""
    attention: Attention
    """The mechanisms: by name (`linrec-bench list attention`), by a mapping of name and parameters, or by a
    query: `all`, or conditions such as `{causal: true}`."""
    grid: Grid = Grid()
    fixed: Fixed = Fixed()
    phases: tuple[PhaseName, ...] = ()
    """Phases of the task to measure; by default all."""
    measures: tuple[MeasureName, ...] = ("time", "peak_memory", "flops")
    """What to measure in each phase (`linrec-bench list measures`)."""
    rounds: Positive = 5
    """Number of fresh processes per case; intervals come from the differences between them."""
    limits: Limits = Limits()
    sampling: Sampling = Sampling()
    model: Named | None = None
    """The model around the mechanism in train_step, recommend and decode (`linrec-bench list models`)."""
    dataset: Named | None = None
    """The data set of task recommend (`linrec-bench list data`)."""
    watermark: Watermarks = ()
    """Sequences of rare items to plant in the training histories of task recommend, to test whether a model
    learns them: one mapping of settings, or a list."""
    training: Annotated[TrainingSettings, _read_by(TrainingSettings), _as_written] = TrainingSettings()
    evaluation: Annotated[EvaluationSettings, _read_by(EvaluationSettings), _as_written] = (
        EvaluationSettings()
    )

    @field_validator("attention")
    @classmethod
    def _attention_once(cls, value: tuple[Named, ...]) -> tuple[Named, ...]:
        distinct(tuple((entry.name, entry.params) for entry in value))
        return value

    @field_validator("task")
    @classmethod
    def _known_task(cls, value: str) -> str:
        return tasks()[value].name

    @field_validator("phases")
    @classmethod
    def _phases_of_task(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # A task that is unknown has been refused already.
        known = tasks()[info.data["task"]].phases if "task" in info.data else value
        for phase in value:
            if phase not in known:
                raise ValueError(
                    f"unknown phase {phase!r} of task {info.data['task']}; expected one of: "
                    f"{', '.join(known)}.{did_you_mean(phase, known)}"
                )
        return distinct(value)

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(tuple(measures.registry()[name].name for name in value))

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        swept = self.grid.axes()
        both = [axis for axis in swept if axis in self.fixed.model_fields_set]
        if both:
            raise ValueError(f"{both[0]} stands in both grid and fixed; expected it in one of them")
        if "seq_len" not in swept and self.fixed.seq_len is None:
            raise ValueError("no seq_len; expected it in grid or fixed, such as fixed: {seq_len: 200}")
        task = tasks()[self.task]
        if task.needs_model and self.model is None:
            raise ValueError(f"task {self.task} needs a model, such as model: sasrec")
        if task.needs_dataset and self.dataset is None:
            raise ValueError(f"task {self.task} needs a dataset, such as dataset: synthetic")
        drawn = [entry for entry in (*self.grid.lengths, self.fixed.lengths) if entry != FULL]
        if drawn and not task.takes_lengths:
            takers = ", ".join(other.name for other in tasks().values() if other.takes_lengths)
            raise ValueError(
                f"lengths but full do not apply to task {self.task}; expected them with one of: {takers}"
            )
        if self.watermark and not task.whole_training:
            raise ValueError(
                f"watermark does not apply to task {self.task}; expected it with task: recommend"
            )
        return self

    def all_phases(self) -> tuple[str, ...]:
        """The phases to measure: all of the task by default."""
        return self.phases or tuple(tasks()[self.task].phases)


SWEEP_KEYS = tuple(Sweep.model_fields)


class Suite(Strict):
    """A validated suite: what to run, with every default filled in."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=rf"^{NAME}$")]
    """Name of the folder for its runs; by default the name of the file."""
    title: str = ""
    """Title of tables and figures."""
    reference: str = ""
    """Reference mechanism of ratios; by default softmax, else the first in `attention`."""
    sweeps: Annotated[tuple[Sweep, ...], Field(min_length=1)]
    expect: tuple[Expectation, ...] = ()
    """Bounds that `linrec-bench check` tests."""

    claims: tuple[PaperClaim, ...] = ()
    """Claims of papers, which `check` and `report` judge from stored rows and exact counts."""

    def reference_attention(self) -> str:
        """The reference mechanism of ratios: `reference`, else softmax, else the first in `attention`."""
        names = [entry.name for sweep in self.sweeps for entry in sweep.attention]
        return self.reference or ("softmax" if "softmax" in names else names[0])

    def quality_targets(self) -> dict[tuple[str, str], float]:
        """Data set (name and parameters, as in its rows) -> `evaluation.target`, where there is one."""
        return {
            (sweep.dataset.name, canonical(sweep.dataset.params)): sweep.evaluation.target
            for sweep in self.sweeps
            if sweep.dataset is not None and sweep.evaluation.target is not None
        }


SUITE_KEYS = (*Suite.model_fields, "per_device", "scales")
"""The keys of a suite file beside those of a sweep; `per_device` and `scales` map a device, and a name that
`--set scale=NAME` chooses, to what they change."""
