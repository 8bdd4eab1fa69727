"""Intermediate training on several tasks at once, or on one with MLM beside it: one encoder, one head per part.

A finished run holds the encoder alone in ``model/`` (what goes to the next phase) and each part's task model in
``heads/<part>/``, as two shards: the encoder, which is the same file in all of them (a hard link where the disk has such), and
the head. Both open with their ``AutoModel…`` class.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from . import backbone as encoders
from . import data, encoded, matching, mixture, phases, recipes, train
from .batching import EpochOrder, Listed, torch_seed
from .errors import DataError
from .kinds import kind
from .metrics import null_threshold
from .store import Spec, checksum, provenance, write_json
from .study import Study, fingerprint
from .train import Hyper

if TYPE_CHECKING:
    from .schema import Build

_ENCODER, _HEAD = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))


class SharedEncoder(torch.nn.Module):
    """Task models that all hold the same encoder.

    Parameters
    ----------
    models : list of PreTrainedModel
        Their encoders are dropped for one of them, with a pooler if any has one (multiple choice reads it).
    """

    def __init__(self, models: list):
        super().__init__()
        pooled = (m.base_model for m in models if m.base_model.pooler is not None)
        self.encoder = next(pooled, models[0].base_model)
        for model in models:
            setattr(model, model.base_model_prefix, self.encoder)
            model.tie_weights()
        self.models = torch.nn.ModuleList(models)


# --- what is trained -----------------------------------------------------------------------------------------------
def hyper(study: Study, recipe: str) -> Hyper:
    """What all steps of a mixture share: rate, decay, warm-up, clipping, looks at the dev sets.

    With MLM mixed in the rate is half of what it is without, unless ``recipes: {mlm: {lr: …}}`` says otherwise: the paper is remembered so,
    without a source (paper_facts 1.6). Batch, length and epochs are the parts' own.
    """
    parsed, p = recipes.parse(recipe, study.tasks), study.params
    if parsed.name == recipes.MULTITASK:
        layers = [phases.DEFAULTS, {**p.recipe.model_dump(exclude_none=True, exclude={"preset"}), "max_steps": None}]
        if recipes.MULTITASK in p.recipes:
            layers.append(p.recipes[recipes.MULTITASK].model_dump(exclude_none=True))
        if parsed.match:
            layers.append({"max_steps": None})
        h = Hyper(**{k: v for layer in layers for k, v in layer.items()})
    else:
        h = replace(phases.hyper(study, parsed.name), max_steps=None)  # its cap is on its own steps
    if parsed.mlm:
        given = p.recipes["mlm"].lr if "mlm" in p.recipes else None
        h = replace(h, lr=given or h.lr / 2)
    return replace(h, epochs=0, batch=0, length=0, eval_examples=0)


def spec(study: Study, recipe: str, seed: int, encoder) -> Spec:
    """Specification of a mixed training: every part's data, recipe and versions, how they are mixed, encoder, seed."""
    parsed = recipes.parse(recipe, study.tasks)
    parts = [_part_inputs(study, recipe, task, encoder, seed) for task in study.tasks_of(recipe)]
    inputs = {
        "parts": parts, "sampler": str(parsed.sampler), "encoder": encoder.identity, "seed": seed,
        "hyper": asdict(hyper(study, recipe)), "precision": study.params.engine.precision,
        **phases.without_attention_dropout(study, "intermediate", recipe), **matching.inputs(study, recipe, encoder),
        "versions": {"train": train.VERSION, "mixture": mixture.VERSION},
    }  # fmt: skip
    if parsed.mlm:
        text = _text_inputs(study, recipe)
        inputs["mlm"] = {"share": parsed.mlm, "text": text, "version": kind("mlm").version, **_mlm_recipe(study)}
    return Spec("intermediate", f"01.{parsed.file_name}.s{seed}", inputs)


