"""Sentence retrieval without training: embed and mine; the search itself is ``xitt.search``.

Vectors are means over the tokens of one layer (paper_facts 2.5) or its first token, of unit length. Margins follow Artetxe and Schwenk (2019), section 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .batching import Ragged, stream
from .progress import Progress
from .search import MEMORY, both_ways, nearest, rank
from .vectors import Shelf, Vectors

__all__ = ["MEMORY", "VERSION", "best_threshold", "embed", "margins", "mine", "nearest", "rank"]

#: raised when the numbers change
VERSION = 1

#: architectures whose hidden states are what goes into the first layer and what comes out of each
_BY_LAYER = ("bert", "roberta", "xlm-roberta")
_TOKENISED = 8192  # texts tokenised at a time: the tokenizer's lists take many times the memory of the ids


# --- embedding -----------------------------------------------------------------------------------------------------
def embed(
    model, tokenizer, texts: list[str], layers: tuple[int, ...], length: int, device, memory: int | None = None,
    folder: Path | None = None, tokenise=None, pool: str = "mean",
) -> dict[int, np.ndarray]:  # fmt: skip
    """Pooled unit vectors of several layers from one forward pass.

    Parameters
    ----------
    texts : list of str
        Best each once.
    layers : tuple of int
        Indices into ``hidden_states``; 0 is the embeddings. Nothing is computed above the highest.
    length : int
        Most tokens of a text.
    memory : int, optional
        Bytes of vectors to hold. More of them are kept in ``folder``, in half precision (a cosine moves by about 1e-4), written as
        they are made; a second call with the same texts goes on from what is there. The caller deletes the folder.
    folder : pathlib.Path, optional
    tokenise : callable, optional
        In place of :func:`tokenised`, for example from what is kept (``xitt.encoded.texts``).
    pool : str
        ``mean`` over the tokens, ``<s>`` and ``</s>`` included (paper_facts 2.5), or ``cls``: the first token alone.

    Returns
    -------
    dict of int to ndarray (texts, width)
        float32, or float16 mapped from disk.

    Raises
    ------
    DataError
        If the disk has no room.
    """
    width = model.config.hidden_size
    each = 4 * width * len(layers)
    if folder is None or memory is None or len(texts) * each <= memory:
        return dict(zip(layers, _pooled(model, tokenizer, texts, layers, length, device, tokenise, pool), strict=True))
    how = f"{length} tokens" if pool == "mean" else f"{length} tokens, {pool}"
    shelf, step = Shelf(folder, texts, layers, width, how), max(1, memory // each)
    progress = Progress("embedding", len(texts), shelf.done)
    while shelf.done < len(texts):
        some = texts[shelf.done : shelf.done + step]
        shelf.add(_pooled(model, tokenizer, some, layers, length, device, tokenise, pool))
        progress.step(shelf.done)
    return shelf.open()


def _pooled(
    model, tokenizer, texts: list[str], layers: tuple[int, ...], length: int, device, tokenise, pool: str
) -> np.ndarray:
    """Unit vectors of some texts (layers, texts, width), float32, from one length-sorted stream."""
    import torch

    from . import products
    from .train import to_device

    if device.attention != "padded":
        products.install(model)
    ids = (tokenise or tokenised)(tokenizer, texts, length)
    vectors = np.empty((len(layers), len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for rows in stream(ids.lengths, 1, device.eval_batch_tokens):
            matrix = ids.padded(rows, tokenizer.pad_token_id).astype(np.int64)
            mask = (np.arange(matrix.shape[1])[None, :] < ids.lengths[rows][:, None]).astype(np.int64)
            batch = to_device({"input_ids": matrix, "attention_mask": mask}, device)
            with device.autocast():
                found = _layer_vectors(model, batch, layers, pool)
            vectors[:, rows] = torch.nn.functional.normalize(found, dim=-1).cpu().numpy()
    return vectors


def tokenised(tokenizer, texts: list[str], length: int) -> Ragged:
    """Token ids of texts; the tokenizer's own lists are let go part by part."""
    parts = [
        Ragged.of(tokenizer(texts[i : i + _TOKENISED], truncation=True, max_length=length)["input_ids"])
        for i in range(0, len(texts), _TOKENISED)
    ]
    values = np.concatenate([p.values for p in parts])
    return Ragged(values, np.concatenate([[0], np.cumsum(np.concatenate([p.lengths for p in parts]))]))


class _Enough(Exception):
    """The highest layer asked for is computed."""


