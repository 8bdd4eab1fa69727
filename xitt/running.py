"""One job in a process of its own: started, watched, tried again where the fault was not the notebook's, its record written last.

Nothing here knows who asked: threads of ``xitt run``, or a worker of a cluster. Who works on a job holds its lease; a second one is told
``busy`` and comes back later.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from .done import is_done, job_inputs, job_record, notebook_of, stamp, stem
from .errors import XittError
from .graph import Job
from .lease import Lease, alive, describe
from .store import checksum, cores, write_json
from .study import Study

#: what starts a notebook's process; the job's file follows
COMMAND = (sys.executable, "-m", "xitt.execute")
_processes: dict[subprocess.Popen, str] = {}
_stopped: set[str] = set()
_stopping = threading.Event()


@dataclass(frozen=True)
class Orders:
    """What whoever runs a study asks of each job.

    Attributes
    ----------
    batch : str
        Name of this batch, by which its jobs are stopped.
    slots : int
        Notebooks at a time on this machine; the cores are shared among them.
    before : tuple of (str, int or None)
        Job → which record of it there was when the batch began.
    environment : tuple of (str, str)
        What a job's process finds in its environment besides this process's own.
    forced : tuple of str
        Jobs that are computed again: what they make themselves is trained, and not taken from a run that is there (``xitt.twins``).
    """

    batch: str
    slots: int
    before: tuple[tuple[str, int | None], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    forced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``error`` is ``None`` where it went well.

    ``busy`` names who is at it in another batch: nothing was done, to be asked again. ``elsewhere``: another batch had done it.
    """

    job: Job
    seconds: float
    error: str | None = None
    busy: str | None = None
    elsewhere: bool = False
    attempts: int = 1


@dataclass(frozen=True)
class Fault:
    """Why an attempt failed; ``again`` where another may do better."""

    message: str
    again: bool


# --- where things are ----------------------------------------------------------------------------------------------
def place_of(study: Study, job: Job) -> Path:
    """The folder of a job's attempts while it runs, and after one that failed."""
    return study.out / "jobs" / ".running" / stem(job)


def lease_of(study: Study, job: Job) -> Path:
    return study.out / "jobs" / ".running" / f"{stem(job)}.lease"


def failure_of(study: Study, job: Job) -> Path:
    """What is known of the last failure: ``error``, ``attempts``, ``host``; there until the job is tried again."""
    return study.out / "jobs" / f"{stem(job)}.failed.json"


def who_runs(study: Study, job: Job) -> dict | None:
    """Who is at a job now, see :mod:`xitt.lease`."""
    return alive(lease_of(study, job))


def progress_of(study: Study, job: Job) -> str:
    """The last line of progress of a job's newest attempt."""
    found = [p for p in place_of(study, job).glob("*/progress") if p.is_file()]
    return _read(max(found, key=lambda p: p.stat().st_mtime_ns)).strip() if found else ""


# --- running -------------------------------------------------------------------------------------------------------
def start(job_file: Path, environment: Mapping[str, str], log: TextIO) -> subprocess.Popen:
    """A process of its own for a notebook: a group that can be ended as one, its input a pipe that says whether this one lives."""
    return subprocess.Popen(
        [*COMMAND, str(job_file)], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=dict(environment)
    )  # fmt: skip


def execute(
    study: Study, job: Job, orders: Orders, slot: Mapping[str, str] | None = None, start: Callable = start
) -> Outcome:
    """Run a job to its end, unless another batch is at it or has done it since this one began.

    Parameters
    ----------
    slot : mapping, optional
        What its slot adds to the environment: the device.
    start : callable, optional
        What starts its process; see :func:`start`, and :mod:`xitt.warm` for another.
    """
    lease, begin = Lease(lease_of(study, job)), time.monotonic()
    try:
        if not lease.take():
            held = who_runs(study, job)
            return Outcome(job, 0.0, busy=describe(held) if held else "another process")
    except (OSError, XittError) as error:
        return Outcome(job, 0.0, f"cannot be started: {_disk(error)}")
    try:
        if stamp(study, job) != dict(orders.before).get(job.name) and is_done(study, job):
            return Outcome(job, 0.0, elsewhere=True)
        return _tries(study, job, orders, dict(slot or {}), begin, start)
    except (OSError, XittError) as error:
        return Outcome(job, time.monotonic() - begin, f"{job.notebook}: {_disk(error)}")
    finally:
        lease.release()


