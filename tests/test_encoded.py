"""Encoded splits: made once, read back as they were made, never trusted when damaged; results do not change by them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.tiny import variant
from xitt import data, encoded, evaluate, phases, retrieval, scoring, store
from xitt.backbone import load_tokenizer
from xitt.batching import Features, Ragged
from xitt.kinds import NAMES, kind
from xitt.kinds.classify import Classify
from xitt.pocket import text
from xitt.study import Study, fingerprint

SHIPPED = tiny.ROOT / "xitt" / "pocket" / "backbone"
LENGTH = 96
#: (task, split): every kind in every form it is encoded in
SPLITS = [
    ("mnli", "train"), ("xnli", "test"), ("hellaswag", "train"), ("udpos", "train"), ("panx", "test"), ("ccg", "train"),
    ("squad_v2", "train"), ("xquad", "test"), ("lareqa", "train"), ("lareqa", "test"), ("lareqa", "pool"), ("image_text", "train"),
    ("caption_mlm", "dev"),
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(SHIPPED)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    tiny.make(folder)
    return folder


@pytest.fixture
def study(project, tmp_path) -> Study:
    return variant(project, tmp_path / "outputs")


def split_of(study: Study, task: str, split: str) -> data.Split:
    return data.pool(study, task) if split == "pool" else data.load(study, task, split)


def parts(features: Features) -> dict:
    """Every value of features by name, those of ``extra`` too."""
    found = {"ids": features.ids, "example": features.example, "target": features.target, "group": features.group}
    return found | {f"extra {k}": v for k, v in features.extra.items()}


def assert_same(found: Features, wanted: Features) -> None:
    a, b = parts(found), parts(wanted)
    assert list(a) == list(b)
    for name in a:
        if isinstance(b[name], Ragged):
            pairs = [(a[name].values, b[name].values), (a[name].offsets, b[name].offsets)]
        else:
            pairs = [(a[name], b[name])]
        for x, y in pairs:
            assert type(x) is type(y), name
            if isinstance(y, np.ndarray):
                assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x, y, name)


def files(study: Study) -> list[Path]:
    """The entries, and what else lies beside them but for the locks."""
    return sorted(p for p in encoded.folder(study).glob("*") if p.name != ".locks")


def get(study: Study, tokenizer, task: str = "mnli", split: str = "train", length: int = LENGTH, **more) -> Features:
    k, labels = kind(study.tasks[task].kind), data.labels(study, task)
    return encoded.features(study, k, split_of(study, task, split), tokenizer, length, labels, **more)


def refuse(*_, **__):
    pytest.fail("it was tokenised again")


# --- one file ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("task", "split"), SPLITS)
def test_what_is_read_is_what_was_encoded(study, tokenizer, monkeypatch, task, split):
    k, labels = kind(study.tasks[task].kind), data.labels(study, task)
    wanted = k.encode(split_of(study, task, split).examples, tokenizer, LENGTH, labels)
    assert_same(get(study, tokenizer, task, split), wanted)
    monkeypatch.setattr(type(k), "encode", refuse)
    found = get(study, tokenizer, task, split)
    assert_same(found, wanted)
    assert not found.ids.values.flags.writeable, "it is the file's own memory"
    units = np.arange(found.units)[::-1]
    for name, array in k.batch(found, units, 1).items():
        np.testing.assert_array_equal(array, k.batch(wanted, units, 1)[name], name)
    assert len(files(study)) == 1


def test_every_kind_that_encodes_is_tried(study):
    tried = {study.tasks[task].kind for task, _ in SPLITS}
    assert tried | {"mlm", "bitext"} == set(NAMES)  # mlm below; bitext has no rows of its own
    assert kind("bitext").encode.__qualname__.startswith("Kind.")


def test_lines_for_mlm_are_kept_with_what_masking_needs(study, tokenizer, monkeypatch):
    k, lines = kind("mlm"), text.lines(("en",), 40, 1)["en"]
    wanted, inputs = k.encode(lines, tokenizer, 64), {"lines": fingerprint(lines)}
    assert_same(encoded.of(study, k, lines, inputs, tokenizer, 64), wanted)
    monkeypatch.setattr(type(k), "encode", refuse)
    found = encoded.of(study, k, lines, inputs, tokenizer, 64)
    assert_same(found, wanted)
    units = np.arange(20)
    for name, array in k.batch(found, units, 1, (0, 7)).items():
        np.testing.assert_array_equal(array, k.batch(wanted, units, 1, (0, 7))[name])


def test_texts_for_retrieval(study, tokenizer, monkeypatch):
    lines = [row["text"] for row in text.lines(("de",), 40, 1)["de"]]
    wanted = tokenizer(lines, truncation=True, max_length=20)["input_ids"]
    for _ in range(2):
        found = encoded.texts(study, tokenizer, lines, 20)
        assert [row.tolist() for row in found] == wanted
        monkeypatch.setattr("xitt.retrieval.tokenised", refuse)
    assert len(files(study)) == 1


@pytest.mark.parametrize("task", ["xnli", "udpos", "xquad"])
def test_decoding_reads_the_file_as_it_reads_fresh_features(study, tokenizer, task):
    k, labels, split = kind(study.tasks[task].kind), data.labels(study, task), data.load(study, task, "test", "zh")
    wanted = k.encode(split.examples, tokenizer, 64, labels)
    found = encoded.features(study, k, split, tokenizer, 64, labels)
    import torch

    units = np.arange(wanted.units)
    batch = k.batch(wanted, units, 1)
    rows, tokens = batch["input_ids"].shape
    shape = {"xnli": (rows, len(labels)), "udpos": (rows, tokens, len(labels)), "xquad": (rows, 2, tokens)}[task]
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    frames = [k.decode(split.examples, f, k.outputs(logits, batch, f, units), labels) for f in (found, wanted)]
    assert frames[0].to_json() == frames[1].to_json()


def test_windows_of_a_text_keep_the_characters_of_each(study, tokenizer):
    """Ragged rows of pairs: the only two-dimensional ones."""
    offsets = get(study, tokenizer, "xquad", "test", 48).extra["offsets"]
    assert offsets.values.shape[1] == 2
    assert len(offsets) > len(data.load(study, "xquad", "test")), "there are several windows"
    assert (offsets[0][:, 1] > offsets[0][:, 0]).all()


def test_features_without_rows(study, tmp_path):
    empty = Features(Ragged.of([]), np.zeros(0, np.int64), np.zeros((0, 2), np.int64), 1, {"a": 0.25, "b": None})
    encoded.write(tmp_path / "x.arrow", empty, {})
    found = encoded.read(tmp_path / "x.arrow", {})
    assert_same(found, empty)


@pytest.mark.parametrize("value", [[np.zeros(2)], np.array(["a"]), {"a": 1}])
def test_what_has_no_form_on_disk_is_no_pickle(tmp_path, value):
    content = Features(Ragged.of([[1]]), np.zeros(1, np.int64), None, 1, {"odd": value})
    with pytest.raises(TypeError, match=r"extra\.odd"):
        encoded.write(tmp_path / "x.arrow", content, {})
    assert not list(tmp_path.iterdir())


# --- damage --------------------------------------------------------------------------------------------------------
def test_no_damage_goes_unnoticed(study, tokenizer):
    """Every byte that matters: 400 of them changed one at a time, and the file cut at 40 places."""
    wanted = get(study, tokenizer, "xquad", "test")
    (path,) = files(study)
    whole, rng, noticed = path.read_bytes(), np.random.default_rng(0), 0
    key = encoded_key(path)
    for place in rng.integers(len(whole), size=400):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        put(path, broken)
        try:
            assert_same(encoded.read(path, key), wanted)  # a byte of padding
        except encoded.Damaged:
            noticed += 1
    assert noticed > 300
    for size in rng.integers(len(whole), size=40):
        put(path, whole[:size])
        with pytest.raises(encoded.Damaged):
            encoded.read(path, key)
    put(path, whole)
    assert_same(encoded.read(path, key), wanted)


def put(path: Path, content: bytes) -> None:
    """A new file in a file's place: what is mapped stays."""
    path.unlink()
    path.write_bytes(content)


