"""Swahili: noun classes with concord on verbs, adjectives, numerals and -a; question words in situ."""

from __future__ import annotations

from dataclasses import replace

from .. import world
from ..meaning import NP, Clause
from .base import Grammar, Tok, slotted

#: concord by class: subject prefix, relative, `-a` of connection, `-enye`, prefix of adjectives and numerals
#: (before a consonant, before a vowel); `N` is the nasal of classes 9 and 10
CONCORD = {
    "1": ("a", "ye", "wa", "mwenye", "m", "mw"),
    "2": ("wa", "o", "wa", "wenye", "wa", "w"),
    "3": ("u", "o", "wa", "wenye", "m", "mw"),
    "4": ("i", "yo", "ya", "yenye", "mi", "my"),
    "5": ("li", "lo", "la", "lenye", "", "j"),
    "6": ("ya", "yo", "ya", "yenye", "ma", "m"),
    "7": ("ki", "cho", "cha", "chenye", "ki", "ch"),
    "8": ("vi", "vyo", "vya", "vyenye", "vi", "vy"),
    "9": ("i", "yo", "ya", "yenye", "N", "ny"),
    "10": ("zi", "zo", "za", "zenye", "N", "ny"),
    "11": ("u", "o", "wa", "wenye", "m", "mw"),
}
SUBJECT, RELATIVE, OF, ENYE, BEFORE_CONSONANT, BEFORE_VOWEL = range(6)
NASAL = {"b": "mb", "d": "nd", "g": "ng", "z": "nz", "r": "nd"}  # what the nasal makes of a first consonant
NUMERAL = {"two": "wili", "three": "tatu", "four": "nne", "five": "tano"}
RELATION = {
    "on": "juu ya",
    "under": "chini ya",
    "near": "karibu na",
    "behind": "nyuma ya",
    "in_front_of": "mbele ya",
    "to": "",
    "from": "kutoka",
    "in": "",
}
LINK = {
    "and": [("na", "CCONJ")],
    "but": [("lakini", "CCONJ")],
    "because": [("kwa", "SCONJ"), ("sababu", "SCONJ")],
    "so": [("kwa", "ADV"), ("hiyo", "ADV")],
    "then": [("kisha", "ADV")],
}
VOWELS = "aeiou"


def words(text: str, pos: str) -> list[Tok]:
    return [Tok(w, pos) for w in text.split()]


