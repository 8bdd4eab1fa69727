"""Notebooks that start with their imports done: each process is forked from one that has imported what all of them need.

A notebook takes two processes, one that executes it and its kernel, and both import for some seconds what every other notebook's did.
Here one process per batch does that once (``xitt.forking``) and forks the two for each job; all else is as with processes of their own.
Only where forking is safe: on Linux, and with no GPU, whose studies take so long that seconds do not count. Where it fails, the runner
says so and starts its processes as it would without.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

#: what a forked process stands for; the runner's own command is this one unless somebody has put another in its place
STANDS_FOR = (sys.executable, "-m", "xitt.execute")
COMMAND = (sys.executable, "-m", "xitt.forking")
#: seconds to wait for a process, the imports of the first among them
PATIENCE = 180.0


def usable(command: tuple[str, ...], devices: list[str]) -> bool:
    """Whether notebooks can be forked here; ``XITT_WARM=0`` says that they shall not be."""
    return sys.platform == "linux" and command == STANDS_FOR and not devices and os.environ.get("XITT_WARM") != "0"


class Process:
    """A forked process, with as much of ``subprocess.Popen`` as the runner needs: it is another process's child.

    Attributes
    ----------
    pid : int
        Its number, and that of its process group.
    stdin : file
        The runner's end of its input.
    returncode : int or None
        As ``Popen`` has it; ``-SIGKILL`` where the process that forked it is gone and could not tell, since it dies with that.
    """

    def __init__(self, status: int, stdin: int):
        self._status, self._text, self.returncode = status, b"", None
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self._lock = threading.Lock()
        first = self._line(PATIENCE)
        if not first:
            self.stdin.close()
            self._close()
            raise OSError(f"no process within {PATIENCE:.0f} s" if first is None else "no process")
        self.pid = int(first)

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(STANDS_FOR, timeout)
        return self.returncode

    def _ended(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None:
                line = self._line(timeout)
                if line is not None:
                    self.returncode = int(line or -signal.SIGKILL)
                    self._close()
            return self.returncode

    def _line(self, timeout: float | None) -> bytes | None:
        """The next line from there; empty at the end, ``None`` if neither came in time."""
        end = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        while b"\n" not in self._text:
            left = None if end is None else max(0.0, end - time.monotonic()) * 1000
            if not poll.poll(left):
                return None
            got = os.read(self._status, 64)
            if not got:
                return b""
            self._text += got
        line, _, self._text = self._text.partition(b"\n")
        return line

    def _close(self) -> None:
        if self._status >= 0:
            os.close(self._status)
            self._status = -1


class Warm:
    """The process that the notebooks of a batch are forked from. To be made in a thread that stays: it ends with that.

    Parameters
    ----------
    environment : mapping
        What all jobs of the batch have in theirs; libraries read some of it when they are imported.
    otherwise : callable
        Starts a process of its own, as :meth:`start` does, where none can be forked.
    say : callable
        Told why, once.
    """

    def __init__(self, environment: Mapping[str, str], otherwise: Callable, say: Callable = print):
        self.otherwise, self.say = otherwise, say
        self._lock, self._broken, self._closed = threading.Lock(), threading.Event(), threading.Event()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno()), str(os.getpid())], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
                env=dict(environment), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._process = None
            self._give_up(error)
        finally:
            theirs.close()

    def start(self, job_file: Path, environment: Mapping[str, str], log: TextIO):
        """A process that executes a notebook, forked; a ``Popen`` of its own where that fails.

        Raises
        ------
        OSError
            After :meth:`close`, also if that came meanwhile; or if no process can be started in any way.
        """
        if not self._broken.is_set():
            try:
                return self._fork(job_file, environment, log)
            except (OSError, ValueError) as error:
                if self._closed.is_set():
                    raise
                self._give_up(error)
        return self.otherwise(job_file, environment, log)

    def _fork(self, job_file: Path, environment: Mapping[str, str], log: TextIO) -> Process:
        message = json.dumps({"job": str(job_file), "environment": dict(environment)}).encode()
        (their_input, stdin), (status, their_status) = os.pipe(), os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [message], [their_input, log.fileno(), their_status])
        except OSError:
            os.close(stdin)
            os.close(status)
            raise
        finally:
            os.close(their_input)
            os.close(their_status)
        return Process(status, stdin)

    def _give_up(self, error: Exception) -> None:
        """Go on without; those that were forked before go on too."""
        with self._lock:
            if self._broken.is_set():
                return
            self._broken.set()
        self.say(f"notebooks start without what was imported for them ({error}): some seconds more for each")

    def close(self) -> None:
        """End it, and with it whatever was forked and still runs."""
        self._closed.set()
        with self._lock:
            self._socket.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.5)
            self._process.kill()
            self._process.wait()
