"""Drawn scenes: captions in all languages say what is drawn, and neither a caption nor an image says by itself whether they match."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from tests import tiny
from xitt import backbone, vision
from xitt.errors import DataError
from xitt.pocket import hub, scenes
from xitt.pocket.languages import LANGUAGES, grammar
from xitt.pocket.sample import Sampler

SCENE = scenes.Scene(
    scenes.Group(3, "ball", "red", "on", "table"), scenes.Group(1, "owl", "blue", "near", "tree", said=False)
)


def sampler(seed: int = 0) -> Sampler:
    return Sampler(Random(seed))


# --- in words --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "There are three red balls on the table, and there is an owl near the tree."),
        ("es", "Hay tres pelotas rojas sobre la mesa, y hay un búho cerca del árbol."),
    ],
)
def test_captions_say_what_is_there(language, text):
    assert grammar(language).sentence(scenes.sentence(SCENE)).text == text


def test_captions_are_parallel_and_known_to_the_tokenizer():
    tokenizer = backbone.load_tokenizer(tiny.ROOT / "xitt" / "pocket" / "backbone")
    english = [r["text"] for r in hub.rows("caption_mlm", "train", "en", 40)[0]]
    for language in LANGUAGES:
        if language == "en":
            continue
        rows, total = hub.rows("caption_retrieval", "test", language, 40)
        assert (len(rows), total) == (40, hub.SIZES["test"])
        assert len({r["first"] for r in rows}) == len({r["second"] for r in rows}) == 40
        ids = tokenizer([r["first"] for r in rows] + english)["input_ids"]
        assert not any(tokenizer.unk_token_id in row for row in ids)


# --- in pixels -------------------------------------------------------------------------------------------------------
def count(image: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
    """Cells (4, 4) in which a colour is to be seen."""
    near = np.abs(image.astype(int) - rgb).max(axis=-1) < 8
    return near.reshape(4, 8, 4, 8).sum(axis=(1, 3)) > 6


def test_an_image_shows_its_scene():
    image = scenes.draw(scenes.name(SCENE))
    assert image.shape == (32, 32, 3)
    balls, table = (count(image, rgb) for rgb in (scenes.COLOURS["red"], scenes.LANDMARKS["table"][0]))
    assert (balls.sum(), table.sum(), count(image, scenes.COLOURS["blue"]).sum()) == (3, 1, 1)
    row, column = np.argwhere(table)[0]
    assert balls[row - 1, column]  # on it: in the cell above
    assert set(np.argwhere(balls)[:, 0]) == {row - 1}


def test_each_fact_changes_the_image_and_order_does_not():
    name = scenes.name(SCENE)
    assert name == scenes.name(scenes.Scene(SCENE.second, SCENE.first))
    assert (scenes.draw(name) == scenes.draw(name)).all()
    assert (scenes.draw(name) != scenes.draw(scenes.name(SCENE, 1))).any()
    s = sampler()
    others = {scenes.name(scenes.differing(s, SCENE)) for _ in range(200)}
    assert name not in others
    assert len(others) > 20


@pytest.mark.parametrize("name", ["", "3 red ball on table", "3 red ball on table; 1 blue elephant near tree #0"])
def test_a_name_of_no_image(name):
    with pytest.raises(DataError, match="no drawn image has the name"):
        vision.patches([name])


def test_patches_are_the_pixels_of_each_image_once():
    names = [scenes.name(SCENE), vision.BLANK, scenes.name(SCENE)]
    index, patches = vision.patches(names)
    assert index.tolist() == [0, 1, 0]
    assert (patches.shape, patches.dtype) == ((2, 16, 192), np.uint8)
    image = scenes.draw(names[0])
    assert (patches[0, 6].reshape(8, 8, 3) == image[8:16, 16:24]).all()
    assert set(np.unique(patches[1])) == {vision.GREY}
    assert np.abs(vision.numbers(patches)).max() <= 1


# --- pairs -----------------------------------------------------------------------------------------------------------
def rows(split: str, count: int) -> list[dict]:
    return hub.rows("image_text", split, "en", count)[0]


def test_each_caption_and_each_image_is_a_match_as_often_as_not():
    train = rows("train", 400)
    for side in ("text", "image"):
        seen: dict[str, list[bool]] = {}
        for r in train:
            seen.setdefault(r[side], []).append(r["label"] == "match")
        assert all(sum(labels) * 2 == len(labels) for labels in seen.values())


def differences(first: scenes.Scene, second: scenes.Scene) -> int:
    pairs = zip((first.first, first.second), (second.first, second.second), strict=True)
    return sum(getattr(a, f) != getattr(b, f) for a, b in pairs for f in a.__dataclass_fields__)


def test_what_nearly_matches_differs_in_one_fact_that_the_caption_states():
    s = sampler()
    for _ in range(300):
        block = scenes.block(s, near=1)
        assert [p.label for p in block] == ["match", "mismatch", "mismatch", "match"]
        one, two = block[0].said, block[3].said
        assert differences(one, two) == 1
        said = [grammar("en").sentence(scenes.sentence(x)).text for x in (one, two)]
        assert said[0] != said[1]


@pytest.mark.parametrize("near", [0.0, 0.3])
def test_how_many_mismatches_are_near_is_a_parameter(near):
    s = sampler()
    blocks = [scenes.block(s, near=near) for _ in range(400)]
    assert all([p.label for p in b] == ["match", "mismatch", "mismatch", "match"] for b in blocks)
    close = np.mean([differences(b[0].said, b[3].said) == 1 for b in blocks])
    assert abs(close - near) < 0.08
    palettes = [[{g.colour for g in (x.first, x.second)} for x in (b[0].said, b[3].said)] for b in blocks]
    apart = np.mean([len(p) == len(q) == 1 and p != q for p, q in palettes])
    assert abs(apart - (1 - near)) < 0.08


def test_neither_caption_nor_image_alone_beats_chance():
    """Trained on one side alone, logistic regression on its words or pixels stays at chance on new scenes."""
    import torch

    train, dev = rows("train", 1200), rows("dev", 400)
    words = sorted({w for r in train for w in r["text"].lower().split()})
    place = {w: i for i, w in enumerate(words)}

    def caption(some):
        x = np.zeros((len(some), len(words)), np.float32)
        for i, r in enumerate(some):
            for w in r["text"].lower().split():
                if w in place:
                    x[i, place[w]] += 1
        return x

    def image(some):
        index, patches = vision.patches([r["image"] for r in some])
        return vision.numbers(patches)[index].reshape(len(some), -1)

    for side in (caption, image):
        torch.manual_seed(0)
        x, y = torch.from_numpy(side(train)), torch.tensor([r["label"] == "match" for r in train]).float()
        model = torch.nn.Linear(x.shape[1], 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
        for _ in range(60):
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y).backward()
            optimizer.step()
        with torch.no_grad():
            said = (model(torch.from_numpy(side(dev)))[:, 0] > 0).numpy()
        right = np.mean(said == np.array([r["label"] == "match" for r in dev]))
        assert abs(right - 0.5) < 0.1


def test_no_scene_is_in_two_splits():
    seen = {split: {r["image"] for r in rows(split, 400)} for split in ("train", "dev")}
    seen["masked"] = {r["image"] for r in hub.rows("caption_mlm", "dev", "en", 400)[0]}
    assert not seen["train"] & seen["dev"]
    assert not seen["train"] & seen["masked"]
    assert all(scenes.within(m, hub._SHARES["test"]) for m in hub._meanings("caption_retrieval", "test", 40))
