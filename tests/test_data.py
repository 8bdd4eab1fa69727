"""Examples from every source: the same fields, checked, and faults said in words that name the file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests import tiny
from xitt import data, readers
from xitt.errors import DataError
from xitt.kinds import kind
from xitt.pocket import hub as pocket
from xitt.study import Study, load_study, read_yaml
from xitt.tasks import BIO, NLI, TASKS, UPOS

FIELDS = {
    "classify": {"id": str, "first": str, "second": str, "label": str},
    "choose": {"id": str, "prompt": str, "choices": list, "label": int},
    "tag": {"id": str, "tokens": list, "tags": list},
    "span": {"id": str, "context": str, "question": str, "answers": list, "starts": list},
    "bitext": {"id": str, "first": str, "second": str},
    "mlm": {"id": str, "text": str},
    "caption": {"id": str, "text": str, "image": str, "label": str},
}
QUERY, PAIR = {"id": str, "first": str, "gold": list}, {"id": str, "first": str, "second": str, "context": str}
MINING = {"id": str, "first": list, "second": list, "gold": list}


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Nothing is left in the home folder, and nothing is taken from an earlier test."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets_cache"))
    data._load.cache_clear()
    readers._column.cache_clear()


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("project")).parent.parent


@pytest.fixture
def make_study(project):
    """Studies that differ in ``data:`` only."""

    def make(**wanted) -> Study:
        file = project / "params" / "tiny.yaml"
        file.write_text(tiny.TINY)
        file.write_text(yaml.safe_dump({**read_yaml(file), "data": wanted}))
        return load_study(file)

    return make


def check(task: str, split: data.Split) -> None:
    """Fields of the kind with their types, ids that are unique, labels that are known."""
    row = TASKS[task]
    assert split.examples
    assert len({e["id"] for e in split.examples}) == len(split)
    for e in split.examples:
        if row.kind == "dual":
            fields = QUERY if split.split == "test" else PAIR
        else:
            fields = MINING if row.source.layout == "bucc" else FIELDS[row.kind]
            fields = {**fields, "text": list} if task == "ccg" else fields
            if row.kind == "classify" and "second" not in row.columns and not row.parts and row.columns:
                fields = {k: v for k, v in fields.items() if k != "second"}  # one text
            if row.kind == "caption" and not row.labels:
                fields = {k: v for k, v in fields.items() if k != "label"}  # masked
        assert {k: type(v) for k, v in e.items()} == fields
        if row.kind == "classify":
            assert e["label"] in row.labels
            assert e["first"].strip()
        elif row.kind == "choose":
            assert 0 <= e["label"] < len(e["choices"])
            assert len(set(map(type, e["choices"]))) == 1
        elif row.kind == "tag":
            assert len(e["tokens"]) == len(e["tags"]) > 0
            assert set(e["tags"]) <= set(row.labels or e["tags"])
        elif row.kind == "span":
            assert len(e["answers"]) == len(e["starts"])
            assert e["answers"] or row.answer_rules == "squad_v2"
            assert all(e["context"][s : s + len(a)] == a for a, s in zip(e["answers"], e["starts"], strict=True))


# --- the pocket ----------------------------------------------------------------------------------------------------
POCKET = [(t, s, x) for t, row in TASKS.items() if t != "ntrex" and row.source.layout not in ("crossed", "local", "romanised", "mixed") for s in row.source.splits
          for x in (pocket.languages(t) if s == "test" else ("en",) if t != "bucc2018" else ("de",))]  # fmt: skip


@pytest.mark.parametrize("task", sorted({t for t, _, _ in POCKET}))
def test_every_pocket_set_loads(make_study, task):
    study = make_study(source="pocket", limits={"train": 20, "dev": 200, "test": 10})
    for _, split, language in (p for p in POCKET if p[0] == task):
        found = data.load(study, task, split, language)
        check(task, found)
        assert (found.task, found.split, found.language) == (task, split, language)
        if task != "bucc2018":
            assert len(found) == {"train": 20, "dev": 200, "test": 10}[split]
            size = pocket._SIZES.get((task, split), pocket.SIZES[split])
            assert found.total == size * max(1, len(TASKS[task].parts))


def test_a_limit_takes_the_first(make_study):
    few, more = (data.load(make_study(source="pocket", limits={"test": n}), "xquad", "test", "hi") for n in (5, 9))
    assert more.examples[:5] == few.examples
    own = make_study(source="pocket", limits={"test": 5, "dev": 4}, task_limits={"xnli": {"test": 7}})
    assert [len(data.load(own, "xnli", s, "ru")) for s in ("test", "dev")] == [7, 4]
    assert len(data.load(own, "udpos", "test", "ru")) == 5


def test_test_sets_are_parallel(make_study):
    study = make_study(source="pocket", limits={"test": 10})
    english, russian = (data.load(study, "xnli", "test", x).examples for x in ("en", "ru"))
    assert [(e["id"], e["label"]) for e in english] == [(e["id"], e["label"]) for e in russian]
    assert all(a["first"] != b["first"] for a, b in zip(english, russian, strict=True))


def test_fingerprints_follow_the_examples(make_study):
    study = make_study(source="pocket", limits={"test": 6, "train": 6})
    found = {data.load(study, "xnli", "test", x).fingerprint for x in ("en", "de")}
    found.add(data.load(study, "mnli", "train").fingerprint)
    found.add(data.load(make_study(source="pocket", limits={"test": 5}), "xnli", "test").fingerprint)
    assert len(found) == 4
    data._load.cache_clear()
    again = make_study(source="pocket", limits={"test": 6, "train": 9, "dev": 3}, languages=["en", "de"])
    assert data.load(again, "xnli", "test").fingerprint in found


def test_languages_to_score(make_study):
    every = make_study(source="pocket")
    assert data.languages(every, "xnli") == pocket.languages("xnli")
    assert "en" not in data.languages(every, "tatoeba")
    some = make_study(source="pocket", languages=["zh", "en", "fr"])
    assert set(data.languages(some, "udpos")) == {"en", "zh"}
    assert data.languages(some, "tatoeba") == ("zh",)
    with pytest.raises(DataError, match=r"tatoeba: none of its languages is here"):
        data.languages(make_study(source="pocket", languages=["en"]), "tatoeba")


def test_what_the_pocket_does_not_have(make_study):
    study = make_study(source="pocket")
    with pytest.raises(DataError, match=r"mnli has no test split; it has train, dev"):
        data.load(study, "mnli", "test")
    for task, language in (("xnli", "fr"), ("ntrex", "de"), ("tatoeba", "en")):
        with pytest.raises(DataError, match=f"{task}.*{language}"):
            data.load(study, task, "test", language)


# --- a small folder in hub layout ----------------------------------------------------------------------------------
ROWS = {
    ("nyu-mll/multi_nli", "default", "train"): [
        {"pairID": f"p{i}", "premise": f"premise {i}", "hypothesis": f"hypothesis {i}", "label": i % 3} for i in range(7)
    ],
    ("nyu-mll/multi_nli", "default", "validation_matched"): [{"premise": "a", "hypothesis": "b", "label": 2}],
    ("google/xtreme", "XNLI", "test"): [
        {"language": x, "sentence1": f"{x} {i}", "sentence2": "so", "gold_label": NLI[i % 3]} for i in range(4) for x in ("de", "en", "ur")
    ],
    ("google/xtreme", "XQuAD.de", "validation"): [
        {"id": "q1", "title": "", "context": "  Anna wohnt in Rom. In Rom!", "question": "Wo?",
         "answers": {"text": ["Rom", "Rom"], "answer_start": [15, 21]}},
    ],
    ("google/xtreme", "udpos.German", "test"): [{"tokens": ["Anna", "isst"], "pos_tags": ["PROPN", "VERB"]}],
    ("google/xtreme", "PAN-X.de", "test"): [{"tokens": ["Anna", "isst"], "ner_tags": ["B-PER", "O"], "langs": ["de", "de"]}],
    ("google/xtreme", "tatoeba.deu", "validation"): [
        {"source_sentence": f"Satz {i}\n", "target_sentence": f"Sentence {i}\n", "source_lang": "deu", "target_lang": "eng"} for i in range(3)
    ],
    ("google/xtreme", "tatoeba.fra", "validation"): [
        {"source_sentence": "Phrase\n", "target_sentence": "Sentence\n", "source_lang": "fra", "target_lang": "eng"}
    ],
    ("Rowan/hellaswag", "default", "train"): [
        {"ind": 4, "ctx_a": "She sits.", "ctx_b": "then she", "endings": ["eats.", "reads.", "", "runs."], "label": "3"}
    ],
    ("tau/commonsense_qa", "default", "train"): [
        {"id": "c", "question": "Where?", "question_concept": "x", "choices": {"label": list("ABC"), "text": ["in", "on", "up"]},
         "answerKey": "B"}
    ],
}  # fmt: skip


def parquet(root: Path, repository: str, config: str, split: str) -> Path:
    return root / "hub" / repository / ("data" if config == "default" else config) / f"{split}-00000-of-00001.parquet"


def write(root: Path, content: dict) -> Path:
    """Repositories as the hub has them: parquet files, and their configurations in the card."""
    configs: dict[str, dict[str, list]] = {}
    for (repository, config, split), rows in content.items():
        file = parquet(root, repository, config, split)
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), file)
        entry = {"split": split, "path": f"{file.parent.name}/{split}-*"}
        configs.setdefault(repository, {}).setdefault(config, []).append(entry)
    for repository, by_config in configs.items():
        card = [{"config_name": c, "data_files": files} for c, files in by_config.items()]
        (root / "hub" / repository / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': card})}---\n")
    (root / "local").mkdir(exist_ok=True)
    return root


@pytest.fixture
def hub(tmp_path) -> Path:
    return write(tmp_path / "data", ROWS)


@pytest.fixture
def study(hub, make_study) -> Study:
    return make_study(source="folder", folder=str(hub))


def test_columns_become_fields(study):
    assert data.load(study, "mnli", "train").examples[4] == {
        "id": "p4", "first": "premise 4", "second": "hypothesis 4", "label": "neutral"
    }  # fmt: skip
    assert data.load(study, "mnli", "dev").examples == [
        {"id": "0", "first": "a", "second": "b", "label": "contradiction"}
    ]
    assert data.load(study, "udpos", "test", "de").examples == [
        {"id": "0", "tokens": ["Anna", "isst"], "tags": ["PROPN", "VERB"]}
    ]
    assert data.load(study, "panx", "test", "de").examples[0]["tags"] == ["B-PER", "O"]
    assert data.load(study, "tatoeba", "test", "de").examples[1] == {
        "id": "1",
        "first": "Satz 1",
        "second": "Sentence 1",
    }
    assert data.load(study, "commonsenseqa", "train").examples == [
        {"id": "c", "prompt": "Where?", "choices": ["in", "on", "up"], "label": 1}
    ]


def test_a_choice_begins_with_the_end_of_its_context(study):
    """HellaSwag: the prompt is ``ctx_a``, a choice ``ctx_b`` and an ending."""
    (example,) = data.load(study, "hellaswag", "train").examples
    assert example["prompt"] == "She sits."
    assert example["choices"] == ["then she eats.", "then she reads.", "then she", "then she runs."]
    assert example["label"] == 3


def test_offsets_that_do_not_fit_are_looked_for_again(study):
    """The nearest occurrence to where it was said to be."""
    (example,) = data.load(study, "xquad", "test", "de").examples
    assert example["answers"] == ["Rom", "Rom"]
    assert example["starts"] == [16, 24]
    assert example["context"].startswith("  Anna")


def test_rows_of_one_language(study):
    found = data.load(study, "xnli", "test", "en")
    assert [e["first"] for e in found.examples] == ["en 0", "en 1", "en 2", "en 3"]
    assert [e["label"] for e in found.examples] == [NLI[i % 3] for i in range(4)]
    assert found.total == 4


def test_a_limit_is_per_language(hub, make_study):
    study = make_study(source="folder", folder=str(hub), limits={"train": 5, "test": 2})
    found = data.load(study, "xnli", "test", "ur")
    assert [e["first"] for e in found.examples] == ["ur 0", "ur 1"]
    assert found.total == 4
    assert (len(data.load(study, "mnli", "train")), data.load(study, "mnli", "train").total) == (5, 7)


def test_class_numbers_become_names(tmp_path, make_study):
    """Where a repository declares its class names, in lists too; they need not be in our order."""
    import datasets

    root = write(tmp_path / "classes", {k: v for k, v in ROWS.items() if k[1] in ("default", "PAN-X.de")})
    names = ["contradiction", "entailment", "neutral"]
    features = datasets.Features({"premise": datasets.Value("string"), "hypothesis": datasets.Value("string"),
                                  "label": datasets.ClassLabel(names=names)})  # fmt: skip
    rows = [{"premise": "a", "hypothesis": "b", "label": i} for i in (0, 1, 2)]
    datasets.Dataset.from_list(rows, features).to_parquet(parquet(root, "nyu-mll/multi_nli", "default", "train"))
    tags = datasets.Features({"tokens": datasets.List(datasets.Value("string")),
                              "ner_tags": datasets.List(datasets.ClassLabel(names=list(BIO)))})  # fmt: skip
    datasets.Dataset.from_list([{"tokens": ["Rom", "!"], "ner_tags": [5, 0]}], tags).to_parquet(parquet(root, "google/xtreme", "PAN-X.de", "test"))  # fmt: skip
    study = make_study(source="folder", folder=str(root))
    assert [e["label"] for e in data.load(study, "mnli", "train").examples] == names
    assert data.load(study, "panx", "test", "de").examples[0]["tags"] == ["B-LOC", "O"]


def test_hidden_labels_are_refused(tmp_path, make_study):
    """-1 stands for a label that is not published: a constant would score as chance."""
    import datasets

    root = write(tmp_path / "hidden", {k: v for k, v in ROWS.items() if k[0] == "nyu-mll/multi_nli"})
    features = datasets.Features({"premise": datasets.Value("string"), "hypothesis": datasets.Value("string"),
                                  "label": datasets.ClassLabel(names=list(NLI))})  # fmt: skip
    rows = [{"premise": "a", "hypothesis": "b", "label": -1}]
    datasets.Dataset.from_list(rows, features).to_parquet(parquet(root, "nyu-mll/multi_nli", "default", "train"))
    with pytest.raises(DataError, match=r"nyu-mll/multi_nli default train row 0: label '' is unknown"):
        data.load(make_study(source="folder", folder=str(root)), "mnli", "train")


def test_changed_files_are_read_again(hub, study):
    before = data.load(study, "mnli", "train")
    rows = [{**r, "premise": r["premise"].upper()} for r in ROWS["nyu-mll/multi_nli", "default", "train"]]
    pq.write_table(pa.Table.from_pylist(rows), parquet(hub, "nyu-mll/multi_nli", "default", "train"))
    data._load.cache_clear()
    after = data.load(study, "mnli", "train")
    assert after.examples[0]["first"] == "PREMISE 0"
    assert after.fingerprint != before.fingerprint


def test_a_prepared_folder_is_opened_at_once(hub, monkeypatch):
    """Without the library's look at all of its files, until the card changes; rows and their types are the same."""
    import datasets

    place, calls, real = hub / "hub" / "Rowan" / "hellaswag", [], datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: (calls.append(a), real(*a, **k))[1])
    first, second = (readers.hub.read_folder(place, "default", "train") for _ in range(2))
    assert len(calls) == 1
    assert second.to_list() == first.to_list()
    assert second.features == first.features
    (place / "README.md").touch()
    readers.hub.read_folder(place, "default", "train")
    assert len(calls) == 2
    with pytest.raises(DataError, match=r"default test: cannot be loaded: .*test"):
        readers.hub.read_folder(place, "default", "test")


