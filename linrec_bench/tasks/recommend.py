"""Task `recommend`: train a recommender on a data set, choose its epoch on validation, rank the test."""

from __future__ import annotations

import sys
from pathlib import Path

from linrec_bench.case import Case
from linrec_bench.declarations import Quantity
from linrec_bench.tasks.spec import Report, TaskSpec


def train(case: Case, report: Report, *, checkpoint: Path | None, checkpoint_seconds: float) -> None:
    """The training and the test of a case; of one with a watermark, two trainings and the probe."""
    from linrec_bench.tasks.ranking import memorise, train_and_rank
    from linrec_bench.training.checkpoint import Checkpoint

    if case.watermark:
        # Neither training has a state that the other could not mistake for its own.
        memorise.run(case, report, keep=report.keep)
    else:
        state = (
            Checkpoint(checkpoint, identity=case.id, every_s=checkpoint_seconds, on_damage=_say)
            if checkpoint
            else None
        )
        train_and_rank.run(case, report, keep=report.keep, checkpoint=state)


def _say(reason: str) -> None:
    print(reason, file=sys.stderr)


SPEC = TaskSpec(
    name="recommend",
    title="train a recommender on a data set and rank the test queries",
    phases={"train_and_rank": "training"},
    quantities=(
        Quantity("train_time", "s", "training until it stopped", stored_as="train_time_s"),
        Quantity("epochs", "1", "epochs trained", whole=True),
        Quantity("best_epoch", "1", "epoch with the best validation metric, the one tested", whole=True),
        Quantity("events_per_second", "1/s", "events trained on in a second", stored_as="events_per_s"),
        Quantity("parameters", "1", "trainable parameters", whole=True),
        Quantity("test_time", "s"),
        Quantity("queries", "1"),
        Quantity("train_loss", "nat"),
        Quantity("epoch_time", "s"),
        Quantity("epoch_energy", "J"),
        Quantity(
            "watermark_distance",
            "1",
            "events between a planted run and its target",
            summarised="extra",
            whole=True,
        ),
        Quantity(
            "watermark_users",
            "1",
            "users whose training histories hold a planted run",
            summarised="extra",
            whole=True,
        ),
    ),
    reads_training=True,
    reads_evaluation=True,
    needs_model=True,
    needs_dataset=True,
    whole_training=True,
    train=train,
    order=40,
)
