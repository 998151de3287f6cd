"""One-sentence findings that a person can quote, from a summary alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from linrec_bench.analysis import memorisation, paired_quality
from linrec_bench.analysis.crossover import FLOORS as FLOORS
from linrec_bench.analysis.crossover import crossover, line_of, one_of
from linrec_bench.analysis.samples_table import base_name
from linrec_bench.analysis.seeds import VARIANT, across_seeds
from linrec_bench.analysis.system_ranking import by_means, ranking
from linrec_bench.analysis.systems import compared, compares_systems, several_models
from linrec_bench.declarations import tasks, trainings

LONGEST = 160
"""Characters of a sentence; what does not fit is told without its last clause, then with labels cut short."""


_PHASES = {
    "forward": "forward",
    "forward_backward": "forward + backward",
    "step": "training step",
}

_FAILURES = {
    "oom": "runs out of memory",
    "timeout": "runs out of time",
    "killed": "is killed",
    "error": "fails",
    "skipped": "is skipped",
}


def headline(summary: pd.DataFrame, reference: str, differences: pd.DataFrame | None = None) -> list[str]:
    """The findings of a run: overtaking lengths, memory, what no longer runs, quality over seeds.

    Costs are told for the largest batch and width of each task and direction at which the reference was
    measured, in the phase with the most work, against `reference` (a label, or a name); quality for every
    variant against it; where systems are compared (`analysis.systems`), one sentence ranks them instead. The
    order is that of tasks, bidirectional before causal, and names (of quality, the reference first): it does
    not depend on that of the rows. A sentence names its task and direction where the run has several.

    `differences` (`quality.differences` of the run) are told in the sentence of the variant that they are
    about; those against something else than the reference in its direction follow at the end.
    """
    costs = summary[~summary["task"].isin(trainings())]
    several_tasks, both_directions = (costs[column].nunique() > 1 for column in ("task", "causal"))
    found: list[str] = []
    for task in tasks():
        for causal in (False, True):
            part = costs[(costs["task"] == task) & (costs["causal"] == causal)]
            if len(part):
                line = _heaviest_line(part, reference)
                where = _where(line.iloc[0], task=several_tasks, direction=both_directions)
                found += _costs(line, reference, where)
    ranked = summary[summary["task"].isin(trainings()) & ~memorisation.planted(summary)]
    pairs = pd.DataFrame(columns=list(paired_quality.COLUMNS)) if differences is None else differences
    if compares_systems(ranked):
        return [*found, *_of_systems(ranked, pairs), *memorisation.sentences(summary)]
    variants = across_seeds(ranked)
    if several_models(ranked) and not pairs.empty:
        ranks = _within_models(variants, pairs)
        return [*found, *ranks, *_matched(variants, reference), *memorisation.sentences(summary)]
    told: set[int] = set()
    found += _quality(variants, reference, pairs, told)
    found += [*_matched(variants, reference), *memorisation.sentences(summary)]
    return found + paired_quality.sentences(pairs, without=told)


def _within_models(variants: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[str]:
    """A sentence for each model, data set, length, direction and what is compared with; then the models that
    count."""
    across = pairs["causal"] != pairs["against_causal"]
    both = pairs["against_causal"].nunique() > 1
    for name, causal, told in (("attention", "causal", across), ("against", "against_causal", across | both)):
        direction = pairs[causal].map({True: " (causal)", False: " (bidirectional)"})
        pairs = pairs.assign(**{name: pairs[name] + direction.where(told, "")})
    for model, rows in pairs.groupby("model"):
        yield from (f"{base_name(str(model))}, {sentence}" for sentence in ranking(rows))
    counting = variants[variants["attention"] == "no-op"]
    yield from by_means(counting.assign(attention=counting["model"]))


def _of_systems(ranked: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    # A table of an older version compares mechanisms within models.
    paired = pairs[pairs["model"] == ""]
    return by_means(across_seeds(compared(ranked))) if paired.empty else ranking(paired)


def _heaviest_line(part: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The rows of the line with the most tokens, width and work; ties are broken by what else differs.

    Lines in which the reference was measured at two lengths come first: only there something can be told.
    """
    keys = line_of(part)
    order = [column for column in ("batch_size", "hidden_size", "layers", "catalogue_size") if column in part]
    incumbent = one_of(sorted(map(str, part["attention"].unique())), reference)
    told = (part["attention"] == incumbent) & (part["status"] == "ok")
    counts = told.groupby([part[key] for key in keys], dropna=False).transform("sum")
    ranked = part.assign(_phase=part["phase"].map(list(_PHASES).index), _told=counts >= 2)
    others = [key for key in keys if key not in order]
    by = ["_told", *order, "_phase", *others]
    heaviest = ranked.sort_values(by, kind="stable", na_position="first").iloc[-1]
    same = [(part[key] == heaviest[key]) | (part[key].isna() & pd.isna(heaviest[key])) for key in keys]
    return part[np.logical_and.reduce(same)]


