"""What a study shows and what it cannot show, in sentences written from its numbers; the machine it ran on, in facts."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from .. import matrix, recipes, store, tables
from ..progress import clock
from ..study import Study
from .pages import Page

#: intermediate tasks of the paper (Phang et al. 2020, section 2.1), for saying which have no row
PAPER = ("anli_plus", "mnli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa", "commonsenseqa")
LARGE = ("xlm-roberta-large", "FacebookAI/xlm-roberta-large")


def facts(study: Study, pages: list[Page], runs: pd.DataFrame, made: dict[str, str]) -> list[tuple[str, str]]:
    """What was run, how long, on what, in a few words each."""
    there = sum(p.cells is not None and not p.error for p in pages)
    rows, columns = study.main
    found = [("matrix", f"{len(rows)} rows × {len(columns)} targets"), ("seeds", ", ".join(map(str, study.seeds)))]
    found.append(("notebooks", f"{there} of {len(pages)}"))
    if len(runs):
        found += [("training and scoring runs", f"{len(runs)}"), ("compute time", clock(float(runs["seconds"].sum())))]
        if "tokens" in runs and runs["tokens"].notna().any():
            found.append(("tokens trained on", f"{runs['tokens'].sum() / 1e6:,.1f} M"))
    notebooks = sum(p.seconds or 0 for p in pages)
    if notebooks:
        found.append(("time in notebooks", clock(notebooks)))
    if made.get("device"):
        threads = f", {made['threads']} thread{'s' * (made['threads'] != '1')} a run" if made.get("threads") else ""
        found.append(("machine", made["device"] + threads))
    return found


def shows(study: Study, cells: pd.DataFrame, zero: pd.DataFrame, means: pd.DataFrame) -> list[str]:
    """What the results show."""
    found = [_starting_point(study, zero)] if len(zero) else []
    tested = cells[cells["how"] != ""] if len(cells) else cells
    if not len(tested):
        return found
    gains, losses = ((tested["q"] < 0.05) & (sign * tested["change"] > 0) for sign in (1, -1))
    best, worst = tested.loc[tested["change"].idxmax()], tested.loc[tested["change"].idxmin()]
    found.append(
        f"Intermediate training raises {gains.sum()} and lowers {losses.sum()} of {len(tested)} cells of the matrix at a false-discovery rate of "
        f"5 %; the other {len(tested) - gains.sum() - losses.sum()} are not told from no change. Largest gain {_cell(study, best)}; largest loss {_cell(study, worst)}."
    )
    known = means[means["how"] != ""] if len(means) else means
    if len(known):
        known = known[known["scope"] == known["scope"].iloc[0]].sort_values("change", ascending=False)
        listed = ", ".join(
            f"{r.intermediate} {signed(r.change)} [{signed(r.low)}, {signed(r.high)}]" for r in known.itertuples()
        )
        found.append(
            f"Change of the mean over {known['targets'].iloc[0]} targets, in points with 95 % interval: {listed}."
        )
    sure = tested[gains].sort_values("change", ascending=False).drop_duplicates("target")
    if len(sure):
        found.append(
            "Largest gain per target that is told from no change: "
            + ", ".join(
                f"{study.tasks[r.target].title} {signed(r.change)} ({r.intermediate})" for r in sure.itertuples()
            )
            + "."
        )
    return found


def _starting_point(study: Study, zero: pd.DataFrame) -> str:
    """English and the rest without intermediate training."""
    known = zero.dropna(subset=["gap"]) if "gap" in zero else zero.iloc[:0]
    text = f"Without intermediate training, {sum(zero['others low'] > zero['chance (others)'])} of {len(zero)} targets are above chance in the other languages"
    if not len(known):
        return text + "."
    wide, narrow = known.loc[known["gap"].idxmax()], known.loc[known["gap"].idxmin()]
    below = int((known["gap low"] > 0).sum())
    text += f"; they stay below English on {below} of {len(known)}, by {wide['gap']:.1f} points at most ({study.tasks[wide['target']].title})"
    if len(known) > 1:
        text += f" and {narrow['gap']:.1f} at least ({study.tasks[narrow['target']].title})"
    return text + "."


def cannot(study: Study, pages: list[Page], cells: pd.DataFrame) -> list[str]:
    """What the results cannot show, and why."""
    p, found = study.params, []
    tested = cells[cells["how"] != ""] if len(cells) else cells
    if (p.backbone.hub or "") not in LARGE:
        name = p.backbone.hub or p.backbone.folder or "a small encoder built for this study"
        found.append(
            f"Whether a published claim holds: that needs XLM-R Large and the full data. The encoder here is {name}, so the study can agree or "
            "disagree with a claim, not support or contradict it."
        )
    if p.data.source == "pocket":
        found.append(
            "Anything about natural language: texts and tasks come from a generator, which writes every language from the same meanings."
        )
    if "examples only" in set(tested.get("how", ())):
        found.append(
            f"What another training would give: with {len(study.seeds)} seed{'s' * (len(study.seeds) > 1)} the intervals resample test examples. They compare "
            "the models that were trained here (examples only) and leave out how far two trainings of one kind differ."
        )
    if len(tested):
        half = (tested["high"] - tested["low"]) / 2
        found.append(
            f"Small changes: half a 95 % interval is {half.median():.1f} points wide in the middle cell of the matrix and {half.max():.1f} in the widest "
            f"({study.tasks[tested.loc[half.idxmax(), 'target']].title}); a change below that is not told from none."
        )
    flagged = cells[cells["at_chance"]] if len(cells) else cells
    if len(flagged):
        by_target = flagged.groupby("target", sort=False)["intermediate"].apply(", ".join)
        listed = "; ".join(f"{study.tasks[t].title}: {names}" for t, names in by_target.items())
        found.append(f"Anything about {len(flagged)} of {len(cells)} mean scores, which are at chance ({listed}).")
    found += _cut(study) + _stopped(study) + _absent(study, pages)
    return found


def _cut(study: Study) -> list[str]:
    limits = study.params.data.limits
    sizes = {"training": limits.train, "development": limits.dev, "test": limits.test}
    cut = ", ".join(f"{size:,} {name}" for name, size in sizes.items() if size is not None)
    return (
        [f"Scores on whole data sets: sets are cut, by default to {cut} examples (test sets per language)."]
        if cut
        else []
    )


def _stopped(study: Study) -> list[str]:
    """Multi-task rows of the matrix whose steps the study caps below the sum of their tasks' own."""
    from .. import phases

    found = []
    for recipe in study.main[0]:
        parsed = None if study.is_ready(recipe) else recipes.parse(recipe, study.tasks)
        if parsed is None or parsed.name != recipes.MULTITASK or parsed.mlm or parsed.match:
            continue
        if not any((study.out / "runs").glob(f"01.{recipes.file_name(recipe)}.s*/record.json")):
            continue  # looking for a run by its inputs makes the data sets, for nothing here
        if record := next((r for s in study.seeds if (r := phases.record_of(study, recipe, s))), None):
            training = record["training"]
            own = sum(phases.hyper(study, n).steps(p["units"]) for n, p in training["parts"].items())
            found += [f"{recipe} after {training['steps']:,} of {own:,}"] if training["steps"] < own else []
    named = "; ".join(found)
    return (
        [
            f"What multi-task training does that is as long as its tasks' own trainings together: steps are capped ({named})."
        ]
        if found
        else []
    )


