"""The study of images with captions: rows, matched lengths, whether images are used, comparisons, the ledger's row, the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests import tiny
from xitt import ablations, chance, claims, data, multimodal, phases, stats, vision
from xitt.study import Study, load_study

MATCH, BLANK, MLM = "image_text+match=mnli", "image_text+control=blank+match=mnli", "caption_mlm+match=mnli"
FORM = {"intermediates": ["none", "mnli", MATCH, BLANK, MLM], "targets": ["panx", "tatoeba", "caption_retrieval"]}
TEXT, DESIGN = "mnli", {"name": "multimodal", "question": "q", **FORM, "forms": {"reduced": FORM}}


def make(folder: Path, **changes) -> Study:
    file = folder / "params" / "tiny.yaml"
    if not file.exists():
        tiny.make(folder)
        (folder / "params" / "designs" / "multimodal.yaml").write_text(yaml.safe_dump(DESIGN))
    file.write_text(yaml.safe_dump({**yaml.safe_load(tiny.TINY), "designs": ["multimodal.reduced"], **changes}))
    return load_study(file)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return make(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def scored(study) -> Study:
    for recipe in study.intermediates:
        for target in study.targets_of(recipe):
            study.evaluate(recipe, target)
    return study


# --- the design ------------------------------------------------------------------------------------------------------
def test_rows_of_the_design():
    """Each row with images is matched to a row that the transfer design has; each control is one of a row beside it."""
    design = yaml.safe_load((tiny.ROOT / "params" / "designs" / "multimodal.yaml").read_text())
    transfer = yaml.safe_load((tiny.ROOT / "params" / "designs" / "transfer.yaml").read_text())
    for form in (design, *design["forms"].values()):
        new = [r for r in form["intermediates"] if r not in transfer["intermediates"]]
        assert all(r.endswith("+match=mnli") for r in new)
        assert set(form["intermediates"]) <= set(design["intermediates"])
        assert set(form["targets"]) <= set(design["targets"])
        for r in new:
            assert ablations.without(r, "control", data_rows()) in new
    assert len([r for r in design["forms"]["reduced"]["intermediates"] if "+" in r]) <= 3
    assert len(design["forms"]["reduced"]["targets"]) <= 3


def data_rows():
    from xitt.tasks import TASKS

    return TASKS


def test_rows_and_their_comparators(study):
    found = {r.recipe: r for r in multimodal.rows(study)}
    assert set(found) == {MATCH, BLANK, MLM}
    assert (found[BLANK].control, found[BLANK].plain, found[BLANK].text) == ("blank", MATCH, TEXT)
    assert (found[MLM].control, found[MLM].plain, found[MLM].task) == ("", MLM, "caption_mlm")
    assert multimodal._pairs(study, "text") == [(MATCH, TEXT), (MLM, TEXT)]
    assert multimodal._pairs(study, "control") == [(MATCH, BLANK)]
    assert "form `multimodal.reduced`: 5 of 5 rows on 3 of 3 targets" in multimodal.form_sentence(study)


# --- what was trained ------------------------------------------------------------------------------------------------
def test_as_many_steps_and_text_tokens_as_the_text_only_row(scored):
    """Counted in the captions' pieces, within one example; patches are none."""
    table = multimodal.training(scored).set_index("row")
    reference = phases.record_of(scored, TEXT, 0)["training"]
    longest = 96  # pieces of an example at most, by the recipe
    for row in (MATCH, BLANK, MLM):
        assert table.loc[row, "steps"] == reference["steps"] == table.loc[row, "its steps"]
        assert abs(table.loc[row, "tokens"] - reference["tokens"]) <= longest
        assert table.loc[row, "its tokens"] == reference["tokens"]
        log = scored.train(row).log
        assert log["tokens"].dropna().iloc[-1] == table.loc[row, "tokens"]


def test_a_control_is_trained_on_the_same_captions(scored):
    plain, blank = (phases.training_set(scored, "image_text", "intermediate", r) for r in (MATCH, BLANK))
    assert [(e["text"], e["label"]) for e in plain.examples] == [(e["text"], e["label"]) for e in blank.examples]
    assert {e["image"] for e in blank.examples} == {vision.BLANK}


# --- whether images are used -----------------------------------------------------------------------------------------
def test_looks_by_hand(scored):
    table = multimodal.looks(scored)
    assert set(table["images"]) == set(multimodal.SHOWN.values())
    assert len(table) == 9
    for (row, _), group in table.groupby(["row", "seed"]):
        part = group.set_index("images")
        own = part.loc["as they are", "value"]
        for how in ("blank", "each other's"):
            assert part.loc[how, "difference"] == pytest.approx(own - part.loc[how, "value"])
            assert part.loc[how, "difference low"] <= part.loc[how, "difference"] <= part.loc[how, "difference high"]
        best = phases.record_of(scored, row, 0)["training"]["best"]
        if best and len(data.load(scored, row.partition("+")[0], "dev")) <= scored.params.recipe.eval_examples:
            assert own == pytest.approx(best["score"])
    text = multimodal.looks_sentence(scored, table)
    assert text.count("use") == 2
    assert BLANK not in text
    assert len(multimodal.looks_shown(table)) == 9


