"""What a training keeps on disk while it runs: checkpoints, its best weights so far, its log; all with checksums.

``checkpoint/<step>/`` holds weights, optimizer, random state and position. It is written aside and renamed into place, then older ones
go. What was not written whole, or has changed since, is passed over when a training goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch

from . import integrity
from .integrity import Damaged, checksum
from .store import read_json, write_json, write_text

BEST, SUMS, LOG = "best.safetensors", "best.sha256", "log.jsonl"


def save_weights(model, path: Path) -> None:
    """Write a model's weights aside and rename them into place."""
    from safetensors.torch import save_model

    temporary = path.with_suffix(".new")
    save_model(model, str(temporary))
    temporary.replace(path)


def load_weights(model, path: Path) -> None:
    """Read weights into a model of the same form."""
    from safetensors.torch import load_model

    load_model(model, str(path))


# --- the best so far -----------------------------------------------------------------------------------------------
def keep_best(folder: Path, model) -> None:
    """Put a model's weights in place of the best so far.

    ``best.sha256`` names the new ones before they are in place, and the old ones still: whenever a kill comes, it fits.
    """
    new = folder / f"new-{BEST}"
    save_weights(model, new)
    write_text(folder / SUMS, "\n".join([checksum(new), *_sums(folder)[:1]]) + "\n")
    new.replace(folder / BEST)


def load_best(folder: Path, model) -> None:
    """Read the best weights back.

    Raises
    ------
    Damaged
        If they are not those that were written; what the training had kept is gone then, since nothing can come of it.
    """
    try:
        _check_best(folder)
    except Damaged as error:
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        raise Damaged(f"{error}; the same command trains from the start") from None
    load_weights(model, folder / BEST)


def _sums(folder: Path) -> list[str]:
    return (folder / SUMS).read_text().split() if (folder / SUMS).is_file() else []


def _check_best(folder: Path) -> None:
    path = folder / BEST
    if not path.is_file() or checksum(path) not in _sums(folder):
        raise Damaged(f"{path} is damaged or gone")


# --- checkpoints ---------------------------------------------------------------------------------------------------
def steps(folder: Path) -> list[Path]:
    """Checkpoints that are there, the last one first."""
    return sorted((folder / "checkpoint").glob("[0-9]*"), reverse=True)


def write(folder: Path, model, optimizer, state: dict) -> None:
    """Write ``checkpoint/<step>`` aside, rename it into place, then drop older ones; nothing is left of a failed try."""
    place = folder / "checkpoint" / f"{state['step']:08d}"
    aside = place.with_name(".new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _fill(aside, model, optimizer)
        kept = {"files": integrity.manifest(aside), "log": _mark(folder)}
        write_json(aside / "state.json", {**state, **kept}, True)
    except Exception:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    aside.replace(place)
    for old in place.parent.iterdir():
        if old != place:
            shutil.rmtree(old)


def _fill(place: Path, model, optimizer) -> None:
    from safetensors.torch import save_file

    save_weights(model, place / "model.safetensors")
    tensors, numbers = {}, optimizer.state_dict()
    for index, values in numbers["state"].items():
        tensors |= {f"{index}.{k}": v.contiguous() for k, v in values.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, str(place / "optimizer.safetensors"))


def resume(folder: Path, model, optimizer) -> dict | None:
    """Load the newest whole checkpoint; returns its position. The log is cut to what it was then."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for place in steps(folder):
        try:
            state = _state(folder, place)
            tensors = load_file(str(place / "optimizer.safetensors"))
            load_weights(model, place / "model.safetensors")
        except (OSError, ValueError, KeyError, SafetensorError, Damaged) as error:
            print(f"checkpoint {place.name} is damaged and passed over: {error}", flush=True)
            shutil.rmtree(place)
            continue
        torch.set_rng_state(tensors.pop("random.cpu"))
        if (cuda := tensors.pop("random.cuda", None)) is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(cuda)
        saved = optimizer.state_dict()
        for key, value in tensors.items():
            index, name = key.split(".", 1)
            saved["state"].setdefault(int(index), {})[name] = value
        optimizer.load_state_dict(saved)
        size = state.pop("log")[0]
        if (folder / LOG).exists():
            os.truncate(folder / LOG, size)
        return state
    return None


def _state(folder: Path, place: Path) -> dict:
    """Position of a checkpoint, once all that goes with it is known to be whole."""
    state = read_json(place / "state.json")
    if state is None:
        raise Damaged("it has no state.json")
    integrity.check(place, state.pop("files"))
    size, digest = state["log"]
    if _digest(folder / LOG, size) != digest:
        raise Damaged(f"{LOG} is another")
    if state["best"]:
        _check_best(folder)
    return state


# --- the log -------------------------------------------------------------------------------------------------------
def log(folder: Path, **line) -> None:
    """Add a line to the log."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _mark(folder: Path) -> list:
    """Size of the log and SHA-256 of what it holds."""
    path = folder / LOG
    size = path.stat().st_size if path.exists() else 0
    return [size, _digest(path, size)]


def _digest(path: Path, size: int) -> str:
    return hashlib.sha256(path.read_bytes()[:size] if path.exists() else b"").hexdigest()
