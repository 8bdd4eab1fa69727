"""The process that notebooks are forked from, for the batch runner: ``python -m xitt.forking SOCKET RUNNER``; see :mod:`xitt.warm`.

It imports what notebooks need and no more: no thread is started, nothing computed, no device touched, no random number drawn. A job's
process and its kernel are two forks, made before either has threads; each gives up everything of this process but its imports, and is from
there on what ``python -m xitt.execute`` and ``python -m ipykernel_launcher`` would be. Each ends with the one before it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import threading
import warnings
from dataclasses import dataclass

from . import execute

#: imported once for all notebooks, beside the package's own modules; whatever else a notebook needs it imports itself
MODULES = (
    "papermill", "papermill.engines", "nbclient", "nbformat", "jupyter_client.asynchronous", "ipykernel.kernelapp", "ipykernel.ipkernel",
    "IPython.core.completer", "matplotlib_inline.backend_inline",
    "torch", "transformers", "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.xlm_roberta.modeling_xlm_roberta", "tokenizers", "safetensors.torch",
    "numpy", "pandas", "pyarrow.parquet", "datasets", "scipy.stats", "seaborn", "matplotlib.pyplot",
    "matplotlib.backends.backend_svg",
)  # fmt: skip
#: modules that start something when imported, or are no part of a notebook
_NOT = {"xitt.cli", "xitt.cluster", "xitt.execute", "xitt.forking", "xitt.__main__"}


@dataclass(frozen=True)
class Request:
    """What the runner asks for: a job's file, its environment, and three open files of its process."""

    job: str
    environment: dict[str, str]
    stdin: int
    log: int
    status: int


def preload() -> None:
    """Import; a module that is not there is left to the notebooks that need it, and so is its error."""
    # as a kernel sets it, before the library reads it
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*MODULES, *_own()):
            try:
                importlib.import_module(name)
            except ImportError:
                continue
    if threading.active_count() > 1:
        raise RuntimeError(f"an import has started a thread, no process can be forked: {threading.enumerate()}")
    gc.collect()
    gc.freeze()  # what is here stays: memory shared with the forks, and never gone through by their collectors


def _own() -> list[str]:
    import pkgutil

    import xitt

    found = (m.name for m in pkgutil.walk_packages(xitt.__path__, "xitt."))
    return sorted(name for name in found if name not in _NOT)


# --- forking -------------------------------------------------------------------------------------------------------
def serve(door: socket.socket) -> Request | None:
    """Fork what is asked for and report how each ended, until the runner goes.

    Returns
    -------
    Request or None
        In a fork, what it is to do; ``None`` here, at the end.
    """
    wakes, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    running: dict[int, int] = {}  # process → where its exit code goes
    while True:
        ready, _, _ = select.select([door, wakes], [], [])
        if wakes in ready:
            os.read(wakes, 4096)
            _reap(running)
        if door in ready:
            message, files, _, _ = socket.recv_fds(door, 1 << 20, 3)
            if not message:
                return None
            try:
                process = _fork()
            except OSError:
                process = None  # the runner sees its pipe end
            if process == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                for file in (wakes, woken, *running.values()):
                    os.close(file)
                return Request(**json.loads(message), **dict(zip(("stdin", "log", "status"), files, strict=True)))
            for file in files if process is None else files[:2]:
                os.close(file)
            if process is not None:
                running[process] = files[2]


def _fork() -> int:
    with warnings.catch_warnings():
        # Arrow's allocator has a thread of its own, which it ends before a fork and starts again after; there is no other
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _reap(running: dict[int, int]) -> None:
    while running:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        file = running.pop(process, None)
        if file is not None:
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
                os.write(file, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(file)


def settle(request: Request, server: int) -> None:
    """Make a fork a process of its own: group, files, environment, randomness."""
    os.setsid()
    ends_with(server)
    for file, number in ((request.stdin, 0), (request.log, 1), (request.log, 2)):
        os.dup2(file, number)
    os.close(request.stdin)
    os.close(request.log)
    inherit(request.environment)
    os.write(request.status, f"{os.getpid()}\n".encode())
    os.close(request.status)


def ends_with(parent: int) -> None:
    """Die when the process does that forked this one, also if that was just before."""
    execute.die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def inherit(environment: dict[str, str]) -> None:
    """Take an environment in place of this one, and numbers of chance of one's own, as a process that starts has them."""
    import numpy

    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    numpy.random.seed()  # noqa: NPY002 - the generator that other people's code shares


# --- the kernel ----------------------------------------------------------------------------------------------------
def spare() -> execute.Spare | None:
    """Fork the process that will be this one's kernel; ``None`` in that process, once it is told to begin."""
    read, write = os.pipe()
    parent, process = os.getpid(), _fork()
    if process:
        os.close(read)
        return execute.Spare(process, write)
    os.close(write)
    os.setsid()
    ends_with(parent)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    with os.fdopen(read, encoding="utf-8") as pipe:
        orders = json.loads(pipe.read() or "null")
    if orders is None:  # the notebook came to no kernel
        os._exit(0)
    execute.rename("ipykernel")
    inherit(orders["environment"])
    here = os.getcwd()
    os.chdir(orders["cwd"])
    # the folder that `python -m` puts there is no part of a kernel's path
    if sys.path and sys.path[0] in ("", here):
        del sys.path[0]
    sys.argv = ["ipykernel_launcher", *orders["arguments"]]
    return None


def main(door: str, runner: str) -> int:
    """Import, fork as asked; the exit code of whichever process this has become."""
    execute.die_with_parent()
    if os.getppid() != int(runner):
        return 1
    preload()
    server = os.getpid()
    request = serve(socket.socket(fileno=int(door)))
    if request is None:
        return 0
    settle(request, server)
    execute.rename("xitt.execute")
    kernel = spare()
    if kernel is None:
        from ipykernel import kernelapp

        kernelapp.launch_new_instance()
        return 0
    return execute.main(request.job, parent=server, kernel=kernel)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
