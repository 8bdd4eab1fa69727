"""Scores beside chance: which runs cannot be told from models that learn nothing, and the map of languages × tasks that shows it.

Chance is the best baseline of a target and language (DESIGN, section 5); a score is at chance where its 95 % interval over test
examples reaches it. Nothing can be read from such a score, so every table and figure that holds one marks it with a ring.
"""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from . import differences, results, tables
from .results import chance_levels
from .show import Raw, score, table
from .study import Study

RING = "° 95 % interval over examples reaches chance"
BLUE = "#0072b2"  # of the palette by Okabe and Ito; over either theme as a share of itself
STEPS = 8


def flags(study: Study, recipe: str, target: str, seed: int | None = None, levels: pd.Series | None = None) -> dict[str, bool]:  # fmt: skip
    """Which scores of one evaluation are at chance, by language and for ``avg``; empty if it is not there.

    Parameters
    ----------
    levels : Series, optional
        Chance by (target, language) where it is at hand; computed otherwise.
    """
    seeds = study.seeds if seed is None else (seed,)
    found = [c for c in (tables.counts(study, recipe, target, s) for s in seeds) if c]
    if not found:
        return {}
    levels = chance_levels(results.chance(study, target), study.tasks) if levels is None else levels
    languages = list(found[0].by_language)
    values = tables.drawn_over_seeds(found, languages)
    low = dict(zip(languages, np.quantile(values, 0.025, axis=0), strict=True))
    low["avg"] = _low_of_mean(study, recipe, target) if seed is None else np.quantile(values.mean(axis=1), 0.025)
    return {x: bool(v <= levels.get((target, x), -np.inf)) for x, v in low.items()}


def reaches(study: Study, target: str, recipe: str) -> bool:
    """Whether a mean over languages, as differences are made of, is at chance: its bound is the one that the matrix flags by."""
    level = chance_levels(results.chance(study, target), study.tasks).get((target, "avg"), -np.inf)
    return bool(_low_of_mean(study, recipe, target) <= level)


def _low_of_mean(study: Study, recipe: str, target: str) -> float:
    """The bound that the matrix flags by, so that both say the same of a run."""
    known = recipe in study.intermediates
    return differences.resampled(study, target, recipes=None if known else (recipe,)).interval(recipe)[0]


def marked(study: Study, scores: dict[str, pd.DataFrame], recipe: str, seed: int) -> pd.DataFrame:
    """Scores of several targets with rings: rows (target, metric), columns languages, in percent.

    Parameters
    ----------
    scores : dict
        What :meth:`xitt.Study.evaluate` gives, by target.
    """
    wide = tables.scores_wide(scores)
    cells = wide.astype(object)
    for target in scores:
        metric = study.tasks[target].metrics[0]  # chance is known under the metric that is compared
        for language, ring in flags(study, recipe, target, seed).items():
            if ring and (target, metric) in cells.index:
                cells.loc[(target, metric), language] = score(wide.loc[(target, metric), language], True)
    return cells.reset_index().assign(target=[study.tasks[t].title for t, _ in cells.index])


def by_language(study: Study, tidy: pd.DataFrame | None = None) -> pd.DataFrame:
    """Scores per language with rings: rows (target, intermediate) of the main table, columns languages, in percent."""
    tidy = study.results() if tidy is None else tidy
    parts = [scores(study, recipe, tidy).assign(intermediate=recipe) for recipe in study.main[0]]
    cells = pd.concat([p for p in parts if len(p)] or parts)
    made = [score(v, ring) for v, ring in zip(cells["value"], cells["at_chance"], strict=True)]
    cells = cells.assign(
        cell=pd.Series(made, cells.index, dtype=object)
    )  # a column of strings would lose which are HTML
    wide = cells.pivot(index=["target", "intermediate"], columns="language", values="cell")
    wide = wide.loc[[(t, r) for t in study.main[1] for r in study.main[0] if (t, r) in wide.index], order(wide)]
    wide = wide.rename(index=lambda t: study.tasks[t].title, level=0) if len(wide) else wide
    return wide.rename_axis(columns=None).reset_index()


def order(languages) -> list[str]:
    """Languages as columns or rows: the mean, English, the others by code."""
    names = set(languages)
    return [x for x in ("avg", "en") if x in names] + sorted(names - {"avg", "en"})