def _where(first: pd.Series, *, task: bool, direction: bool) -> str:
    """`layer forward + backward, causal, batch 16, hidden 64`."""
    name = str(first["task"])
    work = "decoding step" if name == "decode" else _PHASES[str(first["phase"])]
    if task and str(first["phase"]) != "step":
        work = f"{name} {work}"
    words = [work, *(["causal" if first["causal"] else "bidirectional"] if direction else [])]
    return ", ".join([*words, f"batch {first['batch_size']}", f"hidden {first['hidden_size']}"])


def _costs(line: pd.DataFrame, reference: str, where: str) -> Iterator[str]:
    labels = sorted(map(str, line["attention"].unique()))
    incumbent = one_of(labels, reference)
    for label in labels:
        rows = line[line["attention"] == label]
        if incumbent is not None and label != incumbent and base_name(label) not in FLOORS:
            yield from _against(line, label, incumbent, where)
        yield from _stops(rows, label, where)


def _against(line: pd.DataFrame, label: str, incumbent: str, where: str) -> Iterator[str]:
    found = crossover(line, challenger=label, incumbent=incumbent)
    if found.empty:
        return
    speed = found.iloc[0]
    names = (label, incumbent)
    if speed["outcome"] == "crosses":
        text = f"{{}} overtakes {{}} at {speed['said']}, {where}"
    elif speed["outcome"] == "always":
        text = f"{{}} is faster than {{}} {speed['said']}, {where}"
    else:
        text = f"{{}} overtakes {{}} at no length up to {speed['longest']:,}, {where}"
    yield _fitted(text, names, _memory(line, label, incumbent))


def _memory(line: pd.DataFrame, label: str, incumbent: str) -> str:
    """Beside the speed: the state of decoding, else the peak memory, at the longest length both reached."""
    own = line[(line["attention"] == label) & (line["status"] == "ok")]
    if "state_bytes" in own and own["state_bytes"].notna().any():
        other = line[(line["attention"] == incumbent) & (line["status"] == "ok")]
        pair = own.merge(other, on="seq_len", suffixes=("", "_other")).sort_values("seq_len")
        pair = pair[(pair["state_bytes"] > 0) & (pair["state_bytes_other"] > 0)]
        if len(pair):
            last = pair.iloc[-1]
            ratio = float(last["state_bytes"] / last["state_bytes_other"])
            return f"; {_times(ratio, 'state')} at {last['seq_len']:,}"
        return ""
    known = own[own["memory_ratio"].notna()]
    if known.empty:
        return ""
    last = known.sort_values("seq_len").iloc[-1]
    return f"; {_times(float(last['memory_ratio']), 'memory')} at {last['seq_len']:,}"


def _times(ratio: float, what: str) -> str:
    if 0.95 < ratio < 1.05:
        return "the same peak memory" if what == "memory" else f"the same {what}"
    factor = max(ratio, 1 / ratio)
    number = f"{factor:.2g}" if factor < 100 else f"{factor:,.0f}"
    return f"{number}x {'less' if ratio < 1 else 'more'} {what}"


def _stops(rows: pd.DataFrame, label: str, where: str) -> Iterator[str]:
    """The first length from which nothing runs any more, if that is not so from the start."""
    ordered = rows.sort_values("seq_len")
    done = ordered.loc[ordered["status"] == "ok", "seq_len"]
    beyond = ordered[ordered["seq_len"] > (done.max() if len(done) else math.inf)]
    if len(beyond) and beyond.iloc[0]["status"] in _FAILURES:
        first = beyond.iloc[0]
        yield _fitted(
            f"{{}} {_FAILURES[str(first['status'])]} at N = {first['seq_len']:,}, {where}", (label,)
        )


