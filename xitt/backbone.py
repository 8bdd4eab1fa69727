"""Encoders and their tokenizers: load, save, inspect.

Every encoder is a folder in Hugging Face layout. What goes from phase to phase is the encoder alone: a model for the
next task is made with a fresh head, then the encoder's weights are copied in.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from . import hub
from .errors import DataError
from .parameters import expand
from .schema import Backbone
from .store import checksum

_VOCABULARIES = ("tokenizer.json", "sentencepiece.bpe.model")
_TOKENIZER_FILES = (*_VOCABULARIES, "tokenizer_config.json")


def from_record(path: Path, record: dict, origin: str) -> Encoder:
    """The encoder of a finished run, with the checksums its record holds."""
    known = record["encoder"]
    return Encoder(path, known["weights"], known["tokenizer"], origin, known["config"])


@dataclass(frozen=True)
class Encoder:
    """An encoder on disk.

    Attributes
    ----------
    path : pathlib.Path
        Folder with ``config.json``, weights and tokenizer.
    weights, tokenizer, config : str
        SHA-256 of the weight files, of the tokenizer's files and of ``config.json``.
    origin : str
        Where it came from, for people.
    """

    path: Path
    weights: str
    tokenizer: str
    origin: str
    config: str

    @property
    def identity(self) -> dict[str, str]:
        """What a fingerprint needs to know of it."""
        return {"weights": self.weights, "tokenizer": self.tokenizer, "config": self.config}


def quiet() -> None:
    """Keep transformers' load reports and bars out of notebooks."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def open_folder(path: Path, origin: str) -> Encoder:
    """An encoder from a folder in Hugging Face layout.

    Raises
    ------
    DataError
        If a file is missing or is a pickle.
    """
    if not (path / "config.json").is_file():
        raise DataError(f"backbone: {path} has no config.json (a folder in Hugging Face layout is expected)")
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise DataError(
            f"backbone: {path} has no *.safetensors; weights in other forms are not loaded (pickles run code)"
        )
    tokenizer = [path / f for f in _TOKENIZER_FILES if (path / f).is_file()]
    if not any((path / f).is_file() for f in _VOCABULARIES):
        raise DataError(f"backbone: {path} has no tokenizer ({' or '.join(_VOCABULARIES)})")
    _check_weights(path)
    return Encoder(path, checksum(*weights), checksum(*tokenizer), origin, checksum(path / "config.json"))


def _check_weights(path: Path) -> None:
    """All shards are there and whole, and the layers are those of the config: a library would fill gaps with random numbers."""
    from safetensors import SafetensorError, safe_open

    weights = sorted(path.glob("*.safetensors"))
    index = path / "model.safetensors.index.json"
    if index.is_file():
        named = set(json.loads(index.read_text())["weight_map"].values())
        gone = sorted(named - {w.name for w in weights})
        if gone:
            raise DataError(f"backbone: {path} lacks {', '.join(gone)}, which its index names")
    keys: set[str] = set()
    for file in weights:
        try:
            with safe_open(file, "np") as tensors:
                keys |= set(tensors.keys())
        except SafetensorError as error:
            raise DataError(f"backbone: {file} is damaged ({error})") from None
    layers = {int(m[1]) for k in keys if (m := re.search(r"encoder\.layer\.(\d+)\.", k))}
    wanted = json.loads((path / "config.json").read_text()).get("num_hidden_layers")
    if layers and wanted is not None and layers != set(range(wanted)):
        raise DataError(
            f"{path}: the checkpoint does not fit its config: it has {len(layers)} layers, the config says {wanted}"
        )


def fetch(backbone: Backbone, root: Path, offline: bool = False) -> Encoder:
    """The encoder of ``backbone: {hub: …}`` or ``{folder: …}``; built ones are made by ``xitt.build``."""
    if backbone.folder:
        path = Path(expand(backbone.folder, "backbone.folder")).expanduser()
        path = path if path.is_absolute() else root / path
        return open_folder(path.resolve(), f"folder {path.name}")
    revision = backbone.revision or "main"
    try:
        path = hub.snapshot(backbone.hub, revision, ["*.json", "*.safetensors", "*.model"], offline)
    except DataError as error:
        raise DataError(
            f"backbone: {backbone.hub}@{revision} cannot be had: {error}\n"
            "  with a copy on disk use `backbone: {folder: ...}`"
        ) from None
    return open_folder(path, f"{backbone.hub}@{path.name[:12]}")


