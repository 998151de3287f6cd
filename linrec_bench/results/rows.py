"""The one tidy schema: a row is a raw sample of one measure of one case."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from linrec_bench.case import Case

SCHEMA_VERSION = 2

Status = Literal["ok", "oom", "timeout", "killed", "error", "unsupported", "skipped", "suspect"]
STATUSES: tuple[str, ...] = get_args(Status)

TRIAL = "trial"
"""The measure of the row that closes a trial (one case, one round): its value is the trial's wall time in
seconds, its status the trial's outcome. Rows without their closing row were cut off and do not count."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One raw sample. `value` is None where `status` is not ok; `detail` says why, or how.

    `group_by` and `group` say of what part of the trial a sample is, where it is not of the whole: queries by
    `history` (`20-49`), the `kernel` that ran. `ROW_KEY` is unique in a run.
    """

    run_id: str
    suite: str
    host: str
    case_id: str
    task: str
    attention: str
    model: str
    dataset: str
    seq_len: int
    batch_size: int
    hidden_size: int
    heads: int
    layers: int
    dtype: str
    device: str
    causal: bool
    seed: int
    phase: str
    measure: str
    group_by: str
    group: str
    unit: str
    round: int
    repeat: int
    value: float | None
    status: Status
    detail: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r}; expected one of {', '.join(STATUSES)}")

    def as_dict(self) -> dict[str, object]:
        return dict(vars(self))


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Row))

ROW_KEY = ("case_id", "round", "phase", "measure", "group_by", "group", "repeat")
"""The columns that no two rows of a run share."""


def row_of(
    case: Case,
    *,
    run_id: str,
    suite: str,
    measure: str,
    unit: str,
    value: float | None,
    status: Status = "ok",
    phase: str = "",
    round: int = 0,
    repeat: int = 0,
    detail: str = "",
    host: str = "",
    group_by: str = "",
    group: str = "",
) -> Row:
    """The row of `case` for one sample; `phase` defaults to that of the case."""
    return Row(
        run_id=run_id,
        suite=suite,
        host=host,
        case_id=case.id,
        task=case.task,
        attention=case.attention_label,
        model=case.model_label,
        dataset=case.dataset_label,
        seq_len=case.seq_len,
        batch_size=case.batch_size,
        hidden_size=case.hidden_size,
        heads=case.heads,
        layers=case.layers,
        dtype=case.dtype,
        device=case.device,
        causal=case.causal,
        seed=case.seed,
        phase=phase or case.phase,
        measure=measure,
        group_by=group_by,
        group=group,
        unit=unit,
        round=round,
        repeat=repeat,
        value=value,
        status=status,
        detail=" ".join(detail.split()),
    )
