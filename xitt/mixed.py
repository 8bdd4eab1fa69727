"""Linear mixed models: fixed effects beside random intercepts and slopes of any number of crossed groupings, by REML.

The model is y = X b + sum_k Z_k u_k + e with u_k ~ N(0, v_k I), e ~ N(0, v I). Random effects are independent of each other. Estimates and
deviance by the penalised least squares of Bates et al. 2015 (Fitting linear mixed-effects models using lme4, section 3), written in the
cross-products of X and Z, so that the cost hangs on the number of random effects and not on that of observations. Degrees of freedom
by Satterthwaite's method in the form of Giesbrecht and Burns 1985 (as lmerTest, Kuznetsova et al. 2017), with the expected information
of the variances, which is closed here and needs no numerical derivative.

A variance that is estimated as zero leaves its effects out of the degrees of freedom too; with few groups that happens by chance, and
intervals of what varies between them are then a little short (``tests/test_mixed.py`` measures it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import stats
from .errors import ParameterError

_STARTS = (0.0, -3.0)  # of the logarithm of variance ratios
_BOUNDS = (-18.0, 18.0)
_NOTHING = 1e-6  # a smaller ratio to the residual variance is none


@dataclass(frozen=True)
class Random:
    """One random effect: a grouping of the observations, and what its effects are multiplied with.

    Attributes
    ----------
    groups : sequence (observations,)
        Label of each observation's group.
    slope : ndarray (observations,) or None
        A covariate; ``None`` is an intercept.
    """

    groups: Sequence
    slope: np.ndarray | None = None


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    names : tuple of str
        Fixed effects.
    beta : ndarray (p,)
        Their estimates; ``covariance`` (p, p) is that of the estimates.
    residual : float
        Residual variance; ``variances`` are those of the random effects, by name.
    levels : dict
        Random effect → number of its groups.
    deviance : float
        -2 log restricted likelihood.
    n : int
        Observations.
    """

    names: tuple[str, ...]
    beta: np.ndarray
    covariance: np.ndarray
    residual: float
    variances: dict[str, float]
    levels: dict[str, int]
    deviance: float
    n: int
    _products: _Products

    def contrast(self, effect: str | np.ndarray) -> np.ndarray:
        """Weights (p,) of the fixed effects: those given, or 1 for the one that is named.

        Raises
        ------
        ParameterError
            If there is no such effect.
        """
        if not isinstance(effect, str):
            return np.asarray(effect, float)
        if effect not in self.names:
            from .errors import unknown

            raise ParameterError(unknown("fixed effect", effect, self.names))
        return np.eye(len(self.names))[self.names.index(effect)]

    def error(self, effect: str | np.ndarray) -> float:
        """Standard error of a contrast."""
        c = self.contrast(effect)
        return float(np.sqrt(c @ self.covariance @ c))

    def freedom(self, effect: str | np.ndarray) -> float:
        """Degrees of freedom of a contrast (Satterthwaite), at least 1."""
        f, g = self._gradient(self.contrast(effect))
        # effects with the same groups share one variance: only their sum is told, and the pseudo-inverse takes it
        spread = g @ np.linalg.pinv(self._information, hermitian=True) @ g
        return float(max(1.0, 2 * f**2 / spread)) if spread > 0 else float(self.n - len(self.names))

    def effect(self, effect: str | np.ndarray, level: float = stats.LEVEL) -> stats.Difference:
        """Estimate of a contrast with its t interval and two-sided p; ``runs`` is one more than its degrees of freedom, rounded down."""
        from scipy.special import stdtr, stdtrit

        c = self.contrast(effect)
        value, error, df = float(c @ self.beta), self.error(c), self.freedom(c)
        half = stdtrit(df, (1 + level) / 2) * error
        p = float(2 * stdtr(df, -abs(value) / error)) if error > 0 else float(value == 0)
        return stats.Difference(value, value - half, value + half, p, f"mixed model, {df:.0f} df", error, int(df) + 1)

    def detectable(self, effect: str | np.ndarray, wanted: float = 0.8, level: float = stats.LEVEL) -> float:
        """True size of a contrast that the test finds with this probability, by the errors seen."""
        from scipy import optimize
        from scipy import stats as distributions

        error, df = self.error(effect), self.freedom(effect)
        cut = distributions.t.isf((1 - level) / 2, df)
        found = optimize.brentq(lambda shift: distributions.nct.sf(cut, df, shift) - wanted, 0.0, 60.0 + cut)
        return float(error * found)

    @cached_property
    def _active(self) -> list[str]:
        return [k for k, v in self.variances.items() if v > _NOTHING * self.residual]

    @cached_property
    def _weighted(self) -> tuple[np.ndarray, np.ndarray]:
        """Z' V^-1 X and Z' P Z, for all random effects (Z unscaled)."""
        p, v = self._products, self.residual
        scale = p.scale([self.variances[k] / v for k in p.names])
        inner = np.linalg.inv(np.eye(len(scale)) + scale[:, None] * p.zz * scale)
        left = p.zz * scale  # Z'Z L
        zvx = (p.zx - left @ inner @ (scale[:, None] * p.zx)) / v
        zvz = (p.zz - left @ inner @ left.T) / v
        return zvx, zvz - zvx @ self.covariance @ zvx.T

    def _gradient(self, c: np.ndarray) -> tuple[float, np.ndarray]:
        """Variance of a contrast, and its derivatives by the variances of the model (residual first, then the active ones)."""
        p, f = self._products, float(c @ self.covariance @ c)
        pulled = self._weighted[0] @ (self.covariance @ c)
        each = np.array([np.sum(pulled[p.place[k]] ** 2) for k in self._active])
        own = (f - sum(self.variances[k] * g for k, g in zip(self._active, each, strict=True))) / self.residual
        return f, np.array([own, *each])

    @cached_property
    def _information(self) -> np.ndarray:
        """Expected information of the variances under REML: half the traces of P V_j P V_k."""
        p, v, names = self._products, self.residual, self._active
        zpz = self._weighted[1]
        block = {(a, b): zpz[p.place[a], p.place[b]] for a in names for b in names}
        traces = np.array([np.trace(block[a, a]) for a in names])
        tau = np.array([self.variances[a] for a in names])
        both = np.array([[np.sum(block[a, b] ** 2) for b in names] for a in names]).reshape(len(names), len(names))
        mixed = (traces - both @ tau) / v  # tr(P P V_a)
        plain = (self.n - len(self.names) - tau @ traces) / v  # tr(P)
        first = (plain - tau @ mixed) / v  # tr(P P)
        return 0.5 * np.block([[np.array([[first]]), mixed[None, :]], [mixed[:, None], both]])