def test_folders_do_not_share_rows(hub, study, make_study, tmp_path):
    """The same repository in another data folder, under the same card: a slice and the whole, say."""
    key = ("Rowan/hellaswag", "default", "train")
    other = write(tmp_path / "other", {key: [{**ROWS[key][0], "ctx_a": "He stands."}]})
    assert (other / "hub" / key[0] / "README.md").read_text() == (hub / "hub" / key[0] / "README.md").read_text()
    assert data.load(study, "hellaswag", "train").examples[0]["prompt"] == "She sits."
    second = make_study(source="folder", folder=str(other))
    assert data.load(second, "hellaswag", "train").examples[0]["prompt"] == "He stands."


def test_a_folder_by_environment_variable(hub, make_study, monkeypatch):
    study = make_study(source="folder", folder="${XITT_TEST_DATA}")
    with pytest.raises(DataError, match=r"data\.folder: environment variable XITT_TEST_DATA is not set"):
        data.load(study, "mnli", "train")
    monkeypatch.setenv("XITT_TEST_DATA", str(hub))
    assert len(data.load(study, "mnli", "train")) == 7


# --- what is not there ---------------------------------------------------------------------------------------------
def test_missing_languages_are_skipped_where_the_study_says_so(hub, make_study):
    study = make_study(source="folder", folder=str(hub), missing="skip")
    found = {t: data.languages(study, t) for t in ("xnli", "xquad", "udpos", "panx", "tatoeba")}
    assert found == {
        "xnli": ("de", "en", "ur"), "xquad": ("de",), "udpos": ("de",), "panx": ("de",), "tatoeba": ("de", "fr")
    }  # fmt: skip
    for target in ("bucc2018", "ntrex"):
        (hub / "local" / TASKS[target].source.repository).mkdir()
        with pytest.raises(DataError, match=f"{target}: none of its languages is here; it has de, fr, ru, zh"):
            data.languages(study, target)


