"""Code-mixed data sets that are in no hub repository of this form: files in ``<data.folder>/local/``.

=====================  =============================================================================================
``ud_codemixed``       configs ``Turkish_German-SAGT`` and ``Frisian_Dutch-Fame`` in hub layout, columns as of udpos
``sentimix_hinglish``  SemEval-2020 task 9, Hindi-English, in hub layout: ``tokens``, ``label``
``codemixed_qa``       Chandu et al.'s questions in hub layout: ``language``, ``context``, ``question``, ``answer``. Answers are free text and most
                       questions have no context: left are those in Hindi-English whose answer stands in their context, a hundred of 2,423
``gluecos``            GLUECoS's own ``Data/Processed_Data`` as its scripts leave it: ``NLI_EN_HI/XNLI-MT-1.0/multinli/multinli.train.en.tsv``
                       (premise, hypothesis, ``entailment`` or ``contradictory``; the labels of its test file are dummies),
                       ``QA_EN_HI/dev-v2.0.json`` (SQuAD v2.0's form)
``lince``              LinCE's archives unpacked: ``pos_hineng/dev.conll``, ``pos_spaeng/dev.conll`` (word, language, tag by tabs; labels of
                       test files are not published)
=====================  =============================================================================================

All of them are scored without training on code-mixed text, but for SentiMix, which has no English counterpart and is trained on itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import DataError

Example = dict[str, Any]
#: LinCE's and GLUECoS's words for universal tags (Singh et al. 2018 split two of them)
_TAGS = {"PART_NEG": "PART", "PRON_WH": "PRON", "CONJ": "CCONJ", "UNK": "X", ".": "PUNCT", "PRT": "PART"}
_LABELS = {"contradictory": "contradiction", "entailed": "entailment"}


def find(base: Path, config: str, split: str) -> list[Path]:
    """Files of one split under ``local/<repository>``; empty if it is not there. ``config`` is a folder in hub layout, or a file."""
    if Path(config).suffix:
        return [base / config] if (base / config).is_file() else []
    for at in (base / config, base / "data"):
        if found := sorted(at.glob(f"{split}-*")):
            return found
    return []


def rows(kind: str, base: Path, config: str, split: str) -> list[Example]:
    """Rows of a file of its own form, or of a config in hub layout, in the columns of the hub's sets of the same kind.

    Raises
    ------
    DataError
        If a file or one of its lines is damaged.
    """
    if not Path(config).suffix:
        from . import hub, readers

        return [_shaped(kind, r) for r in readers.with_class_names(hub.read_folder(base, config, split))]
    reader = {".tsv": _pairs, ".json": _squad, ".conll": _conll}[Path(config).suffix]
    return list(reader(base / config))


def _shaped(kind: str, raw: Example) -> Example:
    """Words as a text where a text is wanted, a free answer as SQuAD has answers."""
    if kind == "classify" and "tokens" in raw:
        return {**raw, "text": " ".join(raw["tokens"])}
    if kind == "span" and "answer" in raw:
        answer = raw["answer"].strip() if raw.get("language", "Hindi") == "Hindi" else ""
        start = raw["context"].lower().find(answer.lower()) if answer else -1
        said = raw["context"][start : start + len(answer)]
        return {
            **raw,
            "answers": {"text": [said], "answer_start": [start]} if start >= 0 else {"text": [], "answer_start": []},
        }
    return raw


def answerable(kind: str, raw: Example) -> bool:
    """Whether a row can be scored: a question needs an answer in its context."""
    return kind != "span" or bool(raw["answers"]["text"])


def _pairs(file: Path) -> Iterator[Example]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split("\t")
        if len(parts) != 3 or not all(p.strip() for p in parts):
            raise DataError(f"{file}:{number}: premise, hypothesis and label are expected, separated by tabs")
        yield {"premise": parts[0], "hypothesis": parts[1], "label": _LABELS.get(parts[2].strip(), parts[2].strip())}


def _squad(file: Path) -> Iterator[Example]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))["data"]
        for article in content:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    said = qa.get("answers") or []
                    yield {
                        "id": str(qa["id"]), "context": paragraph["context"], "question": qa["question"],
                        "answers": {"text": [a["text"] for a in said], "answer_start": [a["answer_start"] for a in said]},
                    }  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: not in SQuAD's form: {type(error).__name__} {error}") from None


def _conll(file: Path) -> Iterator[Example]:
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*file.read_text(encoding="utf-8").splitlines(), ""], 1):
        if line.startswith("# sent_enum"):
            continue
        if not line.strip():
            if tokens:
                yield {"tokens": tokens, "pos_tags": tags}
            tokens, tags = [], []
            continue
        parts = line.split("\t")
        if len(parts) != 3 or not all(p.strip() for p in parts):
            raise DataError(f"{file}:{number}: a word, its language and its tag are expected, separated by tabs")
        tokens.append(parts[0])
        tags.append(_TAGS.get(parts[2].strip(), parts[2].strip()))
