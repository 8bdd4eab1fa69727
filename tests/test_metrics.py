"""The benchmarks' metrics, to the last digit.

``data/seqeval_0_0_12.json`` was made with seqeval 0.0.12 itself (``get_entities``, ``f1_score``) from random sequences of UD
tags, of BIO tags, and of everything its rules have a case for.
"""

from __future__ import annotations

import collections
import json
import re
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xitt.metrics import METRICS, answer_f1, chunks, squad_normal
from xitt.tasks import BIO, TASKS, UPOS

FROZEN = json.loads((Path(__file__).parent / "data" / "seqeval_0_0_12.json").read_text(encoding="utf-8"))["groups"]
few = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def tagging(gold: list[list[str]], tags: list[list[str]]) -> pd.DataFrame:
    return pd.DataFrame({"gold": [" ".join(g) for g in gold], "tags": tags})


# --- chunks --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("group", FROZEN, ids=lambda g: g["tags"])
def test_chunks_are_those_of_seqeval(group):
    for sentence in group["sentences"]:
        for tags, found in zip((sentence["gold"], sentence["tags"]), sentence["chunks"], strict=True):
            assert chunks(tags.split(" ")) == {tuple(c) for c in found}, tags


@pytest.mark.parametrize("group", FROZEN, ids=lambda g: g["tags"])
def test_f1_is_that_of_seqeval(group):
    frame = tagging(*([s[side].split(" ") for s in group["sentences"]] for side in ("gold", "tags")))
    assert METRICS["tag", "f1"].score(frame) == pytest.approx(group["f1"], abs=1e-10)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("", set()),
        ("O O", set()),
        ("NOUN NOUN VERB", {("NOUN", 0, 1), ("VERB", 2, 2)}),  # equal neighbours are one chunk
        ("SYM SYM", {("SYM", 0, 0), ("SYM", 1, 1)}),  # read as S(ingle)
        ("SCONJ SCONJ NOUN", {("SCONJ", 0, 0), ("SCONJ", 1, 1), ("NOUN", 2, 2)}),
        ("CCONJ SCONJ", {("CCONJ", 0, 0), ("SCONJ", 1, 1)}),  # one type in seqeval 1.x
        ("INTJ INTJ", {("INTJ", 0, 1)}),  # read as I(nside)
        ("B-PER I-PER O", {("PER", 0, 1)}),
        ("B-PER B-PER", {("PER", 0, 0), ("PER", 1, 1)}),
        ("I-PER I-PER I-LOC", {("PER", 0, 1), ("LOC", 2, 2)}),  # may begin with I
        ("B-PER I-LOC I-LOC", {("PER", 0, 0), ("LOC", 1, 2)}),
        ("O I-ORG O", {("ORG", 1, 1)}),
        ("S-A I-A", {("A", 0, 0), ("A", 1, 1)}),  # nothing goes on after S or E
        ("E-A I-A", {("A", 0, 0), ("A", 1, 1)}),
        ("B-A E-A E-A", {("A", 0, 1), ("A", 2, 2)}),
        ("O-A I-A", {("A", 1, 1)}),
        (". X .", {("X", 1, 1)}),
    ],
)
def test_chunks_by_hand(tags, found):
    assert chunks(tags.split()) == found


@few
@given(st.lists(st.sampled_from(UPOS), min_size=1, max_size=12))
def test_tags_of_speech_fill_the_sentence(tags):
    found = sorted(chunks(tags), key=lambda c: c[1])
    assert [i for _, first, last in found for i in range(first, last + 1)] == list(range(len(tags)))
    assert all(tags[i] == kind for kind, first, last in found for i in range(first, last + 1))


@few
@given(st.lists(st.sampled_from(BIO), min_size=1, max_size=12))
def test_entities_hold_no_outside_word(tags):
    covered = [i for _, first, last in chunks(tags) for i in range(first, last + 1)]
    assert sorted(covered) == [i for i, t in enumerate(tags) if t != "O"]


def test_tagging_by_hand():
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "B-ORG"]]
    tags = [["B-PER", "O", "O"], ["B-LOC", "O", "B-ORG"]]
    frame = tagging(gold, tags)
    assert METRICS["tag", "f1"].score(frame) == pytest.approx(100 * 2 / 3)
    assert METRICS["tag", "accuracy"].score(frame) == pytest.approx(100 * 5 / 6)
    nothing = tagging([["O", "O"]], [["O", "O"]])
    assert METRICS["tag", "f1"].score(nothing) == 0
    assert METRICS["tag", "f1"].score(tagging(gold, gold)) == 100


def test_tags_and_gold_must_be_of_one_length():
    with pytest.raises(ValueError, match="zip"):
        METRICS["tag", "accuracy"].score(tagging([["O", "O"]], [["O"]]))


# --- question answering --------------------------------------------------------------------------------------------
def official_normal(s: str) -> str:
    """``normalize_answer`` of SQuAD's evaluation script, version 1.1."""
    s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())


def official_f1(prediction: str, gold: str) -> float:
    p, g = official_normal(prediction).split(), official_normal(gold).split()
    same = sum((collections.Counter(p) & collections.Counter(g)).values())
    if same == 0:
        return 0
    return 2 * (same / len(p)) * (same / len(g)) / (same / len(p) + same / len(g))


