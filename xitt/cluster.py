"""Many machines: a study's jobs on the workers of a Dask cluster (extra ``[cluster]``), through the seam that the local runner uses.

A worker starts the same process per notebook as ``xitt run`` does here; the study, its data and its outputs are files that all machines
see under the same paths. Nothing but the study and outcomes goes over Dask's wire, which is pickle and for trusted networks only. A
worker that is lost takes its notebook along; Dask gives the job to another, as often as ``engine.worker_losses`` says, and that one goes
on from the last checkpoint. A driver that is lost leaves its workers' jobs to end; the next one finds them done, or at work.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from . import running
from .done import code
from .errors import ParameterError
from .graph import Job
from .running import Orders, Outcome
from .store import cores
from .study import Study

#: seconds to wait for a scheduler's answer
ANSWER = 15.0
#: seconds in which no further worker joins, before their slots are counted
SETTLE = 1.0
_HINT = "pip install -c constraints.txt 'xitt[cluster]'"


class Cluster(AbstractContextManager):
    """A connection to a scheduler.

    Parameters
    ----------
    study : Study
    address : str
        ``tcp://host:8786``, or the scheduler's file (``--scheduler-file``).

    Raises
    ------
    ParameterError
        If ``distributed`` is not installed or no scheduler answers.
    """

    def __init__(self, study: Study, address: str, say: Callable = print):
        self.study, self.say, self.batches = study, say, []
        self.client = _connect(address)
        try:
            self._allow_losses(study.params.engine.worker_losses)
            workers = self._workers()
            gpus = _gpus(workers)
            if study.params.engine.device == "cuda" and not gpus:
                raise ParameterError(
                    f"{address}: no worker offers a GPU, and the study asks for one (engine.device: cuda); start each worker with "
                    "CUDA_VISIBLE_DEVICES set and `--nthreads 1 --resources GPU=1`"
                )
        except BaseException:
            self.client.close()
            raise
        use_gpu = gpus and study.params.engine.device != "cpu"
        self.slots: dict[str, int] = {}
        for worker in workers.values():
            own = int(worker.get("resources", {}).get("GPU", 0)) if use_gpu else worker["nthreads"]
            self.slots[worker["host"]] = self.slots.get(worker["host"], 0) + own
        # one job per GPU; where there is none, one per thread of a worker
        self.executor = self.client.get_executor(pure=False, **({"resources": {"GPU": 1}} if use_gpu else {}))
        room = f"{gpus:.0f} GPUs" if use_gpu else f"{sum(self.slots.values())} slots"
        self.about = f"{room} of {len(workers)} workers at {address}"

    def _workers(self) -> dict:
        """Workers that are there, with those that are started at the same time; with none, wait for the first."""

        def look() -> dict:
            return self.client.scheduler_info(n_workers=-1)["workers"]

        told, known = float("-inf"), 0
        while not (workers := look()):
            if time.monotonic() - told > 60:
                told = time.monotonic()
                self.say("no worker has joined the cluster yet: waiting (Ctrl-C stops)")
            with suppress(TimeoutError):
                self.client.wait_for_workers(1, timeout=5)
        while len(workers) > known:  # jobs are given their share of a machine by the slots that it has
            known = len(workers)
            time.sleep(SETTLE)
            workers = look()
        return workers

    def _allow_losses(self, most: int) -> None:
        """How often a job may lose its worker: the scheduler's own limit of three is for short tasks."""

        # defined here, so that it is sent as code: the scheduler's machine may be without xitt
        def allow(dask_scheduler, most=most):
            dask_scheduler.allowed_failures = most

        self.client.run_on_scheduler(allow)

    def task(
        self, batch: str, before: dict[str, int | None], forced: Iterable[str] = ()
    ) -> Callable[[Study, Job], Outcome]:
        """What the executor is to call, on a worker."""
        self.batches.append(batch)
        orders = Orders(batch, 1, tuple(before.items()), _environment(), tuple(sorted(forced)))
        return partial(_on_worker, orders=orders, slots=self.slots, code_here=code())

    def stop(self) -> None:
        """Give up what waits and end what runs, on all workers."""
        self.executor.shutdown(wait=False)
        for batch in self.batches:
            with suppress(Exception):  # the cluster may be gone, and Ctrl-C shall end this all the same
                self.client.run(running.stop, batch)

    def __exit__(self, *error) -> None:
        with suppress(Exception):
            self.client.close(timeout=5)


def _connect(address: str):
    try:
        from distributed import Client
    except ImportError:
        raise ParameterError(f"--dask needs Dask distributed: {_HINT}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what there is to say of a lost scheduler, xitt says
    where = _address(address)
    try:
        if not where.strip():
            raise ValueError("an address is expected")
        return Client(where, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ParameterError(
            f"--dask {address}: no Dask scheduler answers there ({type(error).__name__})\n"
            "  an address looks like tcp://host:8786; `dask scheduler` prints it, or a scheduler file (.json)"
        ) from None


def _address(given: str) -> str:
    """An address, or the one in a scheduler's file; Dask itself would wait for that file without a word and without end."""
    if not given.endswith(".json"):
        return given
    end = time.monotonic() + ANSWER
    while True:
        try:
            return str(json.loads(Path(given).read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            if time.monotonic() > end:
                raise ParameterError(
                    f"--dask {given}: not a scheduler's file ({type(error).__name__}: {error})\n"
                    f"  `dask scheduler --scheduler-file {given}` writes it, and has to be running"
                ) from None
        time.sleep(0.1)


def _gpus(workers: dict) -> float:
    return sum(w.get("resources", {}).get("GPU", 0) for w in workers.values())


def _environment() -> tuple[tuple[str, str], ...]:
    """What of this process's environment a job needs on another machine; never a token."""
    keep = ("XITT_DATA", "XITT_THREADS", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    return tuple((k, os.environ[k]) for k in keep if k in os.environ)


def _on_worker(study: Study, job: Job, orders: Orders, slots: dict[str, int], code_here: str) -> Outcome:
    """One job, called by a worker; ``slots`` are those of all workers by machine, which share its cores."""
    wrong = _differs(study, code_here)
    if wrong:
        return Outcome(job, 0.0, wrong)
    here = max(1, slots.get(_host(), 1))
    return running.execute(study, job, replace(orders, slots=here), _threads(here))


def _threads(slots: int) -> dict[str, str]:
    """Dask's nanny leaves numerical libraries one thread unless the user says otherwise: right for many small tasks, not for training."""
    import dask

    given = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    share = str(max(1, cores() // slots))
    return {k: share for k, v in given.items() if k.endswith("_NUM_THREADS") and os.environ.get(k) == str(v)}


def _host() -> str:
    from distributed import get_worker
    from distributed.comm import get_address_host

    return get_address_host(get_worker().address)


def _differs(study: Study, code_here: str) -> str | None:
    """What of this machine is not as the driver's."""
    me = os.uname().nodename
    if not study.path.is_file():
        return f"worker on {me}: {study.path} is not there; the project's folder must be on storage that all machines see under one path"
    if code() != code_here:
        return f"worker on {me}: its xitt is not the driver's; install the same commit there and start the worker again"
    try:
        study.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"worker on {me}: {study.out} cannot be written ({error.strerror})"
    return None