def _absent(study: Study, pages: list[Page]) -> list[str]:
    found = []
    absent = [study.tasks[t].title for t in PAPER if t not in study.main[0]]
    if absent:
        found.append(
            f"What {len(absent)} of the paper's {len(PAPER)} intermediate tasks do alone: {', '.join(absent)} have no row."
        )
    gone = [p.name for p in pages if p.cells is None or p.error]
    if gone:
        few = ", ".join(gone[:6]) + (f" and {len(gone) - 6} more" if len(gone) > 6 else "")
        found.append(f"What {len(gone)} of {len(pages)} notebooks hold, which failed or have not run: {few}.")
    return found


def provenance(study: Study) -> dict[str, str]:
    """Where the numbers come from: every value found in the runs' records, the most frequent first."""
    from collections import Counter

    seen: dict[str, Counter] = {}
    finished = []
    for path in sorted((study.out / "runs").glob("0*/record.json")):
        origin = (store.read_json(path) or {}).get("provenance") or {}
        flat = {**origin, "versions": ", ".join(f"{k} {v}" for k, v in origin.get("versions", {}).items())}
        finished += [flat.pop("finished")] if flat.get("finished") else []
        for key, value in flat.items():
            if value not in ("", None):
                seen.setdefault(key, Counter())[str(value)] += 1
    made = {key: "; ".join(value for value, _ in counter.most_common()) for key, counter in seen.items()}
    if finished:
        made["runs finished"] = f"{min(finished)} to {max(finished)}"
    return made


def inputs(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables behind the sentences: row ``none`` against chance per target, and the rows' means over targets."""
    return tables.zero_shot(study, targets=study.main[1]), matrix.means(study)


def _cell(study: Study, row: pd.Series) -> str:
    return (
        f"{signed(row['change'])} points ({row['intermediate']} on {study.tasks[row['target']].title}, 95 % interval {signed(row['low'])} to "
        f"{signed(row['high'])})"
    )


def signed(value: float) -> str:
    """A change as printed: one decimal place, a true minus, no sign on nothing."""
    return "–" if np.isnan(value) else re.sub(r"^[+-](?=0\.0$)", "", f"{value:+.1f}").replace("-", "−")
