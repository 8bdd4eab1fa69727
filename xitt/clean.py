"""What of a study's folder nobody needs any more, with sizes; deleted on demand, or only listed.

Nothing is touched that a result hangs on: a finished run stays as long as the study, as it is now, would look for it, whether or not
one of its tables shows it, and as long as a finished notebook names it. What cannot be judged now, since its data or the encoder
before it are not there, stays too.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from . import phases, pretrained, results, scoring
from .done import job_record, whole
from .errors import DataError, ParameterError
from .graph import jobs
from .integrity import DAMAGED, RECORD
from .lease import alive
from .recipes import canonical
from .runs import runs_folder
from .store import Damaged, Spec, read_json
from .study import Study
from .variants import canonical as canonical_target

#: what each kind of leftover is, in the order of the list
KINDS = {
    "state": "optimizer states of finished runs",
    "attempt": "attempts at runs that the study no longer asks for",
    "orphan": "runs of older specifications",
    "damaged": "set aside as damaged",
    "scratch": "files of writes that were cut short",
    "job": "scratch of jobs that are done",
}


@dataclass(frozen=True)
class Leftover:
    """A folder or file that can go: where, what it is (:data:`KINDS`), its size in bytes."""

    path: Path
    kind: str
    size: int


def find(study: Study) -> list[Leftover]:
    """Everything that can go, largest first within each kind."""
    runs = runs_folder(study)
    found = [*_attempts(study, runs), *_orphans(study, runs), *_set_aside(runs), *_scratch(runs), *_jobs(study)]
    return sorted(found, key=lambda x: (list(KINDS).index(x.kind), -x.size, x.path.name))


def clean(study: Study, dry_run: bool = False) -> list[Leftover]:
    """Delete what can go, and say what it was."""
    found = find(study)
    for leftover in [] if dry_run else found:
        if leftover.path.is_dir():
            shutil.rmtree(leftover.path, ignore_errors=True)
        else:
            leftover.path.unlink(missing_ok=True)
    return found


def lines(study: Study, found: list[Leftover], dry_run: bool) -> list[str]:
    """What :func:`clean` did, for people."""
    out = []
    for kind, about in KINDS.items():
        some = [x for x in found if x.kind == kind]
        if some:
            out.append(f"{about}: {len(some)}, {size_text(sum(x.size for x in some))}")
            out += [f"  {size_text(x.size):>9}  {x.path.relative_to(study.out)}" for x in some]
    total = size_text(sum(x.size for x in found))
    if not found:
        return [f"{study.name}: nothing to clean in {study.out}"]
    return [*out, f"{total} would be free; without --dry-run it is deleted" if dry_run else f"{total} freed"]


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())


def _leftover(path: Path, kind: str) -> Leftover:
    return Leftover(path, kind, size_of(path))


# --- work that was left --------------------------------------------------------------------------------------------
def _attempts(study: Study, runs: Path) -> list[Leftover]:
    """Attempts at runs that are finished, or that have another specification now; never those that somebody works on or may go on with."""
    left = [p for p in _folders(runs / ".partial") if not _held(runs, p.name)]
    states = [p for p in left if (runs / p.name / RECORD).is_file()]
    asked = _Judge(study).asked() if len(left) > len(states) else {}
    found = [_leftover(p, "state") for p in states]
    for place in (p for p in left if p not in states):
        spec = _last_spec(place)
        if spec is not None and asked.get(spec["label"], spec["fingerprint"]) != spec["fingerprint"]:
            found.append(_leftover(place, "attempt"))
    return found


def _last_spec(place: Path) -> dict | None:
    """The specification that an attempt was made for."""
    for file in (place / "spec.json", *sorted(place.glob("*/spec.json"))):
        try:
            if spec := read_json(file):
                return spec
        except Damaged:
            continue
    return None


def _held(runs: Path, name: str) -> bool:
    return alive(runs / ".locks" / f"{name}.lease") is not None


def _folders(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.is_dir()) if place.is_dir() else []


# --- runs of older specifications ----------------------------------------------------------------------------------
def _orphans(study: Study, runs: Path) -> list[Leftover]:
    judge, named = _Judge(study), _named(study)
    return [
        _leftover(place, "orphan")
        for place in _folders(runs)
        if not place.name.startswith(".") and place.name not in named and not _held(runs, place.name)
        if judge.orphaned(_about(place))
    ]


def _named(study: Study) -> set[str]:
    """Runs that finished notebooks of the study show."""
    uses = [(whole(job_record(study, job)) or {}).get("uses", {}) for job in jobs(study)]
    return {Path(place).parts[0] for some in uses for place in some}


def _about(place: Path) -> dict | None:
    """What a run says of itself; ``None`` where that is damaged, which is not for this command to settle."""
    try:
        return read_json(place / RECORD)
    except Damaged:
        return None


class _Judge:
    """Whether the study, as it is now, would look for a run under the specification that it has."""

    def __init__(self, study: Study):
        self.study = study

    def orphaned(self, run: dict | None) -> bool:
        """``True`` only where the study now makes another specification of the same recipe, task and seed, or knows them no more."""
        if run is None:
            return False
        try:
            now = self._now(run)
        except ParameterError:
            return True
        except (DataError, KeyError, TypeError, AttributeError):
            return False
        return now is not None and now.fingerprint != run["fingerprint"]

    def _now(self, run: dict) -> Spec | None:
        """The specification that stands today where this one stood; ``None`` while it cannot be known."""
        study, phase = self.study, run["phase"]
        if phase == "backbone":
            return pretrained.backbone_spec(study) if study.params.backbone.build else _gone(run)
        if phase == "baseline":
            return results.chance_spec(study, canonical_target(study.tasks, run["label"].split(".", 2)[2]))
        if not pretrained.backbone_ready(study):
            return None
        if phase == "intermediate":
            return phases.intermediate_spec(study, canonical(run["recipe"], study.tasks), run["seed"])
        return self._after(run["recipe"], run)

    def _after(self, recipe: str, run: dict) -> Spec | None:
        """The same of a run that goes on with a recipe's encoder."""
        study, task, seed = self.study, run["task"], run["seed"]
        encoder = phases.trained(study, recipe, seed)
        if encoder is None:
            return None
        if run["phase"] == "retrieval":
            return scoring.retrieval_spec(study, recipe, canonical_target(study.tasks, task), seed, encoder)
        if task not in study.tasks:
            return _gone(run)
        return phases.train_spec(study, task, "target", recipe, seed, encoder)

    def asked(self) -> dict[str, str]:
        """Label → fingerprint of every run that the study asks for, as far as that can be known now."""
        study, found = self.study, {}
        for run in _wanted(study):
            try:
                spec = self._now(run)
            except (DataError, ParameterError):
                continue
            if spec is not None:
                found[spec.label] = spec.fingerprint
        return found


