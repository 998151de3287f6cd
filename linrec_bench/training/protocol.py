"""One protocol a suite: what is compared in quality was trained and ranked in the same way. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from linrec_bench.settings import OBJECTIVES, EvaluationSettings, TrainingSettings

_APART = "to compare the two on purpose, write a suite for each"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What decides how one variant is trained and ranked, and `where` a suite says so (`in sweep 2`).

    `model` and `dataset` are labels; variants that share both are compared in training, those that share the
    data set in evaluation. `objectives` are those of the model; one that counts
    instead of learning has None for `training`.
    """

    where: str
    model: str
    dataset: str
    causal: bool
    training: TrainingSettings | None
    evaluation: EvaluationSettings
    objectives: tuple[str, ...] = OBJECTIVES


def check_one_training(variants: Iterable[Trained]) -> None:
    """Raise `ValueError` where two variants of one model on one data set differ in how they are trained:
    objective, loss, negatives, share of masks, budget, optimiser.

    Within one variant's training the rest is the same by construction: order of the rows, negatives and cloze
    masks are drawn from the seed alone, by generators that no mechanism touches (`training.fit`).
    """
    first: dict[tuple[str, str], tuple[Trained, dict[str, object]]] = {}
    for variant in variants:
        if variant.training is None:
            continue
        training = variant.training
        objective = training.objective_for(causal=variant.causal, objectives=variant.objectives)
        found = training.model_dump() | {"objective": objective}
        other, expected = first.setdefault((variant.model, variant.dataset), (variant, found))
        _same(f"model {variant.model} on {variant.dataset}", "training", (other, expected), (variant, found))


def check_one_ranking(variants: Iterable[Trained]) -> None:
    """Raise `ValueError` where two models on one data set differ in how they are ranked: split, candidates,
    seen items, cut-offs, groups."""
    first: dict[str, tuple[Trained, dict[str, object]]] = {}
    for variant in variants:
        found = variant.evaluation.model_dump()
        other, expected = first.setdefault(variant.dataset, (variant, found))
        _same(f"on {variant.dataset}", "evaluation", (other, expected), (variant, found))


def _same(
    what: str,
    section: str,
    first: tuple[Trained, Mapping[str, object]],
    second: tuple[Trained, Mapping[str, object]],
) -> None:
    for key, value in second[1].items():
        if value != first[1][key]:
            raise ValueError(
                f"{what}: {section}.{key} is {_plain(first[1][key])} {first[0].where} and {_plain(value)} "
                f"{second[0].where}, two protocols whose results cannot be compared; "
                f"{_HINTS.get(f'{section}.{key}', 'give all variants the same')}; {_APART}"
            )


_HINTS = {
    "training.objective": "set training: {objective: last_position}, which every direction can have, for all"
}


def _plain(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else repr(value)
