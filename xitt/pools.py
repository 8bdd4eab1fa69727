"""Queries and candidates of LAReQA and Mewsli-X, in the fields that ``xitt.kinds.dual`` documents.

LAReQA: ``local/lareqa_sentences`` is a folder in hub layout, one config per language, split ``validation``, a row per paragraph: ``title``,
``paragraph``, ``context``, ``sentence_breaks`` (pairs of offsets) and ``qas`` (lists ``id``, ``question``, ``answer_start``, ``answer``). That is
XQuAD-R's own JSON, a paragraph a row; the hub's ``xquad_r`` lacks the breaks. Training pairs are SQuAD v1.1's, cut into sentences here.

Mewsli-X: ``local/mewslix`` holds the files that its ``get-mewsli-x.sh`` writes: ``wikipedia_pairs-{train,dev}.jsonl``,
``wikinews_mentions-{dev,test}.jsonl`` and ``candidate_set_entities.jsonl``. The pocket's rows of both have the same form: paragraphs in
the first case; pairs, articles and (split ``pool``, language ``all``) entities in the second.

Queries and descriptions are written as XTREME-R's scripts write them (google-research/xtreme at 838c13b, third_party).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from . import checks, hub, readers
from .errors import DataError
from .readers import Raw
from .schema import Data
from .tasks import TASKS, Task

Example = dict[str, Any]


def read(data: Data, row: Task, split: str, language: str, limit: int | None, languages: tuple[str, ...]) -> Raw:
    """Training pairs, or the queries of one language with the ids of their right candidates among ``languages``."""
    if row.source.layout == "mewslix":
        raw = _pairs(data, row, split, limit) if split != "test" else _mentions(data, row, split, language)
    elif split != "test":
        raw = _squad_pairs(data, row if data.source == "pocket" else TASKS["squad_v1"], split, limit)
    else:
        raw = _questions(data, row, language, languages)
    return Raw(raw.rows[:limit], raw.total, raw.where, raw.commit)


def candidates(data: Data, row: Task, languages: tuple[str, ...]) -> Raw:
    """Every candidate, whatever the study's limits: a smaller pool would be an easier task."""
    if row.source.layout == "mewslix":
        rows = [_entity(e, where) for e, where in _json_rows(data, row, "pool", "all", "candidate_set_entities")]
    else:
        rows = [c for x in languages for c in _sentences_of(data, row, x)]
    where = f"{row.source.repository} candidates"
    if not rows:
        raise DataError(f"{where}: there are none")
    if len({e["id"] for e in rows}) != len(rows):
        raise DataError(f"{where}: an id stands twice")
    return Raw(rows, len(rows), where)


def present(data: Data, row: Task, split: str, language: str) -> bool:
    """Whether the data folder holds a split; training pairs of LAReQA are SQuAD's."""
    if row.source.layout == "lareqa" and split != "test":
        return data.source == "hub" or readers.present(data, TASKS["squad_v1"], split, "en")
    base = readers.local_folder(data, row, split, language)
    if row.source.layout == "lareqa":
        return any((base / language).glob("validation-*"))
    names = [row.source.splits[split], *(["candidate_set_entities"] if split == "test" else [])]
    if not all((base / f"{name}.jsonl").is_file() for name in names):
        return False
    return split != "test" or language in _mention_languages(str(base / f"{names[0]}.jsonl"))


def count(data: Data, row: Task, split: str, language: str) -> int | None:
    """Examples of a split, without a network; 0 if it is not there, ``None`` if only the hub knows."""
    if row.source.layout == "lareqa" and split != "test":
        return readers.count(data, TASKS["squad_v1"], split, "en")
    if data.source == "pocket":
        return read(data, row, split, language, None, (language,)).total
    if not present(data, row, split, language):
        return 0
    if row.source.layout == "lareqa":
        return sum(len(p["qas"]["id"]) for p in _paragraphs(data, row, language))
    path = readers.local_folder(data, row, split, language) / f"{row.source.splits[split]}.jsonl"
    if split == "test":
        return _mention_languages(str(path))[language]
    with path.open(encoding="utf-8") as lines:
        return sum(1 for line in lines if line.strip())


