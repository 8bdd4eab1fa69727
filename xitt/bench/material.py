"""What is worked on: models of a size with random weights, and rows of a shape.

Rows come from a data folder, else from the pocket world, else (models that are no pocket) they are random pieces whose lengths
follow stored quantiles of real sets. Which, every result says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import data
from ..backbone import quiet, save_model
from ..batching import Features, Ragged, generator, torch_seed
from ..build import new_backbone, train_tokenizer
from ..kinds import Kind, kind
from ..schema import Build
from .settings import SHAPES, SIZES, Settings

#: rows read at most: enough for the longest run, and for length grouping to find rows alike
ROWS = 8000
#: tokens per row at quantiles 0, 0.05, … 1, measured with a Unigram tokenizer of 16,000 pieces on 1,000 pairs of MNLI, 4,000 windows (384) of
#: SQuAD v1.1's training set and 4,000 sentences of UD English's; XLM-R's larger vocabulary makes somewhat fewer pieces
LENGTHS = {
    "nli": (11, 19, 22, 25, 28, 30, 33, 35, 38, 41, 43, 46, 49, 52, 55, 59, 63, 68, 74, 85, 205),
    "squad": (43, 71, 87, 99, 110, 119, 128, 137, 146, 155, 165, 176, 184, 195, 206, 217, 236, 260, 283, 322, 384),
    "pos": (3, 7, 9, 11, 13, 15, 17, 19, 20, 22, 24, 27, 29, 31, 34, 36, 40, 45, 51, 62, 223),
}  # fmt: skip
LABELS = {"nli": ("entailment", "neutral", "contradiction"), "squad": (), "pos": tuple(f"T{i:02d}" for i in range(17))}


@dataclass(frozen=True)
class Material:
    """Rows of one shape, and how a model reads them."""

    shape: str
    kind: Kind
    features: Features
    labels: tuple[str, ...]
    tokenizer: Any
    source: str
    encoder: Path
    attention_dropout: bool = True
    examples: tuple = ()

    @property
    def pad(self) -> int:
        return self.tokenizer.pad_token_id


def make(settings: Settings, shape: str, folder: Path) -> Material:
    """Rows of a shape, in an order that does not depend on their source's.

    Parameters
    ----------
    folder : pathlib.Path
        Where the encoder with its tokenizer is kept while the benchmark runs.
    """
    name, task, split, length = SHAPES[shape]
    study, k = settings.study(), kind(name)
    tokenizer = tokenizer_of(settings)
    path = encoder(settings, folder, tokenizer)
    if settings.source == "lengths":
        features = random_rows(shape, k, SIZES[settings.size].vocabulary)
        examples, labels = (), LABELS[shape]
    else:
        examples, labels = sample(settings, task, split, ROWS), data.labels(study, task)
        features = k.encode(examples, tokenizer, length, labels)
    return Material(
        shape, k, features, labels, tokenizer, settings.source, path, settings.attention_dropout, tuple(examples)
    )


def sample(settings: Settings, task: str, split: str, most: int | None) -> list[dict]:
    """Examples of all languages that are there, shuffled."""
    study = settings.study()
    languages = data.languages(study, task) if split == "test" else ("en",)
    found = [e for x in languages for e in data.load(study, task, split, x).examples]
    order = generator(0, f"bench {task}").permutation(len(found))
    return [found[i] for i in order[:most]]


# --- models --------------------------------------------------------------------------------------------------------
def encoder(settings: Settings, folder: Path, tokenizer) -> Path:
    """Folder of an encoder of the size with random weights, in Hugging Face layout: the engine opens it like any other."""
    quiet()
    path = folder / f"encoder-{settings.size}-{settings.source}"
    if not path.is_dir():
        a = SIZES[settings.size]
        recipe = Build(text="pocket", architecture=a)
        model = new_backbone(
            recipe, range(max(a.vocabulary, len(tokenizer)))
        )  # the vocabulary is the size's, whatever part of it is used
        save_model(model, tokenizer, path, "random weights, for measuring\n")
    return path


def new_model(material: Material, dropout: bool = True):
    """A task model as the engine makes it, the same one each time."""
    from .. import backbone

    more = {} if dropout else {"hidden_dropout_prob": 0.0}
    more |= {} if dropout and material.attention_dropout else {"attention_probs_dropout_prob": 0.0}
    model = backbone.new_model(
        material.encoder,
        material.kind.auto_class,
        torch_seed(0, "init"),
        **material.kind.labels(material.labels),
        **more,
    )
    material.kind.head(model)
    return model


# --- tokenizers ----------------------------------------------------------------------------------------------------
def tokenizer_of(settings: Settings):
    """A Unigram tokenizer in XLM-R's form, trained on the very texts; with random rows one that only knows how to pad."""
    return (
        _bare_tokenizer()
        if settings.source == "lengths"
        else _trained_tokenizer(settings.data, settings.root, min(16_000, SIZES[settings.size].vocabulary))
    )


@lru_cache(maxsize=2)
def _trained_tokenizer(folder: Path | None, root: Path, vocabulary: int):
    settings = Settings(root, data=folder, size="pocket" if folder is None else "small")
    lines = {task: [{"text": t} for e in sample(settings, task, split, 4000) for t in texts(e)]
             for task, split in (("xnli", "test"), ("squad_v1", "train"), ("udpos", "train"), ("udpos", "test"))}  # fmt: skip
    return train_tokenizer(lines, vocabulary, 512, 1.0)


def texts(example: dict) -> list[str]:
    """Running text of an example."""
    if "tokens" in example:
        return [" ".join(example["tokens"])]
    return [example[key] for key in ("first", "second", "context", "question") if example.get(key)]


def _bare_tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")), bos_token="<s>", eos_token="</s>", sep_token="</s>",
        cls_token="<s>", unk_token="<unk>", pad_token="<pad>", model_max_length=512, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


# --- rows of random pieces -----------------------------------------------------------------------------------------
def random_rows(shape: str, k: Kind, vocabulary: int, rows: int = ROWS) -> Features:
    """Random pieces in rows as long as real ones."""
    rng = generator(0, f"bench {shape}")
    points = np.linspace(0, 1, len(LENGTHS[shape]))
    lengths = np.rint(np.interp(rng.random(rows), points, LENGTHS[shape])).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = Ragged(rng.integers(5, vocabulary, offsets[-1]).astype(np.int32), offsets)
    ids.values[offsets[:-1]], ids.values[offsets[1:] - 1] = 0, 2
    example = np.arange(rows)
    if shape == "nli":
        return Features(ids, example, rng.integers(0, 3, rows))
    if shape == "squad":
        first = np.minimum(lengths - 2, 15)
        start = first + rng.integers(0, lengths - 1 - first)
        end = np.minimum(start + rng.integers(0, 4, rows), lengths - 2)
        places = [np.stack([np.arange(n), np.arange(n) + 1], 1).astype(np.int32) for n in lengths - 1 - first]
        extra = {"context": np.stack([first, lengths - 1], 1), "offsets": places}
        return Features(ids, example, np.stack([start, end], 1), extra=extra)
    words = [np.flatnonzero(rng.random(n - 2) < 0.75) + 1 for n in lengths]
    words = [w if len(w) else np.array([1]) for w in words]
    target = np.full(offsets[-1], -100, np.int32)
    for begin, at in zip(offsets, words, strict=False):
        target[begin + at] = rng.integers(0, len(LABELS[shape]), len(at))
    return Features(ids, example, Ragged(target, offsets), extra={"first": Ragged.of(words)})
