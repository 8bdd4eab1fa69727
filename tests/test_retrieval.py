"""Search, mining and thresholds against plain versions of themselves."""

from __future__ import annotations

import contextlib
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from xitt import retrieval, scoring, vectors
from xitt.errors import DataError
from xitt.evaluate import read_predictions
from xitt.retrieval import best_threshold, embed, margins, mine, nearest
from xitt.schema import Retrieval
from xitt.store import read_json
from xitt.vectors import Shelf, Vectors

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


@few
@given(st.integers(0, 10**6), st.sampled_from([1, 3000, 2**30]), st.integers(1, 6))
def test_margins_both_ways_without_the_matrix(seed, memory, k):
    first, second = (np.abs(x) for x in pair(seed))
    found = margins(first, Vectors(second.astype(np.float16)), k, memory=memory)
    cosine = first @ second.astype(np.float16).astype(np.float32).T
    near_first, near_second = -np.sort(-cosine, axis=1)[:, :k].mean(1), -np.sort(-cosine.T, axis=1)[:, :k].mean(1)
    exact = 2 * cosine / (near_first[:, None] + near_second)
    np.testing.assert_allclose(found.forward, np.take_along_axis(exact, found.to_second, 1), rtol=1e-4)
    np.testing.assert_allclose(found.backward, np.take_along_axis(exact.T, found.to_first, 1), rtol=1e-4)
    assert (np.diff(np.take_along_axis(cosine, found.to_second, 1), axis=1) <= 1e-6).all()


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


CPU = SimpleNamespace(name="cpu", cuda=False, eval_batch_tokens=30, autocast=contextlib.nullcontext, attention="auto")
TEXTS = ["5 6 7", "8", " ".join(["9"] * 20), "5 6 7 8 9 10"]
MANY = [
    " ".join(map(str, words))
    for n in (1, 2, 4, 8)
    for words in itertools.islice(itertools.permutations(range(3, 14), n), 11)
]


def encoder(kind: str = "XLMRoberta", layers: int = 2):
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=40, hidden_size=16, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    model = getattr(transformers, f"{kind}Model")(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))  # layers that differ
    return model


def by_hand(model, text: str, layer: int) -> np.ndarray:
    import torch

    with torch.no_grad():
        ids = torch.tensor(Words()([text], True, 12)["input_ids"])
        mean = model(input_ids=ids, output_hidden_states=True).hidden_states[layer][0].mean(0).numpy()
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("layers", [(0, 1, 2), (1,), (0,), (2, 0), (2,)])
@pytest.mark.parametrize("kind", ["XLMRoberta", "Bert", "XLMRobertaXL"])
def test_embedding_is_the_mean_over_tokens_without_padding(kind, layers):
    """Taken by layer while the model computes, or, of another architecture, from all its hidden states."""
    model = encoder(kind)
    found = embed(model, Words(), TEXTS, layers, 12, CPU)
    assert tuple(found) == layers
    for layer, matrix in found.items():
        assert matrix.dtype == np.float32
        for text, vector in zip(TEXTS, matrix, strict=True):
            np.testing.assert_allclose(vector, by_hand(model, text, layer), atol=1e-5)


def test_no_layer_above_the_highest_is_computed():
    model, called = encoder(layers=4), []
    for number, block in enumerate(model.encoder.layer, 1):
        block.register_forward_hook(lambda *_, number=number: called.append(number))
    embed(model, Words(), TEXTS[:1], (0, 2), 12, CPU)
    assert called == [1, 2]
    assert all(len(m._forward_hooks) == 1 and not m._forward_pre_hooks for m in model.encoder.layer), (
        "nothing else is left"
    )


def test_texts_are_tokenised_part_by_part(monkeypatch):
    model = encoder()
    whole = embed(model, Words(), MANY, (2,), 12, CPU)[2]
    monkeypatch.setattr(retrieval, "_TOKENISED", 5)
    np.testing.assert_array_equal(embed(model, Words(), MANY, (2,), 12, CPU)[2], whole)


@pytest.mark.parametrize("memory", [1, 1000, 10**9])
def test_many_vectors_lie_on_disk(memory, tmp_path):
    model = encoder()
    expected = embed(model, Words(), MANY, (0, 2), 12, CPU)
    found = embed(model, Words(), MANY, (0, 2), 12, CPU, memory, tmp_path / "vectors")
    if memory == 10**9:
        assert not (tmp_path / "vectors").exists()
    for layer, matrix in found.items():
        assert matrix.dtype == (np.float32 if memory == 10**9 else np.float16)
        np.testing.assert_allclose(matrix, expected[layer], atol=1e-6 if memory == 10**9 else 5e-4)


