"""Metrics of the benchmarks, from stored predictions.

A metric turns a predictions frame into *counts*, one row per example, and sums of counts into a value in percent.
Everything that resamples examples (``xitt.stats``) works on the counts, so an interval costs a matrix product.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes
    ----------
    counts : callable
        Predictions frame → float array (examples, k).
    value : callable
        Sums of counts (..., k) → value (...) in percent.
    version : int
        Raised when numbers change.
    """

    name: str
    counts: Callable
    value: Callable
    version: int = 1

    def score(self, frame) -> float:
        """The metric over a predictions frame, in percent."""
        return float(self.value(self.counts(frame).sum(axis=0)))


def _share(sums: np.ndarray) -> np.ndarray:
    return 100 * sums[..., 0] / np.maximum(sums[..., 1], 1)


def _f1(sums: np.ndarray) -> np.ndarray:
    """F1 from (true positives, predicted, gold), micro-averaged; 0 where nothing is right."""
    return 100 * 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)


# --- accuracy ------------------------------------------------------------------------------------------------------
def accuracy_counts(frame) -> np.ndarray:
    """(correct, 1) per example."""
    right = (frame["gold"].to_numpy() == frame["prediction"].to_numpy()).astype(float)
    return np.stack([right, np.ones_like(right)], axis=1)


def token_accuracy_counts(frame) -> np.ndarray:
    """(correct tags, tags) per sentence."""
    rows = [(sum(g == p for g, p in zip(gold, tags, strict=True)), len(gold)) for gold, tags in _tag_rows(frame)]
    return np.array(rows, float)


# --- chunks --------------------------------------------------------------------------------------------------------
def _tag_rows(frame):
    return ((gold.split(" "), list(tags)) for gold, tags in zip(frame["gold"], frame["tags"], strict=True))


def chunks(tags: list[str]) -> set[tuple[str, int, int]]:
    """Chunks (type, first, last) of a tag sequence, as seqeval 0.0.12 finds them.

    The prefix is the first letter and the type what follows the last ``-``; a tag without ``-`` keeps its whole name
    as its type (so that equal part-of-speech neighbours merge) and its first letter as its prefix (so that SCONJ
    and SYM, read as "single", never do).
    """
    found, start, previous_prefix, previous_type = set(), 0, "O", ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, kind = tag[0], tag.split("-")[-1]
        if _ends(previous_prefix, prefix, previous_type, kind):
            found.add((previous_type, start, i - 1))
        if _starts(previous_prefix, prefix, previous_type, kind):
            start = i
        previous_prefix, previous_type = prefix, kind
    return found


def _ends(previous: str, now: str, previous_type: str, kind: str) -> bool:
    if previous in "ES":
        return True
    if previous in "BI" and now in "BSO":
        return True
    return previous not in "O." and previous_type != kind


def _starts(previous: str, now: str, previous_type: str, kind: str) -> bool:
    if now in "BS":
        return True
    if previous in "ESO" and now in "EI":
        return True
    return now not in "O." and previous_type != kind


def chunk_counts(frame) -> np.ndarray:
    """(chunks right, chunks predicted, chunks in gold) per sentence; chunk F1 as seqeval 0.0.12."""
    rows = []
    for gold, tags in _tag_rows(frame):
        g, p = chunks(gold), chunks(tags)
        rows.append((len(g & p), len(p), len(g)))
    return np.array(rows, float)


# --- question answering --------------------------------------------------------------------------------------------
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normal(text: str) -> str:
    """SQuAD v1.1's normal form, for every language as XTREME does: lower case, no ASCII punctuation or English articles."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def answer_f1(prediction: str, gold: str) -> float:
    """Word overlap F1 of two answers (0–1)."""
    p, g = squad_normal(prediction).split(), squad_normal(gold).split()
    same = sum((Counter(p) & Counter(g)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(p), same / len(g)
    return 2 * precision * recall / (precision + recall)


def _answers_counts(frame, score: Callable[[str, str], float]) -> np.ndarray:
    values = [
        max(score(p, g) for g in json.loads(gold)) for gold, p in zip(frame["gold"], frame["prediction"], strict=True)
    ]
    return np.stack([np.array(values, float), np.ones(len(values))], axis=1)


def answer_f1_counts(frame) -> np.ndarray:
    """(best F1 over the gold answers, 1) per question."""
    return _answers_counts(frame, answer_f1)


def exact_counts(frame) -> np.ndarray:
    """(exact match with any gold answer, 1) per question."""
    return _answers_counts(frame, lambda p, g: float(squad_normal(p) == squad_normal(g)))


# --- bitext mining -------------------------------------------------------------------------------------------------
def mined_counts(frame) -> np.ndarray:
    """(pairs right, pairs mined, pairs in gold) per gold or mined pair; ``gold`` or ``prediction`` is empty where absent."""
    gold, mined = frame["gold"].to_numpy() != "", frame["prediction"].to_numpy() != ""
    right = gold & (frame["gold"].to_numpy() == frame["prediction"].to_numpy())
    return np.stack([right, mined, gold], axis=1).astype(float)


#: metric by (kind, name)
METRICS: dict[tuple[str, str], Metric] = {
    ("classify", "accuracy"): Metric("accuracy", accuracy_counts, _share),
    ("choose", "accuracy"): Metric("accuracy", accuracy_counts, _share),
    ("bitext", "accuracy"): Metric("accuracy", accuracy_counts, _share),
    ("tag", "f1"): Metric("f1", chunk_counts, _f1),
    ("tag", "accuracy"): Metric("accuracy", token_accuracy_counts, _share),
    ("span", "f1"): Metric("f1", answer_f1_counts, _share),
    ("span", "em"): Metric("em", exact_counts, _share),
    ("bitext", "f1"): Metric("f1", mined_counts, _f1),
}
