"""Backbones that are built here: a small XLM-R with its own tokenizer, trained on raw text by masked language modelling.

``00_backbone`` calls :func:`build` for studies whose backbone has a recipe (``backbone: {build: …}``). Text comes from the
pocket world or from ``<data folder>/mlm_text/<language>.parquet``.
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .backbone import save_model
from .batching import Features, Ragged, TokenOrder, torch_seed
from .errors import DataError
from .kinds import kind
from .progress import tell
from .schema import Build, Data
from .study import expand, fingerprint
from .train import Device, Hyper, fit

#: raised when a recipe gives other weights than before
VERSION = 1
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
#: Thai, Lao, Myanmar, Khmer, kana and Han
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_CARD = """---
library_name: transformers
tags: [xitt]
---
# A small XLM-R

Built by xitt from raw text ({source}); {steps:,} steps, {tokens:,} tokens. A stand-in for studies of the method on small
machines: it says nothing about published models. The recipe is in `recipe.json`.
"""


def text_lines(recipe: Build, data: Data) -> dict[str, list[dict]]:
    """Raw lines by language."""
    if recipe.text == "pocket":
        from .pocket import text
        from .pocket.languages import LANGUAGES

        return text.lines(recipe.languages or LANGUAGES, recipe.lines or 10_000, recipe.seed)
    return _read_lines(recipe, _text_files(recipe, data))


def text_identity(recipe: Build, data: Data) -> dict[str, int] | str:
    """What the raw lines are known by without making them: the version of the pocket's generator, or :func:`text_fingerprint`."""
    if recipe.text == "pocket":
        from .pocket.text import VERSION

        return {"pocket": VERSION}
    return text_fingerprint(recipe, data)


def text_fingerprint(recipe: Build, data: Data) -> str:
    """SHA-256 of the raw lines of a data folder; read again only where a file has changed."""
    files = _text_files(recipe, data)
    state = tuple((x, p, p.stat().st_size, p.stat().st_mtime_ns) for x, p in files.items())
    return _fingerprint(recipe, state)


@lru_cache(maxsize=4)
def _fingerprint(recipe: Build, state: tuple) -> str:
    return fingerprint(_read_lines(recipe, {language: path for language, path, _, _ in state}))


def _text_files(recipe: Build, data: Data) -> dict[str, Path]:
    """Language → file of raw text."""
    folder = Path(expand(data.folder or "", "data.folder")).expanduser() / "mlm_text"
    if not folder.is_dir():
        raise DataError(
            f"backbone.build: {folder} is not there; it holds raw text as <language>.parquet with a column `text`"
        )
    found = {p.stem: p for p in sorted(folder.glob("*.parquet"))}
    missing = [x for x in recipe.languages or () if x not in found]
    if missing:
        raise DataError(
            f"backbone.build.languages: no text for {', '.join(missing)} in {folder}; there is {', '.join(found)}"
        )
    return {x: found[x] for x in recipe.languages or found}


def _read_lines(recipe: Build, files: dict[str, Path]) -> dict[str, list[dict]]:
    import pyarrow.parquet as pq

    out = {}
    for language, path in files.items():
        texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
        rng = np.random.default_rng([recipe.seed, len(texts)])
        chosen = rng.permutation(len(texts))[: recipe.lines] if recipe.lines else range(len(texts))
        out[language] = [{"text": texts[i]} for i in chosen]
    return out


def _own_tokenizer(recipe: Build, lines: dict[str, list[dict]], folder: Path):
    """The tokenizer of this build: trained once, since the trainer's threads make another one each time."""
    from .backbone import load_tokenizer
    from .store import fresh_folder

    if not folder.is_dir():
        a = recipe.architecture
        count = sum(map(len, lines.values()))
        tell(f"backbone: training a tokenizer of {a.vocabulary:,} pieces on {count:,} lines in {len(lines)} languages")
        with fresh_folder(folder) as fresh:
            train_tokenizer(lines, a.vocabulary, a.max_length, recipe.exponent).save_pretrained(str(fresh))
    return load_tokenizer(folder)


