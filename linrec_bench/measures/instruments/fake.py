"""Operations on fake tensors, answered as the CPU's kernels answer on real ones, and quickly.

A fake tensor has the shape, layout and storage of a CPU tensor and no memory. For each operation torch's own
mode consults tables of decompositions and a cache whose keys are dear. Most of that repeats what the shape
function of the kernel says, so here the common operations ask it themselves, once for each form of arguments.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from linrec_bench.measures.instruments.operations import Observer, Watch, per_operation, tensors

aten = torch.ops.aten
_CPU = torch.device("cpu")


class _New(NamedTuple):
    """A result in a storage of its own."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


_IN_PLACE = "in place"

_META = torch.device("meta")


_MOST_RESULTS = 50_000

_results: dict[Hashable, _New | str] = {}
"""Of common operations, by the form of their arguments: cases share most of their blocks."""


class _ShapeFunction:
    """Inside, operations on fake tensors of the mode run the shape functions of their kernels: torch's
    `in_kernel_invocation_manager`, without the cost of a generator."""

    def __init__(self, mode: FakeTensorMode) -> None:
        self._mode, self._before = mode, mode.in_kernel_invocation
        self._guards = torch._C._DisableTorchDispatch(), torch._C._PreserveDispatchKeyGuard()

    def __enter__(self) -> None:
        dispatch, keys = self._guards
        dispatch.__enter__()
        self._mode.in_kernel_invocation = True
        keys.__enter__()
        torch._C._set_meta_in_tls_dispatch_include(True)

    def __exit__(self, *raised: object) -> None:
        dispatch, keys = self._guards
        self._mode.in_kernel_invocation = self._before
        keys.__exit__(None, None, None)
        dispatch.__exit__(None, None, None)


