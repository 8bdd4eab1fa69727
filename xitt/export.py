"""The main table as text for papers and notes: Markdown, and LaTeX that compiles with the package booktabs.

Both hold what the notebook shows: scores of ``none``, below them changes against it with intervals, groups of rows apart, units and what the
marks mean in the caption.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from . import matrix
from .prose import matrix_caption
from .study import Study

_LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "°": r"\textsuperscript{\(\circ\)}", "*": r"\textsuperscript{*}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "–": "--", '"': "''",
}  # fmt: skip


def escape(text: str) -> str:
    """Text as LaTeX prints it; control characters become spaces."""
    return "".join(_LATEX.get(c, c if c.isprintable() else " ") for c in text)


def main_table(study: Study, form: str, tidy: pd.DataFrame | None = None) -> str:
    """The transfer matrix as ``md`` or ``latex``.

    Raises
    ------
    ParameterError
        If the row ``none`` has no scores yet.
    """
    cells, mean = matrix.transfer(study, tidy), matrix.means(study)
    wide = matrix.matrix(cells, study, mean)  # says what is missing
    held = {(r["intermediate"], r["target"]): matrix.texts(r) for r in cells.to_dict("records")}
    held |= {(r["intermediate"], r["scope"]): matrix.texts(r) for r in mean.to_dict("records")}
    columns = [t for t in study.main[1] if t in set(cells["target"])] + list(matrix.scopes(study))
    head = ["intermediate", *wide.columns[2:]]
    lines = [(r["rows"], [(r["intermediate"], ""), *(held.get((r["intermediate"], c), ("", "")) for c in columns)])
             for r in wide.to_dict("records")]  # fmt: skip
    caption = matrix_caption(study, cells)
    return _markdown(head, lines, caption) if form == "md" else _latex_table(head, lines, caption, f"tab:{study.name}")


# --- Markdown ------------------------------------------------------------------------------------------------------
def _markdown(head: list[str], lines: Iterable[tuple[str, list[tuple[str, str]]]], caption: str) -> str:
    rows = [[*map(_plain, head)], ["---", *("---:" for _ in head[1:])]]
    rows += [[" ".join(filter(None, map(_plain, cell))) for cell in cells] for _, cells in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + f"\n{_plain(caption)}\n"


def _plain(text: str) -> str:
    """Text as Markdown prints it: no element, no link, no end of a cell; control characters become spaces."""
    text = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|*`<":  # an underscore within a word marks nothing
        text = text.replace(mark, f"\\{mark}")
    return text.replace("](", "]\\(")


# --- LaTeX ---------------------------------------------------------------------------------------------------------
def _latex_table(head: list[str], lines: Iterable[tuple[str, list[tuple[str, str]]]], caption: str, label: str) -> str:
    body, before = [], None
    for group, cells in lines:
        body += [r"\midrule"] if before not in (None, group) else []
        body.append(" & ".join(_stacked(*cell) for cell in cells) + r" \\")
        before = group
    top = " & ".join(["", *(r"\shortstack{" + _broken(name) + "}" for name in head[1:])])
    return "\n".join([
        r"% \usepackage{booktabs}", r"\begin{table*}", r"\centering", r"\scriptsize", r"\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escape(caption)}}}", rf"\label{{{_label(label)}}}", rf"\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 1)}@{{}}}}",
        r"\toprule", rf"{top} \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table*}", "",
    ])  # fmt: skip


def _stacked(text: str, interval: str) -> str:
    """A cell, its interval below it in small type."""
    return rf"\shortstack[r]{{{_minus(text)}\\{{\tiny {_minus(interval)}}}}}" if interval else _minus(text)


def _minus(text: str) -> str:
    """A number's minus is not a hyphen; names keep theirs."""
    number = text[:1] in "+-[" and any(c.isdigit() for c in text)
    return escape(text).replace("-", r"\(-\)") if number else escape(text)


def _broken(name: str) -> str:
    """A column's title in lines of a word each."""
    return r"\\{}".join(
        escape(part) for part in name.split(" ")
    )  # a bracket or star after the break would belong to it


def _label(text: str) -> str:
    return "".join(c if c.isalnum() or c in ":-." else "-" for c in text)
