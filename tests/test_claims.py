"""The ledger: known effects give the known verdicts, by a rule that is checked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from xitt import claims, data, load_study, published, recipes
from xitt.claims import book, effects, entries, facts, rule
from xitt.differences import Resampled, task_metrics
from xitt.errors import DataError, ParameterError
from xitt.matrix import NINE as XTREME
from xitt.stats import Difference
from xitt.study import Study

TRAINING = [c.id for c in entries.every() if c.direction != "is" and not c.question]
CHOSEN = dict.fromkeys(XTREME, "squad_v1")


@pytest.fixture(scope="module")
def paper(request):
    return load_study(request.config.rootpath / "params" / "paper.yaml")


@pytest.fixture(scope="module")
def pocket(request):
    """Its main table alone: the questions' designs have tests of their own."""
    whole = load_study(request.config.rootpath / "params" / "pocket.yaml")
    return Study(whole.path, whole.params, whole.designs[:1], whole.root, whole.tasks)


def tidy(study, change, rows=(), seeds=(0, 1, 2), noise=0.05, targets=XTREME, start=0) -> pd.DataFrame:
    """Results with known effects: ``change(recipe, target)`` points above ``none``, and noise of this size."""
    rng, lines = np.random.default_rng(start), []
    recipes_ = ["none", *recipes.NINE, "multitask", *rows]
    for target in targets:
        for seed in seeds:
            level = 50 + 3 * rng.standard_normal()  # a seed is good or bad for all rows alike
            for recipe in recipes_:
                value = level + (change(recipe, target) if recipe != "none" else 0) + noise * rng.standard_normal()
                for metric in study.tasks[target].metrics:
                    for language in ("avg", "en", "de", "tr"):
                        lines.append((recipe, target, language, "test", seed, metric, value, 100))
    return pd.DataFrame(lines, columns=["intermediate", "target", "language", "split", "seed", "metric", "value", "n"])


VARIANTS = ("mnli+mlm=0.5", "mnli+train=de")


def as_claimed(recipe: str, target: str) -> float:
    """The world as the paper describes it."""
    if target == "xnli":
        return 0.0
    gain = {
        "squad_v1": 8.2,
        "squad_v2": 8.2,
        "mnli": 7.5,
        "hellaswag": 7.0,
        "multitask": 12.0,
        **dict.fromkeys(VARIANTS, 3.0),
    }
    return gain.get(recipe, 6.0) + (8 if target in ("bucc2018", "tatoeba") else 0)


def otherwise(recipe: str, target: str) -> float:
    """The opposite: losses, XNLI gains, several tasks are worst, variants are best."""
    if target == "xnli":
        return 30.0
    return {"multitask": -12.0, **dict.fromkeys(VARIANTS, 3.0)}.get(recipe, -6.0)


def verdicts(study, frame) -> dict[str, str]:
    return {name: claims.verdict(study, name, frame, CHOSEN).verdict for name in TRAINING}


# --- known effects -------------------------------------------------------------------------------------------------
def test_effects_as_claimed_are_supported_with_the_full_model_and_data(paper):
    assert set(verdicts(paper, tidy(paper, as_claimed, VARIANTS)).values()) == {"supported"}


def test_the_same_effects_agree_in_a_smaller_study(pocket):
    assert set(verdicts(pocket, tidy(pocket, as_claimed, VARIANTS)).values()) == {"agrees"}


def test_opposite_effects_contradict_or_disagree(paper, pocket):
    frame = tidy(paper, otherwise, VARIANTS)
    assert set(verdicts(paper, frame).values()) == {"contradicted"}
    assert set(verdicts(pocket, frame).values()) == {"disagrees"}


def test_noise_leaves_everything_unclear(paper):
    found = verdicts(paper, tidy(paper, lambda r, t: 1.5, VARIANTS, noise=40.0, start=3))
    assert list(found.values()).count("unclear") >= len(found) - 1


