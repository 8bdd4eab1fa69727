"""Steps drawn from several collections of examples: multi-task training, and MLM beside a task.

One part is drawn for each optimizer step, and all micro-batches of the step come from it (paper_facts 2.1, multi-task).
Each part goes through its own examples in its own order, epoch by epoch. All draws follow from the seed, so a resumed
training draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .batching import Features, Listed, generator, token_shares
from .kinds import Kind
from .recipes import Sampler

#: raised when other steps are drawn
VERSION = 1


@dataclass(frozen=True)
class Part:
    """One collection of examples and what computes its loss.

    Attributes
    ----------
    model : torch.nn.Module
        Encoder and the part's head.
    order : object with ``__getitem__(step)``
        Units of the part's own steps.
    """

    name: str
    model: Any
    kind: Kind
    features: Features
    order: Any

    @cached_property
    def lengths(self) -> np.ndarray:
        return self.features.unit_lengths


class Mixture:
    """Part and units of each step.

    Parameters
    ----------
    parts : tuple of Part
    probability : ndarray (parts,)
        How likely each is drawn.
    steps : int
    seed : int
    tokens : int or None
        So many are read in all, the same share in each step, in place of the batches of the parts' own orders.

    Attributes
    ----------
    draws : ndarray of int (steps,)
        Number of the part of each step.
    tokens : int or None
        Tokens that are read where they are given, to within one example.
    """

    def __init__(self, parts: tuple[Part, ...], probability: np.ndarray, steps: int, seed: int, tokens: int | None = None):  # fmt: skip
        self.parts, self.steps = parts, steps
        self.draws, self.tokens = draws(probability, steps, seed), None
        if tokens is not None:
            batches, self.tokens = token_shares([p.features.unit_tokens for p in parts], self.draws, tokens, seed)
            self.parts = tuple(replace(p, order=Listed(b)) for p, b in zip(parts, batches, strict=True))
        self._own = np.zeros(steps, np.int64)  # how many steps the part had before
        for number in range(len(parts)):
            here = self.draws == number
            self._own[here] = np.arange(here.sum())

    @property
    def model(self):
        """One of the task models; the encoder is in all of them."""
        return self.parts[0].model

    def __getitem__(self, step: int) -> tuple[Part, np.ndarray]:
        part = self.parts[self.draws[step]]
        return part, part.order[int(self._own[step])]

    def losses(self, last: int, values: list[float]) -> dict[str, float]:
        """Mean loss of each part over the steps that end with step number ``last``, as ``loss:<part>``."""
        drawn = self.draws[last + 1 - len(values) : last + 1]
        return {
            f"loss:{p.name}": round(float(np.mean(np.asarray(values)[drawn == i])), 6)
            for i, p in enumerate(self.parts)
            if (drawn == i).any()
        }


class Alone:
    """Every step from the one part there is."""

    def __init__(self, part: Part):
        self.part, self.steps = part, part.order.steps

    @property
    def model(self):
        """The task model."""
        return self.part.model

    def __getitem__(self, step: int) -> tuple[Part, np.ndarray]:
        return self.part, self.part.order[step]

    def losses(self, last: int, values: list[float]) -> dict[str, float]:
        return {}


def draws(probability: np.ndarray, steps: int, seed: int) -> np.ndarray:
    """Number of the part of each step."""
    return generator(seed, "mixture").choice(len(probability), steps, p=probability)


def probabilities(sampler: Sampler, sizes: Mapping[str, int], mlm: float = 0.0) -> np.ndarray:
    """How likely each part is drawn.

    Parameters
    ----------
    sampler : Sampler
    sizes : mapping of str to int
        Training units of each task (rows the model reads: windows of a long text count each), in the order of the parts.
    mlm : float
        Share of steps on raw text; it becomes one more part, the last.

    Returns
    -------
    ndarray
        Adds up to 1.
    """
    if sampler.given:
        given = dict(sampler.given)
        p = np.array([given[name] for name in sizes])
    else:
        n = np.array([n if sampler.cap is None else min(n, sampler.cap) for n in sizes.values()], float)
        p = (n / n.max()) ** (0.0 if math.isinf(sampler.temperature) else 1 / sampler.temperature)
    p = p / p.sum()
    return np.append(p * (1 - mlm), mlm) if mlm else p


def total_steps(own: list[int], mlm: float = 0.0) -> int:
    """Steps of a mixture: the sum of what its tasks would take alone (paper_facts 2.1), and those on raw text beside them."""
    return round(sum(own) / (1 - mlm))
