"""Floating-point operations of a model's work, counted from real tokens: what padding adds is no work done.

A multiplication with an addition counts as two. Forward, per token: 2 N for the N weights of the linear layers (embeddings are looked up,
not multiplied) and 4 L d s for attention over the s tokens of its own row, L layers, width d (scores and weighted sums: 2 d s each).
Training is three times that, one forward and twice as much backward: per token 6 N + 12 L d s, as in Chowdhery et al. 2022 (PaLM),
appendix B. Model FLOPs utilisation (MFU) is this number over time and over the hardware's rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """What of an encoder decides its cost."""

    layers: int
    width: int
    feed_forward: int

    @classmethod
    def of(cls, config) -> Shape:
        """From a ``transformers`` configuration, or a mapping with its keys."""
        get = config.get if isinstance(config, dict) else lambda key: getattr(config, key)
        return cls(get("num_hidden_layers"), get("hidden_size"), get("intermediate_size"))

    @property
    def weights(self) -> int:
        """Weights of all linear layers: four of width × width for attention, two of width × feed-forward, per layer."""
        return self.layers * (4 * self.width**2 + 2 * self.width * self.feed_forward)

    def forward(self, tokens: float, squares: float, head: float = 0.0) -> float:
        """FLOPs of a forward pass.

        Parameters
        ----------
        tokens : float
            Real tokens.
        squares : float
            Sum over rows of the squared number of tokens.
        head : float
            FLOPs of whatever stands on the encoder.
        """
        return 2 * self.weights * tokens + 4 * self.layers * self.width * squares + head

    def training(self, tokens: float, squares: float, head: float = 0.0) -> float:
        """FLOPs of forward and backward passes."""
        return 3 * self.forward(tokens, squares, head)


def head_flops(model, rows: float, tokens: float) -> float:
    """Forward FLOPs of what stands on the encoder: per row where one vector is read, per token where all are."""
    inside = {id(p) for p in model.base_model.parameters()}
    pooled = getattr(model.base_model, "pooler", None)
    pooler = sum(p.numel() for p in pooled.parameters() if p.ndim == 2) if pooled is not None else 0
    own = sum(p.numel() for p in model.parameters() if p.ndim == 2 and id(p) not in inside)
    per_row = pooled is not None or "SequenceClassification" in type(model).__name__
    return 2.0 * (rows if per_row else tokens) * own + 2.0 * rows * pooler


@dataclass(frozen=True)
class Batches:
    """Real and padded amounts of some batches of rows."""

    rows: int
    tokens: int
    squares: int
    padded_tokens: int
    padded_squares: int

    @classmethod
    def of(cls, batches: list[np.ndarray]) -> Batches:
        """From the lengths of each batch's rows, padded to the longest of its batch."""
        real = np.concatenate(batches).astype(np.int64)
        longest = [(len(b), int(b.max())) for b in batches]
        return cls(
            len(real), int(real.sum()), int((real**2).sum()),
            sum(n * m for n, m in longest), sum(n * m * m for n, m in longest),
        )  # fmt: skip

    @property
    def padding(self) -> float:
        """Share of the computed tokens that are padding."""
        return 1 - self.tokens / self.padded_tokens

    @property
    def bound(self) -> float:
        """How many times faster work without padding can be, by count of tokens."""
        return self.padded_tokens / self.tokens

    def bound_by_flops(self, shape: Shape) -> float:
        """The same by FLOPs, which also count the attention over padding."""
        return shape.forward(self.padded_tokens, self.padded_squares) / shape.forward(self.tokens, self.squares)
