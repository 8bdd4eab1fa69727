"""A study on a Dask cluster of three worker processes on loopback, and what happens when one of them is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from tests import tiny
from tests.dask_cluster import LocalDask, tree
from tests.test_batch import NAMES, StandIn, project, run, states, study_of  # noqa: F401 - fixtures
from xitt import batch, cluster, results, running
from xitt.errors import JobError, ParameterError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    made = LocalDask(tmp_path_factory.mktemp("dask"), PYTHONPATH=str(tiny.ROOT))
    yield made
    made.close()


@pytest.fixture
def stand_in(tmp_path, dask, monkeypatch) -> StandIn:
    """Jobs without notebooks, on the workers."""
    made = StandIn(tmp_path / "stand_in")
    monkeypatch.setattr(batch, "PATIENCE", 0.1)
    monkeypatch.setattr(cluster, "SETTLE", 0.05)
    while len(dask.workers) < 3:
        dask.add_worker()
    with dask.client() as client:
        client.wait_for_workers(3, timeout=60)
        client.run(_pretend, made.command, str(made.folder))
        yield made
        client.run(_pretend, running.COMMAND, "")


def _pretend(command: tuple, folder: str) -> None:
    running.COMMAND, os.environ["STAND_IN"] = command, folder


def wait_for(condition, seconds: float = 30.0):
    """What a condition comes to be."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def words(pid: int) -> str:
    """A process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def started(stand_in: StandIn, name: str) -> int | None:
    """The worker that has begun a job last."""
    workers = dict(zip(stand_in.tries(), stand_in.tries(4), strict=True))
    return int(workers[name]) if name in workers else None


def test_jobs_run_on_the_workers_one_per_gpu(project, stand_in, dask):  # noqa: F811
    stand_in.plan(**{n.replace(".", "_"): ["slow 0.3"] for n in NAMES if n[2:]})
    outcomes, lines = run(study_of(project), slots=None, dask=str(dask.file))
    assert sorted(stand_in.tries()) == NAMES
    assert "3 GPUs of 3 workers" in lines[0]
    assert not [o for o in outcomes if o.error]
    used = {int(p) for p in stand_in.tries(4)}
    assert used <= {w.pid for w in dask.workers}
    assert len(used) > 1
    assert set(states(study_of(project)).values()) == {"done"}


def test_a_job_that_loses_its_worker_goes_to_another(project, stand_in, dask, capfd):  # noqa: F811
    stand_in.plan(**{"02_none_s0": ["silent"]})
    environment = {**os.environ, "XITT_OUTPUTS": str(project / "outputs")}
    study = study_of(project)
    driver = subprocess.Popen([sys.executable, "-m", "xitt.cli", "run", str(study.path), "--dask", str(dask.file), "--only", "02.none*"],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    worker = wait_for(lambda: started(stand_in, "02.none.s0"))
    dask.kill(worker)
    os.kill(int(stand_in.tries(2)[-1]), signal.SIGKILL)  # a stand-in does not watch its runner
    output = driver.communicate(timeout=60)[0]
    assert driver.returncode == 0, output
    assert Counter(stand_in.tries())["02.none.s0"] == 2
    assert started(stand_in, "02.none.s0") not in (None, worker)


def test_losses_have_the_study_s_limit(project, stand_in, dask):  # noqa: F811
    stand_in.plan(**{"02_none_s0": ["silent"]})
    study, caught = study_of(project, worker_losses=0), []

    def kill():
        dask.kill(wait_for(lambda: started(stand_in, "02.none.s0")))
        caught.append(int(stand_in.tries(2)[stand_in.tries().index("02.none.s0")]))

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(JobError, match=r"02.none.s0: its worker was lost more often than engine.worker_losses allows"):
        run(study, slots=None, dask=str(dask.file), only="02*")
    killer.join()
    os.kill(caught[0], signal.SIGKILL)
    assert states(study)["02.mnli.s0"] == "done", "the others went on"


def test_ctrl_c_ends_the_jobs_on_the_workers(project, stand_in, dask):  # noqa: F811
    stand_in.plan(_00=["silent"])
    study = study_of(project)
    driver = subprocess.Popen([sys.executable, "-m", "xitt.cli", "run", str(study.path), "--dask", str(dask.file)],
                              env={**os.environ, "XITT_OUTPUTS": str(project / "outputs")}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)  # fmt: skip
    wait_for(lambda: started(stand_in, "00"))
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "the same command goes on from here" in errors
    job = int(stand_in.tries(2)[0])
    wait_for(lambda: not Path(f"/proc/{job}").exists(), 10)
    assert stand_in.tries() == ["00"], "nothing was begun after it"
    run(study, slots=None, dask=str(dask.file), only="00")
    assert states(study)["00"] == "done", "the workers take jobs again"


def test_a_scheduler_that_is_killed_ends_the_command(project, tmp_path, monkeypatch):  # noqa: F811
    """With a word, and not with a wait for ever; another command goes on."""
    monkeypatch.setattr(cluster, "ANSWER", 2.0)
    monkeypatch.setattr(cluster, "SETTLE", 0.05)
    made, study = StandIn(tmp_path / "stand_in"), study_of(project)
    made.plan(**{"02_none_s0": ["silent"]})
    own = LocalDask(tmp_path / "own", 2, PYTHONPATH=str(tiny.ROOT))
    killer = threading.Thread(target=lambda: (wait_for(lambda: started(made, "02.none.s0")), own.scheduler.kill()))
    try:
        with own.client() as client:
            client.run(_pretend, made.command, str(made.folder))
        killer.start()
        with pytest.raises(JobError, match=r"02.none.s0: the scheduler has let it go, or is gone"):
            run(study, slots=None, dask=str(own.file), only="02.none*")
        killer.join()
    finally:
        own.close()
        for process in made.tries(2):
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
    assert states(study)["00"] == "done", "what had ended stays"
    assert states(study)["02.none.s0"] in ("waiting", "interrupted")


def test_no_scheduler_no_gpu_and_other_code_are_said_to_be(project, dask, stand_in, monkeypatch):  # noqa: F811
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    for address in ("tcp://127.0.0.1:1", "", "127.0.0.1:1", "nonsense://x"):
        with pytest.raises(ParameterError, match="no Dask scheduler answers there"):
            batch.run(study_of(project), dask=address, say=print)
    file = project / "dask.json"
    for content in (None, "", "[]", '{"address": '):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ParameterError, match=r"dask\.json: not a scheduler's file .*\n.*has to be running"):
            batch.run(study_of(project), dask=str(file), say=print)
    file.write_text('{"address": "tcp://127.0.0.1:1"}')  # of a scheduler that was
    with pytest.raises(ParameterError, match="no Dask scheduler answers there"):
        batch.run(study_of(project), dask=str(file), say=print)
    monkeypatch.setattr(cluster, "ANSWER", 15)
    monkeypatch.setattr(cluster, "code", lambda: "another")
    with pytest.raises(JobError, match="its xitt is not the driver's"):
        run(study_of(project), slots=None, dask=str(dask.file), only="00")
    monkeypatch.setattr(cluster, "_gpus", lambda workers: 0)
    with pytest.raises(ParameterError, match="no worker offers a GPU"):
        batch.run(study_of(project, device="cuda"), dask=str(dask.file), say=print)


def test_workers_that_join_one_after_the_other_are_all_counted(monkeypatch):
    """A driver that is started together with them: slots would be one, and each job would take all cores."""
    made, counts, said = object.__new__(cluster.Cluster), iter([0, 0, 1, 3, 8, 8]), []
    monkeypatch.setattr(cluster, "SETTLE", 0.0)

    class Client:
        def scheduler_info(self, n_workers):
            return {"workers": {str(n): {} for n in range(next(counts))}}

        def wait_for_workers(self, count, timeout):
            raise TimeoutError

    made.client, made.say = Client(), said.append
    assert len(made._workers()) == 8
    assert said == ["no worker has joined the cluster yet: waiting (Ctrl-C stops)"]


def test_threads_are_shared_by_slots_unless_the_user_says_otherwise(monkeypatch):
    """Dask's nanny would leave each training one."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cluster, "cores", lambda: 16)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    assert cluster._threads(4) == {"OMP_NUM_THREADS": "4"}


