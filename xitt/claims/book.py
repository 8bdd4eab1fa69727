"""Scores behind the claims: by seed from the tidy results, or resampled from stored predictions where seeds are too few."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from .. import stats
from ..differences import resampled, task_metrics
from ..results import chance_levels
from ..study import Study

SEEDS = 3  # from here on intervals are over seeds
WEAK = 3  # the weak languages of a target are one in so many


class Missing(Exception):
    """What a test needs is not in the study; the message says what."""


@dataclass(frozen=True)
class Panel:
    """Task scores, recipes × targets, repeated over seeds or over resamples of the examples.

    Attributes
    ----------
    recipes, targets : tuple of str
    point : ndarray (recipes, targets)
        Mean over seeds, in percent.
    values : ndarray (repeats, recipes, targets)
        One layer per seed, or per resample where there are fewer than three seeds.
    seeds : int
    """

    recipes: tuple[str, ...]
    targets: tuple[str, ...]
    point: np.ndarray
    values: np.ndarray
    seeds: int

    def rows(self, recipes: Iterable[str]) -> list[int]:
        """Places of recipes."""
        return [self.recipes.index(r) for r in recipes]

    def effect(self, what: Callable[[np.ndarray], np.ndarray], level: float = stats.LEVEL) -> stats.Difference:
        """A difference in points with its interval.

        Parameters
        ----------
        what : callable
            Scores (..., recipes, targets) → effect (...).
        """
        if self.seeds >= SEEDS:
            return stats.over_seeds(what(self.values), level)
        return stats.of_draws(float(what(self.point)), what(self.values), level, self.seeds)


class Book:
    """Scores of a study for its claims.

    Parameters
    ----------
    tidy : DataFrame, optional
        Results (DESIGN, section 3); collected from the study where not given.
    chosen : dict, optional
        Target → best intermediate recipe on dev; chosen by :mod:`xitt.benchmark` where not given.
    """

    def __init__(self, study: Study, tidy: pd.DataFrame | None = None, chosen: dict[str, str] | None = None):
        self.study, self._chosen = study, chosen
        frame = study.results() if tidy is None else tidy
        self.tidy = frame[frame["split"] == "test"]
        self.scores = self.tidy[~self.tidy["intermediate"].str.startswith("baseline:")]

    def chosen(self) -> dict[str, str]:
        """Target → best intermediate recipe, chosen on dev."""
        if self._chosen is None:
            from .. import benchmark

            self._chosen = {t: c.recipe for t, c in benchmark.choose(self.study, "xtreme").items()}
        return self._chosen

    @cached_property
    def _cells(self) -> dict[tuple[str, str], set[int]]:
        """(recipe, target) → seeds that are there."""
        found: dict[tuple[str, str], set[int]] = {}
        for recipe, target, seed in self.scores[["intermediate", "target", "seed"]].drop_duplicates().to_numpy():
            found.setdefault((recipe, target), set()).add(int(seed))
        return found

    def panel(
        self, recipes: Iterable[str], targets: Iterable[str], protocol: str = "paper", languages: str = "all"
    ) -> Panel:
        """Scores of ``none`` and of recipes, on those targets where all of them are there.

        Parameters
        ----------
        languages : str
            ``all``; ``weak``, the third that scores lowest under ``none``.

        Raises
        ------
        Missing
            If nothing is left, or no seed has all of it.
        """
        targets = list(dict.fromkeys(targets))
        rows = [r for r in dict.fromkeys(recipes) if any((r, t) in self._cells for t in targets)]
        if not rows:
            raise Missing(f"no scores of {_some(recipes)} on {_some(targets)} in this study")
        rows = ["none", *(r for r in rows if r != "none")]
        columns = [t for t in targets if all((r, t) in self._cells for r in rows)]
        columns = [t for t in columns if languages == "all" or self._languages(t, languages)]
        if not columns:
            kind = "" if languages == "all" else f" with {languages} languages"
            raise Missing(f"no target{kind} of {_some(targets)} has scores of all of {_some(rows)}")
        seeds = sorted(set.intersection(*(self._cells[r, t] for r in rows for t in columns)))
        if not seeds:
            raise Missing(f"no seed has all scores of {_some(rows)}")
        each = np.array([[[self._score(r, t, s, protocol, languages) for t in columns] for r in rows] for s in seeds])
        if len(seeds) >= SEEDS:
            return Panel(tuple(rows), tuple(columns), each.mean(axis=0), each, len(seeds))
        drawn = np.stack([self._drawn(rows, t, seeds, protocol, languages) for t in columns], axis=-1)
        return Panel(tuple(rows), tuple(columns), each.mean(axis=0), drawn, len(seeds))

    def _score(self, recipe: str, target: str, seed: int, protocol: str, languages: str) -> float:
        metrics = task_metrics(self.study.tasks[target], protocol)
        if languages == "all":
            return float(np.mean([self._value[recipe, target, seed, m, "avg"] for m in metrics]))
        some = self._languages(target, languages)
        return float(np.mean([self._value[recipe, target, seed, m, x] for m in metrics for x in some]))

    @cached_property
    def _value(self) -> dict[tuple, float]:
        keys = ["intermediate", "target", "seed", "metric", "language"]
        return dict(zip(self.scores[keys].itertuples(index=False, name=None), self.scores["value"], strict=True))

    def _languages(self, target: str, which: str) -> list[str]:
        """Languages of a target, of one sort."""
        own = self.scores[(self.scores["target"] == target) & (self.scores["language"] != "avg")]
        names = list(dict.fromkeys(own["language"]))
        if which == "weak":
            main = own[(own["intermediate"] == "none") & (own["metric"] == self.study.tasks[target].metrics[0])]
            order = main.groupby("language")["value"].mean().sort_values(kind="stable")
            return list(order.index[: max(1, len(order) // WEAK)])
        return names

    def _drawn(self, rows: list[str], target: str, seeds: list[int], protocol: str, languages: str) -> np.ndarray:
        """Resampled scores (resamples, recipes), mean over seeds."""
        metrics = task_metrics(self.study.tasks[target], protocol)
        everything = self._languages(target, "all")
        without = [x for x in everything if x not in self._languages(target, languages)]
        known = set(rows) <= {*self.study.intermediates, "none"}
        made = resampled(self.study, target, metrics, None if known else rows, without)
        if made is None or any((r, s) not in made.drawn for r in rows for s in seeds):
            raise Missing(f"fewer than {SEEDS} seeds, and the predictions of {target} are not there to resample")
        return np.stack([np.mean([made.drawn[r, s] for s in seeds], axis=0) for r in rows], axis=-1)

    # --- chance ----------------------------------------------------------------------------------------------------
    @cached_property
    def _floor(self) -> pd.Series:
        return chance_levels(self.tidy, self.study.tasks)

    def at_chance(self, panel: Panel) -> list[str]:
        """Scores of a panel whose 95 % interval reaches chance, as ``recipe on target``."""
        found = []
        for t in panel.targets:
            floor = self._floor.get((t, "avg"), np.nan)
            metric = self.study.tasks[t].metrics[0]
            if np.isnan(floor):
                continue
            if panel.seeds >= SEEDS:
                low = {r: self._low_over_seeds(r, t, metric) for r in panel.recipes}
            else:
                made = resampled(self.study, t, (metric,), panel.recipes if not set(panel.recipes) <= {*self.study.intermediates, "none"} else None)  # fmt: skip
                low = {r: made.interval(r)[0] for r in panel.recipes}
            found += [f"{r} on {t}" for r in panel.recipes if low[r] <= floor]
        return found

    def _low_over_seeds(self, recipe: str, target: str, metric: str) -> float:
        values = [self._value[recipe, target, s, metric, "avg"] for s in sorted(self._cells[recipe, target])]
        return stats.over_seeds(np.array(values)).low


def _some(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
