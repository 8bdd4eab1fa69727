"""Mixed models: closed forms of balanced designs, the likelihood by brute force, and intervals that cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from xitt.errors import ParameterError
from xitt.mixed import Random, correlation, fit, smallest_correlation

RUNS = 150


def one_way(groups: int = 6, each: int = 5, between: float = 2.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([f"g{i}" for i in range(groups)], each)
    y = 3 + np.repeat(between * rng.standard_normal(groups), each) + rng.standard_normal(groups * each)
    return y, labels


# --- closed forms ----------------------------------------------------------------------------------------------------
def test_a_balanced_one_way_layout_is_the_analysis_of_variance():
    y, labels = one_way()
    table = y.reshape(6, 5)
    within = ((table - table.mean(1, keepdims=True)) ** 2).sum() / (6 * 4)
    between = 5 * table.mean(1).var(ddof=1)
    assert between > within
    found = fit(y, np.ones((30, 1)), ["mean"], {"group": Random(labels)})
    assert found.residual == pytest.approx(within, rel=1e-4)
    assert found.variances["group"] == pytest.approx((between - within) / 5, rel=1e-4)
    assert found.beta[0] == pytest.approx(y.mean())
    assert found.error("mean") == pytest.approx(np.sqrt(between / 30), rel=1e-4)
    assert found.freedom("mean") == pytest.approx(5, rel=1e-3)
    d = found.effect("mean")
    t = distributions.ttest_1samp(table.mean(1), 0).confidence_interval(0.95)  # the test on group means
    assert (d.low, d.high) == (pytest.approx(t.low, rel=1e-3), pytest.approx(t.high, rel=1e-3))


def test_a_covariate_within_groups_is_tested_within_them():
    """Balanced and paired: the paired t test."""
    rng = np.random.default_rng(1)
    before, effect = 3 * rng.standard_normal(9), 0.7
    after = before + effect + 0.5 * rng.standard_normal(9)
    y, labels = np.concatenate([before, after]), np.tile([f"g{i}" for i in range(9)], 2)
    x = np.column_stack([np.ones(18), np.repeat([0.0, 1.0], 9)])
    found = fit(y, x, ["mean", "after"], {"group": Random(labels)})
    paired = distributions.ttest_rel(after, before)
    assert found.freedom("after") == pytest.approx(8, rel=1e-3)
    assert found.effect("after").p == pytest.approx(paired.pvalue, rel=1e-3)
    assert found.effect("after").low == pytest.approx(paired.confidence_interval(0.95).low, rel=1e-3)


def test_slopes_by_group_are_the_test_on_each_group_s_own_slope():
    """Two-stage analysis: the mean of the groups' slopes, balanced."""
    rng = np.random.default_rng(2)
    x, groups = np.array([-1.5, -0.5, 0.5, 1.5]), 8
    slopes = 0.6 + rng.standard_normal(groups)
    y = (slopes[:, None] * x + 2 * rng.standard_normal((groups, 1)) + 0.3 * rng.standard_normal((groups, 4))).ravel()
    labels, size = np.repeat([f"g{i}" for i in range(groups)], 4), np.tile(x, groups)
    own = y.reshape(groups, 4) @ x / (x @ x)
    found = fit(y, np.column_stack([np.ones(32), size]), ["mean", "size"],
                {"group": Random(labels), "size by group": Random(labels, size)})  # fmt: skip
    stage = distributions.ttest_1samp(own, 0)
    assert found.freedom("size") == pytest.approx(groups - 1, rel=0.02)
    assert found.effect("size").p == pytest.approx(stage.pvalue, rel=0.02)


def test_without_random_effects_it_is_least_squares():
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(20), rng.standard_normal(20)])
    y = x @ [1.0, 0.5] + rng.standard_normal(20)
    found = fit(y, x, ["mean", "slope"], {})
    line = distributions.linregress(x[:, 1], y)
    assert (found.beta[1], found.error("slope")) == (pytest.approx(line.slope), pytest.approx(line.stderr))
    assert found.freedom("slope") == pytest.approx(18)
    assert found.effect("slope").p == pytest.approx(line.pvalue)


