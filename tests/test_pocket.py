"""The pocket world's meanings and data sets: schema, splits, repeatability, and no way around reading the input."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from random import Random

import numpy as np
import pytest

from xitt import checks
from xitt.kinds import kind
from xitt.metrics import METRICS, answer_f1
from xitt.pocket import hub, nli, qa, text, world
from xitt.pocket.languages import LANGUAGES, base, grammar
from xitt.pocket.meaning import LINKS, NP, RELATIONS, Clause, Sentence
from xitt.pocket.sample import SIMPLE_FRAMES, Sampler, repeats
from xitt.tasks import NLI, TASKS

#: the rest is in tests/test_pocket_tasks.py
POCKET = ("mnli", "xnli", "squad_v1", "xquad", "hellaswag", "commonsenseqa", "udpos", "panx", "tatoeba", "bucc2018")
SPLITS = tuple((task, split) for task in POCKET for split in TASKS[task].source.splits)


@cache
def examples(task: str, split: str, count: int | None, language: str | None = None) -> tuple[dict, ...]:
    """Examples as a kind gets them: through the columns of ``tasks.py`` and the reader's checks."""
    rows, _ = hub.rows(task, split, language or hub.languages(task)[0], count)
    return tuple(checks.normalise(TASKS[task], row, i, task) for i, row in enumerate(rows))


# --- size and consistency of the world -----------------------------------------------------------------------------
def test_size():
    assert len(set(world.CONCEPTS)) == len(world.CONCEPTS) >= 300
    assert len(SIMPLE_FRAMES) >= 25
    assert len(LINKS) == 6  # sentences of two clauses come on top, and questions
    assert len(LANGUAGES) >= 8
    assert {"en", "de", "es", "ru", "tr", "hi", "zh", "sw"} <= set(LANGUAGES)


def test_every_frame_can_be_drawn():
    for frame in SIMPLE_FRAMES:
        s = Sampler(Random(1))
        clauses = [frame(s) for _ in range(20)]
        assert len(set(clauses)) > 5
        assert all(c.relation is None or c.relation in RELATIONS for c in clauses)
        assert all(set(c.roles()) <= {f.name for f in dataclasses.fields(Clause)} for c in clauses)


def test_meanings_are_values():
    clause = Clause("act", NP("dog"), "sleep")
    assert clause == Clause("act", NP("dog"), "sleep")
    assert len({clause, clause.but(time="noon"), clause.but(time=None)}) == 2
    assert Sentence(clause, "and", clause).clauses == (clause, clause)
    assert NP("per:anna", other=NP("dog")).agrees_plural
    assert NP("dog", plural=True).agrees_plural
    assert not NP("dog").agrees_plural
    assert NP("loc:paris").is_name
    assert repeats(Clause("act", NP("per:anna"), "see", NP("dog", owner="per:anna")))
    with pytest.raises(dataclasses.FrozenInstanceError):
        clause.verb = "run"


def test_world_is_consistent():
    nouns = set(world.NOUNS)
    known = nouns | set(world.KINDS) | {"org"}
    for name, verb in world.VERBS.items():
        assert {*verb.subjects, *verb.objects, *verb.instruments} <= known, name
    assert all(world.ANTONYMS[b] == a for a, b in world.ANTONYMS.items())
    assert all(world.CONVERSE[b] == a for a, b in world.CONVERSE.items())
    assert all(world.INVERSE_RELATION[b] == a for a, b in world.INVERSE_RELATION.items())
    assert all(set(suits) <= known for suits in world.ADJECTIVE_SUITS.values())
    assert set(world.ADJECTIVE_SUITS) == set(world.ADJECTIVES)
    places = {p for places in world.TYPICAL_PLACE.values() for p in places} | set(world.HABITAT.values())
    assert places <= set(world.members(world.PLACES))
    assert set(world.TYPICAL_PLACE) <= set(world.VERBS)
    assert set(world.HABITAT) | set(world.TYPICAL_WORK) <= nouns
    assert world.hypernyms("hen") == ("bird", "animal")
    assert world.members(("drink", "rose")) == (*world.KINDS["drink"], "rose")
    assert {world.gender("per:anna"), world.gender("per:ivan")} == {"f", "m"}


