"""Exact search against a full sort, and against FAISS where it is installed; its memory, measured."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xitt import search
from xitt.errors import DataError
from xitt.search import above, both_ways, nearest, paired, rank
from xitt.vectors import Vectors

few = settings(max_examples=100, deadline=None, derandomize=True, database=None)
sizes = st.integers(1, 40)
blocks = st.sampled_from([None, 1, 2, 3, 7, 16, 64])
#: bytes; the smallest blocks, panels of a few rows, everything at once
budgets = st.sampled_from([1, 3000, 20_000, 2**30])


def unit(seed: int, rows: int, width: int = 8) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def whole(seed: int, rows: int, width: int = 4) -> np.ndarray:
    """Whole numbers: scores are exact in any order of summation, and many are equal."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, width)).astype(np.float32)


def sorted_rows(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def stored(x: np.ndarray, how: str, folder):
    """A set of vectors in one of the forms that a search reads."""
    if how == "float32":
        return x
    if how == "chosen":
        order = np.random.default_rng(0).permutation(len(x))
        return Vectors(x[order])[np.argsort(order)]
    if how == "strided":
        return np.repeat(x, 2, axis=1)[:, ::2]
    file = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(file, x.astype(how.removeprefix("mapped ")))
    return np.load(file, mmap_mode="r")


# --- both directions -----------------------------------------------------------------------------------------------
@few
@given(st.integers(0, 10**6), sizes, sizes, st.integers(1, 45), blocks, budgets)
def test_both_directions_are_full_sorts(seed, n, m, k, block, memory):
    """Equal scores by row number in both, more neighbours asked for than there are, blocks that do not divide anything."""
    first, second = whole(seed, n), whole(seed + 1, m)
    scores = first @ second.T
    found = both_ways(first, second, k, memory=memory, block=block)
    for (values, rows), exact in zip(found, (scores, scores.T), strict=True):
        order = sorted_rows(exact, k)
        np.testing.assert_array_equal(rows, order)
        np.testing.assert_array_equal(values, np.take_along_axis(exact, order, 1))
        assert values.dtype == np.float32
        assert rows.dtype == np.int64


@few
@given(st.integers(0, 10**6), sizes, sizes, st.integers(1, 5), blocks, budgets)
def test_one_direction_is_the_same(seed, n, m, k, block, memory):
    first, second = whole(seed, n), whole(seed + 1, m)
    one, (both, _) = nearest(first, second, k, block, memory=memory), both_ways(first, second, k)
    np.testing.assert_array_equal(one.rows, both.rows)
    np.testing.assert_array_equal(one.scores, both.scores)


@pytest.mark.parametrize("how", ["chosen", "strided", "mapped float16", "mapped float32"])
@pytest.mark.parametrize("memory", [1, 20_000, 2**30])
def test_where_the_vectors_lie_does_not_matter(how, memory, tmp_path):
    first, second = whole(0, 150), whole(1, 90)
    expected = both_ways(first, second, 4)
    found = both_ways(stored(first, how, tmp_path), stored(second, how, tmp_path), 4, memory=memory)
    for (values, rows), (scores, order) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(rows, order)
        np.testing.assert_array_equal(values, scores)


@few
@given(st.integers(0, 10**6), st.integers(30, 120), st.integers(30, 120), blocks)
def test_scores_that_rise_all_the_way(seed, n, m, block):
    """The worst order: each block beats what was found before it."""
    first, second = np.abs(unit(seed, n)), np.abs(unit(seed + 1, m))
    first, second = (
        x[np.argsort(x.sum(axis=1))] * np.linspace(1, 2, len(x), dtype=np.float32)[:, None] for x in (first, second)
    )
    scores = first @ second.T
    (values, _), (back, _) = both_ways(first, second, 3, block=block)
    np.testing.assert_allclose(values, -np.sort(-scores, axis=1)[:, :3], rtol=1e-5)
    np.testing.assert_allclose(back, -np.sort(-scores.T, axis=1)[:, :3], rtol=1e-5)


def test_duplicates_come_by_row_number():
    """Sentences that stand many times, as in real corpora; in blocks of one shape their scores are equal to the last bit."""
    index = np.repeat(unit(0, 5), 40, axis=0)
    scores, rows = nearest(unit(0, 5), index, 6, 20)
    assert rows.tolist() == [[40 * i + j for j in range(6)] for i in range(5)]
    np.testing.assert_allclose(scores, 1, rtol=1e-5)


def test_other_number_types_are_read_as_float32():
    x = whole(3, 20)
    np.testing.assert_array_equal(nearest(x.astype(np.float64), x.astype(np.int8), 3).rows, nearest(x, x, 3).rows)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((0, 4), np.float32), unit(0, 3, 4), "a set of vectors is empty"),
        (unit(0, 3, 4), np.zeros((0, 4), np.float32), "a set of vectors is empty"),
        (unit(0, 3, 4), unit(0, 3, 5), "width 4 and 5"),
        (unit(0, 3, 4), unit(0, 3, 4)[0], r"shape \(4,\)"),
    ],
)
@pytest.mark.parametrize("ask", [lambda a, b: both_ways(a, b, 2), lambda a, b: nearest(a, b, 2)])
def test_what_cannot_be_searched(ask, first, second, message):
    with pytest.raises(DataError, match=message):
        ask(first, second)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("memory", [1, 2**30])
