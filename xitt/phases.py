"""Training as calls that are done once: intermediate tasks, targets (scored by ``xitt.scoring``).

Each call makes a frozen specification, looks for a finished run of that specification and computes only what is missing. A
run under way continues from its checkpoint.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from . import control, data, encoded, own, recipes, tasks
from .errors import DataError
from .kinds import kind
from .metrics import METRICS, null_threshold, task_score
from .pretrained import backbone, backbone_ready
from .runs import Run, device, runs_folder
from .store import RunFolder, Spec, provenance
from .study import Study
from .train import Device, Hyper

#: recipe of jiant's X-STILTs guide where neither the study nor the task says otherwise (paper_facts 2.1, 2.2)
DEFAULTS = {
    "lr": 1e-5, "epochs": 3, "batch": 32, "length": 256, "max_steps": None, "weight_decay": 0.01, "warmup": 0.1,
    "clip": 1.0, "eval_every": 1000, "eval_examples": 500,
}  # fmt: skip


def hyper(study: Study, task: str) -> Hyper:
    """Hyper-parameters of one task: its own in the study, the study's, its row's (by the preset), the defaults.

    The row of a user's own task stands in the study, for that task: it goes before the study's general recipe.
    """
    row, given = study.tasks[task], [study.params.recipe, *filter(None, [study.params.recipes.get(task)])]
    preset = next((r.preset for r in reversed(given) if r.preset), "xstilts")
    layers = [DEFAULTS, row.xtreme if preset == "xtreme" and row.xtreme else row.recipe]
    layers += [r.model_dump(exclude_none=True, exclude={"preset"}) for r in given]
    if row.own:
        layers.insert(2, layers.pop(1))
    return Hyper(**{k: v for layer in layers for k, v in layer.items()})


# --- training ------------------------------------------------------------------------------------------------------
def train_intermediate(study: Study, recipe: str, seed: int, weights: bool = False) -> Run | None:
    """Phase 1. ``none`` has no run, its encoder is the backbone; nor has a checkpoint from elsewhere."""
    parsed = recipes.parse(recipe, study.tasks)
    if study.is_ready(parsed.name):
        return None
    if not parsed.mixed:
        return train_task(study, parsed.name, "intermediate", recipe, seed, backbone(study), None, weights)
    from . import multitask

    encoder = backbone(study)
    spec = multitask.spec(study, recipe, seed, encoder)
    return _once(study, spec, lambda folder: multitask.fit(study, recipe, folder, encoder, seed), weights)


def intermediate_spec(study: Study, recipe: str, seed: int) -> Spec:
    parsed = recipes.parse(recipe, study.tasks)
    if not parsed.mixed:
        return train_spec(study, parsed.name, "intermediate", recipe, seed, backbone(study))
    from . import multitask

    return multitask.spec(study, recipe, seed, backbone(study))


def encoder_of(study: Study, recipe: str, seed: int):
    """The encoder that a recipe hands on, and the run it came from (``None`` for the backbone and for a checkpoint)."""
    from . import backbone as encoders

    if study.is_ready(recipe):
        return _ready(study, recipe), None
    run = train_intermediate(study, recipe, seed, weights=True)
    return encoders.from_record(run.model, run.record, f"{recipe}, seed {seed}"), run


@lru_cache(maxsize=8)
def _ready(study: Study, recipe: str):
    """The backbone, or the encoder of a checkpoint."""
    if recipe == "none":
        return backbone(study)
    return own.open_checkpoint(study.checkpoints[recipe], study.path, study.root, study.params.data.offline)


def about(study: Study, recipe: str, run: Run | None, encoder) -> dict | None:
    """What a record says of the encoder that a run went on with: its run, or the checkpoint, whose own tokenizer goes with it."""
    if run is not None:
        return {"run": run.path.name, "fingerprint": run.record["fingerprint"], "weights": run.record["weights"]}
    if recipe not in study.checkpoints:
        return None
    return {"checkpoint": recipe, "origin": encoder.origin, "tokenizer of": "the checkpoint", **encoder.identity}


def trained(study: Study, recipe: str, seed: int):
    """The encoder of a recipe if its run is there, else ``None``; its weights may have been let go.

    For the backbone, ``None`` if it has yet to be built.
    """
    from . import backbone as encoders

    if recipe in study.checkpoints:
        return _ready(study, recipe)
    if not backbone_ready(study):
        return None
    if recipe == "none":
        return backbone(study)
    folder = RunFolder(runs_folder(study), intermediate_spec(study, recipe, seed))
    record = folder.record
    return record and encoders.from_record(folder.path / "model", record, f"{recipe}, seed {seed}")


def record_of(study: Study, recipe: str, seed: int) -> dict | None:
    """The record of an intermediate training that is done, else ``None``; nothing is computed."""
    return (
        RunFolder(runs_folder(study), intermediate_spec(study, recipe, seed)).record if backbone_ready(study) else None
    )


def train_task(
    study: Study,
    task: str,
    phase: str,
    recipe: str,
    seed: int,
    encoder,
    parent: dict | None,
    weights: bool = False,
) -> Run:
    """Train one task on an encoder, unless that run is there; with ``weights`` also where only its weights were let go."""
    from . import twins

    spec = train_spec(study, task, phase, recipe, seed, encoder)

    def make(folder: Path) -> dict:
        made = twins.copied(study, task, spec, folder, seed, recipe)
        return made or _fit(study, task, spec, folder, encoder, seed, recipe, parent)

    return _once(study, spec, make, weights)


def _once(study: Study, spec: Spec, make: Callable[[Path], dict], weights: bool) -> Run:
    """The run of a specification: made in its working folder unless it is there, with its weights if they are asked for.

    Weights may have been let go (``keep:``); the same specification makes the same ones.
    """
    folder = RunFolder(runs_folder(study), spec)
    with folder.lock():
        if (record := folder.record) and (not weights or folder.has_weights(record)):
            return Run(study, folder.path, record)
        record = folder.finish(make(folder.begin()))
    return Run(study, folder.path, record)


def training_set(study: Study, task: str, phase: str, recipe: str, seed: int = 0) -> data.Split:
    """What a task is trained on: English as it is, but for intermediate recipes that say otherwise (``mnli+train=de``, ``+control=labels``)."""
    if phase != "intermediate":
        return data.training(study, task)
    parsed = recipes.parse(recipe, study.tasks)
    return control.training(study, task, parsed.train, parsed.control, seed)


def has_dev(study: Study, task: str, phase: str, recipe: str) -> bool:
    """Whether dev scores choose the checkpoint: not of a control, whose labels say nothing about the dev set."""
    if phase == "intermediate" and recipes.parse(recipe, study.tasks).control:
        return False
    return "dev" in study.tasks[task].source.splits


def run_hyper(study: Study, task: str, phase: str, recipe: str) -> Hyper:
    """Hyper-parameters of one training: of a recipe that is matched to another, epochs, batch and cap are the other's."""
    h = hyper(study, task)
    matched = phase == "intermediate" and recipes.parse(recipe, study.tasks).match
    return replace(h, epochs=0, batch=0, max_steps=None) if matched else h


