"""How tokens mix: one file a mechanism, found by its `SPEC`.

    mechanisms/   one file each: equation, reference, SPEC. What to copy for a new one
    ops/          operations that mechanisms share
    backends/     other implementations than plain torch, and the choice among them
    contract/     what every mechanism must keep

Shapes everywhere: B batch, H heads, N sequence length, D hidden size, d = D / H head size.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from torch import Tensor, nn

from linrec_bench.attention import calls, mechanisms
from linrec_bench.attention.layer import AttentionLayer, check_heads
from linrec_bench.attention.spec import Spec, State, Unsupported, accepted
from linrec_bench.error_text import ANYTHING, in_a_line
from linrec_bench.registry import Registry, specs_in

__all__ = [
    "Spec",
    "Unsupported",
    "core",
    "init_state",
    "load_plugin",
    "make_layer",
    "plugins",
    "register",
    "registry",
    "step",
    "unload_plugins",
]

_plugins: list[Spec] = []


@cache
def registry() -> Registry[Spec]:
    """Every mechanism by name: the files of this package, installed entry points, loaded plugins."""
    specs = specs_in(mechanisms.__name__, Spec)
    specs.extend(entry.load() for entry in entry_points(group="linrec_bench.attention"))
    return Registry("attention", [(spec.name, spec) for spec in [*specs, *_plugins]])


def load_plugin(path: Path) -> Spec:
    """Load the `SPEC` of a user's own file; `ValueError` when the file has none, cannot be imported, or has
    signatures that cannot be read."""
    module_spec = importlib.util.spec_from_file_location(f"linrec_bench_plugin_{path.stem}", path)
    if module_spec is None or module_spec.loader is None or not path.is_file():
        raise ValueError(f"plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except ANYTHING as error:
        raise ValueError(f"plugin {path}: cannot be imported: {in_a_line(error)}") from error
    spec = getattr(module, "SPEC", None)
    if not isinstance(spec, Spec):
        raise ValueError(f"plugin {path}: expected a module-level SPEC of linrec_bench.attention.Spec")
    try:
        # Annotations are code, which is read here first.
        _ = spec.parameters, spec.tensors
    except ANYTHING as error:
        raise ValueError(f"plugin {path}: its signatures cannot be read: {in_a_line(error)}") from error
    register(spec)
    return spec


def register(spec: Spec) -> None:
    """Add a mechanism to the registry, until `unload_plugins`."""
    _plugins.append(spec)
    registry.cache_clear()


def plugins() -> frozenset[str]:
    """The names of the loaded plugins' mechanisms."""
    return frozenset(spec.name for spec in _plugins)


def unload_plugins() -> None:
    """Forget every loaded plugin."""
    _plugins.clear()
    registry.cache_clear()


def core(
    name: str,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    padding_mask: Tensor | None = None,
    causal: bool = False,
    **params: object,
) -> Tensor:
    """Mix tokens with the mechanism `name`; stable for use outside this package.

    q, k, v: [B, H, N, d] of one floating dtype; padding_mask: boolean [B, N], True where a token is real.
    Returns o: [B, H, N, d]. Rows of o at padded positions are finite and carry no meaning. Where the
    mechanism needs gates or weights that are not among `params`, a gate module drawn from a fixed seed makes
    them from k.

    Raises `ValueError` for wrong shapes, dtypes or parameters (its subclass `UnknownName` for an unknown
    mechanism) and `Unsupported` where the mechanism, or the backend asked for, has no such form.
    """
    return calls.attend(registry()[name], q, k, v, padding_mask=padding_mask, causal=causal, params=params)


def init_state(name: str, like: Tensor, *, seq_len: int, **params: object) -> State:
    """The state of causal mechanism `name` before the first of at most `seq_len` events.

    like: [B, H, *, d], a tensor whose batch, heads, head size, type and device the events will have. Raises
    `Unsupported` where there is no recurrent form and no cache.
    """
    return calls.init_state(registry()[name], like, seq_len=seq_len, params=params)


def step(
    name: str, state: State, q: Tensor, k: Tensor, v: Tensor, *, seq_len: int, **params: object
) -> tuple[State, Tensor]:
    """The state after the events q, k, v [B, H, n, d] and their outputs o [B, H, n, d], as `core` gives them.

    `seq_len` is that of `init_state`. The old state must not be used again.
    """
    return calls.step(registry()[name], state, q, k, v, seq_len=seq_len, params=params)


def make_layer(
    name: str,
    hidden_size: int,
    heads: int,
    *,
    causal: bool,
    seq_len: int,
    params: Mapping[str, object] | None = None,
) -> nn.Module:
    """The layer of mechanism `name`: the published one where its SPEC has one, else an `AttentionLayer`.

    Call it with x [B, N, D], padding_mask [B, N] or None and, where the SPEC says `timestamps`, those
    [B, N + 1]; N is at most `seq_len`. Raises `ValueError` for unknown names, parameters and sizes that do
    not divide, and `Unsupported` for a direction that does not exist.
    """
    spec = registry()[name]
    params = params or {}
    spec.check_params(params)
    spec.check_direction(causal=causal)
    check_heads(hidden_size, heads)
    if spec.layer is None:
        return AttentionLayer(hidden_size, heads, spec=spec, causal=causal, seq_len=seq_len, params=params)
    return spec.layer(hidden_size, heads, **accepted(spec.layer, params, causal=causal, seq_len=seq_len))
