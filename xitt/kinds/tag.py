"""Tagging of words (parts of speech, named entities, supertags).

Fields: ``tokens``, ``tags`` and, where a sentence is to be tokenised as a whole, ``text``: the sentence as written, or its tokens,
which spaces then join. Predictions: ``gold`` and ``prediction`` are tags joined by spaces, ``tags`` the predicted tags as a
list; every gold token is scored.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pandas as pd

from .. import packing
from ..batching import Features, Ragged
from ..errors import DataError
from .base import IGNORE, Kind, token_target

MAX_PIECES = 100  # longer words become <unk> (paper_facts 2.4)


class Tag(Kind):
    """The label stands on the piece that starts a word; long sentences are cut into windows, so that none goes unscored.

    Words are tokenised one by one (UD-POS, PAN-X) or the sentence as a whole (CCG; paper_facts 2.4).
    """

    name = "tag"
    auto_class = "AutoModelForTokenClassification"

    def encode(self, examples, tokenizer, length, labels):
        most = min(MAX_PIECES, length - 2)
        read = _read_whole if examples and "text" in examples[0] else _read_words
        number = {label: i for i, label in enumerate(labels)}
        ids, targets, owner, positions = [], [], [], []
        for i, (example, (words, lead)) in enumerate(zip(examples, read(examples, tokenizer, most), strict=True)):
            for window in _windows(words, length - 2):
                row, target, at = [tokenizer.cls_token_id], [IGNORE], []
                for w in window:
                    at.append(len(row) + lead[w])
                    row += words[w]
                    target += [IGNORE] * len(words[w])
                    target[at[-1]] = number[example["tags"][w]]
                ids.append([*row, tokenizer.sep_token_id])
                targets.append([*target, IGNORE])
                owner.append(i)
                positions.append(at)
        return Features(Ragged.of(ids), np.array(owner), Ragged.of(targets), extra={"first": Ragged.of(positions)})

    def batch(self, features, units, pad, draw=(0,), packed=False):
        """Packed, the words alone have logits and targets: ``at`` is where in the row they start."""
        batch = super().batch(features, units, pad, draw, packed)
        if packed:
            first = features.extra["first"]
            place, count = first.flat(units), first.lengths[units]
            batch["at"] = np.repeat(batch["starts"], count) + place
            batch["target"] = features.target.values[np.repeat(features.target.offsets[units], count) + place].astype(
                np.int64
            )
        return batch

    def target(self, features, units, rows):
        return token_target(features, rows)

    def forward_packed(self, model, batch):
        return model.classifier(model.dropout(packing.encode(model, batch, batch["at"])))

    def outputs(self, logits, batch, features, units):
        best, first = logits.argmax(dim=-1).cpu().numpy(), features.extra["first"]
        if "at" in batch:
            return np.split(best, np.cumsum(first.lengths[units])[:-1])
        return [best[i, first[u]] for i, u in enumerate(units)]

    def decode(self, examples, features, outputs, labels):
        tags: list[list[str]] = [[] for _ in examples]
        for owner, best in zip(features.example, outputs, strict=True):
            tags[owner] += [labels[b] for b in best]
        return _frame(examples, tags)

    def baselines(self, train, test, labels):
        by_word: dict[str, Counter] = defaultdict(Counter)
        for e in train:
            for token, tag in zip(e["tokens"], e["tags"], strict=True):
                by_word[token.lower()][tag] += 1
        overall = sum(by_word.values(), Counter()).most_common(1)[0][0]
        known = {w: c.most_common(1)[0][0] for w, c in by_word.items()}
        rng = np.random.default_rng(0)
        return {
            "uniform": _frame(
                test, [[labels[i] for i in rng.integers(len(labels), size=len(e["tags"]))] for e in test]
            ),
            "majority": _frame(test, [[overall] * len(e["tags"]) for e in test]),
            "majority_per_word": _frame(test, [[known.get(t.lower(), overall) for t in e["tokens"]] for e in test]),
        }


def are_bio(labels: tuple[str, ...]) -> bool:
    """Whether labels are BIO tags: some begin with ``I-``, and each of these has its ``B-``."""
    inside = {x[2:] for x in labels if x.startswith("I-")}
    return bool(inside) and inside <= {x[2:] for x in labels if x.startswith("B-")}


def repair(tags: list[str]) -> list[str]:
    """BIO tags in which every entity begins with ``B-``: an ``I-`` that continues no entity of its type becomes one.

    The entities stay what they are to the metric (``xitt.metrics.chunks``); stored predictions are not repaired, for their
    accuracy would change.
    """
    before = ["O", *tags]
    return [f"B-{t[2:]}" if t.startswith("I-") and b[2:] != t[2:] else t for b, t in zip(before, tags, strict=False)]


def _frame(examples: list[dict], tags: list[list[str]]) -> pd.DataFrame:
    return pd.DataFrame({
        "id": [e["id"] for e in examples], "gold": [" ".join(e["tags"]) for e in examples],
        "prediction": [" ".join(t) for t in tags], "tags": tags,
    })  # fmt: skip


def _read_words(examples: list[dict], tokenizer, most: int):
    """Pieces of each word, tokenised by itself, and which of them starts it: the first."""
    found = tokenizer(
        [e["tokens"] for e in examples], is_split_into_words=True, add_special_tokens=False, verbose=False
    )
    for i, example in enumerate(examples):
        count = len(example["tokens"])
        yield (
            _pieces_by_word(found["input_ids"][i], found.word_ids(i), count, tokenizer.unk_token_id, most),
            [0] * count,
        )


def _read_whole(examples: list[dict], tokenizer, most: int):
    """Pieces of each sentence, shared out to its words by the characters they stand for, and which of them starts the word.

    A piece belongs to the last word that begins before it ends; a bare mark of a space starts none.
    """
    texts = [e["text"] if isinstance(e["text"], str) else " ".join(e["text"]) for e in examples]
    found = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    spaces = set(tokenizer.convert_tokens_to_ids([t for t in ("\u2581", "\u0120") if t in tokenizer.get_vocab()]))
    for i, example in enumerate(examples):
        ends = [end for _, end in found["offset_mapping"][i]]
        starts = word_starts(example["tokens"], texts[i], example["id"])
        owner = np.maximum(np.searchsorted(starts, ends) - 1, 0)
        words = _pieces_by_word(found["input_ids"][i], owner, len(starts), tokenizer.unk_token_id, most)
        yield words, [next((k for k, piece in enumerate(w) if piece not in spaces), 0) for w in words]


def word_starts(tokens: list[str], text: str, name: str) -> list[int]:
    """Character that each word of a text begins at.

    Raises
    ------
    DataError
        If the words are not in the text in this order.
    """
    starts, at = [], 0
    for word, token in enumerate(tokens):
        at = text.find(token, at)
        if at < 0:
            raise DataError(f"sentence {name}: word {word} ({token!r}) is not in its place in {text!r}")
        starts.append(at)
        at += len(token)
    return starts


def _pieces_by_word(ids: list[int], word_ids: list[int | None], words: int, unknown: int, most: int) -> list[list[int]]:
    """Pieces of each word; a word without pieces, or with too many, is ``<unk>``."""
    pieces: list[list[int]] = [[] for _ in range(words)]
    for piece, word in zip(ids, word_ids, strict=True):
        pieces[word].append(piece)
    return [p if 0 < len(p) <= most else [unknown] for p in pieces]


def _windows(words: list[list[int]], room: int) -> list[list[int]]:
    """Consecutive words (as indices) that fit into ``room`` pieces; no word is left out."""
    windows, used = [[]], 0
    for w, pieces in enumerate(words):
        if windows[-1] and used + len(pieces) > room:
            windows.append([])
            used = 0
        windows[-1].append(w)
        used += len(pieces)
    return windows


KIND = Tag()
