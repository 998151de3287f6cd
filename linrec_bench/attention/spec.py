"""What a mechanism file declares: one frozen `Spec`, the contract that tests, `list` and `check` read."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor, nn

from linrec_bench.parameters import check_parameters, parameters_of

T = TypeVar("T")

Core = Callable[..., Tensor]
"""`(q, k, v, *, padding_mask, causal, **tensors, **params) -> o`; q, k, v, o: [B, H, N, d]; padding_mask:
[B, N]."""

Companion = Callable[..., nn.Module]
"""`(hidden_size, heads, *, seq_len, **params) -> module`; `module(x [B, N, D])` gives by name the tensors
that `core` takes beside q, k, v: gates made from the tokens, and weights that are learnt or drawn. At most
`seq_len` tokens will come. A constructor that does not need `seq_len` does not name it."""

Layer = Callable[..., nn.Module]
"""`(hidden_size, heads, *, causal, seq_len, **params) -> module`; `module(x [B, N, D], padding_mask)` gives
[B, N, D]; a third argument `timestamps` [B, N + 1] where the SPEC asks for it: when each event was, and when
the request came that follows the last. `init_state(x)` and `step(state, x [B, n, D])`, with timestamps
[B, n + 1] likewise, decode."""

State = tuple[Tensor, ...]
"""What decoding hands on from event to event."""

Start = Callable[..., State]
"""`(like [B, H, *, d], *, seq_len, **params) -> state` before the first event, for inputs of the shape, type
and device of `like` and at most `seq_len` events."""

Step = Callable[..., tuple[State, Tensor]]
"""`(state, q, k, v, **tensors, **params) -> (state, o)` for the n >= 1 events that follow; q, k, v, o:
[B, H, n, d]. The old state must not be used again: caches are written in place."""

Remember = Callable[..., State]
"""`(state, k, v, **tensors) -> state` after events whose outputs nobody asks for."""

Refusal = Callable[..., str | None]
"""`(device_type, dtype, *, backward, **params) -> why core raises Unsupported for such tensors, or None`; of
the settings those that matter to it."""

_CONTRACT = frozenset(
    {"q", "k", "v", "padding_mask", "causal", "hidden_size", "heads", "seq_len", "state", "like"}
)


class Unsupported(ValueError):
    """The mechanism cannot do what was asked (a direction, a mask, a length): a row `unsupported`, never a
    silently different computation."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Declaration of one mechanism.

    `core` is the fast form, `reference` a plain quadratic or per-step form with the same signature that
    defines correctness. Exponents are those of N at large N: `time_exponent` of the operations (products, and
    elements that anything else touches), `memory_exponent` of the peak of live bytes. `kernel`, where a
    library chooses among several or is a backend, runs a call and names the one that was used; empty if none.

    Where `core` takes tensors beside q, k, v, a `companion` makes them; those named in `tokens` have a row
    for each token, [B, H, N, *], the others are weights. `layer` is the published layer where it is more than
    projections around the core; `timestamps` says that it takes them. `init_state` and `step` decode one
    event after another; every causal mechanism has them. `remember` is there where taking events in costs
    less than `step`: a cache only stores them. `one_query(q, k, v, seen=, scale=)` are rows of
    `core` alone, of queries that all see the keys `seen` [B, N], at any width of keys and values: averages of
    values, by weights of scale q . k that a number added to each of them does not change. A core without it
    is computed whole and read at one row.
    `state_exponent` is that of the length of the history in the bytes of the state and in the operations of a
    step. `refusal` is there where `core` runs on some devices, or for some dtypes, only.
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
    complexity: str = ""
    decode_state: str = ""
    state_exponent: float = 0.0
    tokens: tuple[str, ...] = ()
    companion: Companion | None = None
    layer: Layer | None = None
    timestamps: bool = False
    init_state: Start | None = None
    step: Step | None = None
    remember: Remember | None = None
    one_query: Callable[..., Tensor] | None = None
    kernel: Callable[[Callable[[], object]], str] | None = None
    refusal: Refusal | None = None

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The settings of the mechanism, name -> typed, defaulted parameter: the keyword-only parameters of
        `core`, `companion` and `layer` beyond the contract and the tensors."""
        found: dict[str, inspect.Parameter] = {}
        for function in (self.core, self.companion, self.layer):
            if function is None:
                continue
            for name, parameter in parameters_of(function).items():
                if name not in _CONTRACT and not _is_tensor(parameter.annotation):
                    found.setdefault(name, parameter)
        return found

    @cached_property
    def tensors(self) -> Mapping[str, inspect.Parameter]:
        """What `core` takes beside q, k, v and the mask that is a tensor, by name."""
        return {
            name: parameter
            for name, parameter in parameters_of(self.core).items()
            if name not in _CONTRACT and _is_tensor(parameter.annotation)
        }

    def check_params(self, params: Mapping[str, object]) -> None:
        """Raise `ValueError` when a parameter is unknown or has a value that its annotation excludes."""
        check_parameters(f"attention {self.name}", self.parameters, params)

    def check_direction(self, *, causal: bool) -> None:
        """Raise `Unsupported` when the asked direction does not exist for this mechanism."""
        if causal and not self.causal:
            raise Unsupported(f"attention {self.name} has no causal form")
        if not causal and not self.bidirectional:
            raise Unsupported(f"attention {self.name} has no bidirectional form")

    def companion_tensors(
        self, x: Tensor, heads: int, *, seq_len: int, params: Mapping[str, object], seed: int = 0
    ) -> dict[str, Tensor]:
        """What a fresh companion, drawn from `seed`, makes of x [B, N, D]; empty without a companion.

        For calls without a layer: the same seed gives the same tensors.
        """
        if self.companion is None:
            return {}
        with torch.random.fork_rng(devices=[]), factories(x.device, x.dtype):
            torch.manual_seed(seed)
            module = self.companion(x.shape[-1], heads, **accepted(self.companion, params, seq_len=seq_len))
        made: dict[str, Tensor] = module(x)
        return made


class factories:
    """Modules made inside get their weights on `device` in `dtype` at once.

    Moving them afterwards fails under a FakeTensorMode, and would hold both copies on a device.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype

    def __enter__(self) -> None:
        self.before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        self.device.__enter__()

    def __exit__(self, *raised: object) -> None:
        self.device.__exit__(*raised)
        torch.set_default_dtype(self.before)


def accepted(function: Callable[..., object], params: Mapping[str, T], **available: T) -> dict[str, T]:
    """Those of `params` and `available` that `function` has a parameter for."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in {**params, **available}.items() if name in names}


def _is_tensor(hint: object) -> bool:
    """A tensor, a shaped tensor, or either with None."""
    return any(
        kind is Tensor or getattr(kind, "array_type", None) is Tensor
        for kind in (hint, *typing.get_args(hint))
    )
