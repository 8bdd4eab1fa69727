"""Code as intermediate task (``10_code``): what it changes against nothing, against language of the same length, against controls.

A row on code is compared with the natural-language row that it is matched to in steps and tokens (``+match=``), so that what differs is
what was read, and with itself on shuffled labels or random text (``+control=``), so that training on anything is told from training on code.
Intervals, corrections and the mean over targets are those of ``xitt.ablations`` and ``xitt.differences``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import ablations, data, phases, recipes, stats
from .chance import reaches
from .differences import compare, resampled, task_metrics
from .study import Study

DESIGN = "code"
#: what a row is for
ROLES = ("code", "mixture", "control", "language")
EXCERPT = 240


# --- rows ----------------------------------------------------------------------------------------------------------
def is_code(study: Study, task: str) -> bool:
    """Whether a task is made of programs: its name begins with ``code_``, a user's too, or its repository is of CodeXGLUE."""
    row = study.tasks[task]
    return row.name.startswith("code_") or "code_x_glue" in row.source.repository


def rows(study: Study) -> tuple[str, ...]:
    """Rows of the design, or of a study without it."""
    return study.grids[DESIGN][0] if DESIGN in study.grids else study.intermediates


def targets(study: Study) -> tuple[str, ...]:
    """Columns of the design, or of a study without it."""
    return study.grids[DESIGN][1] if DESIGN in study.grids else study.targets


def role(study: Study, recipe: str) -> str:
    """What a row is for: ``code``, ``mixture`` (code among other tasks), ``control``, ``language``; empty where nothing is trained."""
    if study.is_ready(recipe):
        return ""
    names = study.tasks_of(recipe)
    code = [t for t in names if is_code(study, t)]
    if recipes.parse(recipe, study.tasks).control:
        return "control"
    return "language" if not code else "code" if len(code) == len(names) else "mixture"


def of_role(study: Study, name: str) -> list[str]:
    """Rows with a role."""
    return [r for r in rows(study) if role(study, r) == name]


def matched(study: Study, name: str = "code") -> list[tuple[str, str]]:
    """Rows with a role, each with the row that it is matched to, where the study has that."""
    pairs = [(r, recipes.parse(r, study.tasks).match) for r in of_role(study, name)]
    return [(r, m) for r, m in pairs if m in study.intermediates]


def controlled(study: Study) -> list[tuple[str, str]]:
    """Rows each with a control of theirs: the same recipe with labels shuffled or text drawn at random."""
    pairs = [(ablations.without(c, "control", study.tasks), c) for c in of_role(study, "control")]
    return [(r, c) for r, c in pairs if r in study.intermediates]


def form_sentence(study: Study) -> str:
    """Which part of the design the study runs, in words."""
    return ablations.form_sentence(study, DESIGN, "what its own rows hold of it is shown")


def coverage(study: Study) -> pd.DataFrame:
    """What each row is for: ``for, rows, also trained by``; the last names the designs that have the row too."""
    found = []
    for name in ROLES:
        for row in of_role(study, name):
            other = [d for d, (some, _) in study.grids.items() if d != DESIGN and row in some]
            found.append((name, row, ", ".join(other) or "–"))
    return pd.DataFrame(found, columns=["for", "row", "also a row of"])


# --- the tasks -------------------------------------------------------------------------------------------------------
def _tasks(study: Study) -> list[str]:
    return list(dict.fromkeys(t for r in rows(study) for t in study.tasks_of(r) if is_code(study, t)))


def sources(study: Study) -> pd.DataFrame:
    """Where the examples of each task on code are read from: ``task, source, training examples, of``; ``of`` is what the source has."""
    from .inventory import source

    found = []
    for task in _tasks(study):
        row, split = study.tasks[task], data.training(study, task)
        found.append((row.title, source(study, row), len(split), split.total))
    return pd.DataFrame(found, columns=["task", "source", "training examples", "of"])


def examples(study: Study, each: int = 2) -> pd.DataFrame:
    """The first training examples of each task on code: ``task, reads, answer``."""
    found = []
    for task in _tasks(study):
        row, split = study.tasks[task], data.training(study, task)
        for e in split.examples[:each]:
            texts = [e[f] for f in ("text", "prompt", "first", "second") if e.get(f)]
            texts += [" / ".join(e["choices"])] if "choices" in e else []
            text = " ‖ ".join(t if len(t) <= EXCERPT else f"{t[:EXCERPT]} …" for t in texts)
            answer = e["choices"][e["label"]] if "choices" in e else e.get("label", "masked pieces")
            found.append((row.title, text, answer))
    return pd.DataFrame(found, columns=["task", "reads", "answer"])


