"""The training loop: one run on one device, exact to resume.

The optimizer sees the recipe's batch; micro-batches (``xitt.batching``) only shape how it is computed, and the loss is a
mean over the labels of the whole step. A checkpoint holds weights, optimizer, random state and position, so that a
killed run ends with the same numbers as one never killed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from . import batching, checkpoints, dropout, packing, products
from .batching import Features
from .errors import JobError
from .kinds import Kind
from .memory import Room
from .mixture import Alone, Mixture, Part
from .progress import Progress

#: raised when the loop's numbers change
VERSION = 1
#: cost of one more micro-batch, in tokens, by device
OVERHEAD = {"cpu": 160, "cuda": 2048}
#: a loss above this has diverged: guessing among 250,000 word pieces costs 12.4
DIVERGED = 1000.0


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


class Diverged(JobError):
    """The loss is no longer a number, or beyond all bounds."""


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
        If the loss is not a number or over 1,000; names the step, the loss and the last checkpoint from before.
    """
    _train_mode(model.to(device.name))
    encoder = mixture.model  # all parts share it
    if not device.attention_dropout:
        packing.drop_no_attention(encoder)
    if packing.wanted(encoder, device.attention):  # the padded path is the reference: torch's own
        dropout.install(model)
        products.install(model)
    if device.gradient_checkpointing:
        checkpoint_layers(encoder, True)
    optimizer = torch.optim.AdamW(_groups(model, hyper.weight_decay), lr=hyper.lr, eps=hyper.eps, fused=True)
    schedule = _linear(hyper.lr, hyper.warmup_steps(mixture.steps), mixture.steps)
    state = checkpoints.resume(folder, model, optimizer) or {
        "step": 0,
        "tokens": 0,
        "seconds": 0.0,
        "best": None,
        "recent": [],
    }
    if state["step"] == 0:
        torch.manual_seed(batching.torch_seed(seed, "dropout"))
        (folder / "log.jsonl").unlink(missing_ok=True)
    progress = Progress(what, mixture.steps, state["step"])
    begin, saved = time.monotonic() - state["seconds"], time.monotonic()
    parameters = list(model.parameters())
    recent: list[torch.Tensor] = [torch.tensor(x, device=device.name) for x in state.get("recent", [])]
    room = Room(device)
    for step, (part, units, batches) in enumerate(_steps(mixture, state["step"], room, pad, seed), state["step"]):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        loss, tokens = room.step(partial(_of_part, part, units, pad, (seed, step)), model, part, units, batches)
        norm = torch.nn.utils.clip_grad_norm_(parameters, hyper.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(loss)
        state["step"], state["tokens"] = step + 1, state["tokens"] + tokens
        last = step + 1 == mixture.steps
        if len(recent) == 10 or last:
            losses = torch.stack(recent).tolist()  # the only wait for the device in the loop
            _check(what, losses, norm, step + 1, hyper, folder)
            recent.clear()
            checkpoints.log(
                folder,
                step=step + 1,
                loss=round(float(np.mean(losses, dtype=np.float32)), 6),
                **mixture.losses(step, losses),
                lr=schedule(step),
                tokens=state["tokens"],
                seconds=round(time.monotonic() - begin, 3),
            )
        progress.step(step + 1, tokens, f"loss {loss.item():.3f}" if device.name == "cpu" else "")
        if score_dev and (last or (step + 1) % hyper.eval_every == 0):
            _look(model, score_dev, state, folder)
        if not last and time.monotonic() - saved > device.checkpoint_seconds:
            losses = torch.stack(recent).tolist() if recent else []
            _check(what, losses, norm, step + 1, hyper, folder)  # what is kept can be gone on with
            state["seconds"], state["recent"] = time.monotonic() - begin, losses
            checkpoints.write(folder, model, optimizer, state)
            saved = time.monotonic()
    if state["best"]:
        checkpoints.load_best(folder, model)
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
        **room.lowered,
        "hyper": asdict(hyper),
    }


def _steps(mixture: Mixture | Alone, first: int, room: Room, pad: int, seed: int):
    """Part, units and micro-batches of each step; on CUDA those of the next are made in the background meanwhile."""

    def make(step: int):
        part, units = mixture[step]
        if part.kind.contrasts:
            return part, units, None
        return (
            part,
            units,
            _batches(part.model, part.kind, part.features, units, part.lengths, room.device, pad, (seed, step)),
        )

    if not room.device.cuda:
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


def _of_part(part: Part, units, pad: int, draw, device: Device, batches: list | None) -> tuple[torch.Tensor, int]:
    return _step(part.model, part.kind, part.features, units, part.lengths, device, pad, draw, batches)


def _step(model, kind, features, units, lengths, device, pad, draw, batches=None) -> tuple[torch.Tensor, int]:
    """Gradients of one optimizer step; the loss is the mean over its labels, whatever the micro-batches."""
    if kind.contrasts:
        total, count = kind.step(model, features, units, device, pad)
        return _scaled(model, features, units, [total], count)
    losses, count = [], 0
    batches = batches or _batches(model, kind, features, units, lengths, device, pad, draw)
    for waiting in batches:
        batch = to_device(waiting, device)
        with device.autocast():
            logits = kind.forward(model, batch)
        total, labels = kind.loss(logits, batch["target"])
        if len(batches) == 1:  # the mean at once spares a pass over all gradients
            (mean := total / torch.clamp(labels, min=1)).backward()
            return mean.detach(), _tokens(features, units)
        total.backward()
        losses.append(total.detach())
        count = count + labels
    return _scaled(model, features, units, losses, count)


def _scaled(model, features, units, losses: list, count) -> tuple[torch.Tensor, int]:
    """Gradients of summed losses become those of their mean; returns the mean and the number of tokens read."""
    scale = 1.0 / torch.clamp(count, min=1)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    torch._foreach_mul_(grads, scale.to(grads[0].dtype))
    return torch.stack(losses).sum() * scale, _tokens(features, units)


def _tokens(features: Features, units) -> int:
    return int(features.ids.lengths[features.rows(units)].sum())


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


def _check(what: str, losses: list[float], norm: torch.Tensor, step: int, hyper: Hyper, folder: Path) -> None:
    """Stop a training whose last losses, up to ``step``, or gradient are no longer what can be learned from."""
    for number, loss in enumerate(losses, step - len(losses) + 1):
        if not loss <= DIVERGED:
            _stop(f"{what}: the loss is {loss:g} at step {number:,}", norm, hyper, folder)
    if not math.isfinite(norm):
        _stop(
            f"{what}: the gradient is no number at step {step:,}, its loss {losses[-1] if losses else math.nan:g}",
            norm,
            hyper,
            folder,
        )


def _stop(why: str, norm: torch.Tensor, hyper: Hyper, folder: Path) -> NoReturn:
    kept = next((f"step {int(p.name):,}, kept in {p}" for p in checkpoints.steps(folder)), "none was written yet")
    raise Diverged(
        f"{why} (learning rate {hyper.lr:g}, gradient norm {norm:.3g}); last good checkpoint: {kept}; "
        "a lower `lr:` or a longer `warmup:` of the recipe is the usual remedy"
    )


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
    checkpoints.log(folder, step=state["step"], dev=round(score, 4), **parts)
    if state["best"] is None or score > state["best"]["score"]:
        state["best"] = {"step": state["step"], "score": score}
        checkpoints.keep_best(folder, model)