def _part_inputs(study: Study, recipe: str, task: str, encoder, seed: int) -> dict:
    """What the task's own training would be specified by, less what the mixture decides."""
    alone = phases.train_spec(study, task, "intermediate", recipe, seed, encoder).inputs
    own = (
        "epochs",
        "batch",
        "length",
        "max_steps",
        "eval_examples",
    )  # of a matched recipe the first two and the cap are empty
    return {**{k: alone[k] for k in ("task", "data", "versions")}, "hyper": {k: alone["hyper"][k] for k in own}}


def _mlm_recipe(study: Study) -> dict:
    """Batch (lines) and length of MLM steps."""
    layers = [study.params.recipe, *([study.params.recipes["mlm"]] if "mlm" in study.params.recipes else [])]
    values = {k: v for layer in layers for k, v in layer.model_dump(exclude_none=True).items()}
    return {k: values.get(k, phases.DEFAULTS[k]) for k in ("batch", "length")}


def _text(study: Study, recipe: str) -> Build:
    """Which raw text the MLM steps read: the same number of lines of each language, as many as are read in one pass if there are so many.

    Raises
    ------
    DataError
        If the study has no raw text.
    """
    from .schema import Build

    source, parsed = study.params.data, recipes.parse(recipe, study.tasks)
    steps, own = 0, parsed.match or recipe
    for task in study.tasks_of(own):
        steps += phases.hyper(study, task).steps(len(phases.training_set(study, task, "intermediate", own)))
    raw = round(steps * parsed.mlm) if parsed.match else mixture.total_steps([steps], parsed.mlm) - steps
    count = raw * _mlm_recipe(study)["batch"]
    if source.source == "pocket":
        from .pocket.languages import LANGUAGES as there
    elif source.folder:
        from .study import expand

        there = [p.stem for p in sorted((Path(expand(source.folder, "data.folder")) / "mlm_text").glob("*.parquet"))]
    else:
        raise DataError(
            f"recipe {recipe}: MLM reads raw text; give a folder with mlm_text/<language>.parquet by data.folder"
        )
    wanted = source.languages or tuple(there)
    if source.missing == "skip":
        wanted = tuple(x for x in wanted if x in there)
    if not wanted:
        raise DataError(f"recipe {recipe}: there is no raw text for MLM in the study's languages")
    return Build(text="pocket" if source.source == "pocket" else "folder", languages=wanted,
                 lines=max(1, math.ceil(count / len(wanted))))  # fmt: skip


def _lines(study: Study, recipe: str) -> list[dict]:
    """Raw text for the MLM steps, language by language."""
    from .build import text_lines

    text = _text(study, recipe)
    with _named(recipe):
        return [line for part in text_lines(text, study.params.data).values() for line in part]


def _text_inputs(study: Study, recipe: str) -> dict:
    """What specifies that text: made or read it is in training alone."""
    from .build import text_identity

    text = _text(study, recipe)
    with _named(recipe):
        identity = text_identity(text, study.params.data)
    return {**text.model_dump(include={"languages", "lines", "seed"}), "identity": identity}


