"""Training beside ``transformers.Trainer``: speed, memory, where the time of a step goes, and that the loss is that of the reference path."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np

from .. import products
from ..batching import EpochOrder
from ..progress import tell
from ..train import Device, Hyper, fit
from . import peers
from .machine import Memory, now
from .material import Material, make, new_model
from .repeats import take_turns
from .settings import BATCH, PLAIN, Settings
from .watch import Steps, Watched
from .work import Batches, Shape, head_flops

#: the recipe of all sides (paper_facts 2.1) with a rate that suits training from scratch
RATE = {"pocket": 5e-4, "small": 3e-4, "large": 1e-5}


def measure(settings: Settings, shape: str, device: Device, folder: Path) -> dict:
    """One shape of data at one precision: the raw figures of every repeat, and what is computed once.

    The engine and Trainer read the same batches in the same order from the same weights; Trainer with length grouping reads batches of its own
    making (:func:`xitt.bench.peers.grouped`). Seconds and
    tokens are those of the steps after the first (:class:`xitt.bench.watch.Steps`); a call of two steps before warms up.
    """
    material, steps = make(settings, shape, folder), settings.steps_of(shape)
    hyper = _hyper(settings, steps)
    order = EpochOrder(material.features.units, BATCH, steps, 0)
    rows = peers.batches_of(order, steps)
    initial = new_model(material)
    sides = {"xitt": lambda _: _ours(material, copy.deepcopy(initial), order, hyper, device)}
    if PLAIN in _sides(device):
        sides[PLAIN] = lambda _: _without(material, copy.deepcopy(initial), order, hyper, device)
    if absent := peers.missing(settings):
        tell(f"  no peer: {absent}")
    else:
        grouped = peers.grouped(material.features, steps)
        for name, own in (("Trainer", rows), ("Trainer grouped", grouped)):
            sides[name] = lambda _, own=own: peers.train(
                material, copy.deepcopy(initial), own, hyper, device.name, device.precision
            )
    _warm_up(settings, material, initial, device)
    repeats = take_turns(sides, settings.repeats, tell)
    lengths = material.features.ids.lengths
    batches = {side: _counted(lengths, rows) for side in _sides(device)} | (
        {} if absent else {"Trainer": _counted(lengths, rows), "Trainer grouped": _counted(lengths, grouped)}
    )
    size, real = Shape.of(initial.config), _counted(lengths, rows[BATCH:])
    return {
        "part": "training", "shape": shape, "rows": len(rows), "steps": steps, "batch": BATCH, "hyper": {"lr": hyper.lr, "clip": hyper.clip},
        "source": material.source, "mean_length": float(lengths[rows].mean()),
        "flops": size.training(real.tokens, real.squares, head_flops(initial, real.rows, real.tokens)),
        "flops_per_token": size.training(1, real.squares / real.tokens),
        "batches": {name: {**vars(b), "bound": b.bound, "bound_by_flops": b.bound_by_flops(size)} for name, b in batches.items()},
        "repeats": repeats, "peer": absent, "attention": repeats[0]["xitt"]["attention"], "attention_dropout": settings.attention_dropout, "breakdown": _breakdown(material, initial, order, hyper, device),
        "loss": _losses(material, hyper, order, device),
    }  # fmt: skip


def _hyper(settings: Settings, steps: int) -> Hyper:
    return Hyper(lr=RATE[settings.size], epochs=1, batch=BATCH, length=0, max_steps=steps, weight_decay=0.01, warmup=0.1, clip=1.0,
                 eval_every=10**9, eval_examples=0)  # fmt: skip


def _counted(lengths: np.ndarray, rows: np.ndarray) -> Batches:
    return Batches.of(list(lengths[rows].reshape(-1, BATCH)))


def _ours(material: Material, model, order, hyper: Hyper, device: Device, kind=None) -> dict:
    """One training by the engine; raw figures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Memory(device.name) as memory,
        Steps(order.steps, device.name) as clock,
    ):
        begin = now(device.name)
        done = fit(
            model,
            kind or material.kind,
            material.features,
            order,
            hyper,
            0,
            device,
            Path(folder),
            material.pad,
            f"  {material.shape}",
        )
        whole = now(device.name) - begin
    tokens = peers.later_tokens(material, peers.batches_of(order, order.steps))
    return {"seconds": clock.seconds, "tokens": tokens, "whole_seconds": whole, "peak_bytes": memory.peak,
            "attention": done["attention"]}  # fmt: skip


