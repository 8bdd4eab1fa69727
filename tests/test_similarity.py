"""Measures of task similarity against brute force and closed forms; a prediction that never sees what it predicts."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from xitt import backbone, claims, data
from xitt import study as studies
from xitt.batching import Ragged
from xitt.errors import ParameterError
from xitt.runs import device
from xitt.similarity import (
    MEASURES,
    Undefined,
    cost,
    fisher,
    heads,
    predict,
    records,
    samples,
    scores,
    sets,
    shown,
    states,
)
from xitt.similarity.bench import Bench
from xitt.study import load_study

rng = np.random.default_rng


# --- formulas ----------------------------------------------------------------------------------------------------------
def test_leep_by_hand():
    """Three examples, two source labels, two target labels."""
    source = np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    label = np.array([0, 0, 1])
    # joint P(y, z): y=0: (1.4/3, 0.6/3), y=1: (0.1/3, 0.9/3); P(z) = (1.5/3, 1.5/3)
    given = {0: (1.4 / 1.5, 0.6 / 1.5), 1: (0.1 / 1.5, 0.9 / 1.5)}
    expected = np.mean([
        np.log(0.8 * given[0][0] + 0.2 * given[0][1]),
        np.log(0.6 * given[0][0] + 0.4 * given[0][1]),
        np.log(0.1 * given[1][0] + 0.9 * given[1][1]),
    ])  # fmt: skip
    assert scores.log_expected_empirical_prediction(source, label) == pytest.approx(expected, abs=1e-12)


def test_leep_of_certain_source_labels_is_conditional_entropy():
    """A source model that is sure: LEEP is minus the entropy of the target label given the source label (Nguyen et al., section 4)."""
    z, y = rng(0).integers(3, size=200), rng(1).integers(4, size=200)
    table = pd.crosstab(y, z).to_numpy() / 200
    expected = (table[table > 0] * np.log((table / table.sum(axis=0))[table > 0])).sum()
    assert scores.log_expected_empirical_prediction(np.eye(3)[z], y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "width", "informed"), [(60, 8, True), (60, 8, False), (20, 40, True)])
def test_logme_is_the_largest_evidence(n, width, informed):
    """Against a direct search over both precisions of the log density of y ~ N(0, I / beta + F F' / alpha)."""
    from scipy.optimize import minimize

    vectors = rng(2).normal(size=(n, width))
    label = ((vectors[:, 0] + 0.3 * rng(3).normal(size=n)) > 0).astype(int) if informed else rng(4).integers(2, size=n)
    best = []
    for k in (0, 1):
        y = (label == k).astype(float)

        def minus(log, y=y):
            alpha, beta = np.exp(log)
            covariance = np.eye(n) / beta + vectors @ vectors.T / alpha
            logdet = np.linalg.slogdet(covariance)[1]
            return (n * np.log(2 * np.pi) + logdet + y @ np.linalg.solve(covariance, y)) / (2 * n)

        starts = [(0.0, 0.0), (3.0, 1.0), (6.0, 2.0), (1.0, 4.0)]
        best.append(-min(minimize(minus, s, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000}).fun for s in starts))  # fmt: skip
    assert scores.log_maximum_evidence(vectors, label) == pytest.approx(np.mean(best), abs=1e-5)


def test_logme_prefers_vectors_that_tell_the_labels():
    label = rng(5).integers(3, size=300)
    told = np.eye(3)[label] @ rng(6).normal(size=(3, 20)) + 0.5 * rng(7).normal(size=(300, 20))
    assert scores.log_maximum_evidence(told, label) > scores.log_maximum_evidence(rng(8).normal(size=(300, 20)), label)


def test_ledoit_wolf_by_its_definition():
    """Ledoit and Wolf 2004: b2 and d2 as averages of Frobenius norms, example by example."""
    x = rng(9).normal(size=(40, 7)) @ np.diag([3, 2, 1, 1, 1, 0.5, 0.1])
    x -= x.mean(axis=0)
    s = x.T @ x / len(x)
    norm = lambda a: (a**2).sum() / 7  # noqa: E731
    d2 = norm(s - np.trace(s) / 7 * np.eye(7))
    b2 = min(d2, sum(norm(np.outer(row, row) - s) for row in x) / len(x) ** 2)
    assert scores.shrinkage(x, s) == pytest.approx(b2 / d2, rel=1e-10)
    assert 0 < scores.shrinkage(x, s) < 1
    assert scores.shrinkage(x[:2], x[:2].T @ x[:2] / 2) <= 1


