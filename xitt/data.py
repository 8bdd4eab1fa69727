"""Examples of any task from any source behind one call: :func:`load`.

Sources: ``hub`` (repositories at a revision), ``folder`` (the same repositories as folders, under ``<folder>/hub``, and
files of other layouts under ``<folder>/local``), ``pocket`` (generated, in the same schema) and the user's own files. What comes out is the same for
all: a list of plain dictionaries with the fields of the task's kind, checked, with an ``id``. ``xitt.readers`` and ``xitt.pools`` read,
``xitt.checks`` checks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from . import captions, crossed, hub, memo, own_files, pools, readers, translated
from .checks import column_value, normalise, whole
from .errors import DataError
from .schema import Data
from .sizes import PUBLISHED, published, shares_of
from .splits import Example, Split, World, world
from .study import Study
from .tasks import Rows, Task


def load(study: Study, task: str, split: str, language: str = "en") -> Split:
    """Examples of one split.

    Parameters
    ----------
    split : str
        ``train``, ``dev`` or ``test``.
    language : str
        BCP 47 code. The training set of an English task in another language is its translation (``xitt.translated``).

    Raises
    ------
    DataError
        If the data are not there or damaged; the message names repository, config, split and row.
    """
    row = study.tasks[task]
    if split not in row.source.splits:
        raise DataError(f"{task} has no {split} split; it has {', '.join(row.source.splits)}")
    return _load(world(study), row.name, split, language)


def training(study: Study, task: str, languages: tuple[str, ...] = ("en",)) -> Split:
    """Training examples in some languages.

    With several, the examples take turns: each is there once, in one of them. So a training on five languages has as many steps
    as one on English, and both see the same examples. Rows of two languages are the same example if their ids are, or, where the
    ids have nothing in common, their numbers.
    """
    parts = [load(study, task, "train", x) for x in languages]
    if len(parts) == 1:
        return parts[0]
    names = [[e["id"] for e in p.examples] for p in parts]
    if not set(names[0]).intersection(*names[1:]):
        names = [[str(i) for i in range(len(p))] for p in parts]
    found = [dict(zip(n, p.examples, strict=True)) for n, p in zip(names, parts, strict=True)]
    examples = []
    for number, name in enumerate(dict.fromkeys(n for some in names for n in some)):
        turns = [found[(number + k) % len(found)] for k in range(len(found))]
        examples.append({**next(f[name] for f in turns if name in f), "id": name})
    commit = " ".join(dict.fromkeys(p.commit for p in parts if p.commit))
    problems = tuple(f"{p.language}: {x}" for p in parts for x in p.problems)
    total = max(p.total for p in parts)
    return Split(
        task, "train", ":".join(languages), examples, total, _fingerprint(examples, commit), commit, None, problems
    )


def sample(study: Study, task: str, split: str, language: str, most: int) -> tuple[list[Example], int]:
    """The first examples of a split, and how many it has.

    Of a generated split that is not kept yet no more than these are made: a longer list begins with the shorter one, but for the wrong answers
    of ``code_search`` and ``code_translation``, which are from the whole. For the lengths of texts, not for a training.
    """
    where, row = world(study), study.tasks[task]
    alone = not row.parts and row.kind not in ("dual", "bitext")  # of the others, the whole decides what is in it
    if not alone or not _generated(where, row) or memo.holds(where.kept, (row.name, split, language), _depends(where)):
        found = load(study, task, split, language)
        return found.examples[:most], len(found)
    found = _read(where, row.name, split, language, most)
    return found.examples, min(found.total, _limit(where.data, row.name, split) or found.total)


@lru_cache(maxsize=256)
def _load(where: World, task: str, split: str, language: str) -> Split:
    return _kept(where, task, split, language, lambda: _read(where, task, split, language))


def _kept(where: World, task: str, split: str, language: str, make: Callable[[], Split]) -> Split:
    """A split of the pocket from disk where it is there (``xitt.memo``), of another source as it is read."""
    folder = where.kept if _generated(where, where.rows[task]) else None
    fields = memo.content(folder, (task, split, language), _depends(where), lambda: vars(make()))
    return Split(**{**fields, "problems": tuple(fields["problems"])})


def _generated(where: World, row: Task) -> bool:
    return readers.origin(where.data, row) == "pocket" and not row.own


def _depends(where: World) -> dict:
    """What a generated split depends on besides its name and the code."""
    return {"world": where.key}


def _read(where: World, task: str, split: str, language: str, most: int | None = None) -> Split:
    """A split as its source has it: all that the study's limit leaves of it, or no more than the first ``most`` examples."""
    data, row = where.data, where.rows[task]
    limit = min(filter(None, (_limit(data, task, split), most)), default=None)
    if row.parts:
        return _join(where, row, split, limit, language)
    row, problems, moved = _placed(data, row, split, language), (), translated.asked(row, split, language)
    if row.kind == "dual":
        raw = pools.read(data, row, split, language, limit, _languages(data, row, "test"))
        examples = raw.rows
    else:
        raw = _reader(row).read(data, row, split, language, limit)
        row = replace(row, labels=_label_set(where, task)) if where.rows[task].own else row
        lost = translated.lost(row, language, raw.rows, raw.where)
        places = raw.places or [""] * len(raw.rows)
        kept = [(i, line) for i, line in enumerate(raw.rows) if i not in lost]
        examples = [normalise(row, line, i, raw.where, places[i]) for i, line in kept]
        problems = (f"{len(lost):,} translated texts have lost their answer and are left out",) if lost else ()
    problems += whole(row, examples, raw.where)
    size = None if data.source == "pocket" or row.own or moved else published(task, split, language)
    if row.source.pinned and raw.commit == row.source.revision and size is not None and raw.total != size:
        raise DataError(f"{raw.where}: {raw.total:,} examples at {raw.commit[:12]}, but {size:,} are published")
    fingerprint = _fingerprint(examples, raw.commit)
    return Split(task, split, language, examples, raw.total, fingerprint, raw.commit, size, problems)


