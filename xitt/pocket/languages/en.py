"""English: subject-verb-object, articles, do-support."""

from __future__ import annotations

from ..meaning import NP, Clause
from .base import Grammar, Tok, slotted

RELATION = {
    "in": "in",
    "on": "on",
    "under": "under",
    "near": "near",
    "behind": "behind",
    "in_front_of": "in front of",
    "to": "to",
    "from": "from",
}
MODAL = {"can": "can", "must": "must"}
LINK = {"and": "and", "but": "but", "because": "because", "so": "so", "then": "then"}


class English(Grammar):
    code, title = "en", "English"
    columns = {
        "noun": ("sg", "pl", "in"),  # `in`: the preposition of location where it is not "in"
        "verb": ("base", "third", "particle"),
        "adj": ("base", "more"),
        "per": ("form",),
        "loc": ("form",),
        "org": ("form",),
        "time": ("words", "pos"),
    }

    # --- noun phrases -------------------------------------------------------------------------------------------
    def np(self, np: NP, slot: str | None) -> list[Tok]:
        words = self.simple_np(np, slot)
        if np.other:
            words += [Tok("and", "CCONJ", slot), *self.simple_np(np.other, slot)]
        return words

    def simple_np(self, np: NP, slot: str | None) -> list[Tok]:
        row = self.lexicon[np.head]
        if np.is_name:
            return self.proper(np.head, row["form"], slot)
        noun = Tok(row["pl"] if np.plural else row["sg"], "NOUN", slot, concept=np.head)
        words = [noun]
        if np.adjective:
            words.insert(0, Tok(self.lexicon[np.adjective]["base"], "ADJ", slot, concept=np.adjective))
        return [*self.determiner(np, words[0].text, slot), *words]

    def determiner(self, np: NP, following: str, slot: str | None) -> list[Tok]:
        if np.owner:
            owner = self.lexicon[np.owner]["form"]
            return [Tok(owner + "'s", "PROPN", slot, "B-PER", np.owner)]
        if np.det == "def":
            return [Tok("the", "DET", slot)]
        if np.det == "every":
            return [Tok("every", "DET", slot)]
        if np.det != "indef":
            return [Tok(np.det, "NUM", slot, concept=np.det)]
        if np.plural or not self.lexicon[np.head]["pl"]:
            return []
        return [Tok("an" if following[0] in "aeiou" else "a", "DET", slot)]

    # --- clauses --------------------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        time = self.time(c)
        words = [*self.np(c.subject, "subject"), *self.predicate(c)] if c.frame != "exist" else self.exist(c)
        return [*time, Tok(self.comma, "PUNCT", glue=True), *words] if c.time_first and time else [*words, *time]

    def exist(self, c: Clause) -> list[Tok]:
        be = "are" if c.subject.agrees_plural else "is"
        return [Tok("there", "PRON"), Tok(be, "VERB"), *self.np(c.subject, "subject"), *self.location(c)]

    def predicate(self, c: Clause) -> list[Tok]:
        plural = c.subject.agrees_plural
        if c.frame in ("be_adj", "be_noun", "be_at", "compare"):
            be = [Tok("are" if plural else "is", "AUX")] + ([Tok("not", "PART")] if c.negated else [])
            return be + self.complement(c)
        base, third, particle = self.verb_forms(c)
        if c.modal in MODAL:
            negation = [Tok("not", "PART", glue=c.modal == "can")] if c.negated else []  # "cannot", "must not"
            head = [Tok(MODAL[c.modal], "AUX"), *negation, self.verb(c, base)]
        elif c.modal == "want":
            want = self.finite(Tok("want", "VERB"), "wants", plural, c.negated)
            head = [*want, Tok("to", "PART"), self.verb(c, base)]
        else:
            head = self.finite(self.verb(c, base), third, plural, c.negated)
        return [*head, *self.arguments(c, particle)]

    def finite(self, verb: Tok, third: str, plural: bool, negated: bool) -> list[Tok]:
        if negated:
            return [Tok("do" if plural else "does", "AUX"), Tok("not", "PART"), verb]
        return [verb if plural else Tok(third, verb.pos, concept=verb.concept)]

    def verb_forms(self, c: Clause) -> tuple[str, str, str]:
        if c.frame == "have":
            return "have", "has", ""
        row = self.lexicon[c.verb]
        return row["base"], row["third"], row["particle"]

    def verb(self, c: Clause, form: str) -> Tok:
        return Tok(form, "VERB", concept=c.verb)

    def complement(self, c: Clause) -> list[Tok]:
        if c.frame == "be_at":
            return self.location(c)
        if c.frame == "be_noun":
            return self.np(NP(c.noun, "indef"), "noun")
        row = self.lexicon[c.adjective]
        if c.frame == "be_adj":
            return [Tok(row["base"], "ADJ", "adjective", concept=c.adjective)]
        more = [Tok(row["more"], "ADJ", concept=c.adjective)]
        if not row["more"]:
            more = [Tok("more", "ADV"), Tok(row["base"], "ADJ", concept=c.adjective)]
        return [*more, Tok("than", "ADP"), *self.np(c.standard, "standard")]

    def arguments(self, c: Clause, particle: str, skip: str | None = None) -> list[Tok]:
        words = []
        if particle and particle != "from":  # "from" belongs to the recipient of a converse verb
            words.append(Tok(particle, "ADP"))
        if c.object and skip != "object":
            words += self.np(c.object, "object")
        for role, word in (("recipient", particle or "to"), ("companion", "with"), ("instrument", "with")):
            if (np := getattr(c, role)) and skip != role:
                words += [Tok(word, "ADP"), *self.np(np, role)]
        return words + (self.location(c) if skip != "place" else [])

    def location(self, c: Clause) -> list[Tok]:
        if c.place is None:
            return []
        relation = RELATION[c.relation]
        if c.relation == "in":
            relation = self.lexicon[c.place.head].get("in") or "in"
        words = [Tok(w, "ADP") for w in relation.split()]
        return [*words, *self.np(c.place, "place")]

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        return [
            Tok(w, p, "time", concept=c.time) for w, p in zip(row["words"].split(), row["pos"].split(), strict=True)
        ]

    # --- questions -------------------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        time = self.time(c) if ask != "time" else []
        if ask == "subject":
            who = Tok("who" if self.is_human(c.subject) else "what", "PRON")
            asked = c.but(subject=NP(c.subject.head))  # "who buys", whatever the number of the answer
            return [who, *self.predicate(asked), *time]
        plural = c.subject.agrees_plural
        subject = self.np(c.subject, "subject")
        if c.frame in ("be_adj", "be_noun", "be_at"):
            be = Tok("are" if plural else "is", "AUX")
            if ask == "polar":
                return [be, *subject, *self.complement(c), *time]
            wh = {
                "place": Tok("where", "ADV"),
                "noun": Tok("what", "PRON"),
                "adjective": Tok("how", "ADV"),
                "time": Tok("when", "ADV"),
            }[ask]
            return [wh, be, *subject, *(self.complement(c) if ask == "time" else []), *time]
        base, _, particle = self.verb_forms(c)
        core = [Tok("do" if plural else "does", "AUX"), *subject, self.verb(c, base)]
        if ask == "polar":
            return [*core, *self.arguments(c, particle), *time]
        rest = [*core, *self.arguments(c, particle, skip=ask), *time]
        return [*self.wh(c, ask, particle), *rest, *self.stranded(c, ask)]

    def wh(self, c: Clause, ask: str, particle: str) -> list[Tok]:
        if ask == "time":
            return [Tok("when", "ADV")]
        if ask == "place":
            return [Tok("where", "ADV")]
        np = getattr(c, ask)
        human = self.is_human(np) or np.head.startswith("org:")  # "who does Anna work for"
        if ask == "object":
            return [Tok("who" if human else "what", "PRON")]
        word = (particle or "to") if ask == "recipient" else "with"
        return [Tok(word, "ADP"), Tok("whom" if human else "what", "PRON")]

    def stranded(self, c: Clause, ask: str) -> list[Tok]:
        return [Tok("from", "ADP")] if ask == "place" and c.relation == "from" else []

    # --- sentences -------------------------------------------------------------------------------------------------
    def link(self, link: str) -> list[Tok]:
        comma = [Tok(self.comma, "PUNCT", glue=True)] if link in ("but", "so", "then", "and") else []
        words = {"then": [Tok("and", "CCONJ"), Tok("then", "ADV")], "so": [Tok("so", "CCONJ")]}.get(link)
        return [*comma, *(words or [Tok(LINK[link], "SCONJ" if link == "because" else "CCONJ")])]

    def says(self, speaker: NP) -> list[Tok]:
        says = Tok("say" if speaker.agrees_plural else "says", "VERB")
        return [*slotted(self.np(speaker, None), "speaker"), says, Tok("that", "SCONJ")]


GRAMMAR = English()
