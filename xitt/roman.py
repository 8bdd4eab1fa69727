"""Text of other scripts in Latin letters, by rules that are written down here: what people type without the keyboard of their script.

Each rule gives every character of a text what it is spelled with, so that offsets of answers can be carried over. Letters are those of ASCII.

``hi``  the Hunterian system without its marks. A consonant without vowel sign says *a*, which is silent at the end of a word and, from
        right to left, between a vowel and a consonant with a vowel of its own (V C *a* C V; Ohala 1983; the rule of Narasimhan et al. 2004).
``ru``  BGN/PCGN 1947 without apostrophes: hard and soft sign are silent, е is *ye* at the start of a word and behind vowels and signs.
``el``  ELOT 743 by letter, with the digraphs ου, αι, ει, οι as they are written; accents are dropped.
``ar``  letters as they stand, short vowels (which are not written) left out: consonants, and ا و ي as *a w y*.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from .errors import DataError, unknown

#: raised when any text changes
VERSION = 1


def _table(letters: str, spelled: str) -> dict[str, str]:
    """Letters with what they are spelled with, the latter separated by single spaces (two for a silent letter)."""
    return dict(zip(letters, spelled.split(" "), strict=True))


# --- Devanagari ------------------------------------------------------------------------------------------------------
_HI_CONSONANTS = _table(
    "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसह",
    "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l v sh sh s h",
)
# letters with a dot below in one character, as some texts write them
_HI_CONSONANTS |= {chr(0x958 + i): said for i, said in enumerate(("q", "kh", "g", "z", "r", "rh", "f", "y"))}
_HI_DOTTED = {"क": "q", "ख": "kh", "ग": "g", "ज": "z", "ड": "r", "ढ": "rh", "फ": "f"}
_HI_VOWELS = _table("अआइईउऊऋएऐऑओऔ", "a a i i u u ri e ai o o au")
_HI_SIGNS = _table("ािीुूृेैॉोौ", "a i i u u ri e ai o o au")
_HI_MARKS = {"ं": "n", "ँ": "n", "ः": "h", "।": ".", "॥": ".", "ऽ": ""}
_NUKTA, _VIRAMA = "़", "्"


def _hindi(text: str) -> list[str]:
    """Spelling by character; inherent vowels are put behind their consonants first and then taken out where they are silent."""
    spelled, inherent = [], [False] * len(text)
    for i, c in enumerate(text):
        following = text[i + 1 : i + 2]
        if c in _HI_CONSONANTS:
            dotted = following == _NUKTA
            spelled.append((_HI_DOTTED.get(c) if dotted else None) or _HI_CONSONANTS[c])
            behind = text[i + 2 : i + 3] if dotted else following
            inherent[i] = behind not in _HI_SIGNS and behind != _VIRAMA
        else:
            spelled.append({**_HI_VOWELS, **_HI_SIGNS, **_HI_MARKS, _NUKTA: "", _VIRAMA: ""}.get(c, _digit(c)))
    for first, last in _words(text, lambda c: "\u0900" <= c <= "\u0963"):
        _silence(text, inherent, first, last)
    return [s + "a" * a for s, a in zip(spelled, inherent, strict=True)]


def _silence(text: str, inherent: list[bool], first: int, last: int) -> None:
    """Take inherent vowels out of one word, from right to left; the only vowel of a word stays."""
    letters = [i for i in range(first, last) if text[i] not in (_NUKTA, "ं", "ँ", "ः")]
    units = [i for i in letters if text[i] in _HI_CONSONANTS]

    def voiced(place: int) -> bool:
        """Whether the letter at a place of ``letters`` has or is a vowel."""
        i = letters[place]
        return (
            inherent[i] or text[i] in _HI_VOWELS or (place + 1 < len(letters) and text[letters[place + 1]] in _HI_SIGNS)
        )

    if not units or sum(voiced(k) for k in range(len(letters))) < 2:
        return
    for k in reversed(range(1, len(letters))):
        i = letters[k]
        if not inherent[i] or text[i + 1 : i + 2] in tuple("ंँः"):  # a nasal needs its vowel
            continue
        before, final = text[letters[k - 1]], k == len(letters) - 1
        behind_vowel = before in _HI_SIGNS or before in _HI_VOWELS or inherent[letters[k - 1]]
        if final or (behind_vowel and text[letters[k + 1]] in _HI_CONSONANTS and voiced(k + 1)):
            inherent[i] = False


# --- Cyrillic, Greek, Arabic -------------------------------------------------------------------------------------------
_RU = _table(
    "абвгдежзийклмнопрстуфхцчшщъыьэюяё",
    "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch  y  e yu ya yo",
)
_RU_VOWELS = "аеёиоуыэюя"


def _russian(text: str) -> list[str]:
    spelled = []
    for i, c in enumerate(text):
        before = text[i - 1].lower() if i else " "
        low = c.lower()
        piece = "ye" if low == "е" and (before in _RU_VOWELS + "ъь" or not before.isalpha()) else _RU.get(low, c)
        spelled.append(piece.capitalize() if c != low else piece)
    return spelled


_EL = _table("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o")


def _greek(text: str) -> list[str]:
    spelled = []
    for i, c in enumerate(text):
        base = unicodedata.normalize("NFD", c)[0]
        low, before = base.lower(), unicodedata.normalize("NFD", text[i - 1])[0].lower() if i else ""
        piece = "u" if low == "υ" and before == "ο" else _EL.get(low, {";": "?", "·": ";"}.get(c, c))
        spelled.append(piece.capitalize() if base != low else piece)
    return spelled


_AR = _table(
    "ابتثجحخدذرزسشصضطظعغفقكلمنهويىةءآأإؤئ",
    "a b t th j h kh d dh r z s sh s d t z a gh f q k l m n h w y a a  a a i w y",
)
_AR_MARKS = {"،": ",", "؛": ";", "؟": "?", "ـ": ""}


def _arabic(text: str) -> list[str]:
    return ["" if unicodedata.combining(c) else _AR.get(c, _AR_MARKS.get(c, _digit(c))) for c in text]


def _digit(c: str) -> str:
    """A digit of another script as an ASCII digit; every other character as it is."""
    return str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c


def _words(text: str, inside: Callable[[str], bool]) -> list[tuple[int, int]]:
    """First and last (exclusive) characters of the runs whose characters are inside a script."""
    found, begin = [], None
    for i, c in enumerate(text + " "):
        if inside(c) and begin is None:
            begin = i
        elif not inside(c) and begin is not None:
            found.append((begin, i))
            begin = None
    return found


# --- calls -------------------------------------------------------------------------------------------------------------
#: language → how its characters are spelled
RULES: dict[str, Callable[[str], list[str]]] = {"ar": _arabic, "el": _greek, "hi": _hindi, "ru": _russian}


def spell(text: str, language: str) -> list[str]:
    """What each character of a text becomes in Latin letters; joined, the romanised text.

    Raises
    ------
    DataError
        If there is no rule for the language.
    """
    if language not in RULES:
        raise DataError(f"romanised text: {unknown('language', language, RULES)}")
    return RULES[language](text)


def roman(text: str, language: str) -> str:
    """A text in Latin letters.

    Examples
    --------
    >>> roman("Ёжик ест яблоко.", "ru"), roman("लड़की घर में है।", "hi")
    ('Yozhik yest yabloko.', 'larki ghar men hai.')
    """
    return "".join(spell(text, language))


def roman_answer(context: str, answer: str, start: int, language: str) -> tuple[str, int]:
    """An answer and its offset in the romanised context, from those in the context."""
    spelled = spell(context, language)
    before, said = spelled[:start], spelled[start : start + len(answer)]
    return "".join(said), sum(map(len, before))
