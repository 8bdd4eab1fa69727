"""The transfer matrix: change of every target under every intermediate recipe, its means, its ranks over seeds, both protocols.

Phang et al. 2020, Table 2. Rows stand in the paper's three groups; question answering is shown as F1/EM; the mean over targets takes
each target by its task score, as XTREME averages (paper_facts 3.1).
"""

from __future__ import annotations

import html
from itertools import combinations

import numpy as np
import pandas as pd

from . import recipes, results, stats
from .differences import Resampled, compare, resampled, task_metrics
from .errors import ParameterError
from .official import VERSIONS
from .show import Raw
from .store import read_json
from .study import Study

#: groups of rows, in the paper's order; the last holds what the paper does not print in this table (translated data ...)
GROUPS = ("none", "single task", "multi-task, MLM", "other variant")
#: the paper's nine targets: those of XTREME
NINE = tuple(VERSIONS["xtreme"])
PAPER_LAYER = 14
#: systems of ``xitt.published`` whose dev figures are those of the paper's table, or the first author's own for its baseline
PAPER_SYSTEMS = ("X-STILTs", "XLM-R Large (jiant)")


def group(study: Study, recipe: str) -> str:
    """Which group of rows a recipe stands in."""
    if study.is_ready(recipe):
        return GROUPS[0] if recipe == "none" else GROUPS[1]
    parsed = recipes.parse(recipe, study.tasks)
    if {k for k, _ in parsed.options} - {"mlm", "sampler"}:
        return GROUPS[3]
    return GROUPS[2] if parsed.mixed else GROUPS[1]


def rows(study: Study) -> list[str]:
    """Recipes of the main table, group by group."""
    return sorted(study.main[0], key=lambda r: GROUPS.index(group(study, r)))  # stable: the designs' order within