def test_h_score_by_its_trace_and_its_shrinkage():
    label = rng(10).integers(3, size=50)
    x = rng(11).normal(size=(50, 6)) + np.eye(3)[label] @ rng(12).normal(size=(3, 6))
    c = x - x.mean(axis=0)
    covariance, a = c.T @ c / 50, scores.shrinkage(c, c.T @ c / 50)
    conditional = np.stack([c[label == label[i]].mean(axis=0) for i in range(50)])  # E[f | y] of every example
    between = conditional.T @ conditional / 50
    within = (1 - a) * covariance + a * np.trace(covariance) / 6 * np.eye(6)
    assert scores.shrunk_h_score(x, label) == pytest.approx(
        (1 - a) * np.trace(np.linalg.inv(within) @ between), rel=1e-9
    )
    # without shrinkage it is Bao et al.'s, which is at most the number of classes less one
    many = np.repeat(np.eye(3)[np.arange(30) % 3], 40, axis=0) + 1e-3 * rng(13).normal(size=(1200, 3))
    assert scores.shrunk_h_score(many, np.repeat(np.arange(30) % 3, 40)) == pytest.approx(2, abs=0.05)


def test_words_by_hand():
    first, second = np.array([3, 1, 0, 0]), np.array([1, 0, 2, 1])
    assert sets.covered(first, second) == pytest.approx(1 / 3)
    p, q = first / 4, second / 4
    entropy = lambda d: -sum(x * np.log2(x) for x in d if x)  # noqa: E731
    assert sets.divergence(first, second) == pytest.approx(entropy((p + q) / 2) - entropy(p) / 2 - entropy(q) / 2)
    assert sets.divergence(first, 5 * first) == pytest.approx(0, abs=1e-12)
    assert sets.divergence(np.array([1, 0]), np.array([0, 7])) == pytest.approx(1)
    ids = [Ragged.of([[1, 1, 3], [0]]), Ragged.of([[3]])]
    np.testing.assert_array_equal(sets.counts(ids, 5), [1, 2, 0, 2, 0])


def test_head_minimises_its_loss():
    """Enough steps: no gradient is left; few steps: held-out examples decide."""
    x, label = rng(14).normal(size=(80, 5)), rng(15).integers(3, size=80)
    head = heads.fit(x, label, 3, steps=500)
    z, p = (x - head.shift) / head.scale, head.probabilities(x)
    assert p.sum(axis=1) == pytest.approx(1)
    np.testing.assert_allclose(z.T @ (p - np.eye(3)[label]) / 80 + heads.DECAY * head.weight, 0, atol=1e-4)
    told = np.eye(3)[label] @ rng(16).normal(size=(3, 5)) * 3
    example = np.arange(80)
    assert heads.held_out(told, label, example, 3) > np.log(0.8)
    assert heads.held_out(x, label, example, 3) < heads.held_out(told, label, example, 3)


def test_task2vec_distance():
    a, b = [np.array([1.0, 2.0]), np.array([4.0])], [np.array([2.0, 2.0]), np.array([0.5])]
    x, y = np.array([1 / 3, 1 / 2, 8 / 9]), np.array([2 / 3, 1 / 2, 1 / 9])
    assert fisher.normalised(a, b) == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert [fisher.normalised(a, a), fisher.by_layer(a, a)] == pytest.approx([1, 1])
    assert fisher.by_layer(a, b) == pytest.approx((6 / np.sqrt(5 * 8) + 1) / 2)
    assert fisher.mean_of([(a, 1), (b, 3)])[0] == pytest.approx([1.75, 2.0])


# --- rankings ----------------------------------------------------------------------------------------------------------
def panel(gain, measures, groups=None) -> predict.Panel:
    gain = np.asarray(gain, float)
    names = tuple(f"t{i}" for i in range(gain.shape[1]))
    recipes = tuple(f"r{i}" for i in range(len(gain)))
    return predict.Panel(recipes, names, gain, {k: np.asarray(v, float) for k, v in measures.items()}, groups or names)