def test_missing_languages_are_an_error_otherwise(hub, study, make_study):
    assert data.languages(study, "xquad") == TASKS["xquad"].languages
    with pytest.raises(DataError, match=r"google/xtreme XQuAD\.ar validation"):
        data.load(study, "xquad", "test", "ar")
    with pytest.raises(DataError, match=r"google/xtreme XNLI test.*there are no examples"):
        data.load(study, "xnli", "test", "sw")
    some = make_study(source="folder", folder=str(hub), languages=["de", "fr"])
    assert data.languages(some, "tatoeba") == ("de", "fr")
    assert data.languages(some, "xquad") == ("de",)


def test_missing_places(hub, study, make_study, tmp_path):
    shutil.rmtree(hub / "hub" / "tau")
    with pytest.raises(DataError, match=r"commonsenseqa: .*repository tau/commonsense_qa"):
        data.load(study, "commonsenseqa", "train")
    with pytest.raises(DataError, match=r"Rowan/hellaswag default validation"):
        data.load(study, "hellaswag", "dev")
    nowhere = make_study(source="folder", folder=str(tmp_path / "nowhere"), missing="skip")
    with pytest.raises(DataError, match=r"nowhere has no folder hub/") as error:
        data.languages(nowhere, "xquad")
    assert error.value.exit_code == 3