# --- LAReQA --------------------------------------------------------------------------------------------------------
def _paragraphs(data: Data, row: Task, language: str) -> list[Example]:
    if data.source == "pocket":
        return readers.read(data, row, "test", language).rows
    path = readers.local_folder(data, row, "test", language)
    if not path.is_dir():
        raise DataError(f"{path} is not there\n  {readers.needs(row, 'test', language)}")
    return hub.read_folder(path, language, "validation").to_list()


def _sentences_of(data: Data, row: Task, language: str) -> Iterator[Example]:
    for number, p in enumerate(_paragraphs(data, row, language)):
        for k, (begin, end) in enumerate(p["sentence_breaks"]):
            if not 0 <= begin < end <= len(p["context"]):
                raise DataError(
                    f"{row.source.repository} {language} row {number}: sentence {begin}-{end} is not in its paragraph"
                )
            yield {"id": f"{language}-{number}-{k}", "second": p["context"][begin:end], "context": p["context"],
                   "language": language}  # fmt: skip


def _answers(data: Data, row: Task, language: str) -> dict[str, str]:
    """Question id → id of the sentence its answer begins in."""
    found = {}
    for number, p in enumerate(_paragraphs(data, row, language)):
        for name, start in zip(p["qas"]["id"], p["qas"]["answer_start"], strict=True):
            k = next((k for k, (begin, end) in enumerate(p["sentence_breaks"]) if begin <= start < end), None)
            if k is None:
                raise DataError(
                    f"{row.source.repository} {language} row {number}: the answer of {name} is in no sentence"
                )
            found[name] = f"{language}-{number}-{k}"
    return found


def _questions(data: Data, row: Task, language: str, languages: tuple[str, ...]) -> Raw:
    where = readers.describe(row, "test", language)
    right = _right(data.model_dump_json(), row.name, languages)
    rows = []
    for p in _paragraphs(data, row, language):
        for name, question in zip(p["qas"]["id"], p["qas"]["question"], strict=True):
            gold = [answers[name] for answers in right if name in answers]
            if not gold:
                raise DataError(f"{where}: question {name} has no answer in {', '.join(languages)}")
            rows.append({"id": str(name), "first": question, "gold": gold})
    return Raw(rows, len(rows), where)


