"""The hub's clients and ours, against a hub on the loopback interface: nothing here is mocked but the length of pauses.

All loading happens in one other process, started with ``HF_ENDPOINT`` and ``HF_HOME`` of its own (the libraries read both when they
are imported), so no test sees or touches the user's cache. Each test publishes repositories under names of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import hub_server, tiny
from xitt import lock
from xitt.errors import DataError, ParameterError
from xitt.tasks import TASKS

WORDS = ["Eine", "alte", "Brücke", "führt", "über", "den", "kleinen", "Fluss", "hinter", "dem", "Dorf"]
CONFIGS = {"XQuAD.de": {"validation": 7}, "XQuAD.el": {"validation": 5}, "udpos.German": {"validation": 4, "test": 6}}


# --- the other process ---------------------------------------------------------------------------------------------
PAUSES: list[float] = []


def _start(endpoint: str, home: str) -> None:
    """Before any library is there: where the hub is, where caches are, and pauses that are noted and cut short."""
    import time

    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_DATASETS_OFFLINE"):
        os.environ.pop(name, None)
    os.environ |= {"HF_ENDPOINT": endpoint, "HF_HOME": home}
    sleep = time.sleep
    from huggingface_hub import constants

    constants.DOWNLOAD_CHUNK_SIZE = 512  # what is written at a time; small files are cut between two of them
    time.sleep = lambda seconds: (PAUSES.append(seconds), sleep(min(seconds, 0.01)))[1]


def _read(*wanted, shard: int | str = "500MB", **options):
    import datasets

    from xitt import hub

    datasets.config.MAX_SHARD_SIZE = shard
    PAUSES.clear()
    hub.commit.cache_clear()
    return hub.read(*wanted, **options).to_list()


def _load_dataset(*wanted, **options):
    import datasets

    return datasets.load_dataset(*wanted, **options).to_list()


def _snapshot(*wanted, **options) -> Path:
    from xitt import hub

    hub.commit.cache_clear()
    return hub.snapshot(*wanted, **options)


def _commit(*wanted, **options) -> str:
    from xitt import hub

    hub.commit.cache_clear()
    return hub.commit(*wanted, **options)


def _pauses() -> list[float]:
    return PAUSES


def _with_study(file: Path) -> tuple[str, int, dict]:
    """Origin, length of a sentence in tokens and identity of a study's backbone."""
    from xitt import backbone, hub, pretrained
    from xitt.study import load_study

    hub.commit.cache_clear()
    pretrained._backbone.cache_clear()
    encoder = load_study(file).backbone()
    return encoder.origin, len(backbone.load_tokenizer(encoder.path)("Eine Brücke")["input_ids"]), encoder.identity


def _romanian(file: Path) -> tuple[str, int]:
    """Commit that a study reads of a repository no row of ours pins, and the number of rows there."""
    from xitt import hub
    from xitt.study import load_study

    hub.commit.cache_clear()
    revision = load_study(file).params.data.commits.get(ROMANIAN, "main")
    return hub.commit(ROMANIAN, revision), len(hub.read(ROMANIAN, "xquad.ro", "validation", revision))


def _pin(file: Path) -> list[str]:
    from xitt import lock
    from xitt.study import load_study

    return lock.pin(load_study(file))


def _examples(file: Path, *wanted: str) -> tuple[str, list[dict]]:
    from xitt import data
    from xitt.study import load_study

    split = data.load(load_study(file), *wanted)
    return split.commit, split.examples


class Worker:
    def __init__(self, executor: ProcessPoolExecutor, home: Path):
        self.executor, self.home = executor, home

    def __call__(self, function, *arguments, **options):
        return self.executor.submit(function, *arguments, **options).result(60)

    def refused(self, function, *arguments, **options) -> str:
        with pytest.raises(DataError) as error:
            self(function, *arguments, **options)
        return str(error.value)

    def half_written(self) -> list[str]:
        return [str(p) for p in self.home.rglob("*") if "incomplete" in p.name and p.suffix != ".lock"]


@pytest.fixture(scope="module")
def hub():
    with hub_server.serve() as running:
        yield running


@pytest.fixture(scope="module")
def _worker(hub, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_start, initargs=(hub.url, str(home))) as executor:
        yield Worker(executor, home)


