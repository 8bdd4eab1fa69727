"""Run a study's jobs: each notebook once, several at a time, past failures, from wherever it was stopped.

The runner speaks to any ``concurrent.futures.Executor``; locally that is a pool of threads, each of which starts one process
per notebook (``xitt.execute``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from .bench import stored
from .errors import JobError, ParameterError
from .graph import Job, jobs, matching, with_needs
from .progress import clock
from .store import cores, read_json, write_json
from .study import Study, fingerprint

_running: set[subprocess.Popen] = set()
_stopping = threading.Event()


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``error`` is ``None`` where it went well."""

    job: Job
    seconds: float
    error: str | None = None


# --- what is done --------------------------------------------------------------------------------------------------
def job_record(study: Study, job: Job) -> Path:
    return study.out / "jobs" / (job.file_name.removesuffix(".ipynb") + ".json")


def job_inputs(study: Study, job: Job) -> str:
    """Fingerprint of what an executed notebook depends on besides the runs it shows: source, parameters, code, data folder."""
    notebook = study.root / "notebooks" / job.notebook
    return fingerprint({
        "notebook": hashlib.sha256(notebook.read_bytes()).hexdigest(), "parameters": job.parameters,
        "study": study.params.model_dump(mode="json"), "designs": [d.model_dump(mode="json") for d in study.designs],
        "code": _code(), "data": _data_folder(study),
        **({"measured": stored.stamps(study.root)} if job.notebook.startswith("90") else {}),
    })  # fmt: skip


