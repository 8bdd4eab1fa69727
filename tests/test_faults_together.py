"""Two commands and an explorer at one study at the same time, real trainings: each run is computed once, and the results are those of one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import tiny
from xitt import results

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process elsewhere is gone when its beat is")
DESIGN = """
name: small
question: is it computed once?
intermediates: [none]
targets: [udpos]
"""
#: the first job waits until both commands have looked at what there is to do
WAIT = """
import os, time
while not all("3 to run" in open(log).read() for log in os.environ["LOGS"].split(os.pathsep)):
    time.sleep(0.1)
"""
#: what the other notebooks of this test do, with a note of every training that begins
WORK = """
import os
import xitt
from xitt import train

real = train.fit

def fit(*given, **more):
    with open(os.environ["TRAININGS"], "a") as file:
        file.write(f"{given[9]}, seed {given[5]}\\n")
    return real(*given, **more)

train.fit = fit
xitt.load_study(study).evaluate(intermediate, "udpos", seed=seed)
"""


def shorten(notebook: Path, code: str) -> None:
    """Its parameters, and a cell in place of all others."""
    content = json.loads(notebook.read_text())
    cells = [c for c in content["cells"] if "parameters" in c["metadata"].get("tags", [])]
    content["cells"] = [*cells, {**cells[0], "id": "work", "metadata": {}, "source": code}]
    notebook.write_text(json.dumps(content))


def test_each_run_is_computed_once(tmp_path, monkeypatch):
    folder, trainings = tmp_path / "project", tmp_path / "trainings"
    file = tiny.make(folder, tiny.TINY + "seeds: [0, 1]\n", DESIGN)
    monkeypatch.delenv("XITT_OUTPUTS", raising=False)
    study = tiny.load_study(file)
    study.backbone()
    shorten(folder / "notebooks" / "00_backbone.ipynb", WAIT)
    shorten(folder / "notebooks" / "02_target.ipynb", WORK)
    logs = [tmp_path / name for name in ("first", "second", "explorer")]
    environment = {
        **os.environ, "TRAININGS": str(trainings), "PYTHONPATH": str(tiny.ROOT), "LOGS": os.pathsep.join(map(str, logs[:2])),
    }  # fmt: skip
    explorer = f"study, intermediate, seed = {str(file)!r}, 'none', 1\n{WORK}"
    command = [sys.executable, "-m", "xitt.cli", "run", str(file), "--jobs", "2", "--only", "02*"]
    for log in logs:
        log.touch()
    started = [
        subprocess.Popen(c, cwd=folder, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT)
        for c, log in zip((command, command, [sys.executable, "-c", explorer]), logs, strict=True)
    ]
    try:
        codes = [process.wait(180) for process in started]
    finally:
        for process in started:
            process.kill()
    said = [log.read_text() for log in logs]
    assert codes == [0, 0, 0], "\n\n".join(said)
    assert Counter(trainings.read_text().splitlines()) == {"none > udpos, seed 0": 1, "none > udpos, seed 1": 1}
    for job in ("00", "02.none.s0", "02.none.s1"):
        lines = [line for text in said[:2] for line in text.splitlines() if f"done   {job} (" in line]
        assert sorted("by another batch" in line for line in lines) == [False, True], said

    together = (study.out / "results.csv").read_text()
    for run in (study.out / "runs").glob("02*"):
        shutil.rmtree(run)
    for seed in (0, 1):
        study.evaluate("none", "udpos", seed=seed)
    assert results.write(study).read_text() == together
