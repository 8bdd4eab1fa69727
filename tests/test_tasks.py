"""Rows of every task: names, kinds, languages, recipes, sizes; and the list that ``xitt tasks`` prints."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from tests import tiny
from xitt import code_mixed, data, inventory, phases
from xitt.kinds import NAMES, kind
from xitt.languages import ISO3, UD_NAMES
from xitt.metrics import ANSWER_RULES, METRICS
from xitt.sizes import PUBLISHED, published
from xitt.study import load_study, read_yaml
from xitt.tasks import TASKS, Source
from xitt.train import Hyper

INTERMEDIATES = "anli_plus mnli qqp squad_v2 squad_v1 hellaswag ccg cosmosqa commonsenseqa".split()  # noqa: SIM905
TARGETS = "xnli pawsx udpos panx xquad mlqa tydiqa bucc2018 tatoeba xcopa lareqa mewslix".split()  # noqa: SIM905
#: figures with their sources, collected beside the project; not part of it
TABLES = Path(os.environ.get("XITT_REFERENCE", tiny.ROOT.parent / "shared" / "reference")) / "paper_tables.json"


#: an encoder of a second or two
BACKBONE = {"build": {
    "text": "pocket", "languages": ["en", "de"], "lines": 60, "tokens": 2000, "batch_tokens": 512,
    "architecture": {"width": 32, "layers": 2, "heads": 2, "feed_forward": 48, "vocabulary": 700, "max_length": 128},
}}  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> dict:
    if not TABLES.is_file():
        pytest.skip("needs paper_tables.json: set XITT_REFERENCE to its folder")
    return json.loads(TABLES.read_text())


@pytest.fixture
def make_study(tmp_path):
    """The tiny study with other keys."""
    file = tiny.make(tmp_path)

    def make(**wanted):
        file.write_text(tiny.TINY)
        file.write_text(yaml.safe_dump({**read_yaml(file), **wanted}))
        return load_study(file)

    return make


# --- rows ----------------------------------------------------------------------------------------------------------
def test_every_task_of_the_paper_has_its_role():
    found = [t.name for t in TASKS.values() if "intermediate" in t.roles]
    assert found[:9] == INTERMEDIATES
    assert all(
        n.startswith("code_") or TASKS[n].kind == "caption" for n in found[9:]
    )  # those of the studies beyond the paper
    others = {t.name for t in TASKS.values() if t.source.layout in code_mixed.KINDS}  # text that mixes languages
    assert {t.name for t in TASKS.values() if "target" in t.roles} - others == {*TARGETS, "ntrex", "caption_retrieval"}


@pytest.mark.parametrize("row", TASKS.values(), ids=lambda r: r.name)
def test_a_row_holds_together(row):
    assert row.kind in NAMES
    assert kind(row.kind).name == row.kind
    assert all((row.kind, m) in METRICS for m in row.metrics)
    assert row.answer_rules in ANSWER_RULES
    assert row.licence
    for other in (row.train, row.first, *row.parts):
        assert other is None or other in TASKS
    assert row.train is None or {"train"} <= set(TASKS[row.train].source.splits)
    assert ("test" in row.source.splits) >= ("target" in row.roles)
    if row.train:
        assert TASKS[row.train].kind == row.kind, "the fine-tuned head is the one that is scored"
    if row.parts:
        assert {(TASKS[p].kind, TASKS[p].labels) for p in row.parts} == {(row.kind, row.labels)}, (
            "one head for all parts"
        )
    for recipe in (row.recipe, row.xtreme):
        assert set(recipe) <= set(Hyper.__dataclass_fields__)
    assert not set(row.languages) & set(row.more)


def test_revisions_are_commits_or_known_names():
    for row in TASKS.values():
        assert row.source.pinned or row.source.revision in ("main", "refs/convert/parquet"), row.name
    assert not Source("a/b", revision="0123456789" * 3).pinned


def test_languages_are_those_of_the_benchmarks(tables):
    found = tables["task_languages"]
    for task, languages in found["xtreme"].items():
        assert set(TASKS[task].languages) == set(languages), task
    for task, languages in found["xtreme_r_additions"].items():
        row = TASKS[task]
        assert set(row.languages if task in ("xcopa", "mewslix") else row.more) == set(languages), task


def test_sizes_are_the_recorded_ones(tables):
    """Whatever the reference records, config by config and split by split."""
    recorded, checked = tables["xtreme_split_sizes_hf"]["value"], 0
    for task in ("udpos", "panx", "xquad", "mlqa", "pawsx", "tatoeba"):
        source = TASKS[task].source
        for language in TASKS[task].languages:
            config = source.config.format(code=language, ud=UD_NAMES.get(language), iso3=ISO3.get(language))
            for split, name in source.splits.items():
                if split == "train" and language != "en":
                    continue
                assert published(task, split, language) == recorded[config].get(name), (task, split, language)
                checked += 1
    assert checked > 200
    for task, split in (("xnli", "dev"), ("xnli", "test"), ("tydiqa", "test")):
        config = TASKS[task].source
        total = sum(published(task, split, x) for x in TASKS[task].languages)
        assert total == recorded[config.config][config.splits[split]]
    of_table = {"ANLI+": "anli_plus", "MNLI": "mnli", "QQP": "qqp", "SQuAD v2.0": "squad_v2", "SQuAD v1.1": "squad_v1",
                "HellaSwag": "hellaswag", "CCG": "ccg", "CosmosQA": "cosmosqa", "CommonsenseQA": "commonsenseqa"}  # fmt: skip
    for title, name in of_table.items():
        parts = TASKS[name].parts or (name,)
        assert sum(PUBLISHED[p]["train"] for p in parts) == tables["table1_intermediate"][title]["train"]


# --- recipes -------------------------------------------------------------------------------------------------------
#: lr, epochs, batch, length: the paper's code, the benchmark's scripts (paper_facts 2.2 and 3.4)
RECIPES = {
    "mnli": ((1e-5, 2, 32, 256), (3e-5, 5, 32, 128)), "pawsx": ((1e-5, 5, 32, 256), (2e-5, 5, 32, 128)),
    "udpos": ((1e-5, 10, 32, 256), (2e-5, 10, 32, 128)), "panx": ((1e-5, 10, 32, 256), (2e-5, 10, 32, 128)),
    "squad_v1": ((1e-5, 2, 16, 384), (3e-5, 3, 32, 384)), "tydiqa": ((1e-5, 2, 16, 384), (3e-5, 3, 32, 384)),
    "siqa": ((3e-5, 5, 32, 128), (3e-5, 5, 32, 128)), "copa": ((3e-5, 5, 32, 128), (3e-5, 5, 32, 128)),
    "hellaswag": ((1e-5, 3, 32, 256), (1e-5, 3, 32, 256)),
}  # fmt: skip


@pytest.mark.parametrize("task", RECIPES)
def test_a_preset_chooses_the_recipe(make_study, task):
    for preset, wanted in zip(("xstilts", "xtreme"), RECIPES[task], strict=True):
        h = phases.hyper(make_study(recipe={"preset": preset}), task)
        assert (h.lr, h.epochs, h.batch, h.length) == wanted


def test_what_a_study_says_goes_before_the_preset(make_study):
    study = make_study(recipe={"preset": "xtreme"}, recipes={"udpos": {"preset": "xstilts"}, "panx": {"lr": 4e-5}})
    assert [phases.hyper(study, t).length for t in ("udpos", "panx")] == [256, 128]
    assert phases.hyper(study, "panx").lr == 4e-5
    assert phases.hyper(make_study(recipe={}), "udpos") == phases.hyper(
        make_study(recipe={"preset": "xstilts"}), "udpos"
    )


def test_warm_up_as_a_share_or_in_steps(make_study):
    """XTREME warms up QA for 500 steps, whatever the length of training."""
    qa, tagging = (phases.hyper(make_study(recipe={"preset": "xtreme"}), t) for t in ("squad_v1", "udpos"))
    assert [h.warmup_steps(8000) for h in (qa, tagging)] == [500, 0]
    assert phases.hyper(make_study(recipe={}), "squad_v1").warmup_steps(8000) == 800


def test_one_fine_tuning_serves_both_squad_targets():
    assert TASKS["xquad"].train == TASKS["mlqa"].train == "squad_v1"
    assert (TASKS["xcopa"].train, TASKS["copa"].first) == ("copa", "siqa")


def test_xcopa_is_trained_on_siqa_then_copa(make_study):
    """The model goes on, head included; with ``keep: none`` the run in between gives up its weights once it has served."""
    study = make_study(keep="none", backbone=BACKBONE)
    run = phases.train_task(study, "copa", "target", "none", 0, phases.backbone(study), None)
    before = next(run.path.parent.glob("02.none.siqa.s0-*"))
    first = json.loads((before / "record.json").read_text())
    assert run.record["first"] == {"run": before.name, "weights": first["weights"]}
    assert not (before / "model").exists()
    spec = phases.train_spec(study, "copa", "target", "none", 0, phases.backbone(study))
    of_siqa = phases.train_spec(study, "siqa", "target", "none", 0, phases.backbone(study))
    assert spec.inputs["first"] == of_siqa.fingerprint == first["fingerprint"]
    assert "first" not in of_siqa.inputs
    other = make_study(keep="none", backbone=BACKBONE, recipes={"siqa": {"lr": 2e-3}})
    assert phases.train_spec(other, "copa", "target", "none", 0, phases.backbone(study)).fingerprint != spec.fingerprint
    again = phases.train_task(study, "copa", "target", "none", 0, phases.backbone(study), None, weights=True)
    assert again.record["weights"] == run.record["weights"], "weights that were let go are made again"


# --- the list ------------------------------------------------------------------------------------------------------
def test_the_paper_study_lists_every_task(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    study = load_study(tiny.ROOT / "params" / "paper.yaml")
    frame = inventory.table(study)
    assert list(study.main[0]) == ["none", *INTERMEDIATES, "multitask"]
    of = frame.groupby("role")["task"].apply(list)
    assert of["intermediate"][:10] == [*INTERMEDIATES, "multitask"]
    assert len(of["intermediate"]) == len(set(of["intermediate"])), "a task once, however many rows it trains"
    assert [t for t in of["target"] if TASKS[t].source.layout not in code_mixed.KINDS] == [
        *TARGETS,
        "caption_retrieval",
    ]
    assert set(of["training data"]) == {"snli", "anli_r1", "anli_r2", "anli_r3", "siqa", "copa"}
    assert frame["revision"].str.fullmatch(r"unpinned|as its parts|[0-9a-f]{12}( [0-9a-f]{12})*").all()
    assert (frame["licence"] != "").all()
    needed = frame.set_index("task")["now"]
    for task, words in {
        "ccg": "licence",
        "bucc2018": "gold pairs",
        "lareqa": "sentence breaks",
        "mewslix": "local/mewslix",
    }.items():
        assert needed[task].startswith("absent: ")
        assert words in needed[task]


def test_the_pocket_has_what_its_study_names():
    frame = inventory.table(load_study(tiny.ROOT / "params" / "pocket.yaml"))
    mixed = frame["kind"] == "mixture"
    assert set(frame.loc[~mixed, "source"]) == {"pocket"}
    assert set(frame.loc[mixed, "source"]) == {
        "9 tasks",
        "3 tasks",
        "2 tasks",
        "mnli",
    }  # the last has raw text beside it
    assert set(frame.loc[frame["kind"] != "mixture", "now"]) == {"yes"}


def test_without_a_study_every_row_is_listed():
    text = inventory.lines()
    names = [line.split()[0] for line in text[1:]]
    assert set(TASKS) | {"multitask"} == set(names)
    assert "now" not in text[0].split()


def test_a_status_counts_what_is_in_the_folder(tmp_path, make_study):
    """Sizes here beside the published ones; a set that is not there says so."""
    for part in ("hub", "local"):
        (tmp_path / "d" / part).mkdir(parents=True)
    folder = tmp_path / "d" / "local" / "ccgbank"
    folder.mkdir()
    (folder / "train.txt").write_text("A\tNP/N\ndog\tN\nbarks\tS\\NP\n\nNo\tN\n")
    study = make_study(data={"source": "folder", "folder": str(tmp_path / "d")})
    there = data.status(study, "ccg")
    assert there.here == {"train": 2, "dev": 0, "test": 0}
    assert there.state == "slice 2 of 38,015"
    assert data.status(study, "qqp").state == "absent: nyu-mll/glue qqp train"
    assert data.status(study, "anli_plus").state.startswith("absent: stanfordnlp/snli")