@cache
def _code() -> str:
    """Digest of the package's own sources: an edit shows in every notebook, though no finished run is repeated for it."""
    digest, package = hashlib.sha256(), Path(__file__).parent
    for file in sorted(package.rglob("*")):
        # the report is made from executed notebooks: a change of its style must not make them run again
        if file.suffix in (".py", ".tsv", ".yaml") and file.relative_to(package).parts[0] not in ("report", "template"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _data_folder(study: Study) -> str:
    """Names, sizes and times of the files of a data folder and of the user's own: cheap, and enough to look again."""
    from .own_files import stamps
    from .study import expand

    own = [stamps(study.tasks[name]) for name in study.params.tasks]
    if study.params.data.source != "folder":
        return fingerprint(own) if own else ""
    folder = Path(expand(study.params.data.folder, "data.folder"))
    files = sorted(
        (str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    )
    return fingerprint([files, own] if own else files)


def is_done(study: Study, job: Job) -> bool:
    """Whether a job's notebook is there, made from the same inputs, and every run that it shows is still there."""
    record = read_json(job_record(study, job))
    if record is None or record["inputs"] != job_inputs(study, job) or not notebook_of(study, job).is_file():
        return False
    for place, known in record["uses"].items():
        there = read_json(study.out / "runs" / place / "record.json")
        if there is None or there["fingerprint"] != known:
            return False
    return True


def notebook_of(study: Study, job: Job) -> Path:
    """Where a job's executed notebook goes."""
    return study.out / "notebooks" / job.file_name


# --- running -------------------------------------------------------------------------------------------------------
def run(
    study: Study, slots: int | None = None, only: str | None = None, force: str | None = None, say=print
) -> list[Outcome]:
    """Run what is not done; returns the outcomes of the jobs that ran.

    Raises
    ------
    JobError
        If a job failed (raised at the end: the others went on), naming notebook and cell of each.
    """
    everything = jobs(study)
    forced = matching(everything, force) if force else set()
    wanted = with_needs(everything, matching(everything, only) | forced)
    todo = [j for j in everything if j.name in wanted and (j.name in forced or not is_done(study, j))]
    # what comes after something that runs now is made again: it shows its results
    names = {j.name for j in todo}
    for job in everything:
        if job.name in wanted and job.name not in names and names.intersection(job.needs):
            todo.append(job)
            names.add(job.name)
    for job in everything:
        if job.name in forced:
            _forget(study, job)
    slots = slots or default_slots()
    done = len(wanted) - len(todo)
    say(f"{study.name}: {len(wanted)} jobs, {done} done before, {len(todo)} to run, {slots} at a time -> {study.out}")
    if not todo:
        return []
    watcher = _Watcher(study, len(todo), say)
    with ThreadPoolExecutor(slots) as pool:
        try:
            outcomes = walk(study, todo, pool, lambda s, j: _execute(s, j, slots), watcher)
        except BaseException:  # Ctrl-C above all: the pool would wait for its notebooks
            stop()
            raise
    failed = [o for o in outcomes if o.error]
    if failed:
        raise JobError(
            f"{len(failed)} of {len(todo)} jobs did not finish:\n"
            + "\n".join(f"  {o.job.name}: {o.error}" for o in failed)
            + "\n  the same command tries them again; finished work is kept"
        )
    return outcomes


def default_slots() -> int:
    """One per GPU, else two; asked of the driver's tools, never of CUDA in this process."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
        if listed.returncode == 0 and (gpus := listed.stdout.count("GPU ")):
            return gpus
    return min(2, cores())


def walk(study: Study, todo: list[Job], executor: Executor, execute, watcher) -> list[Outcome]:
    """Hand jobs to an executor as soon as what they need is done; a failure holds back only what needs it."""
    by_name = {j.name: j for j in todo}
    sorter = TopologicalSorter({j.name: [n for n in j.needs if n in by_name] for j in todo})
    sorter.prepare()
    waiting: dict[Future, Job] = {}
    outcomes: dict[str, Outcome] = {}
    while sorter.is_active():
        for name in sorter.get_ready():
            bad = [n for n in by_name[name].needs if n in outcomes and outcomes[n].error]
            if bad:
                outcomes[name] = Outcome(by_name[name], 0.0, f"not run: it needs {', '.join(bad)}")
                sorter.done(name)
            else:
                waiting[executor.submit(execute, study, by_name[name])] = by_name[name]
        if waiting:
            ready, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            watcher.look(waiting.values())
            for future in ready:
                job = waiting.pop(future)
                outcomes[job.name] = future.result()
                watcher.ended(outcomes[job.name])
                sorter.done(job.name)
    return list(outcomes.values())


def _execute(study: Study, job: Job, slots: int) -> Outcome:
    """One job in a process of its own."""
    begin = time.monotonic()
    scratch = study.out / "jobs" / ".running" / job.file_name.removesuffix(".ipynb")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    output = scratch / job.file_name
    write_json(scratch / "job.json", {
        "notebook": str(study.root / "notebooks" / job.notebook), "output": str(output), "cwd": str(study.root / "notebooks"),
        "error": str(scratch / "error.json"), "parameters": {"study": str(study.path), **dict(job.parameters)},
    })  # fmt: skip
    inputs = job_inputs(study, job)
    threads = max(1, cores() // slots)
    environment = {
        **os.environ,
        "XITT_PROGRESS": str(scratch / "progress"),
        "XITT_USES": str(scratch / "uses"),
        "XITT_OUTPUTS": str(study.out.parent),
        "TOKENIZERS_PARALLELISM": "false",
    }
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    with (scratch / "log").open("w", encoding="utf-8") as log, _socket_folder() as sockets:
        if _stopping.is_set():
            return Outcome(job, 0.0, "stopped")
        process = subprocess.Popen(
            [sys.executable, "-m", "xitt.execute", str(scratch / "job.json")],
            stdout=log,
            stderr=log,
            env={**environment, "JUPYTER_RUNTIME_DIR": sockets},
            start_new_session=True,
        )
        _running.add(process)
        code = process.wait()
        _running.discard(process)
    error = None if code == 0 else _why(job, code, scratch)
    if output.is_file():
        notebook_of(study, job).parent.mkdir(parents=True, exist_ok=True)
        os.replace(output, notebook_of(study, job))
    if error is None:
        uses = [line.split("\t") for line in _read(scratch / "uses").splitlines()]
        write_json(
            job_record(study, job),
            {"inputs": inputs, "uses": dict(uses), "seconds": round(time.monotonic() - begin, 1)},
        )
        shutil.rmtree(scratch, ignore_errors=True)
    return Outcome(job, time.monotonic() - begin, error)


@contextlib.contextmanager
def _socket_folder():
    """A short path for the kernel's sockets: their names have room for about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="xitt-") as folder:
        yield folder


def _why(job: Job, code: int, scratch: Path) -> str:
    """What went wrong, with notebook and cell."""
    if _stopping.is_set():
        return "stopped"
    report = read_json(scratch / "error.json")
    if report is None:
        end = _read(scratch / "log").strip().splitlines()[-1:] or ["no message"]
        signal_name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{job.notebook}: the process ended with {signal_name}: {end[0]}"
    cell = f", cell {report['cell']}" if report["cell"] is not None else ""
    first = (report["message"] or "").strip().splitlines()
    return f"{job.notebook}{cell}: {report['name']}: {first[0] if first else ''}"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _forget(study: Study, job: Job) -> None:
    """Drop the runs that a job makes itself, so that they are computed again."""
    job_record(study, job).unlink(missing_ok=True)
    stem = job.file_name.removesuffix(".ipynb")
    number, _, rest = stem.partition(".")
    recipe, _, seed = rest.rpartition(".s")
    pattern = {
        "01": f"01.{recipe}.s{seed}-*",
        "02": f"02.{recipe}.*.s{seed}-*",
        "03": f"03.{recipe}.*.s{seed}-*",
    }.get(number, "")
    for place in (study.out / "runs").iterdir() if pattern and (study.out / "runs").is_dir() else ():
        if fnmatchcase(place.name, pattern):
            shutil.rmtree(place)


def stop() -> None:
    """End all notebooks that run now; what they had saved stays."""
    _stopping.set()
    for process in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while _running and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class _Watcher:
    """Lines for the person who started the batch: what ended, and every 15 seconds how far the rest is."""

    def __init__(self, study: Study, total: int, say):
        self.study, self.total, self.say = study, total, say
        self.ended_count, self.begin, self.last = 0, time.monotonic(), time.monotonic()

    def ended(self, outcome: Outcome) -> None:
        self.ended_count += 1
        mark = "done" if outcome.error is None else "FAILED"
        self.say(
            f"[{self.ended_count:3}/{self.total}] {clock(time.monotonic() - self.begin):>6}  {mark:6} {outcome.job.name} "
            f"({clock(outcome.seconds)})" + (f"  {outcome.error}" if outcome.error else "")
        )

    def look(self, waiting) -> None:
        if time.monotonic() - self.last < 15:
            return
        self.last = time.monotonic()
        for job in list(waiting):
            line = _read(
                self.study.out / "jobs" / ".running" / job.file_name.removesuffix(".ipynb") / "progress"
            ).strip()
            if line:
                self.say(f"{'':18}{job.name}: {line}")


def status(study: Study) -> list[tuple[Job, str]]:
    """Every job with ``done``, ``running`` or ``waiting``."""
    out = []
    for job in jobs(study):
        scratch = study.out / "jobs" / ".running" / job.file_name.removesuffix(".ipynb")
        state = "done" if is_done(study, job) else "waiting"
        if state == "waiting" and scratch.is_dir():
            error = read_json(scratch / "error.json")
            line = _read(scratch / "progress").strip()
            state = (
                f"failed: {error['name']}: {error['message'].splitlines()[0] if error['message'] else ''}"
                if error
                else f"begun: {line}"
            )
        out.append((job, state))
    return out


def check_notebooks(study: Study) -> None:
    """Every notebook that a job names is there and has the parameters it will be given.

    Raises
    ------
    ParameterError
        If not; papermill itself would only warn.
    """
    for job in {j.notebook: j for j in jobs(study)}.values():
        path = study.root / "notebooks" / job.notebook
        if not path.is_file():
            raise ParameterError(f"{path} is not there")
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        source = "".join("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", []))
        for name, _ in (("study", ""), *job.parameters):
            if not any(line.split(":")[0].split("=")[0].strip() == name for line in source.splitlines()):
                raise ParameterError(f"{path.name} has no parameter {name!r} in its cell tagged `parameters`")