def _sides(device: Device) -> tuple[str, ...]:
    """The engine, and where it takes another library for its products than its peers do, the engine without that."""
    other = products.by() != "torch" and device.name == "cpu" and device.precision == "float32"
    return ("xitt", PLAIN) if other else ("xitt",)


def _without(material: Material, model, order, hyper: Hyper, device: Device) -> dict:
    """One training by the engine with torch's own matrix products, as its peers have them: what leaving out the padding gives alone."""
    with products.by_torch():
        return _ours(material, model, order, hyper, device)


def _warm_up(settings: Settings, material: Material, initial, device: Device) -> None:
    """Two untimed steps of each side."""
    hyper, order = _hyper(settings, 2), EpochOrder(material.features.units, BATCH, 2, 1)
    _ours(material, copy.deepcopy(initial), order, hyper, device)
    if not peers.missing(settings):
        peers.train(material, copy.deepcopy(initial), peers.batches_of(order, 2), hyper, device.name, device.precision)


def _breakdown(material: Material, initial, order, hyper: Hyper, device: Device) -> dict:
    """Seconds of each part of a step, from a run of its own: looking on takes time, on a GPU most of all."""
    with Watched(material.kind, device.name) as watched:
        done = _ours(material, copy.deepcopy(initial), order, hyper, device, watched)
    real = int(material.features.ids.lengths[peers.batches_of(order, order.steps)].sum())
    return {
        "seconds": dict(watched.seconds),
        "whole_seconds": done["whole_seconds"],
        "computed_tokens": watched.computed,
        "tokens": real,
    }


# --- the same loss -------------------------------------------------------------------------------------------------
def _losses(material: Material, hyper: Hyper, order, device: Device) -> dict:
    """Losses of each step by the engine and by the reference path, both without dropout, whose random numbers depend on the batches' form."""
    initial = new_model(material, dropout=False)
    with Watched(material.kind, device.name) as watched:
        _ours(material, copy.deepcopy(initial), order, hyper, device, watched)
    found = {"xitt": watched.losses, "reference": reference(material, initial, order, hyper, device)}
    tail = max(1, round(order.steps / 10))
    return {
        **found,
        "tail": tail,
        "difference": float(np.mean(found["xitt"][-tail:]) / np.mean(found["reference"][-tail:]) - 1),
    }


def reference(material: Material, model, order, hyper: Hyper, device: Device) -> list[float]:
    """The reference path, written out: each batch whole and padded, transformers' SDPA, plain AdamW, linear schedule; losses of each step."""
    import torch

    from ..train import to_device

    peers.plain(model).to(device.name).train()
    still = ("bias", "LayerNorm")
    groups = [{"params": [p for n, p in model.named_parameters() if any(s in n for s in still) == plain], "weight_decay": 0.0 if plain else hyper.weight_decay}
              for plain in (False, True)]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=hyper.lr, eps=hyper.eps, fused=False)
    warmup, losses = hyper.warmup_steps(order.steps), []
    for step in range(order.steps):
        batch = to_device(material.kind.batch(material.features, order[step], material.pad, (0, step)), device)
        with device.autocast():
            logits = material.kind.forward(model, batch)
        total, count = material.kind.loss(logits, batch["target"])
        loss = total / torch.clamp(count, min=1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), hyper.clip)
        for group in optimizer.param_groups:
            group["lr"] = hyper.lr * (
                (step + 1) / warmup if step < warmup else (order.steps - step) / max(order.steps - warmup, 1)
            )
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses
