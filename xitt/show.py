"""Frames and rows as HTML tables for notebooks and the report, and results as text for the command line."""

from __future__ import annotations

import html
import io

import numpy as np
import pandas as pd

from . import results
from .study import Study


class Raw(str):
    """A table cell that is HTML already; ``css`` is its class, ``value`` what it sorts by, ``style`` its own colours."""

    def __new__(cls, text: str, css: str = "", value: float | None = None, style: str = ""):
        self = super().__new__(cls, text)
        self.css, self.value, self.style = css, value, style
        return self


def score(value: float, at_chance: bool = False, style: str = "") -> Raw | float:
    """A score as a cell; one whose interval reaches chance carries a ring, which its table's caption explains."""
    if not at_chance or np.isnan(value):
        return Raw(f"{value:.1f}", "n", value, style) if style else value
    return Raw(f'{value:.1f}<span class="mark" title="at chance">°</span>', "n chance", value, style)


def table(head: tuple, rows, caption: str = "", css: str = "xitt", foot=(), digits: int | dict[str, int] = 1) -> str:
    """An HTML table of plain values; a :class:`Raw` value is taken as it is, everything else is escaped.

    Parameters
    ----------
    head : tuple
        Column names.
    rows, foot : iterable of tuple
        The first cell of a row is its header.
    caption : str
        As HTML.
    css : str
        Class of the table.
    digits : int or dict
        Decimal places of all columns, or by column name (others: 1).
    """
    places = [digits.get(name, 1) if isinstance(digits, dict) else digits for name in head]

    def line(cells: tuple) -> str:
        tags = ['th scope="row"', *["td"] * (len(head) - 1)]
        return f"<tr>{''.join(map(_cell, tags, cells, places))}</tr>"

    names = "".join(_cell('th scope="col"', name) for name in head)
    parts = [f'<table class="{css}">', f"<caption>{caption}</caption>" if caption else ""]
    parts += [f"<thead><tr>{names}</tr></thead><tbody>", *map(line, rows), "</tbody>"]
    parts += ["<tfoot>", *map(line, foot), "</tfoot>"] if foot else []
    return "".join([*parts, "</table>"])


def _cell(tag: str, value, digits: int = 1) -> str:
    more, text = "", value
    if not isinstance(value, Raw):
        text = html.escape(_text(value, digits))
    else:
        more += f' class="{value.css}"' if value.css else ""
        more += f' data-value="{value.value:.6g}"' if value.value is not None else ""
        more += f' style="{value.style}"' if value.style else ""
    return f"<{tag}{more}>{text}</{tag[:2]}>"


def _text(value, digits: int) -> str:
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else ""
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if isinstance(value, (float, np.floating)):
        whole = float(value).is_integer() and abs(value) >= 1000
        return f"{value:,.{0 if whole else digits}f}"
    return str(value)


class Shown:
    """A frame as an HTML table with a caption; numbers rounded, text escaped."""

    def __init__(self, frame: pd.DataFrame, caption: str = "", digits: int | dict[str, int] = 1, css: str = "xitt"):
        self.frame, self.caption, self.digits, self.css = frame, caption, digits, css

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": f"{self.caption}\n{self.frame.to_string(index=False)}"}

    def html(self) -> str:
        """The table; row labels are header cells."""
        frame = with_intervals(self.frame, self.digits)
        rows = frame.itertuples(index=False, name=None)
        return table(tuple(frame.columns), rows, html.escape(self.caption), self.css, digits=self.digits)


def with_intervals(frame: pd.DataFrame, digits: int | dict[str, int] = 1) -> pd.DataFrame:
    """A frame whose columns ``x``, ``x low``, ``x high`` are one: the value, its interval in small type below it."""
    inner = [x for x in frame if {f"{x} low", f"{x} high"} <= set(frame.columns)]
    if not inner or frame.columns.has_duplicates:
        return frame
    made = frame.astype(dict.fromkeys(inner, object))
    for x in inner:
        places = digits.get(x, 1) if isinstance(digits, dict) else digits
        values = zip(frame[x], frame[f"{x} low"], frame[f"{x} high"], strict=True)
        # as objects: a column of strings would lose which cells are HTML
        made[x] = pd.Series([_with_interval(*v, places) for v in values], frame.index, dtype=object)
    return made.drop(columns=[f"{x} {end}" for x in inner for end in ("low", "high")])


def _with_interval(value, low, high, places: int):
    if not all(isinstance(v, (int, float, np.number)) for v in (value, low, high)) or np.isnan([low, high]).any():
        return value
    text = html.escape(_text(value, places))
    return Raw(f"{text} <small>[{_text(low, places)}, {_text(high, places)}]</small>", "n", float(value))


def show(frame: pd.DataFrame, caption: str = "", digits: int | dict[str, int] = 1, css: str = "xitt") -> Shown:
    """A table for a notebook or the report. An index that is not just row numbers becomes the first columns."""
    plain = isinstance(frame.index, pd.RangeIndex)
    return Shown(frame if plain else frame.reset_index(), caption, digits, css)


def render_results(study: Study, form: str) -> str:
    """Results as text: ``csv`` and ``json`` are the tidy rows, ``md`` and ``latex`` the main table (:mod:`xitt.export`)."""
    tidy = results.collect(study)
    if form in ("csv", "json"):
        buffer = io.StringIO()
        buffer.write(results.as_csv(tidy)) if form == "csv" else tidy.to_json(buffer, orient="records")
        return buffer.getvalue().rstrip("\n") + "\n"
    from .export import main_table

    return main_table(study, form, tidy)
