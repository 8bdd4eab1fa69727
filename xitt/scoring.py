"""Scores of a target: from a fine-tuned model (phase 2) or from sentence vectors without training (phase 3).

Predictions are kept per language in ``<run>/predictions/<target>/``, with a record written last; what is there for the same
inputs is not computed again.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path

from . import data, encoded, own, packing, recipes, variants
from .errors import DataError
from .integrity import RECORD, manifest
from .kinds import kind
from .metrics import METRICS
from .phases import about, encoder_of, hyper, train_spec, train_task, trained
from .runs import Run, device, runs_folder
from .store import RunFolder, Spec, fresh_folder, hold, note_use, provenance, read_json, write_json
from .study import Study, fingerprint


def evaluate(study: Study, recipe: str, target: str, seed: int):
    """Scores of one target in every language, as a tidy frame (DESIGN, section 3)."""
    row = study.tasks[target]
    if place := found(study, recipe, target, seed):
        return _shown(study, place, recipe, target, seed)
    encoder, run = encoder_of(study, recipe, seed)
    parent = about(study, recipe, run, encoder)
    if row.train is None:
        run = row.tuned and tuned(study, row.tuned, recipe, seed, encoder, parent)
        place = _retrieve(study, recipe, target, seed, _encoder(run) if run else encoder)
        if run:
            _drop_weights(study, run, row.tuned)
    else:
        run = train_task(study, row.train, "target", recipe, seed, encoder, parent)
        with hold(runs_folder(study), run.path.name):  # another process that scores it is waited for
            place = found(study, recipe, target, seed) or _score(study, run, target, encoder, parent)
    return _shown(study, place, recipe, target, seed)


def _shown(study: Study, place: Path, recipe: str, target: str, seed: int):
    from . import results

    record = read_json(place / "record.json")
    note_use(place, record)
    return results.tidy(record, recipe, target, seed, study.tasks)


def found(study: Study, recipe: str, target: str, seed: int) -> Path | None:
    """Folder of the predictions if they are there for exactly these inputs; nothing is computed."""
    row, encoder = study.tasks[target], trained(study, recipe, seed)
    if encoder is None:
        return None
    if row.train is None:
        spec = retrieval_spec(study, recipe, target, seed, encoder)
        folder = spec and RunFolder(runs_folder(study), spec)
        return folder.path / "predictions" / target if folder and folder.record and folder.scored(target) else None
    folder = RunFolder(runs_folder(study), train_spec(study, row.train, "target", recipe, seed, encoder))
    if (run := folder.record) is None:
        return None
    place = folder.path / "predictions" / target
    record = folder.scored(target)
    wanted = fingerprint({**_score_inputs(study, target), "weights": run["weights"]})
    return place if record and record["fingerprint"] == wanted else None


def retrieval_spec(study: Study, recipe: str, target: str, seed: int, encoder) -> Spec | None:
    """Specification of a retrieval with a recipe's encoder; ``None`` while the fine-tuning before it is not done."""
    if task := study.tasks[target].tuned:
        tuned = RunFolder(runs_folder(study), train_spec(study, task, "target", recipe, seed, encoder))
        if (record := tuned.record) is None:
            return None
        encoder = _encoder(Run(study, tuned.path, record))
    return _retrieval_spec(study, recipe, target, seed, encoder)


def _score_inputs(study: Study, target: str) -> dict:
    return {**_inputs(study, target), "length": hyper(study, study.tasks[target].train).length}


def _inputs(study: Study, target: str) -> dict:
    """What an evaluation's numbers depend on besides the weights."""
    row = study.tasks[target]
    splits = {x: data.load(study, target, "test", x).fingerprint for x in data.languages(study, target)}
    pool = {"pool": data.pool(study, target).fingerprint} if kind(row.kind).pooled else {}
    return {
        "target": target if not row.own else own.identity(row),
        "data": splits | pool,
        "versions": {
            "kind": kind(row.kind).version,
            "metrics": {m: METRICS[row.kind, m].version for m in row.metrics},
        },
        **({} if row.answer_rules == "squad" else {"answer_rules": row.answer_rules}),
        **({"sample": {x: data.load(study, target, "dev", x).fingerprint for x in splits}} if _strict(row) else {}),
    }


def _strict(row) -> bool:
    """Whether pairs are also counted at the threshold of a sample set (DESIGN, section 5)."""
    return any(m.endswith("_strict") for m in row.metrics)