@pytest.fixture
def worker(_worker, hub):
    """The process, with a server that does what it should and an empty log."""
    hub.faults.clear()
    hub.log.clear()
    return _worker


# --- a toy repository ------------------------------------------------------------------------------------------------
def rows_of(config: str, count: int) -> list[dict]:
    if config.startswith("udpos"):
        return [{"tokens": WORDS[: 2 + i], "pos_tags": ["X"] * (2 + i)} for i in range(count)]
    text = " ".join(WORDS)
    return [
        {"id": f"{config}-{i}", "context": f"{text} {i}.", "question": f"Was führt über den Fluss {i}?",
         "answers": {"answer_start": [0], "text": ["Eine alte Brücke"]}}
        for i in range(count)
    ]  # fmt: skip


def make_repository(folder: Path, configs: dict = CONFIGS, extra: int = 0) -> Path:
    """A folder in hub layout with a card that names its configs."""
    card = ["configs:"]
    for config, splits in configs.items():
        (folder / config).mkdir(parents=True)
        card += [f"- config_name: {config}", "  data_files:"]
        for split, count in splits.items():
            table = pa.Table.from_pylist(rows_of(config, count + extra))
            pq.write_table(table, folder / config / f"{split}-00000-of-00001.parquet")
            card += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join(["---", *card, "---", ""]))
    return folder


@pytest.fixture
def publish(hub, tmp_path, request):
    """Publish a toy repository under a name of this test's own; returns name and commit."""

    def publish(extra: int = 0, refs=("main",), name: str | None = None) -> tuple[str, str]:
        name = name or "toy/" + re.sub(r"\W", "-", request.node.name).strip("-")[:60]
        folder = tmp_path / f"repository{len(list(tmp_path.iterdir()))}"
        return name, hub.add(name, make_repository(folder, extra=extra), refs=refs)

    return publish


ROMANIAN = "google/xquad"  # the one repository of the study whose row names no commit
PARQUET = "XQuAD.de/validation-00000-of-00001.parquet"


# --- what is asked for -----------------------------------------------------------------------------------------------
def test_only_files_of_the_config_are_fetched_and_only_once(worker, hub, publish):
    name, commit = publish()
    assert worker(_read, name, "XQuAD.de", "validation") == rows_of("XQuAD.de", 7)
    assert hub.files(name) == {"README.md", PARQUET}
    assert all(f"/{commit}/" in r.path for r in hub.requests("/resolve/")), "by commit, never by a name that can move"
    hub.log.clear()
    assert worker(_read, name, "XQuAD.de", "validation", commit) == rows_of("XQuAD.de", 7)
    assert hub.log == [], "a commit that is here is read without a request"
    worker(_read, name, "XQuAD.de", "validation")
    assert [r.path for r in hub.log] == [f"/api/datasets/{name}/revision/main"], "main may have moved: one question"


def test_revisions_are_told_apart(worker, hub, publish):
    name, old = publish(refs=("main", "v1"))
    assert len(worker(_read, name, "XQuAD.de", "validation")) == 7
    _, new = publish(extra=3)
    assert worker(_commit, name) == new != old
    sizes = {at: len(worker(_read, name, "XQuAD.de", "validation", at)) for at in ("main", "v1", old, new)}
    assert sizes == {"main": 10, "v1": 7, old: 7, new: 10}


def test_the_library_alone_takes_another_commit_and_we_do_not(worker, hub, publish):
    """Why each commit has a cache of its own: with the hub failing, ``load_dataset`` falls back on whatever it finds."""
    name, old = publish()
    assert len(worker(_load_dataset, name, "XQuAD.de", split="validation", revision=old)) == 7
    assert len(worker(_read, name, "XQuAD.de", "validation")) == 7
    _, new = publish(extra=3)
    for method in ("GET", "HEAD", "POST"):
        hub.fail(f"/{name}/", 503, method=method, times=None)
    assert len(worker(_load_dataset, name, "XQuAD.de", split="validation", revision=new)) == 7, (
        "the old rows, in silence"
    )
    said = worker.refused(_read, name, "XQuAD.de", "validation", new)
    assert re.search(
        rf"{name} XQuAD\.de validation at {new[:12]}: the hub failed 3 times in a row \(status 503\)", said
    )


