"""Similarity as it is shown: tables, a figure, and what they say in sentences."""

from __future__ import annotations

import pandas as pd

from .. import ablations
from ..study import Study
from . import predict
from .names import LARGEST, MEASURES, Undefined
from .predict import AVERAGE, Panel
from .records import DESIGN, grid
from .samples import material

#: the measure that the open question Q04 is decided by (``reference/claims.yaml``): what texts mean, whatever their labels
SEMANTIC = "text"
RANKED = (
    "Mean over training sets of the rank correlation within targets, with 95 % t interval over the sets; q: corrected p (Benjamini-Hochberg over the table), "
    "* below 0.05; detectable: the least true correlation found four times out of five (blank: not even 1); over seeds: "
    "the same with a t interval over the seeds, where there are three."
)
PICKED = (
    "Points lost against the best intermediate task, mean over training sets with 95 % t interval; against: regret@1 minus that of the baseline, below zero is "
    "better; error: mean absolute error of the predicted change, in points."
)
COSTS = (
    "Seconds for all pairs, each measure as if taken alone; runs saved: those of the tasks that are not chosen, one being chosen per target (as recorded, on the "
    "machines that made them)."
)
NEEDS = {"data": "training sets", "backbone": "untrained encoder", "encoder": "trained encoder"}


# --- what is measured ------------------------------------------------------------------------------------------------
def form_sentence(study: Study) -> str:
    """Which pairs are compared, in words."""
    (rows, columns), some = grid(study), study.params.similarity
    names = [n for n in MEASURES if n in (some.measures or MEASURES)]
    form = ablations.form_sentence(study, DESIGN, "the pairs are those of its main table", "rows")
    return (
        f"{len(rows)} intermediate recipes on {len(columns)} targets; {len(names)} of {len(MEASURES)} measures, on {some.examples} examples of each "
        f"training set. {form}"
    )


def coverage(study: Study, measured: pd.DataFrame) -> pd.DataFrame:
    """Each measure: what it needs, where its definition is from, for how many pairs it exists, and why not for the others."""
    rows = []
    for name, part in measured.groupby("measure", sort=False):
        m, there = MEASURES[name], part["value"].notna()
        why = "; ".join(dict.fromkeys(w for w in part["why"] if w))
        rows.append((m.title, NEEDS[m.needs], m.source, f"{int(there.sum())} of {len(part)}", why or "–"))
    return pd.DataFrame(rows, columns=["measure", "reads", "definition", "pairs", "not defined where"])


def matrix(study: Study, measured: pd.DataFrame, measure: str = SEMANTIC) -> pd.DataFrame:
    """One measure of every pair, mean over seeds: recipes × targets; no columns where there is no recipe to compare.

    Raises
    ------
    ParameterError
        If it was not taken.
    """
    from ..errors import ParameterError, unknown

    rows, columns = grid(study)
    taken = list(dict.fromkeys(measured["measure"])) if rows else MEASURES
    if measure not in taken:
        raise ParameterError(unknown("measure", measure, taken))
    if not rows:
        return pd.DataFrame({"intermediate": ["none"]})
    part = measured[measured["measure"] == measure]
    wide = part.pivot_table(index="intermediate", columns="target", values="value", dropna=False)
    wide = wide.reindex(index=list(rows), columns=list(columns))
    wide.columns = [study.tasks[t].title for t in columns]
    return wide.rename_axis("intermediate")


def matrix_caption(measure: str) -> str:
    """What the table of one measure shows."""
    m = MEASURES[measure]
    return f"{m.title} of every pair, higher is nearer ({m.source})."


def shared_data(study: Study) -> str:
    """Which targets stand and fall together, and which have nothing to measure, in words."""
    _, columns = grid(study)
    groups: dict[str, list[str]] = {}
    lost = []
    for t in columns:
        try:
            groups.setdefault(material(study, t)[0], []).append(study.tasks[t].title)
        except Undefined:
            lost.append(study.tasks[t].title)
    joined = [f"{' and '.join(g)} ({n})" for n, g in groups.items() if len(g) > 1]
    text = f"{len(columns)} targets are trained on {len(groups)} sets" if groups else "No target has training data"
    text += (
        f"; the same one serves {', '.join(joined)}: measured alike, left out together, counted once" if joined else ""
    )
    return text + (
        f". {', '.join(lost)} has neither training nor dev data: what needs them is not defined there." if lost else "."
    )


