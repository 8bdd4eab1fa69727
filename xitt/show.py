"""Frames as HTML tables for notebooks, and results as text for the command line."""

from __future__ import annotations

import html
import io

import numpy as np
import pandas as pd

from . import results, tasks
from .study import Study


class Shown:
    """A frame as an HTML table with a caption; numbers rounded, text escaped."""

    def __init__(self, frame: pd.DataFrame, caption: str, digits: int = 1):
        self.frame, self.caption, self.digits = frame, caption, digits

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": f"{self.caption}\n{self.frame.to_string(index=False)}"}

    def html(self) -> str:
        """The table; row labels are header cells."""
        head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in self.frame.columns)
        body = "".join(
            "<tr>" + "".join(self._cell(value, first=i == 0) for i, value in enumerate(row)) + "</tr>"
            for row in self.frame.itertuples(index=False, name=None)
        )
        caption = html.escape(self.caption)
        return f'<table class="xitt"><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    def _cell(self, value, first: bool) -> str:
        tag, number = ("th", ' scope="row"') if first else ("td", "")
        if value is None or (isinstance(value, float) and np.isnan(value)):
            text = ""
        elif isinstance(value, (bool, np.bool_)):
            text = "yes" if value else ""
        elif isinstance(value, (int, np.integer)):
            text, number = f"{value:,}", number + ' class="number"'
        elif isinstance(value, (float, np.floating)):
            text = f"{value:,.{0 if float(value).is_integer() and abs(value) >= 1000 else self.digits}f}"
            number += ' class="number"'
        else:
            text = str(value)
        return f"<{tag}{number}>{html.escape(text)}</{tag}>"


def show(frame: pd.DataFrame, caption: str, digits: int = 1) -> Shown:
    """A table for a notebook or the report. An index that is not just row numbers becomes the first columns."""
    plain = isinstance(frame.index, pd.RangeIndex)
    return Shown(frame if plain else frame.reset_index(), caption, digits)


def render_results(study: Study, form: str) -> str:
    """Results as text: ``csv`` and ``json`` are the tidy rows, ``md`` and ``latex`` the table of means."""
    tidy = results.collect(study)
    if form in ("csv", "json"):
        buffer = io.StringIO()
        tidy.to_csv(buffer, index=False, float_format="%.6f") if form == "csv" else tidy.to_json(
            buffer, orient="records"
        )
        return buffer.getvalue().rstrip("\n") + "\n"
    means = results.main_scores(tidy).unstack("target")
    wide = means.reindex(index=[i for i in (*study.intermediates, *means.index) if i in means.index])
    wide = wide[~wide.index.duplicated()][[t for t in study.targets if t in wide]]
    names = [tasks.TASKS[t].title for t in wide.columns]
    rows = [
        [i, *("" if np.isnan(v) else f"{v:.1f}" for v in values)]
        for i, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    if form == "md":
        lines = [["intermediate", *names], ["---", *("---:" for _ in names)], *rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)
    body = "".join("  " + " & ".join(_latex(x) for x in row) + r" \\" + "\n" for row in rows)
    head = " & ".join(["intermediate", *map(_latex, names)])
    return f"\\begin{{tabular}}{{l{'r' * len(names)}}}\n  \\hline\n  {head} \\\\\n  \\hline\n{body}  \\hline\n\\end{{tabular}}\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\~{}",
    "^": r"\^{}",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)
