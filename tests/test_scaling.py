"""The number of intermediate tasks: subsets drawn again, outcomes by hand, known effects found, a small study from end to end."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests import tiny
from xitt import mixed, recipes, scaling, scaling_model, scaling_shown, typology
from xitt.languages import XTREME, XTREME_R
from xitt.scaling import Panel, Row
from xitt.study import Study, load_study, read_yaml

FILE = tiny.ROOT / "params" / "designs" / "scaling.yaml"
MATCHED = "multitask{hellaswag,mnli}+match=mnli"


# --- subsets and the design ------------------------------------------------------------------------------------------
def whole() -> list[str]:
    """The rows of the design, made from the rules."""
    order = scaling.nested()
    found = {"none": 0, **dict.fromkeys(recipes.NINE, 0), "multitask": 0}
    subsets = [order[:k] for k in scaling.SIZES] + [scaling.drawn(k, n) for k in scaling.SIZES for n in scaling.DRAWS]
    found |= {scaling.recipe_of(s): 0 for s in subsets}
    found |= {scaling.recipe_of(s, scaling.REFERENCE): 0 for s in [*subsets, recipes.NINE]}
    return list(found)


def test_the_design_file_holds_what_the_rules_draw():
    design = read_yaml(FILE)
    assert set(design["intermediates"]) == set(whole())
    assert len(design["intermediates"]) == len(whole()) == 47
    sizes = {scaling.SCHEDULES[s]: set() for s in scaling.SCHEDULES}
    for row in scaling.rows(load_study(tiny.ROOT / "params" / "paper.yaml"), design["intermediates"]):
        sizes[scaling.SCHEDULES[row.schedule]].add(row.size)
    assert set(map(frozenset, sizes.values())) == {frozenset({1, 2, 3, 5, 7, 9})}


def test_a_draw_by_hand():
    hashes = {t: hashlib.sha256(f"scaling:2:1:{t}".encode()).hexdigest() for t in recipes.NINE}
    first = sorted(hashes.items(), key=lambda item: item[1])[:2]
    assert scaling.drawn(2, 1) == tuple(sorted(t for t, _ in first)) == ("anli_plus", "hellaswag")
    assert len({scaling.drawn(k, n) for k in (2, 3, 5, 7) for n in scaling.DRAWS}) == 12


def test_the_nested_order_takes_the_rarest_kind_then_the_largest_set():
    assert scaling.nested()[:5] == ("anli_plus", "squad_v2", "hellaswag", "ccg", "mnli")
    assert set(scaling.nested()) == set(recipes.NINE)
    assert scaling.nested(("hellaswag", "squad_v1", "mnli")) == ("mnli", "squad_v1", "hellaswag")


def test_the_forms_are_parts_of_the_design():
    design = read_yaml(FILE)
    complete, reduced = design["forms"]["complete"], design["forms"]["reduced"]
    assert set(complete["intermediates"]) <= set(design["intermediates"])
    names = [t.partition("+")[0] for t in design["targets"]]
    languages = {x for t in names for x in XTREME[t]}
    assert (len(languages), len(languages | {x for t in names for x in XTREME_R.get(t, ())})) == (45, 50)
    order = scaling.nested(("mnli", "squad_v1", "hellaswag"))
    assert {scaling.recipe_of(order[:k], "mnli") for k in (1, 2, 3)} <= set(reduced["intermediates"])


def test_a_reduced_form_trains_three_encoders_that_the_transfer_design_has_not():
    pocket = load_study(tiny.ROOT / "params" / "pocket.yaml")
    rows, targets = pocket.grids["scaling"]
    new = set(rows) - set(pocket.grids["transfer"][0])
    assert len(new) == 3
    assert all("+match=mnli" in r for r in new)
    assert set(targets) <= set(pocket.grids["transfer"][1])
    # its mixtures are of the three tasks that the transfer design trains, not of the nine; Tatoeba as the paper has it
    said = "form `scaling.reduced`: 5 of 47 recipes and 3 of its own on 2 of 10 targets and 1 of its own"
    assert len(rows) == 5 + 3
    assert said in scaling.form_sentence(pocket)
    assert "5 of the recipes belong to other designs" in scaling.form_sentence(pocket)


def test_rows_are_points_of_two_curves():
    pocket = load_study(tiny.ROOT / "params" / "pocket.yaml")
    found = {(r.recipe, r.schedule): r.size for r in scaling.rows(pocket)}
    assert found["mnli", "matched"] == found["mnli", "own"] == 1
    assert found["multitask{mnli,squad_v1}+match=mnli", "matched"] == 2
    assert found["multitask", "own"] == 3
    assert ("squad_v1", "matched") not in found
    names = ["none", "mnli+mlm=0.5", "mnli+control=labels", "multitask{mnli,qqp}+sampler=uniform", "qqp"]
    assert [r.recipe for r in scaling.rows(pocket, names)] == ["qqp"]


# --- outcomes by hand ------------------------------------------------------------------------------------------------
def panel(point, languages, sizes, targets=("panx",), schedule="matched", seeds=3, noise=0.0, study=None) -> Panel:
    """Made-up scores: ``point`` (recipes with none first, cells), the same for every seed up to noise."""
    point = np.asarray(point, float)
    study = study or load_study(tiny.ROOT / "params" / "pocket.yaml")
    rows = tuple(Row(f"r{i}", schedule, tuple(recipes.NINE[:k])) for i, k in enumerate(sizes))
    cells = tuple((t, x) for t in targets for x in languages)
    layers = 500 if seeds < 3 else seeds
    values = point + noise * np.random.default_rng(0).standard_normal((layers, *point.shape))
    return Panel(study, rows, ("none", *(r.recipe for r in rows)), cells, point, values, seeds)


def test_outcomes_slope_and_area_by_hand():
    """Two targets, two languages; sizes 1, 2, 2 and 4."""
    point = [[50, 40, 60, 20], [52, 40, 61, 23], [53, 42, 62, 24], [55, 44, 62, 26], [58, 46, 64, 30]]
    p = panel(point, ("de", "tr"), (1, 2, 2, 4), ("panx", "udpos"))
    table = scaling.changes(p).set_index("recipe")
    assert table.loc["r0", "mean"] == pytest.approx(((2 + 0) / 2 + (1 + 3) / 2) / 2)
    assert table.loc["r0", "worst"] == pytest.approx((0 + 3) / 2)  # from 40 to 40, and from 20 to 23
    assert table.loc["r0", "spread"] == pytest.approx(((12 - 10) + (38 - 40)) / np.sqrt(2) / 2)
    curve = scaling.curves(p).set_index("outcome").loc["mean"]
    heights = {1: 1.5, 2: np.mean([2.75, 4.25]), 4: 7.0}
    assert (curve["one task"], curve["most tasks"], curve["number"]) == (1.5, 7.0, 4)
    assert curve["difference"] == pytest.approx(5.5)
    assert curve["slope"] == pytest.approx(np.polyfit([0, 1, 1, 2], [1.5, 2.75, 4.25, 7.0], 1)[0])
    x, y = np.log2([1, 2, 3, 5]), [0, *heights.values()]
    assert curve["area"] == pytest.approx(np.trapezoid(y, x) / x[-1])
    languages = scaling.by_language(p, "matched").set_index("language")
    assert languages.loc["tr", "one task"] == pytest.approx((0 + 3) / 2)
    assert languages.loc["de", "most tasks"] == pytest.approx((8 + 4) / 2)
    assert list(languages.index) == ["de", "tr"]  # nearest to English first


def test_intervals_are_over_seeds_or_over_examples():
    point = [[50.0, 40], [52, 40], [53, 45]]
    three = panel(point, ("de", "tr"), (1, 2), noise=0.5)
    line = scaling.curves(three).iloc[0]
    assert line["slope low"] < line["slope"] < line["slope high"]
    d = three.effect(lambda s: three.slope("matched", three.outcome(s, "mean")))
    assert d.how == "t over 3 seeds" == scaling_shown.how(three)
    one = panel(point, ("de", "tr"), (1, 2), seeds=1, noise=0.5)
    assert one.effect(lambda s: one.slope("matched", one.outcome(s, "mean"))).how == "examples only"
    assert "examples only" in scaling_shown.caption(one)


# --- the model -------------------------------------------------------------------------------------------------------
LANGUAGES = tuple(sorted(x for x in {*XTREME["panx"], *XTREME_R["panx"]} if scaling.zero_shot(x)))


def made_up(languages, both: float, sizes=(1, 1, 1, 2, 2, 2, 3, 3, 5, 5, 7, 7, 9), study=None, noise=0.5) -> Panel:
    """Changes with known effects: 0.6 per doubling, -1 per 0.1 of distance, and both."""
    rng = np.random.default_rng(0)
    far = np.array([d.value if (d := typology.distance(x)) else 0.2 for x in languages])
    x = np.log2(sizes) - np.mean(np.log2(sizes))
    change = 1 + 0.6 * x[:, None] - 10 * far + 10 * both * x[:, None] * (far - far.mean())
    change += (
        0.4 * rng.standard_normal((len(sizes), 1))
        + rng.standard_normal(len(languages))
        + noise * rng.standard_normal((len(sizes), len(languages)))
    )
    return panel(np.vstack([np.full(len(languages), 50.0), 50 + change]), languages, sizes, study=study)


def test_the_model_finds_what_was_put_in_and_takes_covariates_with_many_languages():
    paper = load_study(tiny.ROOT / "params" / "paper.yaml")
    made = scaling_model.model(made_up(LANGUAGES, 0.4, study=paper))
    assert made.full
    assert {scaling_model.PRETRAINING, scaling_model.LATIN, scaling_model.FAMILY} <= set(made.effects)
    assert made.left_out == ("jv", "kk")
    assert made.dropped == (scaling_model.OWN,)  # all rows are matched: nothing to tell
    table = scaling_model.table(made).set_index("effect")
    for effect, truth in ((scaling_model.SIZE, 0.6), (scaling_model.DISTANCE, -1.0), (scaling_model.BOTH, 0.4)):
        assert table.loc[effect, "estimate low"] < truth < table.loc[effect, "estimate high"]
    assert table.loc[scaling_model.BOTH, "p"] < 0.01
    # encoders are few: the error of the number of tasks is theirs, not that of as many cells
    alone = mixed.fit(*_without_recipes(made_up(LANGUAGES, 0.4, study=paper)))
    assert made.fit.error(scaling_model.SIZE) > 2 * alone.error("size")
    assert "Left out, distance not known: jv, kk" in scaling_model.caption(made)
    assert "is a confound" in scaling_model.confounds_sentence(made_up(LANGUAGES, 0.4, study=paper))


def _without_recipes(p: Panel):
    data = scaling_model.observations(p).dropna(subset=["distance"])
    size = data["size"].to_numpy() - data["size"].mean()
    return (
        data["change"].to_numpy(),
        np.column_stack([np.ones(len(data)), size]),
        ["mean", "size"],
        {"language": mixed.Random(data["language"])},
    )


def test_with_few_languages_there_are_no_covariates_and_the_power_is_stated():
    p = made_up(("de", "es", "ru", "hi", "tr", "zh", "sw"), 0.4, sizes=(1, 1, 2, 3))
    made = scaling_model.model(p)
    assert not made.full
    assert made.effects == (scaling_model.SIZE, scaling_model.DISTANCE, scaling_model.BOTH)
    seen = scaling_model.correlation(p, "matched")
    assert (seen.languages, seen.smallest) == (7, pytest.approx(0.87, abs=0.01))
    assert seen.low < seen.r < seen.high
    text = scaling_model.power_sentence(made, seen)
    assert "Over 7 languages" in text
    assert "four times out of five is 0.87" in text
    assert "the same 16,000 lines of each language" in scaling_model.confounds_sentence(p)


def test_too_little_for_a_model():
    assert scaling_model.model(None) is None
    assert scaling_model.model(panel([[50.0, 40], [52, 41], [53, 42]], ("de", "tr"), (1, 2))) is None
    assert "Too few" in scaling_model.caption(None)
    assert scaling_model.correlation(None, "own") is None


# --- as shown --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("slope", "head"),
    [(3, "More intermediate tasks help"), (-3, "More intermediate tasks hurt"), (0, "cannot be told")],
)
def test_the_answer_says_what_the_numbers_say(slope, head):
    point = [[50.0, 40, 30]] + [[50 + slope * k, 40 + slope * k, 30 + slope * k] for k in range(3)]
    p = panel(point, ("de", "tr", "zh"), (1, 2, 4), noise=0.3)
    text = scaling_shown.answer(p.study, p, scaling_model.model(p))
    assert head in text
    assert f"changes by {scaling.curves(p).set_index('outcome').loc['worst', 'slope']:+.1f} points" in text
    assert "it is not evidence about XLM-R" in text
    assert "(mixed model) a doubling changes a score by" in text
    assert scaling_shown.by_number(p).alt.startswith("Change against none by number of intermediate tasks.")
    assert "points per 0.1 of distance" in scaling_shown.by_distance(p).alt


def test_one_training_decides_nothing():
    point = [[50.0, 40, 30]] + [[50 + 3 * k, 40 + 3 * k, 30 + 3 * k] for k in range(3)]
    p = panel(point, ("de", "tr", "zh"), (1, 2, 4), seeds=1, noise=0.3)
    text = scaling_shown.answer(p.study, p, scaling_model.model(p))
    assert text.startswith("Open: 1 training of each subset cannot tell")
    assert "more tasks help the worst language" in text
    assert "examples only" in text


def test_what_is_not_there_is_said(tmp_path):
    study = make(tmp_path)
    assert scaling.panel(study) is None
    assert scaling_shown.answer(study, None, None).startswith("No answer yet")
    assert "nothing has been scored yet" in scaling_shown.changes(None).to_string()
    assert "Fewer than two numbers" in scaling_shown.by_number(None).alt
    assert scaling.trainings_sentence(study, scaling.trainings(study)) == "Nothing has been trained yet."


# --- a small study from end to end -----------------------------------------------------------------------------------
def make(folder: Path) -> Study:
    design = (
        f"name: scaling\nquestion: q\nintermediates: [none, mnli, hellaswag, '{MATCHED}']\ntargets: [panx, tatoeba]\n"
    )
    file = tiny.make(folder)
    (folder / "params" / "designs" / "scaling.yaml").write_text(design)
    file.write_text(yaml.safe_dump({**yaml.safe_load(tiny.TINY), "designs": ["scaling"]}))
    return load_study(file)


def test_a_small_study(tmp_path, monkeypatch):
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
    study = make(tmp_path)
    frames = {(r, t): study.evaluate(r, t) for r in study.intermediates for t in study.targets}
    p = scaling.panel(study)
    assert p.recipes == ("none", "mnli", MATCHED, "hellaswag")
    assert set(p.cells) == {(t, x) for t in ("panx", "tatoeba") for x in ("de", "zh")}
    for i, recipe in enumerate(p.recipes):
        for j, (target, language) in enumerate(p.cells):
            f = frames[recipe, target]
            metric = study.tasks[target].metrics[0]
            value = f.loc[(f["language"] == language) & (f["metric"] == metric), "value"].iloc[0]
            assert p.point[i, j] == pytest.approx(value)
    assert p.values.shape[1:] == p.point.shape
    assert p.values.mean(axis=0) == pytest.approx(p.point, abs=4)
    trained = scaling.trainings(study)
    matched = trained[trained["trained"] == scaling.SCHEDULES["matched"]]
    assert matched["steps"].nunique() == 1
    longest = study.params.recipe.length
    assert matched["tokens"].max() - matched["tokens"].min() <= longest * 4  # within an example, of up to four choices
    assert "all in as many steps" in scaling.trainings_sentence(study, trained)
    assert set(scaling.curves(p)["schedule"]) == {"matched"}  # own length: one task alone
    assert len(scaling_shown.curves(p)) == 3
    row = scaling_shown.ledger_row(study).iloc[0]
    assert (row["id"], row["verdict"], row["runs"]) == ("Q02", "unclear", 1)
    assert row["effect low"] <= row["effect"] <= row["effect high"]