def about(study: Study, what: str, split: str = "test", interval: str = "", rings: bool = False, seeds=None) -> str:
    """The line above a table: what it is (with its unit), split, seeds, kind of interval, meaning of the ring."""
    seeds = study.seeds if seeds is None else seeds
    parts = [what.rstrip("."), f"{split} split" if split else ""]
    parts.append(("seed " if len(seeds) == 1 else "mean over seeds ") + ", ".join(map(str, seeds)))
    parts += [f"95 % intervals: {interval}" if interval else "", RING if rings else ""]
    return "; ".join(filter(None, parts)) + "."


# --- the map -------------------------------------------------------------------------------------------------------
def scores(study: Study, recipe: str = "none", tidy: pd.DataFrame | None = None) -> pd.DataFrame:
    """Score of one row in every language and target of the main table.

    Returns
    -------
    DataFrame
        ``target, language, value, chance, share, at_chance``: values in percent under the target's main metric, mean over
        seeds; ``share`` is the part of the way from chance to 100, from 0 to 1. Language ``avg`` is the plain mean.
    """
    tidy = study.results() if tidy is None else tidy
    levels = chance_levels(tidy, study.tasks)
    rows = []
    for target in study.main[1]:
        own = tidy[(tidy["intermediate"] == recipe) & (tidy["target"] == target)]
        own = own[own["metric"] == study.tasks[target].metrics[0]]
        ring = flags(study, recipe, target, levels=levels) if len(own) else {}
        for language, value in own.groupby("language", sort=False)["value"].mean().items():
            floor = float(levels.get((target, language), np.nan))
            share = np.clip((value - floor) / (100 - floor), 0, 1) if floor < 100 else np.nan
            rows.append((target, language, value, floor, share, ring.get(language, False)))
    return pd.DataFrame(rows, columns=["target", "language", "value", "chance", "share", "at_chance"])


class LanguageMap:
    """Scores of one row of the matrix, languages × targets, coloured by how far they are above chance; shows itself as a table."""

    def __init__(self, study: Study, recipe: str = "none", tidy: pd.DataFrame | None = None):
        self.study, self.recipe, self.cells = study, recipe, scores(study, recipe, tidy)

    def _repr_mimebundle_(self, include=None, exclude=None):
        wide = self.cells.pivot(index="language", columns="target", values="value")
        return {"text/html": self.html(), "text/plain": f"{self.recipe}\n{wide.to_string()}"}

    def html(self) -> str:
        """The map as a table: one row per language, the mean first."""
        by_place = {(r["language"], r["target"]): r for r in self.cells.to_dict("records")}
        here = [t for t in self.study.main[1] if any(t == target for _, target in by_place)]
        names = order(language for language, _ in by_place)
        rows = [
            (Raw(f"<code>{html.escape(x)}</code>"), *(_map_cell(by_place.get((x, t))) for t in here)) for x in names
        ]
        return table(("language", *(header(self.study, t) for t in here)), rows, self._caption(), "xitt map")

    def _caption(self) -> str:
        text = about(self.study, f"Scores of row {self.recipe} in percent, by language and target", rings=True)
        scale = "".join(
            f'<span style="{_shade(s)}">&nbsp;{100 * s:.0f}&nbsp;</span>' for s in (0.0, 0.25, 0.5, 0.75, 1.0)
        )
        return f"{html.escape(text)} Colour: percent of the way from chance to 100: {scale}; grey: at chance."


def header(study: Study, target: str) -> Raw:
    """A target as the head of a column: its title, metric and unit."""
    row = study.tasks[target]
    return Raw(f"{html.escape(row.title)}<br><small>{html.escape(row.metrics[0])}, %</small>", "n")


def _map_cell(cell: dict | None) -> Raw | str:
    if cell is None:
        return Raw("–", "n")
    if cell["at_chance"]:
        return score(cell["value"], True, "background:#88888826")
    return score(cell["value"], style=_shade(cell["share"]))


def _shade(share: float) -> str:
    """A background in steps: the text above stays readable on light and dark paper alike."""
    if np.isnan(share):
        return ""
    return f"background:{BLUE}{int(8 + 128 * round(STEPS * share) / STEPS):02x}"
