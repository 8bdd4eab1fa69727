"""Measures computed once and kept: one small record per measure, intermediate recipe, target and seed.

``outputs/<study>/similarity/<measure>/<intermediate>.<target>[.s<seed>]-<hash8>.json``; measures that need no trained encoder have no seed. The
hash is over what the number depends on: training data on both sides, encoder, draw, versions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from .. import recipes
from ..errors import DataError, ParameterError, unknown
from ..progress import Progress
from ..runs import device
from ..store import provenance, read_json, write_json
from ..study import Study, fingerprint
from . import samples, states
from .bench import Bench
from .names import MEASURES, Measure, Undefined

#: columns of :func:`collect`; ``value`` is NaN where a measure is not defined, and ``why`` says why; ``shared`` are the pieces that it is
#: made of and others too, by name with their seconds
COLUMNS = ("measure", "intermediate", "target", "seed", "value", "seconds", "shared", "why")
DESIGN = "similarity"


def folder(study: Study) -> Path:
    """Where a study's measures are."""
    return study.out / "similarity"


def grid(study: Study) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows and columns that are compared: those of the design where the study has it, else of the main table; without ``none``."""
    rows, columns = study.grids.get(DESIGN, study.main)
    return tuple(r for r in rows if r != "none"), columns


def wanted(study: Study, names: Iterable[str] | None = None) -> list[Measure]:
    """The measures that a study takes (``similarity: {measures: …}``), or some by name.

    Raises
    ------
    ParameterError
        If one is unknown.
    """
    chosen = names if names is not None else study.params.similarity.measures or MEASURES
    for name in chosen:
        if name not in MEASURES:
            raise ParameterError(unknown("measure", name, MEASURES))
    return [MEASURES[n] for n in MEASURES if n in set(chosen)]


def chosen(study: Study, text: str) -> list[str]:
    """Names of measures from a notebook's parameter: ``study``, ``all``, or a comma-separated list.

    Raises
    ------
    ParameterError
        If one is unknown.
    """
    given = {"study": None, "all": list(MEASURES)}
    names = given[text] if text in given else [x.strip() for x in text.split(",") if x.strip()]
    return [m.name for m in wanted(study, names)]


def collect(study: Study, names: Iterable[str] | None = None) -> pd.DataFrame:
    """Every measure of every pair of tasks, computed unless it is there (:data:`COLUMNS`).

    Seed by seed where a measure needs the trained encoder; the others have the study's first seed. Pairs are visited by encoder, so
    that each is loaded once.
    """
    bench, (rows, columns) = Bench(study), grid(study)
    measures = wanted(study, names)
    work = [(m, r, t, s) for m in measures for s in _seeds(study, m) for r in rows for t in columns]
    progress, found = Progress("measures of similarity", len(work)), {}
    for done, key in enumerate(sorted(work, key=_by_encoder), 1):
        found[key] = one(bench, *key)
        progress.step(done)
    made = [(m.name, r, t, s, *found[m, r, t, s]) for m, r, t, s in work]
    return pd.DataFrame(made, columns=list(COLUMNS))


def _seeds(study: Study, measure: Measure) -> tuple[int, ...]:
    return study.seeds if measure.needs == "encoder" else study.seeds[:1]


def _by_encoder(key: tuple[Measure, str, str, int]) -> tuple:
    measure, recipe, _, seed = key
    return (measure.needs == "encoder", seed, recipe if measure.needs == "encoder" else "")


def one(bench: Bench, measure: Measure, recipe: str, target: str, seed: int) -> tuple[float, float, dict, str]:
    """(value, seconds, shared, why not) of one measure, from its record or computed and recorded."""
    try:
        inputs = _inputs(bench, measure, recipe, target, seed)
        path = _path(bench.study, measure, recipe, target, seed, fingerprint(inputs))
        record = read_json(path)
        if record is None:
            record = _compute(bench, measure, recipe, target, seed, inputs)
            write_json(path, record)
        elif record["fingerprint"] != fingerprint(inputs):
            raise DataError(f"{path} holds the record of other inputs; delete it")
    except Undefined as reason:
        return np.nan, 0.0, {}, str(reason)
    return record["value"], record["seconds"], record["shared"], ""


def _compute(bench: Bench, measure: Measure, recipe: str, target: str, seed: int, inputs: dict) -> dict:
    function = getattr(import_module(f".{measure.module}", __package__), measure.name)
    bench.used, before = set(), sum(bench.seconds.values())
    begin = time.perf_counter()
    value = function(bench, recipe, target, seed)
    own = time.perf_counter() - begin - (sum(bench.seconds.values()) - before)
    if not np.isfinite(value):
        raise DataError(f"{measure.name} of {recipe} and {target} is {value}")
    where = device(bench.study)
    return {
        "fingerprint": fingerprint(inputs), "measure": measure.name, "intermediate": recipe, "target": target,
        "seed": seed if measure.needs == "encoder" else None, "value": float(value), "seconds": round(max(own, 0.0), 6),
        # what it shares with others, at its own cost: a measure taken alone pays for all of it
        "shared": {n: round(bench.seconds[n], 6) for n in sorted(bench.used)}, "inputs": inputs,
        "provenance": provenance(bench.study.root, where.name, where.precision),
    }  # fmt: skip


def _inputs(bench: Bench, measure: Measure, recipe: str, target: str, seed: int) -> dict:
    """What a measure's number depends on."""
    study = bench.study
    task, splits = (target, ()) if measure.name in ("size", "kind") else bench.material(target)
    sides = {
        "target": [task, study.tasks[target].kind if not splits else "", *(s.fingerprint for s in splits)],
        "source": {} if study.is_ready(recipe) else {t: s.fingerprint for t, s in bench.source(recipe)},
    }
    inputs = {"measure": measure.name, "version": measure.version, **sides}
    if measure.needs == "data":
        bench.source(recipe)  # not defined without
        return inputs if not splits else {**inputs, "tokenizer": bench.backbone.tokenizer}
    encoder = bench.encoder(recipe, seed) if measure.needs == "encoder" else bench.backbone
    inputs |= {"encoder": encoder.identity, "examples": bench.count, "draw": samples.VERSION, "states": states.VERSION}
    if measure.name == "few_steps":
        from ..phases import hyper

        inputs |= {"seed": seed, "steps": study.params.similarity.steps, "hyper": vars(hyper(study, task))}
    return {**inputs, "precision": study.params.engine.precision}


def _path(study: Study, measure: Measure, recipe: str, target: str, seed: int, digest: str) -> Path:
    part = f".s{seed}" if measure.needs == "encoder" else ""
    return folder(study) / measure.name / f"{recipes.file_name(recipe)}.{target}{part}-{digest[:8]}.json"
