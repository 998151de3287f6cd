"""LinRec against its two formulas, written out token by token in plain Python."""

from __future__ import annotations

import math
import shutil
from itertools import product

import numpy as np
import pytest
import torch
from torch.torch_version import TorchVersion

from linrec_bench.attention import contract, core
from linrec_bench.attention.backends.compiled import CAUSAL_GRADIENTS_SINCE

Rows = list[list[float]]


def elu(x: float) -> float:
    return x if x > 0 else math.expm1(x)


def official(q: Rows, k: Rows, v: Rows, seen: list[list[int]]) -> Rows:
    """Token norm on both sides, 1 / sqrt(d) on the product; row i sums over the tokens `seen[i]`."""
    d = len(q[0])

    def unit(row: list[float]) -> list[float]:
        features = [elu(x) for x in row]
        norm = math.sqrt(sum(x * x for x in features))
        return [x / norm for x in features]

    out = []
    for i, query in enumerate(map(unit, q)):
        total = [0.0] * d
        for j in seen[i]:
            weight = sum(a * b for a, b in zip(query, unit(k[j]), strict=True)) / math.sqrt(d)
            total = [t + weight * x for t, x in zip(total, v[j], strict=True)]
        out.append(total)
    return out


def paper(q: Rows, k: Rows, v: Rows, seen: list[list[int]]) -> Rows:
    """Row norm on q with sqrt(d), column norm on k with sqrt(N), over the tokens that row i sees."""
    d = len(q[0])
    out = []
    for i, row in enumerate(q):
        features = [elu(x) for x in row]
        norm = math.sqrt(sum(x * x for x in features))
        query = [x / (math.sqrt(d) * norm) for x in features]
        columns = [math.sqrt(sum(elu(k[j][c]) ** 2 for j in seen[i])) for c in range(d)]
        total = [0.0] * d
        for j in seen[i]:
            key = [elu(k[j][c]) / (math.sqrt(len(seen[i])) * columns[c]) for c in range(d)]
            weight = sum(a * b for a, b in zip(query, key, strict=True))
            total = [t + weight * x for t, x in zip(total, v[j], strict=True)]
        out.append(total)
    return out


LENGTH, HEAD_SIZE = 41, 5
REAL = [j % 4 != 2 for j in range(LENGTH)]


def rows() -> tuple[Rows, Rows, Rows]:
    rng = np.random.default_rng(7)
    q, k, v = (rng.standard_normal((LENGTH, HEAD_SIZE)).tolist() for _ in range(3))
    return q, k, v


def visible(causal: bool, masked: bool) -> list[list[int]]:
    return [
        [j for j in range(LENGTH) if (not causal or j <= i) and (not masked or REAL[j])]
        for i in range(LENGTH)
    ]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("name", "formula"), [("linrec", official), ("linrec-column", paper)])
def test_equals_the_formula(name: str, formula: type, causal: bool, masked: bool) -> None:
    q, k, v = rows()
    given = [torch.tensor(x, dtype=torch.float64)[None, None] for x in (q, k, v)]
    mask = torch.tensor([REAL]) if masked else None
    out = core(name, *given, padding_mask=mask, causal=causal)[0, 0]
    expected = torch.tensor(formula(q, k, v, visible(causal, masked)), dtype=torch.float64)
    kept = torch.tensor(REAL) if masked else torch.ones(LENGTH, dtype=torch.bool)
    torch.testing.assert_close(out[kept], expected[kept], rtol=1e-12, atol=1e-13)


def test_ignoring_padding_is_the_official_code() -> None:
    q, k, v = rows()
    given = [torch.tensor(x, dtype=torch.float64)[None, None] for x in (q, k, v)]
    out = core("linrec", *given, padding_mask=torch.tensor([REAL]), padding="ignore")[0, 0]
    expected = torch.tensor(official(q, k, v, visible(False, False)), dtype=torch.float64)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-13)


def test_the_two_functions_differ() -> None:
    given = contract.inputs(37)
    assert not torch.allclose(core("linrec", *given), core("linrec-column", *given), rtol=0.1)


def test_rows_of_the_paper_weights_are_bounded() -> None:
    """With v the identity the outputs are the weights themselves: their rows have a norm <= 1 / sqrt(N)."""
    q, k, _ = contract.inputs(8)
    weights = core("linrec-column", q, k, torch.eye(8, dtype=torch.float64).expand_as(q).contiguous())
    assert (weights.norm(dim=-1) <= 8**-0.5 + 1e-12).all()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("backend", "causal", "masked"),
    [
        *product(("eager", "native"), (False, True), (False, True)),
        # Compiling takes seconds; without padding the formulas are compiled in test_compiled.
        *(pytest.param("compile", causal, True, marks=pytest.mark.slow) for causal in (False, True)),
    ],
)
def test_a_column_of_one_key_has_no_gradient_there(
    backend: str, causal: bool, masked: bool, request: pytest.FixtureRequest
) -> None:
    """It is the sign of that key: zero to the last digit, also of keys that are hardly there."""
    if backend != "eager" and shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    if backend == "compile" and causal and TorchVersion(torch.__version__) < CAUSAL_GRADIENTS_SINCE:
        pytest.skip(f"refused: torch {torch.__version__} gets these gradients wrong")
    if backend == "compile":
        request.getfixturevalue("without_shape_checks")
    q, k, v = (contract.noise((1, 2, 4, 5), torch.float32, seed=seed) for seed in range(3))
    k = (k * 1e-6).requires_grad_()
    mask = torch.tensor([[False, True, False, False]]) if masked else None
    own = 1 if masked else 0
    if not masked and not causal:
        q, v, k = q[:, :, :1], v[:, :, :1], k[:, :, :1].detach().requires_grad_()
    out = core("linrec-column", q, k, v, padding_mask=mask, causal=causal, backend=backend)
    (slope,) = torch.autograd.grad(out[:, :, own].square().sum(), k)
    assert out[:, :, own].abs().min() > 0
    assert (slope == 0).all()
