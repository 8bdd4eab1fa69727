"""The transfer matrix from made-up predictions: cells, groups, means, both protocols, ranks over seeds, and its text forms."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from tests import stored
from xitt import differences, export, figures, matrix, prose, results, show, stats, store, tables
from xitt.errors import ParameterError
from xitt.published import CERTAINTY

TARGETS = ("xnli", "pawsx", "xquad", "bucc2018", "tatoeba")


@pytest.fixture
def held(tmp_path, monkeypatch):
    return stored.make(tmp_path, monkeypatch)


def fill(held, shares: dict[str, float], seeds=(0,), **more) -> None:
    """Every target gets the recipe's share of right answers."""
    for recipe, share in shares.items():
        for target in held.study.main[1]:
            for seed in seeds:
                held.put(recipe, target, share, seed, strict=share - 0.1, **more)


def cell(table: pd.DataFrame, recipe: str, target: str) -> pd.Series:
    return table.set_index(["intermediate", "target"]).loc[(recipe, target)]


# --- cells ---------------------------------------------------------------------------------------------------------
def test_a_change_is_against_none_with_an_interval_around_it(held):
    fill(held, {"none": 0.5, "mnli": 0.6, "squad_v1": 0.5})
    table = matrix.transfer(held.study)
    row = cell(table, "mnli", "xnli")
    assert (row["value"], row["change"], row["how"]) == (pytest.approx(60), pytest.approx(10), "examples only")
    # 20 of 200 examples differ, all in one direction and the same in every language: binomial standard error
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * 100 * np.sqrt(0.1 * 0.9 / 200), rel=0.1)
    assert cell(table, "none", "xnli")["change"] == 0
    assert np.isnan(cell(table, "none", "xnli")["p"])


def test_equal_predictions_differ_by_nothing_for_certain(held):
    """Both sides hold the same examples in every resample, also where mined pairs have other ids."""
    fill(held, {"none": 0.5, "squad_v1": 0.5})
    table = matrix.transfer(held.study)
    same = table[table["intermediate"] == "squad_v1"]
    assert (same[["change", "low", "high"]] == 0).all(axis=None)
    assert (same["q"] == 1).all()


def test_q_is_benjamini_hochberg_over_the_whole_table(held):
    fill(held, {"none": 0.5, "mnli": 0.52, "squad_v1": 0.6, "multitask": 0.45})
    table = matrix.transfer(held.study).dropna(subset=["p"])
    assert len(table) == 15
    assert table["q"].to_numpy() == pytest.approx(scipy_stats.false_discovery_control(table["p"]))


def test_answers_are_f1_and_exact_match(held):
    fill(held, {"none": 0.5, "mnli": 0.6}, half=0.2)
    table = matrix.transfer(held.study)
    row = cell(table, "none", "xquad")
    assert (row["value"], row["second"]) == (pytest.approx(50 + 20 * 2 / 3), pytest.approx(50))
    wide = matrix.matrix(table, held.study).set_index("intermediate")
    assert wide.loc["none", "XQuAD"] == "63.3/50.0"
    assert re.fullmatch(r"\+10\.0/\+10\.0\* <small>\[\+\d\.\d, \+1\d\.\d\]</small>", wide.loc["mnli", "XQuAD"])
    assert wide.loc["mnli", "XQuAD"].value == pytest.approx(10)
    assert np.isnan(cell(table, "none", "xnli")["second"])


def test_a_score_at_chance_is_marked(held):
    fill(held, {"none": 0.5, "mnli": 0.005})
    table = matrix.transfer(held.study)
    assert not cell(table, "none", "xnli")["at_chance"]
    assert cell(table, "mnli", "xnli")["at_chance"]
    assert "°" in matrix.matrix(table, held.study).set_index("intermediate").loc["mnli", "XNLI"]


