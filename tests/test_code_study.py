"""Code as intermediate task: which rows are compared, of what length they are, what is said of them."""

from __future__ import annotations

import os
import shutil

import pytest
import yaml

from tests import stored, tiny
from tests.test_claims import Grids, tidy
from xitt import claims, code_study, data, designs, encoded, graph, phases, plan, recipes
from xitt.backbone import load_tokenizer
from xitt.errors import DataError, ParameterError
from xitt.kinds import kind
from xitt.study import Study, load_study, read_yaml

CLONE, SEARCH = "code_clone+match=mnli", "code_search+match=mnli"
LABELS, TEXT = "code_clone+control=labels+match=mnli", "code_clone+control=text+match=mnli"
CLOZE, MLM, MIXED = (
    "code_cloze+match=mnli",
    "code_mlm+match=mnli",
    "multitask{code_clone,hellaswag,mnli}+match=multitask{hellaswag,mnli}",
)
ROWS = (CLONE, CLOZE, MLM, LABELS, TEXT, MIXED)
CODE = """
name: code
question: does code help?
intermediates: [none, mnli, 'multitask{{hellaswag,mnli}}', {rows}]
targets: [tatoeba]
forms:
  reduced:
    intermediates: [none, mnli, {clone}]
    targets: [tatoeba]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """A study of seconds with rows of every sort."""
    folder = tmp_path_factory.mktemp("code")
    file = tiny.make(folder)
    rows = ", ".join(f"'{r}'" for r in ROWS)
    (folder / "params" / "designs" / "code.yaml").write_text(CODE.format(rows=rows, clone=f"'{CLONE}'"))
    file.write_text(yaml.safe_dump({**yaml.safe_load(tiny.TINY), "designs": ["small", "code"], "targets": ["tatoeba"]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XITT_OUTPUTS", str(folder / "outputs"))
        made = load_study(file)
    for recipe in made.intermediates:
        made.evaluate(recipe, "tatoeba")
    return made


# --- rows ----------------------------------------------------------------------------------------------------------
def test_what_each_row_is_for(study):
    assert code_study.of_role(study, "code") == [CLONE, CLOZE, MLM]
    assert code_study.of_role(study, "control") == [LABELS, TEXT]
    assert code_study.of_role(study, "mixture") == [MIXED]
    assert code_study.of_role(study, "language") == ["mnli", "multitask{hellaswag,mnli}"]
    assert code_study.matched(study) == [(CLONE, "mnli"), (CLOZE, "mnli"), (MLM, "mnli")]
    assert code_study.controlled(study) == [(CLONE, LABELS), (CLONE, TEXT)]
    shown = code_study.coverage(study).set_index("row")
    assert shown.loc["mnli", "also a row of"] == "small"
    assert shown.loc[CLONE, "also a row of"] == "–"


def test_which_form_is_run(study):
    assert "runs the design whole" in code_study.form_sentence(study)
    file = study.path.with_name("cut.yaml")
    file.write_text(yaml.safe_dump({**read_yaml(study.path), "name": "cut", "designs": ["small", "code.reduced"]}))
    cut = load_study(file)
    assert "`code.reduced`: 3 of 9 recipes on 1 of 1 targets" in code_study.form_sentence(cut)
    file.write_text(yaml.safe_dump({**read_yaml(study.path), "name": "cut", "designs": ["small"]}))
    assert "does not have the design" in code_study.form_sentence(load_study(file))


def longest(study: Study, recipe: str) -> int:
    """Tokens of the longest example of a recipe's tasks."""
    tokenizer, most = load_tokenizer(study.backbone().path), 0
    for task in study.tasks_of(recipe):
        split, h = phases.training_set(study, task, "intermediate", recipe), phases.hyper(study, task)
        f = encoded.features(study, kind(study.tasks[task].kind), split, tokenizer, h.length, data.labels(study, task))
        most = max(most, int(f.unit_tokens.max()))
    return most


def test_logged_lengths_are_those_of_the_other_row(study):
    """Steps are equal, and tokens to within one example."""
    table = code_study.lengths(study)
    assert set(table["row"]) == set(ROWS)
    assert (table["steps"] == table["its steps"]).all()
    for row in table.itertuples():
        assert abs(row.tokens - row._7) <= longest(study, row.row)
        logs = [study.train(r).log.dropna(subset=["tokens"]).iloc[-1] for r in (row.row, row._5)]
        assert [int(x["tokens"]) for x in logs] == [row.tokens, row._7]
        assert [int(x["step"]) for x in logs] == [row.steps, row._6]
    said = code_study.length_sentence(table)
    assert said.startswith("All matched rows have the steps")
    assert code_study.length_sentence(table[:0]) == "No matched row is trained yet."


