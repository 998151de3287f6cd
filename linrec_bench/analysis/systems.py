"""Whether a run compares mechanisms within each of its models or whole systems, and how systems are called.

A system is a model with the mechanism in it. Where every model of a data set and length was trained with the
same mechanisms (two or more), the mechanisms of each model are compared; where models differ in that, systems
are. A run with one model, alone or beside those that only count (`FLOORS`), compares its mechanisms. This is
the one place that decides it; terminal, figures and report ask here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from linrec_bench.analysis.naming import exactly, is_meant
from linrec_bench.declarations import trainings

FLOORS = ("popularity", "item-knn")
"""Models that count instead of learning, and have no mechanism."""

COUNTING = "no mechanism"
"""Stands for the model of floors where mechanisms are compared within each model."""

OWN = ("causal", "layers", "heads", "hidden_size", "batch_size", "dtype")
"""What may be a system's own: where systems differ in the values of one, it sets no panel apart. In the order
in which names take them in."""

_PLACE = ["dataset", "seq_len"]


def compares_systems(cases: pd.DataFrame) -> bool:
    """Whether the cases of task recommend (a row each) are to be compared as systems."""
    return any(
        len(models) > 1 and (len(set(models.values())) > 1 or min(map(len, models.values())) < 2)
        for models in _mechanisms(cases)
    )


def several_models(cases: pd.DataFrame) -> bool:
    """Whether several models learnt on the same data set and length."""
    return any(len(models) > 1 for models in _mechanisms(cases))


def _mechanisms(cases: pd.DataFrame) -> Iterator[dict[str, frozenset[str]]]:
    """At each data set and length, model -> its mechanisms."""
    learnt = cases[cases["task"].isin(trainings()) & ~_counting(cases)]
    for _, rows in learnt.groupby(_PLACE):
        pairs = rows.groupby("model")["attention"].unique()
        yield {str(model): frozenset(map(str, own)) for model, own in pairs.items()}


def _counting(cases: pd.DataFrame) -> pd.Series[bool]:
    return cases["model_name"].isin(FLOORS)


def named(frame: pd.DataFrame, cases: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows with the words of tables for what is compared; as they are where one model learnt.

    Of systems, `attention` is the name of the system, `model` is empty, and `reference` the system with the
    reference mechanism. Of mechanisms within models, `model` goes without its parameters, and floors go by
    their names under the model `COUNTING`. `frame` holds rows of task recommend of `cases` (by default, is
    all of them), by `case_id`.
    """
    known = _recommend(frame if cases is None else cases)
    if not several_models(known):
        return frame
    if compares_systems(known):
        return _with_names(frame, known, system_names(known), pd.Series("", index=known.index))
    return _with_names(frame, known, *_within(known))


def compared(frame: pd.DataFrame, cases: pd.DataFrame | None = None) -> pd.DataFrame:
    """As `named`, for panels: settings that are a system's own are missing (NaN), so that they split nothing.

    So are those of a mechanism within its model, whose name then tells them where nothing else does
    (`softmax (causal)`).
    """
    known = _recommend(frame if cases is None else cases)
    if not several_models(known):
        return frame
    if compares_systems(known):
        own = _own(known, _PLACE)
        found = named(frame, known)
    else:
        mechanisms, models = _within(known)
        within = known.assign(attention=mechanisms, model=models)
        own = _own(within, [*_PLACE, "model"])
        found = _with_names(frame, known, _told_apart(within, mechanisms, [*_PLACE, "model"], own), models)
    return found.assign(**dict.fromkeys(own, math.nan))


def system_names(cases: pd.DataFrame) -> pd.Series[str]:
    """The name of the system of each case: `recgrela`, or `sasrec, linrec` where a model has several
    mechanisms; with parameters or settings only where they alone tell it from another."""
    model = cases["model_name"]
    # What has no model is a mechanism alone.
    mechanism = cases["attention"].where(cases["model"] == "", "")
    for finer in (cases["attention_name"], cases["attention"]):
        mechanism = mechanism.mask(_differs(finer, [model, mechanism]), finer)
    model = model.mask(_differs(cases["model"], [model, mechanism]), cases["model"])
    names = model.where(mechanism == "", model + ", " + mechanism).str.removeprefix(", ")
    return _told_apart(cases, names, _PLACE, _own(cases, _PLACE))


def reference_system(cases: pd.DataFrame, reference: str) -> str | None:
    """The system with the reference mechanism, of several the first by name; None without one."""
    names = system_names(cases)
    for meant in (exactly(cases, reference), is_meant(cases, reference)):
        found = sorted(names[meant])
        if found:
            return str(found[0])
    return None


def _recommend(cases: pd.DataFrame) -> pd.DataFrame:
    return cases[cases["task"].isin(trainings())]


def _within(cases: pd.DataFrame) -> tuple[pd.Series[str], pd.Series[str]]:
    """Mechanism and model of each case, where mechanisms are compared within models."""
    counting, short = _counting(cases), cases["model_name"]
    models = short.mask(_differs(cases["model"], [short]), cases["model"])
    return cases["attention"].mask(counting, models), models.mask(counting, COUNTING)


def _own(cases: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """Those of `OWN` of which not all alternatives at one place have the same values."""
    values = cases.groupby([*dict.fromkeys((*by, "model", "attention"))])[list(OWN)].agg(frozenset)
    differ = values.groupby(list(by)).nunique().gt(1).any()
    return [column for column in OWN if differ[column]]


def _told_apart(
    cases: pd.DataFrame, names: pd.Series[str], by: Sequence[str], own: Sequence[str]
) -> pd.Series[str]:
    """The names, with the settings that alone tell one from another at the same place."""
    for column in own:
        differs = _differs(cases[column], [names, *(cases[key] for key in by)])
        words = [setting_word(column, value) for value in cases[column]]
        names = names.mask(differs, names + pd.Series([f" ({word})" for word in words], index=names.index))
    return names


def _differs(values: pd.Series, keys: Sequence[pd.Series]) -> pd.Series[bool]:
    """Where values are not all the same among those with the same keys."""
    return values.groupby(list(keys)).transform("nunique") > 1


def setting_word(column: str, value: object) -> str:
    """One of `OWN` in words: `causal`, `2 layers`, `hidden 64`."""
    if column == "causal":
        return "causal" if value else "bidirectional"
    if column in ("layers", "heads"):
        return f"{value} {column if value != 1 else column[:-1]}"
    return f"{column.removesuffix('_size')} {value}" if column != "dtype" else str(value)


def _with_names(
    frame: pd.DataFrame, cases: pd.DataFrame, names: pd.Series[str], models: pd.Series[str]
) -> pd.DataFrame:
    """The rows under these names of mechanism and model, and of the reference where it is one of them."""
    name, model, mechanism = (
        dict(zip(cases["case_id"], values, strict=True)) for values in (names, models, cases["attention"])
    )
    found = frame.assign(attention=frame["case_id"].map(name), model=frame["case_id"].map(model))
    if "reference" in frame:
        told = set(frame["reference"].dropna()) - {""}
        own = {name[case_id] for case_id in frame["case_id"] if mechanism[case_id] in told}
        found["reference"] = own.pop() if len(own) == 1 else ""
    return found
