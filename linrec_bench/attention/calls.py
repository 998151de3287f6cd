"""Checked calls of a mechanism: arguments are held to its signature, then the chosen implementation runs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from linrec_bench.attention.backends import choice
from linrec_bench.attention.spec import Spec, State, Unsupported, accepted
from linrec_bench.attention.validation import check_inputs, check_tensors


def attend(
    spec: Spec,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    padding_mask: Tensor | None = None,
    causal: bool = False,
    params: Mapping[str, object],
) -> Tensor:
    """o of q, k, v, all [B, H, N, d]; see `attention.core`. `params` are settings and tensors by name."""
    settings, tensors = _settings_and_tensors(spec, params)
    spec.check_direction(causal=causal)
    check_inputs(q, k, v, padding_mask)
    check_tensors(f"attention {spec.name}", spec.tensors, tensors, q)
    if padding_mask is not None and not spec.honours_padding:
        raise Unsupported(f"attention {spec.name} cannot honour a padding mask")
    tensors = tensors or _gates_of_keys(spec, k, settings, seq_len=k.shape[2])
    return choice.attend(
        spec, q, k, v, padding_mask=padding_mask, causal=causal, settings=settings, tensors=tensors
    )


def init_state(spec: Spec, like: Tensor, *, seq_len: int, params: Mapping[str, object]) -> State:
    """The state before the first event; see `attention.init_state`."""
    settings, _ = _settings_and_tensors(spec, params)
    if spec.init_state is None:
        raise Unsupported(f"attention {spec.name} has no init_state, so it cannot decode event by event")
    return spec.init_state(like, **accepted(spec.init_state, settings, seq_len=seq_len))


def step(
    spec: Spec, state: State, q: Tensor, k: Tensor, v: Tensor, *, seq_len: int, params: Mapping[str, object]
) -> tuple[State, Tensor]:
    """The state after the events q, k, v and their outputs; see `attention.step`."""
    settings, tensors = _settings_and_tensors(spec, params)
    if spec.step is None:
        raise Unsupported(f"attention {spec.name} has no step, so it cannot decode event by event")
    check_inputs(q, k, v, None)
    check_tensors(f"attention {spec.name}", spec.tensors, tensors, q)
    tensors = tensors or _gates_of_keys(spec, k, settings, seq_len=seq_len)
    return spec.step(state, q, k, v, **accepted(spec.step, settings, seq_len=seq_len), **tensors)


def _settings_and_tensors(
    spec: Spec, params: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Checked settings apart from the tensors that a gate module would otherwise make."""
    tensors = {name: value for name, value in params.items() if isinstance(value, Tensor)}
    settings = {name: value for name, value in params.items() if name not in tensors}
    spec.check_params(settings)
    return settings, tensors


def _gates_of_keys(
    spec: Spec, k: Tensor, settings: Mapping[str, object], *, seq_len: int
) -> dict[str, Tensor]:
    """What a gate module drawn from a fixed seed makes of the keys."""
    if spec.gate_module is None:
        return {}
    return spec.gate_tensors(k.transpose(1, 2).flatten(2), k.shape[1], seq_len=seq_len, params=settings)