def test_what_was_learned(study):
    table = code_study.learned(study).set_index("row")
    assert set(table.index) == {CLONE, CLOZE, "mnli"}  # MLM and controls have no dev score
    for row in (CLONE, CLOZE):
        best = study.train(row).record["training"]["best"]["score"]
        assert table.loc[row, "dev score"] == best
        assert 10 < table.loc[row, "chance"] <= 100


def test_mlm_goes_on_from_the_pretrained_head(study):
    from xitt.backbone import load_model

    run = study.train(MLM)
    assert run.record["training"]["best"] is None
    mine, before = (load_model(p, "AutoModelForMaskedLM") for p in (run.model, study.backbone().path))
    gap = float((mine.lm_head.dense.weight - before.lm_head.dense.weight).detach().abs().mean())
    assert 0 < gap < float(before.lm_head.dense.weight.detach().abs().mean()) / 2


def test_examples_show_what_is_read(study):
    table = code_study.examples(study)
    assert set(table["task"]) == {"Clone detection", "Code cloze", "MLM over code"}
    assert table["reads"].str.len().max() < 3 * (code_study.EXCERPT + 5)
    assert table[table["task"] == "Clone detection"]["reads"].str.contains(" ‖ ").all()


def test_where_examples_are_read_from(study):
    table = code_study.sources(study).set_index("task")
    assert list(table.index) == ["Clone detection", "Code cloze", "MLM over code"]
    assert set(table["source"]) == {"pocket"}
    assert set(table["training examples"]) == {48}


# --- what is compared ----------------------------------------------------------------------------------------------
NAMES = ", ".join(f'"{r}"' for r in (CLONE, SEARCH, LABELS, TEXT))


@pytest.fixture
def held(tmp_path, monkeypatch):
    made = stored.make(tmp_path, monkeypatch, f"none, mnli, {NAMES}", "pawsx, tatoeba")
    monkeypatch.setattr("xitt.data.languages", lambda study, target: stored.LANGUAGES)
    for recipe, right in {"none": 0.5, "mnli": 0.55, CLONE: 0.6, SEARCH: 0.7, LABELS: 0.5, TEXT: 0.45}.items():
        for target in ("pawsx", "tatoeba"):
            made.put(recipe, target, right)
    return made


def test_margins_are_against_the_matched_row(held):
    table = code_study.margins(held.study).set_index(["variant", "target"])
    assert set(table["against"]) == {"mnli"}
    for row, margin in ((CLONE, 5.0), (SEARCH, 15.0)):
        for target in ("pawsx", "tatoeba", "mean"):
            assert table.loc[(row, target), "change"] == pytest.approx(margin)
            assert table.loc[(row, target), "low"] < margin < table.loc[(row, target), "high"]
    none = code_study.against_none(held.study).set_index(["variant", "target"])
    assert none.loc[(TEXT, "pawsx"), "change"] == pytest.approx(-5)
    controls = code_study.against_controls(held.study)
    assert {(v, a) for v, a in controls[["variant", "against"]].to_numpy()} == {(CLONE, LABELS), (CLONE, TEXT)}


def test_means_over_rows_and_targets(held):
    pairs = code_study.matched(held.study)
    assert code_study.overall(held.study, pairs).value == pytest.approx(10)
    assert code_study.overall(held.study, [(CLONE, "none"), (SEARCH, "none")]).value == pytest.approx(15)
    assert code_study.overall(held.study, code_study.controlled(held.study)).value == pytest.approx(12.5)
    assert code_study.overall(held.study, []) is None


def test_margins_by_language(held, tmp_path):
    for target in ("pawsx", "tatoeba"):
        for recipe, by in ((CLONE, {"en": 0.7, "de": 0.5, "zh": 0.6}), (SEARCH, {"en": 0.7, "de": 0.6, "zh": 0.5})):
            shutil.rmtree(held.place(recipe, target, 0).parents[1])
            held.put(recipe, target, by)
    held.study.__dict__  # noqa: B018 - the study itself is as it was
    table = code_study.by_language(held.study).set_index(["target", "language"])
    assert len(table) == 6
    for target in ("pawsx", "tatoeba"):
        assert table.loc[(target, "en"), "margin"] == pytest.approx(15)
        assert table.loc[(target, "de"), "margin"] == pytest.approx(0)
    wide = code_study.languages_shown(held.study, table.reset_index())
    assert wide["en"].tolist() == ["+15.0*", "+15.0*"]
    said = code_study.languages_sentence(held.study, table.reset_index())
    assert "6 pairs of target and language: code is ahead" in said
    assert "+15.0 points in en" in said
    assert "margin" in code_study.languages_figure(held.study, table.reset_index()).alt.lower()


