"""What a few steps of fine-tuning on the target reach: the study's own loop, cut short."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..batching import EpochOrder, generator, torch_seed
from .names import Undefined


class Few:
    """Batches of some units of a training set alone (an order for :func:`xitt.train.fit`)."""

    def __init__(self, chosen: np.ndarray, batch: int, steps: int, seed: int):
        self.chosen, self.steps = chosen, steps
        self.order = EpochOrder(len(chosen), batch, steps, seed)

    def __getitem__(self, step: int) -> np.ndarray:
        return self.chosen[self.order[step]]


def few_steps(bench, recipe: str, target: str, seed: int) -> float:
    """Dev score of the target's task (percent, English) after a few steps on a few examples of its training set.

    The few-shot fine-tuning of Poth et al. 2021: head, rate, batch and loop are those of the study's fine-tuning, ``similarity.steps``
    steps on ``similarity.examples`` examples; dev and training set are the target's, no test set is read.
    """
    from .. import backbone, data, encoded, phases, train
    from ..kinds import kind
    from ..runs import device

    study = bench.study
    row = study.tasks[target]
    if not row.train or "dev" not in study.tasks[row.train].source.splits:
        raise Undefined(f"{row.title} is not trained, or has no dev set to score")
    row, encoder = study.tasks[row.train], bench.encoder(recipe, seed)
    h = replace(phases.hyper(study, row.name), max_steps=None)
    k, where, tokenizer = kind(row.kind), device(study), backbone.load_tokenizer(encoder.path)
    labels = data.labels(study, row.name)
    features = encoded.features(study, k, data.load(study, row.name, "train"), tokenizer, h.length, labels)
    model = backbone.new_model(encoder.path, k.auto_class, torch_seed(seed, "init"), **k.labels(labels))
    k.head(model)
    wanted = study.params.similarity
    chosen = generator(0, f"similarity {row.name}").permutation(features.units)[: wanted.examples]
    order = Few(np.sort(chosen), h.batch, wanted.steps, seed)
    what = f"{recipe} > {row.name}: {wanted.steps} steps"
    with tempfile.TemporaryDirectory() as aside:
        train.fit(model, k, features, order, h, seed, where, Path(aside), tokenizer.pad_token_id, what)
    return phases.DevScore(study, row.name, tokenizer, h, where)(model)