def _quality(
    variants: pd.DataFrame, reference: str, differences: pd.DataFrame, told: set[int]
) -> Iterator[str]:
    """A sentence a variant; the labels of the differences that it tells are added to `told`."""
    if "ndcg@10" not in variants:
        return
    settings = [column for column in VARIANT if column != "attention"]
    done = variants[variants["seeds"] > 0]
    several = _several(done)
    for _, rows in done.groupby(settings, sort=True, dropna=False):
        labels = sorted(map(str, rows["attention"].unique()))
        incumbent = one_of(labels, reference)
        by_label = {str(row["attention"]): row for _, row in rows.iterrows()}
        for label in sorted(labels, key=lambda label: label != incumbent):
            row = by_label[label]
            text = f"{{}}: test NDCG@10 {_with_interval(row)}"
            # Where nothing is mixed the model is what was ranked.
            names: tuple[str, ...] = (str(row["model"]) if label == "no-op" else label,)
            beside, proof = "", _seeds(row)
            if incumbent is not None and label != incumbent:
                other = by_label[incumbent]
                paired = _paired(differences, row, incumbent)
                if paired is None:
                    text += f" against {_with_interval(other)} of {{}}"
                else:
                    at, difference = paired
                    told.add(at)
                    # One interval a sentence: that of the difference, which is the narrower question.
                    text = f"{{}}: test NDCG@10 {row['ndcg@10']:.4f}, {paired_quality.clause(difference)}"
                    proof = paired_quality.proof(difference)
                names = (label, incumbent)
                share = row["train_time_s"] / other["train_time_s"]
                beside = "" if math.isnan(share) else f", trained in {share:.2g}x its time"
            yield _fitted(text, names, beside, _place(proof, row, several if label != "no-op" else []))


def _several(variants: pd.DataFrame) -> list[str]:
    """What a sentence about a variant has to name."""
    return [column for column in ("model", "causal") if variants[column].nunique() > 1]


def _place(proof: str, row: pd.Series, several: list[str]) -> str:
    """` (3 seeds, sasrec, causal, ml-1m, N = 200)`, of model and direction those that are `several`."""
    direction = "causal" if row["causal"] else "bidirectional"
    said = {"model": base_name(str(row["model"])), "causal": direction}
    own = [said[column] for column in several]
    place = [proof, *own, str(row["dataset"]), f"N = {row['seq_len']:,}"]
    return f" ({', '.join(place)})"


def _paired(differences: pd.DataFrame, row: pd.Series, incumbent: str) -> tuple[int, pd.Series] | None:
    """The difference between a variant and the reference in its direction over all its seeds, with its label
    in the table; None where there is none with an interval."""
    same = (differences["against"] == incumbent) & (differences["against_causal"] == row["causal"])
    same &= (differences["seeds"] == row["seeds"]) & differences["p_holm"].notna()
    for column in VARIANT:
        same &= differences[column] == row[column]
    return next(((int(str(at)), found) for at, found in differences[same].iterrows()), None)


def _matched(variants: pd.DataFrame, reference: str) -> Iterator[str]:
    """What a given quality costs with each variant, against the reference."""
    if "to_target_s" not in variants:
        return
    settings = [column for column in VARIANT if column != "attention"]
    done = variants[variants["seeds"] > 0]
    several = _several(done)
    for _, rows in done.groupby(settings, sort=True, dropna=False):
        incumbent = one_of(sorted(map(str, rows["attention"].unique())), reference)
        by_label = {str(row["attention"]): row for _, row in rows.iterrows()}
        other = by_label.get(incumbent or "")
        if other is None or math.isnan(other["to_target_s"]):
            continue
        assert incumbent is not None, "it has a row"
        quality = f"validation NDCG@10 {other['quality_target']:.4f}"
        # By what they rest on: seeds may differ.
        shares: dict[str, list[tuple[str, float]]] = {}
        for label in sorted(by_label.keys() - {incumbent}):
            row = by_label[label]
            share = row["to_target_s"] / other["to_target_s"]
            end = _place(_seeds(row), row, several)
            if math.isnan(share):
                text = f"{{}} reaches {quality} with {row['reached']} of {row['seeds']} seeds, {{}} with all"
                yield _fitted(text, (label, incumbent), "", end)
            else:
                shares.setdefault(end, []).append((label, share))
        for end, ((first, share), *others) in shares.items():
            text = f"{{}} takes {share:.2g}x the training time of {{}} to {quality}"
            beside = "".join(f", {label} {share:.2g}x" for label, share in others)
            yield _fitted(f"{text}{beside}", (first, incumbent), "", end)


def _fitted(text: str, names: tuple[str, ...], optional: str = "", end: str = "") -> str:
    """The text with its `{}` filled by `names`, within `LONGEST` characters as far as that goes.

    First the optional clause is left out, then the parameters of the names.
    """
    short = tuple(name if "(" not in name else f"{base_name(name)}(...)" for name in names)
    choices = [
        f"{text.format(*said)}{clause}{end}"
        for said in (names, short)
        for clause in dict.fromkeys((optional, ""))
    ]
    return next((choice for choice in choices if len(choice) <= LONGEST), choices[-1])


def _with_interval(row: pd.Series) -> str:
    mean, low, high = (row[f"ndcg@10{end}"] for end in ("", "_low", "_high"))
    return f"{mean:.4f}" if math.isnan(low) else f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def _seeds(row: pd.Series) -> str:
    return "1 seed, no interval" if row["seeds"] == 1 else f"{row['seeds']} seeds"