def test_no_effect_at_all_speaks_against_gains_and_for_no_gain(paper):
    found = verdicts(paper, tidy(paper, lambda r, t: 0.0, VARIANTS))
    assert found.pop("C08") == "supported"
    assert found.pop("C04") in ("unclear", "contradicted")  # equal rows: the order cannot be told
    assert set(found.values()) == {"contradicted"}


def test_the_effect_is_the_one_that_was_put_in(paper):
    frame = tidy(paper, as_claimed, VARIANTS)
    found = {name: claims.verdict(paper, name, frame, CHOSEN) for name in TRAINING}
    squad = np.mean([as_claimed("squad_v1", t) for t in XTREME])
    for name, value in (("C01", squad), ("C09", squad), ("C05", 14.0), ("C07", 6.0), ("C08", 0.0)):
        v = found[name]
        assert v.effect == pytest.approx(value, abs=0.2), name
        assert v.low < v.effect < v.high
        assert (v.runs, v.how) == (3, "t over 3 seeds")
        assert 0 <= v.power <= 1
        assert v.detectable < 1
    lead = np.mean([as_claimed("multitask", t) - as_claimed("squad_v1", t) for t in XTREME])
    assert found["C04"].effect == pytest.approx(lead, abs=0.2)


def test_half_of_the_tasks_is_not_almost_every_task(paper):
    some = recipes.NINE[:5]
    frame = tidy(paper, lambda r, t: 15.0 if r in some else 0.0)
    assert claims.verdict(paper, "C05", frame).verdict == "contradicted"
    frame = tidy(paper, lambda r, t: 15.0 if r in recipes.NINE[:8] else 0.0)
    assert claims.verdict(paper, "C05", frame).verdict == "supported"


def test_one_target_that_gains_nothing_is_enough_against_both(paper):
    frame = tidy(paper, lambda r, t: 15.0 if t == "tatoeba" else 0.0)
    found = claims.verdict(paper, "C05", frame)
    assert (found.verdict, found.effect) == ("contradicted", pytest.approx(0, abs=0.2))
    assert "bucc2018" in found.why


def test_a_single_task_that_gains_is_a_veto_on_no_gain(paper):
    """The mean stays within a point of zero."""
    frame = tidy(paper, lambda r, t: 5.0 if r == "mnli" else 0.0, noise=0.02)
    found = claims.verdict(paper, "C08", frame)
    assert found.verdict == "unclear"
    assert abs(found.effect) < 1
    assert "1 of 9 changes are gains" in found.why


def test_a_part_of_the_scope_cannot_support(paper):
    frame = tidy(paper, as_claimed, targets=("xnli", "panx"))
    found = claims.verdict(paper, "C02", frame)
    assert found.verdict == "agrees"
    assert "7 of 9 targets" in found.why


def test_answers_count_by_both_of_their_metrics(paper):
    frame = tidy(paper, lambda r, t: 0.0, targets=("xquad",), noise=0.0)
    frame.loc[(frame["intermediate"] == "mnli") & (frame["metric"] == "em"), "value"] += 4
    assert claims.verdict(paper, "C02", frame).effect == pytest.approx(2)


# --- too few runs --------------------------------------------------------------------------------------------------
def drawn(frame, study, target, metrics, recipes_=None, without=()) -> Resampled:
    rows = frame[(frame["target"] == target) & (frame["language"] == "avg") & frame["metric"].isin(metrics)]
    value = rows.groupby(["intermediate", "seed"])["value"].mean().to_dict()
    rng = np.random.default_rng(0)
    return Resampled(value, {k: v + 0.1 * rng.standard_normal(500) for k, v in value.items()})


