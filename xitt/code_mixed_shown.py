"""The code-mixed study as people read it: tables, curves, and the plain answer, written from the numbers (``xitt.code_mixed``)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import prose
from .chance import RING, flags
from .code_mixed import MIXING, Book, beside, curve, mean_change, rows, targets
from .show import score
from .study import Study

NOTHING = "nothing to compare yet"


def _sets(number: int) -> str:
    return f"{number} set{'' if number == 1 else 's'}"


def form_sentence(study: Study) -> str:
    """What of the design a study runs, in words."""
    mixed, recipes = targets(study), rows(study)
    seeds = f"{len(study.seeds)} seed{'s' if len(study.seeds) > 1 else ''}"
    if not mixed:
        return f"{study.name} has no target whose text mixes languages (design `code_mixed`)."
    trained = {study.tasks[t].train for t in mixed}
    shared = trained & {study.tasks[t].train for t in study.targets if t not in mixed}
    return (
        f"{study.name} scores {_sets(len(mixed))} of mixed text with {len(recipes)} encoders and {seeds}. {len(shared)} of the {len(trained)} "
        f"fine-tunings behind them also serve targets of unmixed text; the encoders are those of the transfer design."
    )


def sets(study: Study) -> pd.DataFrame:
    """The mixed sets: ``set, mixes, codes, trained on, compared with``."""
    from . import data
    from .code_mixed import KINDS

    made = []
    for target in targets(study):
        row = study.tasks[target]
        codes = data.languages(study, target)
        with_ = study.tasks[row.source.of].title if row.source.of else "–"
        made.append((row.title, KINDS[row.source.layout], ", ".join(codes), study.tasks[row.train].title, with_))
    return pd.DataFrame(made, columns=["set", "mixes", "codes", "trained on", "compared with"])


def _change(value: float, low: float, high: float, q: float = 1.0) -> str:
    return "–" if np.isnan(value) else f"{value:+.1f}{'*' if q < 0.05 else ''} [{low:+.1f}, {high:+.1f}]"


def changes(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`xitt.code_mixed.table` with intervals beside their changes."""
    if not len(frame):
        return pd.DataFrame({"set": [NOTHING]})
    each = frame.to_dict("records")
    ring = {
        (r, t): flags(study, r, t).get("avg", False)
        for t in frame["target"].unique()
        for r in ("none", *frame["recipe"].unique())
    }

    def scores(column: str, recipes) -> list:
        return [
            score(v, ring[key])
            for v, *key in zip(frame[column], recipes, frame["target"], strict=True)
            for key in [tuple(key)]
        ]

    return pd.DataFrame({
        "recipe": frame["recipe"], "set": [study.tasks[t].title for t in frame["target"]], "mixes": frame["kind"],
        "none (%)": scores("mixed none", ["none"] * len(frame)), "score (%)": scores("mixed", frame["recipe"]),
        "change, mixed": [_change(r["change"], r["low"], r["high"], r["q"]) for r in each],
        "change, unmixed": [_change(r["plain change"], r["plain low"], r["plain high"]) for r in each],
        "difference": [_change(r["kept"], r["kept low"], r["kept high"], r["kept q"]) for r in each],
    })  # fmt: skip


def changes_caption(frame: pd.DataFrame) -> str:
    """Units, kind of interval and correction."""
    if not len(frame):
        return ""
    return (
        "Scores on mixed text in percent; changes against none in points with 95 % intervals "
        f"({frame['how'].iloc[0]}), on mixed text and on the same task unmixed; their difference is below zero where mixing takes from a gain. {RING}. {prose.STAR}"
    )


def changes_sentence(frame: pd.DataFrame) -> str:
    """How many changes are sure, in words."""
    if not len(frame):
        return "No set of mixed text has been scored under none and another recipe yet."
    up, down = ((frame["q"] < 0.05) & (np.sign(frame["change"]) == sign) for sign in (1, -1))
    apart = frame[frame["kept q"] < 0.05]
    return (
        f"Of {len(frame)} changes on these texts {up.sum()} are gains and {down.sum()} losses at a false-discovery rate of 5 %; "
        f"{len(apart)} differ from the change on unmixed text, {(apart['kept'] < 0).sum()} of them downwards."
    )


