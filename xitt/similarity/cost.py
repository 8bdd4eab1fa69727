"""What a measure costs, and the runs that asking it first saves: seconds, on the machine that made the records."""

from __future__ import annotations

import pandas as pd

from .. import phases
from ..scoring import found
from ..store import read_json
from ..study import Study
from .names import MEASURES
from .records import grid


def seconds(frame: pd.DataFrame) -> dict[str, float]:
    """Measure → seconds for all pairs of a frame of :func:`xitt.similarity.records.collect`, as if it were taken alone.

    What pairs share (the pass of an encoder over a target's examples, say) counts once.
    """
    made = {}
    for name, part in frame.groupby("measure", sort=False):
        pieces = {n: s for shared in part["shared"] for n, s in shared.items()}
        made[name] = float(part["seconds"].sum() + sum(pieces.values()))
    return made


def runs(study: Study) -> tuple[float, float]:
    """(seconds of the first phase, seconds of fine-tuning and scoring) of all pairs and seeds that are there, each run once."""
    rows, columns = grid(study)
    first = sum(
        record["wall_seconds"]
        for r in rows
        for s in study.seeds
        if not study.is_ready(r) and (record := phases.record_of(study, r, s))
    )
    taken: dict[str, float] = {}
    for recipe in rows:
        for target in columns:
            for seed in study.seeds:
                if place := found(study, recipe, target, seed):
                    run = place.parent.parent
                    taken[str(run)] = read_json(run / "record.json")["wall_seconds"]
                    if study.tasks[target].train:  # retrieval is one piece of work with its scoring
                        taken[str(place)] = read_json(place / "record.json")["seconds"]
    return float(first), sum(taken.values())


def table(study: Study, frame: pd.DataFrame) -> pd.DataFrame:
    """Seconds of each measure against those of the runs that it saves.

    Returns
    -------
    DataFrame
        ``measure, needs, pairs, seconds, saves, share``: ``saves`` are the runs of the recipes that are not chosen, one being chosen
        per target: fine-tuning and scoring, and, where the measure needs no trained encoder, the same share of the first phase. ``share`` is
        ``seconds`` in percent of it.
    """
    (rows, _), (first, second), taken = grid(study), runs(study), seconds(frame)
    rest = 1 - 1 / max(len(rows), 1)
    lines = []
    for name, spent in taken.items():
        needs = MEASURES[name].needs
        saves = rest * (second + (0.0 if needs == "encoder" else first))
        pairs = int(frame.loc[frame["measure"] == name, "value"].notna().sum())
        lines.append((name, needs, pairs, spent, saves, 100 * spent / saves if saves else float("nan")))
    return pd.DataFrame(lines, columns=["measure", "needs", "pairs", "seconds", "saves", "share"])
