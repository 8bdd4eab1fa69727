"""One training where two phases ask for the same.

Row ``none`` fine-tunes the backbone on MNLI for XNLI; phase 1 trains the backbone on MNLI as intermediate task. Where data, recipe and seed
are the same, so is every number of the two runs: phase 1 makes it, and the fine-tuning is a copy that says so (``same_as`` in its record).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from . import phases
from .pretrained import backbone
from .runs import Run
from .store import Spec
from .study import Study


def copied(study: Study, task: str, spec: Spec, folder: Path, seed: int, recipe: str) -> dict | None:
    """Make a fine-tuning of row ``none`` from phase 1's run on the same task, which is trained unless it is there.

    Parameters
    ----------
    spec : Spec
        Of the fine-tuning.
    folder : pathlib.Path
        Its working folder, which is filled.

    Returns
    -------
    dict or None
        Its record; ``None``, and nothing is done, where the study has no such run, where that run is another training, or where the user
        asked for this one to be computed again (``xitt run --force``) and not for that.
    """
    if (spec.phase, recipe) != ("target", "none") or task not in study.intermediates or study.tasks[task].first:
        return None
    forced = os.environ.get("XITT_FORCED", "").split("\n")
    if f"02.none.s{seed}" in forced and f"01.{task}.s{seed}" not in forced:
        return None
    begin, encoder = time.monotonic(), backbone(study)
    if phases.train_spec(study, task, "intermediate", task, seed, encoder).inputs != spec.inputs:
        return None
    run = phases.train_task(study, task, "intermediate", task, seed, encoder, None, weights=True)
    shutil.rmtree(folder / "model", ignore_errors=True)
    shutil.copytree(run.model, folder / "model", copy_function=_link)
    shutil.copyfile(run.path / "log.jsonl", folder / "log.jsonl")
    _card(study, task, recipe, seed, run, folder / "model")
    record = {k: v for k, v in run.record.items() if k not in ("fingerprint", "phase", "label")}
    same = {"run": run.path.name, "fingerprint": run.record["fingerprint"]}
    return {**record, "recipe": recipe, "same_as": same, "wall_seconds": round(time.monotonic() - begin, 1)}


def _link(source: str, copy: str) -> None:
    """The same file under another name, where the disk has such."""
    with contextlib.suppress(OSError):
        os.link(source, copy)
        return
    shutil.copy2(source, copy)


def _card(study: Study, task: str, recipe: str, seed: int, run: Run, model: Path) -> None:
    (model / "README.md").unlink()  # a link: what is written into it would be in both
    text = phases.card(study, study.tasks[task], recipe, seed, run.record["training"])
    (model / "README.md").write_text(text, encoding="utf-8")