def test_no_spread_between_groups_is_a_variance_of_zero():
    y = np.tile([1.0, 2.0, 4.0], 5) + 0.0
    found = fit(y, np.ones((15, 1)), ["mean"], {"group": Random(np.repeat(list("abcde"), 3))})
    assert found.variances["group"] == 0
    assert found.freedom("mean") == pytest.approx(14)


def test_the_same_groups_twice_share_one_variance():
    y, labels = one_way()
    once = fit(y, np.ones((30, 1)), ["mean"], {"group": Random(labels)})
    twice = fit(y, np.ones((30, 1)), ["mean"], {"group": Random(labels), "again": Random(labels)})
    assert sum(twice.variances.values()) == pytest.approx(once.variances["group"], rel=1e-3)
    assert twice.freedom("mean") == pytest.approx(once.freedom("mean"), rel=1e-3)


# --- brute force -----------------------------------------------------------------------------------------------------
def crossed(rng, languages=7, encoders=6, spread=(1.0, 0.7, 0.5), noise=0.4, slope=0.3, interaction=0.2):
    """Languages × encoders with an effect of each, slopes by language, and covariates of both."""
    size, distance = np.log2(np.resize([1, 2, 3, 5], encoders)), np.linspace(-1, 1, languages)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(languages), np.arange(encoders), indexing="ij"))
    x = np.column_stack([np.ones(len(i)), size[j], distance[i], size[j] * distance[i]])
    y = x @ [1.0, slope, -0.5, interaction] + noise * rng.standard_normal(len(i))
    y += spread[0] * rng.standard_normal(languages)[i] + spread[1] * rng.standard_normal(encoders)[j]
    y += spread[2] * rng.standard_normal(languages)[i] * size[j]
    random = {"language": Random(i), "encoder": Random(j), "size by language": Random(i, size[j])}
    return y, x, ["mean", "size", "distance", "size x distance"], random


def restricted(y, x, random, residual, variances) -> float:
    """-2 log restricted likelihood with whole matrices."""
    v = residual * np.eye(len(y))
    for name, r in random.items():
        same = np.equal.outer(np.asarray(r.groups), np.asarray(r.groups))
        v += variances[name] * same * (1 if r.slope is None else np.outer(r.slope, r.slope))
    inverse = np.linalg.inv(v)
    a = x.T @ inverse @ x
    r = y - x @ np.linalg.solve(a, x.T @ inverse @ y)
    logs = np.linalg.slogdet(v)[1] + np.linalg.slogdet(a)[1] + r @ inverse @ r
    return float(logs + (len(y) - x.shape[1]) * np.log(2 * np.pi))


def test_the_fit_is_the_maximum_of_the_likelihood_written_with_whole_matrices():
    y, x, names, random = crossed(np.random.default_rng(5))
    found = fit(y, x, names, random)
    best = restricted(y, x, random, found.residual, found.variances)
    assert found.deviance == pytest.approx(best)
    for name in ("residual", *random):
        for factor in (0.8, 1.25):
            other = {k: v * (factor if k == name else 1) for k, v in found.variances.items()}
            assert restricted(y, x, random, found.residual * (factor if name == "residual" else 1), other) >= best


