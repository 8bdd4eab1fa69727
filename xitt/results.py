"""Tidy results: every score that is there, one row each, and the chance levels beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from . import data, own
from .kinds import kind
from .metrics import METRICS
from .store import RunFolder, Spec, fresh_file, read_json, write_text
from .study import Study
from .tasks import TASKS, Rows

COLUMNS = ("intermediate", "target", "language", "split", "seed", "metric", "value", "n")


def tidy(record: dict, recipe: str, target: str, seed: int, known: Rows = TASKS) -> pd.DataFrame:
    """Rows of one evaluation record: one per language and metric, and their plain mean as language ``avg``; ``known`` are the
    tasks of the study.
    """
    rows = []
    metrics = known[target].metrics
    for metric in metrics:
        values = {x: scores[metric] for x, scores in record["scores"].items()}
        sizes = record["counted"]
        rows += [(recipe, target, x, record["split"], seed, metric, v, sizes[x]) for x, v in values.items()]
        mean = sum(values.values()) / len(values)
        rows.append((recipe, target, "avg", record["split"], seed, metric, mean, sum(sizes.values())))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def collect(study: Study, baselines: bool = True) -> pd.DataFrame:
    """All scores of a study that are there, tidy (DESIGN, section 3); nothing is trained."""
    frames = []
    for target in study.targets:
        part = of_target(study, target, study.intermediates, study.seeds)
        if len(part):
            frames += [part, chance(study, target)] if baselines else [part]
    if not frames:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(frames, ignore_index=True).astype({"seed": int, "value": float, "n": int})


def of_target(study: Study, target: str, recipes, seeds) -> pd.DataFrame:
    """Scores of one target that are there, tidy."""
    from .scoring import found

    frames = [tidy(read_json(place / "record.json"), recipe, target, seed, study.tasks)
              for recipe in recipes for seed in seeds if (place := found(study, recipe, target, seed))]  # fmt: skip
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def chance(study: Study, target: str) -> pd.DataFrame:
    """Scores of models that learn nothing, as rows ``baseline:<name>`` (DESIGN, section 5); computed once, kept as a run."""
    folder = RunFolder(study.out / "runs", chance_spec(study, target))
    with folder.lock():
        record = folder.record
        if record is None:
            folder.begin()
            languages = data.languages(study, target)
            record = folder.finish({"task": target, "baselines": _baseline_scores(study, target, languages)})
    return pd.concat(
        [
            tidy(scores, f"baseline:{name}", target, study.seeds[0], study.tasks)
            for name, scores in record["baselines"].items()
        ]
    )


def chance_spec(study: Study, target: str) -> Spec:
    """Specification of a target's baselines."""
    row = study.tasks[target]
    languages = data.languages(study, target)
    inputs = {
        "target": target if not row.own else own.identity(row), "test": {x: data.load(study, target, "test", x).fingerprint for x in languages},
        "train": data.load(study, row.train, "train").fingerprint if row.train else None,
        "versions": {"kind": kind(row.kind).version, "metrics": {m: METRICS[row.kind, m].version for m in row.metrics}},
        **({} if row.answer_rules == "squad" else {"answer_rules": row.answer_rules}),
    }  # fmt: skip
    if kind(row.kind).pooled:
        inputs["pool"] = data.pool(study, target).fingerprint
    return Spec("baseline", f"00.chance.{target}", inputs)


def _baseline_scores(study: Study, target: str, languages: tuple[str, ...]) -> dict:
    from .evaluate import scores

    row, labels = study.tasks[target], data.labels(study, target)
    train = data.load(study, row.train, "train").examples if row.train else []
    pool = (data.pool(study, target).examples,) if kind(row.kind).pooled else ()
    found: dict[str, dict] = {}
    for language in languages:
        test = data.load(study, target, "test", language).examples
        for name, frame in kind(row.kind).baselines(train, test, labels, *pool).items():
            entry = found.setdefault(name, {"split": "test", "scores": {}, "counted": {}})
            entry["scores"][language] = scores(row, frame, language)
            entry["counted"][language] = len(frame)
    return found


def chance_levels(frame: pd.DataFrame, known: Rows = TASKS) -> pd.Series:
    """Chance per (target, language): the best baseline under the main metric."""
    main = frame["target"].map(lambda t: known[t].metrics[0])
    rows = frame[frame["intermediate"].str.startswith("baseline:") & (frame["metric"] == main)]
    return rows.groupby(["target", "language"])["value"].max()


def write(study: Study, frame: pd.DataFrame | None = None) -> Path:
    """``results.csv`` and ``results.parquet`` of a study; returns the former."""
    frame = collect(study) if frame is None else frame
    study.out.mkdir(parents=True, exist_ok=True)
    order = ["target", "intermediate", "seed", "metric", "language"]
    frame = frame.sort_values(order, kind="stable", ignore_index=True)[list(COLUMNS)]
    path = study.out / "results.csv"
    write_text(path, as_csv(frame))
    with fresh_file(study.out / "results.parquet") as file:
        frame.to_parquet(file, index=False)
    return path


def as_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV that a spreadsheet only shows: text that it would take for a formula begins with an apostrophe, numbers stay."""
    safe = frame.copy()
    for name in safe.columns[[not pd.api.types.is_numeric_dtype(t) for t in safe.dtypes]]:
        safe[name] = [_no_formula(v) if isinstance(v, str) else v for v in safe[name]]
    return safe.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def _no_formula(text: str) -> str:
    text = text.replace("\r", " ")  # which would end the row, unquoted
    number = re.fullmatch(r"-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?%?", text, re.I)
    return text if number or not re.match(r"\s*[=+\-@＝＋－＠]|[\t\r\n]", text) else f"'{text}"
