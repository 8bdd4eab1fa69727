"""Encoders: opened from folders and from the hub's cache, handed on exactly, with fresh heads."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml
from safetensors.torch import load_file, save_file

from tests import tiny
from xitt import backbone, batching, cli, data, train
from xitt.build import train_tokenizer
from xitt.errors import DataError
from xitt.kinds import kind
from xitt.pocket import text
from xitt.pretrained import build_backbone
from xitt.schema import Backbone
from xitt.store import read_json
from xitt.study import Study, load_study, read_yaml
from xitt.tasks import BIO, NLI, TASKS

SHA = "0123456789abcdef0123456789abcdef01234567"
NAME = "someone/xlm-roberta-tiny"
#: kinds that are trained, with a label set
KINDS = {"classify": NLI, "choose": (), "tag": BIO, "span": (), "mlm": ()}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(text.lines(("en", "de", "zh"), 100, 0), 600, 128, 0.5)


@pytest.fixture(scope="module")
def pretrained() -> transformers.XLMRobertaForMaskedLM:
    """A randomly initialised XLM-R; what is published of the real one is this class too."""
    torch.manual_seed(1)
    config = transformers.XLMRobertaConfig(
        vocab_size=600, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, type_vocab_size=1,
        max_position_embeddings=130, pad_token_id=1, bos_token_id=0, eos_token_id=2, initializer_range=0.2,
    )  # fmt: skip
    return transformers.XLMRobertaForMaskedLM(config).eval()


@pytest.fixture(scope="module")
def published(tokenizer, pretrained, tmp_path_factory) -> Path:
    """The model as a hub repository's files in a folder; not changed by a test."""
    folder = tmp_path_factory.mktemp("hub") / "xlm-roberta-tiny"
    pretrained.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(published, tmp_path) -> Path:
    """A copy of it for a test to damage."""
    shutil.copytree(published, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def make_study(tmp_path, monkeypatch):
    """Studies on given backbones, in one project."""
    file = tiny.make(tmp_path / "project")
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
    base = read_yaml(file)

    def make(**wanted) -> Study:
        file.write_text(yaml.safe_dump({**base, "backbone": wanted}))
        return load_study(file)

    return make


def state(model) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in model.state_dict().items()}


def assert_equal(found: dict, expected: dict, keys=None):
    keys = list(expected) if keys is None else keys
    assert keys
    for key in keys:
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key)


def encoder_state(model) -> dict[str, np.ndarray]:
    """Weights of the encoder proper, without a pooler."""
    return {k: v for k, v in state(model.base_model).items() if not k.startswith("pooler.")}


def head_state(model) -> dict[str, np.ndarray]:
    prefix = model.base_model_prefix + "."
    return {k: v for k, v in state(model).items() if not k.startswith(prefix) or ".pooler." in k}


def texts(tokenizer, count: int = 3) -> dict:
    rows = [row["text"] for row in text.lines(("en", "de"), 20, 0)["de"][:count]]
    return tokenizer(rows, return_tensors="pt", padding=True, truncation=True, max_length=64)


# --- from a folder -------------------------------------------------------------------------------------------------
def test_a_folder_as_backbone_from_parameters_to_scores(make_study, published, tokenizer):
    study = make_study(folder=str(published))
    encoder = study.backbone()
    assert encoder.path == published
    assert encoder.origin == "folder xlm-roberta-tiny"
    for recipe, target, rows in (("none", "xquad", 8), ("mnli", "tatoeba", 3), ("mnli", "udpos", 8)):
        frame = study.evaluate(recipe, target)
        assert len(frame) == rows
        assert frame["value"].between(0, 100).all()
    runs = sorted(p.name.rsplit("-", 1)[0] for p in (study.out / "runs").iterdir() if not p.name.startswith("."))
    assert runs == ["01.mnli.s0", "02.mnli.udpos.s0", "02.none.squad_v1.s0", "03.mnli.tatoeba.s0"]
    spec = read_json(next((study.out / "runs").glob("01.*")) / "spec.json")
    assert spec["inputs"]["encoder"] == encoder.identity


