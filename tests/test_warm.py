"""Forked notebooks: real kernels that start with their imports done, and that end with whatever they hang on."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import nbformat
import pytest

from tests import tiny
from xitt import batch, graph, running, warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
ABOUT = """
import json, os, random, sys, threading
before = "torch" in sys.modules, "transformers" in sys.modules
import numpy, torch
print(json.dumps({
    "loaded": before, "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "here": os.getcwd(),
    "environment": {k: os.environ.get(k) for k in ("MINE", "SERVER_ONLY", "CUDA_VISIBLE_DEVICES")},
    "chance": [random.random(), float(numpy.random.random())], "torch": torch.initial_seed(),
    "cuda": torch.cuda.is_initialized(), "main": __name__, "arguments": len(sys.argv),
}))
"""


class Place:
    """Where a job's files are, and its notebook."""

    def __init__(self, folder: Path, *cells: str):
        folder.mkdir(parents=True)
        self.folder, self.output, self.error = folder, folder / "out.ipynb", folder / "error.json"
        self.job, self.log, self.runtime = folder / "job.json", folder / "log", folder / "r"
        self.runtime.mkdir()
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "in.ipynb")
        self.job.write_text(json.dumps({
            "notebook": str(folder / "in.ipynb"), "output": str(self.output), "cwd": str(folder), "error": str(self.error),
            "parameters": {}, "parent": os.getpid(),
        }))  # fmt: skip

    def environment(self, **more: str) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if k != "SERVER_ONLY"}
        return {**plain, "JUPYTER_RUNTIME_DIR": str(self.runtime), **more}

    def start(self, by, **more: str):
        with self.log.open("w") as log:
            return by(self.job, self.environment(**more), log)

    def printed(self) -> str:
        cells = nbformat.read(self.output, 4).cells
        return "".join(o["text"] for c in cells for o in c.get("outputs", []) if o.output_type == "stream")

    def wait_for(self, name: str, seconds: float = 60) -> str:
        """The text of a file that a notebook writes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (self.folder / name).is_file() and (text := (self.folder / name).read_text()):
                return text
            time.sleep(0.05)
        raise AssertionError(f"no {name}: {self.log.read_text()}")


#: says who it is, then sleeps
LONG = "import os, time\nopen('pid', 'w').write(f'{os.getpid()} {os.getppid()}')\ntime.sleep(300)"


@pytest.fixture(scope="module")
def server():
    said: list[str] = []
    made = warm.Warm({**os.environ, "SERVER_ONLY": "1"}, running.start, said.append)
    made.said = said
    yield made
    made.close()


@pytest.fixture
def place(tmp_path):
    def make(*cells: str, name: str = "a") -> Place:
        return Place(tmp_path / name, *cells)

    return make


def gone(*pids: int, seconds: float = 10) -> bool:
    """Whether processes end in time (one that nobody has waited for has ended)."""
    end = time.monotonic() + seconds

    def there(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    while any(map(there, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_forked_notebook_is_one_of_its_own_but_for_its_imports(server, place):
    found, processes = [], []
    for name in "ab":
        at = place(ABOUT, name=name)
        processes.append(at.start(server.start, MINE=name, CUDA_VISIBLE_DEVICES=""))
        assert isinstance(processes[-1], warm.Process), server.said
        assert processes[-1].wait(120) == 0, at.log.read_text()
        found.append(json.loads(at.printed()))
    for name, one, process in zip("ab", found, processes, strict=True):
        assert one["loaded"] == [True, True]
        assert one["environment"] == {"MINE": name, "SERVER_ONLY": None, "CUDA_VISIBLE_DEVICES": ""}
        assert one["here"].endswith(f"/{name}")
        assert one["parent"] == process.pid
        assert one["group"] == one["pid"] != process.pid
        assert one["main"] == "__main__"
        assert not one["cuda"]
        assert gone(one["pid"], process.pid)
    first, second = found
    assert first["chance"][0] != second["chance"][0]
    assert first["chance"][1] != second["chance"][1]  # numpy's own does not see a fork
    assert first["torch"] == second["torch"]  # fixed until a seed is set, as in a process of its own
    assert server.said == []


def test_its_error_and_exit_code_are_those_of_a_process_of_its_own(server, place):
    at = place("1 / 0")
    process = at.start(server.start)
    assert process.wait(120) == 1
    assert json.loads(at.error.read_text())["name"] == "ZeroDivisionError"
    assert process.poll() == process.returncode == 1


def test_a_forked_process_that_is_killed_takes_its_kernel_along(server, place):
    at = place(LONG)
    process = at.start(server.start)
    kernel, parent = map(int, at.wait_for("pid").split())
    assert parent == process.pid
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    assert gone(kernel, parent)


def test_a_forked_kernel_that_dies_is_reported(server, place):
    at = place(LONG)
    process = at.start(server.start)
    kernel, _ = map(int, at.wait_for("pid").split())
    os.kill(kernel, signal.SIGKILL)
    assert process.wait(60) == 1
    assert json.loads(at.error.read_text())["name"] == "DeadKernelError"


def test_a_closed_input_ends_a_forked_process(server, place):
    at = place(LONG)
    process = at.start(server.start)
    kernel, _ = map(int, at.wait_for("pid").split())
    process.stdin.close()  # as the end of the runner would
    assert process.wait(10) == 1
    assert gone(kernel)


def test_without_its_server_a_notebook_starts_as_ever_and_it_is_said_once(place):
    said: list[str] = []
    made = warm.Warm(os.environ, running.start, said.append)
    at = place(LONG)
    process = at.start(made.start)
    kernel, _ = map(int, at.wait_for("pid").split())
    made._process.kill()
    assert process.wait(10) == -signal.SIGKILL  # the runner tries such a job again
    assert gone(kernel, process.pid)
    for name in "bc":
        at = place("print(6 * 7)", name=name)
        process = at.start(made.start)
        assert isinstance(process, subprocess.Popen)
        assert process.wait(120) == 0, at.log.read_text()
        assert at.printed() == "42\n"
    assert len(said) == 1
    assert "notebooks start without what was imported for them" in said[0]
    made.close()


def test_a_server_that_cannot_import_is_no_obstacle(place, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(warm, "COMMAND", (sys.executable, "-c", "raise SystemExit('broken on purpose')"))
    made = warm.Warm(os.environ, running.start, said.append)
    at = place("print(6 * 7)")
    assert at.start(made.start).wait(120) == 0
    assert at.printed() == "42\n"
    assert len(said) == 1
    made.close()


DRIVER = """
import os, pathlib, sys, time
sys.path[:0] = sys.argv[1].split(os.pathsep)
from tests.test_warm import LONG, Place
from xitt import running, warm
if __name__ == "__main__":
    at = Place(pathlib.Path(sys.argv[2]), LONG)
    server = warm.Warm(os.environ, running.start)  # named, so that it stays
    process = at.start(server.start)
    (at.folder / "mine").write_text(str(process.pid))
    time.sleep(300)
