"""Results on disk: one JSON document per machine and day, with every repeat's raw figures.

``outputs/bench/`` holds what was measured here (not tracked), ``docs/performance/`` what is published (``xitt bench --store``). A document::

    {"schema": 1, "device": name, "date": "2026-11-21", "machine": {...}, "measurements": [...]}

``machine``
    ``device``, ``threads`` (CPU), ``cores``, ``matmul`` (precision → ``model`` and ``square``, FLOP/s), ``nominal`` (precision → FLOP/s or
    null), on a GPU ``memory`` (bytes) and ``cuda``.
``measurements``
    Each has ``part`` (training, inference, retrieval, embedding, linearity), ``size`` and ``architecture`` of the model, ``precision``, ``made``
    (commit, versions, threads, time), ``repeats`` (one per repeat: side → ``seconds``, ``tokens``, ``peak_bytes``) and what the functions that
    make them document: ``xitt.bench.training.measure``, ``….inference.measure``, ``….retrieval.measure`` and ``embedding``, ``….linearity.measure``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import DataError
from ..store import read_json, write_json

SCHEMA = 1
#: what tells measurements of one machine apart; a newer one takes an older one's place
KEY = ("part", "shape", "size", "precision", "source", "rows", "width", "attention_dropout", "threads")


def outputs(root: Path) -> Path:
    """Where a benchmark writes by default."""
    return Path(os.environ.get("XITT_OUTPUTS", root / "outputs")).resolve() / "bench"


def published(root: Path) -> Path:
    return root / "docs" / "performance"


def files(root: Path) -> list[Path]:
    """Every stored document, published ones first."""
    return [f for folder in (published(root), outputs(root)) for f in sorted(folder.glob("*.json"))]


def stamps(root: Path) -> list[list]:
    """Names, sizes and times of the stored documents: what a notebook that shows them depends on."""
    return [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files(root)]


def slug(device: str, threads: int | None) -> str:
    """A device's name in characters that are safe in file names; a processor's with its number of threads."""
    name = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", device.lower())).strip("-")
    return f"{name}-{threads}-threads" if threads else name


def key(measurement: dict) -> tuple:
    return tuple(measurement.get(k) for k in KEY)


def read(path: Path) -> dict:
    """One document.

    Raises
    ------
    DataError
        If the file is damaged or of another schema.
    """
    try:
        document = read_json(path)
    except DataError as error:
        raise DataError(f"{str(error).split(';')[0]}; delete the file, or measure again with xitt bench") from None
    if document is None:
        raise DataError(f"{path} is not there")
    if document.get("schema") != SCHEMA or not all(
        k in document for k in ("device", "date", "machine", "measurements")
    ):
        raise DataError(f"{path}: not a document of xitt bench, schema {SCHEMA} (it says {document.get('schema')!r})")
    return document


def merge(old: dict | None, new: dict) -> dict:
    """Measurements of two documents of one machine; the new ones take the place of those with the same key."""
    if old is None:
        return new
    fresh = {key(m) for m in new["measurements"]}
    kept = [m for m in old["measurements"] if key(m) not in fresh]
    return {**new, "measurements": [*kept, *new["measurements"]]}


def store(document: dict, root: Path) -> Path:
    """Put measurements among the published ones: ``docs/performance/<device>-<date>.json``."""
    path = published(root) / f"{slug(document['device'], document['machine']['threads'])}-{document['date']}.json"
    write_json(path, merge(read(path) if path.is_file() else None, document))
    return path


def machines(root: Path) -> dict[str, dict]:
    """Every machine measured so far: slug → one document with the newest of its measurements."""
    found: dict[str, dict] = {}
    documents = [read(f) for f in files(root)]
    for document in sorted(
        documents, key=lambda d: (d["date"], max((m["made"]["finished"] for m in d["measurements"]), default=""))
    ):
        name = slug(document["device"], document["machine"]["threads"])
        found[name] = merge(found.get(name), document)
    return found
