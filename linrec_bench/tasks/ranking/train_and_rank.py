"""Train a recommender on a data set, choose its epoch on validation, report its ranking on test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from linrec_bench import data, models
from linrec_bench.attention.spec import Unsupported, factories
from linrec_bench.case import Case
from linrec_bench.data.sequences import Queries, Sequences, Split
from linrec_bench.data.splits import SPLITS
from linrec_bench.measures.instruments import energy_meter
from linrec_bench.measures.instruments.ranking_metrics import history_groups, metrics
from linrec_bench.models.spec import Baseline, ModelSpec, Recommender, Supernet
from linrec_bench.settings import CANDIDATES, EvaluationSettings, Objective, TrainingSettings
from linrec_bench.tasks import Emit
from linrec_bench.tasks.ranking.ranker import Ranker, Ranks
from linrec_bench.tasks.ranking.ranking_flops import ranking_flops
from linrec_bench.training.checkpoint import Checkpoint
from linrec_bench.training.fit import CHOSEN_AT, CHOSEN_BY, Epoch, Fit, fit
from linrec_bench.training.objectives import rows_of

ENERGY_OF = "NVML's counter of the whole device, without validation"


@runtime_checkable
class Keep(Protocol):
    """How a task hands over arrays that are no rows; `name` says what they are."""

    def __call__(self, name: str, arrays: Mapping[str, np.ndarray]) -> None: ...


def drop(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Nobody keeps them."""


def run(case: Case, emit: Emit, *, keep: Keep = drop, checkpoint: Checkpoint | None = None) -> None:
    """Report the validation of each epoch as it ends, then the test of the best one.

    Rows: `recall@k`, `ndcg@k`, `mrr@k` in the phases `validation` (one an epoch, `repeat` is its number) and
    `test` (there also `pop_ndcg@k` where the evaluation has such candidates beside its own), and in the
    phase of the case for each group of test queries (`group_by` is `history`, `group` such as `20-49`), with
    the number of its `queries`; `train_loss`, `epoch_time` an epoch, and `epoch_energy` where NVML has it;
    `train_time`, `test_time`, `best_epoch`, `epochs`, `events_per_second`, `parameters` and `flops`, those
    of ranking one history, at the end. A model that counts instead of learning has no epochs. One that
    searches for its architecture reports that as the phase `search` first: its epochs, `search_time` and
    what it chose, `chosen_layers` for one; all else is of the chosen model, trained anew.

    `keep` is given `ranks`: `user` (the number of the user in the data set), `rank` and `history` (events
    before the target), one entry a test query in the order of the split, for intervals paired by user. With a
    `checkpoint` the training goes on from where it was interrupted; the rows are those of the whole.

    Raises `ValueError` for settings that are unknown or impossible, `Unsupported` for a model that needs what
    the data set lacks, `FloatingPointError` when the loss is not finite.
    """
    setting = read(case)
    split = setting.split
    ranker = Ranker(case, setting.evaluation, split)
    torch.manual_seed(case.seed)
    if setting.spec.trained_by_gradient:
        prepared = trained(case, setting.training, ranker, emit, checkpoint)
    else:
        prepared = _counted(case, split.train)

    began = time.perf_counter()
    ranks = ranker.ranks(prepared.model, "test")
    emit("test_time", time.perf_counter() - began, "s")
    emit_test(ranks, split.test, setting.evaluation, prepared.chosen, emit)
    if setting.evaluation.beside is not None:
        _emit_beside(
            ranker.ranks_beside(prepared.model), split.test, setting.evaluation, prepared.chosen, emit
        )
    kept = {"user": split.test.user, "rank": ranks, "history": split.test.histories.lengths}
    keep("ranks", {name: values.astype(np.int32) for name, values in kept.items()})
    for measure, value, unit in prepared.costs:
        emit(measure, value, unit)


@dataclass(frozen=True)
class Setting:
    """What a case says, checked, and the split of its data."""

    spec: ModelSpec
    training: TrainingSettings
    evaluation: EvaluationSettings
    split: Split


