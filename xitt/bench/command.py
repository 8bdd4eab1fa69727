"""``xitt bench``: from the options of the command line to settings, and what is said at the end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import DataError, ParameterError, unknown
from ..progress import tell
from .settings import PARTS, SHAPES, Settings, resolve


def main(
    parts: tuple[str, ...], device, precision, size, data, repeats, shapes, out: Path | None, store: bool, **more
) -> None:
    """Measure, print a summary, keep the figures; what was finished before Ctrl-C is kept too."""
    from ..study import find_root
    from . import stored
    from .run import run

    root = find_root(Path.cwd()) or Path.cwd()
    wanted = settings(device, precision, size, data, repeats, shapes, root, **more)
    out = out.resolve() if out else None
    if out and out.is_dir():
        raise ParameterError(f"--out: {out} is a folder; give the name of a file")
    document: dict = {}
    try:
        run(wanted, parts, out, document)
    except KeyboardInterrupt:
        tell("\nxitt: stopped; what was finished is kept")
        sys.exit(130)
    finally:
        if document.get("measurements"):
            for line in lines(document):
                tell(line)
            if store:
                tell(f"stored: {stored.store(document, root)}")


def settings(
    device: str | None,
    precision: str | None,
    size: str | None,
    data: str | None,
    repeats: int,
    shapes: str | None,
    root: Path,
    **more,
) -> Settings:
    """Settings of a call, checked; options left open follow the machine.

    Raises
    ------
    ParameterError, DataError
        If a name is unknown or the data folder is not there.
    """
    for what, word, valid in (
        ("device", device, ("auto", "cpu", "cuda")),
        ("precision", precision, ("float32", "bfloat16")),
    ):
        if word is not None and word not in valid:
            raise ParameterError(unknown(what, word, valid))
    given = data or os.environ.get("XITT_DATA")
    folder = Path(given).expanduser().resolve() if given and given != "none" else None
    if folder and not (folder / "hub").is_dir():
        raise DataError(f"--data: {folder} has no folder hub/; give one that has, or --data none for rows made here")
    names = tuple(x.strip() for x in shapes.split(",") if x.strip()) if shapes else tuple(SHAPES)
    device, precision, size = resolve(device, precision, size)
    return Settings(root, device, precision, size, folder, repeats, names, **more)


def chosen(parts: list[str] | None) -> tuple[str, ...]:
    """Parts by name; all by default.

    Raises
    ------
    ParameterError
        If one is unknown.
    """
    for part in parts or ():
        if part not in PARTS:
            raise ParameterError(unknown("part", part, PARTS))
    return tuple(parts or PARTS)


def lines(document: dict) -> list[str]:
    """What was measured, in short."""
    from . import tables

    found = []
    for m in document["measurements"]:
        what = " ".join(
            str(x)
            for x in (
                m["part"],
                m.get("shape") or (f"{m['rows']:,} x {m['width']:,}" if "width" in m else ""),
                m["precision"],
            )
            if x
        )
        if m["part"] == "linearity":
            continue
        against = "; ".join(f"{side} {tables.against(m, side)}" for side in m["repeats"][0] if side != "xitt")
        bound = m.get("batches", {}).get("Trainer", {}).get("bound")
        text = f"{what}: {tables._median_rate(m):,.0f} tokens/s, {tables.utilisation(document['machine'], m)[0]:.0f} % of the matmul rate"
        if m["part"] == "retrieval":
            text = f"{what}: {min(r['xitt']['seconds'] for r in m['repeats']):.1f} s"
        text += f"; times the rate of: {against}" if against else ""
        text += f"; bound by padding {bound:.2f}" if bound else ""
        text += f"; loss {100 * m['loss']['difference']:+.3f} % of the reference's" if "loss" in m else ""
        found.append(text)
    return found
