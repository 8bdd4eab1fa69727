"""What measures share within one process: encoders, draws of examples, what encoders make of them; each made once, and timed."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np

from .. import data, phases, scoring
from ..backbone import Encoder, load_encoder, load_tokenizer
from ..runs import device
from ..study import Study
from . import fisher, heads, samples, sets, states
from .names import Undefined


class Bench:
    """Shared pieces of the measures of one study.

    Attributes
    ----------
    seconds : dict of str to float
        Piece → seconds that it took, without the pieces that it is made of.
    used : set of str
        Pieces that were asked for since it was last emptied: what a measure is made of.
    """

    def __init__(self, study: Study):
        self.study, self.count = study, study.params.similarity.examples
        self.seconds: dict[str, float] = {}
        self.used: set[str] = set()
        self._made: dict[str, object] = {}
        self._model: tuple[str, object] | None = None
        self._encoders: dict[tuple[str, int], Encoder | None] = {}
        self._under: list[float] = []  # seconds of pieces made while another is made

    def piece(self, name: str, make):
        """A shared piece: made once, its time noted, what it is made of noted with it."""
        if name not in self._made:
            outer, self.used = self.used, set()
            self._under.append(0.0)
            begin = time.perf_counter()
            value = make()
            took = time.perf_counter() - begin
            self.seconds[name] = took - self._under.pop()
            if self._under:
                self._under[-1] += took
            self._made[name] = value, frozenset({name, *self.used})
            self.used = outer
        value, parts = self._made[name]
        self.used |= parts
        return value

    # --- encoders ----------------------------------------------------------------------------------------------------
    @cached_property
    def backbone(self) -> Encoder:
        return self.study.backbone()

    def encoder(self, recipe: str, seed: int) -> Encoder:
        """The encoder that a recipe left; nothing is trained here.

        Raises
        ------
        Undefined
            If it is not there.
        """
        if (recipe, seed) not in self._encoders:
            self._encoders[recipe, seed] = phases.trained(self.study, recipe, seed)
        found = self._encoders[recipe, seed]
        if found is None:
            raise Undefined(f"{recipe}, seed {seed}, is not trained yet")
        if not (found.path / "config.json").is_file():
            raise Undefined(f"{recipe}, seed {seed}: its weights were not kept (keep: {self.study.params.keep})")
        return found

    def model(self, encoder: Encoder):
        """An encoder in memory, and its tokenizer; one is held at a time."""
        if self._model is None or self._model[0] != str(encoder.path):
            self._model = str(encoder.path), (load_encoder(encoder.path), load_tokenizer(encoder.path))
        model, tokenizer = self._model[1]
        return model.to(device(self.study).name), tokenizer

    # --- data --------------------------------------------------------------------------------------------------------
    def source(self, recipe: str) -> list:
        """Tasks that a recipe is trained on, with their training sets."""
        return sets.source(self.study, recipe)

    def material(self, target: str):
        """The task and the splits that stand for a target."""
        return samples.material(self.study, target)

    def counts(self, parts: list, name: str) -> np.ndarray:
        """How often each piece occurs in some training sets."""
        found = [self._counted(task, (split,)) for task, split in parts]
        return np.sum(found, axis=0)

    def target_counts(self, target: str) -> np.ndarray:
        """How often each piece occurs in the data that stand for a target."""
        return self._counted(*self.material(target))

    def _counted(self, task: str, splits: tuple[data.Split, ...]) -> np.ndarray:
        _, tokenizer = self.model(self.backbone)
        rows = lambda: samples.rows_of(self.study, task, splits, tokenizer)  # noqa: E731
        return self.piece(f"pieces of {_named(task, splits)}", lambda: sets.counts(rows(), len(tokenizer)))

    # --- what encoders make of examples --------------------------------------------------------------------------------
    def read(self, encoder: Encoder, task: str, splits: tuple[data.Split, ...]) -> states.Read:
        """One pass of an encoder over a draw of examples."""
        return self.piece(
            f"{encoder.weights[:12]} reads {_named(task, splits)}", lambda: self._read(encoder, task, splits)
        )

    def _read(self, encoder: Encoder, task: str, splits: tuple[data.Split, ...]) -> states.Read:
        model, tokenizer = self.model(encoder)
        sample = samples.draw(self.study, task, splits, tokenizer, self.count)
        return states.read(model, tokenizer.pad_token_id, sample, device(self.study), self._layer(model, task, sample))

    def _layer(self, model, task: str, sample: samples.Sample) -> int | None:
        return None if sample.tuned else scoring.layer_of(self.study, task, model.config.num_hidden_layers)

    def target(self, recipe: str, target: str, seed: int) -> states.Read:
        """What a recipe's encoder makes of a target's examples."""
        return self.read(self.encoder(recipe, seed), *self.material(target))

    def text(self, task: str, split: data.Split) -> np.ndarray:
        """Text embedding of a training set."""
        return self.read(self.backbone, task, (split,)).text

    def target_text(self, target: str) -> np.ndarray:
        """Text embedding of a target."""
        return self.read(self.backbone, *self.material(target)).text

    # --- heads and task embeddings -------------------------------------------------------------------------------------
    def heads(self, recipe: str, seed: int) -> list[heads.Head]:
        """Heads of a recipe's tasks, fitted on their own training data and the recipe's encoder.

        Raises
        ------
        Undefined
            If a task's labels are about pairs of vectors, or it has none.
        """
        encoder = self.encoder(recipe, seed)
        return [self._head(encoder, task, (split,)) for task, split in self.source(recipe)]

    def _head(self, encoder: Encoder, task: str, splits: tuple[data.Split, ...]) -> heads.Head:
        found = self.read(encoder, task, splits)
        name = f"head of {encoder.weights[:12]} for {_named(task, splits)}"
        return self.piece(name, lambda: heads.fit(found.values, found.sample.label, found.sample.classes))

    def embedding(self, task: str, splits: tuple[data.Split, ...]) -> list[np.ndarray]:
        """Task embedding on the encoder before any training."""
        return self.piece(f"embedding of {_named(task, splits)}", lambda: self._embedding(task, splits))

    def _embedding(self, task: str, splits: tuple[data.Split, ...]) -> list[np.ndarray]:
        head, sample = self._head(self.backbone, task, splits), self.read(self.backbone, task, splits).sample
        model, tokenizer = self.model(self.backbone)
        layer = self._layer(model, task, sample)
        return fisher.diagonal(model, tokenizer.pad_token_id, sample, head, device(self.study), layer)

    def embeddings(self, recipe: str, target: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Task embeddings of an intermediate recipe and of a target."""
        own = fisher.mean_of([(self.embedding(t, (s,)), len(s)) for t, s in self.source(recipe)])
        return own, self.embedding(*self.material(target))


def _named(task: str, splits: tuple[data.Split, ...]) -> str:
    return f"{task} {splits[0].split} {splits[0].fingerprint[:8]}"
