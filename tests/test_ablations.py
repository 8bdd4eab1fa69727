"""Designs in forms, rows that meet their own targets, and the tables of 06: variants against the same without them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import tiny
from xitt import ablations, backbone, data, evaluate, graph, phases, retrieval, scoring
from xitt.errors import ParameterError
from xitt.study import Study, load_study, read_yaml

MIXED, TRANSLATED, CLS, LAST = "mnli+mlm=0.5", "mnli+train=de:zh", "tatoeba+pool=cls", "tatoeba+layer=24of24"
VARIANTS = f"""
name: variants
question: what do they change?
intermediates: [none, mnli, hellaswag, '{MIXED}', '{TRANSLATED}', hellaswag+attention_dropout=0]
targets: [panx, tatoeba, '{CLS}', '{LAST}', 'tatoeba+layer=7of24']
forms:
  reduced:
    intermediates: [none, mnli, '{MIXED}', '{TRANSLATED}']
    targets: [panx, tatoeba, '{CLS}', '{LAST}']
"""
SMALL = "name: small\nquestion: q\nintermediates: [none, mnli, squad_v1]\ntargets: [xnli, panx, tatoeba]\n"


def make(folder: Path, **changes) -> Study:
    file = folder / "params" / "tiny.yaml"
    if not file.exists():
        tiny.make(folder, design=SMALL)
        (folder / "params" / "designs" / "variants.yaml").write_text(VARIANTS)
    file.write_text(yaml.safe_dump({**yaml.safe_load(tiny.TINY), "designs": ["small", "variants.reduced"], **changes}))
    return load_study(file)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return make(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def scored(study) -> Study:
    for recipe in ("none", "mnli", MIXED, TRANSLATED):
        for target in study.targets_of(recipe):
            if target != "xnli":
                study.evaluate(recipe, target)
    return study


# --- designs in forms ------------------------------------------------------------------------------------------------
def test_rows_meet_the_targets_of_their_designs(study):
    assert study.intermediates == ("none", "mnli", "squad_v1", MIXED, TRANSLATED)
    assert study.targets == ("xnli", "panx", "tatoeba", CLS, LAST)
    assert study.main == (("none", "mnli", "squad_v1"), ("xnli", "panx", "tatoeba"))
    assert study.targets_of("squad_v1") == ("xnli", "panx", "tatoeba")
    assert study.targets_of(MIXED) == ("panx", "tatoeba", CLS, LAST)
    assert study.targets_of("mnli") == study.targets_of("none") == study.targets
    assert study.targets_of(MIXED, trained=True) == ("panx",)
    assert study.targets_of("mnli", trained=False) == ("tatoeba", CLS, LAST)
    assert study.targets_of("qqp") == study.targets  # a row that an explorer adds
    assert study.choose_targets("all", "mnli+mlm=.5") == ("panx",)
    assert study.choose_targets("all") == ("xnli", "panx")


def test_jobs_are_those_of_the_designs(study):
    names = {j.name for j in graph.jobs(study)}
    assert {f"02.{MIXED}.s0", f"03.{MIXED}.s0", "03.squad_v1.s0", "04", "06"} <= names
    alone = make(study.root, designs=["small"])
    assert "06" not in {j.name for j in graph.jobs(alone)}
    whole = make(study.root, designs=["variants"])
    assert "01.hellaswag+attention_dropout=0.s0" in {j.name for j in graph.jobs(whole)}


def test_rows_and_targets_of_the_study_go_before_those_of_designs(study):
    own = make(study.root, intermediates=["none", "qqp", MIXED], targets=["xnli", "panx"])
    assert own.intermediates == ("none", "qqp", MIXED)
    assert own.main == (("none", "qqp", MIXED), ("xnli", "panx"))
    assert own.grids["variants"] == (("none", MIXED), ("panx",))
    assert own.targets_of("qqp") == ("xnli", "panx")


@pytest.mark.parametrize(
    ("designs", "said"),
    [
        (["variants.reducd"], "form of variants 'reducd' is unknown - did you mean 'reduced'"),
        (["small.reduced"], "form of small 'reduced' is unknown"),
        (["varants.reduced"], "design 'varants' is unknown - did you mean 'variants'"),
        (["variants", "variants.reduced"], "each once"),
    ],
)
def test_wrong_forms(study, designs, said):
    with pytest.raises(ParameterError, match=re.escape(said)):
        make(study.root, designs=designs)


def test_the_designs_of_the_package():
    """Named with their recipes and targets; reduced forms are part of the whole."""
    for path in (tiny.ROOT / "params" / "designs").glob("*.yaml"):
        content = read_yaml(path)
        for form in content.get("forms", {}).values():
            if path.stem == "variants":
                assert set(form["intermediates"]) <= set(content["intermediates"])
                assert set(form["targets"]) <= set(content["targets"])
    full = load_study(tiny.ROOT / "params" / "pocket_full.yaml")
    assert set(full.main[0]) == {"none", *ablations.recipes.NINE, "multitask"}
    assert len(full.seeds) == 3
    assert {option for option in ablations.ASPECTS if ablations.pairs(full, option)} == set(ablations.ASPECTS)
    assert full.tasks_of("multitask") == tuple(ablations.recipes.NINE)


# --- pooling and depth -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("target", "layer", "cls"), [(CLS, 1, True), (LAST, 2, False)])
def test_pooling_and_depth_by_hand(scored, target, layer, cls):
    import torch

    encoder = scored.backbone()
    model, tokenizer = backbone.load_encoder(encoder.path), backbone.load_tokenizer(encoder.path)
    examples = data.load(scored, "tatoeba", "test", "de").examples
    sides = []
    for side in ("first", "second"):
        rows = []
        for e in examples:
            with torch.no_grad():
                state = model(**tokenizer(e[side], return_tensors="pt"), output_hidden_states=True).hidden_states[
                    layer
                ][0]
            rows.append(state[0] if cls else state.mean(0))
        sides.append(torch.nn.functional.normalize(torch.stack(rows), dim=-1).numpy())
    device = phases.device(scored)
    made = retrieval.embed(
        model, tokenizer, [e["first"] for e in examples], (layer,), 96, device, pool="cls" if cls else "mean"
    )
    np.testing.assert_allclose(made[layer], sides[0], atol=1e-5)
    # A backbone that has hardly learned puts sentences as close together as float32 rounds (a few 1e-7): which of them is found
    # first is then open, and only that it is one of the nearest can be asserted.
    cosines = sides[1].astype(np.float64) @ sides[0].T.astype(np.float64)
    shown = evaluate.read_predictions(scoring.found(scored, "none", target, 0) / "de.parquet")
    found = shown["prediction"].astype(int).to_numpy()
    assert (cosines[np.arange(len(examples)), found] >= cosines.max(axis=1) - 2e-6).all()
    if not cls:  # means over tokens lie apart: there the neighbour itself is asserted
        assert (found == cosines.argmax(axis=1)).all()
    value = scored.evaluate("none", target).set_index("language")["value"]["de"]
    assert value == pytest.approx(100 * np.mean(found == np.arange(len(examples))))
    assert scoring.layer_of(scored, target, 2) == layer
    assert scoring.layer_of(scored, "tatoeba+layer=7of24", 24) == 7
    assert scoring.layer_of(scored, "tatoeba+layer=7of24", 12) == 4


# --- tables ----------------------------------------------------------------------------------------------------------
def average(study: Study, recipe: str, target: str) -> float:
    frame = study.evaluate(recipe, target)
    metric = study.tasks[target].metrics[0]
    return float(frame.loc[(frame["language"] == "avg") & (frame["metric"] == metric), "value"].iloc[0])


@pytest.mark.parametrize(("option", "variant"), [("mlm", MIXED), ("train", TRANSLATED)])
def test_variants_of_recipes(scored, option, variant):
    table = ablations.table(scored, option)
    assert list(table["variant"].unique()) == [variant]
    assert list(table["target"]) == ["panx", "tatoeba", "mean"]
    for row in table[table["target"] != "mean"].itertuples():
        assert row.against == "mnli"
        assert row.value == pytest.approx(average(scored, variant, row.target))
        assert row.base == pytest.approx(average(scored, "mnli", row.target))
        assert row.change == pytest.approx(row.value - row.base)
        assert row.low <= row.change <= row.high
        assert row.how == "examples only"
        assert row.q >= row.p
    mean = table[table["target"] == "mean"].iloc[0]
    assert mean["change"] == pytest.approx(table["change"].iloc[:2].mean())
    text = ablations.sentence(table, "x")
    assert "Of 2 comparisons" in text
    assert f"{variant} {mean['change']:+.1f}" in text
    assert "examples only" in ablations.caption(table)
    assert ablations.figure(scored, table, "x").alt.startswith("x: Of 2")


def test_variants_of_retrieval(scored):
    table = ablations.retrieval(scored)
    assert set(zip(table["variant"], table["encoder"], strict=True)) == {
        (t, r) for t in (CLS, LAST) for r in ("none", "mnli")
    }
    for row in table.itertuples():
        assert row.change == pytest.approx(
            average(scored, row.encoder, row.variant) - average(scored, row.encoder, "tatoeba")
        )
        assert row.layer == (2 if row.variant == LAST else 1)
    shown = ablations.shown(scored, table)
    assert list(shown.columns)[:3] == ["variant", "encoder", "layer"]


def test_what_a_study_does_not_vary(scored):
    table = ablations.table(scored, "sampler")
    assert not len(table)
    assert list(ablations.shown(scored, table)["variant"]) == ["none in this study"]
    assert "Nothing to compare here yet" in ablations.sentence(table, "the sampler")
    assert ablations.caption(table) == ""
    assert "nothing to compare" in ablations.figure(scored, table, "x").alt


def test_the_form_is_named(scored):
    assert "form `variants.reduced`: 4 of 6 recipes on 4 of 5 targets, with 1 seed" in ablations.form_sentence(scored)
    cover = ablations.coverage(scored).set_index("variant")
    assert cover.loc["attention dropout", "design"] == "hellaswag+attention_dropout=0"
    assert cover.loc["attention dropout", "here"] == "–"
    assert cover.loc["raw text beside the task", "here"] == MIXED
    alone = make(scored.root, designs=["small"])
    assert "does not have the design" in ablations.form_sentence(alone)
    whole = make(scored.root, designs=["variants"])
    assert "runs the design whole" in ablations.form_sentence(whole)


def test_translated_sets_and_draws(scored):
    sets = ablations.training_sets(scored)
    assert sets.iloc[0].tolist() == [TRANSLATED, "MNLI", "de, zh", 48, 12000, "–"]
    assert "exact" in ablations.translation_sentence(scored)
    drawn = ablations.draws(scored)
    assert set(drawn["part"]) == {"mnli", "mlm"}
    assert drawn["steps"].sum() == scored.train(MIXED).record["training"]["steps"]
    assert set(drawn["recipe"]) == {MIXED}
    assert set(drawn["seeds"]) == {1}


def test_draws_are_of_the_design_and_the_mean_over_seeds(study, monkeypatch):
    from xitt import phases

    three = make(study.root, seeds=[0, 1, 2], intermediates=["none", "mnli", MIXED, "multitask{mnli,qqp}"])
    steps = {0: 90, 1: 100, 2: 116}
    part = {"units": 48, "probability": 0.5}
    monkeypatch.setattr(phases, "record_of", lambda study, recipe, seed: {
        "training": {"parts": {n: {**part, "steps": steps[seed]} for n in ("mnli", "mlm")}}} if seed < 3 else None)  # fmt: skip
    drawn = ablations.draws(three)
    assert drawn.to_numpy().tolist() == [[MIXED, n, 48, 0.5, 3, 102.0] for n in ("mnli", "mlm")]


def test_two_seeds_are_both_in_the_difference(study, monkeypatch):
    """Each against its own seed, on the same examples; one seed is the paired bootstrap."""
    from xitt import stats

    ids, order = np.array([str(i) for i in range(200)]), np.arange(200)

    def counts(share: float) -> stats.Counts:
        right = np.stack([order < 200 * share, np.ones(200)], axis=1).astype(float)
        return stats.Counts(dict.fromkeys(("de", "zh"), (ids, right)), lambda c: 100 * c[..., 0] / c[..., 1])

    values = {(CLS, 0): 0.6, (CLS, 1): 0.9, ("tatoeba", 0): 0.5, ("tatoeba", 1): 0.6}
    monkeypatch.setattr(ablations, "counts", lambda study, recipe, target, seed: counts(values[target, seed]))
    first, second, d = ablations._between(make(study.root, seeds=[0, 1]), "none", CLS, "tatoeba")
    assert (first, second, d.value, d.runs) == (pytest.approx(75), pytest.approx(55), pytest.approx(20), 2)
    assert d.low < 20 < d.high
    _, _, alone = ablations._between(make(study.root, seeds=[1]), "none", CLS, "tatoeba")
    paired = stats.paired_bootstrap(counts(0.9), counts(0.6))
    assert (alone.value, alone.low, alone.high) == pytest.approx((paired.value, paired.low, paired.high))


def test_three_seeds_give_t_intervals(study, monkeypatch):
    """Differences per seed, not examples, where there are three."""
    from xitt import stats

    three = make(study.root, seeds=[0, 1, 2])
    values = {(CLS, s): 10.0 + s for s in range(3)} | {("tatoeba", s): 9.0 for s in range(3)}

    class One:
        def __init__(self, value):
            self.value = value

        def mean(self):
            return self.value

    monkeypatch.setattr(ablations, "counts", lambda study, recipe, target, seed: One(values[target, seed]))
    _, _, d = ablations._between(three, "none", CLS, "tatoeba")
    expected = stats.over_seeds(np.array([1.0, 2.0, 3.0]))
    assert (d.value, d.low, d.high, d.how) == (expected.value, expected.low, expected.high, "t over 3 seeds")