def test_lexicon_refuses_what_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "LEXICON", tmp_path)
    columns = {"noun": ("sg", "pl")}
    for content, message in (
        ("dog\tverb\tdog\n", "xx.tsv:1: class 'verb' is none of noun"),
        ("# a comment\n\ndog\tnoun\tdog\ndog\tnoun\tdog\n", "xx.tsv:4: .*'dog' is there already"),
        ("dog\tnoun\tdog\tdogs\tdoggie\n", "too many forms"),
        ("dog\tnoun\tdog\n", r"no row for teacher, .* missing\)"),
    ):
        (tmp_path / "xx.tsv").write_text(content)
        with pytest.raises(ValueError, match=message):
            base.Lexicon("xx", columns)


def test_unknown_language_task_and_slot():
    with pytest.raises(ValueError, match="no language 'xx'; it has en"):
        grammar("xx")
    with pytest.raises(ValueError, match="has no mnli in 'de'"):
        hub.rows("mnli", "test", "de", 3)
    with pytest.raises(ValueError, match="has no glue"):
        hub.rows("glue", "train", "en", 3)
    line = grammar("en").sentence(Sentence(Clause("act", NP("dog"), "sleep")))
    with pytest.raises(ValueError, match=r"'place' is absent or split in 'The dog sleeps\."):
        line.span("place")


# --- the small hub: schema, ids, languages ---------------------------------------------------------------------------
def column(row: dict, path: str):
    for part in path.split("."):
        row = row[part]
    return row


@pytest.mark.parametrize(("task", "split"), SPLITS)
def test_schema(task, split):
    for language in hub.languages(task):
        rows, total = hub.rows(task, split, language, 6)
        assert total == (int(0.4 * hub.SIZES[split]) if task == "bucc2018" else hub.SIZES[split])
        if TASKS[task].source.layout == "bucc":
            assert set(rows[0]) == {"first", "second", "gold"}
            continue
        assert len(rows) == 6
        assert len({tuple(sorted(row)) for row in rows}) == 1
        for row in rows:
            assert all(column(row, path) is not None for path in TASKS[task].columns.values())
        found = examples(task, split, 6, language)  # the reader's own checks of every kind
        assert set(found[0]) == {"id", *TASKS[task].columns} - {"choice_prefix"}
        json.dumps(rows, ensure_ascii=False)


@pytest.mark.parametrize(("task", "split"), [s for s in SPLITS if s[1] != "train"])
def test_splits_are_complete(task, split):
    found = examples(task, split, None)
    if TASKS[task].source.layout != "bucc":
        assert len(found) == hub.SIZES[split]
    assert len({e["id"] for e in found}) == len(found)


@pytest.mark.parametrize("task", POCKET)
def test_languages_are_parallel(task):
    found = {x: examples(task, "test", 200, x) for x in hub.languages(task)}
    assert len({tuple(e["id"] for e in es) for es in found.values()}) == 1
    if task in ("xnli", "mnli", "hellaswag", "commonsenseqa"):
        assert len({tuple(e["label"] for e in es) for es in found.values()}) == 1
    if task == "tatoeba":
        assert len({tuple(e["second"] for e in es) for es in found.values()}) == 1
    if task == "panx":
        kinds = {tuple(str(sorted(t for t in e["tags"] if t[0] == "B")) for e in es) for es in found.values()}
        assert len(kinds) == 1
    if task == "bucc2018":
        shared = []
        for language, (corpus,) in found.items():
            first, second = dict(corpus["first"]), dict(corpus["second"])
            assert len(first) == len(second) == len(corpus["first"])
            assert len(corpus["gold"]) == len(set(corpus["gold"])) == len(first) * 4 // 7
            assert all(a in first and b in second for a, b in corpus["gold"])
            assert all(key.startswith(language) for key in first)
            assert corpus["gold"] != sorted(corpus["gold"])  # the order tells nothing
            shared.append(frozenset(second[b] for _, b in corpus["gold"]))
        assert len(set(shared)) == 1