def _limit(data: Data, task: str, split: str) -> int | None:
    limits = data.task_limits.get(task, data.limits)
    return getattr(limits, split) or (getattr(data.limits, split) if task in data.task_limits else None)


def _fingerprint(examples: list[Example], commit: str = "") -> str:
    text = json.dumps(examples, sort_keys=True, ensure_ascii=False) + commit
    return hashlib.sha256(text.encode()).hexdigest()


def _placed(data: Data, row: Task, split: str, language: str) -> Task:
    """The row, with another source where a translation of its training set is wanted."""
    return translated.row_of(data, row, language) if translated.asked(row, split, language) else row


def _join(where: World, row: Task, split: str, limit: int | None, language: str) -> Split:
    """Examples of all parts, one part after the other; a limit is shared by size, so that every part keeps its share."""
    data, rows = where.data, [_placed(where.data, where.rows[p], split, language) for p in row.parts]
    totals = [readers.read(data, part, split, language, 1).total for part in rows]
    shares = shares_of(totals, limit)
    examples, problems, sizes, commits = [], [], [], []
    for part, share in zip(rows, shares, strict=True):
        raw = readers.read(data, part, split, language, share)
        found = [normalise(part, line, number, raw.where) for number, line in enumerate(raw.rows)]
        problems += [f"{part.title}: {p}" for p in whole(part, found, raw.where)]
        examples += [{**e, "id": f"{part.name}:{e['id']}"} for e in found]
        sizes.append(None if data.source == "pocket" or language != "en" else published(part.name, split, "en"))
        commits.append(raw.commit)
    size = None if None in sizes else sum(sizes)
    commit = " ".join(dict.fromkeys(c for c in commits if c))
    fingerprint = _fingerprint(examples, commit)
    return Split(row.name, split, language, examples, sum(totals), fingerprint, commit, size, tuple(problems))


