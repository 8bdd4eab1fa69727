"""Tagging of words (parts of speech, named entities).

Fields: ``tokens``, ``tags``. Predictions: ``gold`` and ``prediction`` are tags joined by spaces, ``tags`` the predicted
tags as a list; every gold token is scored.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pandas as pd

from ..batching import Features, Ragged
from .base import IGNORE, Kind, token_target

MAX_PIECES = 100  # longer words become <unk> (paper_facts 2.4)


class Tag(Kind):
    """Words are tokenised one by one, the label stands on the first piece; long sentences are cut into windows."""

    name = "tag"
    auto_class = "AutoModelForTokenClassification"

    def encode(self, examples, tokenizer, length, labels):
        pieces = tokenizer(
            [e["tokens"] for e in examples],
            is_split_into_words=True,
            add_special_tokens=False,
            truncation=False,
            verbose=False,
        )
        number = {label: i for i, label in enumerate(labels)}
        ids, targets, owner, positions = [], [], [], []
        for i, example in enumerate(examples):
            words = _pieces_by_word(
                pieces["input_ids"][i],
                pieces.word_ids(i),
                len(example["tokens"]),
                tokenizer.unk_token_id,
                min(MAX_PIECES, length - 2),
            )
            for window in _windows(words, length - 2):
                row, target, at = [tokenizer.cls_token_id], [IGNORE], []
                for w in window:
                    at.append(len(row))
                    row += words[w]
                    target += [number[example["tags"][w]]] + [IGNORE] * (len(words[w]) - 1)
                ids.append([*row, tokenizer.sep_token_id])
                targets.append([*target, IGNORE])
                owner.append(i)
                positions.append(at)
        return Features(Ragged.of(ids), np.array(owner), Ragged.of(targets), extra={"first": Ragged.of(positions)})

    def target(self, features, units, rows):
        return token_target(features, rows)

    def outputs(self, logits, batch, features, units):
        best = logits.argmax(dim=-1).cpu().numpy()
        return [best[i, features.extra["first"][u]] for i, u in enumerate(units)]

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


def _frame(examples: list[dict], tags: list[list[str]]) -> pd.DataFrame:
    return pd.DataFrame({
        "id": [e["id"] for e in examples], "gold": [" ".join(e["tags"]) for e in examples],
        "prediction": [" ".join(t) for t in tags], "tags": tags,
    })  # fmt: skip


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