def without_attention_dropout(study: Study, phase: str, recipe: str) -> dict:
    """``{"attention_dropout": False}`` where the study's engine or the intermediate recipe says so: in fingerprints and for the device."""
    says = phase == "intermediate" and not recipes.parse(recipe, study.tasks).attention_dropout
    return {"attention_dropout": False} if says else study.params.engine.identity


def train_spec(study: Study, task: str, phase: str, recipe: str, seed: int, encoder) -> Spec:
    """Specification of a training: data, encoder, hyper-parameters, seed, versions."""
    from dataclasses import asdict

    from . import matching, train

    row, h = study.tasks[task], run_hyper(study, task, phase, recipe)
    splits = ["train"] + ["dev"] * has_dev(study, task, phase, recipe)
    inputs = {
        "task": {"name": own.identity(row), "kind": row.kind, "labels": list(data.labels(study, task)), "metrics": list(row.metrics),
                 **({} if row.answer_rules == "squad" else {"answer_rules": row.answer_rules})},
        "data": {s: (training_set(study, task, phase, recipe, seed) if s == "train" else data.load(study, task, s)).fingerprint
                 for s in splits if s in row.source.splits},
        "encoder": encoder.identity, "hyper": asdict(h), "seed": seed, "precision": study.params.engine.precision,
        **without_attention_dropout(study, phase, recipe),
        **(matching.inputs(study, recipe, encoder) if phase == "intermediate" else {}),
        **({"first": train_spec(study, row.first, phase, recipe, seed, encoder).fingerprint} if row.first else {}),
        "versions": {"train": train.VERSION, "kind": kind(row.kind).version,
                     **({"metric": METRICS[row.kind, row.metrics[0]].version} if row.metrics else {})},
    }  # fmt: skip
    readable = recipes.file_name(recipe)
    label = f"01.{readable}.s{seed}" if phase == "intermediate" else f"02.{readable}.{task}.s{seed}"
    return Spec(phase, label, inputs)