def test_the_answer_is_written_from_the_numbers(held):
    said = code_study.answer(held.study)
    for part in ("+15.0 points", "+10.0 points", "-2.5 points", "+12.5 points", "code gains against none and is ahead of language",
                 f"{SEARCH} against mnli +15.0", "what helps is in the code", "1 seed", "over examples", "generated"):  # fmt: skip
        assert part in said, part


def test_the_answer_says_where_every_row_is_at_chance(held, monkeypatch):
    assert "At chance" not in code_study.answer(held.study)
    flat = {("tatoeba", r) for r in ("none", "mnli", CLONE, SEARCH)} | {("pawsx", CLONE)}
    monkeypatch.setattr(code_study, "reaches", lambda study, target, recipe: (target, recipe) in flat)
    said = code_study.answer(held.study)
    assert "At chance under every one of these rows: Tatoeba; what the means" in said


def test_a_control_of_language_is_not_one_of_code(tmp_path, monkeypatch):
    other = "mnli+control=labels"
    made = stored.make(tmp_path, monkeypatch, f'none, mnli, "{CLONE}", "{LABELS}", "{other}"', "pawsx, tatoeba")
    monkeypatch.setattr("xitt.data.languages", lambda study, target: stored.LANGUAGES)
    for recipe, right in {"none": 0.5, "mnli": 0.55, CLONE: 0.45, LABELS: 0.4, other: 0.3}.items():
        for target in ("pawsx", "tatoeba"):
            made.put(recipe, target, right)
    said = code_study.answer(made.study)
    assert "which have nothing to learn in them, change it by -10.0 points" in said
    assert "the same code with its meaning is +5.0 points" in said
    assert "its meaning counts, but not to a gain over none" in said
    assert "the controls of mnli change it by -20.0 points" in said
    assert "mnli without them is +25.0 points" in said


def test_without_scores_there_is_no_answer(tmp_path, monkeypatch):
    made = stored.make(tmp_path, monkeypatch, f"none, mnli, {NAMES}", "pawsx, tatoeba")
    monkeypatch.setattr("xitt.data.languages", lambda study, target: stored.LANGUAGES)
    assert "there is no answer" in code_study.answer(made.study)
    empty = code_study.by_language(made.study)
    assert len(empty) == 0
    assert "yet" in code_study.languages_sentence(made.study, empty)
    assert len(code_study.languages_shown(made.study, empty)) == 1
    assert code_study.languages_figure(made.study, empty).alt


# --- the ledger ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def pocket(request) -> Study:
    return load_study(request.config.rootpath / "params" / "pocket.yaml")


TARGETS = ("xnli", "udpos", "panx", "tatoeba")


@pytest.mark.parametrize(("gain", "answer"), [(4.0, "yes"), (-4.0, "no")])
def test_the_question_is_answered_by_the_rows_on_code(pocket, gain, answer):
    other = "mnli+control=labels"  # a control, but none of code
    rows = ("none", "mnli", CLONE, SEARCH, LABELS, other)
    study = Grids(pocket, code=(rows, TARGETS))
    change = {CLONE: gain, SEARCH: gain, LABELS: -9.0, "mnli": 1.0, other: -30.0}
    frame = tidy(pocket, lambda r, t: change.get(r, 0.0), (CLONE, SEARCH, LABELS, other), targets=TARGETS)
    found = claims.verdict(study, "Q01", frame)
    assert (found.verdict, found.effect) == (answer, pytest.approx(gain, abs=0.2))
    assert f"against language of the same length: {gain - 1:+.1f}" in found.why
    assert "controls against none: -9" in found.why


def test_one_seed_decides_nothing(pocket, monkeypatch):
    study = Grids(pocket, code=(("none", "mnli", CLONE), ("xnli",)))
    frame = tidy(pocket, lambda r, t: 4.0, (CLONE,), seeds=(0,), targets=("xnli",))
    found = claims.verdict(study, "Q01", frame)
    assert found.verdict in ("unclear", "not tested")


