"""One call of ``xitt bench``: measure part by part, write after each, so that what is finished stays."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from ..progress import tell
from ..runs import device as device_of
from ..store import provenance, write_json
from . import inference, linearity, machine, retrieval, stored, training
from .settings import SIZES, Settings
from .work import Shape


def run(
    settings: Settings, parts: tuple[str, ...], out: Path | None = None, document: dict | None = None
) -> tuple[Path, dict]:
    """Measure some parts.

    Parameters
    ----------
    parts : tuple of str
        Of :data:`xitt.bench.settings.PARTS`.
    out : pathlib.Path, optional
        File to write, after each measurement; by default one named by device and time in ``outputs/bench/``.
    document : dict, optional
        Filled as measurements are finished, for whoever looks at what there is after Ctrl-C.

    Returns
    -------
    (Path, dict)
        The file and the document in it.
    """
    begin, device = time.monotonic(), device_of(settings.study())
    a = SIZES[settings.size]
    shape = Shape(a.layers, a.width, a.feed_forward)
    tell(
        f"bench: {settings.size} model ({a.layers} layers, width {a.width}) in {settings.precision}, {settings.repeats} repeats; rows: {_rows(settings)}"
    )
    about = machine.describe(settings.root, device, shape)
    tell("machine: " + about["device"] + (f", {about['threads']} threads" if about["threads"] else "") + "; matmul " + ", ".join(
        f"{p} {max(r.values()) / 1e12:.2f} TFLOP/s" for p, r in about["matmul"].items()))  # fmt: skip
    document = {} if document is None else document
    document |= {
        "schema": stored.SCHEMA,
        "device": about["device"],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": about,
        "measurements": [],
    }
    out = (
        out
        or stored.outputs(settings.root)
        / f"{stored.slug(about['device'], about['threads'])}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.json"
    )
    with tempfile.TemporaryDirectory(prefix="xitt-bench-") as folder:
        for title, measure in _steps(settings, parts, device, Path(folder)):
            tell(f"{title} …")
            measured = measure()
            common = {"size": settings.size, "architecture": asdict(shape), "precision": settings.precision, "threads": about["threads"],
                      "made": provenance(settings.root, device.name, settings.precision)}  # fmt: skip
            document["measurements"].append({**common, **measured})
            write_json(out, document)
    after = machine.describe(settings.root, device, shape)[
        "matmul"
    ]  # the best of before and after: others may have been at work
    about["matmul"] = {p: {k: max(v, after[p][k]) for k, v in r.items()} for p, r in about["matmul"].items()}
    write_json(out, document)
    tell(f"bench: took {time.monotonic() - begin:.0f} s; {out}")
    return out, document


def _rows(settings: Settings) -> str:
    return {
        "data": f"real sets in {settings.data}",
        "pocket": "the pocket world's",
        "lengths": "random pieces, as many as in real sets",
    }[settings.source]


def _steps(
    settings: Settings, parts: tuple[str, ...], device, folder: Path
) -> Iterator[tuple[str, Callable[[], dict]]]:
    """What is measured, one after the other."""
    if "training" in parts:
        for shape in settings.shapes:
            yield f"training, {shape}", lambda shape=shape: training.measure(settings, shape, device, folder)
    if "inference" in parts:
        for shape in [s for s in settings.shapes if s in inference.TESTS]:
            yield f"inference, {shape}", lambda shape=shape: inference.measure(settings, shape, device, folder)
    if "retrieval" in parts:
        yield (
            f"retrieval, {settings.rows:,} x {settings.rows:,} x {settings.width:,}",
            lambda: retrieval.measure(settings, device),
        )
        yield "embedding", lambda: retrieval.embedding(settings, device, folder)
    if "linearity" in parts:
        yield "linearity", lambda: linearity.measure(settings, device, folder)
