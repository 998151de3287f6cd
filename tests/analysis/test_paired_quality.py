"""Variants paired by user and seed: which pairs, of whom, and what is said of them."""

import re

import numpy as np
import pandas as pd
import pytest

from linrec_bench.analysis import paired_quality
from linrec_bench.analysis.paired_quality import between_runs, differences, of_ranks
from linrec_bench.analysis.quality_findings import difference_findings
from linrec_bench.analysis.seeds import VARIANT
from linrec_bench.measures.instruments import ranking_metrics
from linrec_bench.presentation import sentences as presented
from tests.case_columns import with_case_data


def sentences(table):
    return presented.sentences(difference_findings(table))


USERS = np.arange(400, dtype=np.int32)


def case(case_id, attention, *, causal=True, seed=0, **fields):
    defaults = {
        "run_id": "r",
        "suite": "s",
        "task": "recommend",
        "phase": "train_and_rank",
        "status": "ok",
        "model": "sasrec",
        "dataset": "ml-1m",
        "dtype": "float32",
        "device": "cpu",
        "seq_len": 200,
        "batch_size": 64,
        "hidden_size": 64,
        "heads": 2,
        "layers": 2,
    }
    named = {"case_id": case_id, "attention": attention, "causal": causal, "seed": seed}
    return with_case_data(defaults | named | fields)


def ranked(seed, *, worse=0.0, users=USERS):
    """Ranks of about half of the users in the first ten; a share `worse` of them is sent behind."""
    rng = np.random.default_rng(seed)
    ranks = rng.integers(1, 21, len(users))
    ranks[rng.random(len(users)) < worse] = 100
    return {"user": users, "rank": ranks.astype(np.int32)}


def test_the_metrics_are_those_of_the_rows():
    ranks = np.arange(1, 50)
    for name, value in ranking_metrics.metrics(ranks, [1, 10]).items():
        assert of_ranks(ranks, name).mean() == pytest.approx(value, abs=1e-12), name
    for bad in ("ndcg", "map@10", "ndcg@x"):
        with pytest.raises(ValueError, match="expected such as ndcg@10"):
            of_ranks(ranks, bad)


def three_seeds(worse):
    cases = pd.DataFrame(
        [case(f"{name}{seed}", name, seed=seed) for name in ("softmax", "linrec") for seed in range(3)]
    )
    ranks = {(f"softmax{seed}", 0): ranked(seed) for seed in range(3)}
    ranks |= {(f"linrec{seed}", 0): ranked(seed, worse=worse) for seed in range(3)}
    return cases, ranks


def test_a_planted_loss_is_found_and_said():
    table = differences(*three_seeds(0.3), reference="softmax")
    (row,) = table.to_dict("records")
    assert (row["attention"], row["against"]) == ("linrec", "softmax")
    assert row["difference"] == pytest.approx(row["quality"] - row["against_quality"])
    assert row["difference"] == pytest.approx(-0.3 * row["against_quality"], rel=0.3)
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["p_holm"] == row["p"] == pytest.approx(0.0044, abs=1e-4)
    assert (row["users"], row["seeds"], row["over"]) == (400, 3, "users and seeds")
    (said,) = sentences(table)
    pattern = (
        r"linrec is 0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] NDCG@10 below softmax "
        r"\(3 seeds, 400 users, Holm-corrected p = 0\.0044\)"
    )
    assert re.fullmatch(pattern, said), said


def test_no_difference_is_not_called_one():
    table = differences(*three_seeds(0.0), reference="softmax")
    assert table["p"].tolist() == [1.0]
    assert sentences(table) == [
        "no difference shown: linrec is 0.0000 [0.0000, 0.0000] NDCG@10 above softmax "
        "(3 seeds, 400 users, Holm-corrected p = 1.0000)"
    ]


def test_one_seed_compares_two_trained_models_and_no_mechanisms():
    cases, ranks = three_seeds(0.3)
    table = differences(cases[cases["seed"] == 1], ranks, reference="softmax")
    assert table["over"].tolist() == ["users"]
    assert table[["p", "p_holm", "detectable"]].isna().all(axis=None)
    (said,) = sentences(table)
    assert said.endswith(
        "below softmax (1 seed, 400 users): these two trained models differ; the mechanisms are untested"
    )


def test_the_least_difference_that_could_be_shown_is_told():
    table = differences(*three_seeds(0.02), reference="softmax")
    row = table.iloc[0]
    assert 0 < row["high"] - row["difference"] < row["detectable"]
    (said,) = sentences(table)
    assert said.startswith(f"no difference shown ({row['detectable']:.4f} would have been): linrec is ")


