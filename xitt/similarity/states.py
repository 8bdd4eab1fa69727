"""One pass of an encoder over a sample: the vectors of its units, and the mean vector of its texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..batching import stream
from .samples import Sample

#: raised when the numbers change
VERSION = 1


@dataclass(frozen=True)
class Read:
    """What an encoder makes of a sample.

    Attributes
    ----------
    values : ndarray (units, width)
        float32.
    text : ndarray (width,)
        Mean over the sequences of the mean over their tokens, last layer.
    """

    sample: Sample
    values: np.ndarray
    text: np.ndarray


def read(model, pad: int, sample: Sample, device, layer: int | None = None) -> Read:
    """Run an encoder over a sample without gradient.

    Parameters
    ----------
    layer : int, optional
        Index into ``hidden_states`` that units take their vectors from; the last where not given.
    """
    import torch

    from ..train import to_device

    ids, width = sample.ids, model.config.hidden_size
    sides = [sample.first] if sample.second is None else [sample.first, sample.second]
    found = [np.empty((len(s), width), np.float32) for s in sides]
    texts = np.zeros(width)
    with torch.inference_mode(), device.autocast():
        for rows in stream(ids.lengths, 1, device.eval_batch_tokens):
            matrix = ids.padded(rows, pad).astype(np.int64)
            mask = (np.arange(matrix.shape[1])[None] < ids.lengths[rows][:, None]).astype(np.int64)
            batch = to_device({"input_ids": matrix, "attention_mask": mask}, device)
            made = model(**batch, output_hidden_states=layer is not None)
            last = made.last_hidden_state.float()
            texts += means(last, batch["attention_mask"]).sum(0).cpu().numpy()
            state = last if layer is None else made.hidden_states[layer].float()
            table = with_mean(state, batch["attention_mask"])
            place = np.full(len(ids), -1)
            place[rows] = np.arange(len(rows))
            for side, out in zip(sides, found, strict=True):
                here = place[side[:, 0]] >= 0
                at = torch.from_numpy(np.stack([place[side[here, 0]], side[here, 1]])).to(table.device)
                out[here] = table[at[0], at[1]].cpu().numpy()
    values = found[0] if len(found) == 1 else _unit(found[0]) * _unit(found[1])
    return Read(sample, values, texts / len(ids))


def means(state, mask):
    """Mean over the real tokens (rows, width)."""
    weight = mask[:, :, None].to(state.dtype)
    return (state * weight).sum(1) / weight.sum(1)


def with_mean(state, mask):
    """States (rows, tokens + 1, width) with the mean over the tokens behind the last: position ``samples.MEAN`` finds it."""
    import torch

    return torch.cat([state, means(state, mask)[:, None]], dim=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
