"""Classification of one text or a pair of texts (NLI, paraphrase).

Fields: ``first``, ``second``, ``label``. Predictions: ``gold`` and ``prediction`` are label names, ``scores`` the
probabilities in the order of the label set.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import packing
from ..batching import Features, Ragged
from .base import Kind, overlap, softmax


class Classify(Kind):
    """Pairs as ``<s> a </s></s> b </s>``, longest part cut first (paper_facts 2.4)."""

    name = "classify"
    auto_class = "AutoModelForSequenceClassification"

    def encode(self, examples, tokenizer, length, labels):
        first, second = [e["first"] for e in examples], [e.get("second") for e in examples]
        pair = (first, second) if second and second[0] is not None else (first,)
        ids = tokenizer(*pair, truncation="longest_first", max_length=length)["input_ids"]
        target = np.array([labels.index(e["label"]) for e in examples])
        return Features(Ragged.of(ids), np.arange(len(examples)), target)

    def forward_packed(self, model, batch):
        return model.classifier(packing.first(model, batch))

    def decode(self, examples, features, outputs, labels):
        scores = softmax(np.stack(outputs))
        return pd.DataFrame({
            "id": [e["id"] for e in examples], "gold": [e["label"] for e in examples],
            "prediction": [labels[i] for i in scores.argmax(axis=1)], "scores": list(scores.astype(np.float32)),
        })  # fmt: skip

    def baselines(self, train, test, labels):
        def frame(predictions):
            return pd.DataFrame(
                {"id": [e["id"] for e in test], "gold": [e["label"] for e in test], "prediction": predictions}
            )

        # uniform guessing, as its expectation would be met exactly: the labels in turn, against labels sorted by id
        rng = np.random.default_rng(0)
        counts = pd.Series([e["label"] for e in train]).value_counts()
        edges, names = _overlap_rule(train, labels)
        by_overlap = [names[np.searchsorted(edges, overlap(e["first"], e.get("second") or ""), "right")] for e in test]
        return {
            "uniform": frame([labels[i] for i in rng.integers(len(labels), size=len(test))]),
            "majority": frame([counts.index[0]] * len(test)),
            "overlap": frame(by_overlap),
        }


def _overlap_rule(train: list[dict], labels: tuple[str, ...], bins: int = 8) -> tuple[np.ndarray, list[str]]:
    """The most frequent label by quantile of word overlap."""
    value = np.array([overlap(e["first"], e.get("second") or "") for e in train])
    edges = np.unique(np.quantile(value, np.linspace(0, 1, bins + 1)[1:-1]))
    where = np.searchsorted(edges, value, "right")
    gold = pd.Series([e["label"] for e in train])
    common = gold.mode()[0]
    return edges, [gold[where == b].mode()[0] if (where == b).any() else common for b in range(len(edges) + 1)]


KIND = Classify()