def test_xquad_is_squad_in_other_languages():
    assert examples("xquad", "test", 20, "en") == tuple(
        checks.normalise(TASKS["xquad"], row, i, "") for i, row in enumerate(hub.rows("squad_v1", "test", "en", 20)[0])
    )


def test_answers_are_at_their_offsets():
    for language in LANGUAGES:
        for row in hub.rows("xquad", "test", language, 300)[0]:
            (answer,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
            assert answer
            assert row["context"][start : start + len(answer)] == answer
            assert answer == answer.strip(" .,。，।")
            assert language != "en" or f" {answer} " not in re.sub(r"[?.,]", " ", row["question"])


@pytest.mark.parametrize("task", [t for t in POCKET if t != "bucc2018"])
def test_longer_begins_with_shorter(task):
    language = hub.languages(task)[-1]
    longer, _ = hub.rows(task, "test", language, 90)
    assert hub.rows(task, "test", language, 30)[0] == longer[:30]


DIGEST = """
import hashlib, json
from xitt.pocket import hub, text
found = [hub.rows(t, "test", x, 25) for t in hub._MAKERS for x in hub.languages(t)[:2]]
found += [hub.rows(t, "train", "en", 25) for t in ("mnli", "squad_v1", "udpos")]
found += [text.lines(("en", "zh"), 40, 3), text.pairs(("en", "de", "sw"), 40, 3)]
print(hashlib.sha256(json.dumps(found, ensure_ascii=False).encode()).hexdigest())
"""


def test_the_same_in_every_process():
    digests = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout)
    assert len(digests) == 1


# --- what training never saw ---------------------------------------------------------------------------------------
def test_names_are_of_one_split():
    names = {split: set(hub.names(split)) for split in hub.SIZES}
    assert set().union(*names.values()) == set(world.NAMES)
    assert sum(map(len, names.values())) == len(world.NAMES)
    for split, found in names.items():  # every frame needs people, a city and an organisation
        assert {n[:3] for n in found} == {"per", "loc", "org"}, split


@pytest.mark.parametrize("task", [t for t in POCKET if "train" in TASKS[t].source.splits])
def test_names_of_tests_are_not_in_training(task):
    words = {split: set(re.findall(r"\w+", str(hub.rows(task, split, "en", 1500)[0]))) for split in ("train", "test")}
    lexicon = grammar("en").lexicon
    forms = {split: {lexicon[n]["form"].split()[0] for n in hub.names(split)} for split in hub.SIZES}
    assert not words["train"] & (forms["test"] | forms["dev"])
    assert not words["test"] & (forms["train"] | forms["dev"])
    assert words["test"] & forms["test"]


def _tagging_concepts(split: str, count: int) -> Counter:
    tokens = (t for m in hub._meanings("udpos", split, count) for t in grammar("en").sentence(m).tokens)
    return Counter(t.concept for t in tokens if t.concept in world.CONCEPTS)


def test_words_of_tagging_tests_are_not_in_training():
    """Few verbs mean "go to", so those may be in both; other words may not."""
    train, test = _tagging_concepts("train", 3000), _tagging_concepts("test", 1000)
    seen = Counter({c: n for c, n in test.items() if c in train})
    content = Counter({c: n for c, n in test.items() if c not in world.VERBS})
    leaked = Counter({c: n for c, n in seen.items() if c not in world.VERBS})
    shares = [100 * a.total() / b.total() for a, b in ((seen, test), (leaked, content))]
    print(f"\nudpos test words seen in training: {shares[0]:.1f} % of all, {shares[1]:.1f} % without verbs")
    print("most frequent:", leaked.most_common(12))
    assert not hub.concepts("train") & hub.concepts("test")
    assert shares[1] < 1


