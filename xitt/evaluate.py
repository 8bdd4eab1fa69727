"""Predictions of a trained model, kept on disk; scores from predictions.

All languages of a target go through the model in one length-sorted stream, without gradient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import metrics, packing
from .batching import Features, Ragged, stream
from .data import Split
from .kinds import Kind
from .progress import Progress


def run_model(model, kind: Kind, features: Features, device, pad: int, what: str = "") -> list:
    """Outputs of every unit, in order, as the kind decodes them."""
    import torch

    from .train import to_device

    outputs: list = [None] * features.units
    batches = stream(features.unit_lengths, features.group, device.eval_batch_tokens)
    progress = Progress(what, len(batches)) if what else None
    lengths, packed = features.ids.lengths, packing.wanted(model, device.attention)
    with torch.inference_mode():
        for number, units in enumerate(batches, 1):
            batch = to_device(kind.batch(features, units, pad, packed=packed), device)
            with device.autocast():
                logits = kind.forward(model, batch)
            for unit, output in zip(units, kind.outputs(logits, batch, features, units), strict=True):
                outputs[unit] = output
            if progress:
                progress.step(number, int(lengths[features.rows(units)].sum()))
    return outputs


def predict(
    model,
    kind: Kind,
    tokenizer,
    splits: list[Split],
    length: int,
    labels,
    device,
    what: str = "",
    pool: Split | None = None,
    encode=None,
) -> dict:
    """Predictions frame per language of some splits, from one stream; ``pool`` are the candidates of a kind that ranks.

    Parameters
    ----------
    encode : callable, optional
        (kind, split, tokenizer, length, labels) → features, in place of the kind's own (``xitt.encoded``).

    Returns
    -------
    dict of str to DataFrame
        Language → ``id, gold, prediction`` and the kind's own columns, one row per example.
    """
    read = [*splits, *([pool] if pool else [])]
    if encode is None:
        encoded = [kind.encode(s.examples, tokenizer, length, labels) for s in read]
    else:
        encoded = [encode(kind, s, tokenizer, length, labels) for s in read]
    together = _concatenate(encoded)
    outputs = run_model(model, kind, together, device, tokenizer.pad_token_id, what)
    parts, start = [], 0
    for features in encoded:
        parts.append(outputs[start : start + features.units])
        start += features.units
    more = {"pool": (pool.examples, parts.pop())} if pool else {}
    return {s.language: kind.decode(s.examples, f, part, labels, **more)
            for s, f, part in zip(splits, encoded, parts, strict=False)}  # fmt: skip


def _concatenate(parts: list[Features]) -> Features:
    """Several encoded sets as one; only what a forward pass reads is joined."""

    def join(values):
        if isinstance(values[0], Ragged):
            offsets = np.concatenate([[0], np.cumsum(np.concatenate([v.lengths for v in values]))])
            return Ragged(np.concatenate([v.values for v in values]), offsets)
        return [x for v in values for x in v] if isinstance(values[0], list) else np.concatenate(values)

    extra = {k: join([p.extra[k] for p in parts]) for k in parts[0].extra}
    return Features(
        join([p.ids for p in parts]),
        join([p.example for p in parts]),
        join([p.target for p in parts]),
        parts[0].group,
        extra,
    )


def scores(row, frame, language: str = "en") -> dict[str, float]:
    """Every metric of a task's predictions in one language, in percent."""
    return {m: metrics.find(row.kind, m, row.answer_rules, language).score(frame) for m in row.metrics}


def write_predictions(frame, path: Path) -> None:
    """One parquet file of predictions (columns documented in ``xitt.kinds``)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, compression="zstd")


def read_predictions(path: Path):
    """A predictions frame as it was written."""
    import pandas as pd

    return pd.read_parquet(path)
