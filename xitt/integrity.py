"""Whether what is on disk is what was written: seals on records, checksums of files, and a place for what is damaged.

A record ends in a checksum of its own content (its seal) and lists the SHA-256 of every file that it stands for. Both are looked at
whenever a run is read. What does not agree is never used and never deleted: it is moved to ``runs/.damaged/``, with a note that says
why, and is computed again by whoever needs it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DataError

#: the key of a record's checksum, and how its value begins: a flipped bit spoils at most one of the two
SEAL, MARK = "checksum", "sha256:"
DAMAGED = ".damaged"
#: name of a record, which lists the other files and not itself
RECORD = "record.json"
_known: dict[Path, tuple[tuple, str]] = {}


class Damaged(DataError):
    """Something on disk is not what was written there."""


class DiskFull(DataError):
    """There is no room for what has to be written."""


# --- records -------------------------------------------------------------------------------------------------------
def seal(content: dict[str, Any]) -> str:
    """SHA-256 of a record's content, whatever the order of its keys and the layout of its file."""
    return _seal_of(json.loads(json.dumps(content)))  # keys are text, as they will be when it is read again


def _seal_of(plain: dict[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return MARK + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unseal(content: dict[str, Any], text: str) -> dict[str, Any]:
    """A record without its seal, once that is known to fit; content that was never sealed as it is.

    Raises
    ------
    ValueError
        If the seal is broken.
    """
    stated = content.pop(SEAL, None)
    if stated is None and f'"{MARK}' not in text:
        return content
    if stated != _seal_of(content):
        raise ValueError("its checksum is wrong")
    return content


# --- files ---------------------------------------------------------------------------------------------------------
def checksum(*files: Path) -> str:
    """SHA-256 over the bytes of files, in the order given."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def manifest(folder: Path, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Checksum of every file below a folder by its path there, but for the record and for some sub-folders."""
    found = {}
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        parts = file.relative_to(folder).parts
        if parts[0] not in (RECORD, *without):
            found["/".join(parts)] = checksum(file)
    return found


def check(folder: Path, files: dict[str, str]) -> None:
    """Compare files with their checksums. One that has not changed since this process last read it is not read again.

    Raises
    ------
    Damaged
        If a file is missing or another.
    """
    for name, wanted in files.items():
        file = folder / name
        try:
            found = _checksum_now(file)
        except OSError as error:
            raise Damaged(f"{file} cannot be read ({error.strerror or error})") from None
        if found != wanted:
            raise Damaged(f"{file} is damaged (its checksum is wrong)")


def _checksum_now(file: Path) -> str:
    there = file.stat()
    state = (there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)
    known = _known.get(file)
    if known is None or known[0] != state:  # times are compared with themselves only: a clock may jump
        _known[file] = known = (state, checksum(file))
    return known[1]


# --- what is damaged -----------------------------------------------------------------------------------------------
def set_aside(runs: Path, place: Path, why: str) -> Path | None:
    """Move a damaged folder or file to ``runs/.damaged/`` and say so; ``None`` if another process did."""
    folder = runs / DAMAGED
    folder.mkdir(parents=True, exist_ok=True)
    name = "+".join(place.relative_to(runs).parts)
    for number in range(1, 10_000):
        there = folder / f"{name}.{number}"
        if there.exists():
            continue
        try:
            os.rename(place, there)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                continue  # another process took this number
            raise
        note = f"{place.relative_to(runs)} is damaged and was set aside as {DAMAGED}/{there.name}: {why}"
        with contextlib.suppress(OSError):  # a full disk has no room for notes
            (folder / f"{there.name}.why").write_text(note + "\n", encoding="utf-8")
        print(f"xitt: {note}; it is computed again where it is needed", file=sys.stderr, flush=True)
        return there
    raise Damaged(f"{folder} holds 10,000 pieces of {name}; look at the disk, then delete that folder")


def notes(runs: Path) -> dict[str, str]:
    """What was set aside so far: name in ``.damaged/`` and why."""
    return {
        p.name.removesuffix(".why"): p.read_text(encoding="utf-8", errors="replace").strip()
        for p in sorted((runs / DAMAGED).glob("*.why"))
    }


# --- a full disk ---------------------------------------------------------------------------------------------------
def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or somebody's share of it, is full; libraries of other languages say so in words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    words = (
        str(error) if type(error).__name__ in ("SafetensorError", "OSError", "ArrowException", "ArrowInvalid") else ""
    )
    return bool(re.search(r"No space left on device|os error (28|122)\b|errno:? (28|122)\b", words))


@contextlib.contextmanager
def room(place: Path) -> Iterator[None]:
    """Say of a full disk what to do about it.

    Raises
    ------
    DiskFull
        In place of whatever a library raises.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFull) or not is_full(error):
            raise
        raise DiskFull(
            f"the disk is full: there is no room below {place}. What is finished is whole, and training goes on from its last "
            "checkpoint: make room (`xitt clean PARAMS` lists what is not needed), then give the same command again"
        ) from error