def learned(study: Study) -> pd.DataFrame:
    """Whether a task was learned: ``row, seed, dev score, chance``, in percent; a control has no dev score.

    Chance is the best of the kind's baselines (uniform, majority, word overlap) on the same dev examples.
    """
    found = []
    for row in [*of_role(study, "code"), *(m for _, m in matched(study))]:
        (task, *others) = study.tasks_of(row)
        for seed in study.seeds:
            record = phases.record_of(study, row, seed)
            if record and record["training"]["best"] and not others:
                found.append((row, seed, record["training"]["best"]["score"], chance(study, task)))
    return pd.DataFrame(found, columns=["row", "seed", "dev score", "chance"]).drop_duplicates(ignore_index=True)


def chance(study: Study, task: str) -> float:
    """Score of the best baseline on the dev examples that choose checkpoints, in percent."""
    from .evaluate import scores
    from .kinds import kind
    from .metrics import task_score

    row, labels, h = study.tasks[task], data.labels(study, task), phases.hyper(study, task)
    train, dev = data.training(study, task).examples, data.load(study, task, "dev").examples[: h.eval_examples]
    frames = kind(row.kind).baselines(train, dev, labels)
    return max(task_score(row.kind, scores(row, f)) for f in frames.values())


def lengths(study: Study) -> pd.DataFrame:
    """Logged length of each matched training beside that of the row it is matched to.

    Returns
    -------
    DataFrame
        ``row, seed, steps, tokens, matched to, its steps, its tokens, apart``: tokens read, padding not counted; ``apart`` in percent.
    """
    found = []
    for name in ("code", "mixture", "control"):
        for row, other in matched(study, name):
            for seed in study.seeds:
                pair = [phases.record_of(study, r, seed) for r in (row, other)]
                if all(pair):
                    a, b = (r["training"] for r in pair)
                    apart = 100 * (a["tokens"] - b["tokens"]) / b["tokens"]
                    found.append((row, seed, a["steps"], a["tokens"], other, b["steps"], b["tokens"], apart))
    return pd.DataFrame(
        found, columns=["row", "seed", "steps", "tokens", "matched to", "its steps", "its tokens", "apart (%)"]
    )


def length_sentence(table: pd.DataFrame) -> str:
    """Whether trainings are of the same length, in words."""
    if not len(table):
        return "No matched row is trained yet."
    same, most = (table["steps"] == table["its steps"]).all(), table["apart (%)"].abs().max()
    return f"{'All' if same else 'Not all'} matched rows have the steps of the row they are matched to; their tokens are {most:.3f} % apart at most."


# --- what is compared ----------------------------------------------------------------------------------------------
def against_none(study: Study) -> pd.DataFrame:
    """Rows on code, mixtures and controls against no intermediate training."""
    return ablations.compared(study, [(r, "none") for name in ROLES[:3] for r in of_role(study, name)])


def margins(study: Study) -> pd.DataFrame:
    """Rows on code, and mixtures with it, against the natural-language rows that they are matched to."""
    return ablations.compared(study, [*matched(study), *matched(study, "mixture")])


def against_controls(study: Study) -> pd.DataFrame:
    """Rows against the same with labels shuffled or text drawn at random."""
    return ablations.compared(study, controlled(study))


def overall(study: Study, pairs: list[tuple[str, str]]) -> stats.Difference | None:
    """Mean over pairs of rows and over the targets that all of them meet, each by its task score; ``None`` if there is none."""
    there = [t for t in targets(study) if all(t in study.targets_of(r) for pair in pairs for r in pair)]
    found = [(resampled(study, t, task_metrics(study.tasks[t])), t) for t in there]
    known = [f for f, _ in found if f and all(f.seeds(r) for pair in pairs for r in pair)]
    return compare([(f, a, b) for f in known for a, b in pairs]) if known and pairs else None


