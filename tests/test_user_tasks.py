"""A user's own tasks, checkpoints and tries by hand, from the YAML to the report."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests import tiny
from xitt import batch, cli, data, figures, graph, inventory, own, phases, prose, tables
from xitt.errors import DataError, ParameterError
from xitt.kinds import NAMES
from xitt.kinds.tag import are_bio
from xitt.metrics import METRICS
from xitt.show import render_results
from xitt.store import read_json
from xitt.study import Study, load_study
from xitt.tasks import BIO, NLI, TASKS, UPOS

GOOD, BAD = ("fine", "lovely", "warm", "clever"), ("dull", "poor", "cold", "silly")
PEOPLE, THINGS = ("The boy", "Anna", "My sister", "The old man"), ("book", "song", "film", "story")


def reviews(count: int, seed: int) -> list[dict]:
    """Rows of the example: a text, and one or five stars."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        words = (GOOD, BAD)[i % 2]
        text = f"{rng.choice(PEOPLE)} found the {rng.choice(THINGS)} {rng.choice(words)}, and {rng.choice(words)} too."
        rows.append({"text": text, "stars": ("5", "1")[i % 2]})
    return rows


def write(path: Path, rows: list[dict]) -> Path:
    """A file in the form that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path, index=False)
    else:
        text = json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows)) + "\n"
        path.write_text(text, encoding="utf-8")
    return path


NOTES = [
    {"premise": f"{a} schläft im {b}.", "hypothesis": f"{c} ist wach.", "label": label}
    for a, b, c, label in (
        ("Anna", "Garten", "Anna", "contradiction"),
        ("Der Hund", "Haus", "Ein Tier", "neutral"),
        ("Peter", "Bett", "Niemand", "entailment"),
    )
]
EXAMPLE = re.search(r"```yaml\n(# params/reviews\.yaml.*?)```", (tiny.ROOT / "CONTRIBUTING.md").read_text(), re.S)[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The files that the example of CONTRIBUTING.md names, beside a study `pocket` of seconds; returns `params/`."""
    params = tiny.make(tmp_path_factory.mktemp("own"), name="pocket").parent
    for name, count in (("train.csv", 48), ("dev.csv", 8), ("test.en.csv", 12), ("test.de.csv", 10)):
        write(params / "reviews" / name, reviews(count, len(name)))
    write(params / "notes.jsonl", NOTES)
    (params / "reviews.yaml").write_text(EXAMPLE)
    shutil.copytree(load_study(params / "pocket.yaml").train("mnli").model, params / "my_nli")
    return params


@pytest.fixture(scope="module")
def example(project) -> Study:
    return load_study(project / "reviews.yaml")


@pytest.fixture(scope="module")
def finished(example) -> Study:
    for recipe in example.intermediates:
        for target in example.targets:
            example.evaluate(recipe, target)
    return example


def one(tmp_path: Path, written: dict[str, list[dict]] | None = None, **row) -> Study:
    """A study with one own task `mine`."""
    given = {"kind": "classify", "columns": {"first": "text", "label": "stars"},
             "files": {"train": "train.csv", "test": "test.csv"}, **row}  # fmt: skip
    for name, rows in (written or {"train.csv": reviews(20, 1), "test.csv": reviews(8, 2)}).items():
        write(tmp_path / "params" / name, rows)
    return study(tmp_path, tasks={"mine": {k: v for k, v in given.items() if v is not None}})


def study(tmp_path: Path, name: str = "mine", **changes) -> Study:
    if not (tmp_path / "params" / "tiny.yaml").is_file():
        if (tmp_path / "params").is_dir():
            shutil.copytree(tmp_path / "params", tmp_path / "aside")
            shutil.rmtree(tmp_path / "params")
        tiny.make(tmp_path)
        if (tmp_path / "aside").is_dir():
            shutil.copytree(tmp_path / "aside", tmp_path / "params", dirs_exist_ok=True)
    file = tmp_path / "params" / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"extends": "tiny", **changes}))
    return load_study(file)


# --- rows ----------------------------------------------------------------------------------------------------------
def test_kinds_and_metrics_offered_are_those_that_there_are():
    for kind, (_, _, metrics) in own.KINDS.items():
        assert kind in NAMES
        assert all((kind, m) in METRICS for m in metrics)


