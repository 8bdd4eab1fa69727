"""Whether the gain of intermediate training survives text that mixes languages (design ``code_mixed``).

Each mixed test set is compared with the same task unmixed, on the same examples and with the same weights: ``xnli_cross`` in ``en-de``
with XNLI in English and in German, ``xnli_mixed50`` in ``de+en`` with XNLI in German, a code-switching treebank with UD POS in the
languages that it switches between (other sentences then). What counts is the difference of two changes: how much less, or more, a recipe
gains over ``none`` where languages mix. Intervals are of :mod:`xitt.stats`: over seeds from three on, else over examples, drawn together.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from . import languages, stats
from .differences import counts, mean_difference, resampled, task_metrics
from .matrix import NINE
from .metrics import METRICS
from .study import Study
from .tasks import Task

DESIGN = "code_mixed"
#: layout of a set → how it mixes
KINDS = {
    "crossed": "between sentences",
    "switched": "within sentences",
    "mixed": "within sentences",
    "romanised": "in Latin letters",
}
MIXING = ("between sentences", "within sentences")  # Latin letters alone mix no languages
PARALLEL = ("crossed", "switched", "romanised")  # made of the examples that they are compared with
COLUMNS = (
    "recipe", "target", "kind", "rate", "examples", "mixed", "mixed none", "change", "low", "high", "p", "q",
    "plain", "plain none", "plain change", "plain low", "plain high", "kept", "kept low", "kept high", "kept p", "kept q", "how",
)  # fmt: skip
NAN = float("nan")


def rows(study: Study) -> tuple[str, ...]:
    """Recipes of the design, ``none`` first; those of the study where it has no such design."""
    return study.grids[DESIGN][0] if DESIGN in study.grids else study.intermediates


def targets(study: Study) -> tuple[str, ...]:
    """Targets of the design (of the study where it has none) whose text mixes languages."""
    named = study.grids[DESIGN][1] if DESIGN in study.grids else study.targets
    return tuple(t for t in named if study.tasks[t].source.layout in KINDS)


def unmixed(row: Task, language: str, there: Iterable[str]) -> tuple[str, ...]:
    """Languages of the unmixed task that a mixed one is compared with: the matrix language where words are switched, else all it names.

    Examples
    --------
    >>> from xitt.tasks import TASKS
    >>> unmixed(TASKS["xnli_cross"], "en-de", ["de", "en"]), unmixed(TASKS["xnli_mixed50"], "de+en", ["de", "en"])
    (('en', 'de'), ('de',))
    """
    named = languages.spoken(language)
    return tuple(x for x in (named[:1] if row.source.layout == "switched" else named) if x in there)


# --- scores, drawn together ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Scores:
    """Scores of one set and of its task unmixed, mean over languages, in percent.

    Attributes
    ----------
    value, drawn : dict
        (recipe, side, seed) → score, and → its resamples, ndarray (resamples,); ``side`` is ``mixed`` or ``plain``.
    examples : int
        Of the mixed set, over its languages.
    """

    value: dict[tuple[str, str, int], float]
    drawn: dict[tuple[str, str, int], np.ndarray]
    examples: int

    def seeds(self, *keys: tuple[str, str]) -> list[int]:
        """Seeds that all of some (recipe, side) have."""
        held = [{s for r, side, s in self.value if (r, side) == key} for key in keys]
        return sorted(set.intersection(*held)) if held else []

    def mean(self, recipe: str, side: str) -> float:
        """Mean over the seeds that are there."""
        found = [self.value[recipe, side, s] for s in self.seeds((recipe, side))]
        return float(np.mean(found)) if found else NAN


Terms = list[tuple[float, Scores, str, str]]


def effect(terms: Terms) -> stats.Difference | None:
    """A weighted sum of scores with its interval; ``None`` where no seed has all of them.

    Parameters
    ----------
    terms : list of (weight, Scores, recipe, side)
    """
    per = [set(s.seeds((recipe, side))) for _, s, recipe, side in terms]
    seeds = sorted(set.intersection(*per)) if per else []
    if not seeds:
        return None

    def total(get: Callable) -> np.ndarray:
        return np.array([sum(w * get(s)[recipe, side, seed] for w, s, recipe, side in terms) for seed in seeds])

    each = total(lambda s: s.value)
    if len(seeds) >= 3:
        return stats.over_seeds(each)
    return stats.of_draws(float(each.mean()), total(lambda s: s.drawn).mean(axis=0), runs=len(seeds))


@dataclass
class Book:
    """Scores of a study's mixed sets, made once."""

    study: Study
    _made: dict[str, Scores] = field(default_factory=dict)

    def scores(self, target: str) -> Scores:
        """Scores of one set under every recipe of the design that has them."""
        if target not in self._made:
            self._made[target] = _scores(self.study, target, rows(self.study))
        return self._made[target]

    def sets(self) -> list[str]:
        """Targets that have scores under ``none``."""
        return [t for t in targets(self.study) if self.scores(t).seeds(("none", "mixed"))]

    def recipes(self) -> list[str]:
        """Recipes beside ``none`` that have scores on some set."""
        return [
            r for r in rows(self.study) if r != "none" and any(self.scores(t).seeds((r, "mixed")) for t in self.sets())
        ]


