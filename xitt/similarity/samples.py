"""Examples that measures read: a draw from a training set, and the vectors that its labels are about.

Every kind of task is brought into one form, labels of vectors, so that a measure is written once. A vector is what the kind's own head
reads: the first token of a row (classification, choices, dual encoders), the piece that starts a word (tagging), a token of the context
(spans), the mean over the tokens (mining). The labels are

==========  ================================================================================================
classify    the class
choose      whether this choice is the right one
tag         the tag of the word
span        whether the token is part of the answer; as many tokens outside of it are drawn as are inside
dual        whether query and candidate belong together: each with its own, and with its neighbour's
bitext      the same for sentences of the two languages; from the sample set, for there is nothing else
==========  ================================================================================================

The last two read the product of two unit vectors, element by element: its sum is the cosine that these tasks rank by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import data, encoded, phases
from ..batching import Features, Ragged, generator
from ..kinds import kind
from ..kinds.base import IGNORE
from ..study import Study
from .names import Undefined

#: raised when other examples are drawn or other labels made of them
VERSION = 1
PAIRS = ("bitext", "dual")  # kinds whose labels are about two vectors
MEAN = -1  # position that stands for the mean over the tokens


@dataclass(frozen=True)
class Sample:
    """Sequences, and labelled units in them.

    Attributes
    ----------
    ids : Ragged
        Token ids of the sequences.
    owner : ndarray (sequences,)
        Number of the example that a sequence belongs to, from 0.
    first, second : ndarray (units, 2)
        Sequence and position of a unit's vector (``MEAN``: the mean over the tokens); with ``second`` the unit is the product of two.
    label : ndarray (units,)
        Class, from 0.
    classes : int
    tuned : bool
        Whether vectors come from the last layer, as heads read them, or from the one that retrieval takes.
    """

    ids: Ragged
    owner: np.ndarray
    first: np.ndarray
    label: np.ndarray
    classes: int
    second: np.ndarray | None = None
    tuned: bool = True

    @property
    def example(self) -> np.ndarray:
        """Number of the example that each unit belongs to (units,)."""
        return self.owner[self.first[:, 0]]


# --- which data ------------------------------------------------------------------------------------------------------
def material(study: Study, target: str) -> tuple[str, tuple[data.Split, ...]]:
    """The task whose data stand for a target, and its splits: the training set, or the sample sets where nothing is trained.

    Raises
    ------
    Undefined
        If the target has neither; a test set is never read.
    """
    row = study.tasks[target]
    if row.train:
        return row.train, (data.load(study, row.train, "train"),)
    if "dev" not in row.source.splits:
        raise Undefined(f"{row.title} has neither training nor dev data")
    return row.name, tuple(data.load(study, row.name, "dev", x) for x in data.languages(study, row.name))


def features(study: Study, task: str, split: data.Split, tokenizer) -> Features:
    """A whole training set as the task's own training reads it, from disk where that has encoded it."""
    length = phases.hyper(study, task).length
    return encoded.features(study, kind(study.tasks[task].kind), split, tokenizer, length, data.labels(study, task))


def rows_of(study: Study, task: str, splits: tuple[data.Split, ...], tokenizer) -> list[Ragged]:
    """Token ids of all sequences of a task's splits."""
    if study.tasks[task].kind != "bitext":
        return [features(study, task, s, tokenizer).ids for s in splits]
    sides = [t for s in splits for side in kind("bitext").texts(s.examples) for t in side]
    return [encoded.texts(study, tokenizer, sides, study.params.retrieval.length)]