def test_the_example_becomes_rows(example):
    row = example.tasks["reviews"]
    assert (row.kind, row.roles, row.train, row.metrics) == (
        "classify",
        ("intermediate", "target"),
        "reviews",
        ("accuracy",),
    )
    assert row.languages == ("en", "de")
    assert data.labels(example, "reviews") == ("1", "5")
    assert data.labels(example, "notes") == NLI
    assert data.languages(example, "notes") == ("de",)
    assert example.intermediates == ("none", "reviews", "my_nli")
    assert example.intermediate_tasks == ("reviews",)
    assert phases.hyper(example, "reviews").epochs == 2
    assert phases.hyper(example, "mnli").epochs == 1


@pytest.mark.parametrize("suffix", own.SUFFIXES)
def test_every_form_of_file_gives_the_same_examples(tmp_path, suffix):
    files = {f"train{suffix}": reviews(20, 1), f"test{suffix}": reviews(8, 2)}
    found = one(tmp_path, files, files={"train": f"train{suffix}", "test": f"test{suffix}"})
    split = data.load(found, "mine", "train")
    assert [(e["first"], e["label"]) for e in split.examples] == [(r["text"], r["stars"]) for r in reviews(20, 1)]
    assert data.load(found, "mine", "test", "en").total == 8


KINDS = {
    "choose": ({"prompt": "p", "choices": ["a", "b"], "label": "right"},
               [{"p": "The glass fell.", "a": "It sang.", "b": "It broke.", "right": "1"}] * 3,
               {"prompt": "The glass fell.", "choices": ["It sang.", "It broke."], "label": 1}),
    "tag": ({"tokens": "words", "tags": "pos"}, [{"words": "Dogs sleep .", "pos": "NOUN VERB PUNCT"}] * 3,
            {"tokens": ["Dogs", "sleep", "."], "tags": ["NOUN", "VERB", "PUNCT"]}),
    "span": ({"question": "q", "context": "c", "answers": "a"}, [{"q": "Who sleeps?", "c": "Here the dog sleeps.", "a": "the dog"}] * 3,
             {"answers": ["the dog"], "starts": [5]}),
    "bitext": ({"first": "de", "second": "en"}, [{"de": "Es regnet. ", "en": "It rains."}] * 3, {"first": "Es regnet."}),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_without_lists_become_fields_of_the_kind(tmp_path, kind, suffix):
    columns, rows, wanted = KINDS[kind]
    files = {p: f"{p}{suffix}" for p in (["test"] if kind == "bitext" else ["train", "test"])}
    found = one(tmp_path, dict.fromkeys(files.values(), rows), kind=kind, columns=columns, files=files)
    example = data.load(found, "mine", "test", "en").examples[0]
    assert {k: example[k] for k in wanted} == wanted
    if kind == "tag":
        assert data.labels(found, "mine") == ("NOUN", "PUNCT", "VERB")


def test_one_file_holds_several_languages(tmp_path):
    rows = [{**r, "lang": ("en", "sw")[i % 3 == 0]} for i, r in enumerate(reviews(12, 3))]
    found = one(
        tmp_path, {"train.csv": reviews(20, 1), "test.csv": rows}, languages=["en", "sw"], language_column="lang"
    )
    counts = {x: data.load(found, "mine", "test", x).total for x in ("en", "sw")}
    assert counts == {"en": 8, "sw": 4}


def test_labels_are_those_of_all_training_data_whatever_the_limit(tmp_path):
    rows = [*reviews(58, 1), {"text": "So so.", "stars": "10"}, {"text": "So so.", "stars": "3"}]
    found = one(tmp_path, {"train.csv": rows, "test.csv": reviews(8, 2)})
    assert len(data.load(found, "mine", "train")) == 48
    assert data.labels(found, "mine") == ("1", "3", "5", "10")


# --- one study at a time -------------------------------------------------------------------------------------------
def test_rows_do_not_leak_from_one_study_into_another(tmp_path):
    first = one(tmp_path / "a")
    second = one(tmp_path / "b", {"train.csv": [{"say": f"Text {i}.", "is": "xyz"[i % 3]} for i in range(9)],
                                  "test.csv": [{"say": "Text.", "is": "x"}]}, columns={"first": "say", "label": "is"})  # fmt: skip
    plain = load_study(tmp_path / "a" / "params" / "tiny.yaml")
    for _ in range(2):  # in turn, and again
        assert data.labels(first, "mine") == ("1", "5")
        assert data.labels(second, "mine") == ("x", "y", "z")
        assert len(data.load(second, "mine", "train")) == 9
        assert len(data.load(first, "mine", "train")) == 20
    assert "mine" not in TASKS
    assert plain.tasks is TASKS
    with pytest.raises(ParameterError, match="target 'mine' is unknown"):
        plain.check("none", ("mine",))
    with pytest.raises(ParameterError, match="'mine' is unknown"):
        plain.check("mine")


def spec(found: Study, task: str = "mine") -> str:
    from xitt.backbone import Encoder

    encoder = Encoder(Path(), "w", "t", "", "c")
    return phases.train_spec(found, task, "target", "none", 0, encoder).fingerprint


def test_a_row_is_its_content_and_data_not_its_name_or_place(tmp_path):
    was = spec(one(tmp_path / "a"))
    assert spec(one(tmp_path / "b")) == was, "another folder"
    moved = {"elsewhere/train.tsv": reviews(20, 1), "test.csv": reviews(8, 2)}
    files = {"train": "elsewhere/train.tsv", "test": "test.csv"}
    assert spec(one(tmp_path / "c", moved, files=files, title="Mine", licence="mine")) == was, "another file and form"
    renamed = {
        n: [{"say": r["text"], "is": r["stars"]} for r in reviews(c, i)]
        for n, c, i in (("train.csv", 20, 1), ("test.csv", 8, 2))
    }
    assert spec(one(tmp_path / "g", renamed, columns={"first": "say", "label": "is"})) == was, "other columns"
    found = one(tmp_path / "d")
    row = yaml.safe_load(found.path.read_text())["tasks"]["mine"]
    assert spec(study(tmp_path / "d", tasks={"yours": row}), "yours") == was, "another name"
    assert spec(one(tmp_path / "e", labels=["5", "1"])) != was, "other labels"
    assert spec(one(tmp_path / "f", recipe={"lr": 1e-4})) != was, "another recipe"


def test_a_changed_file_is_read_again(tmp_path):
    found = one(tmp_path)
    was, inputs = spec(found), batch._data_folder(found)
    assert spec(found) == was
    write(tmp_path / "params" / "train.csv", [{"text": "New.", "stars": "1"}, *reviews(20, 1)])
    assert spec(found) != was
    assert batch._data_folder(found) != inputs


# --- faults of the YAML --------------------------------------------------------------------------------------------
FAULTS = [
    ({"kind": "clasify"}, r"mine\.yaml: tasks\.mine\.kind: kind 'clasify' is unknown - did you mean 'classify'"),
    ({"kind": "dual"}, r"tasks\.mine\.kind: kind 'dual' is unknown"),
    ({"metrics": ["acuracy"]}, r"tasks\.mine: metrics: metric of classify 'acuracy' is unknown - did you mean 'accuracy'"),
    ({"columns": {"frist": "text", "label": "stars"}}, r"tasks\.mine: columns: field of classify 'frist' is unknown - did you mean 'first'"),
    ({"columns": {"first": "text"}}, r"tasks\.mine: columns: label missing"),
    ({"column": {}}, r"unknown key 'tasks\.mine\.column' - did you mean 'columns'"),
    ({"files": None}, r"tasks\.mine: give exactly one of `source:`"),
    ({"files": {"train": "train.xls"}}, r"tasks\.mine\.files: train: train\.xls: form '\.xls' is unknown"),
    ({"files": {"trian": "train.csv"}}, r"tasks\.mine\.files\.trian"),
    ({"files": {"train": "train.csv"}}, r"tasks\.mine: a target needs a test split; it has train"),
    ({"files": {"test": "test.csv"}}, r"tasks\.mine: it has no train split"),
    ({"languages": ["en", "de"]}, r"tasks\.mine\.files\.test: one file for en, de needs `language_column:`"),
    ({"languages": ["german"]}, r"tasks\.mine\.languages: 'german' is no language code"),
    ({"train": "mnly"}, r"tasks\.mine\.train: task to train on 'mnly' is unknown - did you mean 'mnli'"),
    ({"train": "squad_v1"}, r"tasks\.mine\.train: squad_v1 is of kind span, not classify"),
    ({"train": "mnli", "labels": ["1", "5"]}, r"tasks\.mine\.labels: it is trained on mnli, so its labels are entailment, neutral"),
    ({"labels": ["1"]}, r"labels: at least two are needed"),
    ({"recipe": {"learning_rate": 1}}, r"unknown key 'tasks\.mine\.recipe\.learning_rate'"),
    ({"recipe": {"preset": "xtreme"}}, r"tasks\.mine\.recipe: preset chooses"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "message"), FAULTS)
def test_faults_of_a_row_name_file_and_key(tmp_path, row, message):
    with pytest.raises(ParameterError, match=message):
        one(tmp_path, **row)


@pytest.mark.parametrize(
    ("name", "message"),
    [("xnli", r"mine\.yaml: tasks\.xnli: 'xnli' is one of xitt's own tasks"), ("multitask", "has a meaning of its own"),
     ("My task", "a name has small letters"), ("avg", "has a meaning of its own")],
)  # fmt: skip
def test_names_that_cannot_be(tmp_path, name, message):
    with pytest.raises(ParameterError, match=message):
        study(tmp_path, tasks={name: {"kind": "classify"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intermediates": ["none", {"name": "mnli", "folder": "x"}]}, r"intermediates\.1\.name: 'mnli' is one of xitt's own tasks"),
        ({"intermediates": [{"name": "ckpt"}]}, r"intermediates\.0: give exactly one of `hub:` and `folder:`"),
        ({"intermediates": [{"name": "ckpt", "foldr": "x"}]}, r"unknown key 'intermediates\.0\.foldr' - did you mean 'folder'"),
        ({"intermediates": [{"name": "ckpt", "folder": "x"}, "ckpt+mlm=0.5"]}, "ckpt is a checkpoint and is taken as it is"),
        ({"intermediates": [{"name": "ckpt", "folder": "x"}, "multitask{ckpt,mnli}"]}, "intermediate task 'ckpt' is unknown"),
        ({"tasks": ["mine"]}, "tasks: a mapping of names to rows is expected, not list"),
    ],
)  # fmt: skip
def test_faults_of_checkpoints_and_sections(tmp_path, changes, message):
    with pytest.raises(ParameterError, match=message):
        study(tmp_path, **changes)


# --- faults of the data --------------------------------------------------------------------------------------------
def spoil(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("test.csv", "text,stars\nFine.,5\nPoor.\n", r"test\.csv:3: 1 fields, but the header has 2: text, stars"),
        ("test.csv", 'text,stars\n"Fine,\nfine.",5\nPoor.,7\n', r"test\.csv:4: label '7' is unknown"),
        ("test.csv", "text,stars\n ,5\n", r"test\.csv:2: text \(first\) is empty"),
        ("test.csv", "text,star\nFine.,5\n", r"test\.csv: column 'stars' is unknown - did you mean 'star'.*\n.*\n.*mine\.yaml: tasks\.mine\.columns\.label names it"),
        ("test.csv", "text,text\nFine.,5\n", r"test\.csv:1: the first line names the columns"),
        ("test.csv", "text,stars\n", r"test\.csv: there are no rows"),
        ("test.csv", 'text,stars\n"Fine" it is,5\n', r"test\.csv:2: not in CSV form"),
        ("test.csv", "id,text,stars\na,Fine.,5\nb,Poor.,1\na,Poor.,1\n", r"test\.csv:4: id 'a' stands before, in .*test\.csv:2"),
        ("test.jsonl", '{"text": "Fine.", "stars": 5}\n{"text": "Poor."\n', r"test\.jsonl:2: not JSON"),
        ("test.jsonl", '{"text": "Fine.", "stars": 5}\n{"text": "Poor.", "stars": null}\n', r"test\.jsonl:2: stars \(label\) is empty"),
        ("test.jsonl", '{"text": "Fine.", "stars": 5}\n{"text": "Poor."}\n', r"column 'stars' is unknown"),
        ("test.json", '[{"text": "Fine.", "stars": 5}, 3]', r"test\.json row 2: an object is expected, not int"),
        ("test.json", '{"text": "Fine."}', r"test\.json: a list of objects is expected"),
        ("test.parquet", "no parquet", r"test\.parquet: not a parquet file"),
    ],
)  # fmt: skip
def test_bad_rows_name_file_and_line(tmp_path, name, text, message):
    found = one(tmp_path, files={"train": "train.csv", "test": name})
    spoil(tmp_path / "params" / name, text)
    with pytest.raises(DataError, match=message):
        data.load(found, "mine", "test", "en")


def test_a_file_that_is_not_there(tmp_path):
    found = one(tmp_path, files={"train": "train.csv", "test": "tset.csv"})
    message = r"mine\.yaml: tasks\.mine\.files\.test: .*tset\.csv is not there - did you mean 'test\.csv'"
    with pytest.raises(DataError, match=message):
        data.load(found, "mine", "test", "en")
    with pytest.raises(DataError, match=message):
        data.check_there(found, "mine", "test", "en")


def test_a_missing_file_is_noticed_before_anything_runs(tmp_path):
    one(tmp_path)
    found = study(tmp_path, tasks={"mine": {
        "kind": "classify", "roles": ["intermediate"], "columns": {"first": "text", "label": "stars"},
        "files": {"train": "gone.csv"}}}, intermediates=["mine"], targets=["xnli"])  # fmt: skip
    with pytest.raises(DataError, match=r"gone\.csv is not there"):
        cli._quick_checks(found)


# --- end to end ----------------------------------------------------------------------------------------------------
def test_the_example_of_the_handbook_runs(finished):
    tidy = finished.results()
    there = set(zip(tidy["intermediate"], tidy["target"], strict=True))
    assert there >= {(i, t) for i in ("none", "reviews", "my_nli") for t in ("xnli", "reviews", "notes")}
    one = tidy[(tidy["intermediate"] == "none") & (tidy["target"] == "reviews")].set_index("language")
    assert dict(one["n"]) == {"en": 12, "de": 10, "avg": 22}
    assert one.loc["avg", "value"] == pytest.approx((one.loc["en", "value"] + one.loc["de", "value"]) / 2)
    assert set(tidy.loc[tidy["intermediate"].str.startswith("baseline:"), "target"]) == {"xnli", "reviews", "notes"}


def test_scores_are_those_of_the_stored_predictions(finished):
    from xitt.scoring import found

    place = found(finished, "reviews", "reviews", 0)
    frame = pd.read_parquet(place / "en.parquet")
    gold = [r["stars"] for r in reviews(12, len("test.en.csv"))]
    assert list(frame["gold"]) == gold
    own_score = 100 * np.mean([p == g for p, g in zip(frame["prediction"], gold, strict=True)])
    tidy = finished.evaluate("reviews", "reviews").set_index("language")
    assert tidy.loc["en", "value"] == pytest.approx(own_score)


def test_a_target_trained_on_a_task_of_ours_shares_its_fine_tuning(finished):
    runs = [p.name for p in (finished.out / "runs").glob("02.none.*")]
    assert len([n for n in runs if n.startswith("02.none.mnli")]) == 1
    assert (next((finished.out / "runs").glob("02.none.mnli*")) / "predictions" / "notes" / "de.parquet").is_file()


def test_a_checkpoint_takes_the_place_of_phase_1(finished, project):
    assert finished.train("my_nli") is None
    pocket = load_study(project / "pocket.yaml")
    run = pocket.train("mnli")
    encoder, before = phases.encoder_of(finished, "my_nli", 0)
    assert before is None
    assert encoder.identity == run.record["encoder"]
    record = read_json(next((finished.out / "runs").glob("02.my_nli.reviews*")) / "record.json")
    assert record["parent"] == {
        "checkpoint": "my_nli",
        "origin": "folder my_nli",
        "tokenizer of": "the checkpoint",
        **encoder.identity,
    }
    same = pocket.evaluate("mnli", "xnli")["value"].tolist()
    assert finished.evaluate("my_nli", "xnli")["value"].tolist() == same, "the same encoder, the same numbers"
    assert finished.evaluate("none", "xnli")["value"].tolist() != same or encoder.weights != finished.backbone().weights


def test_a_checkpoint_comes_with_its_own_tokenizer(tmp_path, project):
    changed = shutil.copytree(project / "my_nli", tmp_path / "params" / "changed")
    config = json.loads((changed / "tokenizer_config.json").read_text())
    (changed / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 64}))
    found = study(tmp_path, intermediates=["none", {"name": "changed", "folder": "changed"}], targets=["xnli"])
    encoder, _ = phases.encoder_of(found, "changed", 0)
    whole = own.open_checkpoint(own.Checkpoint(name="x", folder=str(project / "my_nli")), found.path, found.root)
    assert (encoder.weights, encoder.tokenizer) == (whole.weights, encoder.tokenizer)
    assert encoder.tokenizer != whole.tokenizer
    from xitt.scoring import _inputs

    specs = [phases.train_spec(found, "mnli", "target", "changed", 0, e).fingerprint for e in (encoder, whole)]
    assert specs[0] != specs[1]
    assert _inputs(found, "xnli")