def test_three_seeds_give_a_t_interval_over_their_paired_differences(tmp_path, monkeypatch):
    held = stored.make(tmp_path, monkeypatch, seeds="[0, 1, 2]")
    for seed, (before, after) in enumerate([(0.5, 0.6), (0.55, 0.6), (0.6, 0.62)]):
        fill(held, {"none": before, "mnli": after}, [seed])
    row = cell(matrix.transfer(held.study), "mnli", "xnli")
    low, high = scipy_stats.t.interval(0.95, 2, np.mean([10, 5, 2]), scipy_stats.sem([10, 5, 2]))
    assert (row["change"], row["low"], row["high"]) == (pytest.approx(17 / 3), pytest.approx(low), pytest.approx(high))
    assert row["how"] == "t over 3 seeds"


def test_two_seeds_are_both_in_the_change(tmp_path, monkeypatch):
    held = stored.make(tmp_path, monkeypatch, seeds="[0, 1]")
    fill(held, {"none": 0.5, "mnli": 0.6}, [0])
    fill(held, {"none": 0.5, "mnli": 0.7}, [1])
    row = cell(matrix.transfer(held.study), "mnli", "xnli")
    assert (row["change"], row["how"]) == (pytest.approx(15), "examples only")
    assert row["low"] < 15 < row["high"]


def test_what_is_not_there_is_blank(held):
    fill(held, {"none": 0.5})
    held.put("mnli", "xnli", 0.6)
    table = matrix.transfer(held.study)
    assert set(table.loc[table["intermediate"] == "mnli", "target"]) == {"xnli"}
    wide = matrix.matrix(table, held.study).set_index("intermediate")
    assert wide.loc["mnli", "PAWS-X"] == ""
    assert wide.loc["mnli", "mean"] == ""  # over other targets than the row none
    assert matrix.means(held.study)["intermediate"].tolist() == ["none"]


def test_without_the_row_none_there_is_no_matrix(held):
    with pytest.raises(ParameterError, match="row none has no scores yet"):
        matrix.matrix(matrix.transfer(held.study), held.study)


# --- groups and means ----------------------------------------------------------------------------------------------
def test_rows_stand_in_the_papers_groups(tmp_path, monkeypatch):
    held = stored.make(tmp_path, monkeypatch, "multitask, none, mnli+mlm=0.5, mnli, squad_v1, mnli+train=de")
    fill(held, dict.fromkeys(held.study.intermediates, 0.5))
    wide = matrix.matrix(matrix.transfer(held.study), held.study)
    assert list(zip(wide["rows"], wide["intermediate"], strict=True)) == [
        ("none", "none"), ("single task", "mnli"), ("single task", "squad_v1"), ("multi-task, MLM", "multitask"),
        ("multi-task, MLM", "mnli+mlm=0.5"), ("other variant", "mnli+train=de"),
    ]  # fmt: skip


def test_the_mean_takes_answers_by_f1_and_exact_match(held):
    for target in TARGETS:
        held.put("none", target, 0.5, strict=0.5)
        held.put("mnli", target, 0.6, strict=0.6, half=0.3)
    found = {t: matrix.transfer(held.study).pipe(cell, "mnli", t) for t in TARGETS}
    changes = [
        found[t]["change"] if t != "xquad" else (found[t]["change"] + found[t]["second_change"]) / 2 for t in TARGETS
    ]
    mean = matrix.means(held.study)
    assert mean["scope"].unique().tolist() == ["mean"]  # all five are of the nine: one scope
    row = mean.set_index("intermediate").loc["mnli"]
    assert row["change"] == pytest.approx(np.mean(changes))
    assert row["low"] < row["change"] < row["high"]


def test_the_papers_nine_have_a_mean_of_their_own(tmp_path, monkeypatch):
    held = stored.make(tmp_path, monkeypatch, targets="xnli, xcopa")
    for recipe, (first, second) in {"none": (0.5, 0.5), "mnli": (0.6, 0.9)}.items():
        held.put(recipe, "xnli", first)
        held.put(recipe, "xcopa", second)
    mean = matrix.means(held.study).set_index(["intermediate", "scope"])["change"]
    assert mean["mnli", "mean"] == pytest.approx(25)
    assert mean["mnli", "mean of the paper's (1 of 9)"] == pytest.approx(10)


