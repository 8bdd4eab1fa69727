"""Random meanings: the sentence frames of the pocket world.

A :class:`Sampler` draws meanings from a random generator. Which names and which combinations it may use is up to the
caller (``names``), so that test sets hold entities that training never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from . import world
from .meaning import MODALS, NP, NUMERALS, Clause, Sentence

PLACE_NOUNS = world.members(world.PLACES)
PERSONS = world.KINDS["person"]


class Sampler:
    """Draws meanings.

    Parameters
    ----------
    rng : random.Random
        Source of randomness.
    names : sequence of str
        Names that may occur (``per:…``, ``loc:…``, ``org:…``).
    typical : float
        How often a clause says what is usual in the world (who does what where) instead of anything possible.
    concepts : frozenset of str or None
        Content words that may occur; where a choice would be left empty (few verbs mean "go to") all may.
    """

    def __init__(self, rng: Random, names: Sequence[str] = world.NAMES, typical: float = 0.5,
                 concepts: frozenset[str] | None = None):  # fmt: skip
        self.rng, self.typical, self.concepts = rng, typical, concepts
        self.people = [n for n in names if n.startswith("per:")]
        self.cities = [n for n in names if n.startswith("loc:")]
        self.orgs = [n for n in names if n.startswith("org:")]

    # --- noun phrases -------------------------------------------------------------------------------------------
    def pick(self, items: Sequence):
        return items[self.rng.randrange(len(items))]

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def allowed(self, items: Sequence[str]) -> Sequence[str]:
        """Those of some concepts that may occur; all of them if none may."""
        return items if self.concepts is None else [c for c in items if c in self.concepts] or items

    def person_name(self) -> NP:
        return NP(self.pick(self.people))

    def city(self) -> NP:
        return NP(self.pick(self.cities))

    def of_kinds(self, kinds: tuple[str, ...], avoid: Sequence[str] = ()) -> str:
        """A concept of some kinds; kinds weigh equally, whatever their size."""
        for _ in range(50):
            concept = self.pick(self.allowed(world.members(self.pick(kinds))))
            if concept not in avoid:
                return concept
        raise ValueError(f"no concept of {kinds} outside {avoid}")

    def phrase(self, concept: str, plain: bool = False) -> NP:
        """A phrase for a noun concept, with determiner, number and perhaps an adjective or an owner."""
        mass = concept in world.MASS
        det = "def" if plain or self.chance(0.55) else "indef"
        plural = not mass and not plain and self.chance(0.25)
        if plural and self.chance(0.4):
            det = self.pick(NUMERALS)
        adjective = self.adjective_for(concept) if not plain and self.chance(0.3) else None
        owner = None
        owned = concept not in PLACE_NOUNS and concept not in PERSONS and not mass
        if det == "def" and not plain and owned and self.chance(0.12):
            owner = self.pick(self.people)
        return NP(concept, det, plural, adjective, owner)

    def adjective_for(self, concept: str) -> str | None:
        fits = [a for a, suits in world.ADJECTIVE_SUITS.items() if concept in suits or concept in world.members(suits)]
        return self.pick(self.allowed(fits)) if fits else None

    def agent(self, kinds: tuple[str, ...]) -> NP:
        """Who does something: often a named person, else a role or an animal."""
        if "person" in kinds and self.chance(0.6):
            return self.person_name()
        return self.phrase(self.of_kinds(kinds))

    def patient(self, verb: str, avoid: Sequence[str] = ()) -> NP:
        kinds = world.VERBS[verb].objects
        if kinds == ("org",):
            return NP(self.pick(self.orgs))
        if "person" in kinds and self.chance(0.5):
            names = [n for n in self.people if n not in avoid]
            return NP(self.pick(names))
        return self.phrase(self.of_kinds(kinds, avoid))

    def place(self, verb: str | None = None) -> NP:
        usual = world.TYPICAL_PLACE.get(verb or "", ())
        if usual and self.chance(self.typical):
            return NP(self.pick(usual))
        return NP(self.pick(self.allowed(PLACE_NOUNS)))

    def time(self) -> str:
        return self.pick(self.allowed(world.TIMES))

    # --- frames ------------------------------------------------------------------------------------------------
    def act(self, verbs: Sequence[str], **extra) -> Clause:
        verb = self.pick(self.allowed(verbs))
        v = world.VERBS[verb]
        subject = self.agent(v.subjects)
        obj = self.patient(verb, (subject.head,)) if v.objects else None
        recipient = None
        if v.recipient:
            recipient = NP(self.pick([n for n in self.people if n != subject.head]))
            if self.chance(0.35):
                recipient = self.phrase(self.of_kinds(("person",), (subject.head,)))
        clause = Clause("act", subject, verb, obj, recipient, **extra)
        return self.act(verbs, **extra) if repeats(clause) else clause

    def intransitive(self) -> Clause:
        return self.act(INTRANSITIVE)

    def intransitive_place(self) -> Clause:
        clause = self.act(INTRANSITIVE)
        return clause.but(relation="in", place=self.place(clause.verb))

    def intransitive_time(self) -> Clause:
        return self.act(INTRANSITIVE, time=self.time(), time_first=self.chance(0.3))

    def transitive(self) -> Clause:
        return self.act(TRANSITIVE)

    def transitive_place(self) -> Clause:
        clause = self.act(TRANSITIVE)
        return clause.but(relation="in", place=self.place(clause.verb))

    def transitive_time(self) -> Clause:
        return self.act(TRANSITIVE, time=self.time(), time_first=self.chance(0.3))

    def transitive_place_time(self) -> Clause:
        return self.transitive_place().but(time=self.time(), time_first=self.chance(0.4))

    def companion(self) -> Clause:
        clause = self.act([v for v in (*INTRANSITIVE, *TRANSITIVE) if "person" in world.VERBS[v].subjects])
        clause = clause.but(subject=self.agent(("person",)), companion=self.person_name())
        return self.companion() if repeats(clause) else clause

    def instrument(self) -> Clause:
        clause = self.act(WITH_TOOL)
        return clause.but(instrument=NP(self.pick(world.VERBS[clause.verb].instruments), "indef"))

    def ditransitive(self) -> Clause:
        return self.act(DITRANSITIVE)

    def ditransitive_time(self) -> Clause:
        return self.act(DITRANSITIVE, time=self.time(), time_first=self.chance(0.3))

    def ditransitive_place(self) -> Clause:
        return self.act(GIVING, relation="in", place=self.place())

    def receiving(self) -> Clause:
        return self.act(RECEIVING)

    def goal(self) -> Clause:
        return self.act(
            ("go", "walk", "travel"), relation="to", place=self.city() if self.chance(0.5) else self.place()
        )

    def source(self) -> Clause:
        return self.act(("come",), relation="from", place=self.city() if self.chance(0.5) else self.place())

    def living(self) -> Clause:
        return self.act(("live", "work"), relation="in", place=self.city())

    def employer(self) -> Clause:
        return Clause("act", self.person_name(), "work_for", NP(self.pick(self.orgs)))

    def modal(self) -> Clause:
        return self.act((*INTRANSITIVE, *TRANSITIVE), modal=self.pick(MODALS))

    def modal_transfer(self) -> Clause:
        return self.act(GIVING, modal=self.pick(MODALS))

    def property(self) -> Clause:
        concept = self.of_kinds(("person", *world.ANIMALS, *world.THINGS, "food", "building"))
        adjective = self.adjective_for(concept)
        if adjective is None:
            return self.property()
        subject = self.phrase(concept)
        if concept in PERSONS and self.chance(0.6):
            subject = self.person_name()
        return Clause("be_adj", replace(subject, adjective=None), adjective=adjective)

    def profession(self) -> Clause:
        return Clause("be_noun", self.person_name(), noun=self.pick(self.allowed(PERSONS)))

    def location(self) -> Clause:
        """A thing or an animal somewhere."""
        if self.chance(0.5):
            subject = self.phrase(self.of_kinds((*world.THINGS, "animal", "fruit")))
            relation, where = self.pick(
                (
                    ("on", ("table", "chair", "bed", "shelf", "box")),
                    ("under", ("table", "chair", "bed", "tree")),
                    ("near", ("door", "window", "tree", *PLACE_NOUNS)),
                    ("behind", ("door", "tree", "house", "school", "car")),
                    ("in_front_of", ("door", "house", "shop", "window", "car")),
                    ("in", ("box", "bag", "basket", *PLACE_NOUNS)),
                )
            )
            where = [w for w in where if w != subject.head]
            return Clause("be_at", subject, relation=relation, place=NP(self.pick(self.allowed(where))))
        return Clause(
            "be_at",
            self.agent(("person", "animal")),
            relation="in",
            place=self.city() if self.chance(0.3) else self.place(),
        )

    def existence(self) -> Clause:
        subject = self.phrase(self.of_kinds((*world.THINGS, "animal", "person", "fruit")))
        det = subject.det if subject.det in NUMERALS else "indef"
        subject = NP(subject.head, det, subject.plural, subject.adjective)
        return Clause("exist", subject, relation="in", place=self.place())

    def possession(self) -> Clause:
        obj = self.phrase(self.of_kinds((*world.THINGS, "animal")))
        det = obj.det if obj.det in NUMERALS else "indef"
        return Clause("have", self.agent(("person",)), object=NP(obj.head, det, obj.plural, obj.adjective))

    def comparison(self) -> Clause:
        if self.chance(0.5):
            first, second = self.rng.sample(self.people, 2)
            adjectives = [a for a, s in world.ADJECTIVE_SUITS.items() if "person" in s and a not in world.STATES]
            return Clause("compare", NP(first), standard=NP(second), adjective=self.pick(adjectives))
        kind = self.pick(("animal", "vehicle", "building", "furniture", "tool"))
        first, second = self.rng.sample(world.KINDS[kind], 2)
        graded = [
            a
            for a in (
                "big",
                "small",
                "fast",
                "slow",
                "heavy",
                "light",
                "old",
                "expensive",
                "cheap",
                "beautiful",
                "ugly",
            )
            if kind in world.ADJECTIVE_SUITS[a]
        ]
        return Clause("compare", NP(first), standard=NP(second), adjective=self.pick(graded))

    def universal(self) -> Clause:
        clause = self.pick((self.intransitive, self.transitive, self.transitive_time))()
        verb = world.VERBS[clause.verb]
        clause = clause.but(subject=NP(self.of_kinds(verb.subjects), "every"), companion=None)
        return clause if not clause.object or clause.object.head != clause.subject.head else self.universal()

    def coordinated(self) -> Clause:
        clause = self.pick((self.intransitive_place, self.transitive, self.transitive_place))()
        if "person" not in world.VERBS[clause.verb].subjects:
            return self.coordinated()
        taken = clause.object.head if clause.object else None
        first, second = self.rng.sample([n for n in self.people if n != taken], 2)
        return clause.but(subject=NP(first, other=NP(second)))

    def two_objects(self) -> Clause:
        clause = self.act(
            [
                v
                for v in TRANSITIVE
                if "person" not in world.VERBS[v].objects and len(world.members(world.VERBS[v].objects)) > 3
            ]
        )
        head = self.of_kinds(world.VERBS[clause.verb].objects, (clause.object.head, clause.subject.head))
        return clause.but(object=NP(clause.object.head, other=NP(head)))

    # --- sentences ------------------------------------------------------------------------------------------------
    def clause(self, negated: float = 0.15) -> Clause:
        """A clause in a random frame, sometimes negated."""
        clause = self.pick(SIMPLE_FRAMES)(self)
        if repeats(clause):
            return self.clause(negated)
        may = clause.frame not in ("exist", "compare") and clause.subject.det != "every"
        return clause.but(negated=may and self.chance(negated))

    def sentence(self) -> Sentence:
        """One clause, or two with a connective."""
        if self.chance(0.75):
            return Sentence(self.clause())
        link = self.pick(("and", "but", "because", "so", "then", "say"))
        first = self.clause().but(time_first=False)
        if link == "say":
            speaker = self.person_name()
            said = {h for np in first.roles().values() for h in (np.head, np.owner, np.other and np.other.head)}
            return self.sentence() if speaker.head in said else Sentence(first, link, speaker=speaker)
        return Sentence(first, link, self.clause().but(time_first=False))

    def questions(self, clause: Clause) -> tuple[str, ...]:
        """Roles one may ask of a clause (see :attr:`xitt.pocket.meaning.Sentence.ask`)."""
        if clause.negated or clause.modal or clause.frame in ("exist", "compare") or clause.subject.det == "every":
            return ()
        if clause.frame == "be_adj":
            return ("polar", "subject")
        if clause.frame == "be_noun":
            return ("polar", "subject", "noun")
        if clause.frame == "be_at":
            return ("polar", "subject", "place")
        if clause.frame == "have":
            return ("polar", "subject", "object")
        asked = [r for r in clause.roles() if r != "standard"]
        return ("polar", *asked, *(("time",) if clause.time else ()))

    def question(self) -> Sentence:
        """A question about a random clause."""
        while True:
            clause = self.clause(negated=0).but(time_first=False)
            if asks := self.questions(clause):
                return Sentence(clause, ask=self.pick(asks))


def repeats(clause: Clause) -> bool:
    """Whether a name or concept stands twice among its participants (languages would say "himself", "his own")."""
    heads = [h for np in clause.roles().values() for h in (np.head, np.owner, np.other and np.other.head) if h]
    return len(heads) != len(set(heads))


def _verbs(test: Callable[[world.Verb], bool]) -> tuple[str, ...]:
    return tuple(name for name, verb in world.VERBS.items() if test(verb))


INTRANSITIVE = _verbs(lambda v: not v.objects and not v.motion)
TRANSITIVE = tuple(v for v in _verbs(lambda v: bool(v.objects) and not v.recipient) if v != "work_for")
DITRANSITIVE = _verbs(lambda v: v.recipient)
RECEIVING = ("receive", "buy_from")
GIVING = tuple(v for v in DITRANSITIVE if v not in RECEIVING)
WITH_TOOL = _verbs(lambda v: bool(v.instruments))

SIMPLE_FRAMES = (
    Sampler.intransitive, Sampler.intransitive_place, Sampler.intransitive_time, Sampler.transitive,
    Sampler.transitive_place, Sampler.transitive_time, Sampler.transitive_place_time, Sampler.companion,
    Sampler.instrument, Sampler.ditransitive, Sampler.ditransitive_time, Sampler.ditransitive_place,
    Sampler.receiving, Sampler.goal, Sampler.source, Sampler.living, Sampler.employer, Sampler.modal,
    Sampler.modal_transfer, Sampler.property, Sampler.profession, Sampler.location, Sampler.existence,
    Sampler.possession, Sampler.comparison, Sampler.universal, Sampler.coordinated, Sampler.two_objects,
)  # fmt: skip
