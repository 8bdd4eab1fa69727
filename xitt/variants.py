"""Variants of targets: a retrieval target scored in another way, ``name+key=value…``.

``tatoeba+layer=8`` takes the vectors of layer 8, and ``tatoeba+layer=10of24`` those of the same depth in an encoder of any size (as
14 of 24 is the default depth). ``tatoeba+pool=cls`` takes the first token's vector for the sentence in place of the mean over its
tokens, as XTREME's own scripts ask for BUCC (paper_facts 3.5). ``tatoeba+train=squad_v1`` fine-tunes the encoder on English SQuAD first and
then retrieves, which is XTREME-R's protocol (paper_facts 3.5 and 4): its script points at an XLM-R tuned on SQuAD and takes the
same layer, 14 of 24. The fine-tuning is the study's own one, shared with the targets that are trained on the same task.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .errors import ParameterError, unknown

_FORM = re.compile(r"^(?P<name>[a-z0-9_]+)(?P<options>(?:\+[a-z_]+=[a-z0-9_]+)+)$")
OPTIONS = ("layer", "pool", "train")
POOLS = ("cls", "mean")
_DEPTH = re.compile(r"^(\d+)of(\d+)$")


class Rows(dict):
    """Rows of tasks by name; a variant's row is made from its string. Variants are not listed, and keep their task's ``name``."""

    def __missing__(self, text: str):
        if not isinstance(text, str) or "+" not in text:
            raise KeyError(text)
        name, options = _parse(self, text)
        row, layer, tuned, pool = self[name], options.get("layer"), options.get("train"), options.get("pool", "mean")
        notes = [f"after {self[tuned].title}"] if tuned else []
        notes += [f"layer {layer.replace('of', ' of ')}"] if layer else []
        notes += [f"pooling {pool}"] if pool != "mean" else []
        depth = layer if layer is None or "of" in layer else int(layer)
        return replace(row, title=", ".join([row.title, *notes]), layer=depth, tuned=tuned, pool=pool)


def resolve(layer: int | str, count: int) -> int:
    """The layer of an encoder with ``count`` layers that is meant: a number, or the same depth as ``10of24`` says."""
    depth = _DEPTH.match(str(layer))
    return round(int(depth[1]) / int(depth[2]) * count) if depth else int(layer)


def canonical(rows: Rows, text: str) -> str:
    """The one spelling of a target or of a variant of it: keys sorted, numbers written short.

    Raises
    ------
    ParameterError
        If a name or value is wrong.
    """
    targets = [t.name for t in rows.values() if "target" in t.roles]
    text = str(text).replace(" ", "")
    if "+" not in text:
        if text not in targets:
            raise ParameterError(unknown("target", text, targets))
        return text
    name, options = _parse(rows, text)
    return name + "".join(
        f"+{key}={options[key]}" for key in sorted(options) if (key, options[key]) != ("pool", "mean")
    )


def _parse(rows: Rows, text: str) -> tuple[str, dict[str, str]]:
    match = _FORM.match(text)
    if not match:
        raise ParameterError(f"target {text!r} does not have the form name[+key=value...], e.g. tatoeba+layer=8")
    able = [t.name for t in rows.values() if "target" in t.roles and t.train is None]
    if match["name"] not in able:
        raise ParameterError(f"target {text!r}: variants are those of {', '.join(able)}, not of {match['name']!r}")
    given = [o.split("=", 1) for o in match["options"].split("+") if o]
    options = dict(given)
    if len(options) < len(given):
        raise ParameterError(f"target {text!r}: an option stands twice")
    for key in options:
        if key not in OPTIONS:
            raise ParameterError(f"target {text!r}: {unknown('option', key, OPTIONS)}")
    if "layer" in options:
        options["layer"] = _layer(text, options["layer"])
    if options.get("pool", "mean") not in POOLS:
        raise ParameterError(f"target {text!r}: {unknown('pooling', options['pool'], POOLS)}")
    trained = [t.name for t in rows.values() if t.train == t.name]
    if "train" in options and options["train"] not in trained:
        raise ParameterError(f"target {text!r}: {unknown('task to train on', options['train'], trained)}")
    return match["name"], options


def _layer(text: str, value: str) -> str:
    """A layer in its one spelling."""
    if value.isdecimal():
        return str(int(value))
    depth = _DEPTH.match(value)
    if not depth or not int(depth[1]) <= int(depth[2]) or not int(depth[2]):
        raise ParameterError(f"target {text!r}: layer is a whole number from 0, or a depth like 10of24, not {value!r}")
    return f"{int(depth[1])}of{int(depth[2])}"
