"""The keys of `training:` and `evaluation:` in a suite, their types and defaults. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from linrec_bench.registry import did_you_mean

Objective = Literal["all_positions", "last_position"]


class Settings(BaseModel):
    """Frozen and strict: an unknown key or an impossible value is a one-line `ValueError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def from_params(cls, params: Mapping[str, object]) -> Self:
        """The settings of a mapping, defaults filled in; raises `ValueError` naming the key."""
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
            key = ".".join(map(str, first["loc"]))
            raise ValueError(f"{section}: {key} is {first['input']!r}; {first['msg']}") from None


class TrainingSettings(Settings):
    """How a model is trained.

    `objective`: `all_positions` (every position of a window predicts its next item) or `last_position` (one
    row a prefix); `auto` takes the first for a causal mechanism and the second for any other.
    `loss`: `cross_entropy` over the whole catalogue.
    Training ends after `epochs`, after `budget_seconds` of wall time (None: no limit; validations count, the
    last one may overrun), or when validation NDCG@10 has not risen for `patience` validations.
    `schedule`: `cosine` lets the learning rate fall to 0 over the budget or the epochs, whichever is nearer
    its end; `warmup_steps` raise it linearly before. `weight_decay` is decoupled (AdamW).
    `gradient_clip`: largest norm of the whole gradient. `catalogue_size`: items of the task train_step,
    which has no data set.
    """

    objective: Literal["auto", "all_positions", "last_position"] = "auto"
    loss: Literal["cross_entropy"] = "cross_entropy"
    epochs: PositiveInt = 100
    budget_seconds: PositiveFloat | None = None
    learning_rate: PositiveFloat = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    patience: PositiveInt = 10
    validate_every: PositiveInt = 1
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    gradient_clip: PositiveFloat | None = None
    catalogue_size: PositiveInt = 10_000

    def objective_for(self, *, causal: bool) -> Objective:
        """The objective of a mechanism; raises `ValueError` for all positions without causality."""
        if self.objective == "auto":
            return "all_positions" if causal else "last_position"
        if self.objective == "all_positions" and not causal:
            raise ValueError(
                "objective all_positions needs causal: true; a bidirectional mechanism sees at each position "
                "the item that it is to predict. Use objective: last_position"
            )
        return self.objective


class EvaluationSettings(Settings):
    """How a model is ranked: which split, at which cut-offs, with or without the user's seen items."""

    split: Literal["leave_one_out", "global_temporal"] = "leave_one_out"
    k: Annotated[tuple[PositiveInt, ...], Field(min_length=1, strict=False)] = (5, 10, 20)
    exclude_seen: bool = True
