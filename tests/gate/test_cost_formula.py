"""What mechanisms cost, as formulas: against derivations by hand, and against counts elsewhere."""

import json
import math
import sys

import pytest

from linrec_bench import cli
from linrec_bench.analysis.monomials import Shape
from linrec_bench.attention.spec import Unsupported
from linrec_bench.gate import cost_formula
from linrec_bench.gate.cost_formula import FALLBACK_HEAD_SIZE, PHASES, UNITS, cost


def read(name, *, causal=False, phase="forward"):
    return {measure: str(count) for measure, count in cost(name, causal=causal, phase=phase).counts.items()}


def test_softmax_by_hand():
    # q k^T and p v are N^2 d multiply-adds each. Alive at the peak: scores and weights, while the scaled
    # query [N, d] is still held by its name. Touched beside: the queries once, the scores once.
    assert read("softmax") == {
        "flops": "4 B H N^2 d",
        "operations": "4 B H N^2 d + B H N^2 + B H N d",
        "peak_live_bytes": "8 B H N^2 + 4 B H N d",
        "saved_bytes": "0",
    }


def test_softmax_and_its_gradients_by_hand():
    found = read("softmax", phase="forward_backward")
    # Two gradients for each of two products: three times the FLOPs. Kept for them: p and the scaled query.
    assert found["flops"] == "12 B H N^2 d"
    assert found["saved_bytes"] == "4 B H N^2 + 4 B H N d"
    # Softmax's backward holds p, dp and ds; beside them the scaled query, o and dv.
    assert found["peak_live_bytes"] == "12 B H N^2 + 12 B H N d"


def test_a_mask_is_shared_by_all_heads():
    # One byte for each pair of tokens.
    assert read("softmax", causal=True)["peak_live_bytes"] == "8 B H N^2 + N^2 + 4 B H N d"


def test_linrec_by_hand():
    # k'^T v and q' S are N d^2 multiply-adds each; tril(q k^T) v within chunks of d are as many again.
    assert read("linrec")["flops"] == "4 B H N d^2"
    assert read("linrec", causal=True)["flops"] == "8 B H N d^2"
    # Two gradients for each product, beside each block's product again in backward: 4 times forward.
    assert read("linrec", phase="forward_backward")["flops"] == "16 B H N d^2"


def test_copy_moves_each_number_once():
    assert read("copy", causal=True) == {
        "flops": "0",
        "operations": "B H N d",
        "peak_live_bytes": "4 B H N d",
        "saved_bytes": "0",
    }


@pytest.mark.parametrize("name", ["sdpa", "linrec-column", "linear-transformer"])
def test_formulas_give_the_counts_at_shapes_that_they_were_not_solved_from(name):
    found = cost(name, causal=True, phase="forward")
    for shape in (Shape(16, 4, 65_536, 16), Shape(2, 2, 1 << 20, 64)):
        counted = cost_formula.counts_at(name, shape, causal=True, phase="forward", params=())
        assert {m: count.formula(shape) for m, count in found.counts.items()} == counted


@pytest.fixture
def plant(monkeypatch):
    """Replace counting by functions of the shape, one a measure; zero for the others."""

    def planted(**functions):
        def counted(name, shape, **_):
            return {m: functions[m](*shape) if m in functions else 0 for m in UNITS}

        monkeypatch.setattr(cost_formula, "counts_at", counted)

    return planted


def test_where_there_is_no_polynomial_that_is_said(plant):
    plant(flops=lambda b, h, n, d: round(5 * b * h * n * d * math.log2(n)))
    found = cost("copy", causal=False, phase="forward").counts["flops"]
    assert found.formula is None
    assert str(found) == "no polynomial in B, H, N and d; none in B, H and N at d = 32 either"
    assert found.as_record()["terms"] is None


def test_a_polynomial_at_one_head_size_says_which(plant):
    plant(peak_live_bytes=lambda b, h, n, d: 4 * b * h * n * max(d, 4 * d - 80) + 7 * b)
    found = cost("copy", causal=False, phase="forward").counts
    assert str(found["peak_live_bytes"]) == "at d = 32: 192 B H N + lower terms"
    assert found["peak_live_bytes"].as_record() == {
        "measure": "peak_live_bytes",
        "unit": "B",
        "text": "at d = 32: 192 B H N + lower terms",
        "head_size": FALLBACK_HEAD_SIZE,
        "terms": [
            {"coefficient": "192", "B": 1, "H": 1, "N": 1, "d": 0},
            {"coefficient": "7", "B": 1, "H": 0, "N": 0, "d": 0},
        ],
    }
    assert found["flops"].head_size is None


def test_what_the_mechanism_cannot_do_is_said(monkeypatch):
    def counted(name, shape, **_):
        raise Unsupported(f"attention {name} has no causal form")

    monkeypatch.setattr(cost_formula, "counts_at", counted)
    found = cost("copy", causal=True, phase="forward")
    assert found.unsupported == "attention copy has no causal form"
    assert found.counts == {}


def test_unknown_names_and_parameters_are_refused():
    with pytest.raises(ValueError, match="linrecc"):
        cost("linrecc", causal=False, phase="forward")
    with pytest.raises(ValueError, match="paddding"):
        cost("linrec", causal=False, phase="forward", params=(("paddding", "mask"),))


def test_verify_prints_the_formulas_on_request(monkeypatch, capfd):
    def printed(*arguments):
        monkeypatch.setattr(sys, "argv", ["linrec-bench", "verify", "copy", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert not stopped.value.code
        return capfd.readouterr().out

    assert "peak bytes" not in printed()
    text = printed("--cost")
    assert "copy, causal, forward + backward\n  FLOPs        0\n  peak bytes   8 B H N d\n" in text
    assert "N from 294,912" in " ".join(text.split())
    assert "costs" not in json.loads(printed("--json"))[0]
    records = json.loads(printed("--cost", "--json"))
    assert [each["phase"] for each in records[0]["costs"]] == list(PHASES)
    (operations,) = (c for c in records[1]["costs"][1]["counts"] if c["measure"] == "operations")
    assert operations["terms"] == [{"coefficient": "2", "B": 1, "H": 1, "N": 1, "d": 1}]
