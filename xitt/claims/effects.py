"""Tests of claims about training: each computes effects in points from the scores of a study.

A test is called with the book of scores and the options of its claim, and returns an :class:`Outcome`; all of its effects must hold. One
step is the same in all: the effect is a function of the table of scores, applied to every seed (or every resample of the
examples), and its interval follows from the spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from .. import recipes, stats
from ..matrix import NINE as XTREME
from ..official import VERSIONS
from .book import Book, Missing, Panel

TARGETS = {"xtreme": XTREME, "xtreme-r": (*VERSIONS["xtreme-r"], "lareqa")}
RATE = 0.05  # false discoveries


@dataclass(frozen=True)
class Effect:
    """An effect in points.

    Attributes
    ----------
    difference : Difference
        With its 95 % interval.
    wide : Difference
        The same with the interval for as many effects as the outcome has (Bonferroni): to hold, each must hold by itself; to
        fail, one must fail among many.
    shift : float
        Added before it is compared with the claim's threshold.
    """

    label: str
    difference: stats.Difference
    wide: stats.Difference
    shift: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a test found: ``partial`` says what of the claim's scope the study lacks, ``veto`` why it cannot hold all the same; ``unit`` is
    that of its effects.
    """

    effects: list[Effect]
    detail: str = ""
    partial: str = ""
    veto: str = ""
    at_chance: list[str] = field(default_factory=list)
    unit: str = "points"


#: tests by name
TESTS: dict[str, Callable[..., Outcome]] = {}


