"""The test of Q04: whether what is similar transfers better, as a rank correlation within targets."""

from __future__ import annotations

from .. import stats
from ..similarity import predict, records
from .book import Book, Missing, Panel
from .effects import TESTS, Effect, Outcome, _columns, _lacking

__all__ = ["similarity"]


def similarity(book: Book, design: str, targets: str | list[str], measure: str) -> Outcome:
    """Rank correlation of a measure of similarity with the change against ``none``, within targets, mean over training sets.

    The interval has the wider ends of two: over seeds (or examples), which holds for these targets, and over the sets that the targets
    are trained on, which holds for these seeds.
    """
    study = book.study
    rows, columns = [r for r in study.grids[design][0] if r != "none"], _columns(book, design, targets)
    panel = book.panel(rows, columns)
    here = [r for r in panel.recipes if r != "none"]
    measured = records.collect(study, [measure])
    wide = measured.pivot_table(index="intermediate", columns="target", values="value", dropna=False)
    scores = wide.reindex(index=here, columns=list(panel.targets)).to_numpy(float)
    kept = predict.usable(scores)
    groups = tuple(study.tasks[t].train or t for t, k in zip(panel.targets, kept, strict=True) if k)
    if len(set(groups)) < predict.ENOUGH:
        raise Missing(f"{measure} ranks at least {predict.ENOUGH} recipes on fewer than {predict.ENOUGH} training sets")
    rank, gain = predict.within(scores[:, kept], groups), _gain(panel, here, kept)
    over = predict.over_groups(predict.correlations(scores[:, kept], gain(panel.point)), groups)
    effect = _wider(panel.effect(lambda values: rank(gain(values))), over)
    detail = f"{measure}: {len(here)} recipes, {int(kept.sum())} targets; over {len(set(groups))} training sets [{over.low:+.2f}, {over.high:+.2f}]"
    made = [Effect(f"rank correlation of {measure}", effect, effect)]
    return Outcome(made, detail, _lacking(panel, rows, columns), at_chance=book.at_chance(panel), unit="correlation")


def _gain(panel: Panel, rows: list[str], kept):
    """Change against ``none`` (..., recipes, targets) from scores."""
    some, none = panel.rows(rows), panel.recipes.index("none")
    return lambda scores: (scores[..., some, :] - scores[..., [none], :])[..., kept]


def _wider(first: stats.Difference, second: stats.Difference) -> stats.Difference:
    """The first difference with the wider ends of both intervals."""
    return stats.Difference(
        first.value, min(first.low, second.low), max(first.high, second.high), max(first.p, second.p),
        first.how, max(first.error, second.error), first.runs,
    )  # fmt: skip


TESTS[similarity.__name__] = similarity
