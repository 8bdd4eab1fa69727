"""Images for a text encoder: what is known of each patch, as numbers, before anything is learned.

An image is named in the examples. The pocket's are drawn from their names, and a patch is its pixels: what they mean is learned along with
the task. A file (:class:`Photo`) is seen by a frozen vision encoder of ``transformers`` (``data: {vision: {hub: ...}}``, CLIP or ViT by
name); a patch is what that encoder says of it, computed once and kept with the encoded captions (``xitt.encoded``). A name says what an
image depends on: for files, their size and the vision encoder's weights are part of it. Either sort has a blank image, plain grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .batching import generator
from .errors import DataError
from .store import checksum

#: pixels of a side of the pocket's patches
PATCH = 8
#: files that a vision encoder sees at once
BATCH = 64
#: name of the image that shows nothing, and its shade
BLANK, GREY = "blank", 128


@dataclass(frozen=True)
class Frozen:
    """A vision encoder that is not trained.

    Attributes
    ----------
    path : pathlib.Path
        Folder in Hugging Face layout, with ``preprocessor_config.json``.
    grid : int
        Its patches are averaged to so many rows and columns.
    weights : str
        SHA-256 of its weights and its two configurations.
    """

    path: Path
    grid: int
    weights: str

    def see(self, files: list[Path | None]) -> np.ndarray:
        """What it says of some images (images, patches, width), float16; its token for the whole image, where it has one, comes first.

        Raises
        ------
        DataError
            If a file is no image.
        """
        import torch

        model, prepare = _loaded(self.path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model, parts = model.to(device), []
        with torch.inference_mode():
            for start in range(0, len(files), BATCH):
                images = [_opened(f) for f in files[start : start + BATCH]]
                pixels = prepare(images=images, return_tensors="pt")["pixel_values"].to(device)
                states = model(pixel_values=pixels).last_hidden_state.float()
                parts.append(_averaged(states, self.grid).cpu().numpy().astype(np.float16))
        return np.concatenate(parts)


class Photo(str):
    """A file by its name, size and the encoder that sees it, which together are its value; where it lies is not."""

    path: Path | None  # None: the blank image
    encoder: Frozen

    @classmethod
    def of(cls, path: Path | None, encoder: Frozen) -> Photo:
        file = f"{path.name} {path.stat().st_size}" if path else BLANK
        photo = cls(f"{file} {encoder.grid} {encoder.weights[:16]}")
        photo.path, photo.encoder = path, encoder
        return photo


@cache
def frozen(path: Path, grid: int) -> Frozen:
    """The vision encoder of a folder.

    Raises
    ------
    DataError
        If a file is missing or the weights are in another form than safetensors.
    """
    for name in ("config.json", "preprocessor_config.json"):
        if not (path / name).is_file():
            raise DataError(f"data.vision: {path} has no {name} (a vision encoder in Hugging Face layout is expected)")
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise DataError(
            f"data.vision: {path} has no *.safetensors; weights in other forms are not loaded (pickles run code)"
        )
    return Frozen(path, grid, checksum(path / "config.json", path / "preprocessor_config.json", *weights))


@cache
def _loaded(path: Path):
    """Model and preprocessing of a vision encoder; of CLIP the half that sees."""
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, CLIPVisionModel

    from .backbone import quiet

    quiet()
    clip = AutoConfig.from_pretrained(str(path)).model_type.startswith("clip")
    model = (CLIPVisionModel if clip else AutoModel).from_pretrained(str(path), dtype="float32", use_safetensors=True)
    return model.eval(), AutoImageProcessor.from_pretrained(str(path))


def _opened(path: Path | None):
    from PIL import Image, UnidentifiedImageError

    if path is None:
        return Image.new("RGB", (224, 224), (GREY,) * 3)
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from None


def _averaged(states, grid: int):
    """States of patches (images, patches, width) averaged over squares; a first one that is no patch stays."""
    import torch

    side = int(states.shape[1] ** 0.5)
    first = states.shape[1] - side**2
    if first not in (0, 1):
        raise DataError(f"data.vision: {states.shape[1]} states are not those of a square of patches")
    square = states[:, first:].transpose(1, 2).unflatten(2, (side, side))
    if grid < side:
        square = torch.nn.functional.adaptive_avg_pool2d(square, grid)
    return torch.cat([states[:, :first], square.flatten(2).transpose(1, 2)], 1)


# --- for examples --------------------------------------------------------------------------------------------------
def patches(images: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Patches of images, each image once.

    Returns
    -------
    index : ndarray of int (images,)
        Row of each image in the other.
    patches : ndarray (different images, patches, size of a patch)
        uint8 pixels, or float16 of a vision encoder.

    Raises
    ------
    DataError
        If an image is not there.
    """
    names = list(dict.fromkeys(images))
    row = {x: i for i, x in enumerate(names)}
    photos = isinstance(names[0], Photo)
    known = names[0].encoder.see([x.path for x in names]) if photos else np.stack([_pixels(x) for x in names])
    return np.array([row[x] for x in images]), known