# --- what is damaged -----------------------------------------------------------------------------------------------
def change(root: Path, key: tuple[str, str, str], **columns) -> None:
    """Set columns of a set's last row."""
    rows = [*ROWS[key][:-1], {**ROWS[key][-1], **columns}]
    pq.write_table(pa.Table.from_pylist(rows), parquet(root, *key))


def drop(root: Path, key: tuple[str, str, str], column: str) -> None:
    """Drop a column of one set."""
    pq.write_table(pq.read_table(parquet(root, *key)).drop_columns([column]), parquet(root, *key))


MNLI_TRAIN, XNLI_TEST = ("nyu-mll/multi_nli", "default", "train"), ("google/xtreme", "XNLI", "test")
XQUAD, UDPOS = ("google/xtreme", "XQuAD.de", "validation"), ("google/xtreme", "udpos.German", "test")
PANX, TATOEBA = ("google/xtreme", "PAN-X.de", "test"), ("google/xtreme", "tatoeba.deu", "validation")
HELLASWAG, CSQA = ("Rowan/hellaswag", "default", "train"), ("tau/commonsense_qa", "default", "train")
LOADS = {
    MNLI_TRAIN: ("mnli", "train", "en"), XNLI_TEST: ("xnli", "test", "ur"), XQUAD: ("xquad", "test", "de"),
    UDPOS: ("udpos", "test", "de"), PANX: ("panx", "test", "de"), TATOEBA: ("tatoeba", "test", "de"),
    HELLASWAG: ("hellaswag", "train", "en"), CSQA: ("commonsenseqa", "train", "en"),
}  # fmt: skip


