"""Cost per token at 1×, 10× and 100× the examples: what a run does besides its steps must not grow faster than they do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ..batching import EpochOrder
from ..evaluate import run_model
from ..progress import tell
from ..train import Device, Hyper, fit
from . import material as materials
from .machine import now
from .settings import BATCH, SHAPES, Settings

FACTORS = (1, 10, 100)


def measure(settings: Settings, device: Device, folder: Path) -> dict:
    """Seconds of encoding, one epoch of training and predicting, by number of examples; pocket's encoder and data whatever the size, since it
    leaves most room for what is not arithmetic.

    Where a set has fewer examples they are taken again: nothing here depends on what they say.
    """
    shape, small = "nli", Settings(settings.root, settings.device, settings.precision, "pocket", unit=settings.unit)
    made = materials.make(small, shape, folder)
    taken, repeats = np.random.default_rng(0).permutation(len(made.examples)), []
    _once(made, [made.examples[i] for i in taken[: min(settings.unit, 300)]], device, folder)  # warms up
    for number in range(settings.repeats):
        found = {}
        for factor in FACTORS:
            examples = [made.examples[i] for i in np.resize(taken, settings.unit * factor)]
            found[str(factor)] = _once(made, examples, device, folder)
            tell(f"  repeat {number + 1}/{settings.repeats}  {factor:3}x: " + "  ".join(
                f"{part} {1e6 * seconds / found[str(factor)]['tokens']:.1f} us/token" for part, seconds in found[str(factor)]["seconds"].items()))  # fmt: skip
        repeats.append(found)
    return {"part": "linearity", "shape": shape, "unit": settings.unit, "source": made.source, "repeats": repeats}


def _once(made: materials.Material, examples: list, device: Device, folder: Path) -> dict:
    begin = now(device.name)
    features = made.kind.encode(examples, made.tokenizer, SHAPES[made.shape][3], made.labels)
    encoded = now(device.name)
    steps = -(-features.units // BATCH)
    hyper = Hyper(lr=5e-4, epochs=1, batch=BATCH, length=0, max_steps=steps, weight_decay=0.01, warmup=0.1, clip=1.0,
                  eval_every=10**9, eval_examples=0)  # fmt: skip
    model = materials.new_model(made)
    start = now(device.name)
    with tempfile.TemporaryDirectory(dir=folder) as working:
        fit(
            model,
            made.kind,
            features,
            EpochOrder(features.units, BATCH, steps, 0),
            hyper,
            0,
            device,
            Path(working),
            made.pad,
            f"  {len(examples):,} examples",
        )
    trained = now(device.name)
    outputs = run_model(model, made.kind, features, device, made.pad)
    predicted = now(device.name)
    made.kind.decode(examples, features, outputs, made.labels)
    done = now(device.name)
    parts = {
        "encode": encoded - begin,
        "train": trained - start,
        "predict": predicted - trained,
        "decode": done - predicted,
    }
    return {"examples": len(examples), "tokens": int(features.ids.lengths.sum()), "seconds": parts}
