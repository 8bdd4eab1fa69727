"""Questions on short texts, and questions of general knowledge, from meanings."""

from __future__ import annotations

from dataclasses import dataclass

from . import world
from .meaning import NP, Clause, Sentence
from .sample import DITRANSITIVE, INTRANSITIVE, TRANSITIVE, Sampler, repeats


# --- reading: a text, a question, a span ------------------------------------------------------------------------
@dataclass(frozen=True)
class Reading:
    """A text of several sentences, and a question whose answer is slot ``ask`` of sentence ``index``.

    The question repeats the asked sentence's ``clues`` only (roles), so that most of that sentence is in no question.
    """

    sentences: tuple[Clause, ...]
    index: int
    ask: str
    clues: tuple[str, ...]

    @property
    def question(self) -> Sentence:
        clause = self.sentences[self.index].but(time_first=False)
        left_out = {r: None for r in (*clause.roles(), "time") if r not in (*self.clues, self.ask)}
        if "place" in left_out:
            left_out["relation"] = None
        return Sentence(clause.but(**left_out), ask=self.ask)


def reading(s: Sampler, sentences: int = 3) -> Reading:
    """A text in which only the question tells which of many spans is asked for.

    The sentence asked about is drawn last, among those that have an answer of their own, so that none stands out. One other
    sentence has the asked verb, another the asked persons and things, a third denies the same of another time, place
    or participant: shared words alone do not lead to the answer.
    """
    while True:
        asked = _full(s, s.pick(_READING_VERBS))
        ask = s.pick([r for r in ("subject", "object", "recipient", "place", "time") if getattr(asked, r)])
        clues = tuple(r for r in ("subject", "object", "recipient") if r != ask and getattr(asked, r))
        others = [_denied(s, asked, ask), _echo(s, asked, ask), _full(s, asked.verb)]
        text = [asked, *others][:sentences]
        if any(repeats(c) for c in text):
            continue
        s.rng.shuffle(text)
        found = [r for i in range(len(text)) for r in _questions(text, i)]
        if len({r.index for r in found}) < 2:
            continue
        index = s.pick(sorted({r.index for r in found}))
        return s.pick([r for r in found if r.index == index])


def _questions(text: list[Clause], index: int) -> list[Reading]:
    """Questions about one sentence that no other sentence answers."""
    clause = text[index]
    if clause.negated:
        return []
    out = []
    for ask in ("subject", "object", "recipient", "place", "time"):
        clues = tuple(r for r in ("subject", "object", "recipient") if r != ask and getattr(clause, r))
        r = Reading(tuple(text), index, ask, clues)
        if getattr(clause, ask) and clues and not any(_answers_too(r, c) for i, c in enumerate(text) if i != index):
            out.append(r)
    return out


def _denied(s: Sampler, asked: Clause, ask: str) -> Clause:
    """What was not so: the words of the question, but no answer."""
    other = _full(s, asked.verb)
    keep = {r: getattr(asked, r) for r in ("subject", "object", "recipient") if r != ask and getattr(asked, r)}
    return other.but(negated=True, **keep)


def _echo(s: Sampler, asked: Clause, ask: str) -> Clause:
    """Another act of the asked person, on the asked thing where one can do it: all but the verb is the same."""
    kinds = (
        {asked.object.head, *(k for k in world.KINDS if asked.object.head in world.KINDS[k])} if asked.object else set()
    )
    fits = [v for v in _READING_VERBS if v != asked.verb and not kinds.isdisjoint(world.VERBS[v].objects)]
    other = _full(s, s.pick(fits or _READING_VERBS))
    if ask != "subject":
        other = other.but(subject=asked.subject)
    if ask != "object" and asked.object and fits:
        other = other.but(object=asked.object)
    return other


def _full(s: Sampler, verb: str) -> Clause:
    """An act with a place and a time: whatever is asked, most of what the question leaves unsaid is not the answer."""
    return s.act((verb,), relation="in", place=s.place(verb), time=s.time(), time_first=s.chance(0.3))


def _answers_too(reading: Reading, other: Clause) -> bool:
    """Whether another sentence would answer the question as well."""
    asked = reading.sentences[reading.index]
    return (
        not other.negated
        and other.verb == asked.verb
        and all(_head(getattr(asked, r)) == _head(getattr(other, r)) for r in reading.clues)
    )


def _head(value: NP | str | None) -> str | None:
    return value.head if isinstance(value, NP) else value


_READING_VERBS = tuple(v for v in (*TRANSITIVE, *DITRANSITIVE))


# --- completion: what usually comes next --------------------------------------------------------------------------
@dataclass(frozen=True)
class Completion:
    """Sentences, the clause that usually follows, and clauses that usually follow something else."""

    context: tuple[Clause, ...]
    endings: tuple[Clause, ...]
    label: int


