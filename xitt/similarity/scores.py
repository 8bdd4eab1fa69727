"""How well the vectors of a trained encoder tell the target's labels apart: LEEP, LogME, shrunk H-score.

All three are computed from one pass over the target's examples, without training. Formulas are numpy alone; ``leep``, ``logme`` and
``hscore`` at the end look up what they need.
"""

from __future__ import annotations

import numpy as np

from .names import Undefined
from .samples import PAIRS


# --- formulas --------------------------------------------------------------------------------------------------------
def log_expected_empirical_prediction(source: np.ndarray, label: np.ndarray) -> float:
    """LEEP (Nguyen et al. 2020, section 3, equations 1 and 2).

    The source model's label ``z`` of a target's example stands for the target label ``y`` with the empirical probability
    ``P(y | z)``; LEEP is the mean log-likelihood of the target's labels under that.

    Parameters
    ----------
    source : ndarray (units, source classes)
        Probabilities that the source model gives its own labels, rows adding up to 1.
    label : ndarray (units,)
        Target classes, from 0.

    Returns
    -------
    float
        At most 0, in nats; higher is better.
    """
    hot = np.eye(int(label.max()) + 1)[label]
    joint = hot.T @ source / len(label)  # (target classes, source classes)
    total = joint.sum(axis=0)
    given = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    return float(np.mean(np.log((source @ given.T)[np.arange(len(label)), label])))


def log_maximum_evidence(vectors: np.ndarray, label: np.ndarray, steps: int = 200, tolerance: float = 1e-9) -> float:
    """LogME (You et al. 2021, section 4 and algorithm 1), by fixed-point iteration on one singular value decomposition.

    Each class is regressed on by itself: ``y ~ N(F w, 1/beta)``, ``w ~ N(0, 1/alpha)``; the log evidence of the labels is taken at the best
    ``alpha`` and ``beta``, per example, and averaged over the classes that occur.

    Parameters
    ----------
    vectors : ndarray (units, width)
    label : ndarray (units,)

    Returns
    -------
    float
        In nats per unit; higher is better.
    """
    n, width = vectors.shape
    u, s, _ = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    found = []
    for k in np.unique(label):
        y = (label == k).astype(np.float64)
        z = u.T @ y
        rest = max(float(y @ y - z @ z), 0.0)  # of y, outside of what the vectors span
        found.append(_evidence(z, s, rest, n, width, steps, tolerance))
    return float(np.mean(found))


def _evidence(z: np.ndarray, s: np.ndarray, rest: float, n: int, width: int, steps: int, tolerance: float) -> float:
    """Largest log evidence per example of one class, from its coordinates ``z`` in the basis of the singular vectors."""
    alpha, beta, best = 1.0, 1.0, -np.inf
    for _ in range(steps):
        scale = alpha + beta * s**2
        mean = float(np.sum((beta * s * z / scale) ** 2))
        error = float(np.sum((alpha * z / scale) ** 2)) + rest
        logdet = float(np.log(scale).sum()) + (width - len(s)) * np.log(alpha)
        value = (
            n * np.log(beta) + width * np.log(alpha) - n * np.log(2 * np.pi) - beta * error - alpha * mean - logdet
        ) / (2 * n)
        if abs(value - best) < tolerance:
            break
        best, gamma = max(best, float(value)), float(np.sum(beta * s**2 / scale))
        alpha, beta = gamma / max(mean, 1e-300), (n - gamma) / max(error, 1e-12)
        if not np.isfinite(alpha) or alpha > 1e15:  # labels that have nothing to do with the vectors: no weight is best
            break
    return best


def shrunk_h_score(vectors: np.ndarray, label: np.ndarray) -> float:
    """H-score with a shrunk covariance (Ibrahim et al. 2022, section 3; H-score: Bao et al. 2019, definition 2).

    ``tr(S_a^-1 (1 - a) S_z)``: ``S_z`` is the covariance of the class means, ``S_a = (1 - a) S + a m I`` the shrunk covariance
    of the vectors, ``a`` by :func:`shrinkage`.

    Parameters
    ----------
    vectors : ndarray (units, width)
    label : ndarray (units,)
    """
    x = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    covariance = x.T @ x / len(x)
    a = shrinkage(x, covariance)
    within = (1 - a) * covariance + a * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    counts = np.bincount(label)
    kept = counts > 0
    hot = np.eye(len(counts))[label][:, kept]
    means = hot.T @ x / counts[kept][:, None]
    between = (means * (counts[kept] / len(x))[:, None]).T @ means
    return float((1 - a) * np.trace(np.linalg.solve(within, between)))


def shrinkage(centred: np.ndarray, covariance: np.ndarray) -> float:
    """Weight of the multiple of the identity that a covariance is shrunk towards (0–1; Ledoit and Wolf 2004, section 3.2).

    ``b^2 / d^2``: how far single examples scatter around the covariance, divided by how far that is from the multiple of the
    identity.
    """
    n, width = centred.shape
    squared = float((covariance**2).sum())
    distance = squared - float(np.trace(covariance)) ** 2 / width
    scatter = (float((np.sum(centred**2, axis=1) ** 2).sum()) / n - squared) / n
    return float(np.clip(scatter / distance, 0.0, 1.0)) if distance > 0 else 1.0


# --- of a pair of tasks ----------------------------------------------------------------------------------------------
def leep(bench, recipe: str, target: str, seed: int) -> float:
    """LEEP of a recipe's encoder on a target.

    The heads of spans and choices are no classifiers, so the source model is the trained encoder with a linear softmax head fitted
    on its own training data (:mod:`~xitt.similarity.heads`). A recipe of several tasks has all their labels side by side, an equal share
    for each task.
    """
    row = bench.study.tasks[target]
    if (bench.study.tasks[row.train].kind if row.train else row.kind) in PAIRS:
        raise Undefined(f"labels of {row.title} are about pairs of vectors, a source head reads one")
    found = bench.target(recipe, target, seed)
    heads = bench.heads(recipe, seed)
    given = [h.probabilities(found.values) / len(heads) for h in heads]
    return log_expected_empirical_prediction(np.concatenate(given, axis=1), found.sample.label)


def logme(bench, recipe: str, target: str, seed: int) -> float:
    """LogME of the vectors that a recipe's encoder makes of the target's examples."""
    found = bench.target(recipe, target, seed)
    return log_maximum_evidence(found.values, found.sample.label)


def hscore(bench, recipe: str, target: str, seed: int) -> float:
    """Shrunk H-score of the vectors that a recipe's encoder makes of the target's examples."""
    found = bench.target(recipe, target, seed)
    return shrunk_h_score(found.values, found.sample.label)