def test_checkpoints_that_are_not_there(tmp_path, project):
    shutil.copytree(project / "my_nli", tmp_path / "params" / "my_nli")
    found = study(tmp_path, intermediates=[{"name": "ckpt", "folder": "my_nly"}], targets=["xnli"])
    with pytest.raises(
        DataError, match=r"mine\.yaml: intermediates: ckpt: folder .*my_nly is not there - did you mean 'my_nli'"
    ):
        found.evaluate("ckpt", "xnli")
    with pytest.raises(DataError, match="ckpt: folder"):
        cli._quick_checks(found)
    (tmp_path / "params" / "my_nli" / "model.safetensors").unlink()
    found = study(tmp_path, intermediates=[{"name": "ckpt", "folder": "my_nli"}], targets=["xnli"])
    with pytest.raises(DataError, match=r"intermediates: ckpt: .* has no \*\.safetensors"):
        found.evaluate("ckpt", "xnli")


def test_a_checkpoint_of_the_hub_is_fetched_at_its_commit(tmp_path, project, monkeypatch):
    asked = []
    monkeypatch.setattr("xitt.hub.snapshot", lambda *a: (asked.append(a), project / "my_nli")[1])
    commit = "0123456789" * 4
    found = study(
        tmp_path, intermediates=[{"name": "ckpt", "hub": "owner/model", "revision": commit}], targets=["xnli"]
    )
    encoder, _ = phases.encoder_of(found, "ckpt", 0)
    assert asked[0][:2] == ("owner/model", commit)
    assert encoder.origin.startswith("owner/model@")
    from xitt import lock

    assert dict(lock._models(found, {})) == {"owner/model": commit}
    lock.lock_file(found.path).write_text(json.dumps({
        "datasets": {}, "models": {"owner/model": {"revision": "main", "commit": "ab" * 20, "date": "2026-01-01"}}}))  # fmt: skip
    with pytest.raises(ParameterError, match="owner/model was pinned for revision main"):
        load_study(found.path)