def test_regret_by_hand():
    gain = np.array([[3.0, 0], [1, 5], [2, 1], [-1, 4]])
    assert predict.regrets(np.array([[1.0, 9], [5, 1], [3, 2], [2, 3]]), gain, 1) == pytest.approx([2, 5])
    assert predict.regrets(np.array([[1.0, 9], [5, 1], [3, 2], [2, 3]]), gain, 3) == pytest.approx([1, 1])
    # ties: the expectation over their orders; all tied is a choice at random
    assert predict.regrets(np.zeros((4, 2)), gain, 1) == pytest.approx([3 - 1.25, 5 - 2.5])
    assert predict.regrets(np.array([[1.0], [1], [0], [0]]), gain[:, :1], 1) == pytest.approx([1.0])
    assert predict.regrets(np.zeros((4, 2)), gain, 9) == pytest.approx([0, 0])
    assert np.isnan(predict.regrets(np.array([[np.nan], [1], [0], [0]]), gain[:, :1], 1)).all()


def test_ties_against_all_orders():
    from itertools import permutations

    score, gain = np.array([2.0, 1, 1, 1, 0]), np.array([0.0, 4, 1, 2, 9])
    for k in (1, 2, 3):
        lost = [9 - max(gain[list(o[:k])]) for o in permutations(range(5)) if all(np.diff(score[list(o)]) <= 0)]
        assert predict.regrets(score[:, None], gain[:, None], k)[0] == pytest.approx(np.mean(lost))


def test_correlation_within_targets():
    from scipy.stats import spearmanr

    gain, score = rng(17).normal(size=(6, 4)), rng(18).integers(4, size=(6, 4)).astype(float)
    score[:, 3] = 1.0  # ranks nothing
    found = predict.correlations(score, gain)
    assert found[:3] == pytest.approx([spearmanr(score[:, i], gain[:, i]).statistic for i in range(3)])
    assert np.isnan(found[3])
    assert np.isnan(predict.correlations(score[:2], gain[:2])).all()  # two recipes rank nothing


def test_targets_of_one_training_set_count_once():
    values, groups = np.array([1.0, 0.0, 4.0, np.nan, 7.0]), ("a", "a", "b", "c", "d")
    assert predict.by_group(values, groups) == pytest.approx([0.5, 4, 7])
    d = predict.over_groups(values, groups)
    assert d.value == pytest.approx(11.5 / 3)
    assert d.how == "t over 3 training sets"
    effect = predict.within(rng(19).normal(size=(5, 3)), ("a", "a", "b"))
    gain = rng(20).normal(size=(7, 5, 3))
    scores_ = rng(19).normal(size=(5, 3))
    by_hand = [predict.by_group(predict.correlations(scores_, g), ("a", "a", "b")).mean() for g in gain]
    assert effect(gain) == pytest.approx(by_hand)


def made(seed=0, groups=None) -> predict.Panel:
    signal, noise = rng(seed).normal(size=(5, 9)), rng(seed + 1).normal(size=(5, 9))
    gain = 2 * signal + 0.2 * rng(seed + 2).normal(size=(5, 9)) + np.arange(9)
    return panel(gain, {"size": np.tile(np.arange(5.0)[:, None], 9), "text": signal, "terms": noise}, groups)


def test_regression_finds_a_signal_and_no_more():
    p = made()
    found = predict.left_out(p)
    assert predict.correlations(found[predict.REGRESSION], p.gain).mean() > 0.9
    table = predict.picked(p).set_index("chosen by")
    assert table.loc["text", "regret@1"] < table.loc["size", "regret@1"]
    assert table.loc[predict.REGRESSION, "against average high"] < 0
    assert table.loc[predict.REGRESSION, "error"] < table.loc[predict.AVERAGE, "error"]
    # nothing but noise: no better than the mean of the others
    noise = panel(rng(30).normal(size=(5, 9)), {"text": rng(31).normal(size=(5, 9))})
    assert abs(predict.correlations(predict.left_out(noise)[predict.REGRESSION], noise.gain).mean()) < 0.5
    ranks = predict.ranked(p).set_index("measure")
    assert ranks.loc["text", "low"] > 0.5
    assert ranks.loc["size", "low"] < 0 < ranks.loc["size", "high"]
    assert (ranks["q"] >= ranks["p"]).all()


