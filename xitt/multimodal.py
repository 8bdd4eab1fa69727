"""Images with captions as intermediate tasks (``14_multimodal``): what was trained, whether images are used, what transfers.

Rows with images are compared with the text-only row that they are matched to in steps and text tokens (``+match=``), with the same
captions without images (``+control=``), and with no intermediate task; all on the same examples and seeds (``xitt.differences``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import ablations, chance, data, phases, recipes, stats
from .claims.effects import TARGETS
from .differences import compare, mean_difference, resampled, task_metrics
from .errors import DataError
from .study import Study

DESIGN = "multimodal"
CHECK = "caption_retrieval"
#: what a trained model is shown on the dev set → in words
SHOWN = {"": "as they are", "blank": "blank", "shuffled": "each other's"}


# --- rows ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """One row of the design that is trained on captions.

    Attributes
    ----------
    text : str
        The text-only recipe that it is matched to; empty without ``match``.
    control : str
        How its images say nothing; empty where they are as they are.
    plain : str
        The row that it is a control of; itself where it is none.
    """

    recipe: str
    task: str
    text: str
    control: str
    plain: str


def rows(study: Study) -> list[Row]:
    """Rows of the study that are trained on captions with images, controls last."""
    found = []
    for recipe in study.intermediates:
        if study.is_ready(recipe):
            continue
        parsed = recipes.parse(recipe, study.tasks)
        if parsed.name in study.tasks and study.tasks[parsed.name].kind == "caption":
            plain = ablations.without(recipe, "control", study.tasks)
            found.append(Row(recipe, parsed.name, parsed.match, parsed.control, plain))
    return sorted(found, key=lambda r: bool(r.control))


def form_sentence(study: Study) -> str:
    """Which part of the design the study runs, in words."""
    return ablations.form_sentence(study, DESIGN, "what its own rows hold of it is shown", "rows")


# --- what there is to see ------------------------------------------------------------------------------------------
def examples(study: Study, task: str = "image_text", count: int = 6) -> list[dict]:
    """The first dev examples of a task with images; none where its images are not in place."""
    try:
        return data.load(study, task, "dev").examples[:count]
    except DataError:
        return []


def gallery(study: Study, task: str = "image_text", count: int = 6):
    """Images of dev examples with their captions, and whether they belong together."""
    import textwrap

    from .figures import INK, Figure, _axes
    from .vision import picture

    some = examples(study, task, count)
    if not some:
        empty, axis = _axes(5, 0.5)
        axis.set_axis_off()
        axis.text(0, 0.5, "the images are not in place", color=INK)
        return Figure(empty, "Images with captions: the images are not in place.")
    plot, places = _axes(2.0 * len(some), 2.9, ncols=len(some))
    for axis, e in zip(np.atleast_1d(places), some, strict=True):
        axis.imshow(picture(e["image"]))
        axis.set_axis_off()
        axis.set_title("\n".join([e.get("label", ""), *textwrap.wrap(e["text"], 26)]), fontsize=7, color=INK)
    return Figure(plot, f"{study.tasks[task].title}: " + " ".join(f"{e.get('label', '')}: {e['text']}" for e in some))


# --- what was trained ----------------------------------------------------------------------------------------------
def training(study: Study) -> pd.DataFrame:
    """What the rows with captions, and those they are matched to, were trained on.

    Returns
    -------
    DataFrame
        ``row, seed, steps, tokens, matched to, its steps, its tokens``: tokens are the captions' pieces, those of images are not counted.
    """
    found = []
    for r in rows(study):
        for seed in study.seeds:
            if record := phases.record_of(study, r.recipe, seed):
                t, other = record["training"], phases.record_of(study, r.text, seed) if r.text else None
                goal = other["training"] if other else record.get("match", {})
                found.append(
                    (r.recipe, seed, t["steps"], t["tokens"], r.text or "–", goal.get("steps"), goal.get("tokens"))
                )
    return pd.DataFrame(found, columns=["row", "seed", "steps", "tokens", "matched to", "its steps", "its tokens"])


# --- whether images are used ---------------------------------------------------------------------------------------
def looks(study: Study) -> pd.DataFrame:
    """Dev accuracy of each trained row on images as they are, blank ones and each other's.

    Returns
    -------
    DataFrame
        ``row, task, seed, images, value, low, high, difference, difference low, difference high, p``: accuracy in percent of matches, or of
        masked pieces; the difference is to images as they are, both with intervals over examples. Rows whose weights are gone are left out.
    """
    found = []
    for r in rows(study):
        for seed in study.seeds:
            if phases.record_of(study, r.recipe, seed):
                found += _looks(study, r, seed)
    columns = [
        "row",
        "task",
        "seed",
        "images",
        "value",
        "low",
        "high",
        "difference",
        "difference low",
        "difference high",
        "p",
    ]
    return pd.DataFrame(found, columns=columns)


def _looks(study: Study, row: Row, seed: int) -> list[tuple]:
    run = phases.train_intermediate(study, row.recipe, seed)
    if not (run.path / "model").is_dir():
        return []
    try:
        seen = {how: _seen(study, run, row.task, how) for how in SHOWN}
    except DataError:
        return []
    made = []
    for how, title in SHOWN.items():
        value, low, high = stats.interval(seen[how])
        d = stats.paired_bootstrap(seen[""], seen[how]) if how else None
        difference = (d.value, d.low, d.high, d.p) if d else (np.nan,) * 4
        made.append((row.recipe, row.task, seed, title, value, low, high, *difference))
    return made


def _seen(study: Study, run, task: str, how: str) -> stats.Counts:
    """Counts of the dev examples, with their images or others in their place."""
    from . import backbone, encoded, vision
    from .evaluate import run_model
    from .kinds import kind
    from .metrics import METRICS
    from .runs import device

    k, where, split = kind("caption"), device(study), data.load(study, task, "dev")
    some = {"": lambda e, *_: e, "blank": vision.blank, "shuffled": vision.shuffled}[how](split.examples, "caption", 0)
    tokenizer, labels = backbone.load_tokenizer(run.model), data.labels(study, task)
    inputs = {"examples": split.fingerprint, **({"images": how} if how else {})}
    features = encoded.of(study, k, some, inputs, tokenizer, phases.hyper(study, task).length, labels)
    model = k.trained(run.model, features).to(where.name)
    frame = k.decode(some, features, run_model(model, k, features, where, tokenizer.pad_token_id), labels)
    metric = METRICS["caption", "accuracy"]
    return stats.Counts({"en": (frame["id"].to_numpy(), metric.counts(frame))}, metric.value)


def looks_shown(table: pd.DataFrame) -> pd.DataFrame:
    """The same for :func:`xitt.show.show`."""
    if not len(table):
        return pd.DataFrame({"row": ["none is trained in this study, or its weights were not kept"]})
    made = table[["row", "seed", "images"]].copy()
    for name, shown in (("value", "right (%)"), ("difference", "lost without them")):
        made[shown] = table[name]
        made[f"{shown} low"], made[f"{shown} high"] = (table["low" if name == "value" else f"{name} low"],
                                                       table["high" if name == "value" else f"{name} high"])  # fmt: skip
    return made


def looks_sentence(study: Study, table: pd.DataFrame) -> str:
    """Whether the images are used, in words."""
    if not len(table):
        return "No row with images is trained in this study yet, or its weights were not kept."
    plain = {r.recipe for r in rows(study) if not r.control}
    lines = []
    for row, part in table[table["row"].isin(plain)].groupby("row", sort=False):
        own = part[part["images"] == SHOWN[""]]["value"].mean()
        lost, low, high = _lost(part[part["images"] == SHOWN["blank"]])
        verdict = "uses them" if low > 0 else "does not demonstrably use them"
        lines.append(f"{row}: {own:.1f} % right with the images and {lost:.1f} points less without ({low:+.1f} to {high:+.1f}): it {verdict}.")  # fmt: skip
    return "\n".join(lines) or "No row with images as they are is trained yet."


def _lost(blank: pd.DataFrame) -> tuple[float, float, float]:
    """Points lost without images, with the interval: over seeds from three on, else over examples (of two seeds, the mean of its ends)."""
    if len(blank) >= 3:
        d = stats.over_seeds(blank["difference"].to_numpy(float))
        return d.value, d.low, d.high
    lost, low, high = (float(blank[f"difference{x}"].mean()) for x in ("", " low", " high"))
    return lost, low, high


# --- what transfers ------------------------------------------------------------------------------------------------
def benchmark_targets(study: Study, recipe: str) -> list[str]:
    """Targets of a row that are XTREME-R's."""
    return [t for t in study.targets_of(recipe) if t.partition("+")[0] in TARGETS["xtreme-r"]]


