"""Raw text of the pocket world, for masked language modelling: what its backbone reads before any task.

Lines are sentences, short texts about one person, stories with their usual ending, questions with their answers, and - as
TLM has them (Conneau and Lample 2019, section 3.3) - translation pairs.
"""

from __future__ import annotations

from random import Random

import numpy as np

from . import nli, qa
from .hub import VERSION, _join
from .languages import grammar
from .meaning import Sentence
from .sample import Sampler


def _text(sentences: list[Sentence], language: str) -> str:
    return _join([grammar(language).sentence(s).text for s in sentences], language)


def documents(seed: int, count: int) -> list[list[Sentence]]:
    """Meanings of short documents."""
    s = Sampler(Random(f"text {seed} {VERSION}"), typical=0.6)
    return [_DOCUMENTS[s.rng.choices(range(len(_DOCUMENTS)), _WEIGHTS)[0]](s) for _ in range(count)]


def _sentence(s: Sampler) -> list[Sentence]:
    return [s.sentence()]


def _two(s: Sampler) -> list[Sentence]:
    return [s.sentence(), s.sentence()]


def _question_and_answer(s: Sampler) -> list[Sentence]:
    question = s.question()
    return [question, Sentence(question.first)]


def _text_and_question(s: Sampler) -> list[Sentence]:
    reading = qa.reading(s, sentences=3)
    return [
        *(Sentence(c) for c in reading.sentences),
        reading.question,
        Sentence(reading.sentences[reading.index]),
    ]


def _story(s: Sampler) -> list[Sentence]:
    context, ending, _ = qa.story(s, s.person_name())
    return [*(Sentence(c) for c in context), Sentence(ending)]


def _habit(s: Sampler) -> list[Sentence]:
    question = qa.knowledge(s).question
    return [question, Sentence(question.first)]


def _restated(s: Sampler) -> list[Sentence]:
    """Something, and what follows from it."""
    hypothesis, premises = nli.triple(s)
    return [premises["entailment"], hypothesis]


_DOCUMENTS = (_sentence, _two, _question_and_answer, _text_and_question, _story, _habit, _restated)
_WEIGHTS = (4, 2, 1, 2, 1.5, 1, 1.5)


def lines(languages: tuple[str, ...], count: int, seed: int) -> dict[str, list[dict]]:
    """Monolingual lines: language → ``count`` rows with ``text``. The languages say different things."""
    return {x: [{"text": _text(d, x)} for d in documents(seed * 1000 + i, count)] for i, x in enumerate(languages)}


def pairs(languages: tuple[str, ...], count: int, seed: int) -> list[dict]:
    """Translation pairs: rows with ``text`` and ``second``, any two languages, English in every other pair."""
    rng = Random(f"pairs {seed}")
    s = Sampler(Random(f"pairs {seed} {VERSION}"), typical=0.6)
    out = []
    for i in range(count):
        first, second = (
            rng.sample(languages, 2)
            if i % 2 or "en" not in languages
            else ("en", rng.choice([x for x in languages if x != "en"]))
        )
        if rng.random() < 0.5:
            first, second = second, first
        meaning = s.question() if s.chance(0.15) else s.sentence()
        out.append({"text": _text([meaning], first), "second": _text([meaning], second)})
    return out


def seed_vectors(languages: tuple[str, ...], tokenizer, width: int, noise: float, seed: int) -> np.ndarray:
    """First word vectors of the backbone: concept vector + language noise, averaged over the words a piece is in.

    This stands in for what a billion sentences teach a large model: words of the same meaning begin near each other.
    It is part of the recipe and stated wherever the backbone is described.

    Parameters
    ----------
    noise : float
        Size of the language's own part, relative to the shared one.

    Returns
    -------
    ndarray (vocabulary, width)
        Standard deviation 0.02 like the usual start; pieces without a concept stay random.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((len(tokenizer), width))
    weight = np.zeros(len(tokenizer))
    concept_vectors: dict[str, np.ndarray] = {}
    for number, language in enumerate(languages):
        words: dict[tuple[str, str], int] = {}
        for document in documents(seed * 1000 + number, 3000):
            for sentence in document:
                for token in grammar(language).sentence(sentence).tokens:
                    # words of grammar share a vector across languages by their part of speech alone
                    meaning = token.concept or (f"pos:{token.pos}" if token.pos != "PUNCT" else f"mark:{token.text}")
                    words[token.text, meaning] = words.get((token.text, meaning), 0) + 1
        own: dict[str, np.ndarray] = {}
        for (word, concept), count in words.items():
            shared = concept_vectors.setdefault(concept, rng.standard_normal(width))
            vector = shared + noise * own.setdefault(concept, rng.standard_normal(width))
            for piece in tokenizer(word, add_special_tokens=False)["input_ids"]:
                total[piece] += count * vector
                weight[piece] += count
    vectors = rng.standard_normal((len(tokenizer), width))
    known = weight > 0
    vectors[known] = total[known] / weight[known, None]
    return 0.02 * vectors / vectors.std(axis=1, keepdims=True)