def encoded_key(path: Path) -> dict:
    import json

    import pyarrow as pa

    return json.loads(pa.ipc.open_file(pa.memory_map(str(path))).schema.metadata[b"xitt"])["key"]


@pytest.mark.parametrize("damage", ["cut", "changed", "another key", "no arrow", "empty"])
def test_a_damaged_file_is_made_again_and_said_to_be(study, tokenizer, capsys, damage):
    wanted = get(study, tokenizer)
    (path,) = files(study)
    whole = path.read_bytes()
    if damage == "another key":
        encoded.write(path, replace(wanted, target=wanted.target * 0), {**encoded_key(path), "length": 12})
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes(b ^ 255 for b in whole[middle : middle + 64]) + whole[middle + 64 :]
        put(path, {"cut": whole[:middle], "changed": changed, "no arrow": b"{}" * 99, "empty": b""}[damage])
    capsys.readouterr()
    assert_same(get(study, tokenizer), wanted)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert path.name in said
    assert "damaged" in said
    assert path.read_bytes() == whole
    get(study, tokenizer)
    assert capsys.readouterr().out == ""


def test_a_write_that_dies_leaves_nothing(study, tokenizer, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            get(study, tokenizer)
    assert files(study) == []
    assert len(get(study, tokenizer).ids) == 48


def test_the_folder_can_go_at_any_time(study, tokenizer):
    first = get(study, tokenizer)
    shutil.rmtree(encoded.folder(study))
    assert first.ids.values.sum() > 0, "what was read stays readable"
    assert_same(get(study, tokenizer), first)


# --- what an entry is known by -------------------------------------------------------------------------------------
def test_all_that_encoding_depends_on_makes_another_entry(study, tokenizer, monkeypatch):
    k, split, labels = kind("classify"), data.load(study, "mnli", "train"), data.labels(study, "mnli")

    def add(**other) -> int:
        before = len(files(study))
        a = {"kind": k, "split": split, "tokenizer": tokenizer, "length": LENGTH, "labels": labels, **other}
        encoded.features(study, a["kind"], a["split"], a["tokenizer"], a["length"], a["labels"], a.get("first"))
        return len(files(study)) - before

    assert add() == 1
    assert add() == 0
    assert add(length=64) == 1
    assert add(labels=labels[::-1]) == 1
    assert add(first=7) == 1
    assert add(first=7) == add(first=48) == add(first=500) == 0, "the first 48 of 48 are the whole"
    assert add(split=replace(split, fingerprint="other")) == 1
    assert add(split=replace(split, task="xnli", split="dev", language="de")) == 0, (
        "its place among tasks is none of it"
    )
    other = load_tokenizer(SHIPPED)
    other.add_tokens(["Zzyzx"])
    assert add(tokenizer=other) == 1
    other = load_tokenizer(SHIPPED)
    other.truncation_side = "left"
    assert add(tokenizer=other) == 1
    monkeypatch.setattr(Classify, "version", 99)
    assert add() == 1
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} of tomorrow")
    assert add() == 1


