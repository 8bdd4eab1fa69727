"""Intervals cover what they should, and paired tests say nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from xitt import simulation
from xitt.errors import ParameterError
from xitt.metrics import METRICS
from xitt.stats import (
    Counts,
    benjamini_hochberg,
    detectable,
    discordant,
    draws,
    interval,
    mcnemar,
    of_draws,
    over_seeds,
    paired_bootstrap,
    power,
    resampled,
    t_test,
)

SHARE = METRICS["classify", "accuracy"].value
F1 = METRICS["tag", "f1"].value
RUNS, EXAMPLES = 300, 200


def ids(n: int = EXAMPLES) -> np.ndarray:
    return np.array([str(i) for i in range(n)])


def accuracy(right: np.ndarray, names: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Ids and counts of one language from 0/1 per example."""
    right = np.asarray(right, float)
    return (ids(len(right)) if names is None else names), np.stack([right, np.ones_like(right)], 1)


def coverage(counts: Counts, truth: float) -> float:
    """Share of languages whose own interval holds the truth; a language stands for a repetition of the experiment."""
    low, high = np.quantile(resampled(counts, 600), [0.025, 0.975], axis=0)
    return float(np.mean((low <= truth) & (truth <= high)))


# --- intervals -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [0.5, 0.75, 0.9])
def test_the_interval_of_an_accuracy_covers(p):
    rng = np.random.default_rng(int(100 * p))
    runs = {str(r): accuracy(rng.random(EXAMPLES) < p) for r in range(RUNS)}
    assert 0.91 <= coverage(Counts(runs, SHARE), 100 * p) <= 0.985


def test_the_interval_of_an_f1_covers():
    """A ratio of sums over sentences of different size."""
    rng = np.random.default_rng(3)

    def draw(n: int) -> np.ndarray:
        gold = rng.integers(1, 6, n)
        return np.stack([rng.binomial(gold, 0.7), gold + rng.integers(-1, 2, n), gold], 1).astype(float)

    truth = float(F1(draw(400_000).sum(axis=0)))
    runs = {str(r): (ids(), draw(EXAMPLES)) for r in range(RUNS)}
    assert 0.91 <= coverage(Counts(runs, F1), truth) <= 0.985


def test_the_interval_of_a_mean_over_parallel_languages_covers():
    """The same hard and easy sentences in every language: taken for independent, the interval would be far too short."""
    rng = np.random.default_rng(5)
    difficulty = rng.random((150, EXAMPLES))
    held = []
    for hard in difficulty:
        runs = {x: accuracy(rng.random(EXAMPLES) < 0.2 + 0.6 * (hard > 0.5)) for x in "abcdefgh"}
        value, low, high = interval(Counts(runs, SHARE), resamples=400)
        assert low <= value <= high
        held.append(low <= 50 <= high)
    assert 0.90 <= np.mean(held) <= 0.99


def test_interval_is_the_quantiles_of_the_resampled_mean():
    rng = np.random.default_rng(0)
    counts = Counts({x: accuracy(rng.random(50) < 0.6) for x in ("de", "tr")}, SHARE)
    values = resampled(counts, 500, seed=4)
    assert values.shape == (500, 2)
    value, low, high = interval(counts, level=0.9, resamples=500, seed=4)
    assert value == pytest.approx(np.mean([100 * counts.by_language[x][1][:, 0].mean() for x in ("de", "tr")]))
    assert (low, high) == pytest.approx(tuple(np.quantile(values.mean(axis=1), [0.05, 0.95])))


def test_the_interval_is_that_of_theory_for_a_proportion():
    counts = Counts({"en": accuracy(np.arange(1000) < 700)}, SHARE)
    value, low, high = interval(counts, resamples=4000)
    error = 100 * np.sqrt(0.7 * 0.3 / 1000)
    assert value == pytest.approx(70)
    assert (low, high) == pytest.approx((70 - 1.96 * error, 70 + 1.96 * error), abs=0.25)


