"""Errors a user can act on. Each carries the exit code of the command line (DESIGN, section 3)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class XittError(Exception):
    """Base of all errors with a message for the user; shown without a traceback by the command line."""

    exit_code = 1


class ParameterError(XittError, ValueError):
    """A study, a recipe or a command was given something it does not know."""

    exit_code = 2


class DataError(XittError):
    """Data or a model is missing, or not what it should be."""

    exit_code = 3


class JobError(XittError):
    """A job of a batch failed; the others went on."""

    exit_code = 4


def nearest(word: str, valid: Iterable[str]) -> str:
    """``" - did you mean 'x'?"``, or nothing if no valid name is near."""
    match = difflib.get_close_matches(str(word), [str(v) for v in valid], n=1, cutoff=0.6)
    return f" - did you mean {match[0]!r}?" if match else ""


def unknown(what: str, word: str, valid: Iterable[str]) -> str:
    """Message for a name that is not among the valid ones."""
    valid = list(valid)
    return f"{what} {word!r} is unknown{nearest(word, valid)}\n  valid: {', '.join(map(str, valid))}"