def test_copies_of_a_tokenizer_are_one_whatever_they_cut_last(tokenizer, tmp_path):
    """What is saved with a model says how the last texts were cut; the files differ, the pieces do not."""
    identities, checksums = {encoded.identity(tokenizer)}, set()
    for i, side in enumerate(("left", "right")):
        copy = load_tokenizer(SHIPPED)
        copy.truncation_side = side
        copy(["a b c"], truncation="longest_first", max_length=3 + i)
        copy.truncation_side = "right"
        copy.save_pretrained(str(tmp_path / side))
        checksums.add(store.checksum(tmp_path / side / "tokenizer.json"))
        identities.add(encoded.identity(load_tokenizer(tmp_path / side)))
    assert len(checksums) == 2
    assert len(identities) == 1


def test_slow_tokenizers_have_an_identity_too():
    from transformers import ByT5Tokenizer

    assert not ByT5Tokenizer().is_fast
    assert encoded.identity(ByT5Tokenizer()) == encoded.identity(ByT5Tokenizer())
    assert encoded.identity(ByT5Tokenizer()) != encoded.identity(ByT5Tokenizer(extra_ids=7))


def test_what_is_saved_with_a_model_does_not_depend_on_what_was_there(study, tokenizer, tmp_path):
    """Else a run's checksum, and with it the fingerprint of all that follows, would."""
    for name in ("made", "read"):
        again = load_tokenizer(SHIPPED)
        get(study, again, "hellaswag")
        again.save_pretrained(str(tmp_path / name))
    for file in (tmp_path / "made").iterdir():
        assert file.read_bytes() == (tmp_path / "read" / file.name).read_bytes(), file.name