def test_a_wider_level_gives_a_wider_interval():
    counts = Counts({"en": accuracy(np.arange(100) % 3 > 0)}, SHARE)
    widths = [high - low for _, low, high in (interval(counts, level, 500) for level in (0.5, 0.9, 0.99))]
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_equal_ids_are_drawn_together_and_others_are_not():
    right = np.random.default_rng(1).random(EXAMPLES) < 0.6
    one = Counts({"a": accuracy(right)}, SHARE)
    parallel = Counts({x: accuracy(right) for x in "abcd"}, SHARE)
    apart = Counts({x: accuracy(right, np.char.add(x, ids())) for x in "abcd"}, SHARE)

    def width(c):
        _, low, high = interval(c, resamples=1000)
        return high - low

    assert width(parallel) == pytest.approx(width(one))
    assert width(apart) == pytest.approx(width(one) / 2, rel=0.15)


def test_examples_are_found_by_id_not_by_place():
    rng = np.random.default_rng(2)
    right = rng.random(EXAMPLES) < 0.6
    order = rng.permutation(EXAMPLES)
    forth = Counts({"a": accuracy(right)}, SHARE)
    mixed = Counts({"a": accuracy(right[order], ids()[order])}, SHARE)
    np.testing.assert_allclose(resampled(forth, 50), resampled(mixed, 50), rtol=1e-5)


def test_a_small_language_may_be_missing_from_a_resample():
    counts = Counts({"big": accuracy(np.ones(60)), "small": accuracy([1], np.array(["0"]))}, SHARE)
    values = resampled(counts, 200)
    assert np.isfinite(values).all()
    assert set(np.unique(values[:, 0])) == {100}


def test_resampling_repeats_itself():
    counts = Counts({"a": accuracy(np.arange(40) % 2)}, SHARE)
    np.testing.assert_array_equal(resampled(counts, 20, 1), resampled(counts, 20, 1))
    assert not np.array_equal(resampled(counts, 20, 1), resampled(counts, 20, 2))


def test_counts_of_some_languages():
    counts = Counts({"a": accuracy([1, 1]), "b": accuracy([1, 0]), "c": accuracy([0, 0])}, SHARE)
    assert counts.mean() == pytest.approx(50)
    assert counts.only(["a", "b"]).mean() == pytest.approx(75)
    assert list(counts.only(["b"]).by_language) == ["b"]


# --- paired tests --------------------------------------------------------------------------------------------------
def test_identical_inputs_differ_by_nothing():
    rng = np.random.default_rng(0)
    counts = Counts({x: accuracy(rng.random(80) < 0.7) for x in ("de", "tr")}, SHARE)
    d = paired_bootstrap(counts, counts)
    assert (d.value, d.low, d.high, d.p, d.how) == (0, 0, 0, 1, "examples only")


def test_a_difference_has_a_sign():
    rng = np.random.default_rng(1)
    right = rng.random(EXAMPLES) < 0.6
    better = right | (rng.random(EXAMPLES) < 0.3)
    low, high = (Counts({"de": accuracy(x)}, SHARE) for x in (right, better))
    up, down = paired_bootstrap(high, low), paired_bootstrap(low, high)
    assert up.value == pytest.approx(100 * (better.mean() - right.mean()))
    assert 0 < up.low < up.value < up.high
    assert up.p < 0.01
    assert (down.value, down.low, down.high) == pytest.approx((-up.value, -up.high, -up.low), abs=1e-4)
    assert down.p == pytest.approx(up.p)


def test_pairing_makes_the_interval_shorter():
    rng = np.random.default_rng(2)
    right = rng.random(EXAMPLES) < 0.6
    other = right.copy()
    other[:6] = ~other[:6]
    first, second = (Counts({"de": accuracy(x)}, SHARE) for x in (right, other))
    unpaired = Counts({"de": accuracy(other, np.char.add("x", ids()))}, SHARE)
    d = paired_bootstrap(first, second)
    assert d.high - d.low < 6
    alone = interval(unpaired)
    assert alone[2] - alone[1] > 12


def test_the_paired_test_is_wrong_as_often_as_it_says():
    """Two equally good models: p < 0.05 in about one run of twenty."""
    rng = np.random.default_rng(7)
    p = []
    for _ in range(200):
        first, second = (Counts({"de": accuracy(rng.random(EXAMPLES) < 0.7)}, SHARE) for _ in range(2))
        p.append(paired_bootstrap(first, second, resamples=300).p)
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.10
    assert min(p) > 0
    assert max(p) <= 1