def _tries(study: Study, job: Job, orders: Orders, slot: dict, begin: float, start: Callable) -> Outcome:
    """Attempts at a job up to the study's limit; what was saved by one is where the next goes on."""
    for path in (failure_of(study, job), job_record(study, job)):
        path.unlink(missing_ok=True)
    most = 1 + study.params.engine.retries
    for number in range(1, most + 1):
        fault = _attempt(study, job, orders, slot, start)
        if fault is None:
            return Outcome(job, time.monotonic() - begin, attempts=number)
        if _is_stopped(orders):
            return Outcome(job, time.monotonic() - begin, "stopped")
        if not fault.again or number == most:
            break
        _pause(0.5 * 2**number, orders)
    error = fault.message + (f" ({number} attempts)" if number > 1 else "")
    with contextlib.suppress(
        OSError, XittError
    ):  # a full disk has no room for a note; the outcome says it all the same
        write_json(failure_of(study, job), {"error": error, "attempts": number, "host": os.uname().nodename})
    return Outcome(job, time.monotonic() - begin, error, attempts=number)


def _pause(seconds: float, orders: Orders) -> None:
    end = time.monotonic() + min(30.0, seconds)
    while time.monotonic() < end and not _is_stopped(orders):
        time.sleep(0.1)


def _attempt(study: Study, job: Job, orders: Orders, slot: dict, start: Callable) -> Fault | None:
    """One process for a job, watched until it ends; ``None`` if it went well."""
    begin, scratch = time.monotonic(), _scratch(study, job)
    output, inputs = scratch / job.file_name, job_inputs(study, job)
    write_json(scratch / "job.json", {
        "notebook": str(study.root / "notebooks" / job.notebook), "output": str(output), "cwd": str(study.root / "notebooks"),
        "error": str(scratch / "error.json"), "parameters": {"study": str(study.path), **dict(job.parameters)},
        "parent": os.getpid(),
    })  # fmt: skip
    with (scratch / "log").open("w", encoding="utf-8") as log, _socket_folder() as sockets:
        if _is_stopped(orders):
            return Fault("stopped", again=False)
        try:
            environment = {**shared_environment(study, orders), **_own_files(scratch), **slot}
            process = start(scratch / "job.json", {**environment, "JUPYTER_RUNTIME_DIR": sockets}, log)
        except OSError as error:
            return Fault(f"{job.notebook}: its process could not be started: {error.strerror or error}", again=True)
        _processes[process] = orders.batch
        try:
            silence = _watch(process, scratch, study.params.engine.silent_seconds)
        finally:
            if process.poll() is None:
                _end(process, signal.SIGKILL)
            process.stdin.close()  # open until now: how the process knows that this one lives
            _processes.pop(process, None)
    fault = silence or (_why(job, process.returncode, scratch) if process.returncode else None)
    if output.is_file():
        notebook_of(study, job).parent.mkdir(parents=True, exist_ok=True)
        os.replace(output, notebook_of(study, job))
    if fault is None:
        uses = [line.split("\t") for line in _read(scratch / "uses").splitlines()]
        write_json(job_record(study, job), {
            "inputs": inputs, "notebook": checksum(notebook_of(study, job)), "uses": dict(uses),
            "seconds": round(time.monotonic() - begin, 1),
        }, sealed=True)  # fmt: skip
        shutil.rmtree(scratch.parent, ignore_errors=True)
    return fault