def _layer_vectors(model, batch: dict, layers: tuple[int, ...], pool: str):
    """Mean over the tokens of some layers, or their first token (layers, rows, width), float32.

    Taken while the model computes, so that one hidden state is held where ``output_hidden_states`` holds all (25 of XLM-R Large),
    and no layer above the highest is computed.
    """
    import torch

    weight = batch["attention_mask"][:, :, None].float()
    total = weight.sum(1)

    def pooled(state):
        return state[:, 0].float() if pool == "cls" else (state.float() * weight).sum(1) / total

    if model.config.model_type not in _BY_LAYER:
        states = model(**batch, output_hidden_states=True).hidden_states
        return torch.stack([pooled(states[layer]) for layer in layers])
    found = {}

    def keep(layer: int, state) -> None:
        if layer in layers:
            found[layer] = pooled(state)
        if layer == max(layers):
            raise _Enough

    blocks = model.encoder.layer
    handles = [blocks[0].register_forward_pre_hook(lambda _, given: keep(0, given[0]))]
    for number, block in enumerate(blocks, 1):
        handles.append(block.register_forward_hook(lambda _, given, made, number=number: keep(number, made)))
    try:
        model(**batch)
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack([found[layer] for layer in layers])


# --- mining --------------------------------------------------------------------------------------------------------
class Margins(NamedTuple):
    """Ratio margins of two sets to their nearest neighbours in each other.

    Attributes
    ----------
    forward, backward : ndarray (rows, k), float32
        Of each row of the first set, and of the second, with its neighbours.
    to_second, to_first : ndarray (rows, k), int64
        The neighbours, nearest by cosine first.
    """

    forward: np.ndarray
    to_second: np.ndarray
    backward: np.ndarray
    to_first: np.ndarray


def margins(
    first: np.ndarray | Vectors, second: np.ndarray | Vectors, k: int = 4, *, memory: int = MEMORY, device: str = "cpu"
) -> Margins:
    """Ratio margins both ways (Artetxe and Schwenk 2019, section 3), without the full matrix.

    The margin of a pair is its cosine over the mean cosine of both rows to their ``k`` nearest neighbours in the other set; parameters
    as of :func:`xitt.search.both_ways`.
    """
    (forward, to_second), (backward, to_first) = both_ways(first, second, k, memory=memory, device=device)
    mean_first, mean_second = forward.mean(1), backward.mean(1)
    return Margins(
        forward / ((mean_first[:, None] + mean_second[to_second]) / 2), to_second,
        backward / ((mean_second[:, None] + mean_first[to_first]) / 2), to_first,
    )  # fmt: skip


def mine(
    first: np.ndarray | Vectors, second: np.ndarray | Vectors, k: int = 4, *, memory: int = MEMORY, device: str = "cpu"
) -> list[tuple[int, int, float]]:
    """Pairs of rows by ratio margin, each row used once, best first (paper_facts 2.5).

    The candidates are the best partner of each row in both directions; parameters as of :func:`margins`.
    """
    margin_f, to_second, margin_b, to_first = margins(first, second, k, memory=memory, device=device)
    best_f, best_b = margin_f.argmax(1), margin_b.argmax(1)
    rows_f, rows_b = np.arange(len(first)), np.arange(len(second))
    pairs = np.concatenate(
        [np.stack([rows_f, to_second[rows_f, best_f]], 1), np.stack([to_first[rows_b, best_b], rows_b], 1)]
    )
    values = np.concatenate([margin_f[rows_f, best_f], margin_b[rows_b, best_b]])
    used_first, used_second, mined = set(), set(), []
    for i in np.argsort(-values, kind="stable"):
        a, b = int(pairs[i, 0]), int(pairs[i, 1])
        if a not in used_first and b not in used_second:
            used_first.add(a)
            used_second.add(b)
            mined.append((a, b, float(values[i])))
    return mined


def best_threshold(margins: np.ndarray, right: np.ndarray, gold: int) -> float:
    """The margin that maximises F1 when pairs at or above it are kept.

    Parameters
    ----------
    margins : ndarray (pairs,)
        Best first.
    right : ndarray of bool (pairs,)
    gold : int
        Number of gold pairs.

    Returns
    -------
    float
        Midway between the last pair kept and the next one; ``inf`` where no pair is right.
    """
    if not right.any():
        return float("inf")
    found = np.cumsum(right)
    f1 = 2 * found / (np.arange(1, len(margins) + 1) + gold)
    tied = np.append(margins[:-1] == margins[1:], False)  # no threshold cuts between equal margins
    best = int(np.where(tied, -1.0, f1).argmax())
    following = margins[best + 1] if best + 1 < len(margins) else margins[best]
    return float((margins[best] + following) / 2)