# --- a draw ----------------------------------------------------------------------------------------------------------
def draw(study: Study, task: str, splits: tuple[data.Split, ...], tokenizer, count: int) -> Sample:
    """``count`` examples of a task (fewer where it has fewer), the same ones for every encoder.

    Raises
    ------
    Undefined
        If the kind of task has no labels of this form.
    """
    name = study.tasks[task].kind
    if name == "bitext":
        return _bitext(study, splits, tokenizer, count)
    if name not in _UNITS:
        raise Undefined(f"{study.tasks[task].title} (kind {name}) has no labels")
    whole = features(study, task, splits[0], tokenizer)
    chosen = np.sort(generator(0, f"similarity {task}").permutation(whole.units)[:count])
    rows = whole.rows(chosen)
    ids, owner = Ragged.of([whole.ids[r] for r in rows]), np.repeat(np.arange(len(chosen)), whole.group)
    first, label, second = _UNITS[name](whole, chosen, rows)
    if len(chosen) < 2 or len(np.unique(label)) < 2:
        raise Undefined(f"{study.tasks[task].title}: {len(chosen)} examples with fewer than two labels")
    classes = max(len(data.labels(study, task)), int(label.max(initial=0)) + 1, 2)
    return Sample(ids, owner, first, label, classes, second)


def _classify(whole: Features, chosen: np.ndarray, rows: np.ndarray):
    return _starts(len(rows)), whole.target[chosen].astype(np.int64), None


def _choose(whole: Features, chosen: np.ndarray, rows: np.ndarray):
    right = np.arange(whole.group)[None] == whole.target[chosen][:, None]
    return _starts(len(rows)), right.astype(np.int64).ravel(), None


def _tag(whole: Features, chosen: np.ndarray, rows: np.ndarray):
    places = [whole.extra["first"][r] for r in rows]
    label = np.concatenate([whole.target[r][p] for r, p in zip(rows, places, strict=True)]).astype(np.int64)
    assert (label != IGNORE).all()
    return _at(places), label, None


def _span(whole: Features, chosen: np.ndarray, rows: np.ndarray):
    rng, places, labels = generator(0, "similarity span"), [], []
    for r in rows:
        (start, end), (low, high) = whole.target[r], whole.extra["context"][r]
        inside = np.arange(start, end + 1) if start else np.arange(0)
        outside = np.setdiff1d(np.arange(low, high), inside)
        outside = np.sort(rng.permutation(outside)[: len(inside)])
        places.append(np.concatenate([inside, outside]))
        labels.append(np.repeat([1, 0], [len(inside), len(outside)]))
    return _at(places), np.concatenate(labels), None


def _dual(whole: Features, chosen: np.ndarray, rows: np.ndarray):
    return _pairs(np.arange(0, len(rows), 2), np.arange(1, len(rows), 2), 0)


_UNITS = {"classify": _classify, "choose": _choose, "tag": _tag, "span": _span, "dual": _dual}


def _bitext(study: Study, splits: tuple[data.Split, ...], tokenizer, count: int) -> Sample:
    """Gold pairs of mined corpora, the same number of each language."""
    share, texts = -(-count // len(splits)), []
    for s in splits:
        by_id = [dict(s.examples[0][side]) for side in ("first", "second")]
        gold = s.examples[0]["gold"]
        for i in np.sort(generator(0, f"similarity {s.language}").permutation(len(gold))[:share]):
            texts += [by_id[0][gold[i][0]], by_id[1][gold[i][1]]]
    ids = encoded.texts(study, tokenizer, texts, study.params.retrieval.length)
    first, label, second = _pairs(np.arange(0, len(texts), 2), np.arange(1, len(texts), 2), MEAN)
    return Sample(ids, np.arange(len(texts)) // 2, first, label, 2, second, tuned=False)


def _pairs(query: np.ndarray, candidate: np.ndarray, at: int):
    """Every query with its own candidate (1) and with that of its neighbour (0)."""
    first, second = np.tile(query, 2), np.concatenate([candidate, np.roll(candidate, -1)])
    place = np.full(len(first), at)
    return np.stack([first, place], axis=1), np.repeat([1, 0], len(query)), np.stack([second, place], axis=1)


def _starts(rows: int) -> np.ndarray:
    return np.stack([np.arange(rows), np.zeros(rows, np.int64)], axis=1)


def _at(places: list[np.ndarray]) -> np.ndarray:
    row = np.repeat(np.arange(len(places)), [len(p) for p in places])
    return np.stack([row, np.concatenate(places).astype(np.int64)], axis=1)