def test_one_run_decides_nothing(paper, monkeypatch):
    frame = tidy(paper, as_claimed, VARIANTS, seeds=(0,))
    monkeypatch.setattr(book, "resampled", lambda *a, **k: drawn(frame, *a, **k))
    found = claims.ledger(paper, frame, CHOSEN).set_index("id").loc[TRAINING]
    assert set(found["verdict"]) == {"unclear"}
    assert set(found["interval"]) == {"examples only"}
    assert found["power"].isna().all()
    assert found["ours"].notna().all()
    assert "1 run of at least 3" in found["why"]["C01"]


def test_one_run_without_predictions_is_not_tested(paper, monkeypatch):
    monkeypatch.setattr(book, "resampled", lambda *a, **k: None)
    found = claims.verdict(paper, "C01", tidy(paper, as_claimed, seeds=(0,)))
    assert (found.verdict, found.runs) == ("not tested", 0)
    assert "fewer than 3 seeds" in found.why


def test_an_empty_table_leaves_all_training_untested(paper):
    frame = tidy(paper, as_claimed).iloc[:0]
    found = claims.ledger(paper, frame, {}).set_index("id").loc[TRAINING]
    assert set(found["verdict"]) == {"not tested"}
    assert found["why"].str.len().min() > 15


def test_scores_at_chance_are_named(paper):
    frame = tidy(paper, as_claimed, targets=("panx",))
    floor = frame[frame["intermediate"] == "none"].assign(intermediate="baseline:majority", value=99.0)
    found = claims.verdict(paper, "C02", pd.concat([frame, floor]))
    assert "at chance: none on panx, mnli on panx" in found.why


# --- the rule ------------------------------------------------------------------------------------------------------
def effect(low: float, high: float, shift: float = 0.0) -> effects.Effect:
    d = Difference((low + high) / 2, low, high, 0.5, "t over 3 seeds", 0.1, 3)
    return effects.Effect("x", d, d, shift)


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (0.1, 5, "holds"),
        (0.1, 0.4, "holds"),
        (-0.1, 5, "open"),
        (-0.5, 0.9, "fails"),
        (-5, -1, "fails"),
        (-0.1, 1.1, "open"),
    ],
)
def test_above(low, high, state):
    claim = entries.find("C02")
    assert (claim.direction, claim.threshold, claim.margin) == ("above", 0, 1)
    assert rule.state(claim, effect(low, high)) == state


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (-0.9, 0.9, "holds"),
        (0.1, 0.9, "holds"),
        (-0.9, 1.1, "open"),
        (1.1, 3, "fails"),
        (-3, 0.5, "open"),
        (-3, -1.2, "holds"),
    ],
)
def test_no_gain_needs_the_whole_interval_within_the_margin(low, high, state):
    claim = entries.find("C08")
    assert claim.margin == 1
    assert rule.state(claim, effect(low, high)) == state


def test_one_failure_among_many_needs_a_wider_interval():
    near, far = effect(-2, -0.1).difference, effect(-6, 4).difference
    claim = entries.find("C04")
    assert rule.state(claim, effects.Effect("x", near, near)) == "fails"
    assert rule.state(claim, effects.Effect("x", near, far)) == "open"


def test_power_of_an_equivalence_by_simulation():
    rng, runs, error = np.random.default_rng(0), 4, 0.3
    d = error * np.sqrt(runs) * rng.standard_normal((40_000, runs))
    from xitt.stats import t_test

    _, low, high, _, _ = t_test(d)
    assert rule.within(1.0, error, runs) == pytest.approx(np.mean((low > -1) & (high < 1)), abs=0.01)


# --- facts ---------------------------------------------------------------------------------------------------------
def test_facts_of_the_paper_s_study(paper, monkeypatch):
    monkeypatch.setattr(data, "status", lambda study, task: data.There("yes", {"train": int(SIZES[task])}, {}))
    found = claims.ledger(paper, tidy(paper, as_claimed, VARIANTS), CHOSEN).set_index("id")["verdict"]
    assert list(found[:21]) == ["supported"] * 21


SIZES = {f.target: f.value for f in published.read() if f.metric == "size"}