# --- over seeds ----------------------------------------------------------------------------------------------------
def test_over_seeds_by_hand():
    """Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t(0.975, 2 degrees) = 4.3027."""
    d = over_seeds(np.array([1.0, 2.0, 3.0]))
    assert d.value == pytest.approx(2)
    assert (d.low, d.high) == pytest.approx((2 - 4.30265 / np.sqrt(3), 2 + 4.30265 / np.sqrt(3)), abs=1e-4)
    assert d.p == pytest.approx(0.0742, abs=1e-4)
    assert d.how == "t over 3 seeds"


def test_over_seeds_as_scipy():
    x = np.array([0.3, -0.1, 0.8, 1.1, 0.2])
    d, test = over_seeds(x, 0.9), scipy_stats.ttest_1samp(x, 0)
    assert (d.low, d.high) == pytest.approx(tuple(test.confidence_interval(0.9)))
    assert d.p == pytest.approx(test.pvalue)


def test_over_seeds_that_agree_to_the_last_digit():
    assert over_seeds(np.zeros(3)).p == 1
    d = over_seeds(np.full(3, 2.0))
    assert (d.value, d.low, d.high, d.p) == (2, 2, 2, 0)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_seeds(n):
    with pytest.raises(ValueError, match="three seeds"):
        over_seeds(np.ones(n))


# --- many tests ----------------------------------------------------------------------------------------------------
def test_benjamini_hochberg_by_hand():
    """Sorted .005 .01 .03 .04, times 4/rank: .02 .02 .04 .04."""
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.005])), [0.02, 0.04, 0.04, 0.02])
    assert len(benjamini_hochberg(np.array([]))) == 0
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.2])), [0.2])


def test_benjamini_hochberg_against_its_definition():
    p = np.random.default_rng(0).random(40) ** 2
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    expected = np.empty_like(p)
    expected[order] = np.minimum(1, np.minimum.accumulate(scaled[::-1])[::-1])
    np.testing.assert_allclose(benjamini_hochberg(p), expected)


# --- McNemar -------------------------------------------------------------------------------------------------------
def test_mcnemar_by_hand():
    """1 against 5 discordant pairs: 2 * (1 + 6) / 64 exactly; mid-p takes off the 6 / 64 of the observed."""
    exact, mid = mcnemar([1, 5, 3, 0], [5, 1, 3, 0])
    np.testing.assert_allclose(exact, [14 / 64, 14 / 64, 1, 1])
    np.testing.assert_allclose(mid, [8 / 64, 8 / 64, 1, 1])


def test_discordant_examples_are_matched_by_id():
    first = Counts({"de": accuracy([1, 1, 0, 1], np.array(["a", "b", "c", "d"]))}, SHARE)
    second = Counts({"de": accuracy([0, 1, 1, 0], np.array(["d", "c", "b", "x"]))}, SHARE)
    assert discordant(first, second) == {"de": (1, 1)}  # d only by the first, c only by the second; b by both
    with pytest.raises(ParameterError, match="no example id in common"):
        discordant(first, Counts({"de": accuracy([1], np.array(["z"]))}, SHARE))
    with pytest.raises(ParameterError, match="scores of right and wrong"):
        discordant(first, Counts({"de": (np.array(["a"]), np.array([[1.0, 2, 2]]))}, F1))


# --- power ---------------------------------------------------------------------------------------------------------
def test_power_by_simulation():
    rng = np.random.default_rng(0)
    for runs, shift in ((3, 4.0), (5, 3.0)):
        d = rng.standard_normal((20_000, runs)) + shift / np.sqrt(runs)
        assert power(shift, 1.0, runs) == pytest.approx(np.mean(t_test(d)[3] < 0.05), abs=0.01)
    assert power(1.96, 1.0) == pytest.approx(0.5, abs=0.001)
    assert power(0, 1.0, 3) == pytest.approx(0.05, abs=1e-4)
    assert power(100, 1.0, 3) == pytest.approx(1)


