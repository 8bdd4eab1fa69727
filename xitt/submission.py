"""The folder that the official evaluation of XTREME or XTREME-R reads, written from stored predictions.

Names and contents of the files, with their sources, are in :mod:`xitt.official`. An incomplete submission is an error (exit code 3,
nothing is written) unless ``partial`` is asked for. Complete is what the study can be: every task of the version, in every language
that the study scores; the languages that the official evaluation asks for beyond these, and test sets that are slices, are listed in
the folder and by the command.

A threshold that was tuned on the scored gold would carry gold into the files, so BUCC's pairs are those at the threshold of the sample
set (protocol ``strict``, DESIGN section 5; XTREME's own scripts and jiant's tune there too, the test gold being withheld) unless
``paper`` is asked for. The files then give the study's ``f1_strict``, or its ``f1``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import data, recipes, tasks
from .errors import DataError, ParameterError, unknown
from .official import FORMS, NOTES, VARIANTS, VERSIONS
from .store import fresh_folder, read_json, write_json, write_text
from .study import Study

if TYPE_CHECKING:
    import pandas as pd

PROTOCOLS = ("strict", "paper")
_KEPT = ("id", "gold")  # columns of a predictions frame that are no predictions


# --- which predictions ---------------------------------------------------------------------------------------------------
def _stored(
    study: Study, version: str, rows: tuple[str, ...], seed: int
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Folders of predictions by task and intermediate, and what is not there, one line each."""
    from .scoring import found

    places, missing = {}, []
    for task in VERSIONS[version]:
        target = _target(study, version, task)
        if target not in study.targets:
            missing.append(f"{task}: not a target of study {study.name}")
            continue
        try:
            there = {r: place for r in rows if (place := found(study, r, target, seed))}
        except DataError as error:
            missing.append(f"{task}: {str(error).splitlines()[0]}")
            continue
        missing += [f"{task}: not scored after {r}, seed {seed}" for r in rows if r not in there]
        if there:
            places[task] = there
    return places, missing


def _target(study: Study, version: str, task: str) -> str:
    """The target that a task's files are made of: the version's own variant if the study has it."""
    variant = VARIANTS[version].get(task)
    return variant if variant in study.targets else task


def _dev_score(place: Path) -> float | None:
    """English dev score that chose a target's checkpoint; ``None`` where nothing is trained or there is no dev set."""
    record = read_json(place.parents[1] / "record.json") or {}
    return ((record.get("training") or {}).get("best") or {}).get("score")


def _best(places: dict[str, dict[str, Path]]) -> dict[str, tuple[str, str, dict[str, float]]]:
    """The intermediate of each task by English dev scores alone (protocol ``strict``, DESIGN section 5).

    Retrieval trains nothing and has no English dev set: it gets the row with the best mean over the fine-tunings that have one,
    each counted once (XQuAD and MLQA share theirs). The first of equal rows is taken.

    Returns
    -------
    dict
        Task → intermediate, rule, and the scores that were compared.
    """
    dev = {t: {r: s for r, p in there.items() if (s := _dev_score(p)) is not None} for t, there in places.items()}
    rows = list(dict.fromkeys(r for there in dev.values() for r in there))
    tunings = {tasks.TASKS[t].train: scores for t, scores in dev.items() if scores}
    means = {
        r: sum(s[r] for s in tunings.values()) / len(tunings) for r in rows if all(r in s for s in tunings.values())
    }
    chosen = {}
    for task, there in places.items():
        own = {r: means[r] for r in there if r in means} if not dev[task] else dev[task]
        if not own:
            raise DataError(f"{task}: no English dev score to choose an intermediate by; name one with --intermediate")
        rule = (
            "best English dev score"
            if dev[task]
            else "best mean of the targets' English dev scores (it has no dev set)"
        )
        chosen[task] = (max(own, key=own.__getitem__), rule, own)
    return chosen


