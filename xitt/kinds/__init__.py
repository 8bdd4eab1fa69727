"""Behaviour by task kind: encode, head, loss, decode. One module per kind; :func:`kind` finds it by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .base import Kind

NAMES = ("bitext", "caption", "choose", "classify", "dual", "mlm", "span", "tag")

__all__ = ["NAMES", "Kind", "kind"]


@cache
def kind(name: str) -> Kind:
    """The behaviour of one kind of task."""
    return import_module(f".{name}", __name__).KIND
