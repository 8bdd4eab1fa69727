"""A study whose predictions are made up: known scores, nothing trained, no data read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tests import tiny
from xitt import results
from xitt.evaluate import write_predictions
from xitt.store import write_json
from xitt.study import Study, load_study

LANGUAGES = ("en", "de", "zh")
EXAMPLES = 200


def make(
    folder: Path,
    monkeypatch,
    intermediates: str = "none, mnli, squad_v1, multitask",
    targets: str = "xnli, pawsx, xquad, bucc2018, tatoeba",
    seeds: str = "[0]",
) -> Stored:
    """A study with no results; ``put`` gives it some."""
    design = f"name: small\nquestion: what do tables show?\nintermediates: [{intermediates}]\ntargets: [{targets}]\n"
    study = load_study(tiny.make(folder, tiny.TINY + f"seeds: {seeds}\n", design))
    held = Stored(study, folder / "made up")
    monkeypatch.setattr("xitt.scoring.found", held.found)
    monkeypatch.setattr("xitt.results.chance", lambda study, target: results.tidy(
        {"split": "test", "scores": {x: dict.fromkeys(study.tasks[target].metrics, 1.0) for x in LANGUAGES},
         "counted": dict.fromkeys(LANGUAGES, EXAMPLES)}, "baseline:uniform", target, 0, study.tasks))  # fmt: skip
    return held


class Stored:
    """Folders of predictions in place of those of runs."""

    def __init__(self, study: Study, folder: Path):
        self.study, self.folder = study, folder

    def place(self, recipe: str, target: str, seed: int) -> Path:
        return self.folder / f"{recipe}.{target}.s{seed}" / "predictions" / target

    def found(self, study, recipe: str, target: str, seed: int) -> Path | None:
        place = self.place(recipe, target, seed)
        return place if (place / "record.json").is_file() else None

    def put(self, recipe: str, target: str, right: float | dict[str, float], seed: int = 0, dev: float | None = None, **more) -> None:  # fmt: skip
        """Predictions with a share of right answers (0–1; by language), the first so many; ``dev``: the run's English dev score.

        More: ``half`` (share of answers of question answering that hold the right one and a word more), ``strict`` (share of pairs above the
        strict threshold), ``layers`` (scores by layer and language).
        """
        place, row = self.place(recipe, target, seed), self.study.tasks[target]
        place.mkdir(parents=True)
        scores, shares = {}, right if isinstance(right, dict) else dict.fromkeys(LANGUAGES, right)
        for language, share in shares.items():
            frame = _frame(row.kind, share, more)
            write_predictions(frame, place / f"{language}.parquet")
            scores[language] = {m: self._score(row, m, frame, language) for m in row.metrics}
        write_json(place / "record.json", {"fingerprint": f"{recipe}{target}{seed}{self.folder}", "split": "test",
                                           "scores": scores, "counted": dict.fromkeys(shares, EXAMPLES)})  # fmt: skip
        training = {} if dev is None else {"training": {"best": {"score": dev, "step": 1}}}
        layers = more.get("layers") or {"2": {x: s[row.metrics[0]] for x, s in scores.items()}}
        write_json(place.parents[1] / "record.json", {"layer": 2, "layers": layers, **training})

    @staticmethod
    def _score(row, metric: str, frame: pd.DataFrame, language: str) -> float:
        from xitt.metrics import find

        return find(row.kind, metric, row.answer_rules, language).score(frame)


def _frame(kind: str, right: float, more: dict) -> pd.DataFrame:
    order, ids = np.arange(EXAMPLES), [str(i) for i in range(EXAMPLES)]
    good = order < round(right * EXAMPLES)
    if kind == "span":
        half = (order < round((right + more.get("half", 0)) * EXAMPLES)) & ~good
        said = np.where(good, "red", np.where(half, "red blue", "green"))
        return pd.DataFrame({"id": ids, "gold": json.dumps(["red"]), "prediction": said, "text": said})
    if kind == "bitext" and "strict" in more:
        sure = order < round(more["strict"] * EXAMPLES)
        return pd.DataFrame({"id": ids, "gold": ids, "prediction": np.where(good, ids, ""), "strict": np.where(sure, ids, "")})  # fmt: skip
    return pd.DataFrame({"id": ids, "gold": "a", "prediction": np.where(good, "a", "b")})