def test_a_folder_relative_to_the_project(make_study, published, tmp_path, monkeypatch):
    shutil.copytree(published, tmp_path / "project" / "models" / "mine")
    first = make_study(folder="models/mine").backbone()
    monkeypatch.setenv("XITT_TEST_MODELS", str(tmp_path / "project" / "models"))
    second = make_study(folder="${XITT_TEST_MODELS}/mine").backbone()
    assert first.path == second.path == (tmp_path / "project" / "models" / "mine").resolve()
    assert first.identity == second.identity == backbone.open_folder(published, "").identity


def test_an_unset_variable_is_named(make_study, monkeypatch):
    monkeypatch.delenv("XITT_TEST_MODELS", raising=False)
    with pytest.raises(DataError, match=r"backbone\.folder: environment variable XITT_TEST_MODELS is not set"):
        make_study(folder="${XITT_TEST_MODELS}/mine").backbone()


def test_what_an_encoder_is(published):
    facts = backbone.describe(backbone.open_folder(published, "here"))
    shape = ("architecture", "layers", "width", "heads", "vocabulary", "positions", "origin")
    assert [facts[k] for k in shape] == ["XLMRobertaForMaskedLM", 2, 32, 2, 600, 128, "here"]
    stored = transformers.AutoModelForMaskedLM.from_pretrained(published)
    assert facts["parameters"] == sum(p.numel() for p in stored.parameters())


def test_identity_follows_the_files(folder):
    first = backbone.open_folder(folder, "").identity
    (folder / "README.md").write_text("a card")
    assert backbone.open_folder(folder, "elsewhere").identity == first
    for file, key in (("config.json", "config"), ("tokenizer.json", "tokenizer"), ("model.safetensors", "weights")):
        if file == "model.safetensors":
            save_file({k: v + 1 for k, v in load_file(folder / file).items()}, folder / file, metadata={"format": "pt"})
        else:
            (folder / file).write_text((folder / file).read_text() + " ")
        second = backbone.open_folder(folder, "").identity
        assert {k for k in first if first[k] != second[k]} == {key}
        first = second


@pytest.fixture
def sharded(pretrained, tokenizer, tmp_path) -> Path:
    folder = tmp_path / "sharded"
    pretrained.save_pretrained(folder, max_shard_size="40KB")
    tokenizer.save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 2
    assert (folder / "model.safetensors.index.json").is_file()
    return folder


def test_sharded_weights_are_the_same_encoder(sharded, published, make_study):
    whole, parts = (
        backbone.new_model(p, kind("tag").auto_class, 5, **kind("tag").labels(BIO)) for p in (published, sharded)
    )
    assert_equal(state(parts), state(whole))
    assert (
        backbone.describe(backbone.open_folder(sharded, ""))["parameters"]
        == backbone.describe(backbone.open_folder(published, ""))["parameters"]
    )
    assert len(make_study(folder=str(sharded)).evaluate("none", "tatoeba")) == 3


def test_a_missing_shard(sharded, make_study):
    """Found at once and said in words, not deep inside a library."""
    sorted(sharded.glob("*.safetensors"))[1].unlink()
    with pytest.raises(DataError, match="model-00002-of-"):
        make_study(folder=str(sharded)).evaluate("none", "tatoeba")


# --- what is refused -----------------------------------------------------------------------------------------------
def test_pickled_weights_are_not_loaded(folder, make_study):
    weights = torch.nn.Linear(2, 2).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"no \*\.safetensors; weights in other forms are not loaded") as error:
        make_study(folder=str(folder)).backbone()
    assert str(folder) in str(error.value)
    assert error.value.exit_code == 3


@pytest.mark.parametrize(
    "missing", [("tokenizer.json", "tokenizer_config.json"), ("tokenizer.json",)], ids=["no file", "its config only"]
)
def test_a_missing_tokenizer(folder, make_study, missing):
    for file in missing:
        (folder / file).unlink()
    with pytest.raises(DataError, match="tokenizer"):
        make_study(folder=str(folder)).evaluate("none", "tatoeba")


def test_no_model_there(tmp_path, make_study):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nothing"):
        with pytest.raises(DataError, match=r"has no config\.json") as error:
            make_study(folder=str(path)).backbone()
        assert str(path) in str(error.value)


def test_truncated_weights(folder, make_study):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=re.escape(str(folder))):
        make_study(folder=str(folder)).evaluate("none", "tatoeba")


