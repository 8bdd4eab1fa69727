"""Entity linking: people who share names, texts that mention them, and what is known of them.

Entities come in fours: two names, each with two things. A text says what somebody is and does with a thing of theirs; or what both of
two people do with a thing each, so that all four entities fit its words alike and which of them is meant follows from the mention
that is marked and from who does what.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32

from . import world
from .languages import LANGUAGES
from .meaning import NP, Clause, Sentence
from .sample import Sampler

#: professions that anybody may have
_PROFESSIONS = tuple(
    p
    for p in world.KINDS["person"]
    if p not in ("king", "queen", "child", "man", "woman", "boy", "girl", "neighbour", "friend", "guest")
)
_HANDLING = (
    "carry",
    "wash",
    "hide",
    "lose",
    "find",
    "repair",
    "push",
    "wear",
    "steal",
    "drive",
    "read",
    "paint",
    "see",
)


@dataclass(frozen=True)
class Entity:
    """A person; name and belonging are enough to know them by."""

    name: str
    thing: str
    quality: str
    profession: str = field(compare=False)
    city: str = field(compare=False)

    @property
    def id(self) -> str:
        """As a Wikidata identifier looks."""
        return f"Q{crc32(f'{self.name} {self.quality} {self.thing}'.encode())}"

    @property
    def language(self) -> str:
        """The language its description is in: one of all, drawn once for everybody."""
        return LANGUAGES[crc32(self.id.encode()) % len(LANGUAGES)]

    @property
    def belonging(self) -> NP:
        return NP(self.thing, adjective=self.quality)

    @property
    def description(self) -> tuple[Sentence, ...]:
        """Who it is, in three sentences."""
        who = NP(self.name)
        return (
            Sentence(Clause("be_noun", who, noun=self.profession)),
            Sentence(Clause("act", who, "live", relation="in", place=NP(self.city))),
            Sentence(Clause("have", who, object=NP(self.thing, "indef", adjective=self.quality))),
        )


@dataclass(frozen=True)
class Mention:
    """An entity in a text; ``slot`` says where (``xitt.pocket.languages.base.Line.span``)."""

    entity: Entity
    text: Sentence = field(compare=False)
    slot: str = field(compare=False)


#: share of texts about one person
_ALONE = 0.7


def mentions(s: Sampler) -> tuple[Mention, ...]:
    """Four entities, each mentioned in a text of its own."""
    names, things = s.rng.sample(s.people, 2), _things(s)
    known = {(n, t): Entity(n, t, q, s.pick(_PROFESSIONS), s.pick(s.cities)) for n in names for t, q in things.items()}
    found = []
    for (name, thing), entity in known.items():
        (other_name,) = set(names) - {name}
        (other_thing,) = set(things) - {thing}
        if s.chance(_ALONE):
            who = Clause("be_noun", NP(name), noun=entity.profession)
            found.append(Mention(entity, Sentence(who, "and", _handles(s, entity)), "subject"))
            continue
        clauses = [_handles(s, entity), _handles(s, known[other_name, other_thing])]
        first = s.chance(0.5)
        text = Sentence(
            *((clauses[0], s.pick(("and", "but")), clauses[1]) if first else (clauses[1], "and", clauses[0]))
        )
        found.append(Mention(entity, text, "subject" if first else "second.subject"))
    return tuple(found)


def _things(s: Sampler) -> dict[str, str]:
    """Two things with a quality each."""
    found: dict[str, str] = {}
    while len(found) < 2:
        thing = s.of_kinds(world.THINGS)
        found[thing] = s.adjective_for(thing)
    return found


def _handles(s: Sampler, entity: Entity) -> Clause:
    """What somebody does with what belongs to them."""
    verbs = [v for v in _HANDLING if entity.thing in world.members(world.VERBS[v].objects)]
    clause = Clause("act", NP(entity.name), s.pick(verbs), entity.belonging, negated=s.chance(0.2))
    return clause.but(time=s.time()) if s.chance(0.3) else clause
