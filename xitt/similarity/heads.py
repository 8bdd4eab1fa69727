"""Linear softmax heads on the vectors of a frozen encoder: what a few steps learn (``probe``), and source models for LEEP and Fisher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 25  # of L-BFGS over all units at once
DECAY = 0.1  # L2 penalty on the weights, relative to the mean loss; vectors are standardised, and often about as many as units
FOLDS = 2


@dataclass(frozen=True)
class Head:
    """Logits ``((x - shift) / scale) @ weight + bias``.

    Attributes
    ----------
    weight : ndarray (width, classes)
    bias : ndarray (classes,)
    shift, scale : ndarray (width,)
        Mean and standard deviation of the vectors that it was fitted on.
    """

    weight: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    scale: np.ndarray

    def log_probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """(units, classes), in nats."""
        from scipy.special import log_softmax

        return log_softmax((vectors - self.shift) / self.scale @ self.weight + self.bias, axis=1)

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """(units, classes)."""
        return np.exp(self.log_probabilities(vectors))


def fit(vectors: np.ndarray, label: np.ndarray, classes: int, steps: int = STEPS) -> Head:
    """Softmax regression, at most so many steps of L-BFGS from zero weights.

    Parameters
    ----------
    vectors : ndarray (units, width)
    label : ndarray (units,)
        From 0 to ``classes`` - 1; some may not occur.
    """
    from scipy.optimize import minimize

    shift, scale = vectors.mean(axis=0, dtype=np.float64), vectors.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 0, scale, 1.0)
    x, hot = (vectors - shift) / scale, np.eye(classes)[label]
    size = x.shape[1] * classes

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = flat[:size].reshape(-1, classes), flat[size:]
        logits = x @ weight + bias
        top = logits.max(axis=1, keepdims=True)
        odds = np.exp(logits - top)
        total = odds.sum(axis=1, keepdims=True)
        value = float(np.mean(np.log(total) + top - (logits * hot).sum(axis=1, keepdims=True)))
        slope = (odds / total - hot) / len(x)
        gradient = np.concatenate([(x.T @ slope + DECAY * weight).ravel(), slope.sum(axis=0)])
        return value + DECAY / 2 * float((weight**2).sum()), gradient

    found = minimize(loss, np.zeros(size + classes), jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    return Head(found[:size].reshape(-1, classes), found[size:], shift, scale)


def held_out(vectors: np.ndarray, label: np.ndarray, example: np.ndarray, classes: int) -> float:
    """Mean log-likelihood of labels under heads that were fitted on the other half of the examples (nats per unit, at most 0)."""
    fold, value = example % FOLDS, np.empty(len(label))
    for k in range(FOLDS):
        at = fold == k
        head = fit(vectors[~at], label[~at], classes)
        value[at] = head.log_probabilities(vectors[at])[np.arange(at.sum()), label[at]]
    return float(value.mean())


def probe(bench, recipe: str, target: str, seed: int) -> float:
    """What a head learns in a few steps of the target's labels while the encoder stays as it is, on examples that it was not
    fitted on (a linear proxy: Poth et al. 2021, "proxy models").
    """
    found = bench.target(recipe, target, seed)
    return held_out(found.values, found.sample.label, found.sample.example, found.sample.classes)