def test_meanings_of_tests_are_not_in_training():
    for task, split in (
        ("mnli", "test"),
        ("squad_v1", "test"),
        ("hellaswag", "dev"),
        ("udpos", "test"),
        ("panx", "test"),
    ):
        seen = set(hub._meanings(task, "train", 1500))
        test = hub._meanings(task, split, 600)
        share = sum(m in seen for m in test) / len(test)
        print(f"\n{task}: {100 * share:.1f} % of {split} meanings are in training")
        assert share < 0.01
    assert not set(hub._meanings("commonsenseqa", "train", 2000)) & set(hub._meanings("commonsenseqa", "dev", 600))


# --- questions have one answer -----------------------------------------------------------------------------------------
def test_one_sentence_answers():
    s = Sampler(Random(5))
    for draw in (qa.reading, qa.examination) * 200:
        reading = draw(s)
        asked = reading.asked
        kept = [c for sentence in reading.sentences for c in sentence.clauses if c.verb == asked.verb]
        same = [c for c in kept if all(_heads(c, r) == _heads(asked, r) for r in reading.clues)]
        assert same == [asked]
        mentioned = {*reading.question.first.roles(), *(["time"] if reading.question.first.time else [])}
        assert mentioned == {*reading.clues, reading.ask}


def _heads(clause: Clause, role: str) -> str | None:
    value = getattr(clause, role)
    return getattr(value, "head", value)


def test_one_choice_is_right():
    s = Sampler(Random(6))
    labels = {4: Counter(), 5: Counter()}
    for _ in range(400):
        completion, knowledge = qa.completion(s), qa.knowledge(s)
        assert len({e.verb for e in completion.endings}) == len(completion.endings) == 4
        assert len(set(knowledge.choices)) == len(knowledge.choices) == 5
        clause, ask = knowledge.question.first, knowledge.question.ask
        assert knowledge.choices[knowledge.label] == getattr(clause, ask).head
        if ask == "place" and clause.verb in world.TYPICAL_PLACE:
            assert len(set(knowledge.choices) & set(world.TYPICAL_PLACE[clause.verb])) == 1
        labels[4][completion.label] += 1
        labels[5][knowledge.label] += 1
    for size, found in labels.items():
        assert set(found) == set(range(size))
        assert max(found.values()) < 400 / size * 1.4


# --- raw text ------------------------------------------------------------------------------------------------------
def test_lines_and_pairs():
    lines = text.lines(("en", "zh"), 60, 0)
    assert {x: len(rows) for x, rows in lines.items()} == {"en": 60, "zh": 60}
    assert all(" " not in row["text"] for row in lines["zh"])
    assert all(row["text"][-1] in ".?" for row in lines["en"])
    assert lines["en"] == text.lines(("en",), 60, 0)["en"]  # a language does not change the others
    assert lines["en"] != text.lines(("en",), 60, 1)["en"]
    for row in text.pairs(("en", "zh", "hi"), 100, 0):
        asks = [row[side][-1] in "?？" for side in ("text", "second")]
        assert asks[0] or not asks[1]  # translations are alike; what goes on from a question ends with its answer
    scripts = [{grammar_of(row["text"]), grammar_of(row["second"])} for row in text.pairs(("en", "zh", "hi"), 60, 1)]
    assert all(len(s) == 2 for s in scripts)
    assert all("en" in s for s in scripts[::2])


def grammar_of(line: str) -> str:
    return "hi" if "।" in line or re.search("[\u0900-\u097f]", line) else "en" if line.isascii() else "zh"


class Words:
    """A tokenizer with one piece per word."""

    def __init__(self):
        self.pieces: dict[str, int] = {}

    def __len__(self):
        return 400

    def __call__(self, line, **_):
        found = list(re.finditer(r"\w+|[^\w\s]", line.lower()))
        ids = [self.pieces.setdefault(m.group(), len(self.pieces)) for m in found]
        return {"input_ids": ids, "offset_mapping": [m.span() for m in found]}


