"""Raw rows from every source: hub repositories, folders in their layout, files in layouts of their own, the pocket.

Files of their own layout stand in ``<data.folder>/local/``, also where the rest comes from the hub:

- ``<name>/xx-en.<split>.{xx,en,gold}``: mining as in BUCC 2018 (:func:`_bucc`);
- ``ccgbank/{train,dev,test}.txt``: CCG supertags (:func:`_ccg`);
- ``<name>/``: a set of no hub repository, in hub layout (``code_query``);
- code-mixed sets: see ``xitt.mixed_sets``;
- ``lareqa_sentences/``, ``mewslix/``: see ``xitt.pools``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import crossed, hub, mixed_sets, own_files, recast
from .errors import DataError, unknown
from .languages import ISO3, TYDIQA_NAMES, UD_NAMES
from .parameters import expand
from .schema import Data
from .tasks import Task

Example = dict[str, Any]


@dataclass(frozen=True)
class Raw:
    """Rows as the source has them, the number before a limit, words that name the place, the hub's commit, the rows' own places."""

    rows: list[Example]
    total: int
    where: str
    commit: str = ""
    places: list[str] | None = None


def origin(data: Data, row: Task) -> str:
    """Where a row's data come from in a study: ``pocket``, ``folder``, ``hub``, or ``files`` of the user's."""
    if row.source.layout == "files":
        return "files"
    return "hub" if row.own and data.source == "pocket" else data.source


def read(data: Data, row: Task, split: str, language: str, limit: int | None = None) -> Raw:
    """Rows of one split and language; rows without a gold label are left out where the source has such.

    Raises
    ------
    DataError
        If they are not there or damaged.
    """
    raw = _read(data, row, split, language, limit)
    return replace(raw, rows=recast.FORMS[row.recast](raw.rows, row.columns)) if row.recast else raw


def _read(data: Data, row: Task, split: str, language: str, limit: int | None) -> Raw:
    """The same as they stand in the source."""
    if origin(data, row) == "files":
        placed, where = own_files.read(row, split, language)
        return Raw([r for r, _ in placed[:limit]], len(placed), where, places=[p for _, p in placed[:limit]])
    if row.source.layout in crossed.LAYOUTS:
        return crossed.read(data, row, split, language, limit, read)
    if origin(data, row) == "pocket":
        return _pocket(row, split, language, limit, data.translation_noise)
    if reader := {"bucc": _bucc, "ccg": _ccg, "mixed": _mixed}.get(row.source.layout):
        return reader(data, row, split, language, limit)
    return _repository(data, row, split, language, limit)


# --- places ------------------------------------------------------------------------------------------------------
def folder(data: Data, part: str) -> Path:
    """``hub`` or ``local`` of the study's data folder.

    Raises
    ------
    DataError
        If there is none.
    """
    if data.folder is None:
        raise DataError("data.folder: not given; it names the folder that holds hub/ and local/")
    path = Path(expand(data.folder, "data.folder")).expanduser().resolve()
    if not (path / part).is_dir():
        raise DataError(f"data.folder: {path} has no folder {part}/ (a data folder holds hub/ and local/)")
    return path / part


def place(row: Task, language: str) -> tuple[str, str]:
    """Repository and config of a language."""
    if language in row.source.elsewhere:
        return row.source.elsewhere[language]
    names = {"code": language, "ud": UD_NAMES.get(language, ""), "iso3": ISO3.get(language, "")}
    return row.source.repository, row.source.config.format(**names)


def is_local(row: Task) -> bool:
    """Whether its files have a layout of their own, under ``local/``."""
    return row.source.layout not in ("hub", "parts", "files", "switched", *crossed.LAYOUTS)


def describe(row: Task, split: str, language: str) -> str:
    """What a message calls one split of one language."""
    if row.source.layout == "files":
        return row.source.files[split].get(language, f"{row.name} {split} {language}")
    if row.source.layout in crossed.LAYOUTS:
        return " and ".join(describe(base, split, x) for base, x in crossed.sources(row, language))
    repository, config = place(row, language)
    return f"{repository} {config} {row.source.splits[split]}"


def files(data: Data, row: Task, split: str, language: str) -> list[Path]:
    """Files of a split in the data folder; empty if it is not there. (Hub layout, BUCC, CCG.)

    Raises
    ------
    DataError
        If files of their own layout are needed and the study names no data folder.
    """
    if is_local(row):
        base = local_folder(data, row, split, language)
    name = row.source.splits[split]
    if row.source.layout == "bucc":
        path = base / f"{language}-en.{name}.gold"
        return [path] if path.is_file() else []
    if row.source.layout == "ccg":
        path = base / f"{split}.txt"
        return [path] if path.is_file() else []
    if row.source.layout == "switched":
        return []
    if row.source.layout == "mixed":
        repository, config = place(row, language)
        return mixed_sets.find(base.parent / repository, config, name)
    repository, config = place(row, language)
    base = base if row.source.layout == "local" else folder(data, "hub") / repository
    for at in (base / config, base / "data"):
        if found := sorted(at.glob(f"{name}-*")):
            return found
    return []


def count(data: Data, row: Task, split: str, language: str) -> int | None:
    """Examples of a split, found without reading texts or asking a network; 0 if it is not there, ``None`` if only the hub knows."""
    kind = origin(data, row)
    if kind == "files":
        return len(own_files.read(row, split, language)[0]) if own_files.present(row, split, language) else 0
    if row.source.layout in crossed.LAYOUTS:
        known = [count(data, base, split, x) for base, x in crossed.sources(row, language)]
        return None if None in known else min(known)
    if kind == "pocket":
        return _pocket(row, split, language, 1).total
    if kind == "hub" and not is_local(row):
        return _count_cached(data, row, split, language)
    found = files(data, row, split, language)
    if found and row.source.layout == "mixed":
        return _mixed(data, row, split, language).total
    return _count_in(row, tuple(found), language) if found else 0


def _count_cached(data: Data, row: Task, split: str, language: str) -> int | None:
    """Examples of a split in the hub client's cache."""
    try:
        return len(_rows(data.model_copy(update={"offline": True}), row, split, language)[0])
    except DataError:
        return None