def table(study: Study, against: str) -> pd.DataFrame:
    """Rows with images against others, target by target, and the mean over XTREME-R's targets.

    Parameters
    ----------
    against : str
        ``text``: the text-only row each is matched to; ``control``: its controls; ``none``: no intermediate task.

    Returns
    -------
    DataFrame
        Columns and units of :func:`xitt.ablations.table`.
    """
    found = []
    for variant, base in _pairs(study, against):
        both = [t for t in study.targets_of(variant) if t in study.targets_of(base)]
        there = []
        for target in both:
            held = resampled(study, target)
            if held and (d := compare([(held, variant, base)])):
                there.append(target)
                rings = [chance.reaches(study, target, r) for r in (variant, base)]
                found.append(ablations._row(variant, base, target, held.mean(variant), held.mean(base), d, rings))
        some = [t for t in benchmark_targets(study, variant) if t in there]
        if len(some) > 1 and (d := mean_difference(study, variant, some, base)):
            found.append(ablations._row(variant, base, ablations.MEAN, np.nan, np.nan, d))
    return ablations._corrected(found)


def _pairs(study: Study, against: str) -> list[tuple[str, str]]:
    known, every = {*study.intermediates, "none"}, rows(study)
    plain = [r for r in every if not r.control]
    pairs = {
        "text": [(r.recipe, r.text) for r in plain],
        "control": [(r.plain, r.recipe) for r in every if r.control],
        "none": [(r.recipe, "none") for r in plain],
    }[against]
    return [(a, b) for a, b in pairs if a in known and b in known]


