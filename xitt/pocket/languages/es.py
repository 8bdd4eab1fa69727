"""Spanish: subject-verb-object, two genders, ser and estar, personal "a", verb first in questions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from .. import world
from ..meaning import NP, Clause
from .base import Grammar, Line, Tok, slotted

RELATION = {
    "in": "en",
    "on": "sobre",
    "under": "debajo de",
    "near": "cerca de",
    "behind": "detrás de",
    "in_front_of": "delante de",
    "to": "a",
    "from": "de",
}
NUMERAL = {"two": "dos", "three": "tres", "four": "cuatro", "five": "cinco"}
MODAL = {"can": ("puede", "AUX"), "must": ("debe", "AUX"), "want": ("quiere", "VERB")}
ARTICLE = {  # (det, plural) -> masculine, feminine
    ("def", False): ("el", "la"),
    ("def", True): ("los", "las"),
    ("indef", False): ("un", "una"),
    ("indef", True): ("unos", "unas"),
}
CONTRACTION = {("a", "el"): "al", ("de", "el"): "del"}
LINK = {
    "and": (("y", "CCONJ"),),
    "but": (("pero", "CCONJ"),),
    "because": (("porque", "SCONJ"),),
    "so": (("así", "ADV"), ("que", "SCONJ")),
    "then": (("y", "CCONJ"), ("luego", "ADV")),
}
BEASTS = ("animal", "bird", *world.members(("animal", "bird")))
INSECTS = ("insect", *world.members("insect"))


class Spanish(Grammar):
    """Only third persons occur; their plural is the singular with -n, but for "es"/"son"."""

    code, title = "es", "Spanish"
    columns = {
        "noun": ("sg", "gender", "pl"),
        # `other`: the form for the other gender; `article`: whether "un" stands in "es un amigo"
        "person": ("sg", "gender", "other", "article", "pl"),
        # `prep` governs the object, `recipient` the recipient; `animals`: which animals take the personal "a"
        # (all, or def: definite ones but insects); `words`: "de pie" of "estar de pie"
        "verb": ("inf", "third", "prep", "animals", "recipient", "words"),
        "adj": ("base", "be"),
        "per": ("form",),
        "loc": ("form", "article"),
        "org": ("form", "article"),
        "time": ("words", "pos"),
    }

    # --- noun phrases ---------------------------------------------------------------------------------------
    def np(self, np: NP, slot: str | None, bare: bool = False) -> list[Tok]:
        words = self.simple_np(np, slot, bare)
        if np.other:
            words += [Tok("y", "CCONJ", slot), *self.simple_np(np.other, slot)]
        return words

    def simple_np(self, np: NP, slot: str | None, bare: bool = False) -> list[Tok]:
        """``bare``: plural and mass nouns may stand without an article (objects, not subjects)."""
        row = self.lexicon[np.head]
        if np.is_name:
            # "El Cairo", "el Grupo Lumex"
            article = [Tok(row["article"], "DET", slot)] if row.get("article") else []
            return [*article, *self.proper(np.head, row["form"], slot)]
        form = (row["pl"] or self.plural(row["sg"])) if np.plural else row["sg"]
        concept = np.head.partition(".")[0]
        words = [*self.determiner(np, slot, bare), Tok(form, "NOUN", slot, concept=concept)]
        if np.adjective:
            form = self.agree(np.adjective, self.feminine(np), np.plural)
            words.append(Tok(form, "ADJ", slot, concept=np.adjective))
        if np.owner:
            words += [Tok("de", "ADP", slot), *self.proper(np.owner, self.lexicon[np.owner]["form"], slot)]
        return words

    def determiner(self, np: NP, slot: str | None, bare: bool) -> list[Tok]:
        if np.det in NUMERAL:
            return [Tok(NUMERAL[np.det], "NUM", slot, concept=np.det)]
        if np.det == "every":
            return [Tok("cada", "DET", slot)]
        mass = np.head in world.MASS
        if bare and np.det == "indef" and (np.plural or mass):
            return []
        det = "def" if np.owner or mass else np.det  # a subject has an article: "la sopa está caliente"
        masculine = ("m",) if np.plural else ("m", "fa")  # "el agua", "las aguas"
        feminine = self.lexicon[np.head]["gender"] not in masculine
        return [Tok(ARTICLE[det, np.plural][feminine], "DET", slot)]

    def feminine(self, np: NP) -> bool:
        """Whether what agrees with the phrase is feminine; mixed company is masculine."""
        if np.other and not self.feminine(np.other):
            return False
        if np.is_name:
            return np.head.startswith("per:") and world.gender(np.head) == "f"
        return self.lexicon[np.head]["gender"] != "m"

    def agree(self, adjective: str, feminine: bool, plural: bool) -> str:
        form = self.lexicon[adjective]["base"]
        form = form[:-1] + "a" if feminine and form.endswith("o") else form
        return self.plural(form) if plural else form

    @staticmethod
    def plural(form: str) -> str:
        if re.search("[aeiouáéó]$", form):
            return form + "s"
        if form.endswith("z"):
            return form[:-1] + "ces"
        if re.search("[áéíóú][ns]$", form):  # "estación", "estaciones"
            form = form[:-2] + form[-2].translate(str.maketrans("áéíóú", "aeiou")) + form[-1]
        return form + "es"

    def after(self, prep: str, phrase: list[Tok], slot: str | None = None) -> list[Tok]:
        """A preposition and a phrase, contracted where "a" or "de" meets "el"; ``prep`` may be "cerca de"."""
        *adverbs, prep = prep.split()
        words = [Tok(a, "ADV", slot) for a in adverbs]
        if joined := CONTRACTION.get((prep, phrase[0].text)):
            return [*words, Tok(joined, "ADP", slot), *phrase[1:]]
        return [*words, Tok(prep, "ADP", slot), *phrase]

    # --- clauses --------------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        time = self.time(c)
        words = self.exist(c) if c.frame == "exist" else [*self.subject(c), *self.predicate(c)]
        if c.time_first and time:
            return [*time, Tok(self.comma, "PUNCT", glue=True), *words]
        return [*words, *time]

    def subject(self, c: Clause) -> list[Tok]:
        """The subject; "doors are expensive" is of doors in general: "las puertas", not "unas puertas"."""
        np = c.subject
        general = c.negated or (c.frame == "be_adj" and self.be(c) == "es")
        if general and np.plural and np.det == "indef":
            np = replace(np, det="def")
        return self.np(np, "subject")

    def exist(self, c: Clause) -> list[Tok]:
        return [Tok("hay", "VERB"), *self.np(c.subject, "subject", bare=True), *self.location(c)]

    def predicate(self, c: Clause) -> list[Tok]:
        return [*self.verbs(c), *self.rest(c)]

    def verbs(self, c: Clause) -> list[Tok]:
        """The finite verb with what stands right at it: negation, "se", an infinitive, "de pie"."""
        negation = [Tok("no", "ADV")] if c.negated else []
        plural = c.subject.agrees_plural
        if c.frame != "act":
            form = "tiene" if c.frame == "have" else self.be(c)
            return [*negation, Tok(self.finite(form, plural), "VERB" if c.frame == "have" else "AUX")]
        row = self.lexicon[c.verb]
        pos, concept, extra = "VERB", c.verb, []
        if row["words"]:  # "está de pie": "pie" carries the meaning
            prep, noun = row["words"].split()
            pos, concept, extra = "AUX", None, [Tok(prep, "ADP"), Tok(noun, "NOUN", concept=c.verb)]
        if c.modal:
            form, kind = MODAL[c.modal]
            infinitive = Tok(row["inf"], pos, concept=concept)
            return [*negation, Tok(self.finite(form, plural), kind), infinitive, *extra]
        infinitive = row["inf"].removesuffix("se")
        reflexive = [Tok("se", "PRON")] if infinitive != row["inf"] else []
        third = row["third"] or infinitive[:-2] + ("a" if infinitive.endswith("ar") else "e")
        return [*negation, *reflexive, Tok(self.finite(third, plural), pos, concept=concept), *extra]

    @staticmethod
    def finite(third: str, plural: bool) -> str:
        return {"es": "son"}.get(third, third + "n") if plural else third

    def be(self, c: Clause) -> str:
        """Ser for what something is, estar for where it is and for passing states."""
        if c.frame in ("be_adj", "compare"):
            return self.lexicon[c.adjective]["be"]
        return "está" if c.frame == "be_at" else "es"

    def rest(self, c: Clause, skip: str | None = None) -> list[Tok]:
        """What follows the verb (and in questions the subject)."""
        if c.frame == "be_noun":
            return self.profession(c) if skip != "noun" else []
        if c.frame in ("be_adj", "compare"):
            form = self.agree(c.adjective, self.feminine(c.subject), c.subject.agrees_plural)
            if c.frame == "be_adj":
                return [Tok(form, "ADJ", "adjective", concept=c.adjective)]
            more = [Tok("más", "ADV"), Tok(form, "ADJ", concept=c.adjective), Tok("que", "SCONJ")]
            return [*more, *self.np(c.standard, "standard")]
        return self.arguments(c, skip)

    def profession(self, c: Clause) -> list[Tok]:
        """ "Es médica", in the gender of the subject, but "es un amigo"."""
        row = self.lexicon[c.noun]
        form, feminine = row["sg"], row["gender"] == "f"
        if row["other"] and self.feminine(c.subject) != feminine:
            form, feminine = row["other"], not feminine
        article = [Tok("una" if feminine else "un", "DET", "noun")] if row["article"] else []
        return [*article, Tok(form, "NOUN", "noun", concept=c.noun)]

    def arguments(self, c: Clause, skip: str | None = None) -> list[Tok]:
        phrases = {}
        if c.object:
            phrases["object"] = self.object(c)
        for role in ("recipient", "companion", "instrument"):
            if np := getattr(c, role):
                prep = self.recipient_prep(c) if role == "recipient" else "con"
                # "no vende mesas a médicos": "a unos médicos" would stand outside the negation
                phrases[role] = self.after(prep, self.np(np, role, bare=c.negated))
        phrases["place"] = self.location(c)
        order = ["object", "recipient", "companion", "instrument", "place"]
        if c.object and c.object.owner and self.recipient_prep(c) == "de":
            order[:2] = "recipient", "object"  # "recibe de Pedro el libro de Ana": "de" would pile up
        return [w for role in order if role != skip for w in phrases.get(role, ())]

    def object(self, c: Clause) -> list[Tok]:
        """The object, each half of "X y Z" with its own preposition or personal "a"."""
        prep = self.object_prep(c, c.object)
        words = self.marked(c, prep, replace(c.object, other=None), None)
        if other := c.object.other:
            words += [Tok("y", "CCONJ", "object")]
            words += self.marked(c, self.object_prep(c, other), other, "object")
        return words

    def marked(self, c: Clause, prep: str, np: NP, slot: str | None) -> list[Tok]:
        if f"{np.head}.{c.verb}" in self.lexicon:  # a fish that is cooked is "pescado"
            np = replace(np, head=f"{np.head}.{c.verb}")
        phrase = self.np(np, "object", bare=prep != "a" or c.negated)
        return self.after(prep, phrase, slot) if prep else phrase

    def object_prep(self, c: Clause, np: NP) -> str:
        if c.frame == "have":
            return ""
        row = self.lexicon[c.verb]
        if row["prep"]:
            return row["prep"]
        definite = row["animals"] == "def" and np.det == "def" and np.head in BEASTS
        marked = definite or (row["animals"] == "all" and np.head in (*BEASTS, *INSECTS))
        return "a" if self.is_human(np) or marked else ""

    def recipient_prep(self, c: Clause) -> str:
        return self.lexicon[c.verb]["recipient"] or "a" if c.verb else "a"

    def location(self, c: Clause) -> list[Tok]:
        return self.after(RELATION[c.relation], self.np(c.place, "place")) if c.place else []

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        words = zip(row["words"].split(), row["pos"].split(), strict=True)
        return [Tok(w, p, "time", concept=c.time) for w, p in words]

    # --- questions ------------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        first, *others = self.asked(c, ask)
        return [Tok("¿", "PUNCT"), replace(first, text=self.upper_first(first.text), glue=True), *others]

    def asked(self, c: Clause, ask: str) -> list[Tok]:
        time = self.time(c) if ask != "time" else []
        if ask == "subject":
            who = Tok("quién" if self.is_human(c.subject) else "qué", "PRON")
            # who is asked for is masculine singular, whatever the answer
            return [who, *self.predicate(c.but(subject=NP("per:ivan"))), *time]
        wh = [] if ask == "polar" else self.wh(c, ask)
        subject, rest = self.subject(c), self.rest(c, skip=ask)
        if c.frame == "be_adj":  # "¿Está abierta la puerta?": "la puerta abierta" would be one phrase
            subject, rest = rest, subject
        return [*wh, *self.verbs(c), *subject, *rest, *time]

    def wh(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "time":
            return [Tok("cuándo", "ADV")]
        if ask == "place":
            where = Tok("adónde" if c.relation == "to" else "dónde", "ADV")
            return [Tok("de", "ADP"), where] if c.relation == "from" else [where]
        if ask == "noun":
            return [Tok("qué", "PRON")]
        np = getattr(c, ask)
        human = self.is_human(np)
        who = Tok("quién" if human or np.head.startswith("org:") else "qué", "PRON")
        if ask == "object":  # "a" only where the verb governs it, or for people: "¿Qué persigue el perro?"
            prep = "a" if human and c.verb else c.verb and self.lexicon[c.verb]["prep"]
        else:
            prep = self.recipient_prep(c) if ask == "recipient" else "con"
        return [Tok(prep, "ADP"), who] if prep else [who]

    # --- sentences ------------------------------------------------------------------------------------------
    def line(self, words: Iterable[Tok]) -> Line:
        """Before an i-sound "y" is "e": "Ana e Irina"."""
        words = list(words)
        for i, (word, following) in enumerate(pairwise(words)):
            if word.text == "y" and re.match("h?[ií](?![aeo])", following.text.lower()):
                words[i] = replace(word, text="e")
        return super().line(words)

    def link(self, link: str) -> list[Tok]:
        comma = [] if link == "because" else [Tok(self.comma, "PUNCT", glue=True)]
        return [*comma, *(Tok(w, p) for w, p in LINK[link])]

    def says(self, speaker: NP) -> list[Tok]:
        says = Tok(self.finite("dice", speaker.agrees_plural), "VERB")
        return [*slotted(self.np(speaker, None), "speaker"), says, Tok("que", "SCONJ")]


GRAMMAR = Spanish()
