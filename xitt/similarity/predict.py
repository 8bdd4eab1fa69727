"""How well measures predict the transfer matrix: rank correlation, regret, and a regression that never sees the target it predicts.

Everything is asked within a target: which intermediate task is better for it. The unit of evidence is a training set, not a target: XQuAD and
MLQA are fine-tuned on the same one, so that any measure of training data says the same of both and their scores go together. Such targets
are left out together, averaged first, and count once; intervals are t intervals over these groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from .. import stats
from ..differences import task_metrics
from ..matrix import spearman
from ..study import Study
from .names import LARGEST, MEASURES
from .records import grid

RIDGE = (0.1, 1.0, 10.0, 100.0)  # penalties tried, in examples; vectors are standardised within a target
ENOUGH = 3  # recipes that a rank correlation takes at least
AVERAGE, CHANCE = "best on average", "at random"
REGRESSION, BOTH = "all measures, regression", "best on average + measures"


@dataclass(frozen=True)
class Panel:
    """Transfer matrix and measures of the same pairs.

    Attributes
    ----------
    recipes, targets : tuple of str
        Rows without ``none``.
    gain : ndarray (recipes, targets)
        Change against ``none`` in points: task score, mean over languages and seeds.
    measures : dict of str to ndarray (recipes, targets)
        Mean over seeds; NaN where not defined.
    groups : tuple of str
        What each target is fine-tuned on: targets of one group are left out together.
    """

    recipes: tuple[str, ...]
    targets: tuple[str, ...]
    gain: np.ndarray
    measures: dict[str, np.ndarray]
    groups: tuple[str, ...]


# --- what there is ---------------------------------------------------------------------------------------------------
def gains(study: Study, tidy: pd.DataFrame) -> pd.DataFrame:
    """Change of every pair against ``none`` of the same seed, in points: ``intermediate, target, seed, gain``.

    A target's score is that of the benchmark (paper_facts 3.1: F1 and exact match of question answering count half each), mean over
    languages, on test.
    """
    rows, columns = grid(study)
    some = tidy[(tidy["language"] == "avg") & tidy["target"].isin(columns) & tidy["intermediate"].isin(("none", *rows))]
    metrics = {t: task_metrics(study.tasks[t]) for t in columns}
    kept = [m in metrics[t] for t, m in zip(some["target"], some["metric"], strict=True)]
    keys = ["intermediate", "target", "seed"]
    if not any(kept):
        return pd.DataFrame(columns=[*keys, "gain"])
    score = some[kept].groupby(keys)["value"].mean().rename("gain").reset_index()
    base = score[score["intermediate"] == "none"].set_index(["target", "seed"])["gain"]
    score = score[score["intermediate"] != "none"].join(base.rename("none"), on=["target", "seed"]).dropna()
    return score.assign(gain=score["gain"] - score["none"])[[*keys, "gain"]].reset_index(drop=True)


def panel(study: Study, measured: pd.DataFrame, gained: pd.DataFrame, seed: int | None = None) -> Panel:
    """Measures and gains of the pairs that have been scored, as matrices; of one seed, or the mean over seeds."""
    if seed is not None:
        gained = gained[gained["seed"] == seed]
        of_seed = [s == seed or MEASURES[m].needs != "encoder" for m, s in measured[["measure", "seed"]].to_numpy()]
        measured = measured[of_seed]
    rows, columns = grid(study)
    rows = tuple(r for r in rows if r in set(gained["intermediate"]))
    wide = _matrix(gained, "gain", rows, columns)
    full = ~np.isnan(wide).any(axis=0) if rows else np.zeros(len(columns), bool)
    columns = tuple(t for t, there in zip(columns, full, strict=True) if there)
    each = {m: _matrix(part, "value", rows, columns) for m, part in measured.groupby("measure", sort=False)}
    groups = tuple(study.tasks[t].train or study.tasks[t].name for t in columns)
    return Panel(rows, columns, wide[:, full], each, groups)


def _matrix(frame: pd.DataFrame, column: str, rows: tuple, columns: tuple) -> np.ndarray:
    wide = frame.pivot_table(index="intermediate", columns="target", values=column, dropna=False)
    return wide.reindex(index=list(rows), columns=list(columns)).to_numpy(float)


# --- how good a ranking is -------------------------------------------------------------------------------------------
def usable(scores: np.ndarray) -> np.ndarray:
    """Targets (columns) that a score ranks: defined for every recipe, not the same for all of them, and enough recipes."""
    if len(scores) < ENOUGH:
        return np.zeros(scores.shape[1], bool)
    return ~np.isnan(scores).any(axis=0) & (np.ptp(scores, axis=0) > 0)


def correlations(scores: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation with the gain within each target (targets,); NaN where the score ranks nothing."""
    found, some = np.full(scores.shape[1], np.nan), usable(scores)
    if some.any():
        found[some] = spearman(scores[:, some].T, gain[:, some].T)
    return found