@contextmanager
def _named(recipe: str) -> Iterator[None]:
    """Errors about raw text name the recipe that reads it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"recipe {recipe}: raw text for MLM: {error}") from None


# --- training ------------------------------------------------------------------------------------------------------
def fit(study: Study, recipe: str, folder: Path, encoder, seed: int) -> dict:
    """Train a mixture in its working folder; returns the content of its record."""
    begin, parsed = time.monotonic(), recipes.parse(recipe, study.tasks)
    where = replace(phases.device(study), **phases.without_attention_dropout(study, "intermediate", recipe))
    tokenizer = encoders.load_tokenizer(encoder.path)
    names, h = study.tasks_of(recipe), hyper(study, recipe)
    read = {n: phases.training_set(study, n, "intermediate", recipe, seed) for n in names}
    parts = tuple(_part(study, name, read[name], tokenizer, encoder, seed) for name in names)
    own = [phases.hyper(study, p.name).steps(p.features.units) for p in parts]
    goal = matching.goal(study, recipe, seed, tokenizer)
    steps = goal.steps if goal else min(mixture.total_steps(own, parsed.mlm), h.max_steps or 2**62)
    p = mixture.probabilities(parsed.sampler, {x.name: x.features.units for x in parts}, parsed.mlm)
    if parsed.mlm:
        parts += (_mlm_part(study, recipe, tokenizer, encoder, seed),)
    model = SharedEncoder([x.model for x in parts])
    mixed = mixture.Mixture(parts, p, steps, seed, goal and goal.tokens)
    if goal:
        goal.check(recipe, mixed.tokens, max(int(x.features.unit_tokens.max()) for x in parts))
    scores = {
        x.name: (x.model, _dev_score(study, x.name, tokenizer, where)) for x in parts if _has_dev(study, x.name, recipe)
    }
    dev = DevMean(scores) if scores else None
    summary = train.fit_mixture(model, mixed, h, seed, where, folder, tokenizer.pad_token_id, recipe, dev)
    silence = {
        n: null_threshold(own.frame(m)) for n, (m, own) in scores.items() if study.tasks[n].answer_rules == "squad_v2"
    }
    model.cpu()
    weights = save_encoder(model.encoder, parts[0].model.base_model_prefix, tokenizer, folder / "model", encoder.path,
                           _card(study, recipe, "all its parts", "AutoModel", seed, summary))  # fmt: skip
    heads = {}
    for x in parts:
        card = _card(study, recipe, _title(study, x.name), x.kind.auto_class, seed, summary)
        heads[x.name] = save_head(x.model, tokenizer, folder / "heads" / x.name, folder / "model", card)
    (folder / "best.safetensors").unlink(missing_ok=True)
    shared = ("lr", "weight_decay", "warmup", "clip", "eval_every", "max_steps", "eps")
    summary["hyper"] = {k: summary["hyper"][k] for k in shared}
    summary["parts"] = {x.name: _facts(study, x, p[i], mixed.draws == i) for i, x in enumerate(mixed.parts)}
    return {
        "task": parsed.name, "tasks": list(names), "recipe": recipe, "seed": seed, "weights": weights, "heads": heads,
        "parent": None, "encoder": encoders.open_folder(folder / "model", "").identity,
        "data": {"train": [sum(map(len, read.values())), sum(t.total for t in read.values())],
                 "revision": {n: t.commit for n, t in read.items()},
                 **({} if parsed.train == ("en",) else {"languages": list(parsed.train)})},
        "training": summary, **({"match": goal.record()} if goal else {}), **({"null_thresholds": silence} if silence else {}), "wall_seconds": round(time.monotonic() - begin, 1),
        "provenance": provenance(study.root, where.name, where.precision, summary["attention"]),
    }  # fmt: skip


def _part(study: Study, task: str, training: data.Split, tokenizer, encoder, seed: int) -> mixture.Part:
    """One task, with the head and the order of examples that it would have alone."""
    row, h = study.tasks[task], phases.hyper(study, task)
    k = kind(row.kind)
    labels = data.labels(study, task)
    features = encoded.features(study, k, training, tokenizer, h.length, labels)
    if k.pretrained_head:
        model = phases.with_head(encoder, k.auto_class, task)
        k.head(model, features, torch_seed(seed, "init"))
    else:
        model = encoders.new_model(encoder.path, k.auto_class, torch_seed(seed, "init"), **k.labels(labels))
        k.head(model)
    order = EpochOrder(features.units, h.batch, h.steps(features.units), seed)
    return mixture.Part(task, model, k, features, order)


def _mlm_part(study: Study, recipe: str, tokenizer, encoder, seed: int) -> mixture.Part:
    """MLM on raw text, with the head that the encoder was pre-trained with."""
    k, h = kind("mlm"), _mlm_recipe(study)
    lines = _lines(study, recipe)
    features = encoded.of(study, k, lines, {"lines": fingerprint(lines)}, tokenizer, h["length"])
    model = phases.with_head(encoder, k.auto_class, recipe)
    order = EpochOrder(features.units, h["batch"], 0, seed)
    return mixture.Part("mlm", model, k, features, order)


class DevMean:
    """Mean of the parts' dev scores with equal weights: what chooses the checkpoint (paper_facts 2.1). MLM has none.

    Attributes
    ----------
    parts : dict
        Score of each part at the last call, in percent.
    """

    def __init__(self, scores: dict):
        self.scores, self.parts = scores, {}

    def __call__(self, model) -> float:
        self.parts = {name: score(own) for name, (own, score) in self.scores.items()}
        return sum(self.parts.values()) / len(self.parts)


def _has_dev(study: Study, name: str, recipe: str) -> bool:
    return name in study.tasks and phases.has_dev(study, name, "intermediate", recipe)


def _dev_score(study: Study, task: str, tokenizer, where) -> phases.DevScore:
    return phases.DevScore(study, task, tokenizer, phases.hyper(study, task), where)


def _facts(study: Study, part: mixture.Part, probability: float, drawn) -> dict:
    h = _mlm_recipe(study) if part.name == "mlm" else asdict(phases.hyper(study, part.name))
    batch = round(part.order.mean) if isinstance(part.order, Listed) else h["batch"]
    return {
        "units": part.features.units, "batch": batch, "length": h["length"],
        "probability": round(float(probability), 6), "steps": int(drawn.sum()),
    }  # fmt: skip


# --- what is kept --------------------------------------------------------------------------------------------------
_CARD = """---
library_name: transformers
tags: [xitt]
---
# {title}, trained by the recipe {recipe}, seed {seed}

