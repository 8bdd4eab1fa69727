"""What there is of every task: source, revision, languages, sizes, licence, and whether it can be had now.

Nothing here asks a network: what is on the hub and not in the cache is said to be there and no more.
"""

from __future__ import annotations

import pandas as pd

from . import data, hub, own, readers, recipes
from .errors import DataError, ParameterError
from .study import Study
from .tasks import TASKS, Rows, Task

#: columns of :func:`table`
COLUMNS = ("task", "role", "kind", "source", "revision", "here / published", "now", "licence", "languages")


def table(study: Study | None = None) -> pd.DataFrame:
    """Every row of ``TASKS``, or those of a study: its intermediate tasks, its targets, what these are trained on.

    Returns
    -------
    DataFrame
        One row per task and role. ``revision`` is a commit (12 digits), or ``unpinned``; ``now`` is ``yes``, ``slice n of N``,
        ``on the hub``, ``absent: why``, or empty without a study.
    """
    rows, known = [], _known(study)
    for role, names in _named(study).items():
        for name in names:
            rows.append(_mixture(study, name, role) if name not in known else _row(study, known[name], role))
    return pd.DataFrame(rows, columns=COLUMNS)


def lines(study: Study | None = None) -> list[str]:
    """The table as text, in columns."""
    frame = table(study)
    if study is None:
        frame = frame.drop(columns="now")
    cells = [list(frame.columns), *frame.astype(str).to_numpy().tolist()]
    widths = [max(len(c[i]) for c in cells) for i in range(len(cells[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def _known(study: Study | None) -> Rows:
    return study.tasks if study else TASKS


def _named(study: Study | None) -> dict[str, list[str]]:
    """Names by role, in the study's order."""
    if study is None:
        of = {r: [t.name for t in TASKS.values() if r in t.roles] for r in ("intermediate", "target")}
        of["intermediate"].append(recipes.MULTITASK)
    else:
        named = [recipes.parse(i, study.tasks) for i in study.intermediates]
        of = {
            "intermediate": list(dict.fromkeys(str(p) if p.mixed else p.name for p in named if p.name != "none")),
            "target": list(dict.fromkeys(study.tasks[t].name for t in study.targets)),
        }
    single = [n for n in (*of["intermediate"], *of["target"]) if n in _known(study)]
    needed = [n for name in single for n in _needs(_known(study), name)]
    if study is None:
        needed = [t.name for t in TASKS.values() if not t.roles]
    return {**of, "training data": [n for n in dict.fromkeys(needed) if n not in (*of["intermediate"], *of["target"])]}


def _needs(known: Rows, name: str) -> list[str]:
    """Other tasks whose data a task is trained on."""
    row, found = known[name], []
    for other in (*row.parts, *filter(None, (row.first, row.train))):
        if other != name:
            found += [*_needs(known, other), other]
    return found


def _row(study: Study | None, row: Task, role: str) -> tuple:
    if row.kind == recipes.CHECKPOINT:
        return _checkpoint(study, row, role)
    there = data.status(study, row.name) if study else data.There("", {}, {})
    return (
        row.name, role, row.kind, source(study, row), _revision(study, row), _sizes(there), there.state, row.licence,
        _languages(study, row, role),
    )  # fmt: skip


def _checkpoint(study: Study, row: Task, role: str) -> tuple:
    """The line of an encoder from elsewhere; one on the hub is not asked for."""
    given, now = study.checkpoints[row.name], "on the hub"
    if given.folder:
        try:
            own.open_checkpoint(given, study.path, study.root)
            now = "yes"
        except DataError as error:
            now = f"absent: {str(error).splitlines()[0]}"
    revision = given.revision or ""
    revision = revision[:12] if hub.is_commit(revision) else "unpinned"
    return (row.name, role, row.kind, row.source.repository, revision, "", now, "", "")


def source(study: Study | None, row: Task) -> str:
    """Where a task's examples are read from, in short: a repository, ``local/<name>`` of the data folder, ``pocket``, ``files``."""
    if study is not None and readers.origin(study.params.data, row) in ("pocket", "files"):
        return readers.origin(study.params.data, row)
    if row.parts:
        return " + ".join(row.parts)
    return f"local/{row.source.repository}" if readers.is_local(row) else row.source.repository


def _revision(study: Study | None, row: Task) -> str:
    """Commits of the repositories, in short; ``unpinned`` where a name that can move stands for one, or files have none."""
    sources = [_known(study)[p].source for p in row.parts] or [row.source]
    found = dict.fromkeys(study.params.data.revision(s) if study else s.revision for s in sources)
    return " ".join(r[:12] for r in found) if all(hub.is_commit(r) for r in found) else "unpinned"


def _languages(study: Study | None, row: Task, role: str) -> str:
    if role != "target":
        return "en"
    wanted = row.languages
    if study is not None:
        try:
            wanted = data.languages(study, row.name)
        except data.DataError:
            return "none here"
    return f"{len(wanted)}: {' '.join(wanted)}"


def _sizes(there: data.There) -> str:
    def number(sizes: dict[str, int], split: str) -> str:
        return f"{sizes[split]:,}" if split in sizes else "?"

    splits = [s for s in ("train", "dev", "test") if s in there.here or s in there.published]
    return ", ".join(f"{s} {number(there.here, s)} / {number(there.published, s)}" for s in splits)


def _mixture(study: Study | None, name: str, role: str) -> tuple:
    """The line of a recipe that mixes tasks: its parts have lines of their own."""
    parsed = recipes.parse(name, _known(study))
    parts = parsed.parts or (recipes.NINE if parsed.name == recipes.MULTITASK else (parsed.name,))
    known = [p for p in parts if p in _known(study)]
    if not known:
        raise ParameterError(f"recipe {name}: none of its parts is a task")
    states = {p: data.status(study, p).state for p in known} if study else {}
    absent = [p for p, s in states.items() if s.startswith("absent")]
    now = (
        ""
        if not study
        else f"absent: {', '.join(absent)}"
        if absent
        else "yes"
        if set(states.values()) == {"yes"}
        else "as its parts"
    )
    revisions = {_revision(study, _known(study)[p]) for p in known}
    revision = "unpinned" if "unpinned" in revisions else "as its parts"
    source = f"{len(known)} tasks" if len(known) > 1 else known[0]
    return (name, role, "mixture", source, revision, "", now, "as its parts", "en")
