"""Recipe strings: the canonical names of intermediate training, ``name[{parts}][+key=value…]``.

The same string is the value in the results, the job id and (made safe) the file name: ``mnli``,
``multitask{mnli,qqp}+sampler=temperature:2``, ``mnli+mlm=0.5``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import tasks
from .errors import ParameterError, unknown

_FORM = re.compile(r"^(?P<name>[a-z0-9_]+)(?:\{(?P<parts>[a-z0-9_,]+)\})?(?P<options>(?:\+[a-z_]+=[A-Za-z0-9_.:-]+)*)$")
#: options of a recipe and what they mean; a new one is added here and where it acts
OPTIONS: dict[str, str] = {}


@dataclass(frozen=True)
class ParsedRecipe:
    """A recipe taken apart. ``parts`` is empty for a single task, ``options`` is sorted by key."""

    name: str
    parts: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parts = "{" + ",".join(self.parts) + "}" if self.parts else ""
        return self.name + parts + "".join(f"+{k}={v}" for k, v in self.options)

    @property
    def file_name(self) -> str:
        """The recipe in characters that are safe in file names."""
        return re.sub(r"[^A-Za-z0-9_.=+-]", "-", str(self))


def parse(text: str) -> ParsedRecipe:
    """Take a recipe string apart and check every name in it.

    Raises
    ------
    ParameterError
        If the form is wrong or a name is unknown.
    """
    match = _FORM.match(str(text).replace(" ", ""))
    if not match:
        raise ParameterError(f"recipe {text!r} does not have the form name[{{parts}}][+key=value...], e.g. mnli")
    known = ["none", *(t.name for t in tasks.TASKS.values() if "intermediate" in t.roles)]
    for name in (match["name"], *(match["parts"] or "").split(",")):
        if name and name not in known:
            raise ParameterError(unknown("intermediate task", name, known))
    if match["parts"]:
        raise ParameterError(f"recipe {text!r}: {match['name']} is a single task and takes no parts in braces")
    options = [tuple(o.split("=", 1)) for o in match["options"].split("+") if o]
    if len({key for key, _ in options}) < len(options):
        raise ParameterError(f"recipe {text!r}: an option stands twice")
    for key, _ in options:
        if key not in OPTIONS:
            raise ParameterError(
                f"recipe {text!r}: "
                + (
                    unknown("option", key, OPTIONS)
                    if OPTIONS
                    else f"option {key!r} is unknown; no options are known yet"
                )
            )
    return ParsedRecipe(match["name"], (), tuple(sorted(options)))


def canonical(text: str) -> str:
    """The one spelling of a recipe."""
    return str(parse(text))