def by_language(study: Study) -> pd.DataFrame:
    """Margin of code over natural language of the same length, mean over the rows on code, for each language of each target.

    Returns
    -------
    DataFrame
        ``target, language, margin, low, high, p, q, how``: in points of the target's main metric.
    """
    pairs, found = matched(study), []
    some = tuple(dict.fromkeys(r for pair in pairs for r in pair))
    for target in targets(study) if pairs else ():
        languages = data.languages(study, target)
        for language in languages:
            held = resampled(study, target, None, some, [x for x in languages if x != language])
            there = [(held, a, b) for a, b in pairs if held and held.seeds(a) and held.seeds(b)]
            if there and (d := compare(there)):
                found.append((target, language, d.value, d.low, d.high, d.p, d.how))
    frame = pd.DataFrame(found, columns=["target", "language", "margin", "low", "high", "p", "how"])
    frame["q"] = stats.benjamini_hochberg(frame["p"].to_numpy(float)) if len(frame) else []
    return frame


# --- as people read it ---------------------------------------------------------------------------------------------
def languages_shown(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """Margins per language, wide: a row for each target, a star where the corrected p is below 0.05."""
    if not len(table):
        return pd.DataFrame({"target": ["no row on code is scored beside the row it is matched to"]})
    cells = table.assign(
        cell=[f"{m:+.1f}{'*' if q < 0.05 else ''}" for m, q in zip(table["margin"], table["q"], strict=True)]
    )
    wide = cells.pivot(index="target", columns="language", values="cell").reindex(table["target"].unique())
    wide.insert(0, "mean", table.groupby("target")["margin"].mean().map("{:+.1f}".format))
    wide.index = [study.tasks[t].title for t in wide.index]
    return wide.rename_axis("target").fillna("–").reset_index().rename_axis(columns=None)


def languages_sentence(study: Study, table: pd.DataFrame) -> str:
    """In which languages the margin is largest and smallest, in words."""
    if not len(table):
        return "No row on code is scored beside the row it is matched to yet."
    sure = table[table["q"] < 0.05]
    low, high = table.loc[table["margin"].idxmin()], table.loc[table["margin"].idxmax()]
    said = [f"{r['margin']:+.1f} points in {r['language']} on {study.tasks[r['target']].title} ({r['low']:+.1f} to {r['high']:+.1f})" for r in (low, high)]  # fmt: skip
    return (
        f"{len(table)} pairs of target and language: code is ahead of language of the same length in {int((sure['margin'] > 0).sum())} and "
        f"behind in {int((sure['margin'] < 0).sum())} at a false-discovery rate of 5 % ({table['how'].iloc[0]}). The margins go from {said[0]} to {said[1]}."
    )


def languages_figure(study: Study, table: pd.DataFrame):
    """Margin of each language with its interval, a line per target; filled where the corrected p is below 0.05."""
    from .figures import INK, Figure, _axes, nothing, palette

    if not len(table):
        return nothing("No row on code is scored beside the row it is matched to yet")
    order = list(dict.fromkeys(table["language"]))
    names = list(dict.fromkeys(table["target"]))
    plot, axis = _axes(max(5.0, 1.5 + 0.6 * len(order)), 3.0)
    places = np.linspace(-0.3, 0.3, len(names)) if len(names) > 1 else [0.0]
    for name, place, (colour, mark) in zip(names, places, palette(len(names)), strict=True):
        part = table[table["target"] == name]
        for number, (_, row) in enumerate(part.iterrows()):
            at = order.index(row["language"]) + place
            axis.plot([at, at], [row["low"], row["high"]], color=colour, lw=1.3)
            label = study.tasks[name].title if number == 0 else None
            axis.plot(
                at, row["margin"], mark, ms=5, color=colour, mfc=colour if row["q"] < 0.05 else "none", label=label
            )
    axis.axhline(0, color=INK, lw=1)
    axis.set_xticks(range(len(order)), order)
    axis.set(ylabel="code − language (points)")
    axis.legend(bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=9)
    return Figure(plot, f"Margin of code over natural language of the same length. {languages_sentence(study, table)}")


def _said(d: stats.Difference) -> str:
    return f"{d.value:+.1f} points (95 % interval {d.low:+.1f} to {d.high:+.1f})"


def answer(study: Study) -> str:
    """The answer to the question at this scale, with its interval and its limits, written from the numbers."""
    code, pairs = of_role(study, "code"), matched(study)
    base = overall(study, [(r, "none") for r in code])
    margin = overall(study, pairs)
    if base is None or margin is None:
        return "No row on code is scored beside none and beside the row it is matched to yet: there is no answer."
    names = [study.tasks[t].title for t in targets(study)]
    text = (
        f"Over {len(code)} row{'s' if len(code) > 1 else ''} on code and {len(names)} targets ({', '.join(names)}), intermediate training on code "
        f"changes the score by {_said(base)} against none, and by {_said(margin)} against natural language read for as many steps and tokens. "
        f"{_verdict(base, margin)} {_by_row(study, pairs)}"
    )
    text += "".join(_by_controls(study, name) for name in ("code", "language"))
    if mixed := overall(study, matched(study, "mixture")):
        text += f"Mixed into multi-task training of the same length, code changes the score by {_said(mixed)}. "
    return text + _limits(study, base) + _at_chance(study, list(dict.fromkeys([*code, *(m for _, m in pairs), "none"])))


def _verdict(base: stats.Difference, margin: stats.Difference) -> str:
    first = "gains" if base.low > 0 else "loses" if base.high < 0 else "neither gains nor loses for certain"
    second = "is ahead of" if margin.low > 0 else "is behind" if margin.high < 0 else "cannot be told apart from"
    return f"Here code {first} against none and {second} language of the same length."


def _by_row(study: Study, pairs: list[tuple[str, str]]) -> str:
    """Margin of each row, and what the comparison of MLM with a task holds besides."""
    found = [(r, m, overall(study, [(r, m)])) for r, m in pairs]
    said = "; ".join(f"{r} against {m} {d.value:+.1f} ({d.low:+.1f} to {d.high:+.1f})" for r, m, d in found if d)
    text = f"Row by row the margin is: {said}. " if len(found) > 1 else ""
    if any(study.tasks[t].kind == "mlm" for r, _ in pairs for t in study.tasks_of(r)):
        text += "MLM over code goes on with what the encoder was pre-trained by, which its rows of natural language do not: that is in its margin too. "
    return text


def _by_controls(study: Study, name: str) -> str:
    """What the controls of the rows with a role change, and how far these rows are from them, in words; empty without controls."""
    some = [(r, c) for r, c in controlled(study) if role(study, r) == name]
    if not (anything := overall(study, [(c, "none") for _, c in some])):
        return ""
    own, beyond = overall(study, [(r, "none") for r, _ in some]), overall(study, some)
    if name == "language":
        rows = ", ".join(dict.fromkeys(r for r, _ in some))
        return (
            f"For comparison, natural language: the controls of {rows} change it by {_said(anything)} against none; {rows} without them is "
            f"{_said(beyond)} from that. "
        )
    return (
        f"The controls, which have nothing to learn in them, change it by {_said(anything)} against none; the same code with its meaning is "
        f"{_said(beyond)} from them, so {_beyond(beyond, own)}. "
    )


def _beyond(d: stats.Difference, own: stats.Difference) -> str:
    """What follows from a difference to controls, given the change of the same rows against none."""
    if d.low > 0:
        return (
            "what helps is in the code"
            if own.low > 0
            else "its meaning counts, but not to a gain over none that is certain"
        )
    return (
        "what is in the code does harm beyond training on anything"
        if d.high < 0
        else "what is seen may be training on anything"
    )


def _limits(study: Study, d: stats.Difference) -> str:
    size = (
        "programs and sentences are generated, and the encoder is small"
        if study.params.data.source == "pocket"
        else "its data and encoder are those above"
    )
    if d.runs < 3:
        seeds = f"{d.runs} seed{'s' if d.runs > 1 else ''}, so that the intervals are over examples and compare trained models, not ways of training"
    else:
        seeds = f"{d.runs} seeds"
    return f"Limits: {seeds}; {size}; what {study.name} shows is not evidence about XLM-R unless it is that encoder on whole data."


def _at_chance(study: Study, some: list[str]) -> str:
    """Targets on which every one of some rows is at chance, in words; empty if there is none."""
    there = {t: resampled(study, t) for t in targets(study) if "+" not in t}
    known = [t for t, f in there.items() if f and all(f.seeds(r) for r in some)]
    flat = [t for t in known if all(reaches(study, t, r) for r in some)]
    if not flat:
        return ""
    names = ", ".join(study.tasks[t].title for t in flat)
    return f" At chance under every one of these rows: {names}; what the means above hold of it says nothing about transfer."