class _Products:
    """Cross-products of y, X and Z, and where each random effect's columns of Z are."""

    def __init__(self, y: np.ndarray, x: np.ndarray, random: Mapping[str, Random]):
        self.n, self.p = x.shape
        self.names, self.place, begin = tuple(random), {}, 0
        index, value = {}, {}
        for name, r in random.items():
            groups, index[name] = np.unique(np.asarray(r.groups, str), return_inverse=True)
            value[name] = np.ones(self.n) if r.slope is None else np.asarray(r.slope, float)
            self.place[name] = slice(begin, begin + len(groups))
            begin += len(groups)
        self.levels = {k: s.stop - s.start for k, s in self.place.items()}
        self.zz, self.zx, self.zy = np.zeros((begin, begin)), np.zeros((begin, self.p)), np.zeros(begin)
        for a in random:
            np.add.at(self.zx[self.place[a]], index[a], value[a][:, None] * x)
            np.add.at(self.zy[self.place[a]], index[a], value[a] * y)
            for b in random:
                np.add.at(self.zz[self.place[a], self.place[b]], (index[a], index[b]), value[a] * value[b])
        self.xx, self.xy, self.yy = x.T @ x, x.T @ y, float(y @ y)

    def scale(self, ratios: Sequence[float]) -> np.ndarray:
        """Relative standard deviation of each random effect (columns of Z)."""
        counts = [self.levels[k] for k in self.names]
        return np.repeat(np.sqrt(np.asarray(ratios, float)), counts)

    def solve(self, ratios: Sequence[float]) -> tuple[float, np.ndarray, np.ndarray, float]:
        """Restricted deviance at given ratios of variances; b, X' V^-1 X (times the residual variance), residual sum of squares."""
        from scipy.linalg import solve_triangular

        s = self.scale(ratios)
        low = np.linalg.cholesky(np.eye(len(s)) + s[:, None] * self.zz * s)
        right = solve_triangular(low, s[:, None] * np.column_stack([self.zx, self.zy]), lower=True)
        rx, ry = right[:, :-1], right[:, -1]
        inner = self.xx - rx.T @ rx
        other = self.xy - rx.T @ ry
        beta = np.linalg.solve(inner, other)
        rss = max(self.yy - ry @ ry - other @ beta, 1e-12 * max(self.yy, 1e-12))
        free = self.n - self.p
        logs = 2 * np.log(np.diag(low)).sum() + np.linalg.slogdet(inner)[1]
        return float(free * (1 + np.log(2 * np.pi * rss / free)) + logs), beta, inner, float(rss)


