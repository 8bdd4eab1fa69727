"""Every repository of the real folder loads through its row. What is expected is read from the raw files, never copied here."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests import tiny
from xitt import data, readers
from xitt.errors import DataError
from xitt.languages import TYDIQA_NAMES
from xitt.study import Study, load_study, read_yaml
from xitt.tasks import TASKS

#: tasks with a repository of their own or a folder in the layout of one, and those whose data cannot be public
IN_HUB_LAYOUT = [n for n, t in TASKS.items() if t.source.layout in ("hub", "local") and not t.recast]
#: label sets as their publishers name them, in this order
NAMES = {
    "xnli": {"entailment", "neutral", "contradiction"}, "mnli": {"entailment", "neutral", "contradiction"},
    "snli": {"entailment", "neutral", "contradiction"}, "anli_r1": {"entailment", "neutral", "contradiction"},
    "anli_r2": {"entailment", "neutral", "contradiction"}, "anli_r3": {"entailment", "neutral", "contradiction"},
    "pawsx": {"different", "paraphrase"}, "hellaswag": {0, 1, 2, 3}, "cosmosqa": {0, 1, 2, 3},
    "commonsenseqa": {0, 1, 2, 3, 4}, "xcopa": {0, 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A study on a data folder; its prepared copies go into a folder of the test."""
    import datasets

    file = tiny.make(tmp_path_factory.mktemp("project"))
    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = str(tmp_path_factory.mktemp("cache"))

    def study(folder: Path, **more) -> Study:
        file.write_text(tiny.TINY)
        wanted = {"source": "folder", "folder": str(folder), **more}
        file.write_text(yaml.safe_dump({**read_yaml(file), "data": wanted}))
        return load_study(file)

    yield study
    datasets.config.HF_DATASETS_CACHE = before


@pytest.fixture(scope="module")
def real(make, real_data) -> Study:
    return make(real_data)


def raw_rows(study: Study, task: str, split: str, language: str) -> list[dict]:
    """Rows as the parquet files have them, of one language, without those that have no label."""
    row = TASKS[task]
    rows = [r for f in readers.files(study.params.data, row, split, language) for r in pq.read_table(f).to_pylist()]
    if row.source.language_column:
        rows = [r for r in rows if r[row.source.language_column] == language]
    if row.source.language_ids:
        rows = [r for r in rows if r["id"].split("-")[0] == TYDIQA_NAMES[language]]
    return [r for r in rows if not (row.source.unlabelled and r["label"] == -1)]


