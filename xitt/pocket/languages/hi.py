"""Hindi: subject-object-verb with postpositions; direct and oblique case, two genders.

The habitual (participle + है) agrees with the subject; "must" (infinitive + चाहिए) takes a dative subject, and
its infinitive agrees with an unmarked object. Humans and definite animals take को as objects.
"""

from __future__ import annotations

from dataclasses import replace

from .. import world
from ..meaning import NP, Clause
from .base import Grammar, Tok, slotted

RELATION = {
    "on": "पर",
    "under": "के नीचे",
    "near": "के पास",
    "behind": "के पीछे",
    "in_front_of": "के सामने",
    "from": "से",
}
NUMERAL = {"two": "दो", "three": "तीन", "four": "चार", "five": "पाँच"}
LINK = {
    "and": (("और", "CCONJ"),),
    "but": (("लेकिन", "CCONJ"),),
    "because": (("क्योंकि", "SCONJ"),),
    "so": (("इसलिए", "CCONJ"),),
    "then": (("और", "CCONJ"), ("फिर", "ADV")),
}
ANIMALS = frozenset((*world.ANIMALS, *world.members(world.ANIMALS)))
PLACES = frozenset((*world.PLACES, *world.members(world.PLACES)))
#: final vowel -> what replaces it (masculine -ā: in the oblique; -ī, -ū: before an ending), and
#: in the oblique plural
LETTERS = {"ा": ("े", "ों"), "आ": ("ए", "ओं"), "ी": ("ि", "ियों"), "ई": ("इ", "इयों"), "ू": ("ु", "ुओं")}


def noun_forms(word: str, gender: str, fixed: bool) -> tuple[str, str, str, str]:
    """Direct and oblique singular, direct and oblique plural."""
    stem, last = word[:-1], word[-1]
    short, ending = LETTERS.get(last, ("", ""))
    plural, plural_oblique = word, stem + ending if ending else word + "ों"
    if fixed or last == "ो":  # राजा, रेडियो: only -ā takes an ending
        return word, word, word, word + "ओं" if last == "ा" else word
    if gender == "m":
        if last in "ाआ":
            plural = stem + short
        return word, plural if last in "ाआ" else word, plural, word + "यों" if last == "ि" else plural_oblique
    if word.endswith("िया"):  # गुड़िया
        plural = word + "ँ"
    elif last == "ा":
        plural, plural_oblique = word + "एँ", word + "ओं"
    else:
        plural = stem + short + {"ी": "याँ", "ई": "याँ", "ू": "एँ"}[last] if ending else word + "ें"
    return word, word, plural, plural_oblique


def agreeing(form: str, gender: str, direct_singular: bool) -> str:
    """An adjective or participle in -ā, made to agree; others never change."""
    if form[-1] not in "ाआ" or (gender == "m" and direct_singular):
        return form
    if form.endswith(("या", "आ")):  # नया, हुआ: the glide goes
        cut = form[:-2] if form.endswith("या") else form[:-1]
        return cut + ("ए" if gender == "m" else "ई")
    return form[:-1] + ("े" if gender == "m" else "ी")


def adp(words: str) -> list[Tok]:
    return [Tok(w, "ADP") for w in words.split()]


