"""From a source's columns to the fields of a kind, each row checked on the way; a fault names place and row.

What is wrong with a whole split (sizes, labels that are all one, empty texts) is :func:`whole`'s.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from . import own_files
from .errors import DataError, unknown
from .tasks import Task

Example = dict[str, Any]
#: of a split's texts, this share may be empty (QQP and PAWS-X have a handful); more is a fault
EMPTY_SHARE = 1e-3
_EMPTY = {
    "classify": ("first", "second"),
    "bitext": ("first", "second"),
    "dual": ("first", "second"),
    "caption": ("text",),
}  # texts looked at
#: fewer labels may be all one by chance
FEW = 20


def normalise(row: Task, raw: Example, number: int, where: str, place: str = "") -> Example:
    """Fields of the kind from one raw row; ``place`` is what messages call it, by default its number in the split.

    Raises
    ------
    DataError
        If a column is missing or a value makes no sense.
    """
    if row.source.layout == "bucc":
        return _mining({"id": str(number), **raw}, where)
    try:
        fields = {name: _field(raw, name, column, where) for name, column in row.columns.items()}
        empty = next((f"{row.columns[n]} ({n})" for n, v in fields.items() if v is None), None)
        if empty:
            raise ValueError(f"{empty} is empty")
        if row.own:
            fields = own_files.natural(row, fields)
        given = next((raw[k] for k in ("id", "pairID") if raw.get(k) not in (None, "")), number)
        return _CHECKS[row.kind](row, {"id": str(given), **fields}, raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{place or f'{where} row {number}'}: {error}") from None


def whole(row: Task, examples: list[Example], where: str) -> tuple[str, ...]:
    """Faults of a split as a whole.

    Returns
    -------
    tuple of str
        Problems to report; the examples can be used.

    Raises
    ------
    DataError
        If they cannot: there are none, texts are missing, or the labels are dummies.
    """
    if not examples:
        raise DataError(f"{where}: there are no examples")
    _dummy_labels(row, examples, where)
    sides = _EMPTY.get(row.kind, ()) if row.source.layout != "bucc" else ()
    empty = [(i, side) for i, e in enumerate(examples) for side in sides if not e.get(side, "-").strip()]
    if len(empty) > EMPTY_SHARE * len(examples):
        raise DataError(f"{where} row {empty[0][0]}: the {empty[0][1]} text is empty")
    return (
        (f"{len(empty)} of {len(examples):,} examples have an empty text (the first is row {empty[0][0]})",)
        if empty
        else ()
    )


def _dummy_labels(row: Task, examples: list[Example], where: str) -> None:
    """Labels that are all one: the hub holds dummies where a benchmark keeps its labels to itself."""
    if row.kind in ("classify", "choose"):
        labels = [e["label"] for e in examples]
    elif row.kind == "tag":
        labels = [t for e in examples for t in e["tags"]]
    else:
        return
    if len(labels) >= FEW and len(set(labels)) == 1:
        raise DataError(
            f"{where}: every one of {len(labels):,} labels is {labels[0]!r}: dummies for labels that are not published"
        )


# --- columns -----------------------------------------------------------------------------------------------------
def _field(raw: Example, name: str, column: str | tuple[str, ...], where: str) -> Any:
    """The value of one column, or of several: a list of choices, else texts joined by spaces."""
    if isinstance(column, str):
        return column_value(raw, column, where)
    values = [column_value(raw, c, where) for c in column]
    if any(v is None for v in values):
        return None
    return values if name == "choices" else " ".join(values)


def column_value(raw: Example, path: str, where: str) -> Any:
    value: Any = raw
    for part in path.split("."):
        if value is None:
            raise ValueError(f"{path} is empty")
        if part not in value:
            raise DataError(f"{where}: {unknown('column', path, list(raw))}")
        value = value[part]
    return value


# --- one kind each -----------------------------------------------------------------------------------------------
def _mining(e: Example, where: str) -> Example:
    """Gold pairs must name sentences that are there, or they could never be found."""
    known = {side: {name for name, _ in e[side]} for side in ("first", "second")}
    for a, b in e["gold"]:
        for name, side in ((a, "first"), (b, "second")):
            if name not in known[side]:
                raise DataError(f"{where}: gold pair {a} {b}: there is no sentence {name}")
    return e


def _classify(row: Task, e: Example, raw: Example) -> Example:
    e["label"] = _label(row.labels, e["label"])
    bad = next((e[side] for side in ("first", "second") if not isinstance(e.get(side, ""), str)), None)
    if bad is not None:
        raise ValueError(f"a text is expected, not {bad!r}")
    return e


def _label(labels: Sequence[str], value: Any) -> str:
    """A label's name from a name, a number, or a number in a string."""
    if str(value) in labels:
        return str(value)
    if str(value).isdigit() and int(value) < len(labels) and not labels[0].isdigit():
        return labels[int(value)]
    raise ValueError(unknown("label", value, labels))