def story(s: Sampler, who: NP) -> tuple[tuple[Clause, ...], Clause, str]:
    """Two sentences about somebody, what they then usually do, and the clue that tells."""
    kind = s.rng.randrange(4)
    if kind == 0:
        state = s.pick(("hungry", "thirsty", "tired"))
        verb, objects = world.REMEDY[state]
        ending = Clause("act", who, verb, NP(s.of_kinds((objects,)), "indef") if objects else None)
        return (Clause("be_adj", who, adjective=state), _filler(s, who)), ending, state
    if kind == 1:
        role = s.pick(tuple(world.TYPICAL_WORK))
        verb, thing = world.TYPICAL_WORK[role]
        ending = Clause("act", who, verb, NP(thing, "indef") if thing else None)
        return (Clause("be_noun", who, noun=role), _filler(s, who)), ending, role
    if kind == 2:
        verb = s.pick([v for v in world.TYPICAL_PLACE if v in (*INTRANSITIVE, *TRANSITIVE)])
        place = s.pick(world.TYPICAL_PLACE[verb])
        thing = s.of_kinds(world.VERBS[verb].objects) if world.VERBS[verb].objects else None
        ending = Clause("act", who, verb, NP(thing, "indef") if thing else None)
        return (_filler(s, who), Clause("act", who, "go", relation="to", place=NP(place))), ending, place
    verb = s.pick([v for v, x in world.VERBS.items() if x.instruments])
    tool = s.pick(world.VERBS[verb].instruments)
    ending = Clause("act", who, verb, NP(s.of_kinds(world.VERBS[verb].objects), "indef"))
    return (Clause("have", who, object=NP(tool, "indef")), _filler(s, who)), ending, tool


def _filler(s: Sampler, who: NP) -> Clause:
    """A sentence that tells nothing."""
    return s.pick((
        lambda: Clause("act", who, "live", relation="in", place=s.city()),
        lambda: Clause("act", who, "greet", NP(s.pick([n for n in s.people if n != who.head]))),
        lambda: Clause("act", who, "smile", time=s.time()),
        lambda: Clause("act", who, "come", relation="from", place=s.city()),
    ))()  # fmt: skip


def completion(s: Sampler, choices: int = 4) -> Completion:
    """A story with one usual ending among endings of other stories: an ending alone tells nothing."""
    who = s.person_name()
    context, right, clue = story(s, who)
    endings = [right]
    while len(endings) < choices:
        _, other, other_clue = story(s, who)
        if other_clue != clue and all(other.verb != e.verb for e in endings) and not _fits(clue, other):
            endings.append(other)
    s.rng.shuffle(endings)
    return Completion(context, tuple(endings), endings.index(right))


def _fits(clue: str, ending: Clause) -> bool:
    """Whether an ending is usual for a clue, too."""
    usual = {verb for verb, places in world.TYPICAL_PLACE.items() if clue in places}
    usual |= {world.TYPICAL_WORK[clue][0]} if clue in world.TYPICAL_WORK else set()
    usual |= {world.REMEDY[clue][0]} if clue in world.REMEDY else set()
    usual |= {verb for verb, v in world.VERBS.items() if clue in v.instruments}
    return ending.verb in usual


# --- knowledge: a question, five words ----------------------------------------------------------------------------
@dataclass(frozen=True)
class Knowledge:
    """A question of general knowledge with concepts to choose from."""

    question: Sentence
    about: str
    choices: tuple[str, ...]
    label: int


def knowledge(s: Sampler, choices: int = 5) -> Knowledge:
    """Where something lives or is done, who does it, what with."""
    asker = s.pick((_ask_habitat, _ask_place, _ask_worker, _ask_tool))
    clause, ask, about, right, wrong = asker(s)
    options = [right, *s.rng.sample(sorted(set(wrong)), choices - 1)]
    s.rng.shuffle(options)
    return Knowledge(Sentence(clause, ask=ask), about, tuple(options), options.index(right))


def _ask_habitat(s: Sampler):
    home = s.pick(tuple(dict.fromkeys(world.HABITAT.values())))
    animal = s.pick([a for a, h in world.HABITAT.items() if h == home])
    clause = Clause("act", NP(animal, "indef"), "live", relation="in", place=NP(world.HABITAT[animal]))
    return (
        clause,
        "place",
        animal,
        world.HABITAT[animal],
        set(world.HABITAT.values()) - {world.HABITAT[animal]},
    )


def _ask_place(s: Sampler):
    right = s.pick(tuple(dict.fromkeys(p for places in world.TYPICAL_PLACE.values() for p in places)))
    verb = s.pick([v for v, places in world.TYPICAL_PLACE.items() if right in places])
    clause = s.act((verb,)).but(relation="in", place=NP(right))
    wrong = {p for v, places in world.TYPICAL_PLACE.items() for p in places} - set(world.TYPICAL_PLACE[verb])
    return clause, "place", verb, right, wrong


def _ask_worker(s: Sampler):
    role = s.pick(tuple(world.TYPICAL_WORK))
    verb, thing = world.TYPICAL_WORK[role]
    clause = Clause("act", NP(role, "indef"), verb, NP(thing, "indef") if thing else None)
    wrong = {r for r, (v, _) in world.TYPICAL_WORK.items() if v != verb}
    return clause, "subject", thing or verb, role, wrong


def _ask_tool(s: Sampler):
    right = s.pick(tuple(dict.fromkeys(t for v in world.VERBS.values() for t in v.instruments)))
    verb = s.pick([v for v, x in world.VERBS.items() if right in x.instruments])
    clause = s.act((verb,)).but(instrument=NP(right, "indef"))
    tools = {t for v in world.VERBS.values() for t in v.instruments}
    return (
        clause,
        "instrument",
        verb,
        right,
        tools - set(world.VERBS[verb].instruments),
    )
