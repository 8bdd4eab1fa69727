"""What one change of recipe or retrieval does: a variant against the same recipe, or the same target, without it.

A recipe's variants differ from it by one option (``mnli+mlm=0.5`` and ``mnli``), a target's by the layer, the pooling or the training
before (``tatoeba+layer=10of24`` and ``tatoeba``). Everything is compared on the same examples and seeds (``xitt.differences``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import chance, recipes, stats
from .differences import compare, counts, mean_difference, resampled
from .show import score
from .store import read_json
from .study import Study

#: option of a recipe → what it is called
ASPECTS = {
    "mlm": "raw text beside the task", "train": "translated training data", "sampler": "sampler of multi-task training",
    "attention_dropout": "attention dropout",
}  # fmt: skip
RETRIEVAL = "retrieval layer and pooling"
MEAN = "mean"
COLUMNS = (
    "variant",
    "against",
    "target",
    "value",
    "base",
    "change",
    "low",
    "high",
    "p",
    "q",
    "how",
    "value_at_chance",
    "base_at_chance",
)


# --- what is compared ----------------------------------------------------------------------------------------------
def without(recipe: str, option: str, rows) -> str:
    """A recipe without one of its options."""
    parsed = recipes.parse(recipe, rows)
    return str(recipes.ParsedRecipe(parsed.name, parsed.parts, tuple(o for o in parsed.options if o[0] != option)))


def pairs(study: Study, option: str) -> list[tuple[str, str]]:
    """Rows of the study that have an option, each with the row that is the same without it."""
    has = [
        r
        for r in study.intermediates
        if r not in study.checkpoints and option in dict(recipes.parse(r, study.tasks).options)
    ]
    found = [(r, without(r, option, study.tasks)) for r in has]
    return [(r, base) for r, base in found if base in study.intermediates]


def coverage(study: Study) -> pd.DataFrame:
    """Each kind of variant: what the design ``variants`` has, and what of it this study runs.

    Returns
    -------
    DataFrame
        ``variant, design, here``; a study in a reduced form of the design has less here.
    """
    design = study.design("variants")
    named = (
        [] if design is None else [recipes.canonical(r, study.tasks) for r in (design.whole or design).intermediates]
    )
    searched = [] if design is None else list((design.whole or design).targets)
    rows = []
    for option, title in ASPECTS.items():
        whole = [r for r in named if option in dict(recipes.parse(r, study.tasks).options)]
        rows.append((title, whole, [r for r, _ in pairs(study, option)]))
    rows.append((RETRIEVAL, [t for t in searched if "+" in t], [t for t in study.targets if "+" in t]))
    return pd.DataFrame(
        [(t, ", ".join(a) or "–", ", ".join(b) or "–") for t, a, b in rows], columns=["variant", "design", "here"]
    )


def form_sentence(
    study: Study,
    name: str = "variants",
    absent: str = "what its own rows and targets vary is shown",
    rows: str = "recipes",
) -> str:
    """Whether the study runs a whole design, in words; ``absent`` says what is shown where it does not have it."""
    design = study.design(name)
    if design is None:
        return f"{study.name} does not have the design `{name}`; {absent}."
    seeds = f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"
    if design.whole is None:
        return f"{study.name} runs the design whole, with {seeds}."
    named = next(n for n in study.params.designs if n.partition(".")[0] == name)
    return (
        f"{study.name} runs the design in its form `{named}`: {_share(design.intermediates, design.whole.intermediates, rows)} on "
        f"{_share(design.targets, design.whole.targets, 'targets')}, with {seeds}."
    )


def _share(some: tuple[str, ...], whole: tuple[str, ...], what: str) -> str:
    """How many of a whole design a form of it has; a form may have others too."""
    other = len(set(some) - set(whole))
    return f"{len(some) - other} of {len(whole)} {what}" + (f" and {other} of its own" if other else "")


# --- tables --------------------------------------------------------------------------------------------------------
def table(study: Study, option: str) -> pd.DataFrame:
    """Recipes with an option against the same without it, target by target, and the mean over the targets.

    Returns
    -------
    DataFrame
        ``variant, against, target, value, base, change, low, high, p, q, how``: scores in percent (mean over languages and seeds, main
        metric), change in points with its 95 % interval; ``q`` is Benjamini–Hochberg over the table. Row ``mean`` takes each target by its
        task score, as XTREME averages (paper_facts 3.1).
    """
    return compared(study, pairs(study, option))


def compared(study: Study, some: list[tuple[str, str]]) -> pd.DataFrame:
    """Pairs of recipes, the first against the second, on the targets that both meet; columns as of :func:`table`."""
    rows = []
    for variant, base in some:
        both = [t for t in study.targets_of(variant) if t in study.targets_of(base) and "+" not in t]
        there = []
        for target in both:
            found = resampled(study, target)
            if found and (d := compare([(found, variant, base)])):
                there.append(target)
                rings = [chance.reaches(study, target, r) for r in (variant, base)]
                rows.append(_row(variant, base, target, found.mean(variant), found.mean(base), d, rings))
        if len(there) > 1 and (d := mean_difference(study, variant, there, base)):
            rows.append(_row(variant, base, MEAN, np.nan, np.nan, d))
    return _corrected(rows)


def retrieval(study: Study) -> pd.DataFrame:
    """Variants of retrieval targets against the targets as they are, for every recipe without options; columns as of :func:`table`,
    with ``encoder`` and the ``layer`` that was used.
    """
    rows = []
    plain = [r for r in study.intermediates if "+" not in r]
    for variant in [t for t in study.targets if "+" in t]:
        base = study.tasks[variant].name
        for recipe in plain:
            if d := _between(study, recipe, variant, base):
                first, second, difference = d
                rings = [chance.reaches(study, t, recipe) for t in (variant, base)]
                rows.append(
                    {
                        **_row(variant, base, variant, first, second, difference, rings),
                        "encoder": recipe,
                        "layer": _layer(study, recipe, variant),
                    }
                )
    return _corrected(rows, ("encoder", "layer"))


def _between(study: Study, recipe: str, first: str, second: str) -> tuple[float, float, stats.Difference] | None:
    """Two targets with the same examples under one recipe: mean scores, and their difference paired by example."""
    held = [(counts(study, recipe, first, s), counts(study, recipe, second, s)) for s in study.seeds]
    held = [(a, b) for a, b in held if a and b]
    if not held:
        return None
    each = np.array([a.mean() - b.mean() for a, b in held])
    d = stats.over_seeds(each) if len(held) >= 3 else stats.of_draws(float(each.mean()), _drawn(held), runs=len(held))
    return float(np.mean([a.mean() for a, _ in held])), float(np.mean([b.mean() for _, b in held])), d


def _drawn(held: list[tuple[stats.Counts, stats.Counts]]) -> np.ndarray:
    """Bootstrap values (resamples,) of first minus second, mean over languages and seeds, on the same examples everywhere."""
    sides = {
        (k, s, x): part for s, pair in enumerate(held) for k, c in enumerate(pair) for x, part in c.by_language.items()
    }
    weights = [(1 - 2 * k) / (len(held) * len(held[s][k].by_language)) for k, s, _ in sides]
    return stats.resampled(stats.Counts(sides, held[0][0].value)) @ np.array(weights)


def _layer(study: Study, recipe: str, target: str) -> int | None:
    from .scoring import found

    place = next((p for s in study.seeds if (p := found(study, recipe, target, s))), None)
    return place and read_json(place.parent.parent / "record.json")["layer"]


def _row(
    variant: str, base: str, target: str, value: float, other: float, d: stats.Difference, rings=(False, False)
) -> dict:
    return {"variant": variant, "against": base, "target": target, "value": value, "base": other, "change": d.value,
            "low": d.low, "high": d.high, "p": d.p, "how": d.how, "value_at_chance": rings[0], "base_at_chance": rings[1]}  # fmt: skip


def _corrected(rows: list[dict], more: tuple[str, ...] = ()) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *more])
    if len(frame):
        frame["q"] = stats.benjamini_hochberg(frame["p"].to_numpy(float))
    return frame


def training_sets(study: Study) -> pd.DataFrame:
    """What translated recipes were trained on: ``variant, task, languages, examples, of, left out``."""
    from . import data

    rows = []
    for variant, _ in pairs(study, "train"):
        parsed = recipes.parse(variant, study.tasks)
        for task in study.tasks_of(variant):
            split = data.training(study, task, parsed.train)
            rows.append(
                (
                    variant,
                    study.tasks[task].title,
                    ", ".join(parsed.train),
                    len(split),
                    split.total,
                    "; ".join(split.problems) or "–",
                )
            )
    return pd.DataFrame(rows, columns=["variant", "task", "languages", "examples", "of", "left out"])


def translation_sentence(study: Study) -> str:
    """Where the translations are from, in words."""
    source = study.params.data
    if not pairs(study, "train"):
        return "No recipe of this study is trained on translated data."
    if source.source != "pocket":
        return "Translations are published ones (XNLI's for MNLI, XTREME's for SQuAD v1.1) or the user's own; a machine made the former."
    if not source.translation_noise:
        return "Translations are exact: the pocket's generator says the same meanings in every language (translation_noise: 0)."
    return (
        f"Translations are the generator's with {100 * source.translation_noise:.0f} % of words dropped, swapped or taken in another sense "
        f"(translation_noise: {source.translation_noise:g}), which imitates a machine."
    )


def draws(study: Study) -> pd.DataFrame:
    """How often each part of the mixtures of the design was drawn (of the main table, where a study does not have the design).

    Returns
    -------
    DataFrame
        ``recipe, part, units, probability, seeds, steps``: training units of the part, and its steps, mean over so many seeds.
    """
    from . import phases

    design = study.grids.get("variants", study.main)[0]
    rows = []
    for recipe in [r for r in design if not study.is_ready(r) and recipes.parse(r, study.tasks).mixed]:
        held = [r["training"]["parts"] for s in study.seeds if (r := phases.record_of(study, recipe, s))]
        rows += [
            (recipe, n, p["units"], p["probability"], len(held), float(np.mean([parts[n]["steps"] for parts in held])))
            for n, p in (held[0] if held else {}).items()
        ]
    return pd.DataFrame(rows, columns=["recipe", "part", "units", "probability", "seeds", "steps"])


# --- as people read it ---------------------------------------------------------------------------------------------
def shown(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """A table of comparisons with the interval beside the change and a star where the corrected p is below 0.05."""
    if not len(frame):
        return pd.DataFrame({"variant": ["none in this study"]})
    lines = {
        "variant": frame["variant"],
        **({"encoder": frame["encoder"], "layer": frame["layer"]} if "encoder" in frame else {"against": frame["against"]}),
        "target": [MEAN if t == MEAN else study.tasks[t].title for t in frame["target"]],
        "with it (%)": _ringed(frame, "value"), "without (%)": _ringed(frame, "base"),
        "change (points)": [f"{c:+.1f}{'*' if q < 0.05 else ''}" for c, q in zip(frame["change"], frame["q"], strict=True)],
        "95 % interval": [f"{a:+.1f} to {b:+.1f}" for a, b in zip(frame["low"], frame["high"], strict=True)],
    }  # fmt: skip
    made = pd.DataFrame(lines)
    return made.drop(columns="target") if "encoder" in frame else made


def _ringed(frame: pd.DataFrame, name: str) -> pd.Series:
    """Scores as cells, with a ring where they are at chance."""
    cells = [score(v, ring) for v, ring in zip(frame[name], frame[f"{name}_at_chance"], strict=True)]
    return pd.Series(cells, frame.index, dtype=object)


def caption(frame: pd.DataFrame) -> str:
    """Units, kind of interval and correction, and what a ring means where there is one."""
    how = next(iter(frame["how"]), "")
    if not how:
        return ""
    rings = f"; {chance.RING}" if frame[["value_at_chance", "base_at_chance"]].to_numpy(bool).any() else ""
    return (
        f"Mean over languages; change in points with 95 % interval ({how}); * corrected p < 0.05 over the table{rings}."
    )


def sentence(frame: pd.DataFrame, what: str) -> str:
    """What a table of comparisons shows, written from its numbers; ``what`` is compared (not said again where empty)."""
    some = frame[frame["target"] != MEAN]
    if not len(some):
        return f"Nothing to compare here yet: {what} is not varied in this study, or not scored."
    gains, losses = some[(some["q"] < 0.05) & (some["change"] > 0)], some[(some["q"] < 0.05) & (some["change"] < 0)]
    best, worst = some.loc[some["change"].idxmax()], some.loc[some["change"].idxmin()]
    text = (
        f"Of {len(some)} comparisons{f' ({what})' if what else ''}, {len(gains)} are gains and {len(losses)} losses at a false-discovery rate of 5 % ({some['how'].iloc[0]}). "
        f"The largest gain is {_said(best)}, the largest loss {_said(worst)}."
    )
    means = frame[frame["target"] == MEAN]
    if len(means):
        said = (f"{r.variant} {r.change:+.1f} ({r.low:+.1f} to {r.high:+.1f})" for r in means.itertuples())
        text += f" Mean over the targets: {'; '.join(said)}."
    return text


def _said(row: pd.Series) -> str:
    about = (
        f"{row['variant']}, encoder {row['encoder']}" if "encoder" in row else f"{row['variant']} on {row['target']}"
    )
    return f"{row['change']:+.1f} points ({about}, {row['low']:+.1f} to {row['high']:+.1f})"


def figure(study: Study, frame: pd.DataFrame, what: str):
    """Changes with their intervals, one line each; filled where the corrected p is below 0.05."""
    from .figures import BLUE, INK, Figure, _axes

    if not len(frame):
        empty, axis = _axes(5, 0.5)
        axis.set_axis_off()
        axis.text(0, 0.5, f"{what}: nothing to compare yet", color=INK)
        return Figure(empty, f"{what}: nothing to compare yet.")
    plot, axis = _axes(6, 0.9 + 0.28 * len(frame))
    for place, row in enumerate(frame.iloc[::-1].to_dict("records")):
        axis.plot([row["low"], row["high"]], [place, place], color=BLUE, lw=1.6)
        axis.plot(row["change"], place, "o", color=BLUE, ms=6, mfc=BLUE if row["q"] < 0.05 else "none")
    names = [
        f"{r['variant']} · {r.get('encoder') or (study.tasks[r['target']].title if r['target'] != MEAN else MEAN)}"
        for r in frame.to_dict("records")
    ]
    axis.set_yticks(range(len(frame)), names[::-1], fontsize=9)
    axis.axvline(0, color=INK, lw=1)
    axis.set(xlabel="change in points, 95 % interval", ylim=(-0.6, len(frame) - 0.4))
    return Figure(plot, f"{what}: {sentence(frame, '')} Filled marks: corrected p below 0.05.")