@pytest.mark.parametrize("out", [0, 4, 8])
def test_a_target_is_predicted_without_itself(out):
    """Whatever is done to a column's gains, or to those of its training set, its prediction stays; that of others does not."""
    groups = ("a", "b", "c", "d", "d", "e", "f", "g", "a")
    p = made(3, groups)
    same = np.array([g == groups[out] for g in groups])
    changed = p.gain.copy()
    changed[:, same] = 100 * rng(40).normal(size=(5, same.sum()))
    before, after = predict.left_out(p), predict.left_out(panel(changed, p.measures, groups))
    for name, values in before.items():
        np.testing.assert_array_equal(values[:, same], after[name][:, same])
        assert not np.allclose(values[:, ~same], after[name][:, ~same])


def test_measures_that_are_not_defined_say_nothing():
    p = made(5)
    blank = {**p.measures, "leep": np.full(p.gain.shape, np.nan), "kind": np.ones(p.gain.shape)}
    found = predict.left_out(panel(p.gain, blank))
    for name, values in predict.left_out(p).items():
        np.testing.assert_allclose(values, found[name])
    ranks = predict.ranked(panel(p.gain, blank)).set_index("measure")
    assert ranks.loc["leep", "targets"] == ranks.loc["kind", "targets"] == 0
    assert np.isnan(ranks.loc["leep", "q"])


def test_words_follow_numbers():
    p = made(7)
    ranks, choices = predict.ranked(p), predict.picked(p)
    assert "Highest: text embedding" in shown.ranked_sentence(ranks)
    assert f"largest data {choices.set_index('chosen by').loc['size', 'regret@1']:.1f}" in shown.picked_sentence(
        choices
    )
    assert "text embedding" in shown.figure(ranks).alt
    assert set(shown.ranked(ranks)["measure"]) == {"data size", "text embedding*", "similar word frequencies"}
    study = load_study(tiny.ROOT / "params" / "pocket.yaml")
    text = shown.answer(study, p, ranks, choices)
    row = ranks.set_index("measure").loc["text"]
    assert f"agrees with the gain here: rank correlation {row['value']:+.2f}" in text
    assert f"{row['high'] - row['low']:.2f} wide" in text
    assert "Limits: 5 recipes" in text


