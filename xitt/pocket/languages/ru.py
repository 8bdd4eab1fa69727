"""Russian: six cases, three genders, animacy, no articles, no copula in the present.

Endings follow from the nominative and genitive of both numbers, which the lexicon lists together with the
forms that are irregular beyond them. Numerals govern the genitive.
"""

from __future__ import annotations

from .. import world
from ..meaning import NP, Clause
from .base import Grammar, Tok, slotted

SIBILANTS, VELARS = "жшчщ", "гкх"
#: case -> ending of a hard adjective; masculine and neuter differ in the nominative only
OBLIQUE = {"gen": "ого", "dat": "ому", "ins": "ым", "prep": "ом"}
ADJECTIVE = {
    "m": OBLIQUE,
    "n": {"nom": "ое", **OBLIQUE},
    "f": {"nom": "ая", "gen": "ой", "dat": "ой", "acc": "ую", "ins": "ой", "prep": "ой"},
    "pl": {"nom": "ые", "gen": "ых", "dat": "ым", "ins": "ыми", "prep": "ых"},
}
SOFTER = {"а": "я", "у": "ю", "ы": "и", "о": "е"}
NUMERAL = {
    "two": {"nom": "два", "gen": "двух", "dat": "двум", "ins": "двумя", "prep": "двух"},
    "three": {"nom": "три", "gen": "трёх", "dat": "трём", "ins": "тремя", "prep": "трёх"},
    "four": {"nom": "четыре", "gen": "четырёх", "dat": "четырём", "ins": "четырьмя", "prep": "четырёх"},
    "five": {"nom": "пять", "gen": "пяти", "dat": "пяти", "ins": "пятью", "prep": "пяти"},
}
WHO = {"nom": "кто", "gen": "кого", "dat": "кому", "acc": "кого", "ins": "кем", "prep": "ком"}
WHAT = {"nom": "что", "gen": "чего", "dat": "чему", "acc": "что", "ins": "чем", "prep": "чём"}
MODAL = {
    "can": ("VERB", {"pl": "могут"}, "может"),
    "want": ("VERB", {"pl": "хотят"}, "хочет"),
    "must": ("ADJ", {"f": "должна", "n": "должно", "pl": "должны"}, "должен"),
}
#: relation -> preposition and case; `in`, `to` and `from` depend on the noun
RELATION = {
    "on": ("на", "prep"),
    "under": ("под", "ins"),
    "near": ("около", "gen"),
    "behind": ("за", "ins"),
    "in_front_of": ("перед", "ins"),
}
WHERE = {"to": "куда", "from": "откуда"}
GROUP = ("Группа", "Группы")


# --- inflection -------------------------------------------------------------------------------------------
def adjective(lemma: str, case: str, gender: str, animate: bool) -> str:
    """Form of an adjective given by its masculine nominative; ``gender``: ``m``, ``f``, ``n`` or ``pl``."""
    if case == "acc" and gender != "f":
        case = "gen" if animate and gender != "n" else "nom"
    if case == "nom" and gender == "m":
        return lemma
    stem, ending = lemma[:-2], ADJECTIVE[gender][case]
    first = ending[0]
    soft = lemma.endswith("ий") and stem[-1] not in VELARS + SIBILANTS
    if soft or (first == "ы" and stem[-1] in VELARS + SIBILANTS):
        first = SOFTER[first]
    elif first == "о" and stem[-1] in SIBILANTS and lemma.endswith("ий"):  # unstressed: горячего but большого
        first = "е"
    return stem + first + ending[1:]


def singular(sg: str, gen: str, case: str, gender: str, animate: bool) -> str:
    """A singular form of a noun from its nominative and genitive."""
    if case == "nom" or gen == "=":
        return sg
    if sg[-1] in "ая":
        stem, soft = sg[:-1], sg[-1] == "я"
        forms = {"acc": "ю" if soft else "у", "ins": "ей" if soft or stem[-1] in SIBILANTS + "ц" else "ой"}
    elif gender == "f":  # ночь, ночи, ночью
        stem, forms = sg[:-1], {"acc": "ь", "ins": "ью", "dat": "и", "prep": "и"}
    else:
        stem, soft = gen[:-1], gen[-1] == "я"
        hissing = stem[-1] in SIBILANTS + "ц" and sg[-1] != "о"
        forms = {"dat": "ю" if soft else "у", "ins": "ем" if soft or hissing else "ом"}
        if case == "acc":
            return gen if animate and gender == "m" else sg
    ending = "и" if stem.endswith("и") else "е"  # Марии, здании
    return gen if case == "gen" else stem + forms.get(case, ending)


