"""How fast this machine has done a study's work before: seconds that finished runs and notebooks have written in their records.

Rates by task hold everything that a run does (batches, looks at the dev set, checkpoints, reading and writing), with as many runs beside it as
there were; rates of a benchmark hold the arithmetic alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from . import recipes
from .bench.work import Shape
from .store import cores

if TYPE_CHECKING:
    from .counted import Work
    from .study import Study

#: notebooks that train or score for one recipe and seed; all others show what is there
WORKING = ("01", "02", "03")


@dataclass(frozen=True)
class Timings:
    """What finished runs took on one machine.

    Attributes
    ----------
    training : dict
        Recipe, task or kind of task → tokens per second of training, looks at the dev set included.
    scoring : dict
        Target or kind of task → seconds per prediction, of embedding and search per pair.
    run : float
        Seconds of a training beside its steps: opening, saving.
    notebook : float
        Seconds of a working notebook beside its runs: its process, its kernel, its tables.
    summaries : dict of str to float
        Number of a notebook that shows results → its seconds.
    studies : tuple of str
        Where they are from.
    runs, notebooks : int
        How many there were.
    """

    training: dict[str, float]
    scoring: dict[str, float]
    run: float
    notebook: float
    summaries: dict[str, float]
    studies: tuple[str, ...]
    runs: int
    notebooks: int

    @property
    def origin(self) -> str:
        """What it is from, in words."""
        return (
            f"{self.runs} finished runs of {', '.join(self.studies)} on this machine: tokens/s by task, else by kind of task, and "
            f"{self.run:.1f} s per training beside; {self.notebooks} notebooks: {self.notebook:.1f} s each beside their runs"
        )

    def seconds(self, work: Work) -> float | None:
        """Seconds of one piece of work; ``None`` if no run was like it."""
        if work.what in ("encode", "search"):  # part of the runs that ask for it
            return 0.0
        names = (work.recipe, work.task, work.task.partition("+")[0], work.kind)
        if work.what in ("intermediate", "target"):
            rate = next((self.training[n] for n in names if n in self.training), None)
            return None if rate is None else work.tokens / rate + self.run
        if work.what in ("score", "embed"):
            each = next((self.scoring[n] for n in names if n in self.scoring), None)
            return None if each is None else work.examples * each
        return None


def of(study: Study, shape: Shape, device: str) -> Timings | None:
    """Timings of runs with encoders of one size on a device: the study's own where it has any, else those of studies beside it, newest first.

    ``None`` if no training is there. Runs count that had the study's precision and threads.
    """
    folders = [p for p in study.out.parent.glob("*/runs") if p.parent != study.out]
    folders.sort(key=lambda p: p.stat().st_mtime_ns, reverse=True)
    training: dict[str, float] = {}
    scoring: dict[str, float] = {}
    beside: list[float] = []
    found, notebooks, summaries, runs = [], [], {}, 0
    for folder in [study.out / "runs", *folders]:
        records = [r for r in _records(folder) if _alike(study, r, device)]
        if not records or _shape(folder) != shape:
            continue
        found.append(folder.parent.name)
        runs += len(records)
        for into, some in ((training, _training(study, records)), (scoring, _scoring(study, folder, records))):
            for name, value in some.items():
                into.setdefault(name, value)
        beside += [r["wall_seconds"] - r["training"]["seconds"] for r in records if "training" in r]
        some, shown = _notebooks(folder, records)
        notebooks += some
        summaries = {**shown, **summaries}
    if not training:
        return None
    own = [s for s in beside if s >= 0]  # less where an attempt went on from another's checkpoint
    return Timings(training, scoring, median(own) if own else 0.0, median(notebooks) if notebooks else 0.0, summaries, tuple(found),
                   runs, len(notebooks) + len(summaries))  # fmt: skip


def _records(folder: Path) -> Iterator[dict]:
    from .done import whole

    for place in sorted(folder.glob("0[123].*/record.json")):
        record = whole(place)
        if record and "provenance" in record and "wall_seconds" in record:
            yield {**record, "folder": place.parent}


def _alike(study: Study, record: dict, device: str) -> bool:
    """Whether a run was made as the study's would be."""
    made, engine = record["provenance"], study.params.engine
    same = made["device"] == device and made["precision"] == engine.precision
    return same and (engine.device != "cpu" or made["threads"] == (engine.threads or max(1, cores() // 2)))


def _shape(folder: Path) -> Shape | None:
    """Size of the encoders of a study, by the first whose weights are there."""
    from .done import whole

    config = next((c for p in sorted(folder.glob("0[12].*/model/config.json")) if (c := whole(p))), None)
    return config and Shape.of(config)


def _rates(pairs: list[tuple[str, float, float]]) -> dict[str, float]:
    """Name → sum of the first over sum of the second."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, above, below in pairs:
        sums[name][0] += above
        sums[name][1] += below
    return {name: above / below for name, (above, below) in sums.items() if above > 0 and below > 0}


def _training(study: Study, records: list[dict]) -> dict[str, float]:
    """Recipe, task and kind → tokens per second."""
    pairs = []
    for r in records:
        if t := r.get("training"):
            name = r["recipe"].partition("{")[0].partition("+")[0] if r["phase"] == "intermediate" else r["task"]
            kind = study.tasks[name].kind if name in study.tasks else None
            names = {r["recipe"] if r["phase"] == "intermediate" else name, name, kind} - {None}
            pairs += [(n, t["tokens"], t["seconds"]) for n in names]
    return _rates(pairs)


def _scoring(study: Study, folder: Path, records: list[dict]) -> dict[str, float]:
    """Target and kind → seconds per prediction."""
    from .done import whole

    pairs = []
    for r in records:
        for place in r["folder"].glob("predictions/*/record.json"):
            scored, target = whole(place), place.parent.name
            base = study.tasks.get(target.partition("+")[0])
            if scored and "seconds" in scored and base:
                seconds = r["wall_seconds"] if r["phase"] == "retrieval" else scored["seconds"]
                pairs += [(n, seconds, sum(scored["counted"].values())) for n in {target, base.name, base.kind}]
    return _rates(pairs)


def _notebooks(folder: Path, records: list[dict]) -> tuple[list[float], dict[str, float]]:
    """(seconds of each working notebook beside its runs, number of a summary → its seconds)."""
    from .done import whole

    taken: dict[str, float] = defaultdict(float)
    for r in records:
        number = {"intermediate": "01", "target": "02", "retrieval": "03"}[r["phase"]]
        name = f"{number}.{recipes.file_name(r['recipe'])}.s{r['seed']}"
        taken[name] += r["wall_seconds"]
        if number == "02":
            taken[name] += sum(
                (whole(p) or {}).get("seconds", 0.0) for p in r["folder"].glob("predictions/*/record.json")
            )
    beside, summaries = [], {}
    for place in sorted((folder.parent / "jobs").glob("*.json")):
        seconds, name = (whole(place) or {}).get("seconds"), place.stem
        if seconds is None:
            continue
        if name.partition(".")[0] not in WORKING:
            summaries[name] = seconds
        elif (
            name in taken and seconds > taken[name]
        ):  # less where another notebook, or an earlier attempt, made its runs
            beside.append(seconds - taken[name])
    return beside, summaries
