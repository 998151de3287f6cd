"""What a mechanism file declares: one frozen `Spec`, the contract that tests, `list` and `check` read."""

from __future__ import annotations

import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from linrec_bench.attention import cost_bounds
from linrec_bench.attention.cost_bounds import CostBound
from linrec_bench.measures.device.lookup import kept_random_state
from linrec_bench.parameters import BEST, EAGER, check_parameters, parameters_of

Tokens = Float[Tensor, "B H N d"]
"""q, k, v and o of a sequence."""

Events = Float[Tensor, "B H n d"]
"""q, k, v and o of the next events, when decoding."""

Mask = Bool[Tensor, "B N"] | None
"""True where a token is real; None where all are."""

State = tuple[Tensor, ...]
"""What decoding hands on from event to event."""


# Any in the protocols below: what follows the arguments that all mechanisms share are the tensors and the
# settings of one of them, which no common type can name. `Spec` checks the shared ones when it is made.
@runtime_checkable
class Core(Protocol):
    """`(q, k, v, *, padding_mask, causal, **tensors, **settings) -> o`.

    q, k, v, o: [B, H, N, d] of one floating dtype; padding_mask: boolean [B, N], True where a token is real,
    or None; `tensors` are those that the gate module makes, each with its shape in the signature.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor: ...


@runtime_checkable
class GateModule(Protocol):
    """`(hidden_size, heads, *, seq_len, **settings) -> module`, a class of modules.

    `module(x)` of x [B, N, D] gives by name the tensors that `core` takes besides q, k, v: gates made from
    the tokens, and weights that are learnt or drawn. At most `seq_len` tokens will come. A constructor that
    does not need `seq_len` does not name it.
    """

    def __call__(self, hidden_size: int, heads: int, *args: Any, **kwargs: Any) -> nn.Module: ...


@runtime_checkable
class Layer(Protocol):
    """`(hidden_size, heads, *, causal, seq_len, **settings) -> module`, a class of modules.

    `module(x, padding_mask)` of x [B, N, D] and padding_mask [B, N] or None gives y [B, N, D]. Where
    `Spec.timestamps` says so there is a third argument, timestamps [B, N + 1], whole numbers: when each event
    was, and when the request came that follows the last. `module.init_state(x)` gives the state before the
    first event for inputs like x [B, *, D], and `module.step(state, x)` of x [B, n, D] the state after the n
    events and their y; with timestamps [B, n + 1] likewise. A constructor names those of `causal` and
    `seq_len` that it needs.
    """

    def __call__(self, hidden_size: int, heads: int, *args: Any, **kwargs: Any) -> nn.Module: ...


@runtime_checkable
class InitState(Protocol):
    """`(like, *, seq_len, **settings) -> state` before the first event, for inputs of the shape, type and
    device of `like` [B, H, *, d] and at most `seq_len` events."""

    def __call__(self, like: Tensor, *args: Any, **kwargs: Any) -> State: ...


@runtime_checkable
class Step(Protocol):
    """`(state, q, k, v, **tensors, **settings) -> (state, o)` for the n >= 1 events that follow.

    q, k, v, o: [B, H, n, d]. The old state must not be used again: caches are written in place.
    """

    def __call__(
        self, state: State, q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[State, Tensor]: ...


@runtime_checkable
class Remember(Protocol):
    """`(state, k, v, **tensors) -> state` after events whose outputs are not needed; k, v: [B, H, n, d]."""

    def __call__(self, state: State, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> State: ...


@runtime_checkable
class OneQuery(Protocol):
    """Rows of `core` alone: of M queries that all see the keys `seen` [B, N], one at least.

    q: [B, G, M, f], k: [B, G, N, f], v: [B, G, N, e] -> [B, G, M, e]: averages of values, by weights of
    scale q . k that a number added to each of them does not change.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, seen: Tensor, scale: float) -> Tensor: ...


@dataclass(frozen=True)
class Request:
    """What tensors an implementation would be given. What is None does not matter to who asks."""

    device_type: str
    dtype: torch.dtype
    backward: bool
    causal: bool | None = None
    head_size: int | None = None
    length: int | None = None


Refusal = Callable[[Request], "str | None"]
"""Why an implementation raises `Unsupported` for such tensors; None where it runs them."""


KernelName = Callable[[Callable[[], object]], str]
"""Runs a call once and names the kernel that it used; empty where there was none to see."""


