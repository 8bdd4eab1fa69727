"""Repeats that take turns, and what can be said of their ratio."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """A ratio of rates with its 95 % interval; ``nan`` ends with fewer than three repeats."""

    value: float
    low: float
    high: float
    repeats: int

    def __str__(self) -> str:
        ends = "" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{ends}"


def ratio(ours: list[float], theirs: list[float]) -> Ratio:
    """Ratio of paired rates: geometric mean and t interval on the logarithms of the repeats' own ratios.

    Parameters
    ----------
    ours, theirs : list of float
        Rates (more is better), one per repeat, in the same order.
    """
    logs = np.log(np.asarray(ours, float) / np.asarray(theirs, float))
    mean, n = float(logs.mean()), len(logs)
    if n < 3:
        return Ratio(math.exp(mean), math.nan, math.nan, n)
    from scipy import stats

    error = float(stats.sem(logs))
    low, high = stats.t.interval(0.95, n - 1, mean, error) if error > 0 else (mean, mean)
    return Ratio(math.exp(mean), math.exp(low), math.exp(high), n)


def take_turns(sides: dict[str, Callable[[int], dict]], repeats: int, tell: Callable[[str], None]) -> list[dict]:
    """Run every side once per repeat, in an order that moves on by one each time.

    Parameters
    ----------
    sides : dict
        Name → function of the repeat's number that does the work once and returns its raw figures (``seconds``, ``tokens``, …).

    Returns
    -------
    list of dict
        One per repeat: name → raw figures.
    """
    names, found = list(sides), []
    for number in range(repeats):
        order = [names[(number + i) % len(names)] for i in range(len(names))]
        raw = {}
        for name in order:
            raw[name] = sides[name](number)
            rate = raw[name].get("tokens", 0) / max(raw[name]["seconds"], 1e-9)
            tell(f"  repeat {number + 1}/{repeats}  {name:16} {raw[name]['seconds']:8.2f} s  {rate:12,.0f} tokens/s")
        found.append({name: raw[name] for name in names})
    return found


def rates(repeats: list[dict], side: str, amount: str = "tokens") -> list[float]:
    """Amount per second of one side, one per repeat."""
    return [r[side][amount] / r[side]["seconds"] for r in repeats]
