"""What the gain from more intermediate tasks has to do with a language's distance from English: a mixed model, and what it could have seen.

One observation per recipe, target and zero-shot language: the change against ``none`` in points, mean over seeds. Languages, recipes and cells
(target and language) have effects of their own, and languages a slope of their own over the number of tasks. Without those of recipes
all languages of one encoder would count as so many encoders; cells share the noise of their score under ``none``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import mixed, typology
from .errors import ParameterError
from .scaling import Panel

#: languages from which on pre-training size, script and family stand in the model
FULL = 25
SIZE, DISTANCE, BOTH = "number of tasks, per doubling", "distance from English, per 0.1", "number × distance"
OWN = "own length of training"
PRETRAINING, LATIN, FAMILY = "pre-training text, per doubling", "Latin script", "Indo-European"
#: GiB added before the logarithm of a language's pre-training text: the smallest size in the table, so that none is a number too
LEAST = 0.1


@dataclass(frozen=True)
class Model:
    """A fitted model and what went into it.

    Attributes
    ----------
    fit : mixed.Fit
    effects : tuple of str
        Fixed effects to report; intercepts of targets are in the model as well.
    languages : tuple of str
        Those with a known distance; ``left_out`` are the others.
    dropped : tuple of str
        Effects that these data cannot tell from others.
    """

    fit: mixed.Fit
    effects: tuple[str, ...]
    languages: tuple[str, ...]
    left_out: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def full(self) -> bool:
        return len(self.languages) >= FULL


def observations(found: Panel) -> pd.DataFrame:
    """The model's data: ``recipe, target, language, change, size, own`` and the languages' ``distance, pretraining, latin, family``."""
    size, _ = typology.pretraining(found.study)
    change = found.changed(found.point)
    lines = []
    for recipe in dict.fromkeys(r.recipe for r in found.rows):
        kinds = {r.schedule: r for r in found.rows if r.recipe == recipe}
        number = next(iter(kinds.values())).size
        for (target, language), value in zip(found.cells, change[found.recipes.index(recipe)], strict=True):
            far, facts = typology.distance(language), typology.known().get(language, typology.Language(language))
            lines.append((recipe, target, language, value, np.log2(number), float("matched" not in kinds), far.value if far else np.nan,
                          size.get(language, np.nan), float(facts.script == "Latn"), float(facts.family == "Indo-European")))  # fmt: skip
    columns = ["recipe", "target", "language", "change", "size", "own", "distance", "pretraining", "latin", "family"]
    return pd.DataFrame(lines, columns=columns)


def model(found: Panel | None) -> Model | None:
    """The mixed model of a study; ``None`` where fewer than three languages, three recipes or two numbers of tasks are there."""
    if found is None:
        return None
    data = observations(found)
    out = tuple(sorted(set(data.loc[data["distance"].isna(), "language"])))
    data = data[data["distance"].notna()].reset_index(drop=True)
    if data["language"].nunique() < 3 or data["recipe"].nunique() < 3 or data["size"].nunique() < 2:
        return None
    size, distance = (data[k].to_numpy() - data[k].mean() for k in ("size", "distance"))
    columns = {SIZE: size, DISTANCE: 10 * distance, BOTH: 10 * size * distance, OWN: data["own"].to_numpy()}
    if data["language"].nunique() >= FULL:
        columns |= {PRETRAINING: np.log2(data["pretraining"].to_numpy() + LEAST), LATIN: data["latin"].to_numpy(), FAMILY: data["family"].to_numpy()}  # fmt: skip
    targets = {t: (data["target"] == t).to_numpy(float) for t in dict.fromkeys(data["target"])}
    x, names, dropped = list(targets.values()), list(targets), []
    for name, column in columns.items():
        if np.isnan(column).any() or np.linalg.matrix_rank(np.column_stack([*x, column])) <= len(x):
            dropped.append(name)
            continue
        x.append(column)
        names.append(name)
    cells = data["target"] + " " + data["language"]
    random = {"language": mixed.Random(data["language"]), "recipe": mixed.Random(data["recipe"]), "slope of a language": mixed.Random(data["language"], size)}  # fmt: skip
    if len(targets) > 1:  # with one target a cell is a language
        random["cell"] = mixed.Random(cells)
    try:
        fit = mixed.fit(data["change"].to_numpy(), np.column_stack(x), names, random)
    except ParameterError:  # fewer observations than effects
        return None
    return Model(
        fit, tuple(n for n in columns if n not in dropped), tuple(sorted(set(data["language"]))), out, tuple(dropped)
    )


def table(made: Model | None) -> pd.DataFrame:
    """Fixed effects in points: ``effect, estimate, estimate low, estimate high, p, detectable``; the last is the size found four times out of five."""
    lines = []
    for name in made.effects if made else ():
        d = made.fit.effect(name)
        lines.append((name, d.value, d.low, d.high, d.p, made.fit.detectable(name)))
    return pd.DataFrame(lines, columns=["effect", "estimate", "estimate low", "estimate high", "p", "detectable"])


def caption(made: Model | None) -> str:
    """What the model is, and what it holds for."""
    if made is None:
        return "Too few languages, recipes or numbers of tasks have been scored for a model."
    spread = ", ".join(f"{k} {np.sqrt(v):.2f}" for k, v in made.fit.variances.items())
    text = (
        f"Change in points on {made.fit.n:,} pairs of recipe and cell, {len(made.languages)} languages; REML, 95 % intervals by Satterthwaite's degrees "
        f"of freedom, over languages and recipes. Detectable: true size found with a probability of 80 %. Standard deviations: {spread}, residual "
        f"{np.sqrt(made.fit.residual):.2f}."
    )
    if made.left_out:
        text += f" Left out, distance not known: {', '.join(made.left_out)}."
    if made.dropped:
        text += f" Cannot be told from others here: {', '.join(made.dropped)}."
    return text


# --- languages as the unit -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Correlation:
    """Slope of a language over the number of tasks against its distance from English, over languages.

    Attributes
    ----------
    r, low, high : float
        Pearson's correlation with its interval (Fisher's z).
    languages : int
    smallest : float
        The smallest true correlation that so many languages show four times out of five.
    """

    r: float
    low: float
    high: float
    languages: int
    smallest: float


def correlation(found: Panel | None, schedule: str) -> Correlation | None:
    """Whether languages further from English gain more from more tasks; ``None`` with fewer than three languages."""
    if found is None or schedule not in found.schedules:
        return None
    change = found.by_language(found.changed(found.point))
    slopes = [found.slope(schedule, change[..., i]) for i in range(len(found.languages))]
    pairs = [(d.value, s) for x, s in zip(found.languages, slopes, strict=True) if (d := typology.distance(x))]
    if len(pairs) < 3:
        return None
    r, low, high = mixed.correlation(*np.array(pairs).T)
    return Correlation(r, low, high, len(pairs), mixed.smallest_correlation(len(pairs)))


def power_sentence(made: Model | None, seen: Correlation | None) -> str:
    """What the study could have seen, in words."""
    said = []
    if seen is not None:
        said.append(
            f"Over {seen.languages} languages, slope and distance correlate at {seen.r:+.2f} (95 % interval {seen.low:+.2f} to {seen.high:+.2f}); the smallest "
            f"true correlation that so many languages show four times out of five is {seen.smallest:.2f}."
        )
    if made is not None and BOTH in made.effects:
        said.append(
            f"The model finds {made.fit.detectable(BOTH):.2f} points per doubling and 0.1 of distance as often."
        )
    return " ".join(said) or "Too little has been scored to say what could be seen."


def confounds_sentence(found: Panel | None) -> str:
    """What goes along with distance in this study, in words."""
    if found is None:
        return ""
    size, unit = typology.pretraining(found.study)
    there = {x: size[x] for x in found.languages if x in size}
    if not there:
        return f"Pre-training size: {unit}; it cannot be told from distance."
    if len(set(there.values())) == 1:
        return f"The encoder has read the same {next(iter(there.values())):,.0f} {unit} of each language, so that pre-training size does not go along with distance."
    pairs = [(d.value, np.log2(v + LEAST)) for x, v in there.items() if (d := typology.distance(x))]
    r, low, high = mixed.correlation(*np.array(pairs).T) if len(pairs) > 2 else (np.nan, np.nan, np.nan)
    return (
        f"Pre-training size is a confound: over {len(pairs)} languages its logarithm ({unit}) and distance correlate at {r:+.2f} ({low:+.2f} to {high:+.2f}); "
        f"it stands in the model from {FULL} languages on."
    )
