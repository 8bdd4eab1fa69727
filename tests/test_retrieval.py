"""Search, mining and thresholds against plain versions of themselves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xitt.retrieval import best_threshold, embed, mine, nearest

few = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def unit(rng: np.random.Generator, rows: int, width: int = 8) -> np.ndarray:
    x = rng.standard_normal((rows, width)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pair(seed: int, shared: int = 30, alone: tuple[int, int] = (12, 7), noise: float = 0.25):
    """Two sides that share some meanings, in different order."""
    rng = np.random.default_rng(seed)
    base = unit(rng, shared)
    sides = []
    for more in alone:
        x = np.concatenate([base + noise * unit(rng, shared), unit(rng, more)])
        sides.append((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))
    return sides[0], sides[1][rng.permutation(len(sides[1]))]


# --- search --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("block", [1, 3, 7, 16, 4096])
@pytest.mark.parametrize("k", [1, 4, 9])
def test_nearest_is_a_full_sort(block, k):
    rng = np.random.default_rng(k)
    queries, index = unit(rng, 23), unit(rng, 31)
    scores, rows = nearest(queries, index, k, block)
    all_scores = queries @ index.T
    order = np.argsort(-all_scores, axis=1)[:, :k]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(scores, np.take_along_axis(all_scores, order, 1), atol=1e-6)


def test_nearest_of_fewer_rows_than_asked_for():
    rng = np.random.default_rng(0)
    scores, rows = nearest(unit(rng, 5), unit(rng, 3), 4, block=2)
    assert scores.shape == (5, 3)
    assert all(sorted(r) == [0, 1, 2] for r in rows.tolist())
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("block", [5, 4096])
def test_equal_scores_come_by_row_number(block):
    """Scores that are whole numbers, so that they are equal to the last bit."""
    rng = np.random.default_rng(1)
    queries, index = (rng.integers(0, 2, (n, 3)).astype(np.float32) for n in (9, 60))
    scores, rows = nearest(queries, index, 6, block)
    order = np.argsort(-(queries @ index.T), axis=1, kind="stable")[:, :6]
    np.testing.assert_array_equal(scores, np.take_along_axis(queries @ index.T, order, 1))
    np.testing.assert_array_equal(rows, order)


# --- mining --------------------------------------------------------------------------------------------------------
def plain_mine(first, second, k):
    """Ratio margin, both directions, greedy one-to-one; loops only."""
    cosine = first @ second.T
    near_first = [sorted(row, reverse=True)[:k] for row in cosine]
    near_second = [sorted(row, reverse=True)[:k] for row in cosine.T]

    def margin(i, j):
        return cosine[i, j] / (np.mean(near_first[i]) / 2 + np.mean(near_second[j]) / 2)

    candidates = set()
    for i in range(len(first)):
        among = np.argsort(-cosine[i])[:k]
        candidates.add((i, int(max(among, key=lambda j: margin(i, j)))))
    for j in range(len(second)):
        among = np.argsort(-cosine[:, j])[:k]
        candidates.add((int(max(among, key=lambda i: margin(i, j))), j))
    out = []
    for i, j in sorted(candidates, key=lambda p: -margin(*p)):
        if all(i != a and j != b for a, b, _ in out):
            out.append((i, j, margin(i, j)))
    return out


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [2, 4])
def test_mining_as_written_in_the_paper(seed, k):
    first, second = pair(seed)
    mined, plain = mine(first, second, k), plain_mine(first, second, k)
    assert [(a, b) for a, b, _ in mined] == [(a, b) for a, b, _ in plain]
    np.testing.assert_allclose([m for *_, m in mined], [m for *_, m in plain], rtol=1e-4)


def test_mined_pairs_are_one_to_one_best_first():
    mined = mine(*pair(9))
    assert len({a for a, *_ in mined}) == len({b for _, b, _ in mined}) == len(mined)
    margins = [m for *_, m in mined]
    assert margins == sorted(margins, reverse=True)


def test_mining_is_symmetric():
    first, second = pair(4)
    forth, back = mine(first, second), mine(second, first)
    assert {(a, b) for a, b, _ in forth} == {(a, b) for b, a, _ in back}


def test_mining_finds_what_was_hidden():
    rng = np.random.default_rng(0)
    base = unit(rng, 20, 32)
    order = rng.permutation(20)
    mined = mine(base, base[order])
    assert {(a, b) for a, b, _ in mined} == {(int(order[b]), b) for b in range(20)}


# --- thresholds ----------------------------------------------------------------------------------------------------
def f1(margins, right, gold, threshold) -> float:
    kept = margins >= threshold
    return 2 * (right & kept).sum() / (kept.sum() + gold)


pairs = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=14)


@few
@given(pairs, st.integers(0, 5))
def test_no_threshold_is_better(content, unfound):
    """Equal margins among them: sentences that stand twice have them."""
    content = sorted(content, key=lambda p: -p[0])
    margins, right = np.array([m / 4 for m, _ in content]), np.array([r for _, r in content])
    gold = int(right.sum()) + unfound
    threshold = best_threshold(margins, right, gold)
    if not right.any():
        assert threshold == float("inf")
        return
    best = max(f1(margins, right, gold, t) for t in margins)
    assert f1(margins, right, gold, threshold) == pytest.approx(best)


def test_the_threshold_lies_midway():
    right = np.array([True, True, False, False])
    assert best_threshold(np.array([1.5, 1.25, 1.0, 0.5]), right, 2) == pytest.approx(1.125)
    assert best_threshold(np.array([1.5, 1.25]), np.array([True, True]), 2) == pytest.approx(1.25), "the last pair"
    assert best_threshold(np.array([1.0]), np.array([False]), 3) == float("inf")


# --- embedding -----------------------------------------------------------------------------------------------------
class Words:
    """A tokenizer of words that are numbers."""

    pad_token_id = 1

    def __call__(self, texts, truncation, max_length):
        return {"input_ids": [[*[0, *map(int, t.split())][: max_length - 1], 2] for t in texts]}


def test_embedding_is_the_mean_over_tokens_without_padding():
    import contextlib

    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    model = XLMRobertaModel(
        XLMRobertaConfig(
            vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=40, pad_token_id=1,
        )
    ).eval()  # fmt: skip
    texts = ["5 6 7", "8", " ".join(["9"] * 20), "5 6 7 8 9 10"]
    device = SimpleNamespace(name="cpu", eval_batch_tokens=30, autocast=contextlib.nullcontext)
    vectors = embed(model, Words(), texts, (0, 2), 12, device)
    assert set(vectors) == {0, 2}
    for i, ids in enumerate(Words()(texts, True, 12)["input_ids"]):
        with torch.no_grad():
            hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        for layer, matrix in vectors.items():
            mean = hidden[layer][0].mean(0).numpy()
            np.testing.assert_allclose(matrix[i], mean / np.linalg.norm(mean), atol=1e-5)
