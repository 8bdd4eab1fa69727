"""Captions beside images: packed and padded rows agree, batches do not matter, trainings resume, the encoder alone goes on; photographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from tests import tiny
from xitt import backbone, captions, control, data, packing, train, vision
from xitt.batching import EpochOrder
from xitt.errors import DataError, ParameterError
from xitt.evaluate import run_model
from xitt.kinds import kind
from xitt.kinds.caption import MASKED
from xitt.metrics import METRICS
from xitt.pocket import hub
from xitt.schema import Data
from xitt.tasks import TASKS
from xitt.train import Device, Hyper, fit

CAPTION, PAD, NEVER, ALWAYS = kind("caption"), 1, 1e9, 1e-9
LABELS = TASKS["image_text"].labels
HYPER = Hyper(lr=1e-3, epochs=100, batch=8, length=64, max_steps=12, weight_decay=0.01, warmup=0.1, clip=1.0, eval_every=5,
              eval_examples=8)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tokenizer():
    return backbone.load_tokenizer(tiny.ROOT / "xitt" / "pocket" / "backbone")


@pytest.fixture(scope="module")
def features(tokenizer) -> dict:
    """Encoded captions of both tasks; texts of different lengths."""
    found = {}
    for task, labels in (("image_text", LABELS), ("caption_mlm", ())):
        rows = [{"id": str(i), **r} for i, r in enumerate(hub.rows(task, "train", "en", 24)[0])]
        for e in rows[::3]:
            e["text"] = e["text"].partition(",")[0] + "."
        found[task] = CAPTION.encode(rows, tokenizer, 64, labels)
    return found


def new(features, dropout: float = 0.0, seed: int = 0, kind_of: str = "xlm-roberta"):
    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(
        kind_of, vocab_size=6500, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=80, pad_token_id=PAD, initializer_range=0.2, hidden_dropout_prob=dropout, type_vocab_size=1,
        attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    model = transformers.AutoModelForMaskedLM.from_config(config)
    CAPTION.head(model, features, seed)
    return model.eval()


def cpu(attention: str = "padded", micro: int = 8192, seconds: float = NEVER) -> Device:
    return Device("cpu", "float32", micro, 16384, seconds, attention)


def batch_of(features, units, packed: bool = False, draw=(3, 0)) -> dict:
    return train.to_device(CAPTION.batch(features, np.asarray(units), PAD, draw, packed), cpu())


# --- what a batch computes -------------------------------------------------------------------------------------------
def test_a_prefix_of_patches_by_hand(features):
    """Patches before the words, without positions of their own; words at the positions that they have alone."""
    f = features["image_text"]
    model = new(f)
    with torch.no_grad():
        found = CAPTION.forward(model, batch_of(f, [0, 5]))
        for row, unit in zip(found, (0, 5), strict=True):
            ids = torch.from_numpy(f.ids[unit].astype(np.int64))[None]
            patches = torch.from_numpy(vision.numbers(f.extra["patches"][f.extra["image"][unit]]))
            seen = model.vision["patch"](patches) + model.vision["place"].weight
            embeddings = model.base_model.embeddings
            text = torch.arange(ids.shape[1]) + PAD + 1
            inputs = torch.cat([seen[None], embeddings.word_embeddings(ids)], 1)
            places = torch.cat([torch.full((len(seen),), PAD), text])[None]
            state = model.base_model(inputs_embeds=inputs, position_ids=places).last_hidden_state[0]
            image, caption = state[: len(seen)].mean(0), state[len(seen) :].mean(0)
            logits = model.vision["match"](torch.cat([image * caption, (image - caption).abs()]))
            torch.testing.assert_close(row, logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("task", ["image_text", "caption_mlm"])
def test_packed_and_padded_rows_agree(features, task):
    f, losses, grads = features[task], [], []
    for packed in (False, True):
        model = new(f)
        if packed:
            assert packing.wanted(model, "packed")
        batch = batch_of(f, [3, 0, 7, 4, 12], packed)
        logits = CAPTION.forward(model, batch)
        order = torch.argsort(batch["owner"], stable=True) if "owner" in batch else slice(None)
        losses.append((logits[order], batch["target"][order]))
        total, count = CAPTION.loss(logits, batch["target"])
        (total / count).backward()
        grads.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(losses[0][0], losses[1][0], atol=1e-5, rtol=1e-5)
    assert torch.equal(losses[0][1], losses[1][1])
    assert grads[0].keys() == grads[1].keys()
    assert {"vision.patch.0.weight", "vision.place.weight"} <= grads[0].keys()
    for name in grads[0]:
        torch.testing.assert_close(grads[0][name], grads[1][name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attention", ["padded", "packed"])
@pytest.mark.parametrize("task", ["image_text", "caption_mlm"])
def test_batches_do_not_matter(features, task, attention):
    f = features[task]
    model = new(f)
    together = run_model(model, CAPTION, f, cpu(attention), PAD)
    alone = [run_model(model, CAPTION, f, replace(cpu(attention), eval_batch_tokens=1), PAD)[u] for u in (0, 9, 20)]
    for one, unit in zip(alone, (0, 9, 20), strict=True):
        np.testing.assert_allclose(one, together[unit], atol=1e-5)


def test_what_is_masked(features, tokenizer):
    f = features["caption_mlm"]
    batch = CAPTION.batch(f, np.arange(24), PAD, (1, 2))
    ids, count = batch["input_ids"], f.extra["patches"].shape[1]
    assert batch["attention_mask"][:, :count].all()
    where = np.stack(np.divmod(batch["at"], ids.shape[1]), axis=1)
    assert (where[:, 0] == batch["owner"]).all()
    assert (where[:, 1] > count).all()  # neither a patch nor <s>
    for (row, column), gold in zip(where, batch["target"], strict=True):
        assert f.ids[row][column - count] == gold
    assert 0.5 * MASKED < len(where) / f.ids.lengths.sum() < 1.5 * MASKED
    other = CAPTION.batch(f, np.arange(24), PAD, (1, 3))
    assert not np.array_equal(other["at"], batch["at"])


def test_an_encoder_of_another_architecture_is_refused(features):
    with pytest.raises(DataError, match="need an encoder of roberta or xlm-roberta, and this is bert"):
        new(features["image_text"], kind_of="bert")


# --- training --------------------------------------------------------------------------------------------------------
class Interrupted(BaseException):
    """Like a kill: nothing may catch it."""


def trained(f, folder: Path, attention: str, init: int = 0, seconds: float = NEVER):
    folder.mkdir(exist_ok=True)
    model, order = new(f, 0.1, init), EpochOrder(f.units, HYPER.batch, HYPER.steps(f.units), 0)
    summary = fit(model, CAPTION, f, order, HYPER, 0, cpu(attention, seconds=seconds), folder, PAD, "x")
    return model, summary


@pytest.mark.parametrize(
    ("task", "attention"), [("image_text", "padded"), ("image_text", "packed"), ("caption_mlm", "packed")]
)
def test_a_resumed_training_ends_in_the_same_bits(features, tmp_path, monkeypatch, task, attention):
    f = features[task]
    straight, expected = trained(f, tmp_path / "straight", attention)
    real, calls = train._step, []

    def step(*args):
        calls.append(1)
        if len(calls) == 8:
            raise Interrupted
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "_step", step)
        with pytest.raises(Interrupted):
            trained(f, tmp_path / "stopped", attention, seconds=ALWAYS)
    resumed, summary = trained(f, tmp_path / "stopped", attention, init=9)
    assert len(calls) == 8
    assert (summary["steps"], summary["tokens"]) == (expected["steps"], expected["tokens"])
    assert summary["tokens"] == sum(int(f.ids.lengths[EpochOrder(24, 8, 12, 0)[s]].sum()) for s in range(12))
    for (key, a), b in zip(straight.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), key


def test_the_encoder_alone_goes_on(features, tokenizer, tmp_path):
    f = features["image_text"]
    model = new(f)
    backbone.save_model(model, tokenizer, tmp_path, "# card\n")
    following = backbone.new_model(tmp_path, "AutoModelForSequenceClassification", 0, num_labels=3)
    assert not any("vision" in name for name in following.state_dict())
    for name, value in following.base_model.state_dict().items():
        assert torch.equal(value, model.base_model.state_dict()[name]), name
    again = CAPTION.trained(tmp_path, f)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_fresh_heads_follow_from_the_seed(features):
    first, second, third = (new(features["image_text"], seed=s) for s in (0, 0, 1))
    names = [n for n in first.state_dict() if n.startswith("vision.")]
    assert all(torch.equal(first.state_dict()[n], second.state_dict()[n]) for n in names)
    assert not torch.equal(first.state_dict()[names[0]], third.state_dict()[names[0]])


def test_the_projection_starts_from_a_regression(features):
    """Where each word of the captions has a patch of its own, patches point where their words do; nothing to see leaves nothing to say."""
    rng = np.random.default_rng(0)
    words, shown = rng.normal(size=(6, 5)), rng.integers(0, 2, (200, 6)) | np.eye(6, dtype=int)[rng.integers(0, 6, 200)]
    said = (shown @ words) / shown.sum(axis=1, keepdims=True)
    x, y = torch.from_numpy(shown / shown.sum(axis=1, keepdims=True)), torch.from_numpy(said)
    weight, bias = vision.regression(x, y, 1e-9)
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), said, rcond=None)[0]
    np.testing.assert_allclose(
        x.numpy() @ weight.T.numpy() + bias.numpy(), np.column_stack([x, np.ones(200)]) @ expected, atol=1e-6
    )
    np.testing.assert_allclose(weight.T.numpy() + bias.numpy(), words, atol=1e-3)
    weight, bias = vision.regression(torch.ones(9, 4, dtype=torch.float64), y[:9])
    assert weight.abs().max() < 1e-6
    np.testing.assert_allclose(bias, said[:9].mean(axis=0))
    f = features["caption_mlm"]
    model, plain = new(f), new(f)
    CAPTION.head(plain, f, 0, start=False)
    assert torch.equal(model.vision["patch"][0].weight, plain.vision["patch"][0].weight)
    assert not torch.equal(model.vision["patch"][2].weight, plain.vision["patch"][2].weight)


# --- predictions -----------------------------------------------------------------------------------------------------
def test_predictions_and_their_accuracy():
    examples = [{"id": "a", "label": "match"}, {"id": "b", "label": "mismatch"}]
    frame = CAPTION.decode(examples, None, [np.array([0.0, 2.0]), np.array([-1.0, 1.0])], LABELS)
    assert frame["prediction"].tolist() == ["match", "match"]
    metric = METRICS["caption", "accuracy"]
    assert metric.score(frame) == 50.0
    pieces = [np.array([[5, 6, 7], [5, 9, 7]]), np.zeros((2, 0), np.int64)]
    frame = CAPTION.decode(examples, None, pieces, ())
    assert frame[["gold", "prediction"]].to_numpy().tolist() == [["5 6 7", "5 9 7"], ["", ""]]
    assert metric.counts(frame).tolist() == [[2, 3], [0, 0]]
    assert metric.score(frame) == pytest.approx(200 / 3)


# --- controls --------------------------------------------------------------------------------------------------------
def test_controls_keep_captions_and_labels(tmp_path):
    study = tiny.variant(_project(tmp_path), tmp_path / "out")
    plain = data.load(study, "image_text", "train")
    for how in ("blank", "shuffled"):
        split = control.training(study, "image_text", ("en",), how, 0)
        assert [{**e, "image": ""} for e in split.examples] == [{**e, "image": ""} for e in plain.examples]
        assert split.fingerprint != plain.fingerprint
        images = [e["image"] for e in split.examples]
        assert (
            (set(images) == {vision.BLANK})
            if how == "blank"
            else (sorted(images) == sorted(e["image"] for e in plain.examples))
        )
    moved = [a["image"] != b["image"] for a, b in zip(split.examples, plain.examples, strict=True)]
    assert np.mean(moved) > 0.8
    with pytest.raises(ParameterError, match="control=blank goes with tasks of the kinds caption; mnli"):
        study.check("mnli+control=blank")


def _project(folder: Path) -> Path:
    tiny.make(folder)
    return folder


# --- photographs -----------------------------------------------------------------------------------------------------
TEXTS = {"en": "A dog runs.", "de": "Ein Hund rennt.", "fr": "Un chien court.", "cs": "Pes běží."}
COUNTS = {"train": 8, "validation": 4, "test": 6}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A data folder as Multi30k's captions and a user's images make it, and two vision encoders with random weights."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    places = {"hub/bentrevett/multi30k": ("en", "de"), "local/multi30k_fr_cs": ("fr", "cs")}
    for place, languages in places.items():
        (folder / place / "data").mkdir(parents=True)
        for split, n in COUNTS.items():
            table = pa.table({x: [f"{TEXTS[x]} {split} {i}" for i in range(n)] for x in languages})
            pq.write_table(table, folder / place / "data" / f"{split}-00000-of-00001.parquet")
    images = folder / "local" / "multi30k_images"
    images.mkdir()
    for name, split in zip(captions.LISTS.values(), COUNTS, strict=True):
        names = [f"{split}{i}.jpg" for i in range(COUNTS[split])]
        (images / name).write_text("".join(f"{n}\n" for n in names))
        for n in names:
            Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(images / n)
    small = {"hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
             "patch_size": 8}  # fmt: skip
    torch.manual_seed(0)
    text = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "vocab_size": 20,
    }
    both = transformers.CLIPConfig(text_config=text, vision_config=small, projection_dim=8)
    for name, model in (
        ("vit", transformers.ViTModel(transformers.ViTConfig(**small))),
        ("clip", transformers.CLIPModel(both)),
    ):
        model.save_pretrained(folder / name)
        prepare = {"vit": transformers.ViTImageProcessor, "clip": transformers.CLIPImageProcessor}[name]
        size = {"height": 32, "width": 32}
        prepare(size=size, crop_size=size, do_center_crop=False).save_pretrained(folder / name)
    return folder


def settings(photos: Path, **vision_side) -> Data:
    return Data(source="folder", folder=str(photos), vision={"folder": str(photos / "vit"), **vision_side})


@pytest.mark.parametrize(("name", "grid", "count"), [("vit", 7, 17), ("vit", 2, 5), ("clip", 4, 17), ("clip", 1, 2)])
def test_photographs_are_seen_by_a_frozen_encoder(photos, name, grid, count):
    rows = captions.read(settings(photos, folder=str(photos / name), grid=grid), TASKS["caption_mlm"], "dev", "en").rows
    index, patches = vision.patches([r["image"] for r in rows])
    assert (patches.shape, patches.dtype) == ((4, count, 12), np.float16)
    assert index.tolist() == [0, 1, 2, 3]
    model, prepare = vision._loaded(photos / name)
    pixels = prepare(images=vision.picture(rows[2]["image"]), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        states = model(pixel_values=pixels).last_hidden_state[0]
    np.testing.assert_allclose(patches[2, 0], states[0], atol=1e-2)  # the token for the whole image
    np.testing.assert_allclose(patches[2, 1:].mean(axis=0), states[1:].mean(axis=0), atol=1e-2)  # averages of squares


def test_photographs_can_be_encoded_and_read(photos, tokenizer):
    row, source = TASKS["image_text"], settings(photos, grid=2)
    rows = captions.read(source, row, "train", "en").rows
    assert [r["text"] for r in rows] == [f"A dog runs. train {i}" for i in range(8)]
    assert sorted(r["label"] for r in rows) == ["match"] * 4 + ["mismatch"] * 4
    own = [f"train{i}.jpg" for i in range(8)]
    shown = [r["image"].path.name for r in rows]
    assert [r["label"] == "match" for r in rows] == [a == b for a, b in zip(own, shown, strict=True)]
    assert sorted(shown) == own
    f = CAPTION.encode(rows, tokenizer, 32, LABELS)
    model = new(f)
    assert np.stack(run_model(model, CAPTION, f, cpu(), PAD)).shape == (8, 2)
    grey = vision.blank(rows, "caption", 0)
    assert len({str(e["image"]) for e in grey}) == 1
    assert vision.patches([e["image"] for e in grey])[1].shape == (1, 5, 12)


def test_what_an_image_depends_on_is_in_its_name(photos, tmp_path):
    def names(source: Data) -> list[str]:
        return [str(r["image"]) for r in captions.read(source, TASKS["caption_mlm"], "dev", "en").rows]

    plain = names(settings(photos))
    assert len(set(plain)) == 4
    assert not set(plain) & set(names(settings(photos, grid=2)))
    assert not set(plain) & set(names(settings(photos, folder=str(photos / "clip"))))
    moved = tmp_path / "elsewhere"
    import shutil

    shutil.copytree(photos / "local" / "multi30k_images", moved)
    assert names(settings(photos, images=str(moved))) == plain
    (moved / "validation0.jpg").write_bytes((moved / "validation0.jpg").read_bytes() + b"0")
    assert names(settings(photos, images=str(moved)))[0] != plain[0]


def test_captions_in_other_languages(photos):
    row, source = TASKS["caption_retrieval"], settings(photos)
    for language in row.languages:
        raw = captions.read(source, row, "test", language, 3)
        assert raw.rows[2] == {"first": f"{TEXTS[language]} test 2", "second": "A dog runs. test 2"}
        assert (len(raw.rows), raw.total) == (3, 6)
        assert captions.present(source, row, "test", language)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: None, None),
        (lambda f: (f / "local/multi30k_images/train.txt").unlink(), "train.txt is not there\n.*Flickr30k"),
        (
            lambda f: (f / "local/multi30k_images/train3.jpg").unlink(),
            "1 of 8 images are not in .*the first is train3.jpg",
        ),
        (lambda f: (f / "local/multi30k_images/train.txt").write_text("a.jpg\n"), "1 file names, but 8 captions"),
        (lambda f: (f / "vit/preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
        (
            lambda f: (f / "vit/model.safetensors").rename(f / "vit/model.bin"),
            "has no .*safetensors; weights in other forms",
        ),
    ],
)
def test_what_is_absent_is_named(photos, tmp_path, change, said):
    import shutil

    folder = tmp_path / "data"
    shutil.copytree(photos, folder)
    change(folder)
    if said is None:
        assert len(captions.read(settings(folder), TASKS["image_text"], "train", "en").rows) == 8
        return
    with pytest.raises(DataError, match=f"(?s){said}"):
        captions.read(settings(folder), TASKS["image_text"], "train", "en")


def test_without_an_encoder_or_a_folder(photos):
    with pytest.raises(DataError, match=r"need a vision encoder, e\.g\."):
        captions.read(settings(photos, folder=None), TASKS["image_text"], "train", "en")
    with pytest.raises(DataError, match="no folder of images"):
        captions._photos(Data(source="hub"), TASKS["image_text"], "train", 3, None)


def test_a_file_that_is_no_image(photos, tmp_path):
    (tmp_path / "x.jpg").write_text("text")
    photo = vision.Photo.of(tmp_path / "x.jpg", vision.frozen(photos / "vit", 7))
    with pytest.raises(DataError, match="cannot be read as an image"):
        vision.patches([photo])
