"""The benchmark table: XTREME and XTREME-R means of every row, and of the best intermediate recipe per target, chosen on dev.

Phang et al. 2020, Table 3. Averages are those of XTREME's ``evaluate.py`` (paper_facts 3.1): the metric's mean over languages, English
included; question answering counts as the mean of F1 and exact match; group and overall scores are plain means of task scores. Where
a study lacks tasks, means are over those it has and say over how many (the official script then prints none).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import data, results, stats
from .differences import PROTOCOLS, Resampled, compare, resampled, task_metrics
from .errors import ParameterError, unknown
from .languages import XTREME_R
from .matrix import corrected, group, rows
from .official import VARIANTS, VERSIONS
from .show import Raw
from .store import read_json
from .study import Study

#: version → group → tasks, as ``evaluate.py`` groups them; LAReQA, which it lists without a metric, counts in XTREME-R's mean alone
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "xtreme": {
        "classification": ("xnli", "pawsx"),
        "structured prediction": ("udpos", "panx"),
        "question answering": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("bucc2018", "tatoeba"),
    },
    "xtreme-r": {
        "classification": ("xnli", "xcopa"),
        "structured prediction": ("udpos", "panx"),
        "question answering": ("xquad", "mlqa", "tydiqa"),
        "retrieval": ("tatoeba", "mewslix"),
    },
}
TASKS = {"xtreme": VERSIONS["xtreme"], "xtreme-r": (*VERSIONS["xtreme-r"], "lareqa")}
NAMES = {"xtreme": "XTREME", "xtreme-r": "XTREME-R"}
BEST = "best per target"


def tasks_of(study: Study, version: str) -> dict[str, str]:
    """Task of a version → the study's target that stands for it; tasks that it lacks are left out.

    Raises
    ------
    ParameterError
        If there is no such version.
    """
    if version not in TASKS:
        raise ParameterError(unknown("version", version, TASKS))
    named = {t: VARIANTS[version].get(t) for t in TASKS[version]}
    chosen = {t: v if v in study.targets else t for t, v in named.items()}
    return {t: v for t, v in chosen.items() if v in study.targets}


def scores(study: Study, version: str, protocol: str = "strict") -> dict[str, Resampled]:
    """Task scores of a version by task, in the languages that it scores; tasks without scores are left out."""
    if protocol not in PROTOCOLS:
        raise ParameterError(unknown("protocol", protocol, PROTOCOLS))
    found = {}
    for task, target in tasks_of(study, version).items():
        more = XTREME_R.get(task, ()) if version == "xtreme" else ()  # languages that came with XTREME-R
        made = resampled(study, target, task_metrics(study.tasks[target], protocol), without=more)
        found |= {task: made} if made else {}
    return found


# --- which intermediate recipe -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Choice:
    """The intermediate recipe of a target: ``compared`` holds the score of each, ``rule`` says what that score is."""

    recipe: str
    rule: str
    compared: dict[str, float]


def dev_scores(study: Study, target: str) -> dict[str, float]:
    """English dev score that chose the checkpoint of a target's training, by recipe, mean over seeds; empty where nothing is trained."""
    from .scoring import found

    held: dict[str, list[float]] = {}
    for recipe in rows(study):
        for seed in study.seeds:
            place = found(study, recipe, target, seed)
            record = read_json(place.parents[1] / "record.json") if place else {}
            best = (record.get("training") or {}).get("best") or {}
            if "score" in best:
                held.setdefault(recipe, []).append(best["score"])
    return {r: float(np.mean(v)) for r, v in held.items()}


def choose(study: Study, version: str, protocol: str = "strict") -> dict[str, Choice]:
    """The best intermediate recipe of each task, ``none`` left aside; no test score is looked at under ``strict``.

    ``strict``: by the English dev set of the target; retrieval, which trains nothing, takes the recipe with the best mean over the
    English dev scores of the fine-tunings (those that XQuAD and MLQA share counted once). ``paper`` (the dev sets of the benchmark in all
    languages; Tatoeba and BUCC have no set beside the scored one and its sample): the study scores no dev set but
    English, so trained targets are chosen as under ``strict``; retrieval is chosen on the scored set itself, an upper bound.
    """
    named, scored = tasks_of(study, version), scores(study, version, protocol)
    dev = {t: dev_scores(study, named[t]) for t in scored}
    tunings = {study.tasks[named[t]].train: d for t, d in dev.items() if d}
    means = {r: float(np.mean([d[r] for d in tunings.values()])) for r in rows(study) if tunings and all(r in d for d in tunings.values())}  # fmt: skip
    found = {}
    for task, scored_task in scored.items():
        there = [r for r in rows(study) if r != "none" and scored_task.seeds(r)]
        compared, rule = dev[task], _dev_rule(study, named[task])
        if not compared and protocol == "paper":
            compared, rule = {r: scored_task.mean(r) for r in ("none", *there)}, "the scored set itself"
        elif not compared:
            compared, rule = means, f"mean English dev score of {len(tunings)} fine-tunings (it has no dev set)"
        own = [r for r in there if r in compared]
        if own:
            found[task] = Choice(max(own, key=compared.__getitem__), rule, compared)
    return found


