"""A Dask cluster on loopback for tests: a scheduler and workers, each a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

#: a module's process that Linux kills when the one that started it ends, however that comes
_MORTAL = (
    "import ctypes, runpy, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "del sys.argv[0]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


class LocalDask:
    """A scheduler and its workers; ports are the system's choice.

    Parameters
    ----------
    folder : pathlib.Path
        For the scheduler's file, logs and what workers spill.
    gpus : bool
        Whether each worker says that it has a GPU.
    """

    def __init__(self, folder: Path, workers: int = 3, gpus: bool = True, **environment: str):
        self.folder, self.file, self.gpus = folder, folder / "scheduler.json", gpus
        # code that is tested, threads that leave the machine to others
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("XITT_")},
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.workers: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        try:
            for _ in range(workers):
                self.add_worker()
            self._wait(workers)
        except BaseException:
            self.close()
            raise

    def _start(self, what: str, *options: str) -> subprocess.Popen:
        log = (self.folder / f"{what}.log").open("a")
        command = mortal(f"distributed.cli.dask_{what}", "--scheduler-file", str(self.file), *options)
        return subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
        )

    def add_worker(self) -> subprocess.Popen:
        """One more worker: a process without a nanny, so that what is killed stays dead."""
        while not self.file.is_file():
            assert self.scheduler.poll() is None, (self.folder / "scheduler.log").read_text()
            time.sleep(0.05)
        gpu = ("--resources", "GPU=1") if self.gpus else ()
        self.workers.append(
            self._start("worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard", *gpu)
        )
        return self.workers[-1]

    def _wait(self, workers: int) -> None:
        with self.client() as client:
            client.wait_for_workers(workers, timeout=60)

    def client(self):
        from distributed import Client

        return Client(scheduler_file=str(self.file), set_as_default=False)

    def kill(self, pid: int) -> None:
        """``kill -9`` on one worker."""
        (worker,) = (w for w in self.workers if w.pid == pid)
        worker.kill()
        worker.wait()
        self.workers.remove(worker)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.send_signal(signal.SIGKILL)
            process.wait()


def tree(pid: int) -> list[int]:
    """A process and all that it has started, by their numbers."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def mortal(module: str, *options: str) -> list[str]:
    """The command of a module's process that does not outlive the one that starts it."""
    return [sys.executable, "-c", _MORTAL, module, *options]
