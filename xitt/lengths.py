"""How long examples are: measured where data are at hand, else from the table below.

The table holds mean characters per example (texts that a row holds together; of a span task context and question; of a dual task query and
candidate; of multiple choice one choice with its prompt). By mark: (m) measured on the slices in ``shared/data`` (RESPLIT or shorter: the first 400
training or 200 test examples), (a) assumed from a set like it, said beside it. Other languages than English are taken to have as many pieces:
parallel texts have fewer characters where a script is dense, and about as many pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import data
from .errors import DataError
from .kinds import kind
from .study import Study
from .tasks import Task

#: characters per piece of XLM-R's tokenizer in running English, assumed: one of 16,000 pieces, trained on the sets themselves, makes 3.6 to 4.4
PIECE = 4.2
CHARACTERS: dict[str, tuple[float, ...]] = {
    "mnli": (168,), "snli": (117,), "anli_r1": (390,), "anli_r2": (385,), "anli_r3": (387,),  # m
    "qqp": (120,),  # a: two questions of about 60
    "squad_v2": (688, 44), "squad_v1": (938, 64),  # m
    "hellaswag": (180,), "cosmosqa": (434,), "commonsenseqa": (81,),  # m
    "ccg": (130,),  # a: as udpos
    "code_defect": (2167,), "code_clone": (2946,), "code_translation": (403,), "code_cloze": (236,), "code_mlm": (2167,),  # m
    "code_query": (308,),  # m
    "code_search": (1670,),  # a: a function of code_clone and a description of 200
    "siqa": (140,), "copa": (76,),  # a: as xcopa, with a context before
    "xnli": (137,), "pawsx": (241,), "udpos": (110,), "panx": (43,), "xquad": (600, 57), "xcopa": (76,), "lareqa": (64, 1235),  # m
    "mlqa": (700, 55), "tydiqa": (600, 50),  # a: as xquad
    "tatoeba": (35,), "ntrex": (130,), "bucc2018": (130,),  # m; a: as ntrex
    "mewslix": (400, 400),  # a: cut at 64 pieces
    "image_text": (62,), "caption_mlm": (62,), "caption_retrieval": (64,),  # m; patches are not counted
}  # fmt: skip
#: choices per question (paper_facts 1.2, 3)
CHOICES = {"code_cloze": 4, "hellaswag": 4, "cosmosqa": 4, "commonsenseqa": 5, "siqa": 3, "copa": 2, "xcopa": 2}
#: share of a corpus's sentences that have a gold partner, by the design of BUCC; only the gold pairs are published (xitt.sizes)
BUCC_GOLD = 0.025
#: candidates of the pools (paper_facts 3.5: Mewsli-X, LAReQA)
POOLS = {"mewslix": 1_000_000, "lareqa": 13_014}
#: examples whose lengths are measured; of generated splits, whose texts are alike and have to be made first, fewer
SAMPLE, GENERATED = 200, 50


@dataclass(frozen=True)
class Extent:
    """How much there is to read of one split in one language.

    Attributes
    ----------
    examples : int
    rows : float
        Rows that a model reads, per example (windows, choices, both sides).
    length : float
        Mean tokens of a row.
    origin : str
        Where the length is from: ``measured``, ``characters`` (of the data, at :data:`PIECE` per piece) or ``assumed``.
    sized : str
        Where the number is from: ``data`` or ``published``.
    """

    examples: int
    rows: float
    length: float
    origin: str
    sized: str

    @property
    def tokens(self) -> float:
        """Tokens of one pass."""
        return self.examples * self.rows * self.length


def extent(study: Study, task: str, split: str, language: str, length: int, tokenizer=None) -> Extent | None:
    """Size of a split; ``None`` where neither data nor a published size are there."""
    row = study.tasks[task]
    found = _examples(study, task, split, language)
    if found is None:
        return _published(study, row, split, language, length)
    some, count = found
    if row.kind == "bitext":
        texts = [t for side in kind("bitext").texts(some) for t in side]
        mean = np.mean([len(t) for t in texts[:SAMPLE]]) / PIECE + 2
        pieces = tokenizer and np.mean(
            [len(i) for i in tokenizer(texts[:SAMPLE], truncation=True, max_length=length)["input_ids"]]
        )
        return Extent(
            len(texts) // 2, 2.0, float(pieces or min(mean, length)), "measured" if tokenizer else "characters", "data"
        )
    if tokenizer is None:
        rows, mean = shape(
            row, np.mean([_characters(row.kind, e) for e in some], axis=0), length, len(some[0].get("choices", ())) or 1
        )
        return Extent(count, rows, mean, "characters", "data")
    features = kind(row.kind).encode(some, tokenizer, length, data.labels(study, task))
    return Extent(count, len(features.ids) / len(some), float(features.ids.lengths.mean()), "measured", "data")


def _examples(study: Study, task: str, split: str, language: str) -> tuple[list, int] | None:
    """The first examples (of corpora, all) and their number, if they can be had without a network, or ``None``.

    A user's own row has no other size, so that its error is passed on.
    """
    source, row = study.params.data.source, study.tasks[task]
    if source == "hub" and not row.own:
        return None
    try:
        if row.kind == "bitext":
            examples = data.load(study, task, split, language).examples
            return examples, len(examples)
        return data.sample(study, task, split, language, GENERATED if source == "pocket" and not row.own else SAMPLE)
    except DataError:
        if row.own:
            raise
        return None


def _published(study: Study, row: Task, split: str, language: str, length: int) -> Extent | None:
    """Size from ``xitt.sizes`` under the study's limits, length from the table."""
    from .sizes import published

    parts = row.parts or (row.name,)
    sizes = [published(p, split, language) for p in parts]
    if None in sizes or any(p not in CHARACTERS for p in parts):
        return None
    if row.name == "bucc2018":
        sizes = [round(n / BUCC_GOLD) for n in sizes]
    total = sum(sizes)
    limits = study.params.data.task_limits.get(row.name, study.params.data.limits)
    limit = getattr(limits, split) or getattr(study.params.data.limits, split)
    characters = np.average([CHARACTERS[p] for p in parts], axis=0, weights=sizes)
    rows, mean = shape(row, characters, length, CHOICES.get(row.name, 1))
    if row.kind == "dual" and split == "test":
        rows, mean = 1.0, min(characters[0] / PIECE + 2, 96, length)
    return Extent(min(total, limit or total), rows, mean, "assumed", "published")