def _dev_rule(study: Study, target: str) -> str:
    splits = study.tasks[target].source.splits
    same = splits.get("dev") is not None and splits.get("dev") == splits.get("test")
    return "English dev score" + (" (of the set that is scored)" if same else "")


def choices(study: Study, version: str, protocol: str = "strict") -> pd.DataFrame:
    """:func:`choose` as a table, with the runner-up and ``none`` on the same scale, and the test scores of both; ``q`` is
    Benjamini–Hochberg over the table, ``at chance`` names which of the two test scores are.
    """
    scored, flagged, lines = scores(study, version, protocol), at_chance(study, version), []
    for task, c in choose(study, version, protocol).items():
        ranked = sorted(
            (r for r in c.compared if r not in ("none", c.recipe)), key=c.compared.__getitem__, reverse=True
        )
        d = compare([(scored[task], c.recipe, "none")])
        lines.append({
            "target": study.tasks[task].title, "chosen": c.recipe, "by": c.rule, "its score": c.compared[c.recipe],
            "next": ranked[0] if ranked else "", "score of next": c.compared[ranked[0]] if ranked else np.nan,
            "score of none": c.compared.get("none", np.nan), "test": scored[task].mean(c.recipe),
            "test of none": scored[task].mean("none") if scored[task].seeds("none") else np.nan,
            **_interval("change", d), "p": d.p if d else np.nan,
            "at chance": ", ".join(r for r in (c.recipe, "none") if (r, task) in flagged),
        })  # fmt: skip
    return _with_q(pd.DataFrame(lines)).drop(columns="p", errors="ignore")


def _interval(name: str, d: stats.Difference | None) -> dict[str, float]:
    values = (d.value, d.low, d.high) if d else (np.nan,) * 3
    return dict(zip((name, f"{name} low", f"{name} high"), values, strict=True))


# --- the table -----------------------------------------------------------------------------------------------------
def table(study: Study, version: str, protocol: str = "strict") -> pd.DataFrame:
    """Scores of every row and of the best recipe per target.

    Returns
    -------
    DataFrame
        ``system, rows``, one column per task of the version (percent; NaN where the study has no score), one per group, ``mean`` over the
        tasks that the study has, ``tasks`` how many these are, ``change`` of the mean against ``none`` with ``change low``, ``change
        high``, ``p``, ``how`` and ``q`` (Benjamini–Hochberg over the rows).
    """
    scored = scores(study, version, protocol)
    best = {t: c.recipe for t, c in choose(study, version, protocol).items()}
    systems = [(r, group(study, r), dict.fromkeys(scored, r)) for r in rows(study)]
    systems.append((BEST, "chosen on dev", best))
    lines = [_system(name, kind, version, scored, chosen) for name, kind, chosen in systems]
    return _with_q(pd.DataFrame([line for line in lines if line]))


def _with_q(made: pd.DataFrame) -> pd.DataFrame:
    """The table with ``q``: its p values by Benjamini–Hochberg."""
    if len(made):
        made["q"] = corrected(made["p"])
    return made


def _system(
    name: str, kind: str, version: str, scored: dict[str, Resampled], chosen: dict[str, str]
) -> dict[str, object] | None:
    values = {t: p.mean(chosen[t]) for t, p in scored.items() if t in chosen and p.seeds(chosen[t])}
    if not values:
        return None
    line = {"system": name, "rows": kind, **{t: values.get(t, np.nan) for t in TASKS[version]}}
    for part, tasks in GROUPS[version].items():
        line[part] = _mean([values.get(t, np.nan) for t in tasks if t in scored])
    line |= {"mean": _mean([values.get(t, np.nan) for t in scored]), "tasks": len(scored)}
    whole = np.isfinite(line["mean"]) and all(p.seeds("none") for p in scored.values())
    d = compare([(scored[t], chosen[t], "none") for t in scored]) if whole and name != "none" else None
    return line | _interval("change", d) | {"p": d.p if d else np.nan, "how": d.how if d else ""}


def _mean(values: list[float]) -> float:
    """Plain mean; NaN if there is nothing, or a row lacks a score that others have."""
    return float(np.mean(values)) if values else float("nan")


def gain(study: Study, version: str = "xtreme", protocol: str = "strict") -> stats.Difference | None:
    """Best recipe per target minus ``none``, mean over the version's tasks that the study has (Phang et al. 2020: +5.4, nine tasks)."""
    scored, best = scores(study, version, protocol), choose(study, version, protocol)
    if not scored or set(best) != set(scored):
        return None
    return compare([(p, best[t].recipe, "none") for t, p in scored.items()])


def coverage(study: Study, version: str) -> pd.DataFrame:
    """What of a version the study scores: task, target that stands for it, languages of how many, missing ones."""
    named, lines = tasks_of(study, version), []
    for task in TASKS[version]:
        asked = VERSIONS[version].get(task) or study.tasks[task].languages
        has = data.languages(study, named[task]) if task in named else ()
        lines.append((study.tasks[task].title, study.tasks[named[task]].title if task in named else "", len(has), len(asked),
                      " ".join(x for x in asked if x not in has), " ".join(x for x in has if x not in asked)))  # fmt: skip
    columns = ["task", "here", "languages", "of the benchmark's", "missing", "beside them"]
    return pd.DataFrame(lines, columns=columns)


