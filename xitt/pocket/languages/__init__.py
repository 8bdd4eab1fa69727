"""Grammars of the pocket world, one module per language; :func:`grammar` finds one by its BCP 47 code."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .base import Grammar, Line, Tok

LANGUAGES = ("en", "de", "es", "hi", "ru", "sw", "tr", "zh")

__all__ = ["LANGUAGES", "Grammar", "Line", "Tok", "grammar"]


@cache
def grammar(code: str) -> Grammar:
    """The grammar of one language, or of two in one sentence: ``de+en@50`` (``xitt.pocket.mixing``).

    Raises
    ------
    ValueError
        If the pocket world has no such language.
    """
    if "@" in code:
        from ..mixing import mixed

        pair, _, rate = code.partition("@")
        return mixed(pair, int(rate))
    if code not in LANGUAGES:
        raise ValueError(f"the pocket world has no language {code!r}; it has {', '.join(LANGUAGES)}")
    return import_module(f".{code}", __name__).GRAMMAR
