"""Execute one notebook in this process, for the batch runner: ``python -m xitt.execute JOB.json``.

A process of its own per notebook: papermill inside a live event loop never returns, and a crash takes one job only. The process
dies with the runner (the command, or a worker of a cluster) and its kernel with it, however they are killed: Linux is asked to see to
it, and everywhere the end of a pipe that the runner holds open says so.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import sys
import tempfile
import threading
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the kernel's own watch on its parent has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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


class LocalKernelManager(AsyncKernelManager):
    """A kernel over local sockets (no ports to fight for) that dies with this process."""

    def __init__(self, **options):
        super().__init__(**{**options, "transport": "ipc"})
        # beside the connection file: the default is the notebook's folder
        self.ip = os.path.join(os.environ.get("JUPYTER_RUNTIME_DIR") or tempfile.gettempdir(), f"kernel-{os.getpid()}")

    async def _async_pre_start_kernel(self, **options):
        command, options = await super()._async_pre_start_kernel(**options)
        return command, {**options, "preexec_fn": die_with_parent}


def main(job_file: str) -> int:
    """Run one job; returns 0, or 1 with the error in ``<job>.error``."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    end_with(job.get("parent"))
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
