"""One design of a study by itself, and a design that a study could have: for plans."""

from __future__ import annotations

from .errors import ParameterError, unknown
from .study import Study, _design


def among(study: Study, name: str) -> Study:
    """The study with a design among its own; as it is where it has that.

    A design that it lacks is taken as it stands in ``designs/``; rows and targets that the study names itself stay.

    Raises
    ------
    ParameterError
        If there is no such design.
    """
    if name in [d.name for d in study.designs]:
        return study
    folder = study.path.parent / "designs"
    there = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in there:
        raise ParameterError(unknown("design", name, dict.fromkeys([*(d.name for d in study.designs), *there])))
    design, given = _design(folder, name, study.path, study.tasks), study.params
    update: dict = {"designs": (*given.designs, name)}
    for key in ("intermediates", "targets"):
        if getattr(given, key) is not None:
            update[key] = (*getattr(given, key), *getattr(design, key))
    return Study(study.path, given.model_copy(update=update), (*study.designs, design), study.root, study.tasks)


def alone(study: Study, name: str) -> Study:
    """A study that has one of its designs only, with the rows and columns that the design has in it."""
    rows, columns = study.grids[name]
    update = {"designs": (name,), "intermediates": tuple(study.checkpoints.get(r, r) for r in rows), "targets": columns}
    found = tuple(d for d in study.designs if d.name == name)
    return Study(study.path, study.params.model_copy(update=update), found, study.root, study.tasks)


def shared_with(study: Study, works: dict, name: str) -> list[str]:
    """What of a planned design the other designs of the study have as well, in words.

    Parameters
    ----------
    works : dict
        Work of the design, by key (``xitt.plan.Plan``).
    """
    from .plan import WORK, plan

    found = []
    for other in [d.name for d in study.designs if d.name != name]:
        known = plan(study, other).works.keys()
        own = {what: [k for k in works if k[0] == what] for what in ("intermediate", "target", "score")}
        counts = [
            f"{sum(k in known for k in keys):,} of {len(keys):,} runs of {WORK[what][1]}" for what, keys in own.items()
        ]
        found.append(f"with the design {other}: {', '.join(counts)}")
    return found
