import pytest

from linrec_bench.settings import EvaluationSettings, TrainingSettings
from linrec_bench.training.protocol import Trained, check_one_ranking, check_one_training


def trained(**fields) -> Trained:
    defaults = {
        "where": "in here",
        "model": "sasrec",
        "dataset": "ml-1m",
        "causal": True,
        "training": {"objective": "last_position"},
        "evaluation": {},
        "objectives": ("all_positions", "last_position"),
    }
    values = {**defaults, **fields}
    for key, kind in (("training", TrainingSettings), ("evaluation", EvaluationSettings)):
        if values[key] is not None:
            values[key] = kind.from_mapping(values[key])
    return Trained(**values)


def test_both_directions_under_one_objective_can_be_compared():
    check_one_training([trained(), trained(causal=False)])
    # Spelling out a default changes nothing.
    check_one_training([trained(), trained(training={"objective": "last_position", "epochs": 100})])


def test_another_model_or_data_set_may_be_trained_in_its_own_way():
    check_one_training(
        [
            trained(),
            trained(model="bert4rec", training={}, objectives=("cloze",), causal=False),
            trained(dataset="gowalla", training={"objective": "last_position", "epochs": 3}),
            trained(model="popularity", training=None, objectives=()),
        ]
    )


def test_directions_with_objectives_of_their_own_are_refused():
    with pytest.raises(
        ValueError,
        match=r"training.objective is 'all_positions' in here and 'last_position' in there, .*"
        r"objective: last_position.*to compare the two on purpose, write a suite for each",
    ):
        check_one_training([trained(training={}), trained(training={}, causal=False, where="in there")])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"budget_seconds": 5.0}, "budget_seconds"),
        ({"loss": "bce"}, "loss"),
        ({"loss": "sampled_softmax", "negatives": 7}, "loss"),
        ({"epochs": 3}, "epochs"),
    ],
)
def test_whatever_differs_in_training_is_named(change, key):
    other = trained(training={"objective": "last_position", **change})
    with pytest.raises(ValueError, match=rf"model sasrec on ml-1m: training\.{key} is .*two protocols"):
        check_one_training([trained(), other])


def test_negatives_and_masks_must_agree_too():
    def sampled(negatives):
        return trained(training={"loss": "bce", "negatives": negatives})

    def masked(share):
        return trained(training={"objective": "cloze", "mask_share": share}, objectives=("cloze",))

    with pytest.raises(ValueError, match=r"training\.negatives is 1 in here and 2 in here"):
        check_one_training([sampled(1), sampled(2)])
    with pytest.raises(ValueError, match=r"training\.mask_share is 0\.2 in here and 0\.5"):
        check_one_training([masked(0.2), masked(0.5)])


def test_all_models_of_a_data_set_are_ranked_alike():
    check_one_ranking([trained(), trained(model="popularity", training=None, evaluation={"k": [5, 10, 20]})])
    check_one_ranking([trained(), trained(dataset="gowalla", evaluation={"candidates": "pop100"})])
    with pytest.raises(ValueError, match=r"on ml-1m: evaluation.candidates is 'full' in here and 'pop100'"):
        check_one_ranking([trained(), trained(model="core", evaluation={"candidates": "pop100"})])
    with pytest.raises(ValueError, match=r"evaluation.k is \[5, 10, 20\] in here and \[10\] in here"):
        check_one_ranking([trained(), trained(evaluation={"k": [10]})])
