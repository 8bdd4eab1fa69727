"""Lock files: the commit of every hub repository that a study reads, resolved once by ``xitt tasks PARAMS --pin``.

``params/<study>.lock.json`` stands beside the study's YAML and belongs under version control. It holds what the hub answered, never
anything else; from then on the study reads those commits and no others. A study that extends another has a lock of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import tasks
from .errors import DataError, ParameterError

if TYPE_CHECKING:
    from .own import Checkpoint
    from .schema import Params
    from .study import Study

_NOTE = (
    "Written by `xitt tasks PARAMS --pin`: what this study reads of the hub. Delete an entry to have it resolved anew."
)
_KINDS = {"datasets": "dataset", "models": "model"}


def lock_file(study_file: Path) -> Path:
    """Where the lock of a study is: ``<name>.lock.json`` beside ``<name>.yaml``."""
    return study_file.with_name(f"{study_file.stem}.lock.json")


def read_lock(file: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Entries of a lock file (empty if there is none): ``datasets`` and ``models``, repository → revision, commit, date.

    Raises
    ------
    ParameterError
        If the file is not one that ``--pin`` writes.
    """
    if not file.is_file():
        return {kind: {} for kind in _KINDS}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = {kind: dict(content[kind]) for kind in _KINDS}
        for name, entry in ((n, e) for kind in entries.values() for n, e in kind.items()):
            if not re.fullmatch(r"[0-9a-f]{40}", entry["commit"]) or not entry["revision"]:
                raise ParameterError(f"{file}: {name}: {entry['commit']!r} is no commit (40 hex digits)")
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(
            f"{file}: not a lock file ({type(error).__name__}: {error}); delete it and run --pin"
        ) from None
    return entries


def apply(params: Params, study_file: Path, rows: tasks.Rows = tasks.TASKS) -> Params:
    """A study's parameters with the commits of its lock file filled in; ``rows`` are the study's tasks.

    Raises
    ------
    ParameterError
        If the lock was made for another revision than the study asks for now.
    """
    file = lock_file(study_file)
    entries = read_lock(file)
    commits = dict(params.data.commits)
    asked = dict(_datasets(rows, tuple(rows)))
    for name, entry in entries["datasets"].items():
        _check_same(file, name, entry, commits.get(name, asked.get(name, entry["revision"])))
        commits[name] = entry["commit"]
    update: dict = {"data": params.data.model_copy(update={"commits": commits})}
    if entry := entries["models"].get(params.backbone.hub or ""):
        _check_same(file, params.backbone.hub, entry, params.backbone.revision or "main")
        update["backbone"] = params.backbone.model_copy(update={"revision": entry["commit"]})
    if params.intermediates is not None:
        update["intermediates"] = tuple(_locked(i, entries["models"], file) for i in params.intermediates)
    return params.model_copy(update=update)


def _locked(entry: str | Checkpoint, models: dict, file: Path) -> str | Checkpoint:
    """An entry of ``intermediates:``; a checkpoint from the hub at its locked commit."""
    if isinstance(entry, str) or entry.hub not in models:
        return entry
    _check_same(file, entry.hub, models[entry.hub], entry.revision or "main")
    return entry.model_copy(update={"revision": models[entry.hub]["commit"]})


def pin(study: Study) -> list[str]:
    """Resolve every hub repository the study reads and write its lock file; entries that are there are kept, and checked.

    Returns
    -------
    list of str
        One line per repository, for people.

    Raises
    ------
    DataError
        If the hub does not know a repository, a revision or a locked commit, or cannot be asked; nothing is written then.
    """
    from . import hub
    from .store import write_json

    file = lock_file(study.path)
    locked, lines = read_lock(file), []
    needed = {"datasets": dict(needed_datasets(study)), "models": dict(_models(study, locked["models"]))}
    if not any(needed.values()):
        return [f"nothing to pin: {study.name} reads nothing from the hub"]
    if hub.is_offline(study.params.data.offline):
        raise DataError("--pin asks the hub, and the network is off limits (HF_HUB_OFFLINE or data.offline is set)")
    for kind, repositories in needed.items():
        for name, revision in repositories.items():
            old = locked[kind].get(name)
            commit = hub.check_commit(name, old["commit"] if old else revision, _KINDS[kind])
            if old is None:
                date = datetime.now(UTC).date().isoformat()
                locked[kind][name] = {"revision": revision, "commit": commit, "date": date}
            state = f"kept, of {old['date']}" if old else "pinned"
            lines.append(f"{name:32} {locked[kind][name]['revision'][:24]:24} {commit}  {state}")
    write_json(file, {"note": _NOTE, **locked})
    return [*lines, f"lock file: {file}"]


def needed_datasets(study: Study) -> Iterator[tuple[str, str]]:
    """Hub repositories of a study's tasks, with the revision asked for; none if its data come from elsewhere."""
    from . import readers, recipes, translated

    data, parsed = study.params.data, [recipes.parse(r, study.tasks) for r in study.intermediates]
    names = [n for p in parsed for n in (p.name, *p.parts) if n in study.tasks]
    for name, revision in _datasets(
        study.tasks, (*names, *study.targets), data.languages, partial(readers.origin, data)
    ):
        own = study.params.data.commits.get(name)  # from the YAML, or from the lock: then its entry stands
        yield name, own or revision
    if data.source == "hub":
        yield from translated.repositories(study)


def _datasets(
    rows: tasks.Rows, names: tuple[str, ...], languages: tuple[str, ...] | None = None, origin=lambda row: "hub"
) -> Iterator[tuple[str, str]]:
    """Repositories and revisions of tasks, of what they are trained on and of what they are made of, as far as the hub has them."""
    todo, done = list(names), set()
    while todo:
        row = rows[todo.pop(0)]
        if row.name in done:
            continue
        done.add(row.name)
        todo += [n for n in (row.train, row.first, *row.parts) if n]
        if origin(row) != "hub" or row.source.layout == "mixed":
            continue
        if row.source.layout in ("hub", "crossed", "romanised"):
            yield row.source.repository, row.source.revision
        for language, (repository, _) in row.source.elsewhere.items():
            if languages is None or language in languages:
                yield repository, "main"


def _models(study: Study, locked: dict) -> Iterator[tuple[str, str]]:
    for wanted in (study.params.backbone, *study.checkpoints.values()):
        if wanted.hub:
            old = locked.get(wanted.hub)
            yield wanted.hub, old["revision"] if old else wanted.revision or "main"


def _check_same(file: Path, name: str, entry: dict[str, str], asked: str) -> None:
    if asked not in (entry["revision"], entry["commit"]):
        raise ParameterError(
            f"{file}: {name} was pinned for revision {entry['revision']}, and {asked} is asked for now\n"
            "  delete its entry there and run `xitt tasks PARAMS --pin` again"
        )
