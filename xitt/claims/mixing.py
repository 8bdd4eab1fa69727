"""The test of Q03: whether intermediate training helps on text that mixes languages, and what it does on XTREME meanwhile."""

from __future__ import annotations

from .. import stats
from ..code_mixed import KINDS
from .book import Book
from .effects import TARGETS, TESTS, Effect, Outcome, _lacking, _mean_change

__all__ = ["mixed_languages"]


def mixed_languages(book: Book, design: str, kinds: list[str], loss: float) -> Outcome:
    """Mean change on sets that mix languages, and on the targets of XTREME, where a loss of ``loss`` points would count.

    Parameters
    ----------
    kinds : list of str
        Ways of mixing that count (values of :data:`xitt.code_mixed.KINDS`): text in Latin letters alone mixes nothing.
    """
    rows, columns = book.study.grids[design]
    rows = [r for r in rows if r != "none"]
    mixed = [t for t in columns if KINDS.get(book.study.tasks[t].source.layout) in kinds]
    panels = {"mixed text": (book.panel(rows, mixed), 0.0), "XTREME": (book.panel(rows, TARGETS["xtreme"]), loss)}
    effects = []
    for name, (panel, shift) in panels.items():
        f = _mean_change(panel, [r for r in panel.recipes if r != "none"])
        effects.append(Effect(name, panel.effect(f), panel.effect(f, 1 - (1 - stats.LEVEL) / len(panels)), shift))
    sizes = (len(panel.targets) for panel, _ in panels.values())
    found = [(e.label, n, e.difference) for e, n in zip(effects, sizes, strict=True)]
    said = "; ".join(f"{name}, {n} targets: {d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]" for name, n, d in found)
    panel, _ = panels["mixed text"]
    return Outcome(effects, f"{len(rows)} rows; {said}", _lacking(panel, rows, mixed), at_chance=book.at_chance(panel))


TESTS[mixed_languages.__name__] = mixed_languages
