"""How long the B rows of a batch are: all of `seq_len`, a ramp, or as long as histories of a data set are.

A batch is padded on the right to its longest row, as those of a training are, and the mechanism is given the
padding mask of what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from linrec_bench import data
from linrec_bench.case import RAMP, Case


@dataclass(frozen=True)
class Rows:
    """The lengths of B rows, each 1 or more; `uneven` where the mechanism is given a mask for them."""

    lengths: Int64[np.ndarray, " B"]
    uneven: bool

    @property
    def longest(self) -> int:
        return int(self.lengths.max())

    @property
    def facts(self) -> dict[str, int]:
        """Positions of the batch: all of them, and those that hold an event."""
        return {
            "padded_tokens": len(self.lengths) * self.longest,
            "effective_tokens": int(self.lengths.sum()),
        }

    def of_tokens(self, count: int) -> int:
        """The part of `count` (bytes of all positions, say) that belongs to events."""
        return count * self.facts["effective_tokens"] // self.facts["padded_tokens"]

    def mask(self, device: torch.device) -> Bool[Tensor, "B N"] | None:
        """True where an event stands; None where all rows are full."""
        if not self.uneven:
            return None
        ends = torch.tensor(self.lengths.tolist(), device=device)
        return torch.arange(self.longest, device=device) < ends[:, None]


def rows_of(case: Case) -> Rows:
    """The rows of a case; drawn ones are histories at random (with its seed), cut to `seq_len`.

    Raises `ValueError` for a data set that is unknown, absent or damaged.
    """
    if case.lengths is None:
        return Rows(np.full(case.batch_size, case.seq_len), uneven=False)
    if case.lengths == RAMP:
        return Rows(
            np.linspace(case.seq_len, (case.seq_len + 1) // 2, case.batch_size).astype(int), uneven=True
        )
    histories = data.load(case.lengths, **dict(case.lengths_params)).lengths
    chosen = np.random.default_rng(case.seed).integers(len(histories), size=case.batch_size)
    return Rows(np.minimum(histories[chosen], case.seq_len), uneven=True)
