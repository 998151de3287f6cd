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

SYSTEM = ("system", "system_name", "system_params")
"""What tables and figures call a row: its name, the name without parameters and settings, and these, as they
stand in the data; empty where nothing but the name is needed to tell it from others."""

Identity = tuple[str, str]
"""`system_name` and `system_params` of a row."""

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


def mechanisms(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the columns `SYSTEM` of their mechanism alone; as they are where they have them."""
    if "system" in frame:
        return frame
    params = frame["attention_params"]
    return frame.assign(
        system=frame["attention"],
        system_name=frame["attention_name"],
        system_params=params.where(params != "{}", ""),
    )


def _of_one_model(frame: pd.DataFrame) -> pd.DataFrame:
    """The same where at most one model learnt: floors, which have no mechanism, go by their own names."""
    found = mechanisms(frame)
    if "model_name" not in found:
        return found
    floors, model = _counting(found), found["model_name"]
    return found.assign(**{column: found[column].mask(floors, model) for column in ("system", "system_name")})


def identities(rows: pd.DataFrame) -> dict[str, Identity]:
    """What each mechanism or system in the rows is, by what it is called there."""
    known = mechanisms(rows).drop_duplicates("system")
    columns = (known[column].astype(str) for column in SYSTEM)
    return {called: (name, params) for called, name, params in zip(*columns, strict=True)}


def named(frame: pd.DataFrame, cases: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows with the columns `SYSTEM` of what is compared: the mechanism where one model learnt, beside
    which floors go by their own names.

    Of systems, `model` is empty, and `reference` names the system with the reference mechanism. Of mechanisms
    within models, `model` goes without its parameters, and floors go by their names under the model
    `COUNTING`. `frame` holds rows of task recommend of `cases` (by default, is all of them), by `case_id`.
    """
    known = _recommend(frame if cases is None else cases)
    if not several_models(known):
        return _of_one_model(frame)
    if compares_systems(known):
        return _with_names(frame, _systems(known).assign(model=""))
    return _with_names(frame, _within(known))


def compared(frame: pd.DataFrame, cases: pd.DataFrame | None = None) -> pd.DataFrame:
    """As `named`, for panels: settings that are a system's own are missing (NaN), so that they split nothing.

    So are those of a mechanism within its model, whose name then tells them where nothing else does
    (`softmax (causal)`).
    """
    known = _recommend(frame if cases is None else cases)
    if not several_models(known):
        return _of_one_model(frame)
    if compares_systems(known):
        own = _own(known, [*_PLACE], "attention")
        found = named(frame, known)
    else:
        within = _within(known)
        own = _own(within, [*_PLACE, "model"], "system")
        found = _with_names(frame, _told_apart(within, [*_PLACE, "model"], own))
    return found.assign(**dict.fromkeys(own, math.nan))


def system_names(cases: pd.DataFrame) -> pd.Series[str]:
    """The name of the system of each case: `recgrela`, or `sasrec, linrec` where a model has several
    mechanisms; with parameters or settings only where they alone tell it from another."""
    return _systems(cases)["system"]


def as_systems(frame: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """The rows with the columns `SYSTEM` of their systems and an empty model, `reference` as in `named`."""
    return _with_names(frame, _systems(cases).assign(model=""))


def _systems(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with the columns `SYSTEM` of their systems."""
    model = cases["model_name"]
    # What has no model is a mechanism alone.
    mechanism = cases["attention_name"].where(cases["model"] == "", "")
    mechanism = mechanism.mask(_differs(cases["attention_name"], [model, mechanism]), cases["attention_name"])
    bare = _joined(model, mechanism)
    told = _differs(cases["attention_params"], [model, mechanism])
    named_alone = (cases["model"] == "") & (cases["attention_params"] != "{}")
    params = cases["attention_params"].where(told | named_alone, "")
    mechanism = mechanism.mask(told | named_alone, cases["attention"])
    told = _differs(cases["model_params"], [model, mechanism])
    model, params = model.mask(told, cases["model"]), params.mask(told, params + cases["model_params"])
    found = cases.assign(system=_joined(model, mechanism), system_name=bare, system_params=params)
    return _told_apart(found, _PLACE, _own(cases, _PLACE, "attention"))


def _joined(model: pd.Series[str], mechanism: pd.Series[str]) -> pd.Series[str]:
    return model.where(mechanism == "", model + ", " + mechanism).str.removeprefix(", ")


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


def _within(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with `SYSTEM` and `model` as they are called where mechanisms are compared within models."""
    counting, short = _counting(cases), cases["model_name"]
    told = _differs(cases["model_params"], [short])
    models, found = short.mask(told, cases["model"]), mechanisms(cases)
    params = cases["model_params"].where(told, "")
    for column, values in zip(SYSTEM, (models, short, params), strict=True):
        found[column] = found[column].mask(counting, values)
    return found.assign(model=models.mask(counting, COUNTING))


def _own(cases: pd.DataFrame, by: Sequence[str], name: str) -> list[str]:
    """Those of `OWN` in which alternatives (of `model` and `name`) at one place differ."""
    values = cases.groupby([*dict.fromkeys((*by, "model", name))])[list(OWN)].agg(frozenset)
    differ = values.groupby(list(by)).nunique().gt(1).any()
    return [column for column in OWN if differ[column]]


def _told_apart(cases: pd.DataFrame, by: Sequence[str], own: Sequence[str]) -> pd.DataFrame:
    """The cases, their names with the settings that alone tell one from another at the same place."""
    names, params = cases["system"], cases["system_params"]
    for column in own:
        differs = _differs(cases[column], [names, *(cases[key] for key in by)])
        settings = pd.Series(
            [f" ({setting_word(column, value)})" for value in cases[column]], index=names.index
        )
        names, params = names.mask(differs, names + settings), params.mask(differs, params + settings)
    return cases.assign(system=names, system_params=params)


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


def _with_names(frame: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """The rows with `SYSTEM` and `model` of their case, `reference` with the name of one of them or empty."""
    by_case = cases.drop_duplicates("case_id").set_index("case_id")
    found = frame.assign(**{column: frame["case_id"].map(by_case[column]) for column in (*SYSTEM, "model")})
    if "reference" in frame:
        labels = set(frame["reference"].dropna()) - {""}
        own = set(found.loc[frame["attention"].isin(labels), "system"].dropna())
        found["reference"] = own.pop() if len(own) == 1 else ""
    return found
