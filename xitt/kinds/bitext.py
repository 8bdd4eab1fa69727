"""Sentence retrieval and mining between a language and English, without training.

Fields: retrieval has ``first`` (foreign) and ``second`` (English) per row, translations of each other; mining has one example with
``first`` and ``second`` as lists of (id, text) and ``gold`` as a list of id pairs. Predictions: ``gold`` and ``prediction`` are ids
(empty where there is none), ``rank`` the place of the gold sentence, ``scores`` the cosine or margin; ``candidate`` the mined
partner before the threshold, ``strict`` the one above the threshold that a sample set gave (protocol *strict*).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..retrieval import best_threshold, mine
from ..search import MEMORY, above, nearest, paired
from ..vectors import Vectors
from .base import Kind, overlap, words_of


class Bitext(Kind):
    """Turns sentence vectors into predictions; vectors come from ``xitt.retrieval``."""

    name = "bitext"
    auto_class = "AutoModel"

    def texts(self, examples: list[dict]) -> tuple[list[str], list[str]]:
        """Foreign and English texts of a split."""
        if _is_mining(examples):
            return [t for _, t in examples[0]["first"]], [t for _, t in examples[0]["second"]]
        return [e["first"] for e in examples], [e["second"] for e in examples]

    def predict(
        self,
        examples: list[dict],
        first: np.ndarray | Vectors,
        second: np.ndarray | Vectors,
        neighbours: int,
        threshold: float | None,
        strict: float | None = None,
        memory: int = MEMORY,
        device: str = "cpu",
    ):
        """Predictions frame from vectors of the foreign and the English texts.

        ``threshold`` is for mining: keep pairs at or above that margin; ``None`` takes the one that is best on this very gold
        (as published: paper_facts 2.5). ``strict`` is the threshold of the column of that name, by default the same.
        ``memory`` and ``device`` are of the search (``xitt.search.both_ways``).
        """
        if _is_mining(examples):
            return _mined(examples[0], first, second, neighbours, memory, device, threshold, strict)
        return _retrieved(examples, first, second, memory, device)

    def threshold(
        self, examples: list[dict], first: np.ndarray | Vectors, second: np.ndarray | Vectors, neighbours: int,
        memory: int = MEMORY, device: str = "cpu",
    ) -> float:  # fmt: skip
        """The margin that is best on a sample set."""
        return _mined(examples[0], first, second, neighbours, memory, device, None).attrs["threshold"]

    def baselines(self, train, test, labels):
        if _is_mining(test):
            gold = dict(test[0]["gold"])
            # nothing better than chance mines no pair; sharing words is the only clue without an encoder
            texts = {side: dict(test[0][side]) for side in ("first", "second")}
            return {"overlap": _frame(gold, _overlap_pairs(texts["first"], texts["second"]), 0.5)}
        rng = np.random.default_rng(0)
        order = [str(i) for i in rng.integers(len(test), size=len(test))]
        by_words = _most_overlap([e["second"] for e in test], [e["first"] for e in test[:400]]).astype(str)
        gold = [str(i) for i in range(len(test))]
        ids = [e["id"] for e in test]
        return {
            "uniform": pd.DataFrame({"id": ids, "gold": gold, "prediction": order}),
            "overlap": pd.DataFrame({"id": ids, "gold": gold, "prediction": by_words}),
        }


def _is_mining(examples: list[dict]) -> bool:
    return "gold" in examples[0]


def _retrieved(examples: list[dict], first, second, memory: int, device: str) -> pd.DataFrame:
    """English asks, the other language answers; equal sentences count as one (paper_facts 2.5)."""
    scores, rows = nearest(second, first, 1, memory=memory, device=device)
    rank = 1 + above(second, first, paired(first, second) + np.float32(1e-6), memory=memory, device=device)
    texts = [e["first"] for e in examples]
    same = [i if texts[i] == texts[r] else r for i, r in enumerate(rows[:, 0])]
    return pd.DataFrame({
        "id": [e["id"] for e in examples], "gold": [str(i) for i in range(len(examples))], "prediction": [str(r) for r in same],
        "rank": rank, "scores": [[s] for s in scores[:, 0]],
    })  # fmt: skip


def _mined(
    example: dict, first, second, neighbours: int, memory: int, device: str, threshold: float | None, strict: float | None = None
) -> pd.DataFrame:  # fmt: skip
    ids_first, rows_first = _unique(example["first"])
    ids_second, rows_second = _unique(example["second"])
    gold, sides = dict(example["gold"]), (Vectors.of(first)[rows_first], Vectors.of(second)[rows_second])
    pairs = mine(*sides, neighbours, memory=memory, device=device)
    candidates: dict[str, tuple[str, float]] = {}
    for a, b, margin in pairs:
        for i in ids_first[a]:  # ids of equal sentences cannot be told apart: any of them is as right as the gold one
            candidates[i] = (gold[i] if gold.get(i) in ids_second[b] else ids_second[b][0], margin)
    if threshold is None:
        ordered = sorted(candidates.items(), key=lambda item: -item[1][1])
        right = np.array([gold.get(i) == c for i, (c, _) in ordered])
        threshold = best_threshold(np.array([m for _, (_, m) in ordered]), right, len(gold))
    return _frame(gold, candidates, threshold, strict)


def _frame(
    gold: dict[str, str], candidates: dict[str, tuple[str, float]], threshold: float, strict: float | None = None
) -> pd.DataFrame:
    """One row per foreign sentence that has a gold or a mined partner."""
    strict = threshold if strict is None else strict
    ids = list(dict.fromkeys((*gold, *candidates)))
    found = [candidates.get(i, ("", -np.inf)) for i in ids]
    frame = pd.DataFrame({
        "id": ids, "gold": [gold.get(i, "") for i in ids],
        "prediction": [c if m >= threshold else "" for c, m in found], "candidate": [c for c, _ in found],
        "scores": [[m] if np.isfinite(m) else [] for _, m in found], "strict": [c if m >= strict else "" for c, m in found],
    })  # fmt: skip
    frame.attrs["threshold"] = float(threshold)
    return frame


def _unique(side: list[tuple[str, str]]) -> tuple[list[list[str]], list[int]]:
    """Ids of each distinct sentence, and the row it first stands in."""
    ids: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for row, (name, text) in enumerate(side):
        ids.setdefault(text, []).append(name)
        rows.setdefault(text, row)
    return list(ids.values()), list(rows.values())


def _most_overlap(texts: list[str], candidates: list[str]) -> np.ndarray:
    """For each text the candidate that shares most of its words, the first of several."""
    from scipy import sparse

    numbers: dict[str, int] = {}

    def words(side: list[str]) -> list[tuple[int, int]]:
        return [(i, numbers.setdefault(w, len(numbers))) for i, t in enumerate(side) for w in words_of(t)]

    first, second = words(texts), words(candidates)
    a, b = (
        sparse.csr_array(
            (np.ones(len(f)), tuple(np.array(f, dtype=int).reshape(-1, 2).T)), shape=(len(side), len(numbers))
        )
        for f, side in ((first, texts), (second, candidates))
    )
    return (a @ b.T).toarray().argmax(axis=1)


def _overlap_pairs(first: dict[str, str], second: dict[str, str], most: int = 400) -> dict[str, tuple[str, float]]:
    """The sentence that shares most words, for the first sentences of a corpus."""
    texts, names = dict(list(first.items())[:most]), list(second)[:most]
    best = [names[i] for i in _most_overlap(list(texts.values()), [second[n] for n in names])]
    return {name: (b, overlap(second[b], text)) for (name, text), b in zip(texts.items(), best, strict=True)}


KIND = Bitext()