Trained by xitt (study `{study}`), {steps:,} steps. Opens with `{auto}`; the training's record is `record.json` of its run.
"""


def _card(study: Study, recipe: str, title: str, auto: str, seed: int, summary: dict) -> str:
    return _CARD.format(title=title, recipe=recipe, seed=seed, study=study.name, steps=summary["steps"], auto=auto)


def _title(study: Study, name: str) -> str:
    return study.tasks[name].title if name in study.tasks else "Masked language modelling"


def save_encoder(encoder, prefix: str, tokenizer, folder: Path, source: Path, card: str) -> str:
    """Write an encoder with the config it came with (``source``); returns the weights' SHA-256.

    Names carry the prefix that task models give them, so that the file serves as their shard too.
    """
    from safetensors.torch import save_file
    from transformers import AutoConfig

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{prefix}.{k}": v.contiguous() for k, v in encoder.state_dict().items()}
    save_file(tensors, str(folder / "model.safetensors"), {"format": "pt"})
    config = AutoConfig.from_pretrained(str(source))
    config.architectures, config.dtype = [type(encoder).__name__], "float32"
    config.save_pretrained(str(folder))
    _beside(tokenizer, folder, card)
    return checksum(folder / "model.safetensors")


def save_head(model, tokenizer, folder: Path, encoder: Path, card: str) -> str:
    """Write a task model as the encoder's file and a shard of its own weights; returns the latter's SHA-256."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    seen = {v.data_ptr() for v in model.base_model.state_dict().values()}
    own = {}
    for key, value in model.state_dict().items():  # tied weights are written once
        if value.data_ptr() not in seen:
            seen.add(value.data_ptr())
            own[key] = value.contiguous()
    save_file(own, str(folder / _HEAD), {"format": "pt"})
    (folder / _ENCODER).unlink(missing_ok=True)
    try:
        os.link(encoder / "model.safetensors", folder / _ENCODER)
    except OSError:  # a disk without hard links
        shutil.copyfile(encoder / "model.safetensors", folder / _ENCODER)
    with safe_open(folder / _ENCODER, "pt") as tensors:
        names = dict.fromkeys(tensors.keys(), _ENCODER) | dict.fromkeys(own, _HEAD)
    size = sum((folder / f).stat().st_size for f in (_ENCODER, _HEAD))
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": names})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(str(folder))
    _beside(tokenizer, folder, card)
    return checksum(folder / _HEAD)


def _beside(tokenizer, folder: Path, card: str) -> None:
    tokenizer.save_pretrained(str(folder))
    (folder / "README.md").write_text(card, encoding="utf-8")
