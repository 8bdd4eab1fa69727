"""Pairs of sentences, and of questions, that say the same or only look as if they did.

Every sentence stands once beside a restatement and once beside a sentence that shares as many words with it: the same words with
roles exchanged, or a word that restates in the place of the one that would. So neither a sentence alone nor the number of words
that a pair shares tells the label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import world
from .meaning import NP, Clause, Sentence
from .sample import INTRANSITIVE, RECEIVING, TRANSITIVE, Sampler, repeats


@dataclass(frozen=True)
class Pair:
    """Two sentences or questions; ``label`` is 1 where they say the same."""

    first: Sentence
    second: Sentence
    label: int


#: a clause, a restatement, and another meaning with as many of its words
Three = tuple[Clause, Clause, Clause]


# --- ways to say it again ---------------------------------------------------------------------------------------
def _converse(s: Sampler) -> Three:
    """A gives B a ball: B receives a ball from A, not A from B."""
    giver, taker = s.rng.sample(s.people, 2)
    base = s.act(tuple(world.CONVERSE)).but(subject=NP(giver), recipient=NP(taker), **_when(s, 0.4))
    other = base.but(verb=world.CONVERSE[base.verb])
    return base, _exchange(other, "subject", "recipient"), other


def _opposite(s: Sampler) -> Three:
    """A is taller than B: B is shorter than A, not A than B."""
    while (base := s.comparison()).adjective not in world.ANTONYMS:
        pass
    other = base.but(adjective=world.ANTONYMS[base.adjective])
    return base, _exchange(other, "subject", "standard"), other


def _position(s: Sampler) -> Three:
    """X is behind Y: Y is in front of X, not X of Y."""
    while (base := s.location()).relation not in ("behind", "in_front_of", "on", "under"):
        pass
    base = base.but(subject=NP(base.subject.head))
    other = base.but(relation=world.INVERSE_RELATION[base.relation])
    return base, _exchange(other, "subject", "place"), other


def _trade(s: Sampler) -> Three:
    """A gives B a ball: B receives a ball from A, does not buy it."""
    base, _, _ = _converse(s)
    same = _exchange(base.but(verb=world.CONVERSE[base.verb]), "subject", "recipient")
    wrong = s.pick([v for v in world.CONVERSE if _taking(v) == _taking(same.verb) and v != same.verb])
    return base, same, same.but(verb=wrong)


def _taking(verb: str) -> bool:
    return verb in RECEIVING


def _measure(s: Sampler) -> Three:
    """A is taller than B: B is shorter than A, which says nothing of who is richer."""
    base, _, other = _opposite(s)
    same = _exchange(other, "subject", "standard")
    fits = [a for a in world.ANTONYMS if _suits(a, base.subject.head) and _suits(a, base.standard.head)]
    return base, same, same.but(adjective=s.pick([a for a in fits if a not in (base.adjective, same.adjective)]))


def _denied(s: Sampler) -> Three:
    """The box is not open: it is closed, which says nothing of how clean it is."""
    while True:
        head = (
            s.person_name().head if s.chance(0.3) else s.of_kinds((*world.THINGS, *world.ANIMALS, "building", "person"))
        )
        fits = [a for a in _EITHER_OR if _suits(a, head)]
        if len(fits) > 2:
            break
    adjective = s.pick(fits)
    opposite = world.ANTONYMS[adjective]
    wrong = s.pick([a for a in fits if a not in (adjective, opposite)])
    subject = NP(head, plural=":" not in head and s.chance(0.4))
    if s.chance(0.5):
        base, rest = Clause("be_adj", subject, adjective=adjective, negated=True), False
    else:
        base, rest = Clause("be_adj", subject, adjective=adjective), True
    return base, base.but(adjective=opposite, negated=rest), base.but(adjective=wrong, negated=rest)


def _suits(adjective: str, head: str) -> bool:
    suits = world.ADJECTIVE_SUITS[adjective]
    return "person" in suits if head.startswith("per:") else head in world.members(suits)


#: adjectives one of which holds where its opposite does not
_EITHER_OR = ("open", "closed", "wet", "dry", "clean", "dirty", "healthy", "sick", "loud", "quiet")


def _company(s: Sampler) -> Three:
    """A visits C with B: B visits C with A, not C A with B."""
    a, b, c = s.rng.sample(s.people, 3)
    base = Clause("act", NP(a), s.pick(_ON_PEOPLE), NP(c), companion=NP(b), **_when(s, 0.3), **_where(s, 0.4))
    swapped = _exchange(base, "subject", "companion")
    other = _exchange(base, "subject", "object") if s.chance(0.5) else _exchange(swapped, "companion", "object")
    return base, swapped, other


def _together(s: Sampler) -> Three:
    """A and B greet C: B and A do, not B and C greet A."""
    a, b, c = s.rng.sample(s.people, 3)
    extra = {**_when(s, 0.3), **_where(s, 0.4)}
    base = Clause("act", NP(a, other=NP(b)), s.pick(_ON_PEOPLE), NP(c), **extra)
    left, stay = s.rng.sample((a, b), 2)
    couple = s.rng.sample((stay, c), 2)
    return (
        base,
        base.but(subject=NP(b, other=NP(a))),
        base.but(subject=NP(couple[0], other=NP(couple[1])), object=NP(left)),
    )


def _earlier(s: Sampler) -> Three:
    """The time stands first; who does it to whom stays, or changes."""
    a, c = s.rng.sample(s.people, 2)
    base = Clause("act", NP(a), s.pick(_ON_PEOPLE), NP(c), time=s.time(), **_where(s, 0.4))
    same = base.but(time_first=True)
    return _either_way(s, base, same, _exchange(same, "subject", "object"))


def _qualities(s: Sampler) -> Three:
    """The brave nurse follows the sick dog: adjectives stay with their nouns, or change places."""
    who, animal = s.pick(world.KINDS["person"]), s.pick(world.KINDS["animal"])
    fits = [
        a for a, kinds in world.ADJECTIVE_SUITS.items() if {"person", "animal"} <= set(kinds) and a not in world.STATES
    ]
    first, second = s.rng.sample(fits, 2)
    base = Clause("act", NP(who, adjective=first), s.pick(_ON_ANIMALS), NP(animal, adjective=second), time=s.time())
    same = base.but(time_first=True)
    other = same.but(subject=NP(who, adjective=second), object=NP(animal, adjective=first))
    return _either_way(s, base, same, other)


def _either_way(s: Sampler, base: Clause, same: Clause, other: Clause) -> Three:
    """Time first in the first sentence or in the second."""
    if s.chance(0.5):
        return base, same, other
    return same, base, other.but(time_first=False)


def _exchange(clause: Clause, one: str, two: str) -> Clause:
    return clause.but(**{one: getattr(clause, two), two: getattr(clause, one)})


def _when(s: Sampler, p: float) -> dict:
    return {"time": s.time()} if s.chance(p) else {}


def _where(s: Sampler, p: float) -> dict:
    return {"relation": "in", "place": s.place()} if s.chance(p) else {}


def _verbs_on(kind: str) -> tuple[str, ...]:
    return tuple(v for v in TRANSITIVE if {"person"} <= set(world.VERBS[v].subjects) and kind in world.VERBS[v].objects)


_ON_PEOPLE, _ON_ANIMALS = _verbs_on("person"), _verbs_on("animal")
_FRAMES: tuple[Callable[[Sampler], Three], ...] = (
    _converse, _opposite, _position, _company, _together, _earlier, _qualities,
)  # fmt: skip
#: frames whose other meaning differs in one word
_WORDS: tuple[Callable[[Sampler], Three], ...] = (_trade, _trade, _measure, _measure, _denied)
#: share of pairs in those frames; in the rest roles are exchanged
_BY_A_WORD = 0.6
#: frames that can be asked, and the roles that do not take part in the exchange
_ASKED: tuple[tuple[Callable[[Sampler], Three], tuple[str, ...]], ...] = (
    (_converse, ("object", "time")), (_converse, ("object", "time")), (_position, ()), (_company, ("place", "time")),
    (_together, ("place", "time")),
)  # fmt: skip


# --- sentences ----------------------------------------------------------------------------------------------------
def sentences(s: Sampler) -> tuple[Pair, Pair]:
    """A sentence beside its restatement, and beside one as like it that says something else."""
    if s.chance(_BY_A_WORD):
        base, same, other = (Sentence(c) for c in _sound(s, s.pick(_WORDS)))
    elif s.chance(0.5):
        base, same, other = _clauses(s)
    else:
        base, same, other = (Sentence(c) for c in _sound(s, s.pick(_FRAMES)))
    return _pairs(s, base, same, other)


def _sound(s: Sampler, frame: Callable[[Sampler], Three]) -> Three:
    three = frame(s)
    return _sound(s, frame) if any(repeats(c) for c in three) else three


def _clauses(s: Sampler) -> tuple[Sentence, Sentence, Sentence]:
    """Two clauses in the other order; who does it, where, when and whether change places between them, or do not."""
    a, b = (NP(n) for n in s.rng.sample(s.people, 2))
    first, second = (s.act(_DONE).but(subject=np) for np in (a, b))
    if first.verb == second.verb:
        return _clauses(s)
    places, times = s.rng.sample(_places(s), 2), s.rng.sample(world.TIMES, 2)
    roles = s.pick((("place",), ("time",), ("place", "time")))
    if "place" in roles:
        first, second = (c.but(relation="in", place=NP(p)) for c, p in zip((first, second), places, strict=True))
    if "time" in roles:
        first, second = (c.but(time=t) for c, t in zip((first, second), times, strict=True))
    denied = s.chance(0.35)
    first = first.but(negated=denied)
    role = s.pick(("subject", *roles, *(("negated",) if denied else ())))
    changed = [first.but(**{role: getattr(second, role)}), second.but(**{role: getattr(first, role)})]
    if any(repeats(c) for c in (first, second, *changed)):
        return _clauses(s)
    if s.chance(0.5):
        first, second, changed = second, first, changed[::-1]
    link = s.pick(("and", "but"))
    return Sentence(first, link, second), Sentence(second, link, first), Sentence(changed[1], link, changed[0])


def _places(s: Sampler) -> list[str]:
    return sorted(p for kind in world.PLACES for p in world.KINDS[kind])


_DONE = tuple(v for v in (*INTRANSITIVE, *TRANSITIVE) if "person" in world.VERBS[v].subjects and v != "live")


def _pairs(s: Sampler, base: Sentence, same: Sentence, other: Sentence) -> tuple[Pair, Pair]:
    if s.chance(0.5):
        return Pair(base, same, 1), Pair(base, other, 0)
    return Pair(same, base, 1), Pair(other, base, 0)


# --- questions ----------------------------------------------------------------------------------------------------
def questions(s: Sampler, easy: float = 0.15) -> tuple[Pair, Pair]:
    """A question beside one with the same answer, and beside one with another.

    Parameters
    ----------
    easy : float
        Share in which the other question names something else; in the rest it has as many words of the restatement.
    """
    while True:
        frame, roles = (_trade, ("object", "time")) if s.chance(_BY_A_WORD) else s.pick(_ASKED)
        base, same, other = _sound(s, frame)
        ask = s.pick(("polar", *(r for r in roles if getattr(base, r) is not None)))
        if s.chance(easy):
            other = _something_else(s, same)
        asked = [Sentence(c, ask=ask) for c in (base, same, other)]
        if not repeats(other):
            return _pairs(s, *asked)


def _something_else(s: Sampler, clause: Clause) -> Clause:
    """The clause with another person or thing in it."""
    np = clause.subject
    if np.is_name:
        said = {np.head, *(n.head for n in clause.roles().values()), *(n.other.head for n in (np,) if n.other)}
        return clause.but(subject=replace(np, head=s.pick([n for n in s.people if n not in said])))
    heads = [c for kind in world.THINGS for c in world.KINDS[kind] if c not in (np.head, clause.place.head)]
    return clause.but(subject=NP(s.pick(heads)))
