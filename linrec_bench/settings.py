"""How a model is trained and ranked: keys, types and defaults of `training:` and `evaluation:` in a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from linrec_bench.registry import did_you_mean

Objective = Literal["all_positions", "last_position", "cloze"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

CANDIDATES = {
    "full": "whole catalogue",
    "uni100": "100 uniform negatives (uni100)",
    "pop100": "100 negatives by popularity (pop100)",
}
"""Candidates that a target is ranked among -> their description in rows."""

_SAMPLED_KEYS: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": (),
    "sampled_softmax": ("negatives", "negative_sampling", "logq"),
    "bce": ("negatives", "negative_sampling"),
}
_NEGATIVES: Mapping[str, int] = {"sampled_softmax": 256, "bce": 1}


class Settings(BaseModel):
    """Frozen and strict: `from_mapping` raises a one-line `ValueError` for an unknown key or invalid
    value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def from_mapping(cls, params: Mapping[str, object]) -> Self:
        """The settings from keys of a suite, with defaults; raises `ValueError` with the wrong key."""
        section = cls.__name__.removesuffix("Settings").lower()
        for key in params:
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise ValueError(
                    f"{section}: unknown key {key!r}; expected one of: {known}."
                    f"{did_you_mean(key, cls.model_fields)}"
                )
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            first = error.errors()[0]
            key, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            problem = f"{key} is {first['input']!r}; {message}" if key else message
            raise ValueError(f"{section}: {problem}") from None

    @classmethod
    def from_stored(cls, values: Mapping[str, object]) -> Self:
        """The settings from a complete dump; values equal to the default count as not set."""
        written = {key: value for key, value in values.items() if value != cls.model_fields[key].default}
        return cls.model_validate(written)


class TrainingSettings(Settings):
    """How a model is trained.

    Training ends after `epochs`, after `budget_seconds`, or after `patience` validations without a better
    NDCG@10, whichever comes first. The optimiser is AdamW.
    """

    objective: Literal["auto", "all_positions", "last_position", "cloze"] = "auto"
    """`all_positions`: every position of a window predicts its next item. `last_position`: one row per prefix
    predicts the item after it. `cloze`: hidden items are restored. `auto`: the first objective of the model
    that the direction of its mechanism allows."""
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the items that `cloze` hides; never padding."""
    loss: Literal["cross_entropy", "sampled_softmax", "bce"] = "cross_entropy"
    """`cross_entropy`: over the whole catalogue. `sampled_softmax`: against `negatives` that the positions of
    a batch share. `bce`: binary cross entropy against `negatives` drawn for each position."""
    negatives: PositiveInt | None = None
    """Number of sampled items; by default 256 for `sampled_softmax` and 1 for `bce`."""
    negative_sampling: Literal["uniform", "popularity"] = "uniform"
    """Distribution of the negatives: uniform, or by popularity in the training data."""
    logq: bool = True
    """Whether `sampled_softmax` corrects scores for the probability of being sampled."""
    temperature: PositiveFloat = 1.0
    """Divides all scores."""
    epochs: PositiveInt = 100
    """Largest number of epochs."""
    budget_seconds: PositiveFloat | None = None
    """Wall time, validations included; the last validation may exceed it. By default no limit."""
    learning_rate: PositiveFloat = 1e-3
    """Highest learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay."""
    patience: PositiveInt = 10
    """Validations without improvement after which training stops."""
    validate_every: PositiveInt = 1
    """Epochs between validations."""
    schedule: Literal["constant", "cosine"] = "constant"
    """`cosine` decreases the learning rate to 0 over the budget or the epochs, whichever ends first."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps of linear increase of the learning rate at the start."""
    gradient_clip: PositiveFloat | None = None
    """Largest norm of the whole gradient; by default no limit."""
    catalogue_size: PositiveInt = 10_000
    """Number of items in the tasks `train_step` and `decode`, which have no data set."""

    @model_validator(mode="after")
    def _has_a_use_for_its_keys(self) -> Self:
        for key in ("negatives", "negative_sampling", "logq"):
            if key in self.model_fields_set and key not in _SAMPLED_KEYS[self.loss]:
                users = " or ".join(loss for loss, keys in _SAMPLED_KEYS.items() if key in keys)
                raise ValueError(f"{key} does not apply to loss {self.loss}; remove it, or set loss: {users}")
        if "mask_share" in self.model_fields_set and self.objective not in ("auto", "cloze"):
            raise ValueError(
                f"mask_share does not apply to objective {self.objective}; remove it, or set objective: cloze"
            )
        return self

    @property
    def negatives_drawn(self) -> int:
        """Negatives a batch (sampled_softmax) or a position (bce); 0 for cross_entropy."""
        return self.negatives if self.negatives is not None else _NEGATIVES.get(self.loss, 0)

    def objective_for(self, *, causal: bool, objectives: Sequence[str] = OBJECTIVES) -> Objective:
        """The objective for a model that supports `objectives`, in order of preference.

        Raises `ValueError` for `all_positions` without causality, and for an objective that the model lacks.
        """
        if self.objective == "auto":
            for objective in _known(objectives):
                if causal or objective != "all_positions":
                    return objective
            raise ValueError(
                f"the model can be trained by {' or '.join(objectives) or 'no objective'} only, which needs "
                "causal: true"
            )
        check_objective(self.objective, causal=causal)
        if self.objective not in objectives:
            raise ValueError(
                f"objective {self.objective} is not for this model; expected one of: "
                f"{', '.join(objectives)}, or auto"
            )
        return self.objective