def read(case: Case) -> Setting:
    """The settings of a case and its data; raises as `run` does."""
    training, evaluation = case.training, case.evaluation
    assert training is not None, "a case of this task has settings of training"
    assert evaluation is not None, "a case of this task has settings of evaluation"
    assert case.dataset is not None, "a case of this task has a data set"
    assert case.model is not None, "a case of this task has a model"
    spec = models.registry()[case.model]
    if spec.trained_by_gradient:
        # Before the data are loaded, which may take longer than a person waits for a refusal.
        training.objective_for(causal=case.causal, objectives=spec.objectives)
    sequences = data.load(case.dataset, **dict(case.dataset_params))
    if spec.needs_features and sequences.item_features is None:
        raise Unsupported(
            f"model {spec.name} needs features of the items, and data {case.dataset_label} came without any "
            "(docs/data.md says where they are looked for)"
        )
    return Setting(spec, training, evaluation, SPLITS[evaluation.split](sequences))


@dataclass(frozen=True)
class Prepared:
    """A model that can be tested, how its weights were chosen, and what that cost."""

    model: Recommender | Baseline
    chosen: str
    costs: tuple[tuple[str, float | int, str], ...]


def trained(
    case: Case, training: TrainingSettings, ranker: Ranker, emit: Emit, checkpoint: Checkpoint | None
) -> Prepared:
    """A model of the case, trained on the split of the ranker; its epochs are reported as they end."""
    train = ranker.split.train
    with factories(torch.device(case.device), getattr(torch, case.dtype)):
        model = models.of_case(case, n_items=train.n_items, item_features=train.item_features)
    assert case.model is not None, "of_case has made one"
    objectives = models.registry()[case.model].objectives
    objective = training.objective_for(causal=case.causal, objectives=objectives)
    asked = (ranker.split.validation, ranker.split.test)
    if model.needs_timestamps and any(queries.request_times is None for queries in asked):
        raise Unsupported(
            f"model {case.model} needs timestamps, and data set {case.dataset} does not say when its "
            "requests came"
        )
    if isinstance(model, Supernet):
        model, training = _searched(case, training, ranker, model, objective, emit)
    fitted = _fitted(case, training, ranker, model, objective, emit, checkpoint)
    chosen = f"best of validation {CHOSEN_BY}, stopped by {fitted.stopped_by}"
    return Prepared(model, chosen, _costs(model, fitted, case.seq_len))


def _searched(
    case: Case,
    training: TrainingSettings,
    ranker: Ranker,
    supernet: Supernet,
    objective: Objective,
    emit: Emit,
) -> tuple[Recommender, TrainingSettings]:
    """The model that the search chooses, with new weights, and what is left of the budget to train it.

    The search has half of `budget_seconds` at most. It is never resumed: an interrupted case searches again,
    and finds the same unless time decides.
    """
    budget_s = training.budget_seconds
    half = None if budget_s is None else budget_s / 2
    limited = training.model_copy(update={"epochs": supernet.search_epochs, "budget_seconds": half})
    began = time.perf_counter()
    found = _fitted(case, limited, ranker, supernet, objective, emit, None, phase="search")
    spent_s = time.perf_counter() - began
    detail = f"arg-max after epoch {found.best_epoch} of {len(found.epochs)}, stopped by {found.stopped_by}"
    emit("search_time", spent_s, "s", phase="search", detail=detail)
    for name, size in supernet.choice().items():
        emit(f"chosen_{name}", size, "1", phase="search", detail=detail)
    torch.manual_seed(case.seed)
    with factories(torch.device(case.device), getattr(torch, case.dtype)):
        chosen = supernet.chosen()
    left = None if budget_s is None else max(budget_s - spent_s, budget_s / 2)
    return chosen, training.model_copy(update={"budget_seconds": left})