def _fit(
    study: Study, task: str, spec: Spec, folder: Path, encoder, seed: int, recipe: str, parent: dict | None
) -> dict:
    from . import backbone as encoders
    from . import matching, train
    from .batching import EpochOrder, torch_seed

    row, h, begin = study.tasks[task], run_hyper(study, task, spec.phase, recipe), time.monotonic()
    where = replace(device(study), **without_attention_dropout(study, spec.phase, recipe))
    if before := _first_run(study, row, spec.phase, recipe, seed, encoder, parent):
        encoder = encoders.from_record(before.model, before.record, "")
    k, tokenizer = kind(row.kind), encoders.load_tokenizer(encoder.path)
    what = task if spec.phase == "intermediate" else f"{recipe} > {task}"
    training = training_set(study, task, spec.phase, recipe, seed)
    labels = data.labels(study, task)
    features = encoded.features(study, k, training, tokenizer, h.length, labels)
    if before:
        model = encoders.load_model(encoder.path, k.auto_class)
    elif k.pretrained_head:
        model = with_head(encoder, k.auto_class, recipe)
        k.head(model, features, torch_seed(seed, "init"))
    else:
        model = encoders.new_model(encoder.path, k.auto_class, torch_seed(seed, "init"), **k.labels(labels))
        k.head(model)
    goal = matching.goal(study, recipe, seed, tokenizer) if spec.phase == "intermediate" else None
    if goal:
        order = matching.order(goal, features, seed, recipe)
    else:
        order = EpochOrder(features.units, h.batch, h.steps(features.units), seed)
    dev = DevScore(study, task, tokenizer, h, where) if has_dev(study, task, spec.phase, recipe) else None
    summary = train.fit(model, k, features, order, h, seed, where, folder, tokenizer.pad_token_id, what, dev)
    summary["hyper"] = {k: v for k, v in summary["hyper"].items() if not goal or k not in matching.REPLACED}
    more = {"match": goal.record()} if goal else {}
    if dev and row.answer_rules == "squad_v2":
        more["null_threshold"] = null_threshold(dev.frame(model))
    checksum = encoders.save_model(model.cpu(), tokenizer, folder / "model", card(study, row, recipe, seed, summary))
    (folder / "best.safetensors").unlink(missing_ok=True)
    if before:
        more["first"] = {"run": before.path.name, "weights": before.record["weights"]}
        if study.params.keep != "all":
            shutil.rmtree(before.path / "model", ignore_errors=True)
    return {
        "task": task, "recipe": recipe, "seed": seed, "weights": checksum, "parent": parent,
        "encoder": encoders.open_folder(folder / "model", "").identity,
        "data": {"train": [len(training), training.total], "revision": training.commit,
                 **({} if training.language == "en" else {"languages": training.language.split(":")}),
                 **({"problems": list(training.problems)} if training.problems else {})},
        "training": summary, **more, "wall_seconds": round(time.monotonic() - begin, 1),
        "provenance": provenance(study.root, where.name, where.precision, summary["attention"]),
    }  # fmt: skip


def with_head(encoder, auto_class: str, recipe: str):
    """The encoder with the MLM head that it was pre-trained with (paper_facts 2.1).

    Raises
    ------
    DataError
        If the encoder comes without that head.
    """
    from safetensors import safe_open

    from .backbone import load_model

    keys: set[str] = set()
    for file in encoder.path.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            keys |= set(tensors.keys())
    if not any(key.startswith("lm_head.") for key in keys):
        raise DataError(f"recipe {recipe}: the backbone has no MLM head (lm_head) to go on with: {encoder.path}")
    return load_model(encoder.path, auto_class)


def _first_run(study: Study, row: tasks.Task, phase: str, recipe: str, seed: int, encoder, parent) -> Run | None:
    """The run whose model a task goes on with, head included (XCOPA: Social IQa, then COPA; paper_facts 3.4), with its weights."""
    if row.first is None:
        return None
    return train_task(study, row.first, phase, recipe, seed, encoder, parent, weights=True)


class DevScore:
    """Main metric on the first English dev examples: what chooses the checkpoint (paper_facts 2.2)."""

    def __init__(self, study: Study, task: str, tokenizer, h: Hyper, where: Device):
        self.row, self.where, self.pad = study.tasks[task], where, tokenizer.pad_token_id
        self.kind = kind(self.row.kind)
        split, self.labels = data.load(study, task, "dev"), data.labels(study, task)
        self.examples = split.examples[: h.eval_examples]
        self.features = encoded.features(study, self.kind, split, tokenizer, h.length, self.labels, h.eval_examples)

    def frame(self, model):
        """Predictions on the dev examples."""
        from .evaluate import run_model

        outputs = run_model(model, self.kind, self.features, self.where, self.pad)
        return self.kind.decode(self.examples, self.features, outputs, self.labels)

    def __call__(self, model) -> float:
        from .evaluate import scores

        return task_score(self.row.kind, scores(self.row, self.frame(model)))


_CARD = """---
library_name: transformers
tags: [xitt]
---
# {title} on {recipe}, seed {seed}

Trained by xitt (study `{study}`), {steps:,} steps. Opens with `{auto}`; the training's record is in `../record.json`.
"""


def card(study: Study, row: tasks.Task, recipe: str, seed: int, summary: dict) -> str:
    """Text of the model card of a run; ``summary`` is what :func:`xitt.train.fit` returns."""
    return _CARD.format(
        title=row.title,
        recipe=recipe,
        seed=seed,
        study=study.name,
        steps=summary["steps"],
        auto=kind(row.kind).auto_class,
    )
