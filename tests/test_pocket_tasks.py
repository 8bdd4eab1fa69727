"""Every task's counterpart in the pocket world: rows as in its repository, one right answer, and no way around reading the input."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest

from tests.test_pocket import bag, fit, guess_spans, softmax
from xitt import pools
from xitt.kinds import kind
from xitt.kinds.base import words_of
from xitt.metrics import METRICS
from xitt.pocket import adversarial, hub, nli, stories, supertags, world
from xitt.pocket.languages import LANGUAGES, grammar
from xitt.pocket.meaning import NP, Clause, Sentence
from xitt.schema import Data
from xitt.tasks import TASKS

ANSWERS = {"text": [str], "answer_start": [int]}
SQUAD = {"id": str, "title": str, "context": str, "question": str, "answers": ANSWERS}
COPA = {"premise": str, "choice1": str, "choice2": str, "question": str, "idx": int, "label": int}
COSMOS = {"id": str, "context": str, "question": str, **{f"answer{i}": str for i in range(4)}, "label": int}
CONTEXT = {
    **dict.fromkeys(("document_id", "document_url", "document_title", "section_title", "language", "text"), str),
    "sentence_spans": [[int]],
}
MENTION = {"example_id": str, "entity_id": str, "mention_span": {"start": int, "end": int, "text": str}}
ENTITY = {
    **dict.fromkeys(("entity_id", "title", "description", "description_url", "description_language"), str),
    "sentence_spans": [[int]],
}
ANLI = {"uid": str, "premise": str, "hypothesis": str, "label": int, "reason": str}
#: columns and their types, as the repository of each task has them
SCHEMAS = {
    "snli": {"premise": str, "hypothesis": str, "label": int},
    "anli_r1": ANLI, "anli_r2": ANLI, "anli_r3": ANLI,
    "qqp": {"question1": str, "question2": str, "label": int, "idx": int},
    "pawsx": {"sentence1": str, "sentence2": str, "label": str},
    "squad_v2": SQUAD, "mlqa": SQUAD, "tydiqa": SQUAD,
    "ccg": {"tokens": [str], "tags": [str]},
    "cosmosqa": COSMOS,
    "siqa": {"context": str, "question": str, "answerA": str, "answerB": str, "answerC": str, "label": str},
    "copa": COPA,
    "xcopa": {**COPA, "changed": bool},
    "xquad_r": {k: v for k, v in SQUAD.items() if k != "title"},
    "lareqa": {"title": str, "paragraph": int, "context": str, "sentence_breaks": [[int]],
               "qas": {"id": [str], "question": [str], "answer_start": [int], "answer": [str]}},
    "mewslix": {"context": CONTEXT, "mentions": [MENTION]},
}  # fmt: skip
NLI_TASKS = ("snli", "anli_r1", "anli_r2", "anli_r3")
MLQA = ("en", "de", "es", "hi", "zh")  # those that its official rules for answers know
CHOICES = {"cosmosqa": 4, "siqa": 3, "copa": 2, "xcopa": 2}
TRAINED = tuple(t for t in SCHEMAS if t not in ("mlqa", "xcopa", "xquad_r", "lareqa"))


@cache
def rows(task: str, split: str, count: int | None, language: str = "en") -> list[dict]:
    return hub.rows(task, split, language, count)[0]


@cache
def examples(task: str, split: str, count: int | None, language: str = "en") -> list[dict]:
    """Fields of the task's kind, straight from its columns."""
    return [{"id": str(i), **_FIELDS[task](row)} for i, row in enumerate(rows(task, split, count, language))]


def _pair(first: str, second: str, labels: tuple[str, ...]):
    return lambda r: {"first": r[first], "second": r[second], "label": labels[int(r["label"])]}


def _choice(prompt: tuple[str, ...], choices: tuple[str, ...], least: int = 0):
    return lambda r: {"prompt": " ".join(r[p] for p in prompt), "choices": [r[c] for c in choices],
                      "label": int(r["label"]) - least}  # fmt: skip