def regrets(scores: np.ndarray, gain: np.ndarray, k: int) -> np.ndarray:
    """Points lost by training on the best of the ``k`` recipes ranked first instead of on the best of all, by target (targets,).

    Regret@k as in Renggli et al. 2020 and Poth et al. 2021 ("evaluation metrics"), there relative to the best score; in points here, for
    a change has no scale to be relative to. Recipes that tie take their turns: the expectation over all orders. NaN where a score is
    not defined for a recipe.
    """
    return np.array([_regret(s, g, k) for s, g in zip(scores.T, gain.T, strict=True)])


def _regret(scores: np.ndarray, gain: np.ndarray, k: int) -> float:
    if np.isnan(scores).any() or not len(scores):
        return np.nan
    k = min(k, len(scores))
    edge = np.sort(scores)[::-1][k - 1]
    sure, tied = gain[scores > edge], gain[scores == edge]
    chosen = combinations(tied, k - len(sure))
    return float(gain.max() - np.mean([max((*sure, *some)) for some in chosen]))


def by_group(values: np.ndarray, groups: tuple[str, ...]) -> np.ndarray:
    """Mean over the targets of each group that have a value."""
    found = pd.Series(values).groupby(list(groups), sort=False).mean()
    return found.dropna().to_numpy()


def over_groups(values: np.ndarray, groups: tuple[str, ...]) -> stats.Difference | None:
    """Mean over groups with its 95 % t interval; ``None`` with fewer than three groups."""
    each = by_group(values, groups)
    if len(each) < ENOUGH:
        return None
    mean, low, high, p, error = map(float, stats.t_test(each))
    return stats.Difference(mean, low, high, p, f"t over {len(each)} training sets", error, len(each))


# --- left out --------------------------------------------------------------------------------------------------------
def left_out(p: Panel) -> dict[str, np.ndarray]:
    """Rankings of recipes (recipes, targets) by the baselines and by regression, each target predicted without its own group.

    ``best on average`` is the mean gain of a recipe over the targets of other groups. The regression is a ridge regression of the gain,
    centred within targets, on all measures, standardised within targets; what is not defined is taken as the mean, and so says nothing.
    Its penalty is chosen by leaving out groups once more among those it is fitted on. ``best on average + measures`` fits what the
    former leaves over.
    """
    x = _standardised(p)
    y = p.gain - p.gain.mean(axis=0) if p.gain.size else p.gain
    made = {name: np.full(p.gain.shape, np.nan) for name in (AVERAGE, REGRESSION, BOTH)}
    groups = np.array(p.groups)
    for group in dict.fromkeys(p.groups):
        out, kept = groups == group, groups != group
        if len(set(groups[kept])) < ENOUGH - 1 or not len(p.recipes):
            continue
        average = y[:, kept].mean(axis=1, keepdims=True)
        made[AVERAGE][:, out] = np.broadcast_to(p.gain[:, kept].mean(axis=1, keepdims=True), (len(y), int(out.sum())))
        if x.shape[-1]:
            for name, base in ((REGRESSION, 0.0 * average), (BOTH, average)):
                weight = _ridge(x[:, kept], y[:, kept] - base, groups[kept])
                level = p.gain[:, kept].mean()
                made[name][:, out] = level + base + x[:, out] @ weight
    return made


def _standardised(p: Panel) -> np.ndarray:
    """Measures (recipes, targets, measures) with mean 0 and deviation 1 over the recipes of each target; 0 where they say nothing."""
    if not p.measures:
        return np.zeros((*p.gain.shape, 0))
    made = []
    for values in p.measures.values():
        some, z = usable(values), np.zeros(values.shape)
        if some.any():
            part = values[:, some]
            z[:, some] = (part - part.mean(axis=0)) / part.std(axis=0)
        made.append(z)
    return np.stack(made, axis=-1)