def _count_in(row: Task, found: tuple[Path, ...], language: str) -> int:
    source = row.source
    if source.layout == "bucc":
        return sum(1 for line in found[0].read_text(encoding="utf-8").splitlines() if line)
    if source.layout == "ccg":
        return sum(1 for _ in _sentences(found[0]))
    if source.language_column:
        return _column(found, source.language_column).count(language)
    if source.language_ids:
        return sum(i.startswith(f"{TYDIQA_NAMES[language]}-") for i in _column(found, "id"))
    if source.unlabelled:
        return sum(str(v) not in _NO_LABEL for v in _column(found, row.columns["label"]))
    return sum(_rows_in(path) for path in found)


def present(data: Data, row: Task, split: str, language: str) -> bool:
    """Whether the data folder (or the user's files) has examples of a split and language."""
    if row.source.layout == "files":
        return own_files.present(row, split, language)
    if row.source.layout in crossed.LAYOUTS:
        return all(present(data, base, split, x) for base, x in crossed.sources(row, language))
    if row.source.language_column or row.source.language_ids:
        return count(data, row, split, language) > 0
    return bool(files(data, row, split, language))


def _rows_in(path: Path) -> int:
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(path).num_rows
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


@lru_cache(maxsize=16)
def _column(paths: tuple[Path, ...], column: str) -> list:
    """One column of parquet files."""
    import pyarrow.parquet as pq

    values = []
    for path in paths:
        try:
            table = pq.read_table(path, columns=[column])
            values += table[column].to_pylist()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path}: column {column} cannot be read: {error}") from None
    return values


# --- hub layout ----------------------------------------------------------------------------------------------------
_NO_LABEL = ("-1", "", "-")