def test_weights_of_another_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(DataError, match="does not fit its config"):
        backbone.new_model(folder, kind("tag").auto_class, 0, **kind("tag").labels(BIO))


def test_weights_of_another_shape_do_not_retrieve(folder, make_study):
    """Phase 3 too: a layer that the checkpoint lacks would be random."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(DataError, match="does not fit its config"):
        make_study(folder=str(folder)).evaluate("none", "tatoeba")


# --- handed on -----------------------------------------------------------------------------------------------------
def task_model(path: Path, name: str, seed: int = 3, labels=None):
    k = kind(name)
    return backbone.new_model(path, k.auto_class, seed, **k.labels(KINDS[name] if labels is None else labels))


@pytest.mark.parametrize("name", KINDS)
def test_the_encoder_is_handed_on_and_the_head_is_fresh(published, pretrained, name):
    model, again, other = (task_model(published, name, s) for s in (3, 3, 4))
    assert type(model).__name__ == "XLMRobertaFor" + kind(name).auto_class.removeprefix("AutoModelFor")
    assert_equal(encoder_state(model), encoder_state(pretrained))
    assert_equal(encoder_state(other), encoder_state(pretrained))
    assert_equal(state(again), state(model))
    assert all(p.dtype == torch.float32 for p in model.parameters())
    fresh = [
        k
        for k, v in head_state(model).items()
        if k.endswith("weight") and "LayerNorm" not in k and "layer_norm" not in k
    ]
    fresh = [k for k in fresh if "decoder" not in k]  # tied to the word embeddings
    assert fresh
    assert all(not np.array_equal(state(model)[k], state(other)[k]) for k in fresh)


@pytest.fixture(scope="module")
def classifier(published, tokenizer, tmp_path_factory) -> Path:
    """A three-label classifier's checkpoint, its encoder no longer that of the backbone."""
    folder = tmp_path_factory.mktemp("classifier")
    model = task_model(published, "classify")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.ones_like(parameter))
    backbone.save_model(model, tokenizer, folder, "")
    return folder


@pytest.mark.parametrize(("name", "labels"), [(n, None) for n in KINDS] + [("classify", ("no", "yes"))])
def test_from_a_three_label_classifier_to_any_task(classifier, name, labels):
    source = transformers.AutoModelForSequenceClassification.from_pretrained(classifier)
    assert source.config.num_labels == 3
    model = task_model(classifier, name, labels=labels)
    assert_equal(encoder_state(model), encoder_state(source))
    outputs = {"classify": 3, "choose": 1, "tag": len(BIO), "span": 2}.get(name)
    if labels:
        outputs = len(labels)
        assert model.config.id2label == {0: "no", 1: "yes"}
    if outputs:
        last = [v for k, v in head_state(model).items() if k.endswith("weight") and "pooler" not in k][-1]
        assert last.shape == (outputs, 32)
    if name == "classify":
        assert not np.array_equal(model.classifier.dense.weight.detach(), source.classifier.dense.weight.detach())


def test_the_same_encoder_is_saved_with_and_without_a_network(published, pretrained, tmp_path, monkeypatch):
    from transformers import tokenization_utils_base

    found = []
    for offline in (False, True):
        monkeypatch.setattr(tokenization_utils_base, "is_offline_mode", lambda offline=offline: offline)
        place = tmp_path / f"offline-{offline}"
        backbone.save_model(pretrained, backbone.load_tokenizer(published), place, "")
        found.append(backbone.open_folder(place, "").identity)
        assert json.loads((place / "tokenizer_config.json").read_text())["local_files_only"] is False
    assert found[0] == found[1]


