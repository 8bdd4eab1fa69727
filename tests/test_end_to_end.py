"""The batch runner end to end on a tiny study: done once, skipped after, killed and continued, failing and going on."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests import tiny

COLUMNS = ["intermediate", "target", "language", "split", "seed", "metric", "value", "n"]


def xitt(project: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XITT_")}
    return subprocess.run(
        [sys.executable, "-m", "xitt.cli", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A tiny study, run to the end."""
    project = tmp_path_factory.mktemp("finished")
    tiny.make(project)
    done = xitt(project, "run", "params/tiny.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def records(project: Path) -> dict[str, float]:
    """Every finished run with the time its record was written."""
    return {
        str(p.relative_to(project)): p.stat().st_mtime for p in (project / "outputs/tiny/runs").rglob("record.json")
    }


def test_results_are_tidy(finished):
    frame = pd.read_csv(finished / "outputs/tiny/results.csv")
    assert list(frame.columns) == COLUMNS
    assert set(frame["target"]) == {"xnli", "udpos", "panx", "xquad", "bucc2018", "tatoeba"}
    assert {"none", "mnli"} < set(frame["intermediate"])
    assert frame["intermediate"].str.startswith("baseline:").any()
    means = frame[frame["language"] != "avg"].groupby(["intermediate", "target", "metric"])["value"].mean()
    averages = frame[frame["language"] == "avg"].set_index(["intermediate", "target", "metric"])["value"]
    pd.testing.assert_series_equal(means.sort_index(), averages.sort_index(), check_exact=False, rtol=1e-5)


def test_nothing_is_done_twice(finished):
    before = records(finished)
    again = xitt(finished, "run", "params/tiny.yaml")
    assert again.returncode == 0
    assert "0 to run" in again.stdout
    assert records(finished) == before


def test_executed_notebooks_hold_no_error(finished):
    notebooks = sorted((finished / "outputs/tiny/notebooks").glob("*.ipynb"))
    assert [n.stem for n in notebooks] == [
        "00",
        "01.mnli.s0",
        "02.mnli.s0",
        "02.none.s0",
        "03.mnli.s0",
        "03.none.s0",
        "04",
        "05",
        "07",
    ]
    for notebook in notebooks:
        outputs = [o for c in json.loads(notebook.read_text())["cells"] for o in c.get("outputs", [])]
        assert not [o for o in outputs if o["output_type"] == "error"]


def test_one_lost_record_is_one_run_again(finished, tmp_path):
    project = tmp_path / "copy"
    shutil.copytree(finished, project)
    lost = next((project / "outputs/tiny/runs").glob("02.mnli.panx.s0-*"))
    before = records(project)
    table = (project / "outputs/tiny/results.csv").read_text()
    shutil.rmtree(lost)
    assert xitt(project, "run", "params/tiny.yaml").returncode == 0
    after = records(project)
    assert {k for k in after if after[k] != before.get(k)} == {k for k in before if lost.name in k}
    assert (project / "outputs/tiny/results.csv").read_text() == table


def test_report_refers_to_nothing_outside(finished):
    """The run has written it; no page names another host, not even in a library's warning."""
    folder = finished / "outputs/tiny/report"
    pages = list(folder.rglob("*.html"))
    assert len(pages) == 10
    assert not [p.name for p in pages if re.search(r"(https?:)?//[a-z]", p.read_text())]
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 6e6
    done = xitt(finished, "report", "params/tiny.yaml")
    assert (done.returncode, done.stdout.split()[0]) == (0, "report:"), done.stderr


def test_results_command_and_status(finished):
    assert xitt(finished, "results", "params/tiny.yaml", "--format", "md").stdout.startswith("| intermediate |")
    *lines, last = xitt(finished, "status", "params/tiny.yaml").stdout.splitlines()
    assert len(lines) == 9
    assert all(line.endswith("done") for line in lines)
    assert last == "9 jobs: 9 done"


NO_CUDA = """
import sys, torch
def touched(*_):
    raise SystemExit("the driver touched CUDA")
for name in ("_lazy_init", "init", "is_available", "device_count", "current_device", "get_device_name", "get_rng_state"):
    setattr(torch.cuda, name, touched)
from xitt import cli, running
running.COMMAND = ("true",)  # jobs that do nothing: their results are there
sys.argv = ["xitt", "run", "params/tiny.yaml"]
cli.main()
"""


def test_the_driver_never_touches_cuda(finished, tmp_path):
    """From the checks before the first job to the report after the last, with four GPUs that are not there."""
    project = tmp_path / "copy"
    shutil.copytree(finished, project)
    file = project / "params" / "tiny.yaml"
    file.write_text(file.read_text().replace("device: cpu", "device: auto"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XITT_")} | {
        "CUDA_VISIBLE_DEVICES": "0,1,2,3"
    }
    done = subprocess.run(
        [sys.executable, "-c", NO_CUDA], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 to run, 4 at a time on 4 GPUs" in done.stdout
    assert "report:" in done.stdout


def test_killed_again_and_again_ends_with_the_same_numbers(finished, tmp_path):
    """``kill -9`` on the runner at random moments; its notebooks die with it, the same command goes on."""
    project = tmp_path / "killed"
    tiny.make(project)
    # a backbone that is built has a tokenizer of its own each time (the trainer's threads): both studies start from one
    built = next((finished / "outputs/tiny/runs").glob("backbone-*"))
    shutil.copytree(built, project / "outputs/tiny/runs" / built.name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XITT_")}
    rng = random.Random(1)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "xitt.cli", "run", "params/tiny.yaml"],
            cwd=project,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(rng.uniform(6, 20))
        process.send_signal(signal.SIGKILL)
        process.wait()
    time.sleep(2)
    left = subprocess.run(
        ["pgrep", "-f", f"{project}/outputs"], capture_output=True, text=True, check=False
    ).stdout.split()
    assert left == [], "a notebook outlived its runner"
    before = records(project) if (project / "outputs/tiny/runs").is_dir() else {}
    done = xitt(project, "run", "params/tiny.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    after = records(project)
    assert all(after[k] == t for k, t in before.items()), "a finished run was repeated"
    assert (project / "outputs/tiny/results.csv").read_text() == (finished / "outputs/tiny/results.csv").read_text()


def test_a_failing_job_is_listed_and_holds_back_only_what_needs_it(tmp_path):
    tiny.make(tmp_path)
    notebook = tmp_path / "notebooks/03_retrieval.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][-1]["source"] = ["raise ValueError('broken on purpose')"]
    notebook.write_text(json.dumps(content))
    done = xitt(tmp_path, "run", "params/tiny.yaml", "--only", "0[0123].none*")
    assert done.returncode == 4
    assert "03.none.s0: 03_retrieval.ipynb, cell" in done.stderr
    assert "broken on purpose" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "outputs/tiny/notebooks/02.none.s0.ipynb").is_file()


def test_dry_run_runs_nothing(tmp_path):
    tiny.make(tmp_path)
    done = xitt(tmp_path, "run", "params/tiny.yaml", "--dry-run")
    assert done.returncode == 0
    assert "01.mnli.s0" in done.stdout
    assert not (tmp_path / "outputs").exists()
