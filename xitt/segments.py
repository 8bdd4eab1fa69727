"""Attention with dropout over packed sequences on the CPU, as one node of the graph.

torch's own attention with dropout is a dozen small operations for every length of sequence in a batch, and as many again backwards: in a
small encoder that is more time than their arithmetic. Here they are the same operations on the same operands in the same order, to the last
bit, without a graph of their own; what is done element by element is done once for all lengths.
"""

from __future__ import annotations

import math

import torch

from . import dropout


def attention(query, key, value, segments, p: float, scale: float | None):
    """Attention within each sequence of a packed row.

    Parameters
    ----------
    query, key, value : Tensor (tokens, heads, width)
        float32.
    segments : tuple of (number, length)
        Runs of sequences of one length.
    p : float
        Dropout of attention weights.
    scale : float or None
        Of the products; 1 / √width where not given.

    Returns
    -------
    Tensor (tokens, heads, width)
    """
    return _Attention.apply(query, key, value, segments, p, scale)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, segments, p, scale):
        root = math.sqrt(1 / math.sqrt(query.shape[-1]) if scale is None else scale)  # of each factor, as torch has it
        query, key, done, kept = query * root, key * root, torch.empty_like(query), []
        start = 0
        for number, length in segments:
            end = start + number * length
            q, v = _rows(query[start:end], number, length), _rows(value[start:end], number, length)
            k = _columns(key[start:end], number, length)
            weights = torch.softmax(torch.bmm(q, k), -1)
            noise = dropout.noise(weights, p)
            dropped = weights * noise
            _write(done[start:end], torch.bmm(dropped, v), number, length)
            kept += [q, k, v, weights, noise, dropped]
            start = end
        ctx.save_for_backward(*kept)
        ctx.segments, ctx.root = segments, root
        return done

    @staticmethod
    def backward(ctx, grad):
        kept, start = iter(ctx.saved_tensors), 0
        made = [torch.empty_like(grad) for _ in range(3)]
        for number, length in ctx.segments:
            end = start + number * length
            q, k, v, weights, noise, dropped = (next(kept) for _ in range(6))
            g = _rows(grad[start:end], number, length)
            by_weights = torch.bmm(g, v.transpose(1, 2)) * noise
            by_product = torch._softmax_backward_data(by_weights, weights, -1, weights.dtype)
            by_q = torch.bmm(by_product, k.transpose(1, 2))
            by_k = torch.bmm(q.transpose(1, 2), by_product).transpose(1, 2)
            by_v = torch.bmm(dropped.transpose(1, 2), g)
            for whole, part in zip(made, (by_q, by_k, by_v), strict=True):
                _write(whole[start:end], part, number, length)
            start = end
        made[0] *= ctx.root
        made[1] *= ctx.root
        return *made, None, None, None


def _rows(part, number: int, length: int):
    """(tokens, heads, width) as (sequences x heads, length, width)."""
    _, heads, width = part.shape
    return part.view(number, length, heads, width).transpose(1, 2).reshape(number * heads, length, width)


def _columns(part, number: int, length: int):
    """(tokens, heads, width) as (sequences x heads, width, length)."""
    _, heads, width = part.shape
    return part.view(number, length, heads, width).permute(0, 2, 3, 1).reshape(number * heads, width, length)


def _write(place, rows, number: int, length: int) -> None:
    """Back from :func:`_rows`."""
    _, heads, width = place.shape
    place.view(number, length, heads, width).transpose(1, 2).copy_(rows.view(number, heads, length, width))
