"""The ledger as it is shown: tables for a notebook, and what they say in sentences."""

from __future__ import annotations

import html
import inspect
import re
from typing import TYPE_CHECKING

import numpy as np

from ..show import Raw
from ..study import Study
from . import effects, entries, facts, rule

if TYPE_CHECKING:
    import pandas as pd

CAPTION = (
    "Effects in points with 95 % intervals (of several that must all hold, the one nearest to failing); power: probability that the test "
    "finds a true effect of the claimed size (blank where the runs are too few to decide); detectable: the least effect that it finds four times out of five, in points. "
    "Certainty of a published figure: {certainty}."
)
MEANINGS = {
    "supported": "holds, with XLM-R Large on the full data", "contradicted": "does not hold, with XLM-R Large on the full data",
    "agrees": "holds in this study", "disagrees": "does not hold in this study", "yes": "answered by this study", "no": "answered by this study",
    "unclear": "tested, and the interval, the number of runs or the scope leaves it open", "not tested": "this study does not hold what it takes",
}  # fmt: skip


def caption() -> str:
    """Caption of the ledger."""
    return CAPTION.format(certainty=", ".join(f"{k} = {v}" for k, v in entries.CERTAINTY.items() if k in _used()))


def _used() -> set[str]:
    return {c.certainty for c in entries.every()}


def lines(table: pd.DataFrame) -> pd.DataFrame:
    """A ledger for :func:`xitt.show.show` (class ``xitt ledger`` gets a filter by verdict in the report)."""
    import pandas as pd

    made = table[["id", "verdict", "claim"]].copy()
    # as objects: a column of strings would lose which cells are HTML
    cells = [Raw(html.escape(v), f"verdict {v.replace(' ', '-')}") for v in table["verdict"]]
    made["verdict"] = pd.Series(cells, table.index, dtype=object)
    made["published"] = [
        f"{p} ({c}; {on})" if p else f"{on}" for p, c, on in table[["published", "certainty", "claimed on"]].to_numpy()
    ]
    made["ours"], made["ours low"], made["ours high"] = table["ours"], table["low"], table["high"]
    made["in"] = table["unit"]
    made["runs"] = table["runs"].astype(object).where(table["runs"] > 0, None)
    made["interval"] = table["interval"]
    made["power (%)"] = 100 * table["power"]
    made["detectable"] = table["detectable"]
    made["why"] = table["why"]
    return made


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """How many claims have which verdict, and what it means."""
    import pandas as pd

    n = table["verdict"].value_counts()
    rows = [
        (v, int(n[v]), ", ".join(table.loc[table["verdict"] == v, "id"]), MEANINGS[v]) for v in rule.VERDICTS if v in n
    ]
    return pd.DataFrame(rows, columns=["verdict", "claims", "which", "meaning"])


def decided_by() -> pd.DataFrame:
    """What decides each claim, as fixed in ``reference/claims.yaml`` before any result was seen."""
    import pandas as pd

    rows = []
    for c in entries.every():
        measured = c.direction != "is"
        numbers = (c.threshold, c.margin, c.expected) if measured else (np.nan,) * 3
        words = "; ".join(f"{k}: {v}" for k, v in c.words.items())
        options = "; ".join(f"{k}: {', '.join(v) if isinstance(v, list) else v}" for k, v in c.options.items())
        rows.append((c.id, c.test or "", _computes(c.test), options, c.direction, *numbers, c.runs if measured else None, words, c.source))  # fmt: skip
    columns = ["id", "test", "computes", "of", "direction", "threshold", "margin", "size for power", "least runs", "words", "source"]  # fmt: skip
    made = pd.DataFrame(rows, columns=columns)
    made["least runs"] = pd.Series([row[8] for row in rows], dtype=object)
    return made


def _computes(test: str | None) -> str:
    """What a test says of itself first, as plain text."""
    function = {**effects.TESTS, **facts.FACTS}.get(test)
    text = (inspect.getdoc(function) or "").split("\n\n")[0] if function else ""
    return re.sub(r":\w+:`([^`]*)`", r"\1", text).replace("``", "").replace("\n", " ")


def sentence(study: Study, table: pd.DataFrame) -> str:
    """What the ledger shows, written from its numbers."""
    n = table["verdict"].value_counts()
    said = ", ".join(f"{v} {n[v]}" for v in rule.VERDICTS if v in n)
    text = f"Of {len(table)} claims and questions: {said}. "
    if short := rule.short_of_full(study):
        text += f"None can be supported or contradicted here: {short}. "
    measured = table[table["interval"].ne("") & table["interval"].ne("a fact")]
    if not len(measured):
        return text + "No claim about training could be measured."
    least = measured["detectable"]
    text += f"{len(measured)} are about training and were measured; the least effect that their tests find lies between {least.min():.1f} and {least.max():.1f} points. "
    few = measured[measured["interval"] == "examples only"]
    if len(few) == len(measured):
        text += f"With fewer than three seeds (here {measured['runs'].max()}) their intervals are over examples only and decide nothing about training."
        return text
    weak = measured[measured["power"] < 0.8]
    text += f"{len(weak)} of them would be found with less than 80 % probability if they were true in the size claimed"
    return text + (f" ({', '.join(weak['id'])})." if len(weak) else ".")
