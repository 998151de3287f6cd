"""What a run compares: mechanisms within its models, or systems; and how these are called."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linrec_bench import models
from linrec_bench.analysis import systems
from linrec_bench.analysis.systems import compared, compares_systems, named, reference_system, system_names
from tests.case_columns import with_case_data


def cases(*rows, **more):
    """Cases of task recommend from (model, attention, further columns)."""
    made = []
    for number, (model, attention, *own) in enumerate(rows):
        defaults = {
            "case_id": f"c{number}",
            "task": "recommend",
            "dataset": "ml-1m",
            "seq_len": 50,
            "causal": False,
            "layers": 2,
            "heads": 4,
            "hidden_size": 64,
            "batch_size": 256,
            "dtype": "float32",
            "reference": attention if attention == "softmax" else "",
        }
        row = defaults | {"model": model, "attention": attention} | more | dict(*own)
        made.append(with_case_data(row))
    return pd.DataFrame(made)


NEIGHBOURS = (
    ("recgrela(dropout=0.1)", "rela", {"layers": 4}),
    ("sasrec(dropout=0.2)", "softmax"),
    ("sasrec(dropout=0.2)", "linrec"),
    ("gru4rec", "no-op", {"layers": 1, "causal": True}),
    ("popularity", "no-op", {"layers": 1}),
)
BACKBONES = (
    *(
        (model, attention, {"causal": causal})
        for model in ("sasrec(dropout=0.2)", "core")
        for attention, causal in (("softmax", True), ("softmax", False), ("linrec", False))
    ),
    ("popularity", "no-op"),
    ("item-knn(neighbours=3)", "no-op"),
)


def test_models_that_count_are_those_that_no_gradient_trains():
    counting = {name for name, spec in models.registry().items() if not spec.trained_by_gradient}
    assert set(systems.FLOORS) == counting


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (NEIGHBOURS, True),
        (BACKBONES, False),
        # One model, alone and beside a floor.
        ([("sasrec", "softmax"), ("sasrec", "linrec")], False),
        ([("sasrec", "softmax"), ("sasrec", "linrec"), ("popularity", "no-op")], False),
        # The same mechanism in each says nothing of mechanisms.
        ([("sasrec", "softmax"), ("core", "softmax")], True),
        ([("sasrec", "softmax"), ("sasrec", "linrec"), ("gru4rec", "no-op")], True),
        ([("sasrec", "softmax"), ("sasrec", "linrec"), ("core", "softmax"), ("core", "rela")], True),
        # Models that never meet are not compared.
        ([("sasrec", "softmax"), ("core", "softmax", {"dataset": "gowalla"})], False),
        ([("sasrec", "softmax"), ("core", "softmax", {"seq_len": 100})], False),
        ([], False),
    ],
)
def test_systems_are_compared_where_models_differ_in_their_mechanisms(rows, expected):
    found = cases(*rows) if rows else cases(("sasrec", "softmax")).iloc[:0]
    assert compares_systems(found) is expected
    # Costs of single layers have nothing to do with it.
    costs = cases(("", "rela"), ("", "softmax"), task="layer")
    assert compares_systems(pd.concat([found, costs])) is expected


def test_a_system_goes_by_what_varies():
    assert list(system_names(cases(*NEIGHBOURS))) == [
        "recgrela",
        "sasrec, softmax",
        "sasrec, linrec",
        "gru4rec",
        "popularity",
    ]


def test_parameters_and_settings_are_named_only_where_nothing_else_differs():
    found = cases(
        ("sasrec(dropout=0.1)", "linrec"),
        ("sasrec(dropout=0.2)", "linrec"),
        ("sasrec(dropout=0.2)", "linrec(padding=ignore)"),
        ("core", "softmax", {"causal": True}),
        ("core", "softmax"),
        ("gru4rec(dropout=0.3)", "no-op", {"layers": 1}),
        ("gru4rec(dropout=0.3)", "no-op"),
    )
    assert list(system_names(found)) == [
        "sasrec(dropout=0.1), linrec",
        "sasrec(dropout=0.2), linrec",
        "sasrec, linrec(padding=ignore)",
        "core (causal)",
        "core (bidirectional)",
        "gru4rec (1 layer)",
        "gru4rec (2 layers)",
    ]


def test_what_all_systems_vary_alike_stays_a_setting():
    both = pd.concat([cases(*NEIGHBOURS[:3]), cases(*NEIGHBOURS[:3], hidden_size=128)], ignore_index=True)
    both["case_id"] = [f"c{number}" for number in range(len(both))]
    assert list(system_names(both)) == ["recgrela", "sasrec, softmax", "sasrec, linrec"] * 2
    found = compared(both)
    assert sorted(found["hidden_size"].unique()) == [64, 128]
    assert found["layers"].isna().all()


def test_a_table_keeps_the_settings_of_each_system_and_a_panel_does_not():
    rows = cases(*NEIGHBOURS)
    table, panel = named(rows), compared(rows)
    for found in (table, panel):
        assert list(found["system"]) == list(system_names(rows))
        assert set(found["model"]) == {""}
        assert set(found["reference"]) == {"sasrec, softmax"}
    assert list(table["layers"]) == [4, 2, 2, 1, 1]
    assert panel["layers"].isna().all()
    assert panel["causal"].isna().all()
    assert set(panel["heads"]) == {4}


def test_rows_of_samples_are_named_by_their_case():
    rows = cases(*NEIGHBOURS)
    samples = pd.concat([rows.drop(columns="reference")] * 2).assign(value=1.0)
    found = compared(samples, rows)
    assert list(found["system"]) == list(system_names(rows)) * 2
    assert found["layers"].isna().all()


def test_mechanisms_within_models_keep_their_names_and_floors_stand_apart():
    rows = cases(*BACKBONES)
    table, panel = named(rows), compared(rows)
    mechanisms = ["softmax", "softmax", "linrec"]
    assert list(table["system"]) == [*mechanisms, *mechanisms, "popularity", "item-knn"]
    assert list(table["model"]) == ["sasrec"] * 3 + ["core"] * 3 + [systems.COUNTING] * 2
    assert list(panel["system"])[:3] == ["softmax (causal)", "softmax (bidirectional)", "linrec"]
    assert panel["causal"].isna().all()
    # Two settings of one model are two models.
    twice = cases(
        *[(f"sasrec(dropout={rate})", name) for rate in (0.1, 0.2) for name in ("softmax", "linrec")]
    )
    assert set(named(twice)["model"]) == {"sasrec(dropout=0.1)", "sasrec(dropout=0.2)"}


def test_one_model_is_told_as_it_is():
    rows = cases(
        ("sasrec(dropout=0.2)", "softmax"), ("sasrec(dropout=0.2)", "linrec"), ("popularity", "no-op")
    )
    for found in (named(rows), compared(rows)):
        pd.testing.assert_frame_equal(found.drop(columns=list(systems.SYSTEM)), rows)
        assert list(found["system"]) == ["softmax", "linrec", "popularity"]


def test_the_reference_system_has_the_reference_mechanism():
    rows = cases(*NEIGHBOURS)
    assert reference_system(rows, "softmax") == "sasrec, softmax"
    assert reference_system(rows, "rela") == "recgrela"
    assert reference_system(rows, "sdpa") is None
    several = cases(("sasrec", "softmax"), ("core", "softmax"))
    assert reference_system(several, "softmax") == "core"
    assert set(named(several)["reference"]) == {""}


ALTERNATIVES = st.tuples(
    st.sampled_from(["sasrec(dropout=0.1)", "sasrec(dropout=0.2)", "core", "popularity"]),
    st.sampled_from(["softmax", "linrec", "linrec(padding=ignore)"]),
    st.fixed_dictionaries(
        {"causal": st.booleans(), "layers": st.integers(1, 2), "hidden_size": st.sampled_from([64, 128])}
    ),
)


def _place(row):
    model, attention, own = row
    return model, attention, *sorted(own.items())


@settings(max_examples=25)
@given(st.lists(ALTERNATIVES, min_size=1, max_size=12, unique_by=_place))
def test_two_systems_of_a_panel_never_have_one_name(rows):
    # What counts has no mechanism.
    made = cases(
        *((model, "no-op" if model == "popularity" else attention, own) for model, attention, own in rows)
    )
    made = made.drop_duplicates(["model", "attention", *systems.OWN])
    if not systems.several_models(made):
        return
    found = compared(made)
    assert not found.duplicated(["model", "system", *systems.OWN]).any()
    assert not any(isinstance(name, float) and math.isnan(name) for name in found["system"])
