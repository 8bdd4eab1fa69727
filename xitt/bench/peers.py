"""The peer of training and inference: ``transformers.Trainer`` as its example scripts use it.

The same rows, initial weights, number of steps, batch size, precision, AdamW (no decay on biases and norms), linear schedule and
clipping as the engine; its collators pad each batch to its longest row.
"""

from __future__ import annotations

import tempfile
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..batching import EpochOrder, Features, Ragged, generator
from .machine import Memory, now
from .material import Material
from .settings import ALONE, BATCH, Settings
from .watch import Steps


def missing(settings: Settings) -> str | None:
    """Why the peer does not run, or ``None``."""
    if settings.alone:
        return ALONE
    return (
        None
        if find_spec("accelerate")
        else "transformers.Trainer needs the package accelerate: pip install 'xitt[bench]'"
    )


def batches_of(order: EpochOrder, steps: int) -> np.ndarray:
    """Rows of the engine's first steps, one after the other: read in order they make the same batches."""
    return np.concatenate([order[step] for step in range(steps)])


def grouped(features: Features, steps: int) -> np.ndarray:
    """Rows of ``steps`` batches that Trainer's own length grouping makes, drawn at random from all that it makes of these rows.

    It sorts within 50 batches and begins each such stretch with the longest rows: the first few batches alone would mislead.
    """
    import torch
    from transformers.trainer_pt_utils import LengthGroupedSampler

    lengths = features.ids.lengths.tolist()
    rows = np.array(list(LengthGroupedSampler(BATCH, lengths=lengths, generator=torch.Generator().manual_seed(0))))
    rows = rows[: len(rows) // BATCH * BATCH].reshape(-1, BATCH)
    return rows[generator(0, "grouped").permutation(len(rows))[:steps]].ravel()


def dataset(material: Material, rows: np.ndarray):
    """Rows as the example scripts hold them: token ids in Arrow, targets under the names that the models read."""
    from datasets import Dataset

    f = material.features
    columns: dict[str, Any] = {"input_ids": [f.ids[r] for r in rows]}
    if material.shape == "squad":
        columns["start_positions"], columns["end_positions"] = f.target[rows, 0], f.target[rows, 1]
    elif isinstance(f.target, Ragged):
        columns["labels"] = [f.target[r] for r in rows]
    else:
        columns["label"] = f.target[rows]
    return Dataset.from_dict(columns)


def collator(material: Material):
    """Dynamic padding, as in ``run_glue``, ``run_qa`` and ``run_ner``."""
    from transformers import DataCollatorForTokenClassification, DataCollatorWithPadding

    one = DataCollatorForTokenClassification if material.shape == "pos" else DataCollatorWithPadding
    return one(material.tokenizer)


def arguments(folder: str, device: str, precision: str, **more):
    """Arguments of the peer; nothing is saved, reported or drawn."""
    from transformers import TrainingArguments

    return TrainingArguments(
        folder, use_cpu=device == "cpu", bf16=precision == "bfloat16", tf32=False if device == "cuda" else None, report_to="none",
        save_strategy="no", disable_tqdm=True, dataloader_pin_memory=device == "cuda", seed=0, **more,
    )  # fmt: skip


def plain(model):
    """The model, in place, as ``transformers`` made it: the attention that it picks by itself, torch's own layers."""
    from .. import dropout, products

    model.config._attn_implementation = "sdpa"
    for module in model.modules():
        if type(module) in (dropout.Dropout, products.Linear):
            module.__class__ = type(module).__base__
    return model


def train(material: Material, model, rows: np.ndarray, hyper, device: str, precision: str) -> dict:
    """Train on rows in their order, ``BATCH`` at a time; raw figures of the run."""
    from transformers import Trainer

    data, steps = dataset(material, rows), len(rows) // BATCH
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = arguments(
            folder, device, precision, per_device_train_batch_size=BATCH, max_steps=steps, learning_rate=hyper.lr,
            weight_decay=hyper.weight_decay, adam_epsilon=hyper.eps, max_grad_norm=hyper.clip, warmup_steps=hyper.warmup_steps(steps),
            train_sampling_strategy="sequential", logging_strategy="no",
        )  # fmt: skip
        trainer = Trainer(plain(model), how, data_collator=collator(material), train_dataset=data)
        trainer.remove_callback(_printer())
        with Memory(device) as memory, Steps(steps, device) as clock:
            begin = now(device)
            done = trainer.train()
            whole = now(device) - begin
    return {
        "seconds": clock.seconds,
        "tokens": later_tokens(material, rows),
        "whole_seconds": whole,
        "peak_bytes": memory.peak,
        "loss": done.training_loss,
    }


def later_tokens(material: Material, rows: np.ndarray) -> int:
    """Real tokens of the steps after the first."""
    return int(material.features.ids.lengths[rows[BATCH:]].sum())


def predict(material: Material, model, rows: np.ndarray, device: str, precision: str) -> tuple[dict, list]:
    """Predict with the peer's defaults (8 rows a batch, in their order): raw figures, and the labels of each row."""
    from transformers import Trainer

    data = dataset(material, rows)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(plain(model), arguments(folder, device, precision), data_collator=collator(material))
        trainer.remove_callback(_printer())
        with Memory(device) as memory:
            begin = now(device)
            done = trainer.predict(data)
            seconds = now(device) - begin
    best = done.predictions.argmax(axis=-1)
    if material.shape == "pos":
        first = material.features.extra["first"]
        best = [best[i, first[r]] for i, r in enumerate(rows)]
    lengths = material.features.ids.lengths[rows]
    return {"seconds": seconds, "tokens": int(lengths.sum()), "peak_bytes": memory.peak}, list(best)


def _printer():
    from transformers import PrinterCallback

    return PrinterCallback
