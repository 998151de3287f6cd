"""Systems in one sentence: who is above, who below, of whom nothing is shown."""

import math
import textwrap

import numpy as np
import pandas as pd
import pytest

from linrec_bench.analysis.paired_quality import COLUMNS, differences
from linrec_bench.analysis.quality_findings import mean_findings, rank_findings
from linrec_bench.analysis.seeds import across_seeds
from linrec_bench.analysis.summary import summarise
from linrec_bench.presentation.sentences import headline, sentences


def ranking(table):
    return sentences(list(rank_findings(table)))


USERS = np.arange(400, dtype=np.int32)
# System: model and its parameters, mechanism, layers, and the rank that its targets have.
PLAN = {
    "recgrela": ("recgrela", (("dropout", 0.1),), "rela", 4, 1),
    "sasrec, softmax": ("sasrec", (("dropout", 0.2),), "softmax", 2, 3),
    "sasrec, linrec": ("sasrec", (("dropout", 0.2),), "linrec", 2, 3),
    "gru4rec": ("gru4rec", (), "no-op", 1, 9),
}


@pytest.fixture
def ran(planted, recommend_case):
    """Summary and ranks of four systems with two seeds each; a few users differ between the seeds."""
    ranks = {}
    for model, params, attention, layers, rank in PLAN.values():
        more = {"model": model, "model_params": params, "layers": layers, "causal": attention == "no-op"}
        for seed in (0, 1):
            case = recommend_case(attention, seed, **more)
            wobble = np.random.default_rng(seed).integers(0, 2, len(USERS))
            ranks[case.id, 0] = {"user": USERS, "rank": (rank + wobble).astype(np.int32)}
            planted.add(case, "ndcg@10", float(np.mean(1 / np.log2(rank + wobble + 1))), "1", phase="test")
            planted.add(case, "train_time", 10.0, "s")
            planted.close(case)
    return summarise(planted.frame(), reference="softmax"), ranks


def test_each_system_is_paired_with_the_one_that_has_the_reference_mechanism(ran):
    table = differences(*ran, reference="softmax")
    assert list(table.columns) == list(COLUMNS)
    assert sorted(table["system"]) == ["gru4rec", "recgrela", "sasrec, linrec"]
    assert set(table["against"]) == {"sasrec, softmax"}
    assert set(table["model"]) == {""}
    assert table["layers"].isna().all(), "it is a system's own"
    own = table.set_index("system")["difference"]
    assert own["recgrela"] > 0 > own["gru4rec"]
    assert own["sasrec, linrec"] == 0
    means = across_seeds(ran[0]).set_index(["model", "attention"])["ndcg@10"]
    expected = means["gru4rec", "no-op"] - means["sasrec(dropout=0.2)", "softmax"]
    assert own["gru4rec"] == pytest.approx(expected)
    assert differences(*ran, reference="sdpa").empty


def test_systems_are_ranked_in_one_sentence(ran):
    (said,) = ranking(differences(*ran, reference="softmax"))
    start, *sides = said.split(". ")
    assert start.startswith("sasrec, softmax: test NDCG@10 0.4")
    assert start.endswith("(toy, N = 50, 2 seeds, 400 users)")
    assert [side.split(" [")[0].split(" +")[0].split(" -")[0] for side in sides] == [
        "Above it: recgrela",
        "No difference shown: sasrec, linrec",
        "Below it: gru4rec",
    ]
    assert sides[0].split(": recgrela ")[1][:3] == "+0."
    assert sides[2].split(": gru4rec ")[1][:3] == "-0."


def test_a_difference_is_shown_where_its_corrected_p_says_so(ran):
    table = differences(*ran, reference="softmax")
    (said,) = ranking(table.assign(p_holm=0.06))
    assert "Above" not in said
    assert "No difference shown: recgrela +" in said
    # The best first, whatever the order of rows.
    order = [said.index(name) for name in ("recgrela", "sasrec, linrec", "gru4rec")]
    assert order == sorted(order)
    assert ranking(table[::-1].assign(p_holm=0.06)) == [said]


