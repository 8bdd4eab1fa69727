"""Rows of every data set in the schema of its repository: from meanings and a language to dictionaries."""

from __future__ import annotations

from random import Random

from . import nli, scenes, stories, supertags
from .entities import Entity, Mention
from .languages import Line, grammar
from .meaning import NP, Clause, Sentence


def text(sentence: Sentence | Clause, language: str) -> str:
    """A sentence, or a clause as one."""
    return grammar(language).sentence(sentence if isinstance(sentence, Sentence) else Sentence(sentence)).text


def join(lines: list[str], language: str) -> str:
    """Sentences as a text."""
    return _gap(language).join(lines)


def _gap(language: str) -> str:
    return " " if grammar(language).spaces else ""


def word(concept: str, language: str) -> str:
    """A noun by itself, as it stands in "There is a ...": the concept's own word."""
    line = grammar(language).sentence(Sentence(Clause("be_at", NP(concept), relation="in", place=NP("house"))))
    return next(t.text for t in line.tokens if t.concept == concept).lower()


# --- inference and paraphrase ---------------------------------------------------------------------------------------
def mnli(meanings, language):
    return [
        {"premise": text(p, language), "hypothesis": text(h, language), "label": nli.LABELS.index(label)}
        for p, h, label in meanings
    ]


def xnli(meanings, language):
    return [
        {
            "sentence1": text(p, language),
            "sentence2": text(h, language),
            "gold_label": label,
            "language": language,
        }
        for p, h, label in meanings
    ]


def snli(meanings, language):
    return [
        {
            "premise": join([text(p, language) for p in m.premise], language),
            "hypothesis": text(m.hypothesis, language),
            "label": nli.LABELS.index(m.label),
        }
        for m in meanings
    ]


def anli(meanings, language):
    return [{"uid": f"{i:06d}", **row, "reason": ""} for i, row in enumerate(snli(meanings, language))]


def qqp(meanings, language):
    return [
        {"question1": text(m.first, language), "question2": text(m.second, language), "label": m.label, "idx": i}
        for i, m in enumerate(meanings)
    ]


def pawsx(meanings, language):
    return [
        {"sentence1": text(m.first, language), "sentence2": text(m.second, language), "label": str(m.label)}
        for m in meanings
    ]


# --- reading ----------------------------------------------------------------------------------------------------
def squad(meanings, language):
    """Texts and questions; in ``en-de`` the question is English and the text German."""
    asked, _, language = language.rpartition("-")
    return [_reading(m, str(i), asked or language, language) for i, m in enumerate(meanings)]


def tydiqa(meanings, language):
    name = grammar(language).title.split()[-1].lower()
    return [_reading(m, f"{name}-{i}", language, language) for i, m in enumerate(meanings)]


def _reading(m, name: str, asked: str, language: str) -> dict:
    g = grammar(language)
    lines = [g.sentence(sentence) for sentence in m.sentences]
    texts, starts = [], []
    if getattr(m, "answerable", True):
        first, last = lines[m.index].span(m.slot)
        texts, starts = [lines[m.index].text[first:last]], [_breaks(lines, language)[m.index][0] + first]
    return {
        "id": name,
        "title": "",
        "context": _gap(language).join(line.text for line in lines),
        "question": grammar(asked).sentence(m.question).text,
        "answers": {"text": texts, "answer_start": starts},
    }


def _breaks(lines: list[Line], language: str) -> list[list[int]]:
    """First character of each sentence and the one after its last, in the joined text."""
    found, at = [], 0
    for line in lines:
        found.append([at, at + len(line.text)])
        at += len(line.text) + len(_gap(language))
    return found


def xquad_r(meanings, language):
    return [{k: v for k, v in row.items() if k != "title"} for row in squad(meanings, language)]


def lareqa(meanings, language):
    """Texts with the bounds of their sentences and the questions they answer."""
    out = []
    for number, (m, row) in enumerate(zip(meanings, squad(meanings, language), strict=True)):
        lines = [grammar(language).sentence(sentence) for sentence in m.sentences]
        out.append({
            "title": "", "paragraph": number, "context": row["context"], "sentence_breaks": _breaks(lines, language),
            "qas": {
                "id": [row["id"]], "question": [row["question"]], "answer_start": row["answers"]["answer_start"],
                "answer": row["answers"]["text"],
            },
        })  # fmt: skip
    return out


# --- multiple choice ------------------------------------------------------------------------------------------------
def hellaswag(meanings, language):
    return [
        {
            "ind": i,
            "ctx_a": join([text(c, language) for c in m.context], language),
            "ctx_b": "",
            "endings": [text(e, language) for e in m.endings],
            "label": str(m.label),
        }
        for i, m in enumerate(meanings)
    ]


def commonsense(meanings, language):
    return [
        {
            "id": str(i),
            "question": text(m.question, language),
            "question_concept": m.about,
            "choices": {"label": list("ABCDE"), "text": [word(c, language) for c in m.choices]},
            "answerKey": "ABCDE"[m.label],
        }
        for i, m in enumerate(meanings)
    ]