# --- several processes ---------------------------------------------------------------------------------------------
SLOW = """
import sys, time
from pathlib import Path
from xitt import data, encoded
from xitt.backbone import load_tokenizer
from xitt.kinds import kind
from xitt.kinds.classify import Classify
from xitt.study import load_study

real = Classify.encode
def slow(*arguments):
    with open(sys.argv[2], "a") as log:
        log.write("encoded\\n")
    time.sleep(1.5)
    return real(*arguments)
Classify.encode = slow
study, tokenizer = load_study(sys.argv[1]), load_tokenizer(Path(sys.argv[3]))
split = data.load(study, "mnli", "train")
Path(sys.argv[2] + sys.argv[4]).touch()
while len(list(Path(sys.argv[2]).parent.glob("log?"))) < 2:  # both at once
    time.sleep(0.01)
print(int(encoded.features(study, kind("classify"), split, tokenizer, 96, data.labels(study, "mnli")).ids.values.sum()))
"""


def test_two_processes_encode_once(study, tokenizer, project, tmp_path):
    command = [sys.executable, "-c", SLOW, str(study.path), str(tmp_path / "log"), str(SHIPPED)]
    environment = {**os.environ, "XITT_OUTPUTS": str(study.out.parent)}
    children = [
        subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, text=True, cwd=tiny.ROOT)
        for name in "ab"
    ]
    sums = [
        int(c.communicate(timeout=120)[0].split()[-1])  # before it, who waits for whom
        for c in children
    ]
    assert (tmp_path / "log").read_text().split() == ["encoded"]
    assert sums == [int(get(study, tokenizer).ids.values.sum())] * 2


# --- a study -------------------------------------------------------------------------------------------------------
ROWS = ("none", "mnli", "multitask{mnli,squad_v1}+mlm=0.25")
TARGETS = ("xnli", "xquad", "mlqa", "tatoeba")
SMALL = {
    "data": {"limits": {"train": 16, "dev": 10, "test": 6}, "languages": ["en", "de"]},
    "intermediates": list(ROWS),
    "targets": list(TARGETS),
    "seeds": [0, 1],
}


def counting(patch: pytest.MonkeyPatch) -> Counter:
    """Counts what is encoded, by content."""
    calls: Counter = Counter()
    for name in NAMES:
        patch.setattr(type(kind(name)), "encode", _counted(type(kind(name)).encode, name, calls))
    real = retrieval.tokenised

    def tokenised(tokenizer, texts, length):
        calls["text", length, fingerprint(texts)] += 1
        return real(tokenizer, texts, length)

    patch.setattr(retrieval, "tokenised", tokenised)
    return calls


def _counted(real, name: str, calls: Counter):
    def encode(self, examples, tokenizer, length, *rest, **more):
        calls[name, length, fingerprint(examples)] += 1
        return real(self, examples, tokenizer, length, *rest, **more)

    return encode


def run_all(study: Study) -> None:
    for seed in study.seeds:
        for recipe in study.intermediates:
            for target in study.targets:
                study.evaluate(recipe, target, seed)


@pytest.fixture(scope="module")
def whole(project) -> tuple[Study, Counter]:
    """A study run from the start, and what was encoded."""
    study = variant(project, project / "outputs", **SMALL)
    study.backbone()
    with pytest.MonkeyPatch.context() as patch:
        calls = counting(patch)
        run_all(study)
    return study, calls