@lru_cache(maxsize=4)
def _right(data_json: str, task: str, languages: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    data = Data.model_validate_json(data_json, context={"rows": None})
    return tuple(_answers(data, TASKS[task], x) for x in languages)


def _squad_pairs(data: Data, source: Task, split: str, limit: int | None) -> Raw:
    """Questions of SQuAD v1.1 (or of the pocket's own texts), the sentence that their first answer begins in, and its paragraph."""
    squad = TASKS["squad_v1"]
    raw = readers.read(data, source, split, "en", limit)
    rows = []
    for number, line in enumerate(raw.rows):
        e = checks.normalise(squad, line, number, raw.where)
        begin, end = next(s for s in sentence_spans(e["context"]) if s[0] <= e["starts"][0] < s[1])
        rows.append({"id": e["id"], "first": e["question"].strip(), "second": e["context"][begin:end].strip(),
                     "context": e["context"]})  # fmt: skip
    return Raw(rows, raw.total, raw.where, raw.commit)


#: a full stop, its closing quotes and brackets, and space before a capital, a digit or an opening mark
_BREAK = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9À-Þ])")
_NO_BREAK = re.compile(
    r"(?:\b(?:[A-Z]|[A-Za-z]\.[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Sgt|Lt|Rev|Sen|Rep|Gov|Jr|Sr|No|vs|cf|ca|c|e\.g|i\.e))\.$"
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Sentences of an English paragraph as pairs of offsets that cover it without gaps."""
    ends = [m.end() for m in _BREAK.finditer(text) if not _NO_BREAK.search(text[max(0, m.start() - 8) : m.start()])]
    cuts = [0, *(e for e in ends if e < len(text)), len(text)]
    return list(pairwise(cuts))


# --- Mewsli-X --------------------------------------------------------------------------------------------------------
def _json_rows(
    data: Data, row: Task, split: str, language: str, name: str, limit: int | None = None
) -> Iterator[tuple[Example, str]]:
    """Rows of one file with words for their place; the pocket makes no more than ``limit``."""
    if data.source == "pocket":
        raw = readers.read(data, row, split, language, limit)
        yield from ((r, f"{raw.where} row {i}") for i, r in enumerate(raw.rows))
        return
    file = readers.local_folder(data, row, split, language) / f"{name}.jsonl"
    if not file.is_file():
        raise DataError(f"{file} is not there\n  {readers.needs(row, split, language)}")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line), f"{file}:{number}"
            except ValueError as error:
                raise DataError(f"{file}:{number}: not JSON ({error})") from None


def _mentions(data: Data, row: Task, split: str, language: str) -> Raw:
    rows = []
    for article, where in _json_rows(data, row, split, language, row.source.splits[split]):
        if _at(article, where, "context", "language") != language:
            continue
        rows += [
            {"id": m["example_id"], "first": _marked(article["context"], m, where), "gold": [m["entity_id"]]}
            for m in _at(article, where, "mentions")
        ]
    return Raw(rows, len(rows), f"{row.source.repository} {row.source.splits[split]} {language}")


def _pairs(data: Data, row: Task, split: str, limit: int | None) -> Raw:
    rows, total = [], 0
    for pair, where in _json_rows(data, row, split, "en", row.source.splits[split], limit):
        total += 1
        if limit is not None and total > limit:
            continue
        mention = _at(pair, where, "contextual_mention", "mention")
        first = _marked(_at(pair, where, "contextual_mention", "context"), mention, where)
        rows.append(
            {
                "id": mention["example_id"],
                "first": first,
                "second": _entity(pair["entity"], where)["second"],
                "context": "",
            }
        )
    if data.source == "pocket":
        total = readers.count(data, row, split, "en")
    return Raw(rows, total, f"{row.source.repository} {row.source.splits[split]}")


def _entity(entity: Example, where: str) -> Example:
    text = _at(entity, where, "description")
    sentences = " ".join(text[begin:end] for begin, end in map(_bounds, _at(entity, where, "sentence_spans")))
    return {
        "id": entity["entity_id"],
        "second": _one_line(sentences),
        "context": "",
        "language": entity["description_language"],
    }


def _marked(context: Example, mention: Example, where: str) -> str:
    """The mention, a colon, and its sentence with the mention between braces; braces that were there become parentheses."""
    span, text = _at(mention, where, "mention_span"), _at(context, where, "text")
    if text[span["start"] : span["end"]] != span["text"]:
        raise DataError(f"{where}: mention {mention['example_id']}: its offsets do not give {span['text']!r}")
    sentences = map(_bounds, _at(context, where, "sentence_spans"))
    begin, end = next(((b, e) for b, e in sentences if b <= span["start"] and span["end"] <= e), (None, None))
    if begin is None:
        raise DataError(f"{where}: mention {mention['example_id']} is in no sentence")
    left, right = text[begin : span["start"]], text[span["end"] : end]
    left, right = (re.sub(r"\{(.*?)\}", r"(\1)", side) for side in (left, right))
    return _one_line(f"{span['text']}: {left} {{ {span['text']} }} {right}")


def _bounds(span: Any) -> tuple[int, int]:
    """Bounds of a sentence, in the form of the files (a mapping) or of their description (a pair)."""
    return (span["start"], span["end"]) if isinstance(span, dict) else tuple(span)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()


def _at(value: Any, where: str, *path: str) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            raise DataError(f"{where}: {'.'.join(path)} is not there (the form of Mewsli-X is expected)")
        value = value[key]
    return value


@lru_cache(maxsize=4)
def _mention_languages(path: str) -> dict[str, int]:
    """Mentions by language in a file of articles."""
    found: dict[str, int] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            article = json.loads(line)
            language = _at(article, f"{path}:{number}", "context", "language")
            found[language] = found.get(language, 0) + len(_at(article, f"{path}:{number}", "mentions"))
    return found