def refused(study: Study, key: tuple[str, str, str]) -> str:
    """The message of the error; it names repository, configuration and split."""
    with pytest.raises(DataError) as error:
        data.load(study, *LOADS[key])
    message = str(error.value)
    assert " ".join(key) in message
    assert error.value.exit_code == 3
    return message


@pytest.mark.parametrize("key", LOADS, ids=" ".join)
@pytest.mark.parametrize("damage", ["truncated", "not parquet", "empty"])
def test_a_broken_file(hub, study, key, damage):
    file = parquet(hub, *key)
    content = file.read_bytes()
    file.write_bytes(
        {"truncated": content[: len(content) // 2], "not parquet": b"<html>sorry</html>" * 20, "empty": b""}[damage]
    )
    assert "cannot be loaded" in refused(study, key)


@pytest.mark.parametrize(
    ("key", "column"),
    [
        (MNLI_TRAIN, "premise"),
        (MNLI_TRAIN, "label"),
        (XNLI_TEST, "gold_label"),
        (XNLI_TEST, "language"),
        (XQUAD, "context"),
        (XQUAD, "answers"),
        (UDPOS, "pos_tags"),
        (TATOEBA, "target_sentence"),
        (HELLASWAG, "ctx_b"),
        (HELLASWAG, "endings"),
        (CSQA, "answerKey"),
        (CSQA, "choices"),
    ],
)
def test_a_missing_column(hub, study, key, column):
    for other in ROWS:  # in all splits: a repository's splits have the same columns
        if other[:2] == key[:2]:
            drop(hub, other, column)
    message = refused(study, key)
    assert column in message
    kept = set(ROWS[key][0]) - {column}
    assert any(name in message for name in kept), "the columns that are there"


def test_columns_that_differ_between_splits(hub, study):
    """The reason is said, not only that there is one."""
    drop(hub, ("nyu-mll/multi_nli", "default", "validation_matched"), "label")
    with pytest.raises(DataError, match=r"nyu-mll/multi_nli default validation_matched.*label") as error:
        data.load(study, "mnli", "dev")
    assert "An error occurred" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "columns", "said"),
    [
        (MNLI_TRAIN, {"label": 3}, "label 3 is unknown"),
        (MNLI_TRAIN, {"label": -1}, "label -1 is unknown"),
        (MNLI_TRAIN, {"premise": "  "}, "empty"),
        (MNLI_TRAIN, {"premise": None}, "premise|empty|first"),
        (MNLI_TRAIN, {"hypothesis": None}, "hypothesis|empty|second"),
        (XNLI_TEST, {"gold_label": "entailmnt"}, "did you mean 'entailment'"),
        (UDPOS, {"pos_tags": ["PROPN", "VRB"]}, "did you mean 'VERB'"),
        (UDPOS, {"pos_tags": ["PROPN"]}, "2 tokens but 1 tags"),
        (UDPOS, {"tokens": None}, "."),
        (UDPOS, {"tokens": [], "pos_tags": []}, "no tokens|empty"),
        (PANX, {"ner_tags": ["B-MISC", "O"]}, "tag 'B-MISC' is unknown"),
        (XQUAD, {"answers": {"text": ["Paris"], "answer_start": [3]}}, "answer 'Paris' is not in its context"),
        (XQUAD, {"answers": {"text": ["Rom"], "answer_start": [15, 20]}}, "."),
        (XQUAD, {"answers": None}, "answers"),
        (XQUAD, {"context": None}, "."),
        (HELLASWAG, {"label": "4"}, "label '4' is unknown"),
        (HELLASWAG, {"label": ""}, "label '' is unknown"),
        (CSQA, {"answerKey": "D"}, "label 'D' is unknown"),
        (TATOEBA, {"target_sentence": None}, "."),
    ],
)
def test_a_bad_row(hub, study, key, columns, said):
    change(hub, key, **columns)
    number = len(ROWS[key]) - 1 if key != XNLI_TEST else 3
    message = refused(study, key)
    assert f"row {number}" in message
    assert re.search(said, message)


