"""Rows that are matched in steps and tokens to a text-only row, against that row."""

from __future__ import annotations

from .. import recipes
from .book import Book, Missing
from .effects import Outcome, _columns, _lacking, _mean_change, _outcome, _test


@_test
def matched_rows(book: Book, design: str, targets: str | list[str], kind: str) -> Outcome:
    """Mean over targets of the rows of a design that are trained on tasks of one kind, minus the rows they are matched to (``+match=``).

    Controls do not count; their own change against the same rows stands beside.
    """
    study, columns = book.study, _columns(book, design, targets)
    pairs: dict[str, str] = {}
    controls: dict[str, str] = {}
    for recipe in study.grids[design][0]:
        parsed = recipes.parse(recipe, study.tasks)
        if parsed.match and all(study.tasks[t].kind == kind for t in study.tasks_of(recipe)):
            (controls if parsed.control else pairs)[recipe] = parsed.match
    there = set(book.scores["intermediate"])
    here, beside = ({r: m for r, m in some.items() if {r, m} <= there} for some in (pairs, controls))
    if not here:
        raise Missing(f"no row of the design {design} is scored beside the text-only row it is matched to")
    panel = book.panel([*here, *here.values(), *beside, *beside.values()], columns)
    minus = _against(panel, here)
    own = panel.effect(_mean_change(panel, here))
    notes = [
        f"{', '.join(here)}; {len(panel.targets)} targets",
        f"against none: {own.value:+.1f} [{own.low:+.1f}, {own.high:+.1f}]",
    ]
    if beside:
        d = panel.effect(_against(panel, beside))
        notes.append(f"controls against the same: {d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]")
    return _outcome(
        book, panel, {"against text": minus}, detail="; ".join(notes), partial=_lacking(panel, pairs, columns)
    )


def _against(panel, pairs: dict[str, str]):
    """Scores → mean over pairs and targets of the first row minus the second."""
    a, b = panel.rows(pairs), panel.rows(pairs.values())
    return lambda scores: (scores[..., a, :] - scores[..., b, :]).mean(axis=(-2, -1))
