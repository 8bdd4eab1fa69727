"""Matrix products in float32 on a CPU, by oneDNN.

torch hands them to MKL, whose kernels for AVX-512 run on Intel's processors only; elsewhere it takes those for AVX2, at half of the rate
(AMD EPYC, per core: 110 GFLOP/s, and 250 by oneDNN). torch is built with oneDNN too and uses it in half precision: its
operator for linear layers, ``mkldnn::_linear_pointwise``, takes float32 as well. Sums are made in another order, so that results differ by
roundings. Where the operator is missing, and under autocast, products are torch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch

#: rows, columns and width of a product below which the way to oneDNN costs more than it saves
LEAST = 16


@cache
def _operator():
    """oneDNN's linear layer, or nothing where torch was built without it."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def by() -> str:
    """Which library makes the products, for records."""
    return "oneDNN" if _operator() is not None else "torch"


_TORCH = ContextVar("products by torch", default=False)


@contextmanager
def by_torch() -> Iterator[None]:
    """All products are torch's meanwhile: for comparisons."""
    before = _TORCH.set(True)
    try:
        yield
    finally:
        _TORCH.reset(before)


def _suits(values: torch.Tensor, weight: torch.Tensor) -> bool:
    return (
        values.dtype == weight.dtype == torch.float32
        and values.device.type == weight.device.type == "cpu"
        and values.numel() >= LEAST * values.shape[-1] > 0
        and min(weight.shape) >= LEAST
        and not _TORCH.get()
        and not torch.is_autocast_enabled("cpu")
        and _operator() is not None
    )


def _linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    return _operator()(values, weight, bias, "none", [], "")


def product(first: torch.Tensor, second: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Product of two matrices (n, m), (m, k): (n, k), in ``out`` where torch makes it."""
    if _suits(first, second):
        return _linear(first, second.t())
    return torch.mm(first, second, out=out)


class _Linear(torch.autograd.Function):
    """A linear layer whose three products are oneDNN's."""

    @staticmethod
    def forward(ctx, values, weight, bias):
        flat = values.reshape(-1, values.shape[-1])
        ctx.save_for_backward(flat, weight)
        return _linear(flat, weight, bias).view(*values.shape[:-1], -1)

    @staticmethod
    def backward(ctx, grad):
        values, weight = ctx.saved_tensors
        flat = grad.reshape(-1, grad.shape[-1])
        needs = ctx.needs_input_grad
        by_values = _linear(flat, weight.t()).view(*grad.shape[:-1], -1) if needs[0] else None
        by_weight = _linear(flat.t(), values.t()) if needs[1] else None
        return by_values, by_weight, flat.sum(0) if needs[2] else None


class Linear(torch.nn.Linear):
    """``torch.nn.Linear`` whose float32 products on a CPU are oneDNN's; the same elsewhere."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not _suits(values, self.weight):
            return super().forward(values)
        if torch.is_grad_enabled() and (values.requires_grad or self.weight.requires_grad):
            return _Linear.apply(values, self.weight, self.bias)
        return _linear(values, self.weight, self.bias)


def install(model: torch.nn.Module) -> None:
    """Makes the linear layers of a model, in place, those of this module; nothing else of it changes."""
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = Linear
