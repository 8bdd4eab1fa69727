"""Questions on short texts, and questions of general knowledge, from meanings."""

from __future__ import annotations

from dataclasses import dataclass

from . import world
from .meaning import NP, Clause, Sentence
from .sample import INTRANSITIVE, TRANSITIVE, Sampler


# --- reading: a text, a question, a span ------------------------------------------------------------------------
@dataclass(frozen=True)
class Reading:
    """A text of several sentences, and a question whose answer is slot ``ask`` of sentence ``index``."""

    sentences: tuple[Clause, ...]
    index: int
    ask: str

    @property
    def question(self) -> Sentence:
        return Sentence(self.sentences[self.index].but(time_first=False), ask=self.ask)


_ASKED = ("subject", "object", "recipient", "place", "time")


def reading(s: Sampler, sentences: int = 4) -> Reading:
    """A text in which only the question tells which of many spans is asked for.

    Another sentence shares the verb or the asker's clue, so neither the verb nor the name alone leads to the answer.
    """
    while True:
        asked = s.pick(_READING_FRAMES)(s)
        options = [r for r in s.questions(asked) if r in _ASKED and _clue(asked, r)]
        if not options:
            continue
        ask = s.pick(options)
        others = [_decoy(s, asked, ask), *(s.pick(_READING_FRAMES)(s) for _ in range(sentences - 2))]
        if any(_answers_too(asked, other, ask) for other in others):
            continue
        text = [asked, *others]
        s.rng.shuffle(text)
        return Reading(tuple(text), text.index(asked), ask)


def _clue(clause: Clause, ask: str) -> bool:
    """Whether something is left to ask with."""
    return ask != "subject" or clause.object is not None or clause.place is not None


def _decoy(s: Sampler, asked: Clause, ask: str) -> Clause:
    """A sentence with the same verb about others, or about the same person with another verb."""
    for _ in range(30):
        other = s.pick(_READING_FRAMES)(s)
        if s.chance(0.5) and other.verb != asked.verb and asked.subject.is_name and asked.subject.head not in _heads(other):
            return other.but(subject=asked.subject)
        if asked.verb and ask != "subject":
            other = s.act((asked.verb,), relation=asked.relation and "in", place=asked.place and s.place(), time=asked.time and s.time())
            if not _answers_too(asked, other, ask):
                return other
    return other


def _heads(clause: Clause) -> set[str]:
    return {np.head for np in clause.roles().values()}


def _answers_too(asked: Clause, other: Clause, ask: str) -> bool:
    """Whether a second sentence would answer the question as well."""
    if other.verb != asked.verb or other.frame != asked.frame:
        return False
    shared = [r for r in (*asked.roles(), "time") if r != ask and getattr(asked, r) is not None]
    return all(_head(getattr(asked, r)) == _head(getattr(other, r)) for r in shared)


def _head(value: NP | str | None) -> str | None:
    return value.head if isinstance(value, NP) else value


_READING_FRAMES = (
    Sampler.transitive_place, Sampler.transitive_time, Sampler.transitive_place_time, Sampler.ditransitive,
    Sampler.ditransitive_time, Sampler.intransitive_place, Sampler.intransitive_time, Sampler.transitive, Sampler.receiving,
)  # fmt: skip


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
    animal = s.pick(tuple(world.HABITAT))
    clause = Clause("act", NP(animal, "indef"), "live", relation="in", place=NP(world.HABITAT[animal]))
    return clause, "place", animal, world.HABITAT[animal], set(world.HABITAT.values()) - {world.HABITAT[animal]}


def _ask_place(s: Sampler):
    verb = s.pick(tuple(world.TYPICAL_PLACE))
    right = s.pick(world.TYPICAL_PLACE[verb])
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
    verb = s.pick([v for v, x in world.VERBS.items() if x.instruments])
    right = s.pick(world.VERBS[verb].instruments)
    clause = s.act((verb,)).but(instrument=NP(right, "indef"))
    tools = {t for v in world.VERBS.values() for t in v.instruments}
    return clause, "instrument", verb, right, (tools | {"broom", "spoon", "ladder"}) - set(world.VERBS[verb].instruments)