@pytest.mark.parametrize(
    ("there", "verdict"),
    [(data.There("yes", {"train": 392_701}, {}), "contradicted"), (data.There("slice 10 of 392,702", {"train": 10}, {}), "not tested"),
     (data.There("absent: nothing", {}, {}), "not tested")],
)  # fmt: skip
def test_training_examples_are_counted(paper, monkeypatch, there, verdict):
    monkeypatch.setattr(data, "status", lambda study, task: there)
    assert claims.verdict(paper, "C18", tidy(paper, as_claimed)).verdict == verdict


def test_facts_of_the_pocket(pocket):
    found = claims.ledger(pocket, tidy(pocket, as_claimed), CHOSEN).set_index("id")
    assert list(found.loc[["C06", "C13", "C14", "C15", "C16", "C20", "C21"], "verdict"]) == ["agrees"] * 7
    assert set(found.loc[["C12", "C17", "C18", "C19"], "verdict"]) == {"not tested"}
    assert found.loc["C16", "ours"] == 40
    assert set(found.loc[["Q01", "Q02", "Q03", "Q04", "Q05"], "verdict"]) == {"not tested"}


def test_a_wrong_fact_does_not_hold(paper):
    assert not facts.intermediate_tasks(paper, 8, ["span", "choose", "tag", "classify"]).holds
    assert not facts.intermediate_tasks(paper, 9, ["span"]).holds
    assert not facts.target_tasks(paper, 10).holds
    assert not facts.most_languages(paper, 41).holds
    assert not facts.untrained(paper, None, ["xnli"]).holds
    assert not facts.kind_of(paper, None, "squad_v2", "choose").holds


# --- questions -----------------------------------------------------------------------------------------------------
class Grids:
    """A study that has one more design."""

    def __init__(self, study, **grids):
        self._study, self.grids = study, {**study.grids, **grids}

    def __getattr__(self, name):
        return getattr(self._study, name)


def test_the_slope_over_the_number_of_tasks(paper):
    """Of the matched rows, in the weak languages; rows of their own length do not count."""
    matched = {
        "mnli": 1,
        "qqp+match=mnli": 1,
        "multitask{mnli,qqp}+match=mnli": 2,
        "multitask{ccg,mnli,qqp,squad_v1}+match=mnli": 4,
    }
    own = {"qqp": 1, "multitask{ccg,mnli}": 2}
    rows = (*matched, *own)
    study = Grids(paper, scaling=(("none", *rows), XTREME))
    frame = tidy(paper, lambda r, t: 2 * np.log2(matched.get(r, 1)) - 30 * (r in own), [r for r in rows if "+" in r or "{" in r], targets=("xnli", "panx"))  # fmt: skip
    found = claims.verdict(study, "Q02", frame)
    assert (found.verdict, found.effect) == ("yes", pytest.approx(2, abs=0.1))
    assert "4 rows of 1 to 4 tasks; all languages: +2.0" in found.why
    alone = Grids(paper, scaling=(("none", "mnli", "qqp"), XTREME))
    assert claims.verdict(alone, "Q02", frame).verdict == "not tested"


def test_code_mixed_text_and_the_languages_beside_it(paper):
    study = Grids(paper, code_mixed=(("none", "mnli"), ("xnli", "xnli_cross", "udpos_mixed", "xnli_roman")))
    mixed, plain = ("xnli_cross", "udpos_mixed"), ("xnli", "panx")

    def verdict(on_mixed: float, on_plain: float, roman: float = 0.0):
        change = {**dict.fromkeys(mixed, on_mixed), **dict.fromkeys(plain, on_plain), "xnli_roman": roman}
        return claims.verdict(study, "Q03", tidy(paper, lambda r, t: change[t], targets=(*mixed, *plain, "xnli_roman")))

    assert verdict(3, 3).verdict == "yes"
    assert verdict(3, -0.5).verdict == "yes"  # less than a point is kept
    lost = verdict(3, -6)
    assert (lost.verdict, "XTREME" in lost.why) == ("no", True)
    assert "mixed text, 2 targets: +" in lost.why  # both sides with their intervals, whichever decides
    assert "XTREME, 2 targets: -" in lost.why
    assert verdict(-3, 3, roman=30).verdict == "no"  # Latin letters alone mix nothing
    alone = Grids(paper, code_mixed=(("none", "mnli"), ("xnli", "xnli_roman")))
    assert claims.verdict(alone, "Q03", tidy(paper, lambda r, t: 3.0, targets=plain)).verdict == "not tested"