def test_a_killed_embedding_goes_on(tmp_path, monkeypatch):
    """What is on disk is not made again, and the end is the same."""
    model, folder, means = encoder(), tmp_path / "vectors", retrieval._pooled
    whole = {k: v.copy() for k, v in embed(model, Words(), MANY, (1, 2), 12, CPU, 1000, tmp_path / "other").items()}
    made = []

    def dies(*a):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(a[2])
        return means(*a)

    monkeypatch.setattr(retrieval, "_pooled", dies)
    with pytest.raises(KeyboardInterrupt):
        embed(model, Words(), MANY, (1, 2), 12, CPU, 1000, folder)
    made.append("goes on")
    found = embed(model, Words(), MANY, (1, 2), 12, CPU, 1000, folder)
    for layer, matrix in found.items():
        np.testing.assert_array_equal(matrix, whole[layer])
    before, after = itertools.chain(*made[:2]), itertools.chain(*made[3:])
    assert [*before, *after] == MANY


@pytest.mark.parametrize(
    "change", [{"texts": MANY[:-1]}, {"texts": MANY[::-1]}, {"layers": (1,)}, {"about": "13 tokens"}]
)
def test_vectors_of_something_else_are_begun_anew(change, tmp_path):
    asked = {"folder": tmp_path / "v", "texts": MANY, "layers": (1, 2), "width": 3, "about": "12 tokens"}
    Shelf(**asked).add(np.ones((2, 5, 3), np.float32))
    assert Shelf(**asked).done == 5
    assert Shelf(**{**asked, **change}).done == 0
    assert Shelf(**asked).done == 0


def test_a_disk_that_is_full_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**4))
    with pytest.raises(DataError, match=r"44 sentences in 25 layers take .* GiB on disk"):
        Shelf(tmp_path / "v", MANY, tuple(range(25)), 1024, "")


def test_parts_of_parts_of_a_matrix():
    x = np.arange(40, dtype=np.float32).reshape(10, 4)
    some = Vectors(x)[[7, 3, 5, 1]]
    np.testing.assert_array_equal(some[[3, 0]].read(0, 9), x[[1, 7]])
    np.testing.assert_array_equal(some.read(1, 3), x[[3, 5]])
    assert len(some) == 4
    assert some.width == 4
    assert np.shares_memory(Vectors(x).read(2, 5), x)
    assert Vectors.of(some) is some


def test_a_study_searches_from_disk(tmp_path, monkeypatch):
    """Vectors above ``retrieval.memory``: half precision, said in the record, nothing left behind, the same cosines but for rounding."""
    tiny.make(tmp_path)
    whole, small = (
        tiny.variant(tmp_path, tmp_path / "outputs", retrieval={"neighbours": k}) for k in (4, 5)
    )  # two runs
    expected = {t: whole.evaluate("none", t) for t in ("tatoeba", "bucc2018")}
    original, asked = retrieval.embed, set()
    monkeypatch.setattr(retrieval, "embed", lambda *a: asked.add(a[6]) or original(*a[:6], 5000, a[7]))
    for target, frame in expected.items():
        found = small.evaluate("none", target)
        assert found["language"].tolist() == frame["language"].tolist()
        places = [scoring.found(study, "none", target, 0) for study in (whole, small)]
        assert [read_json(p / "record.json")["vectors"] for p in places] == ["float32", "float16"]
        scores = [[s[0] if len(s) else np.nan for s in read_predictions(p / "de.parquet")["scores"]] for p in places]
        if target == "tatoeba":
            np.testing.assert_allclose(*scores, atol=2e-3)
    assert not list(tmp_path.rglob("layer-*.npy"))
    assert asked == {2**30}, "what the study says"


@pytest.mark.parametrize(("given", "bytes_"), [("4GiB", 2**32), (2**21, 2**21), ("1.5 GB", 1_500_000_000)])
def test_the_memory_of_a_study(given, bytes_):
    assert Retrieval(memory=given).memory == bytes_


@pytest.mark.parametrize("given", [0, 1000, "lots", True, -(2**30)])
def test_a_memory_that_makes_no_sense(given):
    with pytest.raises(ValueError, match="memory"):
        Retrieval(memory=given)
