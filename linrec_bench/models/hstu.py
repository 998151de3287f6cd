"""HSTU (Zhai et al. 2024, arXiv 2402.17152): transduction units with relative positions and times.

With E the item and P the position table, per layer

    x_0 = dropout(E[items] sqrt(D) + P)
    [u, v, q, k] = SiLU(LN(x) W)
    x <- x + W_o dropout(u * LN(SiLU(q k^T + position + time) v / M)) + b
    score(n, v) = cos(x_n, E[v]) / tau                       tied table

with the biases by distance and by the seconds from an event to the one that is asked for, see the mechanism
`hstu`. No softmax, no feed-forward net, norms without weights. Causal only, and it needs timestamps; where a
data set has mere positions for times, one event is a second. Upstream: meta-recsys/generative-recommenders,
`research/modeling/sequential/hstu.py` and `configs/ml-1m/hstu-sampled-softmax-n128-final.gin`; the large form
has 8 layers of 2 heads. They train with a softmax over 128 sampled negatives (`training: {loss:
sampled_softmax, negatives: 128}`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.transducer import ResidualBlock, Transducer, TransducerSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class HSTUSettings(TransducerSettings):
    """A unit has no feed-forward net."""

    model: ClassVar[str] = "hstu"
    # No setting here.
    inner_size: ClassVar[None] = None  # type: ignore[misc]

    hidden_size: int = 50
    heads: int = 1
    attention: str = "hstu"


class HSTU(Transducer):
    """Items and a stack of transduction units; see the module."""

    def __init__(self, settings: HSTUSettings) -> None:
        super().__init__(settings, [ResidualBlock(settings.layer()) for _ in range(settings.layers)])


SPEC = ModelSpec(
    name="hstu",
    title="HSTU: gated transduction units with relative positions and times",
    paper="Zhai et al. 2024, Actions Speak Louder than Words, arXiv 2402.17152",
    deviations=(
        "tables of seq_len positions and distances; the official code has room for 11 more, and divides the "
        "weights by that length too, which moves the states of a new model by 0.3% of their root mean square",
        "the deviations of the mechanism hstu",
    ),
    build=HSTU,
    settings=HSTUSettings,
    objectives=("all_positions", "last_position"),
    mechanisms=("hstu",),
    streams=True,
)