def curve_shown(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """The curve of :func:`xitt.code_mixed.curve`, a row per task and recipe, a column per rate."""
    if not len(frame):
        return pd.DataFrame({"task": [NOTHING]})
    cells = frame.assign(cell=[f"{r['value']:.1f} [{r['low']:.1f}, {r['high']:.1f}]" for r in frame.to_dict("records")])
    wide = cells.pivot(index=["task", "recipe"], columns="rate", values="cell").reindex(
        cells[["task", "recipe"]].drop_duplicates()
    )
    wide.columns = [f"{rate} % switched" for rate in wide.columns]
    wide = wide.reset_index()
    return wide.assign(task=[study.tasks[t].title for t in wide["task"]])


def curve_sentence(study: Study, frame: pd.DataFrame) -> str:
    """How far scores fall from unmixed to fully switched, with and without intermediate training, in words."""
    lines = []
    for task, part in frame.groupby("task", sort=False):
        ends = part.pivot(index="recipe", columns="rate", values="value").reindex(part["recipe"].unique())
        last = ends.columns.max()
        said = [
            f"{recipe} from {row[0]:.1f} to {row[last]:.1f} ({row[last] - row[0]:+.1f})"
            for recipe, row in ends.iterrows()
        ]
        lines.append(
            f"{study.tasks[task].title}, from no word to {last} % of the content words switched: {'; '.join(said)}."
        )
    return (
        "\n".join(lines)
        or "No set with a switch rate has been scored: words are switched by the pocket's grammars alone."
    )


def curve_figure(study: Study, frame: pd.DataFrame):
    """Scores against the switch rate, one line per recipe with its interval, a panel per task."""
    from .figures import INK, Figure, _axes, palette

    if not len(frame):
        return _empty("Scores by switch rate")
    import matplotlib.pyplot as plt

    names, recipes = list(dict.fromkeys(frame["task"])), list(dict.fromkeys(frame["recipe"]))
    plt.close(_axes(1, 1)[0])  # sets the theme
    figure, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 3.0), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for number, (recipe, (colour, mark)) in enumerate(zip(recipes, palette(len(recipes)), strict=True)):
            part = frame[(frame["task"] == name) & (frame["recipe"] == recipe)].sort_values("rate")
            at = part["rate"] + 1.2 * (number - (len(recipes) - 1) / 2)
            axis.errorbar(at, part["value"], [part["value"] - part["low"], part["high"] - part["value"]], fmt=f"{mark}-", color=colour, ms=5, lw=1.4, elinewidth=0.8, label=recipe)  # fmt: skip
        metric = study.tasks[name].metrics[0]
        axis.set(xlabel="content words switched (%)", ylabel=f"{metric} (%)", xticks=sorted(set(frame["rate"])))
        axis.set_title(study.tasks[name].title, loc="left", fontsize=11, color=INK)
    axes[0][-1].legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    figure.tight_layout()
    return Figure(
        figure, f"Scores by the share of content words switched, with 95 % intervals. {curve_sentence(study, frame)}"
    )


def _empty(what: str):
    from .figures import INK, Figure, _axes

    figure, axis = _axes(5, 0.5)
    axis.set_axis_off()
    axis.text(0, 0.5, f"{what}: {NOTHING}", color=INK)
    return Figure(figure, f"{what}: {NOTHING}.")