def fit(y: np.ndarray, x: np.ndarray, names: Sequence[str], random: Mapping[str, Random]) -> Fit:
    """Fit a linear mixed model by REML.

    Parameters
    ----------
    y : ndarray (observations,)
    x : ndarray (observations, p)
        Fixed effects, an intercept among them if there is to be one; ``names`` (p,) names them.
    random : mapping of str to Random
        Random effects by name.

    Raises
    ------
    ParameterError
        If there are no more observations than fixed effects, or a fixed effect is a combination of others.
    """
    from scipy.optimize import minimize

    y, x = np.asarray(y, float), np.asarray(x, float)
    if len(y) <= x.shape[1]:
        raise ParameterError(f"a mixed model of {x.shape[1]} fixed effects needs more than {len(y)} observations")
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise ParameterError(f"mixed model: its fixed effects ({', '.join(names)}) are combinations of each other here")
    p = _Products(y, x, random)
    tries = [minimize(lambda t: p.solve(np.exp(t))[0], np.full(len(random), start), method="L-BFGS-B",
                      bounds=[_BOUNDS] * len(random)) for start in _STARTS] if random else []  # fmt: skip
    ratios = np.exp(min(tries, key=lambda t: t.fun).x) if tries else np.zeros(0)
    ratios = np.where(ratios < _NOTHING, 0.0, ratios)
    deviance, beta, inner, rss = p.solve(ratios)
    v = rss / (p.n - p.p)
    variances = {k: float(v * r) for k, r in zip(p.names, ratios, strict=True)}
    return Fit(tuple(names), beta, v * np.linalg.inv(inner), v, variances, dict(p.levels), deviance, p.n, p)


# --- correlations --------------------------------------------------------------------------------------------------
def correlation(a: np.ndarray, b: np.ndarray, level: float = stats.LEVEL) -> tuple[float, float, float]:
    """Pearson's correlation with its interval by Fisher's z; NaN limits with fewer than four pairs."""
    from scipy import stats as distributions

    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) < 2 or not np.std(a) > 0 or not np.std(b) > 0:
        return float("nan"), float("nan"), float("nan")
    r = float(np.corrcoef(a, b)[0, 1])
    if len(a) < 4:
        return r, float("nan"), float("nan")
    half = distributions.norm.isf((1 - level) / 2) / np.sqrt(len(a) - 3)
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    return r, float(np.tanh(z - half)), float(np.tanh(z + half))


def smallest_correlation(pairs: int, wanted: float = 0.8, level: float = stats.LEVEL) -> float:
    """The smallest true correlation that a t test on so many pairs finds with this probability; 1 with three pairs or fewer.

    By Fisher's z with its bias r / (2 (n - 1)) (Cohen 1988, section 12.7.2: the approximation his tables of power for r rest on).
    """
    from scipy import optimize
    from scipy.stats import norm, t

    if pairs < 4:
        return 1.0
    cut = t.isf((1 - level) / 2, pairs - 2)
    needed = np.arctanh(cut / np.sqrt(cut**2 + pairs - 2)) + norm.isf(1 - wanted) / np.sqrt(pairs - 3)
    return float(optimize.brentq(lambda r: np.arctanh(r) + r / (2 * (pairs - 1)) - needed, 0.0, 1 - 1e-12))
