"""The public function, plugins, and the layer around a mechanism."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from linrec_bench import attention
from linrec_bench.attention import Spec, Unsupported, contract, load_plugin, make_layer, registry
from linrec_bench.attention.layer import AttentionOp
from linrec_bench.registry import UnknownName

Q, K, V = contract.inputs(7, torch.float32)

PLUGIN = '''
"""o = 2 v."""
from linrec_bench.attention import Spec


def core(q, k, v, *, padding_mask=None, causal=False, gain: float = 2.0):
    return gain * v


SPEC = Spec(
    name="twice", title="Twice", paper="none", formula="2 v", source="none", deviations=(),
    core=core, reference=core, causal=False, honours_padding=False,
)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "twice.py"
    path.write_text(PLUGIN)
    yield path
    attention.unload_plugins()


def test_the_mechanisms_of_the_package() -> None:
    assert set(registry()) >= {"copy", "softmax", "sdpa", "linrec", "linrec-column", "linear-transformer"}


@pytest.mark.parametrize("spec", registry().values(), ids=lambda spec: spec.name)
def test_a_spec_says_what_it_is(spec: Spec) -> None:
    assert spec.title
    assert spec.formula
    assert spec.paper
    assert spec.source
    assert spec.decode_state
    assert spec.reference is not spec.core
    for name, parameter in spec.parameters.items():
        assert parameter.kind is parameter.KEYWORD_ONLY, name
        assert parameter.default is not parameter.empty, name
        spec.check_params({name: parameter.default})


def test_core_returns_the_shape_of_v() -> None:
    assert attention.core("linrec", Q, K, V, causal=True).shape == V.shape


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UnknownName, match=r"unknown attention 'linrek'.*Did you mean 'linrec'"):
        attention.core("linrek", Q, K, V)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("linrec", {"paddin": "mask"}, "no parameter 'paddin'; it has: padding, backend. Did you mean 'pad"),
        ("linrec", {"padding": "drop"}, "padding is 'drop'; expected one of 'mask', 'ignore'"),
        ("linear-transformer", {"eps": "small"}, "eps is 'small'; expected number"),
        ("softmax", {"eps": 1e-6}, "no parameter 'eps'; it has: none"),
    ],
)
def test_wrong_parameters_are_named(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention.core(name, Q, K, V, **params)
    with pytest.raises(ValueError, match=message):
        AttentionOp(registry()[name], causal=False, **params)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((Q[0], K, V), r"q has shape \[3, 7, 8\]; expected \[B, H, N, d\]"),
        ((Q, K[:, :, :5], V), r"k has shape \[2, 3, 5, 8\]; expected that of q"),
        ((Q, K, V.double()), "v has dtype torch.float64; expected one floating dtype"),
        ((Q.long(), K.long(), V.long()), "q has dtype torch.int64; expected one floating dtype"),
    ],
)
def test_wrong_inputs_are_named(given: tuple[torch.Tensor, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention.core("copy", *given)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            torch.ones(2, 8).bool(),
            r"padding_mask has shape \[2, 8\]; expected \[B, N\] = \[2, 7\]",
        ),
        (torch.ones(2, 7), "padding_mask has dtype torch.float32; expected bool"),
    ],
)
def test_wrong_masks_are_named(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention.core("copy", Q, K, V, padding_mask=mask)


GATE = torch.zeros(2, 3, 7, 8)
STEP_SIZE, RATE = torch.ones(2, 3, 7, 1), -torch.ones(3, 1, 1)


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        (
            "gla",
            {"log_decay": GATE[..., :1]},
            r"gla: log_decay has shape \[2, 3, 7, 1\]; expected \[B, H, N, d\]",
        ),
        ("gla", {"log_decay": GATE[0]}, r"expected \[B, H, N, d\] = \[2, 3, 7, 8\]"),
        ("gla", {"log_decay": GATE.long()}, "log_decay has dtype torch.int64; expected a floating dtype"),
        (
            "gla",
            {"log_dekay": GATE},
            "gla takes no tensor 'log_dekay'; it takes: log_decay. Did you mean 'log_de",
        ),
        ("softmax", {"mask": GATE}, "softmax takes no tensor 'mask'; it takes: none"),
        (
            "mamba2",
            {"dt": STEP_SIZE, "a": RATE},
            "mamba2 needs the tensor 'skip' beside dt, a; it is missing",
        ),
        (
            "based",
            {"query_projection": torch.ones(3, 8, 4), "key_projection": torch.ones(3, 8, 5)},
            r"key_projection has shape \[3, 8, 5\]; expected \[H, d, f\] = \[3, 8, 4\]",
        ),
    ],
)
def test_wrong_tensors_beside_q_k_v_are_named(
    name: str, tensors: dict[str, torch.Tensor], message: str
) -> None:
    """A gate of another shape would broadcast to a silently different computation."""
    with pytest.raises(ValueError, match=message):
        attention.core(name, Q, K, V, causal=True, **tensors)


@pytest.mark.parametrize("spec", [s for s in registry().values() if s.tensors], ids=lambda spec: spec.name)
def test_what_a_gate_module_makes_fits_the_signature(spec: Spec) -> None:
    made = spec.gate_tensors(torch.randn(2, 7, 24), 3, seq_len=7, params={})
    attention.core(spec.name, Q, K, V, causal=spec.causal, **made)
    assert set(made) == set(spec.tensors)


ONE_WAY = [
    (spec.name, causal)
    for spec in registry().values()
    for causal in (False, True)
    if causal not in contract.directions(spec)
]


@pytest.mark.parametrize(("name", "causal"), ONE_WAY)
def test_a_direction_that_does_not_exist_is_unsupported(name: str, causal: bool) -> None:
    reason = f"attention {name} has no {'causal' if causal else 'bidirectional'} form"
    with pytest.raises(Unsupported, match=reason):
        attention.core(name, Q, K, V, causal=causal)
    with pytest.raises(Unsupported, match=reason):
        make_layer(name, 24, 3, causal=causal, seq_len=7)


def test_a_mask_asked_of_fnet_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="attention fnet cannot honour a padding mask"):
        attention.core("fnet", Q, K, V, padding_mask=torch.ones(2, 7, dtype=torch.bool))


@pytest.mark.parametrize("name", ["linformer", "lightsans"])
def test_more_tokens_than_a_layer_was_made_for_are_unsupported(name: str) -> None:
    layer = make_layer(name, 24, 3, causal=False, seq_len=6)
    assert layer(torch.randn(1, 6, 24)).shape == (1, 6, 24)
    with pytest.raises(Unsupported, match=f"attention {name} was made for at most 6 tokens, got 7"):
        layer(torch.randn(1, 7, 24))


def test_a_plugin_joins_the_registry(plugin: Path) -> None:
    assert load_plugin(plugin).name == "twice"
    torch.testing.assert_close(attention.core("twice", Q, K, V, gain=3.0), 3 * V)


def test_what_a_plugin_cannot_do_is_unsupported(plugin: Path) -> None:
    load_plugin(plugin)
    with pytest.raises(Unsupported, match="attention twice has no causal form"):
        attention.core("twice", Q, K, V, causal=True)
    with pytest.raises(Unsupported, match="attention twice cannot honour a padding mask"):
        attention.core("twice", Q, K, V, padding_mask=torch.ones(2, 7, dtype=torch.bool))
    with pytest.raises(Unsupported, match="no causal form"):
        AttentionOp(registry()["twice"], causal=True)


def test_a_plugin_may_not_take_a_name_that_exists(plugin: Path) -> None:
    plugin.write_text(PLUGIN.replace('"twice"', '"copy"'))
    load_plugin(plugin)
    with pytest.raises(ValueError, match="two attention entries are named 'copy'"):
        registry()


def test_a_plugin_without_a_spec_is_refused(plugin: Path) -> None:
    plugin.write_text("SPEC = 3\n")
    with pytest.raises(ValueError, match=r"twice\.py: expected a module-level SPEC"):
        load_plugin(plugin)


def test_a_plugin_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.py: not a Python file"):
        load_plugin(tmp_path / "absent.py")


def test_a_layer_splits_heads_in_order() -> None:
    """With copy and identity projections the layer is the identity."""
    layer = make_layer("copy", 8, 2, causal=True, seq_len=16)
    with torch.no_grad():
        layer.qkv.weight.copy_(torch.eye(8).repeat(3, 1))
        layer.qkv.bias.zero_()
        layer.out.weight.copy_(torch.eye(8))
        layer.out.bias.zero_()
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(layer(x), x)


def test_a_layer_hands_parameters_on() -> None:
    layer = make_layer("linrec", 8, 2, causal=False, seq_len=16, params={"padding": "ignore"})
    x = torch.randn(1, 5, 8)
    mask = torch.tensor([[True, True, True, False, False]])
    torch.testing.assert_close(layer(x, mask), layer(x))


def test_a_layer_refuses_uneven_heads() -> None:
    with pytest.raises(ValueError, match="hidden_size 10 is not a multiple of heads 4"):
        make_layer("copy", 10, 4, causal=False, seq_len=16)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def (", "SyntaxError: "),
        ("raise RuntimeError('no such\\nlibrary')", "RuntimeError: no such"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        (
            "class Silent(Exception):\n    def __str__(self): return None\nraise Silent",
            "Silent: an exception without a text",
        ),
        (PLUGIN.replace('"twice"', '"a b"'), "ValueError: attention 'a b': expected a name of letters"),
        (
            PLUGIN.replace("causal=False,", "time_exponent=float('nan'),"),
            "ValueError: attention twice: time_exponent is nan; expected a number from 0",
        ),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_an_error_of_one_line(tmp_path, text, reason):
    plugin = tmp_path / "broken.py"
    plugin.write_text(text)
    with pytest.raises(ValueError, match=rf"broken.py: cannot be imported: {reason}") as caught:
        load_plugin(plugin)
    assert "\n" not in str(caught.value)