def test_values_that_are_no_numbers_are_found(value, memory):
    """They would hide the rows that share a block with them."""
    first, second = unit(0, 50), unit(1, 50)
    first[37, 2] = value
    for vectors in (first, Vectors(first.astype(np.float16))):
        with pytest.raises(DataError, match="row 37 "):
            both_ways(vectors, second, 2, memory=memory)


def test_scores_are_float32_whatever_the_program_has_set():
    import torch

    first, second = unit(0, 64, 256), unit(1, 64, 256)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        scores = nearest(first, second, 1).scores
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    exact = (first.astype(np.float64) @ second.T.astype(np.float64)).max(axis=1)
    np.testing.assert_allclose(scores[:, 0], exact, atol=1e-6)


# --- places --------------------------------------------------------------------------------------------------------
@few
@given(st.integers(0, 10**6), sizes, sizes, st.integers(1, 25), budgets, st.sampled_from(["float32", "chosen"]))
def test_ranks_are_those_of_a_sorted_list(seed, n, m, k, memory, how):
    rng = np.random.default_rng(seed)
    queries, index = whole(seed, n), whole(seed + 1, m)
    gold = [rng.choice(m, rng.integers(1, m + 1), replace=False).tolist() for _ in range(n)]
    scores, rows, places = rank(queries, stored(index, how, None), gold, k, memory)
    order = sorted_rows(queries @ index.T, m)
    np.testing.assert_array_equal(rows, order[:, :k])
    np.testing.assert_array_equal(scores, np.take_along_axis(queries @ index.T, order[:, :k], 1))
    assert places.tolist() == [
        1 + min(o.tolist().index(g) for g in right) for o, right in zip(order, gold, strict=True)
    ]


def test_the_rank_and_the_neighbours_agree():
    """Scores of a row come from one product: its own place is where it stands among the nearest."""
    queries, index = unit(0, 200, 64), np.repeat(unit(1, 150, 64), 2, axis=0)
    gold = [[int(i)] for i in np.random.default_rng(0).integers(0, 300, 200)]
    _, rows, places = rank(queries, index, gold, 300, memory=40_000)
    assert places.tolist() == [1 + r.tolist().index(g[0]) for r, g in zip(rows, gold, strict=True)]


def test_a_query_without_a_right_row():
    with pytest.raises(DataError, match="query 1 has no right row"):
        rank(unit(0, 2), unit(1, 3), [[0], []], 1)


@few
@given(st.integers(0, 10**6), sizes, sizes, budgets)
def test_rows_above_a_bound_are_counted(seed, n, m, memory):
    queries, index, bound = whole(seed, n), whole(seed + 1, m), np.random.default_rng(seed).integers(-4, 5, n)
    count = above(queries, index, bound, memory=memory)
    assert count.tolist() == (queries @ index.T > bound[:, None]).sum(axis=1).tolist()