def pool(study: Study, task: str) -> Split:
    """All candidates of a dual encoder's target, of all languages that the study scores, whatever its limits.

    Raises
    ------
    DataError
        If the task has no pool, or it is not there or damaged.
    """
    row = study.tasks[task]
    if row.kind != "dual":
        raise DataError(f"{task} has no pool of candidates; it is of kind {row.kind}")
    return _pool(world(study), row.name)


@lru_cache(maxsize=4)
def _pool(where: World, task: str) -> Split:
    def make() -> Split:
        raw = pools.candidates(where.data, where.rows[task], _languages(where.data, where.rows[task], "test"))
        return Split(task, "pool", "all", raw.rows, raw.total, _fingerprint(raw.rows))

    return _kept(where, task, "pool", "all", make)


def labels(study: Study, task: str) -> tuple[str, ...]:
    """The label set of a task: its row's, or for supertags those of all its splits that are there, sorted; a user's row without
    labels has those of the data that it is trained on.
    """
    row = study.tasks[task]
    if row.own:
        return _label_set(world(study), row.name)
    if row.labels or row.kind != "tag":
        return row.labels
    return _labels(world(study), row.name)


@lru_cache(maxsize=8)
def _labels(where: World, task: str) -> tuple[str, ...]:
    data, row = where.data, where.rows[task]
    there = [s for s in row.source.splits if s == "train" or data.source == "pocket" or _present(where, row, s, "en")]
    return tuple(sorted({t for s in there for e in _load(where, task, s, "en").examples for t in e["tags"]}))


@lru_cache(maxsize=32)
def _label_set(where: World, task: str) -> tuple[str, ...]:
    """Labels of a user's row: as given, else of the task it is trained on, else all that its whole training set has, sorted."""
    row = where.rows[task]
    if row.labels or row.kind not in ("classify", "tag"):
        return row.labels
    if row.train != task:
        other = where.rows[row.train]
        return _label_set(where, row.train) if other.own else other.labels or _labels(where, row.train)
    raw = readers.read(where.data, row, "train", "en")
    column = row.columns["label" if row.kind == "classify" else "tags"]
    values = [column_value(line, column, raw.where) for line in raw.rows]
    if row.kind == "tag":
        values = [t for v in values for t in (v.split() if isinstance(v, str) else v or ())]
    found = {str(v) for v in values if v is not None and str(v).strip()}
    if len(found) < 2:
        raise DataError(f"{raw.where}: column {column} has {len(found)} different labels; two at least make a task")
    return tuple(sorted(found, key=lambda v: (int(v) if v.isdecimal() else 0, v)))


# --- what is there -------------------------------------------------------------------------------------------------
def languages(study: Study, task: str, split: str = "test") -> tuple[str, ...]:
    """Languages the study scores a task in: those asked for, of the task, and (with ``missing: skip``) present."""
    return _languages(study.params.data, study.tasks[task], split)


def _languages(data: Data, row: Task, split: str) -> tuple[str, ...]:
    wanted = tuple(sorted((*row.languages, *(row.more if data.benchmark == "xtreme-r" else ()))))
    if readers.origin(data, row) == "pocket":
        from .pocket import hub as pocket

        wanted = pocket.languages(crossed.plain(row).name)
    wanted = crossed.languages(data, row, wanted)
    if readers.origin(data, row) == "folder" and data.missing == "skip":
        wanted = tuple(x for x in wanted if _present_there(data, row, split, x))
    if not wanted:
        raise DataError(f"{row.name}: none of its languages is here; it has {', '.join(row.languages)}")
    return wanted


def _reader(row: Task):
    """The module that knows a row's layout."""
    return pools if row.kind == "dual" else captions if row.source.layout == "captions" else readers


def _present(where: World, row: Task, split: str, language: str) -> bool:
    return all(_present_there(where.data, where.rows[p], split, language) for p in row.parts or (row.name,))


def _present_there(data: Data, row: Task, split: str, language: str) -> bool:
    return _reader(row).present(data, row, split, language)


