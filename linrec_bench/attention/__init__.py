"""How tokens mix: one file a mechanism, found by its `SPEC`.

Shapes everywhere: B batch, H heads, N sequence length, D hidden size, d = D / H head size.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from torch import Tensor

from linrec_bench.attention import mechanisms
from linrec_bench.attention.spec import Spec, State, Unsupported, accepted
from linrec_bench.attention.validation import check_inputs, check_tensors
from linrec_bench.registry import Registry

__all__ = ["Spec", "Unsupported", "core", "init_state", "load_plugin", "registry", "step", "unload_plugins"]

_plugins: list[Spec] = []


@cache
def registry() -> Registry[Spec]:
    """Every mechanism by name: the files of this package, installed entry points, loaded plugins."""
    specs: list[Spec] = []
    for module in pkgutil.iter_modules(mechanisms.__path__):
        found = getattr(importlib.import_module(f"{mechanisms.__name__}.{module.name}"), "SPEC", None)
        if found is not None:
            specs.append(found)
    specs.extend(entry.load() for entry in entry_points(group="linrec_bench.attention"))
    return Registry("attention", [(spec.name, spec) for spec in [*specs, *_plugins]])


def load_plugin(path: Path) -> Spec:
    """Load the `SPEC` of a user's own file; `ValueError` when the file has none, or cannot be imported."""
    module_spec = importlib.util.spec_from_file_location(f"linrec_bench_plugin_{path.stem}", path)
    if module_spec is None or module_spec.loader is None or not path.is_file():
        raise ValueError(f"plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        # A user's own code may raise anything.
        reason = str(error).partition("\n")[0]
        raise ValueError(f"plugin {path}: cannot be imported: {type(error).__name__}: {reason}") from error
    spec = getattr(module, "SPEC", None)
    if not isinstance(spec, Spec):
        raise ValueError(f"plugin {path}: expected a module-level SPEC of linrec_bench.attention.Spec")
    _plugins.append(spec)
    registry.cache_clear()
    return spec


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
    mechanism needs gates or weights that are not among `params`, a companion drawn from a fixed seed makes
    them from k.

    Raises `ValueError` for wrong shapes, dtypes or parameters (its subclass `UnknownName` for an unknown
    mechanism) and `Unsupported` where the mechanism has no such form.
    """
    spec = registry()[name]
    settings, tensors = _settings_and_tensors(spec, params)
    spec.check_direction(causal=causal)
    check_inputs(q, k, v, padding_mask)
    check_tensors(f"attention {name}", spec.tensors, tensors, q)
    if padding_mask is not None and not spec.honours_padding:
        raise Unsupported(f"attention {name} cannot honour a padding mask")
    tensors = tensors or _made_from_keys(spec, k, settings, seq_len=k.shape[2])
    given = accepted(spec.core, settings)
    return spec.core(q, k, v, padding_mask=padding_mask, causal=causal, **tensors, **given)


def init_state(name: str, like: Tensor, *, seq_len: int, **params: object) -> State:
    """The state of causal mechanism `name` before the first of at most `seq_len` events.

    like: [B, H, *, d], a tensor whose batch, heads, head size, type and device the events will have. Raises
    `Unsupported` where there is no recurrent form and no cache.
    """
    spec = registry()[name]
    settings, _ = _settings_and_tensors(spec, params)
    if spec.init_state is None:
        raise Unsupported(f"attention {name} has no init_state, so it cannot decode event by event")
    return spec.init_state(like, **accepted(spec.init_state, settings, seq_len=seq_len))


def step(
    name: str, state: State, q: Tensor, k: Tensor, v: Tensor, *, seq_len: int, **params: object
) -> tuple[State, Tensor]:
    """The state after the events q, k, v [B, H, n, d] and their outputs o [B, H, n, d], as `core` gives them.

    `seq_len` is that of `init_state`. The old state must not be used again.
    """
    spec = registry()[name]
    settings, tensors = _settings_and_tensors(spec, params)
    if spec.step is None:
        raise Unsupported(f"attention {name} has no step, so it cannot decode event by event")
    check_inputs(q, k, v, None)
    check_tensors(f"attention {name}", spec.tensors, tensors, q)
    tensors = tensors or _made_from_keys(spec, k, settings, seq_len=seq_len)
    return spec.step(state, q, k, v, **accepted(spec.step, settings, seq_len=seq_len), **tensors)


def _settings_and_tensors(
    spec: Spec, params: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Checked settings apart from the tensors that a companion would otherwise make."""
    tensors = {name: value for name, value in params.items() if isinstance(value, Tensor)}
    settings = {name: value for name, value in params.items() if name not in tensors}
    spec.check_params(settings)
    return settings, tensors


def _made_from_keys(
    spec: Spec, k: Tensor, settings: Mapping[str, object], *, seq_len: int
) -> dict[str, Tensor]:
    if spec.companion is None:
        return {}
    x = k.transpose(1, 2).flatten(2)
    return spec.companion_tensors(x, k.shape[1], seq_len=seq_len, params=settings)
