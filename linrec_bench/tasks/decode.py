"""Task `decode`: one more event after a history, with what is remembered of it."""

from __future__ import annotations

from linrec_bench.case import Case
from linrec_bench.measures.spec import Measurable
from linrec_bench.tasks.spec import TaskSpec


def build(case: Case) -> Measurable:
    """The step of a case, as `workloads.decoding` makes it."""
    from linrec_bench.tasks.workloads import decoding

    return decoding.build(case)


SPEC = TaskSpec(
    name="decode",
    carries_state=True,
    title="one more event after a history, with what is remembered of it",
    phases={"step": "decoding step"},
    reads_training=True,
    build=build,
    order=30,
)
