"""Training sets of English tasks in other languages: what ``mnli+train=de`` is trained on.

Where they come from, by the study's source and in this order:

- ``<data.folder>/local/translated/<task>/<language>.<csv|tsv|jsonl|json|parquet>``: the user's own, with the columns of the task's English
  data set (labels by name or number; lists as in :mod:`xitt.own_files`). It goes before what is published, from any source but the pocket;
- published translations, from the hub or as folders of the data folder (:data:`PUBLISHED`): XNLI's machine-translated MNLI, and
  XTREME's translate-train of SQuAD v1.1. No others are known to be on the hub;
- the pocket: its generator translates exactly; ``data.translation_noise`` imitates a machine (:mod:`xitt.pocket.translation`).

Dev sets stay English: they choose the checkpoint, as everywhere (paper_facts 2.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from . import recipes
from .checks import column_value, locate
from .errors import DataError, nearest
from .languages import XTREME
from .parameters import expand
from .schema import Data
from .study import Study
from .tasks import Source, Task

#: task → repository with its training set in other languages, and those languages. The rows of ``facebook/xnli`` are those of MNLI
#: in its order (392,702 each); ``juletxara/xquad_xtreme`` repackages XTREME's files and holds a script, so its conversion is read
PUBLISHED: dict[str, tuple[Source, tuple[str, ...]]] = {
    "mnli": (Source("facebook/xnli", "{code}", {"train": "train"}), XTREME["xnli"]),
    "squad_v1": (Source("juletxara/xquad_xtreme", "{code}", {"train": "translate_train"}, "refs/convert/parquet"), XTREME["xquad"]),
}  # fmt: skip
_FORMS = ("csv", "tsv", "jsonl", "json", "parquet")


def asked(row: Task, split: str, language: str) -> bool:
    """Whether examples are wanted in a language that the task's own data lack.

    Raises
    ------
    DataError
        If they are wanted of another split than the training set.
    """
    if language == "en" or (row.languages and not row.own) or language in row.source.files.get(split, {}):
        return False
    if row.languages and split != "train":
        return False
    if split != "train":
        raise DataError(f"{row.name} has no {split} set in {language!r}: its training set alone is translated")
    return True


def row_of(data: Data, row: Task, language: str) -> Task:
    """The task's row with the source of its translated training set in place of its own; the pocket's stays as it is.

    Raises
    ------
    DataError
        If there is none: names what there is and where one's own would be put.
    """
    if data.source == "pocket" and not row.own:
        return row
    if path := _own(data, row, language):
        files = {"train": {language: str(path)}}
        source = Source(row.source.repository, splits={"train": "train"}, layout="files", files=files)
        return replace(row, source=source, own=row.own or f"local/translated/{row.name}")
    if row.name in PUBLISHED and language in PUBLISHED[row.name][1]:
        return replace(row, source=PUBLISHED[row.name][0])
    raise DataError(_missing(data, row, language))


def _missing(data: Data, row: Task, language: str) -> str:
    there = PUBLISHED[row.name][1] if row.name in PUBLISHED else ()
    what = f"it is published in {', '.join(x for x in there if x != 'en')}" if there else "none is published"
    known = ", ".join(f"{task} ({source.repository})" for task, (source, _) in PUBLISHED.items())
    folder = data.folder or "<data.folder>"
    return (
        f"{row.name}: there is no translation of its training set into {language!r}; {what}{nearest(language, there)}"
        f"\n  published translations: {known}"
        f"\n  your own: {folder}/local/translated/{row.name}/{language}.jsonl (or {', '.join(f for f in _FORMS if f != 'jsonl')}), "
        "with the columns of the English data set"
    )


def _folder(data: Data) -> Path | None:
    """``local/translated`` of the data folder, if there is one."""
    if data.folder is None or data.source == "pocket":
        return None
    path = Path(expand(data.folder, "data.folder")).expanduser().resolve() / "local" / "translated"
    return path if path.is_dir() else None


def _own(data: Data, row: Task, language: str) -> Path | None:
    """The user's file of a task and language.

    Raises
    ------
    DataError
        If there are two.
    """
    base = _folder(data)
    found = [p for f in _FORMS if base and (p := base / row.name / f"{language}.{f}").is_file()]
    if len(found) > 1:
        raise DataError(
            f"{found[0].parent}: {' and '.join(p.name for p in found)} both hold {language!r}; one is expected"
        )
    return found[0] if found else None


def lost(row: Task, language: str, rows: list[dict], where: str) -> set[int]:
    """Numbers of raw rows whose published translation has lost its answer: it stands nowhere in the translated text."""
    if row.kind != "span" or language == "en" or row.source not in [s for s, _ in PUBLISHED.values()]:
        return set()
    return {i for i, line in enumerate(rows) if _is_lost(row, line, where)}


def _is_lost(row: Task, line: dict, where: str) -> bool:
    context, answers, starts = (column_value(line, row.columns[c], where) for c in ("context", "answers", "starts"))
    try:
        return not [locate(context, text, start) for text, start in zip(answers, starts, strict=True)]
    except ValueError:
        return True


def stamps(data: Data) -> list[tuple[str, int, int]]:
    """Path, time and size of the user's translations: enough to read them again when they change."""
    base = _folder(data)
    files = sorted(p for p in base.glob("*/*") if p.is_file()) if base else []
    return [(str(p), s.st_mtime_ns, s.st_size) for p in files if (s := p.stat())]


def wanted(study: Study) -> Iterator[tuple[str, str]]:
    """Tasks (parts too) and languages whose translated training sets the study's recipes ask for, without repetition."""
    seen = {}
    for recipe in study.intermediates:
        for language in recipes.parse(recipe, study.tasks).train if recipe not in study.checkpoints else ():
            for task in study.tasks_of(recipe) if language != "en" else ():
                seen |= dict.fromkeys((part, language) for part in study.tasks[task].parts or (task,))
    yield from seen


def check(study: Study) -> None:
    """Find out before hours pass that a translated training set is not there; the hub is not asked.

    Raises
    ------
    DataError
        If one is not.
    """
    from .pocket.hub import training_languages

    for task, language in wanted(study):
        row = study.tasks[task]
        if study.params.data.source == "pocket" and not row.own and language not in training_languages(task):
            raise DataError(
                f"{task}: the pocket has no training set in {language!r}; it has {', '.join(training_languages(task))}"
            )
        row_of(study.params.data, row, language)


def repositories(study: Study) -> Iterator[tuple[str, str]]:
    """Hub repositories of the published translations that the study reads, with the revision asked for."""
    data = study.params.data
    for task, language in wanted(study):
        if not _own(data, study.tasks[task], language) and language in PUBLISHED.get(task, (None, ()))[1]:
            yield PUBLISHED[task][0].repository, data.revision(PUBLISHED[task][0])
