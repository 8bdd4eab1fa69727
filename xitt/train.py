"""The training loop: one run on one device, exact to resume.

The optimizer sees the recipe's batch; micro-batches (``xitt.batching``) only shape how it is computed, and the loss is a
mean over the labels of the whole step. A checkpoint holds weights, optimizer, random state and position, so that a
killed run ends with the same numbers as one never killed.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from . import batching, dropout, packing
from .batching import Features
from .kinds import Kind
from .mixture import Alone, Mixture, Part
from .progress import Progress
from .store import write_json

#: raised when the loop's numbers change
VERSION = 1
#: cost of one more micro-batch, in tokens, by device
OVERHEAD = {"cpu": 160, "cuda": 2048}


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters of one run, all resolved (see ``xitt.study.Recipe``)."""

    lr: float
    epochs: float
    batch: int
    length: int
    max_steps: int | None
    weight_decay: float
    warmup: float
    clip: float
    eval_every: int
    eval_examples: int
    eps: float = 1e-8

    def steps(self, units: int) -> int:
        """Optimizer steps: epochs x ceil(n / batch), capped (paper_facts 2.1)."""
        steps = int(np.ceil(self.epochs * -(-units // min(self.batch, units))))
        return min(steps, self.max_steps) if self.max_steps else steps

    def warmup_steps(self, steps: int) -> int:
        """Steps of warm-up: ``warmup`` is a share of all steps, or from 1 up a number of them (XTREME's scripts for QA)."""
        return round(self.warmup * steps if self.warmup < 1 else self.warmup)


@dataclass(frozen=True)
class Device:
    """Where and how precisely a run is computed."""

    name: str
    precision: str
    micro_batch_tokens: int
    eval_batch_tokens: int
    checkpoint_seconds: float
    attention: str = "auto"
    attention_dropout: bool = True
    gradient_checkpointing: bool = False

    def autocast(self):
        """bfloat16 with float32 master weights, or nothing."""
        return torch.autocast(self.name.split(":")[0], torch.bfloat16, enabled=self.precision == "bfloat16")

    @property
    def cuda(self) -> bool:
        return self.name.startswith("cuda")

    @property
    def overhead(self) -> int:
        return OVERHEAD[self.name.split(":")[0]]


class Diverged(RuntimeError):
    """The loss is no longer a number."""


def fit(
    model: torch.nn.Module, kind: Kind, features: Features, order, hyper: Hyper, seed: int, device: Device,
    folder: Path, pad: int, what: str, score_dev: Callable[[torch.nn.Module], float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train a model on one task, in place; see :func:`fit_mixture`.

    Parameters
    ----------
    order : object with ``steps`` and ``__getitem__(step)``
        Units of each step (``EpochOrder`` or ``TokenOrder``).
    """
    alone = Alone(Part("", model, kind, features, order))
    return fit_mixture(model, alone, hyper, seed, device, folder, pad, what, score_dev)


def fit_mixture(
    model: torch.nn.Module, mixture: Mixture | Alone, hyper: Hyper, seed: int, device: Device, folder: Path, pad: int,
    what: str, score_dev: Callable[[torch.nn.Module], float] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train a model in place, each step on one part of a mixture.

    Parameters
    ----------
    model : torch.nn.Module
        Holds the weights of all parts, what they share once.
    folder : pathlib.Path
        Working folder: ``log.jsonl``, ``checkpoint/`` and ``best.safetensors`` are kept in it.
    score_dev : callable or None
        Score of the model on its dev set (higher is better); with it the best checkpoint is what ``model`` is left with. An attribute
        ``parts`` (name → score), where it has one, goes into the log.

    Returns
    -------
    dict
        Steps, tokens (real ones, padding not counted), seconds, best step and score.

    Raises
    ------
    Diverged
        If the loss is not a number; names the step.
    """
    _train_mode(model.to(device.name))
    encoder = mixture.model  # all parts share it
    if not device.attention_dropout:
        packing.drop_no_attention(encoder)
    if device.gradient_checkpointing:
        checkpoint_layers(encoder, True)
    optimizer = torch.optim.AdamW(_groups(model, hyper.weight_decay), lr=hyper.lr, eps=hyper.eps, fused=True)
    schedule = _linear(hyper.lr, hyper.warmup_steps(mixture.steps), mixture.steps)
    state = _resume(folder, model, optimizer) or {"step": 0, "tokens": 0, "seconds": 0.0, "best": None, "recent": []}
    if state["step"] == 0:
        torch.manual_seed(batching.torch_seed(seed, "dropout"))
        (folder / "log.jsonl").unlink(missing_ok=True)
    packed = packing.wanted(encoder, device.attention)  # nothing but dropout draws, in one order
    dropout.begin(
        model if packed and not device.cuda and not device.gradient_checkpointing and not state["step"] else None
    )
    _truncate_log(folder / "log.jsonl", state["step"])
    progress = Progress(what, mixture.steps, state["step"])
    begin, saved = time.monotonic() - state["seconds"], time.monotonic()
    parameters = list(model.parameters())
    recent: list[torch.Tensor] = [torch.tensor(x, device=device.name) for x in state.get("recent", [])]
    for step, (part, units, batches) in enumerate(_steps(mixture, state["step"], device, pad, seed), state["step"]):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        loss, tokens = _step(
            part.model, part.kind, part.features, units, part.lengths, device, pad, (seed, step), batches
        )
        norm = torch.nn.utils.clip_grad_norm_(parameters, hyper.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(loss)
        state["step"], state["tokens"] = step + 1, state["tokens"] + tokens
        last = step + 1 == mixture.steps
        if len(recent) == 10 or last:
            mean = torch.stack(recent).mean().item()  # the only wait for the device in the loop
            if not np.isfinite(mean):
                raise Diverged(
                    f"{what}: the loss is {mean} at step {step + 1} (learning rate {hyper.lr:g}, gradient norm {norm:.3g})"
                )
            losses = mixture.losses(step, torch.stack(recent).tolist())
            recent.clear()
            spent = round(time.monotonic() - begin, 3)
            _log(
                folder, step=step + 1, loss=round(mean, 6), **losses, lr=schedule(step), tokens=state["tokens"], seconds=spent
            )  # fmt: skip
        progress.step(step + 1, tokens, f"loss {loss.item():.3f}" if device.name == "cpu" else "")
        if score_dev and (last or (step + 1) % hyper.eval_every == 0):
            _look(model, score_dev, state, folder)
        if not last and time.monotonic() - saved > device.checkpoint_seconds:
            state["seconds"], state["recent"] = time.monotonic() - begin, [x.item() for x in recent]
            _checkpoint(folder, model, optimizer, state)
            saved = time.monotonic()
    dropout.end(model)
    if state["best"]:
        _load(model, folder / "best.safetensors")
    model.eval()
    if device.gradient_checkpointing:
        checkpoint_layers(encoder, False)
    seconds = time.monotonic() - begin
    return {
        "steps": mixture.steps,
        "tokens": state["tokens"],
        "seconds": round(seconds, 3),
        "tokens_per_second": round(state["tokens"] / max(seconds, 1e-9), 1),
        "best": state["best"],
        "attention": packing.path(encoder, device, training=True),
        "hyper": asdict(hyper),
    }


def _steps(mixture: Mixture | Alone, first: int, device: Device, pad: int, seed: int):
    """Part, units and micro-batches of each step; on CUDA those of the next are made in the background meanwhile."""

    def make(step: int):
        part, units = mixture[step]
        if part.kind.contrasts:
            return part, units, None
        return (
            part,
            units,
            _batches(part.model, part.kind, part.features, units, part.lengths, device, pad, (seed, step)),
        )

    if not device.cuda:
        yield from map(make, range(first, mixture.steps))
        return
    with ThreadPoolExecutor(1) as worker:
        coming = [worker.submit(make, step) for step in range(first, mixture.steps)[:2]]
        for step in range(first, mixture.steps):
            now = coming.pop(0).result()
            if step + 2 < mixture.steps:
                coming.append(worker.submit(make, step + 2))
            yield now


def _batches(model, kind, features, units, lengths, device, pad, draw) -> list[dict]:
    """Micro-batches of one step, on the host."""
    parts = _parts(features, units, lengths, device, packed := packing.wanted(model, device.attention))
    return [host(kind.batch(features, units[part], pad, draw, packed), device) for part in parts]


def _step(model, kind, features, units, lengths, device, pad, draw, batches=None) -> tuple[torch.Tensor, int]:
    """Gradients of one optimizer step; the loss is the mean over its labels, whatever the micro-batches."""
    if kind.contrasts:
        total, count = kind.step(model, features, units, device, pad)
        return _scaled(model, features, units, [total], count)
    losses, count = [], 0
    for waiting in batches or _batches(model, kind, features, units, lengths, device, pad, draw):
        batch = to_device(waiting, device)
        with device.autocast():
            logits = kind.forward(model, batch)
        total, labels = kind.loss(logits, batch["target"])
        total.backward()
        losses.append(total.detach())
        count = count + labels
    return _scaled(model, features, units, losses, count)


def _scaled(model, features, units, losses: list, count) -> tuple[torch.Tensor, int]:
    """Gradients of summed losses become those of their mean; returns the mean and the number of tokens read."""
    scale = 1.0 / torch.clamp(count, min=1)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    torch._foreach_mul_(grads, scale.to(grads[0].dtype))
    return torch.stack(losses).sum() * scale, int(features.ids.lengths[features.rows(units)].sum())


def _parts(features: Features, units, lengths, device: Device, packed: bool) -> list[np.ndarray]:
    """Micro-batches of one step."""
    if not packed:
        return batching.micro_batches(lengths[units], features.group, device.micro_batch_tokens, device.overhead)
    tokens = features.ids.lengths[features.rows(units)].reshape(len(units), -1)
    return batching.micro_batches(tokens.sum(axis=1), 1, device.micro_batch_tokens, None)


def host(batch: dict, device: Device) -> dict:
    """Arrays as tensors from which a device copies without a wait; what is neither stays."""
    tensors = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in batch.items()}
    return {k: v.pin_memory() if device.cuda and isinstance(v, torch.Tensor) else v for k, v in tensors.items()}


def to_device(batch: dict, device: Device) -> dict:
    """The same on the device."""
    moved = host(batch, device)
    return {k: v.to(device.name, non_blocking=True) if isinstance(v, torch.Tensor) else v for k, v in moved.items()}


def _groups(model, decay: float) -> list[dict]:
    """Weight decay on matrices only: not on biases, LayerNorm (paper_facts 2.1) and single numbers."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    plain = [p for n, p in named if p.ndim < 2 or n.endswith("bias") or "LayerNorm" in n or "layer_norm" in n]
    ids = {id(p) for p in plain}
    return [
        {"params": [p for _, p in named if id(p) not in ids], "weight_decay": decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def _linear(lr: float, warmup: int, steps: int) -> Callable[[int], float]:
    """Linear warm-up, then linear to 0."""
    return lambda step: lr * ((step + 1) / warmup if step < warmup else (steps - step) / max(steps - warmup, 1))


def checkpoint_layers(model, on: bool) -> None:
    """Gradient checkpointing of the encoder's layers in training: their inputs alone are kept, the rest is computed again."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for module in model.base_model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.gradient_checkpointing = on
            module._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)


def _train_mode(model) -> None:
    """Training mode, except for dropout of nothing, which would still draw its random numbers."""
    for module in model.train().modules():
        if isinstance(module, torch.nn.Dropout) and module.p == 0:
            module.eval()


def _look(model, score_dev, state: dict, folder: Path) -> None:
    """Score the dev set and keep the weights if they are the best so far."""
    model.eval()
    score = score_dev(model)
    _train_mode(model)
    parts = {f"dev:{name}": round(value, 4) for name, value in getattr(score_dev, "parts", {}).items()}
    _log(folder, step=state["step"], dev=round(score, 4), **parts)
    if state["best"] is None or score > state["best"]["score"]:
        state["best"] = {"step": state["step"], "score": score}
        _save(model, folder / "best.safetensors")


# --- checkpoints ---------------------------------------------------------------------------------------------------
def _save(model, path: Path) -> None:
    from safetensors.torch import save_model

    temporary = path.with_suffix(".new")
    save_model(model, str(temporary))
    temporary.replace(path)


def _load(model, path: Path) -> None:
    from safetensors.torch import load_model

    load_model(model, str(path))


def _checkpoint(folder: Path, model, optimizer, state: dict) -> None:
    """Write ``checkpoint/<step>`` aside, rename it into place, then drop older ones."""
    from safetensors.torch import save_file

    place = folder / "checkpoint" / f"{state['step']:08d}"
    aside = place.with_name(".new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _save(model, aside / "model.safetensors")
    tensors, numbers = {}, optimizer.state_dict()
    for index, values in numbers["state"].items():
        tensors |= {f"{index}.{k}": v.contiguous() for k, v in values.items()}
    tensors["random.cpu"] = dropout.state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, str(aside / "optimizer.safetensors"))
    write_json(aside / "state.json", state)
    aside.replace(place)
    for old in place.parent.iterdir():
        if old != place:
            shutil.rmtree(old)


def _resume(folder: Path, model, optimizer) -> dict | None:
    """Load the newest whole checkpoint; returns its position."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for place in sorted((folder / "checkpoint").glob("[0-9]*"), reverse=True):
        try:
            state = json.loads((place / "state.json").read_text())
            tensors = load_file(str(place / "optimizer.safetensors"))
            _load(model, place / "model.safetensors")
        except (OSError, ValueError, SafetensorError):
            print(f"checkpoint {place.name} is damaged and passed over", flush=True)
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
        return state
    return None


def _log(folder: Path, **line) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _truncate_log(path: Path, step: int) -> None:
    """Drop lines past a checkpoint: they will be written again."""
    if path.exists():
        lines = [
            line for line in path.read_text().splitlines() if line.endswith("}") and json.loads(line)["step"] <= step
        ]
        path.write_text("".join(line + "\n" for line in lines))