# --- how well they predict -------------------------------------------------------------------------------------------
def ranked(table: pd.DataFrame, seeds: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rank correlations as people read them, with the interval over seeds (:func:`xitt.similarity.predict.by_seed`) where there are three."""
    if not len(table):
        return pd.DataFrame({"measure": ["none yet"]})
    star = ["*" if q < 0.05 else "" for q in table["q"]]
    made = table.assign(measure=[MEASURES[m].title + s for m, s in zip(table["measure"], star, strict=True)])
    made = made.rename(columns={"value": "correlation", "low": "correlation low", "high": "correlation high"})
    made = made[["measure", "targets", "training sets", "correlation", "correlation low", "correlation high", "q", "detectable"]]  # fmt: skip
    if seeds is not None and len(seeds):
        said = {r.measure: f"{r.value:+.2f} ({r.low:+.2f} to {r.high:+.2f})" for r in seeds.itertuples()}
        made["over seeds"] = [said.get(m, "–") for m in table["measure"]]
    return made


def picked(table: pd.DataFrame) -> pd.DataFrame:
    """Regrets as people read them."""
    if not len(table):
        return pd.DataFrame({"chosen by": ["none yet"]})
    return table.assign(**{"chosen by": [_title(n) for n in table["chosen by"]]})


def _title(name: str) -> str:
    if name == LARGEST:
        return "largest data"
    return MEASURES[name].title if name in MEASURES else name


def costs(table: pd.DataFrame) -> pd.DataFrame:
    """Costs as people read them."""
    made = table.assign(measure=[MEASURES[m].title for m in table["measure"]], needs=[NEEDS[n] for n in table["needs"]])
    return made.rename(
        columns={"seconds": "measure (s)", "saves": "runs saved (s)", "share": "share (%)", "needs": "reads"}
    )


def figure(table: pd.DataFrame):
    """Rank correlation of every measure with its interval; filled where the corrected p is below 0.05."""
    from ..figures import BLUE, INK, Figure, _axes, nothing

    some = table.dropna(subset=["value"]) if len(table) else table
    if not len(some):
        return nothing("No measure ranks enough recipes on enough targets yet")
    plot, axis = _axes(6, 0.9 + 0.3 * len(some))
    for place, row in enumerate(some.iloc[::-1].to_dict("records")):
        axis.plot([max(row["low"], -1), min(row["high"], 1)], [place, place], color=BLUE, lw=1.6)
        axis.plot(row["value"], place, "o", color=BLUE, ms=6, mfc=BLUE if row["q"] < 0.05 else "none")
    axis.set_yticks(range(len(some)), [MEASURES[m].title for m in some["measure"]][::-1], fontsize=9)
    axis.axvline(0, color=INK, lw=1)
    axis.set(
        xlabel="rank correlation with the change, within targets", xlim=(-1.05, 1.05), ylim=(-0.6, len(some) - 0.4)
    )
    return Figure(
        plot,
        f"{ranked_sentence(table)} Bars are 95 % intervals over training sets; filled marks: corrected p below 0.05.",
    )


def ranked_sentence(table: pd.DataFrame) -> str:
    """What the rank correlations show, written from the numbers."""
    some = table.dropna(subset=["value"]) if len(table) else table
    if not len(some):
        return f"No rank correlation yet: it takes {predict.ENOUGH} recipes that are scored on targets of {predict.ENOUGH} training sets."
    best, worst = some.loc[some["value"].idxmax()], some.loc[some["value"].idxmin()]
    sure = some[some["q"] < 0.05]
    found = f"{len(sure)} of {len(some)} measures differ from no correlation at a false-discovery rate of 5 %"
    found += f" ({', '.join(MEASURES[m].title for m in sure['measure'])})" if len(sure) else ""
    return f"{found}. Highest: {_said(best)}; lowest: {_said(worst)}."


def _said(row: pd.Series) -> str:
    return f"{MEASURES[row['measure']].title} {row['value']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f}, {row['training sets']} training sets)"


def picked_sentence(table: pd.DataFrame) -> str:
    """What choosing by measures costs in points, written from the numbers."""
    some = table.dropna(subset=["regret@1"]) if len(table) else table
    if not len(some):
        return "Nothing to choose by yet."
    by = some.set_index("chosen by")
    known = [n for n in (LARGEST, AVERAGE, predict.CHANCE) if n in by.index]
    base = ", ".join(f"{_title(n)} {by.loc[n, 'regret@1']:.1f}" for n in known)
    others = by.drop(index=known).dropna(subset=["against average"])
    text = f"Points lost by the first choice: {base}. "
    if not len(others):
        return text.strip()
    best = others["against average"].idxmin()  # on the same targets: not every choice is there for all
    row = others.loc[best]
    text += (
        f"Nearest to or most below the best on average: {_title(best)}, {row['regret@1']:.1f} on {row['targets']:.0f} targets, {row['against average']:+.1f} against it there "
        f"({row['against average low']:+.1f} to {row['against average high']:+.1f}). "
    )
    sure = others.index[(others["against average high"] < 0) & ~(others["against largest high"] >= 0)]
    if len(sure):
        return (
            text + f"Better than both baselines with the whole interval (uncorrected): {', '.join(map(_title, sure))}."
        )
    return text + "Nothing is better than both baselines with its whole interval."


def cost_sentence(table: pd.DataFrame) -> str:
    """What measures cost, written from the numbers."""
    some = table[table["pairs"] > 0]
    if not len(some) or not some["saves"].gt(0).any():
        return "No runs to save yet."
    first = some.loc[some["seconds"].idxmax()]
    return (
        f"The dearest measure, {MEASURES[first['measure']].title}, takes {first['seconds']:.1f} s for all pairs and can save up to {first['saves']:,.0f} s of "
        f"runs ({first['share']:.1f} %); the others take {some['seconds'].drop(first.name).min():.1f} to {some['seconds'].drop(first.name).max():.1f} s."
        if len(some) > 1
        else f"{MEASURES[first['measure']].title} takes {first['seconds']:.1f} s and can save up to {first['saves']:,.0f} s."
    )


def answer(study: Study, p: Panel, table: pd.DataFrame, choices: pd.DataFrame) -> str:
    """The plain answer at this scale, with its interval and limits, written from the numbers."""
    if not grid(study)[0]:
        return f"There is nothing to compare: {study.name} has no intermediate task, its only row is `none`."
    some = table.dropna(subset=["value"]) if len(table) else table
    if not len(some):
        return f"No answer yet: {ranked_sentence(table)}"
    text = ""
    if (own := some[some["measure"] == SEMANTIC]).size:
        row = own.iloc[0]
        verdict = (
            "agrees with"
            if row["low"] > 0
            else "runs against"
            if row["high"] < 0
            else "cannot be told from having nothing to do with"
        )
        text = f"Semantic similarity of the texts {verdict} the gain here: rank correlation {row['value']:+.2f} (95 % interval {row['low']:+.2f} to {row['high']:+.2f}, {row['high'] - row['low']:.2f} wide). "
    text += f"{ranked_sentence(table)} {picked_sentence(choices)}"
    seeds = len(study.seeds)
    spread = (
        "one training each: that another seed ranks the recipes otherwise is in the intervals only as far as it differs from target to target"
        if seeds == 1
        else f"means over {seeds} seeds"
    )
    limits = (
        f"Limits: {len(p.recipes)} recipes ({', '.join(p.recipes)}) on {len(p.targets)} targets of {len(set(p.groups))} training sets, {spread}. A true correlation below "
        f"{some['detectable'].fillna(1).median():.2f} (median over the measures) would be missed more often than once in five. The recipes themselves are the same on every target, so that "
        f"the intervals hold for further targets, not for further recipes"
    )
    limits += "; with so few recipes regret@3 can hardly be large" if len(p.recipes) <= 5 else ""
    if study.params.data.source == "pocket":
        limits += ". The tasks are generated from one small world, whose texts and words are nearer to each other than those of real sets"
    return f"{text}\n\n{limits}."