def test_users_and_seeds_are_paired_by_their_names_not_by_their_place():
    cases, ranks = three_seeds(0.3)
    whole = differences(cases, ranks, reference="softmax")
    order = np.random.default_rng(0).permutation(len(USERS))
    mixed = {key: {name: values[order] for name, values in arrays.items()} for key, arrays in ranks.items()}
    mixed["softmax0", 0] = ranks["softmax0", 0]
    pd.testing.assert_frame_equal(differences(cases[::-1], mixed, reference="softmax"), whole)

    some = dict(ranks)
    some["linrec2", 0] = {name: values[:100] for name, values in ranks["linrec2", 0].items()}
    assert differences(cases, some, reference="softmax")["users"].tolist() == [100]
    del some["linrec2", 0]
    assert differences(cases, some, reference="softmax")["seeds"].tolist() == [2]


def test_rounds_of_a_seed_are_one_replicate():
    cases, ranks = three_seeds(0.3)
    twice = ranks | {("linrec0", 1): ranks["linrec0", 0], ("softmax0", 1): ranks["softmax0", 0]}
    pd.testing.assert_frame_equal(
        differences(cases, twice, reference="softmax"), differences(cases, ranks, reference="softmax")
    )


def test_a_direction_is_compared_with_its_own_reference():
    cases = pd.DataFrame(
        [
            case("a", "softmax", causal=True),
            case("b", "softmax", causal=False),
            case("c", "linrec", causal=False),
            case("d", "linrec(padding=ignore)", causal=False),
            case("e", "linear-transformer", causal=True),
            case("f", "linrec", causal=True, seq_len=50),
            case("g", "softmax", causal=True, seq_len=50, status="error"),
        ]
    )
    ranks = {(name, 0): ranked(number) for number, name in enumerate("abcdef")}
    table = differences(cases, ranks, reference="softmax")
    assert [tuple(row) for row in table[["attention", "causal", "against", "against_causal"]].to_numpy()] == [
        ("linear-transformer", True, "softmax", True),
        ("linrec", False, "softmax", False),
        ("linrec(padding=ignore)", False, "softmax", False),
        ("softmax", False, "softmax", True),
    ]
    assert any(
        "softmax (bidirectional) is" in said and "softmax (causal)" in said for said in sentences(table)
    )
    alone = cases[cases["case_id"].isin(["a", "c"])]
    assert differences(alone, ranks, reference="softmax")["against_causal"].tolist() == [True]


def test_several_settings_are_named():
    cases = pd.DataFrame(
        [
            case(f"{name}{model}{length}", name, model=model, seq_len=length)
            for name in ("softmax", "linrec")
            for model in ("sasrec", "core")
            for length in (100, 2000)
        ]
    )
    ranks = {(case_id, 0): ranked(number) for number, case_id in enumerate(cases["case_id"])}
    said = sentences(differences(cases, ranks, reference="softmax"))
    assert len(said) == 4
    assert said[0].startswith(("sasrec, N = 100: ", "core, N = 100: "))
    assert any(each.startswith("core, N = 2,000: ") for each in said)


def test_nothing_to_pair_is_an_empty_table():
    cases, ranks = three_seeds(0.0)
    for table in (
        differences(cases, {}, reference="softmax"),
        differences(cases, ranks, reference="sdpa"),
        differences(cases[cases["attention"] == "linrec"], ranks, reference="softmax"),
    ):
        assert table.empty
        assert list(table.columns) == list(paired_quality.COLUMNS)
        assert sentences(table) == []
    assert set(VARIANT) < set(paired_quality.COLUMNS)


def test_variants_without_a_seed_in_common_are_said_to_have_none():
    cases, ranks = three_seeds(0.0)
    kept = cases[(cases["attention"] == "softmax") == (cases["seed"] == 0)]
    assert sentences(differences(kept, ranks, reference="softmax")) == [
        "linrec and softmax have no seed and user in common, so that nothing is paired"
    ]


def test_two_runs_are_paired_variant_by_variant():
    cases, ranks = three_seeds(0.0)
    _, worse = three_seeds(0.4)
    table = between_runs(cases, ranks, cases.assign(run_id="other"), worse)
    assert table["attention"].tolist() == ["linrec", "softmax"]
    said = sentences(table)
    assert said[0].startswith("linrec in run B is 0.")
    assert " NDCG@10 below run A (3 seeds" in said[0]
    assert said[1].startswith("no difference shown: softmax in run B")