def test_the_freedom_is_that_of_numerical_derivatives():
    """Giesbrecht and Burns: variance of a contrast, its gradient by the variances, and their expected information."""
    y, x, names, random = crossed(np.random.default_rng(6))
    found = fit(y, x, names, random)
    assert min(found.variances.values()) > 0
    blocks = [np.eye(len(y))] + [
        np.equal.outer(r.groups, r.groups) * (1 if r.slope is None else np.outer(r.slope, r.slope)) for r in random.values()
    ]  # fmt: skip
    values = np.array([found.residual, *found.variances.values()])
    c = found.contrast("size x distance")

    def variance(phi):
        return c @ np.linalg.inv(x.T @ np.linalg.inv(sum(f * b for f, b in zip(phi, blocks, strict=True))) @ x) @ c

    step = 1e-5 * values
    g = np.array([(variance(values + d) - variance(values - d)) / (2 * d.sum()) for d in np.diag(step)])
    inverse = np.linalg.inv(sum(f * b for f, b in zip(values, blocks, strict=True)))
    p = inverse - inverse @ x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse)
    information = 0.5 * np.array([[np.trace(p @ a @ p @ b) for b in blocks] for a in blocks])
    expected = 2 * variance(values) ** 2 / (g @ np.linalg.solve(information, g))
    assert found.freedom(c) == pytest.approx(expected, rel=1e-3)
    assert found.error(c) == pytest.approx(np.sqrt(variance(values)), rel=1e-6)


# --- coverage --------------------------------------------------------------------------------------------------------
def test_intervals_cover_the_truth_and_find_what_they_say_they_find():
    rng, truth = np.random.default_rng(7), {"size": 0.3, "distance": -0.5, "size x distance": 0.2}
    inside, wide, least = dict.fromkeys(truth, 0), 0, []
    for _ in range(RUNS):
        y, x, names, random = crossed(rng, languages=8, encoders=8)
        found = fit(y, x, names, random)
        for name, value in truth.items():
            d = found.effect(name)
            inside[name] += d.low <= value <= d.high
        naive = fit(y, x, names, {"language": random["language"]}).effect("size")
        wide += naive.low <= truth["size"] <= naive.high
        least.append(found.detectable("size x distance"))
    for name, count in inside.items():
        assert 0.89 <= count / RUNS <= 0.99, (name, count / RUNS)
    # an intercept by language alone takes every language of an encoder for another encoder: why encoders have effects of their own
    assert wide / RUNS < 0.8
    big, size = 0, float(np.median(least))
    for _ in range(RUNS):
        y, x, names, random = crossed(rng, languages=8, encoders=8, interaction=size)
        d = fit(y, x, names, random).effect("size x distance")
        big += d.p < 0.05 and d.value > 0
    assert big / RUNS == pytest.approx(0.8, abs=0.12)


# --- correlations ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pairs", [7, 25])
def test_the_smallest_correlation_is_found_four_times_in_five(pairs):
    rng, r = np.random.default_rng(8), smallest_correlation(pairs)
    a = rng.standard_normal((4000, pairs))
    b = r * a + np.sqrt(1 - r**2) * rng.standard_normal((4000, pairs))
    found = np.array([distributions.pearsonr(*ab).pvalue < 0.05 for ab in zip(a, b, strict=True)])
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_a_correlation_and_its_limits():
    a = np.array([1.0, 2, 3, 4, 5, 6, 7])
    r, low, high = correlation(a, a + np.array([0.5, -0.5, 0.3, 0, -0.2, 0.4, -0.5]))
    assert low < r < high < 1
    assert r == pytest.approx(0.98, abs=0.02)
    assert np.isnan(correlation(a, np.ones(7))[0])
    assert np.isnan(correlation(a[:3], a[:3])[1])
    assert smallest_correlation(3) == 1
    assert smallest_correlation(25) < smallest_correlation(7) < 0.88


# --- what cannot be fitted -------------------------------------------------------------------------------------------
def test_what_cannot_be_fitted_is_refused():
    y, labels = one_way()
    with pytest.raises(ParameterError, match="combinations of each other"):
        fit(y, np.ones((30, 2)), ["mean", "again"], {"group": Random(labels)})
    with pytest.raises(ParameterError, match="more than 2 observations"):
        fit(y[:2], np.eye(2), ["a", "b"], {})
    with pytest.raises(ParameterError, match="fixed effect 'sise' is unknown - did you mean 'size'"):
        fit(*crossed(np.random.default_rng(0))).effect("sise")
