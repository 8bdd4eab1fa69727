"""Test sets made from parallel ones: the two texts of an example in two languages, or both in Latin letters.

Two layouts of :class:`xitt.tasks.Source` read no files of their own but those of the task that ``of`` names:

- ``crossed``, languages like ``en-de``: the premise (first sentence, question) in the first language, the rest in the second. Examples of
  a parallel test set are the same in all languages, so the gold label (answer) is exact. MLQA has such sets itself: a ``config`` with
  ``{first}`` and ``{second}`` is read as it is.
- ``romanised``, languages like ``hi-Latn``: every text by the rules of :mod:`xitt.roman`.

The pairs are English with each language and each with English; ``data: {pairs: all}`` (n x (n - 1) of them), or a list, says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import languages as names
from .checks import locate
from .errors import DataError, unknown
from .roman import RULES, roman, roman_answer
from .schema import Data
from .tasks import Task

if TYPE_CHECKING:
    from .readers import Raw

Example = dict[str, Any]
LAYOUTS = ("crossed", "romanised")


def plain(row: Task) -> Task:
    """The row of the task that a set is made of, as far as readers go; any other row as it is."""
    if row.source.layout not in LAYOUTS:
        return row
    config = (
        row.source.config.format(first="{code}", second="{code}")
        if "{first}" in row.source.config
        else row.source.config
    )
    return replace(row, name=row.source.of, source=replace(row.source, config=config, layout="hub", of=""))


def languages(data: Data, row: Task, there: tuple[str, ...]) -> tuple[str, ...]:
    """Codes that a study scores: those ``there``, of a set made from a task that has these the pairs or romanised ones; a code is one of the
    study's ``data.languages`` if all that it names are.

    Raises
    ------
    DataError
        If a pair that the study asks for is none of its.
    """
    if row.source.layout == "romanised":
        there = tuple(f"{x}-Latn" for x in sorted(there) if x in RULES)
    elif row.source.layout == "crossed":
        there = _pairs(data, [f"{a}-{b}" for a in sorted(there) for b in sorted(there) if a != b])
    if (known := data.languages) is not None:
        there = tuple(x for x in there if x in known or {*names.spoken(x)} <= {*known})
    return there


def _pairs(data: Data, every: list[str]) -> tuple[str, ...]:
    if data.pairs == "all":
        return tuple(every)
    if data.pairs == "english":
        return tuple(p for p in every if "en" in names.parts(p))
    wrong = next((p for p in data.pairs if len(names.parts(p)) != 2 or "+" in p), None)
    if wrong:
        raise DataError(f"data.pairs: {unknown('pair', wrong, every)}")
    return tuple(p for p in data.pairs if p in every)


def sources(row: Task, language: str) -> tuple[tuple[Task, str], ...]:
    """Rows and languages that one code is made of: where to look whether they are there.

    Raises
    ------
    DataError
        If the code is no pair, or does not say that it is in Latin letters.
    """
    if row.source.layout == "romanised":
        if not language.endswith("-Latn"):
            raise DataError(f"{row.name}: a language in Latin letters is expected, like hi-Latn, not {language!r}")
        return ((plain(row), language.removesuffix("-Latn")),)
    if len(names.parts(language)) != 2 or "+" in language:
        raise DataError(f"{row.name}: a pair of languages is expected, like en-de, not {language!r}")
    first, second = names.parts(language)
    if "{first}" in row.source.config:
        return ((_native(row, first, second), second),)
    return ((plain(row), first), (plain(row), second))


def _native(row: Task, first: str, second: str) -> Task:
    config = row.source.config.format(first=first, second=second)
    return replace(row, name=row.source.of, source=replace(row.source, config=config, layout="hub", of=""))


def read(data: Data, row: Task, split: str, language: str, limit: int | None, reader: Callable[..., Raw]) -> Raw:
    """Rows of one code; ``reader`` is :func:`xitt.readers.read`.

    Raises
    ------
    DataError
        If the two sides are not parallel: not the same examples, or other gold labels.
    """
    where, found = f"{row.name} {split} {language}", sources(row, language)
    if row.source.layout == "romanised":
        ((base, code),) = found
        raw = reader(data, base, split, code, limit)
        return replace(raw, rows=[_romanised(row, r, code) for r in raw.rows], where=where)
    if "{first}" in row.source.config and data.source != "pocket":
        ((base, code),) = found
        return replace(reader(data, base, split, code, limit), where=where)
    first, second = names.parts(language)
    asked, told = (reader(data, plain(row), split, x, limit) for x in (first, second))
    if row.kind == "span":
        rows = _by_id(row, asked.rows, told.rows)
        if len(rows) < len(told.rows):  # another order: look through all of the other side
            rows = _by_id(row, reader(data, plain(row), split, first, None).rows, told.rows)
    else:
        rows = _by_place(row, asked.rows, told.rows, where)
    if not rows:
        raise DataError(f"{where}: {row.source.of} has no example that is in both languages; are the two parallel?")
    commit = " ".join(dict.fromkeys(x for x in (asked.commit, told.commit) if x))
    return replace(told, rows=rows, where=where, commit=commit)


def _by_id(row: Task, asked: list[Example], told: list[Example]) -> list[Example]:
    """Questions of one side on the texts of the other, by their ids; a text without its question is left out."""
    column = row.columns["question"]
    questions = {r["id"]: r[column] for r in asked}
    return [{**r, column: questions[r["id"]]} for r in told if r["id"] in questions]


def _by_place(row: Task, asked: list[Example], told: list[Example], where: str) -> list[Example]:
    """First texts of one side before second texts of the other, row by row; ids, where there are some, and labels must be equal."""
    if len(asked) != len(told):
        raise DataError(f"{where}: {len(asked):,} and {len(told):,} examples; the two sides are not parallel")
    column, label = row.columns["first"], row.columns["label"]
    for i, (a, b) in enumerate(zip(asked, told, strict=True)):
        for key in (label, "pairID"):
            if a.get(key) != b.get(key):
                raise DataError(
                    f"{where} row {i}: {key} is {a.get(key)!r} and {b.get(key)!r}; the two sides are not parallel"
                )
    return [{**b, column: a[column]} for a, b in zip(asked, told, strict=True)]


def _romanised(row: Task, raw: Example, language: str) -> Example:
    if row.kind == "span":
        context, found = raw["context"], raw["answers"]
        there = [locate(context, t, s) for t, s in zip(found["text"], found["answer_start"], strict=True)]
        said = [roman_answer(context, t, s, language) for t, s in there]
        answers = {"text": [t for t, _ in said], "answer_start": [s for _, s in said]}
        return {
            **raw,
            "context": roman(context, language),
            "question": roman(raw["question"], language),
            "answers": answers,
        }
    texts = [row.columns[side] for side in ("first", "second")]
    return {**raw, **{column: roman(raw[column], language) for column in texts}}
