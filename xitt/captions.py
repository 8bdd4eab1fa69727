"""Captions of images in several languages (Multi30k), and the images beside them.

Captions come from the hub or a data folder: English and German from ``bentrevett/multi30k``, French and Czech, whose rows are their
translations, from ``local/multi30k_fr_cs``. No repository holds the images (Flickr30k's terms): they are a user's folder, ``data: {vision:
{images: ...}}`` or ``local/multi30k_images`` of the data folder. Beside the images it holds the lists that Multi30k publishes
(``data/task1/image_splits``): a file name a line, in the order of the captions.

Matching has half of the captions beside the image of another one. A caption or an image does not say which: whether a row is moved
is drawn row by row, and the images of those that are change places among themselves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import hub, readers, vision
from .errors import DataError
from .parameters import expand
from .readers import Raw
from .schema import Data
from .tasks import Task

#: languages that stand in a folder of their own
ELSEWHERE = {"fr": "multi30k_fr_cs", "cs": "multi30k_fr_cs"}
#: split → list of file names
LISTS = {"train": "train.txt", "dev": "val.txt", "test": "test_2016_flickr.txt"}
MODEL_FILES = ["*.json", "*.safetensors"]


def read(data: Data, row: Task, split: str, language: str, limit: int | None = None) -> Raw:
    """Rows of a split: captions in two languages (``first``, ``second``), or English ones with images (``text``, ``image``, ``label``).

    Raises
    ------
    DataError
        If captions, images, their list or the vision encoder are not there, or do not fit each other.
    """
    if readers.origin(data, row) == "pocket":
        return readers.read(data, row, split, language, limit)
    texts, where, commit = _texts(data, row, split, "en")
    if row.kind == "bitext":
        others = _texts(data, row, split, language)[0]
        if len(others) != len(texts):
            raise DataError(f"{where}: {len(texts):,} English captions, but {len(others):,} in {language}")
        rows = [{"first": a, "second": b} for a, b in zip(others, texts, strict=True)]
        return Raw(rows[:limit], len(rows), where, commit)
    photos = _photos(data, row, split, len(texts), limit)
    rows = [{"text": t, "image": p} for t, p in zip(texts, photos, strict=False)]
    return Raw(_mismatched(rows, row, split) if row.labels else rows, len(texts), where, commit)


def _mismatched(rows: list[dict], row: Task, split: str) -> list[dict]:
    """Half of the rows with each other's images, and labels that say so."""
    rng = np.random.default_rng([*f"{row.name} {split}".encode()])
    moved = np.flatnonzero(rng.permutation(len(rows)) % 2)
    moved = moved if len(moved) > 1 else moved[:0]
    image = [r["image"] for r in rows]
    for i, j in zip(moved, np.roll(moved, 1), strict=True):
        image[i] = rows[j]["image"]
    apart = set(moved.tolist())
    return [{**r, "image": image[i], "label": row.labels[i not in apart]} for i, r in enumerate(rows)]


# --- captions ------------------------------------------------------------------------------------------------------
def _texts(data: Data, row: Task, split: str, language: str) -> tuple[list[str], str, str]:
    """Captions of a split in one language, words for their place, the hub's commit."""
    name, repository = row.source.splits[split], ELSEWHERE.get(language, row.source.repository)
    where, commit = f"{repository} {name}", ""
    if language in ELSEWHERE:
        if data.folder is None:
            raise DataError(
                f"{row.name}: captions in {language} are in local/{repository} of a data folder; `data: {{folder: ...}}` names it"
            )
        rows = hub.read_folder(readers.folder(data, "local") / repository, "default", name)
    elif data.source == "folder":
        rows = hub.read_folder(readers.folder(data, "hub") / repository, row.source.config, name)
    else:
        revision = data.revision(row.source)
        rows = hub.read(repository, row.source.config, name, revision, data.offline)
        commit = hub.commit(repository, revision, offline=data.offline)
    if language not in rows.column_names:
        raise DataError(f"{where}: there is no column {language}; it has {', '.join(rows.column_names)}")
    return [t.strip() for t in rows[language]], where, commit


# --- images --------------------------------------------------------------------------------------------------------
def images(data: Data) -> Path | None:
    """Folder of the images, whether or not it is there; ``None`` where the study names none."""
    if data.vision.images:
        return Path(expand(data.vision.images, "data.vision.images")).expanduser().resolve()
    if data.folder is None:
        return None
    return Path(expand(data.folder, "data.folder")).expanduser().resolve() / "local" / "multi30k_images"


def _photos(data: Data, row: Task, split: str, count: int, limit: int | None) -> list[vision.Photo]:
    """The images of a split's first captions."""
    folder = images(data)
    listed = folder / LISTS[split] if folder else None
    if listed is None or not listed.is_file():
        raise DataError(
            f"{row.name}: {f'{listed} is not there' if listed else 'no folder of images'}\n  {needs(row, split)}"
        )
    names = [line.split("#")[0].strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(names) != count:
        raise DataError(f"{listed}: {len(names):,} file names, but {count:,} captions")
    names = names[:limit]
    if gone := [n for n in names if not (folder / n).is_file()]:
        raise DataError(
            f"{row.name}: {len(gone):,} of {len(names):,} images are not in {folder}, the first is {gone[0]}"
        )
    encoder = _encoder(data)
    return [vision.Photo.of(folder / n, encoder) for n in names]


def needs(row: Task, split: str) -> str:
    """Which files are needed, in words."""
    return (
        f"captions with images need the images of Flickr30k, which no repository may hold, and {LISTS[split]} of Multi30k's image_splits "
        "beside them, in the folder that `data: {vision: {images: ...}}` names or in local/multi30k_images of a data folder"
    )


def _encoder(data: Data) -> vision.Frozen:
    """The vision encoder of a study.

    Raises
    ------
    DataError
        If the study names none, or it cannot be had.
    """
    wanted = data.vision
    if wanted.folder:
        return vision.frozen(Path(expand(wanted.folder, "data.vision.folder")).expanduser().resolve(), wanted.grid)
    if wanted.hub is None:
        raise DataError(
            "data.vision: images in files need a vision encoder, e.g. `data: {vision: {hub: openai/clip-vit-base-patch32}}`"
        )
    return vision.frozen(hub.snapshot(wanted.hub, wanted.revision, MODEL_FILES, data.offline), wanted.grid)


# --- what is there -------------------------------------------------------------------------------------------------
def present(data: Data, row: Task, split: str, language: str) -> bool:
    """Whether the data folder has a split: captions of the language and, where they are read, images."""
    return count(data, row, split, language) != 0


def count(data: Data, row: Task, split: str, language: str) -> int | None:
    """Captions of a split; 0 if they or their images are not there, ``None`` if only the hub knows."""
    if readers.origin(data, row) == "pocket":
        return readers.count(data, row, split, language)
    if row.kind != "bitext":
        folder = images(data)
        if folder is None or not (folder / LISTS[split]).is_file():
            return 0
    try:
        return len(_texts(data.model_copy(update={"offline": True}), row, split, language)[0])
    except DataError:
        on_hub = data.source == "hub" and language not in ELSEWHERE
        return None if on_hub else 0