# --- the design ------------------------------------------------------------------------------------------------------
def design(request, name: str) -> dict:
    return read_yaml(request.config.rootpath / "params" / "designs" / f"{name}.yaml")


def test_no_row_on_code_is_without_a_match_and_no_control_without_its_row(request):
    from xitt.ablations import without
    from xitt.tasks import TASKS

    whole = design(request, "code")
    for form in (whole, *whole["forms"].values()):
        rows = [recipes.canonical(r) for r in form["intermediates"]]
        assert len(set(rows)) == len(rows)
        assert "none" in rows
        for parsed in map(recipes.parse, rows):
            if "code" in str(parsed):
                assert parsed.match in rows
            if parsed.control:
                assert without(str(parsed), "control", TASKS) in rows
        controls = {recipes.parse(r).control for r in rows} - {""}
        assert controls == {"labels", "text"}
        assert set(form["targets"]) <= set(whole["targets"])


def test_the_reduced_design_adds_four_encoders_and_trains_none_twice(pocket, request, tmp_path):
    parts = {"transfer": design(request, "transfer"), "code": design(request, "code")}
    reduced = parts["code"]["forms"]["reduced"]
    new = set(reduced["intermediates"]) - set(parts["transfer"]["intermediates"])
    assert len(new) == 4
    assert set(reduced["targets"]) <= set(parts["transfer"]["targets"])
    from xitt.study import _design

    folder = request.config.rootpath / "params" / "designs"
    both = tuple(_design(folder, n, pocket.path, pocket.tasks) for n in ("transfer", "code.reduced"))
    params = pocket.params.model_copy(update={"designs": ("transfer", "code.reduced")})
    one, two = (Study(pocket.path, params, d, pocket.root, pocket.tasks) for d in (both[:1], both))
    runs = [[j.name for j in graph.jobs(s) if j.name.startswith("01.")] for s in (one, two)]
    assert sorted(set(runs[1]) - set(runs[0])) == sorted(f"01.{r}.s0" for r in new)
    assert len(set(runs[1])) == len(runs[1]) == len(runs[0]) + 4


def test_mini_has_it_on_real_sets(request, monkeypatch):
    """Six encoders of its own, matched to a row that is trained anyway; the main table is as it is without them."""
    monkeypatch.delenv("XITT_DATA", raising=False)
    mini = load_study(request.config.rootpath / "params" / "mini.yaml")
    rows, columns = mini.grids["code"]
    new = [r for r in rows if r not in mini.main[0]]
    assert len(new) == 6
    assert {recipes.parse(r).match for r in new} == {"hellaswag"}
    assert {recipes.parse(r).control for r in new} == {"", "labels", "text"}
    assert set(columns) <= set(mini.main[1])
    assert not any("code" in r for r in mini.main[0])
    jobs = [j.name for j in graph.jobs(mini)]
    assert len(set(jobs)) == len(jobs)
    assert {n for n in jobs if n.startswith("01.") and "code" in n} == {f"01.{r}.s0" for r in new}
    assert "10" in jobs
    for name in ("code", "code_mixed", "similarity"):  # no encoder but the main table's and these
        assert set(mini.grids[name][0]) <= {*mini.main[0], *new}
    said = code_study.form_sentence(mini)
    assert "form `code.slices`: 2 of 17 recipes and 6 of its own on 3 of 11 targets, with 1 seed" in said


@pytest.fixture(scope="module")
def paper(request) -> Study:
    return load_study(request.config.rootpath / "params" / "paper.yaml")


def test_the_paper_can_be_costed(paper):
    """A design that the study does not name is planned beside its own."""
    made = plan.plan(paper, "code")
    whole = designs.among(paper, "code")
    assert whole.tasks_of("multitask") == recipes.tasks_of("multitask", recipes.NINE)  # rows of other designs are there
    assert set(made.part.intermediates) == set(whole.grids["code"][0])
    own = made.works["intermediate", "code_search+match=mnli", 0]
    other = made.works["intermediate", "mnli", 0]
    assert own.tokens == other.tokens > 1e6
    assert own.flops > other.flops  # functions are longer than sentences
    assert made.works["intermediate", "code_clone+control=labels+match=mnli", 0].tokens == other.tokens


def test_a_plan_says_what_is_shared(paper):
    new = [r for r in designs.among(paper, "code").grids["code"][0] if "code" in r or "control" in r]
    said = "\n".join(plan.lines(paper, "code", "H100"))
    trained = 3 * (len(new) + 4)  # and mnli, squad_v1, hellaswag, multitask
    assert f"with the design transfer: 12 of {trained} runs of intermediate training" in said
    with pytest.raises(ParameterError, match="did you mean 'code'"):
        plan.plan(paper, "cod")


