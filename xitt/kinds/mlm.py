"""Masked language modelling on raw text.

Fields: ``text``. The pieces to predict are drawn afresh each time a text is seen: 80 % become ``<mask>``, 10 % a random piece,
10 % stay (Devlin et al. 2019, section 3.1).
"""

from __future__ import annotations

import numpy as np

from .. import packing
from ..batching import Features, Ragged
from .base import IGNORE, Kind, padded


class MaskedLM(Kind):
    """MLM; ``extra`` of the features carries the share of pieces masked and the vocabulary's bounds."""

    name = "mlm"
    version = 2  # masks are drawn row by row
    auto_class = "AutoModelForMaskedLM"
    pretrained_head = True

    def labels(self, labels):
        return {"num_labels": 2}  # not those of the task before

    def encode(self, examples, tokenizer, length, labels=(), masked: float = 0.15):
        texts = [e["text"] for e in examples]
        seconds = [e.get("second") for e in examples]
        pair = (texts, seconds) if seconds and seconds[0] is not None else (texts,)
        ids = tokenizer(*pair, truncation="longest_first", max_length=length)["input_ids"]
        extra = {
            "masked": masked,
            "mask_id": tokenizer.mask_token_id,
            "vocabulary": len(tokenizer),
            "special": np.array(sorted(tokenizer.all_special_ids)),
        }
        return Features(Ragged.of(ids), np.arange(len(examples)), None, extra=extra)

    def batch(self, features, units, pad, draw=(0,), packed=False):
        """Packed, the masked places alone have targets: ``at`` is where in the row they are."""
        rows = features.rows(units)
        if packed:
            batch = packing.pack(features.ids, rows, pad)
            rows = rows[packing.order(features.ids.lengths[rows])]
        else:
            batch = padded(features.ids, rows, pad)
        ids, chosen = draw_masks(features, rows, draw)
        target = features.ids.flat(rows).astype(np.int64)
        if packed:
            return {**batch, "input_ids": ids[None], "at": np.flatnonzero(chosen), "target": target[chosen]}
        inside = batch["attention_mask"] == 1
        batch["input_ids"][inside] = ids
        batch["target"] = np.full(inside.shape, IGNORE)
        batch["target"][inside] = np.where(chosen, target, IGNORE)
        return batch

    def forward(self, model, batch):
        """Logits of the masked places only: the vocabulary is the largest matrix of a small model."""
        if "starts" in batch:
            return model.lm_head(packing.encode(model, batch, batch["at"]))
        hidden = model.base_model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        return model.lm_head(hidden[batch["target"] != IGNORE])

    def loss(self, logits, target):
        return super().loss(logits, target if target.dim() == 1 else target[target != IGNORE])


def draw_masks(features: Features, rows: np.ndarray, draw: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of some rows one behind the other, with pieces masked, and which places were chosen.

    The three numbers in [0, 1) for each place are drawn row by row: how a batch is cut does not change them.
    """
    ids, extra = features.ids.flat(rows).astype(np.int64), features.extra
    dice = [np.random.default_rng([*draw, row]).random((3, length))
            for row, length in zip(rows, features.ids.lengths[rows], strict=True)]  # fmt: skip
    pick, fate, piece = np.concatenate(dice, axis=1)
    chosen = (pick < extra["masked"]) & ~np.isin(ids, extra["special"])
    ids[chosen & (fate < 0.8)] = extra["mask_id"]
    other = chosen & (fate >= 0.9)
    first, last = len(extra["special"]), extra["vocabulary"] - 1
    ids[other] = (first + piece * (last - first)).astype(np.int64)[other]
    return ids, chosen


KIND = MaskedLM()
