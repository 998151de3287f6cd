"""One protocol a suite: what is compared in quality was trained and ranked in the same way. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from linrec_bench.training.settings import OBJECTIVES, EvaluationSettings, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What decides how the variants of one model on one data set are trained and ranked.

    `model` and `dataset` are labels; only variants that share both are compared. `objectives` are those of
    the model; `training` and `evaluation` are the sections of the suite.
    """

    model: str
    dataset: str
    causal: bool
    training: Mapping[str, object]
    evaluation: Mapping[str, object]
    objectives: tuple[str, ...] = OBJECTIVES


def check_one_protocol(variants: Iterable[Trained]) -> None:
    """Raise `ValueError` where two variants of one model on one data set differ in how they are trained or
    ranked: objective, loss, negatives, budget, optimiser, split, candidates.

    Within one variant's training the rest is the same by construction: order of the rows, negatives and cloze
    masks are drawn from the seed alone, by generators that no mechanism touches (`training.fit`).
    """
    first: dict[tuple[str, str], tuple[bool, dict[str, object]]] = {}
    for variant in variants:
        found = _resolved(variant)
        causal, expected = first.setdefault((variant.model, variant.dataset), (variant.causal, found))
        for key, value in found.items():
            if value != expected[key]:
                raise ValueError(
                    f"model {variant.model} on {variant.dataset}: {key} is {expected[key]!r} "
                    f"with causal: {str(causal).lower()} and {value!r} with causal: "
                    f"{str(variant.causal).lower()}, two protocols whose results cannot be compared; "
                    f"{_HINTS.get(key, 'give all variants the same, or split the suite in two')}"
                )


_HINTS = {
    "training.objective": "set training: {objective: last_position}, which every direction can have, for all"
}


def _resolved(variant: Trained) -> dict[str, object]:
    training = TrainingSettings.from_params(variant.training)
    evaluation = EvaluationSettings.from_params(variant.evaluation)
    objective = training.objective_for(causal=variant.causal, objectives=variant.objectives)
    sections = {
        "training": training.model_dump() | {"objective": objective},
        "evaluation": evaluation.model_dump(),
    }
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