def test_ids_are_unique(tmp_path, make_study):
    """Ids that are numbers too: 0 is one."""
    rows = [{"id": i, "title": "", "context": "In Rom.", "question": "Wo?", "answers": {"text": ["Rom"], "answer_start": [3]}} for i in (2, 0, 1)]  # fmt: skip
    study = make_study(source="folder", folder=str(write(tmp_path / "ids", {XQUAD: rows})))
    check("xquad", data.load(study, "xquad", "test", "de"))


# --- the hub and mining --------------------------------------------------------------------------------------------
def test_the_hub_is_asked_for_repository_config_split_and_commit(make_study, monkeypatch):
    """What a name means is found out first; everything after that asks for the commit, and the examples' identity names it."""
    import datasets

    asked, commit = [], "0123456789" * 4

    def load(path, config, split, revision, cache_dir):
        asked.append((path, config, split, revision))
        row = {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "label": 1}
        return datasets.Dataset.from_list([row])

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(data.hub, "is_offline", lambda *a: False)
    monkeypatch.setattr(
        data.hub, "commit", lambda repository, revision, *a, **k: commit if revision == "main" else revision
    )
    by_name = data.load(make_study(source="hub"), "xcopa", "test", "et")
    by_commit = data.load(make_study(source="hub", commits={"cambridgeltl/xcopa": "f" * 40}), "xcopa", "test", "et")
    assert asked == [("cambridgeltl/xcopa", "et", "test", at) for at in (commit, "f" * 40)]
    assert (by_name.published, by_name.status) == (500, "slice 1 of 500")
    assert (by_name.commit, by_commit.commit) == (commit, "f" * 40)
    assert by_name.fingerprint != by_commit.fingerprint


