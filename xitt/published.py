"""Figures of the papers, each with its source and how certain it is (``reference/published.tsv``).

What was not found is not there: a table that shows published figures has a blank in its place. A figure from memory is never taken in.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import DataError, unknown
from .tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

FILE = Path(__file__).parent / "reference" / "published.tsv"
#: how certain a figure can be
CERTAINTY = {
    "code": "read in code",
    "data": "metadata of the data set, or counted",
    "2nd": "quoted by another publication or by the authors elsewhere",
    "derived": "arithmetic on cited figures",
}
COLUMNS = (
    "system",
    "intermediate",
    "target",
    "metric",
    "split",
    "language",
    "value",
    "unit",
    "source",
    "certainty",
    "note",
)


@dataclass(frozen=True)
class Figure:
    """One published number.

    Attributes
    ----------
    system : str
        Who has this score: ``XLM-R Large``, ``X-STILTs``, ...; ``data set`` for sizes.
    intermediate : str
        ``none``, a task, ``best`` (for each target the best on dev), or empty where the system has no such step.
    target : str
        A task, or ``mean`` over the nine targets of XTREME.
    metric : str
        A metric of ``xitt.metrics``; ``change`` against ``none`` and ``score`` for means; ``size``.
    split, language : str
        ``dev`` or ``test``; BCP 47, or ``avg``.
    value, unit : float, str
        ``percent``, ``points`` or ``examples``.
    source, certainty, note : str
        Where it was read, and a key of :data:`CERTAINTY`.
    """

    system: str
    intermediate: str
    target: str
    metric: str
    split: str
    language: str
    value: float
    unit: str
    source: str
    certainty: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit} ({self.certainty}: {self.source})"


def read(path: Path = FILE) -> tuple[Figure, ...]:
    """Figures of a file, checked.

    Raises
    ------
    DataError
        If a row has no source, a certainty that is none (a figure from memory above all), an unknown target or no number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    figures = tuple(_figure(row, f"{path.name}, row {number}") for number, row in enumerate(rows, 2))
    seen: dict[tuple, int] = {}
    for number, figure in enumerate(figures, 2):
        key = (figure.system, figure.intermediate, figure.target, figure.metric, figure.split, figure.language)
        if (first := seen.setdefault(key, number)) != number:
            raise DataError(f"{path.name}, row {number}: {' '.join(key)} stands in row {first} already")
    return figures


def _figure(row: dict, where: str) -> Figure:
    if set(row) != set(COLUMNS) or None in row.values():
        raise DataError(f"{where}: the columns are {', '.join(COLUMNS)}, divided by tabs")
    if row["certainty"] not in CERTAINTY:
        why = "; a figure from memory is never a reference" if "memory" in row["certainty"] else ""
        raise DataError(f"{where}: {unknown('certainty', row['certainty'], CERTAINTY)}{why}")
    if row["target"] != "mean" and row["target"] not in TASKS:
        raise DataError(f"{where}: {unknown('target', row['target'], ['mean', *TASKS])}")
    if not row["source"].strip("- "):
        raise DataError(f"{where}: no source is given")
    try:
        value = float(row["value"])
    except ValueError:
        raise DataError(f"{where}: value {row['value']!r} is no number") from None
    return Figure(**{**row, "value": value})


@cache
def _all() -> tuple[Figure, ...]:
    return read()


def find(
    system: str, target: str, metric: str, split: str = "test", language: str = "avg", intermediate: str | None = None
) -> Figure | None:
    """One figure, or ``None`` where it was not found: leave a blank.

    Parameters
    ----------
    intermediate : str, optional
        Needed where a system has several rows (``X-STILTs``: ``best``, ``mnli``, ...).

    Raises
    ------
    DataError
        If the system is unknown, or several rows fit.
    """
    systems = dict.fromkeys(f.system for f in _all())
    if system not in systems:
        raise DataError(unknown("published system", system, systems))
    wanted = (system, target, metric, split, language)
    fit = [f for f in _all() if (f.system, f.target, f.metric, f.split, f.language) == wanted
           and intermediate in (None, f.intermediate)]  # fmt: skip
    if len(fit) > 1:
        rows = ", ".join(f.intermediate for f in fit)
        raise DataError(f"published figures of {system}, {target}: say which intermediate task; there are {rows}")
    return fit[0] if fit else None


def table(**only: str) -> pd.DataFrame:
    """All figures, one row each; ``only`` keeps those with these values, e.g. ``split="test", language="avg"``.

    Raises
    ------
    DataError
        If a column is unknown.
    """
    import pandas as pd

    for name in only:
        if name not in COLUMNS:
            raise DataError(unknown("column", name, COLUMNS))
    rows = [f for f in _all() if all(getattr(f, name) == value for name, value in only.items())]
    return pd.DataFrame([vars(f) for f in rows], columns=list(COLUMNS))
