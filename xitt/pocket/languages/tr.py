"""Turkish: subject-object-verb, vowel harmony, case suffixes, bare indefinite objects, zero copula.

The present is in -(I)yor throughout. A verb stays singular beside an overt subject, whatever its number.
Suffix templates write harmonic vowels as ``A`` (a/e) and ``I`` (ı/i/u/ü), ``D`` for d/t and a buffer
consonant in brackets.
"""

from __future__ import annotations

from .. import world
from ..meaning import NP, Clause
from .base import Grammar, Tok, slotted

VOWELS = "aeıioöuüâ"
HIGH = {"a": "ı", "â": "ı", "ı": "ı", "o": "u", "u": "u", "e": "i", "i": "i", "ö": "ü", "ü": "ü"}
BACK = "aâıou"
VOICELESS = "fstkçşhpx"
SOFT = {"p": "b", "ç": "c", "t": "d", "k": "ğ"}

CASES = {"": "", "acc": "(y)I", "dat": "(y)A", "loc": "DA", "abl": "DAn", "gen": "(n)In", "ins": "(y)lA"}
AFTER_POSSESSIVE = {**CASES, "acc": "nI", "dat": "nA", "loc": "nDA", "abl": "nDAn", "gen": "nIn"}
#: relation -> case of the place and the postposition behind it
RELATION = {
    "in": ("loc", ""),
    "to": ("dat", ""),
    "from": ("abl", ""),
    "on": ("gen", "üstünde"),
    "under": ("gen", "altında"),
    "near": ("gen", "yakınında"),
    "behind": ("gen", "arkasında"),
    "in_front_of": ("gen", "önünde"),
}
WHERE = {"to": "nereye", "from": "nereden"}
NUMERAL = {"two": "iki", "three": "üç", "four": "dört", "five": "beş"}
#: modal -> affirmative and negative ending (``None``: the present)
ENDING = {
    None: ("", "mIyor"),
    "can": ("(y)Abiliyor", "(y)AmIyor"),
    "must": ("mAlI", "mAmAlI"),
    "want": ("mAk", "mAk"),
}
WHO = {"acc": "kimi", "dat": "kime", "abl": "kimden", "için": "kimin", "": "kimi"}
# "neyden" because "neden" is "why"; an organisation one works for is a "who"
WHAT = {"acc": "neyi", "dat": "neye", "abl": "neyden", "için": "kimin", "": "ne"}
LINK = {
    "and": (("ve", "CCONJ"),),
    "but": (("ama", "CCONJ"),),
    "because": (("çünkü", "CCONJ"),),
    "so": (("bu", "DET"), ("yüzden", "NOUN")),
    "then": (("sonra", "ADV"),),
}


def ending(stem: str, suffix: str, vowel: str = "") -> str:
    """The form a suffix takes behind a stem; ``vowel`` overrides the last vowel of the stem."""
    if suffix.startswith("("):
        suffix = (suffix[1] if stem[-1] in VOWELS else "") + suffix[3:]
    last = vowel or next(ch for ch in reversed(stem.lower()) if ch in VOWELS)
    form = ""
    for ch in suffix:
        letter = ch
        if ch == "A":
            letter = "a" if last in BACK else "e"
        elif ch == "I":
            letter = HIGH[last]
        elif ch == "D":
            letter = "t" if (stem + form)[-1] in VOICELESS else "d"
        last = letter if letter in VOWELS else last
        form += letter
    return form


def attach(stem: str, suffix: str, bent: str = "", vowel: str = "") -> str:
    """Stem and suffix; ``bent`` is the stem before a suffix that can begin with a vowel."""
    if bent and suffix.startswith("(") and suffix[3] in "AI":
        stem = bent
    return stem + ending(stem, suffix, vowel)


def present(stem: str) -> str:
    """The -(I)yor form: a final a/e gives way (bekle- → bekliyor)."""
    if stem[-1] in "ae":
        stem = stem[:-1]
    return stem + "yor" if stem[-1] in VOWELS else attach(stem, "Iyor")


