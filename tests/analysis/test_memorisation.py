"""What planted runs tell: hit rates by distance, over seeds, with the clean model beside."""

import pandas as pd
import pytest

from linrec_bench.analysis.memorisation import memorisation, planted
from linrec_bench.analysis.quality_findings import memorisation_findings
from linrec_bench.analysis.samples_table import CASE_COLUMNS
from linrec_bench.presentation.sentences import sentences
from tests.case_columns import with_case_data


def row(attention, distance, hit, *, seed=0, clean=0.0, watermark=True):
    base = dict.fromkeys(CASE_COLUMNS, "") | {
        "task": "recommend",
        "attention": attention,
        "dataset": f"toy+watermark(distance={distance})" if watermark else "toy",
        "seq_len": 50,
        "seed": seed,
        "status": "ok",
        "watermark_distance": distance if watermark else None,
        "ndcg@10": 0.2,
    }
    for column in ("train_time_s", "events_per_s", "epochs", "best_epoch", "memory_bytes"):
        base[column] = 1.0
    base |= {"peak_process_bytes": 1.0, "energy_j": 1.0}
    if watermark:
        base |= {
            "watermark_hit@10": hit,
            "watermark_hit_clean@10": clean,
            "watermark_gain@10": hit - clean,
            "ndcg_lost@10": 0.01,
        }
    return with_case_data(base)


def test_hit_rates_are_means_over_seeds_by_distance():
    rows = [row("linrec", d, h, seed=s) for d, s, h in ((0, 0, 1.0), (0, 1, 0.8), (8, 0, 0.2), (8, 1, 0.4))]
    found = memorisation(pd.DataFrame([*rows, row("linrec", 0, 0, watermark=False)]))
    assert found["distance"].tolist() == [0, 8]
    assert found["rank"].tolist() == [0, 1]
    assert found["quality"].tolist() == pytest.approx([0.9, 0.3])
    assert found["dataset"].unique().tolist() == ["toy"]
    assert (found["quality_low"] < found["quality"]).all()
    assert found["seeds"].tolist() == [2, 2]


def test_without_a_watermark_there_is_nothing():
    summary = pd.DataFrame([row("linrec", 0, 0, watermark=False)])
    assert memorisation(summary).empty
    assert list(memorisation_findings(summary)) == []
    assert planted(summary).tolist() == [False]


def test_a_cut_off_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match=r"k = 3 was measured; expected one of: \[10\]"):
        memorisation(pd.DataFrame([row("linrec", 0, 1.0)]), k=3)


def test_the_sentence_names_both_ends_and_the_clean_model():
    said = sentences(
        list(memorisation_findings(pd.DataFrame([row("linrec", 0, 0.9, clean=0.05), row("linrec", 8, 0.25)])))
    )
    assert said == [
        "linrec ranks a planted target in the first 10 for 90% of the questions at distance 0, 25% at 8 "
        "(clean model 5.0%; toy, N = 50)"
    ]
