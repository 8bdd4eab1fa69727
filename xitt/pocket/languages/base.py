"""What every grammar shares: tokens, lexicon files, how clauses become a line of text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from .. import world
from ..meaning import NP, Clause, Sentence

LEXICON = Path(__file__).resolve().parent.parent / "lexicon"


@dataclass(frozen=True)
class Tok:
    """One word (or punctuation mark) of a sentence.

    ``pos`` is a universal part of speech; ``slot`` the role it belongs to (``subject``, ``time`` …, adpositions
    excluded); ``entity`` an entity type with its prefix (``B-PER``); ``concept`` the concept it expresses;
    ``glue`` means no space before it.
    """

    text: str
    pos: str
    slot: str | None = None
    entity: str = "O"
    concept: str | None = None
    glue: bool = False


@dataclass(frozen=True)
class Line:
    """A sentence as text, with its tokens and their character offsets (``spans[i]`` is of ``tokens[i]``)."""

    text: str
    tokens: tuple[Tok, ...]
    spans: tuple[tuple[int, int], ...]

    def span(self, slot: str) -> tuple[int, int]:
        """Character offsets of the words of one slot; a slot is never split.

        Raises
        ------
        ValueError
            If the slot is absent or its words are not adjacent: a fault of the grammar.
        """
        index = [i for i, t in enumerate(self.tokens) if t.slot == slot]
        if not index or index[-1] - index[0] + 1 != len(index):
            raise ValueError(f"slot {slot!r} is absent or split in {self.text!r}")
        return self.spans[index[0]][0], self.spans[index[-1]][1]


class Lexicon(dict[str, dict[str, str]]):
    """Rows of ``lexicon/<code>.tsv``: concept → named forms.

    A row is ``id <tab> class <tab> form …`` where the class (``noun``, ``verb``, ``adj``, ``per``, ``loc``, ``org``,
    ``time``, or a finer class of the language) names its columns in ``columns``. ``-`` is an empty form; trailing
    empty forms may be left out. Lines that start with ``#`` are comments.
    """

    def __init__(self, code: str, columns: dict[str, tuple[str, ...]]):
        super().__init__()
        path = LEXICON / f"{code}.tsv"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            concept, kind, *forms = line.split("\t")
            if kind not in columns:
                raise ValueError(f"{path.name}:{number}: class {kind!r} is none of {', '.join(columns)}")
            if len(forms) > len(columns[kind]) or concept in self:
                raise ValueError(f"{path.name}:{number}: too many forms, or {concept!r} is there already")
            forms = ["" if f == "-" else f for f in forms] + [""] * (len(columns[kind]) - len(forms))
            self[concept] = {"class": kind, **dict(zip(columns[kind], forms, strict=True))}
        missing = [c for c in (*world.CONCEPTS, *world.NAMES) if c not in self]
        if missing:
            raise ValueError(f"{path.name}: no row for {', '.join(missing[:10])} ({len(missing)} missing)")


class Grammar:
    """Base of all grammars. A language sets the attributes and writes :meth:`clause` and :meth:`question`.

    Attributes
    ----------
    code, title : str
        BCP 47 code and English name.
    columns : dict
        Lexicon classes and their columns, see :class:`Lexicon`.
    spaces, capitalise : bool
        Whether words are separated by spaces, and whether a sentence begins with a capital.
    stop, question_mark, comma : str
        Punctuation.
    """

    code: str
    title: str
    columns: dict[str, tuple[str, ...]]
    spaces = True
    capitalise = True
    stop, question_mark, comma = ".", "?", ","

    @cached_property
    def lexicon(self) -> Lexicon:
        return Lexicon(self.code, self.columns)

    # --- to be written by a language -------------------------------------------------------------------------
    def clause(self, clause: Clause, order: str = "main") -> list[Tok]:
        """Words of a clause, without final punctuation.

        ``order`` is ``main``, ``after_link`` (main clause right behind ``so`` or ``then``) or ``sub`` (behind
        ``because`` or ``say``), for languages whose word order differs there.
        """
        raise NotImplementedError

    def question(self, clause: Clause, ask: str) -> list[Tok]:
        """Words of a question for ``ask`` (see :class:`~xitt.pocket.meaning.Sentence`), without the question mark."""
        raise NotImplementedError

    def link(self, link: str) -> list[Tok]:
        """Words that introduce the second clause: the connective, with a comma before it where one is written."""
        raise NotImplementedError

    def says(self, speaker: NP) -> list[Tok]:
        """Words of "<speaker> says that", with the comma where one is written."""
        raise NotImplementedError

    # --- shared ------------------------------------------------------------------------------------------------
    def sentence(self, sentence: Sentence) -> Line:
        """The sentence in this language."""
        if sentence.ask is not None:
            words = [*self.question(sentence.first, sentence.ask), self.punct(self.question_mark)]
        elif sentence.link == "say":
            words = [*self.says(sentence.speaker), *self.clause(sentence.first, "sub"), self.punct(self.stop)]
        elif sentence.second is not None:
            order = {"because": "sub", "so": "after_link", "then": "after_link"}.get(sentence.link, "main")
            second = [replace(t, slot=t.slot and f"second.{t.slot}") for t in self.clause(sentence.second, order)]
            words = [*self.clause(sentence.first), *self.link(sentence.link), *second, self.punct(self.stop)]
        else:
            words = [*self.clause(sentence.first), self.punct(self.stop)]
        return self.line(words)

    def line(self, words: Iterable[Tok]) -> Line:
        """Join words to text and note where each stands."""
        text, spans, tokens = "", [], []
        words = list(words)
        if self.capitalise and words:
            words[0] = replace(words[0], text=self.upper_first(words[0].text))
        for word in words:
            if text and self.spaces and not word.glue:
                text += " "
            spans.append((len(text), len(text) + len(word.text)))
            text += word.text
            tokens.append(word)
        return Line(text, tuple(tokens), tuple(spans))

    def upper_first(self, text: str) -> str:
        return text[:1].upper() + text[1:]

    def punct(self, mark: str) -> Tok:
        return Tok(mark, "PUNCT", glue=True)

    def proper(self, head: str, form: str, slot: str | None) -> list[Tok]:
        """The words of a proper name: one token, or two for organisations (``form`` has a space or ``|`` then)."""
        kind = head.split(":", maxsplit=1)[0].upper()
        parts = form.replace("|", " ").split(" ")
        return [Tok(part, "PROPN", slot, f"{'I' if i else 'B'}-{kind}", head) for i, part in enumerate(parts)]

    @staticmethod
    def is_human(np: NP) -> bool:
        """Whether one asks "who" for it."""
        return np.head.startswith("per:") or np.head == "person" or np.head in world.KINDS["person"]


def slotted(words: Iterable[Tok], slot: str | None) -> list[Tok]:
    """The same words, marked as belonging to a role."""
    return [replace(w, slot=slot) for w in words]
