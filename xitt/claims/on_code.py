"""Rows that are trained on code: against none, and beside that against natural language of the same length and against controls."""

from __future__ import annotations

from ..code_study import is_code, matched, of_role
from .book import Book, Missing
from .effects import Outcome, _columns, _lacking, _mean_change, _outcome, _test
from .matched import _against


@_test
def code_rows(book: Book, design: str, targets: str | list[str]) -> Outcome:
    """Mean over targets of the rows of a design that are trained on code alone, minus ``none``.

    The margin against the natural-language rows that they are matched to in steps and tokens, and the change of the controls on code, stand
    beside. Mixtures and controls do not count.
    """
    study, columns = book.study, _columns(book, design, targets)
    there, rows = set(book.scores["intermediate"]), of_role(study, "code")
    controls = [r for r in of_role(study, "control") if all(is_code(study, t) for t in study.tasks_of(r))]
    here, controls = ([r for r in some if r in there] for some in (rows, controls))
    if not here:
        raise Missing(f"no row on code of the design {design} has been scored")
    pairs = {r: m for r, m in matched(study) if {r, m} <= there}
    panel = book.panel([*here, *pairs.values(), *controls], columns)
    beside = {}
    if pairs:
        beside["against language of the same length"] = panel.effect(_against(panel, pairs))
    if controls:
        beside["controls against none"] = panel.effect(_mean_change(panel, controls))
    notes = [f"{', '.join(here)}; {len(panel.targets)} targets"]
    notes += [f"{name}: {d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]" for name, d in beside.items()]
    effects = {"against none": _mean_change(panel, here)}
    return _outcome(book, panel, effects, detail="; ".join(notes), partial=_lacking(panel, rows, columns))