# --- the folder ------------------------------------------------------------------------------------------------------------
def write(
    study: Study,
    version: str,
    out: Path | str,
    intermediate: str = "best",
    seed: int | None = None,
    protocol: str = "strict",
    partial: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Write a submission from what the study has stored; nothing is computed.

    Every file is read back and scored before the folder appears, and must give the stored scores to the last digit.

    Parameters
    ----------
    version : str
        ``xtreme`` or ``xtreme-r``.
    intermediate : str
        A row of the study for every task, or ``best``: for each task the row with the best English dev score.
    seed : int or None
        The study's first seed where not given.
    protocol : str
        ``strict`` or ``paper``: where BUCC's threshold is from.
    partial : bool
        Write what is there where tasks have not been scored. Languages that the study does not hold are listed either way.
    force : bool
        Replace an earlier submission.

    Returns
    -------
    dict
        Contents of ``manifest.json``.

    Raises
    ------
    ParameterError
        If a name is unknown, or the folder is not empty.
    DataError
        If predictions are missing, or cannot be written in the official form.
    """
    if version not in VERSIONS:
        raise ParameterError(unknown("version", version, VERSIONS))
    if protocol not in PROTOCOLS:
        raise ParameterError(unknown("protocol", protocol, PROTOCOLS))
    seed = study.seeds[0] if seed is None else seed
    if seed not in study.seeds:
        raise ParameterError(unknown("seed", str(seed), map(str, study.seeds)))
    rows = study.main[0] if intermediate == "best" else (_row(study, intermediate),)
    out = _free(Path(out).expanduser().resolve(), force)
    places, missing = _stored(study, version, rows, seed)
    if not places or (missing and not partial):
        raise DataError(
            f"study {study.name} does not hold all of {version}:\n  " + "\n  ".join(missing)
            + f"\n  `xitt run {study.path}` computes what its designs name"
            + ("; --partial writes what is there" if places else "")
        )  # fmt: skip
    given = {t: (rows[0], "named", {}) for t in places}
    entries = {}
    with fresh_folder(out) as aside:
        for task, (recipe, rule, dev) in (_best(places) if intermediate == "best" else given).items():
            entries[task] = _write_task(study, version, task, protocol, places[task][recipe], aside / task)
            entries[task] |= {
                "intermediate": recipe,
                "chosen by": rule,
                "dev": dev,
                "seed": seed,
                "target": _target(study, version, task),
            }
        manifest = _manifest(study, version, intermediate, protocol, entries, missing)
        write_json(aside / "manifest.json", manifest)
        write_text(aside / "README.md", _readme(manifest))
    return manifest


def _row(study: Study, intermediate: str) -> str:
    try:
        recipe = recipes.canonical(intermediate, study.tasks)
    except ParameterError:
        recipe = intermediate
    if recipe not in study.intermediates:
        raise ParameterError(unknown("intermediate", recipe, ["best", *study.intermediates]))
    return recipe


def _free(out: Path, force: bool) -> Path:
    """The folder, if it may be written: absent, empty, or with ``force`` an earlier submission and nothing else."""
    if not out.exists():
        return out
    if not out.is_dir():
        raise ParameterError(f"--out: {out} is a file")
    if not any(out.iterdir()):
        return out
    if not force:
        raise ParameterError(f"--out: {out} is not empty; --force replaces an earlier submission")
    there = {p.name for p in out.iterdir()}
    if foreign := sorted(there - {"manifest.json", "README.md", *FORMS}):
        raise ParameterError(f"--out: {out} holds {foreign[0]}, which is no part of a submission, and is not replaced")
    if "manifest.json" not in there:
        raise ParameterError(f"--out: {out} has no manifest.json: it is no earlier submission and is not replaced")
    return out


def _write_task(study: Study, version: str, task: str, protocol: str, place: Path, folder: Path) -> dict[str, Any]:
    """Files of one task, read back and scored; returns its entry in the manifest."""
    from . import results

    record, run = read_json(place / "record.json"), read_json(place.parents[1] / "record.json")
    folder.mkdir()
    languages, row = data.languages(study, task), _row_of(task, protocol)
    own = {x: {m: record["scores"][x][m] for m in row.metrics} for x in languages}
    for language in languages:
        frame, examples = _predictions(study, row, place, language)
        file = folder / f"test-{language}.{FORMS[task].suffix}"
        try:
            text = FORMS[task].write(frame, examples, row.labels)
        except ValueError as error:
            raise DataError(f"{task} {language}: {error} (predictions in {place})") from None
        file.write_text(text, encoding="utf-8", newline="\n")
        again = _file_scores(study, row, place, file, language)
        if again != own[language]:
            raise DataError(
                f"{task} {language}: the file scores {again}, the study {own[language]}: the stored predictions are "
                f"not those that were scored; delete the folder {place} and run the study again"
            )
    tidy = results.tidy(record, "", task, 0).query("language == 'avg'").set_index("metric")["value"]
    tuned = any(m.endswith("_strict") for m in row.metrics)
    return {
        "run": run["label"], "fingerprint": run["fingerprint"], "predictions": record["fingerprint"],
        "data revision": record["revision"], "examples": {x: _size(study, task, x) for x in languages},
        "scores": own, "average": {m: float(tidy[m]) for m in row.metrics},
        "threshold from": None if task != "bucc2018" else "the sample set" if tuned else "the scored gold",
        "lacks": [x for x in VERSIONS[version][task] if x not in languages],
        "not asked for": [x for x in languages if x not in VERSIONS[version][task]],
    }  # fmt: skip


def _size(study: Study, task: str, language: str) -> list[int]:
    """[examples, examples of the source]; a mining set counts its gold pairs."""
    part = data.load(study, task, "test", language)
    mining = tasks.TASKS[task].kind == "bitext" and "gold" in part.examples[0]
    return [len(part.examples[0]["gold"]) if mining else len(part), part.total]


def _row_of(task: str, protocol: str) -> tasks.Task:
    """The row with the metrics that its files can give: one file holds the pairs of one threshold."""
    row = tasks.TASKS[task]
    strict = tuple(m for m in row.metrics if m.endswith("_strict"))
    plain = tuple(m for m in row.metrics if m not in strict)
    return replace(row, metrics=strict if strict and protocol == "strict" else plain)


def _predictions(study: Study, row: tasks.Task, place: Path, language: str) -> tuple[pd.DataFrame, list[dict]]:
    from .evaluate import read_predictions

    file = place / f"{language}.parquet"
    if not file.is_file():
        raise DataError(f"{file} is gone; delete the folder {place} and run the study again")
    frame = read_predictions(file)
    if row.metrics == ("f1_strict",):
        frame = frame.assign(prediction=frame["strict"])
    return frame, data.load(study, row.name, "test", language).examples


def _file_scores(study: Study, row: tasks.Task, place: Path, file: Path, language: str) -> dict[str, float]:
    """Scores of one file; of the stored predictions only ids and gold are used."""
    from .evaluate import scores

    frame, examples = _predictions(study, row, place, language)
    try:
        text = file.read_text(encoding="utf-8")
        answered = FORMS[row.name].read(text, frame[list(_KEPT)], examples, row.labels)
    except FileNotFoundError:
        raise DataError(f"{file} is not there") from None
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{file}: {error}") from None
    return scores(row, answered.assign(strict=answered["prediction"]), language)


def score(folder: Path | str, study: Study) -> pd.DataFrame:
    """Scores of a submission's files with xitt's metrics: the numbers of the study it was written from.

    Returns
    -------
    DataFrame
        Tidy, as ``results.csv``: one row per task, language and metric, and the mean over languages.

    Raises
    ------
    DataError
        If a file is missing or not in its form, or the study no longer holds the runs that the manifest names.
    """
    import pandas as pd

    from . import results
    from .scoring import found

    folder = Path(folder)
    manifest = read_json(folder / "manifest.json")
    if manifest is None or not manifest.get("tasks"):
        raise DataError(f"{folder} is no submission of xitt: it has no manifest.json with tasks")
    frames = []
    for task, entry in manifest["tasks"].items():
        place = found(study, entry["intermediate"], entry["target"], entry["seed"])
        record = place and read_json(place / "record.json")
        if not record or record["fingerprint"] != entry["predictions"]:
            raise DataError(
                f"{folder}: study {study.name} does not hold the predictions of {task} that it was written from"
            )
        names = {x: folder / task / f"test-{x}.{FORMS[task].suffix}" for x in entry["scores"]}
        row = _row_of(task, manifest["protocol"])
        nothing = dict.fromkeys(tasks.TASKS[task].metrics, float("nan"))  # metrics that its files cannot give
        values = {x: nothing | _file_scores(study, row, place, file, x) for x, file in names.items()}
        frames.append(
            results.tidy({**record, "scores": values}, entry["intermediate"], entry["target"], entry["seed"]).dropna()
        )
    return pd.concat(frames, ignore_index=True)


# --- what is said about it ---------------------------------------------------------------------------------------------------
def _manifest(
    study: Study, version: str, intermediate: str, protocol: str, entries: dict, missing: list[str]
) -> dict[str, Any]:
    from . import __version__
    from .store import commit

    notes = [f"missing: {line}" for line in missing]
    for task, e in entries.items():
        if e["lacks"]:
            notes.append(f"{task}: evaluate.py also asks for {' '.join(e['lacks'])}, which the study does not score")
        if e["not asked for"]:
            notes.append(f"{task}: evaluate.py does not read {' '.join(e['not asked for'])}")
        cut = [f"{x} {n} of {total}" for x, (n, total) in e["examples"].items() if n != total]
        if cut:
            notes.append(f"{task}: slices of the test sets, not to be submitted: {', '.join(cut)}")
        if VARIANTS[version].get(task, e["target"]) != e["target"]:
            notes.append(
                f"{task}: {version} scores {VARIANTS[version][task]}, which the study does not name; {task} is written"
            )
        splits = tasks.TASKS[task].source.splits
        if e["dev"] and splits.get("dev") == splits["test"]:
            notes.append(f"{task}: its intermediate and checkpoint were chosen on the set that is scored in English")
        if e["threshold from"]:
            notes.append(f"{task}: pairs at or above the threshold that is best on {e['threshold from']}")
    return {
        "version": version, "study": study.name, "intermediate": intermediate, "protocol": protocol, "xitt": __version__,
        "commit": commit(str(study.root)), "tasks": entries, "missing": missing, "notes": notes + NOTES[version],
    }  # fmt: skip


def lines(manifest: dict[str, Any]) -> list[str]:
    """What a submission holds, one line per task, then what there is to know about it."""
    out = []
    for task, e in manifest["tasks"].items():
        average = ", ".join(f"{m} {v:.1f}" for m, v in e["average"].items())
        out.append(f"{task}: {len(e['scores'])} languages after {e['intermediate']} ({e['chosen by']}), mean {average}")
    return out + [f"note: {n}" for n in manifest["notes"]]


def _readme(manifest: dict[str, Any]) -> str:
    said = "\n".join(f"- {line}" for line in lines(manifest))
    return (
        f"# {manifest['version']}: predictions of study {manifest['study']}\n\n{said}\n\n"
        "`manifest.json` holds scores, seeds, fingerprints of the runs and the dev scores that were compared. To score the folder, in a "
        "checkout of google-research/xtreme with its label files:\n\n"
        f"    python evaluate.py --prediction_folder THIS --label_folder LABELS --xtreme_version {manifest['version']} "
        "--output_file scores.json\n"
    )
