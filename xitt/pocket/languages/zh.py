"""Mandarin Chinese: subject-verb-object, no inflection, classifiers, adverbials before the verb.

Definite singulars and indefinite plurals are bare nouns, definite plurals take 这些, indefinite singulars
一 + classifier. An indefinite or counted subject is introduced by 有, for Chinese wants definite subjects.
"""

from __future__ import annotations

from .. import world
from ..meaning import NP, NUMERALS, Clause
from .base import Grammar, Tok, slotted

NUMBER = dict(zip(NUMERALS, ("两", "三", "四", "五"), strict=True))
#: localizers; the one of ``in`` (and of goals and sources) depends on the noun
LOCALIZER = {"on": "上", "under": "下面", "near": "旁边", "behind": "后面", "in_front_of": "前面"}
MODAL = {"want": "想", "can": "能", "must": "必须"}
LINK = {
    "and": ("而", "CCONJ"), "but": ("但是", "CCONJ"), "because": ("因为", "SCONJ"), "so": ("所以", "SCONJ"),
    "then": ("然后", "ADV"),
}  # fmt: skip


def words(text: str, pos: str, concept: str | None = None, slot: str | None = None) -> list[Tok]:
    """Tokens of a lexicon cell: words and tags, both separated by spaces."""
    return [Tok(w, p, slot, concept=concept) for w, p in zip(text.split(), pos.split(), strict=True)]


def not_() -> Tok:
    return Tok("不", "ADV")


def de(slot: str | None = None) -> Tok:
    return Tok("的", "PART", slot)