def test_jobs_tables_and_figures_know_them(finished):
    names = [j.name for j in graph.jobs(finished)]
    assert names == ["00", "02.none.s0", "01.reviews.s0", "02.reviews.s0", "02.my_nli.s0", "04", "05", "07"]
    assert {j.name: j.needs for j in graph.jobs(finished)}["02.my_nli.s0"] == ("00",)
    table = tables.transfer(finished)
    assert set(table["intermediate"]) == {"none", "reviews", "my_nli"}
    assert "reviews accuracy" in prose.matrix_caption(finished, table)
    assert prose.sentence(finished, table).startswith("Of 6 cells")
    assert "notes" in prose.zero_shot_sentence(finished, tables.zero_shot(finished))
    wide = tables.matrix(table, finished)
    assert list(wide["intermediate"]) == ["none", "reviews", "my_nli"]
    assert figures.languages_panel(finished, "reviews").alt.startswith("reviews, accuracy per language")
    assert (
        "my_nli" in figures.transfer_map(finished, table).alt or "reviews" in figures.transfer_map(finished, table).alt
    )
    assert "my_nli" in render_results(finished, "md")
    scores = finished.results().set_index(["intermediate", "target", "language"])["value"]
    assert scores["my_nli", "notes", "avg"].min() >= 0
    used = tables.data_used(finished).set_index(["task", "split"])["used"]
    assert (used["reviews", "train"], used["reviews", "dev"], used["reviews", "test"], used["notes", "test"]) == (
        48,
        8,
        22,
        3,
    )
    assert "reviews" in set(tables.task_list(finished)["task"])
    tables.examples(finished)
    tables.pieces(finished, finished.backbone())
    assert "reviews" in tables.run_facts(finished.train("reviews")).set_index("what").loc["task", "value"]


