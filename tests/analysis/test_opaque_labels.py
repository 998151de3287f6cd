"""Labels and sentences are for people: with others in their place, every number is the same."""

import hashlib

import pandas as pd
import pytest
from matplotlib.lines import Line2D

from linrec_bench.analysis.claim_verdicts import judge
from linrec_bench.analysis.compare import compare_mechanisms
from linrec_bench.analysis.frontier import memory_frontier
from linrec_bench.analysis.headline import findings
from linrec_bench.analysis.measurements import of_samples
from linrec_bench.analysis.summary import COLUMNS, summarise
from linrec_bench.analysis.verdict import Bound, Claim
from linrec_bench.case import Case, freeze
from linrec_bench.figures import NothingToDraw, parts
from linrec_bench.gate.check import of_run
from linrec_bench.results.case_table import CASE_DATA
from linrec_bench.suite import load
from linrec_bench.suite.expand import expand
from tests.planted import Planted

IGNORE = freeze({"padding": "ignore"})
TEXTS = ("attention", "model", "dataset", "reference", "detail")
NUMBERS = [name for name in COLUMNS if name not in TEXTS]

SUITE = """
task: layer
attention: [softmax, {name: linrec, padding: ignore}]
grid: {seq_len: [128, 512]}
fixed: {batch_size: 1, hidden_size: 64, heads: 2}
phases: [forward]
measures: [time]
expect: [{attention: linrec, measure: peak_live_bytes, exponent: "<= 1.05"}]
"""


def opaque(name, params):
    return "x" + hashlib.sha256(repr((name, params)).encode()).hexdigest()[:8] if name else ""


def costs(planted):
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
                if name == "softmax" and n == 2048:
                    planted.close(case, status="skipped", detail="needs 1.2 GiB", reason="memory")
                elif name == "copy" and n == 2048:
                    planted.close(case, status="oom", detail="out of memory: killed by limit")
                else:
                    planted.cost(case, seconds, memory=seconds * 1e12)


def trainings(planted):
    for attention in ("softmax", "linrec"):
        for model, distance in (("sasrec", None), ("core", None), ("sasrec", 8), ("popularity", None)):
            for seed in (0, 1):
                case = Case(
                    task="recommend", phase="train_and_rank", attention=attention, model=model, seed=seed,
                    model_params=freeze({"dropout": 0.2}), dataset="toy", seq_len=50, causal=True,
                    watermark=() if distance is None else freeze({"distance": distance}),
                )  # fmt: skip
                ndcg = 0.2 + 0.01 * seed + 0.02 * (attention == "linrec") + 0.03 * (model == "core")
                planted.add(case, "ndcg@10", ndcg, "1", phase="test")
                planted.add(case, "train_time", 10.0 + seed + 5 * (attention == "linrec"), "s")
                planted.close(case, detail="stopped early")


def of_suite(planted):
    """The jobs of a suite, and exact counts of them."""
    jobs = expand(load.parse(SUITE, name="suite.yaml", stem="suite", device="cpu"), device="cpu")
    for job in jobs:
        grows = job.case.seq_len ** (2 if job.case.attention == "softmax" else 1)
        for measure, unit in (("operations", "1"), ("peak_live_bytes", "B")):
            planted.add(job.case, measure, 64 * grows, unit)
        planted.close(job.case)
    return jobs


def drawn(samples, summary):
    """Of every figure, what lines of mechanisms show: kind, place, colour, marker and dashes."""
    found = {}
    for part in parts(samples, summary):
        try:
            figure = part.draw()
        except NothingToDraw:
            continue
        found[part.stem] = sorted(
            str((line.get_gid().split()[0], line.get_xydata().round(12).tolist(), line.get_color(),
                 line.get_marker(), line.get_linestyle()))
            for line in figure.findobj(Line2D)
            if str(line.get_gid()).startswith(("line ", "behind ", "fit ", "crossing ", "front"))
        )  # fmt: skip
    return found


def facts(sentence=str):
    """Every number of planted runs, whose reasons in words are put as `sentence` of them."""
    cost, learnt, counted = Planted(run_id="r1"), Planted(run_id="r2"), Planted(run_id="r3")
    costs(cost)
    trainings(learnt)
    jobs = of_suite(counted)
    samples, quality, exact = (
        frame.assign(detail=frame["detail"].map(sentence))
        for frame in (cost.frame(), learnt.frame(), counted.frame())
    )
    summary = pd.concat(
        [summarise(samples, reference="softmax"), summarise(quality, reference="softmax")], ignore_index=True
    )
    compared = compare_mechanisms(samples, attention="linrec(padding=ignore)", against="softmax", margin=0.1)
    claim = Claim(
        attention="linrec",
        measure="peak_live_bytes",
        quantity="exponent",
        bound=Bound(0.9, 1.1, "1"),
        source="x",
    )
    suite = load.parse(SUITE, name="suite.yaml", stem="suite", device="cpu")
    frontier = memory_frontier(summary, limit_bytes=2**30)
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
        "gate": sorted((each.answer, each.found) for each in of_run(suite, jobs, of_samples(exact))),
        "frontier": sorted(map(str, frontier[["fits", "fails", "fails_by", "tokens"]].to_numpy().tolist())),
        "figures": drawn(pd.concat([samples, quality], ignore_index=True), summary),
    }


@pytest.mark.slow
def test_other_labels_and_sentences_change_no_number(monkeypatch):
    expected = facts()
    assert len(expected["findings"]) > 2
    assert len(expected["compared"]) > 9
    assert expected["claims"]
    assert len(expected["gate"]) > 4
    assert {"time_layer", "memory_layer", "growth_layer", "quality"} <= set(expected["figures"])
    assert any("predicted" in row for row in expected["frontier"])
    monkeypatch.setattr("linrec_bench.case.label", opaque)
    found = facts(lambda text: "y" + hashlib.sha256(text.encode()).hexdigest()[:8] if text else "")
    pd.testing.assert_frame_equal(found.pop("summary"), expected.pop("summary"))
    for what, told in found.items():
        assert told == expected[what], what


@pytest.mark.parametrize("typed", ["linrec(", "(a=1)", "linrec(a)", "linrec(a=1"])
def test_what_is_neither_a_name_nor_a_name_with_parameters_is_refused(typed):
    from linrec_bench.case import read_name

    with pytest.raises(ValueError, match=r"expected a name, or name\(parameter=value"):
        read_name(typed)