def test_targets_are_drawn_independently(held):
    """The error of a mean over five targets of equal error is that of one over the square root of five."""
    for target in TARGETS:
        held.put("none", target, 0.5, strict=0.5)
        held.put("mnli", target, 0.6, strict=0.6)
    one = differences.difference(held.study, "mnli", "xnli")
    many = differences.mean_difference(held.study, "mnli", ("xnli", "pawsx", "tatoeba"))
    assert many.error == pytest.approx(one.error / np.sqrt(3), rel=0.1)


def test_a_mean_needs_every_target(held):
    held.put("none", "xnli", 0.5)
    held.put("mnli", "xnli", 0.5)
    assert differences.mean_difference(held.study, "mnli", ["xnli", "pawsx"]) is None


def test_a_recipe_beside_the_main_table_is_compared_too(held):
    held.put("none", "xnli", 0.5)
    held.put("qqp", "xnli", 0.6)
    assert differences.difference(held.study, "qqp", "xnli").value == pytest.approx(10)
    assert differences.difference(held.study, "none", "xnli", against="qqp").value == pytest.approx(-10)


def test_five_thousand_examples_in_forty_languages_stay_quick():
    """The work of a column of a full study; the issue allows a minute for nine."""
    import time

    rng, ids = np.random.default_rng(0), np.arange(5000).astype(str)
    counts = {str(x): (ids, np.stack([rng.random(5000) < 0.7, np.ones(5000)], 1).astype(float)) for x in range(40)}
    runs = {(recipe, 0): stats.Counts(counts, results.METRICS["classify", "accuracy"].value) for recipe in "abcde"}
    begin = time.perf_counter()
    made = differences._one(runs, results.METRICS["classify", "accuracy"].value, "x", ())
    assert len(made.drawn) == 5
    assert time.perf_counter() - begin < 30


# --- published figures ---------------------------------------------------------------------------------------------
def test_published_figures_have_source_and_certainty_or_are_blank(held):
    fill(held, {"none": 0.5, "mnli": 0.6, "squad_v1": 0.5, "multitask": 0.5})
    table = matrix.beside(held.study, matrix.transfer(held.study), matrix.means(held.study))
    there = table[table["published"].notna()]
    assert set(there["certainty"]) <= set(CERTAINTY)
    assert there["source"].str.len().min() > 5
    assert (table.loc[table["published"].isna(), ["certainty", "source"]] == "").all(axis=None)
    by_row = table.set_index(["intermediate", "target"])["published"]
    assert (by_row["none", "BUCC 2018"], by_row["none", "Tatoeba"]) == (71.5, 31.0)
    assert np.isnan(by_row["none", "XNLI"])  # known from memory alone
    sources = table.set_index("intermediate")["source"]
    assert "which SQuAD is not said" in sources["squad_v1"]
    assert "SQuAD" not in sources["mnli"]
    ours = table.set_index("intermediate").loc["mnli"]
    assert (ours["ours"], ours["published"]) == (pytest.approx(10, abs=1), 7.5)
    assert f"{len(there)} of the {len(table)} figures" in prose.beside_sentence(table)


def test_published_figures_by_language_stand_beside_ours(held):
    for target in ("xnli", "bucc2018", "tatoeba"):
        held.put("none", target, {"en": 0.9, "de": 0.6, "zh": 0.5}, strict=0.5)
    table = matrix.beside_languages(held.study).set_index(["target", "language"])
    assert set(table.index.get_level_values(0)) == {"BUCC 2018", "Tatoeba"}  # of XNLI none is published on dev
    assert table["published"].dropna().to_dict() == {
        ("BUCC 2018", "de"): 77.7, ("BUCC 2018", "zh"): 66.5, ("Tatoeba", "de"): 63.9, ("Tatoeba", "zh"): 41.2}  # fmt: skip
    assert table.loc[("Tatoeba", "de"), "ours"] == pytest.approx(60)
    assert np.isnan(table.loc[("Tatoeba", "en"), "published"])
    assert set(table.loc[table["published"].notna(), "certainty"]) == {"2nd"}
    assert (table.loc[table["published"].isna(), ["certainty", "source"]] == "").all(axis=None)