def _test(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
    TESTS[function.__name__] = function
    return function


# --- which rows and columns ----------------------------------------------------------------------------------------
def _rows(book: Book, rows: str | list[str]) -> list[str]:
    """Recipes that an option names: ``single`` are the nine tasks, each alone."""
    return list(recipes.NINE) if rows == "single" else list(rows)


def _targets(targets: str | list[str]) -> list[str]:
    return list(TARGETS[targets]) if isinstance(targets, str) else list(targets)


def _lacking(panel: Panel, rows: Iterable[str], targets: Iterable[str]) -> str:
    """What of the claim's rows and targets is not in the panel."""
    asked = {"intermediate tasks": (list(rows), panel.recipes), "targets": (list(targets), panel.targets)}
    lost = {name: [x for x in wanted if x not in here] for name, (wanted, here) in asked.items()}
    gone = [f"{len(x)} of {len(asked[name][0])} {name} ({', '.join(x)})" for name, x in lost.items() if x]
    return "not in this study: " + "; ".join(gone) if gone else ""


def _mean_change(panel: Panel, rows: Iterable[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Mean over targets and rows of the change against ``none``."""
    some, none = panel.rows(rows), panel.recipes.index("none")
    return lambda scores: scores[..., some, :].mean(axis=(-2, -1)) - scores[..., none, :].mean(axis=-1)


def _outcome(book: Book, panel: Panel, effects: dict[str, Callable], shifts: dict[str, float] | None = None, **more) -> Outcome:  # fmt: skip
    wide = 1 - (1 - stats.LEVEL) / len(effects)
    made = [Effect(n, panel.effect(f), panel.effect(f, wide), (shifts or {}).get(n, 0.0)) for n, f in effects.items()]
    return Outcome(made, at_chance=book.at_chance(panel), **more)


def _gains(panel: Panel, rows: list[str]) -> tuple[int, int]:
    """How many cells gain at the false-discovery rate, of how many."""
    cells = [panel.effect(_cell(panel, r, t)) for r in rows for t in range(len(panel.targets))]
    q = stats.benjamini_hochberg(np.array([c.p for c in cells]))
    return sum(x < RATE and c.value > 0 for x, c in zip(q, cells, strict=True)), len(cells)


def _cell(panel: Panel, row: str, column: int) -> Callable[[np.ndarray], np.ndarray]:
    place, none = panel.recipes.index(row), panel.recipes.index("none")
    return lambda scores: scores[..., place, column] - scores[..., none, column]


# --- the paper's claims --------------------------------------------------------------------------------------------
@_test
def mean_change(book: Book, rows: str | list[str], targets: str | list[str]) -> Outcome:
    """Mean over rows and targets of the change against ``none``."""
    wanted, columns = _rows(book, rows), _targets(targets)
    panel = book.panel(wanted, columns)
    here = [r for r in panel.recipes if r != "none"]
    detail = f"{', '.join(here)}; mean of {len(panel.targets)} targets"
    return _outcome(book, panel, {"change": _mean_change(panel, here)}, detail=detail, partial=_lacking(panel, wanted, columns))  # fmt: skip


@_test
def lead(book: Book, row: str, rows: str | list[str], targets: str | list[str]) -> Outcome:
    """One row's mean over targets minus that of each other row: the claim holds if all of them are above."""
    others, columns = _rows(book, rows), _targets(targets)
    if not any(recipe == row for recipe in book.scores["intermediate"].unique()):
        raise Missing(f"no scores of {row} in this study")
    panel = book.panel([row, *others], columns)
    here = [r for r in others if r in panel.recipes]
    if len(here) < 2:
        raise Missing(f"fewer than two single tasks to compare {row} with")
    effects = {f"against {r}": _minus(panel, row, r) for r in here}
    own = panel.effect(_mean_change(panel, [row]))
    detail = f"{row} against none: {own.value:+.1f} [{own.low:+.1f}, {own.high:+.1f}]; {len(here)} tasks, {len(panel.targets)} targets"
    return _outcome(book, panel, effects, detail=detail, partial=_lacking(panel, others, columns))


def _minus(panel: Panel, first: str, second: str) -> Callable[[np.ndarray], np.ndarray]:
    a, b = panel.rows([first, second])
    return lambda scores: (scores[..., a, :] - scores[..., b, :]).mean(axis=-1)


@_test
def broad_gain(book: Book, rows: str | list[str], targets: list[str], share: float) -> Outcome:
    """On each target, the change that this share of the rows reaches or exceeds.

    It is an order statistic of the rows' changes; noise spreads them and so pulls it down where the share is above a half: it
    errs against the claim.
    """
    wanted = _rows(book, rows)
    panel = book.panel(wanted, targets)
    here = [r for r in panel.recipes if r != "none"]
    effects = {t: _reached(panel, here, n, share) for n, t in enumerate(panel.targets)}
    some, cells = _gains(panel, here)
    detail = f"{some} of {cells} changes are gains at a false-discovery rate of 5 %"
    return _outcome(book, panel, effects, detail=detail, partial=_lacking(panel, wanted, targets))


def _reached(panel: Panel, rows: list[str], column: int, share: float) -> Callable[[np.ndarray], np.ndarray]:
    some, none = panel.rows(rows), panel.recipes.index("none")
    # of n sorted changes the one that ceil(share * n) reach; 1e-9: a share like 0.8 is not exact
    place = len(rows) - int(np.ceil(share * len(rows) - 1e-9))
    return lambda scores: np.sort(scores[..., some, column] - scores[..., none, column][..., None], axis=-1)[..., place]


@_test
def no_gain(book: Book, rows: str | list[str], targets: list[str]) -> Outcome:
    """As :func:`mean_change`; a single row that gains at the false-discovery rate is enough to say that it does not hold."""
    outcome = mean_change(book, rows, targets)
    panel = book.panel(_rows(book, rows), targets)
    some, cells = _gains(panel, [r for r in panel.recipes if r != "none"])
    detail = f"{some} of {cells} changes are gains at a false-discovery rate of 5 %"
    veto = detail if some else ""
    return Outcome(outcome.effects, detail, outcome.partial, veto, outcome.at_chance)


@_test
def best_per_target(book: Book, targets: str | list[str], protocol: str) -> Outcome:
    """For each target the intermediate recipe that is best on dev, minus ``none``, on test; mean over targets."""
    columns = _targets(targets)
    chosen = {t: r for t, r in book.chosen().items() if t in columns}
    if not chosen:
        raise Missing("no target has dev scores of intermediate tasks to choose by")
    panel = book.panel(chosen.values(), chosen, protocol)
    rows, none = panel.rows(chosen[t] for t in panel.targets), panel.recipes.index("none")
    places = np.arange(len(panel.targets))
    detail = ", ".join(f"{chosen[t]} for {t}" for t in panel.targets)
    effects = {"change": lambda scores: (scores[..., rows, places] - scores[..., none, :]).mean(axis=-1)}
    return _outcome(book, panel, effects, detail=detail, partial=_lacking(panel, (), columns))


@_test
def without_option(book: Book, option: str, targets: str | list[str]) -> Outcome:
    """Recipes without an option minus the same with it, mean over pairs and targets."""
    columns, pairs = _targets(targets), {}
    for text in book.scores["intermediate"].unique():
        parsed = recipes.parse(text, book.study.tasks)
        rest = tuple((k, v) for k, v in parsed.options if k != option)
        if rest != parsed.options:
            pairs[text] = str(recipes.ParsedRecipe(parsed.name, parsed.parts, rest))
    there = set(book.scores["intermediate"])
    pairs = {text: plain for text, plain in pairs.items() if plain in there}
    if not pairs:
        raise Missing(f"no recipe is there with and without +{option}= (design variants)")
    panel = book.panel([*pairs, *pairs.values()], columns)
    first, second = panel.rows(pairs.values()), panel.rows(pairs)
    effects = {"difference": lambda scores: (scores[..., first, :] - scores[..., second, :]).mean(axis=(-2, -1))}
    detail = ", ".join(f"{plain} minus {text}" for text, plain in pairs.items())
    return _outcome(book, panel, effects, detail=detail, partial=_lacking(panel, (), columns))


# --- open questions ------------------------------------------------------------------------------------------------
def _columns(book: Book, design: str, targets: str | list[str]) -> list[str]:
    """Columns of a design that are targets of a benchmark, or variants of them (XTREME-R's Tatoeba)."""
    wanted = set(_targets(targets))
    return [t for t in book.study.grids[design][1] if t.partition("+")[0] in wanted]


@_test
def number_of_tasks(book: Book, design: str, targets: str | list[str], languages: str, schedule: str) -> Outcome:
    """Slope of the score over the number of tasks, in points per doubling, mean over targets.

    Of the rows of the design those of one ``schedule``: ``matched`` are as many steps and tokens for any number of tasks, ``own`` grow with it
    (:data:`xitt.scaling.SCHEDULES`). The slope of all languages stands beside.
    """
    from .. import scaling

    columns = _columns(book, design, targets)
    sizes = {r.recipe: r.size for r in scaling.rows(book.study, book.study.grids[design][0]) if r.schedule == schedule}
    if not sizes:
        raise Missing(f"design {design}: no rows with {scaling.SCHEDULES[schedule]}")
    panels = {x: book.panel(sizes, columns, languages=x) for x in (languages, "all")}
    slopes = {x: _slope(panel, sizes) for x, panel in panels.items()}
    panel, beside = panels[languages], panels["all"].effect(slopes["all"])
    here = [sizes[r] for r in panel.recipes if r in sizes]
    detail = f"{len(here)} rows of {min(here)} to {max(here)} tasks; all languages: {beside.value:+.1f} [{beside.low:+.1f}, {beside.high:+.1f}]"
    return _outcome(book, panel, {"slope": slopes[languages]}, detail=detail, partial=_lacking(panel, sizes, columns))


def _slope(panel: Panel, sizes: dict[str, int]) -> Callable[[np.ndarray], np.ndarray]:
    """Scores → points per doubling of the number of tasks, by least squares over the rows."""
    here = [r for r in panel.recipes if r in sizes]
    x = np.log2([sizes[r] for r in here])
    if len(set(x)) < 2:
        raise Missing("all rows of the curve that are there have the same number of tasks")
    some, weights = panel.rows(here), (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return lambda scores: scores[..., some, :].mean(axis=-1) @ weights