# --- phase 2 -------------------------------------------------------------------------------------------------------
def _score(study: Study, run: Run, target: str, encoder, parent: dict | None) -> Path:
    """Predictions of a trained run on one target; returns their folder."""
    from . import backbone as encoders
    from .evaluate import predict
    from .kinds.span import answer_or_none

    row = study.tasks[target]
    place, inputs = run.path / "predictions" / target, _score_inputs(study, target)
    length = inputs["length"]
    wanted = fingerprint({**inputs, "weights": run.record["weights"]})
    run = tuned(study, row.train, run.record["recipe"], run.record["seed"], encoder, parent)
    where, begin = device(study), time.monotonic()
    k, tokenizer = kind(row.kind), encoders.load_tokenizer(run.model)
    model = encoders.load_model(run.model, k.auto_class).to(where.name)
    splits = [data.load(study, target, "test", x) for x in data.languages(study, target)]
    what = f"{run.record['recipe']} > {target}: scoring {len(splits)} languages"
    pool = data.pool(study, target) if k.pooled else None
    labels, encode = data.labels(study, target), partial(encoded.features, study)
    frames = predict(model, k, tokenizer, splits, length, labels, where, what, pool, encode)
    if row.answer_rules == "squad_v2":
        frames = {x: answer_or_none(f, run.record.get("null_threshold", 0.0)) for x, f in frames.items()}
    _write(
        study,
        place,
        wanted,
        inputs,
        frames,
        splits,
        {"run": run.path.name, "seconds": round(time.monotonic() - begin, 2)},
        packing.path(model, where),
        row,
    )
    _drop_weights(study, run, row.train)
    return place


def _write(
    study: Study, place: Path, wanted: str, inputs: dict, frames: dict, splits: list, more: dict, attention: str, row
) -> None:
    """Store predictions by language and, last, the record with their scores."""
    from .evaluate import scores, write_predictions

    where = device(study)
    with fresh_folder(place) as aside:
        for language, frame in frames.items():
            write_predictions(frame, aside / f"{language}.parquet")
        write_json(aside / RECORD, {
            "files": manifest(aside), "fingerprint": wanted, "inputs": inputs, "split": "test", "revision": splits[0].commit,
            "sizes": {s.language: [len(s), s.total] for s in splits},
            "counted": {x: len(f) for x, f in frames.items()},
            "scores": {x: scores(row, f, x) for x, f in frames.items()},
            "provenance": provenance(study.root, where.name, where.precision, attention), **more,
        }, True)  # fmt: skip


def _drop_weights(study: Study, run: Run, train: str) -> None:
    """Delete the weights of a fine-tuning once every target that they serve is scored, where the study says so."""
    if study.params.keep == "all":
        return
    recipe, seed = run.record["recipe"], run.record["seed"]
    served = [t for t in study.targets_of(recipe, trained=True) if study.tasks[t].train == train]
    searched = [t for t in study.targets_of(recipe, trained=False) if study.tasks[t].tuned == train]
    if all((run.path / "predictions" / t / "record.json").is_file() for t in served) and all(
        found(study, recipe, t, seed) for t in searched
    ):
        shutil.rmtree(run.path / "model", ignore_errors=True)


# --- phase 3 -------------------------------------------------------------------------------------------------------
def tuned(study: Study, task: str, recipe: str, seed: int, encoder, parent: dict | None) -> Run:
    """The fine-tuning on a task, with its weights: the run that the task's own targets share."""
    return train_task(study, task, "target", recipe, seed, encoder, parent, weights=True)


def _encoder(run: Run):
    """The encoder of a fine-tuning; its weights may have been let go."""
    from . import backbone as encoders

    r = run.record
    return encoders.from_record(run.path / "model", r, f"{r['recipe']} > {r['task']}, seed {r['seed']}")


def default_layer(layers: int) -> int:
    """Layer 14 of XLM-R Large, and the same depth in other sizes (DESIGN, section 5)."""
    return round(14 / 24 * layers)


def layer_of(study: Study, target: str, count: int) -> int:
    """The layer that a target's vectors are taken from, of an encoder of ``count`` layers.

    Raises
    ------
    DataError
        If it has fewer.
    """
    wanted = _layer(study, target)
    layer = default_layer(count) if wanted is None else variants.resolve(wanted, count)
    if layer > count:
        asked = "retrieval.layer:" if study.tasks[target].layer is None else f"{target}: layer"
        raise DataError(f"{asked} {layer}, but the encoder has {count} layers")
    return layer


def encoder_for(study: Study, recipe: str, target: str, seed: int):
    """The encoder that a retrieval target is searched with: the recipe's, or of a variant the one fine-tuned before."""
    encoder, run = encoder_of(study, recipe, seed)
    task = study.tasks[target].tuned
    return _encoder(tuned(study, task, recipe, seed, encoder, about(study, recipe, run, encoder))) if task else encoder


def _retrieve(study: Study, recipe: str, target: str, seed: int, encoder) -> Path:
    """Predictions of one retrieval target with an encoder as it is, and scores of all its layers."""
    spec = _retrieval_spec(study, recipe, target, seed, encoder)
    folder = RunFolder(runs_folder(study), spec)
    with folder.lock():
        if folder.record is None or folder.scored(target) is None:
            begin, where = time.monotonic(), device(study)
            sweep, layer = _search(
                study,
                recipe,
                target,
                encoder,
                folder.begin() / "predictions" / target,
                spec.fingerprint,
                spec.inputs,
            )
            folder.finish(
                {
                    "task": target,
                    "recipe": recipe,
                    "seed": seed,
                    "layer": layer,
                    "layers": sweep,
                    **({"parent": parent} if (parent := about(study, recipe, None, encoder)) else {}),
                    "wall_seconds": round(time.monotonic() - begin, 1),
                    "provenance": provenance(study.root, where.name, where.precision),
                }
            )
    return folder.path / "predictions" / target