def test_seed_vectors(monkeypatch):
    """Words of one concept begin near each other, words of another do not; unseen pieces are random."""
    clauses = [Clause("act", NP(a), "see", NP(b)) for a in ("dog", "cat") for b in ("book", "tree")]
    monkeypatch.setattr(text, "_seed_lines", lambda x, seed: [grammar(x).sentence(Sentence(c)) for c in clauses])
    words = Words()
    vectors = text.seed_vectors(("en", "de"), words, 64, 0.3, 0)
    again = text.seed_vectors(("en", "de"), Words(), 64, 0.3, 0)
    np.testing.assert_array_equal(vectors, again)
    np.testing.assert_allclose(vectors.std(axis=1), 0.2)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def near(a, b):
        return unit[words.pieces[a]] @ unit[words.pieces[b]]

    for english, german, other in (("dog", "hund", "baum"), ("tree", "baum", "hund"), ("sees", "sieht", "buch")):
        assert near(english, german) > 0.5
        assert abs(near(english, other)) < 0.4
    assert abs(unit[-1] @ unit[words.pieces["dog"]]) < 0.4


# --- no shortcuts ----------------------------------------------------------------------------------------------------
def scores(task: str, train, test, labels=()) -> dict[str, float]:
    """The baselines of a kind: what chance is, in percent."""
    name = TASKS[task].kind
    metric = METRICS[name, "f1" if name == "span" else "accuracy"]
    return {n: metric.score(f) for n, f in kind(name).baselines(list(train), list(test), labels).items()}


def bag(texts, index: dict[str, int], grow: bool) -> np.ndarray:
    """Texts as rows of word indicators."""
    rows = [set(re.findall(r"\w+", t.lower())) for t in texts]
    if grow:
        index.update({w: i for i, w in enumerate(sorted(set().union(*rows)))})
    out = np.zeros((len(rows), len(index)), np.float32)
    for number, words in enumerate(rows):
        out[number, [index[w] for w in words if w in index]] = 1
    return out


def softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def fit(gradient, shape, steps: int = 150, rate: float = 0.05) -> np.ndarray:
    """Weights by Adam from zero."""
    w, m, v = (np.zeros(shape, np.float32) for _ in range(3))
    for t in range(1, steps + 1):
        g = gradient(w) + 1e-4 * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w = w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def test_every_hypothesis_has_every_label():
    for split, count in (("train", 3000), ("test", 999), ("dev", 600)):
        rows, _ = hub.rows("mnli", split, "en", count)
        counts: dict[str, Counter] = {}
        for row in rows:
            counts.setdefault(row["hypothesis"], Counter())[nli.LABELS[row["label"]]] += 1
        assert all(len({c[label] for label in NLI}) == 1 for c in counts.values())


def test_nli_without_the_premise():
    train, test = examples("mnli", "train", 3000), examples("xnli", "test", 999, "en")
    index: dict[str, int] = {}
    x, y = bag([e["second"] for e in train], index, True), np.eye(3)[[NLI.index(e["label"]) for e in train]]
    w = fit(lambda w: x.T @ (softmax(x @ w) - y) / len(x), (x.shape[1], 3))
    given = bag([e["second"] for e in test], index, False) @ w
    accuracy = 100 * np.mean([NLI[i] == e["label"] for i, e in zip(given.argmax(1), test, strict=True)])
    chance = scores("xnli", train, test, NLI)
    print(f"\nmnli: hypothesis only {accuracy:.1f}, chance {chance}")
    assert abs(accuracy - 100 / 3) < 10
    assert chance["overlap"] < max(chance["uniform"], chance["majority"]) + 10


@pytest.mark.parametrize("task", ["hellaswag", "commonsenseqa"])
def test_choices_without_the_prompt(task):
    train, test = examples(task, "train", 2400), examples(task, "dev", 600)
    group, index = len(train[0]["choices"]), {}
    x = bag([c for e in train for c in e["choices"]], index, True)
    y = np.eye(group)[[e["label"] for e in train]]
    w = fit(lambda w: x.T @ (softmax((x @ w).reshape(-1, group)) - y).ravel() / len(y), x.shape[1])
    given = (bag([c for e in test for c in e["choices"]], index, False) @ w).reshape(-1, group).argmax(1)
    accuracy = 100 * np.mean(given == [e["label"] for e in test])
    chance = scores(task, train, test)
    print(f"\n{task}: choices only {accuracy:.1f}, chance {chance}")
    assert chance["overlap"] < 100 / group + 10
    assert accuracy < 100 / group + 10


