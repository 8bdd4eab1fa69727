"""The ledger: every published claim and open question, the test that decides it, our effect, and a verdict.

``verdict(study, "C01")`` recomputes one from the study's results and predictions, :func:`ledger` all of them. What is claimed and what
decides it stands in ``reference/claims.yaml``; nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .. import stats
from ..errors import DataError, ParameterError, unknown
from ..study import Study
from . import effects, entries, facts, matched, mixing, on_code, rule, similar  # noqa: F401 - matched, mixing, on_code and similar add tests
from .book import Book, Missing
from .shown import caption, counted, decided_by, lines, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Verdict", "caption", "counted", "decided_by", "ledger", "lines", "of", "sentence", "verdict"]

NAN = float("nan")
COLUMNS = ("id", "claim", "published", "claimed on", "certainty", "ours", "low", "high", "unit", "interval", "runs", "power", "detectable", "verdict", "why", "test")  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One line of the ledger.

    Attributes
    ----------
    effect, low, high : float
        Ours with its 95 % interval, in ``unit``; of several effects that must all hold, the one nearest to failing. NaN where there is none.
    how, runs : str, int
        Kind of interval, and the number of seeds behind it.
    power : float
        Probability that the claim is found to hold if it is true in the size stated (0–1).
    detectable : float
        Minimum effect, away from the threshold, that the test finds with a probability of 80 %, in points.
    verdict, why, test : str
        One of ``rule.VERDICTS``, the reason, the function that decides.
    """

    id: str
    effect: float
    low: float
    high: float
    unit: str
    how: str
    runs: int
    power: float
    detectable: float
    verdict: str
    why: str
    test: str


def verdict(study: Study, name: str, tidy: pd.DataFrame | None = None, chosen: dict[str, str] | None = None) -> Verdict:
    """Verdict on one claim, from results and predictions that are there.

    Parameters
    ----------
    name : str
        ``C01`` ... ``C21``, ``Q01`` ... ``Q05``.
    tidy : DataFrame, optional
        Results to decide by; those of the study where not given.
    chosen : dict, optional
        Target → intermediate recipe that is best on dev (C09); chosen by the study's dev scores where not given.

    Raises
    ------
    ParameterError
        If there is no such claim.
    """
    return _verdict(entries.find(name), Book(study, tidy, chosen))


def ledger(
    study: Study,
    tidy: pd.DataFrame | None = None,
    chosen: dict[str, str] | None = None,
    ids: Collection[str] | None = None,
) -> pd.DataFrame:
    """Verdicts on all claims and questions, or those with some ids, one row each (:data:`COLUMNS`); parameters as of :func:`verdict`.

    Raises
    ------
    ParameterError
        If there is no claim of an id.
    """
    import pandas as pd

    book = Book(study, tidy, chosen)
    rows = []
    for claim in entries.every() if ids is None else map(entries.find, ids):
        v = asdict(_verdict(claim, book))
        number = "" if claim.number is None else f"{claim.number:,g} {claim.unit}" if claim.number < 1e5 else f"{claim.number:,.0f} {claim.unit}"  # fmt: skip
        rows.append((claim.id, claim.claim, number, claim.claimed_on, claim.certainty, v["effect"], v["low"], v["high"], v["unit"],
                     v["how"], v["runs"], v["power"], v["detectable"], v["verdict"], v["why"], v["test"]))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _verdict(claim: entries.Claim, book: Book) -> Verdict:
    none = {"effect": NAN, "low": NAN, "high": NAN, "unit": "", "how": "", "runs": 0, "power": NAN, "detectable": NAN}
    test = claim.test or ""
    try:
        if claim.direction == "is":
            fact = facts.FACTS[claim.test](book.study, claim.number, **claim.options)
            good, bad = rule.words(claim, not rule.short_of_full(book.study))
            found = (
                none
                if fact.found is None
                else none | {"effect": float(fact.found), "unit": claim.unit, "how": "a fact"}
            )
            return Verdict(claim.id, **found, verdict=good if fact.holds else bad, why=fact.detail, test=test)
        options = _options(claim, book.study)
        outcome = effects.TESTS[claim.test](book, **options)
    except (Missing, DataError) as error:  # data that are not in place leave a claim untested, and the ledger says so
        why = str(error).splitlines()[0]
        return Verdict(claim.id, **none, verdict="not tested", why=why, test=test)
    word, why = rule.decide(claim, outcome, not rule.short_of_full(book.study))
    e = rule.closest(claim, outcome.effects)
    d = e.difference
    least = stats.detectable(d.error, d.runs)
    return Verdict(
        claim.id, d.value, d.low, d.high, outcome.unit, d.how, d.runs, rule.power(claim, e), least, word, why, test
    )


def _options(claim: entries.Claim, study: Study) -> dict:
    """Options of a claim's test; a question needs its design.

    Raises
    ------
    Missing
        If the design is not part of the study, or the question has no test yet.
    """
    if claim.design is None:
        return dict(claim.options)
    if claim.design not in study.grids:
        raise Missing(f"the design {claim.design} is not part of this study")
    if claim.test is None:
        raise Missing(f"no test is written for the design {claim.design} yet")
    return {**claim.options, "design": claim.design}


def of(table: pd.DataFrame, only: str) -> pd.DataFrame:
    """Lines of a ledger with one verdict, or ``all``.

    Raises
    ------
    ParameterError
        If there is no such verdict.
    """
    if only not in ("all", *rule.VERDICTS):
        raise ParameterError(unknown("verdict", only, ("all", *rule.VERDICTS)))
    return table if only == "all" else table[table["verdict"] == only].reset_index(drop=True)