def test_a_converted_branch_without_a_card(worker, hub, tmp_path):
    """``refs/convert/parquet``: what the hub makes of a repository that holds a script; one folder per split."""
    folder = tmp_path / "converted"
    for split, count in {"train": 4, "validation": 3}.items():
        (folder / "default" / split).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows_of("XQuAD.de", count)), folder / "default" / split / "0000.parquet")
    commit = hub.add("toy/converted", folder, refs=("refs/convert/parquet",))
    assert worker(_read, "toy/converted", "default", "validation", "refs/convert/parquet") == rows_of("XQuAD.de", 3)
    assert worker(_commit, "toy/converted", "refs/convert/parquet") == commit


def test_a_split_of_several_files_and_shards(worker, hub, tmp_path):
    """As large ones are: two files on the hub, and more than one prepared here; read afresh and again, in order."""
    folder = make_repository(tmp_path / "large", {"XQuAD.de": {"validation": 7}})
    (folder / PARQUET).unlink()
    rows = rows_of("XQuAD.de", 9)
    for number, part in enumerate((rows[:5], rows[5:])):
        pq.write_table(pa.Table.from_pylist(part), folder / f"XQuAD.de/validation-0000{number}-of-00002.parquet")
    hub.add("toy/large", folder)
    assert worker(_read, "toy/large", "XQuAD.de", "validation", shard=1) == rows
    assert len(list((worker.home / "datasets").glob("xitt/*/toy___large/XQuAD.de/*/*/*.arrow"))) > 1
    assert worker(_read, "toy/large", "XQuAD.de", "validation", offline=True) == rows


def test_the_true_repository(worker, hub, real_data, study):
    """``load_dataset("google/xtreme", "XQuAD.de", revision=…)`` through its own code, on the real files."""
    folder = real_data / "hub/google/xtreme"
    source = TASKS["xquad"].source
    commit = hub.add("google/xtreme", folder, commit=source.revision if source.pinned else None)
    rows = worker(_read, "google/xtreme", "XQuAD.de", "validation", commit)
    wanted = pq.read_table(next((folder / "XQuAD.de").glob("*.parquet"))).to_pylist()
    assert (len(rows), rows) == (1190, wanted)
    assert {f.split("/")[0] for f in hub.files("google/xtreme")} == {"README.md", "XQuAD.de"}
    message = worker.refused(_read, "google/xtreme", "XQuAD.dd", "validation", commit)
    assert "config 'XQuAD.dd' is unknown - did you mean 'XQuAD.de'?" in message
    assert worker(_load_dataset, "google/xtreme", "XQuAD.de", split="validation", revision=commit) == rows
    at, examples = worker(_examples, study, "xquad", "test", "de")
    assert (at, [e["question"] for e in examples]) == (commit, [r["question"] for r in wanted])


# --- what does not pass by itself: one try, one clear message ----------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("XQuAD.de", "validation", "v1.1"), r"NAME XQuAD\.de validation at v1.1: revision of NAME 'v1.1' is unknown - did you mean 'v1.0'\?"
                                           r"\n  valid: main, v1\.0"),
        (("XQuAD.de", "validation", "0" * 40), "NAME XQuAD.de validation at 0{12}: NAME has no commit 0{40} on the hub, or no longer"
                                               "\n.*--pin` again"),
        (("XQuAD.dr", "validation", "main"), r"NAME XQuAD\.dr validation at main: config 'XQuAD\.dr' is unknown - did you mean 'XQuAD\.de'\?"
                                             r"\n  valid: XQuAD\.de, XQuAD\.el, udpos\.German"),
        (("XQuAD.de", "test", "main"), r"NAME XQuAD\.de test at main: split 'test' is unknown\n  valid: validation"),
    ],
    ids=["revision", "commit", "config", "split"],
)  # fmt: skip
def test_names_that_are_not_there(worker, hub, publish, asked, said):
    name, _ = publish(refs=("main", "v1.0"))
    message = worker.refused(_read, name, *asked)
    assert re.fullmatch(said.replace("NAME", name), message), message
    assert worker(_pauses) == [], "not tried again"
    if asked[1] == "test":  # known from the cache too, without a request
        worker(_read, name, "XQuAD.de", "validation")
        assert worker.refused(_read, name, *asked) == message