def load_tokenizer(path: Path):
    """The tokenizer of an encoder; what is saved of it does not say whether the network was allowed when it was loaded."""
    from transformers import AutoTokenizer

    quiet()
    tokenizer = AutoTokenizer.from_pretrained(str(path))
    # transformers writes this into tokenizer_config.json, true where HF_HUB_OFFLINE is set, and the file's checksum is in
    # fingerprints; nothing reads it back. As it is without the variable, so that runs made without it stay what they are
    tokenizer.init_kwargs["local_files_only"] = False
    return tokenizer


def load_encoder(path: Path):
    """The bare encoder in float32, ready for inference."""
    from transformers import AutoModel

    quiet()
    return AutoModel.from_pretrained(
        str(path), dtype="float32", attn_implementation="sdpa", add_pooling_layer=False
    ).eval()


def new_model(path: Path, auto_class: str, seed: int, **config):
    """A task model in float32: fresh head (from ``seed``), encoder weights from ``path``.

    A pooler that the checkpoint has goes along; one that it lacks is fresh (XLM-R is published without).
    """
    import torch
    import transformers

    quiet()
    _check_weights(path)
    configuration = transformers.AutoConfig.from_pretrained(str(path), **config)
    configuration.dtype = "float32"
    torch.manual_seed(seed)
    model = getattr(transformers, auto_class).from_config(configuration, attn_implementation="sdpa").float()
    pooled = model.base_model.pooler is not None
    source = transformers.AutoModel.from_pretrained(str(path), dtype="float32", add_pooling_layer=pooled)
    weights = source.state_dict()
    if pooled and not _has_pooler(path):
        weights = {k: v for k, v in weights.items() if not k.startswith("pooler.")}
    missing, unexpected = model.base_model.load_state_dict(weights, strict=False)
    if unexpected or any(not k.startswith("pooler.") for k in missing):
        raise DataError(
            f"{path}: the checkpoint does not fit its config (missing {missing[:3]}, unexpected {unexpected[:3]})"
        )
    return model


def load_model(path: Path, auto_class: str):
    """A trained task model with its head."""
    import transformers

    quiet()
    model = getattr(transformers, auto_class).from_pretrained(str(path), dtype="float32", attn_implementation="sdpa")
    return model.eval()


def _has_pooler(path: Path) -> bool:
    from safetensors import safe_open

    for file in path.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            if any("pooler." in key for key in tensors.keys()):  # noqa: SIM118 - not a dict
                return True
    return False


def save_model(model, tokenizer, folder: Path, card: str) -> str:
    """Write model, tokenizer and model card; returns the weights' SHA-256."""
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    (folder / "README.md").write_text(card, encoding="utf-8")
    return checksum(*sorted(folder.glob("*.safetensors")))


def describe(encoder: Encoder) -> dict[str, str | int]:
    """Size and shape of an encoder, without loading it into a model."""
    from safetensors import safe_open

    config = json.loads((encoder.path / "config.json").read_text())
    parameters = 0
    for file in encoder.path.glob("*.safetensors"):
        with safe_open(file, "np") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - not a dict
                size = 1
                for n in tensors.get_slice(key).get_shape():
                    size *= n
                parameters += size
    return {
        "origin": encoder.origin,
        "architecture": config["architectures"][0],
        "layers": config["num_hidden_layers"],
        "width": config["hidden_size"],
        "heads": config["num_attention_heads"],
        "vocabulary": config["vocab_size"],
        "positions": config["max_position_embeddings"] - 2,
        "parameters": parameters,
        "weights SHA-256": encoder.weights[:12],
    }
