"""Multiple choice (sentence completion, question answering with options).

Fields: ``prompt``, ``choices`` (list of texts), ``label`` (index). Predictions: ``gold`` and ``prediction`` are indices
as text, ``scores`` the probabilities of the choices.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import packing
from ..batching import Features, Ragged
from ..errors import DataError
from .base import Kind, overlap, softmax


class Choose(Kind):
    """Each choice is a pair with the prompt and gets one score; softmax over the choices. Long prompts lose their start."""

    name = "choose"
    auto_class = "AutoModelForMultipleChoice"

    def labels(self, labels):
        return {"num_labels": 1}  # not those of the task before

    def encode(self, examples, tokenizer, length, labels):
        sizes = {len(e["choices"]) for e in examples}
        if len(sizes) != 1:
            raise DataError(f"multiple choice: examples have different numbers of choices: {sorted(sizes)}")
        group = sizes.pop()
        prompts = [e["prompt"] for e in examples for _ in range(group)]
        choices = [c for e in examples for c in e["choices"]]
        side, tokenizer.truncation_side = tokenizer.truncation_side, "left"
        try:
            ids = tokenizer(prompts, choices, truncation="longest_first", max_length=length)["input_ids"]
        finally:
            tokenizer.truncation_side = side
        example = np.repeat(np.arange(len(examples)), group)
        return Features(Ragged.of(ids), example, np.array([e["label"] for e in examples]), group)

    def forward(self, model, batch):
        if "starts" in batch:
            return self.forward_packed(model, batch)
        ids, mask = batch["input_ids"], batch["attention_mask"]
        units = batch["target"].shape[0]
        shape = (units, ids.shape[0] // units, ids.shape[1])
        return model(input_ids=ids.view(shape), attention_mask=mask.view(shape)).logits

    def forward_packed(self, model, batch):
        pooled = model.base_model.pooler(packing.first(model, batch))
        return model.classifier(model.dropout(pooled)).view(batch["target"].shape[0], -1)

    def decode(self, examples, features, outputs, labels):
        scores = softmax(np.stack(outputs))
        return pd.DataFrame({
            "id": [e["id"] for e in examples], "gold": [str(e["label"]) for e in examples],
            "prediction": [str(i) for i in scores.argmax(axis=1)], "scores": list(scores.astype(np.float32)),
        })  # fmt: skip

    def baselines(self, train, test, labels):
        def frame(predictions):
            return pd.DataFrame(
                {
                    "id": [e["id"] for e in test],
                    "gold": [str(e["label"]) for e in test],
                    "prediction": [str(p) for p in predictions],
                }
            )

        rng = np.random.default_rng(0)
        most = pd.Series([e["label"] for e in train]).mode()[0]
        return {
            "uniform": frame([rng.integers(len(e["choices"])) for e in test]),
            "majority": frame([most] * len(test)),
            "overlap": frame([int(np.argmax([overlap(e["prompt"], c) for c in e["choices"]])) for e in test]),
        }


KIND = Choose()
