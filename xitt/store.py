"""Where runs live: one folder per run, written aside and renamed into place, its record last.

``runs/<readable>-<hash8>/`` is a finished run; ``runs/.partial/<same name>/<attempt>/`` is work under way with its checkpoint;
``runs/.damaged/`` holds what was not as it was written (``xitt.integrity``). A run's name ends in the first eight digits of its
specification's fingerprint, so what is found is what was asked for. Each attempt has a folder of its own, which takes over what an
attempt that is gone has left; the first record renamed into place wins.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import integrity
from .integrity import RECORD, Damaged, checksum
from .progress import tell
from .provenance import commit, cores, provenance
from .study import fingerprint

__all__ = [
    "Damaged", "RunFolder", "Spec", "checksum", "commit", "cores", "fresh_file", "fresh_folder", "kept", "provenance", "read_json",
    "reading", "write_json", "write_text",
]  # fmt: skip

#: folders of a run that hold weights: they may be let go, and are made again
WEIGHTS = ("model", "heads")
_held = threading.local()

Json = dict[str, Any]


@dataclass(frozen=True)
class Spec:
    """What a run is: everything that can change its numbers, and nothing else.

    ``inputs`` is JSON; the fingerprint is taken over all three fields' content except ``label``, which only makes
    folder names readable.
    """

    phase: str
    label: str
    inputs: Json

    @property
    def fingerprint(self) -> str:
        return fingerprint({"phase": self.phase, "inputs": self.inputs})

    @property
    def folder_name(self) -> str:
        return f"{self.label}-{self.fingerprint[:8]}"


@contextlib.contextmanager
def fresh_file(path: Path) -> Iterator[Path]:
    """A file to write, renamed to ``path`` when it is whole and on disk. Nothing is left of a failed try."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "r+b") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    with fresh_file(path) as file:
        file.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, sealed: bool = False) -> None:
    """Write a JSON file; ``sealed`` with a checksum of its content, which :func:`read_json` looks at and takes off."""
    content = {**content, integrity.SEAL: integrity.seal(content)} if sealed else content
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Json | None:
    """A JSON file's content, without its seal if it has one, or ``None`` if there is no such file.

    Raises
    ------
    Damaged
        If the file is there but not whole, or not what was written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("a JSON object is expected")
        return integrity.unseal(content, text)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged ({error}); delete the folder {path.parent} to compute it again") from None


# --- work kept to be used again ------------------------------------------------------------------------------------
@contextlib.contextmanager
def reading(*errors: type[Exception]) -> Iterator[None]:
    """Take what a library raises at the content of a file for what it is.

    Raises
    ------
    Damaged
        In place of any of ``errors``.
    """
    try:
        yield
    except errors as error:
        raise Damaged((str(error) or type(error).__name__).splitlines()[0]) from None


def kept(read: Callable[[Path, Json], Any], path: Path, key: Json, then: str) -> Any:
    """What ``read(path, key)`` makes of a file, or ``None`` where there is no such file, or a damaged one, which is said.

    Parameters
    ----------
    read : callable
        Raises :class:`FileNotFoundError`, or :class:`Damaged` at a file that is not whole or was written for another key.
    then : str
        What becomes of a damaged one, for people.
    """
    try:
        return read(path, key)
    except FileNotFoundError:
        return None
    except Damaged as error:
        tell(f"{path} is damaged ({error}): {then}")
        return None


def read_record(place: Path) -> Json | None:
    """The record of a run's folder or of a folder of predictions, once the files that it lists are known to be whole.

    Weights are not among them: they are looked at when they are used (:meth:`RunFolder.has_weights`).

    Raises
    ------
    Damaged
        If the record or a file is not what was written.
    """
    record = read_json(place / integrity.RECORD)
    if record is not None:
        integrity.check(place, {f: c for f, c in record.get("files", {}).items() if f.split("/")[0] not in WEIGHTS})
    return record


def is_whole(place: Path, known: str) -> bool:
    """Whether a run or a folder of predictions is there with this fingerprint and undamaged."""
    try:
        record = read_record(place)
    except Damaged:
        return False
    return record is not None and record.get("fingerprint") == known


@contextlib.contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, renamed to ``path`` at the end; replaces what was there. Nothing is left of a failed try."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        _put(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _put(folder: Path, path: Path) -> None:
    """Rename a folder into place; what was there, or comes there meanwhile, goes."""
    while True:
        try:
            os.rename(folder, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, old)
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def hold(runs: Path, name: str) -> Iterator[None]:
    """Hold a run: another process waits here, then finds the work done. One thread may hold it several times over."""
    from .lease import held

    path = runs / ".locks" / f"{name}.lease"
    mine = _held.__dict__.setdefault("paths", set())
    with integrity.room(runs):
        if path in mine:
            yield
            return
        with held(path):
            mine.add(path)
            try:
                yield
            finally:
                mine.discard(path)


class RunFolder:
    """The folder of one run, finished or under way.

    Parameters
    ----------
    runs : pathlib.Path
        ``outputs/<study>/runs``.
    spec : Spec
    """

    def __init__(self, runs: Path, spec: Spec):
        self.spec, self.runs = spec, runs
        self.path = runs / spec.folder_name
        self.partial = runs / ".partial" / spec.folder_name / uuid.uuid4().hex[:12]
        self._before: int | None = None

    # --- what is there
    @property
    def record(self) -> Json | None:
        """The record of a finished run, or ``None``; a damaged run is set aside and counts as none."""
        try:
            return self._read()
        except Damaged:
            with self.lock():  # whoever is writing is waited for
                try:
                    return self._read()
                except Damaged as error:
                    self._set_aside(error)
                    return None

    def _read(self) -> Json | None:
        record = read_record(self.path)
        if record is not None and record.get("fingerprint") != self.spec.fingerprint:
            raise Damaged(f"{self.path} holds the record of another run")
        return record

    def _set_aside(self, error: Damaged) -> None:
        """Move the run away, but not predictions with a whole record of their own: they say what weights they are of."""
        there = integrity.set_aside(self.runs, self.path, str(error))
        for place in sorted((there / "predictions").glob("*")) if there else ():
            record = _record_or_none(place)
            if record is not None and record["fingerprint"] != self.spec.fingerprint:
                (self.path / "predictions").mkdir(parents=True, exist_ok=True)
                os.rename(place, self.path / "predictions" / place.name)

    def has_weights(self, record: Json) -> bool:
        """Whether the weights of a finished run are there and whole; damaged ones are set aside. For who holds the run."""
        if not (self.path / "model").is_dir():
            return False
        listed = {f: c for f, c in record.get("files", {}).items() if f.split("/")[0] in WEIGHTS}
        try:
            integrity.check(self.path, listed)
            weights = sorted((self.path / "model").glob("*.safetensors"))
            if (
                not listed and "weights" in record and checksum(*weights) != record["weights"]
            ):  # a record that lists no files
                raise Damaged(f"{self.path / 'model'} is damaged (the checksum of its weights is wrong)")
            return True
        except Damaged as error:
            for name in WEIGHTS:
                if (self.path / name).is_dir():
                    integrity.set_aside(self.runs, self.path / name, str(error))
            return False

    def scored(self, target: str) -> Json | None:
        """The record of the run's predictions of a target, each file compared with its checksum, or ``None``.

        Damaged ones are set aside: with the whole run where they are what it was made for (retrieval).
        """
        place = self.path / "predictions" / target
        try:
            return read_record(place)
        except Damaged:
            with self.lock():
                try:
                    return read_record(place)
                except Damaged as error:
                    own = self.spec.phase == "retrieval"
                    integrity.set_aside(self.runs, self.path if own else place, str(error))
                    return None

    # --- work
    def lock(self):
        """Hold the run, see :func:`hold`."""
        return hold(self.runs, self.path.name)

    def begin(self) -> Path:
        """The working folder of this attempt, with what an interrupted one left."""
        self._before = self._stamp()
        if not self.partial.is_dir():
            self._adopt()
        self.partial.mkdir(parents=True, exist_ok=True)
        write_json(
            self.partial / "spec.json",
            {
                "phase": self.spec.phase,
                "label": self.spec.label,
                "fingerprint": self.spec.fingerprint,
                "inputs": self.spec.inputs,
            },
        )
        return self.partial

    def finish(self, record: Json) -> Json:
        """Write the record last and move the folder into place; returns the record that stands there then.

        Where another attempt has finished since this one began, its record stands, and this one's folder goes.

        Raises
        ------
        Damaged
            If another process has taken the working folder over.
        """
        if not (self.partial / "spec.json").is_file():
            raise Damaged(
                f"{self.partial} was taken over by another process; the same command finds what that one makes"
            )
        shutil.rmtree(self.partial / "checkpoint", ignore_errors=True)
        (self.partial / "best.sha256").unlink(missing_ok=True)
        record = {
            "fingerprint": self.spec.fingerprint,
            "phase": self.spec.phase,
            "label": self.spec.label,
            **record,
            "files": integrity.manifest(self.partial, without=("predictions",)),
        }
        write_json(self.partial / RECORD, record, True)
        record = read_json(self.partial / RECORD)  # as everyone finds it from now on
        try:
            os.rename(self.partial, self.path)  # fails if a finished run is there
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            there = self.record
            if there is not None and self._stamp() != self._before:
                record = there
            else:
                self._replace()
        shutil.rmtree(self.partial.parent, ignore_errors=True)
        return record

    def _stamp(self) -> int | None:
        """Which record is there, by its time."""
        with contextlib.suppress(FileNotFoundError):
            return (self.path / RECORD).stat().st_mtime_ns
        return None

    def _adopt(self) -> None:
        """Take over the folder of the attempt that came furthest; to be called by who holds the run."""
        found = [p for p in self.partial.parent.glob("*") if (p / "spec.json").is_file()]
        steps = {p: max((c.name for c in p.glob("checkpoint/[0-9]*")), default="") for p in found}
        if found:
            os.rename(max(found, key=lambda p: (steps[p], p.stat().st_mtime_ns)), self.partial)

    def _replace(self) -> None:
        """Weights made once more: what was scored with the old ones stays (its record says with which)."""
        if (self.path / "predictions").is_dir() and not (self.partial / "predictions").exists():
            os.rename(self.path / "predictions", self.partial / "predictions")
        _put(self.partial, self.path)


def _record_or_none(place: Path) -> Json | None:
    """A record if it is there and whole."""
    try:
        return read_record(place)
    except Damaged:
        return None


def note_use(place: Path, record: Json) -> None:
    """Leave a note that a notebook shows this record, for the batch runner (``XITT_USES``)."""
    path = os.environ.get("XITT_USES")
    if path:
        runs = next((p for p in place.parents if p.name == "runs"), None)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{place.relative_to(runs) if runs else place}\t{record['fingerprint']}\n")