def _scores(study: Study, target: str, recipes: Iterable[str]) -> Scores:
    row, parts, sides, examples = study.tasks[target], {}, {}, 0
    for recipe in recipes:
        for seed in study.seeds:
            mixed = counts(study, recipe, target, seed)
            if mixed is None:
                continue
            plain = counts(study, recipe, row.source.of, seed) if row.source.of else None
            made = _sides(row, mixed, plain)
            parts |= {(recipe, seed, *key): c for key, c in made.items()}
            for side in {key[0] for key in made}:
                codes = dict.fromkeys(x for s, x, _ in made if s == side)
                sides[recipe, side, seed] = [[(recipe, seed, *k) for k in made if k[:2] == (side, x)] for x in codes]
            examples = sum(len(ids) for ids, _ in mixed.by_language.values())
    if not parts:
        return Scores({}, {}, 0)
    joined = stats.Counts(parts, METRICS[row.kind, row.metrics[0]].value)
    # the seed is that of the unmixed task: sets made of the same examples draw the same ones, and can be averaged with one another
    drawn = stats.resampled(joined, seed=zlib.crc32((row.source.of or target).encode()))
    values = {key: drawn[:, i] for i, key in enumerate(parts)}
    point = {key: float(joined.value(c.sum(axis=0))) for key, (_, c) in parts.items()}
    return Scores(
        {key: float(_mean(point, codes)) for key, codes in sides.items()},
        {key: _mean(values, codes) for key, codes in sides.items()},
        examples,
    )


def _mean(values: dict, codes: list[list[tuple]]) -> np.ndarray:
    """Mean over codes, each the mean over the languages that stand for it."""
    return np.mean([np.mean([values[k] for k in keys], axis=0) for keys in codes], axis=0)


def _sides(row: Task, mixed: stats.Counts, plain: stats.Counts | None) -> dict[tuple, tuple[np.ndarray, np.ndarray]]:
    """Counts by (side, code, language): of the mixed set, and of the unmixed task for each code, on the same examples where it has them."""
    found = {("mixed", x, x): c for x, c in mixed.by_language.items()}
    for x, (ids, _) in mixed.by_language.items() if plain else ():
        for y in unmixed(row, x, plain.by_language):
            names, c = plain.by_language[y]
            if row.source.layout in PARALLEL:
                same = np.isin(names, ids)
                names, c = names[same], c[same]
            else:  # other sentences, drawn by themselves
                names = np.array([f"{y}:{n}" for n in names])
            if len(names):
                found["plain", x, y] = (names, c)
    return found


# --- tables ----------------------------------------------------------------------------------------------------------
def table(book: Book) -> pd.DataFrame:
    """Every mixed set under every recipe: what it changes there, what it changes unmixed, and the difference of the two.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`. Scores in percent (mean over codes and seeds, main metric); ``change`` and ``plain change`` against ``none`` and
        ``kept``, the former minus the latter, in points with 95 % intervals; ``q`` and ``kept q`` are Benjamini-Hochberg over the table. A
        set without an unmixed counterpart (SentiMix) has blanks.
    """
    made = []
    for target in book.sets():
        row, s = book.study.tasks[target], book.scores(target)
        for recipe in book.recipes():
            mixed = effect([(1, s, recipe, "mixed"), (-1, s, "none", "mixed")])
            if mixed is None:
                continue
            plain = effect([(1, s, recipe, "plain"), (-1, s, "none", "plain")])
            kept = effect(
                [(1, s, recipe, "mixed"), (-1, s, "none", "mixed"), (-1, s, recipe, "plain"), (1, s, "none", "plain")]
            )
            made.append((
                recipe, target, KINDS[row.source.layout], row.source.rate, s.examples, s.mean(recipe, "mixed"), s.mean("none", "mixed"),
                *_numbers(mixed), NAN, s.mean(recipe, "plain"), s.mean("none", "plain"), *_numbers(plain)[:3], *_numbers(kept), NAN, mixed.how,
            ))  # fmt: skip
    frame = pd.DataFrame(made, columns=list(COLUMNS))
    for p, q in (("p", "q"), ("kept p", "kept q")):
        known = frame[p].notna()
        frame.loc[known, q] = stats.benjamini_hochberg(frame.loc[known, p].to_numpy(float))
    return frame


def _numbers(d: stats.Difference | None) -> tuple[float, float, float, float]:
    return (NAN,) * 4 if d is None else (d.value, d.low, d.high, d.p)


