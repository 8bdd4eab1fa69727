"""Intervals and paired tests on stored predictions.

With three or more seeds a t interval on the per-seed differences; with fewer, a paired bootstrap over examples, which
compares two checkpoints and says so (``examples only``). Examples with the same id are resampled together in every
language: parallel test sets hold the same sentence many times. :mod:`xitt.simulation` checks all of it on made-up data.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from .errors import ParameterError

RESAMPLES = 2000
LEVEL = 0.95
MEMORY = 2**27  # bytes for the weights of one block of resamples
TAIL = 10  # with fewer resamples beyond zero a p value comes from a t distribution
FREEDOM = 100  # its degrees of freedom: on the safe side for test sets of 200 examples and more


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


# --- the bootstrap over examples -----------------------------------------------------------------------------------
def resampled(counts: Counts, resamples: int = RESAMPLES, seed: int = 0, memory: int = MEMORY) -> np.ndarray:
    """Bootstrap values per language.

    Languages that share ids, directly or through others, are drawn together; the rest are strata of their own. A resample is a row
    of weights (how often each example was drawn), so that all sums come from one matrix product per block of resamples.

    Parameters
    ----------
    memory : int
        Bytes for the weights of a block; it changes nothing but the time.

    Returns
    -------
    ndarray (resamples, languages)
        Row ``b`` uses the same draw of example ids for every language and every ``Counts`` with the same ids and seed.
    """
    values = np.empty((resamples, len(counts.by_language)))
    column = {key: i for i, key in enumerate(counts.by_language)}
    for ids, keys in _strata(counts):
        matrix, columns = _stacked(counts, ids, keys)
        rng = np.random.default_rng([seed, zlib.crc32("\n".join(map(str, ids)).encode())])
        first = 0
        for weights in draws(len(ids), resamples, rng, memory):
            sums = weights @ matrix
            last = first + len(weights)
            for key, place in columns.items():
                # a sum of counts may be empty in a resample of a small language: value() guards against 0 / 0
                values[first:last, column[key]] = counts.value(sums[:, place])
            first = last
    return values


def draws(examples: int, resamples: int, rng: np.random.Generator, memory: int = MEMORY) -> Iterator[np.ndarray]:
    """Blocks (rows, examples) of float32 weights: how often each example is in a resample of the same size."""
    rows = max(1, min(resamples, memory // (20 * examples)))  # 8 bytes of index, 8 of count, 4 of weight
    for first in range(0, resamples, rows):
        n = min(rows, resamples - first)
        # counting drawn indices is ten times as fast as rng.multinomial, which draws a binomial for every example
        drawn = rng.integers(examples, size=(n, examples)) + examples * np.arange(n)[:, None]
        counted = np.bincount(drawn.ravel(), minlength=n * examples)
        yield counted.reshape(n, examples).astype(np.float32)


def _strata(counts: Counts) -> list[tuple[dict, list]]:
    """Languages that share ids, as (id → place, languages); in the order of their first language."""
    known: dict[
        tuple, list[tuple[np.ndarray, int]]
    ] = {}  # ids seen before: most languages and models repeat them exactly
    owner: dict = {}
    parent: list[int] = []

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    stratum = {}
    for key, (names, _) in counts.by_language.items():
        alike = known.setdefault((len(names), *names[:1], *names[-1:]), [])
        same = next((s for ids, s in alike if _equal(ids, names)), None)
        if same is None:
            same = len(parent)
            parent.append(same)
            for touched in {root(owner[name]) for name in names if name in owner}:
                parent[touched] = same
            owner.update((name, same) for name in names if name not in owner)
            alike.append((names, same))
        stratum[key] = same
    members: dict[int, list] = {}
    for key, s in stratum.items():
        members.setdefault(root(s), []).append(key)
    places: dict[int, list] = {r: [] for r in members}
    for name, s in owner.items():
        places[root(s)].append(name)
    return [({name: i for i, name in enumerate(sorted(places[r]))}, keys) for r, keys in members.items()]


def _stacked(counts: Counts, ids: dict, keys: list) -> tuple[np.ndarray, dict]:
    """Counts of languages side by side, one row per id (zeros where a language lacks it), and each language's columns.

    Ids are unique within a language (``xitt.checks``).
    """
    widths = [counts.by_language[key][1].shape[1] for key in keys]
    matrix = np.zeros((len(ids), sum(widths)), np.float32)
    columns, begin, where, before = {}, 0, None, None
    for key, width in zip(keys, widths, strict=True):
        names, c = counts.by_language[key]
        if before is None or not _equal(before, names):
            where, before = np.fromiter((ids[n] for n in names), np.int64, len(names)), names
        columns[key] = slice(begin, begin + width)
        matrix[where, columns[key]] = c
        begin += width
    return matrix, columns


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    return first is second or np.array_equal(first, second)


def interval(
    counts: Counts, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over languages with its bootstrap interval over examples: (value, low, high)."""
    low, high = np.quantile(resampled(counts, resamples, seed).mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return counts.mean(), float(low), float(high)


# --- differences ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Difference:
    """A difference in points with its interval; ``how`` is ``t over n seeds`` or ``examples only``.

    ``error`` is its standard error and ``runs`` the number of seeds behind it.
    """

    value: float
    low: float
    high: float
    p: float
    how: str
    error: float = float("nan")
    runs: int = 1


def paired_bootstrap(
    first: Counts, second: Counts, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """First minus second, mean over languages, on the same examples."""
    sides = {0: first, 1: second}
    # together, so that both have the same draws even where one has an id that the other lacks (mined pairs)
    both = Counts({(s, x): c for s, side in sides.items() for x, c in side.by_language.items()}, first.value)
    values = resampled(both, resamples, seed)
    n = len(first.by_language)
    return of_draws(first.mean() - second.mean(), values[:, :n].mean(axis=1) - values[:, n:].mean(axis=1), level)


def of_draws(value: float, drawn: np.ndarray, level: float = LEVEL, runs: int = 1) -> Difference:
    """A difference from its bootstrap values ``drawn``: percentile interval, and p value by :func:`p_of_draws`."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    p, error = float(p_of_draws(value, drawn)), float(np.std(drawn, ddof=1))
    return Difference(float(value), float(low), float(high), p, "examples only", error, runs)


def p_of_draws(value, drawn: np.ndarray) -> np.ndarray:
    """Two-sided p values of differences from their bootstrap values.

    Resamples resolve no p value below 2 / (resamples + 1), too coarse for the correction of a table of a hundred cells; where fewer
    than :data:`TAIL` of them lie beyond zero, p is that of a t distribution (:data:`FREEDOM`) with their standard error.

    Parameters
    ----------
    value : float or ndarray (...)
    drawn : ndarray (resamples, ...)
    """
    from scipy.special import stdtr

    beyond = np.minimum((drawn <= 0).sum(axis=0), (drawn >= 0).sum(axis=0))
    p = np.minimum(1.0, 2 * (1 + beyond) / (len(drawn) + 1))
    error = np.std(drawn, axis=0, ddof=1)
    tail = 2 * stdtr(FREEDOM, -np.abs(value) / np.where(error > 0, error, 1))
    return np.where((beyond < TAIL) & (error > 0), np.minimum(p, tail), p)


def over_seeds(differences: np.ndarray, level: float = LEVEL) -> Difference:
    """t interval on per-seed paired differences.

    Raises
    ------
    ValueError
        With fewer than three seeds: the interval would be wider than anything it could tell.
    """
    n = len(differences)
    if n < 3:
        raise ValueError(f"a t interval needs at least three seeds, not {n}")
    mean, low, high, p, error = map(float, t_test(differences, level))
    return Difference(mean, low, high, p, f"t over {n} seeds", error, n)


def t_test(differences: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, ...]:
    """Mean, interval (low, high), two-sided p and standard error of differences (..., seeds); equal ones leave no doubt."""
    from scipy.special import stdtr, stdtrit

    d = np.asarray(differences, float)
    n = d.shape[-1]
    mean, error = d.mean(axis=-1), d.std(axis=-1, ddof=1) / np.sqrt(n)
    half = stdtrit(n - 1, (1 + level) / 2) * error
    shift = np.abs(mean) / np.where(error > 0, error, 1)
    p = np.where(error > 0, 2 * stdtr(n - 1, -shift), mean == 0)
    return mean, mean - half, mean + half, p, error


# --- accuracy: McNemar -----------------------------------------------------------------------------------------------
def mcnemar(first_only, second_only) -> tuple[np.ndarray, np.ndarray]:
    """McNemar's test from the discordant pairs: examples that only the first, or only the second model has right.

    Returns
    -------
    tuple of ndarray
        Two-sided exact p, and mid-p (Fagerland, Lydersen and Laake 2013), which is less conservative: the binomial tail counts half of
        what was observed. Both are 1 where no example is discordant.
    """
    from scipy.stats import binom

    b, c = np.asarray(first_only, int), np.asarray(second_only, int)
    fewer, both = np.minimum(b, c), b + c
    tail, at = binom.cdf(fewer, both, 0.5), binom.pmf(fewer, both, 0.5)
    return np.minimum(1.0, 2 * tail), np.minimum(1.0, 2 * tail - at)


def discordant(first: Counts, second: Counts) -> dict[str, tuple[int, int]]:
    """By language: how many examples only the first has right, and how many only the second; matched by id.

    One test per language (:func:`mcnemar`): in a parallel test set the same sentence comes back in every language.

    Raises
    ------
    ParameterError
        If a score is not one of right and wrong (accuracy, exact match), or the two have no example in common.
    """
    found = {}
    for language in [x for x in first.by_language if x in second.by_language]:
        sides = [_right(c.by_language[language], language) for c in (first, second)]
        common = sides[0].keys() & sides[1].keys()
        if not common:
            raise ParameterError(f"McNemar's test, language {language}: the two runs have no example id in common")
        a, b = (np.array([side[i] for i in common]) for side in sides)
        found[language] = (int((a & ~b).sum()), int((b & ~a).sum()))
    return found


def _right(part: tuple[np.ndarray, np.ndarray], language: str) -> dict:
    ids, c = part
    if c.shape[1] != 2 or not np.isin(c[:, 0], (0, 1)).all() or not (c[:, 1] == 1).all():
        raise ParameterError(f"McNemar's test, language {language}: it takes scores of right and wrong, as accuracy is")
    return dict(zip(ids, c[:, 0] == 1, strict=True))


# --- many tests, and what they could have found --------------------------------------------------------------------
def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p values that control the false-discovery rate over a table."""
    from scipy.stats import false_discovery_control

    return false_discovery_control(p) if len(p) else np.asarray(p, float)


def power(effect: float, error: float, runs: int = 1, level: float = LEVEL) -> float:
    """Probability that a test at this level finds an effect of this size (0–1).

    Parameters
    ----------
    effect, error : float
        True difference and standard error of its estimate, in points.
    runs : int
        Seeds: from three on the t test over seeds, below that a normal test over examples.
    """
    from scipy import stats

    if not error > 0:
        return float("nan") if np.isnan(error) else float(effect != 0)
    shift = abs(effect) / error
    if runs < 3:
        cut = stats.norm.isf((1 - level) / 2)
        return float(stats.norm.sf(cut - shift) + stats.norm.cdf(-cut - shift))
    cut = spreads(runs) * stats.t.isf((1 - level) / 2, runs - 1)
    return float(np.mean(stats.norm.sf(cut - shift) + stats.norm.cdf(-cut - shift)))


@cache
def spreads(runs: int, points: int = 10_000) -> np.ndarray:
    """Standard deviations that so many runs show where the true one is 1, each equally likely: what a t test is averaged over."""
    from scipy import stats

    return np.sqrt(stats.chi2.ppf((np.arange(points) + 0.5) / points, runs - 1) / (runs - 1))


def detectable(error: float, runs: int = 1, wanted: float = 0.8, level: float = LEVEL) -> float:
    """Minimum detectable effect in points: the true difference that the test finds with this probability."""
    from scipy.optimize import brentq

    if not error > 0:
        return float(error)
    return float(error * brentq(lambda shift: power(shift, 1.0, runs, level) - wanted, 1e-6, 30.0))