answers = st.lists(
    st.sampled_from(["the", "The", "a", "an", "cat", "cat,", "dog", "theatre", "A.", "é", "狗", "«x»", "-", " ", "\t"]),
    max_size=6,
).map(" ".join)  # fmt: skip


@few
@given(answers, answers)
def test_answers_as_the_official_script(prediction, gold):
    assert squad_normal(prediction) == official_normal(prediction)
    assert answer_f1(prediction, gold) == pytest.approx(official_f1(prediction, gold), abs=1e-12)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat!", "cat"),
        ("an  apple a day", "apple day"),
        ("theatre", "theatre"),
        ("U.S.A.", "usa"),
        ("a-b", "ab"),
        ("the, cat", "cat"),
        ("“Katze”", "“katze”"),  # only ASCII punctuation
        ("北京。", "北京。"),
        ("der Hund", "der hund"),  # only English articles
        ("", ""),
    ],
)
def test_normal_form(text, normal):
    assert squad_normal(text) == normal


@pytest.mark.parametrize(
    ("prediction", "gold", "f1"),
    [
        ("the cat", "cat", 1),
        ("black cat", "cat", 2 / 3),
        ("cat cat", "cat", 2 / 3),
        ("cat cat dog", "cat cat", 4 / 5),
        ("dog", "cat", 0),
        ("", "cat", 0),
        ("the", "a", 0),  # nothing is left of either: no word in common
    ],
)
def test_answer_f1_by_hand(prediction, gold, f1):
    assert answer_f1(prediction, gold) == pytest.approx(f1)


def test_the_best_gold_answer_counts():
    frame = pd.DataFrame({"gold": ['["cat", "the big cat"]', '["Hund"]'], "prediction": ["A big cat.", "der Hund"]})
    assert METRICS["span", "em"].score(frame) == 50
    assert METRICS["span", "f1"].score(frame) == pytest.approx(100 * (1 + 2 / 3) / 2)


# --- the rest ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["classify", "choose", "bitext"])
def test_accuracy_by_hand(kind):
    frame = pd.DataFrame({"gold": ["a", "b", "c", "a"], "prediction": ["a", "b", "a", "b"]})
    assert METRICS[kind, "accuracy"].score(frame) == 50


def test_mined_f1_by_hand():
    frame = pd.DataFrame({"gold": ["x", "y", "z", "", "w"], "prediction": ["x", "z", "", "q", "w"]})
    # 2 right of 4 mined and 4 in gold
    assert METRICS["bitext", "f1"].counts(frame).sum(axis=0).tolist() == [2, 4, 4]
    assert METRICS["bitext", "f1"].score(frame) == 50
    nothing = pd.DataFrame({"gold": ["x"], "prediction": [""]})
    assert METRICS["bitext", "f1"].score(nothing) == 0


def test_every_metric_of_every_task_is_here():
    for row in TASKS.values():
        for metric in row.metrics:
            assert METRICS[row.kind, metric].name == metric
            assert METRICS[row.kind, metric].version >= 1


# --- counts add up -------------------------------------------------------------------------------------------------
def draw_frame(draw, kind: str) -> pd.DataFrame:
    n = draw(st.integers(1, 12))
    if kind == "tag":
        tags = st.lists(st.sampled_from(BIO), min_size=1, max_size=6)
        gold = [draw(tags) for _ in range(n)]
        return tagging(gold, [draw(st.lists(st.sampled_from(BIO), min_size=len(g), max_size=len(g))) for g in gold])
    if kind == "span":
        gold = [json.dumps(draw(st.lists(answers, min_size=1, max_size=3))) for _ in range(n)]
        return pd.DataFrame({"gold": gold, "prediction": [draw(answers) for _ in range(n)]})
    names = st.sampled_from(["", "x", "y"] if kind == "bitext" else ["x", "y"])
    return pd.DataFrame({c: [draw(names) for _ in range(n)] for c in ("gold", "prediction")})


@few
@given(st.sampled_from(sorted(METRICS)), st.data())
def test_a_whole_is_the_sum_of_its_parts(key, data):
    """What resampling relies on: a score from summed counts is the score of the frame, however it is cut."""
    metric, frame = METRICS[key], draw_frame(data.draw, key[0])
    counts = metric.counts(frame)
    assert counts.ndim == 2
    assert len(counts) == len(frame)
    cut = data.draw(st.integers(0, len(frame)))
    parts = [p for p in (frame[:cut], frame[cut:]) if len(p)]
    sums = np.sum([metric.counts(p.reset_index(drop=True)).sum(axis=0) for p in parts], axis=0)
    np.testing.assert_allclose(sums, counts.sum(axis=0))
    assert metric.score(frame) == pytest.approx(float(metric.value(sums)))
    assert 0 <= metric.score(frame) <= 100 + 1e-9


@few
@given(st.sampled_from(sorted(METRICS)), st.data())
def test_values_of_many_resamples_at_once(key, data):
    metric, frame = METRICS[key], draw_frame(data.draw, key[0])
    counts = metric.counts(frame)
    weights = np.array([[i % 3 for i in range(len(frame))], [1] * len(frame), [0] * len(frame)], float)
    values = metric.value(weights @ counts)
    assert values.shape == (3,)
    assert np.isfinite(values).all()
    assert values[1] == pytest.approx(metric.score(frame))
    assert values[0] == pytest.approx(float(metric.value((weights[0][:, None] * counts).sum(axis=0))))
