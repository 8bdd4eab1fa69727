"""Where runs live: one folder per run, written aside and renamed into place, its record last.

``runs/<readable>-<hash8>/`` is a finished run; ``runs/.partial/<same name>/<attempt>/`` is work under way with its checkpoint. A run's
name ends in the first eight digits of its specification's fingerprint, so what is found is what was asked for. Each attempt has a
folder of its own, which takes over what an attempt that is gone has left; the first record renamed into place wins.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .errors import DataError
from .study import fingerprint

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


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Json | None:
    """A JSON file's content, or ``None`` if there is no such file.

    Raises
    ------
    DataError
        If the file is there but not whole.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("a JSON object is expected")
        return content
    except FileNotFoundError:
        return None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}); delete the folder {path.parent} to compute it again") from None


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


class RunFolder:
    """The folder of one run, finished or under way.

    Parameters
    ----------
    runs : pathlib.Path
        ``outputs/<study>/runs``.
    spec : Spec
    """

    def __init__(self, runs: Path, spec: Spec):
        self.spec = spec
        self.path = runs / spec.folder_name
        self.partial = runs / ".partial" / spec.folder_name / uuid.uuid4().hex[:12]
        self._lease = runs / ".locks" / f"{spec.folder_name}.lease"
        self._before: int | None = None

    @property
    def record(self) -> Json | None:
        """The record of a finished run, or ``None``."""
        record = read_json(self.path / "record.json")
        if record is not None and record.get("fingerprint") != self.spec.fingerprint:
            raise DataError(f"{self.path} holds the record of another run; delete that folder")
        return record

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run: a second process waits here, then finds the work done."""
        from .lease import held

        with held(self._lease):
            yield

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
        """
        shutil.rmtree(self.partial / "checkpoint", ignore_errors=True)
        record = {
            "fingerprint": self.spec.fingerprint,
            "phase": self.spec.phase,
            "label": self.spec.label,
            **record,
        }
        write_json(self.partial / "record.json", record)
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
            return (self.path / "record.json").stat().st_mtime_ns
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


def note_use(place: Path, record: Json) -> None:
    """Leave a note that a notebook shows this record, for the batch runner (``XITT_USES``)."""
    path = os.environ.get("XITT_USES")
    if path:
        runs = next((p for p in place.parents if p.name == "runs"), None)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{place.relative_to(runs) if runs else place}\t{record['fingerprint']}\n")


# --- checksums and provenance --------------------------------------------------------------------------------------
def checksum(*files: Path) -> str:
    """SHA-256 over the bytes of files, in the order given."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


@cache
def commit(root: str) -> str:
    """Commit of the project, with ``+changes`` if the tree differs from it; empty outside a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=20, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if head and git("status", "--porcelain", "--", "xitt", "params", "notebooks") else "")
    except (OSError, subprocess.TimeoutExpired):
        return ""


def provenance(root: Path, device: str, precision: str, attention: str = "padded, sdpa") -> Json:
    """What a number came from: code, versions, machine, time; ``attention`` is what ``xitt.packing.path`` says."""
    from importlib.metadata import version

    import torch

    from . import __version__

    name = torch.cuda.get_device_name() if device.startswith("cuda") else _processor()
    return {
        "commit": commit(str(root)),
        "versions": {
            "xitt": __version__,
            "python": platform.python_version(),
            **{p: version(p) for p in ("torch", "transformers", "datasets", "tokenizers", "numpy")},
        },
        "device": name,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "attention": attention,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