class FakeWatch(Watch):
    """A `Watch` for operations on fake tensors, and on real ones."""

    def __init__(self, *observers: Observer) -> None:
        super().__init__(*observers)
        self._attributes: dict[str, object] = {}

    def query(self, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        # Autograd asks for the device of each gradient, more often than anything is computed.
        if func is torch.ops.prim.device.default and isinstance(args[0], FakeTensor):
            return args[0].fake_device
        return func(*args, **kwargs)

    def run(self, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        answer, asked = _answer(func), kwargs
        if answer.input_at is not None and isinstance(args[0], FakeTensor):
            # torch's fake forms of these gradients lay the result out like the input of the forward pass,
            # the kernels like the incoming gradient; autograd then makes a copy, or does not. A product has
            # the shape and layout of any elementwise function of the two.
            return self.run(aten.mul.Tensor, (args[0], args[answer.input_at]), {})
        if answer.is_nothing and _mode_of(args) is not None:
            return None
        known = answer.is_known
        if answer.is_made and kwargs.get("device") in (None, _CPU) and "generator" not in kwargs:
            known, kwargs = True, {**kwargs, "device": _META}
            mode = _mode_of(args) or (None if tensors(args) else _active_mode())
        else:
            mode = _mode_of((*args, *kwargs.values())) if known or answer.is_asked else None
        if mode is None:
            return func(*args, **asked)
        if not known:
            with _ShapeFunction(mode):
                return self._as_fake(mode, func(*args, **kwargs))
        return self._one_result(mode, func, args, kwargs)

    def _one_result(
        self,
        mode: FakeTensorMode,
        func: OpOverload[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Tensor:
        named = ((name, _form(value)) for name, value in kwargs.items())
        form = (id(func), torch.get_default_dtype(), _form(args), *named)
        result = _results.get(form)
        if result is _IN_PLACE:
            given: Tensor = args[0]
            return given
        if isinstance(result, _New):
            with torch._C._DisableTorchDispatch():
                out = torch.empty_strided(result.size, result.stride, dtype=result.dtype, device=_META)
        else:
            with _ShapeFunction(mode):
                out = func(*args, **kwargs)
        if isinstance(out, FakeTensor):
            # What is written to, which is fake already: the first argument, or `out`, whose calls are rare.
            if out is args[0]:
                _results[form] = _IN_PLACE
            return out
        if result is None:
            if len(_results) > _MOST_RESULTS:
                _results.clear()
            _results[form] = _New(tuple(out.shape), out.stride(), out.dtype)
        return self._fake(mode, out)

    def _as_fake(self, mode: FakeTensorMode, out: Any) -> Any:
        if isinstance(out, Tensor):
            return self._fake(mode, out)
        return type(out)(self._as_fake(mode, each) for each in out)

    def _fake(self, mode: FakeTensorMode, meta: Tensor) -> Tensor:
        """As `FakeTensor(mode, meta, _CPU)`, which takes longer than all else of an operation: one is made
        so, and others with what it holds."""
        if self._attributes.get("fake_mode") is not mode:
            first = FakeTensor(mode, meta, _CPU)
            self._attributes = dict(vars(first))
            return first
        fake = Tensor._make_subclass(
            FakeTensor, meta, meta.requires_grad, dispatch_device=True, device_for_backend_keys=_CPU
        )
        torch._C._set_throw_on_mutable_data_ptr(fake)
        vars(fake).update(self._attributes)
        made: Tensor = fake
        return made


def _mode_of(arguments: tuple[Any, ...]) -> FakeTensorMode | None:
    """The mode of the tensors among the arguments, if all are fake and none is a constant, whose numbers the
    mode itself keeps."""
    mode = None
    for argument in arguments:
        for tensor in argument if isinstance(argument, list | tuple) else (argument,):
            if isinstance(tensor, FakeTensor) and tensor.constant is None:
                mode = tensor.fake_mode
            elif isinstance(tensor, Tensor):
                return None
    return mode


def _active_mode() -> FakeTensorMode | None:
    """The mode in which what makes tensors out of nothing makes fake ones."""
    active: FakeTensorMode | None = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)
    return active


def _form(argument: object) -> Hashable:
    if isinstance(argument, Tensor):
        return argument.shape, argument.stride(), argument.dtype
    if isinstance(argument, list | tuple):
        return tuple(map(_form, argument))
    # 1 and 1.0 are equal, and make results of different types.
    return type(argument), argument


# Where the input of the forward pass stands among the arguments; the incoming gradient is the first.
_GRADIENT_AND_INPUT: dict[OpOverload[..., Any], int] = {
    aten.elu_backward.default: 5,
    aten.mish_backward.default: 1,
    aten.silu_backward.default: 1,
    aten.softplus_backward.default: 1,
}

# Other names for the same storage, and operations of one's own: their shape functions are asked each time.
_ASKED: set[object] = {
    aten.alias,
    aten.as_strided,
    aten.detach,
    aten.expand,
    aten.permute,
    aten.select,
    aten.slice,
    aten.split,
    aten.split_with_sizes,
    aten.squeeze,
    aten.t,
    aten.transpose,
    aten.unbind,
    aten.unsqueeze,
    aten.view,
    aten._unsafe_view,
}

# What they write is no new tensor.
_NO_RESULT: frozenset[object] = frozenset({aten._foreach_add_, aten._fused_adamw_})

# One new tensor; on which device is asked for, or that of the first argument.
_FACTORIES: frozenset[object] = frozenset(
    {
        aten._to_copy,
        aten.arange,
        aten.empty,
        aten.empty_like,
        aten.empty_strided,
        aten.new_empty,
        aten.new_full,
        aten.new_zeros,
        aten.ones,
        aten.ones_like,
        aten.randn,
        aten.zeros,
        aten.zeros_like,
    }
)

# One tensor, a new one or the first argument itself; its form depends on nothing but theirs.
_ONE_RESULT: frozenset[object] = frozenset(
    {
        aten._softmax,
        aten._softmax_backward_data,
        aten.add,
        aten.add_,
        aten.addcmul,
        aten.addmm,
        aten.amax,
        aten.baddbmm_,
        aten.bitwise_and,
        aten.bitwise_not,
        aten.bmm,
        aten.cat,
        aten.clamp,
        aten.clone,
        aten.constant_pad_nd,
        aten.copy_,
        aten.cos,
        aten.cumsum,
        aten.div,
        aten.div_,
        aten.elu,
        aten.eq,
        aten.exp,
        aten.exp_,
        aten.fill_,
        aten.flip,
        aten.gather,
        aten.ge,
        aten.gelu,
        aten.gelu_backward,
        aten.gt,
        aten.index_add,
        aten.index_select,
        aten.le,
        aten.linalg_vector_norm,
        aten.log,
        aten.lt,
        aten.masked_fill,
        aten.masked_fill_,
        aten.maximum,
        aten.mean,
        aten.minimum,
        aten.mm,
        aten.mul,
        aten.mul_,
        aten.neg,
        aten.normal_,
        aten.pow,
        aten.reciprocal,
        aten.relu,
        aten.rsqrt,
        aten.rsqrt_,
        aten.rsub,
        aten.select_backward,
        aten.sigmoid,
        aten.sigmoid_backward,
        aten.silu,
        aten.sin,
        aten.slice_backward,
        aten.softplus,
        aten.sqrt,
        aten.stack,
        aten.sub,
        aten.sum,
        aten.threshold,
        aten.threshold_,
        aten.threshold_backward,
        aten.tril,
        aten.tril_,
        aten.triu_,
        aten.uniform_,
        aten.where,
        aten.zero_,
    }
)


class _Answer(NamedTuple):
    """Who says what an operation on fake tensors makes: see the sets above."""

    input_at: int | None
    is_nothing: bool
    is_known: bool
    is_made: bool
    is_asked: bool


@per_operation
def _answer(func: OpOverload[..., Any]) -> _Answer:
    packet = func.overloadpacket
    return _Answer(
        _GRADIENT_AND_INPUT.get(func),
        packet in _NO_RESULT,
        packet in _ONE_RESULT,
        packet in _FACTORIES,
        packet in _ASKED,
    )


def has_shape_function(packet: object) -> None:
    """State that what an operation of one's own makes is told by its function for fake tensors alone."""
    _ASKED.add(packet)