class Turkish(Grammar):
    code, title = "tr", "Turkish"
    columns = {
        # flags: `soft` (k → ğ …) and `drop` (resim → resm-) before vowels, `y` (su → suy-), `poss` (a
        # compound that always has the possessive ending: yatak odası), `one` (no trade: "Anna bir çocuk");
        # harmony: the vowel that suffixes follow where it is not the written one (saat → saati);
        # before: a fixed modifier
        "noun": ("form", "flags", "harmony", "before", "before_pos"),
        # bent: stem before vowels; case: of the object ("": accusative if definite); recipient: its case ("":
        # dative); light: the first word of a two-word verb
        "verb": ("stem", "bent", "case", "recipient", "light", "light_pos"),
        "adj": ("form",),
        "per": ("form", "harmony"),
        "loc": ("form", "harmony"),
        "org": ("form",),
        "time": ("words", "pos"),
    }

    def upper_first(self, text: str) -> str:
        return {"i": "İ", "ı": "I"}.get(text[:1], text[:1].upper()) + text[1:]

    # --- noun phrases ---------------------------------------------------------------------------------------
    def np(self, np: NP, slot: str | None, case: str = "", **forms: bool) -> list[Tok]:
        """The phrase in a case, with ``owned`` and ``bare`` as in :meth:`simple_np`."""
        words = self.simple_np(np, slot, case, **forms)
        if np.other:
            words += [Tok("ve", "CCONJ", slot), *self.simple_np(np.other, slot, case)]
        return words

    def simple_np(self, np: NP, slot: str | None, case: str, owned: bool = False, bare: bool = False) -> list[Tok]:
        """``owned``: with the possessive ending; ``bare``: number-neutral singular without "bir"."""
        if np.is_name:
            return self.name(np.head, case, slot)
        row = self.lexicon[np.head]
        owner = self.name(np.owner, "gen", slot) if np.owner else []
        plural = np.plural and not bare and np.det not in NUMERAL
        noun = Tok(self.noun(np.head, plural, bool(owned or owner), case), "NOUN", slot, concept=np.head)
        before = [Tok(row["before"], row["before_pos"], slot, concept=np.head)] if row["before"] else []
        adjective = []
        if np.adjective:
            adjective = [Tok(self.lexicon[np.adjective]["form"], "ADJ", slot, concept=np.adjective)]
        if np.det == "indef" and not (bare or np.plural or np.head in world.MASS):
            return [*adjective, Tok("bir", "DET", slot), *before, noun]
        return [*owner, *self.determiner(np, slot), *adjective, *before, noun]

    def determiner(self, np: NP, slot: str | None) -> list[Tok]:
        if np.det == "every":
            return [Tok("her", "DET", slot)]
        return [Tok(NUMERAL[np.det], "NUM", slot, concept=np.det)] if np.det in NUMERAL else []

    def noun(self, head: str, plural: bool, owned: bool, case: str) -> str:
        row = self.lexicon[head]
        stem, vowel, flags = row["form"], row["harmony"], row["flags"].split(",")
        bent = self.bent(stem, flags)
        if plural:
            stem, bent, vowel = attach(stem, "lAr", vowel=vowel), "", ""
        if owned or "poss" in flags:
            return attach(attach(stem, "(s)I", bent, vowel), AFTER_POSSESSIVE[case])
        return attach(stem, CASES[case], bent, vowel)

    def bent(self, stem: str, flags: list[str]) -> str:
        if "soft" in flags:
            return stem[:-1] + SOFT[stem[-1]]
        if "drop" in flags:
            return stem[:-2] + stem[-1]
        return stem + "y" if "y" in flags else ""

    def name(self, head: str, case: str, slot: str | None) -> list[Tok]:
        row = self.lexicon[head]
        suffix = (AFTER_POSSESSIVE if row["class"] == "org" else CASES)[case]  # "Grubu" is a possessive form
        form = row["form"]
        suffix = suffix and "'" + ending(form, suffix, row.get("harmony", ""))
        return self.proper(head, form + suffix, slot)

    # --- clauses --------------------------------------------------------------------------------------------
    def clause(self, c: Clause, order: str = "main") -> list[Tok]:
        if c.frame == "exist":
            return [*self.location(c), *self.np(c.subject, "subject"), Tok("var", "ADJ")]
        if c.frame == "have":
            owner = self.np(c.subject, "subject", "gen")
            return [*owner, *self.belonging(c), Tok("yok" if c.negated else "var", "ADJ")]
        subject, time = self.np(c.subject, "subject"), self.time(c)
        if c.time_first:
            return [*time, *self.join(c, subject, self.rest(c))]
        return self.join(c, subject, [*time, *self.rest(c)])

    def rest(self, c: Clause, ask: str = "", wh: tuple[Tok, ...] = ()) -> list[Tok]:
        """What follows subject and time; ``wh`` asks for the role ``ask``."""
        if c.frame == "act":
            return [*self.arguments(c, ask, wh), *self.verb(c)]
        return [*self.complement(c), *([Tok("değil", "AUX")] if c.negated else [])]

    def join(self, c: Clause, subject: list[Tok], rest: list[Tok]) -> list[Tok]:
        """Subject and rest, with the comma that keeps "Doktor, Anna'ya …" from being read as one phrase."""
        named = rest[0].entity in ("B-PER", "B-ORG")
        if c.subject.is_name:
            comma = named
        else:
            one = self.is_human(c.subject) and (not c.subject.plural or c.subject.det in NUMERAL)
            comma = one and (named or rest[0].concept in world.KINDS["person"])
        return [*subject, *([self.punct(self.comma)] if comma else []), *rest]

    def complement(self, c: Clause) -> list[Tok]:
        if c.frame == "be_at":
            return self.location(c)
        if c.frame == "be_noun":
            return self.np(NP(c.noun, "indef"), "noun", bare="one" not in self.lexicon[c.noun]["flags"])
        adjective = self.lexicon[c.adjective]["form"]
        if c.frame == "be_adj":
            return [Tok(adjective, "ADJ", "adjective", concept=c.adjective)]
        more = [Tok("daha", "ADV"), Tok(adjective, "ADJ", concept=c.adjective)]
        return [*self.np(c.standard, "standard", "abl"), *more]

    def arguments(self, c: Clause, ask: str, wh: tuple[Tok, ...]) -> list[Tok]:
        """Roles before the verb: a bare object last, a definite one before recipient and instrument."""
        marked = bool(self.object_case(c, ask))
        roles = ("place", "companion", "object", "recipient", "instrument")
        if not marked:
            roles = ("place", "companion", "recipient", "instrument", "object")
        words: list[Tok] = []
        for role in roles:
            if role == "object" and not marked:
                words += wh
            if role != ask:
                words += self.role(c, role, ask)
        return [*words, *wh] if marked else words

    def role(self, c: Clause, role: str, ask: str) -> list[Tok]:
        np = getattr(c, role)
        if np is None:
            return []
        if role == "place":
            return self.location(c)
        if role == "recipient":
            return self.np(np, role, self.lexicon[c.verb]["recipient"] or "dat")
        if role == "instrument":
            return self.np(np, role, "ins", bare=True)
        case = "ile" if role == "companion" else self.object_case(c, ask)
        if case in ("ile", "için"):
            return [*self.np(np, role), Tok(case, "ADP")]
        return self.np(np, role, case, bare=not case and self.is_bare(c, np))

    def object_case(self, c: Clause, ask: str = "") -> str:
        """Case of the object: what the verb governs, or the accusative of definite objects."""
        if c.object is None:
            return ""
        definite = c.object.is_name or c.object.det == "def"
        # "what eats a fish": an unmarked object may not be parted from the verb by "ne"
        definite |= ask == "subject" and not self.is_human(c.subject)
        return self.lexicon[c.verb]["case"] or ("acc" if definite else "")

    def is_bare(self, c: Clause, np: NP) -> bool:
        """Unmarked objects without "bir" or -lAr: "kitap okuyor" (books), "kitap okumuyor" (no book)."""
        if np.det != "indef":
            return False
        return not (np.adjective or self.is_human(np)) if np.plural else c.negated

    def belonging(self, c: Clause) -> list[Tok]:
        np = c.object
        return self.np(np, "object", owned=True, bare=c.negated and np.det == "indef" and not np.plural)

    def location(self, c: Clause) -> list[Tok]:
        if c.place is None:
            return []
        case, postposition = RELATION[c.relation]
        words = self.np(c.place, "place", case)
        return [*words, Tok(postposition, "ADP")] if postposition else words

    def time(self, c: Clause) -> list[Tok]:
        if c.time is None:
            return []
        row = self.lexicon[c.time]
        pairs = zip(row["words"].split(), row["pos"].split(), strict=True)
        return [Tok(word, pos, "time", concept=c.time) for word, pos in pairs]

    def verb(self, c: Clause) -> list[Tok]:
        row = self.lexicon[c.verb]
        suffix = ENDING[c.modal][c.negated]
        form = attach(row["stem"], suffix, row["bent"]) if suffix else present(row["bent"] or row["stem"])
        words = [Tok(row["light"], row["light_pos"], concept=c.verb)] if row["light"] else []
        words.append(Tok(form, "VERB", concept=c.verb))
        if c.modal == "want":
            words.append(Tok("istemiyor" if c.negated else "istiyor", "VERB"))
        return words

    # --- questions ------------------------------------------------------------------------------------------
    def question(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "polar":
            words = self.clause(c)
            return [*words, Tok(ending(words[-1].text, "mI"), "AUX")]
        if c.frame == "have":
            return self.ask_possession(c, ask)
        if ask == "noun":  # "what is Anna's profession"
            return [*self.np(c.subject, "subject", "gen"), Tok("mesleği", "NOUN"), Tok("ne", "PRON")]
        if ask == "subject" and c.frame != "act":
            return self.ask_state(c)
        time = self.time(c) if ask != "time" else []
        wh = self.wh(c, ask)
        asked = [*time, *(self.rest(c, ask, wh) if c.frame == "act" else wh)]
        return asked if ask == "subject" else self.join(c, self.np(c.subject, "subject"), asked)

    def ask_possession(self, c: Clause, ask: str) -> list[Tok]:
        if ask == "subject":
            return [Tok("kimin", "PRON"), *self.belonging(c), Tok("var", "ADJ")]
        return [*self.np(c.subject, "subject", "gen"), Tok("neyi", "PRON"), Tok("var", "ADJ")]

    def ask_state(self, c: Clause) -> list[Tok]:
        """Who or what is somewhere, or is so: "Bahçede ne var?", "Kim mutlu?", "Mavi olan ne?"."""
        human = self.is_human(c.subject)
        who = Tok("kim" if human else "ne", "PRON")
        if c.frame == "be_at":
            return [*self.location(c), who, Tok("var", "ADJ")]
        return [who, *self.complement(c)] if human else [*self.complement(c), Tok("olan", "VERB"), who]

    def wh(self, c: Clause, ask: str) -> tuple[Tok, ...]:
        if ask == "time":
            return Tok("ne", "DET"), Tok("zaman", "NOUN")
        if ask == "place":
            return (Tok(WHERE.get(c.relation, "nerede"), "PRON"),)
        human = self.is_human(getattr(c, ask))
        if ask == "subject":
            return (Tok("kim" if human else "ne", "PRON"),)
        if ask in ("companion", "instrument"):
            return (Tok("kiminle" if human else "neyle", "PRON"),)
        if ask == "recipient":
            return (Tok((WHO if human else WHAT)[self.lexicon[c.verb]["recipient"] or "dat"], "PRON"),)
        case = self.lexicon[c.verb]["case"]
        word = Tok((WHO if human else WHAT)[case], "PRON")
        return (word, Tok("için", "ADP")) if case == "için" else (word,)

    # --- sentences ------------------------------------------------------------------------------------------
    def link(self, link: str) -> list[Tok]:
        comma = [] if link == "and" else [self.punct(self.comma)]
        return [*comma, *(Tok(word, pos) for word, pos in LINK[link])]

    def says(self, speaker: NP) -> list[Tok]:
        return [*slotted(self.np(speaker, None), "speaker"), Tok("diyor", "VERB"), Tok("ki", "SCONJ")]


GRAMMAR = Turkish()