def _choose(row: Task, e: Example, raw: Example) -> Example:
    keys = row.labels or [str(i) for i in range(len(e["choices"]))]
    if isinstance(raw.get("choices"), dict):
        keys = raw["choices"]["label"]
    prefix, asks = e.pop("choice_prefix", ""), e.pop("asks", None)
    if asks is not None:
        if asks not in ("cause", "effect"):
            raise ValueError(unknown("question", asks, ["cause", "effect"]))
        e["prompt"] = f"{e['prompt']} What was the {asks}?"  # as XTREME-R's script asks, in every language
    e["choices"] = [f"{prefix} {c}".strip() for c in e["choices"]]
    e["label"] = list(keys).index(_label(list(keys), e["label"]))
    return e


def _tag(row: Task, e: Example, raw: Example) -> Example:
    if not e["tokens"]:
        raise ValueError("there are no tokens")
    if len(e["tokens"]) != len(e["tags"]):
        raise ValueError(f"{len(e['tokens'])} tokens but {len(e['tags'])} tags")
    bad = next((t for t in e["tags"] if t not in row.labels), None) if row.labels else None
    if bad is not None:
        raise ValueError(unknown("tag", bad, row.labels))
    return e


def _span(row: Task, e: Example, raw: Example) -> Example:
    """Offsets must point at their answer; the hub's old script stripped contexts but not offsets, so look again."""
    if not e["answers"] and row.answer_rules != "squad_v2":
        raise ValueError("there is no answer")
    found = [locate(e["context"], t, s) for t, s in zip(e["answers"], e["starts"], strict=True)]
    e["answers"], e["starts"] = [t for t, _ in found], [s for _, s in found]
    return e


def locate(context: str, text: str, start: int) -> tuple[str, int]:
    """An answer and its offset: where it is said to be, else the nearest occurrence, else the nearest that tokenizers read as
    equal (compatibility forms and spaces of other kinds; then the answer is as the context writes it).
    """
    if context[start : start + len(text)] == text:
        return text, start
    if candidates := _occurrences(context, text):
        return text, min(candidates, key=lambda c: abs(c - start))
    folded, origin = _folded(context)
    wanted, _ = _folded(text)
    spans = [(origin[c], origin[c + len(wanted) - 1] + 1) for c in _occurrences(folded, wanted)] if wanted else []
    if not spans:
        raise ValueError(f"answer {text!r} is not in its context")
    first, last = min(spans, key=lambda s: abs(s[0] - start))
    return context[first:last], first


def _folded(text: str) -> tuple[str, list[int]]:
    """A text as the tokenizers here normalise it (NFKC, spaces alike), with the place each character comes from."""
    pieces, origin = [], []
    for i, c in enumerate(text):
        piece = " " if c.isspace() else unicodedata.normalize("NFKC", c)
        pieces.append(piece)
        origin += [i] * len(piece)
    return "".join(pieces), origin


def _occurrences(text: str, part: str) -> list[int]:
    found, at = [], text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def _mlm(row: Task, e: Example, raw: Example) -> Example:
    if not isinstance(e["text"], str):
        raise ValueError(f"a text is expected, not {e['text']!r}")
    return e


def _caption(row: Task, e: Example, raw: Example) -> Example:
    if not isinstance(e["text"], str) or not isinstance(e["image"], str):
        raise ValueError(f"a text and the name of an image are expected, not {e['text']!r} and {e['image']!r}")
    if row.labels:
        e["label"] = _label(row.labels, e["label"])
    return e


def _bitext(row: Task, e: Example, raw: Example) -> Example:
    e["first"], e["second"] = e["first"].strip(), e["second"].strip()
    return e


_CHECKS = {
    "classify": _classify,
    "choose": _choose,
    "tag": _tag,
    "span": _span,
    "bitext": _bitext,
    "mlm": _mlm,
    "caption": _caption,
}
