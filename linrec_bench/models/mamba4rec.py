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

from linrec_bench.models.blocks import initialise
from linrec_bench.models.parameter_checks import check_share, check_sizes
from linrec_bench.models.recurrent import RecurrentBlock, RecurrentRecommender
from linrec_bench.models.spec import ModelSpec
from linrec_bench.models.stack import Mechanism

_EPS = 1e-12


class Mamba4Rec(RecurrentRecommender):
    """`hidden_size` D is a multiple of `heads`; `inner_size` of the feed-forward net is 4 D where None.

    `expand` is how many times as wide as D the state space is. A row holds at most `seq_len` items.
    """

    def __init__(
        self,
        *,
        n_items: int,
        seq_len: int = 200,
        hidden_size: int = 64,
        heads: int = 4,
        layers: int = 1,
        inner_size: int | None = None,
        expand: int = 2,
        dropout: float = 0.2,
        attention: str = "mamba2",
        attention_params: dict[str, object] | None = None,
        causal: bool = True,
    ) -> None:
        inner_size = 4 * hidden_size if inner_size is None else inner_size
        params = {"expand": expand, **(attention_params or {})}
        mechanism = Mechanism(
            "mamba4rec", attention, hidden_size, heads, causal=causal, seq_len=seq_len, params=params
        )
        check_sizes("mamba4rec", layers=layers, inner_size=inner_size, expand=expand)
        check_share("mamba4rec", dropout=dropout)
        blocks = [
            RecurrentBlock(
                mechanism.layer(),
                hidden_size=hidden_size,
                inner_size=inner_size,
                attention_dropout=dropout,
                dropout=dropout,
                eps=_EPS,
                residual=layers > 1,
            )
            for _ in range(layers)
        ]
        super().__init__(mechanism, blocks, n_items=n_items, dropout=dropout, eps=_EPS)
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
    objectives=("last_position", "all_positions"),
    mechanisms=("mamba2",),
    streams=True,
)