def shape(row: Task, characters, length: int, choices: int = 1) -> tuple[float, float]:
    """(rows per example, tokens per row) from mean characters; special pieces are 2 of a single text and 4 of a pair."""
    pieces = np.asarray(characters, float) / PIECE
    if row.kind == "span":
        from .kinds.span import QUESTION_LENGTH, windows

        around = min(pieces[1], QUESTION_LENGTH) + 4
        cut = windows(round(pieces[0]), int(length - around), length)
        return float(len(cut)), float(np.mean([b - a for a, b in cut]) + around)
    if row.kind == "dual":
        sides = [min(pieces[0] + 2, 96, length), min(pieces[1] + 4, length)]
        return 2.0, float(np.mean(sides))
    if row.kind == "bitext":
        return 2.0, float(min(pieces[0] + 2, length))
    special = 2 if row.kind in ("tag", "caption") else 4
    return float(choices), float(min(pieces[0] + special, length))


def _characters(name: str, example: dict) -> tuple[float, ...]:
    """Characters of one example, as in :data:`CHARACTERS`."""
    if name == "tag":
        return (len(" ".join(example["tokens"])),)
    if name == "span":
        return len(example["context"]), len(example["question"])
    if name == "caption":
        return (len(example["text"]),)
    if name == "choose":
        return (len(example["prompt"]) + float(np.mean([len(c) for c in example["choices"]])),)
    if name == "dual":
        return len(example.get("first", "")), len(example.get("second", "")) + len(example.get("context") or "")
    return (len(example["first"]) + len(example.get("second") or ""),)
