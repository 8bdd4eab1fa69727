"""Who is at work on what: a small file with a beat beside the work, taken over when its holder is gone.

No network lock is trusted: a lease keeps work from being done twice, and nothing breaks where two hold one after all, since every
attempt writes a folder of its own and the first record renamed into place wins (``xitt.store``). On one machine a holder is gone when
its process is; one elsewhere when its beat has stood still for ``LOST`` seconds of the watcher's own steady clock, so that clocks may
differ and jump.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

#: seconds between beats, and of silence after which a holder on another machine is taken for gone
BEAT, LOST = 10.0, 90.0
#: lease file → what was last seen in it, and when by the steady clock
_seen: dict[str, tuple[object, float]] = {}


class Lease:
    """The right to work on one thing, held by this process from :meth:`take` to :meth:`release`.

    Parameters
    ----------
    path : pathlib.Path
        The lease's file, on the storage that all workers share.
    """

    def __init__(self, path: Path):
        self.path, self.token = path, uuid.uuid4().hex
        self._file, self._since = None, 0
        self._end = threading.Event()

    def take(self) -> bool:
        """Take it if nobody holds it, or whoever did is gone; ``False`` if it is held."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            if self._create():
                self._end = threading.Event()
                threading.Thread(target=self._beat, args=(self._file, self._end), daemon=True).start()
                return True
            held = holder(self.path)
            if held is not None:
                if not is_gone(self.path, held):
                    return False
                _clear(self.path, held)
        return False

    def release(self) -> None:
        """Let it go, unless it was taken over."""
        self._end.set()
        if self._file is not None:
            self._file.close()
            self._file = None
        if (holder(self.path) or {}).get("token") == self.token:
            self.path.unlink(missing_ok=True)

    def _create(self) -> bool:
        try:
            # exclusive creation is the one thing that network file systems do at once
            self._file = open(self.path, "x", encoding="utf-8")  # noqa: SIM115 - open as long as it is held
        except FileExistsError:
            return False
        self._since = int(time.time())
        try:
            self._write(self._file, 0)
        except OSError:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise
        return True

    def _write(self, file, beat: int) -> None:
        """The holder, always in as many bytes: a full disk has room for the next beat."""
        file.seek(0)
        json.dump({**here(), "token": self.token, "since": self._since, "beat": f"{beat:012d}"}, file)
        file.flush()
        os.fsync(file.fileno())

    def _beat(self, file, end: threading.Event) -> None:
        beat = 0
        while not end.wait(BEAT):
            beat += 1
            # closed meanwhile, or a disk in trouble: a missed beat is no loss. Once taken over, this writes to nobody's file.
            with contextlib.suppress(OSError, ValueError):
                self._write(file, beat)


@contextlib.contextmanager
def held(path: Path, patience: float = 0.2) -> Iterator[None]:
    """Hold a lease; wait, and say for whom, while another process does."""
    from .progress import tell

    lease, told = Lease(path), False
    while not lease.take():
        if not told and (who := holder(path)) and who.get("pid") != os.getpid():
            tell(f"{path.stem}: waiting for {describe(who)}, which is at it")
            told = True
        time.sleep(patience)
        patience = min(2.0, patience * 1.5)
    try:
        yield
    finally:
        lease.release()


def holder(path: Path) -> dict | None:
    """Who holds a lease, ``None`` if nobody does; without ``token`` where the file cannot be read (yet)."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    try:
        found = json.loads(text)
        return found if isinstance(found, dict) and "token" in found else {"text": text}
    except ValueError:
        return {"text": text}


def alive(path: Path) -> dict | None:
    """Who holds a lease and is not gone."""
    held = holder(path)
    return held if held is not None and not is_gone(path, held) else None


def describe(held: dict) -> str:
    """``host, process 123``."""
    return f"{held['host']}, process {held['pid']}" if "pid" in held else "another process"


def is_gone(path: Path, held: dict) -> bool:
    """Whether a holder is gone: at once where that can be known, else by its beat, seen from this process."""
    known = _lives(held)
    if known is not None:
        return not known
    state, now = (held.get("token"), held.get("beat"), held.get("text")), time.monotonic()
    before = _seen.get(str(path))
    if before is None or before[0] != state:
        _seen[str(path)] = (state, now)
        return False
    return now - before[1] > LOST


def _lives(held: dict) -> bool | None:
    """Whether a process is there; ``None`` where this machine cannot tell."""
    if "pid" not in held:
        return None
    me = here()
    if all(held.get(k) == me[k] for k in ("host", "boot", "space")):
        return _started(held["pid"]) == held["start"]
    if held["host"] == me["host"] and held["boot"] and me["boot"] and held["boot"] != me["boot"]:
        return False  # that machine was started anew since
    return None


def here() -> dict:
    """This process: machine, its last start, the space that process numbers are counted in, number, start of the process."""
    return {**_machine(), "pid": os.getpid(), "start": _started(os.getpid())}


@cache
def _machine() -> dict:
    boot = space = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    return {"host": socket.gethostname(), "boot": boot, "space": space}


def _started(pid: int) -> str | None:
    """When a process started, in the system's own terms, so that a number used again is not taken for it; ``None`` if it has ended."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def _clear(path: Path, held: dict) -> None:
    """Take the lease of a holder that is gone out of the way; a fresh one that came in between is put back."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    found = holder(aside) or {}
    if found.get("token") != held.get("token"):
        with contextlib.suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