_PLAIN = (str, bool, float, tuple[str, ...], Mapping[str, str])
_NAME = re.compile(r"[\w.+-]+")

_SHARED = frozenset(
    {"q", "k", "v", "padding_mask", "causal", "hidden_size", "heads", "seq_len", "state", "like", "backend"}
)
"""Arguments that are no settings of one mechanism."""


class Unsupported(ValueError):
    """The mechanism cannot do what was asked (a direction, a mask, a length): a row `unsupported`, never a
    silently different computation."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A further implementation of a mechanism, chosen by the setting `backend`: see `backends.choice`.

    `attend` has the signature of `core` and runs where `refusal` gives None. On fake tensors, whose
    operations are counted and which no kernel can read, `counted` runs instead: `core` if None.
    """

    attend: Core
    refusal: Refusal
    counted: Core | None = None
    kernel: KernelName | None = None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Declaration of one mechanism.

    `core` is the fast form in plain torch, `reference` a plain quadratic or per-step form with the same
    signature that defines correctness. `backends` are further implementations by name. Exponents are those of
    N at large N: `time_exponent` of the operations (products, and elements that anything else touches),
    `memory_exponent` of the peak of live bytes. `dispatches_per_token` is the most operations that torch is
    asked for, for each further token of a row: fewer than one where the core works on many tokens at once.
    `uses_float64`: tensors of float64 grow with N though the inputs are of a smaller type.
    `host_memory_exponent` is that of what Python and numpy hold beside tensors. `at_most` bounds what a call
    of `core` may cost, constant factors included: `{"causal padded bfloat16 forward operations": "60 B H N
    d"}`, as in `cost_bounds`; without such words rows are full and numbers float32.
    `kernel`, where a library that `core` calls chooses among several kernels, names the one that was used.
    `refusal` is there where `core` runs on some devices, or for some dtypes, only.

    Where `core` takes tensors besides q, k, v, a `gate_module` makes them; those named in `tokens` have a row
    for each token, [B, H, N, *], the others are weights. `layer` is the published layer where it is more than
    projections around the core; `timestamps` says that it takes them. `init_state` and `step` decode one
    event after another; every causal mechanism has them. `remember` is there where taking events in costs
    less than `step`: a cache only stores them. A core without `one_query` is computed whole and read at one
    row. `state_exponent` is that of the length of the history in the bytes of the state and in the operations
    of a step.

    Raises `TypeError` where a function lacks an argument of its protocol, `ValueError` for a value that its
    annotation excludes, a name that could not be typed, and an `at_most` that cannot be read.
    """

    name: str
    core: Core
    reference: Core
    title: str = ""
    paper: str = "none"
    formula: str = ""
    source: str = "none"
    deviations: tuple[str, ...] = ()
    backends: Mapping[str, Backend] = field(default_factory=dict)
    bidirectional: bool = True
    causal: bool = True
    honours_padding: bool = True
    permutation_equivariant: bool = True
    time_exponent: float = 1.0
    memory_exponent: float = 1.0
    dispatches_per_token: float = 0.9
    uses_float64: bool = False
    host_memory_exponent: float = 1.0
    at_most: Mapping[str, str] = field(default_factory=dict)
    complexity: str = ""
    decode_state: str = ""
    state_exponent: float = 0.0
    tokens: tuple[str, ...] = ()
    gate_module: GateModule | None = None
    layer: Layer | None = None
    timestamps: bool = False
    init_state: InitState | None = None
    step: Step | None = None
    remember: Remember | None = None
    one_query: OneQuery | None = None
    kernel: KernelName | None = None
    refusal: Refusal | None = None

    def __post_init__(self) -> None:
        self._check_values()
        tokens = ("q", "k", "v", "padding_mask", "causal")
        for role, function, arguments in (
            ("core", self.core, tokens),
            ("reference", self.reference, tokens),
            ("gate_module", self.gate_module, ("hidden_size", "heads")),
            ("layer", self.layer, ("hidden_size", "heads")),
            ("init_state", self.init_state, ("like",)),
            ("step", self.step, ("state", "q", "k", "v")),
            ("remember", self.remember, ("state", "k", "v")),
        ):
            missing = [] if function is None else [name for name in arguments if not _takes(function, name)]
            if missing:
                raise TypeError(
                    f"attention {self.name}: {role} lacks {', '.join(missing)}; expected "
                    f"({', '.join(arguments)}, ...)"
                )
        for reserved in {EAGER, BEST} & set(self.backends):
            raise ValueError(
                f"attention {self.name}: a backend cannot be called {reserved!r}; expected another name"
            )
        try:
            cost_bounds.read(self.at_most)
        except ValueError as error:
            raise ValueError(f"attention {self.name}: {error}") from error

    def _check_values(self) -> None:
        """Hold what is neither a function nor a class to its annotation."""
        plain = {name: each for name, each in parameters_of(Spec).items() if each.annotation in _PLAIN}
        check_parameters("a SPEC", plain, {name: getattr(self, name) for name in plain})
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"attention {self.name!r}: expected a name of letters, digits and any of . + - _"
            )
        for name, value in (("time_exponent", self.time_exponent), ("memory_exponent", self.memory_exponent)):
            if not 0 <= value < math.inf:
                raise ValueError(f"attention {self.name}: {name} is {value}; expected a number from 0")
        if not all(isinstance(backend, Backend) for backend in self.backends.values()):
            raise TypeError(f"attention {self.name}: backends; expected names, each with a Backend")
        for name in ("kernel", "refusal", "one_query"):
            if not (getattr(self, name) is None or callable(getattr(self, name))):
                raise TypeError(f"attention {self.name}: {name}; expected a function")

    @cached_property
    def bounds(self) -> tuple[CostBound, ...]:
        """`at_most`, read."""
        return cost_bounds.read(self.at_most)

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The settings of the mechanism, name -> typed, defaulted parameter: the keyword-only parameters of
        `core`, `gate_module` and `layer` beyond those of their protocols and the tensors, and `backend` where
        there is a choice."""
        settings = self._settings_of(self.core)
        if self.backends:
            settings["backend"] = inspect.Parameter(
                "backend",
                inspect.Parameter.KEYWORD_ONLY,
                default=EAGER,
                # A Literal of names that only the SPEC knows.
                annotation=typing.Literal[(EAGER, *self.backends)],
            )
        for function in (self.gate_module, self.layer):
            for name, parameter in self._settings_of(function).items():
                settings.setdefault(name, parameter)
        return settings

    @cached_property
    def tensors(self) -> Mapping[str, inspect.Parameter]:
        """The tensors that `core` takes besides q, k, v and the mask, by name."""
        return {
            name: parameter
            for name, parameter in parameters_of(self.core).items()
            if name not in _SHARED and _is_tensor(parameter.annotation)
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

    def gate_tensors(
        self, x: Tensor, heads: int, *, seq_len: int, params: Mapping[str, object], seed: int = 0
    ) -> dict[str, Tensor]:
        """What a fresh gate module, drawn from `seed`, makes of x [B, N, D]; empty without one.

        For calls without a layer: the same seed gives the same tensors.
        """
        if self.gate_module is None:
            return {}
        with torch.random.fork_rng(devices=[]), kept_random_state(x.device), factories(x.device, x.dtype):
            torch.manual_seed(seed)
            module = make_gates(self, x.shape[-1], heads, seq_len=seq_len, params=params)
        tensors: dict[str, Tensor] = module(x)
        return tensors

    @staticmethod
    def _settings_of(function: Callable[..., object] | None) -> dict[str, inspect.Parameter]:
        """The parameters of a function that are settings: neither shared by all mechanisms nor tensors."""
        if function is None:
            return {}
        return {
            name: parameter
            for name, parameter in parameters_of(function).items()
            if name not in _SHARED and not _is_tensor(parameter.annotation)
        }


def make_gates(
    spec: Spec, hidden_size: int, heads: int, *, seq_len: int, params: Mapping[str, object]
) -> nn.Module:
    """The gate module of a SPEC that has one, with those of `params` that it takes."""
    assert spec.gate_module is not None
    return spec.gate_module(hidden_size, heads, **accepted(spec.gate_module, params, seq_len=seq_len))


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


# Any: settings go by name to whatever mechanism it is; `check_params` has held them to its annotations.
def accepted(
    function: Callable[..., object], params: Mapping[str, object], **available: object
) -> dict[str, Any]:
    """Those of `params` and `available` that `function` has a parameter for."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in {**params, **available}.items() if name in names}


def _is_tensor(hint: object) -> bool:
    """A tensor, a shaped tensor, or either with None."""
    return any(
        kind is Tensor or getattr(kind, "array_type", None) is Tensor
        for kind in (hint, *typing.get_args(hint))
    )


def _takes(function: Callable[..., object], name: str) -> bool:
    """Whether a call may give an argument by that name."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