def train_tokenizer(lines: dict[str, list[dict]], vocabulary: int, length: int, exponent: float):
    """A Unigram tokenizer in XLM-R's form (``<s> a </s></s> b </s>``, mask last), languages weighted as in training."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    # a word of a script without spaces reads the same inside a line and by itself (as tagging gives it): no mark before it
    unspaced = Split(Regex(f"\u2581(?=[{_UNSPACED}])"), "removed")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), unspaced])
    tokenizer.decoder = decoders.Metaspace()
    share = _weights([len(x) for x in lines.values()], exponent)
    most = max(len(x) for x in lines.values())
    texts = [
        row["text"]
        for rows, w in zip(lines.values(), share / share.max(), strict=True)
        for row in rows[: max(1, int(w * most))]
    ]
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary - 1, special_tokens=list(_SPECIAL), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", sep_token="</s>", cls_token="<s>", unk_token="<unk>",
        pad_token="<pad>", mask_token="<mask>", model_max_length=length, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _weights(sizes: list[int], exponent: float) -> np.ndarray:
    """Probability of each language: size to the power of ``exponent`` (Conneau et al. 2020, section 3.1)."""
    w = np.array(sizes, float) ** exponent
    return w / w.sum()


def new_backbone(recipe: Build, tokenizer):
    """An untrained XLM-R of the recipe's size."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    a = recipe.architecture
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=a.width, num_hidden_layers=a.layers, num_attention_heads=a.heads,
        intermediate_size=a.feed_forward, max_position_embeddings=a.max_length + 2, type_vocab_size=1, layer_norm_eps=1e-5,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
    )  # fmt: skip
    torch.manual_seed(torch_seed(recipe.seed, "init"))
    return XLMRobertaForMaskedLM._from_config(config, attn_implementation="sdpa").float()


def build(recipe: Build, data: Data, folder: Path, device: Device) -> dict[str, Any]:
    """Train a backbone and leave it in ``folder/model``.

    Returns
    -------
    dict
        Summary of the training, with the number of lines and the weights' checksum.
    """
    import torch

    tell("backbone: reading or generating text")
    lines = text_lines(recipe, data)
    languages = tuple(lines)
    a = recipe.architecture
    tokenizer = _own_tokenizer(recipe, lines, folder / "tokenizer")
    model = new_backbone(recipe, tokenizer)
    if recipe.language_noise is not None and recipe.text == "pocket":
        from .pocket.text import seed_vectors

        vectors = seed_vectors(languages, tokenizer, a.width, recipe.language_noise, recipe.seed)
        with torch.no_grad():
            special = len(_SPECIAL)
            model.get_input_embeddings().weight[special:-1] = torch.from_numpy(vectors[special:-1]).float()
            model.base_model.embeddings.position_embeddings.weight.mul_(5)  # keep up with the larger word vectors
    features, group, weight = _features(recipe, lines, languages, tokenizer)
    order = TokenOrder(features.unit_lengths, group, weight, recipe.batch_tokens, recipe.tokens, recipe.seed)
    hyper = Hyper(
        lr=recipe.lr,
        epochs=1,
        batch=0,
        length=recipe.length,
        max_steps=order.steps,
        weight_decay=0.01,
        warmup=0.05,
        clip=1.0,
        eval_every=order.steps,
        eval_examples=0,
        eps=1e-6,
    )
    summary = fit(
        model,
        kind("mlm"),
        features,
        order,
        hyper,
        recipe.seed,
        device,
        folder,
        tokenizer.pad_token_id,
        "backbone",
    )
    source = "the pocket world" if recipe.text == "pocket" else "mlm_text"
    card = _CARD.format(source=source, steps=summary["steps"], tokens=summary["tokens"])
    checksum = save_model(model.cpu(), tokenizer, folder / "model", card)
    shutil.rmtree(folder / "tokenizer")
    return {
        **summary,
        "lines": sum(map(len, lines.values())),
        "languages": list(languages),
        "weights": checksum,
    }


def _features(
    recipe: Build, lines: dict, languages: tuple[str, ...], tokenizer
) -> tuple[Features, np.ndarray, np.ndarray]:
    """All rows encoded, the collection each belongs to, and how often each collection is drawn."""
    mlm = kind("mlm")
    parts = [mlm.encode(lines[x], tokenizer, recipe.length, masked=recipe.masked) for x in languages]
    weight = _weights([len(lines[x]) for x in languages], recipe.exponent)
    if recipe.text == "pocket" and recipe.pairs > 0:
        from .pocket import text

        pairs = text.pairs(languages, 2 * (recipe.lines or 10_000), recipe.seed)
        parts.append(mlm.encode(pairs, tokenizer, recipe.length, masked=recipe.masked))
        weight = np.append(weight * (1 - recipe.pairs), recipe.pairs)
    group = np.concatenate([np.full(len(p.ids), i) for i, p in enumerate(parts)])
    values = np.concatenate([p.ids.values for p in parts])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([p.ids.lengths for p in parts]))])
    return Features(Ragged(values, offsets), np.arange(len(group)), None, extra=parts[0].extra), group, weight