def _repository(data: Data, row: Task, split: str, language: str, limit: int | None) -> Raw:
    if row.source.layout == "switched":
        what = "words are switched by a grammar, which the pocket alone has"
        raise DataError(f"{row.name}: {what} (data: {{source: pocket}})")
    rows, where, at = _rows(data, row, split, language)
    total = len(rows)
    if limit is not None and limit < total:
        rows = rows.select(range(limit))
    return Raw(with_class_names(rows), total, where, at)


def _rows(data: Data, row: Task, split: str, language: str) -> tuple[Any, str, str]:
    """All rows of a split and language as a ``datasets.Dataset``, words for their place, the hub's commit."""
    source, name = row.source, row.source.splits[split]
    repository, config = place(row, language)
    where, at = describe(row, split, language), ""
    if data.source == "folder" or is_local(row):
        path = local_folder(data, row, split, language) if is_local(row) else folder(data, "hub") / repository
        if not path.is_dir():
            raise DataError(f"{row.name}: {path} is not there (repository {repository})")
        rows = hub.read_folder(path, config, name)
    else:
        revision = data.revision(source) if repository == source.repository else data.commits.get(repository, "main")
        rows = hub.read(repository, config, name, revision, data.offline)
        at = hub.commit(repository, revision, offline=data.offline)
    return _labelled(row, _of_language(source, rows, language, where)), where, at


def _of_language(source, rows, language: str, where: str):
    """Rows of one language, where a config holds several."""
    import numpy as np

    column = "id" if source.language_ids else source.language_column
    if column is None:
        return rows
    if column not in rows.column_names:
        raise DataError(f"{where}: {unknown('column', column, rows.column_names)}")
    if source.language_ids:
        known = tuple(f"{name}-" for name in TYDIQA_NAMES.values())
        other = next((i for i in rows[column] if not i.startswith(known)), None)
        if other is not None:
            raise DataError(f"{where}: id {other!r} names none of the languages {', '.join(TYDIQA_NAMES.values())}")
        wanted = [i.startswith(f"{TYDIQA_NAMES[language]}-") for i in rows[column]]
        return rows.select(np.flatnonzero(wanted))
    return rows.select(np.flatnonzero(np.array(rows[column]) == language))


def _labelled(row: Task, rows):
    """Rows that have a gold label."""
    import numpy as np

    column = row.columns.get("label")
    if not row.source.unlabelled or column not in rows.column_names:
        return rows
    labels = np.array(rows[column]).astype(str)
    return rows if not np.isin(labels, _NO_LABEL).any() else rows.select(np.flatnonzero(~np.isin(labels, _NO_LABEL)))


def with_class_names(rows) -> list[Example]:
    """Rows as dictionaries, class numbers replaced by class names (in lists too)."""
    from datasets import ClassLabel

    content = rows.to_list()
    for column, feature in rows.features.items():
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, ClassLabel):
            names = inner.names
            for row in content:
                value = row[column]
                row[column] = (
                    [names[v] for v in value] if isinstance(value, list) else names[value] if value >= 0 else ""
                )
    return content


# --- layouts of their own --------------------------------------------------------------------------------------------
NEEDS = {
    "captions": "captions in French and Czech are in local/multi30k_fr_cs of a data folder; images are a user's own (xitt.captions)",
    "bucc": "the hub holds gold pairs only; mining needs the files of the BUCC release, in "
            "local/{repository}/{code}-en.{name}.{{{code},en,gold}} of a data folder",
    "ccg": "CCGbank (LDC2005T13) needs a licence and is in no repository; put your copy into local/{repository}/{{train,dev,test}}.txt "
           "of a data folder (sections 02-21, 00, 23): a token a line, word, tab, category; an empty line after each sentence",
    "local": "it is taken from no hub repository; local/{repository} of a data folder holds it, in hub layout",
    "lareqa": "the hub's xquad_r has no sentence breaks; LAReQA's candidates need local/{repository} of a data folder",
    "mixed": "it is in no hub repository of this form; xitt.mixed_sets says how local/{repository} of a data folder is laid out",
    "mewslix": "no hub repository holds it in its own form; get-mewsli-x.sh writes its files, wanted in local/{repository} of a data folder",
}  # fmt: skip