# --- cells ---------------------------------------------------------------------------------------------------------
def transfer(study: Study, tidy: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every intermediate × target: score, change against ``none`` in points with interval and corrected p.

    ``tidy`` are the study's results where they are at hand; they are collected otherwise.

    Returns
    -------
    DataFrame
        ``intermediate, target, group, value, change, low, high, p, q, how, at_chance``; one row per cell that is there, under the target's
        main metric; ``second, second_change`` are exact match where the main metric is F1 of answers. ``q`` is
        Benjamini–Hochberg over the whole table.
    """
    tidy = study.results() if tidy is None else tidy
    floor = results.chance_levels(tidy, study.tasks)
    lines = []
    for target in study.main[1]:
        found = resampled(study, target)
        if found is None:
            continue
        second = _second(study, target)
        chance = float(floor.get((target, "avg"), np.nan))
        lines += [_line(study, r, target, found, second, chance) for r in rows(study) if found.seeds(r)]
    table = pd.DataFrame(lines)
    if len(table):
        order = {r: i for i, r in enumerate(rows(study))}
        table = table.sort_values("intermediate", key=lambda c: c.map(order), kind="stable", ignore_index=True)
        table["q"] = corrected(table["p"])
    return table


def _line(
    study: Study, recipe: str, target: str, found: Resampled, second: Resampled | None, chance: float
) -> dict[str, object]:
    d = compare([(found, recipe, "none")]) if recipe != "none" else None
    low = found.interval(recipe)[0]
    line = {
        "intermediate": recipe, "target": target, "group": group(study, recipe), "value": found.mean(recipe),
        "change": d.value if d else (0.0 if recipe == "none" else np.nan), "low": d.low if d else np.nan,
        "high": d.high if d else np.nan, "p": d.p if d else np.nan, "how": d.how if d else "", "at_chance": low <= chance,
        "second": np.nan, "second_change": np.nan,
    }  # fmt: skip
    if second:
        change = compare([(second, recipe, "none")])
        line |= {"second": second.mean(recipe), "second_change": change.value if change else np.nan}
    return line


def _second(study: Study, target: str) -> Resampled | None:
    """Exact match beside F1, of targets that are printed as F1/EM."""
    row = study.tasks[target]
    return resampled(study, target, ("em",)) if row.kind == "span" and "em" in row.metrics else None


def corrected(p: pd.Series) -> pd.Series:
    """P values by Benjamini–Hochberg over those that are there."""
    q = pd.Series(np.nan, p.index)
    q[p.notna()] = stats.benjamini_hochberg(p.dropna().to_numpy())
    return q


# --- means ---------------------------------------------------------------------------------------------------------
def scopes(study: Study) -> dict[str, tuple[str, ...]]:
    """Sets of targets that means are taken over: all of the table and, where that is another set, those of the paper's nine."""
    targets = study.main[1]
    nine = tuple(t for t in targets if t in NINE)
    found = {"mean of the nine" if set(targets) == set(NINE) else "mean": targets}
    if nine and set(nine) != set(targets):
        found[f"mean of the paper's ({len(nine)} of 9)"] = nine
    return found


def means(study: Study, protocol: str = "paper") -> pd.DataFrame:
    """Mean over targets of every row, and its change against ``none``.

    Returns
    -------
    DataFrame
        ``intermediate, scope, targets, value, change, low, high, p, q, how``; rows that lack a target of the scope are left out. ``q``:
        Benjamini–Hochberg over the rows of a scope.
    """
    parts = {t: resampled(study, t, task_metrics(study.tasks[t], protocol)) for t in study.main[1]}
    lines = []
    for scope, targets in scopes(study).items():
        found = [parts[t] for t in targets]
        for recipe in rows(study):
            if not all(f and f.seeds(recipe) and f.seeds("none") for f in found):
                continue
            d = compare([(f, recipe, "none") for f in found]) if recipe != "none" else None
            lines.append((recipe, scope, len(targets), float(np.mean([f.mean(recipe) for f in found])), d.value if d else 0.0,
                          *((d.low, d.high, d.p, d.how) if d else (np.nan, np.nan, np.nan, ""))))  # fmt: skip
    columns = ["intermediate", "scope", "targets", "value", "change", "low", "high", "p", "how"]
    table = pd.DataFrame(lines, columns=columns)
    return table.assign(q=table.groupby("scope")["p"].transform(corrected) if len(table) else [])


# --- as the paper prints it ----------------------------------------------------------------------------------------
def matrix(table: pd.DataFrame, study: Study, mean: pd.DataFrame | None = None) -> pd.DataFrame:
    """The transfer table as the paper prints it: rows intermediates, columns targets, scores for ``none``, changes below.

    A ``*`` marks corrected p < 0.05, a ``°`` a score whose interval reaches chance. Cells are HTML and sort by score or change.

    Parameters
    ----------
    table, mean : DataFrame
        From :func:`transfer` and :func:`means`; the latter is made where not given.

    Raises
    ------
    ParameterError
        If ``none`` has no scores yet.
    """
    if not len(table) or "none" not in set(table["intermediate"]):
        raise ParameterError(
            f"{study.name}: the row none has no scores yet; `xitt run {study.path.name}` computes them"
        )
    mean = means(study) if mean is None else mean
    cells = {(r["intermediate"], r["target"]): cell(r) for r in table.to_dict("records")}
    cells |= {(r["intermediate"], r["scope"]): cell(r) for r in mean.to_dict("records")}
    columns = {t: study.tasks[t].title for t in study.main[1] if t in set(table["target"])}
    columns |= {s: s for s in scopes(study)}
    there = [r for r in rows(study) if r in set(table["intermediate"])]
    lines = [[group(study, r), r, *(cells.get((r, c), "") for c in columns)] for r in there]
    return pd.DataFrame(lines, columns=["rows", "intermediate", *columns.values()], dtype=object)


def cell(row: dict) -> Raw:
    """One cell as HTML: the score of ``none``, else the change with its interval in small type."""
    text = texts(row)
    interval = f" <small>{html.escape(text[1])}</small>" if text[1] else ""
    return Raw(html.escape(text[0]) + interval, value=row["value"] if row["intermediate"] == "none" else row["change"])


def texts(row: dict) -> tuple[str, str]:
    """Score or change with its marks, and the interval of a change (of F1, where the cell is F1/EM)."""
    mark = ("*" if row["q"] < 0.05 else "") + ("°" if row.get("at_chance") else "")
    second = np.isfinite(row.get("second", np.nan))
    if row["intermediate"] == "none":
        return f"{row['value']:.1f}" + (f"/{row['second']:.1f}" if second else "") + mark, ""
    if not np.isfinite(row["change"]):
        return f"score {row['value']:.1f}{mark}", ""  # no seed in common with none
    change = f"{row['change']:+.1f}" + (f"/{row['second_change']:+.1f}" if second else "")
    return change + mark, f"[{row['low']:+.1f}, {row['high']:+.1f}]"


# --- published figures beside ours ---------------------------------------------------------------------------------
def beside(study: Study, table: pd.DataFrame, mean: pd.DataFrame) -> pd.DataFrame:
    """The paper's table with ours beside it, as far as its figures could be had with a source; blank where not.

    Returns
    -------
    DataFrame
        One row per target of the nine for ``none`` (score in percent), and one per intermediate recipe for the mean over the nine (change
        in points): ``intermediate, target, ours`` with ``ours low, ours high``, ``published, certainty, source, at chance``. The paper's table is
        of dev sets in all languages, ours of test sets.
    """
    from . import published

    figures = published.table(split="dev", language="avg")
    figures = figures[figures["system"].isin(PAPER_SYSTEMS)]
    cells = {(r["intermediate"], r["target"]): r for r in table.to_dict("records")}
    scope, targets = next(((s, t) for s, t in scopes(study).items() if set(t) <= set(NINE)), ("", ()))
    changes = {r["intermediate"]: r for r in mean[mean["scope"] == scope].to_dict("records")}
    lines = []
    for target in NINE:
        cell = cells.get(("none", target), {})
        ring = "yes" if cell.get("at_chance") else ""
        found = figures[(figures["intermediate"] == "none") & (figures["target"] == target)]
        ours = (cell.get("value", np.nan), np.nan, np.nan)
        lines.append(("none", study.tasks[target].title, *ours, *_cited(found), ring))
    quoted = {"squad_v1": "squad", "squad_v2": "squad"}  # as one row
    figures = figures[figures["target"] == "mean"]
    for recipe in dict.fromkeys((*(r for r in rows(study) if r != "none"), *recipes.NINE, recipes.MULTITASK)):
        ours = changes.get(recipe, {})
        found = figures[figures["intermediate"].isin([recipe, quoted.get(recipe)])]
        values = [ours.get(x, np.nan) for x in ("change", "low", "high")]
        value, certainty, source = _cited(found)
        source += f" ({found.iloc[0]['note']})" if len(found) and recipe in quoted else ""
        lines.append((recipe, f"mean of {len(targets)} of the nine, change", *values, value, certainty, source, ""))
    return pd.DataFrame(lines, columns=["intermediate", "target", "ours", "ours low", "ours high", "published", "certainty", "source", "at chance"])  # fmt: skip


def beside_languages(study: Study) -> pd.DataFrame:
    """Row ``none`` by language, of targets for which published figures by language could be had with a source; blank where not.

    Returns
    -------
    DataFrame
        One row per language that the study scores: ``target, language, ours, published`` in percent (ours the mean over seeds), ``certainty,
        source, at chance``. The published figures are of XLM-R Large on dev sets, ours of test sets.
    """
    from . import chance, published

    figures = published.table(split="dev", intermediate="none")
    figures = figures[figures["system"].isin(PAPER_SYSTEMS) & (figures["language"] != "avg")]
    lines = []
    for target in [t for t in study.main[1] if t in set(figures["target"])]:
        tidy = results.of_target(study, target, ("none",), study.seeds)
        ours = tidy[(tidy["metric"] == study.tasks[target].metrics[0]) & (tidy["language"] != "avg")]
        rings = chance.flags(study, "none", target)
        for language, value in ours.groupby("language")["value"].mean().items():
            found = figures[(figures["target"] == target) & (figures["language"] == language)]
            ring = "yes" if rings.get(language) else ""
            lines.append((study.tasks[target].title, language, value, *_cited(found), ring))
    return pd.DataFrame(lines, columns=["target", "language", "ours", "published", "certainty", "source", "at chance"])


def _cited(found: pd.DataFrame) -> tuple[float, str, str]:
    if not len(found):
        return np.nan, "", ""
    figure = found.iloc[0]
    return figure["value"], figure["certainty"], figure["source"]


# --- both protocols ------------------------------------------------------------------------------------------------
def protocols(study: Study) -> pd.DataFrame:
    """Scores of the targets on which ``paper`` and ``strict`` differ (DESIGN, section 5), in two columns.

    They differ in BUCC's threshold (the best on the scored gold; the best on the sample set) and, for an encoder that has a layer 14
    but not 24 layers, in the layer of retrieval. ``paper`` of an encoder with fewer layers is taken at the same depth.

    Returns
    -------
    DataFrame
        ``intermediate, target, paper, paper layer, strict, strict layer, at chance`` in percent, and ``change (paper)``, ``change (strict)`` against
        ``none`` with ``... low``, ``... high`` and ``q (...)``, Benjamini–Hochberg over the column; no change where the layers differ, since the
        predictions of one layer are kept.
    """
    lines = []
    for target in [t for t in study.main[1] if t in study.retrieval_targets]:
        chosen = {p: resampled(study, target, task_metrics(study.tasks[target], p)) for p in ("paper", "strict")}
        floor = results.chance_levels(results.chance(study, target), study.tasks).get((target, "avg"), -np.inf)
        for recipe in rows(study) if chosen["paper"] else ():
            if not chosen["paper"].seeds(recipe):
                continue
            layer, sweep = _sweep(study, recipe, target)
            same = PAPER_LAYER not in sweep or layer == PAPER_LAYER
            if same and chosen["paper"].value == chosen["strict"].value and len(study.tasks[target].metrics) == 1:
                continue
            changes = {p: compare([(f, recipe, "none")]) if recipe != "none" else None for p, f in chosen.items()}
            low = ", ".join(p for p, f in chosen.items() if f.interval(recipe)[0] <= floor and (same or p == "strict"))
            lines.append({
                "intermediate": recipe, "target": study.tasks[target].title,
                "paper": chosen["paper"].mean(recipe) if same else sweep[PAPER_LAYER],
                "paper layer": layer if same else PAPER_LAYER,
                "strict": chosen["strict"].mean(recipe), "strict layer": layer, "at chance": low,
                **_wide("paper", changes["paper"] if same else None), **_wide("strict", changes["strict"]),
            })  # fmt: skip
    table = pd.DataFrame(lines)
    for p in ("paper", "strict") if lines else ():
        table[f"q ({p})"] = corrected(table[f"q ({p})"])
    return table


def _sweep(study: Study, recipe: str, target: str) -> tuple[int, dict[int, float]]:
    """The layer that was used, and the mean over languages and seeds by layer."""
    from .scoring import found

    places = [p for s in study.seeds if (p := found(study, recipe, target, s))]
    records = [read_json(p.parents[1] / "record.json") for p in places]
    layers = {int(x) for r in records for x in r["layers"]}
    return records[0]["layer"], {
        x: float(np.mean([np.mean(list(r["layers"][str(x)].values())) for r in records])) for x in layers
    }


def _wide(protocol: str, d: stats.Difference | None) -> dict[str, float]:
    """A difference as columns, of which a shown table joins the first three; its p value stands where q will."""
    name, values = f"change ({protocol})", (d.value, d.low, d.high, d.p) if d else (np.nan,) * 4
    return dict(zip((name, f"{name} low", f"{name} high", f"q ({protocol})"), values, strict=True))


# --- ranks over seeds ----------------------------------------------------------------------------------------------
def stability(study: Study, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Whether another seed ranks the intermediate recipes alike: rank correlation between seeds, mean over pairs of seeds.

    Returns
    -------
    DataFrame
        ``ranked by, recipes, seeds, Kendall, Kendall low, Kendall high, Spearman`` ...: one row for the mean over targets, with
        a bootstrap interval over the targets, and one per target, with one over its examples. One
        blank row with fewer than two seeds or three recipes (``none`` is no intermediate recipe and is left out).
    """
    parts = {t: resampled(study, t, task_metrics(study.tasks[t])) for t in study.main[1]}
    parts = {t: p for t, p in parts.items() if p}
    ranked = [
        r for r in rows(study) if r != "none" and all((r, s) in p.value for p in parts.values() for s in study.seeds)
    ]
    if len(study.seeds) < 2 or len(ranked) < 3:
        nothing = {f"{x}{end}": np.nan for x in ("Kendall", "Spearman") for end in ("", " low", " high")}
        return pd.DataFrame(
            [{"ranked by": "mean over targets", "recipes": len(ranked), "seeds": len(study.seeds), **nothing}]
        )
    values = np.array([[[p.value[r, s] for r in ranked] for s in study.seeds] for p in parts.values()])
    # the change against none of the same seed orders recipes as the score does: none is the same for all of them
    drawn = np.random.default_rng(seed).integers(len(parts), size=(resamples, len(parts)))
    lines = [("mean over targets", values.mean(axis=0), values[drawn].mean(axis=1))]
    for (target, p), value in zip(parts.items(), values, strict=True):
        again = np.array([[p.drawn[r, s] for r in ranked] for s in study.seeds])  # (seeds, recipes, resamples)
        lines.append((study.tasks[target].title, value, np.moveaxis(again, -1, 0)))
    return pd.DataFrame([_agreement(*line) for line in lines])


def _agreement(name: str, value: np.ndarray, again: np.ndarray) -> dict[str, object]:
    """Rank correlations of (seeds, recipes) with intervals from (resamples, seeds, recipes)."""
    line = {"ranked by": name, "recipes": value.shape[1], "seeds": value.shape[0]}
    for label, measure in (("Kendall", kendall), ("Spearman", spearman)):
        low, high = np.quantile(_between_seeds(again, measure), [0.025, 0.975])
        line |= {label: float(_between_seeds(value, measure)), f"{label} low": float(low), f"{label} high": float(high)}
    return line


def _between_seeds(values: np.ndarray, measure) -> np.ndarray:
    pairs = combinations(range(values.shape[-2]), 2)
    return np.mean([measure(values[..., a, :], values[..., b, :]) for a, b in pairs], axis=0)


def kendall(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Kendall's tau-b over the last axis; 0 where one side is all ties."""
    a, b = (np.sign(x[..., :, None] - x[..., None, :]) for x in (first, second))
    return _ratio((a * b).sum(axis=(-2, -1)), (a * a).sum(axis=(-2, -1)) * (b * b).sum(axis=(-2, -1)))


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rho over the last axis; 0 where one side is all ties."""
    from scipy.stats import rankdata

    a, b = (rankdata(x, axis=-1) for x in (first, second))
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    return _ratio((a * b).sum(axis=-1), (a * a).sum(axis=-1) * (b * b).sum(axis=-1))


def _ratio(product: np.ndarray, squares: np.ndarray) -> np.ndarray:
    return np.divide(product, np.sqrt(squares), out=np.zeros_like(product, float), where=squares > 0)
