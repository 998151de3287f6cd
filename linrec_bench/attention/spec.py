"""What a mechanism file declares: one frozen `Spec`, the contract that tests, `list` and `check` read."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from linrec_bench.registry import did_you_mean

Core = Callable[..., Tensor]
"""`(q, k, v, *, padding_mask, causal, **params) -> o`; q, k, v, o: [B, H, N, d]; padding_mask: [B, N]."""

_CONTRACT = ("q", "k", "v", "padding_mask", "causal")


class Unsupported(ValueError):
    """The mechanism cannot do what was asked (a direction, a mask, a length): a row `unsupported`, never a
    silently different computation."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Declaration of one mechanism.

    `core` is the fast form, `reference` a plain quadratic or per-step form with the same signature that
    defines correctness. Exponents are those of N at large N: `time_exponent` of the operations (products, and
    elements that anything else touches), `memory_exponent` of the peak of live bytes. `kernel`, where a
    library chooses among several, runs a call and names the one that was used.
    """

    name: str
    title: str
    paper: str
    formula: str
    source: str
    deviations: tuple[str, ...]
    core: Core
    reference: Core
    bidirectional: bool = True
    causal: bool = True
    honours_padding: bool = True
    permutation_equivariant: bool = True
    time_exponent: float = 1.0
    memory_exponent: float = 1.0
    decode_state: str = ""
    kernel: Callable[[Callable[[], object]], str] | None = None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The keyword-only parameters of `core` beyond the contract: name -> typed, defaulted parameter."""
        signature = inspect.signature(self.core)
        return {name: p for name, p in signature.parameters.items() if name not in _CONTRACT}

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown or has a value that its annotation excludes."""
        hints = typing.get_type_hints(self.core)
        for name, value in params.items():
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise ValueError(
                    f"attention {self.name} has no parameter {name!r}; it has: {known}."
                    f"{did_you_mean(name, self.parameters)}"
                )
            hint = hints[name]
            if typing.get_origin(hint) is typing.Literal:
                allowed = typing.get_args(hint)
                if value not in allowed:
                    raise ValueError(
                        f"attention {self.name}: {name} is {value!r}; expected one of "
                        f"{', '.join(map(repr, allowed))}"
                    )
            elif isinstance(hint, type):
                wanted = (int, float) if hint is float else hint
                if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
                    raise ValueError(f"attention {self.name}: {name} is {value!r}; expected {hint.__name__}")

    def check_direction(self, *, causal: bool) -> None:
        """Raise `Unsupported` when the asked direction does not exist for this mechanism."""
        if causal and not self.causal:
            raise Unsupported(f"attention {self.name} has no causal form")
        if not causal and not self.bidirectional:
            raise Unsupported(f"attention {self.name} has no bidirectional form")
