"""Do the intervals and tests hold what they say? Experiments on made-up data whose truth is known.

Each experiment is repeated a thousand times or more: the share of 95 % intervals that hold the truth should lie between 93 and 97 %, and
of the discoveries in a table no more than the nominal rate should be false. All repetitions are computed at once; they share the
draws of the bootstrap, which leaves each of them as it would be alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import stats
from .metrics import METRICS

RUNS, EXAMPLES, RESAMPLES, CELLS = 1000, 200, 1000, 81
NOMINAL = 5.0  # percent of false discoveries, and of false alarms of one test


def report(runs: int = RUNS, examples: int = EXAMPLES, seed: int = 0) -> pd.DataFrame:
    """All experiments, one row each.

    Parameters
    ----------
    runs, examples : int
        Repetitions, and examples per test set.

    Returns
    -------
    DataFrame
        ``experiment, measured, wanted, observed, error, holds``: percentages; ``error`` is the Monte Carlo standard error, ``holds``
        whether what was observed is within what is wanted and two errors (empty for experiments that show a method not to use).
    """
    rng = np.random.default_rng(seed)
    rows = [
        *_coverage_rows(runs, examples, rng),
        *_seed_rows(runs, rng),
        *_false_alarm_rows(runs, examples, rng),
    ]
    frame = pd.DataFrame(rows, columns=["experiment", "measured", "wanted", "observed"])
    share = frame["observed"] / 100
    frame["error"] = 100 * np.sqrt(share * (1 - share) / runs)
    frame["holds"] = [
        _holds(*row) for row in frame[["measured", "wanted", "observed", "error"]].itertuples(index=False)
    ]
    return frame


def _holds(measured: str, wanted: str, observed: float, error: float) -> str:
    if not wanted:
        return ""
    limits = (93 - 2 * error, 97 + 2 * error) if measured == "coverage" else (0.0, NOMINAL + 2 * error)
    return "yes" if limits[0] <= observed <= limits[1] else "no"


# --- coverage of the bootstrap over examples -----------------------------------------------------------------------
def _coverage_rows(runs: int, examples: int, rng) -> list[tuple]:
    wanted = "93 to 97"
    accuracy = bootstrap_coverage(*accuracies(runs, examples, rng))
    languages = bootstrap_coverage(*parallel_languages(runs, examples, rng))
    chunks = bootstrap_coverage(*chunk_scores(runs, examples, rng), value=METRICS["tag", "f1"].value)
    answers = bootstrap_coverage(*answer_scores(runs, examples, rng))
    return [
        ("accuracy, difference of two models: bootstrap", "coverage", wanted, accuracy),
        ("accuracy, mean of 8 parallel languages: bootstrap", "coverage", wanted, languages),
        ("chunk F1, difference of two models: bootstrap", "coverage", wanted, chunks),
        ("answer F1, difference of two models: bootstrap", "coverage", wanted, answers),
    ]


def bootstrap_coverage(first, second, truth: float, value=METRICS["classify", "accuracy"].value) -> float:
    """Percentage of repetitions whose paired bootstrap interval holds the true difference.

    Parameters
    ----------
    first, second : ndarray (runs, languages, examples, k)
        Counts of two models on the same examples.
    truth : float
        True difference in points.
    """
    runs, languages = first.shape[:2]
    sides = {0: first, 1: second}
    counts = stats.Counts(
        {(s, r, x): (_ids(first.shape[2]), side[r, x]) for s, side in sides.items() for r in range(runs) for x in range(languages)},
        value,
    )  # fmt: skip
    drawn = stats.resampled(counts, RESAMPLES).reshape(RESAMPLES, 2, runs, languages).mean(axis=3)
    low, high = np.quantile(drawn[:, 0] - drawn[:, 1], [0.025, 0.975], axis=0)
    return float(100 * np.mean((low <= truth) & (truth <= high)))


def _ids(examples: int) -> np.ndarray:
    return _IDS.setdefault(examples, np.array([str(i) for i in range(examples)], object))


_IDS: dict[int, np.ndarray] = {}


def _counted(right: np.ndarray) -> np.ndarray:
    return np.stack([right, np.ones(right.shape)], axis=-1).astype(np.float32)


def accuracies(runs: int, examples: int, rng, better: float = 0.1) -> tuple[np.ndarray, np.ndarray, float]:
    """Two models, the first right more often, on examples of different difficulty."""
    easy = rng.beta(4, 2, size=(runs, 1, examples))
    first, second = (rng.random(easy.shape) < p for p in (easy + better * (1 - easy), easy))
    return _counted(first), _counted(second), 100 * better * 2 / 6  # the mean of 1 - easy is 2/6


def parallel_languages(runs: int, examples: int, rng, languages: int = 8) -> tuple[np.ndarray, np.ndarray, float]:
    """The same easy and hard sentences in every language; the first model gains on the hard ones alone."""
    hard = rng.random((runs, 1, examples)) < 0.5
    chance = rng.random((2, runs, languages, examples))
    return _counted(chance[0] < np.where(hard, 0.5, 0.9)), _counted(chance[1] < np.where(hard, 0.3, 0.9)), 10.0


def chunk_scores(runs: int, examples: int, rng) -> tuple[np.ndarray, np.ndarray, float]:
    """Chunks right, predicted and in gold per sentence; long sentences have more of each, and a model finds 75 or 70 % of them."""
    shape = (runs, 1, examples)
    gold = rng.integers(0, 7, shape)
    sides = []
    for found in (0.75, 0.70):
        right = rng.binomial(gold, found)
        predicted = right + rng.binomial(gold, 0.2)
        sides.append(np.stack([right, predicted, gold], axis=-1).astype(np.float32))
    # with E[gold] = 3: F1 = 2 * found / (found + 0.2 + 1)
    truth = 200 * (0.75 / (0.75 + 0.2 + 1) - 0.70 / (0.70 + 0.2 + 1))
    return sides[0], sides[1], truth


def answer_scores(runs: int, examples: int, rng) -> tuple[np.ndarray, np.ndarray, float]:
    """Answer F1 per question: much at 0 and at 1, some between."""
    shape = (runs, 1, examples)
    sides = []
    for exact in (0.55, 0.45):
        kind, between = rng.random(shape), rng.beta(2, 2, shape)
        score = np.where(kind < exact, 1.0, np.where(kind < exact + 0.2, between, 0.0))
        sides.append(_counted(score))
    return sides[0], sides[1], 10.0


# --- seeds ---------------------------------------------------------------------------------------------------------
def _seed_rows(runs: int, rng) -> list[tuple]:
    rows = [(f"difference over {n} seeds: t", "coverage", "93 to 97", seed_coverage(runs, n, rng)) for n in (3, 5)]
    rows += [
        (f"difference over {n} seeds: bootstrap of the seeds (not used)", "coverage", "", seed_coverage(runs, n, rng, "bootstrap"))
        for n in (2, 3, 5)
    ]  # fmt: skip
    return rows


def seed_coverage(runs: int, seeds: int, rng, method: str = "t") -> float:
    """Percentage of repetitions whose interval over seeds holds the true difference, where seeds are all that varies."""
    truth = 1.0
    d = truth + rng.standard_normal((runs, seeds))
    if method == "t":
        _, low, high, _, _ = stats.t_test(d)
        return float(100 * np.mean((low <= truth) & (truth <= high)))
    drawn = d[:, rng.integers(seeds, size=(RESAMPLES, seeds))].mean(axis=2)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    return float(100 * np.mean((low <= truth) & (truth <= high)))


# --- false alarms --------------------------------------------------------------------------------------------------
def _false_alarm_rows(runs: int, examples: int, rng) -> list[tuple]:
    rate = f"at most {NOMINAL:g}"
    return [
        ("accuracy of equal models: McNemar, mid-p", "false alarms", rate, mcnemar_alarms(runs, examples, rng)),
        (f"table of {CELLS} cells without any effect: t over 3 seeds", "false discoveries", rate, seed_discoveries(runs, rng, 0)),
        (f"table of {CELLS} cells, 27 with an effect: t over 3 seeds", "false discoveries", rate, seed_discoveries(runs, rng, 27)),
        (f"table of {CELLS} cells without any effect: bootstrap", "false discoveries", rate, example_discoveries(runs, examples, rng, 0)),
        (f"table of {CELLS} cells, 27 with an effect: bootstrap", "false discoveries", rate, example_discoveries(runs, examples, rng, 27)),
    ]  # fmt: skip


def mcnemar_alarms(runs: int, examples: int, rng) -> float:
    """Percentage of repetitions in which two equally good models differ at p < 0.05."""
    easy = rng.beta(4, 2, size=(runs, examples))
    first, second = rng.random(easy.shape) < easy, rng.random(easy.shape) < easy
    _, p = stats.mcnemar((first & ~second).sum(axis=1), (second & ~first).sum(axis=1))
    return float(100 * np.mean(p < 0.05))


def false_share(p: np.ndarray, real: int) -> float:
    """Mean percentage of false among the discoveries of tables, after Benjamini–Hochberg over each; the first cells are real.

    Parameters
    ----------
    p : ndarray (tables, cells)
    """
    found = np.array([stats.benjamini_hochberg(x) < NOMINAL / 100 for x in p])
    return float(100 * np.mean(found[:, real:].sum(axis=1) / np.maximum(found.sum(axis=1), 1)))


def seed_discoveries(runs: int, rng, real: int, seeds: int = 3) -> float:
    """False discoveries of tables tested by t over seeds; real effects are ten times the spread."""
    d = rng.standard_normal((runs, CELLS, seeds))
    d[:, :real] += 10
    return false_share(stats.t_test(d)[3], real)


def example_discoveries(runs: int, examples: int, rng, real: int, block: int = 50) -> float:
    """False discoveries of tables tested by the paired bootstrap over examples; real effects are 15 points."""
    found = []
    for first in range(0, runs, block):
        n = min(block, runs - first)
        gain = np.where(np.arange(CELLS) < real, 15.0, 0.0)[:, None] / 100
        chance = rng.random((2, n, CELLS, examples))
        d = 100 * ((chance[0] < 0.6 + gain).astype(np.float32) - (chance[1] < 0.6)).reshape(-1, examples)
        weights = np.concatenate(list(stats.draws(examples, RESAMPLES, rng)))
        drawn = (weights @ d.T) / examples
        found.append(stats.p_of_draws(d.mean(axis=1), drawn).reshape(n, CELLS))
    return false_share(np.concatenate(found), real)


def sentence(checks: pd.DataFrame) -> str:
    """What the experiments show, written from their numbers."""
    tested = checks[checks["holds"] != ""]
    covered, alarms = tested[tested["measured"] == "coverage"], tested[tested["measured"] != "coverage"]
    text = (
        f"{(tested['holds'] == 'yes').sum()} of {len(tested)} experiments gave what they should: intervals hold the truth in "
        f"{covered['observed'].min():.1f} to {covered['observed'].max():.1f} % of the repetitions; false alarms of a test and false "
        f"discoveries in a table come to {alarms['observed'].min():.1f} to {alarms['observed'].max():.1f} %."
    )
    seeds = checks[checks["holds"] == ""]
    return (
        text
        + f" A bootstrap of two to five seeds holds it in {seeds['observed'].min():.0f} to {seeds['observed'].max():.0f} %."
    )
