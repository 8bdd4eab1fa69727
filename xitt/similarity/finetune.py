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
    row = bench.study.tasks[target]
    if not row.train or "dev" not in bench.study.tasks[row.train].source.splits:
        raise Undefined(f"{row.title} is not trained, or has no dev set to score")
    encoder = bench.encoder(recipe, seed)
    name = f"steps of {encoder.weights[:12]}, seed {seed}, on {row.train}"  # of all targets that are trained on the same set
    return bench.piece(name, lambda: _tuned(bench.study, encoder, row.train, f"{recipe} > {row.train}", seed))


def _tuned(study, encoder, task: str, what: str, seed: int) -> float:
    from .. import backbone, data, encoded, phases, train
    from ..kinds import kind
    from ..runs import device

    wanted, row = study.params.similarity, study.tasks[task]
    h = replace(phases.hyper(study, task), max_steps=None)
    k, where, tokenizer = kind(row.kind), device(study), backbone.load_tokenizer(encoder.path)
    labels = data.labels(study, task)
    features = encoded.features(study, k, data.load(study, task, "train"), tokenizer, h.length, labels)
    model = backbone.new_model(encoder.path, k.auto_class, torch_seed(seed, "init"), **k.labels(labels))
    k.head(model)
    chosen = generator(0, f"similarity {task}").permutation(features.units)[: wanted.examples]
    order = Few(np.sort(chosen), h.batch, wanted.steps, seed)
    with tempfile.TemporaryDirectory() as aside:
        train.fit(model, k, features, order, h, seed, where, Path(aside), tokenizer.pad_token_id, f"{what}: {wanted.steps} steps")  # fmt: skip
    return phases.DevScore(study, task, tokenizer, h, where)(model)