class Chinese(Grammar):
    """Time and place stand before the verb, questions keep the order of statements."""

    code, title = "zh", "Chinese"
    spaces = capitalise = False
    stop, question_mark, comma = "。", "？", "，"
    columns = {
        # `in`: localizer of location; `goal`: of motion to and from; `shape`: thick and thin are said as of
        # round things; `verbs`: verbs that have another word with this object ("wear=戴")
        "noun": ("form", "classifier", "in", "goal", "shape", "verbs"),
        # `not`: negation where it is not 不; `thing`: verb with an object that is not a human; `mixed`: verb
        # with two objects that ask for different words; `tail`: what follows the object
        "verb": ("form", "not", "thing", "mixed", "tail"),
        "posture": ("form",),  # V 在 place, else V 着
        "motion": ("form", "before", "after"),  # words before a preverbal place, after the verb
        # `before` the recipient, `behind` it (both before the verb); `to`: between the verb and the recipient
        "transfer": ("form", "before", "behind", "to", "not"),
        "service": ("form", "before"),  # the object is a prepositional phrase
        "adj": ("form", "round"),  # predicate with 很
        "state": ("form", "pos", "aspect"),  # predicate with 是 … 的
        "event": ("form", "final", "compare", "compare_pos"),  # a verb for what others say with an adjective
        "per": ("form",), "loc": ("form",), "org": ("form",),
        "time": ("words", "pos"),
    }  # fmt: skip

    # --- noun phrases -----------------------------------------------------------------------------------
    def np(self, np: NP, slot: str | None, bare: bool = False) -> list[Tok]:
        """``bare`` leaves out 一 + classifier, as under negation."""
        phrase = self.simple_np(np, slot, bare)
        if np.other:
            phrase += [Tok("和", "CCONJ", slot), *self.simple_np(np.other, slot, bare)]
        return phrase

    def simple_np(self, np: NP, slot: str | None, bare: bool) -> list[Tok]:
        row = self.lexicon[np.head]
        if np.is_name:
            return self.proper(np.head, row["form"], slot)
        owner = [*self.proper(np.owner, self.lexicon[np.owner]["form"], slot), de(slot)] if np.owner else []
        adjective = [*self.adjective(np.adjective, slot, row["shape"]), de(slot)] if np.adjective else []
        noun = Tok(row["form"], "NOUN", slot, concept=np.head)
        return [*owner, *self.determiner(np, slot, bare), *adjective, noun]

    def determiner(self, np: NP, slot: str | None, bare: bool) -> list[Tok]:
        classifier = Tok(self.lexicon[np.head]["classifier"], "NOUN", slot)
        if np.det in NUMBER:
            return [Tok(NUMBER[np.det], "NUM", slot, concept=np.det), classifier]
        if np.det == "every":
            return [Tok("每", "DET", slot), classifier]
        if np.det == "def":
            return [Tok("这些", "DET", slot)] if np.plural else []
        if bare or np.plural or np.head in world.MASS:
            return []
        return [Tok("一", "NUM", slot), classifier]

    def adjective(self, concept: str, slot: str | None, shape: str = "") -> list[Tok]:
        """The adjective itself, one word or, as 开 着, two."""
        row = self.lexicon[concept]
        if row["class"] == "adj":
            form = (shape and row["round"]) or row["form"]
            return [Tok(form, "ADJ", slot, concept=concept)]
        adjective = Tok(row["form"], row.get("pos", "VERB"), slot, concept=concept)
        return [adjective, Tok(row["aspect"], "AUX", slot)] if row.get("aspect") else [adjective]

    def role(self, c: Clause, role: str, ask: str | None) -> list[Tok]:
        """The phrase of a role, or the question word for it: they stand in the same place."""
        np = getattr(c, role)
        if ask != role:
            return self.np(np, role, bare=c.negated and role != "subject")
        if np.head.startswith("org:"):
            return words("哪 家 公司", "DET NOUN NOUN")
        return [Tok("谁" if self.is_human(np) else "什么", "PRON")]

    # --- clauses ----------------------------------------------------------------------------------------
    def clause(self, clause: Clause, order: str = "main") -> list[Tok]:
        return self.arrange(clause)

    def arrange(self, c: Clause, ask: str | None = None) -> list[Tok]:
        if c.frame == "exist":
            there = [*self.np(c.place, "place"), *self.localizer(c)]
            return [*there, self.have(c), *self.np(c.subject, "subject", bare=c.negated)]
        subject, time = self.subject(c, ask), self.time(c, ask)
        daily = c.time == "every_day" and ask != "time"
        all_ = [Tok("都", "ADV")] if daily or c.subject.det == "every" else []
        if c.time_first:
            head = [*subject, *all_]
            if daily and self.is_indefinite(c.subject):  # 每天 都 有 …
                head = [*all_, *subject]
            return [*time, *head, *self.predicate(c, ask)]
        if daily and c.negated:  # it is not every day that …
            rest = self.predicate(c.but(negated=False), ask)
            return [*subject, not_(), Tok("是", "AUX"), *time, *all_, *rest]
        return [*subject, *time, *all_, *self.predicate(c, ask)]

    def subject(self, c: Clause, ask: str | None) -> list[Tok]:
        # no 有 in wh-questions: "there is a boy who eats what?"
        there_is = [Tok("有", "VERB")] if self.is_indefinite(c.subject) and ask in (None, "polar") else []
        return [*there_is, *self.role(c, "subject", ask)]

    def is_indefinite(self, np: NP) -> bool:
        """Whether the phrase begins with a number."""
        single = np.det == "indef" and not np.plural and not np.is_name
        return np.det in NUMBER or (single and np.head not in world.MASS)

    def time(self, c: Clause, ask: str | None) -> list[Tok]:
        if c.time is None:
            return []
        if ask == "time":
            return words("什么 时候", "DET NOUN")
        row = self.lexicon[c.time]
        return words(row["words"], row["pos"], c.time, "time")

    def have(self, c: Clause) -> Tok:
        return Tok("没有" if c.negated else "有", "VERB")

    def predicate(self, c: Clause, ask: str | None) -> list[Tok]:
        if c.frame == "have":
            return [self.have(c), *self.role(c, "object", ask)]
        if c.frame == "be_adj":
            return self.quality(c, ask)
        if c.frame == "compare":
            return [Tok("比", "ADP"), *self.np(c.standard, "standard"), *self.more(c.adjective)]
        negation = [not_()] if c.negated else []
        if c.frame == "be_noun":
            return [*negation, Tok("是", "AUX"), *self.profession(c, ask)]
        if c.frame == "be_at":
            return [*negation, Tok("在", "VERB"), *self.spot(c, ask)]
        return self.action(c, ask)

    def quality(self, c: Clause, ask: str | None) -> list[Tok]:
        """A predicate adjective: 很 + adjective, 是 … 的, or a verb with 了."""
        row = self.lexicon[c.adjective]
        adjective = self.adjective(c.adjective, "adjective", self.lexicon[c.subject.head].get("shape", ""))
        if row["class"] == "event":
            if c.negated:
                return [Tok("没有", "ADV"), *adjective]
            return [*adjective, Tok(row["final"], "PART")]
        negation = [not_()] if c.negated else []
        if row["class"] == "state":
            return [*negation, Tok("是", "AUX"), *adjective, de()]
        if c.negated or (ask == "polar" and not self.is_indefinite(c.subject)):
            return [*negation, *adjective]
        return [Tok("很", "ADV"), *adjective]  # without 很 it would sound like a comparison

    def more(self, concept: str) -> list[Tok]:
        row = self.lexicon[concept]
        if row["class"] == "event":
            verb, *degree = words(row["compare"], row["compare_pos"])
            return [Tok(verb.text, verb.pos, concept=concept), *degree]
        return [Tok("更", "ADV"), *self.adjective(concept, None)]

    def profession(self, c: Clause, ask: str | None) -> list[Tok]:
        if ask == "noun":
            return words("做 什么 的", "VERB PRON PART")
        return self.np(NP(c.noun, "indef"), "noun", bare=c.negated or ask is not None)

    # --- actions ----------------------------------------------------------------------------------------
    def action(self, c: Clause, ask: str | None) -> list[Tok]:
        row = self.lexicon[c.verb]
        posing = row["class"] == "posture" and c.place is None
        negation = "没有" if posing else row.get("not") or "不"
        if c.modal == "must" and c.negated:
            head = [not_(), Tok("可以", "AUX")]  # a prohibition; 不 必须 is not said
        elif c.modal:
            head = [*([not_()] if c.negated else []), Tok(MODAL[c.modal], "AUX")]
        else:
            head = [Tok(negation, "ADV")] if c.negated else []
        return [*head, *self.circumstances(c, ask), *self.core(c, ask)]

    def circumstances(self, c: Clause, ask: str | None) -> list[Tok]:
        """Companion, place and instrument, all before the verb."""
        phrase = []
        if c.companion:
            phrase += [Tok("跟", "ADP"), *self.role(c, "companion", ask), Tok("一起", "ADV")]
        if c.place and self.lexicon[c.verb]["class"] not in ("motion", "posture"):
            phrase += [Tok("在", "ADP"), *self.spot(c, ask)]
        if c.instrument:
            phrase += [Tok("用", "ADP"), *self.role(c, "instrument", ask)]
        return phrase

    def core(self, c: Clause, ask: str | None) -> list[Tok]:
        """The verb and what is bound to it."""
        row = self.lexicon[c.verb]
        verb = Tok(self.verb_form(c), "VERB", concept=c.verb)
        match row["class"]:
            case "posture":
                return [verb, Tok("在", "ADP"), *self.spot(c, ask)] if c.place else [verb, Tok("着", "AUX")]
            case "motion":
                return self.motion(c, ask, verb)
            case "transfer":
                return self.transfer(c, ask, verb)
            case "service":
                return [Tok(row["before"], "ADP"), *self.role(c, "object", ask), verb]
        tail = words(row["tail"], "PART NOUN") if row["tail"] else []
        return [verb, *(self.role(c, "object", ask) if c.object else []), *tail]

    def verb_form(self, c: Clause) -> str:
        """The word for a verb, which may depend on the object (hats and shirts are worn with two verbs)."""
        row = self.lexicon[c.verb]
        nps = [np for np in (c.object, c.object and c.object.other) if np]
        forms = {self.verb_of(np.head, c.verb) or row["form"] for np in nps} or {row["form"]}
        if len(forms) > 1:
            return row.get("mixed") or row["form"]
        if row.get("thing") and nps and not self.is_human(c.object):
            return row["thing"]
        return forms.pop()

    def verb_of(self, noun: str, verb: str) -> str:
        pairs = self.lexicon[noun].get("verbs", "")
        return dict(pair.split("=") for pair in pairs.split()).get(verb, "")

    def motion(self, c: Clause, ask: str | None, verb: Tok) -> list[Tok]:
        row = self.lexicon[c.verb]
        place = self.spot(c, ask) if c.place else []
        if row["before"] and place:
            return [Tok(row["before"], "ADP" if c.relation == "from" else "VERB"), *place, verb]
        return [verb, *([Tok(row["after"], "VERB")] if row["after"] and place else []), *place]

    def transfer(self, c: Clause, ask: str | None, verb: Tok) -> list[Tok]:
        row = self.lexicon[c.verb]
        recipient, thing = self.role(c, "recipient", ask), self.role(c, "object", ask)
        if row["before"]:
            behind = [Tok(row["behind"], "PRON")] if row["behind"] else []
            return [Tok(row["before"], "ADP"), *recipient, *behind, verb, *thing]
        give = [verb, *([Tok(row["to"], "ADP")] if row["to"] else []), *recipient]
        if c.object.det == "def" and ask != "object":  # what is definite goes before the verb
            return [Tok("把", "ADP"), *thing, *give]
        return [*give, *thing]

    # --- places -----------------------------------------------------------------------------------------
    def spot(self, c: Clause, ask: str | None) -> list[Tok]:
        """A place with its localizer, without 在."""
        if ask == "place":
            return [Tok("哪里", "PRON")]
        return [*self.np(c.place, "place"), *self.localizer(c)]

    def localizer(self, c: Clause) -> list[Tok]:
        row = self.lexicon[c.place.head]
        if c.relation == "in":
            word = row.get("in", "")
        elif c.relation in ("to", "from"):
            word = row.get("goal", "")
        else:
            word = LOCALIZER[c.relation]
            if c.relation == "near" and row.get("goal") == "边":  # the shore
                word = "边"
        return [Tok(word, "ADP")] if word else []

    # --- questions and sentences ------------------------------------------------------------------------
    def question(self, clause: Clause, ask: str) -> list[Tok]:
        if ask == "subject":  # one asks without the number of the answer
            clause = clause.but(subject=NP(clause.subject.head))
        particle = [Tok("吗", "PART")] if ask == "polar" else []
        return [*self.arrange(clause, ask), *particle]

    def link(self, link: str) -> list[Tok]:
        return [self.punct(self.comma), Tok(*LINK[link])]

    def says(self, speaker: NP) -> list[Tok]:
        return [*slotted(self.np(speaker, None), "speaker"), Tok("说", "VERB")]


GRAMMAR = Chinese()