def effect(study: Study, against: str = "text") -> stats.Difference | None:
    """Mean over rows with images and XTREME-R's targets of the change against other rows, by default the text-only row of the same length.

    Parameters
    ----------
    against : str
        As of :func:`table`.
    """
    parts = []
    for variant, base in _pairs(study, against):
        for target in benchmark_targets(study, variant):
            held = resampled(study, target, task_metrics(study.tasks[target]))
            if held and compare([(held, variant, base)]):
                parts.append((held, variant, base))
    return compare(parts) if parts else None


def answer(study: Study, looked: pd.DataFrame) -> str:
    """The answer to the design's question at this scale, with its interval and limits, in words."""
    d = effect(study)
    if d is None:
        return f"{study.name} cannot answer the question: no row with images is scored beside the text-only row it is matched to."
    said = "helps" if d.low > 0 else "does harm" if d.high < 0 else "can neither be said to help nor to harm"
    targets = sorted({t for v, _ in _pairs(study, "text") for t in benchmark_targets(study, v)})
    use = looks_sentence(study, looked).replace("\n", " ")
    limits = (
        []
        if d.how.startswith("t ")
        else ["the interval is over examples and compares trained models; it decides nothing about training"]
    )
    limits += ["the images are drawn and the world is small"] if study.params.data.source == "pocket" else []
    limits += ["only the captions' tokens are matched, and a step with images computes more"]
    return (
        f"Against text-only tasks of the same number of steps and text tokens, training on images with captions {said} here: "
        f"{_points(d)[:-1]}, {d.how}) on the mean of {', '.join(study.tasks[t].title for t in targets)}. "
        f"{_by_image(study)}{_by_none(study)}"
        f"Were images used? {use} Retrieval of captions in the other languages, against no intermediate task: {_checked(study)}. "
        f"Limits: {'; '.join(limits)}."
    )


def _points(d: stats.Difference) -> str:
    return f"{d.value:+.1f} points (95 % interval {d.low:+.1f} to {d.high:+.1f})"


def _by_image(study: Study) -> str:
    """What images add to captions, in words; empty without controls."""
    d = effect(study, "control")
    if d is None:
        return ""
    said = (
        "the images add to what the captions do"
        if d.low > 0
        else "the images take from what the captions do"
        if d.high < 0
        else "what the images add to the captions cannot be told from nothing"
    )
    return f"Against the same captions without their images (blank, or each other's) it is {_points(d)}: {said}. "


def _by_none(study: Study) -> str:
    """The change against no intermediate task, in words; empty without it."""
    d = effect(study, "none")
    if d is None:
        return ""
    said = "a gain" if d.low > 0 else "a loss" if d.high < 0 else "neither a gain nor a loss for certain"
    return f"Against no intermediate task it is {_points(d)}, {said}. "


def _checked(study: Study) -> str:
    """Changes in retrieval of captions, and which scores are at chance, in words."""
    check = table(study, "none")
    rows = check[check["target"] == CHECK].itertuples()
    return (
        "; ".join(
            f"{r.variant} {r.change:+.1f} ({r.low:+.1f} to {r.high:+.1f}{', at chance' if r.value_at_chance else ''})"
            for r in rows
        )
        or "not scored"
    )