def _wanted(study: Study) -> list[dict]:
    """Phase, recipe, task and seed of the runs that a study asks for."""
    found = []
    for seed in study.seeds:
        for recipe in study.intermediates:
            found.append({"phase": "intermediate", "recipe": recipe, "task": "", "seed": seed})
            for target in study.targets_of(recipe):
                row = study.tasks[target]
                phase = "target" if row.train else "retrieval"
                found.append({"phase": phase, "recipe": recipe, "task": row.train or target, "seed": seed})
                found += [
                    {"phase": "target", "recipe": recipe, "task": t, "seed": seed}
                    for t in (row.tuned, row.train and study.tasks[row.train].first)
                    if t
                ]
    ready = study.is_ready
    return [r for r in found if r["phase"] != "intermediate" or not ready(r["recipe"])]


def _gone(run: dict) -> Spec:
    return Spec(run["phase"], run["label"], {})


# --- the rest ------------------------------------------------------------------------------------------------------
def _set_aside(runs: Path) -> list[Leftover]:
    place = runs / DAMAGED
    return [_leftover(place, "damaged")] if place.is_dir() else []


def _scratch(runs: Path) -> list[Leftover]:
    """What a killed process had begun to write under a name of its own."""
    found = [p for p in runs.glob(".*") if p.name not in (".partial", ".locks", DAMAGED)]
    found += [p for p in runs.glob("*/.*") if p.parent.name[:1] != "."] + list(runs.glob("[!.]*/predictions/.*"))
    return [_leftover(p, "scratch") for p in found if not _held(runs, p.relative_to(runs).parts[0])]


def _jobs(study: Study) -> list[Leftover]:
    """Scratch of jobs whose record is there."""
    running = study.out / "jobs" / ".running"
    return [
        _leftover(place, "job")
        for place in _folders(running)
        if (study.out / "jobs" / f"{place.name}.json").is_file() and not alive(running / f"{place.name}.lease")
    ]