def test_scores_of_pairs(tmp_path):
    first, second = whole(0, 2500), whole(1, 2500)
    expected = (first * second).sum(axis=1)
    np.testing.assert_array_equal(paired(first, second), expected)
    np.testing.assert_array_equal(paired(Vectors(first.astype(np.float16)), second), expected)


# --- against others ------------------------------------------------------------------------------------------------
def test_neighbours_are_those_of_faiss():
    faiss = pytest.importorskip("faiss", reason="FAISS is not installed (pip install 'xitt[test]')")
    first, second = unit(0, 3000, 96), unit(1, 2500, 96)
    for (scores, rows), queries, base in zip(
        both_ways(first, second, 4), (first, second), (second, first), strict=True
    ):
        index = faiss.IndexFlatIP(base.shape[1])
        index.add(base)
        theirs, places = index.search(queries, 4)
        np.testing.assert_allclose(scores, theirs, atol=1e-6)
        swapped = rows != places  # scores that are equal but for rounding
        np.testing.assert_allclose(
            (queries[swapped.nonzero()[0]] * base[places[swapped]]).sum(axis=1), scores[swapped], atol=1e-6
        )
        assert swapped.mean() < 0.001


MEASURED = """
import json, resource, sys, threading, time
import numpy as np, torch
from xitt.search import both_ways
torch.set_num_threads(1)
rows, width, memory, half = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
def made(name):
    x = rng.standard_normal((rows, width), dtype=np.float32)
    if not half:
        return x
    np.save(name, x.astype(np.float16))
    return np.load(name, mmap_mode="r")
sets = [made(f"{sys.argv[2]}/{i}.npy") for i in range(2)]
both_ways(rng.standard_normal((64, width), dtype=np.float32), rng.standard_normal((64, width), dtype=np.float32), 4)
def anonymous():
    # without pages of files: those of mapped inputs are the system's to drop
    return sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon:")) * 1024
before, most, done = anonymous(), 0, threading.Event()
def watch():
    global most
    while not done.wait(0.002):
        most = max(most, anonymous())
watcher = threading.Thread(target=watch); watcher.start()
found = both_ways(*sets, 4, memory=memory)
done.set(); watcher.join()
print(json.dumps([most - before, sum(x.nbytes for pair in found for x in pair)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("half", [False, True])
def test_memory_is_bounded_by_the_budget(half, tmp_path):
    """Peak beside inputs and result, sampled in a process of its own: under the budget, and no more at four times the work."""
    budget, held = 16 * 2**20, []
    for rows in (6000, 12_000):
        arguments = [sys.executable, "-c", MEASURED, json.dumps([rows, 256, budget, half]), str(tmp_path)]
        peak, result = json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)
        held.append(peak - result)
    assert max(held) < budget + 4 * 2**20, "and what the libraries keep for themselves"
    assert max(held) > 2**20, "the search was seen at work"
    assert held[1] - held[0] < 4 * 2**20


@pytest.mark.gpu
def test_a_gpu_finds_the_same(tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    first, second = unit(0, 9000, 64), unit(1, 8500, 64)
    torch.set_float32_matmul_precision("high")
    try:
        for sets in ((first, second), [stored(x, "mapped float16", tmp_path) for x in (first, second)]):
            expected, found = both_ways(*sets, 4), both_ways(*sets, 4, device="cuda", memory=64 * 2**20)
            for (values, rows), (scores, order) in zip(found, expected, strict=True):
                np.testing.assert_allclose(values, scores, atol=1e-6)
                assert (rows != order).mean() < 0.001
    finally:
        torch.set_float32_matmul_precision("highest")
    q, index = whole(0, 50), whole(1, 3000)
    gold = [[i] for i in range(50)]
    for ours, theirs in zip(rank(q, index, gold, 20, 10**6, "cuda"), rank(q, index, gold, 20), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert above(q, index, np.ones(50), device="cuda").tolist() == above(q, index, np.ones(50)).tolist()


def test_blocks_grow_with_the_threads():
    import torch

    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 4, 16):
            torch.set_num_threads(threads)
            found.append(search._side("cpu"))
    finally:
        torch.set_num_threads(before)
    assert found == [1008, 1008, 2016]
    assert search._side("cuda:1") == search.SIDE["cuda"]
