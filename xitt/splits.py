"""What a split is, and what its examples depend on; ``xitt.data`` makes and keeps them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import own_files, translated
from .schema import Data
from .study import Study
from .tasks import Rows

Example = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """Examples of one task, split and language.

    Attributes
    ----------
    examples : list of dict
        Fields of the kind (``xitt.kinds``) plus ``id`` (str, unique within the split).
    total : int
        Rows of the source before the study's limit; ``len(examples) < total`` means a slice.
    fingerprint : str
        SHA-256 over the examples, and the commit they are from: what a run's identity depends on.
    commit : str
        Commit of the hub repository; empty for other sources.
    published : int or None
        Size that the data set's authors or its repository state; ``None`` where no source gives it, and for the pocket.
    problems : tuple of str
        What is odd about the split but no error.
    """

    task: str
    split: str
    language: str
    examples: list[Example]
    total: int
    fingerprint: str
    commit: str = ""
    published: int | None = None
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def status(self) -> str:
        """``full``, ``slice n of N``, or empty where the published size is not known."""
        if self.published is None:
            return ""
        return "full" if self.total == self.published else f"slice {self.total:,} of {self.published:,}"


@dataclass(frozen=True)
class World:
    """What examples depend on: where data come from, the study's tasks. Two of equal ``key`` give the same examples."""

    key: str
    data: Data = field(compare=False)
    rows: Rows = field(compare=False)
    kept: Path | None = field(default=None, compare=False)  # where generated splits are kept


def world(study: Study) -> World:
    """A study's data and tasks; a file of the user's that has changed makes another one."""
    key = study.params.data.model_dump_json()
    own = {
        n: [t.model_dump_json(), study.tasks[n].own, own_files.stamps(study.tasks[n])]
        for n, t in study.params.tasks.items()
    }
    files = translated.stamps(study.params.data)
    key += json.dumps([own, files]) if own or files else ""
    return World(key, study.params.data, study.tasks, study.out / "data")