def test_what_cannot_be_paired_is_said_to_be_so(ran):
    summary, ranks = ran
    kept = {
        key: arrays
        for key, arrays in ranks.items()
        if key[0] not in set(summary.loc[(summary["model"] == "gru4rec") & (summary["seed"] == 1), "case_id"])
    }
    table = differences(summary, kept, reference="softmax")
    (said,) = ranking(table)
    assert "1 to 2 seeds" in said
    lost = table.assign(users=table["users"].where(table["system"] != "gru4rec", 0))
    assert ranking(lost)[0].endswith("With no seed and user in common: gru4rec")
    one = table.assign(low=math.nan, high=math.nan, p_holm=math.nan)
    assert "[" not in ranking(one)[0]


def test_a_budget_of_seconds_is_named_with_ranks_and_means(ran):
    summary, _ = ran
    timed = summary.assign(training='{"budget_seconds": 20}')
    for table in (None, differences(*ran, reference="softmax")):
        (said,) = headline(timed, "softmax", table)
        assert "2 seeds" in said
        assert "20.0 s of training, quality depends on the machine)" in said
        assert "depends on the machine" not in headline(summary, "softmax", table)[0]


def test_without_ranks_the_means_are_told(ran):
    summary, _ = ran
    (said,) = headline(summary, "softmax")
    assert said.startswith("test NDCG@10, the best first (toy, N = 50, 2 seeds): recgrela 0.8")
    assert said.split(": ")[-1].split("; ")[-1].startswith("gru4rec 0.")
    assert list(mean_findings(across_seeds(summary.drop(columns="ndcg@10")))) == []


def test_the_headline_says_it_once(ran):
    table = differences(*ran, reference="softmax")
    found = headline(ran[0], "softmax", table)
    assert found == ranking(table)
    assert len(textwrap.wrap(found[0], 80)) <= 4
    # A table that an older version stored compares mechanisms within models.
    older = table.assign(model="sasrec", attention="linrec", against="softmax")
    assert headline(ran[0], "softmax", older)[0].startswith("test NDCG@10, the best first")


def test_mechanisms_of_one_model_are_told_as_ever(ran):
    summary, ranks = ran
    alone = summary[summary["model"].str.startswith("sasrec")]
    table = differences(alone, ranks, reference="softmax")
    assert list(table["model"]) == ["sasrec(dropout=0.2)"]
    found = headline(alone, "softmax", table)
    assert [said.split(": test")[0] for said in found] == ["softmax", "linrec"]
    assert "no difference from softmax shown" in found[1]


def test_settings_that_all_systems_vary_are_told(ran):
    table = differences(*ran, reference="softmax")
    both = pd.concat([table, table.assign(hidden_size=128)])
    assert [("hidden 64" in said, "hidden 128" in said) for said in ranking(both)] == [
        (True, False),
        (False, True),
    ]


def test_mechanisms_within_several_models_have_a_sentence_a_model_and_reference(planted, recommend_case):
    ranks = {}
    plan = [
        (model, (("dropout", 0.2),), attention, causal, rank)
        for model in ("sasrec", "core")
        for attention, causal, rank in (("softmax", True, 1), ("softmax", False, 3), ("linrec", False, 9))
    ]
    for model, params, attention, causal, rank in [*plan, ("popularity", (), "no-op", False, 9)]:
        case = recommend_case(attention, 0, model=model, model_params=params, causal=causal)
        found = (rank + np.random.default_rng(rank).integers(0, 2, len(USERS))).astype(np.int32)
        ranks[case.id, 0] = {"user": USERS, "rank": found}
        planted.add(case, "ndcg@10", float(np.mean(1 / np.log2(found + 1))), "1", phase="test")
        planted.add(case, "train_time", 10.0, "s")
        planted.close(case)
    summary = summarise(planted.frame(), reference="softmax")
    told = headline(summary, "softmax", differences(summary, ranks, reference="softmax"))
    assert [sentence.split(": test")[0] for sentence in told[:-1]] == [
        "core, softmax (bidirectional)",
        "core, softmax (causal)",
        "sasrec, softmax (bidirectional)",
        "sasrec, softmax (causal)",
    ]
    assert "One seed, the mechanisms are untested: linrec -0." in told[0]
    assert "One seed, the mechanisms are untested: softmax (bidirectional) -0." in told[1]
    assert told[-1].startswith("test NDCG@10, the best first")
    assert "popularity 0." in told[-1]