def _retrieval_spec(study: Study, recipe: str, target: str, seed: int, encoder) -> Spec:
    from .retrieval import VERSION

    settings = study.params.retrieval
    inputs = {
        **_inputs(study, target),
        "encoder": encoder.identity,
        "layer": _layer(study, target),
        "length": settings.length,
        "neighbours": settings.neighbours,
        "precision": study.params.engine.precision,
        "version": VERSION,
        **({} if study.tasks[target].pool == "mean" else {"pool": study.tasks[target].pool}),
    }
    return Spec("retrieval", f"03.{recipes.file_name(recipe)}.{target}.s{seed}", inputs)


def _layer(study: Study, target: str) -> int | str | None:
    """The layer asked for, by the variant or the study (``10of24``: that depth); ``None`` is the default depth."""
    layer = study.tasks[target].layer
    return study.params.retrieval.layer if layer is None else layer


def _search(
    study: Study, recipe: str, target: str, encoder, place: Path, wanted: str, inputs: dict
) -> tuple[dict, int]:
    """Embed every sentence once, score every layer, keep the predictions of the chosen one."""
    import numpy as np

    from . import backbone as encoders
    from .evaluate import scores
    from .progress import tell
    from .retrieval import embed
    from .vectors import Vectors

    row, settings, where, begin = study.tasks[target], study.params.retrieval, device(study), time.monotonic()
    k, tokenizer = kind(row.kind), encoders.load_tokenizer(encoder.path)
    model = encoders.load_encoder(encoder.path).to(where.name)
    count = model.config.num_hidden_layers
    layer = layer_of(study, target, count)
    splits = [data.load(study, target, "test", x) for x in data.languages(study, target)]
    sides = [k.texts(s.examples) for s in splits]
    texts = list(dict.fromkeys(t for pair in sides for side in pair for t in side))
    number = {t: i for i, t in enumerate(texts)}
    tell(f"{recipe} > {target}: embedding {len(texts):,} sentences in {count + 1} layers")
    length = min(settings.length, model.config.max_position_embeddings - 2)
    disk = place.parent.parent / "vectors"
    limits, tokenise = {"memory": settings.memory, "device": where.name}, partial(encoded.texts, study)

    def embedded(texts: list[str], layers: tuple[int, ...], name: str) -> dict:
        return embed(model, tokenizer, texts, layers, length, where, settings.memory, disk / name, tokenise, row.pool)

    vectors = embedded(texts, tuple(range(count + 1)), "test")
    rows = [[np.array([number[t] for t in side]) for side in pair] for pair in sides]
    samples = [data.load(study, target, "dev", s.language) for s in splits] if _strict(row) else []
    strict = _thresholds(samples, k, settings.neighbours, lambda t: embedded(t, (layer,), "sample")[layer], limits)
    sweep: dict[str, dict[str, float]] = {}
    for depth, matrix in vectors.items():
        frames = {}
        for s, (a, b) in zip(splits, rows, strict=True):
            first, second = Vectors(matrix)[a], Vectors(matrix)[b]
            best = strict.get(s.language)
            frames[s.language] = k.predict(s.examples, first, second, settings.neighbours, None, best, **limits)
        sweep[str(depth)] = {x: scores(row, f, x)[row.metrics[0]] for x, f in frames.items()}
        if depth == layer:
            more = {
                "layer": layer,
                "thresholds": {x: f.attrs.get("threshold") for x, f in frames.items()},
                "strict_thresholds": strict,
                "vectors": str(matrix.dtype),
                "seconds": round(time.monotonic() - begin, 2),
            }
            _write(study, place, wanted, inputs, frames, splits, more, "padded, sdpa", row)
    shutil.rmtree(disk, ignore_errors=True)
    tell(f"{recipe} > {target}: {len(splits)} languages, layer {layer}, took {time.monotonic() - begin:.0f} s")
    return sweep, layer


def _thresholds(samples: list, k, neighbours: int, vectors, limits: dict) -> dict[str, float]:
    """The margin that is best on each language's sample set: the strict protocol's threshold, at the fixed layer.

    ``vectors`` gives the matrix of some texts, each once; ``limits`` are of the search.
    """
    from .vectors import Vectors

    if not samples:
        return {}
    sides = [k.texts(s.examples) for s in samples]
    number = {t: i for i, t in enumerate(dict.fromkeys(t for pair in sides for side in pair for t in side))}
    matrix, found = Vectors(vectors(list(number))), {}
    for sample, pair in zip(samples, sides, strict=True):
        first, second = (matrix[[number[t] for t in side]] for side in pair)
        found[sample.language] = k.threshold(sample.examples, first, second, neighbours, **limits)
    return found