def check_there(study: Study, task: str, split: str, language: str) -> None:
    """Find out cheaply that the data folder lacks a split.

    Raises
    ------
    DataError
        If it does; the hub and the pocket are not asked.
    """
    row, data = study.tasks[task], study.params.data
    if row.source.layout == "files":
        own_files.find(row, split, language)
        return
    source = readers.origin(data, row)
    from_folder = source == "folder" or (source == "hub" and readers.is_local(row))
    if from_folder and not _present(world(study), row, split, language):
        where = readers.folder(data, "local" if readers.is_local(row) else "hub")
        raise DataError(
            f"{task}: {readers.describe(row, split, language)} is not in {where}"
            "\n  `data: {missing: skip}` leaves out what is not there"
        )


@dataclass(frozen=True)
class There:
    """What a study can have of one task's own data now.

    Attributes
    ----------
    state : str
        ``yes``, ``slice n of N``, ``on the hub`` (not in the cache; the network is left alone) or ``absent: why``.
    here, published : dict
        Examples by split, over the scored languages; a split whose number is not known is left out.
    """

    state: str
    here: dict[str, int]
    published: dict[str, int]


def status(study: Study, task: str) -> There:
    """What there is of a task's own data (what it is trained on may be another task), without a network."""
    data, row, rows = study.params.data, study.tasks[task], study.tasks
    sizes = _sizes(data, row)
    try:
        counts = {s: _counts(data, rows, row, s) for s in row.source.splits}
    except DataError as error:
        return There(f"absent: {str(error).splitlines()[0]}", {}, sizes)
    here = {s: sum(c.values()) for s, c in counts.items() if None not in c.values()}
    if len(here) < len(counts):
        offline = hub.is_offline(data.offline)
        return There("absent: not in the cache, and the hub may not be asked" if offline else "on the hub", here, sizes)
    needed = ("train", "test") if "target" in row.roles else ("train",)
    missing = next((s for s in needed if here.get(s) == 0), None)
    if missing:
        return There(f"absent: {_named(rows, row, missing, next(iter(counts[missing]), 'en'))}", here, sizes)
    known = [s for s in here if s in sizes]
    n, total = sum(here[s] for s in known), sum(sizes[s] for s in known)
    return There(
        "yes" if n == total or row.own or data.source == "pocket" else f"slice {n:,} of {total:,}", here, sizes
    )


def _named(rows: Rows, row: Task, split: str, language: str) -> str:
    if readers.is_local(row) and (row.kind != "dual" or split == "test"):
        return readers.needs(row, split, language)
    return ", ".join(readers.describe(rows[p], split, language) for p in row.parts or (row.name,))


def _asked(data: Data, row: Task, split: str) -> tuple[str, ...]:
    """Languages in which a split is used: training pairs are English, dev sets are in the languages that have a published one."""
    if split == "train" or not row.languages or (split == "dev" and (row.kind == "dual" or row.own)):
        return ("en",)
    found = _languages(data.model_copy(update={"missing": "error"}), row, split)
    known = PUBLISHED.get(row.name, {}).get(split)
    return tuple(x for x in found if x in known) if split == "dev" and isinstance(known, dict) else found


def _counts(data: Data, rows: Rows, row: Task, split: str) -> dict[str, int | None]:
    """Examples by language; ``None`` where it is on the hub and not in the cache."""
    if row.parts:
        return {p: _counts(data, rows, rows[p], split)["en"] for p in row.parts}
    return {x: _reader(row).count(data, row, split, x) for x in _asked(data, row, split)}


def _sizes(data: Data, row: Task) -> dict[str, int]:
    """Published sizes by split, where all of its languages are known."""
    found = {}
    for split in row.source.splits:
        if row.parts:
            sizes = [published(p, split, "en") for p in row.parts]
        else:
            sizes = [published(row.name, split, x) for x in _asked(data, row, split)]
        if data.source != "pocket" and sizes and None not in sizes:
            found[split] = sum(sizes)
    return found