def picture(image: str) -> np.ndarray:
    """An image as people see it (rows, columns, 3), uint8.

    Raises
    ------
    DataError
        If it is not there.
    """
    if isinstance(image, Photo):
        return np.asarray(_opened(image.path))
    from .pocket.scenes import SIZE, draw

    try:
        return np.full((SIZE, SIZE, 3), GREY, np.uint8) if image == BLANK else draw(image)
    except ValueError as error:
        raise DataError(str(error)) from None


def _pixels(image: str) -> np.ndarray:
    """Patches of a drawn image (patches, pixels), row by row."""
    drawn = picture(image)
    side = drawn.shape[0] // PATCH
    return drawn.reshape(side, PATCH, side, PATCH, 3).swapaxes(1, 2).reshape(side**2, -1)


def numbers(patches: np.ndarray) -> np.ndarray:
    """Patches as a model reads them, float32: pixels between -1 and 1."""
    return patches.astype(np.float32) / 127.5 - 1 if patches.dtype == np.uint8 else patches.astype(np.float32)


# --- where a projection starts --------------------------------------------------------------------------------------
def spread(layer) -> None:
    """Fresh values of a hidden layer for inputs between -1 and 1: wide enough that what it computes is not nearly linear."""
    from torch import nn

    nn.init.normal_(layer.weight, std=2 / layer.in_features**0.5)
    nn.init.uniform_(layer.bias, -2, 2)


def hidden(layer, patches: np.ndarray, images: np.ndarray, part: int = 256):
    """What a hidden layer makes of the patches of some images: Tensor (images, patches, units), float64."""
    import torch

    with torch.no_grad():
        parts = [
            torch.nn.functional.gelu(layer(torch.from_numpy(numbers(patches[images[i : i + part]]))))
            for i in range(0, len(images), part)
        ]
    return torch.cat(parts).double()


def regression(images, captions, penalty: float = 1e-3):
    """Weight and bias of a linear layer for patches: the mean over an image's patches says the words of its caption as well as it can.

    Ridge regression of the captions' mean word vectors on the images' mean hidden features (Hoerl and Kennard 1970). A patch that comes
    with a word in captions points where that word does, which no patch by itself could be told: only images have captions.

    Parameters
    ----------
    images : Tensor (captions, units), float64
        Mean hidden features of each caption's image.
    captions : Tensor (captions, width), float64
    penalty : float
        Relative to the mean variance of the features.

    Returns
    -------
    (Tensor (width, units), Tensor (width,))
    """
    import torch

    middle, mean = images.mean(0), captions.mean(0)
    x, y = images - middle, captions - mean
    products = x.T @ x
    ridge = penalty * products.diagonal().mean() + 1e-12
    weight = torch.linalg.solve(products + ridge * torch.eye(len(products), dtype=x.dtype), x.T @ y).T
    return weight, mean - weight @ middle


# --- controls ------------------------------------------------------------------------------------------------------
def blank(examples: list[dict], kind: str, seed: int) -> list[dict]:
    """The same captions (and labels) with blank images."""
    image = examples[0]["image"]
    nothing = Photo.of(None, image.encoder) if isinstance(image, Photo) else BLANK
    return [{**e, "image": nothing} for e in examples]


def shuffled(examples: list[dict], kind: str, seed: int) -> list[dict]:
    """The same captions (and labels) with the images dealt out again at random."""
    order = generator(seed, "control images").permutation(len(examples))
    return [{**e, "image": examples[i]["image"]} for e, i in zip(examples, order, strict=True)]
