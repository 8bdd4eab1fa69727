"""Exact nearest neighbours by inner product, in bounded memory, on CPU and GPU.

The matrix of scores is made block by block and never kept. Each block serves both directions at once: the k best of its rows and
the k best of its columns, so that the product of two sets is computed once where two searches would compute it twice. A block is
mostly passed over: only rows that beat their k-th best so far are looked at closely.

Scores are float32 (TF32 and bfloat16 are off while a search runs, whatever the program has set). Equal scores come by row number; the
scores of two equal vectors may differ by a rounding in blocks of different shape (the last ones of a set).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isqrt, sqrt
from typing import NamedTuple

import numpy as np

from .errors import DataError
from .vectors import Vectors

#: bytes that a search may hold beside its inputs and its result
MEMORY = 2**30
#: rows and columns of a block: its scores stay in the cache between the product and the look at them
#: (no power of 2: columns that far apart would all fall on the same lines of it)
SIDE = {"cpu": 1008, "cuda": 8192}
#: parts of the budget: a block with the copies that are made of it, the panel of rows, the panel of columns
_BLOCK, _ROWS, _COLUMNS = 1 / 2, 3 / 8, 1 / 8
_COPIES = 4
_LEAST = 16  # rows of a block, however small the budget


class Neighbours(NamedTuple):
    """The nearest rows of each query.

    Attributes
    ----------
    scores : ndarray (queries, k), float32
        Best first.
    rows : ndarray (queries, k), int64
        Row numbers in what was searched; of equal scores the lower one first.
    """

    scores: np.ndarray
    rows: np.ndarray


# --- what is asked -------------------------------------------------------------------------------------------------
def both_ways(
    first: np.ndarray | Vectors, second: np.ndarray | Vectors, k: int, *, memory: int = MEMORY, device: str = "cpu",
    block: int | None = None,
) -> tuple[Neighbours, Neighbours]:  # fmt: skip
    """The k nearest rows of each row of two sets in the other set, from one pass over their product.

    Parameters
    ----------
    first, second : ndarray or Vectors (rows, width)
        float32 or float16, in memory or mapped.
    k : int
        Neighbours of each; all where there are fewer.
    memory : int
        Bytes to hold beside the inputs and the result, on the device too if it is a GPU.
    device : str
        Of torch.
    block : int, optional
        Rows and columns of a block of scores, in place of what suits the machine and the budget.

    Returns
    -------
    (Neighbours, Neighbours)
        Of the rows of ``first`` in ``second``, and of those of ``second`` in ``first``.

    Raises
    ------
    DataError
        If a set is empty or holds values that are no numbers, or the widths differ.
    """
    grid = _Grid(first, second, memory, device, block)
    rows = _Best(len(grid.first), min(k, len(grid.second)), device)
    columns = _Best(len(grid.second), min(k, len(grid.first)), device)
    for i, j, scores in grid:
        rows.update(i, scores, j)
        columns.update(j, scores.t(), i)
    return rows.found(), columns.found()


def nearest(
    queries: np.ndarray | Vectors, index: np.ndarray | Vectors, k: int, block: int | None = None, *,
    memory: int = MEMORY, device: str = "cpu",
) -> Neighbours:  # fmt: skip
    """The k nearest rows of an index for each query; parameters as of :func:`both_ways`."""
    grid = _Grid(queries, index, memory, device, block)
    best = _Best(len(grid.first), min(k, len(grid.second)), device)
    for i, j, scores in grid:
        best.update(i, scores, j)
    return best.found()


def rank(
    queries: np.ndarray, index: np.ndarray, gold: list[list[int]], k: int, memory: int = MEMORY, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k nearest rows of an index, and the place of the best right row among all.

    Parameters
    ----------
    queries, index : ndarray or Vectors (rows, width)
    gold : list of list of int
        Right rows of the index, at least one per query.
    k, memory, device
        As of :func:`both_ways`; all scores of a few queries are held, so a budget under 16 bytes per row of the index is exceeded.

    Returns
    -------
    scores, rows : ndarray (queries, k)
        Best first; equal scores by row number.
    places : ndarray (queries,)
        From 1, by the same scores and the same order of equal ones.
    """
    import torch

    if lost := [i for i, right in enumerate(gold) if not right]:
        raise DataError(f"query {lost[0]} has no right row to be ranked")
    grid = _Grid(queries, index, memory, device, None)
    best, places = _Best(len(grid.first), min(k, len(grid.second)), device), np.empty(len(grid.first), np.int64)
    for i, strip in grid.strips():
        some = gold[i : i + len(strip)]
        own, right = (x[:, None] for x in _best_gold(strip, some))
        ahead = torch.zeros(len(strip), dtype=torch.int64, device=device)
        for j in range(0, strip.shape[1], grid.side):
            scores = strip[:, j : j + grid.side]
            best.update(i, scores, j)
            place = torch.arange(j, j + scores.shape[1], device=device)
            ahead += ((scores > own) | ((scores == own) & (place < right))).sum(dim=1)
        places[i : i + len(strip)] = 1 + ahead.cpu().numpy()
    return *best.found(), places


