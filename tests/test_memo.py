"""Generated splits are kept on disk: the same examples, made once, damage and changed code noticed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests import tiny
from xitt import data, memo
from xitt.kinds import kind
from xitt.study import load_study

NAMES = [
    ("mnli", "train", "en"),
    ("xnli", "test", "zh"),
    ("bucc2018", "test", "de"),
    ("ccg", "dev", "en"),
    ("lareqa", "test", "en"),
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for cached in (data._load, data._pool):
        cached.cache_clear()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return tiny.make(tmp_path_factory.mktemp("project")).parent.parent


@pytest.fixture
def study(project, tmp_path):
    return tiny.variant(project, tmp_path)


@pytest.fixture
def made(monkeypatch):
    """Splits that were generated, by name."""
    real, calls = data._read, []
    monkeypatch.setattr(data, "_read", lambda *a: calls.append(a[1:]) or real(*a))
    return calls


def load(study, *name) -> data.Split:
    """As another process would."""
    data._load.cache_clear()
    return data.load(study, *name)


def files(study) -> list:
    return sorted((study.out / "data").glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_what_was_made(study, made, name):
    first, again = load(study, *name), load(study, *name)
    assert made == [name]
    generated = data._read(replace(data.world(study), kept=None), *name)
    for split in (first, again):
        assert vars(split) == vars(generated)
        assert json.dumps(split.examples) == json.dumps(generated.examples)  # fields in the same order


def splits(study) -> list[tuple[str, str, str]]:
    """Every split of the pocket's whole study, tests in the first and the last of their languages."""
    full = load_study(tiny.ROOT / "params" / "pocket_full.yaml")
    trained = {study.tasks[t].train or study.tasks[t].tuned for t in full.targets} - {None}
    first = {study.tasks[t].first for t in trained} - {None}
    found = [(t, "train", "en") for t in sorted(trained | first | {*full.intermediate_tasks})]
    found += [(t, "dev", "en") for t, *_ in found if "dev" in study.tasks[t].source.splits]
    for target in full.targets:
        languages = data.languages(study, study.tasks[target].name)
        found += [(study.tasks[target].name, "test", x) for x in dict.fromkeys((languages[0], languages[-1]))]
    return list(dict.fromkeys(found))


def test_a_sample_begins_the_whole_split_and_says_its_size(project, tmp_path, made):
    """Whether the whole is on disk or not; only where it is, or a sample cannot be had, the whole is read."""
    study = tiny.variant(project, tmp_path, data={"languages": None})
    some = splits(study)
    assert len(some) > 60
    before = {name: data.sample(study, *name, 7) for name in some}
    sampled = [name for name in made if len(name) == 4]
    assert len(sampled) > 0.75 * len(some)
    others = set()
    for name in some:
        split = load(study, *name)
        assert before[name][1] == len(split), name
        if before[name][0] != split.examples[:7]:
            others.add(name[0])
            continue
        del made[:]
        data._load.cache_clear()
        assert data.sample(study, *name, 7) == before[name]
        assert not made, name
    assert others <= {"code_search", "code_translation"}  # whose wrong answers are from the whole split


def test_a_pool_is_kept(study):
    kept = data.pool(study, "mewslix")
    data._pool.cache_clear()
    assert vars(data.pool(study, "mewslix")) == vars(kept)
    assert [f.name.split(".")[:3] for f in files(study)] == [["mewslix", "pool", "all"]]
    assert kind("dual").pooled


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]\n[]\n", b"\xff"])
def test_a_damaged_file_is_made_again(study, made, capsys, damage):
    whole = load(study, "xnli", "test", "de")
    (file,) = files(study)
    content = file.read_bytes()
    file.write_bytes(damage)
    assert load(study, "xnli", "test", "de") == whole
    assert len(made) == 2
    assert "damaged" in capsys.readouterr().out
    assert file.read_bytes() == content
    load(study, "xnli", "test", "de")
    assert len(made) == 2


@pytest.mark.parametrize(
    ("old", "new"), [(b'"label": "neutral"', b'"label": "Neutral"'), (b'"total": 1000', b'"total": 1001')]
)
def test_a_changed_byte_is_noticed(study, made, old, new):
    load(study, "xnli", "test", "de")
    (file,) = files(study)
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new, 1))
    load(study, "xnli", "test", "de")
    assert len(made) == 2


def test_other_code_makes_it_again_and_drops_what_it_replaces(study, made, monkeypatch):
    load(study, "mnli", "train", "en")
    load(study, "xnli", "test", "de")
    before = files(study)
    monkeypatch.setattr(memo, "code", lambda: "other")
    load(study, "mnli", "train", "en")
    assert len(made) == 3
    assert len(files(study)) == 2
    assert len(set(before) & set(files(study))) == 1


def test_an_edited_source_file_is_other_code(tmp_path, monkeypatch):
    monkeypatch.setattr(memo, "__file__", str(tmp_path / "memo.py"))
    (tmp_path / "pocket").mkdir()
    (tmp_path / "pocket" / "lexicon.tsv").write_text("cat\tKatze\n")
    monkeypatch.setattr(memo, "_BEGIN", memo._stamps())
    first = memo.code.__wrapped__()
    (tmp_path / "pocket" / "lexicon.tsv").write_text("cat\tKatzen\n")
    assert memo.code.__wrapped__() is None  # this process may still run what was there before
    monkeypatch.setattr(memo, "_BEGIN", memo._stamps())
    assert memo.code.__wrapped__() not in (None, first)


def test_a_process_older_than_its_sources_keeps_nothing(study, made, monkeypatch):
    monkeypatch.setattr(memo, "_stamps", lambda: [])
    assert load(study, "xnli", "test", "de") == load(study, "xnli", "test", "de")
    assert len(made) == 2
    assert not files(study)


def test_other_parameters_make_other_examples(project, tmp_path, made):
    load(tiny.variant(project, tmp_path), "xnli", "test", "de")
    other = load(tiny.variant(project, tmp_path, data={"limits": {"test": 9}}), "xnli", "test", "de")
    assert len(other) == 9
    assert len(made) == 2


def test_many_at_a_time_make_it_once(study, made):
    where = data.world(study)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: data._load.__wrapped__(where, "xnli", "test", "de"), range(6)))
    assert len(made) == 1
    assert all(f == found[0] for f in found)


@pytest.mark.parametrize(
    ("examples", "kept"), [([{"a": [(1, "x"), [(2,)]]}], True), ([{1: "a"}], False), ([{"()": [1]}], False)]
)
def test_what_would_not_be_the_same_again_is_not_kept(tmp_path, examples, kept):
    found = [memo.content(tmp_path, ("a", "b", "c"), {}, lambda: {"examples": examples, "total": 1}) for _ in range(2)]
    assert all(f["examples"] == examples for f in found)
    assert bool(list(tmp_path.glob("*.json"))) == kept


def test_other_sources_are_not_kept(study, monkeypatch):
    monkeypatch.setattr(data.readers, "origin", lambda *_: "folder")
    split = data.Split("xnli", "test", "de", [], 0, "x")
    assert data._kept(data.world(study), "xnli", "test", "de", lambda: split) == split
    assert not files(study)
