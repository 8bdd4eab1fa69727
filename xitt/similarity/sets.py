"""Similarity of training sets by themselves: their size, kind of task, and words.

Words are counted as pieces of the study's tokenizer, as the encoder reads them, over whole training sets. A recipe of several tasks is
all their training sets together.
"""

from __future__ import annotations

import numpy as np

from .. import phases
from .names import Undefined


def size(bench, recipe: str, target: str, seed: int) -> float:
    """log10 of the number of training examples of the intermediate task (the baseline DataSize of Vu et al. 2020).

    It says the same of every target.
    """
    return float(np.log10(sum(len(s) for _, s in bench.source(recipe))))


def kind(bench, recipe: str, target: str, seed: int) -> float:
    """Share of the intermediate training examples whose task is of the kind that the target is trained as (0–1).

    Mining and sentence retrieval are trained as nothing, so that no intermediate task is of their kind.
    """
    study = bench.study
    row = study.tasks[target]
    wanted = study.tasks[row.train].kind if row.train else row.kind
    parts = [(study.tasks[t].kind == wanted, len(s)) for t, s in bench.source(recipe)]
    return float(sum(n for same, n in parts if same) / sum(n for _, n in parts))


def vocabulary(bench, recipe: str, target: str, seed: int) -> float:
    """Share of the pieces that occur in the target's training set which occur in the intermediate one too (0–1).

    The target vocabulary covered of Dai et al. 2019 (section on similarity measures), there counted in content words.
    """
    return covered(bench.counts(bench.source(recipe), recipe), bench.target_counts(target))


def terms(bench, recipe: str, target: str, seed: int) -> float:
    """1 minus the Jensen–Shannon divergence (base 2) of the frequencies of pieces (0–1).

    As Plank and van Noord 2011 and Ruder and Plank 2017 compare training data.
    """
    return 1 - divergence(bench.counts(bench.source(recipe), recipe), bench.target_counts(target))


# --- formulas --------------------------------------------------------------------------------------------------------
def covered(source: np.ndarray, target: np.ndarray) -> float:
    """Share of the target's pieces that the source has, from counts by piece (vocabulary,)."""
    if not target.any():
        raise Undefined("the target has no text")
    return float(((source > 0) & (target > 0)).sum() / (target > 0).sum())


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Jensen–Shannon divergence in bits of two distributions given as counts (vocabulary,)."""
    from scipy.special import rel_entr

    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    return float((rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2 / np.log(2))


def counts(ids: list, vocabulary: int) -> np.ndarray:
    """How often each piece occurs in some sets of token ids (vocabulary,)."""
    return sum((np.bincount(x.values, minlength=vocabulary) for x in ids), np.zeros(vocabulary, np.int64))


def source(study, recipe: str) -> list:
    """Tasks that a recipe is trained on, with their training sets.

    Raises
    ------
    Undefined
        If the recipe is an encoder from elsewhere, whose data are not known.
    """
    tasks = study.tasks_of(recipe)
    if study.is_ready(recipe) or not tasks:
        raise Undefined(f"{recipe} has no training set here")
    return [(t, phases.training_set(study, t, "intermediate", recipe)) for t in tasks]
