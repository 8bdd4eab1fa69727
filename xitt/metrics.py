"""Metrics of the benchmarks, from stored predictions.

A metric turns a predictions frame into *counts*, one row per example, and sums of counts into a value in percent.
Everything that resamples examples (``xitt.stats``) works on the counts, so an interval costs a matrix product.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from .errors import DataError, ParameterError, unknown


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


def piece_counts(frame) -> np.ndarray:
    """(right, all) per example, of labels or of pieces separated by blanks; an example without any counts nothing."""
    pairs = [(g.split(), p.split()) for g, p in zip(frame["gold"], frame["prediction"], strict=True)]
    return np.array([(sum(a == b for a, b in zip(g, p, strict=True)), len(g)) for g, p in pairs], float)


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


#: articles by language, as the benchmark lists them; Arabic's goes wherever its letters stand, Hindi and Chinese have none
_MLQA_ARTICLES = {
    "ar": re.compile("\u0627\u0644"), "de": re.compile(r"\b(ein(e[nmsr]?)?|der|die|das|den|dem|des)\b"), "en": _ARTICLES,
    "es": re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b"), "hi": None,
    "vi": re.compile("\\b(c\u1ee7a|l\u00e0|c\u00e1i|chi\u1ebfc|nh\u1eefng)\\b"), "zh": None,
}  # fmt: skip
_HAN = re.compile("([\u4e00-\u9fa5])")


def mlqa_normal(text: str, language: str) -> str:
    """MLQA's normal form (Lewis et al. 2020, section 4): lower case, no Unicode punctuation, no articles of the language.

    Chinese is segmented into single Chinese characters and runs of anything else between spaces.

    Raises
    ------
    ParameterError
        If MLQA has no rules for the language.
    """
    if language not in _MLQA_ARTICLES:
        raise ParameterError(f"metric with answer_rules mlqa: {unknown('language', language, _MLQA_ARTICLES)}")
    text = "".join(c for c in text.lower() if not _is_punctuation(c))
    if articles := _MLQA_ARTICLES[language]:
        text = articles.sub(" ", text)
    if language == "zh":
        text = _HAN.sub(r" \1 ", text)
    return " ".join(text.split())


@cache
def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def answer_f1(prediction: str, gold: str, normal: Callable[[str], str] = squad_normal) -> float:
    """Word overlap F1 of two answers (0–1), after ``normal`` has brought both into their normal form."""
    p, g = normal(prediction).split(), normal(gold).split()
    same = sum((Counter(p) & Counter(g)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(p), same / len(g)
    return 2 * precision * recall / (precision + recall)


def answer_exact(prediction: str, gold: str, normal: Callable[[str], str] = squad_normal) -> float:
    """1 if two answers have the same normal form, else 0."""
    return float(normal(prediction) == normal(gold))


def _answers_counts(frame, score: Callable[[str, str], float]) -> np.ndarray:
    """(best score over the gold answers, 1) per question."""
    if (frame["gold"] == "[]").any():
        name = frame.loc[(frame["gold"] == "[]").to_numpy(), "id"].iloc[0] if "id" in frame else ""
        raise DataError(f"question {name} has no answer: such a task needs `answer_rules: squad_v2`")
    values = [
        max(score(p, g) for g in json.loads(gold)) for gold, p in zip(frame["gold"], frame["prediction"], strict=True)
    ]
    return np.stack([np.array(values, float), np.ones(len(values))], axis=1)


def answer_f1_counts(frame) -> np.ndarray:
    """(best F1 over the gold answers, 1) per question."""
    return _answers_counts(frame, answer_f1)


def exact_counts(frame) -> np.ndarray:
    """(exact match with any gold answer, 1) per question."""
    return _answers_counts(frame, answer_exact)


# SQuAD v2.0: some questions have no answer; the decision is a threshold on the null score
def _v2_score(prediction: str, gold: list[str], score: Callable[[str, str], float]) -> float:
    """Score of one answer; gold answers that are nothing but articles and punctuation do not count."""
    gold = [g for g in gold if squad_normal(g)]
    if not gold or not squad_normal(prediction):
        return float(not gold and not squad_normal(prediction))
    return max(score(prediction, g) for g in gold)


def v2_counts(frame, score: Callable[[str, str], float]) -> np.ndarray:
    """(score, 1) per question by the rules of SQuAD v2.0, at the null threshold that is best for this score.

    Where a frame has no column ``null`` (baselines), its predictions are scored as they are.
    """
    answers = [json.loads(g) for g in frame["gold"]]
    if "null" not in frame:
        values = np.array([_v2_score(p, g, score) for p, g in zip(frame["prediction"], answers, strict=True)], float)
    else:
        answered, silent = _v2_both(frame, answers, score)
        keep, _ = best_null(null_odds(frame), answered, silent)
        values = np.where(keep, answered, silent)
    return np.stack([values, np.ones(len(values))], axis=1)


def null_threshold(frame) -> float:
    """The null threshold with the best F1 on a dev set: what decides whether a question is answered elsewhere."""
    answers = [json.loads(g) for g in frame["gold"]]
    answered, silent = _v2_both(frame, answers, answer_f1)
    return best_null(null_odds(frame), answered, silent)[1]


def _v2_both(frame, answers: list[list[str]], score: Callable[[str, str], float]) -> tuple[np.ndarray, np.ndarray]:
    """Score of each question if it is answered, and if not."""
    # a question without answer is lost as soon as anything is said, be it an article only
    answered = [_v2_score(t, g, score) if g else float(not t) for t, g in zip(frame["text"], answers, strict=True)]
    return np.array(answered, float), np.array([not g for g in answers], float)


def null_odds(frame) -> np.ndarray:
    """How much better no answer is than the best answer: null score minus best span score, per question."""
    return np.array(
        [n - s[0] if len(s) else np.inf for n, s in zip(frame["null"], frame["scores"], strict=True)], float
    )


def best_null(odds: np.ndarray, answered: np.ndarray, silent: np.ndarray) -> tuple[np.ndarray, float]:
    """Which questions to answer so that the summed score is highest, as SQuAD v2.0's official search finds it.

    The questions are walked by rising ``odds`` and the first best cut is kept; equal odds are walked one by one, in order.

    Parameters
    ----------
    odds : ndarray (questions,)
        Null score minus the score of the best answer.
    answered, silent : ndarray (questions,)
        Score of a question if it is answered, and if not.

    Returns
    -------
    keep : ndarray of bool (questions,)
    threshold : float
        Odds of the last question answered; 0 where none is, as in the official script.
    """
    order = np.argsort(odds, kind="stable")
    totals = silent.sum() + np.concatenate([[0.0], np.cumsum((answered - silent)[order])])
    cut = int(totals.argmax())
    keep = np.zeros(len(odds), bool)
    keep[order[:cut]] = True
    return keep, float(odds[order[cut - 1]]) if cut else 0.0


# --- bitext mining -------------------------------------------------------------------------------------------------
def mined_counts(frame) -> np.ndarray:
    """(pairs right, pairs mined, pairs in gold) per gold or mined pair; ``gold`` or ``prediction`` is empty where absent."""
    gold, mined = frame["gold"].to_numpy() != "", frame["prediction"].to_numpy() != ""
    right = gold & (frame["gold"].to_numpy() == frame["prediction"].to_numpy())
    return np.stack([right, mined, gold], axis=1).astype(float)


def strict_counts(frame) -> np.ndarray:
    """As :func:`mined_counts`, of the pairs above a threshold that was tuned on the sample set (column ``strict``)."""
    return mined_counts(frame.assign(prediction=frame["strict"]))


# --- ranking -------------------------------------------------------------------------------------------------------
DEPTH = 20  # of a ranking that counts (XTREME-R; paper_facts, section 4)


def average_precision(gold: list[str], ranked: list[str], depth: int = DEPTH) -> float:
    """Average precision of the first ``depth`` ranks (0–1): precision at each hit, over the hits there could be.

    Source: LAReQA's mAP@20 (Roy et al. 2020); an id that comes twice counts once. With one right id it is the reciprocal rank.
    """
    if not gold:
        raise DataError("a query without a right candidate cannot be scored")
    wanted, hits, total = set(gold), 0, 0.0
    for place, name in enumerate(ranked[:depth], 1):
        if name in wanted:
            wanted.remove(name)
            hits += 1
            total += hits / place
    return total / min(len(set(gold)), depth)


def reciprocal_rank(gold: list[str], ranked: list[str], depth: int = DEPTH) -> float:
    """One over the place of the first right id; 0 where none is among the first ``depth`` (Mewsli-X; 0–1)."""
    return next((1 / place for place, name in enumerate(ranked[:depth], 1) if name in gold), 0.0)


def _ranking_counts(frame, score: Callable[[list[str], list[str]], float]) -> np.ndarray:
    """(score, 1) per query; ``gold`` and ``prediction`` are JSON lists of candidate ids, the latter best first."""
    values = [score(json.loads(g), json.loads(p)) for g, p in zip(frame["gold"], frame["prediction"], strict=True)]
    return np.stack([np.array(values, float), np.ones(len(values))], axis=1)


def average_precision_counts(frame) -> np.ndarray:
    """(average precision at 20, 1) per query."""
    return _ranking_counts(frame, average_precision)


def reciprocal_rank_counts(frame) -> np.ndarray:
    """(reciprocal rank at 20, 1) per query."""
    return _ranking_counts(frame, reciprocal_rank)


# --- by name -------------------------------------------------------------------------------------------------------
#: metric by (kind, name)
METRICS: dict[tuple[str, str], Metric] = {
    ("classify", "accuracy"): Metric("accuracy", accuracy_counts, _share),
    ("choose", "accuracy"): Metric("accuracy", accuracy_counts, _share),
    ("bitext", "accuracy"): Metric("accuracy", accuracy_counts, _share),
    ("caption", "accuracy"): Metric("accuracy", piece_counts, _share),
    ("tag", "f1"): Metric("f1", chunk_counts, _f1),
    ("tag", "accuracy"): Metric("accuracy", token_accuracy_counts, _share),
    ("span", "f1"): Metric("f1", answer_f1_counts, _share),
    ("span", "em"): Metric("em", exact_counts, _share),
    ("bitext", "f1"): Metric("f1", mined_counts, _f1),
    ("bitext", "f1_strict"): Metric("f1_strict", strict_counts, _f1),
    ("dual", "map@20"): Metric("map@20", average_precision_counts, _share),
    ("dual", "mrr@20"): Metric("mrr@20", reciprocal_rank_counts, _share),
}
#: whose rules compare answers; a row that names others than the first says so in its runs' inputs
ANSWER_RULES = ("squad", "squad_v2", "mlqa")
_ANSWER_SCORES = {"f1": answer_f1, "em": answer_exact}


def find(kind: str, name: str, rules: str = "squad", language: str = "en") -> Metric:
    """A metric by the kind of the task and its name.

    Parameters
    ----------
    rules : str
        Whose rules compare answers (:data:`ANSWER_RULES`; ``answer_rules`` of a task's row): only span tasks differ.
    language : str
        Language of the answers: MLQA's rules depend on it.

    Raises
    ------
    ParameterError
        If there is no such metric, or no rules for the language.
    """
    if (kind, name) not in METRICS:
        raise ParameterError(f"{kind} tasks: {unknown('metric', name, [m for k, m in METRICS if k == kind])}")
    if rules not in ANSWER_RULES:
        raise ParameterError(unknown("answer_rules", rules, ANSWER_RULES))
    if kind != "span" or rules == "squad":
        return METRICS[kind, name]
    if rules == "squad_v2":
        return Metric(name, partial(v2_counts, score=_ANSWER_SCORES[name]), _share)
    score = partial(_ANSWER_SCORES[name], normal=partial(mlqa_normal, language=_answered_in(language)))
    return Metric(name, partial(_answers_counts, score=score), _share)


def _answered_in(language: str) -> str:
    """The language of the context: the second part of a pair (question–context); ``hi-Latn`` is no pair."""
    return language.rsplit("-", 1)[-1] if language.islower() else language


def task_score(kind: str, means: dict[str, float]) -> float:
    """One figure of a task from its metrics' means over languages, as XTREME averages (paper_facts 3.1).

    Question answering: the mean of its metrics (F1 and exact match); anything else: the first metric.
    """
    values = list(means.values())
    return sum(values) / len(values) if kind == "span" else values[0]
