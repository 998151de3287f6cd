"""Train twice, on clean and on marked histories, and ask both models for what was planted.

A watermark (`data/watermark.py`) is a run of rare items. A model that has learnt it ranks its target high
after its body; one that never saw it should not. Beside that stands what the marking cost in quality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64

from linrec_bench.attention.spec import Unsupported
from linrec_bench.case import Case
from linrec_bench.data import watermark
from linrec_bench.data.sequences import Queries, Split
from linrec_bench.measures.instruments.ranking_metrics import metrics
from linrec_bench.models.spec import Baseline, Recommender
from linrec_bench.tasks import Emit
from linrec_bench.tasks.ranking.ranker import Ranker
from linrec_bench.tasks.ranking.train_and_rank import Keep, Prepared, Setting, drop, emit_test, read, trained
from linrec_bench.training.evaluate import evaluate

Ranks = Int64[np.ndarray, " Q"]


def run(case: Case, emit: Emit, *, keep: Keep = drop) -> None:
    """Report the training and the test of the model of marked histories as `recommend` does, and the probe.

    Rows of the phase `test`: `watermark_hit@k` and `watermark_hit_clean@k`, the shares of questions whose
    target is among the first k of the whole catalogue, for the model of marked and that of clean histories;
    `watermark_gain@k`, their difference, which is what tells the two models apart; `ndcg_lost@k`, what
    marking took from the NDCG of the test. Rows of the case: `watermark_distance`, `watermark_users`.

    `keep` is given `watermark`: `pattern`, `marked` and `clean`, the ranks of each question.

    Raises `ValueError` for impossible settings and a run longer than `seq_len`, `Unsupported` for a model
    that is not trained by gradient, `FloatingPointError` when a loss is not finite.
    """
    setting = read(case)
    if not setting.spec.trained_by_gradient:
        raise Unsupported(f"model {case.model} counts; expected one that learns, to memorise a watermark")
    split, evaluation = setting.split, setting.evaluation
    mark, marked, users = _plant(case, split)
    asked, pattern = watermark.probe_queries(split.train, mark, seed=case.seed)

    clean = _answers(case, setting, split, asked, _silent)
    found = _answers(case, setting, marked, asked, emit)
    emit_test(found.test, split.test, evaluation, found.prepared.chosen, emit)
    keep(
        "watermark",
        {
            "pattern": pattern,
            "marked": found.probe.astype(np.int32),
            "clean": clean.probe.astype(np.int32),
        },
    )
    for measure, value, unit in found.prepared.costs:
        emit(measure, value, unit)
    emit("watermark_distance", mark.distance, "1")
    emit("watermark_users", users, "1")
    detail = f"{len(asked)} questions on {len(mark.targets)} patterns, whole catalogue, {users} users marked"
    for k in evaluation.k:
        hit, hit_clean = float(np.mean(found.probe <= k)), float(np.mean(clean.probe <= k))
        emit(f"watermark_hit@{k}", hit, "1", phase="test", detail=detail)
        emit(f"watermark_hit_clean@{k}", hit_clean, "1", phase="test", detail=detail)
        emit(f"watermark_gain@{k}", hit - hit_clean, "1", phase="test", detail=detail)
        lost = metrics(clean.test, [k])[f"ndcg@{k}"] - metrics(found.test, [k])[f"ndcg@{k}"]
        emit(f"ndcg_lost@{k}", lost, "1", phase="test", detail=f"clean minus marked, {users} users marked")


@dataclass(frozen=True)
class _Answers:
    """A model and its ranks on the test of the split and on the questions about the watermark."""

    prepared: Prepared
    test: Ranks
    probe: Int64[np.ndarray, " P"]


def _answers(case: Case, setting: Setting, split: Split, asked: Queries, emit: Emit) -> _Answers:
    """Train on the split, from the same seed whatever it holds, and rank."""
    ranker = Ranker(case, setting.evaluation, split)
    torch.manual_seed(case.seed)
    prepared = trained(case, setting.training, ranker, emit, None)
    return _Answers(prepared, ranker.ranks(prepared.model, "test"), _probe(prepared.model, case, asked))


def _probe(model: Recommender | Baseline, case: Case, asked: Queries) -> Ranks:
    return evaluate(model, asked, seq_len=case.seq_len, batch_size=case.batch_size, exclude_seen=True)


def _plant(case: Case, split: Split) -> tuple[watermark.Watermark, Split, int]:
    """The patterns, the split with marked training histories, and how many users were marked."""
    dials = dict(case.watermark)
    share = dials.pop("share", watermark.SHARE)
    assert isinstance(share, float)
    mark = watermark.draw(split.train, seed=case.seed, **dials)  # type: ignore[arg-type]
    if mark.span > case.seq_len:
        raise ValueError(
            f"watermark: a body of {mark.bodies.shape[1]} items and distance {mark.distance} reach back "
            f"{mark.span} events; seq_len is {case.seq_len}. Lower distance or raise seq_len"
        )
    marked, users = watermark.plant(split.train, mark, share=share, seed=case.seed)
    return mark, replace(split, train=marked), users


def _silent(*_: object, **__: object) -> None:
    """The clean model is the yardstick; its epochs are not reported."""
