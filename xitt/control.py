"""Training sets that hold nothing to learn: what an intermediate task changes by being trained at all.

``+control=labels`` deals the gold labels of the training set out again at random, so that texts and label frequencies stay and what
connects them goes: the randomisation test of Zhang et al. 2017 (*Understanding deep learning requires rethinking generalization*,
section 2). Labels are permuted, not drawn, so that their frequencies are exactly those of the task.

``+control=text`` keeps labels, the number of words of each text and how often words occur, and draws each word anew from all words
of the set: no order, no meaning, as in the unigram corpus of Sinha et al. 2021 (*Masked Language Modeling and the Distributional
Hypothesis*) and the Zipfian baseline of Papadimitriou & Jurafsky 2020 (*Learning Music Helps You Read*). What a label says of the
length of its texts is left.

``+control=blank`` and ``+control=shuffled`` are of captions with images: the same captions (and labels) with a plain grey image, or with the
images dealt out again (``xitt.vision``).

A control has no dev score: its labels mean nothing there. The weights after the last step are handed on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import numpy as np

from . import data, vision
from .batching import generator
from .errors import ParameterError
from .recipes import CONTROLS
from .study import Study, fingerprint

_WORD = re.compile(r"\S+")
#: text fields of the kinds, in their order
TEXTS = {"classify": ("first", "second"), "choose": ("prompt", "choices"), "mlm": ("text", "second"),
         "span": ("context", "question"), "tag": ("tokens",)}  # fmt: skip


def training(study: Study, task: str, languages: tuple[str, ...], how: str, seed: int) -> data.Split:
    """The training set of a task under a control; as it is where ``how`` is empty.

    Parameters
    ----------
    how : str
        ``labels``, ``text``, ``blank``, ``shuffled`` or empty.
    seed : int
        Of the run: another seed deals and draws otherwise.

    Raises
    ------
    ParameterError
        If the control does not go with the task's kind.
    """
    split = data.training(study, task, languages)
    if not how:
        return split
    name = study.tasks[task].kind
    if name not in CONTROLS[how]:
        raise ParameterError(
            f"control={how} goes with tasks of the kinds {', '.join(CONTROLS[how])}; {task} is of the kind {name}"
        )
    return _controlled(study, task, languages, how, seed, split.fingerprint)


@lru_cache(maxsize=8)
def _controlled(study: Study, task: str, languages: tuple[str, ...], how: str, seed: int, source: str) -> data.Split:
    """Made once per process; ``source`` is the fingerprint of the set as it is, which a user's file may change."""
    split, name = data.training(study, task, languages), study.tasks[task].kind
    change = {"labels": shuffled_labels, "text": random_text, "blank": vision.blank, "shuffled": vision.shuffled}[how]
    examples = change(split.examples, name, seed)
    return replace(split, examples=examples, fingerprint=fingerprint([examples, split.commit]))


def shuffled_labels(examples: list[dict], kind: str, seed: int) -> list[dict]:
    """The same examples with their labels permuted among them; of multiple choice, the places of the right choice."""
    order = generator(seed, "control labels").permutation(len(examples))
    return [{**e, "label": examples[i]["label"]} for e, i in zip(examples, order, strict=True)]


def random_text(examples: list[dict], kind: str, seed: int) -> list[dict]:
    """The same examples with every word drawn anew from the words of all their texts.

    Words are what blanks separate. An answer of span extraction is at the words where it was.
    """
    rng = generator(seed, "control text")
    words = np.array([w for e in examples for field in TEXTS[kind] for w in _words(e.get(field))], dtype=object)

    def anew(value):
        if value is None:
            return None
        if isinstance(value, list):
            return [anew(v) for v in value]
        return " ".join(words[rng.integers(len(words), size=len(value.split()))])

    made = []
    for e in examples:
        new = {**e, **{field: anew(e[field]) for field in TEXTS[kind] if field in e}}
        made.append(_with_answers(e, new) if kind == "span" else new)
    return made


def _words(value) -> list[str]:
    if value is None:
        return []
    return [w for v in value for w in _words(v)] if isinstance(value, list) else value.split()


def _with_answers(old: dict, new: dict) -> dict:
    """Answers of a context whose words are others: the words at the places of the old ones."""
    before, after = ([m.span() for m in _WORD.finditer(e["context"])] for e in (old, new))
    answers, starts = [], []
    for text, start in zip(old["answers"], old["starts"], strict=True):
        inside = [i for i, (a, b) in enumerate(before) if a < start + len(text) and b > start]
        if inside:
            first, last = after[inside[0]][0], after[inside[-1]][1]
            answers.append(new["context"][first:last])
            starts.append(first)
    return {**new, "answers": answers, "starts": starts}
