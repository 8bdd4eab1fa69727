"""Questions on short texts, and questions of general knowledge, from meanings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import world
from .meaning import NP, Clause, Sentence
from .sample import INTRANSITIVE, TRANSITIVE, Sampler, repeats


# --- reading: a text, a question, a span ------------------------------------------------------------------------
@dataclass(frozen=True)
class Reading:
    """A text of two-clause sentences, and a question about one clause.

    Attributes
    ----------
    sentences : tuple of Sentence
    index, part : int
        The sentence and the clause (0 or 1) that answers.
    ask : str
        The role asked for; ``clues`` are the roles that the question repeats.
    """

    sentences: tuple[Sentence, ...]
    index: int
    part: int
    ask: str
    clues: tuple[str, ...]

    @property
    def asked(self) -> Clause:
        return self.sentences[self.index].clauses[self.part]

    @property
    def slot(self) -> str:
        """Where the answer stands in its line (``xitt.pocket.languages.base.Line.span``)."""
        return self.ask if self.part == 0 else f"second.{self.ask}"

    @property
    def question(self) -> Sentence:
        clause = self.asked.but(time_first=False)
        left_out = {r: None for r in (*clause.roles(), "time") if r not in (*self.clues, self.ask)}
        if "place" in left_out:
            left_out["relation"] = None
        return Sentence(clause.but(**left_out), ask=self.ask)


#: how often the second clause of its sentence answers: what comes first in the right sentence is seldom the answer
_SECOND = 0.55
#: roles of a text's clauses besides subject and time
_FRAMES = (("companion", "place"), ("object", "place"))


def reading(s: Sampler) -> Reading:
    """A text in which only who did what to what, not the words alone, leads to the answer.

    Two roles have two values each, in all four combinations, one in each of the four clauses, and are the question's clues; the
    other two roles have four values each, and one of them is asked for. Each of the two sentences holds all the clues' words, once
    crossed: a bag of words fits both alike. There are two verbs; each goes with one value of the second clue.
    """
    roles = ("subject", *s.pick(_FRAMES), "time")
    # a question must say the verb's subject and object
    crossed = ("subject", "object" if "object" in roles else s.pick(roles[1:]))
    verbs = s.rng.sample(_WITH_OBJECT if "object" in roles else _WITHOUT_OBJECT, 2)
    order = [*s.rng.sample([(0, 0), (1, 1)], 2), *s.rng.sample([(0, 1), (1, 0)], 2)]
    draw = {
        "subject": lambda: s.agent(("person",)), "companion": lambda: s.agent(("person",)),
        "place": s.place, "time": s.time,
    }  # fmt: skip
    values = {r: _different(draw[r], 4) for r in roles if r in draw}
    if "object" in roles:
        values["object"] = [s.patient(v) for v in verbs]
    clauses = []
    for i, pair in enumerate(order):
        chosen = {r: values[r][dict(zip(crossed, pair, strict=True)).get(r, i)] for r in roles}
        clauses.append(Clause("act", verb=verbs[pair[1]], relation="in", time_first=False, **chosen))
    phrases = [p for r in roles if r not in ("place", "time") for p in values[r]]
    heads = [h for p in phrases for h in _heads(p)]
    if len(set(heads)) < len(heads) or any(repeats(c) for c in clauses):
        return reading(s)
    sentences = tuple(Sentence(a, s.pick(("and", "but")), b) for a, b in (clauses[:2], clauses[2:]))
    asked = s.pick([r for r in roles if r not in crossed])
    return Reading(sentences, s.rng.randrange(2), int(s.chance(_SECOND)), asked, crossed)


#: share of questions after the subject, and of questions after times that are kept
_WHO, _KEPT = 0.2, 0.5


def examination(s: Sampler) -> Reading:
    """A reading as data sets have it.

    Some ask who does something, of a second clause and with a clue that is only there. Few ask for times: their answers share
    words ("on Monday", "on Friday"), so that guessing would pay.
    """
    while True:
        found = reading(s)
        if s.chance(_WHO):
            other = next(r for r in ("place", "companion") if r not in found.clues)
            return replace(found, part=1, ask="subject", clues=(found.clues[1], other))
        if found.ask != "time" or s.chance(_KEPT):
            return found


#: roles that are asked of a passage
_TOLD = ("object", "place", "time")


def passage(s: Sampler) -> Reading:
    """Two sentences about what somebody does, and a question about one of them: texts to be found, not to be puzzled over."""
    who, verbs = s.agent(("person",)), s.rng.sample(_WITH_OBJECT, 2)
    objects, places, times = [s.patient(v, (who.head,)) for v in verbs], _different(s.place, 2), _different(s.time, 2)
    clauses = [
        Clause("act", who, v, o, relation="in", place=p, time=t)
        for v, o, p, t in zip(verbs, objects, places, times, strict=True)
    ]
    if objects[0].head == objects[1].head or any(repeats(c) for c in clauses):
        return passage(s)
    ask = s.pick(_TOLD)
    clues = ("subject", *(r for r in _TOLD if r != ask))
    return Reading(tuple(Sentence(c) for c in clauses), s.rng.randrange(2), 0, ask, clues)


def _different(draw, count: int) -> list:
    """Values that differ in their concept."""
    found: dict[object, object] = {}
    while len(found) < count:
        value = draw()
        found.setdefault(_head(value), value)
    return list(found.values())


def _heads(np: NP) -> set[str]:
    return {h for h in (np.head, np.owner) if h}


def _head(value: NP | str) -> str:
    return value.head if isinstance(value, NP) else value


_WITH_OBJECT = tuple(
    v for v in TRANSITIVE if "person" in world.VERBS[v].subjects and len(world.members(world.VERBS[v].objects)) > 6
)
_WITHOUT_OBJECT = tuple(v for v in INTRANSITIVE if "person" in world.VERBS[v].subjects)


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