def plural(pl: str, gen: str, case: str, animate: bool) -> str:
    """A plural form of a noun from its nominative and genitive plural."""
    if case == "acc":
        case = "gen" if animate else "nom"
    if case in ("nom", "gen"):
        return pl if case == "nom" else gen
    stem, last = pl[:-1], pl[-1]
    soft = last == "я" or (last == "и" and stem[-1] not in VELARS + SIBILANTS)
    return stem + ("я" if soft else "а") + {"dat": "м", "ins": "ми", "prep": "х"}[case]


class Russian(Grammar):
    code, title = "ru", "Russian"
    columns = {
        "noun": ("gender", "sg", "gen", "pl", "gen_pl", "at", "odd", "before", "after"),
        "verb": ("sg", "pl", "inf", "perfective", "object", "recipient"),
        "adj": ("long", "more", "m", "f", "n", "pl", "pos"),
        "per": ("sg", "gen", "odd"),
        "loc": ("sg", "gen", "odd"),
        "org": ("form",),
        "time": ("words", "pos"),
    }

    # --- forms of words ------------------------------------------------------------------------------------
    def gender(self, head: str) -> str:
        if head.startswith("per:"):
            return world.gender(head)
        default = "f" if head.startswith("org:") else "m"  # Группа; a city declines as its ending says
        return self.lexicon[head].get("gender", default)[0]

    def animate(self, head: str) -> bool:
        return head.startswith("per:") or self.lexicon[head].get("gender", "")[1:] in ("a", "A")

    def alive(self, head: str) -> bool:
        """Whether one asks "кто" for it: of animals too, but not of dolls, animate in their cases only."""
        return head.startswith("per:") or self.lexicon[head].get("gender", "").endswith("a")

    def odd(self, head: str, key: str) -> str:
        forms = dict(form.split("=") for form in self.lexicon[head].get("odd", "").split())
        return forms.get(key, "")

    def noun(self, head: str, case: str, many: bool = False) -> str:
        """A form of a noun or a name."""
        row, animate = self.lexicon[head], self.animate(head)
        if row["class"] == "org":
            return f"{singular(*GROUP, case, 'f', False)}|{row['form']}"
        if odd := self.odd(head, case + "_pl" * many):
            return odd
        if row["gen"] == "adj":
            return adjective(row["sg"], case, "pl" if many else self.gender(head), animate)
        if many and row["gen"] != "=":
            return plural(row["pl"], row["gen_pl"], case, animate)
        return singular(row["sg"], row["gen"], case, self.gender(head), animate)

    def agreement(self, np: NP) -> str:
        """What a predicate agrees with: a gender or ``pl``."""
        return "pl" if np.agrees_plural else self.gender(np.head)

    # --- noun phrases --------------------------------------------------------------------------------------
    def np(self, np: NP, case: str, slot: str | None) -> list[Tok]:
        words = self.simple_np(np, case, slot)
        if np.other:
            words += [Tok("и", "CCONJ", slot), *self.simple_np(np.other, case, slot)]
        return words

    def simple_np(self, np: NP, case: str, slot: str | None) -> list[Tok]:
        if np.is_name:
            return self.proper(np.head, self.noun(np.head, case), slot)
        row, words = self.lexicon[np.head], []
        gender, animate = "pl" if np.plural else self.gender(np.head), self.animate(np.head)
        adj_case, noun_case, many = case, case, np.plural
        if np.det in NUMERAL:
            number, adj_case, noun_case, many = self.counted(np, case)
            words.append(Tok(number, "NUM", slot, concept=np.det))
        elif np.det == "every":
            words.append(Tok(adjective("каждый", case, gender, animate), "DET", slot))
        if np.adjective:
            form = adjective(self.lexicon[np.adjective]["long"], adj_case, gender, animate)
            words.append(Tok(form, "ADJ", slot, concept=np.adjective))
        if row["before"]:
            words.append(Tok(adjective(row["before"], adj_case, gender, animate), "ADJ", slot))
        form = self.noun(np.head, noun_case, many)
        if np.det == "five" and noun_case != case:
            form = self.odd(np.head, "count") or form  # пять человек
        words.append(Tok(form, "NOUN", slot, concept=np.head))
        if row["after"]:
            words.append(Tok(row["after"], "NOUN", slot))
        if np.owner:
            words += self.proper(np.owner, self.noun(np.owner, "gen"), slot)
        return words

    def counted(self, np: NP, case: str) -> tuple[str, str, str, bool]:
        """Form of the numeral, case of the adjective, case and number of the noun."""
        forms, gender = NUMERAL[np.det], self.gender(np.head)
        if case == "acc":
            case = "gen" if self.animate(np.head) and np.det != "five" else "nom"
        if case != "nom":
            return forms[case], case, case, True
        if np.det == "five":
            return forms["nom"], "gen", "gen", True
        number = "две" if np.det == "two" and gender == "f" else forms["nom"]
        adj_case = "nom" if gender == "f" else "gen"
        if self.lexicon[np.head]["gen"] == "adj":  # два учёных, две ванные
            return number, adj_case, adj_case, True
        return number, adj_case, "gen", False

    def governed(self, government: str, np: NP, slot: str) -> list[Tok]:
        """A phrase in the case, and behind the preposition, that ``government`` names."""
        *prepositions, case = government.split()
        return [*(Tok(p, "ADP") for p in prepositions), *self.np(np, case, slot)]

    # --- clauses -------------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        time = self.time(c)
        words = self.core(c)
        return [*time, *words] if c.time_first else [*words, *time]

    def core(self, c: Clause) -> list[Tok]:
        if c.frame == "exist":
            return [*self.location(c), Tok("есть", "VERB"), *self.np(c.subject, "nom", "subject")]
        if c.frame == "have":
            return [*self.governed("у gen", c.subject, "subject"), *self.possessed(c)]
        return [*self.np(c.subject, "nom", "subject"), *self.predicate(c, self.agreement(c.subject))]

    def possessed(self, c: Clause) -> list[Tok]:
        if c.negated:
            return [Tok("нет", "VERB"), *self.np(c.object, "gen", "object")]
        return [Tok("есть", "VERB"), *self.np(c.object, "nom", "object")]

    def predicate(self, c: Clause, agreement: str) -> list[Tok]:
        """What follows the subject; the verb or adjective agrees with ``agreement``."""
        negation = [Tok("не", "PART")] if c.negated else []
        if c.frame == "be_noun":
            return [*(negation or [Tok("—", "PUNCT")]), *self.profession(c)]
        if c.frame == "be_at":
            return [*negation, *self.location(c)]
        if c.frame == "be_adj":
            return [*negation, *self.property(c.adjective, agreement, "adjective")]
        if c.frame == "compare":
            return [*self.more(c, agreement), *self.np(c.standard, "nom", "standard")]
        return [*negation, *self.verb(c, agreement), *self.arguments(c)]

    def profession(self, c: Clause) -> list[Tok]:
        """ "Врач" of anybody, but "студентка" of a woman and "медбрат" of a man."""
        other = c.subject.is_name and self.gender(c.subject.head) != self.gender(c.noun)
        form = (self.odd(c.noun, "other") if other else "") or self.noun(c.noun, "nom")
        return [Tok(form, "NOUN", "noun", concept=c.noun)]

    def property(self, concept: str, agreement: str, slot: str | None) -> list[Tok]:
        row = self.lexicon[concept]
        if not row[agreement]:
            return [Tok(adjective(row["long"], "nom", agreement, False), "ADJ", slot, concept=concept)]
        pos = row["pos"] or "ADJ"
        return [Tok(word, pos, slot, concept=concept) for word in row[agreement].split()]

    def more(self, c: Clause, agreement: str) -> list[Tok]:
        form = self.lexicon[c.adjective]["more"]
        words = [Tok("более", "ADV"), *self.property(c.adjective, agreement, None)]
        if form:
            words = [Tok(form, "ADJ", concept=c.adjective)]
        return [*words, self.punct(self.comma), Tok("чем", "SCONJ")]

    def verb(self, c: Clause, agreement: str) -> list[Tok]:
        row = self.verb_row(c)
        if c.modal is None:
            return [Tok(row["pl" if agreement == "pl" else "sg"], "VERB", concept=c.verb)]
        # one act to be done is perfective, what one need not or will not do is imperfective
        whole = row["perfective"] and (not c.negated or c.modal == "can")
        infinitive = row["perfective"] if whole else row["inf"]
        pos, forms, default = MODAL[c.modal]
        return [Tok(forms.get(agreement, default), pos), Tok(infinitive, "VERB", concept=c.verb)]

    def verb_row(self, c: Clause) -> dict[str, str]:
        """The row of the verb, or of the one used with this kind of object or place (``go.loc``)."""
        for np in (c.object, c.place):
            if np and (row := self.lexicon.get(f"{c.verb}.{kind(np.head)}")):
                return row
        return self.lexicon[c.verb]

    def arguments(self, c: Clause, skip: str | None = None) -> list[Tok]:
        words = []
        for role, government in self.government(c):
            if role != skip:
                words += self.governed(government, getattr(c, role), role)
        return words + (self.location(c) if skip != "place" else [])

    def government(self, c: Clause) -> list[tuple[str, str]]:
        """The roles a clause fills, in order, with the preposition and case of each."""
        row = self.lexicon[c.verb]
        bare = [("recipient", "dat")] if not row["recipient"] else []  # with a preposition it comes later
        source = [("recipient", row["recipient"])] if row["recipient"] else []
        others = (("companion", "с ins"), ("instrument", "ins"))
        roles = [*bare, ("object", row["object"] or "acc"), *source, *others]
        return [(role, government) for role, government in roles if getattr(c, role)]

    def location(self, c: Clause) -> list[Tok]:
        if c.place is None:
            return []
        head = c.place.head
        at = self.lexicon[head].get("at") or "в"
        if c.relation == "from":
            preposition, case = self.odd(head, "from") or ("с" if at == "на" else "из"), "gen"
        elif c.relation == "to":
            preposition, case = at, "acc"
        elif c.relation == "in":
            preposition, case = at, "loc" if self.odd(head, "loc") else "prep"
        else:
            preposition, case = RELATION[c.relation]
        return self.governed(f"{preposition} {case}", c.place, "place")

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        words = zip(row["words"].split(), row["pos"].split(), strict=True)
        return [Tok(word, pos, "time", concept=c.time) for word, pos in words]

    # --- questions -----------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "polar":
            return self.clause(c)  # told by intonation only
        if ask == "subject":
            return [*self.ask_subject(c), *self.time(c)]
        if c.frame == "have":
            has = [Tok("есть", "VERB"), *self.governed("у gen", c.subject, "subject")]
            return [self.pronoun(c.object, "nom"), *has]
        subject = self.np(c.subject, "nom", "subject")
        if ask == "noun":
            return [Tok("кем", "PRON"), Tok("является", "VERB"), *subject]  # a guest or a child, too
        if c.frame != "act":
            return [*self.wh(c, ask), *subject]
        verb = self.verb(c, self.agreement(c.subject))
        rest = [*self.arguments(c, skip=ask), *(self.time(c) if ask != "time" else [])]
        # the subject comes last unless something else does: "что читает Анна" but "что Анна читает утром"
        return [*self.wh(c, ask), *([*subject, *verb, *rest] if rest else [*verb, *subject])]

    def ask_subject(self, c: Clause) -> list[Tok]:
        if c.frame == "have":
            return [Tok("у", "ADP"), self.pronoun(c.subject, "gen"), *self.possessed(c)]
        # "кто студент", whoever the answer is
        asked = c.but(subject=NP("person")) if c.frame == "be_noun" else c
        predicate = self.predicate(asked, "m" if self.alive(c.subject.head) else "n")
        return [self.pronoun(c.subject, "nom"), *(t for t in predicate if t.text != "—")]

    def wh(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "time":
            return [Tok("когда", "ADV")]
        if ask == "place" or c.verb == "work_for":
            return [Tok(WHERE.get(c.relation or "", "где"), "ADV")]
        *prepositions, case = dict(self.government(c))[ask].split()
        return [*(Tok(p, "ADP") for p in prepositions), self.pronoun(getattr(c, ask), case)]

    def pronoun(self, np: NP, case: str) -> Tok:
        return Tok((WHO if self.alive(np.head) else WHAT)[case], "PRON")

    # --- sentences -----------------------------------------------------------------------------------------
    def link(self, link: str) -> list[Tok]:
        words = {
            "and": [Tok("и", "CCONJ")],
            "but": [Tok("но", "CCONJ")],
            "so": [Tok("поэтому", "ADV")],
            "then": [Tok("а", "CCONJ"), Tok("потом", "ADV")],
            "because": [Tok("потому", "ADV"), Tok("что", "SCONJ")],
        }[link]
        return [self.punct(self.comma), *words]

    def says(self, speaker: NP) -> list[Tok]:
        says = Tok("говорят" if speaker.agrees_plural else "говорит", "VERB")
        speaker_words = slotted(self.np(speaker, "nom", None), "speaker")
        return [*speaker_words, says, self.punct(self.comma), Tok("что", "SCONJ")]


def kind(head: str) -> str:
    """Kind of a noun (``clothing``) or of a name (``loc``)."""
    if ":" in head:
        return head.partition(":")[0]
    return next((k for k, concepts in world.KINDS.items() if head in concepts), "")


GRAMMAR = Russian()