class Hindi(Grammar):
    code, title = "hi", "Hindi"
    capitalise = False
    stop = "।"
    columns = {
        # kind: `fixed` where the noun does not inflect like others; loc: the postposition there, if not में;
        # to: `bare` where one goes there without a postposition; woman: the role as of a woman
        "noun": ("form", "gender", "kind", "loc", "to", "woman"),
        # host: the word before a light verb, its tag, and agreement: `m`/`f`: the infinitive agrees with it,
        # `s`: it agrees with the subject; gov: postposition of the object (`dir`: none ever); to: of
        # the recipient; light: a second verb that makes the act complete (ढूँढ़ना alone is to look for)
        "verb": ("stem", "host", "pos", "agree", "gov", "to", "light"),
        # tail: a second word, which agrees; pos: tags of both, if not ADJ AUX
        "adj": ("form", "tail", "pos"),
        "per": ("form",),
        "loc": ("form",),
        "org": ("form",),
        "time": ("words", "pos"),
    }

    # --- noun phrases -----------------------------------------------------------------------------------
    def np(self, np: NP, slot: str | None, oblique: bool = False) -> list[Tok]:
        words = self.simple_np(np, slot, oblique)
        if np.other:
            words += [Tok("और", "CCONJ", slot), *self.simple_np(np.other, slot, oblique)]
        return words

    def simple_np(self, np: NP, slot: str | None, oblique: bool) -> list[Tok]:
        row = self.lexicon[np.head]
        if np.is_name:
            return self.proper(np.head, row["form"], slot)
        form = noun_forms(row["form"], row["gender"], row["kind"] == "fixed")[2 * np.plural + oblique]
        direct_singular = not np.plural and not oblique
        words = self.determiner(np, row["gender"], direct_singular, slot)
        if np.adjective:
            words += self.adjective(np.adjective, row["gender"], direct_singular, slot)
        return [*words, Tok(form, "NOUN", slot, concept=np.head)]

    def determiner(self, np: NP, gender: str, direct_singular: bool, slot: str | None) -> list[Tok]:
        if np.owner:
            owner = self.proper(np.owner, self.lexicon[np.owner]["form"], slot)
            return [*owner, Tok(agreeing("का", gender, direct_singular), "ADP", slot)]
        if np.det == "every":
            return [Tok("हर", "DET", slot)]
        if np.det in NUMERAL:
            return [Tok(NUMERAL[np.det], "NUM", slot, concept=np.det)]
        if np.det == "indef" and not np.plural and np.head not in world.MASS:
            return [Tok("एक", "NUM", slot)]
        return []

    def adjective(self, concept: str, gender: str, direct_singular: bool, slot: str | None) -> list[Tok]:
        row = self.lexicon[concept]
        forms = [row["form"], row["tail"]] if row["tail"] else [row["form"]]  # थका हुआ, शोरगुल वाला
        tags = (row["pos"] or "ADJ AUX").split()
        return [
            Tok(form if tag == "NOUN" else agreeing(form, gender, direct_singular), tag, slot, concept=concept)
            for form, tag in zip(forms, tags, strict=False)
        ]

    def gender(self, np: NP) -> str:
        """Gender for agreement; mixed coordination is masculine."""
        if np.other and self.gender(np.other) == "m":
            return "m"
        if np.head.startswith("per:"):
            return world.gender(np.head)
        return "m" if np.is_name else self.lexicon[np.head]["gender"]

    # --- clauses ----------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        if c.frame == "exist":
            be = self.be(c.subject.agrees_plural, "VERB")
            return [*self.location(c), *self.np(c.subject, "subject"), be]
        subject = self.subject(c)
        time = self.time(c)
        head = [*time, *subject] if c.time_first else [*subject, *time]
        return [*head, *self.arguments(c), *self.predicate(c)]

    def subject(self, c: Clause) -> list[Tok]:
        """The subject: a possessor has के पास, one who must has को."""
        if c.frame == "have":
            return [*self.np(c.subject, "subject", True), *adp("के पास")]
        if c.modal == "must":
            return [*self.np(c.subject, "subject", True), *adp("को")]
        return self.np(c.subject, "subject")

    def be(self, plural: bool, pos: str = "AUX") -> Tok:
        return Tok("हैं" if plural else "है", pos)

    def negation(self, c: Clause) -> list[Tok]:
        return [Tok("नहीं", "PART")] if c.negated else []

    def predicate(self, c: Clause, host: bool = True) -> list[Tok]:
        """The end of the clause; ``host`` is whether the word before a light verb is still to come."""
        if c.frame == "have":
            return [*self.negation(c), self.be(c.object.agrees_plural, "VERB")]
        if c.frame != "act":
            return [*self.complement(c), *self.negation(c), self.be(c.subject.agrees_plural)]
        return [*(self.host(c) if host else []), *self.negation(c), *self.verb(c)]

    def verb_row(self, c: Clause) -> dict[str, str]:
        """The verb's row; a few concepts are two verbs in Hindi."""
        if c.verb == "visit" and self.is_human(c.object):
            return self.lexicon["visit_person"]
        if c.verb == "live" and not (c.place or c.companion):  # रहना wants a place
            return self.lexicon["live_at_all"]
        return self.lexicon[c.verb]

    def host(self, c: Clause) -> list[Tok]:
        row = self.verb_row(c)
        if not row["host"]:
            return []
        form = row["host"]
        if row["agree"] == "s" and c.modal != "must":
            form = agreeing(form, self.gender(c.subject), not c.subject.agrees_plural)
        return [Tok(form, row["pos"], concept=c.verb)]

    def verb(self, c: Clause) -> list[Tok]:
        stem = self.verb_row(c)["stem"]
        if c.modal == "must":
            return [Tok(stem + self.infinitive(c), "VERB", concept=c.verb), Tok("चाहिए", "AUX")]
        if c.modal == "can":
            return [Tok(stem, "VERB", concept=c.verb), *self.habitual(c, Tok("सक", "AUX"))]
        if c.modal == "want":
            return [Tok(stem + "ना", "VERB", concept=c.verb), *self.habitual(c, Tok("चाह", "VERB"))]
        if light := self.verb_row(c)["light"]:  # ढूँढ़ लेता है, but नहीं ढूँढ़ पाता
            second = Tok("पा" if c.negated else light, "AUX")
            return [Tok(stem, "VERB", concept=c.verb), *self.habitual(c, second)]
        return self.habitual(c, Tok(stem, "VERB", concept=c.verb))

    def infinitive(self, c: Clause) -> str:
        """Ending of the infinitive under चाहिए: it agrees with the host noun or with an unmarked object."""
        agree = self.verb_row(c)["agree"]
        if agree in ("m", "f"):
            return "ना" if agree == "m" else "नी"
        if c.object is None or self.object_postposition(c):
            return "ना"
        last = c.object.other or c.object
        return agreeing("ना", self.gender(last), not last.plural)

    def habitual(self, c: Clause, stem: Tok) -> list[Tok]:
        """Participle with है; a negated one goes without, and its feminine plural is nasal then."""
        gender, plural = self.gender(c.subject), c.subject.agrees_plural
        form = stem.text + agreeing("ता", gender, not plural)
        if not c.negated:
            return [replace(stem, text=form), self.be(plural)]
        return [replace(stem, text=form + ("ं" if plural and gender == "f" else ""))]

    def complement(self, c: Clause) -> list[Tok]:
        if c.frame == "be_at":
            return []  # the place is among the arguments
        if c.frame == "be_noun":
            woman = self.lexicon[c.noun]["woman"] if self.gender(c.subject) == "f" else ""
            return [Tok(woman, "NOUN", "noun", concept=c.noun)] if woman else self.np(NP(c.noun), "noun")
        gender, singular = self.gender(c.subject), not c.subject.agrees_plural
        if c.frame == "be_adj":
            return self.adjective(c.adjective, gender, singular, "adjective")
        more = [*adp("से"), Tok("ज़्यादा", "ADV"), *self.adjective(c.adjective, gender, singular, None)]
        return [*self.np(c.standard, "standard", True), *more]

    def arguments(self, c: Clause, skip: str | None = None) -> list[Tok]:
        """What stands between subject and verb: place, companion, instrument, recipient, object."""
        words = self.location(c) if skip != "place" else []
        if c.companion and skip != "companion":
            words += [*self.np(c.companion, "companion", True), *adp("के साथ")]
        if c.instrument and skip != "instrument":
            words += [*self.np(NP(c.instrument.head), "instrument", True), *adp("से")]
        if c.recipient and skip != "recipient":
            words += [*self.np(c.recipient, "recipient", True), *adp(self.verb_row(c)["to"] or "को")]
        if c.object and skip != "object":
            words += self.object(c)
        return words

    def object(self, c: Clause) -> list[Tok]:
        np = c.object
        if c.negated and np.det == "indef":
            np = replace(np, det="def")  # no एक under negation
        postposition = self.object_postposition(c)
        return [*self.np(np, "object", bool(postposition)), *adp(postposition)]

    def object_postposition(self, c: Clause) -> str:
        """What the verb governs, else को for humans and definite animals (never beside a recipient)."""
        if c.frame == "have":
            return ""
        gov = self.verb_row(c)["gov"]
        if gov or c.recipient:
            return "" if gov in ("dir", "") else gov
        parts = [c.object, *([c.object.other] if c.object.other else [])]
        return "को" if all(self.is_human(n) or (n.head in ANIMALS and n.det == "def") for n in parts) else ""

    def location(self, c: Clause) -> list[Tok]:
        if c.place is None:
            return []
        row = self.lexicon[c.place.head]
        if c.relation in RELATION:
            postposition = RELATION[c.relation]
        elif c.relation == "to" and c.verb != "go":  # one walks or travels as far as a place
            postposition = "तक"
        elif c.relation == "to" and (c.place.is_name or row["to"] == "bare"):
            postposition = ""
        else:
            postposition = row.get("loc") or "में"
        return [*self.np(c.place, "place", True), *adp(postposition)]

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        tagged = zip(row["words"].split(), row["pos"].split(), strict=True)
        return [Tok(word, pos, "time", concept=c.time) for word, pos in tagged]

    # --- questions --------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        """क्या before the clause, or the question word before the verb."""
        if ask == "polar":
            return [Tok("क्या", "PART"), *self.clause(c)]
        if ask == "subject":
            return self.subject_question(c)
        time = self.time(c) if ask != "time" else []
        head = [*self.subject(c), *time, *self.arguments(c, skip=ask)]
        if c.frame != "act":  # be_noun, be_at, have: no more than the copula is left
            plural = c.object.agrees_plural if c.frame == "have" else c.subject.agrees_plural
            if c.frame == "have":
                return [*head, *self.wh(c, ask), self.be(plural and ask != "object", "VERB")]
            return [*head, *self.wh(c, ask), self.be(plural)]
        return self.before_verb(c, head, self.wh(c, ask), ask)

    def before_verb(self, c: Clause, head: list[Tok], wh: list[Tok], ask: str) -> list[Tok]:
        """The question word right before the verb, but behind a host whose genitive is not what is asked."""
        if ask != "object" and self.verb_row(c)["gov"] in ("का", "की"):
            return [*head, *self.host(c), *wh, *self.predicate(c, host=False)]
        return [*head, *wh, *self.predicate(c)]

    def subject_question(self, c: Clause) -> list[Tok]:
        """Who or what; the verb is masculine singular, whatever the answer."""
        animate = self.is_human(c.subject) or c.subject.head in ANIMALS
        head = [*self.time(c), *self.arguments(c)]
        asked = c.but(subject=NP("man"))
        if c.frame == "have":
            return [*head, Tok("किसके", "PRON"), *adp("पास"), self.be(c.object.agrees_plural, "VERB")]
        if c.frame == "be_noun":
            return [*self.complement(asked), Tok("कौन", "PRON"), self.be(False)]
        if c.frame == "be_adj" and not animate:  # क्या at the beginning would make it a polar question
            thing = Tok("जगह" if c.subject.head in PLACES else "चीज़", "NOUN")
            return [Tok("कौन-सी", "DET"), thing, *self.predicate(c.but(subject=NP("woman")))]
        who = [Tok("कौन" if animate else "क्या", "PRON")]
        if c.frame == "act":
            return self.before_verb(asked, head, who, "subject")
        return [*head, *who, *self.predicate(asked)]

    def wh(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "time":
            return [Tok("कब", "ADV")]
        if ask == "place":
            motion = {"from": "से", "to": "" if c.verb == "go" else "तक"}.get(c.relation, "")
            return [Tok("कहाँ", "ADV"), *adp(motion)]
        if ask in ("noun", "object"):
            return [Tok("क्या", "PRON")] if ask == "noun" else self.wh_object(c)
        return self.whom({"companion": "के साथ", "instrument": "से"}.get(ask) or self.verb_row(c)["to"] or "को")

    def wh_object(self, c: Clause) -> list[Tok]:
        gov = self.object_postposition(c)
        if gov == "का" and c.object.head in PLACES:  # a place one visits
            return [Tok("किस", "DET"), Tok("जगह", "NOUN"), *adp(gov)]
        always = c.frame == "act" and self.verb_row(c)["gov"]  # else an animal is "what"
        return self.whom(gov) if gov and (always or self.is_human(c.object)) else [Tok("क्या", "PRON")]

    def whom(self, postposition: str) -> list[Tok]:
        """The oblique question word, written together with the first part of the postposition."""
        first, *rest = postposition.split()
        return [Tok("किसे" if first == "को" else "किस" + first, "PRON"), *adp(" ".join(rest))]

    # --- sentences --------------------------------------------------------------------------------------
    def link(self, link: str) -> list[Tok]:
        comma = [self.punct(self.comma)] if link in ("but", "so") else []
        return [*comma, *(Tok(word, pos) for word, pos in LINK[link])]

    def says(self, speaker: NP) -> list[Tok]:
        says = self.habitual(Clause("act", speaker), Tok("कह", "VERB"))
        return [*slotted(self.np(speaker, None), "speaker"), *says, Tok("कि", "SCONJ")]


GRAMMAR = Hindi()
