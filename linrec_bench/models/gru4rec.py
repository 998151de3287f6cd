"""GRU4Rec (Hidasi et al. 2016, arXiv 1511.06939): gated recurrent units over the items of a session.

With E the item table

    x_t = dropout(E[item_t])
    r, z = sigmoid(W x_t + U h_{t-1} + b),    n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + c_n))
    h_t = (1 - z) * n + z * h_{t-1}                           `gru.units`
    scores = dropout(h_t) E^T + b_items                       tied table

The tied table is the constrained embedding of the same authors (Hidasi and Karatzoglou 2018, arXiv
1706.03847, and hidasib/GRU4Rec), which the first paper does without. The table of items has a last column,
which holds b_items: the states that `forward` gives have a 1 there, so that scores are products of states and
item embeddings here too. It mixes events in its recurrence and not by a mechanism: its `attention` is
`no-op`. There is no limit to the length of a row, and no parallel form: N steps, one after another.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.attention.spec import Unsupported
from linrec_bench.models.blocks import item_table
from linrec_bench.models.dropout import Dropout
from linrec_bench.models.gru import units
from linrec_bench.models.parameter_checks import check_share, check_sizes
from linrec_bench.models.spec import ModelSpec, Recommender
from linrec_bench.models.stack import Memory, past


class GRU4Rec(Recommender):
    """`hidden_size` D is that of the embeddings and of the units; `item_dropout` is that of the embeddings,
    `dropout` that of the states, between layers and after the last."""

    def __init__(
        self,
        *,
        n_items: int,
        hidden_size: int = 100,
        layers: int = 1,
        dropout: float = 0.0,
        item_dropout: float = 0.0,
        causal: bool = True,
    ) -> None:
        super().__init__()
        check_sizes("gru4rec", hidden_size=hidden_size, layers=layers)
        check_share("gru4rec", dropout=dropout, item_dropout=item_dropout)
        if not causal:
            raise Unsupported("model gru4rec has no bidirectional form; expected causal: true")
        self.items = item_table("gru4rec", n_items, hidden_size + 1)
        self.item_dropout, self.dropout = Dropout(item_dropout), Dropout(dropout)
        self.units = nn.GRU(
            hidden_size, hidden_size, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        self.causal = True
        self._initialise()

    def _initialise(self) -> None:
        """Glorot's uniform distribution, for the units as for the table; biases 0."""
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
            else:
                nn.init.zeros_(weight)
        with torch.no_grad():
            self.items.weight[0].zero_()
            self.items.weight[:, -1].zero_()

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D_plus_1"]:
        # Padding stands on the right, in the future of every real item.
        del padding_mask, timestamps
        return self._states(units(self.units, self.dropout, self._embedded(items))[0])

    def item_embeddings(self) -> Float[Tensor, "V_plus_1 D_plus_1"]:
        return self.items.weight

    def init_state(self, batch_size: int) -> Memory:
        hidden = self.items.weight.new_zeros(self.units.num_layers, batch_size, self.units.hidden_size)
        return (hidden.new_empty(0, 0),), (hidden,)

    def step(
        self,
        memory: Memory,
        items: Int64[Tensor, "B n"],
        timestamps: Int64[Tensor, "B n_plus_1"] | None = None,
    ) -> tuple[Memory, Float[Tensor, "B n D_plus_1"]]:
        del timestamps
        count = past(memory) + items.shape[1]
        out, hidden = units(self.units, self.dropout, self._embedded(items), memory[1][0])
        return ((hidden.new_empty(count, 0),), (hidden,)), self._states(out)

    def _embedded(self, items: Tensor) -> Tensor:
        embedded: Tensor = self.item_dropout(self.items(items)[..., :-1])
        return embedded

    def _states(self, hidden: Tensor) -> Tensor:
        return F.pad(self.dropout(hidden), (0, 1), value=1.0)


SPEC = ModelSpec(
    name="gru4rec",
    title="GRU4Rec: gated recurrent units",
    paper="Hidasi et al. 2016, Session-based Recommendations with Recurrent Neural Networks, "
    "arXiv 1511.06939",
    deviations=(
        "one table for input and output, as in the authors' later paper; the first has one-hot inputs and "
        "weights of its own for the output",
        "gates as cuDNN and torch have them: the reset gate acts after its product",
        "trained with cross entropy over the catalogue, or with sampled negatives, where the suite asks for "
        "it; the papers have pairwise losses over the items of a batch",
        "Adam; the official code has Adagrad",
    ),
    build=GRU4Rec,
    objectives=("all_positions", "last_position"),
    mechanisms=("no-op",),
    streams=True,
)