def _span(r: dict) -> dict:
    return {
        "context": r["context"],
        "question": r["question"],
        "answers": r["answers"]["text"],
        "starts": r["answers"]["answer_start"],
    }


_FIELDS = {
    **dict.fromkeys(NLI_TASKS, _pair("premise", "hypothesis", nli.LABELS)),
    "qqp": _pair("question1", "question2", ("0", "1")),
    "pawsx": _pair("sentence1", "sentence2", ("0", "1")),
    **dict.fromkeys(("squad_v2", "mlqa", "tydiqa"), _span),
    "cosmosqa": _choice(("context", "question"), ("answer0", "answer1", "answer2", "answer3")),
    "siqa": _choice(("context", "question"), ("answerA", "answerB", "answerC"), 1),
    **dict.fromkeys(("copa", "xcopa"), _choice(("premise",), ("choice1", "choice2"))),
    "ccg": lambda r: r,
}


# --- rows -----------------------------------------------------------------------------------------------------------
def conforms(value, schema) -> bool:
    if isinstance(schema, dict):
        return list(value) == list(schema) and all(conforms(value[k], s) for k, s in schema.items())
    if isinstance(schema, list):
        return isinstance(value, list) and all(conforms(v, schema[0]) for v in value)
    return type(value) is schema


@pytest.mark.parametrize("task", SCHEMAS)
def test_schema(task):
    assert hub.languages(task) == (("en",) if task in hub.ENGLISH_ONLY else MLQA if task == "mlqa" else LANGUAGES)
    for language in hub.languages(task):
        found, total = hub.rows(task, "test", language, 24)
        assert (len(found), total) == (24, 400 if task == "lareqa" else hub.SIZES["test"])
        assert all(conforms(row, SCHEMAS[task]) for row in found)
        assert json.loads(json.dumps(found)) == found
        assert hub.rows(task, "test", language, 9)[0] == found[:9]


def test_schema_of_pairs_and_pool():
    for split in ("train", "dev"):
        found = rows("mewslix", split, 12)
        assert all(
            conforms(r, {"contextual_mention": {"context": CONTEXT, "mention": MENTION}, "entity": ENTITY})
            for r in found
        )
        assert all(r["contextual_mention"]["mention"]["entity_id"] == r["entity"]["entity_id"] for r in found)
    pool, total = hub.rows("mewslix", "pool", "all", 3)  # whole, whatever the limit
    assert len(pool) == total == hub.SIZES["dev"] + hub.SIZES["test"]
    assert all(conforms(r, ENTITY) for r in pool)


@pytest.mark.parametrize(("task", "split", "language"), [
    ("cosmosqa", "train", "de"), ("pawsx", "pool", "all"), ("mewslix", "pool", "en"), ("pawsx", "test", "en-de"), ("pawsx", "sample", "en"),
    ("mlqa", "test", "en-fr"),
])  # fmt: skip
def test_unknown(task, split, language):
    with pytest.raises(ValueError, match=f"the pocket has no {task} in '{language}'"):
        hub.rows(task, split, language, 3)


@pytest.mark.parametrize("task", [t for t in SCHEMAS if t not in hub.ENGLISH_ONLY])
def test_languages_say_the_same(task):
    """Labels, ids and what is asked are those of English."""
    kept = {"label", "idx", "changed", "question" if task == "xcopa" else "", "id" if task != "tydiqa" else ""}
    english = rows(task, "test", 120)
    texts = Counter()
    for language in hub.languages(task)[1:]:
        found = rows(task, "test", 120, language)
        for a, b in zip(english, found, strict=True):
            assert {k: a[k] for k in kept if k in a} == {k: b[k] for k in kept if k in b}
            texts[json.dumps(a) == json.dumps(b)] += 1
            if task == "mewslix":
                assert a["mentions"][0]["entity_id"] == b["mentions"][0]["entity_id"]
            if task == "tydiqa":
                assert b["id"].rpartition("-")[2] == a["id"].rpartition("-")[2]
                assert b["id"].startswith(grammar(language).title.split()[-1].lower() + "-")
    assert set(texts) == {False}


