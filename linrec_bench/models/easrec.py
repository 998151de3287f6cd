"""EASRec, later DNS-Rec (2024, arXiv 2402.00390): a network that searches for its own width and depth.

With E the item and P the position table, x_0 = dropout(LN(E[items] + P)), and per layer l

    q, k, v = m * (W x + b),    h = LN(x + dropout(m * (W_o attention(q, k, v) + b_o)))
    g(x_0) = 2 sigmoid(ReLU(x_0 W_a + b_a) W_b + b_b)                     a gate for each of both products
    f = GELU((m' * (W1 h + b1)) * (m' * g_1(x_0)))
    x <- H_l = LN(h + dropout((m * (W2 f + b2)) * (m * g_2(x_0))))
    scores = (sum_l softmax(beta / tau)_l H_l) E^T                        tied table

The masks m and m' mix the widths on offer: m = sum_k softmax(alpha / tau)_k m_k, where m_k is 1 at the first
D / c_k features and 0 at the others, and m' is the same of the inner size. One alpha serves all layers. tau
falls from 1 to 0.01, by 0.00005 a forward of the training. To the loss is added

    flops_weight (n / L) sum_l softmax(beta / tau)_l l sum_k softmax(alpha / tau)_k F_k / (F_max - F_min)

with n the depth of the largest beta and F_k the operations of a layer of width k. Every ten batches alpha
and then beta take a step of their own on the batch at hand. The architecture of the largest alpha and beta is
then trained anew, with its own weights, gates, and no masks; its states are those of its last layer. The
attention is the mechanism `linrec`. Upstream: szhang-cityu/DNSRec, `Gowalla-search` and `Gowalla-retrain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from linrec_bench.models.elastic import Elastic, ElasticSettings
from linrec_bench.models.spec import ModelSpec, Recommender, Supernet

_COOLEST, _COOLING = 0.01, 5e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class EASRecSettings(ElasticSettings):
    """`hidden_size` D and `inner_size` (4 D where None) are those of the widest option, each a multiple of
    `heads` times each of `width_divisors`, which name the options; `layers` is the largest depth.

    The search takes `search_epochs` at most.
    """

    width_divisors: tuple[int, ...] = (1, 2, 4)
    flops_weight: float = 0.01
    search_epochs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(vars(self))


class EASRec(Elastic, Supernet):
    """A network that mixes the widths and depths on offer; see the module."""

    tau: Tensor
    wide_masks: Tensor
    inner_masks: Tensor

    def __init__(self, settings: EASRecSettings) -> None:
        super().__init__(settings)
        hidden_size, inner_size, layers = settings.hidden_size, settings.inner, settings.layers
        self.options = tuple(self._narrowed(divisor) for divisor in settings.width_divisors)
        self.flops_weight, self.search_epochs = settings.flops_weight, settings.search_epochs
        self.alpha = nn.Parameter(torch.full((len(self.options),), 1 / len(self.options)))
        self.beta = nn.Parameter(torch.full((layers,), 1 / layers))
        self.register_buffer("tau", torch.ones(()))
        wide = [_first(option.hidden_size, hidden_size) for option in self.options]
        inner = [_first(option.inner, inner_size) for option in self.options]
        self.register_buffer("wide_masks", torch.stack(wide))
        self.register_buffer("inner_masks", torch.stack(inner))

    def _narrowed(self, divisor: int) -> ElasticSettings:
        sizes = self.sizes
        for name, size in (("hidden_size", sizes.hidden_size), ("inner_size", sizes.inner)):
            if size % divisor or (name == "hidden_size" and (size // divisor) % sizes.heads):
                raise ValueError(
                    f"model easrec: {name} {size} cannot be divided by {divisor} among heads {sizes.heads}; "
                    f"expected other width_divisors, or a multiple of heads times {divisor}"
                )
        return replace(sizes, hidden_size=sizes.hidden_size // divisor, inner_size=sizes.inner // divisor)

    def forward(
        self,
        items: Int64[Tensor, "B N"],
        padding_mask: Bool[Tensor, "B N"] | None = None,
        timestamps: Int64[Tensor, "B N_plus_1"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        if self.training:
            with torch.no_grad():
                self.tau.sub_(_COOLING).clamp_(min=_COOLEST)
        return super().forward(items, padding_mask, timestamps)

    def _masks(self) -> tuple[Tensor | float, Tensor | float]:
        widths, _ = self._shares()
        return widths @ self.wide_masks, widths @ self.inner_masks

    def _combined(self, layers: list[Float[Tensor, "B N D"]]) -> Float[Tensor, "B N D"]:
        _, depths = self._shares()
        return torch.einsum("l,lbnd->bnd", depths, torch.stack(layers))

    def _shares(self) -> tuple[Float[Tensor, " K"], Float[Tensor, " L"]]:
        return (self.alpha / self.tau).softmax(dim=0), (self.beta / self.tau).softmax(dim=0)

    def auxiliary_loss(self) -> Float[Tensor, ""]:
        widths, depths = self._shares()
        operations = [option.operations() for option in self.options]
        spread = max(operations) - min(operations)
        of_layer = (widths * widths.new_tensor([count / spread for count in operations])).sum()
        places = torch.arange(1, len(depths) + 1, device=depths.device)
        deepest = self.beta.argmax() + 1
        return (depths * places).sum() / len(depths) * of_layer * self.flops_weight * deepest

    def architecture_parameters(self) -> tuple[tuple[nn.Parameter, ...], ...]:
        return (self.alpha,), (self.beta,)

    def chosen(self) -> Recommender:
        return Elastic(self._preferred())

    def choice(self) -> Mapping[str, int]:
        sizes = self._preferred()
        return {"hidden_size": sizes.hidden_size, "inner_size": sizes.inner, "layers": sizes.layers}

    def _preferred(self) -> ElasticSettings:
        return replace(self.options[int(self.alpha.argmax())], layers=int(self.beta.argmax()) + 1)


def _first(kept: int, size: int) -> Float[Tensor, " D"]:
    return (torch.arange(size) < kept).to(torch.get_default_dtype())


def _check(params: Mapping[str, object]) -> None:
    """Raise `ValueError` for a search that has nothing to choose from, or no time, or a negative price."""
    divisors, price, epochs = (params.get(k) for k in ("width_divisors", "flops_weight", "search_epochs"))
    if isinstance(divisors, tuple) and (
        len(divisors) < 2 or len(set(divisors)) < len(divisors) or min(divisors) < 1
    ):
        raise ValueError(
            f"model easrec: width_divisors is {list(divisors)}; a search needs two different options or "
            "more, such as [1, 2, 4]"
        )
    if isinstance(price, int | float) and price < 0:
        raise ValueError(f"model easrec: flops_weight is {price}; expected 0 or more")
    if isinstance(epochs, int) and epochs < 1:
        raise ValueError(f"model easrec: search_epochs is {epochs}; expected a budget of 1 or more")


SPEC = ModelSpec(
    name="easrec",
    title="EASRec (DNS-Rec): a search for the width and depth of a linear-attention network",
    paper="EASRec, 2024, arXiv 2402.00390",
    deviations=(
        "tau falls in training alone; the official code lets it fall at each forward, in evaluation too",
        "the price is divided by the number of layers; the official code divides by 4, which it has",
        "the price counts the products of a layer of each width by their formula; the official code profiles "
        "a copy of another size",
        "padded items stay out of attention",
        "all weights N(0, 0.02)",
        "the search ends by the rules of the suite's training, or after search_epochs; its architecture is "
        "that of the best epoch on validation",
    ),
    build=EASRec,
    settings=EASRecSettings,
    objectives=("last_position", "all_positions"),
    mechanisms=("linrec",),
    streams=True,
    check=_check,
)
