import pytest

from linrec_bench.training.protocol import Trained, check_one_protocol


def trained(**fields) -> Trained:
    defaults = {
        "model": "sasrec",
        "dataset": "ml-1m",
        "causal": True,
        "training": {"objective": "last_position"},
        "evaluation": {},
        "objectives": ("all_positions", "last_position"),
    }
    return Trained(**{**defaults, **fields})


def test_both_directions_under_one_objective_can_be_compared():
    check_one_protocol([trained(), trained(causal=False)])
    # Spelling out a default changes nothing.
    check_one_protocol([trained(), trained(training={"objective": "last_position", "epochs": 100})])


def test_another_model_or_data_set_may_be_trained_in_its_own_way():
    check_one_protocol(
        [
            trained(),
            trained(model="bert4rec", training={}, objectives=("cloze",), causal=False),
            trained(dataset="gowalla", training={"objective": "last_position", "epochs": 3}),
        ]
    )


def test_directions_with_objectives_of_their_own_are_refused():
    with pytest.raises(ValueError, match=r"training.objective is 'all_positions' with causal: true and "):
        check_one_protocol([trained(training={}), trained(training={}, causal=False)])


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"training": {"objective": "last_position", "budget_seconds": 5.0}}, "training.budget_seconds"),
        ({"training": {"objective": "last_position", "loss": "bce"}}, "training.loss"),
        ({"evaluation": {"candidates": "pop100"}}, "evaluation.candidates"),
    ],
)
def test_whatever_differs_is_named(fields, key):
    with pytest.raises(ValueError, match=f"model sasrec on ml-1m: {key} is .*two protocols"):
        check_one_protocol([trained(), trained(**fields)])