def test_a_repository_that_is_not_there(worker, hub):
    message = worker.refused(_read, "toy/nothing", "XQuAD.de", "validation")
    assert message.startswith("toy/nothing XQuAD.de validation at main: the hub has no dataset repository toy/nothing")
    assert len(hub.requests("/api/datasets/toy/nothing/")) == 1


@pytest.mark.parametrize("empty", [False, True], ids=["no folder", "empty folder"])
def test_a_config_that_the_card_names_and_the_hub_lacks(worker, hub, publish, empty):
    name, commit = publish()
    folder = hub.repositories["datasets", name].commits[commit] / "XQuAD.el"
    if not empty:
        shutil.rmtree(folder)
    else:
        next(folder.iterdir()).unlink()
    message = worker.refused(_read, name, "XQuAD.el", "validation")
    assert message.startswith(
        f"{name} XQuAD.el validation at main: the repository's card names this config, but its files are not"
    )


def test_a_truncated_parquet_file(worker, hub, publish):
    """It is not kept: once the hub has the whole file, the same call reads it."""
    name, commit = publish()
    hub.fail(PARQUET, "truncate", method="*", times=None)
    message = worker.refused(_read, name, "XQuAD.de", "validation")
    assert message.startswith(f"{name} XQuAD.de validation at main: {PARQUET} is damaged: not a whole parquet file")
    assert len(hub.requests(PARQUET, "GET")) == 1
    assert worker.half_written() == []
    hub.faults.clear()
    assert worker(_read, name, "XQuAD.de", "validation", commit) == rows_of("XQuAD.de", 7)


# --- what may pass: tried again ----------------------------------------------------------------------------------------
def test_a_connection_cut_once_goes_on_where_it_was(worker, hub, publish):
    name, _ = publish()
    hub.fail(PARQUET, "cut")
    assert worker(_read, name, "XQuAD.de", "validation") == rows_of("XQuAD.de", 7)
    first, second = hub.requests(PARQUET, "GET")
    assert (first.range, first.status, second.status) == (None, 200, 206)
    assert re.fullmatch(r"bytes=[1-9]\d*-", second.range)


def test_a_connection_cut_always(worker, hub, publish):
    name, commit = publish()
    hub.fail(PARQUET, "cut", times=None, share=0)
    message = worker.refused(_read, name, "XQuAD.de", "validation")
    assert message.startswith(f"{name} XQuAD.de validation at main: the hub failed 3 times in a row (")
    assert len(hub.requests(PARQUET, "GET")) == 3 * 6, "three tries of ours, six each of the client's"
    assert [p for p in worker(_pauses) if p > 1] == [2.0, 8.0]
    assert worker.half_written() == []
    hub.faults.clear()
    assert len(worker(_read, name, "XQuAD.de", "validation", commit)) == 7


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_given_time(worker, hub, publish, status):
    """Where the client gives up, at the first answer and in the middle, and at the question for the commit."""
    name, _ = publish()
    for path in (rf"/api/datasets/{name}/revision/main", PARQUET):
        hub.fail(path, status, headers={"Retry-After": "5"})
    assert worker(_read, name, "XQuAD.de", "validation") == rows_of("XQuAD.de", 7)
    assert [r.status for r in hub.requests(rf"{name}/revision/main")] == [status, 200]
    assert [r.status for r in hub.requests(PARQUET, "GET")] == [status, 200]
    pauses = [p for p in worker(_pauses) if p > 1]
    assert len(pauses) == 2
    assert all(5 <= p <= 6 for p in pauses), "as long as the server asks for"


def test_a_hub_that_asks_for_an_hour_is_not_waited_for(worker, hub, publish):
    name, _ = publish()
    hub.fail("/revision/main", 503, headers={"Retry-After": "3600"}, times=None)
    assert "(status 503)" in worker.refused(_read, name, "XQuAD.de", "validation")
    assert len(hub.requests("/revision/main")) == 1


def test_a_slow_answer_is_an_answer(worker, hub, publish):
    name, _ = publish()
    hub.fail(PARQUET, "slow", seconds=0.3)
    assert len(worker(_read, name, "XQuAD.de", "validation")) == 7