class Swahili(Grammar):
    """Subject-verb-object, no articles; subject, tense, negation and animate objects are verb prefixes."""

    code, title = "sw", "Swahili"
    columns = {
        "noun": ("sg", "pl", "classes", "at"),
        "verb": ("stem", "prefix", "particle", "instead"),
        "adj": ("stem",),
        "inv": ("stem", "persons"),
        "enye": ("stem",),
        "wa": ("stem", "pos"),
        "state": ("stem",),
        "per": ("form",),
        "loc": ("form",),
        "org": ("form",),
        "time": ("words", "pos"),
    }

    # --- concord --------------------------------------------------------------------------------------------
    def noun_class(self, np: NP) -> str:
        """The class with which words agree; animates agree in 1/2 whatever their form."""
        if np.other:
            return "2" if self.animate(np) else "8"
        if np.is_name:
            return "1" if np.head.startswith("per:") else "9"
        classes = self.lexicon[np.head]["classes"]
        return ("1/2" if classes == "a" else classes).split("/")[1 if np.plural else 0]

    def animate(self, np: NP) -> bool:
        heads = [np.head] + ([np.other.head] if np.other else [])
        return all(h.startswith("per:") or self.lexicon[h].get("classes") == "a" for h in heads)

    def agree(self, stem: str, cls: str) -> str:
        """An adjective or numeral stem with the prefix of a class."""
        if stem[0] in VOWELS:
            prefix = CONCORD[cls][BEFORE_VOWEL]
            # wa + o stays "wao" (waoga), wa + e is "we" (weusi)
            return ("wa" if prefix == "w" and stem[0] == "o" else prefix) + stem
        if stem == "pya" and cls in ("5", "9", "10"):
            return ("ji" if cls == "5" else "m") + stem
        prefix = CONCORD[cls][BEFORE_CONSONANT]
        return NASAL.get(stem[0], stem[0]) + stem[1:] if prefix == "N" else prefix + stem

    # --- noun phrases ---------------------------------------------------------------------------------------
    def np(self, np: NP, slot: str | None) -> list[Tok]:
        phrase = self.simple_np(replace(np, other=None), slot)
        if np.other:
            phrase += [Tok("na", "CCONJ", slot), *self.simple_np(np.other, slot)]
        return phrase

    def simple_np(self, np: NP, slot: str | None) -> list[Tok]:
        row = self.lexicon[np.head]
        if np.is_name:
            return self.proper(np.head, row["form"], slot)
        cls = self.noun_class(np)
        noun = self.noun(row["pl"] if np.plural else row["sg"], np.head)
        adjective = self.attribute(np.adjective, cls) if np.adjective else []
        short = np.adjective and self.lexicon[np.adjective]["class"] in ("adj", "inv")
        rest = self.owner(np, cls) + self.numeral(np, cls)
        # a one-word adjective is next to the noun, a longer one ("with hunger", "that is shut") comes last
        rest = adjective + rest if short else rest + adjective
        return slotted([*words("kila" if np.det == "every" else "", "DET"), *noun, *rest], slot)

    def noun(self, form: str, concept: str) -> list[Tok]:
        """A noun, or a noun with `-a` and another noun ("uwanja wa ndege")."""
        head, *tail = form.split()
        rest = [Tok(w, "NOUN" if i else "ADP") for i, w in enumerate(tail)]
        return [Tok(head, "NOUN", concept=concept), *rest]

    def owner(self, np: NP, cls: str) -> list[Tok]:
        if not np.owner:
            return []
        return [Tok(CONCORD[cls][OF], "ADP"), *self.proper(np.owner, self.lexicon[np.owner]["form"], None)]

    def numeral(self, np: NP, cls: str) -> list[Tok]:
        if np.det not in NUMERAL:
            return []
        form = NUMERAL[np.det]
        # "mbili" is the only numeral that the nasal changes
        form = ("mbili" if np.det == "two" else form) if cls in ("9", "10") else self.agree(form, cls)
        return [Tok(form, "NUM", concept=np.det)]

    def attribute(self, adjective: str, cls: str) -> list[Tok]:
        """An adjective behind its noun."""
        row = self.lexicon[adjective]
        if row["class"] == "enye":
            return [Tok(CONCORD[cls][ENYE], "ADJ"), Tok(row["stem"], "NOUN", concept=adjective)]
        if row["class"] == "state":
            relative = CONCORD[cls][SUBJECT] + "li" + CONCORD[cls][RELATIVE] + row["stem"]
            return [Tok(relative, "VERB", concept=adjective)]
        return self.plain_adjective(adjective, cls)

    def plain_adjective(self, adjective: str, cls: str) -> list[Tok]:
        row = self.lexicon[adjective]
        if row["class"] == "wa":
            return [Tok(CONCORD[cls][OF], "ADP"), Tok(row["stem"], row["pos"], concept=adjective)]
        form = row["persons"] if cls == "2" and row.get("persons") else row["stem"]
        return [Tok(self.agree(form, cls) if row["class"] == "adj" else form, "ADJ", concept=adjective)]

    # --- clauses --------------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        return self.ordered(c)

    def ordered(self, c: Clause, asked: str | None = None) -> list[Tok]:
        """A statement, or with ``asked`` a question: its word stands where the answer would."""
        time = [Tok("lini", "ADV")] if asked == "time" else self.time(c)
        core = self.exist(c) if c.frame == "exist" else self.core(c, asked)
        if c.time_first and time:
            return [*time, Tok(self.comma, "PUNCT", glue=True), *core]
        return [*core, *time]

    def exist(self, c: Clause) -> list[Tok]:
        there = Tok("hakuna" if c.negated else "kuna", "VERB")
        return [there, *self.np(c.subject, "subject"), *self.location(c)]

    def core(self, c: Clause, asked: str | None) -> list[Tok]:
        subject, cls = self.role(c, "subject", asked), self.noun_class(c.subject)
        if asked == "subject":  # "nani" and "mnyama" are of class 1, "kitu" of class 7
            cls = "1" if self.animate(c.subject) else "7"
        must = [Tok("lazima", "ADV")] if c.modal == "must" else []
        return [*must, *subject, *self.predicate(c, cls, asked)]

    def predicate(self, c: Clause, cls: str, asked: str | None) -> list[Tok]:
        if c.frame == "have":
            return [self.having(cls, c.negated), *self.role(c, "object", asked)]
        if c.frame == "act":
            return [*self.verb(c, cls, asked), *self.arguments(c, asked)]
        if c.frame == "be_at":
            return [self.being_at(cls, c.negated), *self.location(c, asked)]
        copula = Tok("si" if c.negated else "ni", "AUX")
        if c.frame == "be_noun":
            noun = [Tok("nani", "PRON")] if asked == "noun" else self.np(NP(c.noun, "indef"), "noun")
            return [copula, *noun]
        if asked == "adjective":
            return [Tok(self.being_at(cls, c.negated).text + "je", "VERB")]
        return self.quality(c, cls, copula)

    def quality(self, c: Clause, cls: str, copula: Tok) -> list[Tok]:
        """Predicate adjective: "ni kubwa", "ana njaa" (has hunger) or "amechoka" (has tired)."""
        row = self.lexicon[c.adjective]
        if row["class"] == "enye":
            head, quality = [self.having(cls, c.negated)], [Tok(row["stem"], "NOUN", concept=c.adjective)]
        elif row["class"] == "state":
            prefix = self.negative(cls) + "ja" if c.negated else CONCORD[cls][SUBJECT] + "me"
            head, quality = [], [Tok(prefix + row["stem"], "VERB", concept=c.adjective)]
        else:
            head, quality = [copula], self.plain_adjective(c.adjective, cls)
        if c.frame == "be_adj":
            return [*head, *slotted(quality, "adjective")]
        than = [Tok("zaidi", "ADV"), Tok("kuliko", "ADP")]
        return [*head, *quality, *than, *self.np(c.standard, "standard")]

    # --- verbs ----------------------------------------------------------------------------------------------
    def negative(self, cls: str) -> str:
        return "ha" if cls == "1" else "ha" + CONCORD[cls][SUBJECT]

    def having(self, cls: str, negated: bool) -> Tok:
        return Tok((self.negative(cls) if negated else CONCORD[cls][SUBJECT]) + "na", "VERB")

    def being_at(self, cls: str, negated: bool) -> Tok:
        subject = "yu" if cls == "1" else CONCORD[cls][SUBJECT]
        return Tok(("ha" if negated else "") + subject + "ko", "AUX")

    def verb(self, c: Clause, cls: str, asked: str | None) -> list[Tok]:
        row = self.lexicon[c.verb]
        obj = self.object_class(c, asked)
        stem = self.with_object(self.stem(c, asked), obj)
        # a stem of one syllable keeps the "ku" of the infinitive in the present ("anakula")
        long = "ku" + stem if obj is None and sum(v in VOWELS for v in stem) == 1 else stem
        particle = words(row["particle"], "NOUN")
        if c.modal == "must":
            return [Tok(self.subjunctive(stem, cls, c.negated), "VERB", concept=c.verb), *particle]
        if c.modal:
            modal = {"want": "taka", "can": "weza"}[c.modal]
            infinitive = "kwenda" if stem == "enda" else "ku" + stem
            finite = Tok(self.present(modal, cls, c.negated), "VERB")
            return [finite, Tok(infinitive, "VERB", concept=c.verb), *particle]
        form = self.present(stem if c.negated else long, cls, c.negated)
        return [Tok(form, "VERB", concept=c.verb), *particle]

    def stem(self, c: Clause, asked: str | None) -> str:
        """The verb stem; some verbs have another one for some objects ("fua" is to wash clothes)."""
        row = self.lexicon[c.verb]
        other, _, objects = row["instead"].partition(":")
        if not c.object or asked == "object":
            return row["stem"]
        heads = {c.object.head} | ({c.object.other.head} if c.object.other else set())
        return other if heads <= set(world.members(tuple(objects.split(",")))) else row["stem"]

    def object_class(self, c: Clause, asked: str | None) -> str | None:
        """Class of the object prefix, which recipients and animate objects have."""
        policy = self.lexicon[c.verb]["prefix"]
        role = "recipient" if policy == "to" else "object"
        np = getattr(c, role)
        if np is None or policy in ("", "from") or not self.animate(np):
            return None
        if asked == role:
            return "1" if self.is_human(np) else None
        definite = np.is_name or np.det == "def"
        return self.noun_class(np) if policy != "def" or definite else None

    def with_object(self, stem: str, cls: str | None) -> str:
        if cls is None:
            return stem
        if cls == "2":
            return "wa" + stem
        return ("mu" if stem[0] == "u" else "mw" if stem[0] in VOWELS else "m") + stem

    def present(self, stem: str, cls: str, negated: bool) -> str:
        if negated:
            return self.negative(cls) + self.final(stem, "i")
        return CONCORD[cls][SUBJECT] + "na" + stem

    def subjunctive(self, stem: str, cls: str, negated: bool) -> str:
        return CONCORD[cls][SUBJECT] + ("si" if negated else "") + self.final(stem, "e")

    def final(self, stem: str, vowel: str) -> str:
        """Bantu verbs change their final -a; verbs from Arabic (-i, -u) do not."""
        return stem[:-1] + vowel if stem.endswith("a") else stem

    # --- arguments ------------------------------------------------------------------------------------------
    def role(self, c: Clause, role: str, asked: str | None) -> list[Tok]:
        """The phrase of a role, or the question word for it."""
        np = getattr(c, role)
        if np is None:
            return []
        return self.question_word(np, role) if role == asked else self.np(np, role)

    def question_word(self, np: NP, role: str) -> list[Tok]:
        if self.is_human(np):
            return [Tok("nani", "PRON")]
        if role == "object" and not np.head.startswith("org:"):
            return [Tok("nini", "PRON")]
        kind = "kampuni" if np.is_name else "mnyama" if self.animate(np) else "kitu"
        return [Tok(kind, "NOUN"), Tok("gani", "DET")]

    def arguments(self, c: Clause, asked: str | None) -> list[Tok]:
        recipient, source = self.role(c, "recipient", asked), []
        if recipient and self.lexicon[c.verb]["prefix"] == "from":
            recipient, source = [], [*words("kutoka kwa", "ADP"), *recipient]
        result = [*recipient, *self.role(c, "object", asked), *source]
        for role, adposition in (("companion", "pamoja na"), ("instrument", "kwa")):
            if phrase := self.role(c, role, asked):
                result += [*words(adposition, "ADP"), *phrase]
        return result + self.location(c, asked)

    def location(self, c: Clause, asked: str | None = None) -> list[Tok]:
        if c.place is None:
            return []
        walked = c.relation == "to" and c.verb != "go"  # one goes somewhere, but walks as far as somewhere
        if asked == "place":
            motion = [Tok("kwenda", "VERB")] if walked else []
            return [*(words("kutoka", "ADP") if c.relation == "from" else motion), Tok("wapi", "ADV")]
        before = words("hadi" if walked else RELATION[c.relation], "ADP")
        place = self.np(c.place, "place")
        if c.relation not in ("in", "to", "from") or c.place.is_name:
            return [*before, *place]
        if len(place) == 1 and self.lexicon[c.place.head]["at"] == "ni":
            noun = place[0]
            return [*before, Tok(noun.text + "ni", "NOUN", "place", concept=noun.concept)]
        inside = self.lexicon[c.place.head]["at"] if c.relation == "in" else ""
        return [*before, *words("kwenye" if inside in ("", "ni") else inside, "ADP"), *place]

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        pairs = zip(row["words"].split(), row["pos"].split(), strict=True)
        return [Tok(w, p, "time", concept=c.time) for w, p in pairs]

    # --- sentences ------------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "polar":
            return [Tok("je", "PART"), Tok(self.comma, "PUNCT", glue=True), *self.ordered(c)]
        return self.ordered(c, ask)

    def link(self, link: str) -> list[Tok]:
        comma = [] if link == "because" else [Tok(self.comma, "PUNCT", glue=True)]
        return [*comma, *(Tok(w, p) for w, p in LINK[link])]

    def says(self, speaker: NP) -> list[Tok]:
        says = Tok(self.present("sema", self.noun_class(speaker), False), "VERB")
        return [*slotted(self.np(speaker, None), "speaker"), says, Tok("kwamba", "SCONJ")]


GRAMMAR = Swahili()
