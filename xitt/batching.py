"""Encoded examples as flat arrays, and the batches made of them.

The optimizer always sees the recipe's batch; how a batch is cut into micro-batches is a matter of speed only. Rows of
near lengths go together, so that little padding is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .errors import ParameterError


@dataclass(frozen=True)
class Ragged:
    """Rows of different length in one flat array; row ``i`` is ``values[offsets[i]:offsets[i + 1]]``."""

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, rows, dtype=np.int32) -> Ragged:
        lengths = np.fromiter((len(r) for r in rows), np.int64, len(rows))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = np.concatenate([np.asarray(r, dtype) for r in rows]) if len(rows) else np.zeros(0, dtype)
        return cls(values, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def flat(self, rows: np.ndarray) -> np.ndarray:
        """Some rows one behind the other."""
        start, end = self.offsets[rows], self.offsets[np.asarray(rows) + 1]
        lengths = end - start
        before = np.cumsum(lengths) - lengths
        return self.values[np.repeat(start - before, lengths) + np.arange(lengths.sum())]

    def padded(self, rows: np.ndarray, fill: int) -> np.ndarray:
        """Some rows as a matrix (rows × longest), filled up at the end."""
        lengths = self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        matrix = np.full((len(rows), int(lengths.max(initial=1))), fill, self.values.dtype)
        matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = self.flat(rows)
        return matrix


@dataclass(frozen=True)
class Features:
    """What a model reads, one row per sequence.

    Attributes
    ----------
    ids : Ragged
        Token ids.
    example : ndarray (rows,)
        Index of the example each row belongs to (several windows of one text, several choices of one question).
    target : ndarray or Ragged or None
        What the loss compares with; its form is the kind's own.
    group : int
        Rows that stay together: the number of choices, else 1.
    extra : dict
        Whatever the kind needs to decode (offsets, masks).
    """

    ids: Ragged
    example: np.ndarray
    target: np.ndarray | Ragged | None = None
    group: int = 1
    extra: dict = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Number of things a batch is made of: rows, or groups of rows."""
        return len(self.ids) // self.group

    @property
    def unit_lengths(self) -> np.ndarray:
        """Longest row of each unit, in tokens."""
        return self.ids.lengths.reshape(self.units, self.group).max(axis=1) if self.units else np.zeros(0, np.int64)

    @cached_property
    def unit_tokens(self) -> np.ndarray:
        """Tokens of each unit, those of all its rows together."""
        return self.ids.lengths.reshape(self.units, self.group).sum(axis=1) if self.units else np.zeros(0, np.int64)

    def rows(self, units: np.ndarray) -> np.ndarray:
        """Row numbers of some units."""
        return (np.asarray(units)[:, None] * self.group + np.arange(self.group)).ravel()


def micro_batches(lengths: np.ndarray, group: int, budget: int, overhead: int | None) -> list[np.ndarray]:
    """Cut one batch into micro-batches of near lengths.

    Minimises padded tokens plus ``overhead`` (in tokens) per micro-batch, exactly, by dynamic programming over the
    length-sorted batch; no micro-batch is over ``budget`` padded tokens unless a single unit is.

    Parameters
    ----------
    lengths : ndarray (units,)
        Tokens of a unit's rows: of the longest, or of all together where rows are packed.
    group : int
        Rows of a unit; 1 where they are packed.
    budget : int
    overhead : int or None
        ``None`` where rows are packed: nothing is padded, and as few micro-batches as the budget asks for are of equal size.

    Returns
    -------
    list of ndarray
        Positions in ``lengths``, longest first.
    """
    order = np.argsort(-lengths, kind="stable")
    if overhead is None:
        return _even(order, lengths, budget)
    widths = (lengths[order] * group).tolist()
    n = len(widths)
    best, cut = [0.0] + [float("inf")] * n, [0] * (n + 1)
    for start in range(n):
        for end in range(start + 1, n + 1):
            cost = widths[start] * (end - start)
            if cost > budget and end > start + 1:
                break
            if best[start] + cost + overhead < best[end]:
                best[end], cut[end] = best[start] + cost + overhead, start
    parts, end = [], n
    while end:
        parts.append(order[cut[end] : end])
        end = cut[end]
    return parts[::-1]


