"""Meanings: what a sentence of the pocket world says, before any language says it.

A :class:`Clause` is one event or state with named roles; a :class:`Sentence` is one clause or two clauses with a
connective. Meanings are frozen, compare by value and are the single source of every pocket data set: a grammar
(``xitt.pocket.languages``) turns the same meaning into a sentence of each language, so parallel text is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: roles a clause may fill, in no particular order
ROLES = ("subject", "object", "recipient", "companion", "instrument", "place", "standard")
#: spatial relations of ``Clause.relation``; ``to`` and ``from`` go with verbs of motion, ``for`` with ``work_for``
RELATIONS = ("in", "on", "under", "near", "behind", "in_front_of", "to", "from")
#: modal verbs of ``Clause.modal``
MODALS = ("want", "can", "must")
#: connectives of two-clause sentences
LINKS = ("and", "but", "because", "so", "then", "say")
NUMERALS = ("two", "three", "four", "five")


@dataclass(frozen=True)
class NP:
    """A noun phrase.

    Parameters
    ----------
    head : str
        A noun concept (``"dog"``) or a name (``"per:anna"``, ``"loc:paris"``, ``"org:lumex"``).
    det : str
        ``def``, ``indef``, ``every`` or one of :data:`NUMERALS`; ignored for names. ``indef`` with a mass noun is
        the bare mass noun ("drinks water"); numerals and ``every`` never meet mass nouns.
    plural : bool
        Set for numerals and for plural ``def``/``indef``; never for names, mass nouns and ``every``.
    adjective : str or None
        At most one property concept.
    owner : str or None
        A person name: "Anna's dog". The phrase is definite then (``det`` is ``def``).
    other : NP or None
        A second coordinated phrase without ``other`` of its own: "Anna and the doctor".
    """

    head: str
    det: str = "def"
    plural: bool = False
    adjective: str | None = None
    owner: str | None = None
    other: NP | None = None

    @property
    def is_name(self) -> bool:
        return ":" in self.head

    @property
    def agrees_plural(self) -> bool:
        """Whether a verb that agrees with this phrase is plural."""
        return self.plural or self.other is not None


@dataclass(frozen=True)
class Clause:
    """One event or state in the present (habitual) tense.

    ``frame`` is one of

    ``act``      subject + ``verb`` [+ object] [+ recipient] [+ companion] [+ instrument] [+ relation, place] [+ time];
                 with ``modal`` the verb is what the subject wants to, can or must do
    ``be_adj``   subject is ``adjective``
    ``be_noun``  subject (a person name) is a ``noun`` (a person role)
    ``be_at``    subject is ``relation`` place
    ``exist``    there is ``subject`` (indefinite or numeral) ``relation`` place
    ``have``     subject has object
    ``compare``  subject is more ``adjective`` than ``standard``
    """

    frame: str
    subject: NP
    verb: str | None = None
    object: NP | None = None
    recipient: NP | None = None
    companion: NP | None = None
    instrument: NP | None = None
    relation: str | None = None
    place: NP | None = None
    standard: NP | None = None
    adjective: str | None = None
    noun: str | None = None
    time: str | None = None
    modal: str | None = None
    negated: bool = False
    time_first: bool = False

    def but(self, **changes) -> Clause:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def roles(self) -> dict[str, NP]:
        """The filled noun-phrase roles, by name."""
        return {r: getattr(self, r) for r in ROLES if getattr(self, r) is not None}


@dataclass(frozen=True)
class Sentence:
    """One clause, or two joined by ``link`` (one of :data:`LINKS`).

    With ``say``, ``speaker`` is who says that ``first`` holds and ``second`` is ``None``.
    ``ask`` turns a single clause into a question: ``polar`` or the role asked for (a key of :data:`ROLES`, ``time``,
    ``noun`` or ``adjective``); the asked role is still filled in the clause (it is the answer).
    """

    first: Clause
    link: str | None = None
    second: Clause | None = None
    speaker: NP | None = None
    ask: str | None = None

    @property
    def clauses(self) -> tuple[Clause, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)