def test_the_report_shows_them(finished):
    from xitt import report

    page = report.write(finished).read_text()
    assert "could not be made" not in page
    assert "<code>my_nli</code>" in page
    assert "<code>reviews</code>" in page


def test_the_inventory_lists_them(finished, tmp_path):
    table = inventory.table(finished).set_index(["task", "role"])
    row = table.loc[("reviews", "target")]
    assert (row["source"], row["now"], row["here / published"]) == (
        "files",
        "yes",
        "train 48 / ?, dev 8 / ?, test 22 / ?",
    )
    assert row["languages"] == "2: de en"
    assert table.loc[("my_nli", "intermediate"), "now"] == "yes"
    assert table.loc[("mnli", "training data"), "source"] == "pocket"
    lost = one(tmp_path, files={"train": "train.csv", "test": "gone.csv"})
    lost = study(tmp_path, tasks=yaml.safe_load(lost.path.read_text())["tasks"], targets=["mine"],
                 intermediates=["none", {"name": "ckpt", "folder": "gone"}])  # fmt: skip
    table = inventory.table(lost).set_index("task")
    assert table.loc["mine", "now"].startswith("absent")
    assert table.loc["ckpt", "now"].startswith("absent")


def test_own_tasks_mix_with_ours(project, example):
    recipe = example.check("multitask{reviews,mnli}")
    run = example.train(recipe)
    assert run.record["tasks"] == ["mnli", "reviews"]
    assert example.train("reviews").record["data"]["train"] == [48, 48]


