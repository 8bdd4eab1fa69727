"""Multiple choice about causes: what made something happen, and what happens next.

A :class:`Cause` says what leads to what. Choices are the effects (or the causes) of several of them, all with the same people
and things, and each of them is right once, for another premise: a choice alone, or the words it shares, tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import world
from .languages import Line, Tok, grammar
from .meaning import NP, Clause, Sentence
from .sample import INTRANSITIVE, TRANSITIVE, Sampler, repeats

#: a clause about somebody (and somebody else)
Said = Callable[[NP, NP], Clause]


@dataclass(frozen=True)
class Cause:
    """What leads to what.

    Attributes
    ----------
    clue : str
        The concept that tells the cause.
    verb : str
        Verb or quality of the effect; causes in one set of choices differ in it.
    before, after : callable
        The two clauses, from the one who is affected and somebody else.
    """

    clue: str
    verb: str
    before: Said
    after: Said


# --- what happens to somebody alone -----------------------------------------------------------------------------
#: state → what one does then, and to what
FEELINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hungry": ("eat", ("food", "fruit")), "thirsty": ("drink", ("drink",)), "tired": ("sleep", ()), "sad": ("cry", ()),
    "happy": ("laugh", ()), "angry": ("shout", ()), "sick": ("visit", ("hospital",)),
    "rich": ("buy", ("ship", "airplane", "horse", "castle")), "brave": ("hunt", ("bear",)),
}  # fmt: skip
_TOOLS = tuple(dict.fromkeys((t, v) for v, x in world.VERBS.items() for t in x.instruments))
_ROOMS = tuple((p, v) for v, places in world.TYPICAL_PLACE.items() for p in places)
_ALONE = (*INTRANSITIVE, *TRANSITIVE)


def _alone(s: Sampler) -> Cause:
    """A state, a place gone to, a profession or a tool, and what usually follows."""
    kind = s.rng.randrange(4)
    if kind == 0:
        state = s.pick(tuple(FEELINGS))
        verb, kinds = FEELINGS[state]
        return _doing(s, state, verb, kinds, lambda a, b: Clause("be_adj", a, adjective=state))
    if kind == 1:
        place, verb = s.pick([x for x in _ROOMS if x[1] in _ALONE])
        kinds = world.VERBS[verb].objects
        return _doing(s, place, verb, kinds, lambda a, b: Clause("act", a, "go", relation="to", place=NP(place)))
    if kind == 2:
        role = s.pick(tuple(world.TYPICAL_WORK))
        verb, thing = world.TYPICAL_WORK[role]
        kinds = (thing,) if thing else ()
        return _doing(s, role, verb, kinds, lambda a, b: Clause("be_noun", a, noun=role))
    tool, verb = s.pick(_TOOLS)
    kinds = world.VERBS[verb].objects
    return _doing(s, tool, verb, kinds, lambda a, b: Clause("have", a, object=NP(tool, "indef")))


def _doing(s: Sampler, clue: str, verb: str, kinds: tuple[str, ...], before: Said) -> Cause:
    thing = NP(s.of_kinds(kinds, (clue,)), "indef") if kinds else None
    return Cause(clue, verb, before, lambda a, b: Clause("act", a, verb, thing))


# --- what somebody else does ------------------------------------------------------------------------------------
def _does(verb: str, thing: str | None = None, det: str = "indef") -> Said:
    return lambda a, b: Clause("act", a, verb, NP(thing, det) if thing else None)


def _by(verb: str) -> Said:
    """The other one does it to somebody."""
    return lambda a, b: Clause("act", b, verb, a)


def _to(verb: str) -> Said:
    """Somebody does it to the other one."""
    return lambda a, b: Clause("act", a, verb, b)


def _gets(verb: str, thing: str) -> Said:
    return lambda a, b: Clause("act", b, verb, NP(thing, "indef"), a)


def _loses(verb: str, thing: str) -> Said:
    return lambda a, b: Clause("act", b, verb, NP(thing, owner=a.head))


def _cannot(verb: str, thing: str) -> Said:
    return lambda a, b: Clause("act", a, verb, NP(thing), modal="can", negated=True)


#: what the other one does and what somebody does then; nouns may be any of a tuple
_SOCIAL: tuple[tuple[str, str, Said | Callable, Said | Callable, tuple[str, ...]], ...] = (
    ("help", "thank", lambda t: _by("help"), lambda t: _to("thank"), ("",)),
    ("visit", "greet", lambda t: _by("visit"), lambda t: _to("greet"), ("",)),
    ("call", "hear", lambda t: _by("call"), lambda t: _to("hear"), ("",)),
    ("follow", "fear", lambda t: _by("follow"), lambda t: _to("fear"), ("",)),
    ("give", "smile", lambda t: _gets("give", t), lambda t: _does("smile"), ("gift", "flower", "rose")),
    ("steal", "shout", lambda t: _loses("steal", t), lambda t: _does("shout"), ("bag", "coat", "bicycle", "phone")),
    ("break", "cry", lambda t: _loses("break", t), lambda t: _does("cry"), ("mirror", "clock", "lamp", "cup")),
    ("hide", "open_up", lambda t: _loses("hide", "key"), lambda t: _cannot("open_up", t), ("door", "box", "shop")),
    ("lend", "cut", lambda t: _gets("lend", "knife"), lambda t: _does("cut", t), ("bread", "meat", "cheese", "cake")),
    ("lend", "write", lambda t: _gets("lend", "pen"), lambda t: _does("write", t), ("letter", "book")),
    ("lend", "build", lambda t: _gets("lend", "hammer"), lambda t: _does("build", t), ("table", "shelf", "boat")),
    ("show", "run", lambda t: _gets("show", t), lambda t: _does("run"), ("wolf", "snake", "bear", "lion")),
    ("bring", "eat", lambda t: _gets("bring", "spoon"), lambda t: _does("eat", t), ("soup", "rice", "egg")),
)


def _social(s: Sampler) -> Cause:
    clue, verb, before, after, things = s.pick(_SOCIAL)
    thing = s.pick(things)
    return Cause(f"{clue} {verb}", verb, before(thing), after(thing))


# --- what a thing is like ---------------------------------------------------------------------------------------
#: quality → what one does with such a thing; ``-`` before a verb: does not, ``!``: cannot
_QUALITIES = {
    "dirty": "wash", "cheap": "buy", "expensive": "-buy", "heavy": "!carry", "ugly": "hide", "old": "repair",
    "closed": "open_up", "open": "close", "beautiful": "buy", "light": "carry",
}  # fmt: skip


def _of_thing(thing: str) -> list[Cause]:
    """What the qualities of a thing lead to."""
    found = []
    for quality, deed in _QUALITIES.items():
        verb = deed.lstrip("-!")
        if _suits(thing, world.ADJECTIVE_SUITS[quality]) and _suits(thing, world.VERBS[verb].objects):
            found.append(_quality(thing, quality, verb, deed))
    return found


def _quality(thing: str, quality: str, verb: str, deed: str) -> Cause:
    how = {"negated": deed[0] in "-!", "modal": "can" if deed[0] == "!" or deed == "carry" else None}
    return Cause(
        quality,
        verb,
        lambda a, b: Clause("be_adj", NP(thing), adjective=quality),
        lambda a, b: Clause("act", a, verb, NP(thing), **how),
    )


def _suits(concept: str, kinds: tuple[str, ...]) -> bool:
    return concept in world.members(kinds)


_OF_THINGS = {t: len({c.verb for c in _of_thing(t)}) for k in world.THINGS for t in world.KINDS[k]}


# --- sets of causes -----------------------------------------------------------------------------------------------
def _usual(clue: str) -> set[str]:
    """Verbs that one expects with a clue."""
    found = {verb for verb, places in world.TYPICAL_PLACE.items() if clue in places}
    found |= {world.TYPICAL_WORK[clue][0]} if clue in world.TYPICAL_WORK else set()
    found |= {FEELINGS[clue][0]} if clue in FEELINGS else set()
    return found | {verb for tool, verb in _TOOLS if tool == clue}


def causes(s: Sampler, count: int, sources: tuple[str, ...]) -> list[Cause]:
    """Causes about the same people and things, none of which has an effect usual for another.

    Parameters
    ----------
    sources : tuple of str
        ``alone``, ``social``, ``thing``; one of them is chosen.
    """
    source = s.pick(sources)
    pool: list[Cause] = []
    if source == "thing":
        thing = s.pick([t for t, n in _OF_THINGS.items() if n >= count])
        pool = s.rng.sample(_of_thing(thing), len(_of_thing(thing)))
    found: list[Cause] = []
    while len(found) < count:
        new = pool.pop() if pool else {"alone": _alone, "social": _social}[source](s)
        if all(
            new.verb != c.verb
            and new.clue != c.clue
            and new.verb not in _usual(c.clue)
            and c.verb not in _usual(new.clue)
            for c in found
        ):
            found.append(new)
    return found


# --- two choices: cause or effect ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Choice:
    """A premise and two clauses, one of which is its cause or its effect (``question``)."""

    premise: Clause
    choices: tuple[Clause, Clause]
    question: str
    label: int


def choice(s: Sampler) -> tuple[Choice, Choice]:
    """The same two choices after a premise for each."""
    while True:
        pair = causes(s, 2, ("alone", "alone", "social", "social", "thing"))
        who, other = (NP(n) for n in s.rng.sample(s.people, 2))
        before, after = ([f(who, other) for f in fs] for fs in zip(*((c.before, c.after) for c in pair), strict=True))
        question = s.pick(("cause", "effect"))
        premises, choices = (after, before) if question == "cause" else (before, after)
        if not any(repeats(c) for c in (*premises, *choices)):
            return tuple(Choice(p, tuple(choices), question, i) for i, p in enumerate(premises))


# --- stories with a question --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Story:
    """Sentences, a question about one person in them, and choices.

    ``question`` is ``next`` (what does this person do next?) or ``why`` (why does this person do this?).
    """

    context: tuple[Sentence, ...]
    question: str
    who: NP
    choices: tuple[Clause, ...]
    label: int


def story(s: Sampler, count: int, sources: tuple[str, ...], fillers: int, lured: float = 0.35) -> tuple[Story, ...]:
    """One set of choices, each right in one story.

    In every story something happens to the person asked for, and something else to somebody else. In some (``lured``) that leads to
    another of the choices: who it is matters then, not only what happens.

    Parameters
    ----------
    fillers : int
        Sentences that tell nothing; with none, both events are told in one sentence.
    lured : float
        Share of stories in which what happens to somebody else leads to another choice.
    """
    while True:
        known = causes(s, count, sources)
        people = [NP(n) for n in s.rng.sample(s.people, 3)]
        question = s.pick(("next", "why"))
        told, asked = ("before", "after") if question == "next" else ("after", "before")
        choices = tuple(getattr(c, asked)(people[0], people[1]) for c in known)
        found = []
        misleads, aside = s.chance(lured), _beside(s, known)
        for label, cause in enumerate(known):
            rest = s.pick([c for c in known if c is not cause]) if misleads else aside
            events = [getattr(cause, told)(people[0], people[1]), getattr(rest, told)(people[1], people[2])]
            s.rng.shuffle(events)
            context = (Sentence(events[0], s.pick(("and", "but")), events[1]),)
            if fillers:
                context = [Sentence(e) for e in (*events, *(_filler(s, s.pick(people[:2])) for _ in range(fillers)))]
                s.rng.shuffle(context)
            found.append(Story(tuple(context), question, people[0], choices, label))
        clauses = [*choices, *(c for x in found for sentence in x.context for c in sentence.clauses)]
        if not any(repeats(c) for c in clauses):
            return tuple(found)


def _beside(s: Sampler, known: list[Cause]) -> Cause:
    """A cause that leads to none of some choices."""
    while True:
        new = _alone(s)
        if all(new.verb not in (c.verb, *_usual(c.clue)) and c.verb not in _usual(new.clue) for c in known):
            return new


def _filler(s: Sampler, who: NP) -> Clause:
    """Something that leads to nothing."""
    kind = s.rng.randrange(4)
    if kind == 0:
        return Clause("act", who, "live", relation="in", place=s.city())
    if kind == 1:
        return Clause("act", who, "come", relation="from", place=s.city())
    if kind == 2:
        return Clause("act", who, "work_for", NP(s.pick(s.orgs)))
    return Clause("be_at", who, relation="in", place=s.city())


def ask(question: str, who: NP) -> Line:
    """The English question of a story: two that :meth:`xitt.pocket.languages.base.Grammar.question` does not have."""
    g = grammar("en")
    does = [Tok("do" if who.agrees_plural else "does", "AUX"), *g.np(who, "subject"), Tok("do", "VERB")]
    words = {
        "next": [Tok("what", "PRON"), *does, Tok("next", "ADV")],
        "why": [Tok("why", "ADV"), *does, Tok("this", "PRON")],
    }
    return g.line([*words[question], g.punct(g.question_mark)])