# --- the starting point --------------------------------------------------------------------------------------------
def test_the_starting_point_is_the_mean_over_seeds(tmp_path, monkeypatch):
    held = stored.make(tmp_path, monkeypatch, seeds="[0, 1, 2]")
    for seed, share in enumerate((0.5, 0.6, 0.8)):
        held.put("none", "xnli", {"en": share + 0.1, "de": share, "zh": share - 0.2}, seed)
    row = tables.zero_shot(held.study).set_index("target").loc["xnli"]
    assert (row["English"], row["others"], row["gap"]) == (
        pytest.approx(220 / 3),
        pytest.approx(160 / 3),
        pytest.approx(20),
    )
    assert row["others low"] < row["others"] < row["others high"]
    assert row["gap low"] < row["gap"] < row["gap high"]
    one = tables.zero_shot(held.study, seed=2).set_index("target").loc["xnli"]
    assert (one["English"], one["others"]) == (pytest.approx(90), pytest.approx(70))


def test_seeds_with_other_pairs_are_drawn_together():
    """Their mean is no surer than one of them: the same examples are in every seed."""
    right = np.stack([np.arange(300) % 2, np.ones(300)], axis=1)
    seeds = [stats.Counts({"de": (np.array([*map(str, range(299)), own]), right)}, lambda c: 100 * c[..., 0] / c[..., 1])
             for own in "abc"]  # fmt: skip
    one, three = (tables.drawn_over_seeds(found, ["de"]).std() for found in (seeds[:1], seeds))
    assert three == pytest.approx(one, rel=0.1)


# --- protocols -----------------------------------------------------------------------------------------------------
def test_both_thresholds_of_mined_pairs_stand_side_by_side(held):
    for target in ("bucc2018", "tatoeba"):
        held.put("none", target, 0.6, strict=0.5)
        held.put("mnli", target, 0.7, strict=0.55)
    table = matrix.protocols(held.study).set_index("intermediate")
    assert table["target"].tolist() == ["BUCC 2018", "BUCC 2018"]  # Tatoeba has no threshold, its encoder no layer 14
    f1 = {share: 200 * share / (1 + share) for share in (0.6, 0.5, 0.7, 0.55)}
    assert (table.loc["none", "paper"], table.loc["none", "strict"]) == (pytest.approx(f1[0.6]), pytest.approx(f1[0.5]))
    assert table.loc["mnli", "change (paper)"] == pytest.approx(f1[0.7] - f1[0.6])
    assert table.loc["mnli", "change (strict)"] == pytest.approx(f1[0.55] - f1[0.5])
    assert table.loc["mnli", "change (strict) low"] < table.loc["mnli", "change (strict)"]
    assert 0 <= table.loc["mnli", "q (strict)"] < 0.05
    assert np.isnan(table.loc["none", "q (paper)"])
    gap = np.mean([f1[0.6] - f1[0.5], f1[0.7] - f1[0.55]])
    assert f"worth {gap:.1f} points on average" in prose.protocol_sentence(matrix.protocols(held.study))


def test_the_paper_takes_layer_14_where_there_is_one(held):
    layers = {str(x): dict.fromkeys(stored.LANGUAGES, float(x)) for x in range(17)}
    held.put("none", "tatoeba", 0.6, layers=layers)
    row = matrix.protocols(held.study).iloc[0]
    assert (row["paper"], row["paper layer"], row["strict layer"]) == (14.0, 14, 2)
    assert row["strict"] == pytest.approx(60)


# --- ranks ---------------------------------------------------------------------------------------------------------
def test_rank_correlations_are_scipys():
    rng = np.random.default_rng(1)
    for _ in range(30):
        a, b = rng.integers(0, 5, (2, 7))
        assert matrix.kendall(a, b) == pytest.approx(scipy_stats.kendalltau(a, b).statistic)
        assert matrix.spearman(a, b) == pytest.approx(scipy_stats.spearmanr(a, b).statistic)
    assert matrix.kendall(np.ones(3), np.arange(3)) == 0