def there(study: Study, task: str) -> list[tuple[str, str]]:
    """Splits and languages of a task that are in the folder; of many languages the first, one between and the last."""
    row, found = TASKS[task], []
    for split in row.source.splits:
        wanted = ("en",) if split == "train" or not row.languages else row.languages
        here = [x for x in wanted if readers.files(study.params.data, row, split, x)]
        here = [x for x in here if raw_rows(study, task, split, x)]
        found += [(split, x) for x in dict.fromkeys([*here[:1], *here[len(here) // 2 :][:1], *here[-1:]])]
    return found


def same(task: str, example: dict, raw: dict) -> None:
    """One decoded example against the row that it was made from."""
    row, column = TASKS[task], {k: v for k, v in TASKS[task].columns.items() if isinstance(v, str)}
    if row.kind == "classify":
        assert all(example[side] == raw[column[side]] for side in ("first", "second") if side in column)
        label = raw[column["label"]]
        assert example["label"] == (row.labels[int(label)] if str(label).isdigit() else str(label))
    elif row.kind == "mlm":
        assert example["text"] == raw[column["text"]]
    elif row.kind == "tag":
        assert example["tokens"] == raw["tokens"]
        assert len(example["tags"]) == len(raw[column["tags"]])
        assert [row.labels.index(t) if isinstance(r, int) and task == "panx" else t for t, r in
                zip(example["tags"], raw[column["tags"]], strict=True)] == raw[column["tags"]] or task == "udpos"  # fmt: skip
    elif row.kind == "span":
        assert (example["context"], example["question"]) == (raw["context"], raw["question"])
        assert example["answers"] == raw["answers"]["text"]
        assert all(
            example["context"][s:].startswith(a) for a, s in zip(example["answers"], example["starts"], strict=True)
        )
    elif row.kind == "bitext":
        assert (example["first"] + "\n", example["second"] + "\n") == (raw["source_sentence"], raw["target_sentence"])
    else:
        choose(task, example, raw)


def choose(task: str, example: dict, raw: dict) -> None:
    if task == "hellaswag":
        assert example["prompt"] == raw["ctx_a"]
        assert all(c.endswith(e.strip()) for c, e in zip(example["choices"], raw["endings"], strict=True))
        assert str(example["label"]) == raw["label"]
    elif task == "commonsenseqa":
        assert example["choices"] == raw["choices"]["text"]
        assert raw["choices"]["label"][example["label"]] == raw["answerKey"]
    elif task == "cosmosqa":
        assert example["prompt"] == f"{raw['context']} {raw['question']}"
        assert example["choices"][example["label"]] == raw[f"answer{raw['label']}"].strip()
    else:
        assert task in ("xcopa", "copa")
        assert example["prompt"].startswith(raw["premise"])
        assert raw["question"] in example["prompt"].removeprefix(raw["premise"])
        assert example["choices"] == [raw["choice1"].strip(), raw["choice2"].strip()]
        assert example["label"] == raw["label"]


@pytest.mark.parametrize("task", IN_HUB_LAYOUT)
def test_rows_labels_and_ten_examples(real, task):
    places = there(real, task)
    for split, language in places:
        raw, found = raw_rows(real, task, split, language), data.load(real, task, split, language)
        assert len(found) == found.total == len(raw)
        if found.published is not None:
            assert found.total <= found.published or (task, language) in LARGER
            assert found.status == ("full" if found.total == found.published else
                                    f"slice {found.total:,} of {found.published:,}")  # fmt: skip
        for i in range(0, len(raw), max(1, len(raw) // 10)):
            same(task, found.examples[i], raw[i])
        if task in NAMES and len(raw) >= 100:
            assert {e["label"] for e in found.examples} == NAMES[task]
    state = data.status(real, task).state
    if not places:
        assert state.startswith("absent: ")
        with pytest.raises(DataError, match=TASKS[task].source.repository.split("/")[0]):
            data.load(real, task, next(iter(TASKS[task].source.splits)), (TASKS[task].languages or ("en",))[0])
    else:
        assert state == "yes" or state.startswith(("slice ", "absent: "))


#: the folder's own cut of a treebank may be larger than the hub's
LARGER: set[tuple[str, str]] = set()


def test_every_repository_of_the_folder_has_a_row(real, real_data):
    """Those of the extension studies apart."""
    known = {t.source.repository for t in TASKS.values()} | {"google-research-datasets/xquad_r"}
    here = {f"{p.parent.name}/{p.name}" for p in (real_data / "hub").glob("*/*") if p.is_dir()}
    extension = {r for r in here if "code_x_glue" in r or "multi30k" in r}
    assert here - extension <= known
    absent = {n for n in TASKS if data.status(real, n).state.startswith("absent: ")}
    assert absent >= {"ccg", "bucc2018", "mewslix", "qqp", "siqa", "copa"}
    assert not absent & {"mnli", "squad_v1", "squad_v2", "anli_plus", "xnli", "xquad", "xcopa", "lareqa", "ntrex"}


def test_anli_plus_is_the_sum_of_its_parts(real):
    found = data.load(real, "anli_plus", "train")
    assert len(found) == sum(len(raw_rows(real, p, "train", "en")) for p in TASKS["anli_plus"].parts)
    assert found.published == 1_104_934
    assert len({e["id"] for e in found.examples}) == len(found)


def test_squad_v2_has_questions_without_an_answer(real):
    raw, found = raw_rows(real, "squad_v2", "train", "en"), data.load(real, "squad_v2", "train").examples
    empty = sum(not r["answers"]["text"] for r in raw)
    assert 0 < empty < len(raw)
    assert sum(not e["answers"] for e in found) == empty


@pytest.mark.parametrize("language", ["de", "zh"])
def test_lareqas_answers_are_in_their_sentences(real, language):
    """A right candidate of the question's own language holds the start of the answer, read from the raw paragraphs."""
    pool = {e["id"]: e for e in data.pool(load_languages(real, language), "lareqa").examples}
    folder = readers.folder(real.params.data, "local") / "lareqa_sentences" / language
    raw = [p for f in sorted(folder.glob("*.parquet")) for p in pq.read_table(f).to_pylist()]
    found = {e["id"]: e for e in data.load(load_languages(real, language), "lareqa", "test", language).examples}
    assert len(found) == 1190
    assert len(pool) == sum(len(p["sentence_breaks"]) for p in raw)
    for p in raw:
        for name, start in zip(p["qas"]["id"], p["qas"]["answer_start"], strict=True):
            (gold,) = found[name]["gold"]
            at = p["context"].index(pool[gold]["second"])
            assert pool[gold]["context"] == p["context"]
            assert at <= start < at + len(pool[gold]["second"]) or p["context"].count(pool[gold]["second"]) > 1


def load_languages(study: Study, *languages: str) -> Study:
    """The same study, scored in these languages."""
    changed = study.params.data.model_copy(update={"languages": languages})
    return Study(study.path, study.params.model_copy(update={"data": changed}), study.designs, study.root)


# --- sets of a few rows whose schema is the hub's ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("task", "split", "language"), [("pawsx", "train", "en"), ("mlqa", "test", "en"), ("qqp", "train", "en")]
)
def test_toy_sets_have_the_hubs_schema(make, real_data, tmp_path, task, split, language):
    if not (real_data / "hub_toy").is_dir():
        pytest.skip("needs hub_toy/ in the data folder")
    (tmp_path / "local").mkdir()
    os.symlink(real_data / "hub_toy", tmp_path / "hub")
    study = make(tmp_path)
    raw, found = raw_rows(study, task, split, language), data.load(study, task, split, language)
    assert len(found) == len(raw) > 0
    for example, line in zip(found.examples, raw, strict=True):
        if task == "qqp":
            assert (example["first"], example["second"]) == (line["question1"], line["question2"])
            assert example["label"] == TASKS["qqp"].labels[line["label"]]
        else:
            same(task, example, line)


def test_toy_tydiqa_is_cut_by_language(make, real_data, tmp_path):
    if not (real_data / "hub_toy").is_dir():
        pytest.skip("needs hub_toy/ in the data folder")
    (tmp_path / "local").mkdir()
    os.symlink(real_data / "hub_toy", tmp_path / "hub")
    study = make(tmp_path, missing="skip")
    here = data.languages(study, "tydiqa", "test")
    assert here
    for language in here:
        found = data.load(study, "tydiqa", "test", language)
        assert all(e["id"].startswith(TYDIQA_NAMES[language]) for e in found.examples)
        assert len(found) == len(raw_rows(study, "tydiqa", "test", language))
