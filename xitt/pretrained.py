"""The encoder that a study starts from: fetched, shipped with the package, or built by its recipe.

Intermediate and target training go on with it in ``xitt.phases``.
"""

from __future__ import annotations

import shutil
import time
from functools import lru_cache
from pathlib import Path

from .errors import DataError
from .kinds import kind
from .progress import tell
from .runs import Run, device, runs_folder
from .store import RunFolder, Spec, provenance, read_json, write_json
from .study import Study


def backbone(study: Study):
    """The encoder before any training: fetched, or built by its recipe unless a build of that recipe is there.

    Returns
    -------
    xitt.backbone.Encoder
    """
    return _backbone(study)


@lru_cache(maxsize=4)
def _backbone(study: Study):
    from . import backbone as encoders

    wanted = study.params.backbone
    if wanted.build is None:
        return encoders.fetch(wanted, study.root, study.params.data.offline)
    if shipped := _shipped(study):
        encoder = encoders.open_folder(shipped, f"shipped with xitt ({wanted.shipped}), built by its recipe")
        if encoder.weights != read_json(shipped / "recipe.json")["weights"]:
            raise DataError(
                f"backbone: {shipped} is damaged (the checksum of its weights is wrong); install xitt again"
            )
        return encoder
    if wanted.shipped:
        tell(f"backbone: the recipe differs from the shipped one of {wanted.shipped}; it is built here")
    return encoders.open_folder(build_backbone(study).model, "built by this study's recipe")


def _shipped(study: Study) -> Path | None:
    """Folder of the backbone that comes with the package, if it was built by this very recipe."""
    wanted = study.params.backbone
    if not wanted.shipped:
        return None
    folder = Path(__file__).parent / wanted.shipped / "backbone"
    recipe = read_json(folder / "recipe.json")
    return folder if recipe and recipe["fingerprint"] == backbone_spec(study).fingerprint else None


def backbone_spec(study: Study) -> Spec:
    """Specification of a built backbone: its recipe, the text it reads, the versions of what makes it."""
    from . import build as builder
    from . import train

    recipe = study.params.backbone.build
    inputs = {
        "recipe": recipe.model_dump(),
        "versions": {"build": builder.VERSION, "train": train.VERSION, "mlm": kind("mlm").version},
    }
    if study.params.engine.precision != "float32":
        inputs["precision"] = study.params.engine.precision
    inputs |= study.params.engine.identity
    inputs["text"] = builder.text_identity(recipe, study.params.data)
    return Spec("backbone", "backbone", inputs)


def build_backbone(study: Study) -> Run:
    """Build the backbone by its recipe (also where a shipped one would do), unless that run is there."""
    from . import build as builder

    spec = backbone_spec(study)
    folder = RunFolder(runs_folder(study), spec)
    with folder.lock():
        if (record := folder.record) and folder.has_weights(record):
            return Run(study, folder.path, record)
        where = device(study, alone=True)
        begin = time.monotonic()
        summary = builder.build(study.params.backbone.build, study.params.data, folder.begin(), where)
        record = folder.finish(
            {
                "training": summary,
                "weights": summary["weights"],
                "wall_seconds": round(time.monotonic() - begin, 1),
                "provenance": provenance(study.root, where.name, where.precision, summary["attention"]),
            }
        )
    return Run(study, folder.path, record)


def ship_backbone(study: Study) -> Path:
    """Put a built backbone into the package, with its recipe and checksum beside it: what ``shipped:`` then finds.

    Raises
    ------
    DataError
        If it is over 12 MB, the most that goes into the repository.
    """
    spec, run = backbone_spec(study), build_backbone(study)
    size = sum(f.stat().st_size for f in run.model.iterdir())
    if size > 12e6:
        raise DataError(f"the backbone has {size / 1e6:.1f} MB; 12 MB is the most that is shipped")
    folder = Path(__file__).parent / (study.params.backbone.shipped or study.name) / "backbone"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run.model, folder)
    write_json(
        folder / "recipe.json",
        {
            "fingerprint": spec.fingerprint,
            "weights": run.record["weights"],
            "inputs": spec.inputs,
            "made_by": f"xitt backbone params/{study.path.name} --ship",
            "record": run.record,
        },
    )
    return folder


def backbone_ready(study: Study) -> bool:
    """Whether the backbone can be opened without building it."""
    wanted = study.params.backbone
    if wanted.build is None or _shipped(study):
        return True
    folder = RunFolder(runs_folder(study), backbone_spec(study))
    return (record := folder.record) is not None and folder.has_weights(record)
