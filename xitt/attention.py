"""Attention within each sequence of a packed row (``xitt.packing``), by the kernel that suits device, precision and dropout."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from . import dropout as drops

#: multiplications for the scores of a sequence, on average, under which calls cost more than products
SMALL = 2**17
#: a group's shortest sequence is at least this share of its longest
NEAR = 0.8


def attention(
    module, query, key, value, attention_mask, dropout: float = 0.0, scaling: float | None = None,
    cu_seqlens=None, segments=None, **kwargs,
):  # fmt: skip
    """Attention within each sequence of a packed row; without ``cu_seqlens`` transformers' SDPA.

    Parameters
    ----------
    query, key, value : Tensor (1, heads, tokens, width of a head)
        What follows the last sequence (``xitt.packing.filler``) is not looked at and is 0 in the result.

    Returns
    -------
    (Tensor, None)
        (1, tokens, heads, width of a head); no weights.
    """
    if cu_seqlens is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    flat = [x[0].transpose(0, 1) for x in (query, key, value)]  # (tokens, heads, width): how they lie in memory
    if query.is_cuda and not dropout and query.dtype in (torch.bfloat16, torch.float16):
        from torch.nn.attention.varlen import varlen_attn

        longest = segments[0][1]
        return varlen_attn(*flat, cu_seqlens, cu_seqlens, longest, longest, scale=scaling)[None], None
    if dropout and not query.is_cuda:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return _Dropped.apply(*flat, segments, dropout, scale)[None], None
    return _by_length(*flat, segments, dropout, scaling)[None], None


def _by_length(query, key, value, segments, dropout: float, scaling: float | None):
    """SDPA over the sequences of each length: nothing is padded, and each call reads its part of the row where it lies."""
    sizes = [number * length for number, length in segments]
    done, tokens = [], sum(sizes)
    for (number, length), *parts in zip(segments, *(x[:tokens].split(sizes) for x in (query, key, value)), strict=True):
        q, k, v = (x.unflatten(0, (number, length)).transpose(1, 2) for x in parts)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        done.append(mixed.transpose(1, 2).flatten(0, 1))
    if len(query) > tokens:
        done.append(value.new_zeros(len(query) - tokens, *value.shape[1:], dtype=done[0].dtype))
    return torch.cat(done)


class _Dropped(torch.autograd.Function):
    """Attention with dropout of its weights on a CPU, where SDPA has no fused kernel for it; computed in float32.

    Sequences, or groups of small ones, go through all operations one after the other while their weights are in the cache. Kept for the
    gradients are the weights before dropout and which of them stay.
    """

    @staticmethod
    def forward(ctx, query, key, value, segments, rate, scale):
        how = _layout(segments, *query.shape)
        kept, (query, key, value) = value.dtype, (how.lay(x) for x in (query, key, value))
        query = query * scale
        weights = query.new_empty(how.size)
        stays, more = drops.stays(how.size, rate)
        mixed = torch.empty_like(value, memory_format=torch.contiguous_format)
        with torch.autocast("cpu", enabled=False):
            for q, k, v, w, s, past, out in zip(
                *(how.parts(x) for x in (query, key, value)), how.squares(weights), how.squares(stays), how.past,
                how.parts(mixed), strict=True,
            ):  # fmt: skip
                k = k.transpose(1, 2)  # noqa: PLW2901
                torch.softmax(torch.bmm(q, k) if past is None else torch.baddbmm(past, q, k), -1, out=w)
                _bmm(w * s, v, out)
        ctx.save_for_backward(query, key, value, weights, stays)
        ctx.how, ctx.scale, ctx.more = how, scale, more
        return how.collect(mixed).mul_(more).to(kept)

    @staticmethod
    def backward(ctx, grad):
        query, key, value, weights, stays = ctx.saved_tensors
        how = ctx.how
        by = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)]
        for g, q, k, v, w, s, by_q, by_k, by_v in zip(
            *(how.parts(x) for x in (how.lay(grad) * ctx.more, query, key, value)),
            how.squares(weights), how.squares(stays), *(how.parts(x) for x in by), strict=True,
        ):  # fmt: skip
            _bmm((w * s).transpose(1, 2), g, by_v)
            by_weight = torch.bmm(g, v.transpose(1, 2)).mul_(s)
            by_score = torch._softmax_backward_data(by_weight, w, -1, torch.float32)
            _bmm(by_score, k, by_q)
            _bmm(by_score.transpose(1, 2), q, by_k)
        by[0].mul_(ctx.scale)
        return *(how.collect(x).to(grad.dtype) for x in by), None, None, None


def _bmm(a, b, out) -> None:
    """Products into a view; where it is not contiguous, by way of a copy, which is faster than writing there."""
    if out.is_contiguous():
        torch.bmm(a, b, out=out)
    else:
        out.copy_(torch.bmm(a, b))


@lru_cache(maxsize=4)  # the layers of a model ask for the same one
def _layout(segments: tuple, rows: int, heads: int, width: int):
    """How the sequences of a packed row of so many rows are brought before the products."""
    lengths = [length for number, length in segments for _ in range(number)]
    work = heads * width * sum(n * n for n in lengths) / len(lengths)
    return (_Grouped if work < SMALL else _BySequence)(lengths, rows, heads)


class _BySequence:
    """Each sequence by itself; its values are read where they lie: (heads, length, width)."""

    def __init__(self, lengths: list[int], rows: int, heads: int):
        self.lengths, self.heads, self.tokens = lengths, heads, sum(lengths)
        self.sizes = [heads * n * n for n in lengths]
        self.size, self.past = sum(self.sizes), [None] * len(lengths)

    def lay(self, values):
        return values.float()

    def parts(self, values) -> list:
        return [x.transpose(0, 1) for x in values[: self.tokens].split(self.lengths)]

    def squares(self, flat) -> list:
        """Weights, as views of one array."""
        return [x.view(self.heads, n, n) for x, n in zip(flat.split(self.sizes), self.lengths, strict=True)]

    def collect(self, values):
        values[self.tokens :] = 0
        return values


class _Grouped:
    """Sequences of about one length together, filled up to the longest: (sequences × heads, length, width).

    What the calls cost is more than the products where these are small, so that fewer of them are worth some padding.
    """

    def __init__(self, lengths: list[int], rows: int, heads: int):
        ends, self.heads, self.rows = np.cumsum(lengths), heads, rows
        starts, tokens = ends - lengths, int(ends[-1])
        self.shapes, self.past, source = [], [], []
        back, first, i = np.empty((tokens, heads), np.int64), 0, 0
        while i < len(lengths):  # longest first
            longest = lengths[i]
            j = next((n for n in range(i, len(lengths)) if lengths[n] < NEAR * longest), len(lengths))
            place = np.arange(longest)
            inside = place < np.array(lengths[i:j])[:, None]
            token = np.where(inside, starts[i:j, None] + place, rows)
            source.append((token[:, None] * heads + np.arange(heads)[:, None]).ravel())
            row = first + np.arange((j - i) * heads * longest).reshape(j - i, heads, longest)
            back[token[inside]] = row.transpose(0, 2, 1)[inside]
            self.shapes.append(((j - i) * heads, longest))
            self.past.append(self._past(inside))
            first, i = first + row.size, j
        self.source, self.back = torch.from_numpy(np.concatenate(source)), torch.from_numpy(back.ravel())
        self.tall, self.sizes = [a * n for a, n in self.shapes], [a * n * n for a, n in self.shapes]
        self.size = sum(self.sizes)

    def _past(self, inside):
        """What is added to scores (sequences × heads, 1, longest) so that nothing looks past a sequence's end."""
        if inside.all():
            return None
        past = torch.zeros(len(inside), self.heads, 1, inside.shape[1])
        return past.masked_fill_(torch.from_numpy(~inside)[:, None, None], -torch.inf).flatten(0, 1)

    def lay(self, values):
        filled = values.new_zeros((len(values) + 1, *values.shape[1:]), dtype=torch.float32)
        filled[:-1] = values
        return filled.flatten(0, 1).index_select(0, self.source)

    def parts(self, values) -> list:
        return [x.view(*shape, -1) for x, shape in zip(values.split(self.tall), self.shapes, strict=True)]

    def squares(self, flat) -> list:
        return [x.view(a, n, n) for x, (a, n) in zip(flat.split(self.sizes), self.shapes, strict=True)]

    def collect(self, values):
        found = values.new_zeros(self.rows * self.heads, values.shape[-1])
        torch.index_select(values, 0, self.back, out=found[: len(self.back)])
        return found.view(self.rows, self.heads, -1)