# --- a study -----------------------------------------------------------------------------------------------------------
DESIGN = """
name: similarity
question: do similar tasks transfer better?
intermediates: [none, mnli, squad_v1, hellaswag, 'multitask{mnli,squad_v1}']
targets: [xnli, udpos, panx, xquad, mlqa, bucc2018, tatoeba, xcopa, lareqa]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> studies.Study:
    """Four trained encoders."""
    folder = tmp_path_factory.mktemp("similar")
    small = DESIGN.replace("name: similarity", "name: small")
    file = tiny.make(folder, tiny.TINY + "similarity: {examples: 12, steps: 2}\n", small)
    (folder / "params" / "designs" / "similarity.yaml").write_text(DESIGN)
    file.write_text(file.read_text().replace("[small]", "[small, similarity]"))
    found = load_study(file)
    for recipe in found.intermediates:
        found.train(recipe)
    return found


@pytest.fixture(scope="module")
def measured(study) -> pd.DataFrame:
    """Every measure, while test splits cannot be read."""
    load = data.load

    def guarded(study, task, split, language="en"):
        assert split != "test", f"a measure read the test split of {task}"
        return load(study, task, split, language)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", guarded)
        return records.collect(study)


def value(measured, measure, recipe, target) -> float:
    some = measured[
        (measured["measure"] == measure) & (measured["intermediate"] == recipe) & (measured["target"] == target)
    ]
    return float(some["value"].iloc[0])


def test_every_measure_of_every_pair(study, measured):
    """That no test split is read is asserted in the fixture."""
    assert set(measured["measure"]) == set(MEASURES)
    assert len(measured) == len(MEASURES) * 4 * 9
    why = measured[measured["value"].isna()].groupby("target")["measure"].agg(set).to_dict()
    assert why["tatoeba"] == set(MEASURES) - {"size", "kind"}
    assert why["bucc2018"] == {"leep", "few_steps"}
    assert why["lareqa"] == {"leep"}
    assert set(why) == {"tatoeba", "bucc2018", "lareqa"}
    assert "neither training nor dev data" in measured.loc[measured["target"] == "tatoeba", "why"].iloc[-1]
    same = measured[measured["target"].isin(["xquad", "mlqa"])].pivot_table(
        index=["measure", "intermediate"], columns="target", values="value"
    )
    np.testing.assert_allclose(same["xquad"], same["mlqa"])  # trained on the same set


def test_measures_of_sets(study, measured):
    assert value(measured, "size", "mnli", "panx") == pytest.approx(np.log10(48))
    assert value(measured, "size", "multitask{mnli,squad_v1}", "panx") == pytest.approx(np.log10(96))
    assert [value(measured, "kind", r, "xnli") for r in ("mnli", "squad_v1", "multitask{mnli,squad_v1}")] == [1, 0, 0.5]
    assert value(measured, "text", "mnli", "xnli") == pytest.approx(1)  # the same training set
    assert value(measured, "terms", "mnli", "xnli") == pytest.approx(1)
    assert value(measured, "vocabulary", "squad_v1", "xquad") == 1
    assert value(measured, "task", "mnli", "xnli") == pytest.approx(1)
    assert value(measured, "task", "squad_v1", "xnli") < 1


def test_text_embedding_by_hand(study, measured):
    """Mean over examples of the mean over their tokens, one example at a time."""
    import torch

    encoder = study.backbone()
    model, tokenizer = backbone.load_encoder(encoder.path), backbone.load_tokenizer(encoder.path)

    def embedding(task):
        _, splits = samples.material(study, task)
        sample = samples.draw(study, study.tasks[task].train, splits, tokenizer, 12)
        with torch.no_grad():
            found = [model(torch.tensor(row[None].astype(np.int64))).last_hidden_state[0].mean(0) for row in map(sample.ids.__getitem__, range(len(sample.ids)))]  # fmt: skip
        return torch.stack(found).mean(0)

    by_hand = torch.nn.functional.cosine_similarity(embedding("xnli"), embedding("panx"), dim=0)
    assert value(measured, "text", "mnli", "panx") == pytest.approx(by_hand.item(), abs=1e-5)


@pytest.mark.parametrize("task", ["mnli", "panx", "squad_v1", "hellaswag", "lareqa", "bucc2018"])
def test_fisher_against_gradients_of_single_examples(study, task):
    """Autograd, one example at a time, with its own loss written out."""
    import torch

    bench = Bench(study)
    row = study.tasks[task]
    splits = (data.load(study, task, "train"),) if row.train else samples.material(study, task)[1]
    found = bench.read(bench.backbone, task, splits)
    sample, head = found.sample, heads.fit(found.values, found.sample.label, found.sample.classes)
    model, tokenizer = bench.model(bench.backbone)
    layer = bench._layer(model, task, sample)
    ours = fisher.diagonal(model, tokenizer.pad_token_id, sample, head, device(study), layer)

    def vector(at):
        ids = torch.tensor(sample.ids[at[0]][None].astype(np.int64))
        states_ = model(ids, output_hidden_states=True).hidden_states
        state = states_[-1 if layer is None else layer][0]
        return state.mean(0) if at[1] == samples.MEAN else state[at[1]]

    maps = [m for block in model.encoder.layer for m in block.modules() if isinstance(m, torch.nn.Linear)]
    total = [torch.zeros(m.out_features, dtype=torch.float64) for m in maps]
    for example in range(int(sample.owner.max()) + 1):
        units = np.flatnonzero(sample.example == example)
        losses = []
        for u in units:
            x = vector(sample.first[u])
            if sample.second is not None:
                x = torch.nn.functional.normalize(x, dim=0) * torch.nn.functional.normalize(
                    vector(sample.second[u]), dim=0
                )
            logits = (x.double() - torch.tensor(head.shift)) / torch.tensor(head.scale) @ torch.tensor(
                head.weight
            ) + torch.tensor(head.bias)
            losses.append(-torch.log_softmax(logits, 0)[sample.label[u]])
        if not losses:
            continue
        grads = torch.autograd.grad(torch.stack(losses).mean(), [m.weight for m in maps], allow_unused=True)
        for t, g in zip(total, grads, strict=True):
            t.add_(0 if g is None else g.double().square().mean(dim=1))
    by_hand = np.concatenate([t.numpy() for t in total]) / (sample.owner.max() + 1)
    ours = np.concatenate(ours)
    np.testing.assert_allclose(ours, by_hand[: len(ours)], rtol=2e-3, atol=1e-9 * by_hand.max())
    assert not by_hand[len(ours) :].any()
    assert all(p.requires_grad for p in model.parameters())


def test_units_are_what_heads_read(study):
    """Labels of a draw, from the examples themselves."""
    tokenizer = backbone.load_tokenizer(study.backbone().path)

    def drawn(task):
        return samples.draw(study, task, (data.load(study, task, "train"),), tokenizer, 48)

    nli, examples = drawn("mnli"), data.load(study, "mnli", "train").examples
    assert [data.labels(study, "mnli")[i] for i in nli.label] == [e["label"] for e in examples]
    chosen = drawn("hellaswag")
    assert chosen.label.reshape(48, -1).sum(axis=1).tolist() == [1] * 48
    tagged = drawn("panx")
    assert len(tagged.label) == sum(len(e["tags"]) for e in data.load(study, "panx", "train").examples)
    spans = drawn("squad_v1")
    assert spans.label.mean() == pytest.approx(0.5, abs=0.1)
    row = spans.first[spans.label == 1][0, 0]
    answer = [int(spans.ids[r][p]) for (r, p), y in zip(spans.first, spans.label, strict=True) if y and r == row]
    assert tokenizer.decode(answer).strip() in {e["answers"][0] for e in data.load(study, "squad_v1", "train").examples}
    pairs = drawn("lareqa")
    assert pairs.label.mean() == 0.5
    assert (pairs.first[:, 0] + 1 == pairs.second[:, 0])[pairs.label == 1].all()
    assert (pairs.first[:, 0] + 1 != pairs.second[:, 0])[pairs.label == 0].all()
    some = samples.draw(study, "mnli", (data.load(study, "mnli", "train"),), tokenizer, 10)
    assert len(some.label) == 10
    again = samples.draw(study, "mnli", (data.load(study, "mnli", "train"),), tokenizer, 10)
    np.testing.assert_array_equal(some.ids.values, again.ids.values)


def test_computed_once(study, measured, monkeypatch):
    """Records are found again; with other examples they are others; a damaged name is refused."""
    from xitt import train

    monkeypatch.setattr(states, "read", None)
    monkeypatch.setattr(train, "fit", None)
    again = records.collect(study)
    pd.testing.assert_frame_equal(again, measured)
    files = list(records.folder(study).glob("leep/mnli.panx.s0-*.json"))
    assert len(files) == 1
    record = json.loads(files[0].read_text())
    assert record["value"] == value(measured, "leep", "mnli", "panx")
    assert record["seconds"] + sum(record["shared"].values()) > 0
    assert len(list(records.folder(study).glob("text/mnli.panx-*.json"))) == 1  # without a seed
    with pytest.raises(ParameterError, match=re.escape("measure 'txt' is unknown - did you mean 'text'")):
        records.chosen(study, "txt")
    assert records.chosen(study, "leep, size") == ["size", "leep"]


def test_the_form_of_the_design_is_said(study):
    pocket = load_study(tiny.ROOT / "params" / "pocket.yaml")
    assert "form `similarity.reduced`: 5 of 11 rows on 12 of 12 targets, with 1 seed." in shown.form_sentence(pocket)
    assert shown.form_sentence(study).endswith("runs the design whole, with 1 seed.")


def test_no_encoder_is_trained(tmp_path):
    """Without trained encoders the measures that read them are not defined, and the notebook's steps say so."""
    file = tiny.make(tmp_path, tiny.TINY.replace("[small]", "[similarity]") + "similarity: {examples: 4}\n")
    (tmp_path / "params" / "designs" / "similarity.yaml").write_text(DESIGN)
    untrained = load_study(file)
    with pytest.raises(Undefined, match="mnli, seed 0, is not trained yet"):
        Bench(untrained).encoder("mnli", 0)
    found = records.collect(untrained, ["size", "leep"])
    assert set(found.loc[found["measure"] == "leep", "why"]) >= {"mnli, seed 0, is not trained yet"}
    p = predict.panel(untrained, found, predict.gains(untrained, untrained.results()))
    ranks, choices = predict.ranked(p), predict.picked(p)
    assert shown.answer(untrained, p, ranks, choices).startswith("No answer yet")
    assert "Nothing to choose by yet" in shown.picked_sentence(choices)
    assert "No measure ranks" in shown.figure(ranks).alt
    assert shown.cost_sentence(cost.table(untrained, found)) == "No runs to save yet."
    assert claims.verdict(untrained, "Q04").verdict == "not tested"


