"""The number of intermediate tasks as people read it: tables, figures and the answer (``11_scaling``)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import scaling, scaling_model, typology
from .figures import BLUE, INK, ORANGE, Figure, _axes, nothing
from .scaling import OUTCOMES, SCHEDULES, Panel
from .study import Study

RATE = 0.05


# --- tables --------------------------------------------------------------------------------------------------------
def changes(found: Panel | None) -> pd.DataFrame:
    """Rows of :func:`xitt.scaling.changes` for :func:`xitt.show.show`, with a star where the corrected p is below 0.05."""
    table = scaling.changes(found)
    if not len(table):
        return pd.DataFrame({"row": ["nothing has been scored yet"]})
    made = pd.DataFrame(
        {"trained": table["schedule"].map(SCHEDULES), "number": table["number"], "recipe": table["recipe"]}
    )
    for name, title in OUTCOMES.items():
        cells = zip(table[name], table[f"{name} low"], table[f"{name} high"], table[f"{name} q"], strict=True)
        made[title] = [f"{v:+.1f}{'*' if q < RATE else ''} [{a:+.1f}, {b:+.1f}]" for v, a, b, q in cells]
    return made


def curves(found: Panel | None) -> pd.DataFrame:
    """Rows of :func:`xitt.scaling.curves` for :func:`xitt.show.show`."""
    table = scaling.curves(found)
    if not len(table):
        return pd.DataFrame({"curve": ["fewer than two numbers of tasks have been scored"]})
    made = pd.DataFrame({"trained": table["schedule"].map(SCHEDULES), "outcome": table["outcome"].map(OUTCOMES)})
    made["one task"], made["most tasks"] = table["one task"], table["most tasks"]
    for column, title in (("difference", "most minus one"), ("slope", "per doubling"), ("area", "area")):
        made[title] = table[column]
        made[f"{title} low"], made[f"{title} high"] = table[f"{column} low"], table[f"{column} high"]
    return made


def how(found: Panel | None) -> str:
    """Kind of interval."""
    if found is None:
        return ""
    return f"t over {found.seeds} seeds" if found.seeds >= scaling.SEEDS else "examples only"


def caption(found: Panel | None) -> str:
    """Units and kind of interval."""
    if found is None:
        return ""
    titles = ", ".join(found.study.tasks[t].title for t in found.targets)
    gone = f" Not scored yet: {', '.join(found.gone)}." if found.gone else ""
    return (
        f"Change against none in points with 95 % interval ({how(found)}), mean over targets ({titles}), {len(found.languages)} zero-shot languages; a larger standard "
        f"deviation is less robust. * corrected p < 0.05 (Benjamini-Hochberg over the table).{gone}"
    )


# --- figures -------------------------------------------------------------------------------------------------------
def by_number(found: Panel | None) -> Figure:
    """Change against the number of tasks: a thin line per language, their mean with its interval, the worst language; one panel per schedule."""
    schedules = found.schedules if found else []
    if not schedules:
        return nothing("Fewer than two numbers of tasks have been scored")
    figure, axes = _axes(4.2 * len(schedules) + 1.2, 3.2, ncols=len(schedules), sharey=True, squeeze=False)
    change, said = found.by_language(found.changed(found.point)), []
    for axis, schedule in zip(axes[0], schedules, strict=True):
        sizes = found.sizes(schedule)
        x = np.log2(1 + np.array([0, *sizes]))
        for i in range(len(found.languages)):
            axis.plot(
                x,
                [0, *found.curve(schedule, change[..., i])],
                color=INK,
                lw=0.7,
                alpha=0.6,
                label="a language" if i == 0 else None,
            )
        for name, colour, mark in (("mean", BLUE, "o"), ("worst", ORANGE, "s")):
            ds = [found.effect(_height(found, schedule, name, k)) for k in range(len(sizes))]
            axis.plot(x, [0, *(d.value for d in ds)], f"{mark}-", color=colour, lw=2, ms=5, label=OUTCOMES[name])
            axis.vlines(x[1:], [d.low for d in ds], [d.high for d in ds], color=colour, lw=1.2)
            said.append(
                f"{SCHEDULES[schedule]}, {OUTCOMES[name]}: {', '.join(f'{d.value:+.1f} with {k}' for d, k in zip(ds, sizes, strict=True))}"
            )
        axis.axhline(0, color=INK, lw=0.8, ls=":")
        axis.set_xticks(x, [0, *sizes])
        axis.set(xlabel="number of intermediate tasks")
        axis.set_title(SCHEDULES[schedule], loc="left", fontsize=9, color=INK)
    axes[0][0].set(ylabel="change in points")
    axes[0][-1].legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    return Figure(
        figure,
        f"Change against none by number of intermediate tasks. {'; '.join(said)}. Bars: 95 % intervals ({how(found)}).",
    )


def _height(found: Panel, schedule: str, name: str, place: int):
    return lambda scores: found.curve(schedule, found.outcome(scores, name))[..., place]


def by_distance(found: Panel | None) -> Figure:
    """Change of each language against its distance from English, with one task and with the most; one panel per schedule, lines by least squares."""
    schedules = found.schedules if found else []
    tables = {
        s: t
        for s in schedules
        if (t := scaling.by_language(found, s).dropna(subset=["distance"])) is not None and len(t) > 1
    }
    if not tables:
        return nothing("Fewer than two languages of known distance have been scored with two numbers of tasks")
    figure, axes = _axes(4.2 * len(tables) + 1.2, 3.2, ncols=len(tables), sharey=True, squeeze=False)
    said = []
    for axis, (schedule, table) in zip(axes[0], tables.items(), strict=True):
        most = found.sizes(schedule)[-1]
        for column, colour, mark, label in (
            ("one task", INK, "o", "1 task"),
            ("most tasks", BLUE, "s", f"{most} tasks"),
        ):
            axis.plot(table["distance"], table[column], mark, color=colour, ms=5, label=label)
            slope, level = np.polyfit(table["distance"], table[column], 1)
            ends = np.array([table["distance"].min(), table["distance"].max()])
            axis.plot(ends, level + slope * ends, color=colour, lw=1)
            said.append(f"{SCHEDULES[schedule]}, {label}: {slope / 10:+.1f} points per 0.1 of distance")
        for row in table.itertuples():
            axis.annotate(
                row.language,
                (row.distance, table.loc[row.Index, "most tasks"]),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
        axis.axhline(0, color=INK, lw=0.8, ls=":")
        axis.set(xlabel="distance from English")
        axis.set_title(SCHEDULES[schedule], loc="left", fontsize=9, color=INK)
    axes[0][0].set(ylabel="change in points")
    axes[0][-1].legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    return Figure(
        figure, f"Change against none by syntactic distance from English, one mark per language. {'; '.join(said)}."
    )


# --- the answer ----------------------------------------------------------------------------------------------------
def answer(study: Study, found: Panel | None, made: scaling_model.Model | None) -> str:
    """The answer to the question at this scale, with its interval and its limits."""
    table = scaling.curves(found)
    if not len(table):
        return "No answer yet: fewer than two numbers of tasks have been scored with the same length rule."
    first = next(s for s in SCHEDULES if s in set(table["schedule"]))
    lines = [
        _verdict(found, table, first),
        *(_beside(table, s) for s in found.schedules if s != first),
        *_modelled(made),
    ]
    lines += [
        scaling_model.power_sentence(made, scaling_model.correlation(found, first)),
        scaling_model.confounds_sentence(found),
    ]
    return "\n".join(x for x in [*lines, _limits(study, found)] if x)


def _verdict(found: Panel, table: pd.DataFrame, schedule: str) -> str:
    rows = table[table["schedule"] == schedule].set_index("outcome")
    worst, mean, spread = (rows.loc[k] for k in ("worst", "mean", "spread"))
    what = "help" if worst["slope low"] > 0 else "hurt" if worst["slope high"] < 0 else ""
    if found.seeds < scaling.SEEDS:
        number = f"{found.seeds} training{'s' if found.seeds > 1 else ''} of each subset cannot tell"
        head = f"Open: {number} what another training would give. In these trained encoders more tasks {what or 'neither help nor hurt for certain'}"
        head += " the worst language"
    elif what:
        head = f"More intermediate tasks {what} the worst language here"
    else:
        head = "Whether more intermediate tasks help the worst language cannot be told here"
    return (
        f"{head}: with {SCHEDULES[schedule]} it changes by {_said(worst)} per doubling of their number, the mean over languages by {_said(mean)}, and the standard "
        f"deviation over languages by {_said(spread)} (a rise is less robust; {how(found)})."
    )


def _beside(table: pd.DataFrame, schedule: str) -> str:
    rows = table[table["schedule"] == schedule].set_index("outcome")
    return f"With {SCHEDULES[schedule]}: worst language {_said(rows.loc['worst'])} per doubling, mean {_said(rows.loc['mean'])}."


def _said(row: pd.Series) -> str:
    return f"{row['slope']:+.1f} points ({row['slope low']:+.1f} to {row['slope high']:+.1f})"


def _modelled(made: scaling_model.Model | None) -> list[str]:
    """What the model says of subsets and languages like these."""
    said = []
    if made is not None and scaling_model.SIZE in made.effects:
        d = made.fit.effect(scaling_model.SIZE)
        said.append(
            f"Over subsets and languages like these (mixed model) a doubling changes a score by {d.value:+.1f} points ({d.low:+.1f} to {d.high:+.1f})."
        )
    if made is not None and scaling_model.BOTH in made.effects:
        d = made.fit.effect(scaling_model.BOTH)
        more = (
            "gain more from more tasks"
            if d.low > 0
            else "gain less from more tasks"
            if d.high < 0
            else "cannot be said to gain more or less from more tasks"
        )
        said.append(
            f"Languages further from English {more} ({d.value:+.2f} points per doubling and 0.1 of distance, {d.low:+.2f} to {d.high:+.2f})."
        )
    return said


def _limits(study: Study, found: Panel) -> str:
    """What the answer does not hold for."""
    kinds = len({r.recipe for r in found.rows})
    said = [f"{kinds} subsets of tasks on {len(found.targets)} targets and {len(found.languages)} languages"]
    if len({scaling.rate(study, r.recipe) for r in scaling.rows(study) if r.schedule == "matched"}) > 1:
        said.append(
            "single tasks and mixtures have different learning rates, which goes along with one task against several"
        )
    if study.params.data.source == "pocket":
        said.append(
            "a small generated world, whose distances are those of the real languages that it imitates; it is not evidence about XLM-R"
        )
    unknown = [x for x in found.languages if typology.distance(x) is None]
    if unknown:
        said.append(f"no distance for {', '.join(unknown)}")
    return f"Limits: {'; '.join(said)}."


def ledger_row(study: Study) -> pd.DataFrame:
    """Verdict on Q02, by the rule that was fixed before any result: ``id, verdict, effect, runs, detectable, why``."""
    from . import claims, results

    targets = study.grids[scaling.DESIGN][1] if scaling.DESIGN in study.grids else ()
    names = study.grids[scaling.DESIGN][0] if targets else ()
    frames = [f for t in targets for f in (results.of_target(study, t, names, study.seeds), results.chance(study, t))]
    empty = pd.DataFrame(columns=list(results.COLUMNS))
    v = claims.verdict(study, "Q02", pd.concat(frames, ignore_index=True) if frames else empty, {})
    return pd.DataFrame([{"id": v.id, "verdict": v.verdict, "effect": v.effect, "effect low": v.low, "effect high": v.high, "runs": v.runs,
                          "detectable": v.detectable, "why": v.why}])  # fmt: skip