def seeds_of(tmp_path, monkeypatch, orders: list[list[float]]):
    held = stored.make(tmp_path, monkeypatch, seeds=str(list(range(len(orders)))))
    for seed, shares in enumerate(orders):
        fill(held, dict(zip(("none", "mnli", "squad_v1", "multitask"), [0.5, *shares], strict=True)), [seed])
    return held.study


def test_seeds_that_rank_alike_have_correlation_one(tmp_path, monkeypatch):
    study = seeds_of(tmp_path, monkeypatch, [[0.5, 0.6, 0.7], [0.4, 0.6, 0.8], [0.3, 0.5, 0.9]])
    table = matrix.stability(study).set_index("ranked by")
    assert (table.loc["mean over targets", ["Kendall", "Kendall low", "Kendall high", "Spearman"]] == 1).all()
    assert "agree more than by chance" in prose.stability_sentence(study, table.reset_index())


def test_one_seed_that_ranks_the_other_way_lowers_it(tmp_path, monkeypatch):
    """Pairs of seeds: one agrees (1), two are reversed (-1)."""
    study = seeds_of(tmp_path, monkeypatch, [[0.5, 0.6, 0.7], [0.4, 0.6, 0.8], [0.9, 0.5, 0.3]])
    row = matrix.stability(study).iloc[0]
    assert (row["Kendall"], row["Spearman"]) == (pytest.approx(-1 / 3), pytest.approx(-1 / 3))
    assert "do not agree for certain" in prose.stability_sentence(study, matrix.stability(study))


def test_one_seed_says_that_it_is_one(held):
    fill(held, {"none": 0.5, "mnli": 0.6, "squad_v1": 0.5, "multitask": 0.4})
    table = matrix.stability(held.study)
    assert np.isnan(table["Kendall"]).all()
    assert prose.stability_sentence(held.study, table).startswith("One seed (0)")


# --- figure, words -------------------------------------------------------------------------------------------------
def test_figure_and_words_come_from_the_numbers(held):
    fill(held, {"none": 0.5, "mnli": 0.7, "squad_v1": 0.3, "multitask": 0.5})
    table = matrix.transfer(held.study)
    alt = figures.transfer_map(held.study, table).alt
    assert "mnli on XNLI +20.0" in alt or re.search(r"Largest gain: mnli on .* \+2\d\.\d", alt)
    assert "examples only" in alt
    assert "the best is mnli with" in prose.means_sentence(matrix.means(held.study))
    caption = prose.matrix_caption(held.study, table)
    assert "XQuAD f1/em" in caption
    assert "examples only" in caption


def test_costs_are_sums_by_phase(held):
    assert len(tables.costs(held.study)) == 1
    for name, steps, tokens, speed, seconds in (
        ("01.mnli.s0", 100, 2e6, 10.0, 60.0), ("02.mnli.xnli.s0", 50, 1e6, 20.0, 30.0), ("02.none.xnli.s0", 50, 1e6, 40.0, 30.0),
    ):  # fmt: skip
        training = {"steps": steps, "tokens": tokens, "tokens_per_second": speed}
        folder = held.study.out / "runs" / f"{name}-0"
        folder.mkdir(parents=True)
        record = {"phase": "x", "training": training, "wall_seconds": seconds, "provenance": {"commit": "c"}}
        store.write_json(folder / "record.json", record)
    found = tables.costs(held.study).set_index("phase")
    assert found.loc["02"].tolist() == [2, 100, 2.0, 30.0, 1.0]
    assert found.loc["all"].tolist() == [3, 200, 4.0, 20.0, 2.0]


# --- text forms ----------------------------------------------------------------------------------------------------
KNOWN = {"usepackage", "begin", "end", "centering", "scriptsize", "setlength", "tabcolsep", "caption", "label", "shortstack", "toprule",
         "midrule", "bottomrule", "tiny", "textsuperscript", "circ", "textless", "textgreater", "textbar", "textbackslash",
         "textasciitilde", "textasciicircum"}  # fmt: skip