# --- real notebooks -------------------------------------------------------------------------------------------------
ONE_ROW = """
name: small
question: is it the same elsewhere?
intermediates: [none]
targets: [udpos]
"""


def keep_only_parameters(notebook: Path) -> None:
    content = json.loads(notebook.read_text())
    content["cells"] = [c for c in content["cells"] if "parameters" in c["metadata"].get("tags", [])]
    notebook.write_text(json.dumps(content))


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_ends_with_the_numbers_of_a_local_run(tmp_path, dask):
    """The killed worker's notebook dies with it, kernel and all; the other goes on from its checkpoint."""
    here, there = tmp_path / "here", tmp_path / "there"
    settings = tiny.TINY.replace("engine: {", "engine: {checkpoint_seconds: 0.001, ").replace("epochs: 1", "epochs: 6")
    tiny.make(here, settings, ONE_ROW)
    local = tiny.load_study(here / "params" / "tiny.yaml")
    local.evaluate("none", "udpos")
    expected = results.write(local).read_text()
    tiny.make(there, settings, ONE_ROW)
    keep_only_parameters(there / "notebooks" / "00_backbone.ipynb")  # the backbone is there
    built = next((here / "outputs" / "tiny" / "runs").glob("backbone-*"))
    shutil.copytree(built, there / "outputs" / "tiny" / "runs" / built.name)
    driver = subprocess.Popen([sys.executable, "-m", "xitt.cli", "run", "params/tiny.yaml", "--dask", str(dask.file), "--only", "02*"],
                              cwd=there, env={k: v for k, v in os.environ.items() if not k.startswith("XITT_")}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    runs = there / "outputs" / "tiny" / "runs"
    wait_for(lambda: list(runs.glob(".partial/02.none.udpos*/*/checkpoint/0*")), 90)
    (worker,) = (w.pid for w in dask.workers if any("02.none" in words(p) for p in tree(w.pid)))
    processes = tree(worker)
    assert len(processes) >= 3, "a worker, the notebook's process, its kernel"
    dask.kill(worker)
    wait_for(lambda: not [p for p in processes if Path(f"/proc/{p}").exists()], 10)
    output = driver.communicate(timeout=120)[0]
    assert driver.returncode == 0, output
    assert (there / "outputs" / "tiny" / "results.csv").read_text() == expected
    assert "continues at step" in "".join(p.read_text() for p in (there / "outputs/tiny/notebooks").glob("02*"))
    assert len(pd.read_csv(there / "outputs" / "tiny" / "results.csv")) > 10