# --- offline -------------------------------------------------------------------------------------------------------
def test_offline(worker, hub, publish):
    name, _ = publish()
    message = worker.refused(_read, name, "XQuAD.de", "validation", offline=True)
    assert message.startswith(f"{name} XQuAD.de validation at main: not in the cache")
    assert "(data.offline is set)" in message
    worker(_read, name, "XQuAD.de", "validation")
    hub.log.clear()
    assert len(worker(_read, name, "XQuAD.de", "validation", offline=True)) == 7, (
        "the commit that main was when last asked"
    )
    assert "not in the cache" in worker.refused(_read, name, "XQuAD.el", "validation", offline=True)
    assert f"{name}@{'1' * 12} is not in the cache" in worker.refused(
        _read, name, "XQuAD.de", "validation", "1" * 40, offline=True
    )
    assert hub.log == []


def command(project: Path, hub: hub_server.Hub, home: Path, *words: str, **more: str) -> subprocess.CompletedProcess:
    """``xitt …`` as a person runs it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "XITT_OUT"))}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), **more}
    return subprocess.run([sys.executable, "-m", "xitt.cli", *words], cwd=project, env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip


# --- lock files and models -------------------------------------------------------------------------------------------
@pytest.fixture
def published(worker, hub, tmp_path):
    """What a small study needs: toy rows under the names of the true repositories, and a small random XLM-R."""
    for name in (
        ("datasets", "google/xtreme"),
        ("datasets", "rajpurkar/squad"),
        ("datasets", ROMANIAN),
        ("models", "toy/xlmr"),
    ):
        hub.repositories.pop(name, None)
    found = {}
    for task, config in (("xquad", "XQuAD.de"), ("squad_v1", "plain_text")):
        source, folder = TASKS[task].source, make_repository(tmp_path / task, {config: {"train": 9, "validation": 7}})
        commit = source.revision if source.pinned else None
        found[source.repository] = hub.add(source.repository, folder, commit=commit)
    found[ROMANIAN] = hub.add(ROMANIAN, make_repository(tmp_path / "ro", {"xquad.ro": {"validation": 7}}))
    return found | {"toy/xlmr": hub.add("toy/xlmr", worker(make_model, tmp_path / "model"), "models")}


def make_model(folder: Path, seed: int = 0) -> Path:
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *dict.fromkeys(WORDS)]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", cls_token="<s>", sep_token="</s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", mask_token="<mask>").save_pretrained(folder)  # fmt: skip
    torch.manual_seed(seed)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=34)  # fmt: skip
    transformers.XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    return folder


@pytest.fixture
def study(tmp_path):
    content = (
        tiny.TINY[: tiny.TINY.index("data:")]
        + """
