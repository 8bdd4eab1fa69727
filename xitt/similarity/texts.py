"""Similarity of texts as the encoder sees them before any training."""

from __future__ import annotations

import numpy as np


def text(bench, recipe: str, target: str, seed: int) -> float:
    """Cosine of the text embeddings of two tasks (TextEmb of Vu et al. 2020, section on predicting task transferability).

    A task's embedding is the mean over its examples of the mean over their tokens, in the last layer of the encoder without
    any training; labels are not read. Of several tasks it is the mean, each weighted by its training set.
    """
    parts = [(bench.text(t, s), len(s)) for t, s in bench.source(recipe)]
    mean = np.average([v for v, _ in parts], axis=0, weights=[n for _, n in parts])
    return cosine(mean, bench.target_text(target))


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of two vectors (-1 to 1)."""
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
