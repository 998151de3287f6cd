"""Train a recommender on a data set, choose its epoch on validation, report its ranking on test."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from linrec_bench import data, models
from linrec_bench.attention.spec import factories
from linrec_bench.case import Case
from linrec_bench.data.batches import prefixes, windows
from linrec_bench.data.sequences import Queries
from linrec_bench.data.splits import SPLITS
from linrec_bench.measures.ranking import metrics
from linrec_bench.models.spec import Recommender
from linrec_bench.tasks import Emit
from linrec_bench.training.evaluate import evaluate
from linrec_bench.training.fit import CHOSEN_AT, CHOSEN_BY, Epoch, Fit, fit
from linrec_bench.training.settings import EvaluationSettings, TrainingSettings


def run(case: Case, emit: Emit) -> None:
    """Report the validation of each epoch as it ends, then the test of the best one.

    Rows: `recall@k`, `ndcg@k`, `mrr@k` in the phases `validation` (one an epoch, `repeat` is its number) and
    `test`; `train_loss`, `epoch_time` an epoch; `train_time`, `test_time`, `best_epoch`, `epochs`,
    `events_per_second`, `parameters` at the end. Raises `ValueError` for settings that are unknown or
    impossible, `FloatingPointError` when the loss is not finite.
    """
    training = TrainingSettings.from_params(dict(case.training))
    evaluation = EvaluationSettings.from_params(dict(case.evaluation))
    objective = training.objective_for(causal=case.causal)
    assert case.dataset is not None, "a case of this task has a data set"
    sequences = data.load(case.dataset, **dict(case.dataset_params))
    split = SPLITS[evaluation.split](sequences)
    torch.manual_seed(case.seed)
    with factories(torch.device(case.device), getattr(torch, case.dtype)):
        model = models.of_case(case, n_items=split.train.n_items)
    rows = (windows if objective == "all_positions" else prefixes)(split.train, case.seq_len)

    def score(queries: Queries, ks: Iterable[int]) -> dict[str, float]:
        ranks = evaluate(
            model,
            queries,
            seq_len=case.seq_len,
            batch_size=case.batch_size,
            exclude_seen=evaluation.exclude_seen,
        )
        return metrics(ranks, sorted(set(ks)))

    def report_epoch(epoch: Epoch) -> None:
        emit("train_loss", epoch.loss, "nat", repeat=epoch.number)
        emit("epoch_time", epoch.train_s, "s", repeat=epoch.number)
        for measure, value in epoch.validation.items():
            emit(measure, value, "1", phase="validation", repeat=epoch.number)

    fitted = fit(
        model,
        rows,
        training,
        batch_size=case.batch_size,
        seed=case.seed,
        validate=lambda: score(split.validation, (*evaluation.k, CHOSEN_AT)),
        on_epoch=report_epoch,
    )
    began = time.perf_counter()
    tested = score(split.test, evaluation.k)
    test_s = time.perf_counter() - began
    detail = _protocol(evaluation, split.test, fitted)
    for measure, value in tested.items():
        emit(measure, value, "1", phase="test", detail=detail)
    _emit_costs(model, fitted, test_s, emit)


def _protocol(evaluation: EvaluationSettings, test: Queries, fitted: Fit) -> str:
    left_out = test.no_history + test.unseen_target
    return (
        f"whole catalogue, seen {'excluded' if evaluation.exclude_seen else 'included'}, "
        f"{evaluation.split.replace('_', '-')}, {len(test)} queries ({left_out} left out), "
        f"best of validation {CHOSEN_BY}, stopped by {fitted.stopped_by}"
    )


def _emit_costs(model: Recommender, fitted: Fit, test_s: float, emit: Emit) -> None:
    emit("train_time", fitted.train_s, "s")
    emit("test_time", test_s, "s")
    emit("best_epoch", fitted.best_epoch, "1")
    emit("epochs", len(fitted.epochs), "1")
    emit("events_per_second", fitted.events / fitted.train_s, "1/s")
    emit("parameters", sum(weight.numel() for weight in model.parameters()), "1")
