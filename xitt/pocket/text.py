"""Raw text of the pocket world, for masked language modelling: what its backbone reads before any task.

Lines are sentences, stories with their usual ending, texts with a question and its answer, what people do and who they are, and
statements with what follows from them or says the same. Pairs are, as TLM has them (Conneau and Lample 2019, section 3.3), translations; a share of them is a text
that goes on in another language.
"""

from __future__ import annotations

from random import Random

import numpy as np

from . import entities, inquiry, nli, paraphrase, qa, stories
from .hub import _join
from .languages import grammar
from .meaning import NP, Sentence
from .sample import Sampler, repeats

#: raised when any line changes
VERSION = 3


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
    return _with_question(qa.reading(s))


def _with_question(text: qa.Reading) -> list[Sentence]:
    return [*text.sentences, text.question, Sentence(text.asked)]


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


def _paraphrased(s: Sampler) -> list[Sentence]:
    """Something, said twice."""
    pair = next(p for p in paraphrase.sentences(s) if p.label)
    return [pair.first, pair.second]


def _caused(s: Sampler) -> list[Sentence]:
    """What happens to somebody, and what follows."""
    who, other = (NP(n) for n in s.rng.sample(s.people, 2))
    (cause,) = stories.causes(s, 1, ("alone", "social"))
    found = [cause.before(who, other), cause.after(who, other)]
    return _caused(s) if any(repeats(c) for c in found) else [Sentence(c) for c in found]


def _passage(s: Sampler) -> list[Sentence]:
    return _with_question(qa.passage(s))


def _inquired(s: Sampler) -> list[Sentence]:
    text = inquiry.inquiry(s)
    return [*text.sentences, text.question, Sentence(text.question.first)]


def _known(s: Sampler) -> list[Sentence]:
    """What somebody does, and who that is."""
    mention = entities.mentions(s)[0]
    return [mention.text, *mention.entity.description]


_DOCUMENTS = (
    _sentence, _two, _question_and_answer, _text_and_question, _story, _habit, _restated, _paraphrased, _caused, _passage,
    _inquired, _known,
)  # fmt: skip
_WEIGHTS = (4, 1, 1, 3, 1.5, 1, 2, 1.5, 1.5, 1, 1, 0.7)


def lines(languages: tuple[str, ...], count: int, seed: int) -> dict[str, list[dict]]:
    """Monolingual lines: language → ``count`` rows with ``text``. The languages say different things."""
    return {x: [{"text": _text(d, x)} for d in documents(seed * 1000 + i, count)] for i, x in enumerate(languages)}


def pairs(languages: tuple[str, ...], count: int, seed: int, continued: float = 0.3) -> list[dict]:
    """Rows with ``text`` and ``second`` in any two languages, English in every other pair.

    Parameters
    ----------
    continued : float
        Share of rows whose second part goes on where the first stops; in the others it translates the first.
    """
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
        if s.chance(continued):
            head, tail = s.pick(_CONTINUED)(s)
        else:
            head = tail = [s.question() if s.chance(0.15) else s.sentence()]
        out.append({"text": _text(head, first), "second": _text(tail, second)})
    return out


def _answered(s: Sampler) -> tuple[list[Sentence], list[Sentence]]:
    """A text | a question about it and its answer."""
    document = _text_and_question(s)
    return document[:-2], document[-2:]


def _followed(s: Sampler) -> tuple[list[Sentence], list[Sentence]]:
    """A statement | what follows from it."""
    statement, hypothesis = s.pick((_restated, _paraphrased, _caused))(s)
    return [statement], [hypothesis]


def _found(s: Sampler) -> tuple[list[Sentence], list[Sentence]]:
    """A question | the text that answers it, and its answer; or what somebody does | who that is."""
    if s.chance(0.3):
        text, *known = _known(s)
        return [text], known
    *text, question, answer = _passage(s)
    return [question], [*text, answer]


_CONTINUED = (_answered, _followed, _followed, _found)


def seed_vectors(languages: tuple[str, ...], tokenizer, width: int, noise: float, seed: int) -> np.ndarray:
    """First word vectors of the backbone: concept + language + noise, averaged over the words a piece is in.

    This stands in for what a billion sentences teach a large model: words of the same meaning begin near each other, and
    each language in a region of its own. It is part of the recipe and stated wherever the backbone is described.

    Parameters
    ----------
    noise : float
        Size of what is a word's own in its language, relative to the concept's vector; the language's common part has
        half the concept's size.

    Returns
    -------
    ndarray (vocabulary, width)
        Standard deviation 0.2: ten times the usual start, so that training refines the vectors and does not replace
        them. Pieces that are in no word are random.
    """
    rng = np.random.default_rng(seed)
    total, weight = np.zeros((len(tokenizer), width)), np.zeros(len(tokenizer))
    concepts: dict[str, np.ndarray] = {}
    for number, language in enumerate(languages):
        region = 0.5 * rng.standard_normal(width)
        own: dict[str, np.ndarray] = {}
        for line in _seed_lines(language, seed * 1000 + number):
            encoded = tokenizer(line.text, add_special_tokens=False, return_offsets_mapping=True)
            for piece, place in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
                for meaning, share in _meanings_at(line, place):
                    shared = concepts.setdefault(meaning, rng.standard_normal(width))
                    word = shared + region + noise * own.setdefault(meaning, rng.standard_normal(width))
                    total[piece] += share * word
                    weight[piece] += share
    vectors = rng.standard_normal((len(tokenizer), width))
    known = weight > 0
    vectors[known] = total[known] / weight[known, None]
    return 0.2 * vectors / vectors.std(axis=1, keepdims=True)


def _seed_lines(language: str, seed: int, count: int = 3000):
    g = grammar(language)
    return [g.sentence(sentence) for document in documents(seed, count) for sentence in document]


def _meanings_at(line, place: tuple[int, int]) -> list[tuple[str, int]]:
    """What a stretch of a sentence means, with the number of characters: concepts, or the part of speech of words of grammar."""
    found = []
    for token, (start, end) in zip(line.tokens, line.spans, strict=True):
        common = min(end, place[1]) - max(start, place[0])
        if common > 0:
            kind = f"mark:{token.text}" if token.pos == "PUNCT" else f"pos:{token.pos}"
            found.append((token.concept or kind, common))
    return found
