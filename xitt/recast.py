"""Data sets of code in another form: pairs that match or do not, and functions with a gap.

CodeXGLUE holds what belongs together: a description and its function, a function and its translation. To classify pairs, some must not:
:func:`pairs` gives about half of the rows the other side of their neighbour, which in these sets is often from the same file, so that the
wrong partner is a near one. Pairing with other examples is how CodeBERT (Feng et al. 2020, section 4.1) makes the
wrong pairs of its code search; theirs are drawn at random. Its cloze sets are published without their answers, and with a
``train`` split alone that is a test: :func:`gaps` makes a task of the same form from functions that are whole, asking for a name of
the function among other names of it, as the variable-misuse task does (Allamanis et al. 2018, *Learning to Represent Programs with Graphs*).

What is drawn follows from a row itself, so that a study that reads fewer rows has the first of the same examples.
"""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import Any

Example = dict[str, Any]
CHOICES, GAP = 4, "<mask>"
_NAME = re.compile(r"[A-Za-z_]\w+")  # of two letters and more
#: words that are no names: Java's, and those of the pocket's programs
_WORDS = """
    abstract assert boolean break byte case catch char class const continue default do double else enum extends final finally float for
    goto if implements import instanceof int interface long native new null package private protected public return short static
    strictfp super switch synchronized this throw throws transient true false try void volatile while override string object
    has buy lose turn from say in
"""
_KEYWORDS = frozenset(_WORDS.split())


def _text(value) -> str:
    """A text; tokens are joined by blanks."""
    return value.strip() if isinstance(value, str) else " ".join(value)


def pairs(rows: list[Example], columns: dict[str, str]) -> list[Example]:
    """Pairs with label 1 where both sides are from one row, 0 where the second is its neighbour's.

    Parameters
    ----------
    columns : dict
        ``first``, ``second`` and ``label`` → columns: the first two are the repository's.
    """
    a, b, label = (columns[name] for name in ("first", "second", "label"))
    first, second = ([_text(row[side]) for row in rows] for side in (a, b))
    made = []
    for i, row in enumerate(rows):
        other = i ^ 1
        # equal partners would be no mismatch; the last of an odd number has no neighbour
        match = other >= len(rows) or second[other] == second[i] or Random(f"pair {row['id']}").random() < 0.5
        made.append({"id": row["id"], a: first[i], b: second[i if match else other], label: int(match)})
    return made


def gaps(rows: list[Example], columns: dict[str, str]) -> list[Example]:
    """Functions with one name taken out, and four names of theirs to choose from; those with fewer are left out.

    The name is one that stands elsewhere in the function too, so that what is around decides. With the gap it stands there as often as
    the others, or as nearly as can be: how often a name occurs does not tell. Functions without three such others are left out too.

    Parameters
    ----------
    columns : dict
        ``prompt``, ``choices`` and ``label`` → columns: the first is the repository's.
    """
    made = []
    for row in rows:
        text = _text(row[columns["prompt"]])
        found = [m for m in _NAME.finditer(text) if m[0].lower() not in _KEYWORDS]
        counted = Counter(m[0] for m in found)
        able = [m for m in found if sum(n < counted[m[0]] for n in counted.values()) >= CHOICES - 1]
        if not able:
            continue
        rng = Random(f"gap {row['id']}")
        gap = rng.choice(able)
        rest = counted[gap[0]] - 1
        near = {n: (abs(c - rest), rng.random()) for n, c in counted.items() if n != gap[0]}
        others = sorted(near, key=near.__getitem__)
        choices = [gap[0], *others[: CHOICES - 1]]
        rng.shuffle(choices)
        prompt = f"{text[: gap.start()]}{GAP}{text[gap.end() :]}"
        values = {"prompt": prompt, "choices": choices, "label": choices.index(gap[0])}
        made.append({"id": row["id"], **{columns[k]: v for k, v in values.items()}})
    return made


FORMS = {"pairs": pairs, "gaps": gaps}
