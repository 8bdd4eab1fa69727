"""The code-mixed study: what is compared with what, known effects, shared fine-tunings, and the sets of the real data folder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from xitt import benchmark, code_mixed, data, graph, official, stats
from xitt import code_mixed_shown as shown
from xitt.metrics import METRICS
from xitt.study import Study, load_study
from xitt.tasks import TASKS

SETS = ("xnli_cross", "xnli_roman", "xnli_mixed50", "xnli_mixed100")
MIXED = f"name: code_mixed\nquestion: q\nintermediates: [none, mnli]\ntargets: [xnli, {', '.join(SETS)}]\n"
SMALL = "name: small\nquestion: q\nintermediates: [none, mnli]\ntargets: [xnli, tatoeba]\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("project")
    text = tiny.TINY.replace("designs: [small]", "designs: [small, code_mixed]").replace("[en, de, zh]", "[en, de, hi]")
    text = text.replace("{bucc2018: {test: 40}}", "{xnli: {test: 18}}")
    file = tiny.make(folder, text, SMALL)
    (folder / "params" / "designs" / "code_mixed.yaml").write_text(MIXED)
    return load_study(file)


@pytest.fixture(scope="module")
def scored(study) -> Study:
    for recipe in ("none", "mnli"):
        for target in study.targets_of(recipe, trained=True):
            study.evaluate(recipe, target)
    return study


# --- rows ------------------------------------------------------------------------------------------------------------
def test_mixed_rows_are_trained_as_what_they_are_compared_with():
    rows = {n: t for n, t in TASKS.items() if t.source.layout in code_mixed.KINDS}
    assert {"xnli_cross", "pawsx_cross", "xquad_cross", "mlqa_cross", "xnli_roman", "udpos_mixed", "sentimix"} <= set(
        rows
    )
    for name, row in rows.items():
        if name == "sentimix":
            assert (row.train, row.source.of) == ("sentimix", "")
            continue
        of = TASKS[row.source.of]
        assert (row.train, row.kind, row.labels, row.answer_rules) == (of.train, of.kind, of.labels, of.answer_rules)
        assert "train" not in row.source.splits
        assert row.roles == ("target",)
    assert set(TASKS["pawsx"].languages) - set(TASKS["pawsx_cross"].languages) == {"ko"}  # 1,999 rows without ids


def test_no_benchmark_holds_them():
    """Averages, submissions and the main table leave them out."""
    names = {n for n, t in TASKS.items() if t.source.layout in code_mixed.KINDS}
    assert not names & {t for version in official.VERSIONS.values() for t in version}
    for name in ("pocket", "pocket_full", "mini", "paper"):
        real = tiny.ROOT / "params" / f"{name}.yaml"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XITT_DATA", str(tiny.ROOT))
            made = load_study(real)
        assert names & set(made.targets), name
        assert not names & set(made.main[1]), name
        assert set(made.grids["code_mixed"][0]) <= set(made.main[0]), f"{name}: no encoder is trained for this design"


def test_one_notebook_more(study):
    jobs = {j.name: j for j in graph.jobs(study)}
    assert jobs["12"].notebook == "12_code_mixed.ipynb"
    assert set(jobs["12"].needs) == {n for n in jobs if n[:3] in ("02.", "03.")}


def test_what_each_code_is_compared_with():
    there = ["de", "en", "hi", "nl", "tr"]
    for name, code, expected in (
        ("xnli_cross", "en-de", ("en", "de")), ("xnli_cross", "en-fr", ("en",)), ("xnli_mixed50", "de+en", ("de",)),
        ("xnli_roman", "hi-Latn", ("hi",)), ("udpos_mixed", "tr+de", ("tr", "de")), ("udpos_mixed", "fy+nl", ("nl",)),
    ):  # fmt: skip
        assert code_mixed.unmixed(TASKS[name], code, there) == expected


# --- known effects -----------------------------------------------------------------------------------------------------
def known(study: Study, right: dict, monkeypatch, examples: int = 400) -> code_mixed.Book:
    """A study whose models have these shares of examples right, by (recipe, target); the same examples in every language."""

    def counts(_, recipe, target, seed):
        if (recipe, target) not in right:
            return None
        codes = ("en", "de", "hi") if target == "xnli" else data.languages(study, target)
        n = 2 * examples if target == "xnli" else examples  # the unmixed set is larger
        made = {}
        for x in codes:
            good = np.random.default_rng([seed, len(x)]).random(n) < right[recipe, target]
            made[x] = (np.array([str(i) for i in range(n)]), np.stack([good, np.ones(n)], axis=1).astype(float))
        return stats.Counts(made, METRICS["classify", "accuracy"].value)

    monkeypatch.setattr(code_mixed, "counts", counts)
    monkeypatch.setattr(
        code_mixed, "mean_difference", lambda *a: stats.Difference(-2.0, -3.0, -1.0, 0.001, "examples only", 0.5)
    )
    monkeypatch.setattr(code_mixed, "_task_mean", lambda study, targets, recipe: 60.0 if recipe == "none" else 58.0)
    return code_mixed.Book(study)


def shares(plain: float, mixed: float) -> dict:
    sets = {("none", t): 0.5 for t in ("xnli", *SETS)}
    return sets | {("mnli", t): 0.5 + (plain if t == "xnli" else mixed) for t in ("xnli", *SETS)}


def test_a_gain_that_mixing_takes_away_is_found(study, monkeypatch):
    book = known(study, shares(0.3, 0.0), monkeypatch)
    table = code_mixed.table(book).set_index("target")
    assert set(table.index) == set(SETS)
    assert table["plain change"].between(24, 36).all()
    assert table["change"].abs().max() < 1e-9  # the same draws: exactly none
    assert (table["kept high"] < -20).all()
    assert (table["kept q"] < 0.001).all()
    said = shown.answer(study, book, code_mixed.table(book))
    assert (
        "Of 3 gains on unmixed text (interval above zero), 0 are gains on mixed text too; in 3 the gain is smaller for certain"
        in said
    )
    assert "loses on XTREME (-2.0 [-3.0, -1.0])" in said
    own = table.loc[["xnli_cross", "xnli_mixed50", "xnli_mixed100"]]
    d = code_mixed.mean_change(book, "mnli", own.index, "kept")
    assert d.value == pytest.approx(own["kept"].mean())
    assert d.low < d.value < d.high < 0
    assert f"with mixing it is smaller ({d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}] points)" in said
    assert "another training could differ by more" in said


def test_a_gain_that_survives_is_found(study, monkeypatch):
    book = known(study, shares(0.3, 0.3), monkeypatch)
    table = code_mixed.table(book)
    assert (table["low"] > 15).all()
    assert table["kept"].abs().max() < 6
    assert "3 are gains on mixed text too; in none is it smaller for certain" in shown.answer(study, book, table)
    curve = code_mixed.curve(book).set_index(["recipe", "rate"])
    assert sorted(set(curve.index.get_level_values("rate"))) == [0, 50, 100]
    assert curve.loc[("mnli", 0), "change"] > 20
    assert np.isnan(curve.loc[("none", 0), "change"])
    on = code_mixed.beside(book).set_index("on")
    assert list(on.index) == ["between sentences", "in Latin letters", "within sentences", "all mixed", "XTREME"]
    assert on.loc["all mixed", "sets"] == 3


def test_without_a_gain_there_is_nothing_to_survive(study, monkeypatch):
    book = known(study, shares(0.0, 0.0), monkeypatch)
    assert "There is no gain to survive: in 3 pairs" in shown.answer(study, book, code_mixed.table(book))


def test_sums_of_scores_by_hand():
    """Over seeds from three on, else over the resamples of all seeds together."""
    draws = {("a", "mixed", s): np.array([1.0, 2.0, 3.0]) + s for s in range(3)} | {
        ("none", "mixed", s): np.zeros(3) for s in range(3)
    }
    value = {k: float(v.mean()) for k, v in draws.items()}
    s = code_mixed.Scores(value, draws, 9)
    d = code_mixed.effect([(1, s, "a", "mixed"), (-1, s, "none", "mixed")])
    expected = stats.over_seeds(np.array([2.0, 3.0, 4.0]))
    assert (d.value, d.low, d.high, d.how) == (expected.value, expected.low, expected.high, "t over 3 seeds")
    two = code_mixed.Scores(
        {k: v for k, v in value.items() if k[2] < 2}, {k: v for k, v in draws.items() if k[2] < 2}, 9
    )
    d = code_mixed.effect([(2, two, "a", "mixed")])
    assert (d.value, d.how) == (5.0, "examples only")
    assert (d.low, d.high) == pytest.approx(tuple(np.quantile([3.0, 5.0, 7.0], [0.025, 0.975])))
    assert code_mixed.effect([(1, s, "a", "plain")]) is None


# --- a study that runs ---------------------------------------------------------------------------------------------------
def test_nothing_is_trained_twice(scored):
    """One fine-tuning of MNLI serves XNLI and all that is made of it."""
    for recipe in ("none", "mnli"):
        (run,) = (scored.out / "runs").glob(f"02.{recipe}.mnli.s0-*")
        assert {p.name for p in (run / "predictions").iterdir()} == {"xnli", *SETS}
    assert len(list((scored.out / "runs").glob("0[12].*"))) == 3  # and phase 1 of mnli


def test_scores_are_those_of_the_predictions(scored):
    book = code_mixed.Book(scored)
    frame = scored.evaluate("mnli", "xnli_mixed50").set_index("language")["value"]
    assert set(frame.index) == {"de+en", "hi+en", "avg"}
    s = book.scores("xnli_mixed50")
    assert s.mean("mnli", "mixed") == pytest.approx(frame["avg"])
    assert s.examples == 24
    first = {}  # XNLI in German and Hindi on the 12 examples that the mixed set has, of its 18
    for x in ("de", "hi"):
        (place,) = (scored.out / "runs").glob(f"02.mnli.mnli.s0-*/predictions/xnli/{x}.parquet")
        p = pd.read_parquet(place).iloc[:12]
        first[x] = 100 * (p["gold"] == p["prediction"]).mean()
    assert s.mean("mnli", "plain") == pytest.approx(np.mean(list(first.values())))
    curve = code_mixed.curve(book).set_index(["recipe", "rate"])["value"]
    assert curve["mnli", 0] == pytest.approx(s.mean("mnli", "plain"))
    assert curve["mnli", 50] == pytest.approx(s.mean("mnli", "mixed"))


def test_tables_and_texts_of_a_study_that_ran(scored):
    book = code_mixed.Book(scored)
    table = code_mixed.table(book)
    assert list(table["target"]) == list(SETS)
    assert list(table.columns) == list(code_mixed.COLUMNS)
    assert "1 of the 1 fine-tunings" in shown.form_sentence(scored)
    assert shown.sets(scored)["compared with"].unique().tolist() == ["XNLI"]
    measured = code_mixed.measured(scored, 10)
    assert set(measured["pair"]) == {"de+en", "hi+en"}
    by_rate = measured.groupby("rate")["switched"].mean()
    assert 0 < by_rate[50] < by_rate[100]
    assert len(shown.changes(scored, table)) == 4
    assert shown.curve_shown(scored, code_mixed.curve(book)).columns.tolist() == [
        "task",
        "recipe",
        "0 % switched",
        "50 % switched",
        "100 % switched",
    ]
    assert "svg" in shown.curve_figure(scored, code_mixed.curve(book))._repr_mimebundle_()["text/html"]
    beside = code_mixed.beside(book)
    assert "XTREME (1)" in shown.beside_shown(beside).columns
    accuracy = {
        r: scored.evaluate(r, "xnli").set_index("language").loc["avg", "value"] for r in ("none", "mnli")
    }  # beside its change, the score itself
    assert shown.beside_shown(beside)[["XTREME (%)", "XTREME, none (%)"]].to_numpy().tolist() == [
        pytest.approx([accuracy["mnli"], accuracy["none"]])
    ]
    assert "mixed text" in shown.beside_figure(scored, beside)._repr_mimebundle_()["text/plain"]
    assert "Limits: intervals are over examples alone" in shown.answer(scored, book, table)
    assert "xnli_cross" not in str(benchmark.coverage(scored, "xtreme"))


def test_a_study_without_the_design_says_so(tmp_path):
    alone = load_study(tiny.make(tmp_path))
    book = code_mixed.Book(alone)
    table, curve, beside = code_mixed.table(book), code_mixed.curve(book), code_mixed.beside(book)
    assert (len(table), len(curve), len(beside), len(code_mixed.measured(alone))) == (0, 0, 0, 0)
    assert "no target whose text mixes languages" in shown.form_sentence(alone)
    assert shown.answer(alone, book, table).startswith("Not answered here")
    for text in (shown.changes_sentence(table), shown.curve_sentence(alone, curve), shown.beside_sentence(beside)):
        assert "scored" in text
    for frame in (shown.changes(alone, table), shown.curve_shown(alone, curve), shown.beside_shown(beside)):
        assert shown.NOTHING in frame.to_numpy()
    assert shown.NOTHING in shown.curve_figure(alone, curve).alt


# --- the real data -------------------------------------------------------------------------------------------------------
@pytest.fixture
def mini(real_data):
    """The study of the project on the data folder that XITT_DATA names."""
    return load_study(tiny.ROOT / "params" / "mini.yaml")


def test_crossed_sets_of_the_real_folder(mini):
    assert data.languages(mini, "xnli_cross") == ("de-en", "en-de", "en-es", "en-ur", "es-en", "ur-en")
    mixed, en, ur = (
        data.load(mini, t, "test", x).examples for t, x in (("xnli_cross", "en-ur"), ("xnli", "en"), ("xnli", "ur"))
    )
    assert [(e["first"], e["label"]) for e in mixed] == [(e["first"], e["label"]) for e in en]
    assert [(e["second"], e["label"]) for e in mixed] == [(e["second"], e["label"]) for e in ur]
    codes = data.languages(mini, "xquad_cross")
    assert len(codes) == 16
    for code in codes[::6]:
        asked, told = code.split("-")
        sides = {x: {e["id"]: e for e in data.load(mini, "xquad", "test", x).examples} for x in (asked, told)}
        for e in data.load(mini, "xquad_cross", "test", code).examples:
            assert e["question"] == sides[asked][e["id"]]["question"]
            assert (e["context"], e["answers"]) == (sides[told][e["id"]]["context"], sides[told][e["id"]]["answers"])


def test_switched_and_romanised_sets_of_the_real_folder(mini):
    assert data.languages(mini, "udpos_mixed") == ("fy+nl", "tr+de")
    assert [data.load(mini, "udpos_mixed", "test", x).total for x in ("fy+nl", "tr+de")] == [400, 805]
    sentiment = data.load(mini, "sentimix", "test", "hi-Latn+en")
    assert sentiment.total == 3000
    assert {e["label"] for e in sentiment.examples} == {"negative", "neutral", "positive"}
    assert data.load(mini, "sentimix", "train").total == 12517
    for task, code in (
        ("codemixed_qa", "hi-Latn+en"),
        ("xquad_roman", "ru-Latn"),
        ("xquad_roman", "hi-Latn"),
        ("xquad_roman", "el-Latn"),
    ):
        for e in data.load(mini, task, "test", code).examples:
            assert e["context"][e["starts"][0] :].startswith(e["answers"][0])
