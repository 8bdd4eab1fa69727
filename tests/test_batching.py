"""Batches: everything once, nothing over the budget, no better cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xitt.batching import EpochOrder, Features, Ragged, TokenOrder, generator, micro_batches, stream, torch_seed
from xitt.errors import ParameterError

few = settings(max_examples=120, deadline=None, derandomize=True, database=None)
rows = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8)


# --- ragged --------------------------------------------------------------------------------------------------------
@few
@given(rows)
def test_ragged_holds_its_rows(content):
    ragged = Ragged.of(content)
    assert len(ragged) == len(content)
    assert [ragged[i].tolist() for i in range(len(ragged))] == content
    assert ragged.lengths.tolist() == [len(r) for r in content]
    assert ragged.values.dtype == np.int32


@few
@given(rows.filter(bool), st.data())
def test_padded_rows_in_the_order_asked_for(content, data):
    chosen = data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6))
    matrix = Ragged.of(content).padded(np.array(chosen), -7)
    longest = max(1, *(len(content[i]) for i in chosen), 1)
    assert matrix.tolist() == [content[i] + [-7] * (longest - len(content[i])) for i in chosen]


def test_features_in_groups():
    features = Features(Ragged.of([[1], [1, 2], [1], [1], [1, 2, 3], [1]]), np.repeat([0, 1], 3), group=3)
    assert features.units == 2
    assert features.unit_lengths.tolist() == [2, 3]
    assert features.rows(np.array([1, 0])).tolist() == [3, 4, 5, 0, 1, 2]
    empty = Features(Ragged.of([]), np.zeros(0, int))
    assert (empty.units, empty.unit_lengths.tolist()) == (0, [])


# --- micro-batches -------------------------------------------------------------------------------------------------
def partitions(items: list[int]):
    """All ways to put items into non-empty sets."""
    if not items:
        yield []
        return
    head, *tail = items
    for rest in partitions(tail):
        yield [[head], *rest]
        for i in range(len(rest)):
            yield [*rest[:i], [head, *rest[i]], *rest[i + 1 :]]


def padded(part, lengths, group) -> int:
    return int(max(lengths[i] for i in part)) * len(part) * group


def cost(parts, lengths, group, overhead) -> int:
    return sum(padded(p, lengths, group) + overhead for p in parts)


def allowed(parts, lengths, group, budget) -> bool:
    return all(len(p) == 1 or padded(p, lengths, group) <= budget for p in parts)


@few
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 3), st.integers(1, 150), st.integers(0, 40)
)  # fmt: skip
def test_no_partition_is_cheaper(lengths, group, budget, overhead):
    lengths = np.array(lengths)
    found = micro_batches(lengths, group, budget, overhead)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    assert allowed(found, lengths, group, budget)
    best = min(
        cost(parts, lengths, group, overhead)
        for parts in partitions(list(range(len(lengths))))
        if allowed(parts, lengths, group, budget)
    )
    assert cost(found, lengths, group, overhead) == best


@few
@given(st.lists(st.integers(1, 300), min_size=1, max_size=64), st.integers(1, 4), st.integers(1, 2000))
def test_micro_batches_are_a_partition_longest_first(lengths, group, budget):
    lengths = np.array(lengths)
    found = micro_batches(lengths, group, budget, 50)
    together = np.concatenate(found)
    assert sorted(together.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[together]) <= 0).all()
    assert allowed(found, lengths, group, budget)


def test_micro_batches_by_hand():
    lengths = np.array([10, 100, 11, 99])
    assert [m.tolist() for m in micro_batches(lengths, 1, 10_000, 5)] == [[1, 3], [2, 0]]
    assert [m.tolist() for m in micro_batches(lengths, 1, 10_000, 1000)] == [[1, 3, 2, 0]]
    assert [m.tolist() for m in micro_batches(lengths, 1, 50, 5)] == [[1], [3], [2, 0]]
    assert micro_batches(np.array([], int), 1, 10, 1) == []


# --- stream --------------------------------------------------------------------------------------------------------
@few
@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 4), st.integers(1, 1000))
def test_the_stream_covers_all_within_the_budget(lengths, group, budget):
    lengths = np.array(lengths, int)
    found = stream(lengths, group, budget)
    together = [i for b in found for i in b.tolist()]
    assert sorted(together) == list(range(len(lengths)))
    assert (np.diff(lengths[together]) <= 0).all()
    assert allowed(found, lengths, group, budget)


def test_the_stream_fills_its_budget():
    assert [len(b) for b in stream(np.full(10, 5), 1, 20)] == [4, 4, 2]
    assert [len(b) for b in stream(np.full(10, 5), 2, 20)] == [2] * 5


# --- random streams ------------------------------------------------------------------------------------------------
def test_random_numbers_by_seed_and_purpose():
    first = generator(0, "order").random(4)
    np.testing.assert_array_equal(first, generator(0, "order").random(4))
    for other in (generator(1, "order"), generator(0, "init"), generator(0, "order 1")):
        assert not np.array_equal(first, other.random(4))
    seeds = {torch_seed(s, p) for s in range(5) for p in ("init", "dropout", "head")}
    assert len(seeds) == 15
    assert all(0 <= s < 2**62 for s in seeds)


# --- epochs --------------------------------------------------------------------------------------------------------
@few
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 5))
def test_every_epoch_holds_every_example_once(units, batch, seed):
    order = EpochOrder(units, batch, 1000, seed)
    for epoch in range(3):
        batches = [order[epoch * order.per_epoch + i] for i in range(order.per_epoch)]
        assert all(0 < len(b) <= batch for b in batches)
        assert all(len(b) == min(batch, units) for b in batches[:-1])
        assert sorted(np.concatenate(batches).tolist()) == list(range(units))


def test_the_order_is_the_same_from_any_place():
    """What a resumed run sees is what it would have seen."""
    order = EpochOrder(23, 4, 100, seed=3)
    forward = [order[i].tolist() for i in range(40)]
    backward = {i: order[i].tolist() for i in reversed(range(40))}
    assert forward == [backward[i] for i in range(40)]
    assert EpochOrder(23, 4, 100, seed=3)[31].tolist() == forward[31]


def test_epochs_and_seeds_have_orders_of_their_own():
    order = EpochOrder(50, 50, 10, seed=0)
    orders = {tuple(order[e].tolist()) for e in range(4)} | {tuple(EpochOrder(50, 50, 10, seed=1)[0].tolist())}
    assert len(orders) == 5
    assert tuple(range(50)) not in orders


# --- token budgets -------------------------------------------------------------------------------------------------
LENGTHS = np.random.default_rng(0).integers(3, 60, 3000)
GROUP = np.repeat([0, 1, 2], [2000, 900, 100])
WEIGHT = np.array([0.5, 0.3, 0.2])


def token_order(seed: int = 0, tokens: int = 1000, total: int = 200_000) -> TokenOrder:
    return TokenOrder(LENGTHS, GROUP, WEIGHT, tokens, total, seed)


def test_token_batches_keep_their_budget():
    order = token_order()
    assert order.steps == len(order.batches)
    for i in range(order.steps):
        assert padded(order[i], LENGTHS, 1) <= 1000
    real = sum(int(LENGTHS[order[i]].sum()) for i in range(order.steps))
    assert real == pytest.approx(200_000, rel=0.03)
    assert real / (1000 * order.steps) > 0.9, "little padding, few short batches"


def test_a_row_over_the_budget_has_a_batch_of_its_own():
    order = TokenOrder(np.array([500, 10, 10]), np.zeros(3, int), np.ones(1), 100, 5000, 0)
    assert all(len(b) == 1 for b in order.batches if 0 in b)
    assert any(0 in b for b in order.batches)


def test_groups_are_drawn_by_weight_and_rows_evenly():
    drawn = np.concatenate(token_order(total=1_000_000).batches)
    shares = np.bincount(GROUP[drawn], minlength=3) / len(drawn)
    np.testing.assert_allclose(shares, WEIGHT, atol=0.015)
    for g in range(3):
        times = np.bincount(drawn, minlength=len(GROUP))[g == GROUP]
        assert times.max() - times.min() <= 1


def test_short_and_long_batches_are_mixed():
    widths = [LENGTHS[b].max() for b in token_order().batches]
    assert np.abs(np.corrcoef(np.arange(len(widths)), widths)[0, 1]) < 0.25


def test_token_orders_repeat_themselves():
    first, again, other = token_order(1), token_order(1), token_order(2)
    assert [b.tolist() for b in first.batches] == [b.tolist() for b in again.batches]
    assert [b.tolist() for b in first.batches] != [b.tolist() for b in other.batches]


def test_an_empty_collection_is_refused():
    with pytest.raises(ParameterError, match="empty"):
        TokenOrder(np.array([3, 4]), np.array([0, 0]), np.array([0.5, 0.5]), 100, 1000, 0)
