"""Our side of `benchmarks/training.py`: what one process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Int64

from linrec_bench import data, models
from linrec_bench.data.sequences import Sequences, Split
from linrec_bench.data.splits import leave_one_out
from linrec_bench.measures.instruments.ranking_metrics import metrics
from linrec_bench.models.spec import Recommender
from linrec_bench.settings import TrainingSettings
from linrec_bench.tasks import Emit
from linrec_bench.training.batches import shuffled
from linrec_bench.training.evaluate import all_states, evaluate, rank_states
from linrec_bench.training.fit import Epoch, fit
from linrec_bench.training.objectives import criterion, rows_of
from linrec_bench.training.optimizer import make_optimizer

METRIC = "ndcg@10"
EVAL_BATCH = 512


@dataclass(frozen=True)
class Setting:
    """SASRec as both sides build it: norms after each sum, gelu, softmax attention (ours in C++)."""

    hidden_size: int
    heads: int
    seq_len: int = 50
    layers: int = 2
    inner_size: int = 256
    dropout: float = 0.2
    batch_size: int = 2048

    def __str__(self) -> str:
        return (
            f"N {self.seq_len}, D {self.hidden_size}, {self.heads} heads, {self.layers} layers, "
            f"batch {self.batch_size}"
        )


def built(setting: Setting, n_items: int) -> Recommender:
    torch.manual_seed(0)
    model = models.build(
        "sasrec",
        n_items=n_items,
        seq_len=setting.seq_len,
        hidden_size=setting.hidden_size,
        heads=setting.heads,
        layers=setting.layers,
        inner_size=setting.inner_size,
        dropout=setting.dropout,
        activation="gelu",
        norm="post",
        attention="sdpa",
        attention_params={"backend": "native"},
    )
    assert isinstance(model, Recommender)
    return model


def split_of(name: str) -> Split:
    split = leave_one_out(data.load(name))
    left_out = split.validation.unseen_target + split.validation.no_history
    # The peer asks about every user.
    assert left_out == 0, f"{left_out} validation queries of {name} are left out; the peer would rank them"
    return split


def prefixes(setting: Setting, threads: int, batches: int, round: int, emit: Emit) -> None:
    """Steps on batches whose lengths are spread over those of an epoch, after one step that warms up."""
    torch.set_num_threads(threads)
    train = split_of("ml-100k").train
    model = built(setting, train.n_items).train()
    rows = rows_of(train, "last_position", setting.seq_len, timed=False)
    settings = TrainingSettings(objective="last_position")
    loss_of = criterion(model, settings, "last_position", counts=counts_of(train), seed=round)
    optimizer = make_optimizer(model, settings)
    epoch = sorted(
        shuffled(rows.lengths, setting.batch_size, np.random.default_rng(round)),
        key=lambda numbers: int(rows.lengths[numbers].max()),
    )
    chosen = [epoch[int((index + 0.5) * len(epoch) / batches)] for index in range(batches)]
    for number, batch in enumerate([epoch[-1], *chosen]):
        began = time.perf_counter()
        optimizer.zero_grad()
        loss, _ = loss_of(model, rows.batch(batch))
        torch.autograd.backward(loss)
        optimizer.step()
        if number:
            emit("step_time", time.perf_counter() - began, "s", repeat=number)
            emit("examples", len(batch), "1", repeat=number)


def quality(
    setting: Setting, threads: int, windows: int, learning_rate: float, target: float, seed: int, emit: Emit
) -> None:
    """Train at all positions, `windows` a batch, until validation NDCG@10 has reached `target`."""
    torch.set_num_threads(threads)
    split = split_of("ml-100k")
    model = built(setting, split.train.n_items)
    spent_s = 0.0

    def validate() -> dict[str, float]:
        began = time.perf_counter()
        ranks = evaluate(
            model, split.validation, seq_len=setting.seq_len, batch_size=EVAL_BATCH, exclude_seen=False
        )
        emit("validation_time", time.perf_counter() - began, "s")
        return metrics(ranks, [10])

    def stop_there(epoch: Epoch) -> None:
        nonlocal spent_s
        spent_s += epoch.train_s
        emit("train_time", spent_s, "s", repeat=epoch.number)
        emit(METRIC, epoch.validation[METRIC], "1", repeat=epoch.number)
        if epoch.validation[METRIC] >= target:
            raise _Reached

    try:
        fit(
            model,
            rows_of(split.train, "all_positions", setting.seq_len, timed=False),
            TrainingSettings(
                objective="all_positions", learning_rate=learning_rate, epochs=100, patience=100
            ),
            objective="all_positions",
            counts=counts_of(split.train),
            batch_size=windows,
            seed=seed,
            validate=validate,
            on_epoch=stop_there,
        )
    except _Reached:
        return
    raise RuntimeError(f"validation {METRIC} never reached {target:.4f} in 100 epochs")


class _Reached(Exception):
    """The training has what it was for."""


def ranking(setting: Setting, threads: int, emit: Emit) -> None:
    """Rank the test users of ml-1m: the states, which any evaluation needs, and what comes beside them."""
    torch.set_num_threads(threads)
    split = leave_one_out(data.load("ml-1m"))
    model = built(setting, split.train.n_items).eval()

    def timed(measure: str, work: Callable[[], object]) -> object:
        began = time.perf_counter()
        found = work()
        emit(measure, time.perf_counter() - began, "s")
        return found

    with torch.inference_mode():
        states = timed(
            "forward_time",
            lambda: all_states(model, split.test, seq_len=setting.seq_len, batch_size=EVAL_BATCH),
        )
        assert isinstance(states, torch.Tensor)
        for exclude_seen in (False, True):
            timed(
                "ranking_time_seen_excluded" if exclude_seen else "ranking_time",
                partial(rank_states, states, model.item_embeddings(), split.test, exclude_seen=exclude_seen),
            )
    emit("queries", len(split.test), "1")


def counts_of(train: Sequences) -> Int64[np.ndarray, " V_plus_1"]:
    return np.bincount(train.items, minlength=train.n_items + 1)