def test_a_hub_task_of_a_pocket_study_is_read_from_the_hub(tmp_path, monkeypatch):
    import datasets

    rows = datasets.Dataset.from_list([{"a": "Fine.", "l": 1}, {"a": "Poor.", "l": 0}])
    rows = rows.cast_column("l", datasets.ClassLabel(names=["bad", "good"]))
    asked = []
    monkeypatch.setattr("xitt.hub.read", lambda *a: (asked.append(a), rows)[1])
    monkeypatch.setattr("xitt.hub.commit", lambda *a, **k: "ab" * 20)
    source = {
        "repository": "owner/data",
        "config": "{code}",
        "splits": {"train": "train", "test": "test"},
        "revision": "ab" * 20,
    }
    found = one(tmp_path, files=None, source=source, columns={"first": "a", "label": "l"}, languages=["en", "fr"])
    split = data.load(found, "mine", "test", "fr")
    assert [(e["first"], e["label"]) for e in split.examples] == [("Fine.", "good"), ("Poor.", "bad")]
    assert (split.commit, asked[0][:4]) == ("ab" * 20, ("owner/data", "fr", "test", "ab" * 20))
    assert data.labels(found, "mine") == ("bad", "good")
    from xitt import lock

    found = study(tmp_path, tasks=yaml.safe_load(found.path.read_text())["tasks"], targets=["mine", "xnli"])
    assert dict(lock.needed_datasets(found)) == {"owner/data": "ab" * 20}