# --- the entries ---------------------------------------------------------------------------------------------------
def test_there_are_26_rows_and_each_has_what_decides_it():
    rows = entries.every()
    assert [c.id for c in rows] == [f"C{i:02}" for i in range(1, 22)] + [f"Q{i:02}" for i in range(1, 6)]
    for c in rows:
        assert c.test in (facts.FACTS if c.direction == "is" else effects.TESTS)
        if c.direction != "is":
            assert c.runs == 3
            assert c.expected is not None
    for vague in ("C05", "C07"):
        assert entries.find(vague).words


def test_numbers_are_the_published_ones():
    for name, row in {"C01": "squad", "C02": "mnli", "C03": "hellaswag", "C04": "multitask"}.items():
        assert entries.find(name).number == published.find("X-STILTs", "mean", "change", "dev", intermediate=row).value
    assert entries.find("C09").number == published.find("X-STILTs", "mean", "change").value
    for name in ("C17", "C18", "C19"):
        assert entries.find(name).number == SIZES[entries.find(name).options["task"]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("certainty: 2nd", "certainty: memory", "a figure from memory is never a reference"), ("margin: 1", "margn: 1", "did you mean 'margin'"),
     ("runs: 3", "runs: 1", "at least three runs"), ("direction: above", "direction: abov", "did you mean 'above'")],
)  # fmt: skip
def test_a_bad_entry_is_refused(tmp_path, old, new, message):
    path = tmp_path / "claims.yaml"
    path.write_text(entries.FILE.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        entries.read(path)


def test_an_unknown_claim_is_named(pocket):
    with pytest.raises(ParameterError, match="claim 'C1' is unknown"):
        pocket.verdict("C1")
    with pytest.raises(ParameterError, match="did you mean 'unclear'"):
        claims.of(pd.DataFrame({"verdict": []}), "unclea")


# --- as shown ------------------------------------------------------------------------------------------------------
def test_what_is_shown_and_said(paper, pocket):
    from xitt.show import show

    table = claims.ledger(pocket, tidy(pocket, as_claimed, VARIANTS), CHOSEN)
    text = show(claims.lines(claims.of(table, "agrees")), claims.caption(), css="xitt ledger").html()
    assert text.count("<tr>") == 1 + (table["verdict"] == "agrees").sum()
    assert text.count('class="verdict agrees"') == (table["verdict"] == "agrees").sum()  # what the report filters by
    assert "8.2 points (2nd" in text
    assert "nan" not in text.lower().replace("finance", "")
    assert claims.counted(table)["claims"].sum() == 26
    said = claims.sentence(pocket, table)
    assert "Of 26 claims and questions: agrees 17, not tested 9." in said
    assert "its encoder is an encoder built here" in said
    deciding = claims.decided_by().set_index("id")
    assert len(deciding) == 26
    assert deciding.loc["C02", "computes"] == "Mean over rows and targets of the change against none."
    assert deciding.loc["C02", "of"] == "rows: mnli; targets: xtreme"
    assert deciding["computes"].str.len().min() > 20
    assert not deciding["computes"].str.contains("`").any()
    assert rule.short_of_full(paper) == ""


def test_scores_of_a_task_follow_the_benchmark(paper):
    assert task_metrics(paper.tasks["xquad"]) == ("f1", "em")