def test_a_pinned_commit_must_have_the_published_rows(make_study, monkeypatch):
    """At a commit that is known, other rows are a fault; in a folder or at a name that moves, they are a slice."""
    import datasets

    rows = datasets.Dataset.from_list([{"tokens": ["a", "b"], "pos_tags": ["X", "NOUN"]}] * 99)
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: rows)
    monkeypatch.setattr(data.hub, "is_offline", lambda *a: False)
    with pytest.raises(DataError, match=r"google/xtreme udpos\.Yoruba test: 99 examples at ec5f1f46e9af, but 100 are"):
        data.load(make_study(source="hub"), "udpos", "test", "yo")


def test_no_network(make_study, monkeypatch):
    import datasets

    def load(*arguments, **options):
        raise ConnectionError("Couldn't reach 'google/xtreme' on the Hub\nwith a second line")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(data.hub, "commit", lambda *a, **k: "0" * 40)
    monkeypatch.setattr(data.hub, "WAITS", ())
    monkeypatch.setattr(data.hub, "is_offline", lambda *a: False)
    with pytest.raises(DataError, match=r"google/xtreme XQuAD\.hi validation at \w+: .*Couldn't reach") as error:
        data.load(make_study(source="hub"), "xquad", "test", "hi")
    assert "\n" not in str(error.value)


def test_mining_needs_files(make_study):
    with pytest.raises(DataError, match=r"local/bucc2018/de-en\.training\.\{de,en,gold\}"):
        data.load(make_study(source="hub"), "bucc2018", "test", "de")


@pytest.fixture
def corpus(hub) -> Path:
    folder = hub / "local" / "bucc2018"
    folder.mkdir()
    (folder / "de-en.training.de").write_text("de-1\tEin Satz.\nde-2\tZwei\tSätze.\n", encoding="utf-8")
    (folder / "de-en.training.en").write_text("en-1\tTwo sentences.\nen-2\tOne sentence.\nen-3\tMore.\n")
    (folder / "de-en.training.gold").write_text("de-1\ten-2\nde-2\ten-1\n")
    return folder


def test_mining_files(corpus, study):
    (example,) = (found := data.load(study, "bucc2018", "test", "de")).examples
    check("bucc2018", found)
    assert example["first"] == [("de-1", "Ein Satz."), ("de-2", "Zwei\tSätze.")]
    assert [i for i, _ in example["second"]] == ["en-1", "en-2", "en-3"]
    assert example["gold"] == [("de-1", "en-2"), ("de-2", "en-1")]
    assert kind("bitext").texts(found.examples) == (
        ["Ein Satz.", "Zwei\tSätze."],
        ["Two sentences.", "One sentence.", "More."],
    )


def test_mining_files_with_faults(corpus, study):
    (corpus / "de-en.training.en").write_text("en-1\tOne.\nno tab here\n")
    with pytest.raises(DataError, match=r"de-en\.training\.en:2: an id and a text, separated by a tab"):
        data.load(study, "bucc2018", "test", "de")
    (corpus / "de-en.training.gold").unlink()
    (corpus / "de-en.training.en").write_text("en-1\tOne.\n")
    with pytest.raises(DataError, match=r"bucc2018: .*de-en\.training\.gold is not there"):
        data.load(study, "bucc2018", "test", "de")


def test_gold_pairs_that_name_no_sentence(corpus, study):
    """They could never be found: the score would be wrong in silence."""
    (corpus / "de-en.training.gold").write_text("de-1\ten-9\n")
    with pytest.raises(DataError, match=r"en-9"):
        data.load(study, "bucc2018", "test", "de")


# --- real data -----------------------------------------------------------------------------------------------------
@pytest.fixture
def real(real_data, make_study) -> Study:
    return make_study(source="folder", folder=str(real_data), missing="skip")


