import pandas as pd

from linrec_bench.case import Case
from linrec_bench.presentation.case_names import case_name, setting, settings


def test_a_case_is_named_by_all_that_is_set_in_one_order():
    case = Case(task="layer", phase="forward_backward", attention="linrec", seq_len=2048, causal=True)
    assert case_name(vars(case)) == (
        "linrec, layer forward + backward, causal, N = 2,048, batch 1, hidden 64, heads 2, layers 1, "
        "float32, cpu"
    )
    assert case_name(vars(case), ("causal", "batch_size", "dataset")) == "causal, batch 1"


def test_a_comparison_names_both_mechanisms():
    pair = {"task": "core", "phase": "forward", "attention": "linrec", "against": "softmax", "seq_len": None}
    assert case_name(pair, ("attention", "task", "seq_len")) == "linrec against softmax, core forward"


def test_a_seed_other_than_the_first_and_an_identifier_are_named():
    case = {"task": "recommend", "phase": "train_and_rank", "causal": False, "seed": 3, "case_id": "ab12"}
    assert case_name(case) == "training, bidirectional, seed 3, case ab12"


def test_settings_read_as_words_and_missing_ones_say_so():
    assert settings({"phase": "forward_backward", "causal": False, "seq_len": 4096}) == (
        "forward + backward, bidirectional, N = 4,096"
    )
    assert [setting("catalogue_size", value) for value in (pd.NA, float("nan"), 1000)] == [
        "catalogue unknown",
        "catalogue unknown",
        "catalogue 1,000",
    ]
    assert setting("dataset", "synthetic(users=10,items=5)") == "synthetic(users=10, items=5)"
