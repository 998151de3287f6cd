"""Task `train_step`: one training step of a whole recommender on random items."""

from __future__ import annotations

from linrec_bench.case import Case
from linrec_bench.measures.spec import Measurable
from linrec_bench.tasks.shared_declarations import CATALOGUE_SIZE, TOKENS
from linrec_bench.tasks.spec import TaskSpec


def build(case: Case) -> Measurable:
    """The step of a case, as `workloads.training_step` makes it."""
    from linrec_bench.tasks.workloads import training_step

    return training_step.build(case)


SPEC = TaskSpec(
    name="train_step",
    title="one training step of a whole recommender on random items",
    phases={"step": "training step"},
    quantities=(*TOKENS, CATALOGUE_SIZE),
    reads_training=True,
    needs_model=True,
    takes_lengths=True,
    build=build,
    order=20,
)