def test_a_pooler_goes_along(published, tokenizer, tmp_path):
    """It belongs to the encoder where there is one (multiple choice); XLM-R is published without."""
    first = task_model(published, "choose", 3)
    assert not np.array_equal(state(first)["roberta.pooler.dense.weight"], state(task_model(published, "choose", 4))["roberta.pooler.dense.weight"])  # fmt: skip
    backbone.save_model(first, tokenizer, tmp_path / "chooser", "")
    second = task_model(tmp_path / "chooser", "choose", 9)
    assert_equal(state(second.base_model), state(first.base_model))
    assert not np.array_equal(state(second)["classifier.weight"], state(first)["classifier.weight"])
    assert_equal(encoder_state(task_model(tmp_path / "chooser", "span")), encoder_state(first))


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_model_opens_with_its_class(published, tokenizer, tmp_path, name):
    """With transformers alone, and to the same numbers."""
    model = task_model(published, name).eval()
    checksum = backbone.save_model(model, tokenizer, tmp_path / "model", "# a card\n")
    assert checksum == backbone.open_folder(tmp_path / "model", "").weights
    assert (tmp_path / "model" / "README.md").read_text() == "# a card\n"
    names = {p.suffix for p in (tmp_path / "model").iterdir()}
    assert names == {".json", ".safetensors", ".md"}
    opened = getattr(transformers, kind(name).auto_class).from_pretrained(tmp_path / "model").eval()
    inputs = texts(transformers.AutoTokenizer.from_pretrained(tmp_path / "model"))
    if name == "choose":
        inputs = {k: v[None] for k, v in inputs.items()}
    with torch.inference_mode():
        found, expected = opened(**inputs), model(**inputs)
    for field in ("start_logits", "end_logits") if name == "span" else ("logits",):
        torch.testing.assert_close(found[field], expected[field], rtol=1e-5, atol=1e-6)
    assert_equal(state(backbone.load_model(tmp_path / "model", kind(name).auto_class)), state(model))


@pytest.mark.parametrize(("recipe", "seed"), [("mnli", 0), ("hellaswag", 0), ("squad_v1", 1)])
def test_a_trained_run_opens_with_its_class(make_study, published, recipe, seed, monkeypatch):
    """The logits that the training's best model gave are those of the folder opened by hand."""
    study, seen = make_study(folder=str(published)), {}
    real = train.fit

    def fit(model, k, features, *rest):
        summary = real(model, k, features, *rest)
        batch = {key: torch.from_numpy(v) for key, v in k.batch(features, np.arange(4), 1).items()}
        with torch.inference_mode():
            seen.update(batch=batch, logits=k.forward(model, batch))
        return summary

    monkeypatch.setattr(train, "fit", fit)
    run = study.train(recipe, seed)
    k = kind(TASKS[recipe].kind)
    assert k.auto_class in (run.model / "README.md").read_text()
    opened = getattr(transformers, k.auto_class).from_pretrained(run.model).eval()
    with torch.inference_mode():
        torch.testing.assert_close(k.forward(opened, seen["batch"]), seen["logits"], rtol=1e-6, atol=1e-6)
    if recipe == "mnli":
        assert opened.config.id2label == dict(enumerate(NLI))


def test_phases_hand_on_the_trained_encoder(make_study, published, monkeypatch):
    """The target starts from the intermediate's weights and with a head of its own seed."""
    study, first = make_study(folder=str(published)), []
    real = train.fit
    monkeypatch.setattr(
        train,
        "fit",
        lambda model, *a: (first.append({k: v.copy() for k, v in state(model).items()}), real(model, *a))[1],
    )
    study.evaluate("mnli", "udpos")
    run = study.train("mnli")
    source = transformers.AutoModelForSequenceClassification.from_pretrained(run.model)
    assert len(first) == 2
    expected = {f"roberta.{k}": v for k, v in encoder_state(source).items()}
    assert_equal(first[1], expected)
    fresh = backbone.new_model(run.model, "AutoModelForTokenClassification", batching.torch_seed(0, "init"),
                               **kind("tag").labels(TASKS["udpos"].labels))  # fmt: skip
    assert_equal(first[1], state(fresh))


def test_the_bare_encoder(published, pretrained):
    model = backbone.load_encoder(published)
    assert model.pooler is None
    assert not model.training
    assert_equal(state(model), encoder_state(pretrained))


# --- from the hub --------------------------------------------------------------------------------------------------
@pytest.fixture
def offline(monkeypatch, tmp_path) -> Path:
    """No network, and a cache of our own."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def cached(offline, published) -> Path:
    """The model in the hub client's cache."""
    place = offline / f"models--{NAME.replace('/', '--')}"
    shutil.copytree(published, place / "snapshots" / SHA)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(SHA)
    return place


@pytest.mark.parametrize("revision", [None, "main", SHA])
def test_by_name_from_the_cache(cached, make_study, published, revision):
    study = make_study(hub=NAME, **({"revision": revision} if revision else {}))
    encoder = study.backbone()
    assert encoder.path == cached / "snapshots" / SHA
    assert encoder.origin == f"{NAME}@{SHA[:12]}"
    assert encoder.identity == backbone.open_folder(published, "").identity
    if revision is None:
        assert len(study.evaluate("none", "tatoeba")) == 3


