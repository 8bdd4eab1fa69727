"""Scores and differences from stored predictions: per-example counts, resampled together, compared with an interval.

All recipes and seeds of a target are resampled with one draw of its examples, so that any two of them are paired: a difference, a mean
over targets and a row that takes another recipe for each target all come from the same draws. With three or more seeds the
interval of a difference is a t interval over the seeds, with fewer it is over examples and says so (DESIGN, section 5).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from . import stats
from .metrics import METRICS, find
from .store import read_json
from .study import Study
from .tasks import Task

#: protocol → metric that it counts in place of another (DESIGN, section 5): BUCC's threshold is from the scored gold or the sample set
PROTOCOLS = {"paper": {}, "strict": {"f1": "f1_strict"}}


# --- counts from stored predictions --------------------------------------------------------------------------------
def counts(study: Study, recipe: str, target: str, seed: int, metric: str | None = None) -> stats.Counts | None:
    """Per-example counts of one evaluation, or ``None`` if it is not there."""
    from .scoring import found

    place = found(study, recipe, target, seed)
    return None if place is None else _counts_of(place, study.tasks[target], metric or study.tasks[target].metrics[0])


def _counts_of(place: Path, row: Task, metric: str) -> stats.Counts:
    return _counts(place, read_json(place / "record.json")["fingerprint"], row.kind, metric, row.answer_rules)


@cache
def _counts(place: Path, fingerprint: str, kind: str, metric: str, rules: str) -> stats.Counts:
    from .evaluate import read_predictions

    frames = {p.stem: read_predictions(p) for p in sorted(place.glob("*.parquet"))}
    by_language = {x: (f["id"].to_numpy(), find(kind, metric, rules, x).counts(f)) for x, f in frames.items()}
    return stats.Counts(by_language, METRICS[kind, metric].value)


# --- which metrics make a figure -----------------------------------------------------------------------------------
def task_metrics(row: Task, protocol: str = "paper") -> tuple[str, ...]:
    """Metrics whose mean is the score of a task, as XTREME averages (paper_facts 3.1): F1 and exact match of question answering,
    else the first metric; under ``strict`` what takes its place there.
    """
    chosen = row.metrics if row.kind == "span" else row.metrics[:1]
    swapped = (PROTOCOLS[protocol].get(m, m) for m in chosen)
    return tuple(s if s in row.metrics else m for m, s in zip(chosen, swapped, strict=True))


# --- resampled together --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Resampled:
    """Scores of one target, mean over languages and metrics, in percent.

    Attributes
    ----------
    value : dict
        (recipe, seed) → score.
    drawn : dict
        (recipe, seed) → scores of the resamples, ndarray (resamples,); resample ``b`` holds the same examples for every key.
    """

    value: dict[tuple[str, int], float]
    drawn: dict[tuple[str, int], np.ndarray]

    def seeds(self, recipe: str) -> list[int]:
        """Seeds of a recipe that are there."""
        return [s for r, s in self.value if r == recipe]

    def mean(self, recipe: str) -> float:
        """Score of a recipe, mean over its seeds."""
        return float(np.mean([self.value[recipe, s] for s in self.seeds(recipe)]))

    def interval(self, recipe: str, level: float = 0.95) -> tuple[float, float]:
        """Interval over examples of the mean over seeds."""
        drawn = np.mean([self.drawn[recipe, s] for s in self.seeds(recipe)], axis=0)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def resampled(
    study: Study,
    target: str,
    metrics: Sequence[str] | None = None,
    recipes: Iterable[str] | None = None,
    without: Iterable[str] = (),
) -> Resampled | None:
    """Scores of a target for all recipes and seeds that are there, or ``None`` if there are none.

    Parameters
    ----------
    metrics : sequence of str, optional
        Averaged after the means over languages; the target's main metric where not given.
    recipes : iterable of str, optional
        Rows beside ``none``; those of the study where not given.
    without : iterable of str
        Languages left out.
    """
    from .scoring import found

    row = study.tasks[target]
    recipes = tuple(dict.fromkeys(("none", *(study.intermediates if recipes is None else recipes))))
    places = [((r, s), p) for r in recipes for s in study.seeds if (p := found(study, r, target, s))]
    if not places:
        return None
    prints = tuple((key, p, read_json(p / "record.json")["fingerprint"]) for key, p in places)
    return _resampled(prints, row.name, row.kind, row.answer_rules, tuple(metrics or row.metrics[:1]), tuple(without))


@cache
def _resampled(places: tuple, name: str, kind: str, rules: str, metrics: tuple, without: tuple) -> Resampled:
    parts = []
    for metric in metrics:
        held = {key: _counts(p, f, kind, metric, rules) for key, p, f in places}
        parts.append(_one(held, METRICS[kind, metric].value, name, without))
    keys = parts[0].value
    return Resampled(
        {k: float(np.mean([p.value[k] for p in parts])) for k in keys},
        {k: np.mean([p.drawn[k] for p in parts], axis=0) for k in keys},
    )


def _one(held: dict[tuple[str, int], stats.Counts], value, name: str, without: tuple) -> Resampled:
    languages = {k: [x for x in c.by_language if x not in without] for k, c in held.items()}
    # one set of counts for all: examples are drawn by id, and a recipe may have mined pairs that another has not
    joined = stats.Counts({(k, x): held[k].by_language[x] for k in held for x in languages[k]}, value)
    drawn = stats.resampled(joined, seed=zlib.crc32(name.encode()))
    place = {k: i for i, k in enumerate(joined.by_language)}
    return Resampled(
        {k: held[k].only(languages[k]).mean() for k in held},
        {k: drawn[:, [place[k, x] for x in languages[k]]].mean(axis=1) for k in held},
    )


# --- differences ---------------------------------------------------------------------------------------------------
def compare(pairs: Sequence[tuple[Resampled, str, str]], level: float = 0.95) -> stats.Difference | None:
    """Mean over targets of first minus second recipe; ``None`` where a pair has no seed that all have.

    Parameters
    ----------
    pairs : sequence of (Resampled, first, second)
        One per target. Targets are drawn independently of each other.
    """
    seeds = [s for s in dict.fromkeys(s for p, a, _ in pairs for s in p.seeds(a))
             if all((a, s) in p.value and (b, s) in p.value for p, a, b in pairs)]  # fmt: skip
    if not seeds:
        return None
    each = np.array([np.mean([p.value[a, s] - p.value[b, s] for p, a, b in pairs]) for s in seeds])
    if len(seeds) >= 3:
        return stats.over_seeds(each, level)
    drawn = np.mean([p.drawn[a, s] - p.drawn[b, s] for p, a, b in pairs for s in seeds], axis=0)
    return stats.of_draws(float(each.mean()), drawn, level, len(seeds))


def difference(
    study: Study, recipe: str, target: str, against: str = "none", metrics: Sequence[str] | None = None
) -> stats.Difference | None:
    """Change of a target's mean over languages, recipe minus ``against``, in points."""
    known = {recipe, against} <= {*study.intermediates, "none"}
    found = resampled(study, target, metrics, None if known else (recipe, against))
    return None if found is None else compare([(found, recipe, against)])


def mean_difference(
    study: Study, recipe: str, targets: Iterable[str], against: str = "none", protocol: str = "paper"
) -> stats.Difference | None:
    """Change of the mean over targets, each by its task score (:func:`task_metrics`); ``None`` if a target is missing.

    Examples
    --------
    >>> mean_difference(study, "mnli", study.targets)  # doctest: +SKIP
    Difference(value=1.2, low=0.4, high=2.0, p=0.003, how='examples only')
    """
    known = {recipe, against} <= {*study.intermediates, "none"}
    recipes = None if known else (recipe, against)
    found = [resampled(study, t, task_metrics(study.tasks[t], protocol), recipes) for t in targets]
    return compare([(f, recipe, against) for f in found]) if found and all(found) else None
