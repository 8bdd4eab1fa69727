"""Translated training sets of the pocket: exact, since every language says the same meanings, or as a machine would translate them.

Machine translation is imitated word by word: at a rate, a word is dropped, changes places with the next, or is another word of its
kind ("doctor" for "teacher": a wrong sense). Names and the words of an answer stay as they are, as translators mark them. Which words
are hit follows from task, language and row; a higher rate hits the same words and more.
"""

from __future__ import annotations

import re
from functools import cache
from random import Random

from .languages import grammar

#: raised when any noisy text changes
VERSION = 1
#: columns of the lexicons that hold whole words
_FORMS = ("sg", "pl", "form", "base", "third", "inf")
_NAMES = ("per", "loc", "org")
#: columns with text, by task; a question of ``copa`` is a key
TEXTS = {
    "mnli": ("premise", "hypothesis"), "snli": ("premise", "hypothesis"), **{f"anli_r{i}": ("premise", "hypothesis") for i in (1, 2, 3)},
    "qqp": ("question1", "question2"), "squad_v1": ("question",), "squad_v2": ("question",), "hellaswag": ("ctx_a", "endings"),
    "commonsenseqa": ("question", "choices"), "copa": ("premise", "choice1", "choice2"),
}  # fmt: skip


def noisy_rows(task: str, language: str, rows: list[dict], rate: float) -> list[dict]:
    """Rows of a translated data set as a machine might have translated them.

    Parameters
    ----------
    rate : float
        Share of words that are hit, 0 to 1; a wrong sense needs a word that the lexicon lists, so that a few less are changed.
    """
    return [
        _row(task, language, r, rate, Random(f"translation {task} {language} {i} {VERSION}"))
        for i, r in enumerate(rows)
    ]


def _row(task: str, language: str, row: dict, rate: float, rng: Random) -> dict:
    made = {k: _value(row[k], language, rate, rng) for k in TEXTS[task]}
    return {**row, **made, **(_reading(row, language, rate, rng) if "context" in row else {})}


def _value(value, language: str, rate: float, rng: Random):
    """A text, a list of texts, or the texts of choices with their letters."""
    if isinstance(value, dict):
        return {**value, "text": _value(value["text"], language, rate, rng)}
    return (
        [noisy(v, language, rate, rng) for v in value] if isinstance(value, list) else noisy(value, language, rate, rng)
    )


def _reading(row: dict, language: str, rate: float, rng: Random) -> dict:
    """A text around its answer, which keeps its words and gets the offset it now has."""
    context, answers = row["context"], row["answers"]
    if not answers["text"]:
        return {"context": noisy(context, language, rate, rng)}
    (answer,), (start,) = answers["text"], answers["answer_start"]
    before = noisy(context[:start], language, rate, rng)
    after = noisy(context[start + len(answer) :], language, rate, rng)
    return {"context": before + answer + after, "answers": {"text": [answer], "answer_start": [len(before)]}}


def noisy(text: str, language: str, rate: float, rng: Random) -> str:
    """One text with some of its words dropped, swapped or taken in another sense; at least one word stays."""
    parts = _parts(text, language)
    words = [i for i, part in enumerate(parts) if part[:1].isalnum()]
    dropped = []
    for place, following in zip(words, [*words[1:], *[None] * bool(words)], strict=True):
        hit, what, which = rng.random() < rate, rng.choice(("drop", "swap", "sense")), rng.random()  # drawn at any rate
        if not hit or parts[place] in _names(language):
            continue
        if what == "drop":
            dropped.append(place)
        elif what == "swap" and following is not None:
            parts[place], parts[following] = parts[following], parts[place]
        elif what == "sense":
            parts[place] = _other(parts[place], language, which)
    for place in dropped if len(dropped) < len(words) else dropped[1:]:
        parts[place] = ""
        if place + 1 < len(parts) and parts[place + 1].isspace():  # its space goes with it
            parts[place + 1] = ""
    return "".join(parts)


def _parts(text: str, language: str) -> list[str]:
    """Words, spaces and punctuation marks; where words are not spaced, the lexicon's words and single characters."""
    if grammar(language).spaces:
        return re.findall(r"\s+|[^\W_](?:[^\s.,;:!?।]*[^\W_])?[\u0900-\u0dff]*|.", text)
    listed, found, at = _listed(language), [], 0
    while at < len(text):
        length = next((n for n in range(6, 1, -1) if text[at : at + n] in listed), 1)
        found.append(text[at : at + length])
        at += length
    return found


@cache
def _listed(language: str) -> dict[str, tuple[str, ...]]:
    """Word → the words of its kind and form, itself among them; the first entry of a word counts."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for row in grammar(language).lexicon.values():
        for column in _FORMS:
            form = row.get(column, "")
            if row["class"] not in _NAMES and form and " " not in form:
                kinds.setdefault((row["class"], column), []).append(form.lower())
    found: dict[str, tuple[str, ...]] = {}
    for forms in kinds.values():
        unique = tuple(dict.fromkeys(forms))
        for form in unique:
            found.setdefault(form, unique)
    return found


@cache
def _names(language: str) -> frozenset[str]:
    """Words of names: translators keep them."""
    rows = [r for r in grammar(language).lexicon.values() if r["class"] in _NAMES]
    return frozenset(w for r in rows for form in (r.get("form", ""), r.get("sg", "")) for w in form.split())


def _other(word: str, language: str, which: float) -> str:
    """Another word of the same kind and form, chosen by a number from 0 to 1; the word itself if there is none."""
    others = [w for w in _listed(language).get(word.lower(), ()) if w != word.lower()]
    if not others:
        return word
    other = others[int(which * len(others))]
    return other[:1].upper() + other[1:] if word[:1].isupper() else other