"""


def test_a_killed_runner_takes_forked_notebooks_and_kernels_along(tmp_path):
    folder = tmp_path / "a"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tiny.ROOT), str(folder)])
    end = time.monotonic() + 120
    while not ((folder / "pid").is_file() and (folder / "mine").is_file()) and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(0.2)
    kernel, process = map(int, (folder / "pid").read_text().split())
    server = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    assert server != driver.pid
    driver.kill()
    driver.wait()
    assert gone(server, process, kernel)


#: sleeps until a file says that it need not
ONCE = f"import pathlib\nif not pathlib.Path('again').exists():\n    {LONG.replace(chr(10), chr(10) + '    ')}"


@pytest.fixture
def at_work(tmp_path):
    """A study whose first job, begun by a runner with a server, is at work; with the runner, its promise and its processes."""
    tiny.make(tmp_path)
    study, place = tiny.variant(tmp_path, tmp_path / "outputs"), Place(tmp_path / "a", ONCE)
    (tmp_path / "a" / "in.ipynb").replace(tmp_path / "notebooks" / "00_backbone.ipynb")
    place.folder = tmp_path / "notebooks"
    job, said = graph.jobs(study)[0], []
    with batch.Local(study, 1, said.append) as crew:
        future = crew.executor.submit(crew.task(uuid.uuid4().hex, {"00": None, "another": None}), study, job)
        place.log = tmp_path / "a" / "log"
        place.log.touch()
        kernel, process = map(int, place.wait_for("pid").split())
        try:
            yield crew, future, said, (kernel, process), place.folder
        finally:
            crew.stop()


def test_a_lost_server_is_one_more_reason_to_try_again(at_work):
    crew, future, said, processes, folder = at_work
    (folder / "again").touch()
    os.kill(crew.warm._process.pid, signal.SIGKILL)
    outcome = future.result(60)
    assert (outcome.error, outcome.attempts) == (None, 2)
    assert gone(*processes)
    assert len(said) == 1


def test_stopping_ends_forked_notebooks_and_starts_no_others(at_work):
    crew, future, said, processes, _ = at_work
    crew.stop()
    assert future.result(20).error == "stopped"
    assert gone(*processes, crew.warm._process.pid)
    assert said == []


def test_stopping_before_the_imports_are_done_starts_nothing(place):
    said, started = [], []
    made = warm.Warm(os.environ, lambda *job: started.append(job), said.append)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(place(LONG).start, made.start)
        time.sleep(0.5)
        assert not future.done()
        made.close()
        with pytest.raises(OSError, match="no process"):
            future.result(10)
    assert said == started == []


def test_where_notebooks_are_forked(monkeypatch):
    monkeypatch.delenv("XITT_WARM", raising=False)
    assert warm.usable(running.COMMAND, [])
    assert not warm.usable(running.COMMAND, ["0"])  # a GPU is for processes that share nothing with another
    assert not warm.usable((*running.COMMAND, "-x"), [])
    monkeypatch.setenv("XITT_WARM", "0")
    assert not warm.usable(running.COMMAND, [])


class Counted:
    """Stands for a server: what is asked of it is done by a process of its own."""

    made: list = []

    def __init__(self, environment, otherwise, say):
        self.environment, self.otherwise, self.started, self.closed = environment, otherwise, 0, 0
        Counted.made.append(self)

    def start(self, *job):
        self.started += 1
        return self.otherwise(*job)

    def close(self):
        self.closed += 1


def test_a_batch_has_one_server_if_there_are_jobs_to_share_it(tmp_path, monkeypatch):
    tiny.make(tmp_path)
    study = tiny.variant(tmp_path, tmp_path / "outputs")
    monkeypatch.setattr(Counted, "made", [])
    monkeypatch.setattr(warm, "Warm", Counted)
    monkeypatch.setattr(warm, "usable", lambda *_: True)
    monkeypatch.setattr(running, "COMMAND", (sys.executable, "-c", "import json, pathlib, sys; "
                        "pathlib.Path(json.load(open(sys.argv[1]))['output']).write_text('{}')"))  # fmt: skip
    batch.run(study, 2, "0[01]*", say=lambda _: None)  # two jobs, two at a time
    assert Counted.made == []
    batch.run(study, 2, say=lambda _: None)
    (one,) = Counted.made
    assert one.started == len(graph.jobs(study)) - 2
    assert one.closed == 1
    assert one.environment["CUDA_VISIBLE_DEVICES"] == ""  # the study asks for the CPU
    assert "XITT_PROGRESS" not in one.environment
