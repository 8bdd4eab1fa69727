"""The rule that turns effects into verdicts (DESIGN, section 5).

*Supported* and *contradicted* need XLM-R Large and the full data; elsewhere a claim *agrees* or *disagrees* with what this study
shows. Questions are answered *yes* or *no*. What the interval, the number of runs or the scope leaves open is *unclear*, and what the
study does not hold is *not tested*.
"""

from __future__ import annotations

import numpy as np

from .. import data, stats
from ..study import Study
from .effects import Effect, Outcome
from .entries import Claim

VERDICTS = ("supported", "contradicted", "agrees", "disagrees", "yes", "no", "unclear", "not tested")
ENCODER = "xlm-roberta-large"


def words(claim: Claim, full: bool) -> tuple[str, str]:
    """What it is called that a claim holds, and that it fails."""
    if claim.question:
        return "yes", "no"
    return ("supported", "contradicted") if full else ("agrees", "disagrees")


def short_of_full(study: Study) -> str:
    """Why a study can neither support nor contradict, or empty: its encoder and data are the paper's."""
    p = study.params
    encoder = (p.backbone.hub or p.backbone.folder or "an encoder built here").rstrip("/").split("/")[-1]
    if encoder != ENCODER:
        return f"its encoder is {encoder}, not {ENCODER}"
    if p.data.source == "pocket":
        return "its data are generated"
    limits = (p.data.limits, *p.data.task_limits.values())
    if any(x is not None for limit in limits for x in (limit.train, limit.dev, limit.test)) or p.data.languages:
        return "its data are limited"
    if p.data.source == "folder":
        names = dict.fromkeys([*study.intermediate_tasks, *study.targets])
        short = [n for n in names if data.status(study, n).state != "yes"]
        if short:
            return f"its folder does not hold all of {', '.join(short[:3])}"
    return ""


def state(claim: Claim, effect: Effect) -> str:
    """``holds``, ``fails`` or ``open``: where the interval of an effect lies."""
    d, w, m = effect.difference, effect.wide, claim.margin
    low, high = d.low + effect.shift - claim.threshold, d.high + effect.shift - claim.threshold
    if claim.direction == "no gain":
        # no effect: the whole interval within the margin; a loss beyond it is no gain either
        if (-m < low and high < m) or high < -m:
            return "holds"
        return "fails" if w.low + effect.shift - claim.threshold > m else "open"
    if low > 0:
        return "holds"
    return "fails" if w.high + effect.shift - claim.threshold < m else "open"


def decide(claim: Claim, outcome: Outcome, full: bool) -> tuple[str, str]:
    """Verdict on a claim about training, and its reason."""
    states = [state(claim, e) for e in outcome.effects]
    runs = min(e.difference.runs for e in outcome.effects)
    good, bad = words(claim, full and not outcome.partial)
    notes = [outcome.detail, outcome.partial]
    if outcome.at_chance:
        notes.append(f"at chance: {', '.join(outcome.at_chance[:4])}{' ...' if len(outcome.at_chance) > 4 else ''}")
    if runs < claim.runs:
        seeds = f"{runs} run{'s' if runs > 1 else ''} of at least {claim.runs}"
        notes.insert(0, f"{seeds}: intervals over examples compare trained models and decide nothing about training")
        return "unclear", _joined(notes)
    if "fails" in states:
        return bad, _joined([_where(claim, outcome, states, "fails"), *notes])
    if "open" in states or outcome.veto:
        why = _where(claim, outcome, states, "open") if "open" in states else f"but {outcome.veto}"
        return "unclear", _joined([why, *notes])
    return good, _joined([f"{_asked(claim, outcome)}: whole interval", *notes])


def _where(claim: Claim, outcome: Outcome, states: list[str], wanted: str) -> str:
    named = [e.label for e, s in zip(outcome.effects, states, strict=True) if s == wanted]
    return f"{_asked(claim, outcome)}: {'not so' if wanted == 'fails' else 'cannot be told'} ({', '.join(named)})"


def _asked(claim: Claim, outcome: Outcome) -> str:
    if claim.direction == "no gain":
        return f"within {claim.margin:g} point of 0"
    return f"above {claim.threshold:+g} {outcome.unit}"


def _joined(parts: list[str]) -> str:
    return "; ".join(p for p in parts if p)


def closest(claim: Claim, effects: list[Effect]) -> Effect:
    """The effect that decides: the one with the least room between its interval and the threshold."""
    if claim.direction == "no gain":
        return max(effects, key=lambda e: e.difference.high + e.shift)
    return min(effects, key=lambda e: e.difference.low + e.shift)


def power(claim: Claim, effect: Effect) -> float:
    """Probability (0–1) that the claim is found to hold if the effect is truly of the size that the claim states.

    By the interval's own standard error: it is the spread seen, not a planned one. NaN with fewer runs than the claim needs.
    """
    d = effect.difference
    if d.runs < claim.runs or claim.expected is None or np.isnan(d.error):
        return float("nan")
    if claim.direction == "no gain":
        return within(claim.margin, d.error, d.runs)
    return stats.power(claim.expected + effect.shift - claim.threshold, d.error, d.runs)


def within(margin: float, error: float, runs: int) -> float:
    """Probability that the whole 95 % interval lies within ± margin where there is no effect at all (0–1)."""
    from scipy import stats as distributions

    if error == 0:
        return 1.0
    # |mean| + t * s < margin, with mean and spread independent: averaged over the spread
    room = margin - distributions.t.isf((1 - stats.LEVEL) / 2, runs - 1) * stats.spreads(runs) * error
    inside = 2 * distributions.norm.cdf(np.maximum(room, 0) / error) - 1
    return float(np.mean(inside))