def spans(context: str, repetition: bool) -> tuple[list[str], list[list[str]]]:
    """All stretches of one to four words within a sentence, with what may tell answers from others unasked."""
    sentences = [re.findall(r"[^\s.,]+", s) for s in re.split(r"(?<=\.) ", context)]
    found, features = [], []
    for place, words in enumerate(sentences):
        others = [set(s) for i, s in enumerate(sentences) if i != place]
        alike = sum(len(o & set(words)) / len(o | set(words)) for o in others)
        for size in range(1, 5):
            for at in range(len(words) - size + 1):
                span, end = words[at : at + size], at + size
                known = sum(o.issuperset(span) for o in others)
                case = span[0][0].isupper()
                features.append([
                    *(f"in {w}" for w in span), f"first {span[0]}", f"last {span[-1]}", f"size {size} {case}",
                    f"before {words[at - 1] if at else ''}", f"after {words[end] if end < len(words) else ''}",
                    f"sentence {place}", f"of {len(words)}", f"from {min(at, 4)}", f"to {min(len(words) - end, 4)}",
                    f"denied {'not' in words}",
                    *((f"alike {int(5 * alike)}", f"known {known} {'not' in words}") if repetition else ()),
                ])  # fmt: skip
                found.append(" ".join(span))
    return found, features


def guess_spans(train, test, repetition: bool) -> float:
    """F1 of the best span by a linear softmax over all spans of a text, which never sees the question."""
    index: dict[str, int] = {}
    texts, group, flat, owner, right = [], [], [], [], []
    for number, example in enumerate(train):
        found, features = spans(example["context"], repetition)
        for span, names in zip(found, features, strict=True):
            flat += [index.setdefault(n, len(index)) for n in names]
            owner += [len(group)] * len(names)
            group.append(number)
            right.append(span == example["answers"][0])
        texts.append(found)
    flat, owner, group, right = (np.array(a) for a in (flat, owner, group, right))
    assert np.unique(group[right]).size > 0.95 * len(train)  # nearly every answer is among the spans
    count = np.bincount(group[right], minlength=len(train))
    target = right * (1 / np.maximum(count, 1))[group]
    answered = (count > 0)[group]

    def gradient(w):
        e = np.exp(np.clip(np.bincount(owner, w[flat], len(group)), -30, 30))
        p = e / np.bincount(group, e, len(train))[group]
        return np.bincount(flat, ((p * answered - target) / len(train))[owner], len(index))

    w = fit(gradient, len(index), steps=50, rate=0.1)
    f1 = []
    for example in test:
        found, features = spans(example["context"], repetition)
        value = [sum(w[index[n]] for n in names if n in index) for names in features]
        f1.append(answer_f1(found[int(np.argmax(value))], example["answers"][0]))
    return 100 * float(np.mean(f1))


@pytest.mark.parametrize("repetition", [False, True], ids=["words-and-places", "and-repetition"])
def test_answers_without_the_question(repetition):
    """Words and places of spans; then also how much a sentence repeats of the others."""
    train, test = examples("squad_v1", "train", 900), examples("squad_v1", "dev", 300)
    f1, chance = guess_spans(train, test, repetition), scores("squad_v1", train, test)
    print(f"\nsquad_v1: no question, repetition {repetition}: F1 {f1:.1f}, chance {chance}")
    assert f1 < max(chance["uniform"], chance["first_span"]) + 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_by_word_overlap(language):
    """Choosing the sentence most like the question, and in it what the question has not."""
    chance = scores("xquad", examples("squad_v1", "train", 900), examples("xquad", "test", 1000, language))
    print(f"\nxquad {language}: {chance}")
    assert chance["overlap"] < max(chance["uniform"], chance["first_span"]) + 10