def _fitted(
    case: Case,
    training: TrainingSettings,
    ranker: Ranker,
    model: Recommender,
    objective: Objective,
    emit: Emit,
    checkpoint: Checkpoint | None,
    *,
    phase: str = "",
) -> Fit:
    """One training; its rows are those of `phase` where that is not empty."""
    train = ranker.split.train
    protocol = _protocol(ranker.evaluation, ranker.split.validation)

    def validate() -> dict[str, float]:
        return metrics(ranker.ranks(model, "validation"), sorted({*ranker.evaluation.k, CHOSEN_AT}))

    def report_epoch(epoch: Epoch) -> None:
        told = f"{training.loss}, {objective}"
        emit("train_loss", epoch.loss, "nat", phase=phase, repeat=epoch.number, detail=told)
        emit("epoch_time", epoch.train_s, "s", phase=phase, repeat=epoch.number)
        if epoch.train_j is not None:
            emit("epoch_energy", epoch.train_j, "J", phase=phase, repeat=epoch.number, detail=ENERGY_OF)
        for measure, value in epoch.validation.items():
            emit(measure, value, "1", phase=phase or "validation", repeat=epoch.number, detail=protocol)

    with energy_meter.metered(torch.device(case.device)) as meter:
        return fit(
            model,
            rows_of(train, objective, case.seq_len, timed=model.needs_timestamps),
            training,
            objective=objective,
            counts=ranker.popularity,
            batch_size=case.batch_size,
            seed=case.seed,
            validate=validate,
            on_epoch=report_epoch,
            checkpoint=checkpoint,
            meter=meter,
        )


def _costs(model: Recommender, fitted: Fit, seq_len: int) -> tuple[tuple[str, float | int, str], ...]:
    return (
        ("train_time", fitted.train_s, "s"),
        ("best_epoch", fitted.best_epoch, "1"),
        ("epochs", len(fitted.epochs), "1"),
        ("events_per_second", fitted.events / fitted.train_s, "1/s"),
        ("parameters", sum(weight.numel() for weight in model.parameters()), "1"),
        ("flops", ranking_flops(model, seq_len), "FLOP"),
    )


def _counted(case: Case, train: Sequences) -> Prepared:
    """A floor, which takes no settings of training and has no epochs."""
    with torch.device(case.device):
        model = models.baseline_of_case(case, n_items=train.n_items)
    began = time.perf_counter()
    model.fit(train)
    costs = (("train_time", time.perf_counter() - began, "s"), ("parameters", 0, "1"))
    return Prepared(model, "counted once on train", costs)


def emit_test(ranks: Ranks, test: Queries, evaluation: EvaluationSettings, chosen: str, emit: Emit) -> None:
    detail = f"{_protocol(evaluation, test)}, {chosen}"
    for measure, value in metrics(ranks, evaluation.k).items():
        emit(measure, value, "1", phase="test", detail=detail)
    for name, inside in history_groups(test.histories.lengths, evaluation.history_groups):
        emit("queries", int(inside.sum()), "1", group_by="history", group=name)
        for measure, value in metrics(ranks[inside], evaluation.k).items():
            emit(measure, value, "1", detail=detail, group_by="history", group=name)


def _emit_beside(
    ranks: Ranks, test: Queries, evaluation: EvaluationSettings, chosen: str, emit: Emit
) -> None:
    assert evaluation.beside is not None, "asked for where there are such candidates"
    # Among drawn candidates nothing that the user has seen is one, whatever the protocol says.
    among = evaluation.model_copy(update={"candidates": evaluation.beside, "exclude_seen": True})
    for measure, value in metrics(ranks, evaluation.k).items():
        name = f"{evaluation.beside.removesuffix('100')}_{measure}"
        emit(name, value, "1", phase="test", detail=f"{_protocol(among, test)}, {chosen}")


def _protocol(evaluation: EvaluationSettings, queries: Queries) -> str:
    left_out = queries.no_history + queries.unseen_target
    dropped = queries.histories.dropped_rows
    return (
        f"{CANDIDATES[evaluation.candidates]}, seen {'excluded' if evaluation.exclude_seen else 'included'}, "
        f"{evaluation.split.replace('_', '-')}, {len(queries)} queries ({left_out} left out), ties last"
        + (f", {dropped} bad rows of the data dropped" if dropped else "")
    )