# --- real rows -------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not os.environ.get("XITT_DATA"), reason="XITT_DATA is not set: no real data")
def test_a_real_set_encodes_and_trains(study, tmp_path, monkeypatch):
    """CodeXGLUE's clones and cloze, for as long as SQuAD."""
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path))
    content = read_yaml(study.path)
    content["data"] = {
        "source": "folder",
        "folder": "${XITT_DATA}",
        "limits": {"train": 40, "dev": 12, "test": 12},
        "missing": "skip",
    }
    content["backbone"] = {"folder": str(study.backbone().path)}
    content["intermediates"] = [
        "none",
        "squad_v1",
        "code_clone+match=squad_v1",
        "code_cloze+match=squad_v1",
        "code_defect+match=squad_v1",
    ]
    file = study.path.with_name("real.yaml")
    file.write_text(yaml.safe_dump({**content, "name": "real", "designs": ["small"]}))
    found = load_study(file)
    for recipe in found.intermediates[2:]:
        record = found.train(recipe).record
        assert record["training"]["steps"] == record["match"]["steps"]
        assert abs(record["training"]["tokens"] - record["match"]["tokens"]) <= longest(found, recipe)


@pytest.mark.skipif(not os.environ.get("XITT_DATA"), reason="XITT_DATA is not set: no real data")
def test_the_form_for_slices_on_real_sets(study, request, tmp_path, monkeypatch):
    """All rows that ``mini`` has, cut down to seconds, each as long as HellaSwag by the logged counts; and what is said of them."""
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
    file = tiny.make(tmp_path)
    shutil.copy(request.config.rootpath / "params" / "designs" / "code.yaml", tmp_path / "params" / "designs")
    content = {**yaml.safe_load(tiny.TINY), "designs": ["code.slices"], "targets": ["tatoeba"]}
    content["backbone"] = {"folder": str(study.backbone().path)}
    content["data"] = {"source": "folder", "folder": "${XITT_DATA}", "limits": {"train": 40, "dev": 12, "test": 12},
                       "missing": "skip", "languages": ["en", "de", "fr"]}  # fmt: skip
    file.write_text(yaml.safe_dump(content))
    found = load_study(file)
    for recipe in found.intermediates:
        found.evaluate(recipe, "tatoeba")
    table = code_study.lengths(found)
    assert set(table["row"]) == {r for r in found.intermediates if "+match" in r}
    assert len(table) == 6
    assert set(table["matched to"]) == {"hellaswag"}
    assert (table["steps"] == table["its steps"]).all()
    for row in table.itertuples():
        assert abs(row.tokens - row._7) <= longest(found, row.row)
    sources = code_study.sources(found).set_index("task")
    assert sources.loc["Code search by web query", "source"] == "local/cosqa"
    assert sources.loc["Code translation", "source"] == "google/code_x_glue_cc_code_to_code_trans"
    assert (sources["training examples"] <= 40).all()
    assert (sources["of"] > 40).all()
    learned = code_study.learned(found)
    assert set(learned["row"]) == {"hellaswag", *code_study.of_role(found, "code")} - {"code_mlm+match=hellaswag"}
    said = code_study.answer(found)
    assert said.startswith("Over 4 rows on code and 1 targets (Tatoeba)")
    assert "The controls, which have nothing to learn in them" in said
    assert "its data and encoder are those above" in said


def test_queries_come_from_a_data_folder_alone(tmp_path):
    """CoSQA is no stand-in for CodeXGLUE's code search, and nothing stands in for CoSQA."""
    for part in ("hub", "local"):
        (tmp_path / "data" / part).mkdir(parents=True)
    content = {**yaml.safe_load(tiny.TINY), "data": {"source": "folder", "folder": str(tmp_path / "data")}}
    found = load_study(tiny.make(tmp_path, yaml.safe_dump(content)))
    with pytest.raises(DataError, match=r"code_query: .*local/cosqa is not there"):
        data.load(found, "code_query", "train")
    with pytest.raises(DataError, match=r"code_query: cosqa default train is not in .*local"):
        data.check_there(found, "code_query", "train", "en")
    with pytest.raises(DataError, match=r"code_search: .*google/code_x_glue_tc_nl_code_search_adv is not there"):
        data.load(found, "code_search", "train")
    assert data.status(found, "code_query").state.startswith("absent: code_query: ")