def results_of(study: Study) -> dict:
    """All weights and predictions."""
    found = {}
    for recipe in study.intermediates:
        for seed in study.seeds:
            run = study.train(recipe, seed)
            found[recipe, seed] = run and (run.record["weights"], run.record["encoder"])
            for target in study.targets:
                place = scoring.found(study, recipe, target, seed)
                frames = {p.name: evaluate.read_predictions(p).to_json() for p in sorted(place.glob("*.parquet"))}
                found[recipe, seed, target] = store.read_json(place.parents[1] / "record.json").get("weights"), frames
    return found


def without_runs(study: Study, outputs: Path, keep: tuple[str, ...]) -> None:
    """Copies a study's outputs, of its runs only the backbone."""
    shutil.copytree(study.out, outputs / "tiny", ignore=lambda folder, names: [
        n for n in names if (Path(folder) == study.out and n not in keep) or n[:3] in ("01.", "02.", "03.")
    ])  # fmt: skip


def test_a_study_encodes_each_split_once(whole):
    study, calls = whole
    assert set(calls.values()) == {1}
    assert Counter(name for name, *_ in calls) == {
        "classify": 1 + 1 + 2,  # MNLI: training, dev; XNLI: two languages
        "span": 1 + 1 + 2 + 2,  # SQuAD the same; XQuAD, MLQA
        "mlm": 1,
        "text": 1,  # Tatoeba's, for all rows
    }
    assert len(files(study)) == sum(calls.values())


def test_a_study_that_starts_again_encodes_nothing(whole, project, tmp_path, monkeypatch):
    study, _ = whole
    without_runs(study, tmp_path / "outputs", ("runs", "encoded"))
    again = variant(project, tmp_path / "outputs", **SMALL)
    assert [p.name.split("-")[0] for p in (again.out / "runs").glob("[!.]*")] == ["backbone"]
    calls = counting(monkeypatch)
    run_all(again)
    assert not calls
    assert results_of(again) == results_of(study)


def test_results_without_any_entry_are_the_same_bits(whole, project, tmp_path, monkeypatch):
    study, _ = whole
    without_runs(study, tmp_path / "outputs", ("runs",))
    again = variant(project, tmp_path / "outputs", **SMALL)
    assert again.seeds == (0, 1)

    def plainly(study, k, split, tokenizer, length, labels, first=None):
        return k.encode(split.examples[:first], tokenizer, length, labels)

    monkeypatch.setattr(encoded, "features", plainly)
    monkeypatch.setattr(
        encoded, "of", lambda study, k, lines, inputs, tokenizer, length: k.encode(lines, tokenizer, length)
    )
    monkeypatch.setattr(encoded, "texts", lambda study, *what: retrieval.tokenised(*what))
    for recipe, target in (("none", "xnli"), ("mnli", "mlqa"), ("none", "tatoeba")):
        again.evaluate(recipe, target, 1)
        mine, theirs = (scoring.found(s, recipe, target, 1) for s in (again, study))
        records = [store.read_json(p.parents[1] / "record.json") for p in (mine, theirs)]
        assert records[0].get("weights") == records[1].get("weights")
        for file in sorted(theirs.glob("*.parquet")):
            frames = [evaluate.read_predictions(p / file.name) for p in (mine, theirs)]
            assert frames[0].to_json() == frames[1].to_json()
    assert not encoded.folder(again).exists()


def test_a_tokenizer_of_another_encoder_is_not_mixed_up(whole, tmp_path):
    """The entries of a study's own tokenizer do not serve another one, nor the other way."""
    study, _ = whole
    own, other = load_tokenizer(phases.backbone(study).path), load_tokenizer(SHIPPED)
    assert encoded.identity(own) != encoded.identity(other)
    k, split, labels = kind("classify"), data.load(study, "xnli", "test", "de"), data.labels(study, "xnli")
    for tokenizer in (own, other):
        found = encoded.features(study, k, split, tokenizer, LENGTH, labels)
        assert_same(found, k.encode(split.examples, tokenizer, LENGTH, labels))