@pytest.mark.parametrize("task", [t for t in TASKS if t != "bucc2018"])
def test_real_data_load_through_their_row(real_data, make_study, task):
    """Every task that is there; of many languages the first, the last and one between."""
    limits = {"train": 2000, "dev": 1000, "test": 1000}
    row, real = TASKS[task], make_study(source="folder", folder=str(real_data), missing="skip", limits=limits)
    counts = data.status(make_study(source="folder", folder=str(real_data)), task).here
    for split in row.source.splits:
        if not counts.get(split):  # what is said to be absent cannot be had, and says so
            with pytest.raises(DataError):
                data.load(real, task, split, row.languages[0] if row.languages and split == "test" else "en")
            continue
        if not row.languages or split == "train":
            check(task, data.load(real, task, split))
            continue
        if task == "udpos" and split == "dev":
            continue
        there = data.languages(real, task, split)
        for language in dict.fromkeys((there[0], there[len(there) // 2], there[-1])):
            check(task, data.load(real, task, split, language))


@pytest.mark.parametrize(
    ("task", "count", "some"),
    [("xquad", 9, "ar de hi zh"), ("udpos", 30, "de en ja yo"), ("tatoeba", 30, "de jv tl"), ("panx", 4, "de en fr pt"),
     ("xnli", 4, "de en es ur"), ("ntrex", 4, "de fr ru zh")],
)  # fmt: skip
def test_real_languages(real, task, count, some):
    there = data.languages(real, task)
    assert len(there) == count
    assert set(some.split()) <= set(there)


@pytest.mark.parametrize(
    ("task", "language", "count"),
    [
        ("xquad", "de", 1190),
        ("udpos", "de", 1977),
        ("tatoeba", "de", 1000),
        ("xnli", "de", 5010),
        ("panx", "de", 10000),
    ],
)
def test_real_sizes(real, task, language, count):
    found = data.load(real, task, "test", language)
    assert len(found) == found.total == count


@pytest.mark.parametrize("language", ["zh", "ar"])
def test_real_answers_stand_where_they_are_said_to(real, language):
    examples = data.load(real, "xquad", "test", language).examples
    assert len(examples) == 1190
    for e in examples:
        for answer, start in zip(e["answers"], e["starts"], strict=True):
            assert e["context"][start : start + len(answer)] == answer


def test_real_labels_are_all_used(real):
    """A constant label would be a dummy; names are those of the row."""
    german = data.load(real, "xnli", "test", "de").examples
    assert {x: sum(e["label"] == x for e in german) for x in NLI} == dict.fromkeys(NLI, 1670)
    english = data.load(real, "xnli", "test", "en").examples
    assert [e["label"] for e in english] == [e["label"] for e in german]
    assert german[0]["first"] != english[0]["first"]
    tags = {t for e in data.load(real, "panx", "test", "de").examples for t in e["tags"]}
    assert tags == set(BIO)
    assert len({t for e in data.load(real, "udpos", "test", "de").examples for t in e["tags"]} & set(UPOS)) > 14
    assert {e["label"] for e in data.load(real, "hellaswag", "dev").examples} == {0, 1, 2, 3}
    assert {e["label"] for e in data.load(real, "commonsenseqa", "dev").examples} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("language", ["de", "zh"])
def test_real_mining_files(real, real_data, language):
    (example,) = data.load(real, "ntrex", "test", language).examples
    assert (len(example["first"]), len(example["second"]), len(example["gold"])) == (998, 997, 698)
    first, second = dict(example["first"]), dict(example["second"])
    assert all(a in first and b in second for a, b in example["gold"])
    lines = (real_data / "local" / "ntrex_bucc" / f"{language}-en.training.{language}").read_text(encoding="utf-8")
    assert [f"{i}\t{t}" for i, t in example["first"]] == lines.splitlines()
    (sample,) = data.load(real, "ntrex", "dev", language).examples
    assert (len(sample["first"]), len(sample["second"]), len(sample["gold"])) == (500, 500, 300)


def test_real_missing_language(real_data, make_study):
    study = make_study(source="folder", folder=str(real_data), missing="error")
    with pytest.raises(DataError, match=r"google/xtreme XQuAD\.th validation"):
        data.load(study, "xquad", "test", "th")
    with pytest.raises(DataError, match=r"google/xtreme XNLI test"):
        data.load(study, "xnli", "test", "th")


def test_examples_are_plain(real):
    """JSON in, JSON out: what the fingerprint is taken over."""
    examples = data.load(real, "squad_v1", "dev").examples
    assert json.loads(json.dumps(examples)) == examples
