"""Reading beside :func:`xitt.pocket.qa.reading`: questions without answer, longer texts, other questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import world
from .meaning import Clause, Sentence
from .qa import _different, _heads, examination, reading
from .sample import GIVING, INTRANSITIVE, TRANSITIVE, Sampler, repeats


@dataclass(frozen=True)
class Inquiry:
    """A text and a question about it.

    Attributes
    ----------
    sentences : tuple of Sentence
    index, part : int
        The sentence and the clause (0 or 1) that answers, or that the question resembles where nothing does.
    question : Sentence
    answerable : bool
    """

    sentences: tuple[Sentence, ...]
    index: int
    part: int
    question: Sentence
    answerable: bool = True

    @property
    def slot(self) -> str:
        """Where the answer stands in its line (``xitt.pocket.languages.base.Line.span``)."""
        return self.question.ask if self.part == 0 else f"second.{self.question.ask}"

    @property
    def clauses(self) -> tuple[Clause, ...]:
        return tuple(c for sentence in self.sentences for c in sentence.clauses)


# --- with and without answer ------------------------------------------------------------------------------------
#: how often what an unanswerable question adds stands in the sentence that it resembles
_NEAR = 0.85
#: share of texts that are silent on what the unanswerable question asks for
_SILENT = 0.75


def doubtful(s: Sampler) -> tuple[Inquiry, Inquiry]:
    """One text with a question that it answers, and one that it does not.

    Either the text says nothing of the kind (it has no times, say, and the question is when), with the same clues in both questions; or both questions repeat three of a clause's four roles, and in the second one of them is of another clause: its words are all in
    the text, mostly in one sentence, but never in one clause.
    """
    if s.chance(_SILENT):
        return _silent(s)
    text = reading(s)
    clause = text.asked.but(time_first=False)
    (added,) = {*clause.roles(), "time"} - {*text.clues, text.ask}
    same, other = text.sentences[text.index], text.sentences[1 - text.index]
    elsewhere = same.clauses[1 - text.part] if s.chance(_NEAR) else s.pick(other.clauses)
    wrong = clause.but(**{added: getattr(elsewhere, added)})
    asked = [Sentence(c, ask=text.ask) for c in (clause, wrong)]
    return tuple(
        Inquiry(text.sentences, text.index, text.part, q, answerable)
        for q, answerable in zip(asked, (True, False), strict=True)
    )


def _silent(s: Sampler) -> tuple[Inquiry, Inquiry]:
    """A text that tells two of place, time and companion, with a question for one of them and one for the third."""
    untold, *told = s.rng.sample(("place", "time", "companion"), 3)
    sentences, clauses = _text(s, Frame(("subject", "object"), tuple(told), tuple(told), _on(TRANSITIVE, 6)))
    at = s.rng.randrange(4)
    bare = clauses[at].but(place=None, relation=None, time=None, companion=None)
    ask = s.pick(told)
    answered = bare.but(**{r: getattr(clauses[at], r) for r in (ask, *(["relation"] if ask == "place" else []))})
    made_up = {"time": s.time(), "companion": s.agent(("person",)), "place": s.place()}[untold]
    open_ = bare.but(**{untold: made_up, **({"relation": "in"} if untold == "place" else {})})
    return tuple(
        Inquiry(sentences, at // 2, at % 2, Sentence(c, ask=r), r == ask) for c, r in ((answered, ask), (open_, untold))
    )


# --- longer texts ---------------------------------------------------------------------------------------------------
def longer(s: Sampler) -> Inquiry:
    """A text as in :func:`~xitt.pocket.qa.examination` with a sentence about somebody else before, within or behind it."""
    text = examination(s)
    taken = {h for sentence in text.sentences for c in sentence.clauses for h in _said(c)}
    while True:
        clause = s.clause(negated=0.3).but(time_first=False)
        if clause.frame in ("act", "be_at", "have") and not taken & {*_said(clause), clause.time}:
            break
    place = s.rng.randrange(len(text.sentences) + 1)
    sentences = (*text.sentences[:place], Sentence(clause), *text.sentences[place:])
    return Inquiry(sentences, text.index + (place <= text.index), text.part, text.question)


def _said(clause: Clause) -> set[str]:
    """Concepts and names of a clause."""
    phrases = [np for r in clause.roles().values() for np in (r, r.other) if np]
    return {h for np in phrases for h in (np.head, np.owner, np.adjective) if h} | {clause.time} - {None}


# --- other questions ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Frame:
    """What the clauses of a text are like.

    Parameters
    ----------
    crossed : tuple of str
        Two roles (or ``verb``) with two values each, in all four combinations: the question's clues.
    free : tuple of str
        Two roles with four values each, which a question does not say.
    asked : tuple of str
        Those of them that are asked: a question has a subject, and one about giving says to whom.
    verbs : tuple of str
    """

    crossed: tuple[str, str]
    free: tuple[str, str]
    asked: tuple[str, ...]
    verbs: tuple[str, ...]


def _on(verbs, least: int) -> tuple[str, ...]:
    fits = (v for v in verbs if "person" in world.VERBS[v].subjects)
    return tuple(v for v in fits if not least or len(world.members(world.VERBS[v].objects)) > least)


_FRAMES = (
    Frame(("subject", "verb"), ("place", "time"), ("place", "time"), ("go", "come", "walk", "travel")),
    Frame(("subject", "verb"), ("place", "companion"), ("place", "companion"), _on(INTRANSITIVE, 0)),
    Frame(("object", "place"), ("subject", "time"), ("subject",), _on(TRANSITIVE, 6)),
    Frame(("subject", "object"), ("recipient", "time"), ("recipient",), _on(GIVING, 6)),
)
#: frames with two questions are drawn more often than those with one: the text alone leaves more open there
_SHARES = (2, 6, 0.6, 0.6)


def inquiry(s: Sampler) -> Inquiry:
    """A short text of two sentences with two clauses each: who, to whom, where to, where and with whom."""
    (frame,) = s.rng.choices(_FRAMES, _SHARES)
    sentences, _ = _text(s, frame)
    index, part, ask = s.rng.randrange(2), s.rng.randrange(2), s.pick(frame.asked)
    clause = sentences[index].clauses[part]
    dropped = {r: None for r in frame.free if r != ask}
    if "place" in dropped:
        dropped["relation"] = None
    return Inquiry(sentences, index, part, Sentence(clause.but(**dropped), ask=ask))


def _text(s: Sampler, frame: Frame) -> tuple[tuple[Sentence, ...], list[Clause]]:
    """Two sentences of two clauses each, in which nobody and nothing stands twice but for what is crossed."""
    while True:
        clauses = _crossed(s, frame)
        heads = [h for _, np in {(r, np) for c in clauses for r, np in c.roles().items()} for h in _heads(np)]
        if len(heads) == len(set(heads)) and not any(repeats(c) for c in clauses):
            return tuple(Sentence(a, s.pick(("and", "but")), b) for a, b in (clauses[:2], clauses[2:])), clauses


def _crossed(s: Sampler, frame: Frame) -> list[Clause]:
    """Four clauses, one for each combination of the crossed values."""
    verbs = s.rng.sample(frame.verbs, 2)
    draw: dict[str, Callable] = {
        "subject": lambda: s.agent(("person",)), "companion": lambda: s.agent(("person",)), "time": s.time,
        "place": lambda: s.city() if s.chance(0.3) else s.place(),
        "recipient": lambda: s.agent(("person",)),
    }  # fmt: skip
    roles = [r for r in (*frame.crossed, *frame.free) if r in draw]
    values = {r: _different(draw[r], 2 if r in frame.crossed else 4) for r in roles}
    if "object" in frame.crossed:
        values["object"] = [s.patient(v) for v in verbs]
    order = [*s.rng.sample([(0, 0), (1, 1)], 2), *s.rng.sample([(0, 1), (1, 0)], 2)]
    clauses = []
    for i, pair in enumerate(order):
        at = dict(zip(frame.crossed, pair, strict=True))
        verb = verbs[at.get("verb", at.get("object", 0))]
        relation = {"come": "from"}.get(verb, "to") if world.VERBS[verb].motion else "in"
        chosen = {r: found[at.get(r, i)] for r, found in values.items()}
        if "place" in chosen:
            chosen["relation"] = relation
        clauses.append(Clause("act", verb=verb, **chosen))
    return clauses
