"""Run a study's jobs: each notebook once, several at a time, past failures, from wherever it was stopped.

The runner speaks to any ``concurrent.futures.Executor``: locally a pool of threads, each of which starts one process per notebook
(``xitt.running``), forked from one that has done the imports (``xitt.warm``); on many machines the workers of a Dask cluster
(``xitt.cluster``). Several runners may be at one study: a job that another has begun is left to it.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter

from . import integrity, running, shards, warm
from .devices import Slots
from .done import _data_folder, is_done, job_inputs, job_record, notebook_of, stamp, stem
from .errors import JobError, ParameterError
from .graph import Job, jobs, matching, with_needs
from .progress import clock
from .running import Orders, Outcome, stop
from .study import Study

__all__ = [
    "Local",
    "_data_folder",
    "check_notebooks",
    "is_done",
    "job_inputs",
    "job_record",
    "notebook_of",
    "run",
    "stop",
    "walk",
]
#: seconds until a job that another batch is at is looked at again
PATIENCE = 2.0


class Local(AbstractContextManager):
    """Notebooks on this machine: threads that start one process each.

    Attributes
    ----------
    executor : concurrent.futures.Executor
    about : str
        How much room there is, in words.
    """

    def __init__(self, study: Study, slots: int | None = None, say=print):
        self.slots, self.study, self.say = Slots(study, slots), study, say
        self.about, self.executor = str(self.slots), ThreadPoolExecutor(self.slots.count)
        self.batches: list[str] = []
        self.warm: warm.Warm | None = None

    def task(
        self, batch: str, before: dict[str, int | None], forced: Iterable[str] = ()
    ) -> Callable[[Study, Job], Outcome]:
        """What the executor is to call."""
        self.batches.append(batch)
        orders = Orders(batch, self.slots.count, tuple(before.items()), forced=tuple(sorted(forced)))
        start = self._start(orders, len(before))

        def execute(study: Study, job: Job) -> Outcome:
            with self.slots.one() as environment:
                return running.execute(study, job, orders, environment, start)

        return execute

    def _start(self, orders: Orders, jobs: int) -> Callable:
        """What starts a job's process: forks of one that has done the imports, where that is safe and there are jobs to share them."""
        if not warm.usable(running.COMMAND, self.slots.devices) or jobs <= self.slots.count:
            return running.start
        if self.warm is None:
            environment = {**running.shared_environment(self.study, orders), **self.slots.shared()}
            self.warm = warm.Warm(environment, running.start, self.say)
        return self.warm.start

    def stop(self) -> None:
        """End what runs: the pool would wait for its notebooks."""
        for batch in self.batches:
            stop(batch)
        self._close()

    def __exit__(self, *error) -> None:
        self.executor.shutdown(cancel_futures=True)
        self._close()

    def _close(self) -> None:
        if self.warm is not None:
            self.warm.close()


# --- running -------------------------------------------------------------------------------------------------------
def run(
    study: Study, slots: int | None = None, only: str | None = None, force: str | None = None, say=print,
    dask: str | None = None, shard: tuple[int, int] | None = None,
) -> list[Outcome]:  # fmt: skip
    """Run what is not done; returns the outcomes of the jobs that ran.

    Parameters
    ----------
    slots : int, optional
        Notebooks at a time on this machine; default: one per GPU, else two.
    only, force : str, optional
        Globs of job names: nothing else but what they need; computed again.
    dask : str, optional
        Address of a Dask scheduler, or its scheduler file: jobs go to its workers.
    shard : (int, int), optional
        (I, N): the I-th of N parts of the study, counted from 1.

    Raises
    ------
    JobError
        If a job failed (raised at the end: the others went on), naming notebook and cell of each.
    """
    everything = jobs(study)
    forced = matching(everything, force) if force else set()
    wanted = with_needs(everything, matching(everything, only) | forced)
    for job in everything:
        if job.name in forced and (shard is None or job.name in shards.part(everything, *shard)):
            _forget(study, job)
    with _crew(study, slots, dask, say) as crew, _set_aside(study, say):
        if shard is None:
            return _checked(_some(study, everything, wanted, forced, crew, say))
        mine, last = wanted & shards.part(everything, *shard), wanted & shards.summaries(everything)
        outcomes = _some(
            study,
            everything,
            with_needs(everything, mine),
            forced & mine,
            crew,
            say,
            f", part {shard[0]} of {shard[1]}",
        )
        missing = [j.name for j in everything if j.name in wanted - last and not is_done(study, j)]
        if not missing:
            outcomes += _some(study, everything, last, set(), crew, say, ", what sums it up")
        elif last:
            say(shards.missing(study, missing, [o.job.name for o in outcomes if o.error]))
        return _checked(outcomes)