def _scratch(study: Study, job: Job) -> Path:
    """A fresh folder for an attempt; what earlier ones left goes, since this process holds the job."""
    place = place_of(study, job)
    shutil.rmtree(place, ignore_errors=True)
    scratch = place / uuid.uuid4().hex[:12]
    scratch.mkdir(parents=True)
    return scratch


def shared_environment(study: Study, orders: Orders) -> dict[str, str]:
    """What all jobs of a batch find in their environment."""
    given = {**os.environ, **dict(orders.environment)}
    given.setdefault("OMP_NUM_THREADS", str(max(1, cores() // orders.slots)))
    return {
        **given,
        "XITT_OUTPUTS": str(study.out.parent),
        "XITT_FORCED": "\n".join(orders.forced),
        "TOKENIZERS_PARALLELISM": "false",
    }


def _own_files(scratch: Path) -> dict[str, str]:
    """Where an attempt says how far it is, and which runs it used."""
    return {"XITT_PROGRESS": str(scratch / "progress"), "XITT_USES": str(scratch / "uses")}


def _watch(process: subprocess.Popen, scratch: Path, limit: float) -> Fault | None:
    """Wait for a process; one that gives no sign for ``limit`` seconds (no progress, no output, no cell ended) is ended."""
    last, heard = None, time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(5.0, limit / 4))
            return None
        signs = _signs(scratch)
        if signs != last:
            last, heard = signs, time.monotonic()
        elif time.monotonic() - heard > limit:
            _end(process, signal.SIGKILL)
            process.wait()
            said = _read(scratch / "progress").strip()
            return Fault(
                f"the notebook was silent for {limit:,.0f} s and was ended (engine.silent_seconds)"
                + (f"; its last line: {said}" if said else ""),
                again=True,
            )


def _signs(scratch: Path) -> tuple:
    found = []
    with contextlib.suppress(OSError):
        for entry in sorted(os.scandir(scratch), key=lambda e: e.name):
            found.append((entry.name, entry.stat().st_mtime_ns, entry.stat().st_size))
    return tuple(found)


@contextlib.contextmanager
def _socket_folder():
    """A short path for the kernel's sockets: their names have room for about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="xitt-", ignore_cleanup_errors=True) as folder:
        yield folder


# --- what went wrong -----------------------------------------------------------------------------------------------
def _why(job: Job, code: int, scratch: Path) -> Fault:
    """What went wrong, with notebook and cell; errors of a notebook's own code would come again, others may not."""
    report = json.loads(_read(scratch / "error.json") or "null")
    if report is None:
        end = _read(scratch / "log").strip().splitlines()[-1:] or ["no message"]
        signal_name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Fault(f"{job.notebook}: the process ended with {signal_name}: {end[0]}", again=True)
    first = ((report["message"] or "").strip().splitlines() or [""])[0]
    if report["cell"] is not None:
        return Fault(f"{job.notebook}, cell {report['cell']}: {report['name']}: {_remedy(first)}", again=False)
    if report["name"] == "NoSuchKernel":
        return Fault(f"{job.notebook}: {first}\n    {sys.executable} -m ipykernel install --sys-prefix", again=False)
    return Fault(f"{job.notebook}: {report['name']}: {_remedy(first)}", again=report["name"] != "NotJSONError")


def _disk(error: OSError | XittError) -> str:
    if isinstance(error, XittError):
        return str(error)
    return _remedy(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")


def _remedy(message: str) -> str:
    return f"{message} (free some space; the same command goes on)" if "No space left" in message else message


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


# --- stopping ------------------------------------------------------------------------------------------------------
def _is_stopped(orders: Orders) -> bool:
    return _stopping.is_set() or orders.batch in _stopped


def _end(process: subprocess.Popen, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)


def stop(batch: str | None = None) -> None:
    """End the notebooks of a batch that run in this process, or all; what they had saved stays."""
    if batch is None:
        _stopping.set()
    else:
        _stopped.add(batch)

    def left() -> list[subprocess.Popen]:
        return [p for p, name in list(_processes.items()) if batch in (None, name)]

    for process in left():
        _end(process, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left():
        _end(process, signal.SIGKILL)