def curve(book: Book) -> pd.DataFrame:
    """Scores by the percentage of content words that switch, 0 being the unmixed task in the same matrix languages and on the same examples.

    Returns
    -------
    DataFrame
        ``task, recipe, rate, value, low, high, change, change low, change high``: in percent and points, with 95 % intervals.
    """
    made = []
    switched = [t for t in book.sets() if book.study.tasks[t].source.layout == "switched"]
    for of in dict.fromkeys(book.study.tasks[t].source.of for t in switched):
        own = sorted(
            (t for t in switched if book.study.tasks[t].source.of == of), key=lambda t: book.study.tasks[t].source.rate
        )
        points = [(0, own[0], "plain"), *((book.study.tasks[t].source.rate, t, "mixed") for t in own)]
        for recipe in ("none", *book.recipes()):
            for rate, target, side in points:
                s = book.scores(target)
                value, change = effect([(1, s, recipe, side)]), effect([(1, s, recipe, side), (-1, s, "none", side)])
                if value:
                    made.append(
                        (of, recipe, rate, *_numbers(value)[:3], *_numbers(change if recipe != "none" else None)[:3])
                    )
    names = ["task", "recipe", "rate", "value", "low", "high", "change", "change low", "change high"]
    return pd.DataFrame(made, columns=names)


def beside(book: Book) -> pd.DataFrame:
    """Mean change of each recipe by kind of mixing, and on XTREME's tasks that the study has: a gain here and a loss there stand in one row.

    Returns
    -------
    DataFrame
        ``recipe, on, sets, change, low, high, p, how, score, none``; ``on`` is a kind of :data:`KINDS`, ``all mixed`` (:data:`MIXING`) or
        ``XTREME``, which alone has the last two: scores in percent of the recipe and of ``none``. Tasks of XTREME count by their task score
        (``xitt.differences.task_metrics``), mixed sets by their main metric.
    """
    made, study = [], book.study
    kinds = {t: KINDS[study.tasks[t].source.layout] for t in book.sets()}
    for recipe in book.recipes():
        for name in (*dict.fromkeys(kinds.values()), "all mixed"):
            own = [t for t, kind in kinds.items() if kind == name or (name == "all mixed" and kind in MIXING)]
            if d := mean_change(book, recipe, own):
                made.append((recipe, name, len(own), *_numbers(d), d.how, NAN, NAN))
        here = [t for t in study.targets_of(recipe) if t in NINE and _scored(study, t, ("none", recipe))]
        if here and (d := mean_difference(study, recipe, here)):
            both = (_task_mean(study, here, r) for r in (recipe, "none"))
            made.append((recipe, "XTREME", len(here), *_numbers(d), d.how, *both))
    names = ["recipe", "on", "sets", "change", "low", "high", "p", "how", "score", "none"]
    return pd.DataFrame(made, columns=names)


def _task_mean(study: Study, targets: Iterable[str], recipe: str) -> float:
    """Mean over targets of a recipe's task score, in percent, mean over seeds."""
    return float(np.mean([resampled(study, t, task_metrics(study.tasks[t])).mean(recipe) for t in targets]))


def _scored(study: Study, target: str, recipes: Iterable[str]) -> bool:
    """Whether all of some recipes have scores of a target, with one seed at least."""
    return all(any(counts(study, r, target, s) is not None for s in study.seeds) for r in recipes)


def mean_change(book: Book, recipe: str, sets: Iterable[str], of: str = "mixed") -> stats.Difference | None:
    """Mean over sets of the change against ``none``; ``None`` where one is missing.

    Parameters
    ----------
    of : str
        ``mixed``, ``plain`` (the same tasks unmixed) or ``kept``, the former minus the latter.
    """
    held = [book.scores(t) for t in sets]
    sides = {"mixed": {"mixed": 1}, "plain": {"plain": 1}, "kept": {"mixed": 1, "plain": -1}}[of]
    signs = [(sign * s, r, side) for side, s in sides.items() for sign, r in ((1, recipe), (-1, "none"))]
    return effect([(sign / len(held), s, r, side) for s in held for sign, r, side in signs])


def measured(study: Study, sentences: int = 60) -> pd.DataFrame:
    """How mixed the switched sets of the pocket are: ``rate``, share of all words that switched and code-mixing index, by pair.

    Returns
    -------
    DataFrame
        ``task, pair, rate, switched, index``, both in percent; empty where no words are switched by a grammar.
    """
    from . import data
    from .pocket import mixing

    made = []
    for target in targets(study):
        row = study.tasks[target]
        if row.source.layout == "switched" and study.params.data.source == "pocket":
            for pair in data.languages(study, target):
                made.append((row.source.of, pair, row.source.rate, *mixing.measured(target, pair, sentences)))
    return pd.DataFrame(made, columns=["task", "pair", "rate", "switched", "index"])