def check_latex(text: str) -> list[str]:
    """Rows of the tabular; fails where LaTeX would."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    flat = text.replace("\\\\", "\n")  # line breaks; a backslash of the text is \textbackslash
    assert set(re.findall(r"\\([A-Za-z]+)", flat)) <= KNOWN
    assert set(re.findall(r"\\([^A-Za-z])", flat)) <= set("_&%#${}()")
    assert not re.search(r"\\\\\s*[\[*]", text)  # would be read as the break's own argument
    assert flat.count(r"\(") == flat.count(r"\)")
    names = re.findall(r"\\(begin|end)\{([a-z*]+)\}", flat)
    assert names == [("begin", "table*"), ("begin", "tabular"), ("end", "tabular"), ("end", "table*")]
    bare = re.sub(r"\\(?:[A-Za-z]+|[_&%#${}()])", "", flat)  # what is left has no commands
    assert not set(bare) & set("_%#$^~\\°")
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    columns = len(re.search(r"\\begin\{tabular\}\{@\{\}(lr*)@\{\}\}", text)[1])
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")].strip()
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
    assert all(line.endswith(r"\\") or line in (r"\toprule", r"\midrule") for line in body.splitlines())
    return rows


def test_latex_is_whole_and_escaped(held):
    fill(held, {"none": 0.5, "mnli": 0.6, "squad_v1": 0.4, "multitask": 0.5}, half=0.1)
    text = show.render_results(held.study, "latex")
    rows = check_latex(text)
    assert len(rows) == 5
    assert text.splitlines()[0] == r"% \usepackage{booktabs}"
    assert rows[3].startswith(r"squad\_v1 & ")
    assert r"\(-\)10.0" in rows[3]
    assert r"{\tiny [+" in rows[2]
    assert text.count(r"\midrule") == 3  # below the head, and between the three groups
    assert r"\caption{Row none: score in percent; others: change against none in points" in text
    assert r"95 \% intervals: examples only" in text


BREAKS = {
    "escape": (r"squad\_v1", "squad_v1"), "end": (r"\end{tabular}", ""), "brace": ("}", ""), "column": (" & ", " "),
    "command": (r"\tiny", r"\tinny"), "percent": (r"95 \%", "95 %"), "argument": (r"\\{\tiny ", r"\\"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_the_check_of_latex_can_fail(held, name):
    fill(held, {"none": 0.5, "mnli": 0.6, "squad_v1": 0.4, "multitask": 0.5})
    table = show.render_results(held.study, "latex").split("\n", 1)[1]
    check_latex(table)
    with pytest.raises(AssertionError):
        check_latex(table.replace(*BREAKS[name], 1))


@pytest.mark.parametrize("character", [*'\\_&%#${}~^°*<>|"', "\x07", "\n"])
def test_every_special_character_is_escaped(character):
    made = export.escape(f"a{character}b")
    bare = re.sub(r"\\(?:[A-Za-z]+|[_&%#${}()])", "", made)
    assert not set(bare) & set('_&%#$~^\\°<>|"\x07\n')
    assert bare.count("{") == bare.count("}")


def test_markdown_has_a_cell_for_every_column(held):
    fill(held, {"none": 0.5, "mnli": 0.6, "squad_v1": 0.4, "multitask": 0.5})
    lines = show.render_results(held.study, "md").splitlines()
    assert lines[0] == "| intermediate | XNLI | PAWS-X | XQuAD | BUCC 2018 | Tatoeba | mean |"
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:6]} == {8}
    assert lines[3].startswith(r"| mnli | +10.0\* [")
    assert lines[7].startswith("Row none: score in percent")


def test_csv_and_json_are_the_tidy_rows(held):
    fill(held, {"none": 0.5})
    frame = pd.read_csv(io.StringIO(show.render_results(held.study, "csv")))
    again = pd.read_json(io.StringIO(show.render_results(held.study, "json")))
    assert list(frame.columns) == list(again.columns) == list(results.COLUMNS)
    assert len(frame) == len(again) == len(held.study.results())