def _even(order: np.ndarray, lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """As few parts of a batch as the budget allows, of about equal size, in the given order."""
    ends, parts, start, done = np.cumsum(lengths[order]), [], 0, 0
    while start < len(order):
        left = int(ends[-1]) - done
        target = done + left / -(-left // budget) if left > budget else ends[-1]
        end = max(start + 1, int(np.searchsorted(ends, target, "right")))
        parts.append(order[start:end])
        start, done = end, int(ends[end - 1])
    return parts


def stream(lengths: np.ndarray, group: int, budget: int) -> list[np.ndarray]:
    """All units in length-sorted batches of at most ``budget`` padded tokens (for evaluation; longest first)."""
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]]) * group))
        batches.append(order[start : start + size])
        start += size
    return batches


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers for one purpose: data order, dropout and new heads do not share a stream."""
    return np.random.default_rng([seed, *purpose.encode()])


def torch_seed(seed: int, purpose: str) -> int:
    """A seed for torch, for one purpose."""
    return int(generator(seed, purpose).integers(2**62))


class EpochOrder:
    """Batches of a fixed number of examples, every example once per epoch in random order."""

    def __init__(self, units: int, batch: int, steps: int, seed: int):
        self.units, self.batch, self.steps, self.seed = units, min(batch, units), steps, seed
        self.per_epoch = -(-units // self.batch)
        self._cached: tuple[int, np.ndarray] | None = None

    def __getitem__(self, step: int) -> np.ndarray:
        epoch, position = divmod(step, self.per_epoch)
        if self._cached is None or self._cached[0] != epoch:
            self._cached = epoch, generator(self.seed, f"order {epoch}").permutation(self.units)
        return self._cached[1][position * self.batch : (position + 1) * self.batch]


def epoch_tokens(tokens: np.ndarray, batch: int, steps: int, seed: int) -> int:
    """Tokens that the first steps of an :class:`EpochOrder` read.

    Parameters
    ----------
    tokens : ndarray (units,)
        Tokens of each unit.
    """
    order = EpochOrder(len(tokens), batch, steps, seed)
    epochs, rest = divmod(steps, order.per_epoch)
    last = range(steps - rest, steps)
    return epochs * int(tokens.sum()) + sum(int(tokens[order[s]].sum()) for s in last)


class _Endless:
    """Units in the order of :class:`EpochOrder`, epoch after epoch, taken by tokens."""

    def __init__(self, tokens: np.ndarray, seed: int):
        self.tokens, self.seed, self.epoch, self.place = tokens, seed, 0, 0
        self.units, self.ends = np.zeros(0, np.int64), np.zeros(1, np.int64)  # ends[i]: tokens of the first i units

    def take(self, wanted: float) -> tuple[np.ndarray, int]:
        """The next units whose tokens come nearest to what is wanted, one at the least; with their tokens."""
        goal, first = self.ends[self.place] + wanted, self.place
        while self.place + 1 >= len(self.ends) or self.ends[-1] < goal:
            drawn = generator(self.seed, f"order {self.epoch}").permutation(len(self.tokens))
            self.units, self.epoch = np.concatenate([self.units, drawn]), self.epoch + 1
            self.ends = np.concatenate([self.ends, self.ends[-1] + np.cumsum(self.tokens[drawn])])
        end = max(int(np.searchsorted(self.ends, goal)), first + 1)
        if end > first + 1 and goal - self.ends[end - 1] <= self.ends[end] - goal:
            end -= 1
        self.place = end
        return self.units[first:end], int(self.ends[end] - self.ends[first])


def token_shares(
    tokens: list[np.ndarray], draws: np.ndarray, total: int, seed: int
) -> tuple[list[list[np.ndarray]], int]:
    """Units of each step such that all steps together read a given number of tokens.

    Every step has the same share of the tokens. It takes examples of its part, in the order that they would have anyway, until its
    share and those of the steps before are used as nearly as whole examples allow: what one step reads too much, the next reads less.

    Parameters
    ----------
    tokens : list of ndarray (units,)
        Tokens of each unit, by part.
    draws : ndarray of int (steps,)
        Number of the part of each step.
    total : int
        Tokens of all steps.

    Returns
    -------
    batches : list of list of ndarray
        Units of the steps of each part.
    used : int
        Their tokens; within one example of ``total`` wherever a share holds an example.
    """
    streams, found, used = [_Endless(t, seed) for t in tokens], [[] for _ in tokens], 0
    for step, part in enumerate(draws):
        units, more = streams[part].take(total * (step + 1) / len(draws) - used)
        found[part].append(units)
        used += more
    return found, used


class Listed:
    """Batches that are there already, in order."""

    def __init__(self, batches: list[np.ndarray]):
        self.batches, self.steps = batches, len(batches)
        self.mean = float(np.mean([len(b) for b in batches])) if batches else 0.0  # units of a batch

    def __getitem__(self, step: int) -> np.ndarray:
        return self.batches[step]


class TokenOrder:
    """Batches of about ``tokens`` tokens; rows of near lengths together, groups drawn with given weights.

    Parameters
    ----------
    lengths : ndarray (units,)
    group : ndarray of int (units,)
        Which collection (a language, say) each unit belongs to.
    weight : ndarray (groups,)
        Probability that a unit is drawn from each collection.
    """

    def __init__(self, lengths: np.ndarray, group: np.ndarray, weight: np.ndarray, tokens: int, total: int, seed: int):
        rng = generator(seed, "order")
        pools = [rng.permutation(np.flatnonzero(group == g)) for g in range(len(weight))]
        if any(len(p) == 0 for p in pools):
            raise ParameterError("a collection of texts is empty")
        mean = sum(w * lengths[p].mean() for w, p in zip(weight, pools, strict=True))
        drawn = rng.multinomial(int(np.ceil(total / mean)), weight)
        picks = np.concatenate([np.resize(p, n) for p, n in zip(pools, drawn, strict=True)])
        rng.shuffle(picks)
        self.batches: list[np.ndarray] = []
        pool = max(1, int(64 * tokens / mean))
        for start in range(0, len(picks), pool):
            part = picks[start : start + pool]
            batches = [part[b] for b in stream(lengths[part], 1, tokens)]
            self.batches += [batches[i] for i in rng.permutation(len(batches))]
        self.steps = len(self.batches)

    def __getitem__(self, step: int) -> np.ndarray:
        return self.batches[step]