def test_over_seeds_the_use_of_images_has_a_t_interval(study):
    """From three seeds on, of the losses of the seeds; not the mean of intervals over examples."""
    lost = [4.0, 5.0, 9.0]
    rows = [
        (MATCH, s, how, 90.0 - d, d, d - 1, d + 1)
        for s, lo in enumerate(lost)
        for how, d in (("as they are", 0.0), ("blank", lo))
    ]
    names = ["row", "seed", "images", "value", "difference", "difference low", "difference high"]
    table = pd.DataFrame(rows, columns=names)
    d = stats.over_seeds(np.array(lost))
    assert d.low < 0 < d.high
    said = multimodal.looks_sentence(study, table)
    assert f"6.0 points less without ({d.low:+.1f} to {d.high:+.1f}): it does not demonstrably use them" in said
    assert "(+3.0 to +5.0): it uses them" in multimodal.looks_sentence(study, table[table["seed"] == 0])


def test_a_dev_score_is_that_of_the_kept_model(study):
    """The first dev examples, as in training."""
    run = study.train(MATCH)
    counts = multimodal._seen(study, run, "image_text", "")
    first = slice(0, study.params.recipe.eval_examples)
    value = counts.value(counts.by_language["en"][1][first].sum(axis=0))
    assert value == pytest.approx(run.record["training"]["best"]["score"], abs=1e-3)


# --- what transfers --------------------------------------------------------------------------------------------------
def average(study: Study, recipe: str, target: str) -> float:
    frame = study.evaluate(recipe, target)
    metric = study.tasks[target].metrics[0]
    return float(frame.loc[(frame["language"] == "avg") & (frame["metric"] == metric), "value"].iloc[0])


@pytest.mark.parametrize(("against", "pairs"), [("text", 2), ("control", 1), ("none", 2)])
def test_changes_against_other_rows(scored, against, pairs):
    table = multimodal.table(scored, against)
    assert len(table) == pairs * 4  # three targets and the mean
    for row in table[table["target"] != "mean"].itertuples():
        assert row.change == pytest.approx(
            average(scored, row.variant, row.target) - average(scored, row.against, row.target)
        )
    for row in table[table["target"] != "mean"].itertuples():
        assert row.value_at_chance == chance.reaches(scored, row.target, row.variant)
        assert row.base_at_chance == chance.reaches(scored, row.target, row.against)
    for _, group in table.groupby("variant"):
        part = group.set_index("target")
        assert part.loc["mean", "change"] == pytest.approx(
            part.loc[["panx", "tatoeba"], "change"].mean()
        )  # XTREME-R's alone
    assert ablations.figure(scored, table, "x").alt.startswith("x: Of")


def test_the_effect_and_the_ledger_agree(scored):
    table = multimodal.table(scored, "text")
    d = multimodal.effect(scored)
    assert d.value == pytest.approx(table.loc[table["target"] == "mean", "change"].mean())
    verdict = claims.verdict(scored, "Q05")
    assert verdict.effect == pytest.approx(d.value)
    assert (verdict.verdict, verdict.runs, verdict.how) == ("unclear", 1, "examples only")
    assert "controls against the same" in verdict.why


def test_the_answer(scored):
    d = multimodal.effect(scored)
    text = multimodal.answer(scored, multimodal.looks(scored))
    for against, lead in (
        ("control", "without their images (blank, or each other's) it is"),
        ("none", "Against no intermediate task it is"),
    ):
        other = multimodal.effect(scored, against)
        assert f"{lead} {other.value:+.1f} points (95 % interval {other.low:+.1f} to {other.high:+.1f})" in text
    assert f"{d.value:+.1f} points (95 % interval {d.low:+.1f} to {d.high:+.1f}, examples only)" in text
    assert "PAN-X, Tatoeba" in text
    assert "decides nothing about training" in text


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.5, 2.0, "helps"), (-2.0, -0.5, "does harm"), (-1.0, 1.0, "neither be said to help")]
)
def test_the_answer_follows_the_interval(scored, monkeypatch, low, high, said):
    from xitt.stats import Difference

    d = Difference((low + high) / 2, low, high, 0.5, "t over 3 seeds", 0.1, 3)
    monkeypatch.setattr(multimodal, "effect", lambda study, against="text": d)
    text = multimodal.answer(scored, multimodal.looks(scored).iloc[:0])
    assert said in text
    assert "over examples" not in text.rsplit("Limits:")[1]


def test_a_study_without_it(study):
    alone = make(study.root, designs=["small"])
    assert "does not have the design" in multimodal.form_sentence(alone)
    assert not len(multimodal.training(alone))
    assert not len(multimodal.table(alone, "text"))
    looked = multimodal.looks(alone)
    assert list(multimodal.looks_shown(looked)) == ["row"]
    assert "cannot answer" in multimodal.answer(alone, looked)
    assert claims.verdict(alone, "Q05").verdict == "not tested"
    figure = multimodal.gallery(alone, count=3)
    assert figure.alt.count("match:") == 3
    assert np.all([axis.images for axis in figure.figure.axes])