def _ridge(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Weights (measures,) of a ridge regression over (recipes, targets), its penalty chosen by leaving out groups."""
    errors = []
    for penalty in RIDGE:
        error = 0.0
        for group in dict.fromkeys(groups):
            out = groups == group
            weight = _solve(x[:, ~out], y[:, ~out], penalty)
            error += float(((y[:, out] - x[:, out] @ weight) ** 2).sum())
        errors.append(error)
    return _solve(x, y, RIDGE[int(np.argmin(errors))])


def _solve(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    flat = x.reshape(-1, x.shape[-1])
    return np.linalg.solve(flat.T @ flat + penalty * np.eye(flat.shape[1]), flat.T @ y.ravel())


# --- tables ----------------------------------------------------------------------------------------------------------
def ranked(p: Panel) -> pd.DataFrame:
    """Rank correlation of every measure with the gain, within targets.

    Returns
    -------
    DataFrame
        ``measure, targets, training sets, value, low, high, p, q, detectable``: mean over training sets with a 95 % t interval over them; ``q``
        is Benjamini–Hochberg over the table; ``detectable`` the least true correlation found four times out of five, NaN where not even
        one of 1 would be.
    """
    rows = []
    for name, scores in p.measures.items():
        each = correlations(scores, p.gain)
        d = over_groups(each, p.groups)
        sets = len(by_group(each, p.groups))
        values = (np.nan,) * 5
        if d:  # a t interval knows no bounds, a correlation does
            least = stats.detectable(d.error, d.runs)
            values = (d.value, max(d.low, -1.0), min(d.high, 1.0), d.p, least if least <= 1 else np.nan)
        rows.append((name, int((~np.isnan(each)).sum()), sets, *values))
    frame = pd.DataFrame(
        rows, columns=["measure", "targets", "training sets", "value", "low", "high", "p", "detectable"]
    )
    frame["q"] = np.nan
    some = frame["p"].notna()
    frame.loc[some, "q"] = stats.benjamini_hochberg(frame.loc[some, "p"].to_numpy(float))
    return frame


def by_seed(study: Study, measured: pd.DataFrame, gained: pd.DataFrame) -> pd.DataFrame:
    """The same rank correlations, each seed's measures with its gains, with a 95 % t interval over the seeds.

    Returns
    -------
    DataFrame
        ``measure, value, low, high``; empty with fewer than three seeds. These intervals hold for these targets, those of :func:`ranked` for others.
    """
    columns = ["measure", "value", "low", "high"]
    if len(study.seeds) < ENOUGH:
        return pd.DataFrame(columns=columns)
    each = [ranked(panel(study, measured, gained, s)).set_index("measure")["value"] for s in study.seeds]
    rows = []
    for name, values in pd.concat(each, axis=1).iterrows():
        if values.notna().all():
            d = stats.over_seeds(values.to_numpy(float))
            rows.append((name, d.value, max(d.low, -1.0), min(d.high, 1.0)))
    return pd.DataFrame(rows, columns=columns)


def picked(p: Panel) -> pd.DataFrame:
    """What is lost by choosing a recipe by each measure, by the baselines, and by the regressions.

    Returns
    -------
    DataFrame
        ``chosen by, targets, regret@1`` and ``@3`` (points, mean over training sets, with ``low`` and ``high``), ``against largest, …`` and ``against
        average, …``: regret@1 minus that of the two baselines on the same targets (negative: better), with interval; ``error``: mean absolute error of
        the predicted gain in points, for those that predict one.
    """
    made = left_out(p)
    choices = {**p.measures, **made, CHANCE: np.zeros(p.gain.shape)}
    base = {n: regrets(s, p.gain, 1) for n, s in (("largest", p.measures.get(LARGEST)), ("average", made[AVERAGE])) if s is not None}  # fmt: skip
    rows = []
    for name, scores in choices.items():
        one, three = (regrets(scores, p.gain, k) for k in (1, 3))
        row = {"chosen by": name, "targets": int((~np.isnan(one)).sum())}
        row |= _wide("regret@1", over_groups(one, p.groups)) | _wide("regret@3", over_groups(three, p.groups))
        for label in ("largest", "average"):
            same = name == (LARGEST if label == "largest" else AVERAGE)
            d = None if same or label not in base else over_groups(one - base[label], p.groups)
            row |= _wide(f"against {label}", d)
        row["error"] = _error(scores, p) if name in made else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _error(scores: np.ndarray, p: Panel) -> float:
    if not scores.size:
        return np.nan
    each = by_group(np.abs(scores - p.gain).mean(axis=0), p.groups)
    return float(each.mean()) if len(each) else np.nan


def _wide(name: str, d: stats.Difference | None) -> dict[str, float]:
    values = (d.value, d.low, d.high) if d else (np.nan,) * 3
    return dict(zip((name, f"{name} low", f"{name} high"), values, strict=True))


def within(scores: np.ndarray, groups: tuple[str, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Mean over training sets of the rank correlation of fixed scores (recipes, targets) with gains (..., recipes, targets).

    Parameters
    ----------
    scores : ndarray (..., recipes, targets)
        One for all gains, or as many as there are.
    """

    def effect(gain: np.ndarray) -> np.ndarray:
        rho = spearman(np.moveaxis(scores, -1, -2), np.moveaxis(gain, -1, -2))  # (..., targets)
        names = list(dict.fromkeys(groups))
        share = np.array([[g == n for g in groups] for n in names], float)
        return (rho @ (share / share.sum(axis=1, keepdims=True)).T).mean(axis=-1)

    return effect