# --- beside XTREME ---------------------------------------------------------------------------------------------------
def beside_shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean changes by kind of mixing and on XTREME, a row per recipe."""
    if not len(frame):
        return pd.DataFrame({"recipe": [NOTHING]})
    cells = frame.assign(cell=[_change(r["change"], r["low"], r["high"]) for r in frame.to_dict("records")])
    order = [f"{on} ({part['sets'].max()})" for on, part in frame.groupby("on", sort=False)]
    cells["on"] = [f"{on} ({frame[frame['on'] == on]['sets'].max()})" for on in cells["on"]]
    wide = cells.pivot(index="recipe", columns="on", values="cell").reindex(
        index=cells["recipe"].unique(), columns=order
    )
    wide = wide.fillna("–").rename_axis(columns=None)
    if len(at := frame[frame["on"] == "XTREME"].set_index("recipe")):
        wide["XTREME (%)"], wide["XTREME, none (%)"] = at["score"], at["none"]
    return wide.reset_index()


def beside_figure(study: Study, frame: pd.DataFrame):
    """Change on XTREME against the change on mixed text, one mark per recipe with both intervals."""
    from .figures import INK, Figure, _axes, palette

    both = [r for r in frame["recipe"].unique() if {"XTREME", "all mixed"} <= {*frame[frame["recipe"] == r]["on"]}]
    if not both:
        return _empty("Changes on mixed text and on XTREME")
    figure, axis = _axes(4.6, 3.4)
    for recipe, (colour, mark) in zip(both, palette(len(both)), strict=True):
        x, y = (frame[(frame["recipe"] == recipe) & (frame["on"] == on)].iloc[0] for on in ("all mixed", "XTREME"))
        spread = [[[d["change"] - d["low"]], [d["high"] - d["change"]]] for d in (y, x)]
        axis.errorbar(x["change"], y["change"], *spread, fmt=mark, color=colour, ms=7, elinewidth=1, label=recipe)
    axis.axhline(0, color=INK, lw=0.8)
    axis.axvline(0, color=INK, lw=0.8)
    axis.set(xlabel="change on mixed text (points)", ylabel="change on XTREME (points)")
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    return Figure(figure, f"Change against none on mixed text and on XTREME, 95 % intervals. {beside_sentence(frame)}")


def beside_sentence(frame: pd.DataFrame) -> str:
    """Which recipes gain in one place and lose in the other, in words."""
    said = []
    for recipe, part in frame.groupby("recipe", sort=False):
        at = part.set_index("on")
        if {"XTREME", "all mixed"} <= {*at.index}:
            m, x = at.loc["all mixed"], at.loc["XTREME"]
            sure = [_word(d) for d in (m, x)]
            said.append(
                f"{recipe} {sure[0]} on mixed text ({_change(m['change'], m['low'], m['high'])}) and {sure[1]} on XTREME ({_change(x['change'], x['low'], x['high'])})"
            )
    return f"{'; '.join(said)}." if said else "Mixed text and XTREME have not both been scored yet."


def _word(d) -> str:
    return "gains" if d["low"] > 0 else "loses" if d["high"] < 0 else "does not change for certain"


# --- the answer ------------------------------------------------------------------------------------------------------
def answer(study: Study, book: Book, frame: pd.DataFrame) -> str:
    """Whether gains survive mixing at this scale, with intervals, and what limits the answer; of sets that mix languages alone."""
    frame = frame[frame["kind"].isin(MIXING)]
    if not len(frame):
        return "Not answered here: no set of mixed text has been scored under none and another recipe."
    said = [s for r in frame["recipe"].unique() if (s := _recipe_answer(book, frame[frame["recipe"] == r], r))]
    return "\n".join([_verdict(frame), *said, beside_sentence(beside(book)), limits(study, frame)])


def _verdict(frame: pd.DataFrame) -> str:
    """One sentence over all pairs of recipe and set."""
    known = frame[frame["plain change"].notna()]
    gains = known[known["plain low"] > 0]
    if not len(gains):
        total = f"in {len(known)} pairs of recipe and set, no gain on unmixed text has an interval above zero"
        more = ((known["change"] > 0) & (known["q"] < 0.05)).sum()
        return f"There is no gain to survive: {total}; on mixed text {more} are above zero."
    kept = (gains["low"] > 0).sum()
    lost = (gains["kept high"] < 0).sum()
    rest = (
        f"in {lost} the gain is smaller for certain where languages mix"
        if lost
        else "in none is it smaller for certain where languages mix"
    )
    return f"Of {len(gains)} gain{'s' if len(gains) != 1 else ''} on unmixed text (interval above zero), {kept} are gains on mixed text too; {rest}."


def _recipe_answer(book: Book, part: pd.DataFrame, recipe: str) -> str:
    d = mean_change(book, recipe, part["target"])
    if d is None:
        return ""
    text = f"{recipe}: mean change on {_sets(len(part))} of mixed text {_change(d.value, d.low, d.high)}"
    tied = part[part["plain change"].notna()]["target"]
    plain, kept = (mean_change(book, recipe, tied, of) for of in ("plain", "kept")) if len(tied) else (None, None)
    if plain is None or kept is None:
        return f"{text}."
    some = "" if len(tied) == len(part) else f" of {_sets(len(tied))}"
    said = "smaller" if kept.high < 0 else "larger" if kept.low > 0 else "neither smaller nor larger for certain"
    return (
        f"{text}, on the same task unmixed{some} {_change(plain.value, plain.low, plain.high)}; with mixing it is {said} "
        f"({_change(kept.value, kept.low, kept.high)} points)."
    )


def limits(study: Study, frame: pd.DataFrame) -> str:
    """What the answer does not say, in words."""
    kinds, seeds = set(frame["kind"]), len(study.seeds)
    parts = ["intervals are over examples alone: another training could differ by more"] if seeds < 3 else []
    if study.params.data.source == "pocket":
        parts.append("the pocket is a small world, its switching follows a grammar and no speaker")
    if "between sentences" in kinds:
        parts.append("crossed pairs are translations, which nobody wrote to stand side by side")
    untied = frame[frame["plain change"].isna()]["target"].unique()
    if len(untied):
        parts.append(f"{', '.join(study.tasks[t].title for t in untied)} has no unmixed counterpart")
    return f"Limits: {'; '.join(parts)}." if parts else ""


def measured_shown(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """How mixed the switched sets are, a row per pair of languages, a column per rate."""
    if not len(frame):
        return pd.DataFrame({"pair": ["no words are switched by a grammar in this study"]})
    cells = frame.assign(
        cell=[f"{r.switched:.0f} % / {r.index_:.0f}" for r in frame.rename(columns={"index": "index_"}).itertuples()]
    )
    wide = cells.pivot(index=["task", "pair"], columns="rate", values="cell")
    wide.columns = [f"rate {rate}" for rate in wide.columns]
    wide = wide.reset_index()
    return wide.assign(task=[study.tasks[t].title for t in wide["task"]])


__all__ = [
    "answer", "beside", "beside_figure", "beside_sentence", "beside_shown", "changes", "changes_caption", "changes_sentence", "curve",
    "curve_figure", "curve_sentence", "curve_shown", "form_sentence", "limits", "measured_shown", "sets",
]  # fmt: skip