def above(
    queries: np.ndarray | Vectors, index: np.ndarray | Vectors, bound: np.ndarray, *, memory: int = MEMORY,
    device: str = "cpu",
) -> np.ndarray:  # fmt: skip
    """How many rows of an index score above a bound, per query.

    Parameters
    ----------
    bound : ndarray (queries,)
        A score for each query.
    queries, index, memory, device
        As of :func:`both_ways`.

    Returns
    -------
    ndarray of int (queries,)
    """
    import torch

    grid = _Grid(queries, index, memory, device, None)
    least = torch.from_numpy(np.asarray(bound, np.float32)).to(device)[:, None]
    count = torch.zeros(len(grid.first), dtype=torch.int64, device=device)
    for i, _, scores in grid:
        count[i : i + len(scores)] += (scores > least[i : i + len(scores)]).sum(dim=1)
    return count.cpu().numpy()


def paired(first: np.ndarray | Vectors, second: np.ndarray | Vectors) -> np.ndarray:
    """Score of each row with the row of the same number (rows,), float32."""
    first, second = Vectors.of(first), Vectors.of(second)
    parts = [(first.read(i, i + 1024) * second.read(i, i + 1024)).sum(axis=1) for i in range(0, len(first), 1024)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


# --- how it is done ------------------------------------------------------------------------------------------------
class _Grid:
    """All blocks of the scores of two sets: rows from the first on, and in them columns from the first on.

    Sets that are not float32 in the device's memory are brought there a panel at a time; the larger panel is that of the rows,
    since the columns are read once for each.
    """

    def __init__(self, first, second, memory: int, device: str, block: int | None):
        self.first, self.second, self.memory, self.device = Vectors.of(first), Vectors.of(second), memory, device
        if not (len(self.first) and len(self.second)):
            raise DataError("there is nothing to search in: a set of vectors is empty")
        if self.first.width != self.second.width:
            raise DataError(f"vectors of width {self.first.width} and {self.second.width} cannot be compared")
        largest = isqrt(int(memory * _BLOCK) // (4 * _COPIES))
        self.side = block or max(_LEAST, min(_side(device), largest))

    def __iter__(self) -> Iterator:
        """(first row, first column, scores of a block); a block's memory is used again for the next one."""
        import torch

        room = torch.empty(self.side**2, device=self.device)
        for top, rows in self._panels(self.first, _ROWS):
            for left, columns in self._panels(self.second, _COLUMNS):
                for i in range(0, len(rows), self.side):
                    part = rows[i : i + self.side]
                    for j in range(0, len(columns), self.side):
                        yield top + i, left + j, _product(part, columns[j : j + self.side], room)

    def strips(self) -> Iterator:
        """(first row, scores of some rows with all columns)."""
        import torch

        width = len(self.second)
        height = min(len(self.first), self.side, max(1, int(self.memory * _BLOCK) // (4 * width)))
        strip = torch.empty(height, width, device=self.device)
        room = torch.empty(height * self.side, device=self.device)
        for top, rows in self._panels(self.first, _COLUMNS):
            for i in range(0, len(rows), height):
                part = rows[i : i + height]
                for left, columns in self._panels(self.second, _COLUMNS):
                    for j in range(0, len(columns), self.side):
                        some = columns[j : j + self.side]
                        strip[: len(part), left + j : left + j + len(some)] = _product(part, some, room)
                yield top + i, strip[: len(part)]

    def _panels(self, vectors: Vectors, share: float) -> Iterator:
        """(first row, float32 tensor on the device) of a set, one panel after the other; the whole of it where it lies ready."""
        import torch

        if vectors.plain and self.device == "cpu":
            yield 0, _numbers(torch.from_numpy(vectors.matrix), 0)
            return
        size = min(len(vectors), max(self.side, int(self.memory * share) // (4 * vectors.width)))
        panel = torch.empty(size, vectors.width, device=self.device)
        for start in range(0, len(vectors), size):
            stop = min(start + size, len(vectors))
            for i in range(start, stop, self.side):
                part = vectors.read(i, min(i + self.side, stop))
                panel[i - start : i - start + len(part)] = torch.from_numpy(
                    part if part.flags.writeable else part.copy()
                )
            yield start, _numbers(panel[: stop - start], start)


class _Best:
    """The k largest scores of each row so far, best first, and where they stand; equal ones in the order they came."""

    def __init__(self, rows: int, k: int, device: str):
        import torch

        self.scores = torch.full((rows, k), -torch.inf, device=device)
        self.places = torch.zeros((rows, k), dtype=torch.int64, device=device)

    def update(self, start: int, scores, offset: int) -> None:
        """Take in a block: of rows from ``start`` on, with columns from ``offset`` on. Columns must come in ascending order."""
        import torch

        best, places = self.scores[start : start + len(scores)], self.places[start : start + len(scores)]
        hit = (scores.amax(dim=1) > best[:, -1]).nonzero()[:, 0]
        if len(hit) == 0:
            return
        # a transposed block is read along its memory, then turned: several times faster than row by row
        some = (
            scores.index_select(0, hit) if scores.stride(1) == 1 else scores.t().index_select(1, hit).t().contiguous()
        )
        top, at = largest(some, best.shape[1])
        top, at = torch.cat([best[hit], top], dim=1), torch.cat([places[hit], at + offset], dim=1)
        order = top.sort(dim=1, descending=True, stable=True).indices[:, : best.shape[1]]
        best[hit], places[hit] = top.gather(1, order), at.gather(1, order)

    def found(self) -> Neighbours:
        return Neighbours(self.scores.cpu().numpy(), self.places.cpu().numpy())


def largest(scores, k: int):
    """The k largest of each row, best first, equal ones by place: ``topk`` alone leaves their order open.

    Returns
    -------
    (Tensor, Tensor)
        Values and places (rows, at most k).
    """
    k = min(k, scores.shape[1])
    top, at = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = (top[:, 1:] == top[:, :-1]).any(dim=1).nonzero()[:, 0]
    top, at = top[:, :k], at[:, :k]
    for rows in tied.split(64):  # a sort takes several times the memory of what it sorts
        values, places = scores[rows].sort(dim=1, descending=True, stable=True)
        top[rows], at[rows] = values[:, :k], places[:, :k]
    return top, at


def _best_gold(strip, gold: list[list[int]]):
    """Score and row of the best right row of each query, by the order that equal scores have."""
    import torch

    owner = torch.tensor([i for i, rows in enumerate(gold) for _ in rows], device=strip.device)
    flat = torch.tensor([r for rows in gold for r in rows], device=strip.device)
    score = strip[owner, flat]
    best = torch.full((len(strip),), -torch.inf, device=strip.device).scatter_reduce(0, owner, score, "amax")
    lost = torch.where(score == best[owner], flat, strip.shape[1])
    return best, torch.full((len(strip),), strip.shape[1], device=strip.device).scatter_reduce(0, owner, lost, "amin")


def _product(rows, columns, room):
    """Scores of some rows with some columns in full float32, in memory that is there where the product can be made in it."""
    import torch

    from . import products

    scores, before = (
        room[: len(rows) * len(columns)].view(len(rows), len(columns)),
        torch.get_float32_matmul_precision(),
    )
    torch.set_float32_matmul_precision("highest")
    try:
        return products.product(rows, columns.t(), scores)
    finally:
        torch.set_float32_matmul_precision(before)


def _numbers(panel, start: int):
    """A panel, if all its values are finite: one that is not would hide its whole row and column."""
    import torch

    if not all(torch.isfinite(x) for x in torch.aminmax(panel)):
        bad = next(i for i, row in enumerate(panel) if not torch.isfinite(row).all())
        raise DataError(f"row {start + bad} of the vectors holds values that are no finite numbers")
    return panel


def _side(device: str) -> int:
    """Rows and columns of a block: enough work for all threads, and scores that stay in the cache."""
    import torch

    kind = device.split(":", maxsplit=1)[0]
    return SIDE[kind] if kind == "cuda" else SIDE["cpu"] * max(1, ceil(sqrt(torch.get_num_threads() / 4)))
