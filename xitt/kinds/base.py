"""What all kinds share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import packing
from ..batching import Features, Ragged

IGNORE = -100


class Kind:
    """Behaviour of one kind of task.

    Attributes
    ----------
    version : int
        Part of every fingerprint; raised when numbers change.
    auto_class : str
        The ``transformers`` class that opens its checkpoints.
    contrasts : bool
        Its loss compares the examples of a step with each other: ``step`` computes it, not ``loss`` on micro-batches.
    pretrained_head : bool
        Its head goes on from the one that the encoder was pre-trained with.
    pooled : bool
        Its test examples are ranked against a pool that all languages share (``xitt.data.pool``).
    """

    name: str
    version = 1
    auto_class: str
    contrasts = False
    pretrained_head = False
    pooled = False

    def labels(self, labels: tuple[str, ...]) -> dict[str, Any]:
        """Arguments of the model's configuration for a label set."""
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {l: i for i, l in enumerate(labels)},
        }

    def head(self, model, features: Features | None = None, seed: int = 0) -> None:
        """Adds parameters that the loss needs and the model's class lacks; none by default.

        Parameters
        ----------
        features : Features, optional
            What it will be trained on, where the parameters' shape depends on them.
        seed : int
            Of fresh values.
        """

    def encode(self, examples: list[dict], tokenizer, length: int, labels: tuple[str, ...]) -> Features:
        """Token ids and targets of examples, at most ``length`` tokens a row."""
        raise NotImplementedError

    def batch(
        self, features: Features, units: np.ndarray, pad: int, draw: tuple[int, ...] = (0,), packed: bool = False
    ) -> dict:
        """Arrays of some units: what the encoder reads and ``target``.

        Padded, the encoder reads ``input_ids`` and ``attention_mask`` (rows, tokens); packed, what ``xitt.packing`` says. ``draw``
        (seed, step) names the draw where a kind has random inputs; a unit's do not depend on those beside it.
        """
        rows = features.rows(units)
        inputs = packing.pack(features.ids, rows, pad) if packed else padded(features.ids, rows, pad)
        return {**inputs, "target": self.target(features, units, rows)}

    def target(self, features: Features, units: np.ndarray, rows: np.ndarray):
        """Targets of a batch; by default one number per unit."""
        return features.target[units].astype(np.int64)

    def forward(self, model, batch: dict):
        """Logits of a batch of tensors, padded or packed."""
        if "starts" in batch:
            return self.forward_packed(model, batch)
        return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits

    def forward_packed(self, model, batch: dict):
        """The same from one row that holds all sequences: the model's head on what ``xitt.packing`` makes of the encoder."""
        raise NotImplementedError

    def loss(self, logits, target):
        """(summed loss, number of labels it is over), as tensors; the mean is taken over the whole step."""
        import torch.nn.functional as F

        labels = target.reshape(-1)
        total = F.cross_entropy(
            logits.float().reshape(-1, logits.shape[-1]), labels, ignore_index=IGNORE, reduction="sum"
        )
        return total, (labels != IGNORE).sum()

    def outputs(self, logits, batch: dict, features: Features, units: np.ndarray) -> list:
        """What decoding needs from one batch, one item per unit, on the CPU."""
        return list(logits.float().cpu().numpy())

    def decode(self, examples: list[dict], features: Features, outputs: list, labels: tuple[str, ...]):
        """Predictions frame: ``id, gold, prediction`` and the kind's own columns, one row per example."""
        raise NotImplementedError

    def baselines(self, train: list[dict], test: list[dict], labels: tuple[str, ...]) -> dict:
        """Predictions frames of models that learn nothing, by name; chance is the best of them."""
        raise NotImplementedError


def padded(ids: Ragged, rows: np.ndarray, pad: int) -> dict:
    """Token ids of some rows, filled up to the longest, and which of them are real."""
    matrix = ids.padded(rows, pad).astype(np.int64)
    mask = np.arange(matrix.shape[1])[None, :] < ids.lengths[rows][:, None]
    return {"input_ids": matrix, "attention_mask": mask.astype(np.int64)}


def token_target(features: Features, rows: np.ndarray) -> np.ndarray:
    """Targets per token, ignored where padded."""
    assert isinstance(features.target, Ragged)
    return features.target.padded(rows, IGNORE).astype(np.int64)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities from logits, over the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def words_of(text: str) -> set[str]:
    """Lower-case words of a text; single characters where a script has no spaces."""
    words = set()
    for raw in text.lower().split():
        word = raw.strip(".,?!;:\"'()[]¿¡«»。？，！؟،।")
        words |= set(word) if any("\u3040" <= c <= "\u9fff" for c in word) else {word}
    return words - {""}


def overlap(first: str, second: str) -> float:
    """Share of the second text's words that the first has (0–1)."""
    a, b = words_of(first), words_of(second)
    return len(a & b) / max(len(b), 1)