def published_systems() -> pd.DataFrame:
    """Published XTREME test scores, one row per system (XTREME-R: none was found with a source).

    Returns
    -------
    DataFrame
        ``system``, one column per task (F1/EM of question answering as text, F1 alone where no more is known), one per group (derived here,
        where all its tasks are known), ``mean`` as published, ``certainty`` (what differs from the row's is named) and ``source``.
    """
    from . import published

    figures = published.table(split="test", language="avg")
    figures = figures[figures["target"].isin([*TASKS["xtreme"], "mean"]) & (figures["metric"] != "change")]
    lines = []
    for (system, recipe), part in figures.groupby(["system", "intermediate"], sort=False):
        held = {(r["target"], r["metric"]): r["value"] for r in part.to_dict("records")}
        line = {"system": system + (f" ({recipe})" if recipe not in ("", "none") and recipe not in system else "")}
        line |= {t: _printed(held, t) for t in TASKS["xtreme"]}
        line |= {g: _mean([_task_score(held, t) for t in tasks]) for g, tasks in GROUPS["xtreme"].items()}
        most = part["certainty"].mode()[0]
        other = [f"{r['target']}: {r['certainty']}" for r in part.to_dict("records") if r["certainty"] != most]
        line |= {"mean": held.get(("mean", "score"), np.nan), "certainty": "; ".join([most, *dict.fromkeys(other)]),
                 "source": "; ".join(dict.fromkeys(part["source"]))}  # fmt: skip
        lines.append(line)
    return pd.DataFrame(lines)


def _printed(held: dict[tuple[str, str], float], task: str) -> float | str:
    values = [v for (t, _), v in held.items() if t == task]
    pair = [held.get((task, m)) for m in ("f1", "em")]
    return "{:.1f}/{:.1f}".format(*pair) if None not in pair else (values[0] if values else np.nan)


def _task_score(held: dict[tuple[str, str], float], task: str) -> float:
    """Score of a task from published figures; of question answering only where both F1 and exact match are known."""
    values = [v for (t, _), v in held.items() if t == task]
    answers = task in GROUPS["xtreme"]["question answering"]
    return float(np.mean(values)) if len(values) == 1 + answers else float("nan")


# --- as it is shown ------------------------------------------------------------------------------------------------
def shown(study: Study, made: pd.DataFrame, version: str, protocol: str = "strict") -> pd.DataFrame:
    """:func:`table` with titles, question answering as F1/EM, rings at chance, and the change with its interval and star."""
    pairs, rings = _answers(study, version), at_chance(study, version)
    best = {t: c.recipe for t, c in choose(study, version, protocol).items()}
    lines = []
    for line in made.to_dict("records"):
        cells: dict[str, object] = {"rows": line["rows"], "system": line["system"]}
        for task in TASKS[version]:
            key = (best.get(task) if line["system"] == BEST else line["system"], task)
            text = "{:.1f}/{:.1f}".format(*pairs[key]) if key in pairs else f"{line[task]:.1f}"
            cell = Raw(text + "°" * (key in rings), "n", line[task])
            cells[study.tasks[task].title] = cell if np.isfinite(line[task]) else np.nan
        cells |= {g: line[g] for g in GROUPS[version]}
        cells |= {f"{NAMES[version]} ({line['tasks']} of {len(TASKS[version])})": line["mean"]}
        bounds = f"<small>[{line['change low']:+.1f}, {line['change high']:+.1f}]</small>"
        change = Raw(f"{line['change']:+.1f}{'*' * (line['q'] < 0.05)} {bounds}", "n", line["change"])
        lines.append(cells | {"against none": change if np.isfinite(line["change"]) else np.nan})
    return pd.DataFrame(lines, dtype=object)  # a column of strings would lose which cells are HTML


def at_chance(study: Study, version: str) -> set[tuple[str, str]]:
    """(recipe, task) whose interval reaches chance under the task's main metric."""
    found = set()
    for task, target in tasks_of(study, version).items():
        if made := resampled(study, target):
            level = results.chance_levels(results.chance(study, target), study.tasks).get((target, "avg"), -np.inf)
            found |= {(r, task) for r in rows(study) if made.seeds(r) and made.interval(r)[0] <= level}
    return found


def _answers(study: Study, version: str) -> dict[tuple[str, str], tuple[float, float]]:
    """(recipe, task) → F1 and exact match of question answering."""
    found = {}
    for task, target in tasks_of(study, version).items():
        row, more = study.tasks[target], XTREME_R.get(task, ()) if version == "xtreme" else ()
        if row.kind != "span":
            continue
        parts = [resampled(study, target, (m,), without=more) for m in ("f1", "em")]
        if parts[0]:
            found |= {(r, task): tuple(p.mean(r) for p in parts) for r in rows(study) if parts[0].seeds(r)}
    return found
