"""Exact nearest neighbours in both directions beside FAISS's flat search on the same threads, and the rate of embedding sentences."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from .. import backbone, search
from ..progress import tell
from ..retrieval import embed
from ..scoring import default_layer
from ..train import Device
from . import material as materials
from .machine import Memory, now
from .repeats import take_turns
from .settings import ALONE, SIZES, Settings
from .work import Shape

NEIGHBOURS = 4  # as the margin's in mining (paper_facts 2.5)
SENTENCES = 2000


def missing(settings: Settings) -> str | None:
    """Why the peer does not run, or ``None``."""
    if settings.alone:
        return ALONE
    return None if find_spec("faiss") else "FAISS is not installed: pip install 'xitt[bench]'"


def measure(settings: Settings, device: Device) -> dict:
    """Neighbours of random unit vectors in both directions: raw figures of every repeat, and whether they are the same.

    A search of n × m vectors of width d is 2 n m d FLOPs, whichever directions are asked for: that is what the rate counts.
    """
    first, second = vectors(settings.rows, settings.width, 0), vectors(settings.rows, settings.width, 1)
    found: dict[str, tuple] = {}
    sides = {
        "xitt": lambda _: _timed(
            lambda: _both(first, second, settings.memory, device), device.name, first, second, found, "xitt"
        )
    }
    if absent := missing(settings):
        tell(f"  no peer: {absent}")
    else:
        sides["FAISS"] = lambda _: _timed(lambda: _faiss(first, second), "cpu", first, second, found, "FAISS")
    repeats = take_turns(sides, settings.repeats, tell)
    return {
        "part": "retrieval", "rows": settings.rows, "width": settings.width, "neighbours": NEIGHBOURS, "memory_gib": settings.memory,
        "flops": 2.0 * settings.rows**2 * settings.width, "vector_bytes": first.nbytes + second.nbytes, "repeats": repeats, "peer": absent,
        "same": None if absent else _same(found["xitt"], found["FAISS"]),
    }  # fmt: skip


def vectors(rows: int, width: int, seed: int) -> np.ndarray:
    """Random unit vectors (rows, width), float32, made in blocks."""
    rng, made = np.random.default_rng(seed), np.empty((rows, width), np.float32)
    for start in range(0, rows, 4096):
        block = made[start : start + 4096]
        block[:] = rng.standard_normal(block.shape, np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return made


def _timed(work, device: str, first, second, found: dict, name: str) -> dict:
    with Memory(device) as memory:
        begin = now(device)
        found[name] = work()
        seconds = now(device) - begin
    # vectors searched for, so that the rate reads like the others
    return {"seconds": seconds, "tokens": len(first) + len(second), "peak_bytes": memory.peak}


def _both(first: np.ndarray, second: np.ndarray, memory: float, device: Device):
    return search.both_ways(first, second, NEIGHBOURS, memory=int(memory * 2**30), device=device.name)


def _faiss(first: np.ndarray, second: np.ndarray):
    """``IndexFlatIP`` on as many threads as torch has; building the index is part of it, as it is of ours."""
    import faiss
    import torch

    faiss.omp_set_num_threads(torch.get_num_threads())
    both = []
    for queries, base in ((first, second), (second, first)):
        index = faiss.IndexFlatIP(base.shape[1])
        index.add(base)
        both.append(index.search(queries, NEIGHBOURS))
        del index
    return tuple(both)


def _same(ours, theirs) -> dict:
    """Share of equal neighbours, and the largest difference between scores in the same place (where it is rounding, so is another order)."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "neighbours": float(np.mean([(np.asarray(a[1]) == b[1]).mean() for a, b in pairs])),
        "score_difference": float(max(np.abs(np.asarray(a[0]) - b[0]).max() for a, b in pairs)),
    }


def embedding(settings: Settings, device: Device, folder: Path) -> dict:
    """Sentences per second through an encoder of the size, from text to vectors of one layer."""
    own = (
        Settings(settings.root, settings.device, settings.precision, "pocket", settings.data)
        if settings.source == "lengths"
        else settings
    )
    tokenizer = materials.tokenizer_of(own)
    sentences = [t for e in materials.sample(own, "xnli", "test", SENTENCES) for t in materials.texts(e)][:SENTENCES]
    model = backbone.load_encoder(materials.encoder(settings, folder, tokenizer)).to(device.name)
    layer = default_layer(SIZES[settings.size].layers)
    lengths = np.array([len(x) for x in tokenizer(sentences)["input_ids"]])

    def once(_) -> dict:
        with Memory(device.name) as memory:
            begin = now(device.name)
            embed(model, tokenizer, sentences, (layer,), 512, device)
            seconds = now(device.name) - begin
        return {"seconds": seconds, "tokens": int(lengths.sum()), "peak_bytes": memory.peak}

    embed(model, tokenizer, sentences[:64], (layer,), 512, device)
    repeats = take_turns({"xitt": once}, settings.repeats, tell)
    below = replace(Shape.of(model.config), layers=layer)  # no layer above is computed
    flops = below.forward(float(lengths.sum()), float((lengths**2).sum()))
    return {"part": "embedding", "rows": len(sentences), "source": own.source, "layer": layer, "mean_length": float(lengths.mean()), "flops": flops,
            "repeats": repeats, "peer": "none: there is no usual tool that embeds by layers"}  # fmt: skip