@contextmanager
def _set_aside(study: Study, say) -> Iterator[None]:
    """Say at the end, however it comes, what was found damaged meanwhile."""
    before = integrity.notes(study.out / "runs")
    try:
        yield
    finally:
        for name, note in integrity.notes(study.out / "runs").items():
            if name not in before:
                say(f"found damaged and computed again: {note}")


def dry_run(study: Study, only: str | None = None, shard: tuple[int, int] | None = None) -> list[str]:
    """What :func:`run` would do, a line per job."""
    everything = jobs(study)
    wanted = with_needs(everything, matching(everything, only))
    if shard is not None:
        wanted = with_needs(everything, wanted & shards.part(everything, *shard))
    out = []
    for job in everything:
        if job.name in wanted:
            state = "done" if is_done(study, job) else "to run"
            needs = ", ".join(job.needs) if len(job.needs) < 4 else f"{len(job.needs)} jobs"
            out.append(f"{state:7} {job.name:28} {job.notebook}{'  <- ' if needs else ''}{needs}")
    return out


def all_done(study: Study) -> bool:
    return all(is_done(study, job) for job in jobs(study))


def _crew(study: Study, slots: int | None, dask: str | None, say):
    if dask is None:
        return Local(study, slots, say)
    from .cluster import Cluster

    return Cluster(study, dask, say)


def _some(
    study: Study, everything: list[Job], wanted: set[str], forced: set[str], crew, say, part: str = ""
) -> list[Outcome]:
    """Run those of some jobs that are not done."""
    todo = [j for j in everything if j.name in wanted and (j.name in forced or not is_done(study, j))]
    # what comes after something that runs now is made again: it shows its results
    names = {j.name for j in todo}
    for job in everything:
        if job.name in wanted and job.name not in names and names.intersection(job.needs):
            todo.append(job)
            names.add(job.name)
    done = len(wanted) - len(todo)
    say(f"{study.name}{part}: {len(wanted)} jobs, {done} done before, {len(todo)} to run, {crew.about} -> {study.out}")
    if not todo:
        return []
    task = crew.task(uuid.uuid4().hex, {j.name: stamp(study, j) for j in todo}, forced)
    try:
        return walk(study, todo, crew.executor, task, _Watcher(study, len(todo), say))
    except BaseException:  # Ctrl-C above all
        crew.stop()
        raise


def _checked(outcomes: list[Outcome]) -> list[Outcome]:
    failed = [o for o in outcomes if o.error]
    if failed:
        raise JobError(
            f"{len(failed)} of {len(outcomes)} jobs did not finish:\n"
            + "\n".join(f"  {o.job.name}: {o.error}" for o in failed)
            + "\n  the same command tries them again; finished work is kept"
        )
    return outcomes


