"""The batch runner with notebooks that take no time: slots and devices, faults and retries, several runners at once, status."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from tests import tiny
from xitt import batch, devices, graph, running, status
from xitt.errors import JobError
from xitt.store import read_json, write_json

#: stands in for `python -m xitt.execute`: does what the file `plan` says of a job's first, second ... try, then what a notebook would
STAND_IN = """
import json, os, pathlib, signal, sys, time
job = json.load(open(sys.argv[1]))
output = pathlib.Path(job["output"])
root = pathlib.Path(os.environ["STAND_IN"])
begin = time.time()
plan = json.loads((root / "plan").read_text()).get(output.stem, [])
number = sum(line.split("\\t")[0] == output.stem for line in (root / "tries").read_text().splitlines())
with open(root / "tries", "a") as file:
    file.write(f"{output.stem}\\t{os.environ.get('CUDA_VISIBLE_DEVICES', '-')}\\t{os.getpid()}\\t{os.environ.get('OMP_NUM_THREADS')}\\t{os.getppid()}\\n")
do = plan[number] if number < len(plan) else "done"
if do == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if do == "silent":
    time.sleep(600)
if do.startswith("slow"):
    time.sleep(float(do[5:]))
if do in ("dead kernel", "cell"):
    cell = 3 if do == "cell" else None
    error = {"cell": cell, "name": "ValueError" if cell else "DeadKernelError", "message": "broken on purpose"}
    pathlib.Path(job["error"]).write_text(json.dumps(error))
    sys.exit(1)
output.write_text("{}")
with open(root / "ended", "a") as file:
    file.write(f"{output.stem}\\t{begin}\\t{time.time()}\\n")
"""
NAMES = ["00", "01.mnli.s0", "02.mnli.s0", "02.none.s0", "03.mnli.s0", "03.none.s0", "04", "05", "07"]


class StandIn:
    """Jobs without notebooks, and what became of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        (folder / "stand_in.py").write_text(STAND_IN)
        for name in ("tries", "ended"):
            (folder / name).touch()
        self.plan()

    @property
    def command(self) -> tuple[str, ...]:
        return sys.executable, "-S", str(self.folder / "stand_in.py")

    def plan(self, **tries: list[str]) -> None:
        """What happens to jobs; names without their dots."""
        given = {n: tries[n.replace(".", "_")] for n in NAMES if n.replace(".", "_") in tries}
        given |= {n: tries[f"_{n}"] for n in NAMES if f"_{n}" in tries}
        assert len(given) == len(tries)
        (self.folder / "plan").write_text(json.dumps(given))

    def tries(self, column: int = 0) -> list[str]:
        return [line.split("\t")[column] for line in (self.folder / "tries").read_text().splitlines()]

    def ended(self) -> dict[str, tuple[float, float]]:
        lines = (line.split("\t") for line in (self.folder / "ended").read_text().splitlines())
        return {n: (float(a), float(b)) for n, a, b in lines}