def needs(row: Task, split: str, language: str) -> str:
    """Which files a layout of its own needs, in words."""
    names = {"repository": row.source.repository, "code": language, "name": row.source.splits.get(split, split)}
    return f"{row.name}: {NEEDS[row.source.layout].format(**names)}"


def local_folder(data: Data, row: Task, split: str, language: str) -> Path:
    """``local/<name>`` of the data folder.

    Raises
    ------
    DataError
        If the study names no data folder; the message says which files are meant.
    """
    if data.folder is None:
        raise DataError(f"{needs(row, split, language)}\n  `data: {{folder: ...}}` names it")
    return folder(data, "local") / row.source.repository


def _bucc(data: Data, row: Task, split: str, language: str, limit: int | None = None) -> Raw:
    """Bitext files of BUCC 2018: ``xx-en.<split>.{xx,en,gold}``, tab-separated (paper_facts 2.5)."""
    name = row.source.splits[split]
    base = local_folder(data, row, split, language)
    sides = {}
    for side in (language, "en", "gold"):
        file = base / f"{language}-en.{name}.{side}"
        if not file.is_file():
            raise DataError(f"{row.name}: {file} is not there")
        lines = file.read_text(encoding="utf-8").splitlines()
        sides[side] = [tuple(line.split("\t", 1)) for line in lines if line]
        bad = next((i for i, pair in enumerate(sides[side], 1) if len(pair) != 2), None)
        if bad:
            raise DataError(f"{file}:{bad}: an id and a text, separated by a tab, are expected")
    rows = [{"first": sides[language], "second": sides["en"], "gold": sides["gold"]}]
    return Raw(rows, len(sides["gold"]), str(base))


def _mixed(data: Data, row: Task, split: str, language: str, limit: int | None = None) -> Raw:
    """A code-mixed set of the data folder (``xitt.mixed_sets``); what cannot be scored is left out."""
    repository, config = place(row, language)
    base, name = local_folder(data, row, split, language).parent / repository, row.source.splits[split]
    if not mixed_sets.find(base, config, name):
        raise DataError(f"{row.name} {language}: {base / config} {name} is not there\n  {needs(row, split, language)}")
    rows = [r for r in mixed_sets.rows(row.kind, base, config, name) if mixed_sets.answerable(row.kind, r)]
    return Raw(rows[:limit], len(rows), f"local/{repository} {config} {name}")


def _ccg(data: Data, row: Task, split: str, language: str, limit: int | None) -> Raw:
    """Supertags of CCGbank from the user's licensed copy: ``word<TAB>category`` lines, sentences apart by empty lines."""
    file = local_folder(data, row, split, "en") / f"{split}.txt"
    if not file.is_file():
        raise DataError(f"{file} is not there\n  {needs(row, split, 'en')}")
    rows = list(_sentences(file))
    return Raw(rows[:limit], len(rows), str(file))


def _sentences(file: Path) -> Iterator[Example]:
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*file.read_text(encoding="utf-8").splitlines(), ""], 1):
        if not line.strip():
            if tokens:
                yield {"tokens": tokens, "tags": tags}
            tokens, tags = [], []
            continue
        parts = line.split("\t")
        if len(parts) != 2 or not all(p.strip() for p in parts):
            raise DataError(f"{file}:{number}: a word and its category, separated by one tab, are expected")
        tokens.append(parts[0])
        tags.append(parts[1].strip())


# --- pocket ------------------------------------------------------------------------------------------------------
def _pocket(row: Task, split: str, language: str, limit: int | None, noise: float = 0.0) -> Raw:
    from .pocket import hub as pocket
    from .pocket import translation

    try:
        rows, total = pocket.rows(row.name, split, language, limit)
    except ValueError as error:
        raise DataError(str(error)) from None
    if noise and language != "en" and row.name in pocket.TRANSLATED:
        rows = translation.noisy_rows(row.name, language, rows, noise)
    return Raw(rows, total, f"pocket {row.name} {split} {language}")
