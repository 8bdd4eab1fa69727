"""Intervals and paired tests on stored predictions.

With three or more seeds a t interval on the per-seed differences; with fewer, a paired bootstrap over examples, which
compares two checkpoints and says so (``examples only``). Examples with the same id are resampled together in every
language: parallel test sets hold the same sentence many times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Counts:
    """Per-example counts of one score: language → ids and counts (examples, k), with the metric's value function."""

    by_language: dict[str, tuple[np.ndarray, np.ndarray]]
    value: Callable[[np.ndarray], np.ndarray]

    def only(self, languages) -> Counts:
        """The same for some languages."""
        return Counts({x: self.by_language[x] for x in languages}, self.value)

    def mean(self) -> float:
        """Plain mean over languages, in percent."""
        return float(np.mean([self.value(c.sum(axis=0)) for _, c in self.by_language.values()]))


def resampled(counts: Counts, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Bootstrap values per language.

    Returns
    -------
    ndarray (resamples, languages)
        Row ``b`` uses the same draw of example ids for every language and every ``Counts`` with the same ids and seed.
    """
    ids = sorted({i for names, _ in counts.by_language.values() for i in names})
    place = {name: i for i, name in enumerate(ids)}
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=resamples).astype(np.float32)
    columns = []
    for names, c in counts.by_language.values():
        where = np.fromiter((place[n] for n in names), np.int64, len(names))
        # a sum of counts may be empty in a resample of a small language: value() guards against 0 / 0
        columns.append(counts.value(weights[:, where] @ c.astype(np.float32)))
    return np.stack(columns, axis=1)


def interval(
    counts: Counts, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over languages with its bootstrap interval over examples: (value, low, high)."""
    low, high = np.quantile(resampled(counts, resamples, seed).mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return counts.mean(), float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """A difference in points with its interval; ``how`` is ``t over n seeds`` or ``examples only``."""

    value: float
    low: float
    high: float
    p: float
    how: str


def paired_bootstrap(
    first: Counts, second: Counts, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """First minus second, mean over languages, on the same examples."""
    d = resampled(first, resamples, seed).mean(axis=1) - resampled(second, resamples, seed).mean(axis=1)
    low, high = np.quantile(d, [(1 - level) / 2, (1 + level) / 2])
    p = min(1.0, 2 * (1 + min((d <= 0).sum(), (d >= 0).sum())) / (resamples + 1))
    return Difference(first.mean() - second.mean(), float(low), float(high), float(p), "examples only")


def over_seeds(differences: np.ndarray, level: float = 0.95) -> Difference:
    """t interval on per-seed paired differences.

    Raises
    ------
    ValueError
        With fewer than three seeds: the interval would be wider than anything it could tell.
    """
    from scipy import stats

    n = len(differences)
    if n < 3:
        raise ValueError(f"a t interval needs at least three seeds, not {n}")
    mean, error = float(np.mean(differences)), float(stats.sem(differences))
    if error == 0:
        return Difference(mean, mean, mean, float(mean == 0), f"t over {n} seeds")
    low, high = stats.t.interval(level, n - 1, mean, error)
    return Difference(
        mean, float(low), float(high), float(stats.ttest_1samp(differences, 0).pvalue), f"t over {n} seeds"
    )


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p values that control the false-discovery rate over a table."""
    from scipy.stats import false_discovery_control

    return false_discovery_control(p) if len(p) else np.asarray(p, float)


def overlap_free(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether two intervals have no point in common."""
    return first[1] < second[0] or second[1] < first[0]
