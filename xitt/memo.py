"""Generated splits on disk, shared by all processes of a study: the pocket makes each of its data sets once.

``outputs/<study>/data/<task>.<split>.<language>.<hash>.json`` holds one split of the pocket with its fingerprint: what a summary
notebook needs to find runs, and what a training reads. The hash is over all that its examples depend on: the study's data and own
tasks (``xitt.data.World``), task, split and language, every source file of this package (so that an edit of the generator or of a
check is never passed over) and the Python that runs it. Data sets of other sources are read where they lie.

A file is two lines of JSON: a head and the examples. The head holds the SHA-256 of both; a file that is damaged is said to be and made
again. The folder can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .store import Damaged, fresh_file, kept, reading

#: raised when files have another form
VERSION = 1
_TUPLE = "()"


def content(
    folder: Path | None, name: tuple[str, ...], depends: dict, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The fields of a split, ``examples`` among them: read from disk if they are there, else made and kept.

    Parameters
    ----------
    folder : pathlib.Path or None
        ``None`` keeps nothing.
    name : tuple of str
        Task, split and language.
    depends : dict
        JSON: what the examples depend on besides their name and the code.
    make : callable
        () → fields of the split. Fields that JSON would give back changed are handed on and not kept.
    """
    if folder is None or (digest := code()) is None:
        return make()
    from filelock import FileLock

    path, key = _place(folder, name, depends, digest)
    if (found := _whole(path, key)) is not None:
        return found
    lock = folder / ".locks" / f"{path.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # a second process waits, then finds the work done
        if (found := _whole(path, key)) is None:
            found = make()
            if _stamps() == _BEGIN and write(path, found, key):
                _drop_older(path, path.name.rsplit(".", 2)[0])
    return found


def holds(folder: Path | None, name: tuple[str, ...], depends: dict) -> bool:
    """Whether a split is on disk as :func:`content` would write it; its file is not read."""
    return folder is not None and (digest := code()) is not None and _place(folder, name, depends, digest)[0].is_file()


def _place(folder: Path, name: tuple[str, ...], depends: dict, digest: str) -> tuple[Path, dict]:
    """A split's file, and the key in its head."""
    key = {"name": list(name), "depends": depends, "code": digest, "python": platform.python_version(), "form": VERSION}
    stem = ".".join(part.replace("/", "-") for part in name)
    return folder / f"{stem}.{_sha(json.dumps(key, sort_keys=True))[:16]}.json", key


def _sources() -> list[Path]:
    return sorted(p for p in Path(__file__).parent.rglob("*") if p.suffix in (".py", ".tsv", ".yaml"))


def _stamps() -> list[tuple[str, int, int]]:
    """Names, sizes and times of the package's source files."""
    return [(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in _sources()]


_BEGIN = _stamps()  # what this process runs is what was there when it began, or it keeps nothing


@cache
def code() -> str | None:
    """SHA-256 over the package's source files; ``None`` where they were edited since this process began."""
    digest = hashlib.sha256()
    for file in _sources():
        digest.update(f"{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest() if _stamps() == _BEGIN else None


def write(path: Path, fields: dict[str, Any], key: dict) -> bool:
    """Write a file aside and rename it into place; ``False``, and nothing is written, where it would not be the same again."""
    rest = {k: v for k, v in fields.items() if k != "examples"}
    text = json.dumps(_marked(fields["examples"]), ensure_ascii=False)
    if not _same(_examples(text), fields["examples"]):
        return False
    head = {"key": key, "fields": rest}
    with fresh_file(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({**head, "sha256": _sha(_plain(head) + text)}, ensure_ascii=False) + "\n" + text + "\n")
    return True


def read(path: Path, key: dict) -> dict[str, Any]:
    """The fields of a file; raises what :func:`xitt.store.kept` understands."""
    with reading(ValueError, KeyError, TypeError, AttributeError):
        first, text, end = path.read_bytes().decode("utf-8").split("\n")
        head = json.loads(first)
        wanted = head.pop("sha256")
        if end or _sha(_plain(head) + text) != wanted:
            raise Damaged("its checksum is wrong")
        if head["key"] != key:
            raise Damaged("it is of another key")
        return {**head["fields"], "examples": _examples(text)}


def _whole(path: Path, key: dict) -> dict[str, Any] | None:
    return kept(read, path, key, "its examples are made again")


def _drop_older(path: Path, stem: str) -> None:
    """What was kept of this split for other code or parameters; a process that reads it has it whole."""
    for other in path.parent.glob(f"{stem}.{'?' * 16}.json"):
        if other != path:
            with contextlib.suppress(FileNotFoundError):
                other.unlink()


def _marked(value):
    """Tuples, which JSON has not, as ``{"()": [...]}``."""
    if isinstance(value, tuple):
        return {_TUPLE: [_marked(v) for v in value]}
    if isinstance(value, dict):
        return {k: _marked(v) for k, v in value.items()}
    return [_marked(v) for v in value] if isinstance(value, list) else value


def _examples(text: str) -> list:
    hook = (lambda d: tuple(d[_TUPLE]) if list(d) == [_TUPLE] else d) if f'"{_TUPLE}"' in text else None
    return json.loads(text, object_hook=hook)


def _same(first, second) -> bool:
    """Equal, of equal types, dictionaries in equal order."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return list(first) == list(second) and all(_same(v, second[k]) for k, v in first.items())
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(_same, first, second))
    return first == second


def _plain(head: dict) -> str:
    return json.dumps(head, sort_keys=True)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