def fake(study, seeds=1) -> pd.DataFrame:
    """Results in which the gain of a recipe on a target is its text similarity, and noise."""
    measured = records.collect(study, ["text"]).set_index(["intermediate", "target"])["value"]
    rows = []
    for seed in range(seeds):
        for t in study.targets:
            for r in ("none", *records.grid(study)[0]):
                gain = 0.0 if r == "none" else 50 * np.nan_to_num(measured[r, t]) + 0.01 * seed
                for m in study.tasks[t].metrics:
                    for x in ("en", "avg"):
                        rows.append((r, t, x, "test", seed, m, 20 + gain, 10))
    return pd.DataFrame(rows, columns=["intermediate", "target", "language", "split", "seed", "metric", "value", "n"])


def test_gains_and_the_question(study, measured):
    tidy = fake(study, 3)
    gained = predict.gains(study, tidy)
    some = gained[(gained["intermediate"] == "mnli") & (gained["target"] == "panx") & (gained["seed"] == 1)]
    assert some["gain"].iloc[0] == pytest.approx(50 * value(measured, "text", "mnli", "panx") + 0.01)
    p = predict.panel(study, measured, gained)
    assert p.gain.shape == (4, 9)
    assert p.groups == ("mnli", "udpos", "panx", "squad_v1", "squad_v1", "bucc2018", "tatoeba", "copa", "lareqa")
    ranks = predict.ranked(p).set_index("measure")
    assert ranks.loc["text", "value"] == pytest.approx(1)
    assert ranks.loc["text", "training sets"] == 7
    assert not len(predict.by_seed(study, measured, gained))  # the study has one seed
    found = claims.verdict(study, "Q04", tidy)
    assert (found.verdict, found.unit, found.runs) == ("yes", "correlation", 3)
    assert found.effect == pytest.approx(1)
    tidy["value"] = np.where(tidy["intermediate"] == "none", tidy["value"], 60 - tidy["value"])
    assert claims.verdict(study, "Q04", tidy).verdict == "no"


