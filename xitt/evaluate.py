"""Predictions of a trained model, kept on disk; scores from predictions.

All languages of a target go through the model in one length-sorted stream, without gradient.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from . import metrics, packing
from .batching import Features, Ragged, stream
from .data import Split
from .kinds import Kind
from .progress import Progress, tell


def run_model(model, kind: Kind, features: Features, device, pad: int, what: str = "") -> list:
    """Outputs of every unit, in order, as the kind decodes them.

    Where a batch does not fit the device's memory, it and all that follow are cut to half of the tokens; what fits is kept for the
    model's next evaluation.

    Raises
    ------
    torch.OutOfMemoryError
        If not even one unit fits.
    """
    import torch

    from . import products

    outputs: list = [None] * features.units
    lengths, tokens = features.unit_lengths, features.ids.lengths
    packed, size = packing.wanted(model, device.attention), _Fits(model, device)
    if packed:
        products.install(model)
    batches = deque(stream(lengths, features.group, size.tokens))
    progress, number = Progress(what, len(batches)) if what else None, 0
    # one context for all batches: it keeps the weights it has cast
    with torch.inference_mode(), device.autocast():
        while batches:
            units = batches.popleft()
            found = _try(model, kind, features, units, device, pad, packed)
            if found is None:
                rest = np.concatenate([units, *batches])
                cut = stream(lengths[rest], features.group, size.halve(units, lengths, features.group))
                batches = deque(rest[part] for part in cut)
                continue
            for unit, output in zip(units, found, strict=True):
                outputs[unit] = output
            number += 1
            if progress:
                progress.total = number + len(batches)
                progress.step(number, int(tokens[features.rows(units)].sum()))
    return outputs


def _try(model, kind: Kind, features: Features, units: np.ndarray, device, pad: int, packed: bool) -> list | None:
    """Outputs of some units, or nothing if there is not the memory for more than one."""
    import torch

    from .train import to_device

    try:
        batch = to_device(kind.batch(features, units, pad, packed=packed), device)
        return kind.outputs(kind.forward(model, batch), batch, features, units)
    except torch.OutOfMemoryError:
        if len(units) == 1:
            raise
        return None


class _Fits:
    """Tokens of a batch that fit a device with a model: what the study says, until less is found to be the most."""

    found: dict[tuple, int] = {}

    def __init__(self, model, device):
        config = model.config
        self.key = (
            device.name,
            type(model).__name__,
            config.hidden_size,
            config.num_hidden_layers,
            device.eval_batch_tokens,
        )
        self.tokens = self.found.get(self.key, device.eval_batch_tokens)

    def halve(self, units: np.ndarray, lengths: np.ndarray, group: int) -> int:
        """Half of a batch that did not fit, from now on."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.tokens = self.found[self.key] = max(1, int(lengths[units].max()) * group * len(units) // 2)
        tell(f"a batch does not fit the memory; evaluation goes on with {self.tokens:,} tokens at a time")
        return self.tokens


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
