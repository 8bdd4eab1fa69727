"""Attention within each sequence of a packed row (``xitt.packing``), by the kernel that suits device, precision and dropout."""

from __future__ import annotations

import torch

from . import dropout as drops


def attention(
    module, query, key, value, attention_mask, dropout: float = 0.0, scaling: float | None = None,
    cu_seqlens=None, segments=None, **kwargs,
):  # fmt: skip
    """Attention within each sequence of a packed row; without ``cu_seqlens`` transformers' SDPA.

    Parameters
    ----------
    query, key, value : Tensor (1, heads, tokens, width of a head)

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
    done = []
    for (number, length), *parts in zip(segments, *(x.split(sizes) for x in (query, key, value)), strict=True):
        q, k, v = (x.unflatten(0, (number, length)).transpose(1, 2) for x in parts)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        done.append(mixed.transpose(1, 2).flatten(0, 1))
    return torch.cat(done)


class _Dropped(torch.autograd.Function):
    """Attention with dropout of its weights on a CPU, where SDPA has no fused kernel for it; computed in float32.

    Each sequence goes through all operations while its weights are in the cache; query, key and value are read where they lie.
    Kept for the gradients are the weights before dropout and which of them stay.
    """

    @staticmethod
    def forward(ctx, query, key, value, segments, rate, scale):
        heads, lengths, kept = (
            query.shape[1],
            [length for number, length in segments for _ in range(number)],
            value.dtype,
        )
        query, key, value = query.float() * scale, key.float(), value.float()
        weights = query.new_empty(heads * sum(n * n for n in lengths))
        stays, more = drops.stays(len(weights), rate)
        mixed = torch.empty_like(value, memory_format=torch.contiguous_format)
        with torch.autocast("cpu", enabled=False):
            for q, k, v, w, s, out in zip(
                *(_rows(x, lengths) for x in (query, key, value)), *(_squares(x, heads, lengths) for x in (weights, stays)),
                _rows(mixed, lengths), strict=True,
            ):  # fmt: skip
                torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1, out=w)
                out.copy_(torch.bmm(w * s, v))
        ctx.save_for_backward(query, key, value, weights, stays)
        ctx.lengths, ctx.scale, ctx.more = lengths, scale, more
        return mixed.mul_(more).to(kept)

    @staticmethod
    def backward(ctx, grad):
        query, key, value, weights, stays = ctx.saved_tensors
        heads, lengths = query.shape[1], ctx.lengths
        by = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)]
        for g, q, k, v, w, s, by_q, by_k, by_v in zip(
            *(_rows(x, lengths) for x in (grad.float() * ctx.more, query, key, value)),
            *(_squares(x, heads, lengths) for x in (weights, stays)), *(_rows(x, lengths) for x in by), strict=True,
        ):  # fmt: skip
            by_v.copy_(torch.bmm((w * s).transpose(1, 2), g))
            by_weight = torch.bmm(g, v.transpose(1, 2)).mul_(s)
            by_score = torch._softmax_backward_data(by_weight, w, -1, torch.float32)
            by_q.copy_(torch.bmm(by_score, k))
            by_k.copy_(torch.bmm(by_score.transpose(1, 2), q))
        by[0].mul_(ctx.scale)
        return *(x.to(grad.dtype) for x in by), None, None, None


def _rows(values, lengths: list[int]) -> list:
    """Values of each sequence, (heads, length, width), as views."""
    return [x.transpose(0, 1) for x in values.split(lengths)]


def _squares(flat, heads: int, lengths: list[int]) -> list:
    """Weights of each sequence, (heads, length, length), as views of one array."""
    return [x.view(heads, n, n) for x, n in zip(flat.split([heads * n * n for n in lengths]), lengths, strict=True)]
