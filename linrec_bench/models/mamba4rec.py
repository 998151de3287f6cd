"""Mamba4Rec (Liu et al. 2024, arXiv 2403.03900): selective state spaces over the items of a user.

With E the item table, per layer

    x_0 = LN(dropout(E[items]))
    x <- LN(x + dropout(mamba(x)))
    x <- LN(x + dropout(W2 dropout(GELU(W1 x + b1)) + b2))
    scores = x_L E^T                                          tied table

A single layer, as published for ML-1M, has LN(dropout(mamba(x))) instead: no sum around the state space. The
layer of the mechanism `mamba2` stands for that of Mamba: both select by steps that tokens set, but Mamba-2
has one rate a head where Mamba has one for each channel and state. Four heads over twice the width give as
many state features, 32, as the paper has. Upstream: chengkai-liu/Mamba4Rec, `mamba4rec.py` and `config.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from linrec_bench.models.blocks import initialise
from linrec_bench.models.parameter_checks import check_sizes
from linrec_bench.models.recurrent import RecurrentBlock, RecurrentRecommender
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stack import Settings

_EPS = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Mamba4RecSettings(Settings):
    """`expand` is how many times as wide as D the state space is."""

    model: ClassVar[str] = "mamba4rec"

    heads: int = 4
    layers: int = 1
    expand: int = 2
    attention: str = "mamba2"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes("mamba4rec", expand=self.expand)

    def params(self) -> dict[str, object]:
        return {"expand": self.expand, **super().params()}


class Mamba4Rec(RecurrentRecommender):
    """Items and a stack of state spaces and feed-forward nets; see the module."""

    def __init__(self, settings: Mamba4RecSettings) -> None:
        more, dropout = settings.layers > 1, settings.dropout
        blocks = [
            RecurrentBlock(settings, attention_dropout=dropout, eps=_EPS, residual=more)
            for _ in range(settings.layers)
        ]
        super().__init__(settings, blocks, eps=_EPS)
        initialise(self)


SPEC = ModelSpec(
    name="mamba4rec",
    title="Mamba4Rec: selective state spaces",
    paper="Liu et al. 2024, Mamba4Rec, arXiv 2403.03900",
    deviations=(
        "Mamba-2 in place of Mamba: one decay a head and a step, 32 state features for each of four heads, "
        "a norm before the last projection, and keys and queries of each head",
        "step sizes keep the biases that they are drawn with; the official code sets them to zero with all "
        "others",
    ),
    build=Mamba4Rec,
    settings=Mamba4RecSettings,
    objectives=("last_position", "all_positions"),
    mechanisms=("mamba2",),
    streams=True,
)
