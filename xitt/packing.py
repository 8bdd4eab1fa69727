"""Packed rows: all tokens of a batch in one row, without padding, and attention within each sequence of it.

Linear layers, norms and feed-forward blocks read single tokens: in one row (1, tokens) they compute no padding. Only attention
has to know where a sequence ends. It is a function registered with transformers' attention interface; what it needs goes through
the model's keyword arguments, and without them it is transformers' own SDPA, so that a model reads padded batches as before.

What a packed batch holds beside ``input_ids`` and ``position_ids`` (1, tokens):

``starts`` (sequences,)
    Place of each sequence's first token, in the order of the rows asked for.
``cu_seqlens`` (sequences + 1,), int32
    Where the sequences lie, in the order they are packed: longest first, so that those of one length lie side by side.
``segments`` tuple of (number, length)
    The same on the host: runs of sequences of one length.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from .batching import Ragged
from .errors import ParameterError

#: name of the attention function in transformers' registries
NAME = "xitt_packed"
#: architectures whose layers pass keyword arguments on and whose positions count from ``padding_idx + 1``
MODELS = ("roberta", "xlm-roberta")


# --- which models --------------------------------------------------------------------------------------------------
def wanted(model, attention: str) -> bool:
    """Whether a model reads packed batches; if so, it is made to.

    Parameters
    ----------
    attention : {"auto", "packed", "padded"}
        ``engine.attention``.

    Raises
    ------
    ParameterError
        If packing is asked for and the model's architecture cannot.
    """
    config = model.base_model.config
    if attention == "packed":
        check(model, "engine.attention: packed")
    if attention == "padded" or config.model_type not in MODELS:
        return False
    if config._attn_implementation != NAME:
        _register()
        config._attn_implementation = NAME
    return True


def path(model, device, training: bool = False) -> str:
    """How a model's attention is computed on a device (``xitt.train.Device``), for records."""
    if not wanted(model, device.attention):
        return "padded, sdpa"
    half = device.name.startswith("cuda") and device.precision == "bfloat16"
    free = not training or not any(_dropout(model))
    if not free and not device.name.startswith("cuda"):
        return "packed, dropped by sequence"
    return "packed, " + ("varlen_attn" if half and free else "sdpa by length")


def _dropout(model) -> list[float]:
    """Dropout of attention weights, layer by layer."""
    return [layer.attention.self.dropout.p for layer in model.base_model.encoder.layer]


def drop_no_attention(model) -> None:
    """Turns the dropout of attention weights off; the model's configuration, which is saved, keeps it.

    Raises
    ------
    ParameterError
        If the model's layers are not laid out as (XLM-)RoBERTa's are.
    """
    check(model, "engine.attention_dropout: false")
    for layer in model.base_model.encoder.layer:
        layer.attention.self.dropout.p = 0.0


def check(model, setting: str) -> None:
    """An error that names the setting if a model's architecture cannot be packed."""
    if (found := model.base_model.config.model_type) not in MODELS:
        raise ParameterError(
            f"{setting} works with {' and '.join(MODELS)}, and the backbone is {found}; use engine.attention: auto or padded"
        )


@cache
def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    from .attention import attention

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)  # for padded batches; a packed one has no mask


# --- batches -------------------------------------------------------------------------------------------------------
def order(lengths: np.ndarray) -> np.ndarray:
    """Order in which rows are packed: longest first."""
    return np.argsort(-lengths, kind="stable")


def pack(ids: Ragged, rows: np.ndarray, pad: int) -> dict:
    """Some rows as one (see the module's head)."""
    lengths = ids.lengths[rows]
    by_length = order(lengths)
    ordered = lengths[by_length]
    ends = np.cumsum(ordered)
    starts = np.empty(len(rows), np.int64)
    starts[by_length] = ends - ordered
    return {
        "input_ids": ids.flat(rows[by_length]).astype(np.int64)[None],
        "position_ids": (pad + 1 + places(ordered))[None],
        "starts": starts,
        "cu_seqlens": np.concatenate([[0], ends]).astype(np.int32),
        "segments": _segments(ordered),
    }


def places(lengths: np.ndarray) -> np.ndarray:
    """0, 1, … within each of some rows that follow each other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _segments(lengths: np.ndarray) -> tuple[tuple[int, int], ...]:
    first = np.flatnonzero(np.diff(lengths, prepend=-1))
    return tuple(zip(np.diff(first, append=len(lengths)).tolist(), lengths[first].tolist(), strict=True))


# --- the encoder ---------------------------------------------------------------------------------------------------
def encode(model, batch: dict, at=None):
    """Last hidden states (tokens, width) of a packed batch.

    Parameters
    ----------
    batch : dict
        ``inputs_embeds`` (1, tokens, width) in it goes before ``input_ids``.
    at : Tensor of int or bool (tokens,), optional
        Places that are read: what follows the last attention is computed for them alone.
    """
    import torch

    base = model.base_model
    how = {name: batch[name] for name in ("position_ids", "cu_seqlens", "segments")}
    given = "inputs_embeds" if "inputs_embeds" in batch else "input_ids"
    hidden = base.embeddings(**{given: batch[given]}, position_ids=batch["position_ids"])
    tokens = hidden.shape[1]
    if more := filler(tokens, hidden.device.type):
        hidden = torch.nn.functional.pad(hidden, (0, 0, 0, more))
    *layers, last = base.encoder.layer
    for layer in layers:
        hidden = layer(hidden, None, **how)
    if at is None:
        return last(hidden, None, **how)[0, :tokens]
    places = at.nonzero()[:, 0] if at.dtype == torch.bool else at
    read = len(places)
    if more := filler(len(places), hidden.device.type):
        places = torch.nn.functional.pad(places, (0, more))
    mixed = last.attention.self(hidden, None, **how)[0]
    return last.feed_forward_chunk(last.attention.output(mixed[:, places], hidden[:, places]))[0, :read]


def filler(tokens: int, device: str) -> int:
    """Rows of zeros after a packed row's tokens that nothing reads: on a CPU few sizes of rows occur, 2 to 3 % are added.

    oneDNN makes a kernel for each size of a product and keeps the last 1,024 of them. Rows of ever new sizes would have it make a dozen
    in each step and, from some hundred steps on, throw as many away: 15 % of a small encoder's step, and more and more memory.
    """
    if device != "cpu":
        return 0
    return -tokens % max(8, 1 << max(0, tokens.bit_length() - 5))


def first(model, batch: dict):
    """Last hidden state of each sequence's first token (sequences, 1, width): what heads take for a batch of rows."""
    return encode(model, batch, batch["starts"])[:, None]


def rows(values, batch: dict, fill: float):
    """Values per token (tokens, …) as rows (sequences, longest, …), filled up at the end, in the order asked for."""
    import torch

    starts, longest = batch["starts"], batch["segments"][0][1]
    lengths = torch.empty_like(starts)
    lengths[starts.argsort()] = batch["cu_seqlens"].diff().to(starts.dtype)
    place = torch.arange(longest, device=starts.device)
    inside = place < lengths[:, None]
    at = torch.where(inside, starts[:, None] + place, 0)
    shape = (*inside.shape, *[1] * (values.dim() - 1))
    return values[at].masked_fill(~inside.view(shape), fill)
