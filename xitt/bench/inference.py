"""Inference over real test sets beside ``Trainer.predict`` with its defaults (8 rows a batch, in their order, float32)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..batching import EpochOrder
from ..evaluate import run_model
from ..progress import tell
from ..runs import device as device_of
from ..train import Device, Hyper, fit
from . import material as materials
from . import peers
from .machine import Memory, now
from .material import Material
from .repeats import take_turns
from .settings import BATCH, SHAPES, Settings
from .training import RATE
from .work import Batches, Shape, head_flops

#: shape → the test set that is predicted, in all languages that are there
TESTS = {"nli": "xnli", "pos": "udpos"}
PEER_BATCH = 8  # Trainer's default


def measure(settings: Settings, shape: str, device: Device, folder: Path) -> dict:
    """One test set: raw figures of every repeat, and the share of equal labels.

    The model is trained for a few steps first (``Settings.prepare``): of random weights every label is a near tie. With precision
    bfloat16 Trainer is measured in float32, its default, and in bfloat16.
    """
    trained, tested = materials.make(settings, shape, folder), _tested(settings, shape, folder)
    model = _prepared(settings, trained, folder)
    rows, lengths = np.arange(tested.features.units), tested.features.ids.lengths
    labels: dict[str, list] = {}
    sides = {"xitt": lambda _: _ours(tested, model, device, labels)}
    if absent := peers.missing(settings):
        tell(f"  no peer: {absent}")
    else:
        sides["Trainer"] = lambda _: _theirs(tested, model, rows, device, "float32", labels, "Trainer")
        if device.precision != "float32":
            sides["Trainer bfloat16"] = lambda _: _theirs(
                tested, model, rows, device, device.precision, labels, "Trainer bfloat16"
            )
    repeats = take_turns(sides, settings.repeats, tell)
    starts = range(0, len(rows), PEER_BATCH)
    padded, size = Batches.of([lengths[i : i + PEER_BATCH] for i in starts]), Shape.of(model.config)
    return {
        "part": "inference", "shape": shape, "set": TESTS[shape], "rows": len(rows), "source": tested.source, "prepared_steps": settings.prepare,
        "mean_length": float(lengths.mean()), "flops": size.forward(padded.tokens, padded.squares, head_flops(model, padded.rows, padded.tokens)),
        "batches": {"Trainer": {**vars(padded), "bound": padded.bound, "bound_by_flops": padded.bound_by_flops(size)}},
        "repeats": repeats, "peer": absent, "equal_labels": None if absent else _equal(labels["xitt"], labels["Trainer"]),
    }  # fmt: skip


def _tested(settings: Settings, shape: str, folder: Path) -> Material:
    """The rows that are predicted."""
    made = materials.make(settings, shape, folder)
    if settings.source == "lengths":
        k, vocabulary = made.kind, materials.SIZES[settings.size].vocabulary
        return replace(made, features=materials.random_rows(shape, k, vocabulary, settings.examples or materials.ROWS))
    examples = materials.sample(settings, TESTS[shape], "test", settings.examples)
    features = made.kind.encode(examples, made.tokenizer, SHAPES[shape][3], made.labels)
    return replace(made, features=features, examples=tuple(examples))


def _prepared(settings: Settings, material: Material, folder: Path):
    """A model that has seen some data, in float32 on the CPU or the GPU, ready to predict."""
    model, steps = materials.new_model(material), settings.prepare
    device = device_of(settings.study())
    model.to(device.name)
    if steps:
        hyper = Hyper(lr=RATE[settings.size], epochs=1, batch=BATCH, length=0, max_steps=steps, weight_decay=0.01, warmup=0.1, clip=1.0,
                      eval_every=10**9, eval_examples=0)  # fmt: skip
        order = EpochOrder(material.features.units, BATCH, steps, 0)
        with tempfile.TemporaryDirectory(dir=folder) as working:
            fit(
                model,
                material.kind,
                material.features,
                order,
                hyper,
                0,
                device,
                Path(working),
                material.pad,
                f"  {material.shape}, training a little",
            )
    return model.eval()


def _ours(material: Material, model, device: Device, labels: dict) -> dict:
    with Memory(device.name) as memory:
        begin = now(device.name)
        outputs = run_model(model, material.kind, material.features, device, material.pad)
        seconds = now(device.name) - begin
    labels["xitt"] = [np.asarray(o).argmax() if material.shape == "nli" else np.asarray(o) for o in outputs]
    return {"seconds": seconds, "tokens": int(material.features.ids.lengths.sum()), "peak_bytes": memory.peak}


def _theirs(material: Material, model, rows, device: Device, precision: str, labels: dict, name: str) -> dict:
    own = model.config._attn_implementation
    try:
        raw, labels[name] = peers.predict(material, model, rows, device.name, precision)
    finally:
        model.config._attn_implementation = own
    return raw


def _equal(ours: list, theirs: list) -> float:
    """Share of labels that are the same: one per example in classification, one per word in tagging."""
    pairs = [(np.atleast_1d(a), np.atleast_1d(b)) for a, b in zip(ours, theirs, strict=True)]
    return float(np.concatenate([a == b for a, b in pairs]).mean())