def cosmosqa(meanings, language):
    return [
        {"id": str(i), **_story(m, language, [f"answer{k}" for k in range(4)]), "label": m.label}
        for i, m in enumerate(meanings)
    ]


def siqa(meanings, language):
    return [{**_story(m, language, ["answerA", "answerB", "answerC"]), "label": str(m.label + 1)} for m in meanings]


def _story(m: stories.Story, language: str, columns: list[str]) -> dict:
    answers = [text(c, language) for c in m.choices]
    return {
        "context": join([text(c, language) for c in m.context], language),
        "question": stories.ask(m.question, m.who).text,
        **dict(zip(columns, answers, strict=True)),
    }


def copa(meanings, language):
    return [
        {
            "premise": text(m.premise, language),
            "choice1": text(m.choices[0], language),
            "choice2": text(m.choices[1], language),
            "question": m.question,
            "idx": i,
            "label": m.label,
        }
        for i, m in enumerate(meanings)
    ]


def xcopa(meanings, language):
    return [{**row, "changed": False} for row in copa(meanings, language)]


# --- tagging --------------------------------------------------------------------------------------------------------
def udpos(meanings, language):
    return [_tagged(grammar(language).sentence(m), "pos", "pos_tags") for m in meanings]


def panx(meanings, language):
    return [{**_tagged(grammar(language).sentence(m), "entity", "ner_tags"), "langs": []} for m in meanings]


def _tagged(line: Line, attribute: str, column: str) -> dict:
    return {"tokens": [t.text for t in line.tokens], column: [getattr(t, attribute) for t in line.tokens]}


def ccg(meanings, language):
    return [{"tokens": [w for w, _ in m], "tags": [t for _, t in m]} for m in map(supertags.tagged, meanings)]


# --- retrieval --------------------------------------------------------------------------------------------------------
def tatoeba(meanings, language):
    return [
        {
            "source_sentence": text(m, language) + "\n",
            "target_sentence": text(m, "en") + "\n",
            "source_lang": language,
            "target_lang": "eng",
        }
        for m in meanings
    ]


def bucc(meanings, language, overlap: float = 0.4):
    """Two corpora that share some meanings: each has sentences of its own, in its own order."""
    rng = Random(f"bucc {language} {len(meanings)}")
    shared = int(overlap * len(meanings))
    alone = (len(meanings) - shared) // 2
    first = list(meanings[: shared + alone])
    second = [*meanings[:shared], *meanings[shared + alone :]]
    rng.shuffle(first)
    rng.shuffle(second)
    ids = [{m: f"{code}-{i:06d}" for i, m in enumerate(side)} for code, side in ((language, first), ("en", second))]
    return [{
        "first": [(ids[0][m], text(m, language)) for m in first], "second": [(ids[1][m], text(m, "en")) for m in second],
        "gold": [(ids[0][m], ids[1][m]) for m in meanings[:shared]],
    }]  # fmt: skip


def pairs_of_entities(meanings, language):
    """Mentions with their entities, both in one language, as ``wikipedia_pairs`` of Mewsli-X has them."""
    return [
        {"contextual_mention": _mention(m, str(i), language), "entity": entity(m.entity, language)}
        for i, m in enumerate(meanings)
    ]


def articles(meanings, language):
    """Texts with the mentions in them, as ``wikinews_mentions`` of Mewsli-X has them; the entities are elsewhere."""
    found = [_mention(m, str(i), language) for i, m in enumerate(meanings)]
    return [{"context": m["context"], "mentions": [m["mention"]]} for m in found]


def _mention(m: Mention, name: str, language: str) -> dict:
    line = grammar(language).sentence(m.text)
    first, last = line.span(m.slot)
    return {
        "context": {
            "document_id": name, "document_url": "", "document_title": "", "section_title": "", "language": language,
            "text": line.text, "sentence_spans": [[0, len(line.text)]],
        },
        "mention": {
            "example_id": name, "entity_id": m.entity.id,
            "mention_span": {"start": first, "end": last, "text": line.text[first:last]},
        },
    }  # fmt: skip


def entity(e: Entity, language: str) -> dict:
    """What is known of somebody, as ``candidate_set_entities`` of Mewsli-X has it."""
    lines = [grammar(language).sentence(sentence) for sentence in e.description]
    first, last = lines[0].span("subject")
    return {
        "entity_id": e.id,
        "title": lines[0].text[first:last],
        "description": _gap(language).join(line.text for line in lines),
        "description_url": "",
        "description_language": language,
        "sentence_spans": _breaks(lines, language),
    }


# --- captions ---------------------------------------------------------------------------------------------------------
def image_text(meanings, language):
    """Captions beside images; ``image`` is the name that an image is drawn from (``xitt.pocket.scenes``)."""
    return [{"text": _caption(m.said, language), "image": scenes.name(m.seen), "label": m.label} for m in meanings]


def caption_mlm(meanings, language):
    return [{"text": _caption(m, language), "image": scenes.name(m)} for m in meanings]


def caption_retrieval(meanings, language):
    return [{"first": _caption(m, language), "second": _caption(m, "en")} for m in meanings]


def _caption(scene: scenes.Scene, language: str) -> str:
    return text(scenes.sentence(scene), language)
