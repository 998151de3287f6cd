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
"""What a target is ranked among, and how a row says so."""

_SAMPLED_KEYS: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": (),
    "sampled_softmax": ("negatives", "negative_sampling", "logq"),
    "bce": ("negatives", "negative_sampling"),
}
_NEGATIVES: Mapping[str, int] = {"sampled_softmax": 256, "bce": 1}


class Settings(BaseModel):
    """Frozen and strict: an unknown key or an impossible value is a one-line `ValueError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def from_mapping(cls, params: Mapping[str, object]) -> Self:
        """The settings that a person wrote, defaults filled in; raises `ValueError` naming the key."""
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
            said = f"{key} is {first['input']!r}; {message}" if key else message
            raise ValueError(f"{section}: {said}") from None

    @classmethod
    def from_stored(cls, values: Mapping[str, object]) -> Self:
        """The settings of a complete dump, in which a default says nothing of what a person wrote."""
        written = {key: value for key, value in values.items() if value != cls.model_fields[key].default}
        return cls.model_validate(written)


class TrainingSettings(Settings):
    """How a model is trained.

    `objective`: `all_positions` (every position of a window predicts its next item), `last_position` (one row
    a prefix) or `cloze` (hidden items are restored, `mask_share` of them, never padding); `auto` takes the
    first of the model's own that its direction allows.
    `loss`: `cross_entropy` over the whole catalogue; `sampled_softmax` against `negatives` items (256) that
    the positions of a batch share, corrected for how often they are drawn where `logq` is true; `bce` against
    `negatives` items (1) of each position's own. `negative_sampling`: `uniform`, or by `popularity` in the
    training data. All scores are divided by `temperature`.
    Training ends after `epochs`, after `budget_seconds` of wall time (None: no limit; validations count, the
    last one may overrun), or when validation NDCG@10 has not risen for `patience` validations.
    `schedule`: `cosine` lets the learning rate fall to 0 over the budget or the epochs, whichever is nearer
    its end; `warmup_steps` raise it linearly before. `weight_decay` is decoupled (AdamW).
    `gradient_clip`: largest norm of the whole gradient. `catalogue_size`: items of the task train_step,
    which has no data set.
    """

    objective: Literal["auto", "all_positions", "last_position", "cloze"] = "auto"
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    loss: Literal["cross_entropy", "sampled_softmax", "bce"] = "cross_entropy"
    negatives: PositiveInt | None = None
    negative_sampling: Literal["uniform", "popularity"] = "uniform"
    logq: bool = True
    temperature: PositiveFloat = 1.0
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

    @model_validator(mode="after")
    def _has_a_use_for_its_keys(self) -> Self:
        for key in ("negatives", "negative_sampling", "logq"):
            if key in self.model_fields_set and key not in _SAMPLED_KEYS[self.loss]:
                users = " or ".join(loss for loss, keys in _SAMPLED_KEYS.items() if key in keys)
                raise ValueError(f"{key} has no use in loss {self.loss}; leave it out, or set loss: {users}")
        if "mask_share" in self.model_fields_set and self.objective not in ("auto", "cloze"):
            raise ValueError(
                f"mask_share has no use in objective {self.objective}; leave it out, or set objective: cloze"
            )
        return self

    @property
    def negatives_drawn(self) -> int:
        """Negatives a batch (sampled_softmax) or a position (bce); 0 for cross_entropy."""
        return self.negatives if self.negatives is not None else _NEGATIVES.get(self.loss, 0)

    def objective_for(self, *, causal: bool, objectives: Sequence[str] = OBJECTIVES) -> Objective:
        """The objective of a mechanism in a model that can be trained by `objectives`, its own one first.

        Raises `ValueError` for all positions without causality, and for an objective that the model lacks.
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
    """Raise `ValueError` for all positions without causality."""
    if objective == "all_positions" and not causal:
        raise ValueError(
            "objective all_positions needs causal: true; a bidirectional mechanism sees at each position "
            "the item that it is to predict. Use objective: last_position"
        )


def _known(objectives: Sequence[str]) -> list[Objective]:
    return [known for name in objectives for known in OBJECTIVES if known == name]


class EvaluationSettings(Settings):
    """How a model is ranked: which split, at which cut-offs, with or without the user's seen items.

    `candidates`: `full` ranks the target in the whole catalogue. `uni100` and `pop100` rank it among 100
    others that the user has not seen, drawn once a seed, uniform or by popularity in the training data: for
    comparison with older tables only, because such metrics do not keep the order of models (Krichene and
    Rendle 2020). `beside`: the test is ranked among these as well, from the same model, in rows and columns
    such as `pop_ndcg@10`. `history_groups`: the metrics are told apart by events in the whole history of the
    user as well; these numbers begin a new group. `target`: the validation NDCG@10 of which is told what it
    cost (seconds, joules); by default the lowest of the best values, which all variants reach. It is asked of
    stored rows, so that another one trains nothing anew.
    """

    split: Literal["leave_one_out", "global_temporal"] = "leave_one_out"
    k: Annotated[tuple[PositiveInt, ...], Field(min_length=1, strict=False)] = (5, 10, 20)
    exclude_seen: bool = True
    candidates: Literal["full", "uni100", "pop100"] = "full"
    beside: Literal["uni100", "pop100"] | None = None
    history_groups: Annotated[tuple[PositiveInt, ...], Field(strict=False)] = (20, 50, 100, 200)
    target: Annotated[float, Field(gt=0, lt=1)] | None = None

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
                f"beside is {self.beside}, as candidates are; expected others, or candidates: full"
            )
        if self.candidates != "full" and not self.exclude_seen:
            raise ValueError(
                f"candidates {self.candidates} never hold what the user has seen; "
                "expected exclude_seen: true, or candidates: full"
            )
        return self