def test_the_batch_runner_reloads_them_in_its_children(project):
    """One kernel: `02` of the checkpoint, its study found again by its path."""
    found = load_study(project / "reviews.yaml")
    outcomes = batch.run(found, 1, only="02.my_nli.s0", say=lambda line: None)
    assert [(o.job.name, o.error) for o in outcomes] == [("00", None), ("02.my_nli.s0", None)]
    job = next(j for j in graph.jobs(found) if j.name == "02.my_nli.s0")
    text = batch.notebook_of(found, job).read_text()
    assert "notes" in text
    assert batch.is_done(found, job)


# --- by hand -------------------------------------------------------------------------------------------------------
def test_a_try_by_hand_gives_what_was_stored(finished):
    from xitt.scoring import found

    rows = reviews(12, len("test.en.csv"))
    frame = finished.predict("reviews", "reviews", [r["text"] for r in rows])
    stored = pd.read_parquet(found(finished, "reviews", "reviews", 0) / "en.parquet")
    assert frame["prediction"].tolist() == stored["prediction"].tolist()
    np.testing.assert_allclose(np.stack(frame["scores"]), np.stack(stored["scores"]), atol=1e-5)
    run = finished.train("reviews")
    pd.testing.assert_frame_equal(run.predict("reviews", [{"first": rows[0]["text"]}]), frame[:1], atol=1e-5)