def test_the_minimum_detectable_effect_has_the_power_asked_for():
    for runs in (1, 3, 5):
        for wanted in (0.5, 0.8):
            assert power(detectable(0.7, runs, wanted), 0.7, runs) == pytest.approx(wanted, abs=1e-4)
    assert detectable(0.0, 3) == 0
    assert detectable(1.0) == pytest.approx(1.96 + 0.8416, abs=0.001)  # the textbook's 2.8 standard errors


# --- the bootstrap in blocks ---------------------------------------------------------------------------------------
def test_blocks_change_nothing():
    rng = np.random.default_rng(0)
    counts = Counts({x: accuracy(rng.random(90) < 0.6) for x in ("de", "tr")}, SHARE)
    np.testing.assert_array_equal(resampled(counts, 50), resampled(counts, 50, memory=1))


def test_draws_are_multinomial():
    weights = np.concatenate(list(draws(40, 5000, np.random.default_rng(0), memory=2**16)))
    assert weights.shape == (5000, 40)
    assert set(weights.sum(axis=1)) == {40}
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(weights.var(axis=0), 1 - 1 / 40, atol=0.1)


def test_languages_that_share_ids_through_a_third_are_one_stratum():
    right = np.random.default_rng(0).random(60) < 0.5
    names = ids(60)
    counts = Counts({"a": accuracy(right[:40], names[:40]), "b": accuracy(right[20:], names[20:]), "c": accuracy(right, np.char.add("c", names))}, SHARE)  # fmt: skip
    values = resampled(counts, 3000)
    together = np.corrcoef(values.T)
    assert together[0, 1] > 0.3  # half of the examples are the same
    assert abs(together[0, 2]) < 0.1


def test_a_pair_that_only_one_model_has_mined_is_drawn_with_the_others():
    """Predictions of a mining task hold other ids for each model; what both have is drawn alike."""
    first = Counts({"de": (np.array(["a", "b", "c"]), np.ones((3, 3)))}, F1)
    second = Counts({"de": (np.array(["a", "b", "c", "d"]), np.array([[1, 1, 1.0]] * 3 + [[0, 1, 0]]))}, F1)
    d = paired_bootstrap(first, second)
    assert d.value > 0
    assert d.low >= -1e-4  # the first is never worse in a resample


def test_p_values_reach_below_what_resamples_resolve():
    value, rng = 10.0, np.random.default_rng(0)
    p = of_draws(value, value + rng.standard_normal(2000)).p
    assert 0 < p < 1e-9
    near = of_draws(1.0, 1.0 + rng.standard_normal(2000)).p
    assert near == pytest.approx(2 * scipy_stats.norm.sf(1), abs=0.05)


def test_a_table_of_9_by_9_over_40_languages_takes_seconds_and_little_memory():
    """A ninth of it here: one target, none and nine rows, 40 languages of 1,000 examples each with ids of their own."""
    import time
    import tracemalloc

    rng = np.random.default_rng(0)
    names = {x: np.char.add(f"{x}-", ids(1000)) for x in range(40)}
    right = rng.random((10, 40, 1000)) < 0.7
    counts = Counts({(r, x): accuracy(right[r, x], names[x]) for r in range(10) for x in range(40)}, SHARE)
    tracemalloc.start()
    begin = time.process_time()
    assert resampled(counts).shape == (2000, 400)
    seconds, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 60 / 9
    assert peak < 2**31 / 4


# --- simulations ---------------------------------------------------------------------------------------------------
def test_the_simulations_hold():
    """A small version; `07_claims` runs the full one."""
    checks = simulation.report(300, seed=1).set_index("experiment")
    assert len(checks) == 14
    wrong = checks[checks["holds"] == "no"]
    assert not len(wrong), wrong
    unused = checks[checks["holds"] == ""]["observed"]
    assert (unused.diff().dropna() > 0).all()  # the more seeds the better, and never enough
    assert unused.max() < 91
    assert "of 11 experiments" in simulation.sentence(checks.reset_index())


def test_the_simulation_sees_an_interval_that_is_too_short():
    rng = np.random.default_rng(0)
    first, second, truth = simulation.accuracies(200, 200, rng)
    assert simulation.bootstrap_coverage(first, second, truth + 12) < 60
    p = np.full((50, 81), 0.5)
    p[:, 0] = 1e-6
    assert simulation.false_share(p, 0) == 100
    assert simulation.false_share(p, 1) == 0
