"""Execute one notebook in this process, for the batch runner: ``python -m xitt.execute JOB.json``.

A process of its own per notebook: papermill inside a live event loop never returns, and a crash takes one job only. The process
dies with the runner (the command, or a worker of a cluster) and its kernel with it, however they are killed: Linux is asked to see to
it, and everywhere the end of a pipe that the runner holds open says so. Where the runner forks its processes (``xitt.forking``), the
kernel is a fork too.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import stat
import sys
import tempfile
import threading
import uuid
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
#: how the kernel of a forked notebook would be started otherwise
_KERNEL = [sys.executable, "-m", "ipykernel_launcher"]
_spares: list[Spare] = []


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the kernel's own watch on its parent has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def rename(name: str) -> None:
    """How ``ps`` and ``top`` call a forked process, in at most 15 characters: its command line is that of another."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, name.encode()[:15])


def end_with(parent: int | None) -> None:
    """End this process when its parent does, also if that was before it could ask for it."""
    die_with_parent()
    if parent is not None and os.getppid() != parent:
        os._exit(1)
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    """The runner never writes; its end of the pipe is closed when it is gone."""
    os.read(0, 1)
    os._exit(1)


class Spare:
    """A fork of this process that waits to be its kernel; with as much of ``subprocess.Popen`` as Jupyter needs.

    Parameters
    ----------
    pid : int
        The fork, a child of this process.
    orders : int
        The end of a pipe that it reads: what it is to do, once.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, orders: int):
        self.pid, self._orders, self.returncode = pid, orders, None

    def begin(self, arguments: list[str], environment: dict[str, str], cwd: str) -> None:
        """Let it be a kernel with these arguments."""
        with os.fdopen(self._orders, "w", encoding="utf-8") as pipe:
            json.dump({"arguments": arguments, "environment": environment, "cwd": cwd}, pipe)

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self) -> int:
        return self._ended(0)

    def _ended(self, how: int) -> int | None:
        if self.returncode is None:
            process, status = os.waitpid(self.pid, how)
            if process:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class SpareProvisioner(LocalProvisioner):
    """The kernel is the spare fork, if there is one and the study's notebooks want the Python that this process runs."""

    async def launch_kernel(self, cmd: list[str], **options):
        if not _spares or cmd[:3] != _KERNEL:
            return await super().launch_kernel(cmd, **options)
        spare = _spares.pop()
        # the kernel's own watch on this process: its library read the environment when it was imported
        arguments = [*cmd[3:], f"--IPKernelApp.parent_handle={os.getpid()}"]
        self.cwd = str(options.get("cwd") or os.getcwd())
        spare.begin(arguments, {**options["env"], "JPY_PARENT_PID": str(os.getpid())}, self.cwd)
        self.process, self.pid, self.pgid = spare, spare.pid, spare.pid
        return self.connection_info


class LocalKernelManager(AsyncKernelManager):
    """A kernel over local sockets (no ports to fight for) that dies with this process."""

    def __init__(self, **options):
        super().__init__(**{**options, "transport": "ipc"})
        # beside the connection file: the default is the notebook's folder
        self.ip = os.path.join(os.environ.get("JUPYTER_RUNTIME_DIR") or tempfile.gettempdir(), f"kernel-{os.getpid()}")

    async def _async_pre_start_kernel(self, **options):
        if _spares and self.provisioner is None:
            self.kernel_id = self.kernel_id or str(uuid.uuid4())
            self.provisioner = SpareProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
        command, options = await super()._async_pre_start_kernel(**options)
        return command, {**options, "preexec_fn": die_with_parent}


def main(job_file: str, parent: int | None = None, kernel: Spare | None = None) -> int:
    """Run one job; returns 0, or 1 with the error in ``<job>.error``.

    Parameters
    ----------
    parent : int, optional
        The process that this one ends with; default: the one that wrote the job's file.
    kernel : Spare, optional
        What is to be its kernel; one is started otherwise.
    """
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    end_with(parent or job.get("parent"))
    if kernel is not None:
        _spares.append(kernel)
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        papermill.execute_notebook(
            job["notebook"], job["output"], job["parameters"], kernel_name="python3", cwd=job["cwd"], progress_bar=False,
            log_output=False, start_timeout=300, kernel_manager_class="xitt.execute.LocalKernelManager",
        )  # fmt: skip
    except PapermillExecutionError as error:
        report = {"cell": error.cell_index, "name": error.ename, "message": error.evalue}
    except Exception as error:  # dead kernel, kernel that does not start, unreadable notebook
        report = {"cell": None, "name": type(error).__name__, "message": str(error)}
    else:
        return 0
    Path(job["error"]).write_text(json.dumps(report), encoding="utf-8")
    return 1


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main(sys.argv[1]))