def check_objective(objective: Objective, *, causal: bool) -> None:
    """Raise `ValueError` for `all_positions` without causality."""
    if objective == "all_positions" and not causal:
        raise ValueError(
            "objective all_positions needs causal: true; a bidirectional mechanism sees the item that "
            "each position predicts. Use objective: last_position"
        )


def _known(objectives: Sequence[str]) -> list[Objective]:
    return [known for name in objectives for known in OBJECTIVES if known == name]


class EvaluationSettings(Settings):
    """How a model is ranked."""

    split: Literal["leave_one_out", "global_temporal"] = "leave_one_out"
    """`leave_one_out`: the last event of each user is the test target, the one before it the validation
    target. `global_temporal`: two points in time separate training, validation and test."""
    k: Annotated[tuple[PositiveInt, ...], Field(min_length=1, strict=False)] = (5, 10, 20)
    """Cut-offs of Recall, NDCG and MRR."""
    exclude_seen: bool = True
    """Whether items in the user's history, except the target, are left out of the ranking."""
    candidates: Literal["full", "uni100", "pop100"] = "full"
    """`full` ranks the target in the whole catalogue. `uni100` and `pop100` rank it among 100 unseen items,
    drawn once per seed, uniformly or by popularity; use these only for comparison with older tables, because
    such metrics do not preserve the order of models (Krichene and Rendle 2020)."""
    beside: Literal["uni100", "pop100"] | None = None
    """Additional candidates for the test, in rows and columns such as `pop_ndcg@10`."""
    history_groups: Annotated[tuple[PositiveInt, ...], Field(strict=False)] = (20, 50, 100, 200)
    """Metrics are also reported by length of the user's whole history; these lengths start new groups."""
    target: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Validation NDCG@10 for which the training cost (seconds, joules) is reported; by default the lowest of
    the variants' best values, which all reach. Computed from stored rows: a change trains nothing again."""

    @field_validator("history_groups")
    @classmethod
    def _ascend(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)) or 1 in value:
            raise ValueError("expected ascending numbers above 1, such as [20, 50, 100, 200]")
        return value

    @model_validator(mode="after")
    def _seen_items_are_no_candidates(self) -> Self:
        if self.beside is not None and self.beside == self.candidates:
            raise ValueError(
                f"beside and candidates are both {self.beside}; expected different ones, or candidates: full"
            )
        if self.candidates != "full" and not self.exclude_seen:
            raise ValueError(
                f"candidates {self.candidates} never include seen items; "
                "expected exclude_seen: true, or candidates: full"
            )
        return self
