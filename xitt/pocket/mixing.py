"""Code-mixed text of the pocket: sentences of one language with content words of another, at a rate.

The matrix language keeps its word order, its function words, its names and numbers; nouns, verbs, adjectives and times switch to the
embedded language, as the matrix-language-frame model has it (Myers-Scotton 1993, *Duelling Languages*). A word that switches stands as
the other language's own sentence of the same meaning has it, inflected there. Nothing that is said may get lost: a noun stays where an
ending of its own says its role (Turkish *mutfakta*, Russian *пекаря*, Swahili *jikoni*), a verb where its form denies or is modal
(Turkish and Swahili). Which words switch follows from the sentence; a higher rate switches the same words and more, so that a curve over
rates is one of the same sentences. What part of all words has switched is measured (:func:`index`), not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from random import Random

from . import world
from .languages import Grammar, Line, Tok, grammar
from .meaning import NP, NUMERALS, Clause, Sentence

#: raised when any text changes
VERSION = 1
RATES = (25, 50, 75, 100)
#: data set → the one whose meanings it says, percent of content words that switch
SETS = {
    **{f"xnli_mixed{r}": ("xnli", r) for r in RATES},
    **{f"xquad_mixed{r}": ("xquad", r) for r in RATES},
    "udpos_mixed": ("udpos", 50),
}
#: every language as the matrix with English words in it; tagging also has the pair of its real counterpart (SAGT)
_PAIRS = ("de+en", "es+en", "hi+en", "ru+en", "sw+en", "tr+en", "zh+en")
#: languages whose verbs deny, and say what can, must or is wanted to be done, by their endings
_BOUND = ("tr", "sw")


def languages(task: str) -> tuple[str, ...]:
    """Pairs that a data set is made in."""
    return (*_PAIRS, "tr+de") if SETS[task][0] == "udpos" else _PAIRS


@dataclass(frozen=True)
class Word:
    """A token, the language it is of, and whether it took the place of another."""

    tok: Tok
    language: str
    switched: bool = False


@dataclass(frozen=True)
class _Unit:
    """Adjacent tokens that express one concept in one role."""

    concept: str
    slot: str | None
    first: int
    last: int


def _units(tokens: tuple[Tok, ...]) -> list[_Unit]:
    """What may switch, in order: runs of tokens of one concept and role, names and numbers apart."""
    found, at = [], 0
    for (concept, slot), run in groupby(tokens, lambda t: (t.concept, t.slot)):
        length = len(list(run))
        if concept is not None and ":" not in concept and concept not in NUMERALS:
            found.append(_Unit(concept, slot, at, at + length))
        at += length
    return found


@cache
def _as_subject(language: str, concept: str) -> frozenset[str]:
    """Forms that a noun has as a subject: those that carry no role."""
    here = NP("house")
    phrases = [
        NP(concept, det, plural)
        for det in ("def", "indef")
        for plural in ((False,) if concept in world.MASS else (False, True))
    ]
    lines = [grammar(language).sentence(Sentence(Clause("be_at", p, relation="in", place=here))) for p in phrases]
    return frozenset(
        t.text.lower() for line in lines for t in line.tokens if t.concept == concept and t.slot == "subject"
    )


def _counterparts(units: list[_Unit], others: list[_Unit]) -> dict[_Unit, _Unit]:
    """Each unit with what says the same in the other language: same concept and role, and the same place among several.

    Where the two do not have as many, roles are left aside (a verb may carry one in one language alone); what still does not match
    stays as it is.
    """
    found: dict[_Unit, _Unit] = {}
    for key in (lambda u: (u.concept, u.slot), lambda u: u.concept):
        mine, theirs = _grouped([u for u in units if u not in found], key), _grouped(others, key)
        for name, group in mine.items():
            taken = [o for o in theirs.get(name, []) if o not in found.values()]
            if len(group) == len(taken):
                found.update(zip(group, taken, strict=True))
    return found


def _grouped(units: list[_Unit], key) -> dict:
    groups: dict = {}
    for unit in units:
        groups.setdefault(key(unit), []).append(unit)
    return groups


class Mixed(Grammar):
    """A grammar of switched sentences, for every maker of rows: ``sentence`` says a meaning in the matrix language, mixed.

    Parameters
    ----------
    matrix, embedded : str
    rate : int
        Percent of content words that switch, in expectation.
    """

    def __init__(self, matrix: str, embedded: str, rate: int):
        self.matrix, self.embedded, self.rate = grammar(matrix), grammar(embedded), rate
        self.code, self.title = f"{matrix}+{embedded}", f"{self.matrix.title} with {self.embedded.title}"
        self.spaces, self.capitalise = self.matrix.spaces, self.matrix.capitalise

    def sentence(self, sentence: Sentence) -> Line:
        """The sentence, mixed."""
        return self._line(self.words(sentence))

    def words(self, sentence: Sentence) -> list[Word]:
        """Its words, each with its language."""
        line = self.matrix.sentence(sentence)
        mine, theirs = line.tokens, self.embedded.sentence(sentence).tokens
        partner = _counterparts(_units(mine), _units(theirs))
        rng = Random(f"{self.code} {line.text} {VERSION}")
        # a number is drawn for every unit, so that those behind it do not depend on whether it can switch
        begins = {u.first: (u, 100 * rng.random() < self.rate and self._free(u, mine, sentence)) for u in _units(mine)}
        words, at = [], 0
        while at < len(mine):
            unit, switches = begins.get(at, (None, False))
            if switches and unit in partner:
                other = partner[unit]
                words += [
                    Word(self._fitted(theirs, i, mine[at]), self.embedded.code, True)
                    for i in range(other.first, other.last)
                ]
                at = unit.last
            else:
                words.append(Word(mine[at], self.matrix.code))
                at += 1
        return words

    def _free(self, unit: _Unit, tokens: tuple[Tok, ...], sentence: Sentence) -> bool:
        """Whether a unit can switch without taking along what its form says of the sentence."""
        if unit.concept in world.VERBS:
            return self.matrix.code not in _BOUND or not any(c.negated or c.modal for c in sentence.clauses)
        if unit.concept in world.NOUNS:
            forms = _as_subject(self.matrix.code, unit.concept)
            return all(t.text.lower() in forms for t in tokens[unit.first : unit.last])
        return True

    def _fitted(self, tokens: tuple[Tok, ...], place: int, instead: Tok) -> Tok:
        """A word of the embedded language in a role of the matrix; what was a capital only at the start of its sentence is one no more."""
        tok = tokens[place]
        small = place == 0 and self.embedded.capitalise and not (self.embedded.code == "de" and tok.pos == "NOUN")
        text = tok.text[:1].lower() + tok.text[1:] if small else tok.text
        return replace(tok, text=text, slot=instead.slot, glue=False)

    def _line(self, words: list[Word]) -> Line:
        """Words as text: a language that writes no spaces has them where a word of another begins or ends."""
        text, spans, before = "", [], None
        tokens = [w.tok for w in words]
        if self.capitalise and tokens:
            tokens[0] = replace(tokens[0], text=self.upper_first(tokens[0].text))
        for word, tok in zip(words, tokens, strict=True):
            apart = before is not None and (grammar(before.language).spaces or grammar(word.language).spaces)
            text += " " * (apart and not tok.glue)
            spans.append((len(text), len(text) + len(tok.text)))
            text += tok.text
            before = word
        return Line(text, tuple(tokens), tuple(spans))


@cache
def mixed(pair: str, rate: int) -> Mixed:
    """The grammar of a pair (``de+en``) at a rate.

    Raises
    ------
    ValueError
        If a language is not of the pocket, or the pair or the rate makes no sense.
    """
    matrix, _, embedded = pair.partition("+")
    if not embedded or matrix == embedded or not 0 <= rate <= 100:
        raise ValueError(f"the pocket switches between two languages at 0 to 100 percent, not {pair!r} at {rate}")
    return Mixed(matrix, embedded, rate)


def index(words: list[Word]) -> float:
    """Code-mixing index of a text: 100 x the share of its words, names and numbers and marks apart, that are not of the language most of
    them are of (Gambäck and Das 2014, section 3); 0 where there are none.
    """
    counted = [w.language for w in words if w.tok.pos not in ("PUNCT", "PROPN", "NUM")]
    most = max((counted.count(x) for x in set(counted)), default=0)
    return 100 * (1 - most / len(counted)) if counted else 0.0


def measured(task: str, pair: str, count: int) -> tuple[float, float]:
    """Share of words that switched and mean code-mixing index of a data set's first ``count`` meanings, in percent."""
    from . import hub

    source, rate = SETS[task]
    said = [s for m in hub.meanings(source, "test", count) for s in _sentences(m)]
    texts = [mixed(pair, rate).words(s) for s in said]
    words = [w for text in texts for w in text if w.tok.pos != "PUNCT"]
    return 100 * sum(w.switched for w in words) / len(words), sum(map(index, texts)) / len(texts)


def _sentences(meaning) -> tuple[Sentence, ...]:
    """Sentences of a meaning of inference, reading or tagging."""
    if isinstance(meaning, Sentence):
        return (meaning,)
    return meaning[:2] if isinstance(meaning, tuple) else (*meaning.sentences, meaning.question)
