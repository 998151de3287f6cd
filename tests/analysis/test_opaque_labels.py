"""Labels are for people: with others in their place, every number is the same."""

import hashlib

import pandas as pd
import pytest

from linrec_bench.analysis.claim_verdicts import judge
from linrec_bench.analysis.compare import compare_mechanisms
from linrec_bench.analysis.headline import findings
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.analysis.summary import COLUMNS, summarise
from linrec_bench.analysis.verdict import Bound, Claim
from linrec_bench.case import Case, freeze
from linrec_bench.results.case_table import CASE_DATA
from tests.planted import Planted

IGNORE = freeze({"padding": "ignore"})
NUMBERS = [name for name in COLUMNS if name not in ("attention", "model", "dataset", "reference")]


def opaque(name, params):
    return "x" + hashlib.sha256(repr((name, params)).encode()).hexdigest()[:8] if name else ""


def facts():
    planted = Planted()
    for n in (128, 256, 512, 1024, 2048):
        for name, params, seconds in (
            ("softmax", (), 1e-9 * n * n),
            ("linrec", (), 7e-7 * n),
            ("linrec", IGNORE, 5e-7 * n),
            ("copy", (), 1e-7 * n),
        ):
            for lengths in (None, "toy"):
                case = Case(
                    task="layer", phase="forward", attention=name, attention_params=params, seq_len=n,
                    lengths=lengths,
                )  # fmt: skip
                planted.cost(case, seconds, memory=seconds * 1e12)
    for attention in ("softmax", "linrec"):
        for model, distance in (("sasrec", None), ("sasrec", 8), ("popularity", None)):
            for seed in (0, 1):
                case = Case(
                    task="recommend", phase="train_and_rank", attention=attention, model=model, seed=seed,
                    model_params=freeze({"dropout": 0.2}), dataset="toy", seq_len=50, causal=True,
                    watermark=() if distance is None else freeze({"distance": distance}),
                )  # fmt: skip
                planted.add(
                    case, "ndcg@10", 0.2 + 0.01 * seed + 0.02 * (attention == "linrec"), "1", phase="test"
                )
                planted.close(case)
    samples = planted.frame()
    summary = summarise(samples, reference="softmax")
    compared = compare_mechanisms(samples, attention="linrec(padding=ignore)", against="softmax", margin=0.1)
    claim = Claim(
        attention="linrec",
        measure="peak_live_bytes",
        quantity="exponent",
        bound=Bound(0.9, 1.1, "1"),
        source="x",
    )
    return {
        "summary": summary[[*NUMBERS, *CASE_DATA]].sort_values(["case_id", "phase"], ignore_index=True),
        "findings": sorted(
            str((f.kind, f.value, f.low, f.high, f.unit, sorted(f.evidence.items())))
            for f in findings(summary, "softmax")
        ),
        "compared": [
            (line.measure, line.change, line.low, line.high, line.verdict) for line in compared.lines
        ],
        "claims": sorted((verdict.answer, verdict.found) for verdict in judge(claim, of_samples(samples))),
    }


def test_other_labels_change_no_number(monkeypatch):
    expected = facts()
    assert len(expected["findings"]) > 2
    assert len(expected["compared"]) > 9
    assert expected["claims"]
    monkeypatch.setattr("linrec_bench.case.label", opaque)
    found = facts()
    pd.testing.assert_frame_equal(found.pop("summary"), expected.pop("summary"))
    assert found == expected


@pytest.mark.parametrize("typed", ["linrec(", "(a=1)", "linrec(a)", "linrec(a=1"])
def test_what_is_neither_a_name_nor_a_name_with_parameters_is_refused(typed):
    from linrec_bench.case import read_name

    with pytest.raises(ValueError, match=r"expected a name, or name\(parameter=value"):
        read_name(typed)