def walk(study: Study, todo: list[Job], executor: Executor, execute, watcher) -> list[Outcome]:
    """Hand jobs to an executor as soon as what they need is done; a failure holds back only what needs it."""
    by_name = {j.name: j for j in todo}
    sorter = TopologicalSorter({j.name: [n for n in j.needs if n in by_name] for j in todo})
    sorter.prepare()
    waiting: dict[Future, Job] = {}
    later: list[tuple[float, Job]] = []  # another batch is at them
    outcomes: dict[str, Outcome] = {}

    def ended(outcome: Outcome) -> None:
        outcomes[outcome.job.name] = outcome
        watcher.ended(outcome)
        sorter.done(outcome.job.name)

    def submit(job: Job) -> None:
        try:
            waiting[executor.submit(execute, study, job)] = job
        except Exception as error:  # the executor itself is gone
            ended(Outcome(job, 0.0, _words(error)))

    while sorter.is_active():
        for name in sorter.get_ready():
            bad = [n for n in by_name[name].needs if n in outcomes and outcomes[n].error]
            if bad:
                outcomes[name] = Outcome(by_name[name], 0.0, f"not run: it needs {', '.join(bad)}")
                sorter.done(name)
            else:
                submit(by_name[name])
        due, later = [j for t, j in later if t <= time.monotonic()], [x for x in later if x[0] > time.monotonic()]
        for job in due:
            submit(job)
        if not waiting and later:
            time.sleep(0.2)
        ready, _ = wait(waiting, timeout=min(1.0, PATIENCE), return_when=FIRST_COMPLETED)
        watcher.look([*waiting.values(), *(j for _, j in later)])
        for future in ready:
            job = waiting.pop(future)
            outcome = _outcome(future, job)
            if outcome.busy:
                watcher.busy(outcome)
                later.append((time.monotonic() + PATIENCE, job))
            else:
                ended(outcome)
    return list(outcomes.values())


def _outcome(future: Future, job: Job) -> Outcome:
    """What a future says; an executor that fails is one more way for a job to fail."""
    try:
        return future.result()
    except (CancelledError, Exception) as error:
        return Outcome(job, 0.0, _words(error))


def _words(error: BaseException) -> str:
    name, text = type(error).__name__, (str(error).strip().splitlines() or [""])[0]
    if name == "KilledWorker":
        return "its worker was lost more often than engine.worker_losses allows"
    if isinstance(error, CancelledError) or "Cancel" in name:
        return "the scheduler has let it go, or is gone"
    return f"{name}: {text}"


def _forget(study: Study, job: Job) -> None:
    """Drop the runs that a job makes itself, so that they are computed again."""
    job_record(study, job).unlink(missing_ok=True)
    number, _, rest = stem(job).partition(".")
    recipe, _, seed = rest.rpartition(".s")
    pattern = {
        "01": f"01.{recipe}.s{seed}-*",
        "02": f"02.{recipe}.*.s{seed}-*",
        "03": f"03.{recipe}.*.s{seed}-*",
    }.get(number, "")
    for place in (study.out / "runs").iterdir() if pattern and (study.out / "runs").is_dir() else ():
        if fnmatchcase(place.name, pattern):
            shutil.rmtree(place)


class _Watcher:
    """Lines for the person who started the batch: what ended, and every 15 seconds how far the rest is."""

    def __init__(self, study: Study, total: int, say):
        self.study, self.total, self.say = study, total, say
        self.ended_count, self.begin, self.last = 0, time.monotonic(), time.monotonic()
        self.told: set[str] = set()

    def ended(self, outcome: Outcome) -> None:
        self.ended_count += 1
        mark = "done" if outcome.error is None else "FAILED"
        about = "by another batch" if outcome.elsewhere else clock(outcome.seconds)
        if outcome.attempts > 1 and not outcome.error:
            about += f", {outcome.attempts} attempts"
        self.say(
            f"[{self.ended_count:3}/{self.total}] {clock(time.monotonic() - self.begin):>6}  {mark:6} {outcome.job.name} "
            f"({about})" + (f"  {outcome.error}" if outcome.error else "")
        )

    def busy(self, outcome: Outcome) -> None:
        if outcome.job.name not in self.told:
            self.told.add(outcome.job.name)
            self.say(f"{'':18}{outcome.job.name}: left to {outcome.busy}, which is at it")

    def look(self, waiting) -> None:
        if time.monotonic() - self.last < 15:
            return
        self.last = time.monotonic()
        for job in list(waiting):
            if line := running.progress_of(self.study, job):
                self.say(f"{'':18}{job.name}: {line}")


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