def test_tries_by_hand_of_every_kind(project):
    found = load_study(project / "pocket.yaml")
    pairs = found.predict("none", "xnli", [("A dog sleeps.", "An animal sleeps."), ("It rains.", "It is dry.")])
    assert list(pairs) == ["first", "second", "prediction", "scores"]
    assert set(pairs["prediction"]) <= set(NLI)
    assert np.stack(pairs["scores"]).sum(axis=1) == pytest.approx(1, abs=1e-5)
    tags = found.predict("none", "udpos", ["The dog sleeps .", ["It", "rains"]])
    assert [len(t) for t in tags["prediction"]] == [4, 2]
    spans = found.predict("none", "xquad", [("Who sleeps?", "The dog sleeps in the garden.")])
    assert spans["prediction"][0] in "The dog sleeps in the garden."
    near = found.predict("none", "tatoeba", (["It rains.", "The dog sleeps."], ["The dog sleeps.", "It rains."]))
    assert near["prediction"].tolist() == ["It rains.", "The dog sleeps."]
    assert [s[0] for s in near["scores"]] == pytest.approx([1, 1], abs=1e-5)
    chosen = found.predict("none", "xcopa", [("The glass fell.", ["It broke.", "It sang."])])
    assert chosen["prediction"][0] in ("It broke.", "It sang.")
    answered = found.predict("none", "lareqa", (["Who sleeps?"], ["The dog sleeps.", "It rains."]))
    assert answered["prediction"][0] in ("The dog sleeps.", "It rains.")


def test_entities_of_a_try_by_hand_begin_as_bio_wants(project, monkeypatch):
    """What the model says is mended here alone: here it says I-PER I-PER O I-LOC I-ORG."""
    found, said = load_study(project / "pocket.yaml"), ["I-PER", "I-PER", "O", "I-LOC", "I-ORG"]
    labels = list(data.labels(found, "panx"))
    outputs = [np.array([labels.index(t) for t in said])]
    monkeypatch.setattr("xitt.evaluate.run_model", lambda *_: outputs)
    run = type("Run", (), {"model": found.backbone().path, "record": {}})
    monkeypatch.setattr("xitt.backbone.load_model", lambda *_: torch.nn.Identity())
    monkeypatch.setattr("xitt.by_hand._run", lambda *_: run)
    tags = found.predict("none", "panx", ["Anna Berg visits Rome UNO"])["prediction"][0]
    assert tags == ["B-PER", "I-PER", "O", "B-LOC", "B-ORG"]


def test_labels_that_are_bio():
    assert are_bio(BIO)
    assert are_bio(("I-A", "B-A", "B-B", "O"))
    assert not are_bio(UPOS)
    assert not are_bio(("O", "I-A", "I-B", "B-B")), "B-A is no label"
    assert not are_bio(("O", "B-A"))


@pytest.mark.parametrize(
    ("target", "texts", "message"),
    [
        ("xnli", "It rains.", r"xnli \(classify\): a list of texts is expected.*\n  for example: \[\(\"A dog"),
        ("xnli", [], "an empty one"),
        ("xnli", ["It rains."], r"text 0: \(first, second\) is expected, not 'It rains.'"),
        ("xnli", [("a", "b", "c")], "text 0"),
        ("xnli", [{"first": "a", "secnd": "b"}], "text 0: field 'second' is unknown - did you mean 'secnd'"),
        ("xnli", [("a", 3)], "text 0: second: a text is expected, not 3"),
        ("udpos", ["  "], "tokens: a list of texts is expected"),
        ("xcopa", [("a", ["b", "c"]), ("a", ["b"])], r"the same number of choices is expected everywhere, not \[1, 2\]"),
        ("xcopa", [("a", "b")], "choices: a list of texts is expected"),
        ("tatoeba", ["a", "b"], "a pair of lists is expected"),
        ("tatoeba", (["a"], []), "a pair of lists is expected"),
        ("xnly", [("a", "b")], "target 'xnly' is unknown - did you mean 'xnli'"),
    ],
)  # fmt: skip
def test_texts_in_the_wrong_form(project, target, texts, message):
    with pytest.raises(ParameterError, match=message):
        load_study(project / "pocket.yaml").predict("none", target, texts)
