"""The suites that `linrec-bench answer` runs on a log: one of quality and one of cost, as text with comments.

Quality must not depend on the machine, so that a training has epochs and no seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from linrec_bench import data
from linrec_bench.commands.describe_log import Described

SOFTMAX = "sdpa"
"""Softmax attention in the form that is fastest where histories are long: torch's own kernel."""

LINEAR = ("linrec", "linrec-column", "linear-transformer")
"""LinRec as its code and as its paper have it, and the cheapest of the others that decode with one state."""

FLOOR = "copy"

STEPS_AN_EPOCH = 50
VALIDATIONS = 20

LONGEST_WINDOW = 1_000
MOST_TOKENS = 2**13
"""Positions of one batch: in a short budget more steps of smaller batches learn more."""

LARGE_CATALOGUE = 2_000
"""Beyond it the loss is over a sample of the items: scores of all of them cost more than the model then."""

SPREAD_OF_USERS = 0.3
"""The standard deviation of the difference in NDCG@10 of two models for one user, where both rank well."""

SMALL_DIFFERENCE = 0.05
"""A log that cannot show even that is called small."""


@dataclass(frozen=True, kw_only=True)
class Log:
    """What the plan needs to know of a log; `queries` are the users that can be asked for their last event,
    and `repeats` says whether users come back to the same item."""

    name: str
    dataset: Mapping[str, object]
    items: int
    lengths: np.ndarray
    repeats: bool

    @property
    def queries(self) -> int:
        return int((self.lengths >= 3).sum())

    @property
    def window(self) -> int:
        """Events that a model sees: nine of ten histories whole, in tens."""
        longest = 10 * math.ceil(float(np.percentile(self.lengths, 90)) / 10)
        return min(max(longest, 10), LONGEST_WINDOW)

    @property
    def rows(self) -> int:
        """Windows of an epoch."""
        inputs = np.maximum(self.lengths - 3, 0)
        return int((-(-inputs // self.window)).sum())

    @property
    def batch_size(self) -> int:
        """A power of two, for about `STEPS_AN_EPOCH` steps an epoch."""
        most = min(128, MOST_TOKENS // self.window)
        return 1 << int(np.clip(round(math.log2(max(self.rows, 1) / STEPS_AN_EPOCH)), 3, math.log2(most)))

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return math.ceil(self.rows / self.batch_size)


def log_of(given: str, described: Described) -> Log:
    """The log that was read from `given`; raises `ValueError` where no user can be asked anything."""
    counts, sequences = described.counts, described.sequences
    defaults = {
        name: parameter.default for name, parameter in data.registry()[described.source].parameters.items()
    }
    params = {key: value for key, value in described.params.items() if value != defaults[key]}
    found = Log(
        name=_name(given),
        dataset={"name": described.source, **params},
        items=sequences.n_items,
        lengths=sequences.lengths,
        repeats=counts["density"] * counts["users"] * counts["items"] < 0.99 * counts["events"],
    )
    if found.queries < 2 or found.rows < 1:
        raise ValueError(
            f"{given}: too small: {found.queries} users have the three events that a training, a validation "
            "and a test need; expected some hundreds"
        )
    return found


def _name(given: str) -> str:
    """`logs/My log.csv.gz` -> `My-log`: what the name of a suite may hold."""
    stem = Path(given).name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "log"


def least_difference(log: Log) -> float:
    """A difference in NDCG@10 that so few users can hardly show, however many seeds are trained: 2.4 standard
    errors, the quantile of four comparisons that share a risk of 3 %."""
    return 2.4 * SPREAD_OF_USERS / math.sqrt(log.queries)


def cost_lengths(log: Log, device: str) -> dict[str, list[int]]:
    """Lengths to measure, by task: around those of the histories, and for a layer beyond the longest."""
    middle, longest = (_power(np.percentile(log.lengths, share)) for share in (50, 100))
    most = 2**14 if device == "cpu" else 2**16
    end = min(max(2 * longest, 2**11), most)
    layer = [2**power for power in range(int(math.log2(max(32, middle // 4))), int(math.log2(end)) + 1)]
    step = sorted({max(1, log.window // part) for part in (4, 2, 1)})
    return {"layer": layer, "train_step": step, "decode": sorted({min(middle, end), min(longest, end), end})}


def _power(length: float) -> int:
    """The power of two from which a window holds the length, 16 or more."""
    return 1 << max(4, math.ceil(math.log2(length)))


_MODEL = "{name: sasrec, dropout: 0.2, inner_size: 256, activation: gelu}"

_SHAPE = "hidden_size: 64, heads: 2"


def quality_text(log: Log, *, seeds: int, epochs: int, case_seconds: float = 86_400) -> str:
    """The suite of trainings: one protocol, every mechanism, the floors."""
    candidates = "No user comes back to an item, so that those seen are no candidates"
    if log.repeats:
        candidates = "Users come back to items, which therefore stay candidates"
    loss = "sampled_softmax" if log.items > LARGE_CATALOGUE else "cross_entropy"
    steps = epochs * log.steps
    return f"""\
# Does a linear mechanism keep the ranking quality of softmax attention on this log?
# Written by `linrec-bench answer`, which runs it as it stands; edit it freely. Alone:  linrec-bench run FILE
title: Ranking quality on {log.name}
task: recommend
# Softmax attention by torch's kernel; copy, which mixes nothing, and popularity are the floors.
reference: {SOFTMAX}
{_flow("dataset", log.dataset)}
# Windows that hold nine of ten histories whole (at most {LONGEST_WINDOW}), about {log.steps} steps an epoch.
fixed: {{seq_len: {log.window}, batch_size: {log.batch_size}, {_SHAPE}, layers: 2, causal: true}}
grid: {{seed: {list(range(seeds))}}}
# Epochs, not seconds: quality does not depend on the machine. {steps:,} steps in all.
training:
  objective: all_positions
  loss: {loss}
  learning_rate: 2e-3
  schedule: cosine
  warmup_steps: {max(1, steps // 20)}
  epochs: {epochs}
  validate_every: {math.ceil(epochs / VALIDATIONS)}
# {candidates}.
evaluation: {{split: leave_one_out, k: [5, 10, 20], exclude_seen: {str(not log.repeats).lower()}}}
rounds: 1
limits: {{case_seconds: {case_seconds:.0f}, memory: 80%}}
sweeps:
  - attention: [{", ".join((SOFTMAX, *LINEAR, FLOOR))}]
    model: {_MODEL}
  - attention: [no-op]
    model: popularity
"""


def cost_text(log: Log, device: str, *, rounds: int) -> str:
    """The suite of costs: a layer up to lengths beyond the longest history, a training step on batches of
    histories as long as hers, and the step that serves one event."""
    lengths = cost_lengths(log, device)
    drawn = {"dataset": log.dataset["name"]} | {key: v for key, v in log.dataset.items() if key != "name"}
    return f"""\
# From which length of history does a linear mechanism pay, and what does it save on this log?
# Written by `linrec-bench answer`, which runs it as it stands; edit it freely. Alone:  linrec-bench run FILE
title: Cost at the lengths of {log.name}
attention: [{", ".join((SOFTMAX, *LINEAR))}]
reference: {SOFTMAX}
rounds: {rounds}
limits: {{case_seconds: 20, memory: 60%}}
sampling: {{seconds: 0.1, min: 3, max: 50}}
sweeps:
  # The length from which one attention layer is faster, in training: full rows, beyond the longest history.
  - task: layer
    phases: [forward_backward]
    grid: {{seq_len: {lengths["layer"]}}}
    fixed: {{batch_size: 4, {_SHAPE}, causal: true}}
  # A training step of the whole model on batches that are as long as the histories of the log.
  - task: train_step
    model: {_MODEL}
    training: {{catalogue_size: {log.items}{_loss(log)}}}
    grid: {{seq_len: {lengths["train_step"]}}}
    fixed:
      {_flow("lengths", drawn)}
      batch_size: {log.batch_size}
      hidden_size: 64
      heads: 2
      layers: 2
      causal: true
  # One more event served, and the state kept for it.
  - task: decode
    model: {_MODEL}
    training: {{catalogue_size: {log.items}}}
    grid: {{seq_len: {lengths["decode"]}}}
    fixed: {{batch_size: 1, {_SHAPE}, layers: 2, causal: true}}
"""


def _loss(log: Log) -> str:
    return ", loss: sampled_softmax" if log.items > LARGE_CATALOGUE else ""


def _flow(key: str, content: Mapping[str, object]) -> str:
    """`dataset: {name: csv, path: log.csv}` on one line."""
    text = yaml.safe_dump(
        dict(content), sort_keys=False, default_flow_style=True, allow_unicode=True, width=10_000
    )
    return f"{key}: {text.strip()}"