def test_question_in_another_language():
    mixed, asked, read = (rows("mlqa", "test", 40, x) for x in ("en-zh", "en", "zh"))
    assert [r["question"] for r in mixed] == [r["question"] for r in asked]
    assert [(r["context"], r["answers"]) for r in mixed] == [(r["context"], r["answers"]) for r in read]


# --- splits -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", TRAINED)
def test_meanings_of_tests_are_not_in_training(task):
    seen = set(hub._meanings(task, "train", 3000))
    for split in ("dev", "test"):
        assert not seen & set(hub._meanings(task, split, hub.SIZES[split]))


def test_meanings_of_related_tasks_differ():
    drawn = [set(hub._meanings(t, "test", 1000)) for t in ("anli_r1", "anli_r2", "anli_r3")]
    assert not drawn[0] & drawn[1] | drawn[1] & drawn[2] | drawn[0] & drawn[2]
    asked = {(m.sentences, m.question) for m in hub._meanings("squad_v1", "test", 1000)}
    assert not asked & {(m.sentences, m.question) for m in hub._meanings("mlqa", "test", 1000)}
    assert [r["question"] for r in rows("xquad_r", "test", 50, "sw")] == [
        r["question"] for r in hub.rows("xquad", "test", "sw", 50)[0]
    ]


@pytest.mark.parametrize("task", TRAINED)
def test_names_of_tests_are_not_in_training(task):
    words = {split: set(re.findall(r"\w+", json.dumps(rows(task, split, 900)))) for split in hub.SIZES}
    lexicon = grammar("en").lexicon
    forms = {split: {lexicon[n]["form"].split()[0] for n in hub.names(split)} for split in hub.SIZES}
    for split, others in (("train", ("dev", "test")), ("dev", ("train", "test")), ("test", ("train", "dev"))):
        assert words[split] & forms[split]
        assert not any(words[split] & forms[other] for other in others)


# --- labels -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", [*NLI_TASKS, "qqp", "pawsx", "cosmosqa", "siqa", "copa", "xcopa"])
def test_labels_are_balanced(task):
    for split in ("train", "dev", "test"):
        counts = Counter(e["label"] for e in examples(task, split, 600))
        size = CHOICES.get(task, 3 if task in NLI_TASKS else 2)
        assert len(counts) == size
        assert max(counts.values()) - min(counts.values()) <= 0.1 * 600 / size


def test_half_of_the_questions_have_an_answer():
    for split in hub.SIZES:
        assert Counter(len(e["answers"]) for e in examples("squad_v2", split, 600)) == {0: 300, 1: 300}


# --- inference --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", NLI_TASKS)
def test_every_hypothesis_has_every_label(task):
    for block in blocks(task, "test", 3):
        assert len({e["second"] for e in block}) == 1
        assert sorted(e["label"] for e in block) == sorted(nli.LABELS)