@pytest.fixture
def stand_in(tmp_path, monkeypatch) -> StandIn:
    made = StandIn(tmp_path / "stand_in")
    monkeypatch.setattr(running, "COMMAND", made.command)
    monkeypatch.setattr(running, "_pause", lambda *_: None)
    monkeypatch.setattr(batch, "PATIENCE", 0.1)
    monkeypatch.setenv("STAND_IN", str(made.folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return made


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "project"
    tiny.make(folder)
    return folder


def study_of(project: Path, **engine):
    return tiny.variant(project, project / "outputs", engine={"device": "auto", **engine})


def run(study, **options) -> tuple[list, list[str]]:
    lines: list[str] = []
    return batch.run(study, **{"slots": 3, "say": lines.append, **options}), lines


def states(study) -> dict[str, str]:
    return {s.job.name: s.word for s in status.states(study)}


# --- order, slots, devices -----------------------------------------------------------------------------------------
def test_every_job_once_after_those_it_needs(project, stand_in):
    study = study_of(project)
    outcomes, _ = run(study)
    assert sorted(stand_in.tries()) == NAMES
    assert all(o.error is None and o.attempts == 1 for o in outcomes)
    times = stand_in.ended()
    for job in graph.jobs(study):
        assert all(times[n][1] <= times[job.name][0] for n in job.needs)
    assert set(states(study).values()) == {"done"}
    assert run(study)[0] == []
    assert not list((study.out / "jobs" / ".running").iterdir()), "nothing is left of what ran"


def test_one_slot_per_gpu_and_each_job_sees_one(project, stand_in, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,9")
    study = study_of(project)
    stand_in.plan(**{n.replace(".", "_") if n[2:] else f"_{n}": ["slow 0.3"] for n in NAMES})
    _, lines = run(study, slots=None)
    assert "3 at a time on 3 GPUs" in lines[0]
    seen = dict(zip(stand_in.tries(), stand_in.tries(1), strict=True))
    assert set(seen.values()) == {"5", "7", "9"}
    times = stand_in.ended()
    for name, (begin, end) in times.items():
        beside = [n for n, (a, b) in times.items() if n != name and a < end and begin < b]
        assert not [n for n in beside if seen[n] == seen[name]], "two at a time on one GPU"
    assert {int(x) for x in stand_in.tries(3)} == {max(1, len(os.sched_getaffinity(0)) // 3)}


def test_no_gpu_for_a_study_on_the_cpu(project, stand_in, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    _, lines = run(study_of(project, device="cpu"), slots=None)
    assert f"{min(2, len(os.sched_getaffinity(0)))} at a time ->" in lines[0]
    assert set(stand_in.tries(1)) == {""}


LISTING = "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)\nGPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-2)\n"
PARTS = LISTING.replace(
    "GPU-1)\n", "GPU-1)\n  MIG 3g.40gb     Device  0: (UUID: MIG-a)\n  MIG 3g.40gb     Device  1: (UUID: MIG-b)\n"
)


@pytest.mark.parametrize(
    ("visible", "listing", "expected"),
    [(None, LISTING, ["0", "1"]), (None, PARTS, ["MIG-a", "MIG-b"]), (None, None, []), ("", LISTING, []), ("-1", LISTING, []),
     ("2,0", LISTING, ["2", "0"]), ("1,-1,0", LISTING, ["1"]), ("GPU-2", LISTING, ["GPU-2"])],
)  # fmt: skip
def test_devices_as_the_drivers_tools_list_them(project, tmp_path, monkeypatch, visible, listing, expected):
    tools = tmp_path / "bin"
    tools.mkdir()
    if listing:
        (tools / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{listing}END\n")
        (tools / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.listed(study_of(project)) == expected


# --- faults --------------------------------------------------------------------------------------------------------
def test_a_killed_process_and_a_dead_kernel_are_tried_again(project, stand_in):
    stand_in.plan(_00=["killed"], **{"02_none_s0": ["dead kernel", "killed"]})
    outcomes, lines = run(study_of(project))
    attempts = {o.job.name: o.attempts for o in outcomes}
    assert (attempts["00"], attempts["02.none.s0"], attempts["04"]) == (2, 3, 1)
    assert Counter(stand_in.tries())["02.none.s0"] == 3
    assert any("02.none.s0 (0:0" in x and "3 attempts)" in x for x in lines)


def test_tries_have_a_limit_and_hold_back_only_what_needs_them(project, stand_in):
    study = study_of(project)
    stand_in.plan(**{"02_none_s0": ["dead kernel"] * 9})
    with pytest.raises(JobError) as caught:
        run(study)
    assert caught.value.exit_code == 4
    assert "02.none.s0: 02_target.ipynb: DeadKernelError: broken on purpose (3 attempts)" in str(caught.value)
    assert "04: not run: it needs" in str(caught.value)
    assert Counter(stand_in.tries())["02.none.s0"] == 3
    found = states(study)
    assert (found["02.none.s0"], found["02.mnli.s0"], found["03.mnli.s0"], found["04"]) == (
        "failed",
        "done",
        "done",
        "waiting",
    )
    stand_in.plan()
    run(study)
    assert set(states(study).values()) == {"done"}
    assert not list((study.out / "jobs").glob("*.failed.json"))


def test_an_error_in_a_cell_is_not_tried_again(project, stand_in):
    stand_in.plan(**{"03_none_s0": ["cell"] * 9})
    with pytest.raises(JobError, match=r"03_retrieval.ipynb, cell 3: ValueError: broken on purpose\n"):
        run(study_of(project), only="03.none*")
    assert Counter(stand_in.tries())["03.none.s0"] == 1


def test_a_silent_notebook_is_ended_and_tried_again(project, stand_in):
    study = study_of(project, silent_seconds=0.6, retries=1)
    stand_in.plan(_00=["silent"])
    (outcome,), _ = run(study, only="00")
    assert outcome.attempts == 2
    assert outcome.seconds < 30
    pids = [int(p) for p in stand_in.tries(2)]
    assert not any(Path(f"/proc/{p}").exists() for p in pids)
    stand_in.plan(_00=["done", "done", "silent", "silent"])
    with pytest.raises(JobError, match=r"silent for 1 s and was ended \(engine.silent_seconds\).*2 attempts"):
        run(study, force="00", only="00")


def test_a_process_that_cannot_start_is_reported(project, stand_in, monkeypatch):
    monkeypatch.setattr(running, "COMMAND", (str(project / "no-such-program"),))
    with pytest.raises(JobError, match=r"could not be started: No such file or directory \(3 attempts\)"):
        run(study_of(project), only="00")


def test_a_full_disk_is_one_job_s_error(project, stand_in, monkeypatch):
    real = running.write_json

    def full(path, *content, **more):
        if "02.none" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, *content, **more)

    study = study_of(project)
    with monkeypatch.context() as patch:
        patch.setattr(running, "write_json", full)
        with pytest.raises(JobError, match=r"02.none.s0: .*No space left on device.*free some space"):
            run(study, only="02*")
    assert states(study)["02.mnli.s0"] == "done"
    run(study)
    assert set(states(study).values()) == {"done"}


class Broken(Executor):
    """Runs jobs at once; one of them it loses, one it does not take."""

    def submit(self, fn, study, job):
        if job.name == "03.none.s0":
            raise ConnectionError("the scheduler is gone")
        future = Future()
        if job.name == "02.none.s0":
            future.set_exception(type("KilledWorker", (Exception,), {})("2 workers died"))
        elif job.name == "03.mnli.s0":
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(fn(study, job))
        return future


def test_an_executor_that_fails_costs_the_jobs_it_had(project, stand_in):
    study, watcher = study_of(project), batch._Watcher(None, 9, lambda line: None)
    orders = running.Orders("test", 1)
    outcomes = batch.walk(study, graph.jobs(study), Broken(), lambda s, j: running.execute(s, j, orders), watcher)
    errors = {o.job.name: o.error for o in outcomes}
    assert "engine.worker_losses" in errors["02.none.s0"]
    assert errors["03.none.s0"] == "ConnectionError: the scheduler is gone"
    assert "the scheduler has let it go" in errors["03.mnli.s0"]
    assert errors["02.mnli.s0"] is None
    assert errors["04"].startswith("not run")


# --- several runners ------------------------------------------------------------------------------------------------
DRIVER = """
import sys
from xitt import batch, running
from xitt.study import load_study
running.COMMAND, batch.PATIENCE = tuple(sys.argv[2:]), 0.1
batch.run(load_study(sys.argv[1]), 2)
"""


def drivers(project: Path, stand_in: StandIn, count: int) -> list[subprocess.Popen]:
    study_of(project)
    command = [sys.executable, "-c", DRIVER, str(project / "params" / "tiny.yaml"), *stand_in.command]
    environment = {**os.environ, "XITT_OUTPUTS": str(project / "outputs")}
    return [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(count)]


def test_two_runners_at_once_do_each_job_once_between_them(project, stand_in):
    stand_in.plan(**{n.replace(".", "_") if n[2:] else f"_{n}": ["slow 0.4"] for n in NAMES})
    both = drivers(project, stand_in, 2)
    output = [p.communicate(timeout=60)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0], output
    assert sorted(stand_in.tries()) == NAMES
    assert all("[  9/9]" in text for text in output)
    assert any("by another batch" in text for text in output)
    assert set(states(study_of(project)).values()) == {"done"}


def test_a_killed_runner_takes_its_jobs_along_and_they_are_taken_over_at_once(project, stand_in):
    stand_in.plan(_00=["silent"])
    (first,) = drivers(project, stand_in, 1)
    while not stand_in.tries():
        time.sleep(0.02)
    study = study_of(project)
    assert states(study)["00"] == "running"
    first.kill()
    first.wait()
    deadline = time.monotonic() + 5
    # the stand-in does not watch its runner as `xitt.execute` does: ended here, as that would end itself
    os.kill(int(stand_in.tries(2)[0]), signal.SIGKILL)
    assert states(study)["00"] in ("waiting", "interrupted")
    run(study, only="00")
    assert time.monotonic() < deadline, "it waited for a runner that is dead"
    assert states(study)["00"] == "done"


def took(record: Path, seconds: float) -> None:
    """Say of a job that it took so long."""
    write_json(record, {**read_json(record), "seconds": seconds}, sealed=True)


# --- status ---------------------------------------------------------------------------------------------------------
def test_status_says_how_long_still(project, stand_in, monkeypatch):
    study = tiny.variant(project, project / "outputs", seeds=[0, 1], engine={"device": "cpu"})
    monkeypatch.setattr(devices, "cores", lambda: 4)
    run(study, only="0[0-3]*.s0")
    for job in graph.jobs(study):
        if (path := running.job_record(study, job)).is_file():
            took(path, 100.0)
    text = status.lines(study)
    # of seed 1 five jobs of 100 s, two at a time; summaries are not counted
    assert text[-2] == "14 jobs: 6 done, 8 waiting"
    assert text[-1] == "about 4:10 still, 2 at a time (the times of other seeds)"
    assert any(line.startswith("02.mnli.s1") and line.endswith("waiting: for 01.mnli.s1") for line in text)


def test_status_by_planned_work_where_there_is_no_twin(project, stand_in, monkeypatch):
    study = study_of(project, device="cpu")
    monkeypatch.setattr(
        status, "planned", lambda study: ({"02.none.s0": 2.0, "02.mnli.s0": 3.0, "01.mnli.s0": 1.0}, "rates of x")
    )
    run(study, only="02.none.s0")
    path = running.job_record(study, next(j for j in graph.jobs(study) if j.name == "02.none.s0"))
    took(path, 200.0)
    seconds, origin = status.estimates(study, status.states(study))
    assert (seconds["01.mnli.s0"], seconds["02.mnli.s0"]) == (100.0, 300.0)
    assert origin == "planned work at the rate of 1 jobs that are done"