data: {source: hub}
backbone: {hub: toy/xlmr}
engine: {device: cpu, threads: 1}
"""
    )
    design = "name: small\nquestion: q\nintermediates: [none]\ntargets: [xquad]\n"
    return tiny.make(tmp_path / "project", content, design)


def test_a_model_by_name_and_by_commit(worker, hub, published, study):
    origin, tokens, identity = worker(_with_study, study)
    commit = published["toy/xlmr"]
    assert (origin, tokens) == (f"toy/xlmr@{commit[:12]}", 4)
    assert "pytorch_model.bin" not in hub.files("toy/xlmr")
    hub.log.clear()
    study.write_text(study.read_text().replace("hub: toy/xlmr", f"hub: toy/xlmr, revision: {commit}"))
    assert worker(_with_study, study) == (origin, tokens, identity)
    assert hub.log == [], "a commit that is here needs no request"
    study.write_text(study.read_text().replace(commit, "v7"))
    message = worker.refused(_with_study, study)
    assert message.startswith("backbone: toy/xlmr@v7 cannot be had: toy/xlmr@v7: revision of toy/xlmr 'v7' is unknown")


def test_a_model_cut_in_the_middle(worker, hub, tmp_path):
    hub.add("toy/cut", worker(make_model, tmp_path / "model"), "models")
    hub.fail("model.safetensors", "cut")
    path = worker(_snapshot, "toy/cut", "main", ["*.json", "*.safetensors"])
    assert (path / "model.safetensors").read_bytes() == (tmp_path / "model/model.safetensors").read_bytes()
    hub.add("toy/cut", worker(make_model, tmp_path / "again"), "models")
    (tmp_path / "again/more.json").write_text('{"what": "a file that is not in the cache"}')
    hub.fail("more.json", "cut", times=None, share=0)
    assert "toy/cut" in worker.refused(_snapshot, "toy/cut", "main", ["*"])
    assert worker.half_written() == []
    assert "not in the cache" in worker.refused(_snapshot, "toy/cut", "main", ["*"], offline=True), (
        "half a model is none"
    )


def test_pin(worker, hub, published, study, tmp_path):
    """The command writes what the hub answered, once; what is loaded from then on is that, whatever the names point at."""
    project, home = study.parent.parent, tmp_path / "home"
    before = worker(_romanian, study), worker(_with_study, study)
    done = command(project, hub, home, "tasks", "params/tiny.yaml", "--pin")
    assert done.returncode == 0, done.stderr
    file = lock.lock_file(study)
    entries = json.loads(file.read_text())
    assert {n: e["commit"] for kind in ("datasets", "models") for n, e in entries[kind].items()} == published
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", e["date"]) for k in ("datasets", "models") for e in entries[k].values())
    assert all(n in done.stdout and c in done.stdout for n, c in published.items())

    hub.log.clear()
    assert (worker(_romanian, study), worker(_with_study, study)) == before
    assert hub.log == [], "nothing left to ask"

    newer = hub.add(ROMANIAN, make_repository(tmp_path / "newer", {"xquad.ro": {"validation": 7}}, extra=2))
    hub.add("toy/xlmr", worker(make_model, tmp_path / "other", seed=1), "models")
    assert (worker(_romanian, study), worker(_with_study, study)) == before, "the names have moved, the study has not"
    assert sum("kept" in line for line in worker(_pin, study)) == len(published)
    assert json.loads(file.read_text()) == entries

    del entries["datasets"][ROMANIAN], entries["models"]["toy/xlmr"]
    file.write_text(json.dumps(entries))
    assert sum("kept" in line for line in worker(_pin, study)) == len(published) - 2
    commit, count = worker(_romanian, study)
    assert (commit, count) == (newer, 9)
    assert worker(_with_study, study)[2]["weights"] != before[1][2]["weights"]


def test_a_locked_commit_that_is_gone(worker, hub, published, study):
    gone, file = "ab" * 20, lock.lock_file(study)
    entry = {"revision": "main", "commit": gone, "date": "2025-01-01"}
    said = {
        "datasets": (ROMANIAN, _romanian, f"{ROMANIAN} xquad.ro validation at {gone[:12]}: {ROMANIAN} has no commit {gone} on the hub"),
        "models": ("toy/xlmr", _with_study, f"backbone: toy/xlmr@{gone} cannot be had: toy/xlmr@{gone}: toy/xlmr has no commit {gone}"),
    }  # fmt: skip
    for kind, (name, load, message) in said.items():
        before = json.dumps({"datasets": {}, "models": {}, kind: {name: entry}})
        file.write_text(before)
        assert worker.refused(load, study).startswith(message)
        assert f"{name} has no commit {gone}" in worker.refused(_pin, study)
        assert file.read_text() == before, "no commit is written that the hub did not give"


def test_pin_without_network_writes_nothing(hub, published, study, tmp_path):
    done = command(
        study.parent.parent, hub, tmp_path / "home", "tasks", "params/tiny.yaml", "--pin", HF_HUB_OFFLINE="1"
    )
    assert (done.returncode, "HF_HUB_OFFLINE" in done.stderr) == (3, True)
    assert not lock.lock_file(study).exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a lock file"),
        ('{"datasets": {}}', "not a lock file"),
        ('{"datasets": {"a/b": {"revision": "main", "commit": "main"}}, "models": {}}', "'main' is no commit"),
        (f'{{"datasets": {{}}, "models": {{"toy/xlmr": {{"revision": "v2", "commit": "{"a" * 40}"}}}}}}',
         "pinned for revision v2, and main is asked for now"),
    ],
    ids=["no JSON", "half", "a name", "another revision"],
)  # fmt: skip
def test_lock_files_that_do_not_fit(study, content, said):
    from xitt.study import load_study

    lock.lock_file(study).write_text(content)
    with pytest.raises(ParameterError, match=said) as error:
        load_study(study)
    assert str(error.value).startswith(str(lock.lock_file(study)))