def blocks(task: str, split: str, size: int) -> list[list[dict]]:
    found = examples(task, split, hub.SIZES[split] // size * size)
    return [found[i : i + size] for i in range(0, len(found), size)]


def test_rounds_grow_harder():
    """More sentences in the premise, and shared words and negation mislead more."""
    sizes, misled = [], []
    for task in NLI_TASKS[1:]:
        found = hub._meanings(task, "test", 999)
        sizes.append(np.mean([len(m.premise) for m in found]))
        cores = [
            {m.label: _core([x.premise for x in found[i : i + 3]], m.premise) for m in found[i : i + 3]}
            for i in range(0, 999, 3)
        ]
        hypotheses = [m.hypothesis for m in found[::3]]
        misled.append(np.mean([adversarial.misleading(h, c) for h, c in zip(hypotheses, cores, strict=True)]))
    print(f"\nanli: sentences {sizes}, misleading {np.round(misled, 2)}")
    assert sizes == [2, 3, 4]
    assert misled[0] + 0.05 < misled[1] < misled[2] - 0.05
    assert misled[0] > 0


def _core(premises: list[tuple], premise: tuple) -> Sentence:
    """The sentence that the premises of one hypothesis do not share."""
    (core,) = [x for x in premise if not all(x in p for p in premises)] or premise[:1]
    return core


def test_people_around_do_not_decide():
    """Nobody in the shared sentences does anything in the one that decides."""
    for task in NLI_TASKS[1:]:
        found = hub._meanings(task, "test", 600)
        for i in range(0, 600, 3):
            block = found[i : i + 3]
            shared = set(block[0].premise) & set(block[1].premise) & set(block[2].premise)
            about = {x.first.subject.head for x in shared}
            deciding = [x for m in block for x in (*m.premise, m.hypothesis) if x not in shared]
            named = {h for x in deciding for c in x.clauses for h in nli._names(c)}
            named |= {x.speaker.head for x in deciding if x.speaker}
            assert not about & named


def test_scenes_have_no_names_of_people():
    forms = {grammar("en").lexicon[n]["form"] for n in world.NAMES if n.startswith("per:")}
    assert not forms & set(re.findall(r"\w+", json.dumps(rows("snli", "test", None))))


# --- paraphrase -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", ["qqp", "pawsx"])
def test_pairs_share_as_many_words(task):
    """A sentence stands beside its restatement and beside a sentence that has as many of its words and says something else."""
    more = []
    for a, b in blocks(task, "test", 2):
        assert a["second"] == b["second"] or a["first"] == b["first"]
        assert {a["label"], b["label"]} == {"0", "1"}
        same, other = sorted((a, b), key=lambda e: e["label"], reverse=True)
        shared = [len(words_of(e["first"]) & words_of(e["second"])) for e in (same, other)]
        more.append(shared[0] - shared[1])
    equal = np.mean(np.array(more) == 0)
    print(f"\n{task}: as many words shared in {100 * equal:.0f} %, more in the restatement {np.mean(more):.2f}")
    assert equal > 0.7
    assert abs(np.mean(more)) < 0.25


@pytest.mark.parametrize("language", LANGUAGES)
def test_other_meanings_are_other_sentences(language):
    """What differs in meaning differs in every language; a restatement is seldom the same sentence."""
    same = Counter(e["label"] for e in examples("pawsx", "test", None, language) if e["first"] == e["second"])
    assert not same["0"]
    assert same["1"] < 0.05 * hub.SIZES["test"]


# --- reading ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", ["squad_v2", "mlqa", "tydiqa"])
def test_answers_are_at_their_offsets(task):
    for language in hub.languages(task):
        for row in rows(task, "test", 400, language):
            for answer, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
                assert answer
                assert row["context"][start : start + len(answer)] == answer
                assert answer == answer.strip(" .,。，।?？")


def matching(meaning) -> list[Clause]:
    """Clauses of a text of which all that a question says is true."""
    asked = meaning.question.first
    said = {r: np.head for r, np in asked.roles().items() if r != meaning.question.ask}
    if asked.time and meaning.question.ask != "time":
        said["time"] = asked.time
    return [c for c in meaning.clauses if c.verb == asked.verb and all(_value(c, r) == v for r, v in said.items())]


def _value(clause: Clause, role: str) -> str | None:
    value = getattr(clause, role)
    return value.head if isinstance(value, NP) else value


def test_unanswerable_is_unanswerable():
    """No clause fits, although every word of the question but what it asks with is in the text."""
    for m, row in zip(hub._meanings("squad_v2", "test", 800), rows("squad_v2", "test", 800), strict=True):
        assert sum(getattr(c, m.question.ask) is not None for c in matching(m)) == m.answerable
        heads = {_value(c, r) for c in m.clauses for r in (*c.roles(), "time")}
        said = {r for r in (*m.question.first.roles(), "time") if m.answerable or r != m.question.ask}
        assert {_value(m.question.first, r) for r in said} <= heads | {None}
        words = words_of(row["question"]) - words_of(row["context"])
        verb = grammar("en").lexicon[m.question.first.verb]["base"]
        assert words <= {"when", "where", "with", "whom", "does", "do", verb, *verb.split()}, words


@pytest.mark.parametrize("task", ["mlqa", "tydiqa"])
def test_one_clause_answers(task):
    asked = Counter()
    for m in hub._meanings(task, "test", 800):
        assert len(matching(m)) == 1
        asked[m.question.ask] += 1
    assert set(asked) == (
        {"place", "time", "companion", "subject"}
        if task == "mlqa"
        else {"place", "time", "companion", "subject", "recipient"}
    )
    assert min(asked.values()) > 25


@pytest.mark.parametrize("language", LANGUAGES)
def test_verbs_that_tell_clauses_apart_differ(language):
    """In questions where only the verb distinguishes two clauses, it has another word in every language."""
    from xitt.pocket.inquiry import _FRAMES

    for frame in _FRAMES:
        if "verb" not in frame.crossed:
            continue
        said = Counter()
        for verb in frame.verbs:
            relation = ("from" if verb == "come" else "to") if world.VERBS[verb].motion else "in"
            said[
                grammar(language)
                .sentence(Sentence(Clause("act", NP("teacher"), verb, relation=relation, place=NP("school"))))
                .text
            ] += 1
        assert max(said.values()) == 1, said.most_common(2)


def test_texts_grow():
    length = {t: np.mean([len(e["context"]) for e in examples(t, "test", 400)]) for t in ("tydiqa", "squad_v2", "mlqa")}
    assert length["tydiqa"] < length["squad_v2"] < length["mlqa"]


# --- supertags --------------------------------------------------------------------------------------------------------
def test_supertags_are_of_the_words():
    tags = Counter()
    for m in hub._meanings("ccg", "test", 1000):
        words = supertags.tagged(m)
        assert [w for w, _ in words] == [t.text for t in grammar("en").sentence(m).tokens]
        tags.update(t for _, t in words)
    by_word: dict[str, set] = {}
    for row in rows("ccg", "train", 4000):
        for word, tag in zip(row["tokens"], row["tags"], strict=True):
            tags[tag] += 1
            by_word.setdefault(word, set()).add(tag)
    print(f"\nccg: {len(tags)} categories; most ambiguous:", sorted((len(v), k) for k, v in by_word.items())[-6:])
    assert len(tags) >= 25


def test_supertags_derive_the_sentence():
    """Application, composition and coordination put every sentence together: statements to S[dcl], questions to S[q] or S[wq]."""
    for m in hub._meanings("ccg", "dev", 500):
        words = supertags.tagged(m)
        goals = {"S[dcl]"} if m.ask is None else {"S[q]" if m.ask == "polar" else "S[wq]"}
        assert goals & {str_of(c) for c in derive([parse(t) for _, t in words])}, words


def parse(text: str):
    """A category: a name, or (result, slash, argument)."""
    depth, cut = 0, None
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter in "/\\":
            cut = i  # the last slash outside brackets is the outermost
    if cut is None:
        return parse(text[1:-1]) if text.startswith("(") else text
    return parse(text[:cut]), text[cut], parse(text[cut + 1 :])


def str_of(category) -> str:
    return category if isinstance(category, str) else f"({str_of(category[0])}{category[1]}{str_of(category[2])})"


def fits(wanted, given) -> bool:
    """Whether an argument may be filled; S without a feature takes any, N serves as NP."""
    if isinstance(wanted, str) or isinstance(given, str):
        return wanted == given or (wanted, given) == ("NP", "N") or (wanted == "S" and str(given).startswith("S["))
    return wanted[1] == given[1] and fits(wanted[0], given[0]) and fits(wanted[2], given[2])


def result(function, given):
    """What a function gives; an S without a feature gets that of what it took."""
    return featured(function[0], given)


def featured(category, given):
    if isinstance(category, tuple):
        return featured(category[0], given), category[1], featured(category[2], given)
    while isinstance(given, tuple):
        given = given[0]
    return given if category == "S" and given.startswith("S") else category


def combine(a, b) -> set:
    found = set()
    if b in (",", "."):
        found.add(a)
    if a == ",":
        found.add(b)
    if a == "conj":
        found.add((b, "\\", b))
        if b == "N":
            found.add(("NP", "\\", "NP"))
    forward, backward = isinstance(a, tuple) and a[1] == "/", isinstance(b, tuple) and b[1] == "\\"
    if forward and fits(a[2], b):
        found.add(result(a, b))
    if backward and fits(b[2], a):
        found.add(result(b, a))
    if forward and isinstance(b, tuple) and b[1] == "/" and fits(a[2], b[0]):
        found.add((result(a, b[0]), "/", b[2]))
    # a modifier behind a verb that still waits for something to its right (crossed composition)
    if backward and isinstance(a, tuple) and a[1] == "/" and fits(b[2], a[0]):
        found.add((result(b, a[0]), "/", a[2]))
    return found


#: a PP raised over its verb, so that the verb's object can be asked for: "what does she bring to Ivan"
RAISED = parse(r"(S\NP)\((S\NP)/PP)")


def derive(categories: list) -> set:
    size = len(categories)
    chart = {(i, i + 1): {c} for i, c in enumerate(categories)}
    for width in range(2, size + 1):
        for i in range(size - width + 1):
            found = {
                c
                for k in range(i + 1, i + width)
                for a in chart[i, k]
                for b in chart[k, i + width]
                for c in combine(a, b)
            }
            chart[i, i + width] = found | ({RAISED} if "PP" in found else set())
    return chart[0, size]


# --- causes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", ["cosmosqa", "siqa", "copa"])
def test_every_choice_is_right_once(task):
    """The same choices stand after a premise for each of them."""
    size = CHOICES[task]
    kinds = Counter()
    for block in blocks(task, "test", size):
        assert len({tuple(e["choices"]) for e in block}) == 1
        assert len(set(block[0]["choices"])) == size
        assert {e["label"] for e in block} == set(range(size))
        assert len({e["prompt"] for e in block}) == size
        kinds[block[0]["prompt"].split()[-1]] += 1
    assert len(kinds) > 1


def test_causes_lead_to_one_effect():
    s = hub.sampler("copa", "test")
    for _ in range(400):
        found = stories.causes(s, 4, ("alone", "social", "thing"))
        assert len({c.verb for c in found}) == len({c.clue for c in found}) == 4
        assert not any(a.verb in stories._usual(b.clue) for a in found for b in found if a is not b)


def test_both_questions_are_asked():
    assert set(Counter(r["question"] for r in rows("xcopa", "test", 400, "tr"))) == {"cause", "effect"}
    for task in ("cosmosqa", "siqa"):
        starts = Counter(r["question"].split()[0] for r in rows(task, "test", 400))
        assert set(starts) == {"What", "Why"}
        assert min(starts.values()) > 120
    assert stories.ask("why", NP("per:anna")).text == "Why does Anna do this?"
    assert stories.ask("next", NP("teacher", plural=True)).text == "What do the teachers do next?"


# --- retrieval --------------------------------------------------------------------------------------------------------
def test_every_question_has_an_answer_sentence_in_every_language():
    found = Counter()
    for row in (r for x in LANGUAGES for r in rows("lareqa", "test", None, x)):
        breaks, context = row["sentence_breaks"], row["context"]
        assert "".join(context[a:b] for a, b in breaks).replace(" ", "") == context.replace(" ", "")
        (start,), (answer,) = row["qas"]["answer_start"], row["qas"]["answer"]
        (holder,) = [context[a:b] for a, b in breaks if a <= start and start + len(answer) <= b]
        assert answer in holder
        found[row["qas"]["id"][0]] += 1
    assert set(found.values()) == {len(LANGUAGES)}


def test_mentions_are_at_their_offsets():
    pool = {e["entity_id"]: e for e in hub.rows("mewslix", "pool", "all", None)[0]}
    assert len(pool) == hub.SIZES["dev"] + hub.SIZES["test"]
    assert len({(e["description"]) for e in pool.values()}) == len(pool)
    shares = Counter(e["description_language"] for e in pool.values())
    assert min(shares[x] for x in LANGUAGES) > 0.08 * len(pool)
    for entity in pool.values():
        assert entity["description"][entity["sentence_spans"][0][0] :].startswith(entity["title"])
        assert entity["sentence_spans"][-1][1] == len(entity["description"])
    for language in LANGUAGES:
        for row in rows("mewslix", "test", None, language):
            (mention,), text = row["mentions"], row["context"]["text"]
            span = mention["mention_span"]
            assert text[span["start"] : span["end"]] == span["text"]
            assert mention["entity_id"] in pool


@pytest.mark.parametrize("task", ["lareqa", "mewslix"])
def test_candidates_by_shared_words(task):
    """Shared words lead to candidates in the query's own language and hardly beyond: an eighth of the right ones."""
    source, row = Data(source="pocket"), TASKS[task]
    pool = pools.candidates(source, row, LANGUAGES).rows
    for language in ("en", "ru", "zh"):
        queries = pools.read(source, row, "test", language, 250, LANGUAGES).rows
        frames = kind("dual").baselines([], queries, (), pool)
        by = {n: METRICS["dual", "map@20"].score(f) for n, f in frames.items()}
        print(f"\n{task} {language}: {by}")
        assert by["overlap"] < 100 / len(LANGUAGES) + 3


# --- no shortcuts -----------------------------------------------------------------------------------------------------
def chance(name: str, train: list[dict], test: list[dict], labels=()) -> dict[str, float]:
    metric = METRICS[name, "f1" if name == "span" else "accuracy"]
    return {n: metric.score(f) for n, f in kind(name).baselines(train, test, labels).items()}


def classified(train: list[str], targets, test: list[str], gold, labels: tuple) -> float:
    """Accuracy of a linear softmax over the words of one text."""
    index: dict[str, int] = {}
    x, y = bag(train, index, True), np.eye(len(labels))[[labels.index(t) for t in targets]]
    w = fit(lambda w: x.T @ (softmax(x @ w) - y) / len(x), (x.shape[1], len(labels)))
    given = (bag(test, index, False) @ w).argmax(1)
    return 100 * float(np.mean([labels[g] == t for g, t in zip(given, gold, strict=True)]))


@pytest.mark.parametrize("task", [*NLI_TASKS, "qqp", "pawsx"])
def test_pairs_from_one_text_or_by_overlap(task):
    labels = nli.LABELS if task in NLI_TASKS else ("0", "1")
    train, test = examples(task, "train", 2400), examples(task, "test", 996)
    alone = {
        side: classified([e[side] for e in train], [e["label"] for e in train], [e[side] for e in test],
                         [e["label"] for e in test], labels)
        for side in ("first", "second")
    }  # fmt: skip
    found = chance("classify", train, test, labels)
    print(f"\n{task}: from one text {alone}, {found}")
    even = 100 / len(labels)
    assert abs(alone["second"] - even) < 10
    assert task in NLI_TASKS or abs(alone["first"] - even) < 10
    assert found["overlap"] < even + 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_paraphrases_by_overlap(language):
    found = chance("classify", examples("pawsx", "train", 2400), examples("pawsx", "test", 1000, language), ("0", "1"))
    print(f"\npawsx {language}: {found}")
    assert found["overlap"] < 60


@pytest.mark.parametrize("task", ["cosmosqa", "siqa", "copa"])
def test_choices_without_the_prompt(task):
    train, test = examples(task, "train", 2400), examples(task, "test", 996)
    size, index = CHOICES[task], {}
    x = bag([c for e in train for c in e["choices"]], index, True)
    y = np.eye(size)[[e["label"] for e in train]]
    w = fit(lambda w: x.T @ (softmax((x @ w).reshape(-1, size)) - y).ravel() / len(y), x.shape[1])
    given = (bag([c for e in test for c in e["choices"]], index, False) @ w).reshape(-1, size).argmax(1)
    accuracy = 100 * np.mean(given == [e["label"] for e in test])
    found = chance("choose", train, test)
    print(f"\n{task}: choices only {accuracy:.1f}, {found}")
    assert accuracy < 100 / size + 10
    assert found["overlap"] < 100 / size + 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_causes_by_overlap(language):
    found = chance("choose", examples("copa", "train", 600), examples("xcopa", "test", 1000, language))
    print(f"\nxcopa {language}: {found}")
    assert found["overlap"] < 60


@pytest.mark.parametrize("task", ["squad_v2", "tydiqa", "mlqa"])
def test_answers_without_the_question(task):
    train, test = ([e for e in examples(task, *part) if e["answers"]] for part in (("train", 1400), ("dev", 500)))
    train, test = train[:700], test[:250]
    for repetition in (False, True):
        f1, found = guess_spans(train, test, repetition), chance("span", train, test)
        print(f"\n{task}: no question, repetition {repetition}: F1 {f1:.1f}, {found}")
        assert f1 < max(found["uniform"], found["first_span"]) + 10


@pytest.mark.parametrize("task", ["squad_v2", "tydiqa", "mlqa"])
def test_answers_by_word_overlap(task):
    train = [e for e in examples(task, "train", 900) if e["answers"]]
    for language in hub.languages(task):
        test = [e for e in examples(task, "test", 1000, language) if e["answers"]]
        found = chance("span", train, test)
        print(f"\n{task} {language}: {found}")
        assert found["overlap"] < max(found["uniform"], found["first_span"]) + 10


def test_whether_there_is_an_answer():
    """Neither the question nor the words it shares with the text or its best sentence tell."""
    train, test = examples("squad_v2", "train", 2400), examples("squad_v2", "test", 1000)
    labels = (False, True)
    asked = classified([e["question"] for e in train], [bool(e["answers"]) for e in train],
                       [e["question"] for e in test], [bool(e["answers"]) for e in test], labels)  # fmt: skip
    shared, gold = [], []
    for e in test:
        words = words_of(e["question"])
        shared.append(max(len(words & words_of(x)) for x in re.split(r"(?<=\.) ", e["context"])) / len(words))
        gold.append(bool(e["answers"]))
    shared, gold = np.array(shared), np.array(gold)
    overlap = 100 * max(np.mean((shared >= t) == gold) for t in np.unique(shared))
    print(f"\nsquad_v2: answerable from the question {asked:.1f}, by overlap {overlap:.1f}")
    assert abs(asked - 50) < 10
    assert overlap < 60


def test_supertags_from_the_word_alone():
    """The most frequent category of a word is far from enough."""
    train, test = examples("ccg", "train", 3000), examples("ccg", "test", 1000)
    found = chance("tag", train, test, tuple(sorted({t for e in train for t in e["tags"]})))
    print(f"\nccg: {found}")
    assert max(found.values()) < 90