def test_by_name_without_cache_or_network(offline, make_study):
    with pytest.raises(DataError) as error:
        make_study(hub=NAME, revision="main").backbone()
    message = str(error.value)
    assert message.startswith(f"backbone: {NAME}@main cannot be had: ")
    assert "(HF_HUB_OFFLINE is set)" in message
    assert "backbone: {folder: ...}" in message, "the remedy"
    assert error.value.exit_code == 3
    assert error.value.__suppress_context__, "no traceback of the client"


def test_another_revision_is_not_taken_for_the_one_asked_for(cached, make_study):
    for revision in ("v2", SHA[::-1]):
        with pytest.raises(DataError, match=f"{NAME}@{revision} cannot be had"):
            make_study(hub=NAME, revision=revision).backbone()


def test_a_cache_without_safetensors(cached, make_study):
    (cached / "snapshots" / SHA / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"no \*\.safetensors"):
        make_study(hub=NAME).backbone()


@pytest.mark.parametrize("wanted", [{"hub": NAME}, {"folder": "nowhere"}], ids=["hub", "folder"])
def test_the_command_says_so_before_it_starts(offline, make_study, monkeypatch, capsys, wanted):
    """Exit code 3, one message, no notebook started."""
    from xitt import batch

    started = []
    monkeypatch.setattr(batch, "run", lambda *a, **k: started.append(a))
    study = make_study(**wanted)
    monkeypatch.setattr("sys.argv", ["xitt", "run", str(study.path)])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    said = capsys.readouterr().err
    assert (leave.value.code, started) == (3, [])
    assert said.startswith("xitt: backbone: ")
    assert "Traceback" not in said


def test_fetching_asks_for_no_pickle(monkeypatch, published):
    import huggingface_hub

    asked = {}

    def download(name, revision, allow_patterns, local_files_only):
        asked.update(name=name, revision=revision, patterns=allow_patterns)
        return str(published)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(backbone.hub, "is_offline", lambda *a: False)
    backbone.fetch(Backbone(hub=NAME, revision=SHA), Path())
    assert (asked["name"], asked["revision"]) == (NAME, SHA)
    assert not any(re.search("bin|pt|pkl|py$|h5|msgpack", p) for p in asked["patterns"])


# --- built here ----------------------------------------------------------------------------------------------------
class Interrupted(BaseException):
    """Like a killed process: nothing catches it."""


def test_a_build_goes_on_with_its_own_tokenizer(tmp_path, monkeypatch):
    """Training a tokenizer again gives another one; a checkpoint's word vectors are those of the first."""
    study_text = tiny.TINY
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
    study = load_study(tiny.make(tmp_path / "project", study_text))
    monkeypatch.setattr("xitt.pretrained.device", lambda *a, **k: train.Device("cpu", "float32", 8192, 16384, 1e-9))
    real_step, calls, rows = train._step, [], []

    def step(model, k, features, *rest):
        calls.append(0)
        if len(calls) == 4:
            raise Interrupted
        rows.append(features.ids.values.copy())
        return real_step(model, k, features, *rest)

    monkeypatch.setattr(train, "_step", step)
    with pytest.raises(Interrupted):
        study.backbone()
    run = build_backbone(study)
    np.testing.assert_array_equal(rows[-1], rows[0])
    stored = backbone.load_tokenizer(run.model)
    lines = data_lines(study)
    again = stored(lines[0])["input_ids"][:100]  # the training cut it at its length
    assert again[:-1] == rows[0][: len(again) - 1].tolist()


def data_lines(study: Study) -> list[str]:
    from xitt.build import text_lines

    return [row["text"] for row in text_lines(study.params.backbone.build, study.params.data)["en"]]


def test_a_built_backbone_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))
    file = tiny.make(tmp_path / "project", tiny.TINY)
    first = load_study(file).backbone()
    monkeypatch.setattr(train, "fit", None)
    second = load_study(file).backbone()
    assert first == second
    assert first.origin == "built by this study's recipe"
    assert data.load(load_study(file), "mnli", "train").language == "en"
