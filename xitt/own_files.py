"""A user's own files: CSV and TSV (with a header), JSON Lines, JSON (a list of objects) and parquet, as rows with their places.

Lines and rows count from 1, as editors count them. Values become the fields of a kind by :func:`natural`: in CSV, tokens and
tags are separated by spaces, an answer is one text.
"""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import DataError, nearest, unknown
from .tasks import Task

Example = dict[str, Any]
#: a row, and the place that messages name
Placed = tuple[Example, str]


def read(row: Task, split: str, language: str) -> tuple[list[Placed], str]:
    """Rows of a split and language with their places, and the file.

    Raises
    ------
    DataError
        If the file is not there, is not in its form, or lacks a column that the row names.
    """
    path = find(row, split, language)
    placed, columns = _table(path, path.stat().st_mtime_ns, path.stat().st_size)
    for field, column in row.columns.items():
        for name in [column] if isinstance(column, str) else column:
            if (top := name.split(".")[0]) not in columns:
                raise DataError(f"{path}: {unknown('column', top, columns)}\n  {row.own}.columns.{field} names it")
    placed = list(_of_language(row, split, language, placed, columns, path))
    if "id" in columns:
        _check_ids(placed)
    return placed, str(path)


def find(row: Task, split: str, language: str) -> Path:
    """The file of a split and language.

    Raises
    ------
    DataError
        If there is none; the message names the key and the nearest file.
    """
    named = row.source.files[split]
    if language not in named:
        raise DataError(f"{row.own}.files.{split}: there is no file for {language}; there is for {', '.join(named)}")
    path = Path(named[language])
    if not path.is_file():
        there = sorted(p.name for p in path.parent.glob("*") if p.is_file()) if path.parent.is_dir() else []
        raise DataError(f"{row.own}.files.{split}: {path} is not there{nearest(path.name, there)}")
    return path


def present(row: Task, split: str, language: str) -> bool:
    """Whether the file of a split and language is there."""
    return Path(row.source.files.get(split, {}).get(language, "")).is_file()


def stamps(row: Task) -> list[tuple[str, int, int]]:
    """Path, time and size of its files: cheap, and enough to read them again when they change."""
    paths = sorted({p for named in row.source.files.values() for p in named.values()})
    return [(p, s.st_mtime_ns, s.st_size) for p in paths if Path(p).is_file() and (s := Path(p).stat())]


def natural(row: Task, fields: Example) -> Example:
    """Fields of the kind from what files without lists hold; lists are left as they are.

    Raises
    ------
    ValueError
        If a value is empty or not in its form.
    """
    fields = dict(fields)
    for name in ("first", "second", "prompt", "context", "question", "label"):
        if isinstance(fields.get(name), str) and not fields[name].strip():
            raise ValueError(f"{row.columns[name]} ({name}) is empty")
    for name in ("tokens", "tags"):
        if isinstance(fields.get(name), str):
            fields[name] = fields[name].split()
    if row.kind == "choose" and not isinstance(fields["choices"], (list, tuple)):
        raise ValueError("choices: a list is expected, or one column per choice (columns: {choices: [a, b]})")
    if row.kind == "span":
        answers = fields["answers"]
        fields["answers"] = ([answers] if answers.strip() else []) if isinstance(answers, str) else list(answers)
        starts = fields.get("starts", [0] * len(fields["answers"]))  # without offsets: the first place it stands in
        starts = starts if isinstance(starts, (list, tuple)) else [starts] * len(fields["answers"])
        fields["starts"] = [_whole(s) for s in starts]
        if len(fields["starts"]) != len(fields["answers"]):
            raise ValueError(f"{len(fields['answers'])} answers but {len(fields['starts'])} starts")
    return fields


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or str(value).strip().isdecimal()):
        raise ValueError(f"starts: a character offset is a whole number from 0, not {value!r}")
    return int(value)


def _of_language(row: Task, split: str, language: str, placed, columns, path: Path):
    """Rows of one language where a file holds several; training and dev files are taken whole unless they have that column."""
    column = row.source.language_column
    if column is None or (split != "test" and column not in columns):
        return placed
    if column not in columns:
        raise DataError(f"{path}: {unknown('column', column, columns)}\n  {row.own}.language_column names it")
    return [p for p in placed if p[0][column] == language] if split == "test" else placed


def _check_ids(placed: list[Placed]) -> None:
    seen: dict[str, str] = {}
    for raw, place in placed:
        name = str(raw.get("id"))
        if name in seen and raw.get("id") not in (None, ""):
            raise DataError(f"{place}: id {name!r} stands before, in {seen[name]}")
        seen[name] = place


# --- one reader per form -------------------------------------------------------------------------------------------
@lru_cache(maxsize=32)
def _table(path: Path, changed: int, size: int) -> tuple[list[Placed], list[str]]:
    """Rows with their places, and the columns; read again when the file has changed."""
    try:
        placed = _READERS[path.suffix](path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not placed:
        raise DataError(f"{path}: there are no rows")
    return placed, list(dict.fromkeys(k for raw, _ in placed for k in raw))


def _csv(path: Path, delimiter: str = ",") -> list[Placed]:
    csv.field_size_limit(2**31 - 1)  # a text may be long
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        placed, head, begin = [], None, 1
        try:
            for cells in lines:
                place, begin = f"{path}:{begin}", lines.line_num + 1
                if not cells:
                    continue
                if head is None:
                    head = _header(cells, place)
                    continue
                if len(cells) != len(head):
                    raise DataError(f"{place}: {len(cells)} fields, but the header has {len(head)}: {', '.join(head)}")
                placed.append((dict(zip(head, cells, strict=True)), place))
        except csv.Error as error:
            raise DataError(
                f"{path}:{begin}: not in CSV form ({error}); a field with quotes in it is quoted whole"
            ) from None
    return placed


def _header(cells: list[str], place: str) -> list[str]:
    if len(set(cells)) < len(cells) or not all(c.strip() for c in cells):
        raise DataError(f"{place}: the first line names the columns, each once and none empty: {', '.join(cells)}")
    return cells


def _tsv(path: Path) -> list[Placed]:
    return _csv(path, "\t")


def _jsonl(path: Path) -> list[Placed]:
    with path.open(encoding="utf-8-sig") as file:
        return [(_object(line, f"{path}:{n}"), f"{path}:{n}") for n, line in enumerate(file, 1) if line.strip()]


def _object(text: str, place: str) -> Example:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise DataError(f"{place}: an object is expected, not {type(content).__name__}")
    _check_pairs(text, content, place)
    return content


def _check_pairs(text: str, content: Any, place: str) -> None:
    """JSON can spell half of a surrogate pair, which no text holds and no file can store."""
    if "\\ud" not in text.lower():
        return
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(f"{place}: not text: half of a surrogate pair (\\u{ord(half):04x}) stands by itself") from None


def _json(path: Path) -> list[Placed]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, list):
        raise DataError(
            f"{path}: a list of objects is expected, not {type(content).__name__}; one object a line is .jsonl"
        )
    bad = next((n for n, e in enumerate(content, 1) if not isinstance(e, dict)), None)
    if bad:
        raise DataError(f"{path} row {bad}: an object is expected, not {type(content[bad - 1]).__name__}")
    _check_pairs(text, content, str(path))
    return [(e, f"{path} row {n}") for n, e in enumerate(content, 1)]


def _parquet(path: Path) -> list[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = pq.read_table(path).to_pylist()
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a parquet file ({error})") from None
    return [(e, f"{path} row {n}") for n, e in enumerate(content, 1)]


_READERS = {".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".json": _json, ".parquet": _parquet}
