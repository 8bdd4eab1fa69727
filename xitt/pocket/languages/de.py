"""German: verb second (last in subordinate clauses), three genders and cases, three adjective declensions."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import world
from ..meaning import NP, Clause
from .base import Grammar, Tok, slotted

CASES = ("nom", "acc", "dat")
#: endings for nominative, accusative, dative by gender (``pl``: plural)
DEFINITE = {"m": ("der", "den", "dem"), "f": ("die", "die", "der"), "n": ("das", "das", "dem"),
            "pl": ("die", "die", "den")}  # fmt: skip
EIN = {"m": ("", "en", "em"), "f": ("e", "e", "er"), "n": ("", "", "em"), "pl": ("e", "e", "en")}
JEDER = {"m": ("er", "en", "em"), "f": ("e", "e", "er"), "n": ("es", "es", "em")}
STRONG = {"m": ("er", "en", "em"), "f": ("e", "e", "er"), "n": ("es", "es", "em"), "pl": ("e", "e", "en")}
WEAK = {"m": ("e", "en", "en"), "f": ("e", "e", "en"), "n": ("e", "e", "en"), "pl": ("en", "en", "en")}
MIXED = {"m": ("er", "en", "en"), "f": ("e", "e", "en"), "n": ("es", "es", "en"), "pl": ("en", "en", "en")}

NUMERAL = {"two": "zwei", "three": "drei", "four": "vier", "five": "fünf"}
RELATION = {"on": "auf", "under": "unter", "near": "bei", "behind": "hinter", "in_front_of": "vor"}
CITY = {"in": "in", "to": "nach", "from": "aus"}
#: preposition + article in one word
CONTRACTED = {
    "in dem": "im", "in das": "ins", "an dem": "am", "an das": "ans", "zu dem": "zum", "zu der": "zur",
    "von dem": "vom", "bei dem": "beim",
}  # fmt: skip
MODAL = {"want": ("will", "wollen"), "can": ("kann", "können"), "must": ("muss", "müssen")}
MAY = ("darf", "dürfen")  # what must not be done is what one "darf nicht"; "muss nicht" would be "need not"
WHO = {"nom": "wer", "acc": "wen", "dat": "wem"}
WHERE = {"to": "wohin", "from": "woher"}
LINK = {"and": "und", "but": "aber"}
NICHT = Tok("nicht", "PART")


@dataclass
class Parts:
    """A clause in pieces; their order depends on what stands first and whether the clause is subordinate."""

    subject: list[Tok]
    finite: Tok
    sich: list[Tok] = field(default_factory=list)
    middle: list[Tok] = field(default_factory=list)
    last: list[Tok] = field(default_factory=list)  # infinitive or separable particle
    after: list[Tok] = field(default_factory=list)  # behind even a final verb: "größer ist als Anna"

    def verb_second(self, front: list[Tok] | None = None) -> list[Tok]:
        """Main clause with the subject first, or with ``front`` (perhaps empty) before the verb."""
        rest = [*self.middle, *self.last, *self.after]
        if front is None:
            return [*self.subject, self.finite, *self.sich, *rest]
        return [*front, self.finite, *self.sich, *self.subject, *rest]

    def verb_last(self) -> list[Tok]:
        last, finite = self.last, self.finite
        if last and last[0].pos == "ADP":  # a separable particle is not separated here
            last, finite = [], Tok(last[0].text + finite.text, "VERB", concept=finite.concept)
        return [*self.subject, *self.sich, *self.middle, *last, finite, *self.after]


class German(Grammar):
    code, title = "de", "German"
    columns = {
        "noun": ("sg", "gender", "pl", "weak"),  # `weak`: accusative and dative singular of the n-declension
        "person": ("sg", "gender", "pl", "weak", "other", "article"),  # `other`: word for the other sex
        "place": ("sg", "gender", "pl", "in", "to", "from"),  # prepositions where they are not in, in, aus
        "verb": ("base", "third", "object", "recipient", "particle", "sich"),
        "adj": ("base", "stem", "more"),
        "per": ("form",), "loc": ("form",), "org": ("form",),
        "time": ("words", "pos"),
    }  # fmt: skip

    # --- noun phrases ---------------------------------------------------------------------------------------
    def np(self, np: NP, case: str, slot: str | None, none: bool = False, article: bool = True) -> list[Tok]:
        """A noun phrase; ``none`` makes an indefinite one "kein", ``article`` is off behind "im", "zur" …"""
        words = self.simple_np(np, case, slot, none, article)
        if np.other:
            words += [Tok("und", "CCONJ", slot), *self.simple_np(np.other, case, slot, none, True)]
        return words

    def simple_np(self, np: NP, case: str, slot: str | None, none: bool, article: bool) -> list[Tok]:
        row, at = self.lexicon[np.head], CASES.index(case)
        if np.is_name:
            # "die Norda AG"
            the = [Tok(DEFINITE["f"][at], "DET", slot)] if row["class"] == "org" and article else []
            return [*the, *self.proper(np.head, row["form"], slot)]
        gender = "pl" if np.plural else row["gender"]
        determiner, endings = self.determiner(np, gender, at, slot, none)
        words = [Tok(self.noun(np, case), "NOUN", slot, concept=np.head)]
        if np.adjective:
            form = self.stem(np.adjective) + endings[gender][at]
            words.insert(0, Tok(form, "ADJ", slot, concept=np.adjective))
        return [*(determiner if article else []), *words]

    def noun(self, np: NP, case: str) -> str:
        row = self.lexicon[np.head]
        if np.plural:
            return row["pl"] + ("n" if case == "dat" and row["pl"][-1] not in "ns" else "")
        return row.get("weak") if row.get("weak") and case != "nom" else row["sg"]

    def determiner(self, np: NP, gender: str, at: int, slot: str | None, none: bool):
        """The determiner (a list of words) and the adjective endings that follow it."""
        if np.owner:
            owner = self.lexicon[np.owner]["form"]
            return self.proper(np.owner, owner + ("'" if owner[-1] in "sxzß" else "s"), slot), STRONG
        if np.det in ("def", "every"):
            form = DEFINITE[gender][at] if np.det == "def" else "jed" + JEDER[gender][at]
            return [Tok(form, "DET", slot)], WEAK
        if np.det != "indef":
            return [Tok(NUMERAL[np.det], "NUM", slot, concept=np.det)], STRONG
        if none:
            return [Tok("kein" + EIN[gender][at], "DET", slot)], MIXED
        if np.plural or np.head in world.MASS:
            return [], STRONG
        return [Tok("ein" + EIN[gender][at], "DET", slot)], MIXED

    def stem(self, adjective: str) -> str:
        row = self.lexicon[adjective]
        return row["stem"] or row["base"].removesuffix("e")

    def phrase(self, preposition: str, case: str, np: NP, slot: str) -> list[Tok]:
        """Preposition and noun phrase, with "im", "zur" … where they melt."""
        if not np.is_name and np.det == "def" and not np.owner and not np.plural:
            the = DEFINITE[self.lexicon[np.head]["gender"]][CASES.index(case)]
            if melted := CONTRACTED.get(f"{preposition} {the}"):
                return [Tok(melted, "ADP"), *self.np(np, case, slot, article=False)]
        return [Tok(preposition, "ADP"), *self.np(np, case, slot)]

    def location(self, c: Clause) -> list[Tok]:
        if c.place is None:
            return []
        row = self.lexicon[c.place.head]
        if c.relation in RELATION:
            return self.phrase(RELATION[c.relation], "dat", c.place, "place")
        if row["class"] == "loc":
            return self.phrase(CITY[c.relation], "dat", c.place, "place")
        preposition = row.get(c.relation) or ("aus" if c.relation == "from" else "in")
        case = "acc" if c.relation == "to" and preposition != "zu" else "dat"
        return self.phrase(preposition, case, c.place, "place")

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        pairs = zip(row["words"].split(), row["pos"].split(), strict=True)
        return [Tok(word, pos, "time", concept=c.time) for word, pos in pairs]

    # --- clauses --------------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        if order != "main":
            parts = self.parts(c)
            return parts.verb_last() if order == "sub" else parts.verb_second([])
        if c.time_first and c.time:
            return self.parts(c, skip="time").verb_second(self.time(c))
        if c.frame == "exist":  # "In der Küche gibt es zwei Stühle"
            return self.parts(c, skip="place").verb_second(self.location(c))
        return self.parts(c).verb_second()

    def parts(self, c: Clause, skip: str | None = None) -> Parts:
        """The pieces of a clause without the role (or ``time``) ``skip``: it stands first or is asked for."""
        plural = c.subject.agrees_plural
        time = self.time(c) if skip != "time" else []
        if c.frame == "exist":
            place = self.location(c) if skip != "place" else []
            middle = [*time, *place, *self.np(c.subject, "acc", "subject")]
            return Parts([Tok("es", "PRON")], Tok("gibt", "VERB"), middle=middle)
        subject = self.np(c.subject, "nom", "subject") if skip != "subject" else []
        if c.frame in ("be_adj", "be_noun", "be_at", "compare"):
            be = Tok("sind" if plural else "ist", "AUX")
            than = [Tok("als", "ADP"), *self.np(c.standard, "nom", "standard")] if c.standard else []
            return Parts(subject, be, middle=[*time, *self.complement(c, skip)], after=than)
        row = self.verb_row(c)
        verb = Tok(row["base"] if plural else row["third"], "VERB", concept=c.verb)
        last = [Tok(row["particle"], "ADP")] if row["particle"] else []
        if c.modal:
            verb = Tok((MAY if c.modal == "must" and c.negated else MODAL[c.modal])[plural], "AUX")
            last = [Tok(row["particle"] + row["base"], "VERB", concept=c.verb)]
        sich = [Tok("sich", "PRON")] if row["sich"] else []
        return Parts(subject, verb, sich, self.arguments(c, row, skip, time), last)

    def verb_row(self, c: Clause) -> dict[str, str]:
        """The verb's row; some differ by object (windows: "putzen") or for animals ("fressen")."""
        if c.frame == "have":
            return {**dict.fromkeys(self.columns["verb"], ""), "base": "haben", "third": "hat"}
        keys = [f"{c.verb}.{c.object.head}"] if c.object else []
        if c.subject.head in world.HYPERNYM and not self.is_human(c.subject):
            keys.append(f"{c.verb}@animal")
        return next((self.lexicon[k] for k in keys if k in self.lexicon), self.lexicon[c.verb])

    def complement(self, c: Clause, skip: str | None) -> list[Tok]:
        """What follows "ist": predicate noun, adjective, comparative or place."""
        if skip in ("noun", "place", "adjective"):
            return []
        if c.frame == "be_noun":
            return self.profession(c)
        no = [NICHT] if c.negated else []
        if c.frame == "be_at":
            return [*no, *self.location(c)]
        row = self.lexicon[c.adjective]
        if c.frame == "be_adj":
            return [*no, Tok(row["base"], "ADJ", "adjective", concept=c.adjective)]
        return [*no, Tok(row["more"] or self.stem(c.adjective) + "er", "ADJ", concept=c.adjective)]

    def profession(self, c: Clause) -> list[Tok]:
        """ "Lehrer", for a woman "Lehrerin", with an article where it is no trade: "ein Kind"."""
        row = self.lexicon[c.noun]
        form, gender = row["sg"], row["gender"]
        if row["other"] and c.subject.head.startswith("per:") and world.gender(c.subject.head) != gender:
            form, gender = row["other"], world.gender(c.subject.head)
        words = [Tok(form, "NOUN", "noun", concept=c.noun)]
        if c.negated or row["article"]:
            words.insert(0, Tok(("kein" if c.negated else "ein") + EIN[gender][0], "DET", "noun"))
        return words

    def arguments(self, c: Clause, row: dict[str, str], skip: str | None, time: list[Tok]) -> list[Tok]:
        """Time, objects, other phrases and "nicht", in their neutral order.

        A recipient and a name stand before the time; a definite object before the place ("liest das Buch im
        Garten"), an indefinite or prepositional one behind it ("liest im Garten ein Buch").
        """
        recipient, source = [], []
        if c.recipient and skip != "recipient":
            if row["recipient"]:
                source = self.phrase(row["recipient"], "dat", c.recipient, "recipient")
            else:
                recipient = self.np(c.recipient, "dat", "recipient")
        company = self.company(c.companion, "companion", skip)
        tool = self.company(c.instrument, "instrument", skip)
        place = self.location(c) if skip != "place" else []
        no = [NICHT] if c.negated else []
        start = [*recipient, *time]
        if c.object is None or skip == "object":
            return [*start, *no, *company, *source, *tool, *place]
        obj = self.object(c, row)
        if " " in row["object"]:  # "spielt im Garten nicht auf der Geige"
            return [*start, *company, *place, *no, *obj, *tool]
        if c.object.is_name:
            return [*obj, *start, *no, *company, *source, *tool, *place]
        if c.object.det != "def" and not c.object.owner:
            no = no if c.object.det != "indef" else []  # "kein" says it
            return [*start, *company, *source, *place, *no, *obj, *tool]
        if no or c.object.owner or row["object"] == "dat":  # not "mit Felix Miras Kiste"
            return [*start, *obj, *no, *company, *source, *tool, *place]
        before, behind = ([], place) if row["recipient"] or not c.recipient else (place, [])
        return [*start, *company, *before, *obj, *source, *tool, *behind]

    def company(self, np: NP | None, role: str, skip: str | None) -> list[Tok]:
        return self.phrase("mit", "dat", np, role) if np and skip != role else []

    def object(self, c: Clause, row: dict[str, str]) -> list[Tok]:
        preposition, _, case = row["object"].rpartition(" ")
        if preposition:
            return self.phrase(preposition, case, c.object, "object")
        return self.np(c.object, case or "acc", "object", none=c.negated)

    # --- questions ------------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "polar":
            return self.parts(c).verb_second([])
        if ask == "subject":
            who = Tok("wer" if self.is_human(c.subject) else "was", "PRON")
            asked = c.but(subject=NP(c.subject.head))  # "wer kauft", whatever the number of the answer
            return self.parts(asked, skip="subject").verb_second([who])
        return self.parts(c, skip=ask).verb_second(self.wh(c, ask))

    def wh(self, c: Clause, ask: str) -> list[Tok]:
        simple = {"time": Tok("wann", "ADV"), "noun": Tok("was", "PRON"), "adjective": Tok("wie", "ADV"),
                  "place": Tok(WHERE.get(c.relation, "wo"), "ADV")}  # fmt: skip
        if ask in simple:
            return [simple[ask]]
        row, np = self.verb_row(c), getattr(c, ask)
        governments = {"object": row["object"], "recipient": f"{row['recipient']} dat"}
        government = governments.get(ask, "mit dat")
        preposition, _, case = government.strip().rpartition(" ")
        case = case or "acc"
        human = self.is_human(np) or np.head.startswith("org:")
        if preposition and not human:  # "womit", "worauf"
            return [Tok("wo" + ("r" if preposition[0] in "aeiouäöü" else "") + preposition, "ADV")]
        pronoun = Tok(WHO[case] if human or case == "dat" else "was", "PRON")
        return [*([Tok(preposition, "ADP")] if preposition else []), pronoun]

    # --- sentences ------------------------------------------------------------------------------------------
    def link(self, link: str) -> list[Tok]:
        words = {"because": [Tok("weil", "SCONJ")], "so": [Tok("deshalb", "ADV")],
                 "then": [Tok("und", "CCONJ"), Tok("dann", "ADV")]}.get(link)  # fmt: skip
        return [self.punct(self.comma), *(words or [Tok(LINK[link], "CCONJ")])]

    def says(self, speaker: NP) -> list[Tok]:
        says = Tok("sagen" if speaker.agrees_plural else "sagt", "VERB")
        words = [*slotted(self.np(speaker, "nom", None), "speaker"), says]
        return [*words, self.punct(self.comma), Tok("dass", "SCONJ")]


GRAMMAR = German()
