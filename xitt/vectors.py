"""Sentence vectors: in memory, or in half precision on disk where they are too many.

A file of vectors is ``layer-<number>.npy``; ``vectors.json`` beside them says how many rows are whole, so that a killed process
goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import DataError
from .store import read_json, write_json


@dataclass(frozen=True)
class Vectors:
    """Some rows of a matrix, read a part at a time; the rows asked for are never all copied.

    Attributes
    ----------
    matrix : ndarray (any, width)
        In memory or mapped; float32 or float16.
    rows : ndarray of int (n,), optional
        Which of its rows, in which order; all of them by default.
    """

    matrix: np.ndarray
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, x: np.ndarray | Vectors) -> Vectors:
        """Vectors as they are, or of a matrix; other number types than the two become float32.

        Raises
        ------
        DataError
            If it is no matrix.
        """
        if isinstance(x, Vectors):
            return x
        if x.ndim != 2:
            raise DataError(f"vectors are rows of a matrix; an array of shape {x.shape} is none")
        return cls(x if x.dtype in (np.float32, np.float16) else x.astype(np.float32))

    def __len__(self) -> int:
        return len(self.matrix if self.rows is None else self.rows)

    @property
    def width(self) -> int:
        return self.matrix.shape[1]

    def __getitem__(self, rows: np.ndarray | list[int]) -> Vectors:
        """These rows of them, as numbers; nothing is read."""
        rows = np.asarray(rows, np.int64)
        return Vectors(self.matrix, rows if self.rows is None else self.rows[rows])

    @property
    def plain(self) -> bool:
        """Whether a search can use the matrix where it lies."""
        flags = self.matrix.flags
        return self.rows is None and self.matrix.dtype == np.float32 and flags.c_contiguous and flags.writeable

    def read(self, start: int, stop: int) -> np.ndarray:
        """A range of them, float32 (at most stop - start, width); a view where it can be one."""
        part = self.matrix[start:stop] if self.rows is None else self.matrix[self.rows[start:stop]]
        return np.ascontiguousarray(part, np.float32)


class Shelf:
    """Vectors of several layers in half precision on disk, filled from the first row on.

    Parameters
    ----------
    folder : pathlib.Path
        Holds what an interrupted attempt left, and what is written now.
    texts : list of str
        What the vectors are of; files made for others are begun anew.
    layers : tuple of int
    width : int
    about : str
        Whatever else the vectors depend on and the folder's name does not say.

    Raises
    ------
    DataError
        If the disk has no room for them.
    """

    def __init__(self, folder: Path, texts: list[str], layers: tuple[int, ...], width: int, about: str):
        self.folder, self.layers, self.shape = folder, layers, (len(texts), width)
        digest = hashlib.sha256("\0".join([about, repr((layers, self.shape)), *texts]).encode("utf-8", "surrogatepass"))
        self._key = digest.hexdigest()
        state = read_json(self._state)
        self.done: int = state["rows"] if state and state["key"] == self._key else 0
        if self.done == 0:
            self._begin()

    @property
    def _state(self) -> Path:
        return self.folder / "vectors.json"

    def _file(self, layer: int) -> Path:
        return self.folder / f"layer-{layer}.npy"

    def _begin(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        needed, free = 2 * self.shape[0] * self.shape[1] * len(self.layers), shutil.disk_usage(self.folder).free
        if needed > free:
            raise DataError(
                f"{self.folder}: the vectors of {self.shape[0]:,} sentences in {len(self.layers)} layers take {needed / 2**30:,.1f} GiB "
                f"on disk, and {free / 2**30:,.1f} are free; make room, or set data.task_limits of this target"
            )
        for layer in self.layers:
            np.lib.format.open_memmap(self._file(layer), "w+", np.float16, self.shape)
        write_json(self._state, {"key": self._key, "rows": 0})

    def add(self, vectors: np.ndarray) -> None:
        """The next rows: (layers, rows, width). When this returns they are on disk, and counted."""
        stop = self.done + vectors.shape[1]
        for layer, part in zip(self.layers, vectors, strict=True):
            file = np.lib.format.open_memmap(self._file(layer), "r+")
            file[self.done : stop] = part
            file.flush()
        self.done = stop
        write_json(self._state, {"key": self._key, "rows": stop})

    def open(self) -> dict[int, np.ndarray]:
        """The matrix of each layer, mapped, float16."""
        return {layer: np.lib.format.open_memmap(self._file(layer), "r") for layer in self.layers}