def test_over_seeds(study, measured):
    """Three seeds: a t interval over the correlations of each seed with its own gains."""
    from xitt import stats

    class Three:
        seeds, tasks, grids, main = (0, 1, 2), study.tasks, study.grids, study.main

    tidy = fake(study, 3)
    noise = rng(50).normal(scale=4, size=len(tidy))
    tidy["value"] += np.where(tidy["seed"] == 0, 0, noise)
    gained = predict.gains(Three, tidy)
    found = predict.by_seed(Three, measured, gained).set_index("measure")
    each = [
        predict.ranked(predict.panel(Three, measured, gained, s)).set_index("measure").loc["text", "value"]
        for s in range(3)
    ]
    expected = stats.over_seeds(np.array(each))
    assert each[0] == pytest.approx(1)
    assert found.loc["text", ["value", "low", "high"]].tolist() == pytest.approx([expected.value, max(expected.low, -1), min(expected.high, 1)])  # fmt: skip
    ranks = predict.ranked(predict.panel(Three, measured, gained))
    table = shown.ranked(ranks, found.reset_index())
    assert (
        f"{found.loc['text', 'low']:+.2f} to"
        in table.set_index("measure").filter(like="text embedding", axis=0)["over seeds"].iloc[0]
    )


def test_what_measures_cost(study, measured):
    taken = cost.seconds(measured)
    text = measured[measured["measure"] == "text"]
    pieces = {k: v for shared in text["shared"] for k, v in shared.items()}
    assert taken["text"] == pytest.approx(text["seconds"].sum() + sum(pieces.values()))
    assert len(pieces) < sum(map(len, text["shared"]))  # the pass over a training set is shared
    table = cost.table(study, measured).set_index("measure")
    first = sum(study.train(r).record["wall_seconds"] for r in records.grid(study)[0])
    assert table.loc["text", "saves"] == pytest.approx(0.75 * first)  # nothing is fine-tuned yet
    assert table.loc["leep", "saves"] == 0
